"""The blocks of pixels of ``os``: what a tile uses of the array, and how it is cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Tile, ceil_div
from squeezesim.cost.problem import Bools, Ints, Workload


class Used(NamedTuple):
    """What tiles use of the array, a row for each: rows and columns of a full block, partial sums of a full chunk.

    The ``pixels`` of a block are rows · columns, of a matrix product that many or fewer.
    """

    rows: Ints
    cols: Ints
    pixels: Ints
    words: Ints

    def take(self, index: Ints) -> Used:
        """Those of the tiles *index*."""
        return Used(*(column[index] for column in self))


class Filters(NamedTuple):
    """What says which inputs the pixels of tiles need, a row for each."""

    taps: tuple[Ints, Ints]  # along y and x, as the others
    stride: tuple[Ints, Ints]
    dilation: tuple[Ints, Ints]
    flat: Bools  # a matrix product

    @classmethod
    def of(cls, problem: Workload) -> Filters:
        """Those of problems."""
        taps, stride = (problem.fy, problem.fx), (problem.sy, problem.sx)
        return cls(taps, stride, (problem.dy, problem.dx), problem.pointwise)

    def take(self, index: Ints) -> Filters:
        """Those of the tiles *index*."""
        taps, stride, dilation = ((y[index], x[index]) for y, x in self[:3])
        return Filters(taps, stride, dilation, self.flat[index])

    def window(self, axis: int, outputs: Ints) -> Ints:
        """``window_extent`` along y (0) or x (1)."""
        return window_extent(outputs, self.stride[axis], self.taps[axis], self.dilation[axis])


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockClasses:
    """Blocks of a tile by class: along each axis some are full and one, at the edge, may hold less.

    What a block of each class has is an array (row of blocks full or edge, column full or edge, tiles). The pixels of a
    matrix product stand as one row of blocks of R·S pixels each.
    """

    images: Ints
    rows: Ints  # (2, tiles), how many rows of blocks are full and how many, 0 or 1, are an edge
    columns: Ints  # (2, tiles), the same
    words: Ints  # inputs of one channel in a window
    preload: Ints  # cycles of one window
    drain: Ints  # cycles of one output channel

    @property
    def count(self) -> Ints:
        """Number of blocks."""
        return np.asarray(self.images * (self.rows[0] + self.rows[1]) * (self.columns[0] + self.columns[1]))

    def take(self, index: Ints) -> BlockClasses:
        """Those of the tiles *index*."""
        columns = (self.rows, self.columns, self.words, self.preload, self.drain)
        rows, across, words, preload, drain = (column[..., index] for column in columns)
        return BlockClasses(
            images=self.images[index], rows=rows, columns=across, words=words, preload=preload, drain=drain
        )

    def total(self, values: Ints) -> Ints:
        """Σ over all blocks."""
        row = self.columns[0] * values[:, 0] + self.columns[1] * values[:, 1]
        return np.asarray(self.images * (self.rows[0] * row[0] + self.rows[1] * row[1]))

    def last(self, values: Ints) -> Ints:
        """The value of the last block."""
        row = np.where(self.columns[1] > 0, values[:, 1], values[:, 0])
        return np.asarray(np.where(self.rows[1] > 0, row[1], row[0]))


def window_extent(outputs: Ints, stride: Ints, taps: Ints, dilation: Ints) -> Ints:
    """Input positions that a run of outputs makes a window hold along one axis.

    All from the first tap to the last, (outputs − 1) · stride + (taps − 1) · dilation + 1, without those that a stride
    larger than the filter skips.

    Example: 16 outputs of a 3-tap filter hold 18 positions, with stride 2 it is 33.
    """
    extent = (taps - 1) * dilation + 1
    return np.asarray((outputs - 1) * np.minimum(stride, extent) + extent)


def lines_of(pixels: Ints, cols: Ints, ports: int) -> Ints:
    """Cycles in which a channel of so many pixels leaves in lines of *cols*, each ⌈its pixels / ports⌉.

    Example: 20 pixels in lines of 8 take 2 + 2 + 1 cycles through 4 ports.
    """
    return np.asarray(pixels // cols * ceil_div(cols, ports) + ceil_div(pixels % cols, ports))


def blocks_of(filters: Filters, tile: Tile, use: Used, ports: int) -> BlockClasses:
    """Cut tiles into blocks."""
    n, y, x = tile.n, tile.y, tile.x
    rows, cols, flat = use.rows, use.cols, filters.flat
    full_y, edge_y = np.divmod(y, rows)
    full_x, edge_x = np.divmod(x, np.where(flat, use.pixels, cols))

    def classes(full: Ints | int, edge: Ints | Bools) -> Ints:
        both = np.empty((2, *edge.shape), np.int64)
        both[0], both[1] = full, edge
        return both

    windows_y = filters.window(0, classes(rows, np.maximum(edge_y, 1)))
    windows_x = filters.window(1, classes(cols, np.maximum(edge_x, 1)))
    # A matrix product fills the array line by line.
    words = np.where(flat, classes(use.pixels, edge_x), windows_y[:, None] * windows_x)
    drain = classes(rows, edge_y)[:, None] * classes(ceil_div(cols, ports), ceil_div(edge_x, ports))
    drain[0] = np.where(flat, lines_of(words[0], cols, ports), drain[0])
    return BlockClasses(
        images=n,
        rows=classes(np.where(flat, 1, full_y), np.where(flat, 0, edge_y > 0)),
        columns=classes(full_x, edge_x > 0),
        words=words,
        preload=ceil_div(words, ports),
        drain=drain,
    )
