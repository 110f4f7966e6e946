"""Lower bounds on what tilings cost, before any is played.

    cycles ≥ setup + latency + max(first load + array + last store,
                                   all traffic / bandwidth + what the last tile computes beyond the store beside it)

Both sides follow from sums of products of a term of the pixel option and a term of the channel option (``views``).
Volumes are in bits: divided by a machine's bandwidth they serve every machine of a family. A bound takes the mode with
the least traffic; the bounds of candidates know theirs. The last pixel option of a problem is always the whole layer:
with it the loop over pixels disappears, and operands stay that would otherwise be loaded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Dataflow, Terms
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import (
    InputTraffic,
    MapSpace,
    Options,
    every_option,
    selection,
)
from squeezesim.cost.pooling import pooled_options
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.cost.residency import Residency, Shares, TrafficBounds
from squeezesim.cost.traffic import LOOPS, ORDERS, changes, mode_of, refetches
from squeezesim.cost.views import NEVER, Products, View, winners


class Volumes(NamedTuple):
    """Bits of tilings, or the least of sets of tilings."""

    footprint: Floats  # NEVER, or more, where no mode is allowed
    traffic: Floats  # in the mode with the least
    exposed: Floats  # moved while the array waits: the first load, the last store, single-buffered transfers
    by_port: tuple[
        Floats, ...
    ]  # through the port of each memory, in its own best mode; () where there is one


class OptionSpace:
    """All tilings of all problems for one family of machines, by their options.

    The tilings are those of *options*, by default ``every_option``, in modes of loop *orders* in which each element of
    *required* operands is loaded once, those of outputs where these live in the buffer, in which all problems are
    alike, or where their sums wait in the array.
    """

    def __init__(
        self,
        work: Workload,
        machine: Machine,
        options: MapSpace | None = None,
        orders: Sequence[str] = ORDERS,
        required: Sequence[str] = (),
    ) -> None:
        if not machine.stays and {"PKC", "KCP"} <= {*orders}:
            # It saves the traffic of what stays for an image, and is one of these two elsewhere.
            orders = [order for order in orders if order != "NKCP"]
        if (machine.accumulators or not work.output_bits.all()) and "outputs" not in required:
            required = (*required, "outputs")
        self.work, self.machine, self.orders, self.required = work, machine, orders, required
        self.has_every_option = options is None
        self.pixels: Options
        self.channels: Options
        self.inputs: InputTraffic
        self.pixels, self.channels, self.inputs, self.cut = options or every_option(work, machine)
        self.pooled = pooled_options(work, self.pixels) if work.is_pooled else None
        self.added_bits = work.added * work.g * work.k * work.pixels
        # Of outputs that are pooled what they are before: each is read from the buffer once more.
        self.unpooled_bits = np.where(work.pool > 0, work.g * work.k * work.pixels * work.activation_bits, 0)
        self.least_footprint: Floats  # bits that each problem needs at its smallest tile

    @property
    def counts(self) -> Ints:
        """Tilings of each problem, in one mode."""
        return np.diff(self.pixels.offsets) * np.diff(self.channels.offsets)

    @cached_property
    def residency(self) -> Residency:
        """What the buffer holds of each operand."""
        space = MapSpace(self.pixels, self.channels, self.inputs)
        return Residency(self.work, self.machine, space, self.orders, self.required, self.pooled)

    def tiles(self, pixel: Ints, channel: Ints) -> Iterator[tuple[tuple[bool, ...], Ints, Ints, Ints]]:
        """Different tiles of the tilings: where they are the last, the tiling of each, how many there are, their sizes.

        The first and the last are by axis (n, y, x, g, k, c).
        """
        for last_pixels, pixels, outer in self.pixels.corners(pixel):
            for last_channels, channels, inner in self.channels.corners(channel):
                count = (pixels * channels).astype(np.int64)
                owner = np.flatnonzero(count)
                sizes = np.stack([size[owner] for size in (*outer, *inner)])
                yield (*last_pixels, *last_channels), owner, count[owner], sizes

    def tile_sizes(self, pixel: Ints, channel: Ints) -> Ints:
        """Tile sizes of the given options along ``traffic.AXES``."""
        sizes = [axis[pixel] for axis in self.pixels.sizes] + [axis[channel] for axis in self.channels.sizes]
        return np.stack(sizes)


class Space(OptionSpace):
    """The same with footprints and traffic of tilings, and bounds of both for sets of them.

    Options with which no tiling fits a buffer of *room* bits are left out, but for one of each problem. Of a problem
    with more than *most* tilings before that, a selection of the sizes along each axis stands for all of them: an
    eighth as many tilings.
    """

    def __init__(
        self,
        work: Workload,
        machine: Machine,
        room: float = np.inf,
        most: float = np.inf,
        options: MapSpace | None = None,
        orders: Sequence[str] = ORDERS,
        required: Sequence[str] = (),
    ) -> None:
        super().__init__(work, machine, options, orders, required)
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
        self.startup = self._startup()
        ports = range(len(machine.memories)) if machine.stores else ()
        self._ports = [[operand for operand in LOOPS if machine.home(operand) == port] for port in ports]
        self.whole = np.flatnonzero(self.whole_footprint <= room)
        self.sides: tuple[View, ...] = (self.rows, self.columns, self.wholes)
        self._volumes: dict[tuple[View, float], Volumes] = {}

    @cached_property
    def _bounds(self) -> TrafficBounds:
        return TrafficBounds(self.residency)

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
        kept = [np.ones(len(options.owner), np.bool_) for options in (self.pixels, self.channels)]
        for row in many.tolist():
            parts = [slice(*offsets[row : row + 2]) for offsets in begins]
            axes = [
                [axis[part] for axis in options.sizes]
                for options, part in zip((self.pixels, self.channels), parts, strict=True)
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
        self.has_every_option = False
        self.pixels, self.channels = self.pixels.take(pixels), self.channels.take(channels)
        self.whole_footprint = self.whole_footprint[channels]
        self.smallest = [
            np.searchsorted(kept, option)
            for kept, option in zip((pixels, channels), self.smallest, strict=True)
        ]
        self.inputs, self._footprint = self.inputs.take(pixels), self._footprint.take(pixels, channels)
        self.pooled = self.pooled and self.pooled.take(pixels)
        for of_options in ("residency", "_bounds"):
            self.__dict__.pop(of_options, None)
        self._mark()

    def _least_of_options(self) -> tuple[Floats, Floats]:
        """Footprints at least of each pixel option, and of each channel option, whatever the other one is."""
        by_pixel, by_channel = np.empty(len(self.last_pixel)), self.whole_footprint.copy()
        by_pixel[self.last_pixel] = self.channels.least(by_channel)
        if len(self.several):
            by_pixel[self.several] = self._least_bits(self.rows)
            by_channel[self.beside] = np.minimum(by_channel[self.beside], self._least_bits(self.columns))
        return by_pixel, by_channel

    def rows(self, products: Products) -> Any:
        """A view of ``several`` pixel options, each with any channel option of its problem."""
        least = self.channels.least(products.columns)
        columns = least.take(self.pixels.owner[self.several], axis=-1)
        return np.einsum("...jn,...jn->...n", products.rows.take(self.several, axis=-1), columns)

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
                lambda view: (self._least_bits(view),),
                lambda bits: bits < least[row],  # noqa: B023
                pixels[~self.last_pixel[pixels]],
                channels,
            )
            whole = last.repeat(len(channels)), np.tile(channels, len(last))
            for one, other in chain([whole], ((one, other) for one, other, _ in found)):
                bits = self.footprint(one, other)
                if len(bits) and bits.min() < least[row]:
                    best = bits.argmin()
                    least[row], pixel[row], channel[row] = bits[best], one[best], other[best]
        return least, pixel, channel

    def part(self, row: int) -> tuple[slice, slice]:
        """The pixel and the channel options of problem *row*."""
        pixels, channels = self.pixels.offsets, self.channels.offsets
        return slice(int(pixels[row]), int(pixels[row + 1])), slice(
            int(channels[row]), int(channels[row + 1])
        )

    def volumes(self, view: View, room: float = np.inf) -> Volumes:
        """Bits of the tilings of a view where there is that much *room*; those of ``sides`` are kept."""
        if (view, room) in self._volumes:
            return self._volumes[view, room]
        bounded, footprint = self._bounds.of(view, room), self._least_bits(view)
        moved, exposed = bounded.moved, self._bounds.exposed(bounded, view(self.startup))
        by_port = tuple(moved.least(operands) for operands in self._ports)
        volumes = Volumes(footprint, moved.least(LOOPS), exposed, by_port)
        if view in self.sides:
            self._volumes[view, room] = volumes
        return volumes

    def footprint(self, pixel: Ints, channel: Ints) -> Floats:
        """Buffer bits of single tilings at least: a slot for the tile of each operand, or those of the machine.

        With *required* operands those of the mode with the least; ``NEVER``, or more, where no mode is allowed.
        """
        bits = self._fullest(self._footprint.at(pixel, channel, self.last_pixel[pixel]))
        # Whether several tiles of pixels are those of an image, or images, matters where no other order is left.
        by_images = "NKCP" in self.orders and not {"PKC", "PCK"} & {*self.orders}
        if self.required or (self.machine.weights_bits and (self.pooled or by_images)):
            bits = np.maximum(bits, self.residency.least_footprint(pixel, channel))
        return np.asarray(bits)

    def _fullest(self, bits: Any) -> Any:
        """What a footprint is, or the share of the part of the buffer that is filled the most."""
        return bits if self._footprint.rows.ndim == 2 else np.asarray(bits).max(axis=0)

    def _least_bits(self, view: View) -> Any:
        """What no ``footprint`` of a tiling of a view is below."""
        bits = self._fullest(view(self._footprint))
        return np.maximum(bits, self._bounds.footprint(view)) if self.required else bits

    def _footprints(self) -> Products:
        machine, work = self.machine, self.work
        g, k, c = self.channels.sizes
        n, y, x = self.pixels.sizes
        owner = self.pixels.owner
        rows = [
            self.inputs.largest * work.input_bits[owner],
            n * y * x * work.accumulator_bits[owner],
            np.ones_like(n),
            n * y * x * work.second[owner],
        ]
        channels = self.channels.tiles
        of_weights = g * k * c * (work.taps * work.factor_bits)[self.channels.owner]
        columns = []
        for pixel_tiles in (2, 1):  # several, one
            tiles: dict[str, Any] = {
                "G": channels.a,
                "N": 1,
                "S": pixel_tiles,
                "K": channels.b,
                "C": channels.c,
            }
            slots = {
                operand: 1 + (machine.double(operand) & changes(operand, tiles) & (not machine.stays))
                for operand in LOOPS
            }
            weights: Any = of_weights * slots["weights"]
            if (
                machine.weights_bits
            ):  # a part of the buffer of their own; of one tile of pixels weights pass it
                # Several tiles of pixels are those of an image, or images one by one.
                several = [tiles | {"N": number, "S": pixel_tiles // number} for number in {1, pixel_tiles}]
                reused = [
                    refetches("weights", mode_of(order), each) < pixel_tiles
                    for order in self.orders
                    for each in several
                ]
                weights = np.where(np.all(reused, axis=0) & (of_weights > machine.weights_bits), NEVER, 0.0)
            if pixel_tiles == 1 and self.cut is not None:  # all pixels in a tile are none of the options
                weights = weights + np.where(self.cut[self.channels.owner], NEVER, 0.0)
            beside = 1 + (machine.double("inputs") & changes("outputs", tiles) & (not machine.stays))
            whole = (work.beside if machine.parts else work.resident)[self.channels.owner]
            columns.append(
                [g * c * slots["inputs"], g * k * slots["outputs"], weights + whole, g * k * beside]
            )
        if self.pooled:  # windows that are open, of the output channels that a tile goes through
            rows.append(self.pooled.kept * work.open_bits[owner])
            passed = g * (k if {"KCP", "NKCP"} & {*self.orders} else work.k[self.channels.owner])
            columns = [[*each, passed] for each in columns]
        products, shares = Products.of(rows, *columns), Shares(work, machine)
        if shares.is_plain:
            return products
        of_parts = shares.factors()[:, [0, 2, 1]]  # in the order of the rows
        ones = np.ones((len(of_parts), 1, len(owner)))
        scales = [of_parts[:, :2, owner], ones, of_parts[:, :1, owner]]
        if self.pooled:
            scales.append(shares.of_open()[:, None, None] * ones)
        scaled = products.rows * np.concatenate(scales, axis=1)
        by_part = np.ones((len(of_parts), len(rows), len(self.channels.owner)))
        by_part[:, 2] = of_parts[:, 2, self.channels.owner]
        assert products.single is not None
        many, one = products.columns * by_part, products.single * by_part
        if machine.parts:  # feature maps are where inputs are
            of_maps = (work.resident * of_parts[:, 0])[:, self.channels.owner]
            many[:, 2], one[:, 2] = many[:, 2] + of_maps, one[:, 2] + of_maps
        return Products(scaled, many, one)

    def _startup(self) -> Products:
        """Bits of the first load of inputs, that of weights, and the last store of outputs: three quantities."""
        g, k, c = self.channels.sizes
        last_pixels, last_channels = self.pixels.last, self.channels.last
        pixels_last = self.pooled.last if self.pooled else last_pixels.a * last_pixels.b * last_pixels.c
        tile_weights = g * k * c * (self.work.stored_weights / self.work.slices)[self.channels.owner]
        loaded, stored = (bits[self.pixels.owner] for bits in (self.work.input_bits, self.work.output_bits))
        rows = [self.inputs.first * loaded, np.ones(len(loaded)), pixels_last * stored]
        tile_weights = tile_weights + self.work.constants[self.channels.owner]
        columns = [g * c, tile_weights, last_channels.a * last_channels.b]
        return Products.of(rows, columns).apart()


class ArrayForms:
    """Closed forms of what whole tilings of a dataflow cost on the array: Σ over tiles of the terms of each option.

    ``alternatives`` are cycles that no tiling is below.
    """

    def __init__(self, space: OptionSpace, flow: Dataflow) -> None:
        machine, bounds = space.machine, flow.bounds
        self.space, self.bounds = space, bounds
        self.pixel_terms = self._total(
            space.pixels, lambda problem, n, y, x: bounds.pixel_terms(problem, n, y, x, machine)
        )
        self.channel_terms = self._total(
            space.channels, lambda problem, g, k, c: bounds.channel_terms(problem, g, k, c, machine)
        )
        alternatives = bounds.cycles(list(self.pixel_terms), list(self.channel_terms))
        self.alternatives = Products.stack([Products.of(*zip(*each, strict=True)) for each in alternatives])

    def _total(self, options: Options, terms: Callable[[Workload, Ints, Ints, Ints], Terms]) -> Floats:
        """Σ over the tiles of each option; problems that differ in where operands live alone have the same options."""
        work = self.space.work
        first, number = work.on_array if self.space.has_every_option else (np.arange(len(work)),) * 2
        if len(first) == len(work):
            return options.total(work, terms)
        kept = np.flatnonzero(np.isin(options.owner, first))
        found = options.take_problems(kept).total(work, terms)
        begins = np.searchsorted(options.owner[kept], first)[number][options.owner]
        return found[:, begins + np.arange(len(options.owner)) - options.offsets[options.owner]]


class ArrayBounds(ArrayForms):
    """Array cycles that no tiling of a dataflow is below."""

    def __init__(self, space: Space, flow: Dataflow) -> None:
        super().__init__(space, flow)
        self._sides = space.sides
        self._known: dict[View, Floats] = {}

    def array(self, view: View) -> Any:
        """Array cycles that no tiling of a view is below; those of ``Space.sides`` are kept."""
        if view in self._known:
            return self._known[view]
        cycles = view(self.alternatives).max(axis=0)
        if view in self._sides:
            self._known[view] = cycles
        return cycles
