"""Weight stationary: rows are input channels, columns output channels, one filter tap at a time.

A block of weights (one tap of up to r ≤ R input and s ≤ cols output channels of a group) is held by the PEs while all
pixels of the tile stream past it, one pixel a cycle; partial sums run down the columns and are accumulated in the
buffer. The next block is preloaded meanwhile, row by row, ``ports`` words a cycle; ports for several rows of the block
load as many at once. The smallest block, of the remainders, comes first, since nothing overlaps its preload.

    blocks = G · FY·FX · ⌈C/r⌉ · ⌈K/s⌉
    first = the block of ((C − 1) mod r) + 1 rows and ((K − 1) mod s) + 1 columns
    preload(block) = ⌈rows used / max(⌊ports / columns used⌋, 1)⌉ · ⌈columns used / ports⌉
    stream = cycles of the pixels, ⌈pixels / rate⌉
    cycles = preload(first) + stream + Σ over the other blocks max(stream, preload) + blocks · weight_swap_cycles
             [+ rows used + columns used − 2 if systolic]

A PE of several MACs a cycle (``precision.rates``) takes as many pixels at once, one of a MAC in several cycles a pixel
in as many.

Every tile takes the r and s of the fewest cycles, of equal ones those that move the fewest words: whole arrays of
weights where no preload is waited for, often fewer where one is, or where the way through a systolic array is shorter
(``_block_sizes``). By energy, and where the buffer can be too slow for what smaller blocks move, it takes those of the
fewest words, of equal ones the fastest: as many blocks as of the whole array.

Where the machine packs a layer's pattern N:M (``sparsity.structured``), C is ``Workload.packed(C)``, about C·N/M: a PE
holds one of the weights that stay of M input channels, and takes its input from theirs. All inputs and all weights are
read from the buffer.

Hand-worked: 3×3, 64 → 32 channels, 14×14 pixels on 16×16 PEs with 16 ports: 9 · 4 · 2 = 72 blocks of 196 cycles,
preload 16 · 1 = 16: 16 + 72 · 196 = 14,128 cycles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
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
from squeezesim.cost.problem import Bools, Floats, Ints, Workload
from squeezesim.hardware.dataflows import DECLARED


@dataclass(frozen=True, slots=True)
class Blocks:
    """Weights of tiles that are cut into blocks: ``copies`` of rows × columns, for each tap and group."""

    copies: Ints
    rows: Ints  # of the array that all input channels take
    cols: Ints  # output channels
    high: Ints  # rows of a full block
    wide: Ints  # columns of a full block

    @property
    def folds(self) -> tuple[Ints, Ints]:
        """Blocks along the rows and along the columns."""
        return ceil_div(self.rows, self.high), ceil_div(self.cols, self.wide)

    @property
    def count(self) -> Ints:
        """Number of blocks."""
        folds_c, folds_k = self.folds
        return np.asarray(self.copies * folds_c * folds_k)

    @property
    def words(self) -> Ints:
        """Words for each tap, group and pixel between buffer and array: inputs read, sums read and written."""
        folds_c, folds_k = self.folds
        return np.asarray(folds_k * self.rows + 2 * folds_c * self.cols)

    def classes(self) -> Iterator[tuple[Ints, tuple[Ints, Ints]]]:
        """How many blocks of a tap and group there are, with the rows and columns of each: full ones, remainders."""
        sides = []
        for extent, size in ((self.rows, self.high), (self.cols, self.wide)):
            full, edge = np.divmod(extent, size)
            sides.append(((full, size), ((edge > 0) * 1, edge)))
        for (count_c, rows_used), (count_k, cols_used) in product(*sides):
            yield count_c * count_k, (rows_used, cols_used)

    def preloads(self, machine: Machine) -> Ints:
        """Cycles to preload all blocks."""
        return np.asarray(
            self.copies * sum(count * _preload(*used, machine) for count, used in self.classes())
        )

    def first(self, machine: Machine) -> Ints:
        """Cycles to preload the smallest block, which nothing overlaps: it is the first."""
        return _preload((self.rows - 1) % self.high + 1, (self.cols - 1) % self.wide + 1, machine)

    def fill(self, stream: Ints, machine: Machine) -> Ints:
        """Cycles of the first preload, of all swaps, and of what preloads take longer than the pixels beside them.

        *stream* are the cycles in which the pixels of a tile pass a block.
        """
        result = self.first(machine) + self.count * machine.weight_swap
        # Most tiles have so many pixels that no preload is ever waited for.
        some = np.flatnonzero(stream < _preload(self.high, self.wide, machine))
        if len(some):
            result[some] += self.take(some)._waiting(stream[some], machine)
        return np.asarray(result)

    def _waiting(self, stream: Ints, machine: Machine) -> Ints:
        """Cycles that preloads take longer, but for the first block, before which nothing streams."""
        result = -np.maximum(self.first(machine) - stream, 0)
        for count, used in self.classes():
            result += self.copies * count * np.maximum(_preload(*used, machine) - stream, 0)
        return np.asarray(result)

    def cycles(self, stream: Ints, machine: Machine) -> Ints:
        """Cycles of the array."""
        return np.asarray(self.count * stream + self.fill(stream, machine))

    def taken(self, stream: Ints, machine: Machine) -> Ints:
        """Cycles of the array, the way through a systolic one included."""
        return self.cycles(stream, machine) + self.skew(machine)

    def skew(self, machine: Machine) -> Ints:
        """Cycles of the way through a systolic array."""
        return np.asarray((self.high + self.wide - 2) * machine.systolic)

    def take(self, index: Ints) -> Blocks:
        """Those of the tiles *index*."""
        return Blocks(
            self.copies[index], self.rows[index], self.cols[index], self.high[index], self.wide[index]
        )


def _preload(rows: Ints, cols: Ints, machine: Machine) -> Ints:
    """Cycles to preload a block of *rows* and *cols*; none where it has no rows or no columns."""
    return np.asarray(ceil_div(rows, _rows_at_once(cols, machine)) * ceil_div(cols, machine.ports))


def _rows_at_once(cols: Ints, machine: Machine) -> Ints:
    return np.asarray(np.maximum(machine.ports // np.maximum(cols, 1), 1))


def _whole_blocks(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Blocks:
    """Blocks as large as the array."""
    rows = problem.packed(c) if machine.structured else c
    copies = problem.taps * g
    return Blocks(copies, rows, k, np.minimum(rows, machine.rows), np.minimum(k, machine.cols))


def _cut_alike(whole: Blocks, stream: Ints, machine: Machine) -> Bools:
    """Whether the best blocks are as many as of the whole array, along the rows and along the columns.

    One block more takes the stream once more, and saves the first preload and the way through the array at most.
    """
    longest = _preload(whole.high, whole.wide, machine) + machine.systolic * (whole.high + whole.wide)
    return np.asarray((stream >= longest) | machine.moves_least | (not machine.chooses_blocks))


def _chooses(whole: Blocks, stream: Ints, machine: Machine) -> Bools:
    """Whether a block smaller than the array may be better.

    Where no preload is waited for, blocks that are as many take as long, and those of the whole array have the smallest
    first one; through a systolic one the way is longer.
    """
    waits = stream < _preload(whole.high, whole.wide, machine)
    return np.asarray(machine.chooses_blocks & (waits | machine.systolic))


def blocks_of(problem: Workload, tile: Tile, machine: Machine) -> Blocks:
    """The blocks that each tile is cut into."""
    whole = _whole_blocks(problem, tile.g, tile.k, tile.c, machine)
    stream = problem.paced(tile.n * tile.y * tile.x)
    some = np.flatnonzero(_chooses(whole, stream, machine))
    if len(some) == 0:
        return whole
    part = whole.take(some)
    first, inverse = numbered(stream[some], part.copies, part.rows, part.cols)
    at_once = max(
        _CHUNK // (machine.cols if machine.systolic else len(_widths(machine.cols, machine.ports))), 1
    )
    runs = [first[start : start + at_once] for start in range(0, len(first), at_once)]
    sizes = [_block_sizes(part.take(run), stream[some[run]], machine) for run in runs]
    whole.high[some], whole.wide[some] = np.concatenate(sizes, axis=1)[:, inverse]
    return whole


_CHUNK = 1 << 18  # block sizes that are costed together
_NEVER = np.iinfo(np.int64).max


@lru_cache(maxsize=256)
def _widths(cols: int, ports: int) -> Ints:
    """Columns of blocks that can be the best: more would be loaded no slower unless there are none."""
    by_rows = {ports // i for i in range(1, ports + 1)}
    found = {width for width in by_rows | {*range(ports, cols, ports)} if width < cols}
    return np.array(sorted(found | {cols}), np.int64)


def _block_sizes(whole: Blocks, stream: Ints, machine: Machine) -> tuple[Ints, Ints]:
    """Rows and columns of the best blocks of tiles, of all r ≤ R and s ≤ cols.

    More columns that are loaded in as many cycles make the last block smaller, and nothing larger: so s is ⌊ports/i⌋, a
    multiple of the ports, or all. For the same reason r is a multiple of the rows that are loaded at once, of a full
    block or of the narrower last one, or all, and no fewer than the most whose preload is not waited for. Of a systolic
    array, whose way counts as well, all rows and columns are tried. What is left is costed where the bound

        cycles ≥ max(stream + Σ over blocks of columns ⌈C / rows at once⌉ · ⌈columns / ports⌉ + swaps, blocks · stream)

    does not rule it out.
    """
    tile, wide = _columns(whole, stream, machine)
    of = replace(whole.take(tile), wide=wide)
    hidden = stream[tile] // ceil_div(wide, machine.ports) * _rows_at_once(wide, machine)
    hidden = np.clip(hidden, 1, of.high)
    found = [(np.arange(len(stream)), whole), (tile, of), (tile, replace(of, high=hidden))]
    least = np.full(len(stream), _NEVER)
    for index, blocks in found:
        taken = blocks.taken(stream[index], machine)
        if machine.moves_least:
            taken = np.where(blocks.words > whole.words[index], _NEVER, taken)
        np.minimum.at(least, index, taken)
    above = hidden
    if machine.systolic or machine.moves_least:  # rows of as many blocks as can be better
        most = least[tile] // (of.copies * of.folds[1] * stream[tile])
        most = of.folds[0] if machine.moves_least else np.maximum(most, 1)
        fewest = ceil_div(of.rows, most) - 1
        above = fewest if machine.systolic else np.maximum(fewest, hidden)
    swaps = of.count * machine.weight_swap
    bound = _least_preloads(of, machine) + stream[tile] + swaps
    bound = np.maximum(bound, of.count * stream[tile] + swaps)
    if machine.systolic:
        bound = bound + above + wide - 1
    left = np.flatnonzero((bound <= least[tile]) & (above + 1 < of.high))  # of ties the fewest words
    steps = [_rows_at_once(cols, machine) for cols in (wide, of.cols % wide)]
    for step in [np.ones_like(wide)] if machine.systolic else steps:
        found += _multiples(step[left], tile[left], of.take(left), above[left])
    return _best(found, whole, stream, machine)


def _columns(whole: Blocks, stream: Ints, machine: Machine) -> tuple[Ints, Ints]:
    """Columns of blocks that are tried, ascending, and the tile of each."""
    if not machine.systolic:
        widths = np.minimum(_widths(machine.cols, machine.ports)[:, None], whole.cols)
        tiles = np.broadcast_to(np.arange(len(stream)), widths.shape)
        wanted = np.diff(widths, axis=0, prepend=0) > 0
        if machine.moves_least:
            wanted &= ceil_div(whole.cols, widths) == whole.folds[1]
        return tiles[wanted], widths[wanted]
    # Each block takes the stream.
    most = whole.taken(stream, machine) // (whole.copies * whole.folds[0] * stream)
    fewest = ceil_div(whole.cols, whole.folds[1] if machine.moves_least else np.maximum(most, 1))
    counts = whole.wide - fewest + 1
    tiles = np.repeat(np.arange(len(counts)), counts)
    return tiles, fewest[tiles] + np.arange(len(tiles)) - (np.cumsum(counts) - counts)[tiles]


def _multiples(step: Ints, tile: Ints, of: Blocks, above: Ints) -> Iterator[tuple[Ints, Blocks]]:
    """Blocks with every multiple of *step* rows between *above* and all, some at a time."""
    lowest = above // step + 1
    counts = np.maximum((of.high - 1) // step - lowest + 1, 0)
    ends = np.cumsum(counts)
    number = 0
    while number < len(counts):
        done = ends[number - 1] if number else 0
        until = max(int(np.searchsorted(ends, done + _CHUNK, "right")), number + 1)
        part = np.arange(number, until)
        number = until
        index = np.repeat(part, counts[part])
        if len(index) == 0:
            continue
        nth = np.arange(len(index)) - np.repeat(ends[part] - counts[part] - done, counts[part])
        yield tile[index], replace(of.take(index), high=(lowest[index] + nth) * step[index])


def _best(
    found: Sequence[tuple[Ints, Blocks]], whole: Blocks, stream: Ints, machine: Machine
) -> tuple[Ints, Ints]:
    """Rows and columns of the best blocks of each tile, of equal ones the first."""
    cycles = np.full(len(stream), _NEVER)
    words, high, wide = cycles.copy(), whole.high.copy(), whole.wide.copy()
    for tile, blocks in found:
        taken, moved = blocks.taken(stream[tile], machine), blocks.words
        if machine.moves_least:
            taken = np.where(moved > whole.words[tile], _NEVER, taken)
        order = np.lexsort((moved, taken, tile))
        first = order[np.flatnonzero(np.diff(tile[order], prepend=-1))]
        at = tile[first]
        better = (taken[first] < cycles[at]) | ((taken[first] == cycles[at]) & (moved[first] < words[at]))
        first, at = first[better], at[better]
        cycles[at], words[at], high[at], wide[at] = (
            taken[first],
            moved[first],
            blocks.high[first],
            blocks.wide[first],
        )
    return high, wide


def _least_preloads(of: Blocks, machine: Machine) -> Ints:
    """Cycles to preload all blocks at least, however few rows they have: as if all rows were one block."""
    return replace(of, high=of.rows).preloads(machine)


class _Pixel(NamedTuple):
    """Terms of a tile's pixels."""

    pixels: Any
    stream: Any  # cycles in which they pass a block
    tiles: Any  # 1 for each
    first: Any  # share of the whole array's first preload, but for a cycle, that no other blocks fall below


class _Channel(NamedTuple):
    """Terms of a tile's channels."""

    blocks: Any
    preloads: Any  # cycles to preload and swap all blocks, at least
    slices: Any  # all filter slices of the tile
    held: Any  # those that PEs hold
    outputs: Any  # Σ over blocks of their columns
    inputs: Any  # Σ over blocks of their input channels
    first: Any  # cycles of the first preload
    swaps: Any  # cycles
    tiles: Any  # 1 for each


def _pixel_terms(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    """Other blocks than those of the whole array are more of them: a preload and one block more at least.

    With L for the longest preload, min(first, 1 + stream) ≥ 1 + (first − 1) · min(1, stream / (L − 1)).
    """
    pixels = n * y * x
    stream = problem.paced(pixels)
    longest = machine.rows * -(-machine.cols // machine.ports)
    first = np.minimum(stream / max(longest - 1, 1), 1.0) if machine.chooses_blocks else np.ones_like(pixels)
    return _Pixel(pixels, stream, np.ones_like(pixels), first)


def _channel_terms(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    whole = _whole_blocks(problem, g, k, c, machine)
    if machine.chooses_blocks:
        preloads = np.maximum(whole.copies * ceil_div(whole.rows * whole.cols, machine.ports), whole.count)
    else:
        preloads = whole.preloads(machine)
    return _terms_of(whole, g, c, preloads, machine)


def _terms_of(blocks: Blocks, g: Ints, c: Ints, preloads: Ints, machine: Machine) -> _Channel:
    folds_c, folds_k = blocks.folds
    swaps = blocks.count * machine.weight_swap
    return _Channel(
        blocks=blocks.count,
        preloads=preloads + swaps,
        slices=g * blocks.cols * c,
        held=g * blocks.cols * blocks.rows,
        outputs=blocks.copies * folds_c * blocks.cols,
        inputs=blocks.copies * c * folds_k,
        first=blocks.first(machine),
        swaps=swaps,
        tiles=np.ones_like(swaps),
    )


def _tile_cost(problem: Workload, tile: Tile, machine: Machine) -> TileCost:
    blocks, pixels = blocks_of(problem, tile, machine), tile.n * tile.y * tile.x
    stream = problem.paced(pixels)
    fill = blocks.fill(stream, machine) + blocks.skew(machine)

    def accesses() -> Accesses:
        pixel = _pixel_terms(problem, tile.n, tile.y, tile.x, machine)
        channel = _terms_of(blocks, tile.g, tile.c, np.zeros_like(fill), machine)
        terms = [term * 1.0 for term in pixel], [term * 1.0 for term in channel]
        return _accesses(problem, *terms, machine)[0]

    busy = problem.taps * tile.g * blocks.rows * blocks.cols * pixels
    return TileCost(blocks.count * stream, fill, busy, accesses)


def _cycles(pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
    p, c = _Pixel(*pixel), _Channel(*channel)
    return [
        [(p.stream, c.blocks), (p.first, c.first - c.tiles), (p.tiles, c.swaps + c.tiles)],
        [(p.tiles, c.preloads), (p.stream, c.tiles)],
    ]


def _accesses(
    problem: Workload, pixel: Sequence[Floats], channel: Sequence[Floats], machine: Machine
) -> Sequence[Accesses]:
    """A MAC reads its weight from a register and hands its sum to the PE below; the buffer accumulates the columns.

    In a systolic array the inputs go from PE to PE too, from the first column on.
    """
    p, c = _Pixel(*pixel), _Channel(*channel)
    macs, dense = (p.pixels * slices * problem.taps for slices in (c.held, c.slices))
    read, written = p.pixels * c.inputs, p.pixels * c.outputs
    words = {
        Access("register_file", "weights"): macs + p.tiles * c.held * problem.taps,
        Access("inter_pe", "psums"): macs,
        **buffer_words(inputs=read, weights=p.tiles * c.slices * problem.taps, psums=written),
    }
    return [{**words, Access("inter_pe", "inputs"): dense - read} if machine.systolic else words]


def _are_whole(problem: Workload, tile: Tile, machine: Machine) -> Bools:
    """Whether tiles of these channels, and of as many pixels or more, are as many blocks as of the whole array."""
    whole = _whole_blocks(problem, tile.g, tile.k, tile.c, machine)
    return _cut_alike(whole, problem.paced(tile.n * tile.y * tile.x), machine)


_BOUNDS = Bounds(_pixel_terms, _channel_terms, _cycles, _accesses, _are_whole)

WS = Dataflow(DECLARED["ws"], _tile_cost, _BOUNDS, lays=("latency", "energy"))
