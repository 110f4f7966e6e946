"""The tilings of one dataflow: bounds on their objective in any view, and candidates, single tilings with theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, reduce
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.array_costs import DataflowCosts
from squeezesim.cost.bounds import ArrayBounds, Space
from squeezesim.cost.dataflow.base import NO_BOUNDS, Dataflow, Tile
from squeezesim.cost.energy import (
    Bits,
    access_bits,
    add_bits,
    buffer_bits,
    layer_energy,
    leakage,
    level_bits,
    total,
    transfer_bits,
)
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.cost.rates import LATENCY, Rates
from squeezesim.cost.rounding import rounded_up
from squeezesim.cost.traffic import ALL_WAIT, LOOPS, ORDER_OF, ORDERS, capacity
from squeezesim.cost.views import Products, View

# A transfer may take 1e-12 less than its volume (``pipeline.transfer_cycles``), and sums of a dozen non-negative terms
# are rounded by some 1e-15; a bound is lowered by more than that.
MARGIN = 1 - 1e-11
_ENERGY_MARGIN = 1 - 1e-10
_INPUTS, _WEIGHTS, _OUTPUTS = range(len(LOOPS))
_SUMMED = 1 << 12  # tilings whose tiles are costed together
_ROUNDING = 1e-13  # of the magnitudes that a sum with negative parts is made of


class Tilings(NamedTuple):
    """Tilings of the problems of a space, an entry for each.

    ``number`` counts the tilings of a problem by mode, pixel option and channel option.
    """

    row: Ints  # of the problem
    mode: Ints  # into ``traffic.MODES``
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
    exposed: Floats  # bits moved while the array waits
    traffic: Ints  # bits
    moving: Floats  # cycles of the DMA at least, if the memory is the fastest of all machines'
    last_tile: Floats  # cycles of the array
    last_store: Floats  # bits of the longest store beside the last tile
    executed: Ints  # MACs
    waits: Floats  # latencies of first loads and the last store
    levels: Bits | None  # of the array
    transfers: Bits  # of the DMA
    # Cycles of the array while the operand that lacks the innermost loop is not moved; its bits, and others waited for.
    apart: Floats | None = None
    beside: Floats | None = None

    def __len__(self) -> int:
        return len(self.footprint)

    def take(self, index: Any) -> Candidates:
        """Return the candidates *index*."""

        def some(value: Any) -> Any:
            if isinstance(value, Tilings):
                return value.take(index)
            if isinstance(value, Mapping):
                return {key: bits[index] for key, bits in value.items()}
            return None if value is None else value[index]

        return Candidates(**{field.name: some(getattr(self, field.name)) for field in fields(self)})

    def cycles(self, rates: Rates) -> Floats:
        """Lower bounds on the cycles on each machine, (machines, tilings)."""
        per_bit = cycles_per_bit(rates)[:, None]
        constant = rates.setup[:, None] + self.waits * rates.latency.min(axis=-1)[:, None]
        # Of several memories the store beside the last tile may take longer than all their ports together would.
        rounded = (self.last_store > 0) * 1.0
        beyond = np.maximum(self.last_tile - self.last_store * per_bit - rounded, 0) * (
            len(rates.memories) == 1
        )
        array: Any = self.array
        if self.levels is not None:
            array = np.maximum(array, buffer_bits(self.levels) / rates.buffer_bits_per_cycle[:, None])
        moving = np.maximum(self.traffic * per_bit, self.moving)
        slower = np.maximum(array + self.exposed * per_bit, moving + beyond)
        if self.apart is not None and self.beside is not None:
            slower = np.maximum(slower, self.apart + self.beside * per_bit)
        if len(rates.memories) > 1:
            for number, name in enumerate(rates.memories):
                moving = self.transfers.get((name, "access"), 0.0) / 8
                slower = np.maximum(slower, moving / rates.bytes_per_cycle[:, number, None])
        return np.asarray((slower + constant) * MARGIN)

    def values(self, objective: str, work: Workload, rates: Rates) -> Floats:
        """Lower bounds on the objective on each machine, (machines, tilings)."""
        cycles = self.cycles(rates)
        if objective == LATENCY:
            return cycles
        columns = rates.take(np.arange(len(rates))[:, None])
        assert self.levels is not None
        problem = work.take(self.tilings.row)
        bits = add_bits(self.levels, self.transfers)
        energy = total(layer_energy(problem, bits, self.executed, cycles, columns))
        return columns.value(cycles, energy * _ENERGY_MARGIN)


def cycles_per_bit(rates: Rates) -> Floats:
    """Cycles of the DMA for a bit, at least: as if the ports of all memories shared it."""
    return np.asarray(1 / (8 * rates.bytes_per_cycle.sum(axis=-1)))


class DataflowBounds(DataflowCosts):
    """One dataflow for one family of machines: bounds on all tilings, and candidates."""

    space: Space
    array: ArrayBounds

    def __init__(self, space: Space, flow: Dataflow) -> None:
        super().__init__(space, flow)
        machine = space.machine
        self.array = ArrayBounds(space, flow)
        self.has_bounds = flow.bounds is not NO_BOUNDS
        self.has_closer = not self.has_bounds or (flow.bounds.tile is not None and machine.chooses_blocks)
        self._rounded: tuple[Rates, Products] | None = None
        # Tilings that were summed last, ascending, and their cycles: most are asked for again.
        self._summed: tuple[Ints, Floats] = (np.array([-1]), np.zeros(1))
        self._limited = bool(np.isfinite(machine.buffer_bits_per_cycle))
        self._looks_at_levels = self.objective != LATENCY or self._limited

    def bound(
        self, view: View, ideal: Rates, room: Any = None, array: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Lower bounds on the objective of the tilings of a view on the only machine of *ideal*, and their traffic.

        Both are for the best mode, the bounds inf where a tiling does not fit *room*, by default the machine's.
        *array* are cycles of the array, by default those that follow from the dataflow's bounds.
        """
        space = self.space
        room = float(capacity(space.machine, ideal)[0]) if room is None else room
        footprint, traffic, exposed, by_port = space.volumes(view, room)
        per_bit = cycles_per_bit(ideal)[0]
        array = self.array.array(view) if array is None else array
        if self._limited:
            waiting = view(self._between).max(axis=0) / ideal.buffer_bits_per_cycle[0]
            array = np.maximum(array, waiting)
        moving = traffic * per_bit
        if len(space.machine.memories) == 1:
            moving = moving + view(self._beyond(ideal))
        result = np.maximum(exposed * per_bit + array, moving)
        for bits, rate in zip(by_port, 8 * ideal.bytes_per_cycle[0], strict=False):
            result = np.maximum(result, bits / rate)
        result += ideal.setup[0] + self.waits.min() * ideal.latency[0].min()
        result *= MARGIN
        if self.objective != LATENCY:
            energy = view(self.energy_forms(ideal)).max(axis=0) + leakage(result, ideal)
            result = ideal.value(result, (energy + traffic * _of_a_bit(ideal)) * _ENERGY_MARGIN)
        result[footprint > room] = np.inf
        return result, traffic

    def candidates(
        self,
        row: Ints,
        pixel: Ints,
        channel: Ints,
        least: float,
        most: float,
        ideal: Rates,
    ) -> Candidates:
        """Return the tilings with the given options in every mode that can be the best on some machine.

        The room of the machines is from *least* to *most* bits; none is better than *ideal*.
        """
        space = self.space
        n, y, x, g, k, _ = space.tile_sizes(pixel, channel)
        view = space.pairs(pixel, channel)
        array = self.array_at_least(pixel, channel, self.array.array(view))
        last_tile = self._last_tile(row, pixel, channel)
        stored = space.pooled.most[pixel] if space.pooled else n * y * x
        last_store = stored * g * k * space.work.output_bits[row]
        startup = view(space.startup)
        alone = len(space.machine.memories) == 1
        beyond = view(self._beyond(ideal)) if alone else np.zeros(len(row))
        index, mode, footprint = space.residency.modes(pixel, channel, least, most)
        row, pixel, channel = row[index], pixel[index], channel[index]
        moved = space.residency.dram_bits(mode, pixel, channel)
        innermost = space.residency.moved_between_rounds(mode, pixel, channel)
        unpacked = space.residency.unpacked_weights(mode, pixel, channel)
        pixels, channels = space.pixels.offsets, space.channels.offsets
        shape = pixels[row + 1] - pixels[row], channels[row + 1] - channels[row]
        number = (mode * shape[0] + pixel - pixels[row]) * shape[1] + channel - channels[row]
        traffic = np.sum(moved, axis=0)
        return Candidates(
            tilings=Tilings(row, mode, pixel, channel, number),
            footprint=footprint,
            array=array[index],
            exposed=self._exposed(mode, startup[:, index], moved),
            traffic=traffic,
            moving=(traffic * cycles_per_bit(ideal)[0] + beyond[index]) * alone,
            last_tile=last_tile[index],
            last_store=last_store[index] * (innermost != _OUTPUTS),
            executed=self.executed[row],
            waits=self.waits[row],
            levels=self._least_levels(row, pixel, channel) if self._looks_at_levels else None,
            transfers=level_bits(
                transfer_bits(space.machine, moved, unpacked, space.added_bits[row], space.unpooled_bits[row])
            ),
        )

    def refined(self, candidates: Candidates) -> Candidates:
        """Return the same with bounds that know beside which tiles an operand is moved.

        One operand lacks the innermost of the loops that iterate. It is loaded beside the last tile of a round of that
        loop, or stored beside the first tile of the next; no other tile waits for it:

            cycles ≥ all of that operand + the first load and the last store of others + array of the other tiles

        What is added to outputs comes with each tile of them, and is not among the inputs here.
        """
        space, tilings = self.space, candidates.tilings
        if not self.has_bounds or len(space.machine.memories) > 1:
            return candidates
        moving = space.residency.moved_between_rounds(tilings.mode, tilings.pixel, tilings.channel)
        inputs, weights, outputs, sums = space.residency.dram_bits(
            tilings.mode, tilings.pixel, tilings.channel
        )
        startup = space.pairs(tilings.pixel, tilings.channel)(space.startup)
        work, beside = space.work.take(tilings.row), np.zeros(len(candidates))
        added = work.second * work.g * work.k * work.pixels
        for number, (operand, every) in enumerate(zip(LOOPS, (inputs, weights, outputs + sums), strict=True)):
            single = ALL_WAIT[operand][tilings.mode] | (not space.machine.double(operand))
            apart = every - added * (number == _INPUTS)
            beside += np.select([single, moving == number], [every, apart], startup[number])
        loads = (moving == _INPUTS) | (moving == _WEIGHTS)
        last = np.where(loads, candidates.last_tile, 0)  # beside which nothing is loaded
        return replace(candidates, apart=self._array_apart(tilings, moving) + last, beside=beside)

    def _array_apart(self, tilings: Tilings, moving: Ints) -> Floats:
        """Array cycles at least of the tiles beside which the operand *moving* of each tiling is not moved."""
        cycles = np.zeros(len(moving))
        for start in range(0, len(moving), _SUMMED):
            part = slice(start, start + _SUMMED)
            owner, count, problem, tile = self._tiles_apart(tilings.take(part), moving[part])
            each = self._tile_at_least(problem, tile)
            cycles[part] = np.bincount(owner, each * count, len(moving[part]))
        return cycles

    def _tiles_apart(self, tilings: Tilings, moving: Ints) -> tuple[Ints, Ints, Workload, Tile]:
        """These tiles: the tiling of each, how many there are, their problems and sizes."""
        in_image = np.not_equal(ORDER_OF[tilings.mode], ORDERS.index("KCP"))  # else after all images
        inner, found = self.space.channels.tiles.c[tilings.channel], []
        for last, owner, count, sizes in self.space.tiles(tilings.pixel, tilings.channel):
            of_n, of_y, of_x, _, of_k, of_c = last
            operand, left = moving[owner], count.copy()
            if of_k:
                left[operand == _INPUTS] = 0
            if of_y and of_x:
                left[(operand == _WEIGHTS) & (of_n | in_image[owner])] = 0
            if not of_c:
                left -= np.where(operand == _OUTPUTS, count // np.maximum(inner[owner] - 1, 1), 0)
            some = np.flatnonzero(left)
            found.append((owner[some], left[some], sizes[:, some]))
        owner, count, sizes = (np.concatenate(part, axis=-1) for part in zip(*found, strict=True))
        return owner, count, self.space.work.take(tilings.row[owner]), Tile(*sizes)

    def energy_at_least(self, candidates: Candidates, which: Ints, cycles: Floats, rates: Rates) -> Floats:
        """Energy at least of candidate ``which[i]`` on machine i of *rates* if it takes ``cycles[i]``."""
        distinct, inverse = np.unique(which, return_inverse=True)
        row, _, pixel, channel, _ = candidates.tilings.take(distinct)
        levels = self._least_levels(row, pixel, channel)
        bits = add_bits(levels, {key: bits[distinct] for key, bits in candidates.transfers.items()})
        of_each = {key: values[inverse] for key, values in bits.items()}
        problem, executed = self.space.work.take(row[inverse]), candidates.executed[which]
        spent = total(layer_energy(problem, of_each, executed, cycles, rates))
        return np.asarray(spent * _ENERGY_MARGIN)

    def _exposed(self, mode: Ints, startup: Floats, moved: Sequence[Ints]) -> Floats:
        """Bits of the first load and the last store, of operands with one slot all that they move."""
        inputs, weights, outputs, sums = moved
        result = np.zeros(len(mode))
        for operand, first, every in zip(LOOPS, startup, (inputs, weights, outputs + sums), strict=True):
            single = ALL_WAIT[operand][mode] | (not self.space.machine.double(operand))
            result += np.where(single, every, first)
        return result

    def array_at_least(self, pixel: Ints, channel: Ints, array: Floats) -> Floats:
        """Array cycles that whole layers with the given options are not below, *array* or what their tiles say.

        Of a dataflow without bounds exactly, from the cost of each different tile. All outputs pass the lanes that do
        what joined the layer.
        """
        work = self.space.work
        if work.post_cycles.any():
            passing = work.g * work.k * work.pixels * 1.0 * work.post_cycles / work.post_outputs
            array = np.maximum(array, passing[self.space.pixels.owner[pixel]] * (1 - 1e-11))
        if not self.has_closer or len(pixel) == 0:
            return array
        number = pixel * len(self.space.channels.owner) + channel
        known, values = self._summed
        at = np.minimum(np.searchsorted(known, number), len(known) - 1)
        cycles, missing = values[at], known[at] != number
        cycles[missing] = self._sum(pixel[missing], channel[missing])
        order = np.argsort(number)
        self._summed = number[order], cycles[order]
        return np.asarray(np.maximum(cycles, array))

    def _sum(self, pixel: Ints, channel: Ints) -> Floats:
        """Array cycles that the tiles of tilings say."""
        cycles = np.empty(len(pixel))
        for start in range(0, len(pixel), _SUMMED):
            part = slice(start, start + _SUMMED)
            owner, count, problem, tile = self._tiles(pixel[part], channel[part])
            closer = self.flow.bounds.tile
            if closer is None:
                each: Any = self.flow.tile_cost(problem, tile, self.space.machine).cycles
            else:
                each = closer(problem, tile, self.space.machine)
            cycles[part] = np.bincount(owner, each * count, len(pixel[part]))
        return cycles

    def _last_tile(self, row: Ints, pixel: Ints, channel: Ints) -> Floats:
        """Array cycles that the last tile of single tilings of problems *row* takes at least."""
        options = self.space.pixels.last, self.space.channels.last
        tile = Tile(*(axis[pixel] for axis in options[0]), *(axis[channel] for axis in options[1]))
        return self._tile_at_least(self.space.work.take(row), tile)

    def _tile_at_least(self, problem: Workload, tile: Tile) -> Floats:
        """Array cycles of single tiles at least; of a dataflow without bounds exactly."""
        bounds, machine = self.flow.bounds, self.space.machine
        if not self.has_bounds:
            return self.flow.tile_cost(problem, tile, machine).cycles * 1.0
        terms = (
            bounds.pixel_terms(problem, tile.n, tile.y, tile.x, machine),
            bounds.channel_terms(problem, tile.g, tile.k, tile.c, machine),
        )
        sums = [reduce(np.add, (a * b for a, b in each)) for each in bounds.cycles(*terms)]
        if self.has_closer and bounds.tile is not None:
            sums.append(bounds.tile(problem, tile, machine))
        return np.asarray(reduce(np.maximum, sums) * 1.0)

    def _least_levels(self, row: Ints, pixel: Ints, channel: Ints) -> Bits:
        """Bits that the array moves at each level in whole layers, at least."""
        work = self.space.work.take(row)
        started = work.g * work.k * work.pixels
        found = self.flow.bounds.accesses(work, *self._terms(pixel, channel), self.space.machine)
        levels = [level_bits(access_bits(work, accesses, started)) for accesses in found]
        keys = {key for level in levels for key in level}
        return {key: reduce(np.maximum, [level.get(key, 0.0) for level in levels]) for key in keys}

    @cached_property
    def _between(self) -> Products:
        """Bits between buffer and array at least, one quantity for each alternative."""
        return self._linear(lambda _, bits: buffer_bits(bits), 0.0)

    def _beyond(self, ideal: Rates) -> Products:
        """Cycles of the DMA that rounding adds at least, at the rate of *ideal*."""
        if self._rounded is None or self._rounded[0] is not ideal:
            self._rounded = ideal, rounded_up(self.space, ideal)
        return self._rounded[1]


def _of_a_bit(rates: Rates) -> Any:
    """Energy at least of a bit between any memory and the buffer."""
    prices = rates.per_bit
    memories = [prices[name, "access"] for name in rates.memories]
    return reduce(np.minimum, memories) + np.minimum(prices["buffer", "read"], prices["buffer", "write"])
