"""The load–compute–store pipeline of a layer's tiles: its cycles, exactly, remainder tiles included.

While the array computes tile i, one DMA stores what tile i−1 finished and then loads what tile i+1 needs:

    step i = max(compute i, store i−1 + load i+1)
    cycles = setup + first load + Σ steps + last store

Operands that are not double-buffered are moved between two steps instead. A transfer takes ⌈bytes / bytes a cycle⌉,
and one that nothing prefetches (in the first load, the last store, or single-buffered) the DRAM latency on top.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from squeezesim.cost.axes import input_extent
from squeezesim.cost.dataflow.base import Dataflow, Work
from squeezesim.cost.energy import buffer_bits
from squeezesim.cost.machine import Machine
from squeezesim.cost.rates import Rates
from squeezesim.cost.schedule import Schedule, Timing, transfer_cycles
from squeezesim.cost.steps import AXES, C, G, K, N, Steps, X, Y, steps_of
from squeezesim.cost.tiling import windows
from squeezesim.cost.workload import Bools, Floats, Ints, Workload


@dataclass(frozen=True, slots=True)
class Points:
    """Tilings to play: the problem (a row for each point), the index of the loop order, tile sizes along ``AXES``."""

    problem: Workload
    order: Ints
    sizes: Ints  # (6, points)


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
    extents = np.stack([getattr(points.problem, name) for name in AXES])
    steps = steps_of(points.problem, points.order, points.sizes, extents, every=every)
    problem, size = points.problem.take(steps.point), points.sizes[:, steps.point]
    extent = extents[:, steps.point]

    def tiles_at(index: Ints) -> _Tiles:
        return _Tiles(problem, index, np.minimum(size, extent - index * size), size)

    def alone(operand: str, load: bool, bits: Ints) -> Transfer:
        return Transfer(operand, load, bits, False, machine)

    here = tiles_at(steps.this)
    work, moved = _array(here, steps, flow, machine)
    return Played(
        steps=steps,
        first_loads=(
            alone("inputs", True, here.inputs(machine)[steps.first]),
            alone("weights", True, here.weights()[steps.first]),
        ),
        last_store=alone("outputs", False, (here.outputs() * problem.activation_bits)[steps.last]),
        work=work,
        buffer_bits=moved,
        transfers=_transfers(tiles_at(steps.before), tiles_at(steps.after), steps, machine),
        machine=machine,
    )


def schedule_of(points: Points, flow: Dataflow, machine: Machine) -> Schedule:
    """Return the steps of each point; machines of one family have the same."""
    done = played(points, flow, machine)
    steps, work = done.steps, done.work
    starts = np.flatnonzero(steps.first)

    def volumes(parts: Iterable[Transfer]) -> tuple[Floats, ...]:
        return tuple((-(-part.bits // 8)).astype(np.float64) for part in parts)

    def total(values: Ints) -> Ints:
        return np.asarray(np.add.reduceat(values * steps.weight, starts))

    return Schedule(
        offsets=np.append(starts, len(steps.point)),
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
    more = ~steps.last

    def transfer(operand: str, load: bool, wanted: Bools, bits: Ints, double: bool) -> Transfer:
        return Transfer(operand, load, np.where(wanted, bits, 0), double, machine)

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
