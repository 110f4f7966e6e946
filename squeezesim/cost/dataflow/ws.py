"""Weight stationary: rows are input channels, columns output channels, one filter tap at a time.

A block of at most R×C weights (one tap of R input and C output channels of a group) is held by the PEs while all
pixels of the tile stream past it, one pixel a cycle; partial sums run down the columns and are accumulated in the
buffer. The next block is preloaded meanwhile, row by row, ``ports`` words a cycle; ports for several rows of the block
load as many at once. The smallest block, of the remainders, comes first, since nothing overlaps its preload.

    blocks = G · FY·FX · ⌈C/R⌉ · ⌈K/cols⌉
    first = the block of ((C − 1) mod R) + 1 rows and ((K − 1) mod cols) + 1 columns
    preload(block) = ⌈rows used / max(⌊ports / columns used⌋, 1)⌉ · ⌈columns used / ports⌉
    cycles = preload(first) + pixels + Σ over the other blocks max(pixels, preload) + blocks · weight_swap_cycles
             [+ rows + cols − 2 if systolic]

Where the machine packs a layer's pattern N:M (``sparsity.structured``), C is ``Workload.packed(C)``, about C·N/M: a PE
holds one of the weights that stay of M input channels, and takes its input from theirs. All inputs and all weights are
read from the buffer.

Hand-worked: 3×3, 64 → 32 channels, 14×14 pixels on 16×16 PEs with 16 ports: 9 · 4 · 2 = 72 blocks of 196 cycles,
preload 16 · 1 = 16: 16 + 72 · 196 = 14,128 cycles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    buffer_words,
    ceil_div,
    from_terms,
)
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.hardware.dataflows import DECLARED


class _Pixel(NamedTuple):
    """Terms of a tile's pixels."""

    pixels: Any
    tiles: Any  # 1 for each


class _Channel(NamedTuple):
    """Terms of a tile's channels."""

    blocks: Any
    preloads: Any  # cycles to preload and swap all blocks
    slices: Any  # all filter slices of the tile
    held: Any  # those that PEs hold
    outputs: Any  # Σ over blocks of their columns
    inputs: Any  # Σ over blocks of their input channels
    exposed: Any  # cycles of the first preload and of all swaps
    tiles: Any  # 1 for each
    k: Any
    rows: Any  # of the array that all input channels take
    g: Any


def _pixel_terms(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    del problem, machine
    pixels = n * y * x
    return _Pixel(pixels, np.ones_like(pixels))


def _channel_terms(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    taps = problem.taps * g
    rows = problem.packed(c) if machine.structured else c
    first = _first_preload(rows, k, machine)
    folds_c, folds_k = ceil_div(rows, machine.rows), ceil_div(k, machine.cols)
    blocks = taps * folds_c * folds_k
    swaps = blocks * machine.weight_swap
    classes = _block_classes(rows, k, machine)
    preloads = sum(count * _preload(*used, machine) for count, used in classes)
    return _Channel(
        blocks=blocks,
        preloads=taps * preloads + swaps,
        slices=g * k * c,
        held=g * k * rows,
        outputs=taps * folds_c * k,
        inputs=taps * c * folds_k,
        exposed=first + swaps,
        tiles=np.ones_like(first),
        k=k,
        rows=rows,
        g=g,
    )


def _preload(rows: Ints, cols: Ints, machine: Machine) -> Ints:
    """Cycles to preload a block of *rows* and *cols*; none where it has no rows or no columns."""
    return ceil_div(rows, np.maximum(machine.ports // np.maximum(cols, 1), 1)) * ceil_div(cols, machine.ports)


def _first_preload(rows: Ints, k: Ints, machine: Machine) -> Ints:
    """Cycles to preload the smallest block, which nothing overlaps: it is the first."""
    return _preload((rows - 1) % machine.rows + 1, (k - 1) % machine.cols + 1, machine)


def _block_classes(rows: Ints, k: Ints, machine: Machine) -> Iterator[tuple[Ints, tuple[Ints, Ints]]]:
    """How many blocks of a tap and group there are, with the rows and columns of each: full ones and remainders."""
    full_c, edge_c = np.divmod(rows, machine.rows)
    full_k, edge_k = np.divmod(k, machine.cols)
    by_rows = (full_c, np.full_like(rows, machine.rows)), ((edge_c > 0) * 1, edge_c)
    by_cols = (full_k, np.full_like(k, machine.cols)), ((edge_k > 0) * 1, edge_k)
    for (count_c, rows_used), (count_k, cols_used) in product(by_rows, by_cols):
        yield count_c * count_k, (rows_used, cols_used)


def _work(problem: Workload, pixel: Terms, channel: Terms, machine: Machine) -> tuple[Ints, Ints, Ints]:
    pixels, terms = _Pixel(*pixel).pixels, _Channel(*channel)
    fill = terms.exposed.copy()
    # Most tiles have so many pixels that no preload is ever waited for.
    some = np.flatnonzero(pixels < machine.rows * -(-machine.cols // machine.ports))
    if len(some):
        copies = problem.taps[some] * terms.g[some]
        fill[some] += _waiting(copies, pixels[some], terms.k[some], terms.rows[some], machine)
    if machine.systolic:
        fill += np.minimum(terms.rows, machine.rows) + np.minimum(terms.k, machine.cols) - 2
    return terms.blocks * pixels, fill, problem.taps * terms.held * pixels


def _waiting(copies: Ints, pixels: Ints, k: Ints, c: Ints, machine: Machine) -> Ints:
    """Σ over blocks, of which there are *copies* for each tap and group, of what preload takes longer than streaming.

    But for the first block, before which nothing streams.
    """
    first = _first_preload(c, k, machine)
    beyond = -np.maximum(first - pixels, 0)
    for count, used in _block_classes(c, k, machine):
        beyond += copies * count * np.maximum(_preload(*used, machine) - pixels, 0)
    return np.asarray(beyond)


def _cycles(pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
    p, c = _Pixel(*pixel), _Channel(*channel)
    return [[(p.pixels, c.blocks), (p.tiles, c.exposed)], [(p.tiles, c.preloads), (p.pixels, c.tiles)]]


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


_BOUNDS = Bounds(_pixel_terms, _channel_terms, _cycles, _accesses)

WS = Dataflow(DECLARED["ws"], from_terms(_BOUNDS, _work), _BOUNDS)
