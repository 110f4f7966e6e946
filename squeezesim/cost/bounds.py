"""Lower bounds on the cycles of every tiling: for each problem and loop order a matrix, pixel × channel options.

    cycles ≥ setup + latency + max(first load + array + last store,
                                   all traffic / bandwidth + what the last tile computes beyond the store beside it)

Both sides are sums of products of a term of the pixel option and a term of the channel option, so that the bounds of
all tilings are a few small matrix products. The last pixel option of a problem is always the whole layer: with it the
loop over pixels disappears, and operands stay that would otherwise be loaded again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

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
# Rounding of float32 sums of a dozen non-negative terms stays below this share; a bound is lowered by it.
_MARGIN = np.float32(1 - 2e-6)


@dataclass(frozen=True, slots=True)
class Products:
    """Σ over j of rows[:, j] · columns[j]: a quantity of every tiling, over the options of all problems.

    ``single`` are the columns for the last pixel option of a problem, where they differ.
    """

    rows: NDArray[Any]
    columns: NDArray[Any]
    single: NDArray[Any] | None = None

    def matrix(self, pixels: slice, channels: slice) -> NDArray[Any]:
        """The quantity for one problem, (pixel options, channel options)."""
        result = self.rows[pixels] @ self.columns[:, channels]
        if self.single is not None:
            result[-1] = self.rows[pixels.stop - 1] @ self.single[:, channels]
        return np.asarray(result)


def _products(rows: Sequence[Any], columns: Sequence[Any], single: Sequence[Any] | None = None) -> Products:
    def stacked(parts: Sequence[Any], axis: int) -> Matrix:
        return np.ascontiguousarray(np.stack(np.broadcast_arrays(*parts), axis=axis), np.float32)

    return Products(stacked(rows, 1), stacked(columns, 0), None if single is None else stacked(single, 0))


class Space:
    """All tilings of all problems on one machine: their options, footprints, traffic and start-up."""

    def __init__(self, work: Workload, machine: Machine) -> None:
        self.work, self.machine = work, machine
        self.pixels: Options = pixel_options(work, machine)
        self.channels: Options = channel_options(work, machine)
        self.inputs: InputTraffic = input_traffic(work, self.pixels, machine)
        self.by_pixel, self.by_channel = work.take(self.pixels.owner), work.take(self.channels.owner)
        self._footprint = self._footprints()
        self._traffic = [self._traffic_of(order, (True, True, True)) for order in ORDERS]
        double = (machine.double_inputs, machine.double_weights, machine.double_outputs)
        exposed = (not double[0], not double[1], not double[2])
        self._exposed = [self._traffic_of(order, exposed) for order in ORDERS] if any(exposed) else None
        self.startup_rows, self.startup_columns = self._startup(double)
        self._shared: dict[int, tuple[Matrix, Matrix]] = {}

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

    def footprint(self, row: int) -> Floats:
        """Buffer bits of every tiling: each operand's tile, twice where it is double-buffered and changes."""
        return self._footprint.matrix(*self.part(row))

    def traffic(self, row: int) -> tuple[Matrix, Matrix]:
        """Traffic in cycles of the DMA, (orders, pixel options, channel options), and what excludes a tiling.

        The second is inf where a tiling does not fit the buffer or is the same under an earlier order, 0 elsewhere.
        """
        if row not in self._shared:
            pixels, channels = self.part(row)
            cycles = np.stack([products.matrix(pixels, channels) for products in self._traffic])
            excluded = np.zeros_like(cycles)
            excluded[:, self.footprint(row) > self.machine.buffer_bits - self.machine.weights_bits] = np.inf
            cut_k, cut_c = self.channels.tiles.b[channels] > 1, self.channels.tiles.c[channels] > 1
            excluded[ORDERS.index("PCK")][:, ~(cut_k & cut_c)] = np.inf
            excluded[ORDERS.index("KCP")][:, ~(cut_k | cut_c)] = np.inf
            excluded[ORDERS.index("KCP"), -1] = np.inf
            if self.machine.weights_bits:
                self._exclude_kept_weights(excluded, channels, ~(cut_k | cut_c))
            self._shared[row] = cycles, excluded
        return self._shared[row]

    def _exclude_kept_weights(self, excluded: Matrix, channels: slice, uncut: Bools) -> None:
        """Exclude what keeps weights for several tiles of pixels that their part of the buffer cannot hold."""
        g, k, c = (size[channels] for size in self.channels.sizes)
        work = self.by_channel.take(channels)
        large = g * k * c * work.taps * work.weight_bits > self.machine.weights_bits
        excluded[ORDERS.index("KCP")][:, large] = np.inf
        excluded[:, :-1, large & uncut] = np.inf

    def exposed(self, row: int, order: int) -> Matrix | float:
        """Cycles of the transfers that nothing overlaps, those of single-buffered operands."""
        return 0.0 if self._exposed is None else self._exposed[order].matrix(*self.part(row))

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
        ]
        several = [g * c * (1 + machine.double_inputs), g * k * (1 + machine.double_outputs), weights]
        single = [
            g * c * (1 + (machine.double_inputs & cut_inputs)),
            g * k * (1 + (machine.double_outputs & cut_outputs)),
            weights,
        ]
        return Products(
            np.stack([*rows, np.ones_like(rows[0])], axis=1).astype(np.float64),
            np.stack(several).astype(np.float64),
            np.stack(single).astype(np.float64),
        )

    def _traffic_of(self, order: str, operands: tuple[bool, bool, bool]) -> Products:
        """DMA cycles of the named operands (inputs, weights, outputs) under a loop order; see ``tiling`` for why."""
        tiles, work = self.channels.tiles, self.by_channel
        cut_k, cut_c = tiles.b > 1, tiles.c > 1
        tiles_k = tiles.b.astype(np.float64)
        per_cycle = 8 * self.machine.dram_bytes_per_cycle
        count, channels = (
            self.pixels.count.astype(np.float64),
            (self.by_pixel.g * self.by_pixel.c).astype(np.float64),
        )
        inputs = self.inputs.total * channels * (self.by_pixel.activation_bits / per_cycle)
        weights = work.weights * (work.weight_bits / per_cycle)
        outputs = work.g * work.k * work.pixels * (work.activation_bits / per_cycle)
        spill = 2.0 * (tiles.c - 1) * work.g * work.k * work.pixels * (work.accumulator_bits / per_cycle)
        again = np.where(cut_c, tiles_k, 1.0)
        nothing = np.zeros_like(again)
        with_inputs, with_weights, with_outputs = operands
        rows = [inputs * with_inputs, count * with_weights, np.ones_like(count)]
        if order == "KCP":
            fixed = weights * with_weights
            return _products(
                rows,
                [tiles_k, nothing, fixed + (outputs + spill) * with_outputs],
                [again, nothing, fixed + outputs * with_outputs],
            )
        reloaded = cut_k | cut_c
        stored = outputs + (spill * cut_k if order == "PCK" else nothing)
        factor = again if order == "PKC" else np.ones_like(again)
        fixed = weights * ~reloaded * with_weights
        return _products(rows, [factor, weights * reloaded, fixed + stored * with_outputs])

    def _startup(self, operands: tuple[bool, bool, bool]) -> tuple[list[Floats], list[Floats]]:
        """DMA cycles of the first load and the last store of the named operands, as terms to multiply and add."""
        per_cycle = 8 * self.machine.dram_bytes_per_cycle
        g, k, c = self.channels.sizes
        last_pixels, last_channels = self.pixels.last(), self.channels.last()
        pixels_last = last_pixels.a * last_pixels.b * last_pixels.c
        tile_weights = g * k * c * self.by_channel.taps * self.by_channel.weight_bits
        scale = self.by_pixel.activation_bits / per_cycle
        with_inputs, with_weights, with_outputs = operands
        return (
            [
                self.inputs.first * scale * with_inputs,
                np.ones(len(scale)),
                pixels_last * scale * with_outputs,
            ],
            [
                (g * c).astype(np.float64),
                tile_weights * (with_weights / per_cycle),
                (last_channels.a * last_channels.b).astype(np.float64),
            ],
        )


class FlowBounds:
    """Bounds of all problems for one dataflow."""

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
            self._sides.append(_products([*rows, *space.startup_rows], [*columns, *space.startup_columns]))
        self._last = self._last_step(flow)
        self._constant = np.float32(machine.setup + 3 * machine.dram_latency)

    def floor(self) -> Floats:
        """Lower bound on the cycles of each problem's best tiling: every term at its least over the options."""
        pixels, channels = self.space.pixels.offsets[:-1], self.space.channels.offsets[:-1]
        sides = [
            np.einsum(
                "pj,jp->p",
                np.minimum.reduceat(side.rows, pixels, axis=0),
                np.minimum.reduceat(side.columns, channels, axis=1),
            )
            for side in self._sides
        ]
        return np.asarray((np.max(sides, axis=0) + self._constant) * _MARGIN)

    def _last_step(self, flow: Dataflow) -> Products:
        """Array cycles of the last tile less the longest store that can run beside it."""
        space, machine = self.space, self.space.machine
        pixel = flow.pixel_terms(space.by_pixel, *space.pixels.last(), machine)
        channel = flow.channel_terms(space.by_channel, *space.channels.last(), machine)
        rows, columns = zip(*flow.bounds(pixel, channel)[0], strict=True)
        bits = np.maximum(space.by_pixel.activation_bits, space.by_pixel.accumulator_bits)
        n, y, x = space.pixels.sizes
        g, k, _ = space.channels.sizes
        store = n * y * x * (bits / (-8 * machine.dram_bytes_per_cycle))
        return _products([*rows, store, -np.ones_like(store)], [*columns, g * k, np.ones_like(g)])

    def cycles(self, row: int) -> Matrix:
        """Lower bounds on the cycles of problem *row*, (orders, pixel options, channel options)."""
        pixels, channels = self.space.part(row)
        compute = self._sides[0].matrix(pixels, channels)
        for side in self._sides[1:]:
            np.maximum(compute, side.matrix(pixels, channels), out=compute)
        beyond = self._last.matrix(pixels, channels)
        np.maximum(beyond, 0, out=beyond)
        result = self.space.traffic(row)[0] + beyond
        for order in range(len(ORDERS)):
            np.maximum(result[order], compute + self.space.exposed(row, order), out=result[order])
        result += self._constant
        result *= _MARGIN
        return np.asarray(result)
