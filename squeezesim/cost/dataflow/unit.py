"""Units: arrays whose loops in space an accelerator file gives, with one operand that stays in the PEs.

The loops that are unrolled, with U iterations at once, cut a tile into blocks; the others run in time, and so do the
⌈D/U⌉ parts of an unrolled one. A part of D mod U iterations takes as long as a full one. A *block* is what stays in
the PEs at once, a *step* takes ``interval`` cycles, and *m* are the cycles of a block: ⌈its steps · interval / rate⌉.
With ``precision.rates`` a PE does ``rate`` MACs in a cycle: several steps of a block at once, or one in several cycles.

    stationary   a block is                    steps of a block      blocks, the last loop innermost
    outputs      outputs of G, K, N, Y, X      ⌈C⌉·⌈FY⌉·⌈FX⌉         ⌈G⌉ · ⌈K⌉ · ⌈N⌉·⌈Y⌉·⌈X⌉
    weights      weights of G, K, C, FY, FX    ⌈N⌉·⌈Y⌉·⌈X⌉           ⌈G⌉ · ⌈K⌉ · ⌈C⌉·⌈FY⌉·⌈FX⌉
    inputs       inputs of N, Y, X, G, C,      ⌈K⌉                   ⌈N⌉·⌈Y⌉·⌈X⌉ · ⌈G⌉ · ⌈C⌉·⌈FY⌉·⌈FX⌉
                 FY, FX

(⌈D⌉ is ⌈D/U⌉; flattened taps or pixels stand for their loops.) With p(b) cycles to preload block b, ⌈words / ports⌉ and
at least ``preload_cycles``, and o(b) cycles in which its outputs leave, ⌈outputs / output_words⌉:

    outputs          m + Σ over all blocks but the last of max(m, o(b)) + o(last)
    weights, inputs  p(first) + Σ over blocks of max(m, o(b), p(next)); o(b) is 0 where b does not end a sum of the tile

and ``latency``. Outputs that stay have a second set of accumulators, what else stays a second set of registers. Sums
that a block ends leave while it runs. Outputs are the tile's: where it does not hold all input channels, partial sums
leave likewise, unless they wait in ``array.accumulators`` (``Tile.unfinished``): then o(b) is 0 and nothing leaves.

A block need not fill the unit: where blocks would wait for what they preload or for outputs that leave, ⌈D⌉ is ⌈D/u⌉
with the u ≤ U of the fewest cycles along the loops that cut blocks (``unit_blocks``); in steps U iterations go on.

An operand is read from the buffer in each step, but not again where all loops that went on since are ones that it
does not have: loops in space that it does not have are a broadcast. What stays is read once for each block.

Hand-worked: {c: 16, k: 16, x: 8}, outputs stationary, 16 output words a cycle; 3×3, 64 → 32 channels, 14×14 pixels:
m = 4 · 9 = 36; blocks 2 · 14 · 2 = 56, of 128 or, at the right edge, 96 outputs, which leave in 8 or 6 cycles:
36 · 56 + 6 = 2,022 cycles beside the latency; 3,612,672 MACs would take 2,048 PEs 1,764.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial, reduce
from operator import mul
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import (
    Access,
    Accesses,
    Bounds,
    Dataflow,
    Products,
    Tile,
    TileCost,
    buffer_words,
)
from squeezesim.cost.dataflow.unit_blocks import (
    Loops,
    arrive,
    chooses,
    classes_of,
    count_of,
    first_of,
    times_of,
    used,
)
from squeezesim.cost.machine import Machine, Unit
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.hardware.dataflows import Declaration, SpatialMap


def tile_cost(unit: Unit, problem: Workload, tile: Tile, machine: Machine) -> TileCost:
    """Return what tiles cost on *unit*."""
    loops = used(unit, problem, tile, machine)
    cycles, stream = times_of(unit, problem, loops)

    def accesses() -> Accesses:
        pixel, channel = _pixel_terms(unit, problem, loops), _channel_terms(unit, problem, loops, machine)
        terms = [np.asarray(term) * 1.0 for term in pixel], [np.asarray(term) * 1.0 for term in channel]
        finished = terms[1][_Channel._fields.index("outputs")] * loops.finished
        return _accesses(unit, *terms, machine, finished)

    macs = tile.n * tile.y * tile.x * tile.g * tile.k * tile.c * problem.taps
    return TileCost(stream, cycles + unit.latency - stream, macs, accesses)


class _Pixel(NamedTuple):
    """Terms of a tile's pixels."""

    parts: Any  # of the loops, in time
    stream: Any  # parts; where weights stay, cycles of a block
    pixels: Any
    alone: Any  # pixels where they are one part, else 0
    others: Any  # pixels where they are several, else 0
    first: Any  # pixels of the first part
    tiles: Any  # 1 for each


class _Channel(NamedTuple):
    """Terms of a tile's channels."""

    cycles: Any  # of a part of the pixels; where weights stay, blocks
    blocks: Any  # of a part of the pixels, where inputs stay
    weights: Any
    weights_again: Any  # those that each part of the pixels reads, and those that all of them read once
    weights_once: Any
    inputs: Any  # words for each pixel, once
    inputs_again: Any  # for each part of output channels: where something is summed up in time
    inputs_alone: Any  # where nothing is, for pixels of one part and of several
    inputs_others: Any
    outputs: Any
    leaving: Any  # outputs, where all tiles of their pixels finish them
    sums: Any  # outputs, once for each block that adds to them
    added: Any  # between PEs, for each pixel
    first: Any  # iterations of the first block but for pixels
    preloads: Any  # cycles of all preloads where weights stay
    exposed: Any  # of the first one
    latency: Any


def _pixel_terms(unit: Unit, problem: Workload, loops: Loops) -> _Pixel:
    cuts, pixels = loops.pixels, reduce(mul, (cut.extent for cut in loops.pixels))
    parts = count_of(cuts)
    stream = problem.paced(parts * unit.interval) if unit.stationary == "weights" else parts
    alone = np.where(parts == 1, pixels, 0)
    return _Pixel(parts, stream, pixels, alone, pixels - alone, first_of(cuts), np.ones_like(pixels))


def _channel_terms(unit: Unit, problem: Workload, loops: Loops, machine: Machine) -> _Channel:
    groups, filters, summed = loops.g, loops.k, loops.summed
    g, k, of_sum = groups.extent, filters.extent, reduce(mul, (cut.extent for cut in summed))
    parts, slices = count_of(summed), g * k * of_sum
    blocks = groups.parts * filters.parts * parts
    sides = {
        "outputs": (groups.parts * filters.parts, parts),
        "inputs": (groups.parts * parts, filters.parts),
    }
    outside, steps = sides.get(unit.stationary, (blocks, 0 * blocks))
    in_space = parts == 1
    steady = in_space if unit.stationary == "outputs" else blocks == 1
    again = 0 if unit.stationary == "weights" else np.where(steady, 0, slices)
    inputs, first = g * of_sum, first_of((groups, *summed))
    by_filter = inputs * filters.parts
    preloads, exposed = np.zeros_like(slices), np.full_like(slices, unit.preload)
    if unit.stationary == "weights":
        first = first * filters.first
        for count, size in classes_of((groups, filters, *summed)):
            preloads = preloads + count * np.maximum(arrive(unit, size), unit.preload)
        exposed = np.maximum(arrive(unit, first), unit.preload)
    if chooses(unit, machine):  # a block may be a word
        first = 0 * first
        if unit.stationary == "weights":
            least = max(unit.preload, unit.ports > 0)
            preloads = np.maximum(blocks * least, arrive(unit, slices))
            exposed = np.full_like(slices, least)
    only_once = unit.stationary == "inputs"
    return _Channel(
        cycles=blocks if unit.stationary == "weights" else outside * problem.paced(steps * unit.interval),
        blocks=groups.parts * parts,
        weights=slices,
        weights_again=again,
        weights_once=slices - again,
        inputs=inputs,
        inputs_again=inputs if only_once else np.where(in_space, 0, by_filter),
        inputs_alone=0 * inputs if only_once else np.where(in_space, inputs, 0),
        inputs_others=0 * inputs if only_once else np.where(in_space, by_filter, 0),
        outputs=g * k,
        leaving=np.where(loops.summed[0].extent < problem.c, 0, g * k) if machine.accumulators else g * k,
        sums=g * k * (1 if unit.stationary == "outputs" else parts),
        added=slices - g * k * parts,
        first=first,
        preloads=preloads,
        exposed=exposed,
        latency=np.full_like(slices, unit.latency),
    )


def _cycles(unit: Unit, pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
    p, c = _Pixel(*pixel), _Channel(*channel)
    streaming = [(p.stream, c.cycles), (p.tiles, c.latency)]
    found = [streaming]
    if unit.output_words:
        found.append([(p.pixels, c.leaving / unit.output_words), (p.tiles, c.latency)])
    if unit.stationary == "weights":
        streaming.append((p.tiles, c.exposed))
        found.append([(p.tiles, c.preloads + c.latency), (p.stream, np.ones_like(c.cycles))])
    elif unit.stationary == "inputs":
        if unit.ports:
            streaming.append((p.first, c.first / unit.ports))
            found.append([(p.pixels, c.inputs / unit.ports), (p.tiles, c.latency)])
        if unit.preload:
            found.append([(p.parts, c.blocks * unit.preload), (p.tiles, c.latency)])
    return found


def _accesses(
    unit: Unit, pixel: Sequence[Floats], channel: Sequence[Floats], machine: Machine, finished: Any
) -> Accesses:
    """Words of whole layers: PEs read what stays from registers; sums of loops in space go from PE to PE.

    Sums that stay in the array are in registers, and leave it once, *finished* of each pixel.
    """
    p, c = _Pixel(*pixel), _Channel(*channel)
    inputs = p.pixels * c.inputs_again + p.alone * c.inputs_alone + p.others * c.inputs_others
    weights = p.parts * c.weights_again + p.tiles * c.weights_once
    macs = p.pixels * c.weights
    registers = {
        "outputs": 2.0 * (macs - p.pixels * c.added),
        "weights": macs + p.tiles * c.weights,
        "inputs": macs + p.pixels * c.inputs,
    }
    stays = {"outputs": "psums"}.get(unit.stationary, unit.stationary)
    within = machine.psums_stay and unit.stationary != "outputs"
    leaving = c.outputs if within else c.sums
    return {
        Access("register_file", stays): registers[unit.stationary],
        **({Access("register_file", "psums"): 2.0 * p.pixels * c.sums} if within else {}),
        Access("inter_pe", "psums"): p.pixels * c.added,
        **buffer_words(
            inputs=inputs, weights=weights, psums=p.pixels * (finished if machine.accumulators else leaving)
        ),
    }


def _moves_more(unit: Unit, machine: Machine) -> bool:
    """Whether tiles may move more words than on all of *unit*."""
    return chooses(unit, machine) and not machine.moves_least


def _least_accesses(
    unit: Unit, problem: Workload, pixel: Sequence[Floats], channel: Sequence[Floats], machine: Machine
) -> Accesses:
    """Words of whole layers; smaller blocks move more of them, but for sums that go from PE to PE."""
    # Of all tiles along C together there are all weights of their outputs.
    finished = _Channel(*channel).weights / (problem.c * problem.taps)
    words = dict(_accesses(unit, pixel, channel, machine, finished))
    if _moves_more(unit, machine) and unit.stationary != "outputs":
        words[Access("inter_pe", "psums")] = 0.0 * words[Access("inter_pe", "psums")]
    return words


@lru_cache(maxsize=256)
def dataflow_of(unit: Unit) -> Dataflow:
    """Return *unit* as a dataflow, whose name is the unit's.

    Example:
        >>> unit = Unit("conv", (("c", 16), ("k", 16), ("x", 8)))
        >>> dataflow_of(unit).declared.stationary
        'outputs'
    """

    def whole(problem: Workload, **sizes: Ints) -> Loops:
        one = np.ones_like(next(iter(sizes.values())))
        return Loops.of(unit, problem, Tile(**(dict.fromkeys("nyxgkc", one) | sizes)))

    bounds = Bounds(
        pixel_terms=lambda problem, n, y, x, _: _pixel_terms(unit, problem, whole(problem, n=n, y=y, x=x)),
        channel_terms=lambda problem, g, k, c, machine: _channel_terms(
            unit, problem, whole(problem, g=g, k=k, c=c), machine
        ),
        cycles=lambda pixel, channel: _cycles(unit, pixel, channel),
        accesses=lambda problem, pixel, channel, machine: [
            _least_accesses(unit, problem, pixel, channel, machine)
        ],
        exact=lambda _, tile, machine: np.full(tile.n.shape, not _moves_more(unit, machine)),
    )
    declared = Declaration(unit.name, SpatialMap((), ()), unit.stationary, ports="none")
    return Dataflow(declared, partial(tile_cost, unit), bounds, lays=("latency", "energy"))
