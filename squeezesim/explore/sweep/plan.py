"""Plan: what a sweep runs, in chunks that do not depend on each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from squeezesim import __version__
from squeezesim.explore.sweep.designs import Designs
from squeezesim.explore.sweep.engine import totals
from squeezesim.explore.sweep.values import Value
from squeezesim.hardware.config import to_dict
from squeezesim.network import Network
from squeezesim.report.columns import TOTALS

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 1024
"""Designs of a chunk: what an interruption loses at most, and what is in memory at once."""

KEY = "squeezesim.sweep"
"""Key of the files' metadata that holds what the sweep is, as JSON."""

_INTEGERS = {"params", "macs", "vector_ops", "cycles", "dram_bytes", "weights_bytes", "weights_values_bytes"}


@dataclass(frozen=True)
class Plan:
    """Networks, fused, on every one of *designs*."""

    networks: tuple[Network, ...]
    designs: Designs
    chunk: int = field(default=CHUNK)

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-len(self.designs) // self.chunk)

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What tells this sweep from another: networks, base, parameters, a digest of all of it."""
        columns = {path: list(column) for path, column in self.designs.columns.items()}
        content = {
            "version": __version__,
            "networks": [network.to_json() for network in self.networks],
            "base": to_dict(self.designs.base),
            "columns": columns,
            "chunk": self.chunk,
        }
        digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
        return {
            "version": __version__,
            "networks": [network.name for network in self.networks],
            "accelerator": self.designs.base.name,
            "parameters": list(columns),
            "designs": len(self.designs),
            "digest": digest,
        }

    def size(self, number: int) -> int:
        """Rows of chunk *number*."""
        start = number * self.chunk
        return (min(start + self.chunk, len(self.designs)) - start) * len(self.networks)

    def table(self, number: int) -> pa.Table:
        """Cost chunk *number*: a row for each design and network, in this order."""
        import pyarrow as pa

        start = number * self.chunk
        stop = min(start + self.chunk, len(self.designs))
        designs = self.designs.accelerators(start, stop)
        found = [totals(network, designs) for network in self.networks]
        count = len(self.networks)

        def repeated(column: Any) -> list[Any]:
            return [value for value in column for _ in range(count)]

        names = [network.name for network in self.networks]
        columns: dict[str, pa.Array] = {
            "design": pa.array(repeated(range(start, stop)), pa.int64()),
            "network": pa.array(names * (stop - start), pa.string()),
        }
        for path, column in self.designs.columns.items():
            columns[path] = (
                pa.array(repeated(column[start:stop]), _kind(column))
                if _kind(column)
                else pa.array([_text(value) for value in repeated(column[start:stop])], pa.string())
            )
        for name in (*TOTALS, "bound", "problem"):
            each = [part.get(name, [None] * (stop - start)) for part in found]
            kind = pa.int64() if name in _INTEGERS else pa.float64()
            kind = pa.string() if name in ("bound", "problem") else kind
            columns[name] = pa.array([value for row in zip(*each, strict=True) for value in row], kind)
        metadata = {KEY: json.dumps({**self.about, "chunk": number, "chunks": self.chunks})}
        return pa.table(columns).replace_schema_metadata(metadata)


def _kind(column: tuple[Value, ...]) -> Any:
    """The Parquet type of a parameter's values; None: texts."""
    import pyarrow as pa

    types = {type(value) for value in column if value is not None}
    if types == {int}:
        return pa.int64()
    if types and types <= {int, float}:
        return pa.float64()
    return None


def _text(value: Value) -> str | None:
    if isinstance(value, list | tuple):
        return "+".join(map(str, value)) or "none"
    return None if value is None else str(value)
