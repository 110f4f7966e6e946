"""What tiles of ``os`` use of the array: the rows, columns and chunks that take the fewest cycles.

``fastest`` is exact: nothing is faster of all rows r ≤ R, columns s ≤ cols and chunks of q ≤ ``psum_words`` sums, of a
matrix product of all b pixels in lines of s; with ``Machine.moves_least`` of those that move as few words as the whole
array. What an array has a larger one has too, so a larger one is never slower.

It leaves out only what cannot win. With B blocks that take the preload P and the drain D of a channel, S for the stream
of a block, m = ⌈K/q⌉ chunks, the last of L channels, and d for the drain of the last block, no use is below

    B·S + P·G·C·m + d·L + waits    the work, the last drain, and what drains take longer than the work beside them,
                                   in sums over all blocks: Σ max(0, ·) ≥ max(0, Σ ·)
    C·(first preload + its weights) + D·G·K    all drains, which begin after the first item

The first bounds the number of blocks, along each axis and of both, and of chunks; the second bounds q and s from the
other side. What is left of both is costed: first what is used along with the fewest blocks, then the rest.

The cycles of a tile are sums of maxima of work and drains, so they fall with any of them, and with blocks at the end
that are left out. With b pixels of a matrix product in lines of s columns, preload and drain of a block are steps in b,
and the most pixels of each step leave the fewest, or none, for the last block: no others are tried. Lines that fill
the ports drain the fastest; all columns do if there are too few rows for that. A systolic array, where the way
through it counts as well, tries all lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Tile, ceil_div
from squeezesim.cost.dataflow.os_blocks import Filters, Used, blocks_of, lines_of
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Bools, Ints, Workload

Cost = Callable[[Workload, Tile, Used], tuple[Ints, Ints]]
"""Cycles of tiles with what they use, and the words that they move."""

_TOGETHER = 1 << 18  # uses of the array that are costed at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """Tiles whose fastest use is looked for.

    Attributes:
        stream: cycles at least in which the weights pass a block.
        weights: weights at least that pass of a filter slice.
        uneven: whether those of some slices are one more.
        paced: whether a PE does more or less than a MAC a cycle.
    """

    problem: Workload
    tile: Tile
    stream: Ints
    weights: Ints
    uneven: bool
    paced: bool


def fastest(tiles: Tiles, whole: Used, cycles: Ints, machine: Machine, cost: Cost) -> tuple[Used, Ints]:
    """What takes the fewest cycles, of equal ones *whole* arrays, which take *cycles*, and those that it takes.

    Example: a matrix product of 256 pixels, from 1 to 16 channels, on 16×16 PEs with 16 ports and 8 partial sums takes
    24 + 256 cycles with all of them: work, then drains. In blocks of 2 lines and chunks of 2 channels it is 4 + 256.
    """
    best = _Best(tiles, whole, cycles, machine, cost)
    best.enter(every(cycles), whole, first=True)
    for owner, use in _together([*_windows(best), *_products(best)]):
        others = np.flatnonzero((use.pixels != whole.pixels[owner]) | (use.cols != whole.cols[owner]))
        best.enter(owner[others], use.take(others))
    return best.use, np.where(best.moved < _NEVER, best.most, cycles)


def distinct(problem: Workload, tile: Tile, machine: Machine) -> tuple[list[bytes], Ints, Ints]:
    """What tells tiles apart that do not cost the same, the first tile with each, and which of them each tile is."""
    shape: tuple[Ints | Bools, ...] = (problem.fy, problem.fx, problem.sy, problem.sx, problem.dy, problem.dx)
    shape += (problem.pointwise,)
    weights: tuple[Ints, ...] = ()
    if "os" in machine.skips_zeros:
        weights += (problem.nonzeros, problem.slices)
    if machine.paces:
        weights += (problem.macs_at_once, problem.cycles_at_once)
    sizes = tile.sizes
    table = np.empty((len(sizes) + len(shape) + len(weights), len(tile.n)), np.int64)
    for row, column in zip(table, (*sizes, *shape, *weights), strict=True):
        row[:] = column
    mixed = _ODD[: len(table)] @ table.view(np.uint64)
    _, first, number = np.unique(mixed ^ (mixed >> np.uint64(29)), return_index=True, return_inverse=True)
    if not np.array_equal(table, table[:, first[number]]):  # two different ones share a hash
        first = number = every(tile.n)
    rows = np.ascontiguousarray(table[:, first].T)
    return rows.view(f"V{rows.shape[1] * rows.itemsize}").ravel().tolist(), first, number


_DRAW = Random(0)
_ODD = np.array([_DRAW.getrandbits(64) | 1 for _ in range(32)], np.uint64)


def take(tile: Tile, index: Ints) -> Tile:
    """Those of the tiles *index*."""
    return Tile(*(axis[index] for axis in tile.sizes))


class _Terms(NamedTuple):
    """What bounds the cycles with some blocks, a row for each."""

    blocks: Ints
    preload: Ints  # of all blocks, of a channel
    first: Ints  # preload of the first one
    drain: Ints  # of all blocks, of a channel
    last: Ints  # drain of the last one
    skew: Ints
    # of their tiles
    g: Ints
    k: Ints
    c: Ints
    stream: Ints
    weights: Ints
    macs: Ints  # at once, in so many
    cycles: Ints


class _Best:
    """The fastest use that was found for each tile, of equal ones that which moves the fewest words.

    What is found for a tile does not depend on the others.
    """

    def __init__(self, tiles: Tiles, whole: Used, cycles: Ints, machine: Machine, cost: Cost) -> None:
        self.tiles, self.machine, self.cost = tiles, machine, cost
        self.whole = whole
        self.use = Used(*(column.copy() for column in whole))
        self.most = cycles - 1  # what is entered must not take more
        self.moved = np.full(len(cycles), _NEVER)
        self.allowed = cost(tiles.problem, tiles.tile, whole)[1] if machine.moves_least else self.moved.copy()
        self.chunks = ceil_div(tiles.tile.k, whole.words)
        self.filters = Filters.of(tiles.problem)
        self.blocks = blocks_of(self.filters, tiles.tile, whole, machine.ports).count
        problem, (_, _, _, g, k, c) = tiles.problem, tiles.tile.sizes
        numbers = (g, k, c, tiles.stream, tiles.weights, problem.macs_at_once, problem.cycles_at_once)
        self._numbers = np.stack(numbers)

    def _seed(self, owner: Ints, blocks: Used, terms: _Terms) -> None:
        """Cost one promising chunk: work and last drain, or all drains, are the least at some number of chunks."""
        most = self.whole.words[owner]
        loaded = terms.preload * terms.c
        balanced = np.maximum(np.sqrt(terms.last * terms.k / (loaded * terms.g)), 1)
        left = np.maximum(terms.drain - terms.blocks * terms.c * terms.weights, 0)
        tried = np.stack(
            [
                np.ceil(terms.k / balanced),
                np.ceil(terms.k / (balanced + 1)),
                np.where(left > 0, -(-loaded // np.maximum(left, 1)), most),
            ]
        ).astype(np.int64)
        tried = np.clip(tried, 1, most)
        least = np.stack([self._least(terms, words) for words in tried])
        chosen = least.argmin(axis=0)
        some = np.flatnonzero(least.min(axis=0) <= self.most[owner])
        if len(some):
            self._keep(owner[some], blocks.take(some)._replace(words=tried[chosen[some], some]))

    def enter(self, owner: Ints, blocks: Used, *, first: bool = False) -> None:
        """Try *blocks* of the tiles *owner* with all chunks that can be better."""
        if len(owner) == 0:
            return
        table = self._terms(owner, blocks)
        terms = _Terms(*table)
        if first and len(owner) > _FEW:
            self._seed(owner, blocks, terms)
        fewest, most = self._words(terms, owner)
        index = np.flatnonzero(fewest <= most)
        counts = most[index] - fewest[index] + 1
        k, last, loads = terms.k, terms.last, terms.preload * terms.g * terms.c
        spare = self.most[owner] - terms.skew - terms.blocks * terms.stream - last * k
        for part in _parts(counts):
            of, number = ragged(counts[part])
            of = index[part][of]
            words = fewest[of] + number
            # Work and last drain alone leave out most.
            chunks = ceil_div(k[of], words)
            left = np.flatnonzero(loads[of] * chunks - last[of] * (chunks - 1) * words <= spare[of])
            of, words = of[left], words[left]
            least = self._least(_Terms(*table[:, of]), words)
            left = np.flatnonzero(least <= self.most[owner[of]])
            if len(left):
                self._cost(owner[of[left]], blocks.take(of[left])._replace(words=words[left]), least[left])

    def _terms(self, owner: Ints, use: Used) -> Ints:
        """``_Terms`` as rows of one array."""
        blocks = blocks_of(self.filters.take(owner), take(self.tiles.tile, owner), use, self.machine.ports)
        terms = np.empty((len(_Terms._fields), len(owner)), np.int64)
        terms[0] = blocks.count
        terms[1] = blocks.total(blocks.preload)
        terms[2] = blocks.preload[0, 0]
        terms[3] = blocks.total(blocks.drain)
        terms[4] = blocks.last(blocks.drain)
        terms[5] = (use.rows + use.cols - 2) * self.machine.systolic
        terms[6:] = self._numbers[:, owner]
        return terms

    def _words(self, terms: _Terms, owner: Ints) -> tuple[Ints, Ints]:
        """The fewest and the most sums of a chunk with which blocks can be better."""
        spare = self.most[owner] - terms.skew
        chunks = (spare - terms.blocks * terms.stream - terms.last) // (terms.preload * terms.g * terms.c)
        beside = spare - terms.drain * terms.g * terms.k - terms.c * terms.first
        most = beside * terms.macs // (terms.c * terms.weights * terms.cycles)
        fewest = np.where(chunks < self.chunks[owner], terms.k + 1, ceil_div(terms.k, np.maximum(chunks, 1)))
        if self.machine.moves_least:  # as many blocks and chunks as of the whole array
            fewest = np.maximum(fewest, ceil_div(terms.k, self.chunks[owner]))
            fewest = np.where(terms.blocks > self.blocks[owner], terms.k + 1, fewest)
        return fewest, np.minimum(most, self.whole.words[owner])

    def _least(self, terms: _Terms, words: Ints) -> Ints:
        """Cycles that blocks with chunks of *words* sums are not below, the larger of the two of this module."""
        blocks, _, first, drain, last, skew, g, k, c, stream, weights, macs, cycles = terms

        def passed(weights: Ints, channels: Ints) -> Ints:
            done = weights * channels
            return c * (ceil_div(done * cycles, macs) if self.tiles.paced else done)

        chunks = ceil_div(k, words)
        last_chunk = k - (chunks - 1) * words
        most = weights + self.tiles.uneven  # no window of an item holds more of a slice
        full, loaded, several = passed(most, words), c * terms.preload, chunks > 1
        beside = drain * words - loaded
        waits = g * np.maximum(chunks - 2, 0) * np.maximum(beside - blocks * full, 0)
        waits += g * several * np.maximum(beside - blocks * passed(most, last_chunk), 0)
        waits += (g - 1) * np.maximum(drain * last_chunk - loaded - blocks * full, 0)
        waits += np.maximum((drain - last) * last_chunk - (blocks - 1) * full - loaded + c * first, 0)
        work = blocks * stream + loaded * g * chunks + last * last_chunk + waits
        drains = c * first + passed(weights, words) + drain * g * k
        return np.asarray(np.maximum(work, drains) + skew)

    def _cost(self, owner: Ints, use: Used, least: Ints) -> None:
        """Cost uses of the tiles *owner*, where there are many first the most promising of each."""
        if len(owner) > _FEW:
            order = np.lexsort((least, owner))
            first = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]
            self._keep(owner[first], use.take(first))
            left = least <= self.most[owner]
            left[first] = False
            owner, use = owner[left], use.take(np.flatnonzero(left))
        if len(owner):
            self._keep(owner, use)

    def _keep(self, owner: Ints, use: Used) -> None:
        """Cost uses of the tiles *owner* and keep the best; of equal ones not that which came first."""
        taken, moved = self.cost(self.tiles.problem.take(owner), take(self.tiles.tile, owner), use)
        left = np.flatnonzero((taken <= self.most[owner]) & (moved <= self.allowed[owner]))
        at = np.flatnonzero(np.bincount(owner[left]))
        entered = np.stack([*use, moved, taken, owner])[:, left]
        entered = np.concatenate(
            [entered, np.stack([*self.use, self.moved, self.most, every(self.most)])[:, at]], 1
        )
        entered = entered[:, np.lexsort(entered)]
        entered = entered[:, np.flatnonzero(np.diff(entered[-1], prepend=-1))]
        for column, values in zip((*self.use, self.moved, self.most), entered, strict=False):
            column[at] = values


_FEW = 1 << 8
_NEVER = np.iinfo(np.int64).max


def _windows(best: _Best) -> Iterator[tuple[Ints, Used]]:
    """Blocks of r rows and s columns of pixels that can be better than what was found for each tile."""
    problem, tile, whole = best.tiles.problem, best.tiles.tile, best.whole
    windows = np.flatnonzero(~problem.pointwise)
    if len(windows) == 0:
        return
    ports, filters = best.machine.ports, best.filters.take(windows)
    n, y, x, g, k, c = take(tile, windows).sizes
    high, wide = ceil_div(y, whole.rows[windows]), ceil_div(x, whole.cols[windows])
    spare = best.most[windows] - 1
    stream, loads, drained = n * best.tiles.stream[windows], n * g * best.chunks[windows] * c, n * y * g * k

    def spread(axis: int, length: Ints, count: Ints, of: Ints) -> Ints:
        """Input positions of *count* blocks along an axis: all, and what neighbours hold twice."""
        one = filters.window(axis, np.ones_like(length))[of]
        step = np.minimum(filters.stride[axis][of], one)
        return np.asarray(step * (length[of] - count) + one * count)

    def few(rows: Ints, columns: Ints, of: Ints) -> Bools:
        """Whether so many blocks, down and across, can be better: each takes the stream beside the preload."""
        count = rows * columns
        words = spread(0, y, rows, of) * spread(1, x, columns, of)
        return np.asarray(
            count * stream[of] + np.maximum(ceil_div(words, ports), count) * loads[of] <= spare[of]
        )

    each = stream + loads
    least_high, least_wide = (
        ceil_div(length, np.maximum(spare // (each * others), 1)) for length, others in ((y, wide), (x, high))
    )
    of_rows, rows = ragged(np.maximum(whole.rows[windows] - least_high + 1, 0))
    rows += least_high[of_rows]
    count_high = ceil_div(y[of_rows], rows)
    useful = few(count_high, wide[of_rows], of_rows)
    of_rows, rows, count_high = of_rows[useful], rows[useful], count_high[useful]
    of_cols, cols = ragged(np.maximum(whole.cols[windows] - least_wide + 1, 0))
    cols += least_wide[of_cols]
    count_wide = ceil_div(x[of_cols], cols)
    drains = drained[of_cols] * lines_of(x[of_cols], cols, ports)
    useful = few(high[of_cols], count_wide, of_cols) & (drains + c[of_cols] <= spare[of_cols] + 1)
    of_cols, cols, count_wide = of_cols[useful], cols[useful], count_wide[useful]
    begins = np.searchsorted(of_rows, np.arange(len(windows) + 1))  # of the rows of each tile
    counts = np.diff(begins)[of_cols]
    for part in _parts(counts):
        at, number = ragged(counts[part])
        at += part.start
        of, col = of_cols[at], cols[at]
        row, rows_of = rows[begins[of] + number], count_high[begins[of] + number]
        left = np.flatnonzero(few(rows_of, count_wide[at], of))
        owner = windows[of[left]]
        yield owner, Used(row[left], col[left], row[left] * col[left], whole.words[owner])


def _products(best: _Best) -> Iterator[tuple[Ints, Used]]:
    """Blocks of pixels of matrix products, and their lines, that can be better than what was found for each tile."""
    problem, tile, machine = best.tiles.problem, best.tiles.tile, best.machine
    products = np.flatnonzero(problem.pointwise)
    if len(products) == 0:
        return
    array = machine.rows, machine.cols, machine.ports, machine.systolic
    _, _, x, g, k, c = take(tile, products).sizes
    stream, spare = best.tiles.stream[products], best.most[products] - 1
    beside = spare - ceil_div(x, machine.ports) * g * best.chunks[products] * c
    pixels, cols = _steps(*array)
    drain, skew = (
        lines_of(pixels, cols, machine.ports),
        (ceil_div(pixels, cols) + cols - 2) * machine.systolic,
    )
    begins = np.searchsorted(pixels, ceil_div(x, np.maximum(beside // np.maximum(stream, 1), 1)))
    ends = np.searchsorted(pixels, np.minimum(x, machine.array_pes + 1))
    counts = np.maximum(ends - begins, 0)
    for part in _parts(counts):
        of, number = ragged(counts[part])
        of += part.start
        number += begins[of]
        full, edge = np.divmod(x[of], pixels[number])
        work = (full + (edge > 0)) * stream[of] + skew[number]
        drains = full * drain[number] + lines_of(edge, cols[number], machine.ports)
        useful = (work <= beside[of]) & (drains * g[of] * k[of] + c[of] + skew[number] <= spare[of])
        of, number = of[useful], number[useful]
        yield _product(products[of], pixels[number], cols[number], best)
    single = np.flatnonzero(x <= machine.array_pes)
    of, lines = _lines(x[single], *array)
    yield _product(products[single[of]], x[single[of]], lines, best)


def _product(owner: Ints, pixels: Ints, cols: Ints, best: _Best) -> tuple[Ints, Used]:
    return owner, Used(ceil_div(pixels, cols), cols, pixels, best.whole.words[owner])


@lru_cache(maxsize=256)
def _steps(rows: int, cols: int, ports: int, systolic: bool) -> tuple[Ints, Ints]:
    """Pixels of a block, ascending, and columns of its lines: the most of each step of preload and drain.

    Example:
        >>> _steps(2, 4, 4, False)[0].tolist()
        [1, 2, 3, 4, 8]
    """
    pixels = np.arange(1, rows * cols + 1)
    of, lines = _lines(pixels, rows, cols, ports, systolic)
    pixels = pixels[of]
    after = pixels + 1
    # One pixel more takes another cycle of the ports, or does not stand in these lines.
    last = (pixels % ports == 0) | (after > rows * lines)
    last |= lines_of(after, lines, ports) > lines_of(pixels, lines, ports)
    last |= ceil_div(after, lines) > ceil_div(pixels, lines)
    return pixels[last], lines[last]


def _lines(pixels: Ints, rows: int, cols: int, ports: int, systolic: bool) -> tuple[Ints, Ints]:
    """Columns of the lines that so many pixels of a block are tried in: which block, how many."""
    if systolic:
        fewest = ceil_div(pixels, rows)
        index, number = ragged(np.minimum(pixels, cols) - fewest + 1)
        return index, fewest[index] + number
    filled = cols // ports * ports
    fits = (filled > 0) & (ceil_div(pixels, max(filled, 1)) <= rows)
    return np.arange(len(pixels)), np.minimum(pixels, np.where(fits, filled, cols))


def every(values: Ints) -> Ints:
    """The index of each."""
    return np.arange(len(values))


def ragged(counts: Ints) -> tuple[Ints, Ints]:
    """Entry i *counts[i]* times, and the number of each among its own.

    Example:
        >>> [each.tolist() for each in ragged(np.array([2, 0, 1]))]
        [[0, 0, 2], [0, 1, 0]]
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)


def _parts(counts: Ints) -> Iterator[slice]:
    """Runs of entries that are ``_TOGETHER`` in all, or one entry."""
    ends, start = np.cumsum(counts), 0
    while start < len(counts):
        before = ends[start] - counts[start]
        end = max(int(np.searchsorted(ends, before + _TOGETHER, "right")), start + 1)
        yield slice(start, end)
        start = end


def _together(found: list[tuple[Ints, Used]]) -> list[tuple[Ints, Used]]:
    """All in one, if they are few."""
    # One entry is costed as fast as a hundred.
    if len(found) < 2 or sum(len(owner) for owner, _ in found) > _TOGETHER:
        return found
    owners, uses = zip(*found, strict=True)
    return [(np.concatenate(owners), Used(*(np.concatenate(columns) for columns in zip(*uses, strict=True))))]
