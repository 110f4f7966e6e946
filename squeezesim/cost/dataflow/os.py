"""Output stationary: the array is a block of pixels of one output channel; a weight is broadcast each cycle.

A PE keeps the partial sums of its pixel for up to ``psum_words`` output channels (a chunk), so that an input window is
loaded once for all of them. For each chunk and input channel the window of the block, halo and padding included, is
preloaded, ``ports`` words a cycle; then every output channel of the chunk passes its filter slice, one non-zero weight
a cycle, while the window shifts between neighbours. Finished sums move to a second set and drain row by row through
the ports while the next chunk or block computes; that one can end only when they have left.

    blocks  = N · ⌈Y/R⌉ · ⌈X/cols⌉, or ⌈X/(R·cols)⌉ for a matrix product, whose pixels are dealt over rows × columns
    window  = input rows · input columns that the pixels of a block touch; the pixels themselves for a matrix product
    stream  = blocks · Σ over filter slices of its cycles (FY·FX, or max(1, non-zeros) where zeros are skipped)
    preload = Σ over blocks of ⌈window / ports⌉ · G · ⌈K/psum_words⌉ · C
    drain   = rows used · ⌈columns used / ports⌉ for each output channel of a block
    cycles  = stream + preload + waiting + drain of the last block and chunk       [+ rows + cols − 2 if systolic]

``waiting`` (``os_drain``) is what drains take longer than the work beside them.

Hand-worked: 3×3, 8 → 16 channels, 28×28 pixels on 16×16 PEs with 16 ports, nothing skipped, 64 psum words:
4 blocks; stream 4 · 128 · 9 = 4,608; windows of 18×18, 18×14, 14×18 and 14×14 take 21 + 16 + 16 + 13 = 66 cycles,
preload 66 · 8 = 528; last drain 12 · 16 = 192 → 5,328 cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Accesses, Dataflow, Products, Terms, Work, slice_cycles
from squeezesim.cost.dataflow.os_blocks import blocks_of
from squeezesim.cost.dataflow.os_drain import waiting
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Floats, Ints, Workload


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

    stream: Any  # cycles of all filter slices
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
    return _Channel(
        stream=slice_cycles(slices, problem, "os" in machine.skips_zeros),
        windows=g * chunks * c,
        slices=slices,
        outputs=g * k,
        last_chunk=k - (chunks - 1) * machine.psum_words,
        g=g,
        k=k,
        c=c,
    )


def _work(problem: Workload, pixel: Terms, channel: Terms, machine: Machine) -> Work:
    p, c = _Pixel(*pixel), _Channel(*channel)
    fill = p.preload * c.windows + p.last_drain * c.last_chunk
    fill = fill + waiting(problem, (p.n, p.y, p.x), (c.g, c.k, c.c), machine)
    if machine.systolic:
        fill = fill + p.rows + p.cols - 2
    return Work(stream=p.blocks * c.stream, fill=fill, busy=p.pixels * c.stream)


def _bounds(pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
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
    problem: Workload, pixel: Sequence[Floats], channel: Sequence[Floats], started: Floats, machine: Machine
) -> Accesses:
    """A PE at work reads its input and reads and writes its sum in registers; inputs shift, weights are broadcast.

    A sum's first MAC reads none, but draining does. A slice without non-zeros takes one such cycle. In a systolic
    array weights go from PE to PE.
    """
    p, c = _Pixel(*pixel), _Channel(*channel)
    worked = p.pixels * c.stream
    weights = p.blocks * c.stream
    loaded = p.words * c.windows
    outputs = p.pixels * c.outputs
    none = np.zeros_like(worked)
    return Accesses(
        register_inputs=worked + loaded,
        register_weights=none,
        register_psums=2 * worked,
        inter_pe_inputs=p.pixels * c.slices * _moves(problem),
        inter_pe_psums=none,
        buffer_inputs=loaded,
        buffer_weights=weights,
        buffer_psums_read=outputs - started,
        buffer_psums_written=outputs,
        inter_pe_weights=worked - weights if machine.systolic else none,
    )


OS = Dataflow("os", True, _pixel_terms, _channel_terms, _work, _bounds, _accesses)
