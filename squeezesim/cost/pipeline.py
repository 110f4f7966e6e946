"""The load–compute–store pipeline of a layer's tiles: its cycles, exactly, remainder tiles included.

While the array computes tile i, one DMA stores what tile i−1 finished and then loads what tile i+1 needs:

    step i = max(compute i, store i−1 + load i+1)
    cycles = setup + first load + Σ steps + last store

Operands that are not double-buffered are moved between two steps instead. A transfer takes ⌈bytes / bytes a cycle⌉,
and one that nothing prefetches (in the first load, the last store, or single-buffered) the DRAM latency on top.

Tiles along an axis are alike but for the first, the last and the last but one, so an axis of many tiles is played with
four of them, the second standing for all that are like it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from squeezesim.cost.axes import input_extent
from squeezesim.cost.dataflow.base import Dataflow
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Bools, Ints, Workload

AXES = ("n", "y", "x", "g", "k", "c")
_N, _Y, _X, _G, _K, _C = range(6)
# Axes from the outermost loop to the innermost, for each of tiling.ORDERS.
_NESTS = np.array([[_G, _N, _Y, _X, _K, _C], [_G, _N, _Y, _X, _C, _K], [_G, _K, _C, _N, _Y, _X]])
_DEPTHS = np.argsort(_NESTS, axis=1)


@dataclass(frozen=True, slots=True)
class Points:
    """Tilings to play: the problem (a row for each point), the loop order's index, tile sizes along ``AXES``."""

    problem: Workload
    order: Ints
    sizes: Ints  # (6, points)

    @property
    def extents(self) -> Ints:
        """Loop sizes along ``AXES``, (6, points)."""
        return np.stack([getattr(self.problem, name) for name in AXES])


class Timing(NamedTuple):
    """Cycles of each point, by where they go; all but ``busy`` and the ``*_bound`` ones sum to ``cycles``."""

    cycles: Ints
    setup: Ints
    startup: Ints  # first load and last store
    stream: Ints  # the array multiplies
    fill: Ints  # preload, drain, skew
    buffer: Ints  # waiting for the buffer's bandwidth
    dram: Ints  # waiting for the DMA
    busy: Ints  # PE-cycles of the stream in which a PE holds work
    dram_bound: Ints  # cycles of the steps in which the DMA is the slower
    buffer_bound: Ints  # cycles of the other steps in which the buffer's bandwidth is


def transfer_cycles(bits: Ints, machine: Machine) -> Ints:
    """Cycles of one transfer between DRAM and buffer: ⌈⌈bits / 8⌉ / bytes a cycle⌉.

    Example: 1,000 words of 16 bits at 16 bytes a cycle take 125 cycles.
    """
    return np.ceil(-(-bits // 8) / machine.dram_bytes_per_cycle).astype(np.int64)


def _window(problem: Workload, axis: int, machine: Machine) -> tuple[tuple[Ints, ...], bool]:
    if axis == _Y:
        return (problem.sy, problem.fy, problem.dy, problem.py, problem.iy), machine.skip_rows
    return (problem.sx, problem.fx, problem.dx, problem.px, problem.ix), machine.skip_columns


def _uniform(points: Points, axis: int, tiles: Ints) -> Bools:
    """Whether tiles 2 … T−2 along a spatial axis read equally much: none of them touches the padding."""
    stride, taps, dilation, padding, available = _window_columns(points.problem, axis)
    size = points.sizes[axis]
    end = ((tiles - 1) * size - 1) * stride - padding + (taps - 1) * dilation + 1
    return (2 * size * stride >= padding) & (end <= available)


def _window_columns(problem: Workload, axis: int) -> tuple[Ints, ...]:
    return (
        (problem.sy, problem.fy, problem.dy, problem.py, problem.iy)
        if axis == _Y
        else (problem.sx, problem.fx, problem.dx, problem.px, problem.ix)
    )


class _Steps(NamedTuple):
    """The steps that are played: their point, how many they stand for, tile indices along ``AXES``."""

    point: Ints
    weight: Ints
    this: Ints  # (6, steps)
    before: Ints
    after: Ints
    first: Bools
    last: Bools


def _steps(points: Points, tiles: Ints) -> _Steps:
    reduced = tiles > 4
    for axis in (_Y, _X):
        reduced[axis] &= points.problem.pointwise | _uniform(points, axis, tiles[axis])
    played = np.where(reduced, 4, tiles)

    nest = _NESTS[points.order].T
    tiles_nested = np.take_along_axis(tiles, nest, 0)
    played_nested = np.take_along_axis(played, nest, 0)
    reduced_nested = np.take_along_axis(reduced, nest, 0)

    counts = np.prod(played, axis=0)
    ends = np.cumsum(counts)
    point = np.repeat(np.arange(len(counts)), counts)
    rest = np.arange(ends[-1]) - (ends - counts)[point]
    weight = np.ones_like(rest)
    this, before, after = (np.empty((6, len(point)), np.int64) for _ in range(3))
    carry = np.ones(len(point), np.bool_)
    borrow = carry.copy()
    for depth in range(5, -1, -1):
        if np.all(tiles_nested[depth] == 1):
            this[depth] = before[depth] = after[depth] = 0
            continue
        rest, digit = np.divmod(rest, played_nested[depth][point])
        end = tiles_nested[depth][point] - 1
        shortened = reduced_nested[depth][point]
        index = np.where(shortened & (digit >= 2), end - 3 + digit, digit)
        weight *= np.where(shortened & (digit == 1), end - 2, 1)
        this[depth] = index
        at_end, at_start = index == end, index == 0
        after[depth] = np.where(carry, np.where(at_end, 0, index + 1), index)
        before[depth] = np.where(borrow, np.where(at_start, end, index - 1), index)
        carry &= at_end
        borrow &= at_start
    depths = _DEPTHS[points.order].T[:, point]
    this, before, after = (np.take_along_axis(index, depths, 0) for index in (this, before, after))
    return _Steps(point, weight, this, before, after, borrow, carry)


def play(points: Points, flow: Dataflow, machine: Machine) -> Timing:
    """Play the tiles of each point through the pipeline and return where its cycles go."""
    tiles = -(-points.extents // points.sizes)
    steps = _steps(points, tiles)
    problem = points.problem.take(steps.point)
    size = points.sizes[:, steps.point]
    extent = points.extents[:, steps.point]
    ends = tiles[:, steps.point] - 1

    def sizes_at(index: Ints) -> Ints:
        return np.minimum(size, extent - index * size)

    def input_bits(index: Ints, at: Ints) -> Ints:
        pixels = at[_N].copy()
        for axis in (_Y, _X):
            window, skip = _window(problem, axis, machine)
            loaded = input_extent(index[axis] * size[axis], at[axis], *window, skip)
            pixels *= np.where(problem.pointwise, at[axis], loaded)
        return pixels * at[_G] * at[_C] * problem.activation_bits

    def weight_bits(at: Ints) -> Ints:
        return at[_G] * at[_K] * at[_C] * problem.taps * problem.weight_bits

    def outputs(at: Ints) -> Ints:
        return np.prod(at[[_N, _Y, _X, _G, _K]], axis=0)

    here, coming, gone = sizes_at(steps.this), sizes_at(steps.after), sizes_at(steps.before)
    moved, came = steps.after != steps.this, steps.before != steps.this
    new_pixels = moved[_N] | moved[_Y] | moved[_X]
    new_inputs = new_pixels | moved[_G] | moved[_C]
    new_weights = moved[_G] | moved[_K] | moved[_C]
    new_outputs = new_pixels | moved[_G] | moved[_K]
    more = ~steps.last

    load_inputs = transfer_cycles(np.where(new_inputs & more, input_bits(steps.after, coming), 0), machine)
    load_weights = transfer_cycles(np.where(new_weights & more, weight_bits(coming), 0), machine)
    resumed = new_outputs & more & (steps.after[_C] > 0)
    load_psums = transfer_cycles(np.where(resumed, outputs(coming) * problem.accumulator_bits, 0), machine)
    left = ~steps.first & (came[_N] | came[_Y] | came[_X] | came[_G] | came[_K])
    finished = steps.before[_C] == ends[_C]
    stored_bits = np.where(finished, problem.activation_bits, problem.accumulator_bits)
    store = transfer_cycles(np.where(left, outputs(gone) * stored_bits, 0), machine)

    pixel = flow.pixel_terms(problem, here[_N], here[_Y], here[_X], machine)
    channel = flow.channel_terms(problem, here[_G], here[_K], here[_C], machine)
    work = flow.work(problem, pixel, channel, machine)
    compute = work.cycles
    if np.isfinite(machine.buffer_bits_per_cycle):
        started = np.where(steps.this[_C] == 0, outputs(here), 0).astype(np.float64)
        used = flow.accesses(problem, [*pixel], [*channel], started, machine)
        bits = (
            used.buffer_inputs * problem.activation_bits
            + used.buffer_weights * problem.weight_bits
            + (used.buffer_psums_read + used.buffer_psums_written) * problem.accumulator_bits
        )
        compute = np.maximum(compute, np.ceil(bits / machine.buffer_bits_per_cycle).astype(np.int64))

    transfers = (
        (load_inputs, machine.double_inputs),
        (load_weights, machine.double_weights),
        (load_psums, machine.double_outputs),
        (store, machine.double_outputs),
    )
    overlapped = sum((cycles for cycles, double in transfers if double), np.zeros_like(compute))
    exposed = sum(
        (cycles + machine.dram_latency * (cycles > 0) for cycles, double in transfers if not double),
        np.zeros_like(compute),
    )
    step = np.maximum(compute, overlapped) + exposed

    starts = np.flatnonzero(steps.first)
    last = np.flatnonzero(steps.last)
    startup = (
        transfer_cycles(input_bits(steps.this, here)[starts], machine)
        + transfer_cycles(weight_bits(here)[starts], machine)
        + transfer_cycles((outputs(here) * problem.activation_bits)[last], machine)
        + 3 * machine.dram_latency
    )

    def total(values: Ints) -> Ints:
        return np.add.reduceat(values * steps.weight, starts)

    setup = np.full_like(startup, machine.setup)
    stream, fill, waiting = total(work.stream), total(work.fill), total(compute - work.cycles)
    by_dram = exposed + overlapped > compute
    by_buffer = ~by_dram & (compute > work.cycles)
    steps_total = total(step)
    return Timing(
        cycles=setup + startup + steps_total,
        setup=setup,
        startup=startup,
        stream=stream,
        fill=fill,
        buffer=waiting,
        dram=steps_total - stream - fill - waiting,
        busy=total(work.busy),
        dram_bound=total(np.where(by_dram, step, 0)),
        buffer_bound=total(np.where(by_buffer, step, 0)),
    )
