"""Plan of a sweep: networks, designs and columns; what a chunk of designs costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np

from squeezesim._version import __version__
from squeezesim.cost.evaluate import Advance, Costs, evaluate_each, ignore
from squeezesim.errors import HardwareError
from squeezesim.explore.sweep.design_space import Axis, Designs, Value, at, free_axes
from squeezesim.hardware.config import to_dict
from squeezesim.network import Network
from squeezesim.report.metrics import TOTALS, bounds, total_columns
from squeezesim.report.tally import Scale, Tally, stored_bytes

if TYPE_CHECKING:
    import pyarrow as pa

    from squeezesim.hardware.accelerator import Accelerator

Columns = dict[str, Any]


def totals(
    network: Network, designs: Sequence[Accelerator | HardwareError], advance: Advance = ignore
) -> Columns:
    """Return the totals of a fused *network* on each of *designs*, those of ``Report.totals`` to the last bit.

    ``bound`` is what set the pace of the most cycles. Where there is no such accelerator or the network does
    not fit its buffer, ``problem`` says why, and the other columns are None. *advance* is told of designs as they are
    costed.
    """
    there = [index for index, design in enumerate(designs) if not isinstance(design, HardwareError)]
    accelerators = [design for design in designs if not isinstance(design, HardwareError)]
    problems = [str(design) if isinstance(design, HardwareError) else None for design in designs]
    columns: Columns = {}
    if accelerators:
        costs, misfits = evaluate_each(network.layers, accelerators, advance)
        for index, misfit in zip(there, misfits, strict=True):
            problems[index] = misfit
        columns = _columns(network, costs, accelerators)
    placed = {name: _placed(column, there, problems) for name, column in columns.items()}
    return {**placed, "problem": problems}


def _columns(network: Network, costs: Costs, accelerators: Sequence[Accelerator]) -> Columns:
    tally = _tally(network, costs, accelerators)
    columns = total_columns(tally, _scale(accelerators))
    params = np.full(len(accelerators), network.params, np.int64)
    return {**columns, "params": params, "bound": bounds(tally)}


def _tally(network: Network, costs: Costs, accelerators: Sequence[Accelerator]) -> Tally:
    """One row for each accelerator: the sums over the layers, those of energy in their order as in ``Tally.total``."""
    layers, count = network.layers, len(accelerators)
    weights: dict[object, Any] = {}
    for accelerator in accelerators:
        key = accelerator.precision, accelerator.sparsity
        if key not in weights:
            weights[key] = stored_bytes(layers, accelerator).sum(axis=0)
    counts = np.array([(1, layer.params, layer.macs, layer.vector_ops) for layer in layers], np.int64)
    number, params, macs, vector_ops = np.tile(counts.sum(axis=0), (count, 1)).T
    return Tally(
        layers=number,
        params=params,
        macs=macs,
        vector_ops=vector_ops,
        cycles=costs.cycles.sum(axis=1),
        executed=costs.executed.sum(axis=1),
        losses=costs.losses.sum(axis=1),
        time=costs.time.sum(axis=1),
        dram=costs.dram_bytes.sum(axis=1),
        buffer_bytes=costs.buffer_bytes.sum(axis=1),
        energy=np.ascontiguousarray(np.cumsum(costs.energy, axis=1)[:, -1]),
        weights=np.array([weights[a.precision, a.sparsity] for a in accelerators]),
    )


def _scale(accelerators: Sequence[Accelerator]) -> Scale:
    """The scale of each row of a tally: its formulas broadcast."""
    each = [Scale.of(accelerator) for accelerator in accelerators]
    return Scale(
        pes=cast(int, np.array([scale.pes for scale in each], np.int64)),
        clock_mhz=cast(float, np.array([scale.clock_mhz for scale in each])),
        mac_energy=cast(float, np.array([[scale.mac_energy] for scale in each])),
        pj_per_unit=cast(
            float, np.array([[np.nan if s.pj_per_unit is None else s.pj_per_unit] for s in each])
        ),
    )


def _placed(column: Any, there: Sequence[int], problems: Sequence[str | None]) -> list[Any]:
    """The column with an entry for each design, None where there is a problem or no number."""
    values = column.tolist() if isinstance(column, np.ndarray) else column
    placed: list[Any] = [None] * len(problems)
    for index, value in zip(there, values, strict=True):
        if problems[index] is None and value == value:  # noqa: PLR0124  NaN differs from itself
            placed[index] = value
    return placed


CHUNK = 1024
"""Most designs of a chunk."""
_WORK = 500
"""Layers × arrays of a chunk, less than a second: what an interruption loses at most, for each process."""
_MEMORY = 2**18
"""Layers × designs of a chunk, of which all costs are in memory at once."""
_CHUNKS = 4_096
"""Chunks of a sweep from which on those of few arrays, which share nothing, take more work each."""

KEY = "squeezesim.sweep"
"""Key of the files' metadata that holds what the sweep is, as JSON."""

Kind = Literal["int64", "float64", "string"]
"""The type of a column in Parquet."""

_INTEGERS = {"params", "macs", "vector_ops", "cycles", "dram_bytes", "weights_bytes", "weights_values_bytes"}


class Planned(Protocol):
    """What a folder of results is of: a plan, or a search."""

    @property
    def base(self) -> Accelerator:
        """What the parameters that do not vary are taken from."""

    @property
    def limits(self) -> tuple[str, ...]:
        """Conditions on what a row costs; rows of interest meet them."""

    @property
    def about(self) -> Mapping[str, Any]:
        """What tells it from another: networks, base, parameters, a digest of all of it."""

    @property
    def chunks(self) -> int:
        """Number of chunks."""

    def size(self, number: int) -> int:
        """Rows of chunk *number*."""


@dataclass(frozen=True)
class Plan:
    """Networks, fused, on every one of *designs*; rows of interest meet *limits*, conditions on what they cost.

    A chunk has at most *chunk* designs, and ends between two arrays where it would take long.
    """

    networks: tuple[Network, ...]
    designs: Designs
    chunk: int = field(default=CHUNK)
    limits: tuple[str, ...] = ()

    @property
    def base(self) -> Accelerator:
        """What the parameters that do not vary are taken from."""
        return self.designs.base

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return len(self._starts) - 1

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What tells this sweep from another: networks, base, parameters, a digest of all of it."""
        columns = {path: list(column) for path, column in self.designs.columns.items()}
        content = {"columns": columns, "chunk": self.chunk, "work": [_WORK, _MEMORY, _CHUNKS]}
        return about(self.networks, self.designs.base, list(columns), len(self.designs), content)

    def size(self, number: int) -> int:
        """Rows of chunk *number*."""
        return (self._starts[number + 1] - self._starts[number]) * len(self.networks)

    def table(self, number: int, advance: Advance = ignore) -> pa.Table:
        """Cost chunk *number*: a row for each design and network, in this order; *advance* is told of rows."""
        start = self._starts[number]
        part = self.designs.part(start, self._starts[number + 1])
        marks = {**self.about, "chunk": number, "chunks": self.chunks}
        return costed(self.networks, part, start, self._kinds, marks, advance)

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        """The first design of each chunk, and the number of designs."""
        layers = [len(network.layers) for network in self.networks]
        turns = set(self.designs.turns())
        most = min(self.chunk, max(_MEMORY // max(*layers, 1), 1))
        arrays = max(_WORK // max(sum(layers), 1), len(turns) // _CHUNKS, 1)
        starts, begun = [0], 1
        for number in range(1, len(self.designs)):
            is_other = number in turns
            if number - starts[-1] == most or (is_other and begun == arrays):
                starts.append(number)
                begun = 1
            else:
                begun += is_other
        return (*starts, len(self.designs))

    @cached_property
    def _kinds(self) -> Mapping[str, Kind]:
        return {path: _kind(column) for path, column in self.designs.columns.items()}


def about(
    networks: Sequence[Network],
    base: Accelerator,
    parameters: Sequence[str],
    designs: int,
    content: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Return what is said of a sweep in its files; the digest is of the networks, of *base* and of *content*."""
    whole = {
        "version": __version__,
        "networks": [network.to_json() for network in networks],
        "base": to_dict(base),
        **content,
    }
    digest = hashlib.sha256(json.dumps(whole, sort_keys=True, default=str).encode()).hexdigest()
    return {
        "version": __version__,
        "networks": [network.name for network in networks],
        "accelerator": base.name,
        "parameters": list(parameters),
        "designs": designs,
        "digest": digest,
    }


def costed(
    networks: Sequence[Network],
    designs: Designs,
    first: int,
    kinds: Mapping[str, Kind],
    marks: Mapping[str, Any],
    advance: Advance = ignore,
) -> pa.Table:
    """Cost *designs*, numbered from *first* on: a row for each design and network, in this order.

    *kinds* are the types of the parameters' columns, *marks* what the file says of itself. *advance* is told of rows,
    or parts of them, as they are costed.
    """
    import pyarrow as pa

    count = len(designs)
    accelerators = designs.accelerators()
    found = [totals(network, accelerators, advance) for network in networks]
    columns = heading(networks, designs, first, kinds)
    for name in (*TOTALS, "bound", "problem"):
        each = [part.get(name, [None] * count) for part in found]
        of = "int64" if name in _INTEGERS else "string" if name in ("bound", "problem") else "float64"
        columns[name] = pa.array([value for row in zip(*each, strict=True) for value in row], of)
    return pa.table(columns).replace_schema_metadata({KEY: json.dumps(marks)})


def heading(
    networks: Sequence[Network], designs: Designs, first: int, kinds: Mapping[str, Kind]
) -> dict[str, pa.Array]:
    """Return the columns that say what each row of ``costed`` is of: design, network and values."""
    import pyarrow as pa

    def repeated(column: Iterable[Value]) -> list[Value]:
        return [value for value in column for _ in networks]

    columns = {
        "design": pa.array(repeated(range(first, first + len(designs))), "int64"),
        "network": pa.array([network.name for network in networks] * len(designs), "string"),
    }
    for path, column in designs.columns.items():
        values = map(_text, column) if kinds[path] == "string" else column
        columns[path] = pa.array(repeated(values), kinds[path])
    return columns


def kinds_of(base: Accelerator, axes: Sequence[Axis]) -> Mapping[str, Kind]:
    """Return the types of the parameters' columns where any of the values of *axes* may be in them."""
    most = max((len(axis.values) for axis in axes), default=0) + 1
    shares = [number / most for number in range(most + 1)]  # every value of each axis is at one of them
    spread = at(base, axes, {axis.path: shares for axis in free_axes(axes)})
    return {path: _kind(column) for path, column in spread.columns.items()}


def _kind(column: Sequence[Value]) -> Kind:
    types = {type(value) for value in column if value is not None}
    if types == {int}:
        return "int64"
    return "float64" if types and types <= {int, float} else "string"


def _text(value: Value) -> str | None:
    if isinstance(value, list | tuple):
        return "+".join(map(str, value)) or "none"
    return None if value is None else str(value)
