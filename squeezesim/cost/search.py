"""The best tiling of every problem for one dataflow: bounds for all of them, the exact pipeline where it can still win.

The objective is never below the bound, so a tiling whose bound exceeds the best value found cannot be the best. Of
the tilings within ``slack`` of the best value the one with the least DRAM traffic is taken; ties go to the better
value, then to the first in the order of enumeration. The result equals that of playing every tiling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.bounds import FlowBounds, Matrix, Space
from squeezesim.cost.dataflow.base import Accesses, Dataflow
from squeezesim.cost.energy import layer_energy
from squeezesim.cost.pipeline import Points, Timing, play
from squeezesim.cost.tiling import ORDERS
from squeezesim.cost.workload import Floats, Ints

_ROUND = 32  # tilings of a problem that the first round plays together; later rounds take four times as many
_MARGIN = 1 + 1e-5  # covers the float32 rounding of the traffic matrices


class Choice(NamedTuple):
    """The tiling taken for each problem; ``value`` is inf where none fits the buffer."""

    value: Floats  # of the objective
    order: Ints
    pixel: Ints  # index of the pixel option, over all problems
    channel: Ints  # index of the channel option, over all problems


def dram_bits(space: Space, rows: Ints, order: Ints, pixel: Ints, channel: Ints) -> tuple[Ints, ...]:
    """Bits of inputs, weights, finished outputs and spilled partial sums that a tiling moves, exactly.

    The spilled ones are stored and loaded, half each. *rows* are the tilings' problems.
    """
    problem = space.work.take(rows)
    tiles = space.pixels.count[pixel]
    tk, tc = space.channels.tiles.b[channel], space.channels.tiles.c[channel]
    several = tiles > 1
    inner_k, inner_pixels = order == ORDERS.index("PCK"), order == ORDERS.index("KCP")
    again = np.where(inner_pixels, several | (tc > 1), (tc > 1) & ~inner_k)
    inputs = (
        space.inputs.total[pixel] * problem.g * problem.c * problem.activation_bits * np.where(again, tk, 1)
    )
    weights = (
        problem.weights * problem.weight_bits * np.where(~inner_pixels & ((tk > 1) | (tc > 1)), tiles, 1)
    )
    outputs = problem.g * problem.k * problem.pixels
    spills = np.where(inner_pixels, several, inner_k & (tk > 1))
    psums = np.where(spills, 2 * (tc - 1), 0) * outputs * problem.accumulator_bits
    return inputs, weights, outputs * problem.activation_bits, psums


class _Played:
    """The tilings of one problem that were played: flat index, value of the objective, DRAM bits."""

    def __init__(self) -> None:
        self.index = np.empty(0, np.int64)
        self.value = np.empty(0)
        self.traffic = np.empty(0, np.int64)

    def add(self, index: Ints, value: Floats, traffic: Ints) -> None:
        self.index = np.concatenate([self.index, index])
        self.value = np.concatenate([self.value, value])
        self.traffic = np.concatenate([self.traffic, traffic])

    @property
    def best(self) -> float:
        return float(self.value.min())

    def chosen(self, slack: float) -> int:
        """Row of the least traffic within *slack* of the best value, then the least value, then the first index."""
        within = np.where(self.value <= (1 + slack) * self.best, self.traffic, np.iinfo(np.int64).max)
        return int(np.lexsort((self.index, self.value, within))[0])


class Search:
    """One dataflow on one machine: bounds of all problems, and the rounds that settle the choice."""

    def __init__(self, space: Space, flow: Dataflow) -> None:
        machine = space.machine
        self.space, self.flow, self.machine = space, flow, machine
        self.terms = FlowBounds(space, flow)
        skipping = flow.skips_zeros and flow.name in machine.skips_zeros
        work = space.work
        self.least = np.full(len(work), np.inf)
        self.bounds: dict[int, Matrix] = {}
        self.traffic: dict[int, Matrix] = {}
        self.played: dict[int, _Played] = {}
        self.executed = (work.nonzeros if skipping else work.weights) * work.valid

    def floor(self) -> Floats:
        """Lower bound on what each problem can reach, from no more than the least value of every term."""
        return self.terms.floor() if self.machine.objective == "latency" else np.zeros(len(self.space.work))

    def bound(self, rows: Ints) -> Floats:
        """Bound every tiling of problems *rows*, play the most promising one of each and return the values reached.

        They are inf where none fits, and for other problems.
        """
        reached = np.full(len(self.space.work), np.inf)
        best: dict[int, Ints] = {}
        for row in rows.tolist():
            bound = self._objective_bounds(row).reshape(-1)
            first = bound.argmin()
            self.least[row] = bound[first]
            if np.isfinite(self.least[row]):
                self.bounds[row], self.traffic[row] = bound, self.space.traffic(row)[0].reshape(-1)
                self.played[row] = _Played()
                best[row] = np.array([first])
        self._play(best)
        for row in best:
            reached[row] = self.played[row].best
        return reached

    def choose(self, limit: Floats) -> Choice:
        """Return the choice for each problem; one that cannot come within *limit* is left at inf."""
        open_rows = [row for row in self.played if self.least[row] <= limit[row]]
        slack = self.machine.slack
        scale = 1 / (8 * self.machine.dram_bytes_per_cycle)

        def better(row: int) -> tuple[Ints, Floats]:
            index = np.flatnonzero(self.bounds[row] <= self.played[row].best)
            return index, self.bounds[row][index]

        def cheaper(row: int) -> tuple[Ints, Floats]:
            done = self.played[row]
            taken = done.chosen(slack)
            least, value = done.traffic[taken] * scale, done.value[taken]
            index = np.flatnonzero(self.bounds[row] <= (1 + slack) * done.best)
            bound, traffic = self.bounds[row][index], self.traffic[row][index]
            wanted = (traffic < least / _MARGIN) | ((traffic <= least * _MARGIN) & (bound <= value))
            return index[wanted], (traffic + bound * (1e-3 * least / value))[wanted]

        self._rounds(open_rows, better)
        if slack > 0:
            self._rounds(open_rows, cheaper)
        count = len(self.space.work)
        choice = Choice(np.full(count, np.inf), *(np.zeros(count, np.int64) for _ in range(3)))
        for row in open_rows:
            done = self.played[row]
            taken = done.chosen(slack)
            choice.value[row] = done.value[taken]
            for column, part in zip(choice[1:], self._unflatten(row, done.index[[taken]]), strict=True):
                column[row] = part[0]
        return choice

    def _rounds(self, rows: list[int], wanted: Callable[[int], tuple[Ints, Floats]]) -> None:
        """Play the tilings that *wanted* names, in ascending order of its key, until it names none."""
        size = _ROUND
        while rows:
            batch = {}
            for row in rows:
                index, key = wanted(row)
                if len(index) > size:
                    index = np.sort(index[np.argpartition(key, size)[:size]])
                if len(index):
                    batch[row] = index
            rows = list(batch)
            self._play(batch)
            size *= 4

    def _play(self, batch: dict[int, Ints]) -> None:
        """Play the tilings named for each problem; their bounds become inf, so that none is played twice."""
        if not batch:
            return
        lengths = [len(index) for index in batch.values()]
        rows = np.repeat(np.fromiter(batch, np.int64), lengths)
        parts = [self._unflatten(row, index) for row, index in batch.items()]
        order, pixel, channel = (np.concatenate(column) for column in zip(*parts, strict=True))
        bits = dram_bits(self.space, rows, order, pixel, channel)
        value = self._value(rows, self.timing(rows, order, pixel, channel).cycles, pixel, channel, bits)
        traffic = np.sum(bits, axis=0)
        end = 0
        for row, index in batch.items():
            part = slice(end, end + len(index))
            end = part.stop
            self.played[row].add(index, value[part], traffic[part])
            self.bounds[row][index] = np.inf

    def _unflatten(self, row: int, index: Ints) -> tuple[Ints, Ints, Ints]:
        pixels, channels = self.space.pixels.offsets, self.space.channels.offsets
        shape = (len(ORDERS), pixels[row + 1] - pixels[row], channels[row + 1] - channels[row])
        order, pixel, channel = np.unravel_index(index, shape)
        return order, pixel + pixels[row], channel + channels[row]

    def tile_sizes(self, pixel: Ints, channel: Ints) -> list[Ints]:
        """Tile sizes of the given options along ``pipeline.AXES``."""
        space = self.space
        return [axis[pixel] for axis in space.pixels.sizes] + [axis[channel] for axis in space.channels.sizes]

    def timing(self, rows: Ints, order: Ints, pixel: Ints, channel: Ints) -> Timing:
        """Play the given tilings of problems *rows*."""
        sizes = np.stack(self.tile_sizes(pixel, channel))
        return play(Points(self.space.work.take(rows), order, sizes), self.flow, self.machine)

    def accesses(self, rows: Any, pixel: Any, channel: Any) -> Accesses:
        """Accesses of whole layers with the given options."""
        if self.flow.least_accesses is None:
            return self._least_accesses(rows, pixel, channel)
        return self._summed_accesses(rows, pixel, channel)

    def _summed_accesses(self, rows: Ints, pixel: Ints, channel: Ints) -> Accesses:
        """Sum the accesses of the different tiles of each tiling."""
        flow, machine = self.flow, self.machine
        tiles = list(self.space.tiles(pixel, channel))
        owner, count, sizes = (np.concatenate(part, axis=-1) for part in zip(*tiles, strict=True))
        problem = self.space.work.take(rows[owner])
        n, y, x, g, k, c = sizes
        pixel_terms = [term * 1.0 for term in flow.pixel_terms(problem, n, y, x, machine)]
        channel_terms = [term * 1.0 for term in flow.channel_terms(problem, g, k, c, machine)]
        of_a_tile = flow.accesses(problem, pixel_terms, channel_terms, np.zeros(len(owner)), machine)
        words: list[Any] = [np.bincount(owner, part * count, len(rows)) for part in of_a_tile]
        sums = Accesses(*words)
        whole = self.space.work.take(rows)
        started = whole.g * whole.k * whole.pixels
        return sums._replace(buffer_psums_read=sums.buffer_psums_read - started)

    def _least_accesses(self, rows: Any, pixel: Any, channel: Any) -> Accesses:
        """Accesses that those of whole layers are never below; *pixel* and *channel* broadcast."""
        problem = self.space.work.take(rows)
        outputs = (problem.g * problem.k * problem.pixels).astype(np.float64)
        by_pixel = [term[pixel] for term in self.terms.pixel_terms]
        by_channel = [term[channel] for term in self.terms.channel_terms]
        accesses = self.flow.least_accesses or self.flow.accesses
        return accesses(problem, by_pixel, by_channel, outputs, self.machine)

    def _objective_bounds(self, row: int) -> Matrix:
        """Lower bounds on the objective of every tiling of problem *row*; inf where one is excluded."""
        cycles, excluded = self.terms.cycles(row), self.space.traffic(row)[1]
        if self.machine.objective == "latency":
            cycles += excluded
            return cycles
        pixels, channels = self.space.part(row)
        order, pixel, channel = np.ix_(
            np.arange(len(ORDERS)),
            np.arange(pixels.start, pixels.stop),
            np.arange(channels.start, channels.stop),
        )
        rows = np.full((1, 1, 1), row)
        energy = self._energy(
            rows,
            cycles.astype(np.float64),
            self._least_accesses(rows, pixel, channel),
            dram_bits(self.space, rows, order, pixel, channel),
        )
        value = energy * cycles if self.machine.objective == "edp" else energy
        return (value * (1 - 1e-6)).astype(np.float32) + excluded

    def _energy(self, rows: Ints, cycles: Any, accesses: Accesses, bits: tuple[Ints, ...]) -> Floats:
        inputs, weights, outputs, psums = (part.astype(np.float64) for part in bits)
        parts = layer_energy(
            self.space.work.take(rows),
            accesses,
            self.executed[rows],
            inputs + weights + psums / 2,
            outputs + psums / 2,
            cycles,
            self.machine,
        )
        return parts.total

    def _value(self, rows: Ints, cycles: Ints, pixel: Ints, channel: Ints, bits: tuple[Ints, ...]) -> Floats:
        if self.machine.objective == "latency":
            return cycles.astype(np.float64)
        energy = self._energy(rows, cycles, self.accesses(rows, pixel, channel), bits)
        return energy * cycles if self.machine.objective == "edp" else energy
