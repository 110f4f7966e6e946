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


class Transfer(NamedTuple):
    """What the DMA moves of one operand in each step; partial sums are loaded and stored with the outputs' buffer."""

    operand: str
    load: bool
    bits: Ints
    cycles: Ints
    latency: int  # of each transfer that is not empty, where nothing overlaps it
    overlapped: bool  # by the step's computing


class Played(NamedTuple):
    """The steps of all points, and what the array and the DMA do in each."""

    steps: Steps
    first_loads: tuple[Transfer, ...]  # a row for each point: they come before the first step
    last_store: Transfer  # a row for each point: it comes after the last step
    work: Work
    compute: Ints  # cycles of the array, with the buffer's bandwidth
    transfers: tuple[Transfer, ...]  # the store of the step before, then the loads of the one after


def played(points: Points, flow: Dataflow, machine: Machine, *, every: bool = False) -> Played:
    """Return what happens in each step of each point; with *every*, in each single one."""
    extents = np.stack([getattr(points.problem, name) for name in AXES])
    steps = steps_of(points.problem, points.order, points.sizes, extents, every=every)
    problem, size = points.problem.take(steps.point), points.sizes[:, steps.point]
    extent = extents[:, steps.point]

    def tiles_at(index: Ints) -> _Tiles:
        return _Tiles(problem, index, np.minimum(size, extent - index * size), size)

    def alone(operand: str, load: bool, bits: Ints) -> Transfer:
        return Transfer(operand, load, bits, transfer_cycles(bits, machine), machine.dram_latency, False)

    here = tiles_at(steps.this)
    work, compute = _array(here, steps, flow, machine)
    return Played(
        steps=steps,
        first_loads=(
            alone("inputs", True, here.inputs(machine)[steps.first]),
            alone("weights", True, here.weights()[steps.first]),
        ),
        last_store=alone("outputs", False, (here.outputs() * problem.activation_bits)[steps.last]),
        work=work,
        compute=compute,
        transfers=_transfers(tiles_at(steps.before), tiles_at(steps.after), steps, machine),
    )


def play(points: Points, flow: Dataflow, machine: Machine) -> Timing:
    """Play the tiles of each point through the pipeline and return where its cycles go."""
    done = played(points, flow, machine)
    steps, work, compute = done.steps, done.work, done.compute
    overlapped, exposed = np.zeros((2, len(compute)), np.int64)
    for transfer in done.transfers:
        if transfer.overlapped:
            overlapped += transfer.cycles
        else:
            exposed += transfer.cycles + transfer.latency * (transfer.cycles > 0)
    step = np.maximum(compute, overlapped) + exposed

    startup = np.zeros_like(steps.last_c)
    for part in (*done.first_loads, done.last_store):
        startup += part.cycles + part.latency
    setup = np.full_like(startup, machine.setup)
    starts = np.flatnonzero(steps.first)

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


def _transfers(gone: _Tiles, coming: _Tiles, steps: Steps, machine: Machine) -> tuple[Transfer, ...]:
    """What the DMA stores of the tile before each step's, and loads of the tile after it."""
    problem = gone.problem
    moved, came = steps.after != steps.this, steps.before != steps.this
    more = ~steps.last

    def transfer(operand: str, load: bool, wanted: Bools, bits: Ints, double: bool) -> Transfer:
        moving = np.where(wanted, bits, 0)
        latency = 0 if double else machine.dram_latency
        return Transfer(operand, load, moving, transfer_cycles(moving, machine), latency, double)

    def changed(*axes: int) -> Bools:
        return np.asarray(moved[list(axes)].any(axis=0) & more)

    left = ~steps.first & came[[N, Y, X, G, K]].any(axis=0)
    finished = steps.last_c[steps.point] == steps.before[C]
    stored = gone.outputs() * np.where(finished, problem.activation_bits, problem.accumulator_bits)
    resumed = changed(N, Y, X, G, K) & (steps.after[C] > 0)
    psums = coming.outputs() * problem.accumulator_bits
    return (
        transfer("outputs", False, left, stored, machine.double_outputs),
        transfer("inputs", True, changed(N, Y, X, G, C), coming.inputs(machine), machine.double_inputs),
        transfer("weights", True, changed(G, K, C), coming.weights(), machine.double_weights),
        transfer("outputs", True, resumed, psums, machine.double_outputs),
    )
