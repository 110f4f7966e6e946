"""Candidates: single tilings of one dataflow, with what their bounds on any machine of the family need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.bounds import FlowBounds, Space
from squeezesim.cost.dataflow.base import Accesses, Dataflow
from squeezesim.cost.energy import LevelBits, layer_energy, level_bits
from squeezesim.cost.rates import Rates
from squeezesim.cost.tiling import ORDERS
from squeezesim.cost.workload import Floats, Ints, Workload

# Rounding of float32 sums of a dozen non-negative terms stays below this share; a bound is lowered by it.
MARGIN = 1 - 4e-6
_ENERGY_MARGIN = 1 - 1e-5


class Tilings(NamedTuple):
    """Tilings of the problems of a space, an entry for each.

    ``number`` counts the tilings of a problem by loop order, pixel option and channel option.
    """

    row: Ints  # of the problem
    order: Ints
    pixel: Ints  # index of the pixel option, over all problems
    channel: Ints  # index of the channel option, over all problems
    number: Ints

    def take(self, index: Any) -> Tilings:
        """Return the tilings *index*."""
        return Tilings(*(column[index] for column in self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Tilings with what bounds their cycles and what their energy is made of.

    ``levels`` are there where the objective is not latency alone, and where the buffer can be too slow.
    """

    tilings: Tilings
    footprint: Floats  # bits
    array: Floats  # cycles
    alone: Floats  # bits moved while the array waits
    traffic: Ints  # bits
    last_tile: Floats  # cycles of the array
    last_store: Floats  # bits of the longest store beside the last tile
    executed: Ints  # MACs
    levels: LevelBits | None
    loaded: Floats  # bits
    stored: Floats  # bits

    def __len__(self) -> int:
        return len(self.footprint)

    def cycles(self, rates: Rates) -> Floats:
        """Lower bounds on the cycles on each machine, (machines, tilings)."""
        per_bit, constant = cycles_per_bit(rates)[:, None], overhead(rates)[:, None]
        beyond = np.maximum(self.last_tile - self.last_store * per_bit - 1, 0)
        array: Any = self.array
        if self.levels is not None:
            array = np.maximum(array, self.levels.between / rates.buffer_bits_per_cycle[:, None])
        slower = np.maximum(array + self.alone * per_bit, self.traffic * per_bit + beyond)
        return np.asarray((slower + constant) * MARGIN)

    def values(self, objective: str, work: Workload, rates: Rates) -> Floats:
        """Lower bounds on the objective on each machine, (machines, tilings)."""
        cycles = self.cycles(rates)
        if objective == "latency":
            return cycles
        each = rates.take(np.arange(len(rates))[:, None])
        assert self.levels is not None
        problem = work.take(self.tilings.row)
        energy = layer_energy(
            problem, self.levels, self.executed, self.loaded, self.stored, cycles, each
        ).total
        return np.asarray(energy * (cycles if objective == "edp" else 1.0) * _ENERGY_MARGIN)


def cycles_per_bit(rates: Rates) -> Floats:
    """Cycles of the DMA for a bit."""
    return np.asarray(1 / (8 * rates.dram_bytes_per_cycle))


def overhead(rates: Rates) -> Floats:
    """Cycles of every tiling: set-up, and the latencies of two first loads and the last store."""
    return np.asarray(rates.setup + 3.0 * rates.dram_latency)


class Flow:
    """One dataflow for one family of machines: bounds on all tilings, candidates and their exact accesses."""

    def __init__(self, space: Space, flow: Dataflow) -> None:
        machine = space.machine
        self.space, self.flow = space, flow
        self.objective = machine.objective
        self.bounds = FlowBounds(space, flow)
        skipping = flow.skips_zeros and flow.name in machine.skips_zeros
        work = space.work
        self.executed: Ints = (work.nonzeros if skipping else work.weights) * work.valid
        self._looks_at_levels = self.objective != "latency" or np.isfinite(machine.buffer_bits_per_cycle)
        self._levels: dict[int, LevelBits] = {}

    def floor(self, ideal: Rates) -> Floats:
        """Lower bound on what each problem can reach, from no more than the least value of every term."""
        if self.objective != "latency":
            return np.zeros(len(self.space.work))
        return np.asarray((self.bounds.floor() + overhead(ideal)[0]) * MARGIN)

    def matrix(self, row: int, ideal: Rates) -> Any:
        """Lower bounds on the objective of every tiling of problem *row* on the only machine of *ideal*.

        They are (pixel options, channel options), for the best loop order, and inf where a tiling does not fit.
        """
        volumes = self.space.volumes(row)
        per_bit, constant = np.float32(cycles_per_bit(ideal)[0]), np.float32(overhead(ideal)[0])
        result = volumes.alone * per_bit
        result += self._array(row, ideal)
        np.maximum(result, volumes.traffic * per_bit, out=result)
        result += constant
        result *= np.float32(MARGIN)
        if self.objective != "latency":
            energy = self._least_energy(row, result, ideal)
            result = energy * result if self.objective == "edp" else energy
        result[volumes.footprint > ideal.buffer_bits[0] - self.space.machine.weights_bits] = np.inf
        return result

    def candidates(self, row: Ints, pixel: Ints, channel: Ints) -> Candidates:
        """Return the tilings with the given options under every loop order that is allowed."""
        space = self.space
        last = space.last_pixel[pixel]
        n, y, x, g, k, _ = space.tile_sizes(pixel, channel)
        alone = space.startup.at(pixel, channel, last)
        footprint = space.footprint(pixel, channel)
        array, last_tile = self.bounds.array_at(pixel, channel), self.bounds.last_tile(pixel, channel)
        last_store = (n * y * x * g * k * space.widest_sums[row]) * 1.0
        order = np.tile(np.arange(len(ORDERS)), len(row))
        of = np.repeat(np.arange(len(row)), len(ORDERS))
        kept = np.flatnonzero(space.allowed(order, pixel[of], channel[of]))
        order, of = order[kept], of[kept]
        row, pixel, channel, alone = row[of], pixel[of], channel[of], alone[of]
        if space.exposed is not None:
            exposed = np.stack([products.at(pixel, channel, last[of]) for products in space.exposed])
            alone = alone + exposed[order, np.arange(len(order))]
        moved = space.dram_bits(order, pixel, channel)
        loaded, stored = loaded_and_stored(moved)
        pixels, channels = space.pixels.offsets, space.channels.offsets
        shape = pixels[row + 1] - pixels[row], channels[row + 1] - channels[row]
        number = (order * shape[0] + pixel - pixels[row]) * shape[1] + channel - channels[row]
        return Candidates(
            tilings=Tilings(row, order, pixel, channel, number),
            footprint=footprint[of],
            array=array[of],
            alone=alone,
            traffic=np.sum(moved, axis=0),
            last_tile=last_tile[of],
            last_store=last_store[of],
            executed=self.executed[row],
            levels=self._least_levels(row, pixel, channel) if self._looks_at_levels else None,
            loaded=loaded,
            stored=stored,
        )

    def accesses(self, pixel: Ints, channel: Ints) -> Accesses:
        """Accesses of whole layers with the given options, exactly."""
        if self.flow.least_accesses is None:
            return self._least_accesses(self.space.pixels.owner[pixel], pixel, channel)
        return self._summed_accesses(pixel, channel)

    def _summed_accesses(self, pixel: Ints, channel: Ints) -> Accesses:
        """Sum the accesses of the different tiles of each tiling."""
        flow, machine = self.flow, self.space.machine
        whole = self.space.work.take(self.space.pixels.owner[pixel])
        tiles = list(self.space.tiles(pixel, channel))
        owner, count, sizes = (np.concatenate(part, axis=-1) for part in zip(*tiles, strict=True))
        problem = whole.take(owner)
        n, y, x, g, k, c = sizes
        pixel_terms = [term * 1.0 for term in flow.pixel_terms(problem, n, y, x, machine)]
        channel_terms = [term * 1.0 for term in flow.channel_terms(problem, g, k, c, machine)]
        of_a_tile = flow.accesses(problem, pixel_terms, channel_terms, np.zeros(len(owner)), machine)
        words: list[Any] = [np.bincount(owner, part * count, len(pixel)) for part in of_a_tile]
        sums = Accesses(*words)
        started = whole.g * whole.k * whole.pixels
        return sums._replace(buffer_psums_read=sums.buffer_psums_read - started)

    def _least_accesses(self, row: Any, pixel: Any, channel: Any) -> Accesses:
        """Accesses that those of whole layers are never below; all arguments broadcast."""
        problem = self.space.work.take(row)
        outputs = (problem.g * problem.k * problem.pixels).astype(np.float64)
        by_pixel = [term[pixel] for term in self.bounds.pixel_terms]
        by_channel = [term[channel] for term in self.bounds.channel_terms]
        accesses = self.flow.least_accesses or self.flow.accesses
        return accesses(problem, by_pixel, by_channel, outputs, self.space.machine)

    def _least_levels(self, row: Any, pixel: Any, channel: Any) -> LevelBits:
        return level_bits(self.space.work.take(row), self._least_accesses(row, pixel, channel))

    def _all_levels(self, row: int) -> LevelBits:
        """Bits that every tiling of problem *row* moves at least at each level, (pixel options, channel options)."""
        if row not in self._levels:
            pixels, channels = self.space.part(row)
            pixel, channel = np.ix_(
                np.arange(pixels.start, pixels.stop), np.arange(channels.start, channels.stop)
            )
            self._levels[row] = self._least_levels(np.full((1, 1), row), pixel, channel)
        return self._levels[row]

    def _array(self, row: int, ideal: Rates) -> Any:
        """Cycles of the array that no tiling is below, with the buffer's bandwidth."""
        cycles = self.bounds.array(row)
        if np.isinf(ideal.buffer_bits_per_cycle[0]):
            return cycles
        waiting = self._all_levels(row).between / ideal.buffer_bits_per_cycle[0]
        return np.maximum(cycles, waiting.astype(np.float32))

    def _least_energy(self, row: int, cycles: Any, ideal: Rates) -> Any:
        """Energy that no tiling is below, whatever its loop order."""
        rows, nothing = np.full((1, 1), row), np.zeros((1, 1))
        problem, levels = self.space.work.take(rows), self._all_levels(row)
        within = layer_energy(problem, levels, self.executed[rows], nothing, nothing, cycles, ideal).total
        prices = ideal.energy
        of_a_bit = prices.dram_per_bit + np.minimum(prices.buffer_read_per_bit, prices.buffer_write_per_bit)
        return (within + self.space.volumes(row).traffic * of_a_bit) * _ENERGY_MARGIN


def loaded_and_stored(moved: tuple[Ints, Ints, Ints, Ints]) -> tuple[Floats, Floats]:
    """Bits loaded and stored of ``Space.dram_bits``; partial sums are both, half each."""
    inputs, weights, outputs, psums = (part.astype(np.float64) for part in moved)
    return inputs + weights + psums / 2, outputs + psums / 2
