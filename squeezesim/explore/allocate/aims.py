"""Aims: the column that allocations are sorted by, and those that their Pareto front is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from squeezesim.errors import UsageError, nearest
from squeezesim.explore.allocate.candidates import MEASURES, OBJECTIVES
from squeezesim.report.tally import Scale

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator


def aims(
    sort: str, objectives: str | Sequence[str] | None, accelerators: Sequence[Accelerator], stages: int
) -> tuple[str, ...]:
    """Return *objectives*, by default those of ``OBJECTIVES`` that a network of so many *stages* has.

    Raises:
        UsageError: one of them or *sort* is not in ``MEASURES`` or has no values: µJ where an energy table is relative,
            the share of late stages of a network of one; an objective is named twice, or there is none.
    """
    if objectives is None:
        found = tuple(name for name in OBJECTIVES if name != "late_share" or stages > 1)
    else:
        found = (objectives,) if isinstance(objectives, str) else tuple(objectives)
    if not found:
        raise UsageError(f"a Pareto front needs an objective; allowed: {', '.join(MEASURES)}")
    for what, name in (("column to sort by", sort), *(("objective", name) for name in found)):
        if name not in MEASURES:
            raise UsageError(
                f"there is no {what} {name!r}; allowed: {', '.join(MEASURES)}{nearest(name, MEASURES)}"
            )
        if why := _without_values(name, accelerators, stages):
            raise UsageError(f"{what} {name!r}: {why}")
    twice = next((name for name in found if found.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"objective {twice!r} is named twice; allowed: once")
    return found


def _without_values(name: str, accelerators: Sequence[Accelerator], stages: int) -> str:
    """Why no allocation has a value of *name*; empty where they have."""
    relative = [each.name for each in accelerators if Scale.of(each).pj_per_unit is None]
    if name == "energy_uj" and relative:
        return f"the energy table of {relative[0]} is relative, without joules; allowed: energy_mac_equiv"
    if name == "late_share" and stages == 1:
        others = ", ".join(each for each in MEASURES if each != name)
        return f"a network of one stage has no late ones; allowed: {others}"
    return ""
