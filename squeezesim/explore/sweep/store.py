"""Store: a folder of Parquet files, one for each chunk of a sweep, each there whole or not at all."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from squeezesim.errors import OutputError
from squeezesim.explore.sweep.plan import KEY, Planned
from squeezesim.files import atomic_write

if TYPE_CHECKING:
    import pyarrow as pa

_PART = re.compile(r"part-(\d+)\.parquet")


def encode(table: pa.Table) -> bytes:
    """Return *table* as a Parquet file."""
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class Store:
    """The results of *plan* in the folder *path*, which ``pandas.read_parquet`` reads as one table."""

    path: Path
    plan: Planned

    def done(self) -> set[int]:
        """Return the chunks that are there.

        Raises:
            OutputError: there is something else in the folder, or results of another sweep.
        """
        if not self.path.exists():
            return set()
        if not self.path.is_dir():
            raise OutputError(
                f"cannot write {str(self.path)!r}: it is a file; allowed: the folder of this sweep's results, or none"
            )
        found = set()
        for file in sorted(self.path.iterdir()):
            if file.name.startswith("."):
                continue  # what an interruption left half-written
            match = _PART.fullmatch(file.name)
            if match is None:
                raise OutputError(
                    f"cannot write {str(self.path)!r}: {file.name!r} in it is no result of a sweep; allowed: a folder "
                    "of this sweep's results, or none"
                )
            self._check(file, int(match[1]))
            found.add(int(match[1]))
        return found

    def write(self, number: int, content: bytes) -> None:
        """Write chunk *number*.

        Raises:
            OutputError: it cannot be written.
        """
        atomic_write(self._file(number), content)

    def read(self) -> pa.Table:
        """Return all rows that are there."""
        import pyarrow as pa

        return pa.concat_tables([self.part(number) for number in sorted(self.done())])

    def part(self, number: int) -> pa.Table:
        """Return the rows of chunk *number*, which is there."""
        import pyarrow.parquet as pq

        return pq.read_table(self._file(number))

    def _file(self, number: int) -> Path:
        return self.path / f"part-{number:05}.parquet"

    def _check(self, file: Path, number: int) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            metadata = pq.read_metadata(file).metadata or {}
            about = json.loads(metadata.get(KEY.encode(), b"{}"))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise OutputError(
                f"cannot read {str(file)!r}, which holds results: it is no Parquet file"
            ) from error
        if not isinstance(about, dict) or about.get("digest") != self.plan.about["digest"]:
            raise OutputError(
                f"cannot write {str(self.path)!r}: it holds another sweep{_named(about)}; allowed: another path"
            )
        if about.get("chunk") != number:
            raise OutputError(f"cannot write {str(self.path)!r}: {file.name!r} is another chunk, renamed")


def _named(about: object) -> str:
    """What the other sweep is, where its file says so."""
    if not isinstance(about, dict) or "networks" not in about:
        return ""
    return (
        f", of {', '.join(map(str, about['networks']))} on {about.get('accelerator')} "
        f"with {', '.join(map(str, about.get('parameters', [])))}"
    )
