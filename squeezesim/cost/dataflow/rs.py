"""Row stationary: a PE keeps filter rows and slides them over input rows; sets of PEs form 2-D convolutions.

The tile's FY filter rows × e output rows are a logical PE set, split at the array's width and replicated over channels
and filters as often as it fits (``rs_layout``). Every tile gets the best mapping of its channels (``rs_mapping``);
``rs_pass`` has the cycles of a pass. Groups, and parts of filters that the array cannot hold at once, run one after
the other.

    cycles = G · Σ over parts of filters, filter blocks and channel blocks of the cycles of a pass
    stream = G · images · strips · X · Σ over the same of p·q·FX, in which the PEs multiply

Sums over the channels of a pass run up the PEs of its sets; those of different passes are added up in the buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Accesses, Dataflow, Products, Terms, Work, ceil_div
from squeezesim.cost.dataflow.rs_layout import (
    filter_parts,
    input_columns,
    input_rows,
    interleaved,
    lay_rows,
)
from squeezesim.cost.dataflow.rs_mapping import Mapped, map_tiles
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Floats, Ints, Workload


class _Pixel(NamedTuple):
    """Terms of a tile's pixels; those after ``columns`` are shared by the PE sets."""

    n: Any
    y: Any
    x: Any
    tiles: Any
    pixels: Any
    inputs: Any  # of a pass, those of the smallest part of the filter
    delivered: Any  # inputs, once for each PE that gets them
    columns: Any  # output columns that a PE computes, over images and strips
    columns_shared: Any
    pixels_shared: Any
    inputs_shared: Any
    words_shared: Any  # √(pixels · inputs / sets)


class _Channel(NamedTuple):
    """Terms of a tile's channels; all but the first four are least values, as if nothing were rounded up."""

    g: Any
    k: Any
    c: Any
    slices: Any
    loading: Any  # cycles to load the weights
    alone: Any  # cycles of a PE for an output column, where every set has its own p filters and q channels
    products: Any  # cycles of one PE for an output column, for all of them
    sums_out: Any  # cycles of the network for an output, in one pass
    sums_all: Any  # the same for all passes, without PE sets
    inputs_in: Any  # cycles of the network for an input, in one pass
    inputs_all: Any
    either: Any  # cycles of the slower of the two networks, for one PE set and √(pixels · inputs)
    hops: Any
    copies: Any  # PEs of a column that get an input


def _pixel_terms(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    rows, part = lay_rows(problem, n, y, x, machine), filter_parts(problem, machine)
    pixels, height, columns = n * y * x, part.rows.last, rows.images * rows.strips * rows.columns
    width = rows.images * input_columns(problem, rows.columns, part.taps.last)
    inputs = np.where(problem.pointwise, pixels, input_rows(problem, rows.rows, height) * width)
    return _Pixel(
        n,
        y,
        x,
        np.ones_like(pixels),
        pixels,
        inputs,
        np.where(problem.pointwise, pixels, rows.rows * height * width),
        columns,
        columns / rows.sets,
        pixels / rows.sets,
        inputs / rows.sets,
        np.sqrt(pixels * inputs / rows.sets),
    )


def _channel_terms(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    part = filter_parts(problem, machine)
    most_q = interleaved(part, machine)
    most_p = np.minimum(machine.psum_words, machine.filter_words // part.taps.size)
    most = np.minimum(machine.psum_words * most_q, machine.filter_words // part.taps.size)
    slices, parts, taps = g * k * c, g * part.folds, part.rows.count * problem.fx
    sums, inputs = machine.network_psums, machine.network_inputs
    return _Channel(
        g,
        k,
        c,
        slices,
        slices * problem.taps / machine.network_weights,
        g * (taps + part.folds),
        g * k * c * (taps + part.folds / most_q),
        parts * k / sums,
        parts * k * c / (most_q * sums),
        parts * c / inputs,
        parts * k * c / (most_p * inputs),
        parts * k * c / np.sqrt(most * sums * inputs),
        g * k * part.taps.count * (problem.fy - part.rows.count) * ceil_div(c, most_q),
        parts * c * ceil_div(k, most_p),
    )


def mapping(problem: Workload, pixel: Sequence[Any], channel: Sequence[Any], machine: Machine) -> Mapped:
    """The mapping chosen for each tile, from its terms; equal tiles are mapped once."""
    p, ch = _Pixel(*pixel), _Channel(*channel)
    sizes = [np.asarray(term).astype(np.int64) for term in (p.n, p.y, p.x, ch.k, ch.c)]
    shape = (problem.fy, problem.fx, problem.sy, problem.sx, problem.dy, problem.dx, problem.pointwise)
    widths = (problem.activation_bits, problem.accumulator_bits)
    table = np.stack(np.broadcast_arrays(*sizes, *shape, *widths))
    flat = table.reshape(len(table), -1)
    _, first, inverse = np.unique(flat, axis=1, return_index=True, return_inverse=True)
    n, y, x, k, c = flat[:5, first]
    of = problem.take(np.broadcast_to(np.arange(len(problem)), table.shape[1:]).reshape(-1)[first])
    mapped = map_tiles(of, lay_rows(of, n, y, x, machine), n * y * x, k, c, machine)
    return Mapped(*(value[inverse.reshape(-1)].reshape(table.shape[1:]) for value in mapped))


def _work(problem: Workload, pixel: Terms, channel: Terms, machine: Machine) -> Work:
    p, c = _Pixel(*pixel), _Channel(*channel)
    mapped = mapping(problem, pixel, channel, machine)
    return Work(stream=c.g * mapped.stream, fill=c.g * mapped.fill, busy=p.pixels * c.slices * problem.taps)


def _bounds(pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
    """Σ over passes of the PE's cycles, the sums' or the inputs', or of what the two networks must share."""
    p, c = _Pixel(*pixel), _Channel(*channel)
    loading = (p.tiles, c.loading)
    paces = (
        (p.columns_shared, c.products),
        (p.columns, c.alone),
        (p.pixels, c.sums_out),
        (p.pixels_shared, c.sums_all),
        (p.inputs, c.inputs_in),
        (p.inputs_shared, c.inputs_all),
        (p.words_shared, c.either),
    )
    return [[pace, loading] for pace in paces]


def _accesses(
    problem: Workload, pixel: Sequence[Floats], channel: Sequence[Floats], started: Floats, machine: Machine
) -> Accesses:
    """Every MAC reads an input, a weight and a sum and writes the sum, in registers; what a PE gets is written too.

    A word that the network delivers to several PEs is read from the buffer once and moved to each of them.
    """
    p, c = _Pixel(*pixel), _Channel(*channel)
    mapped = mapping(problem, pixel, channel, machine)
    macs, weights = p.pixels * c.slices * problem.taps, c.slices * problem.taps
    n, y, x = (np.asarray(size).astype(np.int64) for size in (p.n, p.y, p.x))
    delivered, copies = c.g * mapped.inputs_delivered, lay_rows(problem, n, y, x, machine).strip
    written = c.g * c.k * p.pixels * mapped.psum_passes
    return Accesses(
        register_inputs=macs + delivered,
        register_weights=macs + weights * copies,
        register_psums=2 * macs,
        inter_pe_inputs=delivered * 1.0,
        inter_pe_weights=weights * copies,
        inter_pe_psums=c.g * p.pixels * mapped.hops,
        buffer_inputs=c.g * mapped.inputs_read * 1.0,
        buffer_weights=weights * 1.0,
        buffer_psums_read=written - started,
        buffer_psums_written=written * 1.0,
    )


def _least_accesses(
    problem: Workload, pixel: Sequence[Floats], channel: Sequence[Floats], started: Floats, machine: Machine
) -> Sequence[Accesses]:
    """As if r and t were both the number of PE sets, and nothing were rounded up.

    Sums and inputs pass at least as often as in one pass, and as all PE sets need; the alternatives have both of each.
    """
    p, c = _Pixel(*pixel), _Channel(*channel)
    macs, weights = p.pixels * c.slices * problem.taps, p.tiles * c.slices * problem.taps
    delivered, hops = p.delivered * c.copies, p.pixels * c.hops
    passed = p.pixels * c.sums_out, p.pixels_shared * c.sums_all
    read = p.inputs * c.inputs_in, p.inputs_shared * c.inputs_all
    return [
        Accesses(
            register_inputs=macs + delivered,
            register_weights=macs + weights,
            register_psums=2 * macs,
            inter_pe_inputs=delivered,
            inter_pe_weights=weights,
            inter_pe_psums=hops,
            buffer_inputs=inputs * machine.network_inputs,
            buffer_weights=weights,
            buffer_psums_read=sums * machine.network_psums - started,
            buffer_psums_written=sums * machine.network_psums,
        )
        for sums in passed
        for inputs in read
    ]


RS = Dataflow(
    "rs", False, _pixel_terms, _channel_terms, _work, _bounds, _accesses, least_accesses=_least_accesses
)
