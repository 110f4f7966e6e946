"""Row stationary: a PE keeps filter rows and slides them over input rows; sets of PEs form 2-D convolutions.

The tile's FY filter rows × e output rows are a logical PE set, split at the array's width and replicated over channels
and filters as often as it fits (``lay_rows``). In a set an input row goes to every PE that needs it, along a diagonal
where stride and dilation are 1. ``pass_cycles`` has the cycles of a pass, ``mapping`` the best mapping of each tile.
Groups, and parts of filters that the array cannot hold at once, run one after the other.

    cycles = G · Σ over parts of filters, filter blocks and channel blocks of the cycles of a pass
    stream = G · images · strips · X · Σ over the same of p·⌈q·FX / rate⌉, in which the PEs multiply

A PE does ``rate`` MACs in a cycle (``precision.rates``), of one filter: its products are added to one sum. Sums over
the channels of a pass run up the PEs of its sets; those of different passes are added up in the buffer.

A pass loads its filters and the first window of each input row of its first sweep. Then the sweeps follow, the output
columns of a strip of an image from left to right; with g = gcd(stride, dilation) a strip is dilation/g sweeps, each a
convolution without dilation. For an output column of e rows, p filters and q channels in a PE, and k filters and c
channels in the pass, FX taps of a filter row:

    PE       = p·h        h = ⌈q·FX / rate⌉ + 1: the products of a filter, and adding the sum that comes from below
    sums     = e·k / psums_words
    inputs   = ⌈input rows · min(stride/g, FX) · c / inputs_words⌉
    window   = ⌈input rows of the next sweep · FX · c / inputs_words⌉

A sweep of X columns goes on as soon as its PEs are done, the window of the next sweep has come, and no more sums wait
than their network moves until the next sweep adds its first ones:

    sweep      = max(⌈X·sums⌉, (X−1)·max(PE, inputs) + max(PE, ⌈sums⌉), (X−1)·inputs + window)
    last sweep = max(⌈X·sums⌉ + h, (X−1)·max(PE, inputs) + max(PE + last, ⌈sums⌉ + h))

After the last sweep all sums leave; *last* is the time of those that were added last.

The array holds ``sets`` PE sets, r of which work on different input channels and t on different filters. A PE holds q
channels of p filters, and a sum for each filter. With its register file

    q·FX ≤ input_words        p·q·FX ≤ filter_words        p ≤ psum_words        r·t ≤ sets

Filters and channels are cut into blocks; one of each is a pass, dealt over t and r sets so that every PE holds as few
as it can. For a given block more sets are never slower, since p and q are no larger, so that t is the largest for an r.
All else is a choice: e, the blocks of filters, the blocks of channels and, where ``filter_words`` leaves room for fewer
filters than there could be, the taps of a part. Larger blocks are fewer passes, but may fill the sets worse: 10 filters
in 4 sets of PEs with 2 each take two blocks of 5, in which PEs work for 4 filters, or 4, 4 and 2, for 3. What fits an
array fits a better one, so that no tile takes more cycles on an array with more rows, columns or registers, or with
wider networks. By ``energy`` the mapping is the one whose words cost the least, of equal ones the fastest: fewer filter
blocks read inputs less often, fewer sets and strips of fewer rows are fewer copies of inputs and of weights. By ``edp``
it is that of the least product of the fastest and the cheapest ones. With ``mapper.blocks: whole`` strips and parts are
the largest, and blocks the largest for their r, t and q.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    buffer_words,
    ceil_div,
    numbered,
)
from squeezesim.cost.dataflow.rs_mapping import Mapped, map_tiles
from squeezesim.cost.dataflow.rs_passes import filter_parts, input_columns, input_rows, lay_rows
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.hardware.dataflows import DECLARED


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
    most_q = min(machine.input_words, machine.filter_words) // part.taps.size
    most_p = min(machine.psum_words, machine.filter_words)  # with parts of a tap
    most = np.maximum(np.minimum(machine.psum_words * most_q, machine.filter_words // part.taps.size), most_p)
    slices, parts = g * k * c, g * part.folds
    taps = part.rows.count * problem.fx * (problem.cycles_at_once / problem.macs_at_once)  # cycles at least
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


def mapping(problem: Workload, tile: Tile, machine: Machine) -> Mapped:
    """The mapping chosen for each tile; equal tiles are mapped once."""
    shape = (problem.fy, problem.fx, problem.sy, problem.sx, problem.dy, problem.dx, problem.pointwise)
    widths = (
        problem.weight_bits,
        problem.activation_bits,
        problem.accumulator_bits,
        problem.macs_at_once,
        problem.cycles_at_once,
    )
    table = np.broadcast_arrays(tile.n, tile.y, tile.x, tile.k, tile.c, *shape, *widths)
    first, number = numbered(*table)
    columns = [column[first] for column in table]
    # A search asks for the cycles, then for the accesses, of the same tiles.
    key = machine, b"".join(column.tobytes() for column in columns)
    found = _known.get(key)
    if found is None:
        of = problem.take(np.broadcast_to(np.arange(len(problem)), len(number))[first])
        n, y, x, k, c = columns[:5]
        found = map_tiles(of, n, y, x, k, c, machine)
        if len(first) <= _FEW:
            while len(_known) >= _MOST:
                _known.pop(next(iter(_known)), None)
            _known[key] = found
    return Mapped(*(value[number] for value in found))


_FEW, _MOST = 256, 256
_known: dict[tuple[Machine, bytes], Mapped] = {}
"""Mappings of the last few tiles, ``_MOST`` times at most ``_FEW``."""


def _tile_cost(problem: Workload, tile: Tile, machine: Machine) -> TileCost:
    """Every MAC reads an input, a weight and a sum and writes the sum, in registers; what a PE gets is written too.

    A word that the network delivers to several PEs is read from the buffer once and moved to each of them.
    """
    n, y, x, g, k, c = tile.sizes
    mapped, pixels = mapping(problem, tile, machine), n * y * x
    weights = g * k * c * problem.taps
    macs = pixels * weights

    def accesses() -> Accesses:
        delivered = 1.0 * g * mapped.inputs_delivered
        copied = weights * (1.0 * mapped.e)
        written = 1.0 * g * k * pixels * mapped.psum_passes
        return {
            Access("register_file", "inputs"): macs + delivered,
            Access("register_file", "weights"): macs + copied,
            Access("register_file", "psums"): 2.0 * macs,
            Access("inter_pe", "inputs"): delivered,
            Access("inter_pe", "weights"): copied,
            Access("inter_pe", "psums"): 1.0 * g * pixels * mapped.hops,
            **buffer_words(inputs=1.0 * g * mapped.inputs_read, weights=1.0 * weights, psums=written),
        }

    return TileCost(g * mapped.stream, g * mapped.fill, macs, accesses)


def _cycles(pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
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


def _least_accesses(
    problem: Workload, pixel: Sequence[Floats], channel: Sequence[Floats], machine: Machine
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
        {
            Access("register_file", "inputs"): macs + delivered,
            Access("register_file", "weights"): macs + weights,
            Access("register_file", "psums"): 2 * macs,
            Access("inter_pe", "inputs"): delivered,
            Access("inter_pe", "weights"): weights,
            Access("inter_pe", "psums"): hops,
            **buffer_words(
                inputs=inputs * machine.network_inputs, weights=weights, psums=sums * machine.network_psums
            ),
        }
        for sums in passed
        for inputs in read
    ]


_BOUNDS = Bounds(_pixel_terms, _channel_terms, _cycles, _least_accesses, exact=False)

RS = Dataflow(DECLARED["rs"], _tile_cost, _BOUNDS, lays=("latency", "energy", "edp"), reads_prices=True)
