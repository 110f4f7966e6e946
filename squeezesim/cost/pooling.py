"""Windows that pool a layer's outputs on their way out: which a tile finishes, and what stays open between tiles.

Along an axis of E outputs, P windows of W outputs begin every T outputs, the first of them B outputs before the axis.
Of the outputs before output p

    begun(p)    = ⌈(p + B) / T⌉, no more than P             finished(p) = ⌊(p + B − W) / T⌋ + 1, from 0 to P − 1

and both are P at the end of the axis: its last window is done when the axis is. A tile from p to q finishes
finished(q) − finished(p) windows along the axis. A window that is begun and not finished is *open*. It is one number
for each channel, its largest output or their sum so far, which is kept until a later tile finishes it.

Pixels of an image come row of tiles by row of tiles. So two things are kept: the windows that are open below a row of
tiles, as many rows of windows as are open at once, at full width; and those open at the right end of a tile, at the
height of what a tile finishes:

    kept = open(y) · P(x) + most finished(y) · open(x)      with open the most of begun − finished between two tiles

Nothing is kept along an axis that is not cut, or is cut where windows end and the next begin.

Example: 3×3 windows, every second output, over 8 rows in tiles of 4: before row 4 two windows have begun and one is
finished, rows 0 to 2. The other, rows 2 to 4, is open: one row of windows is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from squeezesim.cost.mapspace import Options
from squeezesim.cost.problem import Bools, Ints, Workload


class Windows(NamedTuple):
    """Windows along one axis, for each problem; without pooling one for each output."""

    extent: Ints  # outputs
    number: Ints  # of windows
    size: Ints
    stride: Ints
    before: Ints  # outputs that the first begins before the axis

    def finished(self, end: Ints) -> Ints:
        """How many windows are finished by the outputs before *end*.

        Example:
            >>> Windows(*np.array([[8], [4], [3], [2], [0]])).finished(np.array([2, 4, 7, 8])).tolist()
            [0, 1, 3, 4]
        """
        found = np.minimum((end + self.before - self.size) // self.stride + 1, self.number - 1)
        return np.where(end >= self.extent, self.number, np.maximum(found, 0))

    def begun(self, end: Ints) -> Ints:
        """How many windows have begun by the outputs before *end*."""
        found = -(-(end + self.before) // self.stride)
        return np.where(end >= self.extent, self.number, np.minimum(found, self.number))

    def alike(self, size: Ints, tiles: Ints) -> Bools:
        """Whether each of *tiles* of *size*, but for the first and the last, finishes as many windows as the others."""
        last = (tiles - 1) * size
        none = self.finished(last) == self.finished(size)
        first = size + self.before >= self.size - self.stride
        within = (last + self.before - self.size) // self.stride + 1 < self.number
        return np.asarray(none | ((size % self.stride == 0) & first & within))


def windows_of(work: Workload) -> tuple[Windows, Windows]:
    """Windows over the outputs along y and x."""
    table = np.array(work.pools, np.int64)[work.pool].T
    none = work.pool == 0
    counts = [
        np.where(none, extent, count) for extent, count in zip((work.y, work.x), table[:2], strict=True)
    ]
    return (
        Windows(work.y, counts[0], table[2], table[4], table[6]),
        Windows(work.x, counts[1], table[3], table[5], table[7]),
    )


class Pooled(NamedTuple):
    """Windows of one channel for each pixel option."""

    last: Ints  # that the last tile finishes
    most: Ints  # that a tile finishes at most
    kept: Ints  # that are kept between tiles

    def take(self, index: Ints) -> Pooled:
        """Return those of the options *index*."""
        return Pooled(*(column[index] for column in self))


class _Axis(NamedTuple):
    """Windows along an axis for each size of its tiles."""

    last: Ints
    most: Ints
    open: Ints


def pooled_options(work: Workload, pixels: Options) -> Pooled:
    """Count the windows of every pixel option; where nothing is pooled they are its outputs."""
    n, y, x = pixels.sizes
    last = pixels.last.a * pixels.last.b * pixels.last.c
    found = Pooled(last, n * y * x, np.zeros_like(n))
    along = windows_of(work)
    for row in np.flatnonzero(work.pool).tolist():
        part = slice(pixels.offsets[row], pixels.offsets[row + 1])
        rows, columns = (
            _along(size[part], Windows(*(column[row] for column in axis)))
            for size, axis in zip((y, x), along, strict=True)
        )
        width = along[1].number[row]
        found.last[part] = pixels.last.a[part] * rows.last * columns.last
        found.most[part] = n[part] * rows.most * columns.most
        found.kept[part] = n[part] * (rows.open * width + rows.most * columns.open)
    return found


def _along(sizes: Ints, windows: Windows) -> _Axis:
    """Windows along an axis in tiles of each of *sizes*."""
    distinct, inverse = np.unique(sizes, return_inverse=True)
    tiles = -(-int(windows.extent) // distinct)
    ends = np.cumsum(tiles)
    starts = ends - tiles
    number = np.arange(ends[-1]) - np.repeat(starts, tiles)
    size = np.repeat(distinct, tiles)
    end = np.minimum((number + 1) * size, windows.extent)
    finished = windows.finished(end)
    each = finished - windows.finished(number * size)
    left = windows.begun(end) - finished  # none at the end of the axis
    found = _Axis(each[ends - 1], np.maximum.reduceat(each, starts), np.maximum.reduceat(left, starts))
    return _Axis(*(column[inverse] for column in found))
