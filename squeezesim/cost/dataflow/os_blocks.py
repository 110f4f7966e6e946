"""The blocks of pixels that ``os`` lays on the array: full ones and those at the edges, their windows and drains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from squeezesim.cost.dataflow.base import ceil_div
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Bools, Ints, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
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

    def total(self, values: Ints) -> Ints:
        """Σ over all blocks."""
        row = self.columns[0] * values[:, 0] + self.columns[1] * values[:, 1]
        return np.asarray(self.images * (self.rows[0] * row[0] + self.rows[1] * row[1]))

    def last(self, values: Ints) -> Ints:
        """The value of the last block."""
        row = np.where(self.columns[1] > 0, values[:, 1], values[:, 0])
        return np.asarray(np.where(self.rows[1] > 0, row[1], row[0]))

    def used(self, problem: Workload, y: Ints, x: Ints, machine: Machine) -> tuple[Ints, Ints]:
        """Rows and columns of the array that the largest block uses."""
        rows = np.where(problem.pointwise, ceil_div(x, machine.cols), y)
        return np.minimum(rows, machine.rows), np.minimum(x, machine.cols)


def window_extent(outputs: Ints, stride: Ints, taps: Ints, dilation: Ints) -> Ints:
    """Input positions that a run of outputs makes a window hold along one axis.

    All from the first tap to the last, (outputs − 1) · stride + (taps − 1) · dilation + 1, without those that a stride
    larger than the filter skips.

    Example: 16 outputs of a 3-tap filter hold 18 positions, with stride 2 it is 33.
    """
    extent = (taps - 1) * dilation + 1
    return np.asarray((outputs - 1) * np.minimum(stride, extent) + extent)


def blocks_of(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Blocks:
    """Cut a tile of n·y·x pixels into blocks of at most R·S."""
    rows, cols, ports = machine.rows, machine.cols, machine.ports
    flat = problem.pointwise
    full_y, edge_y = np.divmod(y, rows)
    full_x, edge_x = np.divmod(x, np.where(flat, rows * cols, cols))

    def classes(full: Ints | int, edge: Ints | Bools) -> Ints:
        both = np.empty((2, *edge.shape), np.int64)
        both[0], both[1] = full, edge
        return both

    windows_y = window_extent(classes(rows, np.maximum(edge_y, 1)), problem.sy, problem.fy, problem.dy)
    windows_x = window_extent(classes(cols, np.maximum(edge_x, 1)), problem.sx, problem.fx, problem.dx)
    # A matrix product fills the array line by line.
    words = np.where(flat, classes(rows * cols, edge_x), windows_y[:, None] * windows_x)
    line = -(-cols // ports)
    drain = classes(rows, edge_y)[:, None] * classes(line, ceil_div(edge_x, ports))
    drain[0, 1] = np.where(flat, edge_x // cols * line + ceil_div(edge_x % cols, ports), drain[0, 1])
    return Blocks(
        images=n,
        rows=classes(np.where(flat, 1, full_y), np.where(flat, 0, edge_y > 0)),
        columns=classes(full_x, edge_x > 0),
        words=words,
        preload=ceil_div(words, ports),
        drain=drain,
    )
