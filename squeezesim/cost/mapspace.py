"""The map space: tile sizes along each axis, options of pixels and of channels.

The tilings of a layer: which tiles there are, and what they read of the inputs.

A tile is a part of the pixels (n, y, x) and a part of the channels (g, k, c). It holds several images only if it holds
them whole, and several groups only if it holds them whole. So the options of a layer are a list of pixel options and
a list of channel options, and every quantity of a tiling is a sum of products of one term of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Terms
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Bools, Floats, Ints, Workload

# Of axes longer than this, _SIZES sizes of no more tiles than this stand for all; beside them there are powers of two.
_TILES, _SIZES = 1 << 16, 512


@lru_cache(maxsize=4096)
def tile_sizes(extent: int, multiples: tuple[int, ...] = (1,), has_halo: bool = False) -> Ints:
    """Candidate tile sizes of an axis, ascending: ⌈extent/i⌉ for every i, and those rounded up to each of *multiples*.

    ⌈extent/i⌉ is the smallest size that needs no more than i tiles; a multiple fills the array's rows or columns.
    Of axes beyond 65,536 a selection that is even on a logarithmic scale stands for all sizes of up to 65,536 tiles,
    and powers of two for smaller ones, unless the axis *has a halo*, whose tiles are gone through one by one.

    Example:
        >>> tile_sizes(10).tolist(), tile_sizes(10, (4,)).tolist()
        ([1, 2, 3, 4, 5, 10], [1, 2, 3, 4, 5, 8, 10])
    """
    counts = np.arange(1, int(np.sqrt(extent)) + 2, dtype=np.int64)
    large = -(-extent // counts)
    small = counts[-(-extent // -(-extent // counts)) == counts]
    sizes = _distinct(large, small)
    if extent > _TILES:
        least = -(-extent // _TILES)
        sizes = sizes[sizes >= least]
        sizes = sizes[_distinct(np.geomspace(1, len(sizes), _SIZES).astype(np.int64)) - 1]
        if not has_halo:
            sizes = np.concatenate([1 << np.arange((least - 1).bit_length(), dtype=np.int64), sizes])
    result = _distinct(sizes, *_rounded(sizes, extent, multiples))
    result.flags.writeable = False
    return result


def _rounded(sizes: Ints, extent: int, multiples: tuple[int, ...]) -> Iterator[Ints]:
    """The sizes rounded up to each of *multiples*, none larger than *extent*."""
    for multiple in multiples:
        yield np.minimum(-(-sizes // multiple) * multiple, extent)


def selection(sizes: Ints, most: int) -> Ints:
    """Return at most *most* of the distinct *sizes*, ascending, the ends among them, even on a logarithmic scale.

    Example:
        >>> selection(np.arange(1, 101), 4).tolist()
        [1, 5, 22, 100]
    """
    every = _distinct(sizes)
    if len(every) <= most:
        return every
    return np.asarray(every[_distinct(np.geomspace(1, len(every), most).round().astype(np.int64)) - 1])


def _distinct(*sizes: Ints) -> Ints:
    """All of the *sizes*, each once, ascending."""
    every = np.sort(np.concatenate(sizes))  # np.unique would import numpy.ma
    return every[np.diff(every, prepend=0) > 0]


class Window(NamedTuple):
    """How outputs read inputs along one axis: stride, filter taps, dilation, padding before, input positions."""

    stride: Ints
    taps: Ints
    dilation: Ints
    padding: Ints
    available: Ints


def input_extent(start: Ints, size: Ints, window: Window, skip: bool) -> Ints:
    """Input positions along one axis that *size* outputs from output *start* on make the DMA load.

    The span from the first to the last tap, (size − 1) · stride + (taps − 1) · dilation + 1, clipped to the input:
    padding is not loaded. With *skip*, the positions between two windows of a stride larger than the filter are left
    out.

    Example: a 3-tap filter with stride 1 and padding 1 reads positions 0…8 of its input for outputs 0…7: 9 of them.
    """
    stride, taps, dilation, padding, available = window
    extent = (taps - 1) * dilation + 1
    first = start * stride - padding
    last = first + (size - 1) * stride + extent
    span = np.maximum(np.minimum(last, available) - np.maximum(first, 0), 0)
    if not skip or not np.any(stride > extent):
        return np.asarray(span)

    def touched_before(position: Ints) -> Ints:
        full, rest = np.divmod(np.maximum(position - first, 0), stride)
        return np.asarray(np.minimum(full * extent + np.minimum(rest, extent), size * extent))

    touched = touched_before(available) - touched_before(np.zeros_like(available))
    return np.where(stride > extent, touched, span)


def input_overlap(start: Ints, window: Window) -> Ints:
    """Input positions along one axis that outputs from output *start* on and those before it both read.

    Example: a 3-tap filter with stride 1 and padding 1 reads positions 7 and 8 for output 8 and for those before it.
    """
    stride, taps, dilation, padding, available = window
    first = start * stride - padding
    end = first - stride + (taps - 1) * dilation + 1
    overlap = np.maximum(np.minimum(end, available) - np.maximum(first, 0), 0)
    return np.where(start > 0, overlap, 0)


_SMALL = 1 << 16  # product of axes whose sizes are few enough to be kept
_OPTIONS = 1 << 14  # whose terms are summed together: they stay in cache


class Sizes(NamedTuple):
    """Tile sizes: of (n, y, x) for pixel options, of (g, k, c) for channel options."""

    a: Ints
    b: Ints
    c: Ints


Multiples = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Sizes that fill the array along three axes (``Machine.multiples``)."""


def _multiples(machine: Machine, axes: str, pointwise: bool = False) -> Multiples:
    outer, first, second = (machine.multiples(axis, pointwise) for axis in axes)
    return outer, first, second


def _sizes(extents: tuple[int, ...], multiples: Multiples, has_halo: bool = False) -> Sizes:
    """Tile sizes of two axes in every combination, one of the outer axis; then several of it, the others whole."""
    small = prod(extents) <= _SMALL
    return (_few_sizes if small else _few_sizes.__wrapped__)(extents, multiples, has_halo)


@lru_cache(maxsize=1024)
def _few_sizes(extents: tuple[int, ...], multiples: Multiples, has_halo: bool) -> Sizes:
    halos = (False, has_halo, has_halo)
    sizes = [tile_sizes(*axis) for axis in zip(extents, multiples, halos, strict=True)]
    return combined(sizes, extents)


def combined(sizes: Sequence[Ints], extents: Sequence[int]) -> Sizes:
    """Return tiles of every combination of sizes of the inner two axes, one of the outer axis; then several, whole.

    *sizes* ascend along each of the three axes; there may be none.

    Example:
        >>> one, two = np.array([1]), np.array([1, 2])
        >>> [axis.tolist() for axis in combined((two, one, two), (2, 1, 2))]
        [[1, 1, 2], [1, 1, 1], [1, 2, 2]]
    """
    outer, first, second = sizes
    are_whole = [*first[-1:], *second[-1:]] == [*extents[1:]]
    wanted = (outer > 1) & are_whole
    several = outer[wanted]
    if 1 not in outer:
        first = first[:0]
    return Sizes(
        np.concatenate([np.ones(len(first) * len(second), np.int64), several]),
        np.concatenate([np.repeat(first, len(second)), np.full(len(several), extents[1])]),
        np.concatenate([np.tile(second, len(first)), np.full(len(several), extents[2])]),
    )


@dataclass(frozen=True, slots=True)
class Options:
    """Pixel or channel options of all problems, one after the other.

    ``offsets[i] : offsets[i + 1]`` are those of problem i; ``tiles`` counts the tiles along each axis, ``last`` are the
    sizes of the last of them, the remainder.
    """

    owner: Ints
    offsets: Ints
    sizes: Sizes
    last: Sizes
    tiles: Sizes

    @property
    def count(self) -> Ints:
        """Tiles in all."""
        return self.tiles.a * self.tiles.b * self.tiles.c

    def take(self, index: Ints) -> Options:
        """Return the options *index*, ascending, at least one of each problem."""
        owner = self.owner[index]
        sizes, last, tiles = (
            Sizes(*(axis[index] for axis in part)) for part in (self.sizes, self.last, self.tiles)
        )
        offsets = np.searchsorted(owner, np.arange(len(self.offsets)))
        return Options(owner, offsets, sizes, last, tiles)

    def take_problems(self, index: Ints) -> Options:
        """Return the options *index*, ascending, all of some problems, for ``total`` alone."""
        sizes, last, tiles = (
            Sizes(*(axis[index] for axis in part)) for part in (self.sizes, self.last, self.tiles)
        )
        return Options(self.owner[index], self.offsets, sizes, last, tiles)

    def least(self, values: Any) -> Any:
        """The least of each problem; *values* have the options along their last axis."""
        return np.minimum.reduceat(values, self.offsets[:-1], axis=-1)

    def first(self, values: Floats) -> Ints:
        """The first option of each problem with the least of *values*."""
        hits = np.flatnonzero(values == self.least(values)[self.owner])
        return hits[np.flatnonzero(np.diff(self.owner[hits], prepend=-1))]

    def corners(self, index: Ints | slice) -> Iterator[tuple[tuple[bool, ...], Floats, Sizes]]:
        """Different tiles of the options *index*: where they are the last, how many there are of each, their sizes."""
        sizes, last, tiles = (
            Sizes(*(axis[index] for axis in part)) for part in (self.sizes, self.last, self.tiles)
        )
        for corner in np.ndindex(2, 2, 2):
            axes = list(zip(corner, sizes, last, tiles, strict=True))
            if any(edge == 0 and not np.any(count > 1) for edge, _, _, count in axes):
                continue
            weight = np.ones(len(tiles.a))
            for edge, _, _, count in axes:
                if not edge:
                    weight = weight * (count - 1)
            yield (
                tuple(map(bool, corner)),
                weight,
                Sizes(*(end if edge else size for edge, size, end, _ in axes)),
            )

    def total(self, work: Workload, terms: Callable[[Workload, Ints, Ints, Ints], Terms]) -> Floats:
        """Σ over the tiles of each option of the terms of a tile, (terms, options), exactly.

        *terms* are those of tiles of the given problems and sizes; *work* has the problems of the options.
        """
        every = np.empty((0, len(self.owner)))
        for start in range(0, len(self.owner), _OPTIONS):
            part = slice(start, start + _OPTIONS)
            problem = work.take(self.owner[part])
            for number, (_, weight, sizes) in enumerate(self.corners(part)):
                values = terms(problem, *sizes)
                if len(every) == 0:
                    every = np.empty((len(values), len(self.owner)))
                for sums, value in zip(every, values, strict=True):
                    if number == 0:
                        np.multiply(weight, value, out=sums[part])
                    else:
                        sums[part] += weight * value
        return every


def _options(extents: Sizes, found: list[Sizes]) -> Options:
    lengths = np.array([len(sizes.a) for sizes in found], np.int64)
    owner = np.repeat(np.arange(len(found)), lengths)
    flat = Sizes(*(np.concatenate(axis) for axis in zip(*found, strict=True)))
    whole = Sizes(*(extent[owner] for extent in extents))
    tiles = Sizes(*(-(-e // s) for e, s in zip(whole, flat, strict=True)))
    last = Sizes(*(e - (t - 1) * s for s, e, t in zip(flat, whole, tiles, strict=True)))
    return Options(owner, np.concatenate([[0], np.cumsum(lengths)]), flat, last, tiles)


def pixel_options(work: Workload, machine: Machine) -> Options:
    """Return the pixel tiles of every problem, rounded to the array; a matrix product's pixels to the whole of it."""
    multiples = {flat: _multiples(machine, "nyx", flat) for flat in (False, True)}
    columns = zip(work.n.tolist(), work.y.tolist(), work.x.tolist(), work.pointwise.tolist(), strict=True)
    return _options(
        Sizes(work.n, work.y, work.x),
        [_sizes((n, y, x), multiples[flat], not flat) for n, y, x, flat in columns],
    )


def channel_options(work: Workload, machine: Machine) -> Options:
    """Return the channel tiles of every problem, K and C rounded to the array."""
    multiples = _multiples(machine, "gkc")
    columns = zip(work.g.tolist(), work.k.tolist(), work.c.tolist(), strict=True)
    found = [accumulated(_sizes(extents, multiples), extents[2], machine) for extents in columns]
    return _options(Sizes(work.g, work.k, work.c), found)


def accumulated(sizes: Sizes, channels: int, machine: Machine) -> Sizes:
    """Return the channel tiles without those of a part of the input *channels* whose sums cannot wait in the array."""
    if not machine.accumulators:
        return sizes
    g, k, c = sizes
    fits = (c == channels) | (g * k <= machine.accumulators)
    return Sizes(*(axis[fits] for axis in sizes))


def option_counts(work: Workload, machine: Machine) -> Ints:
    """How many pixel and channel options each problem has, to within one, or more of a halo beyond 65,536."""
    counts = []
    for axes in tried_sizes(work, machine):
        n, y, x, g, k, c = map(len, axes)
        counts.append(n + y * x + g + k * c)
    return np.array(counts, np.int64)


def windows(work: Workload) -> tuple[Window, Window]:
    """How the problems' outputs read their inputs along y and x."""
    return (
        Window(work.sy, work.fy, work.dy, work.py, work.iy),
        Window(work.sx, work.fx, work.dx, work.px, work.ix),
    )


class InputTraffic(NamedTuple):
    """Input elements of one channel for each pixel option."""

    total: Ints  # of all tiles
    first: Ints  # of the first tile
    largest: Ints  # of the largest tile
    once: Ints  # of all tiles without what a tile before read too
    apart: Ints  # 1 where the first and the last tile of an image share none, else 0

    def take(self, index: Ints) -> InputTraffic:
        """Return those of the options *index*."""
        return InputTraffic(*(column[index] for column in self))


@lru_cache(maxsize=4096)
def _axis_extents(
    extent: int, multiples: tuple[int, ...], window: tuple[int, ...], skip: bool
) -> InputTraffic:
    """``_extents_of`` the candidate sizes of an axis."""
    return _extents_of(tile_sizes(extent, multiples, has_halo=True), extent, window, skip)


def _extents_of(sizes: Ints, extent: int, window: Sequence[int], skip: bool) -> InputTraffic:
    """Input extents over the tiles of one axis, for each of *sizes*."""
    tiles = -(-extent // sizes)
    ends = np.cumsum(tiles)
    starts = ends - tiles
    size = np.repeat(sizes, tiles)
    first = (np.arange(ends[-1]) - np.repeat(starts, tiles)) * size
    length = np.minimum(size, extent - first)
    along = Window(*(np.asarray(value) for value in window))
    loaded = input_extent(first, length, along, skip)
    total = np.add.reduceat(loaded, starts)
    return InputTraffic(
        total=total,
        first=loaded[starts],
        largest=np.maximum.reduceat(loaded, starts),
        once=total - np.add.reduceat(input_overlap(first, along), starts),
        apart=(
            (tiles > 1) & (_reach(sizes - 1, along) <= first[ends - 1] * along.stride - along.padding)
        ).astype(np.int64),
    )


def _reach(output: Ints, window: Window) -> Ints:
    """Position after the last that *output* reads along one axis."""
    stride, taps, dilation, padding, _ = window
    return np.asarray(output * stride - padding + (taps - 1) * dilation + 1)


def input_traffic(work: Workload, options: Options, machine: Machine) -> InputTraffic:
    """Count the input elements of every pixel option, halos included and padding excluded, exactly.

    A matrix product has no halo: each element is read once.
    """
    n, _, _ = options.sizes
    traffic = _without_halos(work, options)
    _, by_rows, by_columns = _multiples(machine, "nyx")
    for row, part, along in _with_halos(work, options):
        rows = _axis_extents(int(work.y[row]), by_rows, tuple(along[0]), machine.skip_rows)
        columns = _axis_extents(int(work.x[row]), by_columns, tuple(along[1]), machine.skip_columns)
        several = n[part][len(rows.total) * len(columns.total) :]
        total, first, largest, once = (
            np.multiply.outer(a, b).ravel() for a, b in zip(rows[:4], columns[:4], strict=True)
        )
        # Tiles of several images hold them whole, as the last option of one image does.
        traffic.total[part] = work.n[row] * np.concatenate([total, np.repeat(total[-1], len(several))])
        traffic.first[part] = np.concatenate([first, first[-1] * several])
        traffic.largest[part] = np.concatenate([largest, largest[-1] * several])
        traffic.once[part] = work.n[row] * np.concatenate([once, np.repeat(once[-1], len(several))])
        apart = np.maximum.outer(rows.apart, columns.apart).ravel()
        traffic.apart[part] = np.concatenate([apart, np.zeros_like(several)])
    return traffic


def _without_halos(work: Workload, options: Options) -> InputTraffic:
    n, y, x = options.sizes
    pixels, every = n * y * x, work.pixels[options.owner]
    return InputTraffic(every, pixels.copy(), pixels.copy(), every.copy(), np.ones_like(pixels))


def _with_halos(work: Workload, options: Options) -> Iterator[tuple[int, slice, list[list[int]]]]:
    """Problems that are no matrix products: the row of each, its options, its windows along y and x."""
    along = np.stack(windows(work)).transpose(2, 0, 1).tolist()
    for row in np.flatnonzero(~work.pointwise).tolist():
        yield row, slice(options.offsets[row], options.offsets[row + 1]), along[row]


class MapSpace(NamedTuple):
    """The options of all problems; the last pixel option of each is the whole layer.

    Where ``cut`` says so of a problem, it stands there without being an option.
    """

    pixels: Options
    channels: Options
    inputs: InputTraffic
    cut: Bools | None = None


def every_option(work: Workload, machine: Machine) -> MapSpace:
    """Return all options of every problem."""
    pixels = pixel_options(work, machine)
    return MapSpace(pixels, channel_options(work, machine), input_traffic(work, pixels, machine))


def given_options(work: Workload, machine: Machine, sizes: Ints) -> MapSpace:
    """Return for each problem one option of *sizes*, (6, problems) along (n, y, x, g, k, c), and that of all pixels.

    Tiles may hold several images, or groups, without holding them whole. Memory grows with the tiles along y and x.
    """
    extents = np.stack([work.n, work.y, work.x, work.g, work.k, work.c])
    is_cut = (sizes[:3] < extents[:3]).any(axis=0)
    both = np.stack([sizes[:3], extents[:3]], axis=-1)
    pixels = _options(
        Sizes(*extents[:3]), [Sizes(*both[:, row, 1 - cut :]) for row, cut in enumerate(is_cut.astype(int))]
    )
    channels = _options(Sizes(*extents[3:]), [Sizes(*sizes[3:, [row]]) for row in range(len(work))])
    return MapSpace(pixels, channels, _traffic_of_any(work, pixels, machine))


def _traffic_of_any(work: Workload, pixels: Options, machine: Machine) -> InputTraffic:
    """``input_traffic`` of options of any sizes."""
    n, y, x = pixels.sizes
    traffic = _without_halos(work, pixels)
    for row, part, along in _with_halos(work, pixels):
        rows, columns = (
            _extents_of(sizes, int(extent[row]), window, skip).take(np.searchsorted(sizes, each[part]))
            for each, sizes, extent, window, skip in (
                (y, _distinct(y[part]), work.y, along[0], machine.skip_rows),
                (x, _distinct(x[part]), work.x, along[1], machine.skip_columns),
            )
        )
        traffic.total[part] = work.n[row] * rows.total * columns.total
        traffic.first[part] = n[part] * rows.first * columns.first
        traffic.largest[part] = n[part] * rows.largest * columns.largest
        traffic.once[part] = work.n[row] * rows.once * columns.once
        traffic.apart[part] = rows.apart | columns.apart
    return traffic


def tried_sizes(work: Workload, machine: Machine) -> Iterator[tuple[Ints, ...]]:
    """Yield the candidate sizes of each problem along (n, y, x, g, k, c)."""
    channels = _multiples(machine, "gkc")
    pixels = {flat: _multiples(machine, "nyx", flat) for flat in (False, True)}
    columns = (work.n, work.y, work.x, work.g, work.k, work.c, work.pointwise)
    for *extents, flat in zip(*(column.tolist() for column in columns), strict=True):
        halos = (False, not flat, not flat, False, False, False)
        yield tuple(
            tile_sizes(*axis) for axis in zip(extents, (*pixels[flat], *channels), halos, strict=True)
        )


def options_of(work: Workload, machine: Machine, sizes: Sequence[Sequence[Ints]]) -> MapSpace:
    """Return the options of the given *sizes* of each problem along (n, y, x, g, k, c), ascending.

    There are some of pixels and some of channels of each problem.
    """
    columns = (work.n, work.y, work.x, work.g, work.k, work.c)
    pixels, channels, cut = [], [], []
    for (n, y, x, g, k, c), axes in zip(np.stack(columns).T.tolist(), sizes, strict=True):
        tiles = combined(axes[:3], (n, y, x))
        is_cut = [axis[-1] for axis in tiles] != [n, y, x]
        cut.append(is_cut)
        if is_cut:
            tiles = Sizes(*(np.append(axis, extent) for axis, extent in zip(tiles, (n, y, x), strict=True)))
        pixels.append(tiles)
        channels.append(accumulated(combined(axes[3:], (g, k, c)), c, machine))
    of_pixels = _options(Sizes(work.n, work.y, work.x), pixels)
    of_channels = _options(Sizes(work.g, work.k, work.c), channels)
    return MapSpace(of_pixels, of_channels, _traffic_of_any(work, of_pixels, machine), np.array(cut))
