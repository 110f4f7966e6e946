"""An event simulator of the pipeline of tiles, which knows no closed form.

There are resources and rules, and no formula for a step:

- A double-buffered operand has two slots, another one has one, or one that is given one all the same. A slot is taken
  when a transfer into it begins, or a step that starts new outputs; it is free again when the last step that reads it
  is computed, or its store has ended. What stays has a place for all of its elements.
- What lives in the buffer is there, and is not moved; finished outputs that do leave their slot when they are done.
- An operand that stays is remembered element by element until a loop outside of all that it lacks moves on; only what
  is not remembered is loaded, and its partial sums do not leave. In one slot, what is loaded when that loop has moved
  on waits until all that was remembered has been read.
- When a step begins, the loads of the next one are requested. When its outputs are done, their store is.
- The DMA serves one transfer at a time, the oldest request first of those whose slot is free.
- A step begins when the array is idle, its operands are there, it has a slot for its outputs, and no store that was
  requested before the step before began is left.
- Weights of the layer that follows, if any are loaded ahead, are requested when the last step begins, and the last
  store when they are there; that layer finds them, and loads no first weights.
- A transfer takes ⌈bytes / bytes a cycle⌉ cycles, and the DRAM latency before it where nothing prefetches it: in the
  first load, in the last store, and for operands with one slot.
"""

from __future__ import annotations

import heapq
import itertools
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from math import ceil, prod
from typing import NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Dataflow, Tile
from squeezesim.cost.energy import access_bits, buffer_bits, level_bits
from squeezesim.cost.machine import Machine
from squeezesim.cost.pipeline import Points, Timing, play
from squeezesim.cost.problem import Workload
from squeezesim.cost.traffic import AXES, MODE_NUMBERS, Mode

READS = {"inputs": "nyxgc", "weights": "gkc", "outputs": "nyxgk"}  # axes that an operand's tile depends on
LOOPS = {"P": "nyx", "K": "k", "C": "c", "N": "n"}
Sizes = dict[str, int]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Bits between DRAM and buffer; partial sums are stored and loaded again at the accumulator's width."""

    operand: str  # whose buffer they move through: inputs, weights or outputs
    kind: str  # what they are: inputs, weights, outputs or psums
    bits: int  # in the buffer
    stored: Fraction | None = None  # in the memory, where that stores them in another form
    anew: bool = False  # the first of an operand that stays in one slot, over what is given up

    @property
    def slot(self) -> str:
        """What has to be free for it."""
        return f"{self.operand} anew" if self.anew else self.operand

    @property
    def moved(self) -> Fraction:
        """What passes the memory's port."""
        return Fraction(self.bits) if self.stored is None else self.stored


@dataclass(frozen=True, slots=True)
class Step:
    """One tile: its sizes along n, y, x, g, k, c, what must have been loaded before, what is stored after it."""

    sizes: Sizes
    starts: bool  # the first tile of input channels, so that no partial sums are there
    ends: bool  # the last one, whose outputs are finished
    loads: tuple[Transfer, ...]
    fresh_outputs: bool  # another tile of outputs than in the step before
    store: Transfer | None


def touched(start: int, size: int, window: tuple[int, int, int, int, int], skip: bool) -> set[int]:
    """Return the input positions that *size* outputs from output *start* on make the DMA load.

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
    return {position for position in wanted if 0 <= position < available}


class Tiling:
    """One problem cut into tiles of *sizes*; *mode* has the loops inside the groups, outermost first, as in ``PKC``."""

    def __init__(self, problem: Workload, sizes: Sizes, mode: Mode, machine: Machine) -> None:
        self.sizes, self.machine, self.mode = sizes, machine, mode
        self.one = {name: int(getattr(problem, name)[0]) for name in problem.__slots__ if name != "pools"}
        self.pool = problem.pools[self.one["pool"]] if self.one["pool"] else None
        self.axes = "g" + "".join(dict.fromkeys("".join(LOOPS[loop] for loop in mode.order)))
        self.tiles = {axis: -(-self.one[axis] // sizes[axis]) for axis in self.axes}

    def steps(self) -> Iterator[Step]:
        """The tiles in the order in which they run."""
        every = itertools.product(*(range(self.tiles[axis]) for axis in self.axes))
        places: list[Sizes | None] = [dict(zip(self.axes, index, strict=True)) for index in every]
        memory = {operand: _Memory(self, operand) for operand in self.mode.stays}
        for before, this, after in zip([None, *places], places, [*places[1:], None], strict=False):
            assert this is not None
            loads = []
            for operand in ("inputs", "weights"):
                if operand in memory:
                    given_up = memory[operand].gives_up(this) and before is not None
                    bits = memory[operand].lacking(this)
                    if bits or before is None:
                        load = self._load(operand, bits, first=before is None)
                        loads.append(replace(load, anew=given_up and operand in self.mode.single))
                elif self._changes(before, this, operand):
                    loads.append(self._load(operand, self.bits(this, operand), first=before is None))
            elements, ends = self.bits(this, "outputs"), this["c"] == self.tiles["c"] - 1
            beside = elements * self.one["second"] * ends
            if beside and before is None:
                first = loads[0]
                loads[0] = Transfer(first.operand, first.kind, first.bits + beside)
            elif beside:
                loads.append(Transfer("second", "inputs", beside))
            fresh = self._changes(before, this, "outputs")
            elements, accumulator = self.bits(this, "outputs"), self.one["accumulator_bits"]
            leave = "outputs" not in memory
            if fresh and this["c"] > 0 and leave:
                loads.append(Transfer("outputs", "psums", elements * accumulator))
            store = None
            if self._changes(this, after, "outputs"):
                store = Transfer("outputs", "psums", elements * accumulator) if leave else None
                if this["c"] == self.tiles["c"] - 1:
                    finished = elements if self.pool is None else self.finished(this)
                    store = Transfer("outputs", "outputs", finished * self.one["output_bits"])
            yield Step(self.tile(this), this["c"] == 0, bool(ends), tuple(loads), fresh, store)

    def _load(self, operand: str, bits: int, *, first: bool) -> Transfer:
        """A load of *bits* of an operand; with the first weights come the layer's constants, which are dense."""
        beside = self.one["constants"] if first and operand == "weights" else 0
        stored = self.stored(bits, operand)
        return Transfer(operand, operand, bits + beside, None if stored is None else stored + beside)

    def tile(self, place: Sizes) -> Sizes:
        """Sizes of the tile at *place*, the remainder at the end of an axis."""
        return {
            axis: min(self.sizes[axis], self.one[axis] - place[axis] * self.sizes[axis]) for axis in self.axes
        }

    def bits(self, place: Sizes, operand: str) -> int:
        """Bits of an operand's tile in the buffer; of outputs the elements."""
        tile, one = self.tile(place), self.one
        if operand == "weights":
            return tile["g"] * tile["k"] * tile["c"] * one["fy"] * one["fx"] * one["factor_bits"]
        if operand == "outputs":
            return tile["n"] * tile["y"] * tile["x"] * tile["g"] * tile["k"]
        area = prod(len(self.positions(axis, place)) for axis in "yx")
        return tile["n"] * area * tile["g"] * tile["c"] * one["input_bits"]

    def stored(self, bits: int, operand: str) -> Fraction | None:
        """Of *bits* of weights their part of all that are stored."""
        if operand != "weights":
            return None
        one = self.one
        dense = prod(one[name] for name in ("g", "k", "c", "fy", "fx", "factor_bits"))
        return Fraction(bits * one["stored_weights"], dense) if dense else Fraction()

    def windows(self, axis: str) -> list[set[int]]:
        """Outputs along y or x that each pooled one is made of; the last has those that none has at the end."""
        assert self.pool is not None
        pool, extent = self.pool._asdict(), self.one[axis]
        found = []
        for number in range(pool["rows" if axis == "y" else "columns"]):
            first = number * pool["stride_" + axis] - pool["padding_" + axis]
            places = range(first, first + pool["window_" + axis])
            found.append({place for place in places if 0 <= place < extent} or {extent - 1})
        found[-1].add(extent - 1)
        return found

    def finished(self, place: Sizes) -> int:
        """Pooled outputs whose last output is in the tile at *place*."""
        tile = self.tile(place)
        count = tile["n"] * tile["g"] * tile["k"]
        for axis in "yx":
            begin = place[axis] * self.sizes[axis]
            count *= sum(begin <= _end(window) < begin + tile[axis] for window in self.windows(axis))
        return count

    def kept(self) -> int:
        """Bits of pooled outputs that have begun and are not finished: rows below tiles, columns beside them.

        They are there for all channels that come between two tiles of pixels.
        """
        if self.pool is None:
            return 0
        most_open, most_finished = {}, {}
        for axis in "yx":
            extent, size, windows = self.one[axis], self.sizes[axis], self.windows(axis)
            cuts = range(size, extent, size)
            most_open[axis] = max(
                (sum(min(window) < cut <= _end(window) for window in windows) for cut in cuts),
                default=0,
            )
            ends = Counter(_end(window) // size for window in windows)
            most_finished[axis] = max(ends.values())
        kept = most_open["y"] * self.pool.columns + most_finished["y"] * most_open["x"]
        first = self.tile(dict.fromkeys(self.axes, 0))
        channels = self.one["k"] if self.axes.index("y") < self.axes.index("k") else first["k"]
        width = self.one["accumulator_bits" if self.pool.sums else "activation_bits"]
        return kept * first["n"] * first["g"] * channels * width

    def footprint(self) -> int:
        """Buffer bits: each operand's largest tile, twice where it is double-buffered and not the same all the time.

        Of parts they are those of the fullest, scaled to the whole. Of an operand that stays they are the most elements
        that it ever remembers, and those of the next period that arrive while the last tile of one still reads others
        in their place. What a part for weights alone has to hold, ``Machine.weights_bits``, is not among them.
        """
        if self.machine.accumulators and self.waiting() > self.machine.accumulators:
            return sys.maxsize
        bits, kept = {operand: self._held(operand) for operand in READS}, self.kept()
        if not (self.machine.parts or self.machine.psums_stay):
            return sum(bits.values()) + kept + self.one["resident"]
        apart = [part for part in self.machine.parts if "psums" in part.holds and "outputs" not in part.holds]
        bits["psums"] = bits["outputs"] if apart else 0
        if apart or self.machine.psums_stay:  # outputs wait at their own width
            bits["outputs"] = bits["outputs"] // self.one["accumulator_bits"] * self.one["output_bits"]
        bits["outputs"] += kept
        if not self.machine.parts:
            return sum(bits.values()) + self.one["resident"]
        bits["inputs"] += self.one["resident"]  # feature maps are where inputs are
        bits["weights"] += self.one["beside"]
        whole = sum(part.bits for part in self.machine.parts)
        filled = [
            Fraction(sum(bits[operand] for operand in part.holds), part.bits) for part in self.machine.parts
        ]
        return ceil(max(filled) * whole)

    def waiting(self) -> int:
        """Partial sums that are there at once at the most: begun, and with input channels of other tiles to come."""
        waiting: dict[tuple[int, ...], int] = {}
        most = 0
        for index in itertools.product(*(range(self.tiles[axis]) for axis in self.axes)):
            place = dict(zip(self.axes, index, strict=True))
            outputs = tuple(place[axis] for axis in READS["outputs"])
            if self.tiles["c"] > 1:
                waiting[outputs] = self.bits(place, "outputs")
                most = max(most, sum(waiting.values()))
            if place["c"] == self.tiles["c"] - 1:
                waiting.pop(outputs, None)
        return most

    def _held(self, operand: str) -> int:
        """Bits that the buffer has of *operand* at once."""
        double = self.machine.double(operand)
        beside = 0
        if operand == "inputs":
            innermost = [axis for axis in self.axes if self.tiles[axis] > 1][-1:]
            in_a_row = innermost not in ([], ["c"])  # two steps finish outputs
            one = self.bits(dict.fromkeys(self.axes, 0), "outputs") * self.one["second"]
            beside = one * (1 + (double and in_a_row and operand not in self.mode.single))
        if operand in self.mode.stays:
            two = double and operand not in self.mode.single and self._collides(operand)
            return self._remembered(operand) + self.slot(operand) * two + beside
        changes = any(self.tiles[axis] > 1 for axis in READS[operand])
        two = double and changes and operand not in self.mode.single
        return self.slot(operand) * (1 + two) + beside

    def slot(self, operand: str) -> int:
        """Bits of the largest tile of an operand."""
        first = dict.fromkeys(self.axes, 0)
        if operand == "inputs":
            pixels = itertools.product(*(range(self.tiles[axis]) for axis in "yx"))
            return max(self.bits(first | {"y": y, "x": x}, "inputs") for y, x in pixels)
        return self.bits(first, operand) * (self.one["accumulator_bits"] if operand == "outputs" else 1)

    def _remembered(self, operand: str) -> int:
        memory, most = _Memory(self, operand), 0
        for index in itertools.product(*(range(self.tiles[axis]) for axis in self.axes)):
            memory.lacking(dict(zip(self.axes, index, strict=True)))
            most = max(most, memory.bits)
        return most

    def _collides(self, operand: str) -> bool:
        """Whether the last tile of a period reads what the first one of the next is loaded over."""
        outer = _outside(self, operand)
        inside = [axis for axis in READS[operand] if axis not in outer]
        if prod(self.tiles[axis] for axis in outer) == 1:
            return False
        if prod(self.tiles[axis] for axis in inside) == 1:
            return True
        if (
            operand != "inputs"
            or "y" not in inside
            or any(self.tiles[axis] > 1 for axis in inside if axis in "nc")
        ):
            return False
        first = dict.fromkeys(self.axes, 0)
        last = first | {axis: self.tiles[axis] - 1 for axis in inside}
        return all(self.positions(axis, first) & self.positions(axis, last) for axis in "yx")

    def _changes(self, one: Sizes | None, other: Sizes | None, operand: str) -> bool:
        return one is None or other is None or any(one[axis] != other[axis] for axis in READS[operand])

    def positions(self, axis: str, place: Sizes) -> set[int]:
        """Input positions along y or x that the tile at *place* reads."""
        one, skip = self.one, {"y": self.machine.skip_rows, "x": self.machine.skip_columns}
        if one["pointwise"]:
            return set(
                range(place[axis] * self.sizes[axis], place[axis] * self.sizes[axis] + self.tile(place)[axis])
            )
        window = (one["s" + axis], one["f" + axis], one["d" + axis], one["p" + axis], one["i" + axis])
        return touched(place[axis] * self.sizes[axis], self.tile(place)[axis], window, skip[axis])


def _end(window: set[int]) -> int:
    """The last output of a window."""
    return max(window)


def _outside(tiling: Tiling, operand: str) -> str:
    """Axes outside of all those that an operand lacks."""
    lacking = [axis for axis in tiling.axes if axis not in READS[operand]]
    return tiling.axes[: min(map(tiling.axes.index, lacking))]


class _Memory:
    """Elements of an operand that stays, of the present period."""

    def __init__(self, tiling: Tiling, operand: str) -> None:
        self.tiling, self.operand, self.bits = tiling, operand, 0
        self._outside = _outside(tiling, operand)
        self._period: list[int] = []
        self._known: dict[tuple[int, ...], set[tuple[int, int]]] = {}

    def gives_up(self, place: Sizes) -> bool:
        """Whether what is there is given up for the tile at *place*."""
        return [place[axis] for axis in self._outside] != self._period

    def lacking(self, place: Sizes) -> int:
        """Bits of the tile at *place* that are not there, which are from then on; of sums those of the tile."""
        tiling = self.tiling
        if self.gives_up(place):
            self._period, self._known, self.bits = [place[axis] for axis in self._outside], {}, 0
        key = tuple(
            place[axis] for axis in READS[self.operand] if self.operand != "inputs" or axis not in "yx"
        )
        if self.operand == "inputs":
            rows, columns = (tiling.positions(axis, place) for axis in "yx")
            wanted = set(itertools.product(rows, columns))
            new = wanted - self._known.get(key, set())
            each = tiling.bits(place, "inputs") // len(wanted) if wanted else 0
        else:
            wanted, width = {(0, 0)}, tiling.one["accumulator_bits"] if self.operand == "outputs" else 1
            new = wanted - self._known.get(key, set())
            each = tiling.bits(place, self.operand) * width
        self._known.setdefault(key, set()).update(new)
        self.bits += each * len(new)
        return each * len(new)


@dataclass(slots=True)
class Played:
    """What happened: cycles in all, cycles in which the array was busy, DRAM bits by kind, weights in the buffer."""

    cycles: int = 0
    array: int = 0
    bits: dict[str, Fraction] = field(
        default_factory=lambda: dict.fromkeys(("inputs", "weights", "outputs", "psums"), Fraction())
    )
    unpacked: int = 0  # bits of weights that were written into the buffer


class Ahead(NamedTuple):
    """What is loaded before it is time: weights of the layer that follows, in the last step; and its own, before."""

    loads: Transfer | None = None
    is_there: bool = False


NOTHING_AHEAD = Ahead()


@dataclass(slots=True)
class _Request:
    transfer: Transfer
    step: int  # the one that loads, or whose outputs are stored
    load: bool
    exposed: bool  # pays the latency


class _Pipeline:
    def __init__(
        self,
        steps: Sequence[Step],
        array_cycles: Callable[[Step], int],
        machine: Machine,
        mode: Mode,
        ahead: Ahead,
    ) -> None:
        self.steps, self.array_cycles, self.machine, self.ahead = steps, array_cycles, machine, ahead
        self.rates = [
            Fraction(memory.bytes_per_cycle).limit_denominator(10**6) for memory in machine.memories
        ]
        double = {
            "inputs": machine.double_inputs,
            "weights": machine.double_weights,
            "outputs": machine.double_outputs,
        }
        self.single = {
            operand
            for operand, two in double.items()
            if not two or (operand in mode.single and operand not in mode.stays)
        }
        self.free: dict[str, float] = {operand: 1 if operand in self.single else 2 for operand in double}
        self.free |= {
            operand: math.inf for operand in mode.stays if operand not in self.single or operand == "outputs"
        }
        self.free["inputs anew"] = 0
        in_a_row = any(one.ends and other.ends for one, other in itertools.pairwise(steps))
        self.free["second"] = 1 + in_a_row - steps[0].ends
        if "inputs" in self.single | {*mode.single}:
            self.single.add("second")
            self.free["second"] = 0  # the first comes with the inputs
        self.queue: list[_Request] = []
        self.moving: dict[int, _Request] = {}  # by the memory whose port is at work
        self.free["ahead"] = math.inf
        self.missing = [0] * (len(steps) + 1)  # loads that have not ended, by step
        self.finished: list[_Request] = []  # stores that nothing has asked for yet
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
            if self.ahead.loads is not None:
                self.queue.append(_Request(replace(self.ahead.loads, operand="ahead"), number, True, False))
                self.missing[number] += 1
            return
        for transfer in self.steps[number].loads:
            if number == 0 and self.ahead.is_there and transfer.operand == "weights":
                self._take("weights")
                continue
            self.played.unpacked += transfer.bits * (transfer.kind == "weights")
            if transfer.moved:
                exposed = number == 0 or transfer.operand in self.single or transfer.anew
                self.queue.append(_Request(transfer, number, True, exposed))
                self.missing[number] += 1
            else:
                self._take(transfer.slot)

    @staticmethod
    def _owner(transfer: Transfer) -> str:
        """The operand whose kind of slots and whose memory a transfer has."""
        return {"second": "inputs", "ahead": "weights"}.get(transfer.operand, transfer.operand)

    def _take(self, operand: str) -> None:
        self.free[operand] -= 1

    def _begin_transfer(self) -> bool:
        for request in self.queue:
            memory = self.machine.home(self._owner(request.transfer))
            if memory in self.moving or (request.load and not self.free[request.transfer.slot]):
                continue
            self.queue.remove(request)
            self.moving[memory] = request
            if request.load:
                self._take(request.transfer.slot)
            size = math.ceil(math.ceil(request.transfer.moved / 8) / self.rates[memory])
            latency = request.exposed * self.machine.memories[memory].latency
            self._at(self.now + size + latency, partial(self._end_transfer, memory))
            return True
        return False

    def _end_transfer(self, memory: int) -> None:
        request = self.moving.pop(memory)
        self.played.bits[request.transfer.kind] += request.transfer.moved
        if request.load:
            self.missing[request.step] -= 1
            if request.step == len(self.steps) and not self.computing:
                self._request_stores()
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
        if any(stored < number - 1 or "outputs" in self.single for stored in self.storing):
            return False
        if takes_slot:
            self._take("outputs")
        self.next, self.computing = number + 1, True
        cycles = self.array_cycles(step)
        self.played.array += cycles
        self._request_stores()
        self._at(self.now + cycles, lambda: self._end_step(number))
        self._request_loads(number + 1)
        return True

    def _end_step(self, number: int) -> None:
        self.computing = False
        last = number + 1 == len(self.steps)
        coming = set() if last else {transfer.slot for transfer in self.steps[number + 1].loads}
        for slot in ("inputs", "inputs anew", "weights"):
            if slot in coming:
                self.free[slot] += 1
        self.free["second"] += "second" in coming if "second" in self.single else self.steps[number].ends
        store = self.steps[number].store
        if store is not None and not store.bits:  # no window is finished, or outputs live in the buffer
            self.free[store.operand] += 1
        elif store is not None:
            exposed = last or "outputs" in self.single
            self.finished.append(_Request(store, number, False, exposed))
            if exposed and not (last and self.missing[-1]):
                self._request_stores()

    def _request_stores(self) -> None:
        """Ask for the stores of what is finished: what is double-buffered leaves beside the next step."""
        self.storing.update(request.step for request in self.finished)
        self.queue += self.finished
        self.finished.clear()


def play_events(
    steps: Sequence[Step],
    array_cycles: Callable[[Step], int],
    machine: Machine,
    mode: Mode,
    ahead: Ahead = NOTHING_AHEAD,
) -> Played:
    """Play the steps of a layer and return what happened; *array_cycles* says how long the array takes for a step.

    Example: the layer worked by hand in docs/timing.md takes 136 cycles.
    """
    return _Pipeline(steps, array_cycles, machine, mode, ahead).run()


class ArrayCycles:
    """Cycles of the array for a step: the dataflow's closed forms, or the buffer's bandwidth where that is less."""

    def __init__(self, problem: Workload, flow: Dataflow, machine: Machine) -> None:
        self.problem, self.flow, self.machine = problem, flow, machine
        self._known: dict[tuple[int | bool, ...], int] = {}

    def __call__(self, step: Step) -> int:
        """Return the cycles of *step*."""
        key = (*(step.sizes[axis] for axis in AXES), step.starts, step.ends)
        if key not in self._known:
            self._known[key] = self._cycles(step)
        return self._known[key]

    def _cycles(self, step: Step) -> int:
        n, y, x, g, k, c = (np.array([step.sizes[axis]]) for axis in AXES)
        waits = self.machine.accumulators > 0  # for the tiles with its other input channels
        tile = Tile(n, y, x, g, k, c, np.array([waits and not step.ends]))
        cost = self.flow.tile_cost(self.problem, tile, self.machine)
        cycles = int(cost.cycles[0])
        if step.ends:
            pace = Fraction(int(self.problem.post_cycles[0]), int(self.problem.post_outputs[0]))
            cycles = max(cycles, ceil(int((n * y * x * g * k)[0]) * pace))
        if math.isinf(self.machine.buffer_bits_per_cycle):
            return cycles
        unread = step.ends if waits else step.starts
        started = (n * y * x * g * k).astype(np.float64) if unread else np.zeros(1)
        bits = float(buffer_bits(level_bits(access_bits(self.problem, cost.accesses(), started)))[0])
        return max(cycles, math.ceil(bits / self.machine.buffer_bits_per_cycle))


@dataclass(frozen=True, slots=True)
class Case:
    """A tiling of one problem: tile sizes along n, y, x, g, k, c, and the mode."""

    problem: Workload
    sizes: Sizes
    mode: Mode
    flow: Dataflow
    machine: Machine


def simulated(case: Case, ahead: Ahead = NOTHING_AHEAD) -> Played:
    """Play the case event by event."""
    steps = list(Tiling(case.problem, case.sizes, case.mode, case.machine).steps())
    return play_events(
        steps, ArrayCycles(case.problem, case.flow, case.machine), case.machine, case.mode, ahead
    )


def first_weights(case: Case) -> Transfer:
    """The first load of weights of the case."""
    first = next(Tiling(case.problem, case.sizes, case.mode, case.machine).steps())
    return next(transfer for transfer in first.loads if transfer.operand == "weights")


def closed_form(case: Case) -> Timing:
    """What ``cost.pipeline`` says of the case."""
    sizes = np.array([[case.sizes[axis]] for axis in AXES])
    points = Points(case.problem, np.array([MODE_NUMBERS[case.mode]]), sizes)
    return play(points, case.flow, case.machine)
