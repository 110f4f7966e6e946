"""Leave one family out: the calibrated parameters fitted to the others, and the family's errors with them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from squeezesim.verify.calibration import (
    ENERGIES,
    ROWS,
    SETUP,
    SWAP,
    USABLE,
    Bools,
    Calibration,
    Errors,
    Values,
)
from squeezesim.verify.squeezenext_paper import UNIT, families, table3

GRID: dict[str, Sequence[float]] = {
    SWAP: (0, 1, 2, 3),
    ROWS: (1, 2),
    USABLE: (0.9, 0.95, 1.0),
    SETUP: tuple(step / 10 for step in range(0, 41, 2)),
    "inter_pe": (0, 0.2, 0.4, 0.6, 0.8, 1, 1.5, 2),
    "buffer": tuple(range(0, 9)),
    "dram": tuple(range(150, 211, 5)),
}
"""The values that are tried, and beside them the shipped ones."""

_EVALUATED = (SWAP, ROWS, USABLE)
TIME_AIM, ENERGY_AIM, MOBILENET_AIM = 0.03, 0.10, 0.20
"""Errors that are aimed at."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The best values without the family *left_out* (None: with all), and the errors of that family (or of all)."""

    left_out: str | None
    values: Values
    errors: Errors


def leave_one_family_out(calibration: Calibration) -> list[Fit]:
    """Return the fit to all networks, then one without each family.

    The best values have the least mean square of the times' errors plus that of the energies', each error in units of
    its aim: times 3 %, energies 10 %, MobileNet's 20 %. Without the family of ``UNIT`` no network that is fitted
    has the time 1, and the others together say what 1 is.
    """
    grid = {name: sorted({*values, calibration.shipped[name]}) for name, values in GRID.items()}
    folds = [None, *families()]
    best: list[tuple[float, Values]] = [(np.inf, calibration.shipped)] * len(folds)
    for evaluated in itertools.product(*(grid[path] for path in _EVALUATED)):
        values = {**calibration.shipped, **dict(zip(_EVALUATED, evaluated, strict=True))}
        for number, left_out in enumerate(folds):
            found = _best_at(calibration, values, grid, _others(left_out))
            best[number] = min(best[number], found, key=lambda pair: pair[0])
    return [_fit(calibration, left_out, values) for left_out, (_, values) in zip(folds, best, strict=True)]


def _best_at(
    calibration: Calibration, values: Values, grid: dict[str, list[float]], fitted: Bools
) -> tuple[float, Values]:
    """The best set-up, then the best energies, of which neither depends on the other, and their score."""
    point, by = calibration.point(values), _unit(fitted)
    time_score, setup = min(
        (_mean_square(calibration.time_errors(point, setup, by)[:, fitted] / TIME_AIM), setup)
        for setup in grid[SETUP]
    )
    aims = np.array([MOBILENET_AIM if row.family == "MobileNet" else ENERGY_AIM for row in table3().values()])
    candidates = [
        dict(zip(ENERGIES, energies, strict=True))
        for energies in itertools.product(*(grid[level] for level in ENERGIES))
    ]
    scores = [
        _mean_square((calibration.energy_errors(point, energies) / aims)[:, fitted])
        for energies in candidates
    ]
    least = int(np.argmin(scores))
    return time_score + scores[least], {**values, SETUP: setup, **candidates[least]}


def _fit(calibration: Calibration, left_out: str | None, values: Values) -> Fit:
    fitted = _others(left_out)
    shown = fitted if left_out is None else ~fitted
    errors = calibration.errors(values, _unit(fitted))
    return Fit(left_out, values, Errors(errors.times[:, shown], errors.energies[:, shown]))


def _others(left_out: str | None) -> Bools:
    return np.array([row.family != left_out for row in table3().values()])


def _unit(fitted: Bools) -> Bools | None:
    return None if fitted[list(table3()).index(UNIT)] else fitted


def _mean_square(values: np.typing.NDArray[np.float64]) -> float:
    return float(np.mean(values**2))
