"""Conditions on which a comparison fails, such as ``latency_us > +2%``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from squeezesim.errors import UsageError
from squeezesim.explore.compare.comparison import Comparison, number_names
from squeezesim.expressions import Condition, parse, quantity
from squeezesim.report import units
from squeezesim.report.metrics import mac_unit, units_by_name

_LARGE = 1e6  # from which on digits after the point say nothing
_FEWEST = 2  # results, of which one can be the most accurate


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a condition says of a comparison.

    Attributes:
        failures: for each result of which it holds: its name, and the numbers.
        places: of these results.
    """

    condition: Condition
    failures: tuple[str, ...]
    places: tuple[int, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether the condition holds of a result."""
        return bool(self.failures)


def conditions(texts: Iterable[str]) -> list[Condition]:
    """Return the conditions that *texts* say of the columns of results.

    Raises:
        UsageError: one of them is none; a caret points at the mistake.
    """
    return [parse(text, number_names(), units_by_name()) for text in texts]


def budgets(verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Return the numbers that conditions of one column have for it, 5000 of ``latency_us > 5ms``."""
    found = {}
    for condition in (verdict.condition for verdict in verdicts):
        name, sign, number = re.fullmatch(r"\s*(\w*)\s*([<>]?)=?(.*)", condition.text, re.DOTALL).groups()  # type: ignore[union-attr]
        if sign and name in condition.names and not condition.is_relative:
            with suppress(UsageError):
                found[name] = quantity(number.strip(), name, units_by_name())
    return found


def judge(comparison: Comparison, wanted: Iterable[Condition]) -> list[Verdict]:
    """Return of which results each condition holds.

    Conditions relative to a baseline are of all results but the baselines, others of all but saved ones.

    Raises:
        UsageError: a number in a condition is not known of a result, or there is nothing that it speaks of.
    """
    return [_verdict(comparison, condition) for condition in wanted]


def _verdict(comparison: Comparison, condition: Condition) -> Verdict:
    rows, is_checked = comparison.rows(), False
    failures: dict[int, str] = {}
    for place in range(comparison.saved, len(rows)):
        row, other = rows[place], comparison.baselines[place]
        before = None
        if condition.is_relative:
            if other is None or other == place:
                continue
            before = rows[other]
        is_checked = True
        for known in (row, before or {}):
            _check_known(condition, known)
        if before is not None:
            _check_energies(comparison, condition, place)
        if condition.holds(row, before):
            numbers = ", ".join(_number(name, row, before) for name in condition.names)
            failures[place] = f"{comparison.results[place]}: {numbers}"
    if not is_checked:
        raise UsageError(
            f"{condition.text!r} compares with a baseline, and there is none; allowed: a saved report or "
            "another result to compare with"
        )
    return Verdict(condition, tuple(failures.values()), tuple(failures))


def most_accurate(comparison: Comparison, verdicts: Sequence[Verdict]) -> str:
    """Return which result is the most accurate of those that no condition holds of; empty of fewer than two."""
    failed = {place for verdict in verdicts for place in verdict.places}
    left = [
        result
        for place, result in enumerate(comparison.results)
        if place >= comparison.saved and place not in failed and result.top1_percent is not None
    ]
    if len(left) < _FEWEST:
        return ""
    best = max(left, key=lambda result: result.top1_percent or 0.0)
    return f"of those that pass, {best} has the highest top-1, {units.per_cent(best.top1_percent)} %"


def _check_known(condition: Condition, row: Mapping[str, Any]) -> None:
    missing = [name for name in condition.names if row and row[name] is None]
    if missing:
        why = {
            "energy_uj": "its energy table is relative; energy_mac_equiv is in units of one MAC",
            "energy_relative": "energies are in other units than the baseline's",
            "top1_percent": "it is known of built-in networks as they were published",
        }.get(missing[0], "there is nothing to divide by")
        raise UsageError(
            f"{condition.text!r}: {missing[0]} of {row['network']} on {row['accelerator']} is not known: {why}"
        )


def _check_energies(comparison: Comparison, condition: Condition, place: int) -> None:
    result, other = comparison.results[place], comparison.baseline(place)
    if "energy_mac_equiv" not in condition.names or other is None:
        return
    if mac_unit(result.report) != mac_unit(other.report):
        raise UsageError(
            f"{condition.text!r}: one MAC of {result.accelerator} takes another energy than one of "
            f"{other.accelerator} ({other.network}); allowed: energy_uj, where both have it"
        )


def _number(name: str, row: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """A number, and where it comes from: ``latency_us 2,504 → 2,604 (+4.0 %)``."""
    value = row[name]
    if before is None:
        return f"{name} {_written(value)}"
    old = before[name]
    change = f" ({units.change(value / old - 1)})" if old else ""
    return f"{name} {_written(old)} → {_written(value)}{change}"


def _written(value: float) -> str:
    return f"{value:,.6g}" if isinstance(value, float) and abs(value) < _LARGE else f"{value:,.0f}"
