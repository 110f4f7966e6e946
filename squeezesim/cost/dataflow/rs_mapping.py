"""The mapping of each tile in ``rs``: how strips, parts of filters and blocks are chosen; ``rs`` says among which."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import isqrt
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import ceil_div, numbered
from squeezesim.cost.dataflow.rs_passes import (
    Blocks,
    Filter,
    Rows,
    Share,
    filter_parts,
    input_columns,
    input_rows,
    lay_rows,
    pass_cycles,
)
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints, Workload

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

    def beside(self, others: _Mappings) -> _Mappings:
        """Return these and *others*."""
        return _Mappings(*(np.concatenate(columns) for columns in zip(self, others, strict=True)))


def _lay(problem: Workload, n: Ints, y: Ints, x: Ints, k: Ints, c: Ints, machine: Machine) -> _Laid:
    """Every height of strips, and every part of filter rows that may be of use, of a tile the largest first.

    Shorter parts leave room for more filters in a PE, where ``filter_words`` leaves less than there is otherwise. They
    are those of fewer registers, which hold one channel of them.
    """
    flat, whole = problem.pointwise, filter_parts(problem, machine)
    high, size = machine.rows // whole.rows.size, whole.taps.size
    most = min(machine.input_words, machine.filter_words)
    table = _sizes_up_to if machine.chooses_blocks else _largest_up_to
    tile, strip = _each(table, np.where(flat, x, y), np.where(flat, 1, high) * machine.cols)
    crowded = machine.chooses_blocks & (machine.filter_words // size < np.minimum(machine.psum_words, k))
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


class _Energy:
    """What the words of tiles that are laid cost, without those that every mapping of a tile moves alike.

    A filter block reads all inputs and brings them to each set that has some of its filters. A channel block writes and
    reads all sums, which pass through its sets. Each PE of a row of a strip gets a copy of the weights.
    """

    def __init__(self, laid: _Laid, machine: Machine) -> None:
        problem, part, costs = laid.problem, laid.part, machine.energy
        self.k, self.c, self.folds = laid.k, laid.c, part.folds
        into_pe = costs.inter_pe_per_bit + costs.register_file_per_bit
        read = delivered = np.zeros_like(laid.c)
        for folds, height, taps in part.parts():
            at_once, every = _inputs(problem, laid.rows, laid.pixels, height, taps)
            read, delivered = read + folds * at_once, delivered + folds * every
        bits = laid.c * problem.activation_bits
        self.read, self.delivered = read * bits * costs.buffer_read_per_bit, delivered * bits * into_pe
        bits = laid.pixels * laid.k * problem.accumulator_bits
        self.passed = part.folds * bits * (costs.buffer_read_per_bit + costs.buffer_write_per_bit)
        self.hop, self.high = bits * costs.inter_pe_per_bit, problem.fy * part.taps.count
        bits = laid.k * laid.c * problem.taps * problem.weight_bits
        self.copied = laid.rows.strip * bits * into_pe

    def filters(self, at: Ints, blocks: Ints, sets: Ints) -> Floats:
        """Of the rows *at*, with so many blocks of filters on so many sets in all."""
        return np.asarray(self.read[at] * blocks + self.delivered[at] * sets)

    def channels(self, at: Ints, blocks: Ints, sets: Ints) -> Floats:
        """The same of channels."""
        hops = self.high[at] * sets - self.folds[at] * blocks
        return np.asarray(self.passed[at] * blocks + self.hop[at] * hops)

    def of(self, mappings: _Mappings) -> Floats:
        """What mappings cost."""
        at, r, t, channels, filters = mappings
        of_filters = self.filters(at, *_used(self.k[at], filters, t))
        return np.asarray(self.copied[at] + of_filters + self.channels(at, *_used(self.c[at], channels, r)))


def _used(extent: Ints, size: Ints, sets: Ints) -> tuple[Ints, Ints]:
    """Blocks of *size* that *extent* is cut into, and the sets on which they are, added up."""
    blocks = Blocks.of(extent, size)
    each, last = (ceil_div(held, ceil_div(held, sets)) for held in (size, blocks.last))
    return blocks.count, (blocks.count - 1) * each + last


def _counted(most: int, _: int) -> tuple[Ints]:
    """1 to *most*."""
    return (np.arange(1, most + 1),)


def _cheapest(laid: _Laid, machine: Machine) -> _Mappings:
    """The mappings that can cost the least: blocks on as few sets as hold them, with q channels in a PE.

    Strips with their q, then blocks of channels are ruled out by what blocks of filters cost at least beside them.
    """
    energy = _Energy(laid, machine)

    def reached(mappings: _Mappings) -> Floats:
        """What the cheapest of *mappings* of its tile costs, for each row of *laid*."""
        least = np.full(int(laid.tile[-1]) + 1, np.inf)
        np.minimum.at(least, laid.tile[mappings.at], energy.of(mappings))
        return np.asarray(least[laid.tile] * (1 + 1e-12))

    at, q = _each(_counted, laid.most_q, laid.most_q)
    sets, p = laid.rows.sets[at], _most_p(laid.part.taps.size[at], q, machine)
    k, c = laid.k[at], laid.c[at]
    floor = energy.copied[at] + energy.filters(at, ceil_div(k, sets * p), ceil_div(k, p))
    passes = energy.passed[at] * ceil_div(c, sets * q)
    floor = floor + passes + energy.hop[at] * (energy.high[at] - energy.folds[at]) * ceil_div(c, q)
    first = _first(laid.tile[at], floor)
    of, r, t, _ = _each(splits, sets[first], np.ones_like(first))
    of = first[of]
    channels, filters = Blocks.of(c[of], r * q[of]).size, Blocks.of(k[of], t * p[of]).size
    limit = reached(_Mappings(at[of], ceil_div(channels, q[of]), ceil_div(filters, p[of]), channels, filters))
    some = np.flatnonzero(floor <= limit[at])

    of, channels = _each(_sizes_up_to, c[some], (sets * q)[some])
    at, p, k, r = at[some[of]], p[some[of]], k[some[of]], ceil_div(channels, q[some[of]])
    most = sets[some[of]] // r * p
    floor = energy.copied[at] + energy.channels(at, *_used(c[some[of]], channels, r))
    floor = floor + energy.filters(at, ceil_div(k, most), ceil_div(k, p))
    some = np.flatnonzero(floor <= limit[at])
    filters = Blocks.of(k, most).size
    limit = np.minimum(limit, reached(_Mappings(at, r, ceil_div(filters, p), channels, filters).take(some)))
    some = some[floor[some] <= limit[at[some]]]

    of, filters = _each(_sizes_up_to, k[some], most[some])
    of = some[of]
    found = _Mappings(at[of], r[of], ceil_div(filters, p[of]), channels[of], filters)
    return found.take(np.flatnonzero(energy.of(found) <= limit[found.at]))


def _fast_and_cheap(laid: _Laid, machine: Machine) -> _Mappings:
    """The fastest mappings, and those of them on fewer sets that cost less and can be as fast."""
    mappings = _fastest(laid, machine)
    mapped, tile = _costed(laid, mappings, machine), laid.tile[mappings.at]
    cycles = mapped.stream + mapped.fill
    least = np.full(int(tile[-1]) + 1, np.iinfo(np.int64).max)
    np.minimum.at(least, tile, cycles)
    fastest = mappings.take(cycles == least[tile])
    at, r, t, channels, filters = fastest
    q, taps = ceil_div(channels, r), laid.part.taps.size[at]
    of, more = _each(_counted, laid.most_q[at] - q + 1, q)
    q = q[of] + more - 1
    p, most = ceil_div(filters, t)[of], _most_p(taps[of], q, machine)
    some, more = _each(_counted, np.maximum(most - p + 1, 0), q)
    of, p, q = of[some], p[some] + more - 1, q[some]
    fewer = _Mappings(at[of], ceil_div(channels[of], q), ceil_div(filters[of], p), channels[of], filters[of])
    energy = _Energy(laid, machine)
    cheaper = energy.of(fewer) < energy.of(fastest)[of]
    at, r, t, channels, filters = fewer = fewer.take(cheaper)
    held = _Held.of(laid.k[at], filters, t), _Held.of(laid.c[at], channels, r)
    floor = _Least(laid, machine).cycles(at, *held)
    return fastest.beside(fewer.take(floor <= least[laid.tile[at]] * (1 + 1e-12)))


def _best(laid: _Laid, mappings: _Mappings, mapped: Mapped, machine: Machine) -> Ints:
    """Which of the mappings each tile gets: by latency of equally fast ones the cheapest, by energy the reverse."""
    tile, cycles = laid.tile[mappings.at], mapped.stream + mapped.fill
    energy = _Energy(laid, machine).of(mappings)
    objective = machine.laid_by or machine.objective
    if objective == "latency":
        return _first(tile, cycles, energy)
    if objective == "edp":
        return _first(tile, energy * cycles)
    slowest = np.zeros(int(tile[-1]) + 1)
    np.maximum.at(slowest, tile, cycles)
    return _first(tile, energy * (1 + 1e-9 * cycles / slowest[tile]))


def _candidates(laid: _Laid, machine: Machine) -> _Mappings:
    """The mappings among which the best of each tile is, those of a tile together."""
    if machine.whole_blocks:
        return _whole_array(laid, np.arange(len(laid.tile)), machine)
    objective = machine.laid_by or machine.objective
    if objective == "energy":
        return _cheapest(laid, machine)
    found = _fast_and_cheap(laid, machine)
    if objective == "edp":
        found = found.beside(_cheapest(laid, machine))
    return found.take(np.argsort(laid.tile[found.at], kind="stable"))


def map_tiles(problem: Workload, n: Ints, y: Ints, x: Ints, k: Ints, c: Ints, machine: Machine) -> Mapped:
    """Choose the mapping of tiles, by ``laid_by`` or else the objective; cycles and words are those of one group."""
    parts = []
    size = max(_CHUNK // len(_distinct(machine.array_pes)), 1)
    for start in range(0, len(k), size):
        some = np.arange(start, min(start + size, len(k)))
        laid = _lay(problem.take(some), n[some], y[some], x[some], k[some], c[some], machine)
        mappings = _candidates(laid, machine)
        mapped = _costed(laid, mappings, machine)
        best = _best(laid, mappings, mapped, machine)
        parts.append(Mapped(*(value[best] for value in mapped)))
    return Mapped(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
