"""Calibration of the SqueezeNext paper's machine, and what it is worth left out.

- Set-up is the same for every layer: cycles = cycles without it + layers · ⌈PEs · pe_setup_cycles⌉.
- Energies are linear in the energy of an access, the words moved being the factors. Tilings are those at the shipped
  energies: at others one of several that are equally fast may take less.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from squeezesim.papers.squeezenext_networks import (
    UNIT,
    Floats,
    Ints,
    accelerators,
    compute,
    families,
    networks,
    table3,
    totals,
)

Values = Mapping[str, float]
"""A value for each of ``TIMES`` and ``ENERGIES``."""
Bools = NDArray[np.bool_]
Progress = Callable[[str], None]

SWAP, SETUP = "array.weight_swap_cycles", "control.pe_setup_cycles"
ROWS, USABLE = "memory.row_words", "memory.dram.usable_fraction"

TIMES: Values = {SWAP: 0, SETUP: 0.0, ROWS: 1, USABLE: 1.0}
"""Calibrated parameters that time depends on, with the value that leaves each out."""

ENERGIES: Values = {"inter_pe": 2.0, "buffer": 6.0, "dram": 200.0}
"""Calibrated energies of an access, with Eyeriss's own value."""


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """Errors of ours relative to the printed values; both are (accelerators, networks)."""

    times: Floats
    energies: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """What one evaluation gives; arrays are (accelerators, networks, …)."""

    cycles: Ints  # without set-up
    constant: Floats  # energy of all that is not in ENERGIES
    words: Floats  # moved at each level of ENERGIES


class Calibration:
    """Errors for any values of the calibrated parameters; evaluations are kept, and *progress* is told of each."""

    def __init__(self, progress: Progress = lambda _: None) -> None:
        self.hardware = accelerators()
        self._progress = progress
        self._points: dict[tuple[float, ...], Point] = {}
        printed = [[getattr(row, what) for row in table3().values()] for what in ("time", "energy")]
        self._times, self._energies = (
            np.array([[row[accelerator.name] for row in rows] for accelerator in self.hardware])
            for rows in printed
        )
        self._layers = np.array([len(layers) for layers in networks().values()])
        self._unit = list(table3()).index(UNIT)

    @cached_property
    def shipped(self) -> Values:
        """The values in the accelerators' files, the same in both."""
        accelerator = self.hardware[0]
        times = {path: attrgetter(path)(accelerator) for path in TIMES}
        return times | dict(ENERGIES) | dict(accelerator.energy.overrides)

    def errors(self, values: Values, by: Bools | None = None) -> Errors:
        """Return the errors of times relative to ``UNIT`` and of energies.

        With *by*, the unit of time is what those networks say: the geometric mean of cycles / printed time.
        """
        point = self.point(values)
        return Errors(self.time_errors(point, values[SETUP], by), self.energy_errors(point, values))

    def time_errors(self, point: Point, setup: float, by: Bools | None = None) -> Floats:
        """Return the errors of times at *point* with *setup* cycles for each PE."""
        ratios = (point.cycles + self._setup(setup)) / self._times
        unit = ratios[:, self._unit] if by is None else np.exp(np.log(ratios[:, by]).mean(axis=1))
        return np.asarray(ratios / unit[:, None] - 1)

    def energy_errors(self, point: Point, values: Values) -> Floats:
        """Return the errors of energies at *point*."""
        energy = point.constant + point.words @ np.array([values[level] for level in ENERGIES])
        return np.asarray(energy / self._energies - 1)

    def without(self) -> list[tuple[str, Errors]]:
        """Return the errors with the shipped values, with each parameter left out by itself, and with all left out."""
        cases: list[tuple[str, Values]] = [("as shipped", self.shipped)]
        for name, neutral in (TIMES | ENERGIES).items():  # type: ignore[operator]
            label = f"energy of {name}" if name in ENERGIES else name
            cases.append((f"{label} {neutral:g}", {**self.shipped, name: neutral}))
        cases.append(("all of these", {**TIMES, **ENERGIES}))
        return [(name, self.errors(values)) for name, values in cases]

    def point(self, values: Values) -> Point:
        """Return the evaluation that *values* need, made once."""
        changes = {path: values[path] for path in TIMES if path != SETUP}
        key = tuple(changes.values())
        if key not in self._points:
            self._progress(
                ", ".join(f"{path.rpartition('.')[2]} {value:g}" for path, value in changes.items())
            )
            self._points[key] = self._evaluated(changes)
        return self._points[key]

    def _evaluated(self, changes: Values) -> Point:
        table = compute([item.replace(dict(changes)) for item in self.hardware])
        cycles, energy = totals(table)
        levels = [table.levels.index(level) for level in ENERGIES]
        constant = np.delete(energy, levels, axis=-1).sum(axis=-1)
        words = energy[..., levels] / [self.shipped[level] for level in ENERGIES]
        return Point(cycles - self._setup(self.shipped[SETUP]), constant, words)

    def _setup(self, cycles_per_pe: float) -> Ints:
        """Set-up of all layers of each network on each accelerator."""
        each = [
            item.control.layer_setup_cycles + ceil(item.array.pes * cycles_per_pe) for item in self.hardware
        ]
        return np.asarray(np.multiply.outer(np.array(each), self._layers), np.int64)


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
