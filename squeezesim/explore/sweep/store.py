"""Store: a folder of Parquet files, one for each chunk of a sweep, each there whole or not at all.

A file holds a digest of itself, taken where the digest's own place holds zeros, so that each bit of it is checked.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from squeezesim._version import __version__
from squeezesim.errors import OutputError
from squeezesim.explore.sweep.plan import KEY, Planned
from squeezesim.files import atomic_write, read_bytes

if TYPE_CHECKING:
    import pyarrow as pa

MAX_BYTES = 2**30
"""Largest part that is read."""

_PART = re.compile(r"part-(\d+)\.parquet")
_DIGEST = "squeezesim.digest"
_PLACE = _DIGEST.encode() + b"\x18@"  # and 64 digits: a value of 64 bytes after its key, as Thrift writes it
_ZEROS = b"0" * 64


def encode(table: pa.Table) -> bytes:
    """Return *table* as a Parquet file with a digest of itself."""
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    marks = {**(table.schema.metadata or {}), _DIGEST: _ZEROS.decode()}
    pq.write_table(table.replace_schema_metadata(marks), stream)
    content = stream.getvalue()
    before, place, after = content.rpartition(_PLACE)
    assert after.startswith(_ZEROS)
    return before + place + hashlib.sha256(content).hexdigest().encode() + after[len(_ZEROS) :]


def _is_whole(content: bytes) -> bool:
    """Whether *content* is what ``encode`` made, to the last bit."""
    before, place, after = content.rpartition(_PLACE)
    digest = after[: len(_ZEROS)]
    return hashlib.sha256(before + place + _ZEROS + after[len(_ZEROS) :]).hexdigest().encode() == digest


@dataclass(frozen=True, slots=True)
class Store:
    """The results of *plan* in the folder *path*, which ``pandas.read_parquet`` reads as one table."""

    path: Path
    plan: Planned

    def done(self) -> set[int]:
        """Return the chunks that are there; see ``survey``."""
        return self.survey()[0]

    def survey(self) -> tuple[set[int], dict[str, str]]:
        """Return the chunks that are there, and the files that are to be costed again with the reason for it.

        These are files that were changed, and those of the same sweep by a version that gave them no digest or that
        costs it differently.

        Raises:
            OutputError: there is something else in the folder, or results of another sweep.
        """
        found: set[int] = set()
        again: dict[str, str] = {}
        for name in self._files():
            match = _PART.fullmatch(name)
            if match is None:
                raise OutputError(
                    f"cannot write {str(self.path)!r}: {name!r} in it is no result of a sweep; allowed: a folder "
                    "of this sweep's results, or none"
                )
            reason = self._reason(self.path / name, int(match[1]))
            if reason:
                again[name] = reason
            else:
                found.add(int(match[1]))
        return found, again

    def write(self, number: int, content: bytes) -> str:
        """Write chunk *number*; return the name of its file.

        Raises:
            OutputError: it cannot be written.
        """
        file = self._file(number)
        atomic_write(file, content)
        return file.name

    def remove(self, name: str) -> None:
        """Remove the file *name*, which is no result any more.

        Raises:
            OutputError: it cannot be removed.
        """
        file = self.path / name
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {str(file)!r}: {error.strerror or error}") from error

    def read(self) -> pa.Table:
        """Return all rows that are there."""
        import pyarrow as pa

        return pa.concat_tables([self.part(number) for number in sorted(self.done())])

    def part(self, number: int) -> pa.Table:
        """Return the rows of chunk *number*, which is there.

        Raises:
            OutputError: it is not, or it was changed in the meantime.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = self._file(number)
        content = read_bytes(file, MAX_BYTES, "part of a sweep", OutputError)
        if not _is_whole(content):
            raise OutputError(f"cannot read {str(file)!r}: it was changed; the same command costs it again")
        try:
            return pq.read_table(io.BytesIO(content))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise OutputError(f"cannot read {str(file)!r}: {' '.join(str(error).split())}") from error

    def _files(self) -> list[str]:
        """What is in the folder, but for what an interruption left half-written."""
        try:
            if self.path.exists() and not self.path.is_dir():
                raise OutputError(
                    f"cannot write {str(self.path)!r}: it is a file; allowed: the folder of this sweep's results, or "
                    "none"
                )
            names = [file.name for file in self.path.iterdir()] if self.path.exists() else []
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"cannot write {str(self.path)!r}: {reason}") from error
        return sorted(name for name in names if not name.startswith("."))

    def _file(self, number: int) -> Path:
        return self.path / f"part-{number:05}.parquet"

    def _reason(self, file: Path, number: int) -> str:
        """Why *file* is not taken as chunk *number*, empty if it is.

        Raises:
            OutputError: it is no file of this sweep.
        """
        content = read_bytes(file, MAX_BYTES, "part of a sweep", OutputError)
        about = _about(content)
        if not _is_whole(content):
            is_old = "networks" in about and _PLACE not in content
            is_foreign = about == {} and b"squeezesim" not in content
            if is_foreign or (is_old and not self._is_alike(about)):
                raise self._other(about)
            return "has no checksum" if is_old else "was changed"
        if about.get("digest") != self.plan.about["digest"]:
            if about.get("version") != __version__ and self._is_alike(about):
                return f"is of version {about.get('version')}"
            raise self._other(about)
        if about.get("chunk") != number:
            raise OutputError(f"cannot write {str(self.path)!r}: {file.name!r} is another chunk, renamed")
        return ""

    def _is_alike(self, about: Mapping[str, Any]) -> bool:
        """Whether a file that another version wrote is of this sweep: versions say the same in other words."""
        mine = self.plan.about
        return all(
            about.get(key) == mine[key] for key in ("networks", "accelerator", "parameters", "designs")
        )

    def _other(self, about: Mapping[str, Any]) -> OutputError:
        return OutputError(
            f"cannot write {str(self.path)!r}: it holds another sweep{_named(about)}; allowed: another path"
        )


def costed_again(path: Path, again: Mapping[str, str]) -> str:
    """Return a line on the files *again* of the folder *path*, which ``Store.survey`` found.

    Example:
        >>> costed_again(Path("a"), {"part-00000.parquet": "was changed"})
        "costed again: 'part-00000.parquet' in a was changed"
    """
    parts = []
    for reason in dict.fromkeys(again.values()):
        names = [name for name, why in again.items() if why == reason]
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        parts.append(f"{names[0]!r}{more} in {path} {reason}")
    return f"costed again: {'; '.join(parts)}"


def _about(content: bytes) -> Mapping[str, Any]:
    """What a Parquet file says of the sweep that it is of: nothing if it is of none, and its error if it is broken."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(io.BytesIO(content)).metadata or {}
        about = json.loads(metadata.get(KEY.encode(), b"{}"))
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
        return {"error": str(error)}
    return about if isinstance(about, dict) else {}


def _named(about: Mapping[str, Any]) -> str:
    """What the other sweep is, where its file says so."""
    try:
        networks, parameters = about["networks"], about.get("parameters", [])
        return (
            f", of {', '.join(map(str, networks))} on {about.get('accelerator')} "
            f"with {', '.join(map(str, parameters))}"
        )
    except (KeyError, TypeError):
        return ""
