"""Output stationary: the array is a block of pixels of one output channel; a weight is broadcast each cycle.

A PE keeps the partial sums of its pixel for up to ``psum_words`` output channels (a chunk), so that an input window is
loaded once for all of them. For each chunk and input channel the window of the block, halo and padding included, is
preloaded, ``ports`` words a cycle; then every output channel of the chunk passes its filter slice, one non-zero weight
a cycle, while the window shifts between neighbours. Finished sums move to a second set and drain row by row through
the ports while the next chunk or block computes; that one can end only when they have left.

    blocks  = N · ⌈Y/R⌉ · ⌈X/cols⌉, or ⌈X/(R·cols)⌉ for a matrix product, whose pixels are dealt over rows × columns
    window  = input rows · input columns that the pixels of a block touch; the pixels themselves for a matrix product
    stream  = blocks · Σ over windows ⌈weights that pass / rate⌉: of each filter slice FY·FX, or max(1, non-zeros)
              where zeros are skipped
    preload = Σ over blocks of ⌈window / ports⌉ · G · ⌈K/psum_words⌉ · C
    drain   = rows used · ⌈columns used / ports⌉ for each output channel of a block
    cycles  = stream + preload + waiting + drain of the last block and chunk       [+ rows + cols − 2 if systolic]

``waiting`` (``os_drain``) is what drains take longer than the work beside them.

Hand-worked: 3×3, 8 → 16 channels, 28×28 pixels on 16×16 PEs with 16 ports, nothing skipped, 64 psum words:
4 blocks; stream 4 · 128 · 9 = 4,608; windows of 18×18, 18×14, 14×18 and 14×14 take 21 + 16 + 16 + 13 = 66 cycles,
preload 66 · 8 = 528; last drain 12 · 16 = 192 → 5,328 cycles.

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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import (
    Access,
    Accesses,
    Bounds,
    Dataflow,
    Products,
    Terms,
    balanced_nonzeros,
    buffer_words,
    ceil_div,
    from_terms,
    slice_cycles,
)
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Bools, Floats, Ints, Workload
from squeezesim.hardware.dataflows import DECLARED


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


def blocks_of(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> BlockClasses:
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
    return BlockClasses(
        images=n,
        rows=classes(np.where(flat, 1, full_y), np.where(flat, 0, edge_y > 0)),
        columns=classes(full_x, edge_x > 0),
        words=words,
        preload=ceil_div(words, ports),
        drain=drain,
    )


@dataclass(frozen=True, slots=True)
class _Items:
    """Equal items of a block: the channels that the one before drains, how many they are, and cycles of the weights."""

    drained: Ints
    count: Ints
    stream: Ints  # of each


def waiting(problem: Workload, pixels: Terms, channels: Terms, machine: Machine) -> Ints:
    """Cycles of a tile (pixels: n, y, x; channels: g, k, c) in which only a drain goes on, but for the last one."""
    n, y, x = pixels
    g, k, c = channels
    result = np.zeros_like(n * g)
    # Most tiles have so many input channels that no drain is ever waited for.
    longest = np.minimum(k, machine.psum_words) * (machine.rows * -(-machine.cols // machine.ports))
    last_chunk = k - (-(-k // machine.psum_words) - 1) * machine.psum_words
    some = np.flatnonzero(c * (problem.paced(last_chunk) + 1) < longest)
    if len(some):
        part = problem.take(some)
        blocks = blocks_of(part, n[some], y[some], x[some], machine)
        result[some] = _waiting(part, blocks, g[some], k[some], c[some], machine)
    return result


def _waiting(problem: Workload, blocks: BlockClasses, g: Ints, k: Ints, c: Ints, machine: Machine) -> Ints:
    first, others, last_chunk = _items(problem, g, k, c, machine)
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

    @classmethod
    def of(cls, problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> _Dealt:
        words = machine.psum_words
        several = -(-k // words) - 1
        last_chunk = k - several * words
        if "os" not in machine.skips_zeros:
            return cls(several, last_chunk, problem.taps, np.zeros_like(k), np.zeros_like(k))
        least, larger = balanced_nonzeros(g * k * c, problem)
        larger_last = larger * last_chunk // k
        return cls(several, last_chunk, least, larger - larger_last, larger_last)

    def split(
        self, problem: Workload, c: Ints, channels: Ints | int, count: Ints, larger: Ints, fewest: Ints
    ) -> list[tuple[Ints, Ints]]:
        """(number, cycles of the weights of each) of *count* items with *larger* slices in all, *fewest* in any."""
        more = larger - count * fewest
        return [
            (count - more, self.cycles(problem, c, channels, fewest)),
            (more, self.cycles(problem, c, channels, fewest + 1)),
        ]

    def cycles(self, problem: Workload, c: Ints, channels: Ints | int, larger: Ints) -> Ints:
        """Cycles in which the weights of an item pass; *larger* of its slices are dealt evenly over its windows."""
        each, more = np.divmod(larger, c)
        weights = self.least * channels + each
        return np.asarray((c - more) * problem.paced(weights) + more * problem.paced(weights + 1))


def _items(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> tuple[Ints, list[_Items], Ints]:
    """Cycles of a block's first item; its other items, equal ones together; channels of the last chunk."""
    words, dealt = machine.psum_words, _Dealt.of(problem, g, k, c, machine)
    several, last_chunk = dealt.several, dealt.last_chunk
    cut, items = several > 0, np.maximum(g * several, 1)

    def share(count: Ints | int) -> Ints:
        """Larger slices of the first *count* items that are not the last of their group."""
        return np.asarray(count * dealt.before // items)

    every, fewest, fewest_last = np.full_like(k, words), dealt.before // items, dealt.last // g
    one = np.where(cut, words, last_chunk)
    first = dealt.cycles(problem, c, one, np.where(cut, share(1), fewest_last))
    after_full, zero = g * (several - 1), np.zeros_like(k)
    kinds = (
        # drained before, items, channels of each, larger slices of all
        (cut, every, after_full, words, dealt.before - share(g), fewest),
        (cut, every, g, last_chunk, dealt.last, fewest_last),
        (cut, last_chunk, g - 1, words, share(g) - share(1), fewest),
        (~cut, last_chunk, g - 1, last_chunk, dealt.last - fewest_last, fewest_last),
    )
    found = [
        _Items(drained, np.where(there, number, zero), stream)
        for there, drained, count, channels, larger, least in kinds
        for number, stream in dealt.split(problem, c, channels, count, larger, least)
    ]
    return first, found, last_chunk


def _stream(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Ints:
    """Cycles in which the weights of a tile pass a block of pixels."""
    dealt = _Dealt.of(problem, g, k, c, machine)
    items = g * dealt.several
    full = dealt.split(
        problem, c, machine.psum_words, items, dealt.before, dealt.before // np.maximum(items, 1)
    )
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
    rows: Any  # of the array that the largest block uses
    cols: Any
    n: Any
    y: Any
    x: Any


class _Channel(NamedTuple):
    """Terms of a tile's channels."""

    passed: Any  # weights that pass, of all filter slices
    stream: Any  # cycles in which they do
    windows: Any  # loaded for each block
    slices: Any
    outputs: Any
    last_chunk: Any  # output channels of the last chunk
    g: Any
    k: Any
    c: Any


def _pixel_terms(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    blocks = blocks_of(problem, n, y, x, machine)
    used_rows, used_cols = blocks.used(problem, y, x, machine)
    return _Pixel(
        blocks=blocks.count,
        pixels=n * y * x,
        words=blocks.total(blocks.words),
        preload=blocks.total(blocks.preload),
        drain=blocks.total(blocks.drain),
        last_drain=blocks.last(blocks.drain),
        rows=used_rows,
        cols=used_cols,
        n=n,
        y=y,
        x=x,
    )


def _channel_terms(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    slices = g * k * c
    chunks = -(-k // machine.psum_words)
    passed = slice_cycles(slices, problem, "os" in machine.skips_zeros)
    return _Channel(
        passed=passed,
        stream=_stream(problem, g, k, c, machine) if machine.paces else passed,
        windows=g * chunks * c,
        slices=slices,
        outputs=g * k,
        last_chunk=k - (chunks - 1) * machine.psum_words,
        g=g,
        k=k,
        c=c,
    )


def _work(problem: Workload, pixel: Terms, channel: Terms, machine: Machine) -> tuple[Ints, Ints, Ints]:
    p, c = _Pixel(*pixel), _Channel(*channel)
    fill = p.preload * c.windows + p.last_drain * c.last_chunk
    fill = fill + waiting(problem, (p.n, p.y, p.x), (c.g, c.k, c.c), machine)
    if machine.systolic:
        fill = fill + p.rows + p.cols - 2
    return p.blocks * c.stream, fill, p.pixels * c.passed


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


def _accesses(
    problem: Workload, pixel: Sequence[Floats], channel: Sequence[Floats], machine: Machine
) -> Sequence[Accesses]:
    """A PE at work reads its input and reads and writes its sum in registers; inputs shift, weights are broadcast.

    A sum's first MAC reads none, but draining does. A slice without non-zeros takes one such cycle. In a systolic
    array weights go from PE to PE.
    """
    p, c = _Pixel(*pixel), _Channel(*channel)
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
    return [{**words, Access("inter_pe", "weights"): worked - weights} if machine.systolic else words]


_BOUNDS = Bounds(_pixel_terms, _channel_terms, _cycles, _accesses)

OS = Dataflow(DECLARED["os"], from_terms(_BOUNDS, _work), _BOUNDS)
