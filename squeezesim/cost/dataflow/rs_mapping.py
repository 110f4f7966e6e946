"""How a tile's channels are laid on a row-stationary array: every mapping that fits, and the best of them.

The array holds ``sets`` PE sets, r of which work on different input channels and t on different filters. A PE holds q
channels of p filters, and a sum for each filter. With its register file

    q·FX ≤ input_words        p·q·FX ≤ filter_words        p ≤ psum_words        r·t ≤ sets

p·t filters and q·r channels are a pass; ``rs_pass`` has its cycles. The last block of filters or channels, if it is
smaller, is dealt over as many sets as it needs when every PE holds as few as it can.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import ceil_div
from squeezesim.cost.dataflow.rs_layout import (
    Blocks,
    Rows,
    filter_parts,
    input_columns,
    input_rows,
    interleaved,
)
from squeezesim.cost.dataflow.rs_pass import Share, pass_cycles
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Floats, Ints, Workload

_CHUNK = 1 << 18  # mappings × tiles that are costed together


class Mapped(NamedTuple):
    """The mapping chosen for each tile, its cycles and its words."""

    p: Ints  # filters in a PE
    q: Ints  # channels in a PE
    r: Ints  # PE sets along the channels
    t: Ints  # PE sets along the filters
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
    """Candidates (r, t, q): every largest t for an r, with the different interleavings of up to *most* channels.

    Example: 2 PE sets and up to 1 channel give (1, 2, 1) and (2, 1, 1).
    """
    along = sorted({(sets // t, t) for t in _distinct(sets)})
    pairs = [(r, t, q) for r, t in along for q in _distinct(most)]
    r, t, q = np.array(pairs, np.int64).T
    return r, t, q


def _costed(
    problem: Workload, rows: Rows, pixels: Ints, k: Ints, c: Ints, split: tuple[Ints, ...], machine: Machine
) -> Mapped:
    """Cycles and words of one group of every tile under every candidate, (candidates, tiles)."""
    r, t, most_q = (value[:, None] for value in split)
    part = filter_parts(problem, machine)
    channels = Blocks.of(c, r * most_q)
    q = ceil_div(channels.size, r)
    filters = Blocks.of(k, t * np.minimum(machine.psum_words, machine.filter_words // (q * part.taps.size)))
    p = ceil_div(filters.size, t)
    stream = cycles = read = delivered = hops = np.zeros_like(p)
    for folds, filter_rows, taps in part.parts():
        at_once, every = _inputs(problem, rows, pixels, filter_rows, taps)
        for filter_blocks, block_k in filters.parts():
            in_pe = ceil_div(block_k, t)
            read = read + folds * filter_blocks * at_once * c
            delivered = delivered + folds * filter_blocks * every * c * ceil_div(block_k, in_pe)
            for channel_blocks, block_c in channels.parts():
                passes, interleaving = folds * filter_blocks * channel_blocks, ceil_div(block_c, r)
                share = Share(filter_rows, taps, block_k, block_c, in_pe, interleaving)
                cycles = cycles + passes * pass_cycles(problem, rows, share, machine)
                stream = stream + passes * in_pe * interleaving * taps
                hops = hops + passes * block_k * (filter_rows * ceil_div(block_c, interleaving) - 1)
    stream = stream * rows.images * rows.strips * rows.columns
    summed = channels.count * part.folds
    return Mapped(*np.broadcast_arrays(p, q, r, t, stream, cycles - stream, read, summed, delivered, hops))


def _inputs(problem: Workload, rows: Rows, pixels: Ints, filter_rows: Ints, taps: Ints) -> tuple[Ints, Ints]:
    """Words of a channel that the strips of a tile read from the buffer, and those that the PEs of a set get."""
    full, last = (input_rows(problem, strip, filter_rows) for strip in (rows.strip, rows.last))
    columns = rows.images * input_columns(problem, rows.columns, taps)
    read, delivered = ((rows.strips - 1) * full + last) * columns, rows.rows * filter_rows * columns
    return np.where(problem.pointwise, pixels, read), np.where(problem.pointwise, pixels, delivered)


def _preference(problem: Workload, mapped: Mapped, pixels: Ints, k: Ints, machine: Machine) -> Floats:
    """What the mapper minimises; of equally fast mappings the one that moves less."""
    costs = machine.energy
    activation, psum = problem.activation_bits, problem.accumulator_bits
    buffer = mapped.inputs_read * activation * costs.buffer_read_per_bit
    buffer = buffer + mapped.psum_passes * (
        pixels * k * psum * (costs.buffer_read_per_bit + costs.buffer_write_per_bit)
    )
    delivered = mapped.inputs_delivered * activation * (costs.inter_pe_per_bit + costs.register_file_per_bit)
    energy = buffer + delivered + mapped.hops * pixels * psum * costs.inter_pe_per_bit
    cycles = (mapped.stream + mapped.fill).astype(np.float64)
    if machine.objective == "energy":
        return np.asarray(energy * (1 + 1e-9 * cycles / cycles.max(axis=0)))
    if machine.objective == "edp":
        return np.asarray(energy * cycles)
    return np.asarray(cycles * (1 + 1e-9 * energy / np.maximum(energy.max(axis=0), 1.0)))


def map_tiles(problem: Workload, pixel: Rows, pixels: Ints, k: Ints, c: Ints, machine: Machine) -> Mapped:
    """Choose the mapping of each tile by ``machine.objective``; cycles and words are those of one group."""
    most_q = interleaved(filter_parts(problem, machine), machine)
    columns: list[Any] = [np.zeros(len(k), np.int64) for _ in Mapped._fields]
    for sets, most in sorted(set(zip(pixel.sets.tolist(), most_q.tolist(), strict=True))):
        split = splits(sets, most)
        members = np.flatnonzero((pixel.sets == sets) & (most_q == most))
        size = max(_CHUNK // len(split[0]), 1)
        for start in range(0, len(members), size):
            rows = members[start : start + size]
            of = problem.take(rows)
            lines = Rows(*(value[rows] for value in pixel))
            mapped = _costed(of, lines, pixels[rows], k[rows], c[rows], split, machine)
            best = _preference(of, mapped, pixels[rows], k[rows], machine).argmin(axis=0)
            for column, value in zip(columns, mapped, strict=True):
                column[rows] = value[best, np.arange(len(rows))]
    return Mapped(*columns)
