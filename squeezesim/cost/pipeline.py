"""The pipeline of tiles: steps, how long each takes, and schedules of them that machines of a family share.

The steps of a tiling in the order in which they run, with as few of them as its cycles need.

Tiles along an axis are alike but for the first, the last but one and the last, so that an axis of many tiles is played
with four: the second stands for all that are like it. Where padding makes more of them differ, all are played.

Schedule: what the array and the DMA do in the steps of tilings, and the cycles of that at any machine's rates.

    compute = max(array, ⌈buffer bits / buffer bits a cycle⌉)
    step    = max(compute, Σ transfers beside it) + Σ (transfers after it + latency)
    cycles  = setup + first load + Σ weight · step + last store

Steps in which the same happens are one row with a weight. Sums are exact: all numbers are integers below 2⁵³.

The load–compute–store pipeline of a layer's tiles: its cycles, exactly, remainder tiles included.

While the array computes tile i, one DMA stores what tile i−1 finished and then loads what tile i+1 needs:

    step i = max(compute i, store i−1 + load i+1)
    cycles = setup + first load + Σ steps + last store

Operands that are not double-buffered are moved between two steps instead. A transfer takes ⌈bytes / bytes a cycle⌉,
and one that nothing prefetches (in the first load, the last store, or single-buffered) the DRAM latency on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Dataflow, Work
from squeezesim.cost.energy import buffer_bits
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import ORDERS, Window, input_extent, windows
from squeezesim.cost.problem import Bools, Floats, Ints, Workload
from squeezesim.cost.rates import Rates

AXES = ("n", "y", "x", "g", "k", "c")
N, Y, X, G, K, C = range(6)
_LOOPS = {"P": (N, Y, X), "K": (K,), "C": (C,)}
# Axes from the outermost loop to the innermost for each order, and the inverse.
_NESTS = np.array([[G, *(axis for loop in order for axis in _LOOPS[loop])] for order in ORDERS])
_DEPTHS = np.argsort(_NESTS, axis=1)


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


def steps_of(problem: Workload, order: Ints, sizes: Ints, extents: Ints, *, every: bool = False) -> Steps:
    """Enumerate the steps of each point; *sizes* and *extents* are (6, points) along ``AXES``.

    With *every*, each step stands for itself alone.
    """
    tiles = -(-extents // sizes)
    reduced = np.zeros_like(tiles, np.bool_) if every else tiles > 4
    for axis, window in zip((Y, X), windows(problem), strict=True):
        reduced[axis] &= problem.pointwise | _alike(window, sizes[axis], tiles[axis])
    played = np.where(reduced, 4, tiles)

    counts = np.prod(played, axis=0)
    begins = np.cumsum(counts) - counts
    number = np.arange(counts.sum()) - np.repeat(begins, counts)
    cut = np.flatnonzero((tiles > 1).any(axis=1))  # the loops along other axes have one round
    inside, rounds, end, shortened = (
        np.repeat(part[cut], counts, axis=1) for part in (_inside(played, order), played, tiles - 1, reduced)
    )
    done, inner = np.divmod(number, inside)
    digit = done % rounds
    index = np.where(shortened & (digit >= 2), end - 3 + digit, digit)
    weight = np.prod(np.where(shortened & (digit == 1), end - 2, 1), axis=0)
    # A loop moves on when all loops inside are at their last tile, and has just moved when they are at their first.
    this, before, after = np.zeros((3, 6, len(number)), np.int64)
    this[cut] = index
    after[cut] = np.where(inner == inside - 1, np.where(index == end, 0, index + 1), index)
    before[cut] = np.where(inner == 0, np.where(index == 0, end, index - 1), index)
    return Steps(counts, begins, weight, this, before, after, tiles - 1)


def _inside(played: Ints, order: Ints) -> Ints:
    """Steps of the loops inside that along each axis, (6, points)."""
    points = np.arange(len(order))
    nested = played[_NESTS[order].T, points]
    steps = np.ones_like(nested)
    np.cumprod(nested[:0:-1], axis=0, out=steps[-2::-1])
    return np.asarray(steps[_DEPTHS[order].T, points])


_ROWS = 1 << 17  # rows that are settled together, about what stays in cache


class Timing(NamedTuple):
    """Cycles of each point by where they go; those from ``setup`` to ``dram`` sum to ``cycles``."""

    cycles: Ints
    setup: Ints
    startup: Ints  # first load and last store
    stream: Ints  # the array multiplies
    fill: Ints  # preload, drain, skew
    buffer: Ints  # waiting for the buffer's bandwidth
    dram: Ints  # waiting for the DMA
    busy: Ints  # PE-cycles of the stream in which a PE holds work
    dram_bound: Ints  # cycles of the steps in which the DMA is the slowest
    buffer_bound: Ints  # cycles of the steps in which the buffer's bandwidth is


_MOST_CYCLES = 2.0**60  # ``evaluate`` refuses networks that take as many; a sum of some still fits 64 bits


def transfer_cycles(bits: Any, machine: Machine | Rates) -> Ints:
    """Cycles of one transfer between DRAM and buffer: ⌈⌈bits / 8⌉ / bytes a cycle⌉.

    Example: 1,000 words of 16 bits at 16 bytes a cycle take 125 cycles.
    """
    cycles = _transferred(-(-bits // 8), machine.dram_bytes_per_cycle)
    return np.minimum(cycles, _MOST_CYCLES).astype(np.int64)


def _transferred(volume: Any, bytes_per_cycle: Any) -> Floats:
    # Binary rounding must not make 126 of them: 1,900 bytes at 15.2 bytes a cycle are 125.
    return np.asarray(np.ceil(volume / bytes_per_cycle * (1 - 1e-12)))


class _Pace(NamedTuple):
    """How fast the machine of each row moves data."""

    dram_bytes_per_cycle: Floats
    dram_latency: Any
    buffer_bits_per_cycle: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Rows of steps, those of point i at ``offsets[i] : offsets[i + 1]``; volumes are in bytes."""

    offsets: Ints
    weight: Floats  # how many steps a row stands for
    array: Floats  # cycles of the array where the buffer is never too slow
    buffer_bits: Floats | None  # between buffer and array; None where the buffer is never too slow
    beside: tuple[Floats, ...]  # transfers that the computing overlaps
    after: tuple[Floats, ...]  # transfers that the array waits for
    ends: tuple[Floats, ...]  # for each point, the first loads and the last store
    stream: Ints  # for each point, Σ over its steps; so are the next two
    fill: Ints
    busy: Ints

    def __len__(self) -> int:
        return len(self.stream)

    def merged(self) -> Schedule:
        """Return the same with as few rows as a hash finds to be alike."""
        columns = [self.array, *self.beside, *self.after]
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
            beside=tuple(column[first] for column in self.beside),
            after=tuple(column[first] for column in self.after),
            ends=self.ends,
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
        steps, waiting, dram_bound, buffer_bound = np.zeros((4, len(point)), np.int64)
        for part, rows, starts, of in self._parts(point, rates):
            weight, array = self.weight[rows], self.array[rows]
            compute, step, moved = self._steps(rows, of)
            by_dram = moved > compute
            for total, values in (
                (steps, step),
                (waiting, compute - array),
                (dram_bound, np.where(by_dram, step, 0)),
                (buffer_bound, np.where(~by_dram & (compute > array), step, 0)),
            ):
                total[part] = np.add.reduceat(values * weight, starts)
        stream, fill = self.stream[point], self.fill[point]
        return Timing(
            cycles=setup + startup + steps,
            setup=setup,
            startup=startup,
            stream=stream,
            fill=fill,
            buffer=waiting,
            dram=steps - stream - fill - waiting,
            busy=self.busy[point],
            dram_bound=dram_bound,
            buffer_bound=buffer_bound,
        )

    def _startup(self, point: Ints, rates: Rates) -> Floats:
        """First loads and last store, none of which anything overlaps."""
        moving = sum(_transferred(volume[point], rates.dram_bytes_per_cycle) for volume in self.ends)
        return np.asarray(moving + len(self.ends) * rates.dram_latency)

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
                    np.repeat(rates.dram_bytes_per_cycle[part], count),
                    np.repeat(rates.dram_latency[part], count) if self.after else None,
                    None if self.buffer_bits is None else np.repeat(rates.buffer_bits_per_cycle[part], count),
                )
                yield part, rows, starts, pace

    def _steps(self, rows: Ints, pace: _Pace) -> tuple[Floats, Floats, Floats]:
        """Of each row the cycles of the array, those of the step, and those of the DMA."""
        compute = self.array[rows]
        if self.buffer_bits is not None:
            compute = np.maximum(compute, np.ceil(self.buffer_bits[rows] / pace.buffer_bits_per_cycle))
        moved = np.zeros(len(rows))
        for volume in self.beside:
            moved += _transferred(volume[rows], pace.dram_bytes_per_cycle)
        step = np.maximum(compute, moved)
        for volume in self.after:
            waited = _transferred(volume[rows], pace.dram_bytes_per_cycle)
            waited += pace.dram_latency * (waited > 0)
            moved += waited
            step += waited
        return compute, step, moved


def joined(one: Schedule, other: Schedule) -> Schedule:
    """Return the points of *one*, then those of *other*; both of machines of one family."""

    def both(first: Any, second: Any) -> Any:
        if first is None:
            return None
        if isinstance(first, tuple):
            return tuple(both(*pair) for pair in zip(first, second, strict=True))
        return np.concatenate([first, second])

    columns = {
        field.name: both(getattr(one, field.name), getattr(other, field.name))
        for field in fields(Schedule)
        if field.name != "offsets"
    }
    return Schedule(offsets=np.concatenate([one.offsets, other.offsets[1:] + one.offsets[-1]]), **columns)


@dataclass(frozen=True, slots=True)
class Points:
    """Tilings to play: the problem (a row for each point), the index of the loop order, tile sizes along ``AXES``."""

    problem: Workload
    order: Ints
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

    def inputs(self, machine: Machine) -> Ints:
        window_y, window_x = windows(self.problem)
        n, y, x, g, _, c = self.sizes
        rows = input_extent(self.start[Y], y, window_y, machine.skip_rows)
        columns = input_extent(self.start[X], x, window_x, machine.skip_columns)
        pixels = n * np.where(self.problem.pointwise, y * x, rows * columns)
        return np.asarray(pixels * g * c * self.problem.activation_bits)

    def weights(self) -> Ints:
        _, _, _, g, k, c = self.sizes
        return np.asarray(g * k * c * self.problem.taps * self.problem.weight_bits)

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
    machine: Machine

    @property
    def cycles(self) -> Ints:
        """Cycles of each transfer, without latency."""
        return transfer_cycles(self.bits, self.machine)

    @property
    def latency(self) -> int:
        """Cycles that each transfer that is not empty takes longer, where nothing overlaps it."""
        return 0 if self.overlapped else self.machine.dram_latency


class Played(NamedTuple):
    """The steps of all points, and what the array and the DMA do in each."""

    steps: Steps
    first_loads: tuple[Transfer, ...]  # a row for each point: they come before the first step
    last_store: Transfer  # a row for each point: it comes after the last step
    work: Work
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


def played(points: Points, flow: Dataflow, machine: Machine, *, every: bool = False) -> Played:
    """Return what happens in each step of each point; with *every*, in each single one."""
    problem, sizes = points.problem, points.sizes
    extents = np.stack([getattr(problem, name) for name in AXES])
    steps = steps_of(problem, points.order, sizes, extents, every=every)
    first = _Tiles.at(np.zeros_like(sizes), problem, sizes, extents)
    last = _Tiles.at(steps.end, problem, sizes, extents)
    of_steps = (
        problem.repeat(steps.counts),
        np.repeat(sizes, steps.counts, axis=1),
        np.repeat(extents, steps.counts, axis=1),
    )

    def alone(operand: str, load: bool, bits: Ints) -> Transfer:
        return Transfer(operand, load, bits, False, machine)

    work, moved = _array(_Tiles.at(steps.this, *of_steps), steps, flow, machine)
    return Played(
        steps=steps,
        first_loads=(alone("inputs", True, first.inputs(machine)), alone("weights", True, first.weights())),
        last_store=alone("outputs", False, last.outputs() * problem.activation_bits),
        work=work,
        buffer_bits=moved,
        transfers=_transfers(
            _Tiles.at(steps.before, *of_steps), _Tiles.at(steps.after, *of_steps), steps, machine
        ),
        machine=machine,
    )


def schedule_of(points: Points, flow: Dataflow, machine: Machine) -> Schedule:
    """Return the steps of each point; machines of one family have the same."""
    done = played(points, flow, machine)
    steps, work = done.steps, done.work

    def volumes(parts: Iterable[Transfer]) -> tuple[Floats, ...]:
        return tuple((-(-part.bits // 8)).astype(np.float64) for part in parts)

    def total(values: Ints) -> Ints:
        return np.asarray(np.add.reduceat(values * steps.weight, steps.begins))

    return Schedule(
        offsets=np.append(steps.begins, len(steps.weight)),
        weight=steps.weight.astype(np.float64),
        array=work.cycles.astype(np.float64),
        buffer_bits=done.buffer_bits,
        beside=volumes(part for part in done.transfers if part.overlapped),
        after=volumes(part for part in done.transfers if not part.overlapped),
        ends=volumes((*done.first_loads, done.last_store)),
        stream=total(work.stream),
        fill=total(work.fill),
        busy=total(work.busy),
    )


def play(points: Points, flow: Dataflow, machine: Machine) -> Timing:
    """Play the tiles of each point through the pipeline and return where its cycles go."""
    rates = Rates.of([machine]).take(np.zeros(len(points.order), np.int64))
    return schedule_of(points, flow, machine).timing(np.arange(len(points.order)), rates)


def _array(tiles: _Tiles, steps: Steps, flow: Dataflow, machine: Machine) -> tuple[Work, Floats | None]:
    """The array's work for each step, and the bits that it moves to and from the buffer."""
    problem, sizes = tiles.problem, tiles.sizes
    pixel = flow.pixel_terms(problem, sizes[N], sizes[Y], sizes[X], machine)
    channel = flow.channel_terms(problem, sizes[G], sizes[K], sizes[C], machine)
    work = flow.work(problem, pixel, channel, machine)
    if not np.isfinite(machine.buffer_bits_per_cycle):
        return work, None
    started = np.where(steps.this[C] == 0, tiles.outputs(), 0).astype(np.float64)
    used = flow.accesses(
        problem, [term * 1.0 for term in pixel], [term * 1.0 for term in channel], started, machine
    )
    return work, np.asarray(sum(buffer_bits(problem, used)), np.float64)


def _transfers(gone: _Tiles, coming: _Tiles, steps: Steps, machine: Machine) -> tuple[Transfer, ...]:
    """What the DMA stores of the tile before each step's, and loads of the tile after it."""
    problem = gone.problem
    moved, came = steps.after != steps.this, steps.before != steps.this
    moved[:, steps.begins + steps.counts - 1] = came[:, steps.begins] = False
    left = came[[N, Y, X, G, K]].any(axis=0)
    n, y, x, g, k, c = moved
    pixels = n | y | x

    def transfer(operand: str, load: bool, wanted: Bools, bits: Ints, double: bool) -> Transfer:
        return Transfer(operand, load, bits * wanted, double, machine)

    finished = np.repeat(steps.end[C], steps.counts) == steps.before[C]
    stored = gone.outputs() * np.where(finished, problem.activation_bits, problem.accumulator_bits)
    resumed = (pixels | g | k) & (steps.after[C] > 0)
    psums = coming.outputs() * problem.accumulator_bits
    return (
        transfer("outputs", False, left, stored, machine.double_outputs),
        transfer("inputs", True, pixels | g | c, coming.inputs(machine), machine.double_inputs),
        transfer("weights", True, g | k | c, coming.weights(), machine.double_weights),
        transfer("outputs", True, resumed, psums, machine.double_outputs),
    )
