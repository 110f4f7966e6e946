"""Plan of a sweep: networks, designs and columns; what a chunk costs; feasible rows and their Pareto front."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from squeezesim._version import __version__
from squeezesim.cost.costs import Costs
from squeezesim.cost.evaluate import Advance, evaluate_each, ignore
from squeezesim.errors import HardwareError, UsageError
from squeezesim.explore.objectives import check_objectives, without_joules
from squeezesim.explore.pareto import Mask, pareto
from squeezesim.explore.sweep.design_space import (
    PES,
    Axis,
    Designs,
    Value,
    designs_at,
    evaluate_conditions,
    free_axes,
    numeric_column,
    numeric_names,
    own_numbers,
)
from squeezesim.expressions import parse
from squeezesim.hardware.config import to_dict
from squeezesim.hardware.energy import energy_table, tables
from squeezesim.network import Network
from squeezesim.report.metrics import (
    ARROW,
    METRICS,
    metrics_of,
    network_columns,
    split_by_better,
    total_names,
    units_by_name,
)
from squeezesim.report.tally import Scale, Tally, layer_operands

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from squeezesim.hardware.accelerator import Accelerator

Columns = dict[str, Any]


def totals(
    network: Network, designs: Sequence[Accelerator | HardwareError], advance: Advance = ignore
) -> Columns:
    """Return the totals of a fused *network* on each of *designs*, those of ``Report.totals`` to the last bit.

    ``bound`` is the bottleneck of the most cycles. Where there is no such accelerator or the network does
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
    placed = {name: _scatter(column, there, problems) for name, column in columns.items()}
    return {**placed, "problem": problems}


def _columns(network: Network, costs: Costs, accelerators: Sequence[Accelerator]) -> Columns:
    tally = Tally.of(network.layers, costs, layer_operands(network.layers, accelerators)).total()
    params = np.full(len(accelerators), network.params, np.int64)
    return {**network_columns(tally, Scale.of(accelerators)), "params": params}


def _scatter(column: Any, there: Sequence[int], problems: Sequence[str | None]) -> list[Any]:
    """Return the column with an entry for each design, None where there is a problem or no number."""
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


class Planned(Protocol):
    """The sweep that a folder of results belongs to: a plan, or a search."""

    @property
    def base(self) -> Accelerator:
        """The accelerator that the parameters that do not vary are of."""

    @property
    def limits(self) -> tuple[str, ...]:
        """Conditions on the costs of a row, which feasible rows meet."""

    @property
    def about(self) -> Mapping[str, Any]:
        """Its identity: networks, base, parameters, a digest of all of it."""

    @property
    def chunks(self) -> int:
        """Number of chunks."""

    def size(self, number: int) -> int:
        """Rows of chunk *number*."""


@dataclass(frozen=True)
class Plan:
    """Fused networks on every one of *designs*; feasible rows meet *limits*, conditions on their costs.

    A chunk has at most *chunk* designs, and ends between two arrays where it would take long.
    """

    networks: tuple[Network, ...]
    designs: Designs
    chunk: int = field(default=CHUNK)
    limits: tuple[str, ...] = ()

    @property
    def base(self) -> Accelerator:
        """The accelerator that the parameters that do not vary are of."""
        return self.designs.base

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return len(self._starts) - 1

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """The identity of this sweep: networks, base, parameters, a digest of all of it."""
        columns = {path: list(column) for path, column in self.designs.columns.items()}
        content = {"columns": columns, "chunk": self.chunk, "work": [_WORK, _MEMORY, _CHUNKS]}
        return describe(self.networks, self.designs.base, list(columns), len(self.designs), content)

    def size(self, number: int) -> int:
        """Rows of chunk *number*."""
        return (self._starts[number + 1] - self._starts[number]) * len(self.networks)

    def table(self, number: int, advance: Advance = ignore) -> pa.Table:
        """Cost chunk *number*: a row for each design and network, in this order; *advance* is told of rows."""
        start = self._starts[number]
        part = self.designs.part(start, self._starts[number + 1])
        marks = {**self.about, "chunk": number, "chunks": self.chunks}
        return cost_designs(self.networks, part, start, self._kinds, marks, advance)

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
        return {path: _column_type(column) for path, column in self.designs.columns.items()}


def describe(
    networks: Sequence[Network],
    base: Accelerator,
    parameters: Sequence[str],
    designs: int,
    content: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Return the metadata of a sweep's files; the digest is of the networks, of *base* and of *content*."""
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


def cost_designs(
    networks: Sequence[Network],
    designs: Designs,
    first: int,
    kinds: Mapping[str, Kind],
    marks: Mapping[str, Any],
    advance: Advance = ignore,
) -> pa.Table:
    """Cost *designs*, numbered from *first* on: a row for each design and network, in this order.

    *kinds* are the types of the parameters' columns, *marks* the metadata of the file. *advance* is told of rows,
    or parts of them, as they are costed.
    """
    import pyarrow as pa

    count = len(designs)
    accelerators = designs.accelerators()
    found = [totals(network, accelerators, advance) for network in networks]
    columns = design_columns(networks, designs, first, kinds)
    for name in (*(metric.name for metric in metrics_of("network")), "problem"):
        each = [part.get(name, [None] * count) for part in found]
        of = ARROW[METRICS[name].kind] if name in METRICS else "string"
        columns[name] = pa.array([value for row in zip(*each, strict=True) for value in row], of)
    return pa.table(columns).replace_schema_metadata({KEY: json.dumps(marks)})


def design_columns(
    networks: Sequence[Network], designs: Designs, first: int, kinds: Mapping[str, Kind]
) -> dict[str, pa.Array]:
    """Return the columns that identify each row of ``cost_designs``: design, network and values."""
    import pyarrow as pa

    def repeat(column: Iterable[Value]) -> list[Value]:
        return [value for value in column for _ in networks]

    columns = {
        "design": pa.array(repeat(range(first, first + len(designs))), "int64"),
        "network": pa.array([network.name for network in networks] * len(designs), "string"),
    }
    for path, column in designs.columns.items():
        values = map(_text, column) if kinds[path] == "string" else column
        columns[path] = pa.array(repeat(values), kinds[path])
    return columns


def column_types(base: Accelerator, axes: Sequence[Axis]) -> Mapping[str, Kind]:
    """Return the types of the parameters' columns where any of the values of *axes* may be in them."""
    most = max((len(axis.values) for axis in axes), default=0) + 1
    shares = [number / most for number in range(most + 1)]  # every value of each axis is at one of them
    spread = designs_at(base, axes, {axis.path: shares for axis in free_axes(axes)})
    return {path: _column_type(column) for path, column in spread.columns.items()}


def _column_type(column: Sequence[Value]) -> Kind:
    types = {type(value) for value in column if value is not None}
    if types == {int}:
        return "int64"
    return "float64" if types and types <= {int, float} else "string"


def _text(value: Value) -> str | None:
    if isinstance(value, list | tuple):
        return "+".join(map(str, value)) or "none"
    return None if value is None else str(value)


_JOULES = ("energy.table", "energy.pj_per_unit")  # parameters that change whether energy is in joules
_MAC = ("precision.", "energy.table", "energy.overrides.mac")  # and the energy of the reference MAC


def split_conditions(
    conditions: Sequence[str], base: Accelerator, paths: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return those of *conditions* on parameters alone, known before a design is costed, and those on its costs.

    Raises:
        UsageError: one cannot be read, compares with a baseline, or is on what no design has (``check_priced``).
    """
    varying = tuple(paths)
    known: list[str] = []
    limits: list[str] = []
    for text in conditions:
        condition = parse(text, [*column_names(), *own_numbers(base)], units_by_name())
        if condition.is_relative:
            condition.holds({})  # says that there is no baseline
        for name in condition.names:
            check_priced("condition on", name, base, varying)
        (limits if set(condition.names) & set(total_names()) else known).append(text)
    return tuple(known), tuple(limits)


def feasible_mask(table: pa.Table, base: Accelerator, limits: Sequence[str]) -> Mask:
    """Return a mask of the rows that meet all of *limits*, conditions on parameters and totals."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    return evaluate_conditions(limits, base, columns, [*column_names(), *own_numbers(base)])


def split_objectives(objectives: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return those of *objectives* to minimise, and those to maximise.

    Raises:
        UsageError: one is none of ``column_names`` or is named twice, or there is none.
    """
    check_objectives(objectives, column_names())
    return split_by_better(objectives)


def resolve_objectives(
    given: Sequence[str] | None, base: Accelerator, paths: Iterable[str]
) -> tuple[str, ...]:
    """Return *given*, or latency and energy: in µJ if all designs that vary *paths* have it, else in MAC-equivalents.

    Raises:
        UsageError: see ``split_objectives``; energy is wanted in joules and no design has it, or in MAC-equivalents
            while the energy of the reference MAC varies.
    """
    varying = tuple(paths)
    wanted = given
    if wanted is None:
        is_in_joules = _has_joules(base) and not _varies_joules(varying)
        wanted = ("latency_us", "energy_uj" if is_in_joules else "energy_mac_equiv")
    split_objectives(wanted)
    for name in wanted:
        check_priced("objective", name, base, varying)
    return tuple(wanted)


def check_priced(what: str, name: str, base: Accelerator, paths: Iterable[str]) -> None:
    """Check that the column *name*, if it is of the energy table, can rank designs that vary *paths*.

    Raises:
        UsageError: it is empty, or in MAC-equivalents while the energy of the reference MAC varies; the
            message begins with *what* it is wanted as.
    """
    varying = tuple(paths)
    if name == "area_mm2" and np.isnan(Scale.of([base]).area_mm2[0]) and "energy.table" not in varying:
        with_area = ", ".join(each for each in tables() if energy_table(each).has_area)
        raise UsageError(
            f"{what} 'area_mm2': energy table {base.energy.table!r} of {base.name} has no area; "
            f"allowed: an energy table that has, as {with_area}"
        )
    if name == "energy_uj" and not _has_joules(base) and not _varies_joules(varying):
        raise UsageError(f"{what} 'energy_uj': {without_joules(base)}; allowed: energy_mac_equiv")
    other = next((path for path in varying if path.startswith(_MAC)), None)
    if name == "energy_mac_equiv" and other is not None:
        raise UsageError(
            f"{what} 'energy_mac_equiv' counts MACs of each design, whose worth varies with {other}; "
            "allowed: energy_uj, with an energy table that has joules"
        )


def _has_joules(base: Accelerator) -> bool:
    return Scale.of([base]).has_joules


def _varies_joules(paths: Iterable[str]) -> bool:
    return any(path in _JOULES for path in paths)


def front_mask(table: pa.Table, base: Accelerator, objectives: Sequence[str]) -> Mask:
    """Return a mask of the Pareto front of *objectives*: the rows that no other of the same network dominates.

    Raises:
        UsageError: see ``split_objectives``.
    """
    least, most = split_objectives(objectives)
    columns = {name: ranking_column(table, base, name) for name in objectives}
    of = table["network"].to_numpy()
    known = ~np.isnan(np.stack([*columns.values()])).any(axis=0)
    found = np.zeros(table.num_rows, np.bool_)
    for network in dict.fromkeys(of):
        rows = np.flatnonzero((of == network) & known)
        found[rows] = pareto({name: column[rows] for name, column in columns.items()}, least, most)
    return found


def unranked(table: pa.Table, base: Accelerator, objectives: Sequence[str]) -> dict[str, set[int]]:
    """Return designs with a result that no front of *objectives* can have, by the objective that they lack."""
    designs, has_result = table["design"].to_numpy(), table["problem"].is_null().to_numpy()
    lacking = {name: np.isnan(ranking_column(table, base, name)) & has_result for name in objectives}
    return {name: set(designs[rows].tolist()) for name, rows in lacking.items() if rows.any()}


def ranking_column(table: pa.Table, base: Accelerator, name: str) -> NDArray[np.float64]:
    """Return the numbers of *name*, one of ``column_names``, in each row: NaN where there is none.

    A parameter that does not vary is that of *base*.
    """
    columns = {each: table[each].to_pylist() for each in table.column_names if _is_of(each, name)}
    return numeric_column(name, base, columns, table.num_rows)


def _is_of(column: str, name: str) -> bool:
    """Whether the numbers of *name* follow from *column*: PEs from rows and columns, and from sizes of units."""
    if name == PES:
        return column in ("array.rows", "array.cols") or column.startswith("array.units.")
    return column == name


def column_names() -> list[str]:
    """Return the columns of numbers that conditions, objectives and an order may use."""
    return [*total_names(), *numeric_names()]
