"""The load–compute–store pipeline of a layer's tiles: its cycles, exactly, remainder tiles included.

While the array computes tile i, the port of each memory stores what tile i−1 finished and then loads what tile i+1
needs:

    compute = max(array, ⌈buffer bits / buffer bits a cycle⌉)
    step i  = max over ports of (max(compute i, store i−1 + load i+1) + what is single-buffered)
    cycles  = setup + max over ports of the first loads + Σ steps + last store

Operands that are not double-buffered, or have one slot in the mode (``traffic``), are moved between two steps instead;
of inputs that stay in one slot only what begins anew.
A transfer takes ⌈bytes / bytes a cycle⌉, and one that nothing prefetches (in the first load, the last store, or
single-buffered) its memory's latency on top. Of an operand that stays, a step loads what no step before it had. What
lives in the buffer is not moved.

Tiles along an axis are alike but for the first, the last but one and the last, so that an axis of many tiles is played
with four: the second stands for all that are like it. Where padding makes more of them differ, all are played. Where
outputs are pooled, the first tile may finish fewer windows than the second, which the third step stores: five are
played, and all where tiles are not in step with the windows. Steps in which the same happens are one row with a weight,
in a schedule that all machines of a family share. Sums are exact: all numbers are integers below 2⁵³.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Dataflow, Tile, TileCost
from squeezesim.cost.energy import access_bits, buffer_bits, level_bits
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import Window, input_extent, input_overlap, windows
from squeezesim.cost.pooling import windows_of
from squeezesim.cost.problem import Bools, Floats, Ints, Workload
from squeezesim.cost.rates import Rates
from squeezesim.cost.traffic import (
    AXES,
    LOOP_AXES,
    LOOPS,
    MODES,
    NESTS,
    SINGLE,
    STAYS,
    WHOLE,
    C,
    G,
    X,
    Y,
    axes_lacked,
    axes_of,
)

# Axes from the outermost loop to the innermost for each mode, and the inverse.
_NESTS = np.array(
    [[axis for loop in ("G", *NESTS[mode.order]) for axis in LOOP_AXES[loop]] for mode in MODES]
)
_DEPTHS = np.argsort(_NESTS, axis=1)


SECOND = "second operand"
"""What is added to outputs on their way out, in slots like those of inputs and from their memory."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps that are played, in order, point after point; tile indices are (6, steps) along ``AXES``."""

    counts: Ints  # for each point, its steps
    begins: Ints  # for each point, its first step
    weight: Ints  # how many steps this one stands for
    this: Ints
    before: Ints  # of the step before; the last one's for the first
    after: Ints  # of the step after; the first one's for the last
    end: Ints  # for each point, tile indices of its last step


def _alike(window: Window, size: Ints, tiles: Ints) -> Bools:
    """Whether tiles 1 … T−2 along a spatial axis read equally much: none of them touches the padding."""
    stride, taps, dilation, padding, available = window
    end = ((tiles - 1) * size - 1) * stride - padding + (taps - 1) * dilation + 1
    return np.asarray((size * stride >= padding) & (end <= available))


def _reduced(problem: Workload, sizes: Ints, tiles: Ints) -> Bools:
    """Whether four tiles of each axis stand for all."""
    reduced = tiles > 4
    for axis, window in zip((Y, X), windows(problem), strict=True):
        reduced[axis] &= problem.pointwise | _alike(window, sizes[axis], tiles[axis])
    if problem.is_pooled:
        for axis, pooling in zip((Y, X), windows_of(problem), strict=True):
            of_axis = (tiles[axis] > 5) & pooling.alike(sizes[axis], tiles[axis])
            reduced[axis] &= (problem.pool == 0) | of_axis
    return np.asarray(reduced)


def _firsts(problem: Workload, axes: int) -> Ints:
    """Tiles at the begin of each axis that differ from those between: of pooled outputs the first may finish fewer."""
    firsts = np.ones((axes, len(problem)), np.int64)
    firsts[[Y, X]] += problem.pool > 0
    return firsts


def played_steps(problem: Workload, sizes: Ints, extents: Ints) -> Floats:
    """Return how many steps of each point are played: memory grows with them."""
    tiles = -(-extents // sizes)
    few = 3.0 + _firsts(problem, len(tiles))
    return np.asarray(np.prod(np.where(_reduced(problem, sizes, tiles), few, tiles), axis=0))


def steps_of(problem: Workload, mode: Ints, sizes: Ints, extents: Ints, *, every: bool = False) -> Steps:
    """Enumerate the steps of each point; *sizes* and *extents* are (6, points) along ``AXES``.

    With *every*, each step stands for itself alone.
    """
    tiles = -(-extents // sizes)
    reduced = np.zeros_like(tiles, np.bool_) if every else _reduced(problem, sizes, tiles)
    firsts: Any = _firsts(problem, len(tiles)) if problem.is_pooled else 1
    played = np.where(reduced, 3 + firsts, tiles)

    counts = np.prod(played, axis=0)
    begins = np.cumsum(counts) - counts
    number = np.arange(counts.sum()) - np.repeat(begins, counts)
    cut = np.flatnonzero((tiles > 1).any(axis=1))  # the loops along other axes have one round
    inside, rounds, end, shortened = (
        np.repeat(part[cut], counts, axis=1) for part in (_inside(played, mode), played, tiles - 1, reduced)
    )
    done, inner = np.divmod(number, inside)
    digit = done % rounds
    if problem.is_pooled:
        firsts = np.repeat(firsts[cut], counts, axis=1)
    index = np.where(shortened & (digit > firsts), end - 2 - firsts + digit, digit)
    weight = np.prod(np.where(shortened & (digit == firsts), end - 1 - firsts, 1), axis=0)
    # A loop moves on when all loops inside are at their last tile, and has just moved when they are at their first.
    this, before, after = np.zeros((3, 6, len(number)), np.int64)
    this[cut] = index
    after[cut] = np.where(inner == inside - 1, np.where(index == end, 0, index + 1), index)
    before[cut] = np.where(inner == 0, np.where(index == 0, end, index - 1), index)
    return Steps(counts, begins, weight, this, before, after, tiles - 1)


def _inside(played: Ints, mode: Ints) -> Ints:
    """Steps of the loops inside that along each axis, (6, points)."""
    points = np.arange(len(mode))
    nested = played[_NESTS[mode].T, points]
    steps = np.ones_like(nested)
    np.cumprod(nested[:0:-1], axis=0, out=steps[-2::-1])
    return np.asarray(steps[_DEPTHS[mode].T, points])


_ROWS = 1 << 17  # rows that are settled together, about what stays in cache


class Timing(NamedTuple):
    """Cycles of each point by where they go; those from ``setup`` to ``memories`` sum to ``cycles``."""

    cycles: Ints
    setup: Ints
    startup: Ints  # first load and last store
    stream: Ints  # the array multiplies
    fill: Ints  # preload, drain, skew
    buffer: Ints  # waiting for the buffer's bandwidth
    memories: Ints  # (memories, points), waiting for the port of each
    busy: Ints  # PE-cycles of the stream in which a PE holds work
    memory_bound: Ints  # (memories, points), cycles of the steps in which the port of each is the slowest
    buffer_bound: Ints  # cycles of the steps in which the buffer's bandwidth is

    @property
    def dram(self) -> Ints:
        """Cycles of waiting for the first memory."""
        return np.asarray(self.memories[0], np.int64)


_MOST_CYCLES = 2.0**60  # ``evaluate`` refuses networks that take as many; a sum of some still fits 64 bits


def transfer_cycles(bits: Any, bytes_per_cycle: Any) -> Ints:
    """Cycles of one transfer between a memory and the buffer: ⌈⌈bits / 8⌉ / bytes a cycle⌉.

    Example: 1,000 words of 16 bits at 16 bytes a cycle take 125 cycles.
    """
    cycles = _transferred(-(-bits // 8), bytes_per_cycle)
    return np.minimum(cycles, _MOST_CYCLES).astype(np.int64)


def _transferred(volume: Any, bytes_per_cycle: Any) -> Floats:
    # Binary rounding must not make 126 of them: 1,900 bytes at 15.2 bytes a cycle are 125.
    return np.asarray(np.ceil(volume / bytes_per_cycle * (1 - 1e-12)))


class _Pace(NamedTuple):
    """How fast the machine of each row moves data."""

    bytes_per_cycle: Floats  # (rows, memories)
    latency: Any
    buffer_bits_per_cycle: Any


Kind = tuple[str, bool]
"""An operand, and whether it is loaded."""


class Moved(NamedTuple):
    """Bytes that a port moves, those of memory ``memory``."""

    memory: int
    bytes: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Rows of steps, those of point i at ``offsets[i] : offsets[i + 1]``; volumes are in bytes."""

    offsets: Ints
    weight: Floats  # how many steps a row stands for
    array: Floats  # cycles of the array where the buffer is never too slow
    buffer_bits: Floats | None  # between buffer and array; None where the buffer is never too slow
    memories: int  # how many
    overlapped: Mapping[Kind, Moved]  # transfers that the computing overlaps
    serialised: Mapping[Kind, Moved]  # transfers that the array waits for
    prologue: tuple[Moved, ...]  # for each point, the first loads
    epilogue: Moved  # for each point, the last store
    stream: Ints  # for each point, Σ over its steps; so are the next two
    fill: Ints
    busy: Ints

    def __len__(self) -> int:
        return len(self.stream)

    def merge_rows(self) -> Schedule:
        """Return the same with as few rows as a hash finds to be alike."""
        columns = [self.array]
        columns += [part.bytes for parts in (self.overlapped, self.serialised) for part in parts.values()]
        columns += [] if self.buffer_bits is None else [self.buffer_bits]
        point = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        mixed = np.zeros(len(point), np.uint64)
        for column in columns:
            mixed = (mixed ^ column.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        order = np.argsort((point.astype(np.uint64) << np.uint64(36)) | (mixed >> np.uint64(28)))
        # Rows are compared whole, so that a hash that two different ones share costs a row and changes nothing.
        begins = np.ones(len(order), np.bool_)
        begins[1:] = point[order[1:]] != point[order[:-1]]
        for column in columns:
            begins[1:] |= column[order[1:]] != column[order[:-1]]
        starts = np.flatnonzero(begins)
        first = order[starts]
        return Schedule(
            offsets=np.searchsorted(point[first], np.arange(len(self) + 1)),
            weight=np.add.reduceat(self.weight[order], starts),
            array=self.array[first],
            buffer_bits=None if self.buffer_bits is None else self.buffer_bits[first],
            memories=self.memories,
            overlapped={
                kind: Moved(memory, volume[first]) for kind, (memory, volume) in self.overlapped.items()
            },
            serialised={
                kind: Moved(memory, volume[first]) for kind, (memory, volume) in self.serialised.items()
            },
            prologue=self.prologue,
            epilogue=self.epilogue,
            stream=self.stream,
            fill=self.fill,
            busy=self.busy,
        )

    def cycles(self, point: Ints, rates: Rates) -> Ints:
        """Cycles of point ``point[i]`` on machine i of *rates*."""
        result = self._startup(point, rates) + rates.setup
        for part, rows, starts, of in self._parts(point, rates):
            _, step, _ = self._steps(rows, of)
            result[part] += np.add.reduceat(step * self.weight[rows], starts)
        return result.astype(np.int64)

    def timing(self, point: Ints, rates: Rates) -> Timing:
        """Return where the cycles of point ``point[i]`` on machine i of *rates* go."""
        startup, setup = self._startup(point, rates).astype(np.int64), rates.setup.astype(np.int64)
        steps, waiting, buffer_bound = np.zeros((3, len(point)), np.int64)
        memory_waits, memory_bound = np.zeros((2, self.memories, len(point)), np.int64)
        for part, rows, starts, of in self._parts(point, rates):
            weight, array = self.weight[rows], self.array[rows]
            compute, step, moved = self._steps(rows, of)
            slowest = np.argmax(moved, axis=0)
            by_memory = reduce(np.maximum, moved) > compute
            totals = [
                (steps, step),
                (waiting, compute - array),
                (buffer_bound, np.where(~by_memory & (compute > array), step, 0)),
            ]
            for memory in range(self.memories):
                of_memory = slowest == memory
                totals.append((memory_waits[memory], np.where(of_memory, step - compute, 0)))
                totals.append((memory_bound[memory], np.where(of_memory & by_memory, step, 0)))
            for total, values in totals:
                total[part] = np.add.reduceat(values * weight, starts)
        return Timing(
            cycles=setup + startup + steps,
            setup=setup,
            startup=startup,
            stream=self.stream[point],
            fill=self.fill[point],
            buffer=waiting,
            memories=memory_waits,
            busy=self.busy[point],
            memory_bound=memory_bound,
            buffer_bound=buffer_bound,
        )

    def _startup(self, point: Ints, rates: Rates) -> Floats:
        """First loads and last store, none of which anything overlaps."""

        def lasting(part: Moved) -> Any:
            taken = _transferred(part.bytes[point], rates.bytes_per_cycle[..., part.memory])
            return taken + rates.latency[..., part.memory] * (taken > 0)

        loads = _by_memory(self.prologue, self.memories, lasting)
        return np.asarray(reduce(np.maximum, loads) + lasting(self.epilogue))

    def _parts(self, point: Ints, rates: Rates) -> Iterator[tuple[slice, Ints, Ints, _Pace]]:
        """The points in parts of a bounded number of rows: (part, its rows, where each point begins, pace of rows)."""
        counts = self.offsets[point + 1] - self.offsets[point]
        ends = np.cumsum(counts)
        bounds = np.searchsorted(ends, np.arange(_ROWS, ends[-1], _ROWS)).tolist() if len(ends) else []
        for start, stop in zip([0, *bounds], [*bounds, len(point)], strict=True):
            if stop > start:
                part, count = slice(start, stop), counts[start:stop]
                starts = np.cumsum(count) - count
                rows = np.arange(count.sum()) + np.repeat(self.offsets[point[part]] - starts, count)
                pace = _Pace(
                    np.repeat(rates.bytes_per_cycle[part], count, axis=0),
                    np.repeat(rates.latency[part], count, axis=0) if self.serialised else None,
                    None if self.buffer_bits is None else np.repeat(rates.buffer_bits_per_cycle[part], count),
                )
                yield part, rows, starts, pace

    def _steps(self, rows: Ints, pace: _Pace) -> tuple[Floats, Floats, list[Floats]]:
        """Of each row the cycles of the array, those of the step, and those of each memory's port."""
        compute = self.array[rows]
        if self.buffer_bits is not None:
            compute = np.maximum(compute, np.ceil(self.buffer_bits[rows] / pace.buffer_bits_per_cycle))

        def moving(part: Moved) -> Floats:
            return _transferred(part.bytes[rows], pace.bytes_per_cycle[:, part.memory])

        def waited(part: Moved) -> Floats:
            cycles = moving(part)
            return np.asarray(cycles + pace.latency[:, part.memory] * (cycles > 0))

        moved = _by_memory(self.overlapped.values(), self.memories, moving, np.zeros(len(rows)))
        ends = [np.maximum(compute, beside) for beside in moved]
        if self.serialised:
            after = _by_memory(self.serialised.values(), self.memories, waited, np.zeros(len(rows)))
            ends = [end + between for end, between in zip(ends, after, strict=True)]
            moved = [beside + between for beside, between in zip(moved, after, strict=True)]
        return compute, reduce(np.maximum, ends), moved


def _by_memory(
    parts: Iterable[Moved], memories: int, cycles: Callable[[Moved], Any], none: Any = 0.0
) -> list[Any]:
    """Σ of the *cycles* of the parts of each memory."""
    sums = [none] * memories
    for part in parts:
        sums[part.memory] = sums[part.memory] + cycles(part)
    return sums


def concat(first: Schedule, second: Schedule) -> Schedule:
    """Return the points of *first*, then those of *second*; both of machines of one family."""
    lengths = len(first.array), len(second.array)

    def both(one: Any, other: Any) -> Any:
        if one is None or isinstance(one, int):
            return one
        if isinstance(one, Moved):
            return Moved(one.memory, np.concatenate([one.bytes, other.bytes]))
        if isinstance(one, tuple):
            return tuple(both(*pair) for pair in zip(one, other, strict=True))
        if isinstance(one, dict):  # what only one of them moves, the other moves nothing of
            parts = {**other, **one}
            none = [
                {kind: Moved(part.memory, np.zeros(size)) for kind, part in parts.items()} for size in lengths
            ]
            return {
                kind: both(*((blank | of)[kind] for blank, of in zip(none, (one, other), strict=True)))
                for kind in parts
            }
        return np.concatenate([one, other])

    columns = {
        field.name: both(getattr(first, field.name), getattr(second, field.name))
        for field in fields(Schedule)
        if field.name != "offsets"
    }
    return Schedule(
        offsets=np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]]), **columns
    )


@dataclass(frozen=True, slots=True)
class Points:
    """Tilings to play: the problem (a row for each point), the index of the mode, tile sizes along ``AXES``."""

    problem: Workload
    mode: Ints  # into ``traffic.MODES``
    sizes: Ints  # (6, points)


@dataclass(frozen=True, slots=True)
class _Tiles:
    """Single tiles: their problems, positions and sizes along ``AXES``, (6, tiles), and the bits of their operands."""

    problem: Workload
    start: Ints
    sizes: Ints

    @classmethod
    def at(cls, index: Ints, problem: Workload, sizes: Ints, extents: Ints) -> _Tiles:
        """The tiles *index* of axes that are cut into tiles of *sizes*, but for the last."""
        start = index * sizes
        return cls(problem, start, np.minimum(sizes, extents - start))

    def inputs(self, machine: Machine, without_halos: Bools | None = None) -> Ints:
        """Bits of the inputs, where it says so without those that tiles before read too."""
        window_y, window_x = windows(self.problem)
        n, y, x, g, _, c = self.sizes
        rows = input_extent(self.start[Y], y, window_y, machine.skip_rows)
        columns = input_extent(self.start[X], x, window_x, machine.skip_columns)
        if without_halos is not None and without_halos.any():
            rows = rows - without_halos * input_overlap(self.start[Y], window_y)
            columns = columns - without_halos * input_overlap(self.start[X], window_x)
        pixels = n * np.where(self.problem.pointwise, y * x, rows * columns)
        return np.asarray(pixels * g * c * self.problem.input_bits)

    def weights(self, machine: Machine) -> Ints:
        _, _, _, g, k, c = self.sizes
        count = np.asarray(g * k * c * self.problem.taps)
        return self.problem.moved_weights(count) if machine.compressed else count * self.problem.factor_bits

    def second(self) -> Ints:
        """Bits of the second operand that is added to the outputs."""
        return np.asarray(self.outputs() * self.problem.second)

    def finished(self) -> Ints:
        """Elements that leave when the sums of the tile are complete: its outputs, or the windows that it finishes."""
        if not self.problem.is_pooled:
            return self.outputs()
        n, y, x, g, k, _ = self.sizes
        for axis, size, pooling in zip((Y, X), (y, x), windows_of(self.problem), strict=True):
            start = self.start[axis]
            n = n * (pooling.finished(start + size) - pooling.finished(start))
        return np.asarray(n * g * k)

    def outputs(self) -> Ints:
        """Elements, not bits: partial sums are wider than what is finished."""
        n, y, x, g, k, _ = self.sizes
        return np.asarray(n * y * x * g * k)


class Transfer(NamedTuple):
    """What the DMA moves of one operand in each step; partial sums are loaded and stored with the outputs' buffer."""

    operand: str
    load: bool
    bits: Ints
    overlapped: bool  # by the step's computing
    offset: int  # whose tile it is: that of the step before (−1), of the step itself, or of the one after (1)
    machine: Machine

    @property
    def kind(self) -> Kind:
        """Its operand, and whether it is loaded."""
        return self.operand, self.load

    @property
    def memory(self) -> int:
        """Index into ``Machine.memories`` of the operand's home."""
        return self.machine.home("inputs" if self.operand == SECOND else self.operand)

    @property
    def cycles(self) -> Ints:
        """Cycles of each transfer, without latency."""
        return transfer_cycles(self.bits, self.machine.memories[self.memory].bytes_per_cycle)

    @property
    def latency(self) -> int:
        """Cycles that each transfer that is not empty takes longer, where nothing overlaps it."""
        return 0 if self.overlapped else self.machine.memories[self.memory].latency

    @property
    def moved(self) -> Moved:
        """Bytes of each transfer."""
        return Moved(self.memory, (-(-self.bits // 8)).astype(np.float64))


class StepTrace(NamedTuple):
    """The steps of all points, and what the array and the DMA do in each."""

    steps: Steps
    first_loads: tuple[Transfer, ...]  # a row for each point: they come before the first step
    last_store: Transfer  # a row for each point: it comes after the last step
    work: TileCost
    buffer_bits: Floats | None  # between buffer and array; None where the buffer is never too slow
    transfers: tuple[Transfer, ...]  # the store of the step before, then the loads of the one after
    machine: Machine

    @property
    def compute(self) -> Ints:
        """Cycles of the array in each step, with the buffer's bandwidth."""
        if self.buffer_bits is None:
            return self.work.cycles
        waiting = np.ceil(self.buffer_bits / self.machine.buffer_bits_per_cycle)
        return np.asarray(np.maximum(self.work.cycles, waiting.astype(np.int64)))


def trace_steps(points: Points, flow: Dataflow, machine: Machine, *, every: bool = False) -> StepTrace:
    """Return what happens in each step of each point; with *every*, in each single one."""
    problem, sizes = points.problem, points.sizes
    extents = np.stack([getattr(problem, name) for name in AXES])
    steps = steps_of(problem, points.mode, sizes, extents, every=every)
    first = _Tiles.at(np.zeros_like(sizes), problem, sizes, extents)
    last = _Tiles.at(steps.end, problem, sizes, extents)
    of_steps = (
        problem.repeat(steps.counts),
        np.repeat(sizes, steps.counts, axis=1),
        np.repeat(extents, steps.counts, axis=1),
    )

    def exposed(operand: str, load: bool, bits: Ints) -> Transfer:
        return Transfer(operand, load, bits, False, 0, machine)

    tiles = [_Tiles.at(index, *of_steps) for index in (steps.before, steps.this, steps.after)]
    work, moved = _array(tiles[1], steps, flow, machine)
    return StepTrace(
        steps=steps,
        first_loads=(
            exposed("inputs", True, first.inputs(machine) + first.second() * (steps.end[C] == 0)),
            exposed("weights", True, first.weights(machine) + problem.constants),
        ),
        last_store=exposed("outputs", False, last.finished() * problem.output_bits),
        work=work,
        buffer_bits=moved,
        transfers=_transfers(tiles, steps, np.repeat(points.mode, steps.counts), machine),
        machine=machine,
    )


def schedule_of(points: Points, flow: Dataflow, machine: Machine) -> Schedule:
    """Return the steps of each point; machines of one family have the same."""
    trace = trace_steps(points, flow, machine)
    steps, work = trace.steps, trace.work

    def total(values: Ints) -> Ints:
        return np.asarray(np.add.reduceat(values * steps.weight, steps.begins))

    return Schedule(
        offsets=np.append(steps.begins, len(steps.weight)),
        weight=steps.weight.astype(np.float64),
        array=work.cycles.astype(np.float64),
        buffer_bits=trace.buffer_bits,
        memories=len(machine.memories),
        overlapped={part.kind: part.moved for part in trace.transfers if part.overlapped},
        serialised={part.kind: part.moved for part in trace.transfers if not part.overlapped},
        prologue=tuple(part.moved for part in trace.first_loads),
        epilogue=trace.last_store.moved,
        stream=total(work.stream),
        fill=total(work.fill),
        busy=total(work.busy),
    )


def play(points: Points, flow: Dataflow, machine: Machine) -> Timing:
    """Play the tiles of each point through the pipeline and return where its cycles go."""
    rates = Rates.of([machine]).take(np.zeros(len(points.mode), np.int64))
    return schedule_of(points, flow, machine).timing(np.arange(len(points.mode)), rates)


def _array(tiles: _Tiles, steps: Steps, flow: Dataflow, machine: Machine) -> tuple[TileCost, Floats | None]:
    """What each step costs on the array, and the bits that it moves to and from the buffer."""
    first, number = _distinct_tiles(steps)
    problem, tile = tiles.problem.take(first), Tile(*tiles.sizes[:, first])
    finished = steps.this[C] == np.repeat(steps.end[C], steps.counts)
    if machine.accumulators:
        tile = tile._replace(unfinished=~finished[first])
    cost = flow.tile_cost(problem, tile, machine)
    if problem.post_cycles.any():
        outputs = tile.n * tile.y * tile.x * tile.g * tile.k
        cost = cost.lasting(problem.passed(outputs) * finished[first])
    cost = cost.take(number)
    if not np.isfinite(machine.buffer_bits_per_cycle):
        return cost, None
    # Sums that wait in the array are written to the buffer when they are finished, and never read.
    starts = finished if machine.accumulators else steps.this[C] == 0
    started = np.where(starts, tiles.outputs(), 0).astype(np.float64)
    bits = level_bits(access_bits(tiles.problem, cost.accesses(), started))
    return cost, np.asarray(buffer_bits(bits), np.float64)


def _distinct_tiles(steps: Steps) -> tuple[Ints, Ints]:
    """The first step of each different tile of a point, and which of these tiles each step has.

    Tiles along an axis have one size, but for the last.
    """
    cut = np.flatnonzero((steps.end > 0).any(axis=1))
    last = steps.this[cut] == np.repeat(steps.end[cut], steps.counts, axis=1)
    number = np.repeat(np.arange(len(steps.counts)) << len(cut), steps.counts)
    for bit, of_axis in enumerate(last):
        number += of_axis.astype(np.int64) << bit
    first = np.full(len(steps.counts) << len(cut), -1)
    first[number[::-1]] = np.arange(len(number))[::-1]
    there = first >= 0
    return first[there], (np.cumsum(there) - 1)[number]


def _transfers(tiles: Sequence[_Tiles], steps: Steps, mode: Ints, machine: Machine) -> tuple[Transfer, ...]:
    """What is stored of the tile before each step's, and loaded of the tile after it; *tiles*: before, this, after.

    With several memories, single-buffered outputs are stored between their own step and the next, while other ports
    load.
    """
    before, this, after = tiles
    problem = this.problem
    advances, advanced = steps.after != steps.this, steps.before != steps.this
    advances[:, steps.begins + steps.counts - 1] = advanced[:, steps.begins] = False
    stays = {operand: of_mode[mode] for operand, of_mode in STAYS.items()}
    # Whether the next tile is the first for which inputs that stay are given up.
    begins = reduce(
        np.logical_or,
        (
            advances[list(LOOP_AXES[loop])].any(axis=0) & ~WHOLE["inputs", loop][mode]
            for loop in LOOPS["inputs"]
        ),
        advances[G],
    )

    def changed(operand: str, axes: Bools) -> Bools:
        return np.asarray(axes[axes_of(operand)].any(axis=0))

    def fetched(operand: str) -> Bools:
        """Where the next tile of an operand is loaded: one that stays in the first round of the loops that it lacks."""
        wanted = changed(operand, advances)
        if stays[operand].any():
            wanted &= ~stays[operand] | (steps.after[axes_lacked(operand)] == 0).all(axis=0)
        return wanted

    def stored(of: _Tiles, index: Ints, left: Bools) -> Ints:
        """Bits of finished outputs, or of the partial sums of a tile that is left and does not stay."""
        complete = np.repeat(steps.end[C], steps.counts) == index[C]
        finished, sums = of.finished() * problem.output_bits, of.outputs() * problem.accumulator_bits
        return np.where(complete, finished, sums * ~stays["outputs"]) * changed("outputs", left)

    def parts(
        operand: str, load: bool, beside: Ints, between: Ints, offsets: tuple[int, int]
    ) -> Iterator[Transfer]:
        """Those of an operand that the computing overlaps, and those between two steps."""
        owner = "inputs" if operand == SECOND else operand
        if not machine.double(owner):
            yield Transfer(operand, load, between, False, offsets[1], machine)
            return
        single = SINGLE[owner][mode]
        if operand == "inputs" and single.any():
            single = single & (begins | ~stays[operand])
        if not single.all():
            yield Transfer(operand, load, beside * ~single, True, offsets[0], machine)
        if single.any():
            yield Transfer(operand, load, between * single, False, offsets[1], machine)

    def load(operand: str, bits: Ints) -> Iterator[Transfer]:
        return parts(operand, True, bits, bits, (1, 1))

    beside = stored(before, steps.before, advanced)
    own = len(machine.memories) > 1 and (not machine.double_outputs or bool(SINGLE["outputs"][mode].any()))
    between = stored(this, steps.this, advances) if own else beside
    resumed = changed("outputs", advances) & (steps.after[C] > 0) & ~stays["outputs"]
    whole = stays["inputs"] & WHOLE["inputs", "S"][mode]
    # A second operand comes with the last input channels of its outputs.
    ending = advances.any(axis=0) & (steps.after[C] == np.repeat(steps.end[C], steps.counts))
    return (
        *parts("outputs", False, beside, between, (-1, 0 if own else -1)),
        *load("inputs", after.inputs(machine, whole) * fetched("inputs")),
        *load("weights", after.weights(machine) * fetched("weights")),
        *load("outputs", after.outputs() * problem.accumulator_bits * resumed),
        *(load(SECOND, after.second() * ending) if problem.second.any() else ()),
    )
