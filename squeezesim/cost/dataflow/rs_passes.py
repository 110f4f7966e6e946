"""Passes of ``rs``: how a tile lies on PE sets, and the cycles of what they hold at once; ``rs`` has the formulas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import ceil_div
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Ints, Workload


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
            >>> blocks = Blocks.of(np.array(10), 4)
            >>> int(blocks.size), int(blocks.count), int(blocks.last)
            (4, 3, 2)
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


def lay_rows(
    problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine, strip: Ints | None = None
) -> Rows:
    """Lay the rows of a tile on PE sets, in strips of *strip* rows, by default of as many as the array holds.

    A set wider than the array is split at its width and stacked. Where one set does not hold all output rows, a smaller
    array would do: a strip has one set, a row of a matrix product's pixels one in each band of the array.

    Example: 27 rows of a 5×5 filter on 12×14 PEs are one set of 14 + 13 columns, 5 PEs high each.
    """
    high, flat = machine.rows // filter_parts(problem, machine).rows.size, problem.pointwise
    every = np.where(flat, x, y)
    if strip is None:
        strip = Blocks.of(every, np.where(flat, 1, high) * machine.cols).size
    rows, columns = np.where(flat, strip, y), np.where(flat, ceil_div(x, strip), x)
    side_by_side = high * np.maximum(machine.cols // strip, 1)
    sets = np.where(strip <= machine.cols, side_by_side, high // ceil_div(strip, machine.cols))
    sets = np.where(strip < every, np.where(flat, high, 1), sets)
    return Rows(np.where(flat, 1, n), rows, columns, strip, ceil_div(rows, strip), sets)


def input_positions(outputs: Ints, stride: Ints, taps: Ints, dilation: Ints) -> Ints:
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
    return input_positions(outputs, problem.sy, taps, problem.dy)


def input_columns(problem: Workload, outputs: Ints, taps: Ints) -> Ints:
    """Input columns that *outputs* output columns need for *taps* taps of a filter row."""
    return input_positions(outputs, problem.sx, taps, problem.dx)


class Share(NamedTuple):
    """What a pass holds: parts of the filter, filters and channels, and how they are dealt over PE sets."""

    rows: Ints  # filter rows
    taps: Ints  # of a filter row
    filters: Ints
    channels: Ints
    p: Ints  # filters in a PE
    q: Ints  # channels in a PE


class _Sweep(NamedTuple):
    """Sweeps of a pass that are equal, and the output rows of the strip that follows each of them."""

    number: Ints
    columns: Ints
    strip: Ints
    following: Ints


def _sweeps(problem: Workload, rows: Rows) -> Iterator[_Sweep]:
    """All sweeps of a pass but the last, which is the last class of the last strip."""
    apart = np.minimum(problem.dx // np.gcd(problem.sx, problem.dx), rows.columns)
    least, longer = np.divmod(rows.columns, apart)
    for strips, strip in ((rows.strips - 1, rows.strip), (np.ones_like(rows.strips), rows.last)):
        yield _Sweep(rows.images * strips * longer, least + 1, strip, strip)
        yield _Sweep(rows.images * strips * (apart - 1 - longer), least, strip, strip)
    yield _Sweep(rows.images * np.maximum(rows.strips - 2, 0), least, rows.strip, rows.strip)
    yield _Sweep(rows.images * (rows.strips > 1), least, rows.strip, rows.last)
    yield _Sweep(rows.images - 1, least, rows.last, rows.strip)


def pass_cycles(problem: Workload, rows: Rows, share: Share, machine: Machine) -> Ints:
    """Cycles of a pass, loading included.

    Example: AlexNet's conv3 on the chip, 4 images of 13 rows, 64 filters and 4 channels: 756 cycles of loading, and
    4 · 2,704 + 13.
    """
    step = problem.sx // np.gcd(problem.sx, problem.dx)
    apart = np.minimum(problem.dx // np.gcd(problem.sx, problem.dx), rows.columns)

    def inputs(strip: Ints, columns: Ints) -> Ints:
        words = input_rows(problem, strip, share.rows) * columns * share.channels
        return ceil_div(words, machine.network_inputs)

    def sums(strip: Ints, outputs: Ints) -> Ints:
        return ceil_div(strip * outputs, machine.network_psums)

    def streamed(strip: Ints, columns: Ints) -> tuple[Ints, Ints]:
        """Cycles of all columns but the last, and of the inputs of those columns."""
        brought = (columns - 1) * inputs(strip, np.minimum(step, share.taps))
        return np.maximum((columns - 1) * in_pe, brought), brought

    one = problem.paced(share.q * share.taps) + 1
    in_pe = share.p * one
    cycles = ceil_div(share.filters * share.channels * share.rows * share.taps, machine.network_weights)
    cycles = cycles + inputs(rows.strip, share.taps)
    for number, columns, strip, following in _sweeps(problem, rows):
        if not np.any(number):
            continue
        before, brought = streamed(strip, columns)
        pace = np.maximum(sums(strip, columns * share.filters), brought + inputs(following, share.taps))
        pace = np.maximum(pace, before + np.maximum(in_pe, sums(strip, share.filters)))
        cycles = cycles + number * pace
    columns, strip = rows.columns // apart, rows.last
    last = sums(strip, share.filters // share.p)  # of the sets that hold p filters
    before, _ = streamed(strip, columns)
    end = before + np.maximum(in_pe + last, sums(strip, share.filters) + one)
    return np.asarray(cycles + np.maximum(end, sums(strip, columns * share.filters) + one))
