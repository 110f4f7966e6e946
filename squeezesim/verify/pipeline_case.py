"""One tiling of a layer played event by event, beside ``cost.pipeline``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from squeezesim.cost.dataflow.base import Dataflow
from squeezesim.cost.energy import buffer_bits
from squeezesim.cost.machine import Machine
from squeezesim.cost.pipeline import Points, play
from squeezesim.cost.schedule import Timing
from squeezesim.cost.steps import AXES
from squeezesim.cost.tiling import ORDERS
from squeezesim.cost.workload import Workload
from squeezesim.verify.pipeline_sim import Played, play_events
from squeezesim.verify.tiles import Sizes, Step, Tiling


class ArrayCycles:
    """Cycles of the array for a step: the dataflow's closed forms, or the buffer's bandwidth where that is less."""

    def __init__(self, problem: Workload, flow: Dataflow, machine: Machine) -> None:
        self.problem, self.flow, self.machine = problem, flow, machine
        self._known: dict[tuple[int | bool, ...], int] = {}

    def __call__(self, step: Step) -> int:
        """Return the cycles of *step*."""
        key = (*(step.sizes[axis] for axis in AXES), step.starts)
        if key not in self._known:
            self._known[key] = self._cycles(step)
        return self._known[key]

    def _cycles(self, step: Step) -> int:
        n, y, x, g, k, c = (np.array([step.sizes[axis]]) for axis in AXES)
        pixel = self.flow.pixel_terms(self.problem, n, y, x, self.machine)
        channel = self.flow.channel_terms(self.problem, g, k, c, self.machine)
        cycles = int(self.flow.work(self.problem, pixel, channel, self.machine).cycles[0])
        if math.isinf(self.machine.buffer_bits_per_cycle):
            return cycles
        started = (n * y * x * g * k).astype(np.float64) if step.starts else np.zeros(1)
        pixels, channels = ([term * 1.0 for term in side] for side in (pixel, channel))
        used = self.flow.accesses(self.problem, pixels, channels, started, self.machine)
        bits = sum(float(part[0]) for part in buffer_bits(self.problem, used))
        return max(cycles, math.ceil(bits / self.machine.buffer_bits_per_cycle))


@dataclass(frozen=True, slots=True)
class Case:
    """A tiling of one problem: tile sizes along n, y, x, g, k, c, and the loop order, as in ``PKC``."""

    problem: Workload
    sizes: Sizes
    nest: str
    flow: Dataflow
    machine: Machine


def simulated(case: Case) -> Played:
    """Play the case event by event."""
    steps = list(Tiling(case.problem, case.sizes, case.nest, case.machine).steps())
    return play_events(steps, ArrayCycles(case.problem, case.flow, case.machine), case.machine)


def closed_form(case: Case) -> Timing:
    """What ``cost.pipeline`` says of the case."""
    sizes = np.array([[case.sizes[axis]] for axis in AXES])
    points = Points(case.problem, np.array([ORDERS.index(case.nest)]), sizes)
    return play(points, case.flow, case.machine)
