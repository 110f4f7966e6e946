"""The blocks of pixels that ``os`` lays on the array: full ones and those at the edges, their windows and drains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from squeezesim.cost.dataflow.base import ceil_div
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Ints, Workload

Classes = Sequence[Sequence[Ints]]  # [row of blocks full or edge][column full or edge]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Blocks of a tile by class: along each axis some are full and one, at the edge, may hold less.

    The pixels of a matrix product stand as one row of blocks of R·S pixels each.
    """

    images: Ints
    full_y: Ints
    edge_y: Ints  # 0 or 1
    full_x: Ints
    edge_x: Ints  # 0 or 1
    words: Classes  # inputs of one channel in a window
    preload: Classes  # cycles of one window
    drain: Classes  # cycles of one output channel

    @property
    def count(self) -> Ints:
        """Number of blocks."""
        return np.asarray(self.images * (self.full_y + self.edge_y) * (self.full_x + self.edge_x))

    def total(self, values: Classes) -> Ints:
        """Σ over all blocks."""
        rows = [self.full_x * full + self.edge_x * edge for full, edge in values]
        return np.asarray(self.images * (self.full_y * rows[0] + self.edge_y * rows[1]))

    def last(self, values: Classes) -> Ints:
        """The value of the last block."""
        full, edge = (np.where(self.edge_x > 0, row[1], row[0]) for row in values)
        return np.where(self.edge_y > 0, edge, full)

    def used(self, problem: Workload, y: Ints, x: Ints, machine: Machine) -> tuple[Ints, Ints]:
        """Rows and columns of the array that the largest block uses."""
        rows = np.where(problem.pointwise, ceil_div(x, machine.cols), y)
        return np.minimum(rows, machine.rows), np.minimum(x, machine.cols)


def window_extent(outputs: Ints | int, stride: Ints, taps: Ints, dilation: Ints) -> Ints:
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
    line = -(-cols // ports)
    full_y, edge_y = np.divmod(y, rows)
    full_x, edge_x = np.divmod(x, np.where(flat, rows * cols, cols))

    windows_y = [
        window_extent(size, problem.sy, problem.fy, problem.dy) for size in (rows, np.maximum(edge_y, 1))
    ]
    windows_x = [
        window_extent(size, problem.sx, problem.fx, problem.dx) for size in (cols, np.maximum(edge_x, 1))
    ]
    # A matrix product fills the array line by line.
    flat_words = np.asarray(rows * cols), edge_x
    rest_lines = edge_x // cols * line + ceil_div(edge_x % cols, ports)
    lines = [np.asarray(line), ceil_div(edge_x, ports)]

    words = [[np.where(flat, flat_words[b], windows_y[a] * windows_x[b]) for b in (0, 1)] for a in (0, 1)]
    preload = [[ceil_div(value, ports) for value in row] for row in words]
    drain = [
        [np.asarray(rows * line), np.where(flat, rest_lines, rows * lines[1])],
        [edge_y * lines[0], edge_y * lines[1]],
    ]
    return Blocks(
        images=n,
        full_y=np.where(flat, 1, full_y),
        edge_y=np.where(flat, 0, edge_y > 0),
        full_x=full_x,
        edge_x=(edge_x > 0).astype(np.int64),
        words=words,
        preload=preload,
        drain=drain,
    )
