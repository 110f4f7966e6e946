"""The map space: tile sizes along each axis, options of pixels and of channels, loop orders.

The tilings of a layer: which tiles there are, whether they fit the buffer, and the DRAM traffic that each causes.

A tile is a part of the pixels (n, y, x) and a part of the channels (g, k, c). It holds several images only if it holds
them whole, and several groups only if it holds them whole. So the options of a layer are a list of pixel options and
a list of channel options, and every quantity of a tiling is a sum of products of one term of each.

Three orders of the tile loops, groups outermost, cover the traffic of all six orders of pixels (P), output channels
(K) and input channels (C): what stays in the buffer over the innermost loop is not loaded again there.

    order   loops, outer to inner   inputs loaded          weights loaded        partial sums leave the buffer
    PKC     pixels, K, C            × tiles of K if C is   × tiles of pixels     never
                                    cut, else once         if K or C is cut
    PCK     pixels, C, K            once                   × tiles of pixels     where K and C are cut
                                                           if K or C is cut
    KCP     K, C, pixels            × tiles of K if pixels once                  where pixels and C are cut
                                    or C are cut
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Terms
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints, Workload

# Axes longer than this are cut into no more tiles than this, and offer no more sizes than _SIZES.
_TILES, _SIZES = 1 << 16, 512


@lru_cache(maxsize=4096)
def tile_sizes(extent: int, multiple: int = 1) -> Ints:
    """Candidate tile sizes of an axis, ascending: ⌈extent/i⌉ for every i, and those rounded up to *multiple*.

    ⌈extent/i⌉ is the smallest size that needs no more than i tiles; its multiple fills the array's rows or columns.
    Of axes beyond 65,536 a selection that is even on a logarithmic scale stands for all sizes.

    Example:
        >>> tile_sizes(10).tolist(), tile_sizes(10, 4).tolist()
        ([1, 2, 3, 4, 5, 10], [1, 2, 3, 4, 5, 8, 10])
    """
    counts = np.arange(1, int(np.sqrt(extent)) + 2, dtype=np.int64)
    large = -(-extent // counts)
    small = counts[-(-extent // -(-extent // counts)) == counts]
    sizes = _distinct(large, small)
    if extent > _TILES:
        sizes = sizes[sizes >= -(-extent // _TILES)]
        sizes = sizes[_distinct(np.geomspace(1, len(sizes), _SIZES).astype(np.int64)) - 1]
    rounded = np.minimum(-(-sizes // multiple) * multiple, extent)
    result = _distinct(sizes, rounded)
    result.flags.writeable = False
    return result


def selection(sizes: Ints, most: int) -> Ints:
    """Return at most *most* of the distinct *sizes*, ascending, the ends among them, even on a logarithmic scale.

    Example:
        >>> selection(np.arange(1, 101), 4).tolist()
        [1, 4, 21, 100]
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


ORDERS = ("PKC", "PCK", "KCP")

_SMALL = 1 << 16  # product of axes whose sizes are few enough to be kept
_OPTIONS = 1 << 14  # whose terms are summed together: they stay in cache


class Sizes(NamedTuple):
    """Tile sizes: of (n, y, x) for pixel options, of (g, k, c) for channel options."""

    a: Ints
    b: Ints
    c: Ints


def _sizes(outer: int, axes: tuple[int, int], multiples: tuple[int, int]) -> Sizes:
    """Tile sizes of two axes in every combination, one of the outer axis; then several of it, the others whole."""
    small = outer * axes[0] * axes[1] <= _SMALL
    return (_few_sizes if small else _few_sizes.__wrapped__)(outer, axes, multiples)


@lru_cache(maxsize=1024)
def _few_sizes(outer: int, axes: tuple[int, int], multiples: tuple[int, int]) -> Sizes:
    first, second = (tile_sizes(extent, multiple) for extent, multiple in zip(axes, multiples, strict=True))
    several = tile_sizes(outer)[1:]
    return Sizes(
        np.concatenate([np.ones(len(first) * len(second), np.int64), several]),
        np.concatenate([np.repeat(first, len(second)), np.full(len(several), axes[0])]),
        np.concatenate([np.tile(second, len(first)), np.full(len(several), axes[1])]),
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

    def least(self, values: Any) -> Any:
        """The least of each problem; *values* have the options along their last axis."""
        return np.minimum.reduceat(values, self.offsets[:-1], axis=-1)

    def first(self, values: Floats) -> Ints:
        """The first option of each problem with the least of *values*."""
        hits = np.flatnonzero(values == self.least(values)[self.owner])
        return hits[np.flatnonzero(np.diff(self.owner[hits], prepend=-1))]

    def corners(self, index: Ints | slice) -> Iterator[tuple[Floats, Sizes]]:
        """Different tiles of the options *index*: how many there are of each, and their sizes."""
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
            yield weight, Sizes(*(end if edge else size for edge, size, end, _ in axes))

    def total(self, work: Workload, terms: Callable[[Workload, Ints, Ints, Ints], Terms]) -> Floats:
        """Σ over the tiles of each option of the terms of a tile, (terms, options), exactly.

        *terms* are those of tiles of the given problems and sizes; *work* has the problems of the options.
        """
        every = np.empty((0, len(self.owner)))
        for start in range(0, len(self.owner), _OPTIONS):
            part = slice(start, start + _OPTIONS)
            problem = work.take(self.owner[part])
            for number, (weight, sizes) in enumerate(self.corners(part)):
                values = terms(problem, *sizes)
                if len(every) == 0:
                    every = np.empty((len(values), len(self.owner)))
                for sums, value in zip(every, values, strict=True):
                    if number == 0:
                        np.multiply(weight, value, out=sums[part])
                    else:
                        sums[part] += weight * value
        return every


def _options(extents: Sizes, sizes: list[Sizes]) -> Options:
    lengths = np.array([len(option.a) for option in sizes], np.int64)
    owner = np.repeat(np.arange(len(sizes)), lengths)
    flat = Sizes(*(np.concatenate(axis) for axis in zip(*sizes, strict=True)))
    whole = Sizes(*(extent[owner] for extent in extents))
    tiles = Sizes(*(-(-e // s) for e, s in zip(whole, flat, strict=True)))
    last = Sizes(*(e - (t - 1) * s for s, e, t in zip(flat, whole, tiles, strict=True)))
    return Options(owner, np.concatenate([[0], np.cumsum(lengths)]), flat, last, tiles)


def pixel_options(work: Workload, machine: Machine) -> Options:
    """Return the pixel tiles of every problem; a matrix product's pixels are rounded to the whole array."""
    multiple = np.where(work.pointwise, machine.pes, machine.cols)
    columns = zip(work.n.tolist(), work.y.tolist(), work.x.tolist(), multiple.tolist(), strict=True)
    return _options(
        Sizes(work.n, work.y, work.x), [_sizes(n, (y, x), (machine.rows, m)) for n, y, x, m in columns]
    )


def channel_options(work: Workload, machine: Machine) -> Options:
    """Return the channel tiles of every problem, K rounded to the array's columns and C to its rows."""
    columns = zip(work.g.tolist(), work.k.tolist(), work.c.tolist(), strict=True)
    return _options(
        Sizes(work.g, work.k, work.c),
        [_sizes(g, (k, c), (machine.cols, machine.rows)) for g, k, c in columns],
    )


def option_counts(work: Workload, machine: Machine) -> Ints:
    """How many pixel and channel options each problem has, to within one."""
    multiple = np.where(work.pointwise, machine.pes, machine.cols)

    def sizes(extents: Ints, multiples: Any) -> Ints:
        pairs = zip(extents.tolist(), np.broadcast_to(multiples, extents.shape).tolist(), strict=True)
        return np.array([len(tile_sizes(extent, by)) for extent, by in pairs], np.int64)

    pixels = sizes(work.y, machine.rows) * sizes(work.x, multiple) + sizes(work.n, 1)
    return pixels + sizes(work.k, machine.cols) * sizes(work.c, machine.rows) + sizes(work.g, 1)


def windows(work: Workload) -> tuple[Window, Window]:
    """How the problems' outputs read their inputs along y and x."""
    return (
        Window(work.sy, work.fy, work.dy, work.py, work.iy),
        Window(work.sx, work.fx, work.dx, work.px, work.ix),
    )


class InputTraffic(NamedTuple):
    """Input elements of one channel for each pixel option: of all tiles, of the first tile, of the largest."""

    total: Ints
    first: Ints
    largest: Ints

    def take(self, index: Ints) -> InputTraffic:
        """Return those of the options *index*."""
        return InputTraffic(*(column[index] for column in self))


@lru_cache(maxsize=4096)
def _axis_extents(extent: int, multiple: int, window: tuple[int, ...], skip: bool) -> InputTraffic:
    """Sum, first and largest input extent over the tiles of one axis, for each of its candidate sizes."""
    sizes = tile_sizes(extent, multiple)
    tiles = -(-extent // sizes)
    ends = np.cumsum(tiles)
    starts = ends - tiles
    size = np.repeat(sizes, tiles)
    first = (np.arange(ends[-1]) - np.repeat(starts, tiles)) * size
    length = np.minimum(size, extent - first)
    loaded = input_extent(first, length, Window(*(np.asarray(value) for value in window)), skip)
    return InputTraffic(np.add.reduceat(loaded, starts), loaded[starts], np.maximum.reduceat(loaded, starts))


def input_traffic(work: Workload, options: Options, machine: Machine) -> InputTraffic:
    """Count the input elements of every pixel option, halos included and padding excluded, exactly.

    A matrix product has no halo: each element is read once.
    """
    n, y, x = options.sizes
    pixels = n * y * x
    traffic = InputTraffic(work.pixels[options.owner], pixels.copy(), pixels.copy())
    along = np.stack(windows(work)).transpose(2, 0, 1).tolist()  # a window for each problem and axis
    for row in np.flatnonzero(~work.pointwise).tolist():
        part = slice(options.offsets[row], options.offsets[row + 1])
        rows = _axis_extents(int(work.y[row]), machine.rows, tuple(along[row][0]), machine.skip_rows)
        columns = _axis_extents(int(work.x[row]), machine.cols, tuple(along[row][1]), machine.skip_columns)
        several = n[part][len(rows.total) * len(columns.total) :]
        total, first, largest = (np.multiply.outer(a, b).ravel() for a, b in zip(rows, columns, strict=True))
        # Tiles of several images hold them whole, as the last option of one image does.
        traffic.total[part] = work.n[row] * np.concatenate([total, np.repeat(total[-1], len(several))])
        traffic.first[part] = np.concatenate([first, first[-1] * several])
        traffic.largest[part] = np.concatenate([largest, largest[-1] * several])
    return traffic
