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
