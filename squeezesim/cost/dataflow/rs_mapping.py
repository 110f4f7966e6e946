"""How a tile is laid on a row-stationary array: every mapping of its channels that fits, and the best of them.

A PE runs 1-D convolutions: one filter row over one input row. FY filter rows × e output rows form a logical PE set;
the array holds ``sets`` of them, r of which work on different input channels and t on different filters. Inside a PE, p
filters and q channels are interleaved. With the register file of a PE

    q·FX ≤ input_words        p·q·FX ≤ filter_words        p ≤ psum_words        r·t ≤ sets

p·t filters and q·r channels are a pass. A pass loads its filters and the first window of each input row, then streams
the rows of all images and strips of the tile; its slowest part sets the pace:

    pass = ⌈p·t·q·r·FY·FX / weights_words⌉ + ⌈input rows · FX · q·r / inputs_words⌉ + Σ over images and strips of
           max(X·p·(q·FX + 1), ⌈e·X·p·t / psums_words⌉, ⌈input rows · input columns · q·r / inputs_words⌉)

The first part of the maximum is the PE: its adder takes p·q·FX products and p sums that come in for each output column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import ceil_div
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Floats, Ints, Workload

_CHUNK = 1 << 18  # mappings × tiles that are costed together


class Filter(NamedTuple):
    """The part of a filter that the array holds at once; a larger one takes several folds, one after the other."""

    rows: Ints
    taps: Ints  # of a row
    folds: Ints


class Rows(NamedTuple):
    """The pixels of a tile as output rows on PE sets, in strips of the same number of rows but for the last.

    The pixels of a matrix product are dealt over the array's columns as rows of equal length.
    """

    images: Ints
    rows: Ints
    columns: Ints
    strip: Ints  # e, output rows of a strip
    strips: Ints
    sets: Ints  # PE sets that the array holds

    @property
    def last(self) -> Ints:
        """Output rows of the last strip."""
        return self.rows - (self.strips - 1) * self.strip


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


def filter_parts(problem: Workload, machine: Machine) -> Filter:
    """Fold the filter so that its rows fit the array and a row's taps the registers of a PE."""
    most = min(machine.input_words, machine.filter_words)
    rows_folds, taps_folds = ceil_div(problem.fy, machine.rows), ceil_div(problem.fx, most)
    return Filter(ceil_div(problem.fy, rows_folds), ceil_div(problem.fx, taps_folds), rows_folds * taps_folds)


def interleaved(part: Filter, machine: Machine) -> Ints:
    """The most channels that a PE can interleave."""
    return min(machine.input_words, machine.filter_words) // part.taps


def lay_rows(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Rows:
    """Lay the rows of a tile on PE sets: a set wider than the array is split at its width and stacked.

    Example: 27 rows of a 5×5 filter on 12×14 PEs are one set of 14 + 13 columns, 5 PEs high each.
    """
    part = filter_parts(problem, machine)
    high = machine.rows // part.rows
    flat = problem.pointwise
    most = high * machine.cols
    dealt = ceil_div(x, np.minimum(machine.cols, x))
    columns = np.where(flat, dealt, x)
    rows = np.where(flat, ceil_div(x, dealt), y)
    strip = ceil_div(rows, ceil_div(rows, most))
    side_by_side = high * np.maximum(machine.cols // strip, 1)
    sets = np.where(strip <= machine.cols, side_by_side, high // ceil_div(strip, machine.cols))
    return Rows(np.where(flat, 1, n), rows, columns, strip, ceil_div(rows, strip), sets)


def input_rows(problem: Workload, outputs: Ints, part: Filter) -> Ints:
    """Input rows that *outputs* output rows need for the filter rows that the array holds."""
    span = (outputs - 1) * problem.sy + (part.rows - 1) * problem.dy + 1
    return np.asarray(np.minimum(span, outputs * part.rows))


def input_columns(problem: Workload, outputs: Ints, part: Filter) -> Ints:
    """Input columns that *outputs* output columns need for the taps that a PE holds."""
    span = (outputs - 1) * problem.sx + (part.taps - 1) * problem.dx + 1
    return np.asarray(np.minimum(span, outputs * part.taps))


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


@dataclass(frozen=True, slots=True)
class _Blocks:
    """An axis cut into blocks as equal as possible, none larger than a limit."""

    size: Ints
    count: Ints
    last: Ints

    @classmethod
    def of(cls, extent: Ints, most: Ints) -> _Blocks:
        size = ceil_div(extent, ceil_div(extent, most))
        count = ceil_div(extent, size)
        return cls(size, count, extent - (count - 1) * size)

    def parts(self) -> list[tuple[Ints, Ints]]:
        """(number, size) of the full blocks, if there are any, and of the last."""
        return _parts(self.count, self.size, self.last)


def _parts(count: Ints, size: Ints, last: Ints) -> list[tuple[Ints, Ints]]:
    one = (np.ones_like(count), last)
    return [(count - 1, size), one] if np.any(count > 1) else [one]


def _costed(
    problem: Workload, rows: Rows, k: Ints, c: Ints, split: tuple[Ints, ...], machine: Machine
) -> Mapped:
    """Cycles and words of one group of every tile under every candidate, (candidates, tiles)."""
    r, t, most_q = (value[:, None] for value in split)
    part = filter_parts(problem, machine)
    most_p = np.minimum(machine.psum_words, machine.filter_words // (most_q * part.taps))
    filters, channels = _Blocks.of(k, t * most_p), _Blocks.of(c, r * most_q)
    p, q = ceil_div(filters.size, t), ceil_div(channels.size, r)
    columns_in = input_columns(problem, rows.columns, part)
    strips = _parts(rows.strips, rows.strip, rows.last)
    window = input_rows(problem, rows.strip, part) * part.taps
    stream = streaming = loading = np.zeros_like(p)
    for filter_blocks, block_k in filters.parts():
        in_pe = ceil_div(block_k, t)
        for channel_blocks, block_c in channels.parts():
            passes = filter_blocks * channel_blocks
            products = np.asarray(rows.columns * in_pe * ceil_div(block_c, r) * part.taps)
            sums = rows.columns * in_pe
            stream = stream + passes * products * rows.strips
            first = ceil_div(window * block_c, machine.network_inputs)
            weights = ceil_div(block_k * block_c * part.rows * part.taps, machine.network_weights)
            loading = loading + passes * (weights + first)
            for count, strip in strips:
                moved = ceil_div(strip * rows.columns * block_k, machine.network_psums)
                came = ceil_div(
                    input_rows(problem, strip, part) * columns_in * block_c, machine.network_inputs
                )
                pace = np.maximum(np.maximum(products + sums, moved), came)
                streaming = streaming + passes * count * pace
    read_rows = (rows.strips - 1) * input_rows(problem, rows.strip, part) + input_rows(
        problem, rows.last, part
    )
    inputs = rows.images * columns_in * c * part.folds
    used_r = (channels.count - 1) * ceil_div(channels.size, q) + ceil_div(channels.last, q)
    used_t = (filters.count - 1) * ceil_div(filters.size, p) + ceil_div(filters.last, p)
    stream = stream * rows.images * part.folds
    return Mapped(
        *np.broadcast_arrays(
            p,
            q,
            r,
            t,
            stream,
            part.folds * (loading + rows.images * streaming) - stream,
            inputs * read_rows * filters.count,
            channels.count * part.folds,
            inputs * rows.rows * part.rows * used_t,
            k * part.folds * (part.rows * used_r - channels.count),
        )
    )


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
    part = filter_parts(problem, machine)
    most_q = interleaved(part, machine)
    columns: list[Any] = [np.zeros(len(k), np.int64) for _ in Mapped._fields]
    for sets, most in sorted(set(zip(pixel.sets.tolist(), most_q.tolist(), strict=True))):
        split = splits(sets, most)
        members = np.flatnonzero((pixel.sets == sets) & (most_q == most))
        size = max(_CHUNK // len(split[0]), 1)
        for start in range(0, len(members), size):
            rows = members[start : start + size]
            of = problem.take(rows)
            lines = Rows(*(value[rows] for value in pixel))
            mapped = _costed(of, lines, k[rows], c[rows], split, machine)
            best = _preference(of, mapped, pixels[rows], k[rows], machine).argmin(axis=0)
            for column, value in zip(columns, mapped, strict=True):
                column[rows] = value[best, np.arange(len(rows))]
    return Mapped(*columns)
