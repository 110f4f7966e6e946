"""Output stationary: the array is a block of pixels of one output channel; a weight is broadcast each cycle.

A PE keeps the partial sums of its pixel for up to q ≤ ``psum_words`` output channels (a chunk), so that an input window
is loaded once for all of them. For each chunk and input channel the window of the block, halo and padding included, is
preloaded, ``ports`` words a cycle; then every output channel of the chunk passes its filter slice, one non-zero weight
a cycle, while the window shifts between neighbours. Finished sums move to a second set and drain row by row through
the ports while the next chunk or block computes; that one can end only when they have left.

    blocks  = N · ⌈Y/r⌉ · ⌈X/s⌉, or ⌈X/b⌉ for a matrix product, whose pixels are dealt over rows of s
    window  = input rows · input columns that the pixels of a block touch; the pixels themselves for a matrix product
    stream  = blocks · Σ over windows ⌈weights that pass / rate⌉: of each filter slice FY·FX, or max(1, non-zeros)
              where zeros are skipped
    preload = Σ over blocks of ⌈window / ports⌉ · G · ⌈K/q⌉ · C
    drain   = rows used · ⌈columns used / ports⌉ for each output channel of a block
    cycles  = stream + preload + waiting + drain of the last block and chunk   [+ rows + columns used − 2 if systolic]

``waiting`` is what drains take longer than the work beside them. With ``mapper.blocks: best`` every tile takes the
r ≤ R rows, s ≤ cols columns and chunks of q of the fewest cycles (``used``, by ``os_use``): the whole array where
nothing is faster, of equal ones those that move the fewest words. By energy, and where the buffer can be too slow for
what smaller blocks move, tiles take the fastest of those that move the fewest words: as many blocks and chunks as of
the whole array.

Hand-worked: 3×3, 8 → 16 channels, 28×28 pixels on 16×16 PEs with 16 ports, nothing skipped, 64 psum words:
4 blocks; stream 4 · 128 · 9 = 4,608; windows of 18×18, 18×14, 14×18 and 14×14 take 21 + 16 + 16 + 13 = 66 cycles,
preload 66 · 8 = 528; last drain 12 · 16 = 192 → 5,328 cycles in whole blocks. With 14 columns the windows take
18 + 18 + 14 + 14 = 64 cycles → 5,312, the fewest.

What ``os`` waits for sums to drain: the work on one chunk of a block ends only when the chunk before has left.

The items, block after block, in each group after group, chunk after chunk, take

    work(i) = Σ over its windows of the cycles of their weights + C · preload of its block
    drain(i) = channels · lines
    waiting = Σ over items but the first of max(0, drain(i − 1) − work(i))

Where zeros are skipped, the larger slices are dealt over the last chunks of all groups and over the others, in
proportion, and among each as evenly as they go, first chunks first; those of an item as evenly over its windows.

A PE of several MACs a cycle (``precision.rates``) multiplies the input of its pixel by as many weights of a window at
once, of one or of several output channels; one of a MAC in several cycles takes each weight for as many.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
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
    balanced_nonzeros,
    buffer_words,
    ceil_div,
    slice_cycles,
)
from squeezesim.cost.dataflow.os_blocks import BlockClasses, Filters, Used, blocks_of
from squeezesim.cost.dataflow.os_use import Tiles, distinct, fastest, take
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Bools, Floats, Ints, Workload
from squeezesim.hardware.dataflows import DECLARED


@dataclass(frozen=True, slots=True)
class _Items:
    """Equal items of a block: the channels that the one before drains, how many they are, and cycles of the weights."""

    drained: Ints
    count: Ints
    stream: Ints  # of each


def waiting(problem: Workload, blocks: BlockClasses, channels: Terms, words: Ints, machine: Machine) -> Ints:
    """Cycles of a tile (channels: g, k, c) in which only a drain goes on, but for the last one."""
    g, k, c = channels
    result = np.zeros_like(blocks.images * g)
    # Most tiles have so many input channels that no drain is ever waited for.
    longest = np.minimum(k, words) * blocks.drain.max(axis=(0, 1))
    last_chunk = k - (ceil_div(k, words) - 1) * words
    some = np.flatnonzero(c * (problem.paced(last_chunk) + 1) < longest)
    if len(some):
        part = problem.take(some)
        result[some] = _waiting(part, blocks.take(some), g[some], k[some], c[some], words[some], machine)
    return result


def _waiting(
    problem: Workload, blocks: BlockClasses, g: Ints, k: Ints, c: Ints, words: Ints, machine: Machine
) -> Ints:
    first, others, last_chunk = _items(problem, g, k, c, words, machine)
    beyond = np.zeros_like(blocks.drain)
    for items in others:
        work = items.stream + c * blocks.preload
        beyond += items.count * np.maximum(items.drained * blocks.drain - work, 0)
    total = blocks.total(beyond)
    for count, before, preload in _neighbours(blocks):
        total += count * np.maximum(last_chunk * before - first - c * preload, 0)
    return total


class _Dealt(NamedTuple):
    """Items of a tile by kind, with what they have of larger slices: those of either kind differ by one at most."""

    several: Ints  # chunks of a group before its last
    last_chunk: Ints  # output channels of the last one
    least: Ints  # weights of a smaller slice that pass
    before: Ints  # larger slices of all chunks before the last ones
    last: Ints  # and of the last ones
    uneven: bool  # whether there may be larger slices

    @classmethod
    def of(cls, problem: Workload, g: Ints, k: Ints, c: Ints, words: Ints, machine: Machine) -> _Dealt:
        several = ceil_div(k, words) - 1
        last_chunk = k - several * words
        if "os" not in machine.skips_zeros:
            return cls(several, last_chunk, problem.taps, np.zeros_like(k), np.zeros_like(k), False)
        least, larger = balanced_nonzeros(g * k * c, problem)
        larger_last = larger * last_chunk // k
        return cls(several, last_chunk, least, larger - larger_last, larger_last, True)

    def split(
        self, problem: Workload, c: Ints, channels: Ints | int, count: Ints, larger: Ints, fewest: Ints
    ) -> list[tuple[Ints, Ints]]:
        """(number, cycles of the weights of each) of *count* items with *larger* slices in all, *fewest* in any."""
        if not self.uneven:
            return [(count, c * problem.paced(self.least * channels))]
        more = larger - count * fewest
        return [
            (count - more, self.cycles(problem, c, channels, fewest)),
            (more, self.cycles(problem, c, channels, fewest + 1)),
        ]

    def cycles(self, problem: Workload, c: Ints, channels: Ints | int, larger: Ints) -> Ints:
        """Cycles in which the weights of an item pass; *larger* of its slices are dealt evenly over its windows."""
        if not self.uneven:
            return np.asarray(c * problem.paced(self.least * channels))
        each, more = np.divmod(larger, c)
        weights = self.least * channels + each
        return np.asarray((c - more) * problem.paced(weights) + more * problem.paced(weights + 1))


def _items(
    problem: Workload, g: Ints, k: Ints, c: Ints, words: Ints, machine: Machine
) -> tuple[Ints, list[_Items], Ints]:
    """Cycles of a block's first item; its other items, equal ones together; channels of the last chunk."""
    dealt = _Dealt.of(problem, g, k, c, words, machine)
    several, last_chunk = dealt.several, dealt.last_chunk
    cut, items = several > 0, np.maximum(g * several, 1)

    def share(count: Ints | int) -> Ints:
        """Larger slices of the first *count* items that are not the last of their group."""
        return np.asarray(count * dealt.before // items)

    fewest, fewest_last = dealt.before // items, dealt.last // g
    one = np.where(cut, words, last_chunk)
    first = dealt.cycles(problem, c, one, np.where(cut, share(1), fewest_last))
    after_full, zero = g * (several - 1), np.zeros_like(k)
    kinds = (
        # drained before, items, channels of each, larger slices of all
        (cut, words, after_full, words, dealt.before - share(g), fewest),
        (cut, words, g, last_chunk, dealt.last, fewest_last),
        (cut, last_chunk, g - 1, words, share(g) - share(1), fewest),
        (~cut, last_chunk, g - 1, last_chunk, dealt.last - fewest_last, fewest_last),
    )
    found = [
        _Items(drained, np.where(there, number, zero), stream)
        for there, drained, count, channels, larger, least in kinds
        for number, stream in dealt.split(problem, c, channels, count, larger, least)
    ]
    return first, found, last_chunk


def _stream(problem: Workload, g: Ints, k: Ints, c: Ints, words: Ints, machine: Machine) -> Ints:
    """Cycles in which the weights of a tile pass a block of pixels."""
    if not machine.paces:
        return _passed(problem, g * k * c, machine)
    dealt = _Dealt.of(problem, g, k, c, words, machine)
    items = g * dealt.several
    full = dealt.split(problem, c, words, items, dealt.before, dealt.before // np.maximum(items, 1))
    last = dealt.split(problem, c, dealt.last_chunk, g, dealt.last, dealt.last // g)
    return np.asarray(sum(number * cycles for number, cycles in (*full, *last)))


def _neighbours(blocks: BlockClasses) -> list[tuple[Ints, Ints, Ints]]:
    """(how often, drain of the block before, preload of the block after) for each kind of succession of blocks."""
    (full_y, edge_y), (full_x, edge_x) = blocks.rows, blocks.columns
    ends = np.where(edge_x > 0, blocks.drain[:, 1], blocks.drain[:, 0])
    starts = np.where(full_x > 0, blocks.preload[:, 0], blocks.preload[:, 1])
    n = blocks.images
    found = []
    for rows, drain, preload in zip(blocks.rows, blocks.drain[:, 0], blocks.preload, strict=True):
        found.append((n * rows * np.maximum(full_x - 1, 0), drain, preload[0]))
        found.append((n * rows * ((full_x > 0) & (edge_x > 0)), drain, preload[1]))
    found.append((n * np.maximum(full_y - 1, 0), ends[0], starts[0]))
    found.append((n * ((full_y > 0) & (edge_y > 0)), ends[0], starts[1]))
    found.append((n - 1, np.where(edge_y > 0, ends[1], ends[0]), np.where(full_y > 0, starts[0], starts[1])))
    return found


class _Pixel(NamedTuple):
    """Terms of a tile's pixels, over all of its blocks."""

    blocks: Any
    pixels: Any
    words: Any  # of the windows of one channel
    preload: Any  # cycles of one channel
    drain: Any  # cycles of one channel
    last_drain: Any  # of the last block alone


class _Channel(NamedTuple):
    """Terms of a tile's channels."""

    passed: Any  # weights that pass, of all filter slices
    stream: Any  # cycles in which they do
    windows: Any  # loaded for each block
    slices: Any
    outputs: Any
    last_chunk: Any  # output channels of the last chunk


def _pixels(blocks: BlockClasses, n: Ints, y: Ints, x: Ints) -> _Pixel:
    return _Pixel(
        blocks=blocks.count,
        pixels=n * y * x,
        words=blocks.total(blocks.words),
        preload=blocks.total(blocks.preload),
        drain=blocks.total(blocks.drain),
        last_drain=blocks.last(blocks.drain),
    )


def _channels(problem: Workload, g: Ints, k: Ints, c: Ints, words: Ints, machine: Machine) -> _Channel:
    slices, chunks = g * k * c, ceil_div(k, words)
    return _Channel(
        passed=_passed(problem, slices, machine),
        stream=_stream(problem, g, k, c, words, machine),
        windows=g * chunks * c,
        slices=slices,
        outputs=g * k,
        last_chunk=k - (chunks - 1) * words,
    )


def _passed(problem: Workload, slices: Ints, machine: Machine) -> Ints:
    return slice_cycles(slices, problem, "os" in machine.skips_zeros)


def _whole(problem: Workload, y: Ints, x: Ints, k: Ints, machine: Machine) -> Used:
    """All of the array, as far as a tile has pixels and channels for it."""
    flat, cols = problem.pointwise, np.minimum(x, machine.cols)
    pixels = np.where(flat, np.minimum(x, machine.array_pes), 0)
    rows = np.where(flat, ceil_div(pixels, cols), np.minimum(y, machine.rows))
    return Used(rows, cols, np.where(flat, pixels, rows * cols), np.minimum(k, machine.psum_words))


def used(problem: Workload, tile: Tile, machine: Machine) -> Used:
    """What each tile uses of the array: all of it, or what takes the fewest cycles."""
    return _used(problem, tile, machine)[0]


def _used(problem: Workload, tile: Tile, machine: Machine) -> tuple[Used, Ints]:
    """What each tile uses of the array, and its cycles."""
    use = _whole(problem, tile.y, tile.x, tile.k, machine)
    cycles, _ = cost_of_use(problem, tile, use, machine)
    if not machine.chooses_blocks:
        return use, cycles
    some = np.flatnonzero(cycles > _least(problem, tile, machine))
    if len(some):
        tiles = _tiles(problem.take(some), take(tile, some), machine)
        cost = partial(cost_of_use, machine=machine)
        found, cycles[some] = fastest(tiles, use.take(some), cycles[some], machine, cost)
        for column, values in zip(use, found, strict=True):
            column[some] = values
    return use, cycles


@lru_cache(maxsize=8)
def _known(*_: Any) -> dict[bytes, tuple[int, ...]]:
    """What tiles were found to use of an array, and their cycles: a search asks for the same ones again and again."""
    return {}


def _used_of(keys: list[bytes], problem: Workload, tile: Tile, machine: Machine) -> tuple[Used, Ints]:
    """As ``_used``, for tiles that *keys* tell apart."""
    array = (
        machine.rows,
        machine.cols,
        machine.ports,
        machine.psum_words,
        machine.systolic,
        machine.moves_least,
    )
    known = _known(*array, "os" in machine.skips_zeros, bool(machine.paces))
    found = [known.get(key) for key in keys]
    missing = np.array([number for number, values in enumerate(found) if values is None], np.int64)
    if len(missing):
        if len(known) > _MOST_KNOWN:
            known.clear()
        use, cycles = _used(problem.take(missing), take(tile, missing), machine)
        solved = zip(*(column.tolist() for column in (*use, cycles)), strict=True)
        for number, row in zip(missing.tolist(), solved, strict=True):
            found[number] = known[keys[number]] = row
    rows, cols, pixels, words, cycles = np.array(found, np.int64).reshape(-1, len(Used._fields) + 1).T
    return Used(rows, cols, pixels, words), cycles


_MOST_KNOWN = 1 << 14


def _tiles(problem: Workload, tile: Tile, machine: Machine) -> Tiles:
    passed, skipping = _passed(problem, tile.g * tile.k * tile.c, machine), "os" in machine.skips_zeros
    return Tiles(
        problem=problem,
        tile=tile,
        stream=problem.paced(passed),
        weights=balanced_nonzeros(tile.k, problem)[0] if skipping else problem.taps,
        uneven=skipping,
        paced=bool(machine.paces),
    )


def cost_of_use(problem: Workload, tile: Tile, use: Used, machine: Machine) -> tuple[Ints, Ints]:
    """Cycles of tiles, and words of inputs and weights that the buffer gives."""
    blocks = blocks_of(Filters.of(problem), tile, use, machine.ports)
    moved = blocks.total(blocks.words) * tile.g * ceil_div(tile.k, use.words) * tile.c
    moved = moved + blocks.count * _passed(problem, tile.g * tile.k * tile.c, machine)
    return _cycles_of(problem, tile, blocks, use, machine), moved


def _cycles_of(problem: Workload, tile: Tile, blocks: BlockClasses, use: Used, machine: Machine) -> Ints:
    """Cycles of the array."""
    p = _pixels(blocks, tile.n, tile.y, tile.x)
    c = _channels(problem, tile.g, tile.k, tile.c, use.words, machine)
    waits = waiting(problem, blocks, (tile.g, tile.k, tile.c), use.words, machine)
    return np.asarray(p.blocks * c.stream + _fill(p, c, use, machine) + waits)


def _fill(p: _Pixel, c: _Channel, use: Used, machine: Machine) -> Ints:
    """Cycles of preloads, the last drain and, if the array is systolic, the way through it."""
    skew = use.rows + use.cols - 2 if machine.systolic else 0
    return np.asarray(p.preload * c.windows + p.last_drain * c.last_chunk + skew)


_FLATTEST = 1.25
"""Last drain over preload of the tiles for which the bound is tight: about 1 where a block fills the array."""


def _pixel_terms(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    """Those of whole arrays, or what no blocks are below: the fewest blocks read the fewest words."""
    whole = _whole(problem, y, x, np.ones_like(y), machine)
    exact = _pixels(blocks_of(Filters.of(problem), Tile(n, y, x, n, n, n), whole, machine.ports), n, y, x)
    if not machine.chooses_blocks:
        return exact
    preload = ceil_div(exact.words, machine.ports)
    last = np.where(problem.pointwise, ceil_div((x - 1) % whole.pixels + 1, machine.ports), exact.last_drain)
    return exact._replace(
        preload=preload,
        drain=n * y * ceil_div(x, machine.ports),
        last_drain=np.minimum(last, preload * _FLATTEST),
    )


def _channel_terms(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    """Those of whole chunks, or what no chunks are below.

    With P for the preload of a channel, D ≤ f·P for the last drain, a chunk more takes P·G·C and leaves a channel in
    the last one at least, P·G·C + D ≥ D·(G·C/f + 1); a block more takes the stream S ≥ D·S/(the longest drain).
    """
    exact = _channels(problem, g, k, c, np.minimum(k, machine.psum_words), machine)
    if not machine.chooses_blocks:
        return exact
    stream = exact.passed * (problem.cycles_at_once / problem.macs_at_once) if machine.paces else exact.passed
    last = np.minimum(exact.last_chunk, g * c / _FLATTEST + 1)
    whole = _whole(problem, problem.y, problem.x, k, machine)
    longest = np.where(
        problem.pointwise,
        ceil_div(whole.pixels, machine.ports),
        whole.rows * ceil_div(whole.cols, machine.ports),
    )
    return exact._replace(stream=stream, last_chunk=np.minimum(last, stream / longest))


_MORE_CHUNKS = (0, 1, 2, 3, 4, 6, 9, 14)


def _least(problem: Workload, tile: Tile, machine: Machine) -> Floats:
    """Cycles that no blocks and chunks of the tiles are below, closer than ``_cycles``.

    With the fewest blocks, B, their preload P, the last drain d and m chunks, the last of L channels, none are below

        B·S + P·G·C·m + max(d·L, d·(q + L) − work of the last chunk), q = (K − L) / (m − 1)

    since the chunk before the last may be waited for. The second falls with L, or is the least at L = 1; so with
    M − 1 chunks at most, the last part is no less than that of M − 1. More blocks take the stream once more at least.
    """
    if not machine.chooses_blocks:
        return cost_of_use(problem, tile, _whole(problem, tile.y, tile.x, tile.k, machine), machine)[0] * 1.0
    n, y, x, g, k, c = tile.sizes
    flat, ports = problem.pointwise, machine.ports
    whole = _whole(problem, y, x, k, machine)
    blocks = blocks_of(Filters.of(problem), tile, whole, ports)
    count, chunks, tiles = blocks.count, ceil_div(k, whole.words), _tiles(problem, tile, machine)
    preload = ceil_div(blocks.total(blocks.words), ports)
    last = np.where(flat, ceil_div((x - 1) % whole.pixels + 1, ports), blocks.last(blocks.drain))
    pace = problem.cycles_at_once / problem.macs_at_once
    loaded = c * (blocks.preload[0, 0] + bool(machine.paces))  # of the last chunk, at most
    passed = c * (tiles.weights + tiles.uneven) * pace  # by each of its channels, at most
    each = preload * g * c
    ending = np.minimum(last * k, each * _MORE_CHUNKS[-1] + last)
    if (k > 1).any():
        some = np.flatnonzero(ending > last)
        ending[some] = _ending(*(a[some] * 1.0 for a in (k, chunks, last, loaded, passed, each)))
    drains = n * y * ceil_div(x, ports) * g * k + c * tiles.weights * pace
    as_few = np.maximum(count * tiles.stream + each * chunks + ending, drains + c * (preload / count))
    aside = np.minimum(ceil_div(y, whole.rows), ceil_div(x, whole.cols))
    more = count + np.where(flat, 1, n * aside)
    return np.asarray(np.minimum(as_few, np.maximum(more * tiles.stream + each * chunks + 1, drains + c)))


def _ending(k: Floats, chunks: Floats, last: Floats, loaded: Floats, passed: Floats, each: Floats) -> Floats:
    """Cycles beyond work in *chunks* that a tile takes at least, with so many or more, each of which takes *each*."""
    found = each * _MORE_CHUNKS[-1] + last
    for fewest, below in itertools.pairwise(_MORE_CHUNKS):
        most = chunks + (below - 1)
        before = np.maximum(most - 1, 1)
        equal = (last * k - before * loaded) / (
            last + before * passed
        )  # channels with which both are the same
        one = last * (k - 1) / before + last - loaded - passed
        ends = np.maximum(np.minimum(one, last * np.minimum(equal, k / most)), last)
        found = np.minimum(found, each * fewest + np.where(most == 1, last * k, ends))
    return found


def _cycles(pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
    p, c = _Pixel(*pixel), _Channel(*channel)
    return [
        [(p.blocks, c.stream), (p.preload, c.windows), (p.last_drain, c.last_chunk)],
        [(p.drain, c.outputs)],
    ]


def _moves(problem: Workload) -> Ints:
    """Words that a PE takes from its neighbours while a filter slice passes.

    With a stride s and a dilation d, the taps along an axis read s / gcd(s, d) different words of each PE's own, and
    two taps that read the same word of different PEs are d / gcd(s, d) PEs apart. The window goes through the
    taps of a slice to and fro, row by row, those of zero weights included.
    """
    along = [
        (np.minimum(taps, stride // np.gcd(stride, dilation)), dilation // np.gcd(stride, dilation))
        for stride, taps, dilation in (
            (problem.sy, problem.fy, problem.dy),
            (problem.sx, problem.fx, problem.dx),
        )
    ]
    (own_y, apart_y), (own_x, apart_x) = along
    rows = problem.fy * (problem.fx - own_x) * apart_x
    return np.asarray(rows + (problem.fy - own_y) * apart_y * own_x)


def _accesses(problem: Workload, p: _Pixel, c: _Channel, machine: Machine) -> Accesses:
    """A PE at work reads its input and reads and writes its sum in registers; inputs shift, weights are broadcast.

    A sum's first MAC reads none, but draining does. A slice without non-zeros takes one such cycle. In a systolic
    array weights go from PE to PE.
    """
    worked = p.pixels * c.passed
    weights = p.blocks * c.passed
    loaded = p.words * c.windows
    outputs = p.pixels * c.outputs
    words = {
        Access("register_file", "inputs"): worked + loaded,
        Access("register_file", "psums"): 2 * worked,
        Access("inter_pe", "inputs"): p.pixels * c.slices * _moves(problem),
        **buffer_words(inputs=loaded, weights=weights, psums=outputs),
    }
    return {**words, Access("inter_pe", "weights"): worked - weights} if machine.systolic else words


def _least_accesses(
    problem: Workload, pixel: Sequence[Floats], channel: Sequence[Floats], machine: Machine
) -> Sequence[Accesses]:
    """Those of the fewest blocks and chunks; the more blocks there are, the fewer weights go from PE to PE."""
    words = dict(_accesses(problem, _Pixel(*pixel), _Channel(*channel), machine))
    if machine.chooses_blocks and not machine.moves_least:
        words.pop(Access("inter_pe", "weights"), None)
    return [words]


def _are_exact(_: Workload, tile: Tile, machine: Machine) -> Bools:
    return np.full(tile.n.shape, machine.moves_least or not machine.chooses_blocks)


def _tile_cost(problem: Workload, tile: Tile, machine: Machine) -> TileCost:
    """Tilings have many equal tiles: each is costed once."""
    if not machine.chooses_blocks:
        return _cost_of(problem, tile, *_used(problem, tile, machine), machine)
    keys, first, number = distinct(problem, tile, machine)
    problem, tile = problem.take(first), take(tile, first)
    return _cost_of(problem, tile, *_used_of(keys, problem, tile, machine), machine).take(number)


def _cost_of(problem: Workload, tile: Tile, use: Used, cycles: Ints, machine: Machine) -> TileCost:
    p = _pixels(blocks_of(Filters.of(problem), tile, use, machine.ports), tile.n, tile.y, tile.x)
    c = _channels(problem, tile.g, tile.k, tile.c, use.words, machine)

    def accesses() -> Accesses:
        terms = _Pixel(*(term * 1.0 for term in p)), _Channel(*(term * 1.0 for term in c))
        return _accesses(problem, *terms, machine)

    stream = p.blocks * c.stream
    return TileCost(stream, cycles - stream, p.pixels * c.passed, accesses)


_BOUNDS = Bounds(_pixel_terms, _channel_terms, _cycles, _least_accesses, _are_exact, _least)

OS = Dataflow(DECLARED["os"], _tile_cost, _BOUNDS, lays=("latency", "energy"))
