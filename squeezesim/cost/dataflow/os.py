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
from typing import Any

import numpy as np

from squeezesim.cost.dataflow.base import Accesses, Dataflow, Products, Terms, Work, slice_cycles
from squeezesim.cost.dataflow.os_blocks import blocks_of
from squeezesim.cost.dataflow.os_drain import waiting
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Floats, Ints, Workload


def _pixel_terms(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    """Blocks, pixels, window words, preload of one channel, drain of one channel, the last block's; rows and columns.

    All but the last block's are of all blocks. Then n, y, x.
    """
    blocks = blocks_of(problem, n, y, x, machine)
    used_rows, used_cols = blocks.used(problem, y, x, machine)
    return (
        blocks.count,
        n * y * x,
        blocks.total(blocks.words),
        blocks.total(blocks.preload),
        blocks.total(blocks.drain),
        blocks.last(blocks.drain),
        used_rows,
        used_cols,
        n,
        y,
        x,
    )


def _channel_terms(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    """Slice cycles, windows loaded for each block, filter slices, outputs, channels of the last chunk; then g, k, c."""
    slices = g * k * c
    chunks = -(-k // machine.psum_words)
    return (
        slice_cycles(slices, problem, "os" in machine.skips_zeros),
        g * chunks * c,
        slices,
        g * k,
        k - (chunks - 1) * machine.psum_words,
        g,
        k,
        c,
    )


def _work(problem: Workload, pixel: Terms, channel: Terms, machine: Machine) -> Work:
    stream = pixel[0] * channel[0]
    fill = pixel[3] * channel[1] + pixel[5] * channel[4]
    fill = fill + waiting(problem, pixel[8:], channel[5:], machine)
    if machine.systolic:
        fill = fill + pixel[6] + pixel[7] - 2
    return Work(stream=stream, fill=fill, busy=pixel[1] * channel[0])


def _bounds(pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
    return [
        [(pixel[0], channel[0]), (pixel[3], channel[1]), (pixel[5], channel[4])],
        [(pixel[4], channel[3])],
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
    """A MAC reads its input and reads and writes its sum in registers; inputs shift, weights come from the buffer.

    A sum's first MAC reads none, but draining does. In a systolic array weights go from PE to PE.
    """
    blocks, pixels = pixel[0], pixel[1]
    executed = pixels * channel[0]
    weights = blocks * channel[0]
    loaded = pixel[2] * channel[1]
    outputs = pixels * channel[3]
    none = np.zeros_like(executed)
    return Accesses(
        register_inputs=executed + loaded,
        register_weights=none,
        register_psums=2 * executed,
        inter_pe_inputs=pixels * channel[2] * _moves(problem),
        inter_pe_psums=none,
        buffer_inputs=loaded,
        buffer_weights=weights,
        buffer_psums_read=outputs - started,
        buffer_psums_written=outputs,
        inter_pe_weights=executed - weights if machine.systolic else none,
    )


OS = Dataflow("os", True, _pixel_terms, _channel_terms, _work, _bounds, _accesses)
