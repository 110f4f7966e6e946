"""The tilings of one dataflow: bounds on their objective in any view, and candidates, single tilings with theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.bounds import FlowBounds, Products, Space, View
from squeezesim.cost.dataflow.base import Accesses, Dataflow
from squeezesim.cost.energy import LevelBits, layer_energy, leakage, level_bits
from squeezesim.cost.mapspace import ORDERS
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.cost.rates import Rates

# A transfer may take 1e-12 less than its volume (``schedule``), and sums of a dozen non-negative terms are rounded by
# some 1e-15; a bound is lowered by more than that.
MARGIN = 1 - 1e-11
_ENERGY_MARGIN = 1 - 1e-10
_ROUNDING = 1e-13  # of the magnitudes that a sum with negative parts is made of


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
        self._priced: tuple[Rates, Products] | None = None
        self._limited = bool(np.isfinite(machine.buffer_bits_per_cycle))
        self._looks_at_levels = self.objective != "latency" or self._limited

    def bound(self, view: View, ideal: Rates, room: Any = None) -> tuple[Floats, Floats]:
        """Lower bounds on the objective of the tilings of a view on the only machine of *ideal*, and their traffic.

        Both are for the best loop order, the bounds inf where a tiling does not fit *room*, by default the machine's.
        """
        space = self.space
        footprint, traffic, alone = space.volumes(view)
        per_bit = cycles_per_bit(ideal)[0]
        array = self.bounds.array(view)
        if self._limited:
            waiting = view(self._between).max(axis=0) / ideal.buffer_bits_per_cycle[0]
            array = np.maximum(array, waiting)
        result = np.maximum(alone * per_bit + array, traffic * per_bit)
        result += overhead(ideal)[0]
        result *= MARGIN
        if self.objective != "latency":
            energy = view(self._energy(ideal)).max(axis=0) + leakage(result, ideal)
            energy = (energy + traffic * _of_a_bit(ideal)) * _ENERGY_MARGIN
            result = energy * result if self.objective == "edp" else energy
        room = ideal.buffer_bits[0] - space.machine.weights_bits if room is None else room
        result[footprint > room] = np.inf
        return result, traffic

    def candidates(self, row: Ints, pixel: Ints, channel: Ints) -> Candidates:
        """Return the tilings with the given options under every loop order that is allowed."""
        space = self.space
        n, y, x, g, k, _ = space.tile_sizes(pixel, channel)
        view = space.pairs(pixel, channel)
        alone = view(space.startup)
        footprint = space.footprint(pixel, channel)
        array, last_tile = self.bounds.array(view), self.bounds.last_tile(row, pixel, channel)
        last_store = (n * y * x * g * k * space.widest_sums[row]) * 1.0
        order = np.tile(np.arange(len(ORDERS)), len(row))
        of = np.repeat(np.arange(len(row)), len(ORDERS))
        kept = np.flatnonzero(space.allowed(order, pixel[of], channel[of]))
        order, of = order[kept], of[kept]
        row, pixel, channel, alone = row[of], pixel[of], channel[of], alone[of]
        if space.exposed is not None:
            alone = alone + view(space.exposed)[order, of]
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
            return self._least_accesses(self.space.pixels.owner[pixel], pixel, channel)[0]
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

    def _least_accesses(self, row: Ints, pixel: Ints, channel: Ints) -> Sequence[Accesses]:
        """Alternatives, none of which the accesses of whole layers are ever below."""
        problem = self.space.work.take(row)
        outputs = (problem.g * problem.k * problem.pixels).astype(np.float64)
        by_pixel, by_channel = self.bounds.pixel_terms[:, pixel], self.bounds.channel_terms[:, channel]
        return self._of_terms(problem, by_pixel, by_channel, outputs)

    def _of_terms(
        self, problem: Workload, by_pixel: Any, by_channel: Any, started: Any
    ) -> Sequence[Accesses]:
        arguments = problem, list(by_pixel), list(by_channel), started, self.space.machine
        if self.flow.least_accesses is None:
            return [self.flow.accesses(*arguments)]
        return self.flow.least_accesses(*arguments)

    def _least_levels(self, row: Ints, pixel: Ints, channel: Ints) -> LevelBits:
        work = self.space.work.take(row)
        levels = [level_bits(work, accesses) for accesses in self._least_accesses(row, pixel, channel)]
        return LevelBits(*(reduce(np.maximum, each) for each in zip(*levels, strict=True)))

    @cached_property
    def _between(self) -> Products:
        """Bits between buffer and array at least, one quantity for each alternative."""
        return self._linear(lambda _, bits: bits.between, 0.0)

    def _energy(self, ideal: Rates) -> Products:
        """Energy at least of MACs and on the array, at the prices of *ideal*, one quantity for each alternative."""
        if self._priced is None or self._priced[0] is not ideal:

            def energy(work: Workload, bits: LevelBits, executed: Any = 0.0) -> Any:
                return layer_energy(work, bits, executed, 0.0, 0.0, 0.0, ideal).total

            macs = energy(self.space.work, LevelBits(0.0, 0.0, 0.0, 0.0), self.executed)
            self._priced = ideal, self._linear(energy, macs)
        return self._priced[1]

    def _linear(self, value: Callable[[Workload, LevelBits], Any], beside: Any) -> Products:
        """A value that is linear in the bits at each level, and *beside* it a number of each problem, as products.

        Accesses are linear in the channel terms: their factors are the accesses of a term of 1, the others 0. Where one
        is negative, it is made to stand beside what its term lacks to the largest of the problem.
        """
        space, terms = self.space, self.bounds.channel_terms
        owner = space.pixels.owner
        work = space.work.take(owner)

        def values(by_channel: Floats, started: Any) -> Floats:
            found = self._of_terms(work, self.bounds.pixel_terms, by_channel, started)
            every = [np.broadcast_to(value(work, level_bits(work, each)), owner.shape) for each in found]
            return np.array(every, np.float64)

        factors = np.stack([values(unit, 0.0) for unit in np.eye(len(terms))], axis=1)
        fixed = values(np.zeros(len(terms)), (work.g * work.k * work.pixels) * 1.0)
        most = -space.channels.least(-terms)
        least = np.minimum(factors, 0)
        rounding = _ROUNDING * (np.abs(fixed) + (np.abs(factors) * most[:, owner]).sum(axis=1))
        fixed = fixed + (least * most[:, owner]).sum(axis=1) - rounding
        fixed = fixed + np.broadcast_to(beside, len(space.work))[owner]
        added, taken = ((part != 0).any(axis=(0, 2)) for part in (np.maximum(factors, 0), least))
        lacking = most[taken][:, space.channels.owner] - terms[taken]
        return Products(
            np.concatenate([np.maximum(factors, 0)[:, added], -least[:, taken], fixed[:, None]], axis=1),
            np.concatenate([terms[added], lacking, np.ones((1, terms.shape[1]))]),
        )


def _of_a_bit(rates: Rates) -> Any:
    """Energy at least of a bit between DRAM and buffer."""
    prices = rates.energy
    return prices.dram_per_bit + np.minimum(prices.buffer_read_per_bit, prices.buffer_write_per_bit)


def loaded_and_stored(moved: tuple[Ints, Ints, Ints, Ints]) -> tuple[Floats, Floats]:
    """Bits loaded and stored of ``Space.dram_bits``; partial sums are both, half each."""
    inputs, weights, outputs, psums = (part.astype(np.float64) for part in moved)
    return inputs + weights + psums / 2, outputs + psums / 2
