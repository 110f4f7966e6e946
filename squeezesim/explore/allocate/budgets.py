"""Budgets: what an allocation may cost, and which one is the tightest where none meets them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.errors import UsageError
from squeezesim.explore.allocate.candidates import MEASURES, Candidates
from squeezesim.expressions import Condition, parse, quantity
from squeezesim.report import units

if TYPE_CHECKING:
    from squeezesim.cost.workload import Bools


_FAR = 10  # times a limit, from where on a percentage says little


@dataclass(frozen=True, slots=True)
class Budget:
    """A condition with the words that asked for it; ``limit`` is the most that its one column may be, if it is that."""

    label: str
    condition: Condition
    limit: float | None = None

    def holds(self, candidates: Candidates, baseline: Mapping[str, Any]) -> Bools:
        """Return which of *candidates* meet it; changes are those from *baseline*.

        Raises:
            UsageError: it is of joules, and the accelerator's energy table is relative.
        """
        names = candidates.names
        if "energy_uj" in self.condition.names and np.isnan(names["energy_uj"]).all():
            raise UsageError(
                f"{self.label}: the energy table of {candidates.accelerator.name} is relative, without joules; "
                "allowed: energy in MACs' worth (energy_mac_equiv), such as 2G"
            )
        blocks = {name: None for name in names if name not in MEASURES}
        return np.asarray(self.condition.holds(names, {**blocks, **baseline}), np.bool_)


def where(text: str, stages: int) -> Budget:
    """Return the budget that a condition on columns says, as ``dram_bytes <= 4MiB`` or ``latency_us < -5%``.

    Raises:
        UsageError: it is no condition.
    """
    return Budget(f"--where {text!r}", parse(text, _names(stages)))


def at_most(option: str, text: str) -> Budget:
    """Return the budget of ``--max-params``, ``--max-macs``, ``--max-latency`` or ``--max-energy``.

    Energy is in J where the number has that unit, otherwise in MACs' worth.

    Raises:
        UsageError: *text* is no number of that quantity above 0.
    """
    column = LIMITS[option]
    if column == "energy_mac_equiv" and text.strip().endswith("J"):
        column = "energy_uj"
    try:
        limit = quantity(text, column)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None
    if limit <= 0:
        raise UsageError(f"{option} {text}: nothing costs so little; allowed: a number above 0")
    return Budget(f"{option} {text}", parse(f"{column} <= {limit!r}", MEASURES), limit)


LIMITS = {
    "--max-params": "params",
    "--max-macs": "macs",
    "--max-latency": "latency_us",
    "--max-energy": "energy_mac_equiv",
}


def within(
    candidates: Sequence[Candidates], budgets: Sequence[Budget], baselines: Sequence[Mapping[str, Any]]
) -> list[Candidates]:
    """Return those of *candidates*, an entry for each accelerator, that meet all *budgets*.

    Raises:
        UsageError: there is none on any accelerator; the line says which budget is the tightest and how near the
            nearest allocation comes.
    """
    if not budgets:
        return list(candidates)
    met = [
        np.stack([budget.holds(part, baseline) for budget in budgets])
        for part, baseline in zip(candidates, baselines, strict=True)
    ]
    if not any(mask.all(axis=0).any() for mask in met):
        raise UsageError(_nothing(candidates, budgets, met))
    return [part.kept(np.asarray(mask.all(axis=0))) for part, mask in zip(candidates, met, strict=True)]


def _nothing(candidates: Sequence[Candidates], budgets: Sequence[Budget], met: Sequence[Bools]) -> str:
    alone = np.sum([mask.sum(axis=1) for mask in met], axis=0)
    tightest = int(np.argmin(alone))
    budget = budgets[tightest]
    count = sum(map(len, candidates))
    text = f"no allocation meets {budget.label}"
    if len(budgets) > 1:
        text = f"no allocation meets all {len(budgets)} budgets; the tightest is {budget.label}, which alone "
        text += f"{alone[tightest] or 'none'} of {count:,} meet"
    if budget.limit is None:
        return text
    others = [np.asarray(np.delete(mask, tightest, axis=0).all(axis=0)) for mask in met]
    joint = len(budgets) > 1 and any(mask.any() for mask in others)
    (column,) = budget.condition.names
    nearest = min(
        (
            (float(part.measures[column][row]), part.accelerator.name, tuple(part.depth[row].tolist()))
            for part, mask in zip(candidates, others, strict=True)
            for row in [_least(part.measures[column], mask if joint else np.ones_like(mask))]
            if row is not None
        ),
    )
    value, accelerator, depth = nearest
    which = "the nearest that meets the others" if joint else "the nearest"
    ratio = value / budget.limit
    over = f"{units.share(ratio - 1)} above" if ratio < _FAR else f"{ratio:,.0f} times as much"
    return (
        f"{text}; {which}, {'-'.join(map(str, depth))} on {accelerator}, has {column} = {value:,.10g}, {over}"
    )


def _least(column: Any, mask: Bools) -> int | None:
    index = np.flatnonzero(mask)
    return int(index[np.argmin(column[index])]) if len(index) else None


def _names(stages: int) -> list[str]:
    return [*MEASURES, "blocks", *(f"stage{number}" for number in range(1, stages + 1))]
