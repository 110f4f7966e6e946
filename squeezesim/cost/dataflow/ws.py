"""Weight stationary: rows are input channels, columns output channels, one filter tap at a time.

A block of at most R×C weights (one tap of R input and C output channels of a group) is held by the PEs while all
pixels of the tile stream past it, one pixel a cycle; partial sums run down the columns and are accumulated in the
buffer. The next block is preloaded meanwhile, row by row, ``ports`` words a cycle.

    blocks = G · FY·FX · ⌈C/R⌉ · ⌈K/cols⌉                    preload(block) = rows used · ⌈columns used / ports⌉
    cycles = preload(first) + pixels + Σ over the other blocks max(pixels, preload) + blocks · weight_swap_cycles
             [+ rows + cols − 2 if systolic]

Hand-worked: 3×3, 64 → 32 channels, 14×14 pixels on 16×16 PEs with 16 ports: 9 · 4 · 2 = 72 blocks of 196 cycles,
preload 16 · 1 = 16: 16 + 72 · 196 = 14,128 cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Accesses, Dataflow, Products, Terms, Work, ceil_div
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints, Workload


class _Pixel(NamedTuple):
    """Terms of a tile's pixels."""

    pixels: Any
    tiles: Any  # 1 for each


class _Channel(NamedTuple):
    """Terms of a tile's channels."""

    blocks: Any
    preloads: Any  # cycles to preload and swap all blocks
    slices: Any
    outputs: Any  # Σ over blocks of their columns
    inputs: Any  # Σ over blocks of their rows
    exposed: Any  # cycles of the first preload and of all swaps
    tiles: Any  # 1 for each
    k: Any
    c: Any
    g: Any


def _pixel_terms(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    del problem, machine
    pixels = n * y * x
    return _Pixel(pixels, np.ones_like(pixels))


def _channel_terms(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    taps = problem.taps * g
    first = np.minimum(c, machine.rows) * ceil_div(np.minimum(k, machine.cols), machine.ports)
    folds_c, folds_k = ceil_div(c, machine.rows), ceil_div(k, machine.cols)
    blocks = taps * folds_c * folds_k
    swaps = blocks * machine.weight_swap
    full_k, edge_k = np.divmod(k, machine.cols)
    lines = full_k * -(-machine.cols // machine.ports) + ceil_div(edge_k, machine.ports)
    return _Channel(
        blocks=blocks,
        preloads=taps * c * lines + swaps,
        slices=g * k * c,
        outputs=taps * folds_c * k,
        inputs=taps * c * folds_k,
        exposed=first + swaps,
        tiles=np.ones_like(first),
        k=k,
        c=c,
        g=g,
    )


def _work(problem: Workload, pixel: Terms, channel: Terms, machine: Machine) -> Work:
    pixels, terms = _Pixel(*pixel).pixels, _Channel(*channel)
    fill = terms.exposed.copy()
    # Most tiles have so many pixels that no preload is ever waited for.
    some = np.flatnonzero(pixels < machine.rows * -(-machine.cols // machine.ports))
    if len(some):
        copies = problem.taps[some] * terms.g[some]
        fill[some] += _waiting(copies, pixels[some], terms.k[some], terms.c[some], machine)
    if machine.systolic:
        fill += np.minimum(terms.c, machine.rows) + np.minimum(terms.k, machine.cols) - 2
    return Work(stream=terms.blocks * pixels, fill=fill, busy=problem.taps * terms.slices * pixels)


def _waiting(copies: Ints, pixels: Ints, k: Ints, c: Ints, machine: Machine) -> Ints:
    """Σ over blocks, of which there are *copies* for each tap and group, of what preload takes longer than streaming.

    But for the first block, before which nothing streams.
    """
    rows, cols, ports = machine.rows, machine.cols, machine.ports
    full_c, edge_c = np.divmod(c, rows)
    full_k, edge_k = np.divmod(k, cols)
    first = np.minimum(c, rows) * ceil_div(np.minimum(k, cols), ports)
    beyond = -np.maximum(first - pixels, 0)
    for count_c, rows_used in ((full_c, np.int64(rows)), (edge_c > 0, edge_c)):
        for count_k, cols_used in ((full_k, np.int64(cols)), (edge_k > 0, edge_k)):
            preload = rows_used * ceil_div(np.asarray(cols_used), ports)
            beyond += copies * count_c * count_k * np.maximum(preload - pixels, 0)
    return np.asarray(beyond)


def _bounds(pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
    p, c = _Pixel(*pixel), _Channel(*channel)
    return [[(p.pixels, c.blocks), (p.tiles, c.exposed)], [(p.tiles, c.preloads), (p.pixels, c.tiles)]]


def _accesses(
    problem: Workload, pixel: Sequence[Floats], channel: Sequence[Floats], started: Floats, machine: Machine
) -> Accesses:
    """A MAC reads its weight from a register and hands its sum to the PE below; the buffer accumulates the columns.

    In a systolic array the inputs go from PE to PE too, from the first column on.
    """
    p, c = _Pixel(*pixel), _Channel(*channel)
    macs = p.pixels * c.slices * problem.taps
    preloaded = p.tiles * c.slices * problem.taps
    read, written = p.pixels * c.inputs, p.pixels * c.outputs
    none = np.zeros_like(macs)
    return Accesses(
        register_inputs=none,
        register_weights=macs + preloaded,
        register_psums=none,
        inter_pe_inputs=macs - read if machine.systolic else none,
        inter_pe_psums=macs,
        buffer_inputs=read,
        buffer_weights=preloaded,
        buffer_psums_read=written - started,
        buffer_psums_written=written,
    )


WS = Dataflow("ws", False, _pixel_terms, _channel_terms, _work, _bounds, _accesses)
