"""Row stationary: a PE keeps filter rows and slides them over input rows; sets of PEs form 2-D convolutions.

The tile's FY filter rows × e output rows are a logical PE set, split at the array's width and replicated over channels
and filters as often as it fits (``lay_rows``). In a set an input row goes to every PE that needs it, along a diagonal
where stride and dilation are 1. ``pass_cycles`` has the cycles of a pass, ``mapping`` the best mapping of each tile.
Groups, and parts of filters that the array cannot hold at once, run one after the other.

    cycles = G · Σ over parts of filters, filter blocks and channel blocks of the cycles of a pass
    stream = G · images · strips · X · Σ over the same of p·⌈q·FX / rate⌉, in which the PEs multiply

A PE does ``rate`` MACs in a cycle (``precision.rates``), of one filter: its products are added to one sum. Sums over
the channels of a pass run up the PEs of its sets; those of different passes are added up in the buffer.

A pass loads its filters and the first window of each input row of its first sweep. Then the sweeps follow, the output
columns of a strip of an image from left to right; with g = gcd(stride, dilation) a strip is dilation/g sweeps, each a
convolution without dilation. For an output column of e rows, p filters and q channels in a PE, and k filters and c
channels in the pass, FX taps of a filter row:

    PE       = p·h        h = ⌈q·FX / rate⌉ + 1: the products of a filter, and adding the sum that comes from below
    sums     = e·k / psums_words
    inputs   = ⌈input rows · min(stride/g, FX) · c / inputs_words⌉
    window   = ⌈input rows of the next sweep · FX · c / inputs_words⌉

A sweep of X columns goes on as soon as its PEs are done, the window of the next sweep has come, and no more sums wait
than their network moves until the next sweep adds its first ones:

    sweep      = max(⌈X·sums⌉, (X−1)·max(PE, inputs) + max(PE, ⌈sums⌉), (X−1)·inputs + window)
    last sweep = max(⌈X·sums⌉ + h, (X−1)·max(PE, inputs) + max(PE + last, ⌈sums⌉ + h))

After the last sweep all sums leave; *last* is the time of those that were added last.

The array holds ``sets`` PE sets, r of which work on different input channels and t on different filters. A PE holds q
channels of p filters, and a sum for each filter. With its register file

    q·FX ≤ input_words        p·q·FX ≤ filter_words        p ≤ psum_words        r·t ≤ sets

Filters and channels are cut into blocks; one of each is a pass, dealt over t and r sets so that every PE holds as few
as it can. For a given block more sets are never slower, since p and q are no larger, so that t is the largest for an r.
All else is a choice: e, the blocks of filters, the blocks of channels and, where ``filter_words`` leaves room for fewer
filters than there could be, the taps of a part. Larger blocks are fewer passes, but may fill the sets worse: 10 filters
in 4 sets of PEs with 2 each take two blocks of 5, in which PEs work for 4 filters, or 4, 4 and 2, for 3. What fits an
array fits a better one, so that no tile takes more cycles on an array with more rows, columns or registers, or with
wider networks. With the objectives ``energy`` and ``edp`` strips and parts are the largest, and blocks the largest for
their r, t and q.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import (
    Access,
    Accesses,
    Bounds,
    Dataflow,
    Products,
    Terms,
    Tile,
    TileCost,
    buffer_words,
    ceil_div,
    numbered,
)
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.hardware.dataflows import DECLARED


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


_CHUNK = 1 << 16  # tiles that are mapped together, times pairs of r and t


class Mapped(NamedTuple):
    """The mapping chosen for each tile, its cycles and its words."""

    e: Ints  # output rows of a strip
    p: Ints  # filters in a PE
    q: Ints  # channels in a PE
    r: Ints  # PE sets along the channels
    t: Ints  # PE sets along the filters
    taps: Ints  # of a filter row in a PE
    stream: Ints  # cycles in which the PEs multiply
    fill: Ints  # all others
    inputs_read: Ints  # words from the buffer
    psum_passes: Ints  # passes that each output takes part in
    inputs_delivered: Ints  # words written into PEs
    hops: Ints  # sums that go from PE to PE, for each output pixel of the tile


@lru_cache(maxsize=1024)
def _distinct(most: int) -> tuple[int, ...]:
    """Different values of ⌊most / i⌋, descending."""
    return tuple(sorted({most // i for i in range(1, most + 1)}, reverse=True))


@lru_cache(maxsize=1024)
def splits(sets: int, most: int) -> tuple[Ints, Ints, Ints]:
    """(r, t, q): every largest t for an r, with the different interleavings of up to *most* channels.

    Example: 2 PE sets and up to 1 channel give (1, 2, 1) and (2, 1, 1).
    """
    along = sorted({(sets // t, t) for t in _distinct(sets)})
    pairs = [(r, t, q) for r, t in along for q in _distinct(most)]
    r, t, q = np.array(pairs, np.int64).T
    return r, t, q


@lru_cache(maxsize=4096)
def _block_sizes(extent: int) -> Ints:
    """Sizes, descending, of the blocks into which ``Blocks`` cuts *extent*: those above √extent are of few blocks.

    Example: 10 is cut into blocks of 10, 5, 4, 3, 2 and 1.
    """
    few, whole = np.arange(1, isqrt(extent) + 2), np.array(extent)
    sizes = np.unique(np.concatenate([few, ceil_div(whole, few)]))
    return np.asarray(sizes[Blocks.of(whole, sizes).size == sizes][::-1])


def _sizes_up_to(extent: int, most: int) -> tuple[Ints]:
    """Sizes of blocks of at most *most*."""
    sizes = _block_sizes(extent)
    return (sizes[np.searchsorted(-sizes, -most) :],)


def _largest_up_to(extent: int, most: int) -> tuple[Ints]:
    """The largest of them alone."""
    return (_sizes_up_to(extent, most)[0][:1],)


def _each(table: Callable[[int, int], tuple[Ints, ...]], one: Ints, other: Ints) -> tuple[Ints, ...]:
    """Every row of ``table(one, other)`` of each pair: which pair it is of, then its columns."""
    first, number = numbered(one, other)
    tables = [table(*pair) for pair in zip(one[first].tolist(), other[first].tolist(), strict=True)]
    counts = np.array([len(columns[0]) for columns in tables])
    of = np.repeat(np.arange(len(one)), counts[number])
    skipped = (np.cumsum(counts) - counts)[number] - (np.cumsum(counts[number]) - counts[number])
    rows = np.arange(len(of)) + skipped[of]
    return of, *(np.concatenate(columns)[rows] for columns in zip(*tables, strict=True))


class _Laid(NamedTuple):
    """Tiles of one group with their strips and the parts of their filters."""

    problem: Workload
    pixels: Ints
    k: Ints
    c: Ints
    rows: Rows
    part: Filter
    most_q: Ints  # channels that a PE can interleave
    tile: Ints

    def take(self, index: Ints) -> _Laid:
        """Return the rows *index*."""
        blocks = (Blocks(of.size[index], of.count[index], of.last[index]) for of in self.part)
        rows = Rows(*(value[index] for value in self.rows))
        pixels, k, c, most_q, tile = (
            value[index] for value in (self.pixels, self.k, self.c, self.most_q, self.tile)
        )
        return _Laid(self.problem.take(index), pixels, k, c, rows, Filter(*blocks), most_q, tile)


class _Mappings(NamedTuple):
    """How tiles that are laid are dealt over PE sets and cut into blocks."""

    at: Ints  # row of ``_Laid``
    r: Ints
    t: Ints
    channels: Ints  # of a block
    filters: Ints

    def take(self, index: Any) -> _Mappings:
        """Return the rows *index*."""
        return _Mappings(*(value[index] for value in self))


def _lay(problem: Workload, n: Ints, y: Ints, x: Ints, k: Ints, c: Ints, machine: Machine) -> _Laid:
    """Every height of strips, and every part of filter rows that may be of use, of a tile the largest first.

    Shorter parts leave room for more filters in a PE, where ``filter_words`` leaves less than there is otherwise. They
    are those of fewer registers, which hold one channel of them.
    """
    flat, whole = problem.pointwise, filter_parts(problem, machine)
    high, size = machine.rows // whole.rows.size, whole.taps.size
    most = min(machine.input_words, machine.filter_words)
    chosen = machine.objective == "latency"
    table = _sizes_up_to if chosen else _largest_up_to
    tile, strip = _each(table, np.where(flat, x, y), np.where(flat, 1, high) * machine.cols)
    crowded = chosen & (machine.filter_words // size < np.minimum(machine.psum_words, k))
    at, taps = _each(_sizes_up_to, np.where(crowded, problem.fx, 1)[tile], np.full_like(tile, most))
    taps = np.where(crowded[tile[at]], taps, size[tile[at]])
    tile, strip = tile[at], strip[at]
    of = problem.take(tile)
    part = filter_parts(of, machine)._replace(taps=Blocks.of(of.fx, taps))
    most_q = np.where(taps == size[tile], most // taps, 1)
    n, y, x = n[tile], y[tile], x[tile]
    rows = lay_rows(of, n, y, x, machine, strip)
    return _Laid(of, n * y * x, k[tile], c[tile], rows, part, most_q, tile)


def _most_p(taps: Ints, q: Ints | int, machine: Machine) -> Ints:
    """The most filters in a PE with *q* channels."""
    return np.asarray(np.minimum(machine.psum_words, machine.filter_words // (q * taps)))


def _costed(laid: _Laid, mappings: _Mappings, machine: Machine) -> Mapped:
    """Cycles and words of one group of tiles, each laid as its mapping says."""
    laid, r, t = laid.take(mappings.at), mappings.r, mappings.t
    problem, rows, part, c = laid.problem, laid.rows, laid.part, laid.c
    channels, filters = Blocks.of(c, mappings.channels), Blocks.of(laid.k, mappings.filters)
    stream = cycles = read = delivered = hops = np.zeros_like(c)
    for folds, filter_rows, taps in part.parts():
        at_once, every = _inputs(problem, rows, laid.pixels, filter_rows, taps)
        for filter_blocks, block_k in filters.parts():
            in_pe = ceil_div(block_k, t)
            read = read + folds * filter_blocks * at_once * c
            delivered = delivered + folds * filter_blocks * every * c * ceil_div(block_k, in_pe)
            for channel_blocks, block_c in channels.parts():
                passes, interleaving = folds * filter_blocks * channel_blocks, ceil_div(block_c, r)
                share = Share(filter_rows, taps, block_k, block_c, in_pe, interleaving)
                cycles = cycles + passes * pass_cycles(problem, rows, share, machine)
                stream = stream + passes * in_pe * problem.paced(interleaving * taps)
                hops = hops + passes * block_k * (filter_rows * ceil_div(block_c, interleaving) - 1)
    stream = stream * rows.images * rows.strips * rows.columns
    p, q = ceil_div(filters.size, t), ceil_div(channels.size, r)
    summed = channels.count * part.folds
    return Mapped(
        rows.strip, p, q, r, t, part.taps.size, stream, cycles - stream, read, summed, delivered, hops
    )


def _inputs(problem: Workload, rows: Rows, pixels: Ints, filter_rows: Ints, taps: Ints) -> tuple[Ints, Ints]:
    """Words of a channel that the strips of a tile read from the buffer, and those that the PEs of a set get."""
    full, last = (input_rows(problem, strip, filter_rows) for strip in (rows.strip, rows.last))
    columns = rows.images * input_columns(problem, rows.columns, taps)
    read, delivered = ((rows.strips - 1) * full + last) * columns, rows.rows * filter_rows * columns
    return np.where(problem.pointwise, pixels, read), np.where(problem.pointwise, pixels, delivered)


class _Least:
    """Cycles that tiles that are laid take at least, by what their blocks add up to.

    A pass loads, brings its first windows and streams as long as its PEs multiply, its sums leave or its inputs come.
    Ends of passes are left out but for what each has, and nothing is rounded up.
    """

    def __init__(self, laid: _Laid, machine: Machine) -> None:
        problem, rows, self.folds = laid.problem, laid.rows, laid.part.folds
        first = every = np.zeros_like(laid.c)
        for folds, height, taps in laid.part.parts():
            full, last = (input_rows(problem, strip, height) for strip in (rows.strip, rows.last))
            first = first + folds * full * taps
            across = rows.images * input_columns(problem, rows.columns, taps)
            every = every + folds * ((rows.strips - 1) * full + last) * across
        self.columns = rows.images * rows.strips * rows.columns
        self.loading = laid.k * laid.c * problem.taps / machine.network_weights
        self.first, self.inputs = (words * laid.c / machine.network_inputs for words in (first, every))
        outputs = rows.images * rows.rows * rows.columns * laid.k
        self.sums = self.folds * outputs / machine.network_psums
        self.drain = rows.last / machine.network_psums
        self.products = laid.part.rows.count * problem.fx * problem.cycles_at_once / problem.macs_at_once

    def cycles(self, at: Ints, filters: _Held, channels: _Held) -> Floats:
        """Of the rows *at*, with what their filters and their channels add up to."""
        passes = self.folds[at] * channels.blocks
        one = channels.each * self.products[at] + passes
        first, in_pe = self.first[at] * filters.blocks, filters.each * one
        end = passes * np.maximum(self.drain[at] * filters.last, filters.blocks)
        multiplying = first + self.columns[at] * in_pe + end
        leaving = first + self.sums[at] * channels.blocks + filters.blocks * one
        coming = self.inputs[at] * filters.blocks + in_pe + end
        return np.asarray(self.loading[at] + np.maximum(np.maximum(multiplying, leaving), coming))


class _Held(NamedTuple):
    """Sums over blocks of filters or channels, each dealt over PE sets."""

    blocks: Ints  # 1 of each
    each: Ints  # what a PE holds
    last: Ints  # sets that hold as much, of filters those whose sums leave last

    @classmethod
    def of(cls, extent: Ints, size: Ints, sets: Ints) -> _Held:
        """Add up the blocks of *size* that *extent* is cut into."""
        blocks = Blocks.of(extent, size)
        most, least = ceil_div(size, sets), ceil_div(blocks.last, sets)
        others = blocks.count - 1
        return cls(blocks.count, others * most + least, others * (size // most) + blocks.last // least)

    @classmethod
    def least(cls, extent: Ints, most: Ints, sets: Ints) -> _Held:
        """What no blocks of at *most* fall below."""
        blocks = ceil_div(extent, most)
        return cls(blocks, ceil_div(extent, sets), blocks)


def _whole_array(laid: _Laid, first: Ints, machine: Machine) -> _Mappings:
    """Mappings of the rows *first* with as few blocks as an r, its t and a q allow."""
    of, r, t, q = _each(splits, laid.rows.sets[first], laid.most_q[first])
    at = first[of]
    channels = Blocks.of(laid.c[at], r * q).size
    most_p = _most_p(laid.part.taps.size[at], ceil_div(channels, r), machine)
    return _Mappings(at, r, t, channels, Blocks.of(laid.k[at], t * most_p).size)


def _fastest(laid: _Laid, machine: Machine) -> _Mappings:
    """The mappings that can be as fast as the fastest: those that are not slower than one of *whole* at least.

    What strips and PE sets, then blocks of channels, then those of filters take at least rules most of them out.
    """
    least = _Least(laid, machine)

    def bound(mappings: _Mappings) -> Floats:
        at, r, t, size, filters = mappings
        channels = _Held.of(laid.c[at], size, r)
        return least.cycles(at, _Held.of(laid.k[at], filters, t), channels)

    def reached(mappings: _Mappings, floor: Floats) -> Floats:
        """Cycles, for each row of *laid*, of the mapping of its tile that promises most."""
        tried = mappings.take(_first(laid.tile[mappings.at], floor))
        cost = _costed(laid, tried, machine)
        return ((cost.stream + cost.fill) * (1 + 1e-12))[laid.tile]

    taps = laid.part.taps.size
    at, r, t, _ = _each(splits, laid.rows.sets, np.ones_like(laid.tile))
    k, c = laid.k[at], laid.c[at]
    r, t = np.minimum(r, c), np.minimum(t, k)
    filters = _Held.least(k, t * _most_p(taps[at], 1, machine), t)
    floor = least.cycles(at, filters, _Held.least(c, r * laid.most_q[at], r))
    whole = _whole_array(laid, at[_first(laid.tile[at], floor)], machine)
    limit = reached(whole, bound(whole))
    other = (np.diff(at, prepend=-1) != 0) | (np.diff(r, prepend=0) != 0) | (np.diff(t, prepend=0) != 0)
    some = np.flatnonzero(other & (floor <= limit[at]))

    at, r, t = at[some], r[some], t[some]
    of, size = _each(_sizes_up_to, laid.c[at], r * laid.most_q[at])
    at, r, t = at[of], r[of], t[of]
    k, most = laid.k[at], t * _most_p(taps[at], ceil_div(size, r), machine)
    floor = least.cycles(at, _Held.least(k, most, t), _Held.of(laid.c[at], size, r))
    some = np.flatnonzero(floor <= limit[at])
    once = _Mappings(at, r, t, size, Blocks.of(k, most).size).take(some)
    limit = np.minimum(limit, reached(once, floor[some]))
    some = some[floor[some] <= limit[at[some]]]

    at, r, t, size, most = at[some], r[some], t[some], size[some], most[some]
    of, held = _each(_sizes_up_to, laid.k[at], most)
    found = _Mappings(at[of], r[of], t[of], size[of], held)
    return found.take(np.flatnonzero(bound(found) <= limit[found.at]))


def _first(tile: Ints, *values: Any) -> Ints:
    """The row of each tile with the least value, of equal ones by the next of *values*, then the first.

    Rows of a tile stand together.
    """
    rows = np.arange(len(tile))
    for value in values:
        new = np.diff(tile[rows], prepend=-1) != 0
        least = np.minimum.reduceat(value[rows], np.flatnonzero(new))
        rows = rows[value[rows] == least[np.cumsum(new) - 1]]
    return rows[np.flatnonzero(np.diff(tile[rows], prepend=-1))]


def _best(laid: _Laid, mappings: _Mappings, mapped: Mapped, machine: Machine) -> Ints:
    """Which of the mappings each tile gets: of equally fast ones the one that moves less."""
    costs, tile = machine.energy, laid.tile[mappings.at]
    pixels, k, activation, psum = (
        value[mappings.at]
        for value in (laid.pixels, laid.k, laid.problem.activation_bits, laid.problem.accumulator_bits)
    )
    buffer = mapped.inputs_read * activation * costs.buffer_read_per_bit
    buffer = buffer + mapped.psum_passes * (
        pixels * k * psum * (costs.buffer_read_per_bit + costs.buffer_write_per_bit)
    )
    delivered = mapped.inputs_delivered * activation * (costs.inter_pe_per_bit + costs.register_file_per_bit)
    energy = buffer + delivered + mapped.hops * pixels * psum * costs.inter_pe_per_bit
    cycles = mapped.stream + mapped.fill
    if machine.objective == "latency":
        return _first(tile, cycles, energy)
    if machine.objective == "edp":
        return _first(tile, energy * cycles)
    slowest = np.zeros(int(tile[-1]) + 1)
    np.maximum.at(slowest, tile, cycles)
    return _first(tile, energy * (1 + 1e-9 * cycles / slowest[tile]))


def map_tiles(problem: Workload, n: Ints, y: Ints, x: Ints, k: Ints, c: Ints, machine: Machine) -> Mapped:
    """Choose the mapping of each tile by ``machine.objective``; cycles and words are those of one group."""
    parts = []
    size = max(_CHUNK // len(_distinct(machine.rows * machine.cols)), 1)
    for start in range(0, len(k), size):
        some = np.arange(start, min(start + size, len(k)))
        laid = _lay(problem.take(some), n[some], y[some], x[some], k[some], c[some], machine)
        if machine.objective == "latency":
            mappings = _fastest(laid, machine)
        else:
            mappings = _whole_array(laid, np.arange(len(some)), machine)
        mapped = _costed(laid, mappings, machine)
        best = _best(laid, mappings, mapped, machine)
        parts.append(Mapped(*(value[best] for value in mapped)))
    return Mapped(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class _Pixel(NamedTuple):
    """Terms of a tile's pixels; those after ``columns`` are shared by the PE sets."""

    n: Any
    y: Any
    x: Any
    tiles: Any
    pixels: Any
    inputs: Any  # of a pass, those of the smallest part of the filter
    delivered: Any  # inputs, once for each PE that gets them
    columns: Any  # output columns that a PE computes, over images and strips
    columns_shared: Any
    pixels_shared: Any
    inputs_shared: Any
    words_shared: Any  # √(pixels · inputs / sets)


class _Channel(NamedTuple):
    """Terms of a tile's channels; all but the first four are least values, as if nothing were rounded up."""

    g: Any
    k: Any
    c: Any
    slices: Any
    loading: Any  # cycles to load the weights
    alone: Any  # cycles of a PE for an output column, where every set has its own p filters and q channels
    products: Any  # cycles of one PE for an output column, for all of them
    sums_out: Any  # cycles of the network for an output, in one pass
    sums_all: Any  # the same for all passes, without PE sets
    inputs_in: Any  # cycles of the network for an input, in one pass
    inputs_all: Any
    either: Any  # cycles of the slower of the two networks, for one PE set and √(pixels · inputs)
    hops: Any
    copies: Any  # PEs of a column that get an input


def _pixel_terms(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    rows, part = lay_rows(problem, n, y, x, machine), filter_parts(problem, machine)
    pixels, height, columns = n * y * x, part.rows.last, rows.images * rows.strips * rows.columns
    width = rows.images * input_columns(problem, rows.columns, part.taps.last)
    inputs = np.where(problem.pointwise, pixels, input_rows(problem, rows.rows, height) * width)
    return _Pixel(
        n,
        y,
        x,
        np.ones_like(pixels),
        pixels,
        inputs,
        np.where(problem.pointwise, pixels, rows.rows * height * width),
        columns,
        columns / rows.sets,
        pixels / rows.sets,
        inputs / rows.sets,
        np.sqrt(pixels * inputs / rows.sets),
    )


def _channel_terms(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    part = filter_parts(problem, machine)
    most_q = min(machine.input_words, machine.filter_words) // part.taps.size
    most_p = min(machine.psum_words, machine.filter_words)  # with parts of a tap
    most = np.maximum(np.minimum(machine.psum_words * most_q, machine.filter_words // part.taps.size), most_p)
    slices, parts = g * k * c, g * part.folds
    taps = part.rows.count * problem.fx * (problem.cycles_at_once / problem.macs_at_once)  # cycles at least
    sums, inputs = machine.network_psums, machine.network_inputs
    return _Channel(
        g,
        k,
        c,
        slices,
        slices * problem.taps / machine.network_weights,
        g * (taps + part.folds),
        g * k * c * (taps + part.folds / most_q),
        parts * k / sums,
        parts * k * c / (most_q * sums),
        parts * c / inputs,
        parts * k * c / (most_p * inputs),
        parts * k * c / np.sqrt(most * sums * inputs),
        g * k * part.taps.count * (problem.fy - part.rows.count) * ceil_div(c, most_q),
        parts * c * ceil_div(k, most_p),
    )


def mapping(problem: Workload, tile: Tile, machine: Machine) -> Mapped:
    """The mapping chosen for each tile; equal tiles are mapped once."""
    shape = (problem.fy, problem.fx, problem.sy, problem.sx, problem.dy, problem.dx, problem.pointwise)
    widths = (problem.activation_bits, problem.accumulator_bits, problem.macs_at_once, problem.cycles_at_once)
    table = np.broadcast_arrays(tile.n, tile.y, tile.x, tile.k, tile.c, *shape, *widths)
    first, number = numbered(*table)
    n, y, x, k, c = (column[first] for column in table[:5])
    of = problem.take(np.broadcast_to(np.arange(len(problem)), len(number))[first])
    return Mapped(*(value[number] for value in map_tiles(of, n, y, x, k, c, machine)))


def _tile_cost(problem: Workload, tile: Tile, machine: Machine) -> TileCost:
    """Every MAC reads an input, a weight and a sum and writes the sum, in registers; what a PE gets is written too.

    A word that the network delivers to several PEs is read from the buffer once and moved to each of them.
    """
    n, y, x, g, k, c = tile
    mapped, pixels = mapping(problem, tile, machine), n * y * x
    weights = g * k * c * problem.taps
    macs = pixels * weights

    def accesses() -> Accesses:
        delivered = 1.0 * g * mapped.inputs_delivered
        copied = weights * (1.0 * mapped.e)
        written = 1.0 * g * k * pixels * mapped.psum_passes
        return {
            Access("register_file", "inputs"): macs + delivered,
            Access("register_file", "weights"): macs + copied,
            Access("register_file", "psums"): 2.0 * macs,
            Access("inter_pe", "inputs"): delivered,
            Access("inter_pe", "weights"): copied,
            Access("inter_pe", "psums"): 1.0 * g * pixels * mapped.hops,
            **buffer_words(inputs=1.0 * g * mapped.inputs_read, weights=1.0 * weights, psums=written),
        }

    return TileCost(g * mapped.stream, g * mapped.fill, macs, accesses)


def _cycles(pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
    """Σ over passes of the PE's cycles, the sums' or the inputs', or of what the two networks must share."""
    p, c = _Pixel(*pixel), _Channel(*channel)
    loading = (p.tiles, c.loading)
    paces = (
        (p.columns_shared, c.products),
        (p.columns, c.alone),
        (p.pixels, c.sums_out),
        (p.pixels_shared, c.sums_all),
        (p.inputs, c.inputs_in),
        (p.inputs_shared, c.inputs_all),
        (p.words_shared, c.either),
    )
    return [[pace, loading] for pace in paces]


def _least_accesses(
    problem: Workload, pixel: Sequence[Floats], channel: Sequence[Floats], machine: Machine
) -> Sequence[Accesses]:
    """As if r and t were both the number of PE sets, and nothing were rounded up.

    Sums and inputs pass at least as often as in one pass, and as all PE sets need; the alternatives have both of each.
    """
    p, c = _Pixel(*pixel), _Channel(*channel)
    macs, weights = p.pixels * c.slices * problem.taps, p.tiles * c.slices * problem.taps
    delivered, hops = p.delivered * c.copies, p.pixels * c.hops
    passed = p.pixels * c.sums_out, p.pixels_shared * c.sums_all
    read = p.inputs * c.inputs_in, p.inputs_shared * c.inputs_all
    return [
        {
            Access("register_file", "inputs"): macs + delivered,
            Access("register_file", "weights"): macs + weights,
            Access("register_file", "psums"): 2 * macs,
            Access("inter_pe", "inputs"): delivered,
            Access("inter_pe", "weights"): weights,
            Access("inter_pe", "psums"): hops,
            **buffer_words(
                inputs=inputs * machine.network_inputs, weights=weights, psums=sums * machine.network_psums
            ),
        }
        for sums in passed
        for inputs in read
    ]


_BOUNDS = Bounds(_pixel_terms, _channel_terms, _cycles, _least_accesses, exact=False)

RS = Dataflow(DECLARED["rs"], _tile_cost, _BOUNDS, mapping_depends_on_energy=True)
