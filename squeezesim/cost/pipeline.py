"""The load–compute–store pipeline of a layer's tiles: its cycles, exactly, remainder tiles included.

While the array computes tile i, one DMA stores what tile i−1 finished and then loads what tile i+1 needs:

    step i = max(compute i, store i−1 + load i+1)
    cycles = setup + first load + Σ steps + last store

Operands that are not double-buffered are moved between two steps instead. A transfer takes ⌈bytes / bytes a cycle⌉,
and one that nothing prefetches (in the first load, the last store, or single-buffered) the DRAM latency on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from squeezesim.cost.axes import input_extent
from squeezesim.cost.dataflow.base import Dataflow, Work
from squeezesim.cost.energy import buffer_bits
from squeezesim.cost.machine import Machine
from squeezesim.cost.steps import AXES, C, G, K, N, Steps, X, Y, steps_of
from squeezesim.cost.tiling import windows
from squeezesim.cost.workload import Bools, Ints, Workload


@dataclass(frozen=True, slots=True)
class Points:
    """Tilings to play: the problem (a row for each point), the index of the loop order, tile sizes along ``AXES``."""

    problem: Workload
    order: Ints
    sizes: Ints  # (6, points)


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


def transfer_cycles(bits: Ints, machine: Machine) -> Ints:
    """Cycles of one transfer between DRAM and buffer: ⌈⌈bits / 8⌉ / bytes a cycle⌉.

    Example: 1,000 words of 16 bits at 16 bytes a cycle take 125 cycles.
    """
    # Binary rounding must not make 126 of them: 1,900 bytes at 15.2 bytes a cycle are 125.
    return np.ceil(-(-bits // 8) / machine.dram_bytes_per_cycle * (1 - 1e-12)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Tiles:
    """One tile for each step: sizes and positions along ``AXES``, and the bits of its operands."""

    problem: Workload
    index: Ints  # (6, steps)
    sizes: Ints  # (6, steps)
    full: Ints  # (6, steps), sizes of the tiles before the last

    def inputs(self, machine: Machine) -> Ints:
        window_y, window_x = windows(self.problem)
        start = self.index * self.full
        rows = input_extent(start[Y], self.sizes[Y], window_y, machine.skip_rows)
        columns = input_extent(start[X], self.sizes[X], window_x, machine.skip_columns)
        pixels = self.sizes[N] * np.where(
            self.problem.pointwise, self.sizes[Y] * self.sizes[X], rows * columns
        )
        return np.asarray(pixels * self.sizes[G] * self.sizes[C] * self.problem.activation_bits)

    def weights(self) -> Ints:
        return np.asarray(
            self.sizes[G] * self.sizes[K] * self.sizes[C] * self.problem.taps * self.problem.weight_bits
        )

    def outputs(self) -> Ints:
        """Elements, not bits: partial sums are wider than what is finished."""
        return np.asarray(np.prod(self.sizes[[N, Y, X, G, K]], axis=0))


def play(points: Points, flow: Dataflow, machine: Machine) -> Timing:
    """Play the tiles of each point through the pipeline and return where its cycles go."""
    extents = np.stack([getattr(points.problem, name) for name in AXES])
    steps = steps_of(points.problem, points.order, points.sizes, extents)
    problem, size = points.problem.take(steps.point), points.sizes[:, steps.point]
    extent = extents[:, steps.point]

    def tiles_at(index: Ints) -> _Tiles:
        return _Tiles(problem, index, np.minimum(size, extent - index * size), size)

    here = tiles_at(steps.this)
    work, compute = _array(here, steps, flow, machine)
    overlapped, exposed = _transfers(tiles_at(steps.before), tiles_at(steps.after), steps, machine)
    step = np.maximum(compute, overlapped) + exposed

    starts = np.flatnonzero(steps.first)
    ends = np.flatnonzero(steps.last)
    first_loads = transfer_cycles(here.inputs(machine)[starts], machine) + transfer_cycles(
        here.weights()[starts], machine
    )
    last_store = transfer_cycles((here.outputs() * problem.activation_bits)[ends], machine)
    startup = first_loads + last_store + 3 * machine.dram_latency
    setup = np.full_like(startup, machine.setup)

    def total(values: Ints) -> Ints:
        return np.asarray(np.add.reduceat(values * steps.weight, starts))

    stream, fill, waiting = total(work.stream), total(work.fill), total(compute - work.cycles)
    by_dram = exposed + overlapped > compute
    all_steps = total(step)
    return Timing(
        cycles=setup + startup + all_steps,
        setup=setup,
        startup=startup,
        stream=stream,
        fill=fill,
        buffer=waiting,
        dram=all_steps - stream - fill - waiting,
        busy=total(work.busy),
        dram_bound=total(np.where(by_dram, step, 0)),
        buffer_bound=total(np.where(~by_dram & (compute > work.cycles), step, 0)),
    )


def _array(tiles: _Tiles, steps: Steps, flow: Dataflow, machine: Machine) -> tuple[Work, Ints]:
    """The array's work for each step, and its cycles with the buffer's bandwidth."""
    problem, sizes = tiles.problem, tiles.sizes
    pixel = flow.pixel_terms(problem, sizes[N], sizes[Y], sizes[X], machine)
    channel = flow.channel_terms(problem, sizes[G], sizes[K], sizes[C], machine)
    work = flow.work(problem, pixel, channel, machine)
    if not np.isfinite(machine.buffer_bits_per_cycle):
        return work, work.cycles
    started = np.where(steps.this[C] == 0, tiles.outputs(), 0).astype(np.float64)
    used = flow.accesses(
        problem, [term * 1.0 for term in pixel], [term * 1.0 for term in channel], started, machine
    )
    bits = sum(buffer_bits(problem, used))
    return work, np.maximum(work.cycles, np.ceil(bits / machine.buffer_bits_per_cycle).astype(np.int64))


def _transfers(gone: _Tiles, coming: _Tiles, steps: Steps, machine: Machine) -> tuple[Ints, Ints]:
    """DMA cycles of each step that its computing overlaps, and those that it waits for."""
    problem = gone.problem
    moved, came = steps.after != steps.this, steps.before != steps.this
    more = ~steps.last

    def loaded(axes: list[int], bits: Ints, also: Bools) -> Ints:
        return transfer_cycles(np.where(moved[axes].any(axis=0) & also, bits, 0), machine)

    resumed = more & (steps.after[C] > 0)
    left = ~steps.first & came[[N, Y, X, G, K]].any(axis=0)
    finished = steps.last_c[steps.point] == steps.before[C]
    stored = gone.outputs() * np.where(finished, problem.activation_bits, problem.accumulator_bits)
    transfers = (
        (loaded([N, Y, X, G, C], coming.inputs(machine), more), machine.double_inputs),
        (loaded([G, K, C], coming.weights(), more), machine.double_weights),
        (
            loaded([N, Y, X, G, K], coming.outputs() * problem.accumulator_bits, resumed),
            machine.double_outputs,
        ),
        (transfer_cycles(np.where(left, stored, 0), machine), machine.double_outputs),
    )
    overlapped, exposed = np.zeros((2, len(more)), np.int64)
    for cycles, double in transfers:
        if double:
            overlapped += cycles
        else:
            exposed += cycles + machine.dram_latency * (cycles > 0)
    return overlapped, exposed
