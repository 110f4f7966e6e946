"""The 26 times and 26 energies of Table 3 as functions of the calibrated parameters, from few evaluations.

- Set-up is the same for every layer: cycles = cycles without it + layers · ⌈PEs · pe_setup_cycles⌉.
- Energies are linear in the energy of an access, the words moved being the factors, and change no tiling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.energy import LEVELS
from squeezesim.verify.squeezenext_paper import UNIT, table3
from squeezesim.verify.squeezenext_runs import Floats, Ints, accelerators, compute, networks, totals

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
        words = {"energy.overrides": dict.fromkeys(ENERGIES, 1.0)}
        cycles, energy = totals(compute([item.replace({**changes, **words}) for item in self.hardware]))
        levels = [LEVELS.index(level) for level in ENERGIES]
        constant = np.delete(energy, levels, axis=-1).sum(axis=-1)
        return Point(cycles - self._setup(self.shipped[SETUP]), constant, energy[..., levels])

    def _setup(self, cycles_per_pe: float) -> Ints:
        """Set-up of all layers of each network on each accelerator."""
        each = [
            item.control.layer_setup_cycles + ceil(item.array.pes * cycles_per_pe) for item in self.hardware
        ]
        return np.asarray(np.multiply.outer(np.array(each), self._layers), np.int64)
