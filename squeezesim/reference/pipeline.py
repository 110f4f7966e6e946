"""An event simulator of the pipeline of tiles, which knows no closed form.

There are resources and rules, and no formula for a step:

- A double-buffered operand has two slots, another one has one. A slot is taken when a transfer into it begins, or
  a step that starts new outputs; it is free again when the last step that reads it is computed, or its store has ended.
- When a step begins, the loads of the next one are requested. When its outputs are done, their store is.
- The DMA serves one transfer at a time, the oldest request first of those whose slot is free.
- A step begins when the array is idle, its operands are there, it has a slot for its outputs, and no store that was
  requested before the step before began is left.
- A transfer takes ⌈bytes / bytes a cycle⌉ cycles, and the DRAM latency before it where nothing prefetches it: in the
  first load, in the last store, and for operands with one slot.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from squeezesim.cost.dataflow.base import Dataflow
from squeezesim.cost.energy import buffer_bits
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import ORDERS
from squeezesim.cost.pipeline import AXES, Points, Timing, play
from squeezesim.cost.problem import Workload

READS = {"inputs": "nyxgc", "weights": "gkc", "outputs": "nyxgk"}  # axes that an operand's tile depends on
LOOPS = {"P": "nyx", "K": "k", "C": "c"}
Sizes = dict[str, int]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Bits between DRAM and buffer; partial sums are stored and loaded again at the accumulator's width."""

    operand: str  # whose buffer they move through: inputs, weights or outputs
    kind: str  # what they are: inputs, weights, outputs or psums
    bits: int


@dataclass(frozen=True, slots=True)
class Step:
    """One tile: its sizes along n, y, x, g, k, c, what must have been loaded before, what is stored after it."""

    sizes: Sizes
    starts: bool  # the first tile of input channels, so that no partial sums are there
    loads: tuple[Transfer, ...]
    fresh_outputs: bool  # another tile of outputs than in the step before
    store: Transfer | None


def touched(start: int, size: int, window: tuple[int, int, int, int, int], skip: bool) -> int:
    """Count one by one the input positions that *size* outputs from output *start* on make the DMA load.

    *window* is (stride, taps, dilation, padding, available positions); with *skip*, positions between two windows of
    a stride larger than the filter are left out.
    """
    stride, taps, dilation, padding, available = window
    reach = (taps - 1) * dilation + 1
    wanted: set[int] = set()
    for output in range(start, start + size):
        first = output * stride - padding
        wanted.update(range(first, first + reach))
    if not (skip and stride > reach):
        wanted = set(range(min(wanted), max(wanted) + 1))
    return sum(0 <= position < available for position in wanted)


class Tiling:
    """One problem cut into tiles of *sizes*; *nest* are the loops inside the groups, outermost first, as in ``PKC``."""

    def __init__(self, problem: Workload, sizes: Sizes, nest: str, machine: Machine) -> None:
        self.sizes, self.machine = sizes, machine
        self.one = {name: int(getattr(problem, name)[0]) for name in problem.__slots__}
        self.axes = "g" + "".join(LOOPS[loop] for loop in nest)
        self.tiles = {axis: -(-self.one[axis] // sizes[axis]) for axis in self.axes}

    def steps(self) -> Iterator[Step]:
        """The tiles in the order in which they run."""
        every = itertools.product(*(range(self.tiles[axis]) for axis in self.axes))
        places: list[Sizes | None] = [dict(zip(self.axes, index, strict=True)) for index in every]
        for before, this, after in zip([None, *places], places, [*places[1:], None], strict=False):
            assert this is not None
            loads = [
                Transfer(operand, operand, self.bits(this, operand))
                for operand in ("inputs", "weights")
                if self._changes(before, this, operand)
            ]
            fresh = self._changes(before, this, "outputs")
            elements, accumulator = self.bits(this, "outputs"), self.one["accumulator_bits"]
            if fresh and this["c"] > 0:
                loads.append(Transfer("outputs", "psums", elements * accumulator))
            store = None
            if self._changes(this, after, "outputs"):
                store = Transfer("outputs", "psums", elements * accumulator)
                if this["c"] == self.tiles["c"] - 1:
                    store = Transfer("outputs", "outputs", elements * self.one["activation_bits"])
            yield Step(self.tile(this), this["c"] == 0, tuple(loads), fresh, store)

    def tile(self, place: Sizes) -> Sizes:
        """Sizes of the tile at *place*, the remainder at the end of an axis."""
        return {
            axis: min(self.sizes[axis], self.one[axis] - place[axis] * self.sizes[axis]) for axis in self.axes
        }

    def bits(self, place: Sizes, operand: str) -> int:
        """Bits of an operand's tile as it is loaded; of outputs the elements."""
        tile, one = self.tile(place), self.one
        if operand == "weights":
            return tile["g"] * tile["k"] * tile["c"] * one["fy"] * one["fx"] * one["weight_bits"]
        if operand == "outputs":
            return tile["n"] * tile["y"] * tile["x"] * tile["g"] * tile["k"]
        area = tile["y"] * tile["x"] if one["pointwise"] else self._rows("y", place) * self._rows("x", place)
        return tile["n"] * area * tile["g"] * tile["c"] * one["activation_bits"]

    def footprint(self) -> int:
        """Buffer bits: each operand's largest tile, twice where it is double-buffered and not the same all the time."""
        first = dict.fromkeys(self.axes, 0)
        pixels = itertools.product(*(range(self.tiles[axis]) for axis in "yx"))
        machine, accumulator = self.machine, self.one["accumulator_bits"]
        amounts = {
            "inputs": (
                max(self.bits(first | {"y": y, "x": x}, "inputs") for y, x in pixels),
                machine.double_inputs,
            ),
            "weights": (self.bits(first, "weights"), machine.double_weights),
            "outputs": (self.bits(first, "outputs") * accumulator, machine.double_outputs),
        }
        return sum(
            amount * (2 if double and any(self.tiles[axis] > 1 for axis in READS[operand]) else 1)
            for operand, (amount, double) in amounts.items()
        )

    def _changes(self, one: Sizes | None, other: Sizes | None, operand: str) -> bool:
        return one is None or other is None or any(one[axis] != other[axis] for axis in READS[operand])

    def _rows(self, axis: str, place: Sizes) -> int:
        one, skip = self.one, {"y": self.machine.skip_rows, "x": self.machine.skip_columns}
        window = (one["s" + axis], one["f" + axis], one["d" + axis], one["p" + axis], one["i" + axis])
        return touched(place[axis] * self.sizes[axis], self.tile(place)[axis], window, skip[axis])


@dataclass(slots=True)
class Played:
    """What happened: cycles in all, cycles in which the array was busy, DRAM bits by kind."""

    cycles: int = 0
    array: int = 0
    bits: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("inputs", "weights", "outputs", "psums"), 0)
    )


@dataclass(slots=True)
class _Request:
    transfer: Transfer
    step: int  # the one that loads, or whose outputs are stored
    load: bool
    exposed: bool  # pays the latency


class _Pipeline:
    def __init__(self, steps: Sequence[Step], array_cycles: Callable[[Step], int], machine: Machine) -> None:
        self.steps, self.array_cycles, self.machine = steps, array_cycles, machine
        self.rate = Fraction(machine.dram_bytes_per_cycle).limit_denominator(10**6)
        self.free = {
            "inputs": 1 + machine.double_inputs,
            "weights": 1 + machine.double_weights,
            "outputs": 1 + machine.double_outputs,
        }
        self.single = {operand for operand, slots in self.free.items() if slots == 1}
        self.queue: list[_Request] = []
        self.moving: _Request | None = None
        self.missing = [0] * len(steps)  # loads that have not ended, by step
        self.storing: set[int] = set()  # steps whose stores have not ended
        self.computing = False
        self.next = 0  # step that begins next
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.numbers = itertools.count()
        self.now = 0
        self.played = Played()

    def run(self) -> Played:
        self._at(self.machine.setup, lambda: self._request_loads(0))
        while self.events:
            self.now = self.events[0][0]
            while self.events and self.events[0][0] == self.now:
                heapq.heappop(self.events)[2]()
            self._begin_what_can()
        assert self.next == len(self.steps), "the pipeline is stuck"
        assert not self.queue, "a transfer was never served"
        self.played.cycles = self.now
        return self.played

    def _at(self, time: int, what: Callable[[], None]) -> None:
        heapq.heappush(self.events, (time, next(self.numbers), what))

    def _begin_what_can(self) -> None:
        # What one begins can let the other begin in the same cycle.
        while self._begin_step() or self._begin_transfer():
            pass

    def _request_loads(self, number: int) -> None:
        if number == len(self.steps):
            return
        for transfer in self.steps[number].loads:
            if transfer.bits or number == 0:
                exposed = number == 0 or transfer.operand in self.single
                self.queue.append(_Request(transfer, number, True, exposed))
                self.missing[number] += 1
            else:
                self._take(transfer.operand)

    def _take(self, operand: str) -> None:
        self.free[operand] -= 1

    def _begin_transfer(self) -> bool:
        if self.moving is not None:
            return False
        for request in self.queue:
            if request.load and not self.free[request.transfer.operand]:
                continue
            self.queue.remove(request)
            self.moving = request
            if request.load:
                self._take(request.transfer.operand)
            size = math.ceil(math.ceil(request.transfer.bits / 8) / self.rate)
            self._at(self.now + size + request.exposed * self.machine.dram_latency, self._end_transfer)
            return True
        return False

    def _end_transfer(self) -> None:
        request, self.moving = self.moving, None
        assert request is not None
        self.played.bits[request.transfer.kind] += request.transfer.bits
        if request.load:
            self.missing[request.step] -= 1
        else:
            self.storing.remove(request.step)
            self.free[request.transfer.operand] += 1

    def _begin_step(self) -> bool:
        number = self.next
        if self.computing or number == len(self.steps) or self.now < self.machine.setup:
            return False
        step = self.steps[number]
        loaded = {transfer.operand for transfer in step.loads}
        takes_slot = step.fresh_outputs and "outputs" not in loaded
        if self.missing[number] or (takes_slot and not self.free["outputs"]):
            return False
        if any(stored < number - 1 for stored in self.storing):
            return False
        if takes_slot:
            self._take("outputs")
        self.next, self.computing = number + 1, True
        cycles = self.array_cycles(step)
        self.played.array += cycles
        self._at(self.now + cycles, lambda: self._end_step(number))
        self._request_loads(number + 1)
        return True

    def _end_step(self, number: int) -> None:
        self.computing = False
        last = number + 1 == len(self.steps)
        coming = set() if last else {transfer.operand for transfer in self.steps[number + 1].loads}
        for operand in ("inputs", "weights"):
            if operand in coming:
                self.free[operand] += 1
        store = self.steps[number].store
        if store is not None:
            self.storing.add(number)
            self.queue.append(_Request(store, number, False, last or "outputs" in self.single))


def play_events(steps: Sequence[Step], array_cycles: Callable[[Step], int], machine: Machine) -> Played:
    """Play the steps of a layer and return what happened; *array_cycles* says how long the array takes for a step.

    Example: the layer worked by hand in docs/timing.md takes 136 cycles.
    """
    return _Pipeline(steps, array_cycles, machine).run()


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
