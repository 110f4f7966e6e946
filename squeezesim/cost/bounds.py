"""Lower bounds on what every tiling costs, before any is played.

    cycles ≥ setup + latency + max(first load + array + last store,
                                   all traffic / bandwidth + what the last tile computes beyond the store beside it)

Both sides are sums of products of a term of the pixel option and a term of the channel option, so that those of all
tilings of a problem are a few small matrix products, (pixel options, channel options). Volumes are in bits: divided by
a machine's bandwidth they serve every machine of a family. A matrix takes the loop order with the least traffic; the
bounds of single tilings know their order. The last pixel option of a problem is always the whole layer: with it the
loop over pixels disappears, and operands stay that would otherwise be loaded again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.dataflow.base import Dataflow
from squeezesim.cost.machine import Machine
from squeezesim.cost.tiling import (
    ORDERS,
    InputTraffic,
    Options,
    channel_options,
    input_traffic,
    pixel_options,
)
from squeezesim.cost.workload import Bools, Floats, Ints, Workload

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Products:
    """Σ over j of rows[:, j] · columns[j]: a quantity of every tiling, over the options of all problems.

    ``single`` are the columns for the last pixel option of a problem, where they differ. Several quantities have an
    axis of their own before the others.
    """

    rows: Floats
    columns: Floats
    single: Floats | None = None

    @classmethod
    def of(cls, rows: Sequence[Any], columns: Sequence[Any], single: Sequence[Any] | None = None) -> Products:
        """Stack the terms, one array over the options for each j."""

        def stacked(parts: Sequence[Any], axis: int) -> Floats:
            return np.ascontiguousarray(np.stack(np.broadcast_arrays(*parts), axis=axis), np.float64)

        return cls(stacked(rows, 1), stacked(columns, 0), None if single is None else stacked(single, 0))

    @classmethod
    def narrow(cls, products: Sequence[Products]) -> Products:
        """Return several quantities at once, in float32; all are sums of as many products."""
        differ = any(one.single is not None for one in products)
        single = [one.columns if one.single is None else one.single for one in products] if differ else None
        return cls(
            np.array([one.rows for one in products], np.float32),
            np.array([one.columns for one in products], np.float32),
            None if single is None else np.array(single, np.float32),
        )

    def matrix(self, pixels: slice, channels: slice) -> NDArray[Any]:
        """The quantity for one problem, (pixel options, channel options)."""
        rows = self.rows[..., pixels, :]
        result = rows @ self.columns[..., channels]
        if self.single is not None:
            result[..., -1:, :] = rows[..., -1:, :] @ self.single[..., channels]
        return np.asarray(result)

    def at(self, pixel: Ints, channel: Ints, last: Bools) -> Floats:
        """The quantity of single tilings; *last*: the pixel option is the last one of its problem."""
        columns = self.columns.take(channel, axis=1)
        if self.single is not None and last.any():
            columns[:, last] = self.single.take(channel[last], axis=1)
        return np.asarray(np.einsum("nj,jn->n", self.rows[pixel], columns))


class Volumes(NamedTuple):
    """Bits of every tiling of a problem, (pixel options, channel options)."""

    footprint: Floats  # inf where no loop order is allowed
    traffic: Matrix  # under the loop order with the least
    alone: Matrix  # moved while the array waits: the first load, the last store, single-buffered transfers


class Space:
    """All tilings of all problems for one family of machines: their options, footprints and traffic."""

    def __init__(self, work: Workload, machine: Machine) -> None:
        self.work, self.machine = work, machine
        self.pixels: Options = pixel_options(work, machine)
        self.channels: Options = channel_options(work, machine)
        self.inputs: InputTraffic = input_traffic(work, self.pixels, machine)
        self.by_pixel, self.by_channel = work.take(self.pixels.owner), work.take(self.channels.owner)
        self.last_pixel = np.zeros(len(self.pixels.owner), np.bool_)
        self.last_pixel[self.pixels.offsets[1:] - 1] = True
        double = (machine.double_inputs, machine.double_weights, machine.double_outputs)
        single = (not double[0], not double[1], not double[2])
        # What is single-buffered is all moved while the array waits, the first load and the last store among it.
        self.exposed = [self._traffic_of(order, single) for order in ORDERS] if any(single) else None
        self.startup = self._startup(double)
        self._footprint = self._footprints()
        traffic = [self._traffic_of(order, (True, True, True)) for order in ORDERS]
        self._moved = Products.narrow([self.startup, *traffic, *(self.exposed or ())])
        self.widest_sums = np.maximum(work.activation_bits, work.accumulator_bits)
        self._volumes: dict[int, Volumes] = {}

    def part(self, row: int) -> tuple[slice, slice]:
        """The pixel and the channel options of problem *row*."""
        pixels, channels = self.pixels.offsets, self.channels.offsets
        return slice(int(pixels[row]), int(pixels[row + 1])), slice(
            int(channels[row]), int(channels[row + 1])
        )

    def tiles(self, pixel: Ints, channel: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
        """Different tiles of the tilings: the tiling of each, how many there are, sizes along (n, y, x, g, k, c)."""
        for pixels, outer in self.pixels.corners(pixel):
            for channels, inner in self.channels.corners(channel):
                count = (pixels * channels).astype(np.int64)
                owner = np.flatnonzero(count)
                yield owner, count[owner], np.stack([size[owner] for size in (*outer, *inner)])

    def tile_sizes(self, pixel: Ints, channel: Ints) -> Ints:
        """Tile sizes of the given options along ``steps.AXES``."""
        sizes = [axis[pixel] for axis in self.pixels.sizes] + [axis[channel] for axis in self.channels.sizes]
        return np.stack(sizes)

    def volumes(self, row: int) -> Volumes:
        """Bits of every tiling of problem *row*."""
        if row not in self._volumes:
            pixels, channels = self.part(row)
            moved = self._moved.matrix(pixels, channels)
            alone, traffic, exposed = np.split(moved, [1, 1 + len(ORDERS)])
            alone = alone[0].copy() if self.exposed is None else alone[0] + exposed.min(axis=0)
            footprint = self._footprint.matrix(pixels, channels)
            if self.machine.weights_bits:
                footprint[:-1, self._kept(slice(channels.start, channels.stop))] = np.inf
            self._volumes[row] = Volumes(footprint, traffic.min(axis=0), alone)
        return self._volumes[row]

    def footprint(self, pixel: Ints, channel: Ints) -> Floats:
        """Buffer bits of single tilings: each operand's tile, twice where it is double-buffered and changes."""
        return self._footprint.at(pixel, channel, self.last_pixel[pixel])

    def allowed(self, order: Ints, pixel: Ints, channel: Ints) -> Bools:
        """Whether a tiling is not the same under an earlier order, and keeps no weights that find no room."""
        cut_k, cut_c = self.channels.tiles.b[channel] > 1, self.channels.tiles.c[channel] > 1
        last = self.last_pixel[pixel]
        inner_k, inner_pixels = order == ORDERS.index("PCK"), order == ORDERS.index("KCP")
        allowed = np.where(inner_k, cut_k & cut_c, ~inner_pixels | ((cut_k | cut_c) & ~last))
        if self.machine.weights_bits:
            large = self._large(channel)
            allowed &= ~((inner_pixels & large) | (self._kept(channel) & ~last))
        return np.asarray(allowed)

    def dram_bits(self, order: Ints, pixel: Ints, channel: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Bits of inputs, weights, finished outputs and spilled partial sums that tilings move, exactly.

        The spilled ones are stored and loaded, half each.
        """
        work, row = self.work, self.pixels.owner[pixel]
        tiles = self.pixels.count[pixel]
        tk, tc = self.channels.tiles.b[channel], self.channels.tiles.c[channel]
        several = tiles > 1
        inner_k, inner_pixels = order == ORDERS.index("PCK"), order == ORDERS.index("KCP")
        again = np.where(inner_pixels, several | (tc > 1), (tc > 1) & ~inner_k)
        inputs = self.inputs.total[pixel] * (work.g * work.c * work.activation_bits)[row]
        weights = (work.weights * work.weight_bits)[row]
        outputs = work.g * work.k * work.pixels
        spills = np.where(inner_pixels, several, inner_k & (tk > 1))
        return (
            inputs * np.where(again, tk, 1),
            weights * np.where(~inner_pixels & ((tk > 1) | (tc > 1)), tiles, 1),
            (outputs * work.activation_bits)[row],
            np.where(spills, 2 * (tc - 1), 0) * (outputs * work.accumulator_bits)[row],
        )

    def _large(self, channel: Ints | slice) -> Bools:
        """Whether the weights of a tile are more than their part of the buffer holds."""
        g, k, c = (size[channel] for size in self.channels.sizes)
        work = self.by_channel.take(channel)
        return np.asarray(g * k * c * work.taps * work.weight_bits > self.machine.weights_bits)

    def _kept(self, channel: Ints | slice) -> Bools:
        """Whether large weights would have to stay for all tiles of pixels: no order allows that."""
        tiles = self.channels.tiles
        return np.asarray(self._large(channel) & (tiles.b[channel] == 1) & (tiles.c[channel] == 1))

    def _footprints(self) -> Products:
        machine, tiles, work = self.machine, self.channels.tiles, self.by_channel
        g, k, c = self.channels.sizes
        cut_inputs, cut_outputs = (tiles.a > 1) | (tiles.c > 1), (tiles.a > 1) | (tiles.b > 1)
        weights = (
            g
            * k
            * c
            * work.taps
            * work.weight_bits
            * (1 + (machine.double_weights & (cut_inputs | cut_outputs)))
            * (machine.weights_bits == 0)
        )
        n, y, x = self.pixels.sizes
        rows = [
            self.inputs.largest * self.by_pixel.activation_bits,
            n * y * x * self.by_pixel.accumulator_bits,
            np.ones_like(n),
        ]
        several = [g * c * (1 + machine.double_inputs), g * k * (1 + machine.double_outputs), weights]
        single = [
            g * c * (1 + (machine.double_inputs & cut_inputs)),
            g * k * (1 + (machine.double_outputs & cut_outputs)),
            weights,
        ]
        return Products.of(rows, several, single)

    def _traffic_of(self, order: str, operands: tuple[bool, bool, bool]) -> Products:
        """Bits of the named operands (inputs, weights, outputs) under a loop order; see ``tiling`` for why."""
        tiles, work = self.channels.tiles, self.by_channel
        cut_k, cut_c = tiles.b > 1, tiles.c > 1
        tiles_k = tiles.b.astype(np.float64)
        count, channels = (
            self.pixels.count.astype(np.float64),
            (self.by_pixel.g * self.by_pixel.c).astype(np.float64),
        )
        inputs = self.inputs.total * channels * self.by_pixel.activation_bits
        weights = (work.weights * work.weight_bits).astype(np.float64)
        outputs = (work.g * work.k * work.pixels * work.activation_bits).astype(np.float64)
        spill = 2.0 * (tiles.c - 1) * work.g * work.k * work.pixels * work.accumulator_bits
        again = np.where(cut_c, tiles_k, 1.0)
        nothing = np.zeros_like(again)
        with_inputs, with_weights, with_outputs = operands
        rows = [inputs * with_inputs, count * with_weights, np.ones_like(count)]
        if order == "KCP":
            fixed = weights * with_weights
            return Products.of(
                rows,
                [tiles_k, nothing, fixed + (outputs + spill) * with_outputs],
                [again, nothing, fixed + outputs * with_outputs],
            )
        reloaded = cut_k | cut_c
        stored = outputs + (spill * cut_k if order == "PCK" else nothing)
        factor = again if order == "PKC" else np.ones_like(again)
        fixed = weights * ~reloaded * with_weights
        return Products.of(rows, [factor, weights * reloaded, fixed + stored * with_outputs])

    def _startup(self, operands: tuple[bool, bool, bool]) -> Products:
        """Bits of the first load and the last store of the named operands."""
        g, k, c = self.channels.sizes
        last_pixels, last_channels = self.pixels.last, self.channels.last
        pixels_last = last_pixels.a * last_pixels.b * last_pixels.c
        tile_weights = g * k * c * self.by_channel.taps * self.by_channel.weight_bits
        bits = self.by_pixel.activation_bits
        with_inputs, with_weights, with_outputs = operands
        return Products.of(
            [self.inputs.first * bits * with_inputs, np.ones(len(bits)), pixels_last * bits * with_outputs],
            [g * c, tile_weights * with_weights, last_channels.a * last_channels.b],
        )


class FlowBounds:
    """Array cycles that no tiling of a dataflow is below, and terms for the accesses of whole layers."""

    def __init__(self, space: Space, flow: Dataflow) -> None:
        machine = space.machine
        self.space = space
        self.pixel_terms: list[Floats] = space.pixels.total(
            lambda n, y, x: flow.pixel_terms(space.by_pixel, n, y, x, machine)
        )
        self.channel_terms: list[Floats] = space.channels.total(
            lambda g, k, c: flow.channel_terms(space.by_channel, g, k, c, machine)
        )
        self._sides = []
        for alternative in flow.bounds(self.pixel_terms, self.channel_terms):
            rows, columns = zip(*alternative, strict=True)
            self._sides.append(Products.of(rows, columns))
        self._narrow = [Products.narrow([side]) for side in self._sides]
        pixel = flow.pixel_terms(space.by_pixel, *space.pixels.last, machine)
        channel = flow.channel_terms(space.by_channel, *space.channels.last, machine)
        self._last = Products.of(*zip(*flow.bounds(pixel, channel)[0], strict=True))
        self._known: dict[int, Matrix] = {}

    def floor(self) -> Floats:
        """Lower bound on the array cycles of each problem: every term at its least over the options."""
        pixels, channels = self.space.pixels.offsets[:-1], self.space.channels.offsets[:-1]
        sides = [
            np.einsum(
                "pj,jp->p",
                np.minimum.reduceat(side.rows, pixels, axis=0),
                np.minimum.reduceat(side.columns, channels, axis=1),
            )
            for side in self._sides
        ]
        return np.asarray(np.max(sides, axis=0), np.float64)

    def array(self, row: int) -> Matrix:
        """Array cycles that no tiling of problem *row* is below, (pixel options, channel options)."""
        if row not in self._known:
            pixels, channels = self.space.part(row)
            (cycles,), *others = (side.matrix(pixels, channels) for side in self._narrow)
            for other in others:
                np.maximum(cycles, other[0], out=cycles)
            self._known[row] = cycles
        return self._known[row]

    def array_at(self, pixel: Ints, channel: Ints) -> Floats:
        """The same for single tilings."""
        last = self.space.last_pixel[pixel]
        return np.asarray(np.max([side.at(pixel, channel, last) for side in self._sides], axis=0))

    def last_tile(self, pixel: Ints, channel: Ints) -> Floats:
        """Array cycles that the last tile of single tilings takes at least."""
        return self._last.at(pixel, channel, self.space.last_pixel[pixel])
