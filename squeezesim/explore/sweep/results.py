"""Results: which rows of a sweep meet conditions on what they cost, and which of them none beats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from squeezesim.errors import UsageError
from squeezesim.explore.pareto import LARGER_IS_BETTER, Mask, pareto
from squeezesim.explore.sweep.design_space import PES, holding, numbers, numeric_names
from squeezesim.expressions import parse
from squeezesim.report.metrics import TOTALS
from squeezesim.report.tally import Scale

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from squeezesim.hardware.accelerator import Accelerator

_JOULES = ("energy.table", "energy.pj_per_unit")  # parameters on which it depends whether there are joules
_MAC = ("precision.", "energy.table", "energy.overrides.mac")  # and what a MAC's worth of energy is


def parted(conditions: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return those of *conditions* that a design meets or not whatever it costs, and the others.

    Raises:
        UsageError: one cannot be read, or compares with a baseline.
    """
    known: list[str] = []
    limits: list[str] = []
    for text in conditions:
        condition = parse(text, column_names())
        if condition.is_relative:
            condition.holds({})  # says that there is no baseline
        (limits if set(condition.names) & set(TOTALS) else known).append(text)
    return tuple(known), tuple(limits)


def meeting(table: pa.Table, base: Accelerator, limits: Sequence[str]) -> Mask:
    """Return the rows that meet all of *limits*, conditions on parameters and totals."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    return holding(limits, base, columns, column_names())


def sides(objectives: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return those of *objectives* of which less is better, and those of which more is.

    Raises:
        UsageError: one is none of ``column_names`` or is named twice, or there is none.
    """
    least = [name for name in objectives if name not in LARGER_IS_BETTER]
    most = [name for name in objectives if name in LARGER_IS_BETTER]
    pareto({name: np.zeros(0) for name in column_names()}, least, most)
    return least, most


def objectives_of(given: Sequence[str] | None, base: Accelerator, paths: Iterable[str]) -> tuple[str, ...]:
    """Return *given*, or latency and energy: in µJ where all designs that vary *paths* have it, else in MACs.

    Raises:
        UsageError: see ``sides``; energy is wanted in joules and no design has it, or in MACs whose worth varies.
    """
    varying = tuple(paths)
    wanted = given
    if wanted is None:
        is_in_joules = _has_joules(base) and not _varies_joules(varying)
        wanted = ("latency_us", "energy_uj" if is_in_joules else "energy_mac_equiv")
    sides(wanted)
    for name in wanted:
        check_energy("objective", name, base, varying)
    return tuple(wanted)


def check_energy(what: str, name: str, base: Accelerator, paths: Iterable[str]) -> None:
    """Check that the column *name*, if it is one of energies, can rank designs that vary *paths*.

    Raises:
        UsageError: it is empty, or in MACs whose worth varies; the message begins with *what* it is wanted as.
    """
    varying = tuple(paths)
    if name == "energy_uj" and not _has_joules(base) and not _varies_joules(varying):
        raise UsageError(
            f"{what} 'energy_uj': the energy table of {base.name} is relative, without joules; "
            "allowed: energy_mac_equiv"
        )
    other = next((path for path in varying if path.startswith(_MAC)), None)
    if name == "energy_mac_equiv" and other is not None:
        raise UsageError(
            f"{what} 'energy_mac_equiv' counts MACs of each design, whose worth varies with {other}; "
            "allowed: energy_uj, with an energy table that has joules"
        )


def _has_joules(base: Accelerator) -> bool:
    return Scale.of(base).pj_per_unit is not None


def _varies_joules(paths: Iterable[str]) -> bool:
    return any(path in _JOULES for path in paths)


def front(table: pa.Table, base: Accelerator, objectives: Sequence[str]) -> Mask:
    """Return the rows that no other one of the same network beats in *objectives*.

    Raises:
        UsageError: see ``sides``.
    """
    least, most = sides(objectives)
    columns = {name: column(table, base, name) for name in objectives}
    of = table["network"].to_numpy()
    known = ~np.isnan(np.stack([*columns.values()])).any(axis=0)
    found = np.zeros(table.num_rows, np.bool_)
    for network in dict.fromkeys(of):
        rows = np.flatnonzero((of == network) & known)
        found[rows] = pareto({name: column[rows] for name, column in columns.items()}, least, most)
    return found


def column(table: pa.Table, base: Accelerator, name: str) -> NDArray[np.float64]:
    """Return the numbers of *name*, one of ``column_names``, in each row: NaN where there is none.

    A parameter that does not vary is that of *base*.
    """
    columns = {each: table[each].to_pylist() for each in table.column_names if each in _sources(name)}
    return numbers(name, base, columns, table.num_rows)


def _sources(name: str) -> tuple[str, ...]:
    return ("array.rows", "array.cols") if name == PES else (name,)


def column_names() -> list[str]:
    """Return the columns of numbers that conditions, objectives and an order may use."""
    return [*TOTALS, *numeric_names()]
