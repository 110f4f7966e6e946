"""Lower bounds on what tilings cost, before any is played.

    cycles ≥ setup + latency + max(first load + array + last store,
                                   all traffic / bandwidth + what the last tile computes beyond the store beside it)

Both sides are sums of products of a term of the pixel option and a term of the channel option, none of them negative.
So a bound can be seen in several ways (``View``): for single tilings; for all tilings of some pixel options and some
channel options, as a small matrix product; and, with the least of each term, for whole sets of tilings at once: all
those of a pixel option, of a channel option, or of a run of each. Volumes are in bits: divided by a machine's bandwidth
they serve every machine of a family. A bound takes the loop order with the least traffic; the bounds of candidates
know their order. The last pixel option of a problem is always the whole layer: with it the loop over pixels
disappears, and operands stay that would otherwise be loaded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Dataflow
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import (
    ORDERS,
    InputTraffic,
    Options,
    channel_options,
    input_traffic,
    pixel_options,
    selection,
)
from squeezesim.cost.problem import Bools, Floats, Ints, Workload

FEW = 1 << 18
"""Bounds that are held at once."""

NEVER = 2.0**200
"""Bits of a tiling that no loop order allows: more than any buffer has."""


@dataclass(frozen=True, slots=True)
class Products:
    """Σ over j of rows[…, j, pixel option] · columns[…, j, channel option]: a quantity of tilings, or several.

    The options are those of all problems, one after the other. ``single`` are the columns for the last pixel option of
    a problem, where they differ. Leading axes, of quantities, broadcast.
    """

    rows: Floats
    columns: Floats
    single: Floats | None = None

    @classmethod
    def of(cls, rows: Sequence[Any], columns: Sequence[Any], single: Sequence[Any] | None = None) -> Products:
        """Stack the terms, one array over the options for each j."""

        def stacked(parts: Sequence[Any]) -> Floats:
            return np.stack(np.broadcast_arrays(*parts)).astype(np.float64)

        return cls(stacked(rows), stacked(columns), None if single is None else stacked(single))

    @classmethod
    def stacked(cls, products: Sequence[Products]) -> Products:
        """Return several quantities, with as many products each as the one with the most."""
        most = max(len(one.rows) for one in products)
        rows = np.zeros((len(products), most, products[0].rows.shape[-1]))
        columns = np.zeros((len(products), most, products[0].columns.shape[-1]))
        for number, one in enumerate(products):
            rows[number, : len(one.rows)], columns[number, : len(one.rows)] = one.rows, one.columns
        return cls(rows, columns)

    def at(self, pixel: Ints, channel: Ints, last: Bools) -> Floats:
        """The quantity of single tilings; *last*: the pixel option is the last one of its problem."""
        every = self.single is not None and bool(last.all())
        columns = (self.single if every else self.columns).take(channel, axis=-1)  # type: ignore[union-attr]
        if self.single is not None and not every and last.any():
            columns[..., last] = self.single[..., channel[last]]
        return np.asarray(np.einsum("...jn,...jn->...n", self.rows.take(pixel, axis=-1), columns))

    def take(self, pixels: Ints, channels: Ints) -> Products:
        """Return the quantity of the given options alone."""
        single = None if self.single is None else self.single.take(channels, axis=-1)
        return Products(self.rows.take(pixels, axis=-1), self.columns.take(channels, axis=-1), single)


View = Callable[[Products], Any]
"""A quantity, or several, → its values for some tilings or what it is at least for some sets of tilings."""


def block(pixels: Ints, channels: Ints) -> View:
    """All tilings of *pixels*, none the last one of its problem, and *channels*: (pixel options, channel options)."""
    return lambda products: (
        products.rows.take(pixels, axis=-1).swapaxes(-1, -2) @ products.columns.take(channels, axis=-1)
    )


def runs(pixels: Ints, rows: Ints, channels: Ints, columns: Ints) -> View:
    """The same at least for runs of options; runs begin at *rows* of *pixels* and at *columns* of *channels*."""

    def view(products: Products) -> Any:
        of_rows = np.minimum.reduceat(products.rows.take(pixels, axis=-1), rows, axis=-1)
        of_columns = np.minimum.reduceat(products.columns.take(channels, axis=-1), columns, axis=-1)
        return of_rows.swapaxes(-1, -2) @ of_columns

    return view


def winners(
    bounds: Callable[[View], tuple[Floats, ...]],
    wanted: Callable[..., Bools],
    pixels: Ints,
    channels: Ints,
) -> Iterator[tuple[Ints, Ints, tuple[Floats, ...]]]:
    """The tilings of *pixels* and *channels* with *wanted* bounds: pixel options, channel options, their bounds.

    Runs of options that have none are left out whole, so that no more than some bounds are held at once; the most
    promising come first. The larger a bound, the less it may be wanted.
    """
    if len(pixels) * len(channels) <= FEW or len(pixels) == 1:
        for start in range(0, len(channels) if len(pixels) else 0, FEW):
            part = channels[start : start + FEW]
            values = bounds(block(pixels, part))
            index = np.nonzero(wanted(*values))
            yield pixels[index[0]], part[index[1]], tuple(value[index] for value in values)
        return
    size = min(int(np.sqrt(len(pixels) * len(channels) / FEW)) + 1, -(-len(pixels) // 2))
    rows = np.arange(0, len(pixels), size)
    width = -(-len(rows) * len(channels) // FEW)
    columns = np.arange(0, len(channels), width)
    found = bounds(runs(pixels, rows, channels, columns))
    for number in found[0].min(axis=1).argsort(kind="stable").tolist():
        # What is wanted may have become less since the run was bounded.
        inside = np.repeat(wanted(*(values[number] for values in found)), width)[: len(channels)]
        yield from winners(bounds, wanted, pixels[rows[number] :][:size], channels[inside])


class Volumes(NamedTuple):
    """Bits of tilings, or the least of sets of tilings."""

    footprint: Floats  # NEVER, or more, where no loop order is allowed
    traffic: Floats  # under the loop order with the least
    alone: Floats  # moved while the array waits: the first load, the last store, single-buffered transfers


class Space:
    """All tilings of all problems for one family of machines: their options, footprints and traffic.

    Options with which no tiling fits a buffer of *room* bits are left out, but for one of each problem. Of a problem
    with more than *most* tilings before that, a selection of the sizes along each axis stands for all of them: an
    eighth as many tilings.
    """

    def __init__(self, work: Workload, machine: Machine, room: float = np.inf, most: float = np.inf) -> None:
        self.work, self.machine = work, machine
        self.pixels: Options = pixel_options(work, machine)
        self.channels: Options = channel_options(work, machine)
        self.inputs: InputTraffic = input_traffic(work, self.pixels, machine)
        self._mark()
        self._footprint = self._footprints()
        last = (self.pixels.offsets[1:] - 1)[self.channels.owner]
        self.whole_footprint = self.footprint(
            last, np.arange(len(last))
        )  # of each channel option with all pixels
        self.least_footprint, *self.smallest = self._least_footprint()
        self._select(most)  # before the room of machines counts: no machine's result depends on the others
        if np.isfinite(room):
            self._narrow(room)
        double = (machine.double_inputs, machine.double_weights, machine.double_outputs)
        single = (not double[0], not double[1], not double[2])
        # What is single-buffered is all moved while the array waits, the first load and the last store among it.
        self.exposed = self._traffic_of(single) if any(single) else None
        self.startup = self._startup(double)
        self._traffic = self._traffic_of((True, True, True))
        self.widest_sums = np.maximum(work.activation_bits, work.accumulator_bits)
        self.whole = np.flatnonzero(self.whole_footprint <= room)
        self.sides: tuple[View, ...] = (self.rows, self.columns, self.wholes)
        self._volumes: dict[View, Volumes] = {}

    def _mark(self) -> None:
        """Find the pixel options that are not the last of their problem, and the channel options beside them."""
        pixels, channels = self.pixels, self.channels
        self.last_pixel = np.zeros(len(pixels.owner), np.bool_)
        self.last_pixel[pixels.offsets[1:] - 1] = True
        self.several = np.flatnonzero(~self.last_pixel)
        counts = np.diff(pixels.offsets) - 1
        cut = np.flatnonzero(counts)  # problems that have such options
        self._starts = np.cumsum(counts[cut]) - counts[cut]
        number = np.cumsum(counts > 0) - 1
        self.beside = np.flatnonzero((counts > 0)[channels.owner])
        self._cut_of = number[channels.owner[self.beside]]

    def _narrow(self, room: float) -> None:
        """Leave out options with which no tiling fits *room*."""
        by_pixel, by_channel = self._least_of_options()
        wanted = by_channel <= room
        wanted[self.channels.first(by_channel)] = True
        self._keep(np.flatnonzero((by_pixel <= room) | self.last_pixel), np.flatnonzero(wanted))

    def _select(self, most: float) -> None:
        """Leave out sizes, evenly on a logarithmic scale, of problems with more than *most* tilings, to an eighth."""
        begins = self.pixels.offsets, self.channels.offsets
        many = np.flatnonzero(np.diff(begins[0]) * np.diff(begins[1]) > most)
        if len(many) == 0:
            return
        kept = [np.ones(len(of.owner), np.bool_) for of in (self.pixels, self.channels)]
        for row in many.tolist():
            parts = [slice(*of[row : row + 2]) for of in begins]
            axes = [
                [axis[part] for axis in of.sizes]
                for of, part in zip((self.pixels, self.channels), parts, strict=True)
            ]
            count = max(len(axis) for side in axes for axis in side)
            while True:
                sides = [
                    np.logical_and.reduce([np.isin(axis, selection(axis, count)) for axis in side])
                    for side in axes
                ]
                if 8 * sides[0].sum() * sides[1].sum() <= most or count <= 2:
                    break
                count = count * 7 // 8
            for mask, part, side in zip(kept, parts, sides, strict=True):
                mask[part] = side
        kept[0] |= self.last_pixel
        for mask, option in zip(kept, self.smallest, strict=True):
            mask[option] = True
        self._keep(*map(np.flatnonzero, kept))

    def _keep(self, pixels: Ints, channels: Ints) -> None:
        """Keep the options *pixels* and *channels*, those of the smallest tilings among them."""
        self.pixels, self.channels = self.pixels.take(pixels), self.channels.take(channels)
        self.whole_footprint = self.whole_footprint[channels]
        self.smallest = [
            np.searchsorted(kept, option)
            for kept, option in zip((pixels, channels), self.smallest, strict=True)
        ]
        self.inputs, self._footprint = self.inputs.take(pixels), self._footprint.take(pixels, channels)
        self._mark()

    def _least_of_options(self) -> tuple[Floats, Floats]:
        """Footprints at least of each pixel option, and of each channel option, whatever the other one is."""
        by_pixel, by_channel = np.empty(len(self.last_pixel)), self.whole_footprint.copy()
        by_pixel[self.last_pixel] = self.channels.least(by_channel)
        if len(self.several):
            by_pixel[self.several] = self.rows(self._footprint)
            by_channel[self.beside] = np.minimum(by_channel[self.beside], self.columns(self._footprint))
        return by_pixel, by_channel

    def rows(self, products: Products) -> Any:
        """A view of ``several`` pixel options, each with any channel option of its problem."""
        least = self.channels.least(products.columns)
        of = least.take(self.pixels.owner[self.several], axis=-1)
        return np.einsum("...jn,...jn->...n", products.rows.take(self.several, axis=-1), of)

    def columns(self, products: Products) -> Any:
        """A view of the channel options ``beside``, each with any of ``several`` pixel options of its problem."""
        least = np.minimum.reduceat(products.rows.take(self.several, axis=-1), self._starts, axis=-1)
        every = len(self.beside) == len(self.channels.owner)
        columns = products.columns if every else products.columns.take(self.beside, axis=-1)
        return np.einsum("...jn,...jn->...n", least.take(self._cut_of, axis=-1), columns)

    def wholes(self, products: Products) -> Any:
        """A view of the last pixel option of each problem with every channel option ``whole``."""
        last = self.pixels.offsets[1:] - 1
        return self.pairs(last[self.channels.owner[self.whole]], self.whole)(products)

    def pairs(self, pixel: Ints, channel: Ints) -> View:
        """A view of single tilings."""
        last = self.last_pixel[pixel]
        return lambda products: products.at(pixel, channel, last)

    def _least_footprint(self) -> tuple[Floats, Ints, Ints]:
        """Bits that each problem needs at its smallest tile, and the options of that tile."""
        by_pixel, by_channel = self._least_of_options()
        pixel = self.pixels.first(by_pixel)
        bits = self.footprint(pixel[self.channels.owner], np.arange(len(by_channel)))
        least, channel = self.channels.least(bits), self.channels.first(bits)
        for row in np.flatnonzero(self.pixels.least(by_pixel) < least).tolist():
            pixels, channels = (
                np.arange(part.start, part.stop)[bound[part] < least[row]]
                for part, bound in zip(self.part(row), (by_pixel, by_channel), strict=True)
            )
            last = pixels[self.last_pixel[pixels]]
            found = winners(
                lambda view: (view(self._footprint),),
                lambda bits: bits < least[row],  # noqa: B023
                pixels[~self.last_pixel[pixels]],
                channels,
            )
            whole = last.repeat(len(channels)), np.tile(channels, len(last))
            for of, beside, (bits,) in [*found, (*whole, (self.footprint(*whole),))]:
                if len(bits) and bits.min() < least[row]:
                    best = bits.argmin()
                    least[row], pixel[row], channel[row] = bits[best], of[best], beside[best]
        return least, pixel, channel

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

    def volumes(self, view: View) -> Volumes:
        """Bits of the tilings of a view; those of ``sides`` are kept."""
        if view in self._volumes:
            return self._volumes[view]
        alone = view(self.startup)
        if self.exposed is not None:
            alone = alone + view(self.exposed).min(axis=0)
        volumes = Volumes(view(self._footprint), view(self._traffic).min(axis=0), alone)
        if view in self.sides:
            self._volumes[view] = volumes
        return volumes

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
        bits = (self.work.taps * self.work.weight_bits)[self.channels.owner[channel]]
        return np.asarray(g * k * c * bits > self.machine.weights_bits)

    def _kept(self, channel: Ints | slice) -> Bools:
        """Whether large weights would have to stay for all tiles of pixels: no order allows that."""
        tiles = self.channels.tiles
        return np.asarray(self._large(channel) & (tiles.b[channel] == 1) & (tiles.c[channel] == 1))

    def _footprints(self) -> Products:
        machine, tiles, work = self.machine, self.channels.tiles, self.work
        g, k, c = self.channels.sizes
        cut_inputs, cut_outputs = (tiles.a > 1) | (tiles.c > 1), (tiles.a > 1) | (tiles.b > 1)
        n, y, x = self.pixels.sizes
        owner = self.pixels.owner
        rows = [
            self.inputs.largest * work.activation_bits[owner],
            n * y * x * work.accumulator_bits[owner],
            np.ones_like(n),
        ]
        if machine.weights_bits:  # a part of the buffer of their own
            weights = np.zeros_like(g)
            held = np.where(self._kept(slice(None)), NEVER, 0.0)
        else:
            bits = (work.taps * work.weight_bits)[self.channels.owner]
            weights = g * k * c * bits * (1 + (machine.double_weights & (cut_inputs | cut_outputs)))
            held = weights
        several = [g * c * (1 + machine.double_inputs), g * k * (1 + machine.double_outputs), held]
        single = [
            g * c * (1 + (machine.double_inputs & cut_inputs)),
            g * k * (1 + (machine.double_outputs & cut_outputs)),
            weights,
        ]
        return Products.of(rows, several, single)

    def _traffic_of(self, operands: tuple[bool, bool, bool]) -> Products:
        """Bits of the named operands (inputs, weights, outputs) under each loop order; see ``tiling`` for why."""
        tiles, work = self.channels.tiles, self.work
        channels, outputs, sums, weights = (
            column.astype(np.float64)[self.channels.owner]
            for column in (
                work.g * work.c * work.activation_bits,
                work.g * work.k * work.pixels * work.activation_bits,
                2 * work.g * work.k * work.pixels * work.accumulator_bits,
                work.weights * work.weight_bits,
            )
        )
        with_inputs, with_weights, with_outputs = operands
        count = self.pixels.count.astype(np.float64)
        rows = [self.inputs.total * 1.0, count - 1, np.ones_like(count)]
        cut_k, cut_c = tiles.b > 1, tiles.c > 1
        inputs = channels * with_inputs
        again, spill = np.where(cut_c, tiles.b, 1) * inputs, (tiles.c - 1) * sums * with_outputs
        reloaded, nothing = weights * (cut_k | cut_c) * with_weights, np.zeros_like(weights)
        fixed = weights * with_weights + outputs * with_outputs
        every = inputs * tiles.b
        columns = {
            "PKC": (again, reloaded, fixed),
            "PCK": (inputs, reloaded, fixed + spill * cut_k),
            "KCP": (every, nothing, fixed + spill),
        }
        single = columns | {"KCP": (again, nothing, fixed)}
        return Products(
            np.stack(rows),
            np.array([columns[order] for order in ORDERS]),
            np.array([single[order] for order in ORDERS]),
        )

    def _startup(self, operands: tuple[bool, bool, bool]) -> Products:
        """Bits of the first load and the last store of the named operands."""
        g, k, c = self.channels.sizes
        last_pixels, last_channels = self.pixels.last, self.channels.last
        pixels_last = last_pixels.a * last_pixels.b * last_pixels.c
        tile_weights = g * k * c * (self.work.taps * self.work.weight_bits)[self.channels.owner]
        bits = self.work.activation_bits[self.pixels.owner]
        with_inputs, with_weights, with_outputs = operands
        return Products.of(
            [self.inputs.first * bits * with_inputs, np.ones(len(bits)), pixels_last * bits * with_outputs],
            [g * c, tile_weights * with_weights, last_channels.a * last_channels.b],
        )


class FlowBounds:
    """Array cycles that no tiling of a dataflow is below, and terms for the accesses of whole layers."""

    def __init__(self, space: Space, flow: Dataflow) -> None:
        machine, work = space.machine, space.work
        self.space, self.flow = space, flow
        self.pixel_terms = space.pixels.total(
            work, lambda of, n, y, x: flow.pixel_terms(of, n, y, x, machine)
        )
        self.channel_terms = space.channels.total(
            work, lambda of, g, k, c: flow.channel_terms(of, g, k, c, machine)
        )
        alternatives = flow.bounds(list(self.pixel_terms), list(self.channel_terms))
        self._known: dict[View, Floats] = {}
        self._alternatives = Products.stacked(
            [Products.of(*zip(*each, strict=True)) for each in alternatives]
        )

    def array(self, view: View) -> Any:
        """Array cycles that no tiling of a view is below; those of ``Space.sides`` are kept."""
        if view in self._known:
            return self._known[view]
        cycles = view(self._alternatives).max(axis=0)
        if view in self.space.sides:
            self._known[view] = cycles
        return cycles

    def last_tile(self, row: Ints, pixel: Ints, channel: Ints) -> Floats:
        """Array cycles that the last tile of single tilings of problems *row* takes at least."""
        space, flow, work = self.space, self.flow, self.space.work.take(row)
        n, y, x = (axis[pixel] for axis in space.pixels.last)
        g, k, c = (axis[channel] for axis in space.channels.last)
        terms = (
            flow.pixel_terms(work, n, y, x, space.machine),
            flow.channel_terms(work, g, k, c, space.machine),
        )
        return np.asarray(sum(a * b for a, b in flow.bounds(*terms)[0]), np.float64)
