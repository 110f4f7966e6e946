"""Output stationary: the array is a block of pixels of one output channel; a weight is broadcast each cycle.

A PE keeps the partial sums of its pixel for up to ``psum_words`` output channels (a chunk), so that an input block is
loaded once for all of them. For each chunk and input channel the block's inputs are preloaded, ``ports`` words a
cycle; then every output channel of the chunk passes its filter slice, one non-zero weight a cycle, inputs shifting
between neighbours. Finished partial sums drain through the ports while the next block computes; the last drain of a
tile is exposed.

    blocks  = N · ⌈Y/R⌉ · ⌈X/cols⌉, or ⌈X/(R·cols)⌉ for a matrix product, whose pixels are dealt over rows × columns
    lines   = Σ over blocks (rows used · ⌈columns used / ports⌉)
    stream  = blocks · Σ over filter slices of its cycles (FY·FX, or max(1, non-zeros) where zeros are skipped)
    preload = lines · G · ⌈K/psum_words⌉ · C           drain = lines · G · K
    cycles  = max(stream + preload, drain) + drain of the last block and chunk    [+ rows + cols − 2 if systolic]

Hand-worked: 3×3, 8 → 16 channels, 28×28 pixels on 16×16 PEs with 16 ports, nothing skipped, 64 psum words:
4 blocks; stream 4 · 128 · 9 = 4,608; lines 2 · 28 = 56; preload 56 · 8 = 448; last drain 12 · 16 = 192 → 5,248 cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from squeezesim.cost.dataflow.base import Accesses, Dataflow, Products, Terms, Work, ceil_div, slice_cycles
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Floats, Ints, Workload


def _span(outputs: Ints | int, stride: Ints, filter_size: Ints, dilation: Ints) -> Ints:
    """Input positions that a run of outputs touches along one axis."""
    extent = (filter_size - 1) * dilation + 1
    return np.asarray((outputs - 1) * stride + extent - (outputs - 1) * np.maximum(stride - extent, 0))


def _pixel_terms(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    """Blocks, lines, pixels, input words of all blocks, lines of the last block, rows and columns used."""
    rows, cols, ports = machine.rows, machine.cols, machine.ports
    full_line = -(-cols // ports)
    pixels = n * y * x

    # A matrix product's pixels fill the array line by line.
    full, rest = np.divmod(x, rows * cols)
    rest_lines = rest // cols * full_line + ceil_div(rest % cols, ports)
    flat_blocks = full + (rest > 0)
    flat_lines = full * rows * full_line + rest_lines
    flat_last = np.where(rest > 0, rest_lines, rows * full_line)

    full_y, edge_y = np.divmod(y, rows)
    full_x, edge_x = np.divmod(x, cols)
    edge_line = ceil_div(edge_x, ports)
    blocks = n * (full_y + (edge_y > 0)) * (full_x + (edge_x > 0))
    lines = n * y * (full_x * full_line + edge_line)
    last = np.where(edge_y > 0, edge_y, rows) * np.where(edge_x > 0, edge_line, full_line)
    span = [
        full_count * _span(size, stride, taps, dilation)
        + np.where(edge > 0, _span(edge, stride, taps, dilation), 0)
        for full_count, size, edge, stride, taps, dilation in (
            (full_y, rows, edge_y, problem.sy, problem.fy, problem.dy),
            (full_x, cols, edge_x, problem.sx, problem.fx, problem.dx),
        )
    ]
    flat = problem.pointwise
    return (
        np.where(flat, flat_blocks, blocks),
        np.where(flat, flat_lines, lines),
        pixels,
        np.where(flat, pixels, n * span[0] * span[1]),
        np.where(flat, flat_last, last),
        np.where(flat, np.minimum(ceil_div(x, cols), rows), np.minimum(y, rows)),
        np.minimum(x, cols),
    )


def _channel_terms(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    """Slice cycles, input channels preloaded over all chunks, filter slices, outputs, channels of the last chunk."""
    slices = g * k * c
    chunks = ceil_div(k, machine.psum_words)
    return (
        slice_cycles(slices, problem, "os" in machine.skips_zeros),
        g * chunks * c,
        slices,
        g * k,
        k - (chunks - 1) * machine.psum_words,
    )


def _work(problem: Workload, pixel: Terms, channel: Terms, machine: Machine) -> Work:
    del problem
    stream = pixel[0] * channel[0]
    preload = pixel[1] * channel[1]
    drain = pixel[1] * channel[3]
    fill = preload + np.maximum(drain - stream - preload, 0) + pixel[4] * channel[4]
    if machine.systolic:
        fill = fill + pixel[5] + pixel[6] - 2
    return Work(stream=stream, fill=fill, busy=pixel[2] * channel[0])


def _bounds(pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
    last_drain = (pixel[4], channel[4])
    return [
        [(pixel[0], channel[0]), (pixel[1], channel[1]), last_drain],
        [(pixel[1], channel[3]), last_drain],
    ]


def _accesses(
    problem: Workload, pixel: Sequence[Floats], channel: Sequence[Floats], started: Floats, machine: Machine
) -> Accesses:
    """A MAC reads its input and reads and writes its sum in registers; inputs shift, weights come from the buffer.

    The first weight of a slice finds its input in place, each further one moves it by one PE; what enters at the
    block's edges comes from the buffer.
    """
    del machine
    blocks, pixels = pixel[0], pixel[2]
    executed = pixels * channel[0]
    preloaded = pixels * channel[1]
    entering = (pixel[3] - pixels) * channel[2]
    outputs = pixels * channel[3]
    none = np.zeros_like(executed)
    return Accesses(
        register_inputs=executed + preloaded,
        register_weights=none,
        register_psums=2 * executed,
        inter_pe_inputs=np.where(problem.taps > 1, executed - pixels * channel[2], 0),
        inter_pe_psums=none,
        buffer_inputs=preloaded + entering,
        buffer_weights=blocks * channel[0],
        buffer_psums_read=outputs - started,
        buffer_psums_written=outputs,
    )


OS = Dataflow("os", True, _pixel_terms, _channel_terms, _work, _bounds, _accesses)
