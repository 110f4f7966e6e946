"""Where a tile's filter rows and output rows lie on a row-stationary array, and which inputs they need.

A PE runs 1-D convolutions: one filter row over one input row. FY filter rows × e output rows form a logical PE set, in
which an input row goes to every PE that needs it, along a diagonal where stride and dilation are 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import ceil_div
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Ints, Workload


@dataclass(frozen=True, slots=True)
class Blocks:
    """An axis cut into blocks as equal as possible, none larger than a limit; the last one is the smallest."""

    size: Ints
    count: Ints
    last: Ints

    @classmethod
    def of(cls, extent: Ints, most: Ints | int) -> Blocks:
        """Cut *extent* into the fewest blocks of at most *most*.

        Example:
            >>> Blocks.of(np.array(10), 4)
            Blocks(size=4, count=3, last=2)
        """
        size = ceil_div(extent, ceil_div(extent, most))
        count = ceil_div(extent, size)
        return cls(size, count, extent - (count - 1) * size)

    def parts(self) -> list[tuple[Ints, Ints]]:
        """(number, size) of the full blocks, if there are any, and of the last."""
        one = (np.ones_like(self.count), self.last)
        return [(self.count - 1, self.size), one] if np.any(self.count > 1) else [one]


class Filter(NamedTuple):
    """A filter in parts that the array holds; they take passes of their own, one after the other."""

    rows: Blocks
    taps: Blocks  # of a row

    @property
    def folds(self) -> Ints:
        """Number of parts."""
        return self.rows.count * self.taps.count

    def parts(self) -> list[tuple[Ints, Ints, Ints]]:
        """(number, filter rows, taps of a row) of the parts that are equal."""
        return [
            (high * wide, rows, taps) for high, rows in self.rows.parts() for wide, taps in self.taps.parts()
        ]


class Rows(NamedTuple):
    """The pixels of a tile as output rows on PE sets, in strips of the same number of rows but for the last.

    The pixels of a matrix product are dealt over the array's columns as rows of equal length; what the last row lacks
    passes as empty slots.
    """

    images: Ints
    rows: Ints
    columns: Ints
    strip: Ints  # e, output rows of a strip
    strips: Ints
    sets: Ints  # PE sets that the array holds

    @property
    def last(self) -> Ints:
        """Output rows of the last strip."""
        return self.rows - (self.strips - 1) * self.strip


def filter_parts(problem: Workload, machine: Machine) -> Filter:
    """Fold the filter so that its rows fit the array and a row's taps the registers of a PE."""
    most = min(machine.input_words, machine.filter_words)
    return Filter(Blocks.of(problem.fy, machine.rows), Blocks.of(problem.fx, most))


def interleaved(part: Filter, machine: Machine) -> Ints:
    """The most channels that a PE can interleave."""
    return min(machine.input_words, machine.filter_words) // part.taps.size


def lay_rows(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Rows:
    """Lay the rows of a tile on PE sets: a set wider than the array is split at its width and stacked.

    Example: 27 rows of a 5×5 filter on 12×14 PEs are one set of 14 + 13 columns, 5 PEs high each.
    """
    high = machine.rows // filter_parts(problem, machine).rows.size
    flat = problem.pointwise
    most = high * machine.cols
    dealt = ceil_div(x, np.minimum(machine.cols, x))
    columns = np.where(flat, dealt, x)
    rows = np.where(flat, ceil_div(x, dealt), y)
    strip = ceil_div(rows, ceil_div(rows, most))
    side_by_side = high * np.maximum(machine.cols // strip, 1)
    sets = np.where(strip <= machine.cols, side_by_side, high // ceil_div(strip, machine.cols))
    return Rows(np.where(flat, 1, n), rows, columns, strip, ceil_div(rows, strip), sets)


def touched(outputs: Ints, stride: Ints, taps: Ints, dilation: Ints) -> Ints:
    """Positions along an axis that some tap of *outputs* neighbouring outputs needs.

    With g = gcd(stride, dilation), outputs dilation/g apart are a convolution of their own with stride/g and no
    dilation, on positions that no other outputs need.

    Example: 3 outputs of 3 taps, stride 2 and dilation 2, need 5 positions: 0, 2, 4, 6 and 8.
    """
    common = np.gcd(stride, dilation)
    alone = np.minimum(dilation // common, outputs)
    return np.asarray(np.minimum((outputs - alone) * (stride // common) + alone * taps, outputs * taps))


def input_rows(problem: Workload, outputs: Ints, taps: Ints) -> Ints:
    """Input rows that *outputs* output rows need for *taps* filter rows."""
    return touched(outputs, problem.sy, taps, problem.dy)


def input_columns(problem: Workload, outputs: Ints, taps: Ints) -> Ints:
    """Input columns that *outputs* output columns need for *taps* taps of a filter row."""
    return touched(outputs, problem.sx, taps, problem.dx)
