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
leave likewise.

An operand is read from the buffer in each step, but not again where all loops that went on since are ones that it
does not have: loops in space that it does not have are a broadcast. What stays is read once for each block.

Hand-worked: {c: 16, k: 16, x: 8}, outputs stationary, 16 output words a cycle; 3×3, 64 → 32 channels, 14×14 pixels:
m = 4 · 9 = 36; blocks 2 · 14 · 2 = 56, of 128 or, at the right edge, 96 outputs, which leave in 8 or 6 cycles:
36 · 56 + 6 = 2,022 cycles beside the latency; 3,612,672 MACs would take 2,048 PEs 1,764.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial, reduce
from itertools import product
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
    ceil_div,
)
from squeezesim.cost.machine import Machine, Unit
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.hardware.dataflows import Declaration, SpatialMap


class Cut(NamedTuple):
    """A loop of tiles cut into parts of up to U iterations."""

    full: Ints  # parts of U iterations
    size: int  # U
    rest: Ints  # iterations of the part after them; 0: there is none

    @classmethod
    def of(cls, extent: Ints, by: int) -> Cut:
        """Cut *extent* iterations into parts of *by*."""
        full, rest = np.divmod(extent, by)
        return cls(full, by, rest)

    @property
    def parts(self) -> Ints:
        """Number of parts, full or not."""
        return np.asarray(self.full + (self.rest > 0))

    @property
    def first(self) -> Ints:
        """Iterations of the first part."""
        return np.where(self.full > 0, self.size, self.rest)

    @property
    def last(self) -> Ints:
        """Iterations of the last part."""
        return np.where(self.rest > 0, self.rest, self.size)

    def classes(self) -> Iterator[tuple[Ints, Ints]]:
        """(number, iterations) of full parts and of the other one."""
        yield self.full, np.full_like(self.full, self.size)
        yield (self.rest > 0) * 1, self.rest

    def steps(self) -> Iterator[tuple[Ints, Ints, Ints]]:
        """(number, iterations before, iterations after) of each kind of succession of two parts."""
        size = np.full_like(self.full, self.size)
        yield np.maximum(self.full - 1, 0), size, size
        yield ((self.full > 0) & (self.rest > 0)) * 1, size, self.rest


Nest = Sequence[Cut]
"""Loops, the last one innermost."""


def _count(nest: Nest) -> Any:
    return reduce(mul, (cut.parts for cut in nest), 1)


def _first(nest: Nest) -> Any:
    return reduce(mul, (cut.first for cut in nest), 1)


def _last(nest: Nest) -> Any:
    return reduce(mul, (cut.last for cut in nest), 1)


def _classes(nest: Nest) -> Iterator[tuple[Any, Any]]:
    """(number, iterations in all) of each class of blocks of a nest."""
    for each in product(*(cut.classes() for cut in nest)):
        counts, sizes = zip(*each, strict=True)
        yield reduce(mul, counts), reduce(mul, sizes)


def _successions(nest: Nest) -> Iterator[tuple[Any, Any, Any]]:
    """(number, iterations before, iterations after) of each kind of succession of two blocks of a nest."""
    for level, cut in enumerate(nest):
        ended, begun = _last(nest[level + 1 :]), _first(nest[level + 1 :])
        for outer, (count, before, after) in product(
            product(*(each.classes() for each in nest[:level])), cut.steps()
        ):
            several = reduce(mul, (number for number, _ in outer), count * 1)
            beside = reduce(mul, (size for _, size in outer), 1)
            yield several, beside * before * ended, beside * after * begun


class Loops(NamedTuple):
    """The loops of tiles on a unit, cut: pixels, groups, output channels, and what is summed up."""

    pixels: tuple[Cut, ...]  # n, y, x, or p
    g: Cut
    k: Cut
    summed: tuple[Cut, ...]  # c and fy, fx, or t

    @classmethod
    def of(cls, unit: Unit, problem: Workload, tile: Tile) -> Loops:
        """Cut the loops of tiles."""
        return cls(_pixels(unit, tile.n, tile.y, tile.x), *_channels(unit, problem, tile.g, tile.k, tile.c))


def _pixels(unit: Unit, n: Ints, y: Ints, x: Ints) -> tuple[Cut, ...]:
    if unit.by("p") > 1:
        return (Cut.of(n * y * x, unit.by("p")),)
    return tuple(Cut.of(extent, unit.by(loop)) for loop, extent in zip("nyx", (n, y, x), strict=True))


def _channels(unit: Unit, problem: Workload, g: Ints, k: Ints, c: Ints) -> tuple[Cut, Cut, tuple[Cut, ...]]:
    taps: tuple[Cut, ...] = (Cut.of(problem.taps, unit.by("t")),)
    if unit.by("t") == 1:
        taps = Cut.of(problem.fy, unit.by("fy")), Cut.of(problem.fx, unit.by("fx"))
    return Cut.of(g, unit.by("g")), Cut.of(k, unit.by("k")), (Cut.of(c, unit.by("c")), *taps)


def tile_cost(unit: Unit, problem: Workload, tile: Tile, machine: Machine) -> TileCost:
    """Return what tiles cost on *unit*."""
    loops = Loops.of(unit, problem, tile)
    cycles, stream = _TIMES[unit.stationary](unit, problem, loops)
    pixels, channels = tile.n * tile.y * tile.x, tile.g * tile.k * tile.c * problem.taps
    pixel = _pixel_terms(unit, problem, tile.n, tile.y, tile.x)
    channel = _channel_terms(unit, problem, tile.g, tile.k, tile.c)

    def accesses() -> Accesses:
        terms = [np.asarray(term) * 1.0 for term in pixel], [np.asarray(term) * 1.0 for term in channel]
        return _accesses(unit, *terms, machine)

    return TileCost(stream, cycles + unit.latency - stream, pixels * channels, accesses)


def _outputs(unit: Unit, problem: Workload, loops: Loops) -> tuple[Ints, Ints]:
    """Cycles, and those in which the PEs multiply, where outputs stay."""
    nest = (loops.g, loops.k, *loops.pixels)
    m = problem.paced(_count(loops.summed) * unit.interval)
    stream = _count(nest) * m
    if not unit.output_words:
        return stream, stream
    cycles = stream
    for count, outputs in _classes(nest):
        cycles = cycles + count * np.maximum(ceil_div(outputs, unit.output_words) - m, 0)
    last = ceil_div(_last(nest), unit.output_words)
    return cycles - np.maximum(last - m, 0) + last, stream


def _weights(unit: Unit, problem: Workload, loops: Loops) -> tuple[Ints, Ints]:
    """The same where weights stay."""
    pixels = reduce(mul, (cut.full * cut.size + cut.rest for cut in loops.pixels))
    m = problem.paced(_count(loops.pixels) * unit.interval)
    return _preloaded(unit, (loops.g, loops.k), loops.summed, m, pixels)


def _inputs(unit: Unit, problem: Workload, loops: Loops) -> tuple[Ints, Ints]:
    """The same where inputs stay."""
    filters = loops.k.full * loops.k.size + loops.k.rest
    m = problem.paced(loops.k.parts * unit.interval)
    return _preloaded(unit, (*loops.pixels, loops.g), loops.summed, m, filters)


def _preloaded(unit: Unit, kept: Nest, summed: Nest, m: Ints, made: Ints) -> tuple[Ints, Ints]:
    """Cycles where blocks of *kept* × *summed* words are preloaded, each for *m* cycles.

    One of *kept* makes *made* outputs.
    """

    def preload(words: Any) -> Any:
        return np.maximum(_arrive(unit, words), unit.preload)

    def leave(iterations: Any) -> Any:
        return ceil_div(iterations * made, unit.output_words) if unit.output_words else 0 * iterations

    stream = _count(kept) * _count(summed) * m
    cycles = stream + preload(_first(kept) * _first(summed))
    for several, size in _classes(kept):
        for count, _, after in _successions(summed):
            cycles = cycles + several * count * np.maximum(preload(size * after) - m, 0)
    for count, before, after in _successions(kept):
        waiting = np.maximum(leave(before), preload(after * _first(summed))) - m
        cycles = cycles + count * np.maximum(waiting, 0)
    return cycles + np.maximum(leave(_last(kept)) - m, 0), stream


_TIMES = {"outputs": _outputs, "weights": _weights, "inputs": _inputs}


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
    sums: Any  # outputs, once for each block that adds to them
    added: Any  # between PEs, for each pixel
    first: Any  # iterations of the first block but for pixels
    preloads: Any  # cycles of all preloads where weights stay
    exposed: Any  # of the first one
    latency: Any


def _pixel_terms(unit: Unit, problem: Workload, n: Ints, y: Ints, x: Ints) -> _Pixel:
    cuts, pixels = _pixels(unit, n, y, x), n * y * x
    parts = _count(cuts)
    stream = problem.paced(parts * unit.interval) if unit.stationary == "weights" else parts
    alone = np.where(parts == 1, pixels, 0)
    return _Pixel(parts, stream, pixels, alone, pixels - alone, _first(cuts), np.ones_like(pixels))


def _channel_terms(unit: Unit, problem: Workload, g: Ints, k: Ints, c: Ints) -> _Channel:
    groups, filters, summed = _channels(unit, problem, g, k, c)
    parts, slices = _count(summed), g * k * c * problem.taps
    blocks = groups.parts * filters.parts * parts
    sides = {
        "outputs": (groups.parts * filters.parts, parts),
        "inputs": (groups.parts * parts, filters.parts),
    }
    outside, steps = sides.get(unit.stationary, (blocks, 0 * blocks))
    in_space = parts == 1
    steady = in_space if unit.stationary == "outputs" else blocks == 1
    again = 0 if unit.stationary == "weights" else np.where(steady, 0, slices)
    inputs, first = g * c * problem.taps, _first((groups, *summed))
    by_filter = inputs * filters.parts
    preloads, exposed = np.zeros_like(slices), np.full_like(slices, unit.preload)
    if unit.stationary == "weights":
        first = first * filters.first
        for count, size in _classes((groups, filters, *summed)):
            preloads = preloads + count * np.maximum(_arrive(unit, size), unit.preload)
        exposed = np.maximum(_arrive(unit, first), unit.preload)
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
        sums=g * k * (1 if unit.stationary == "outputs" else parts),
        added=slices - g * k * parts,
        first=first,
        preloads=preloads,
        exposed=exposed,
        latency=np.full_like(slices, unit.latency),
    )


def _arrive(unit: Unit, words: Ints) -> Ints:
    """Cycles in which *words* of what stays arrive."""
    return ceil_div(words, unit.ports) if unit.ports else 0 * words


def _cycles(unit: Unit, pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
    p, c = _Pixel(*pixel), _Channel(*channel)
    streaming = [(p.stream, c.cycles), (p.tiles, c.latency)]
    found = [streaming]
    if unit.output_words:
        found.append([(p.pixels, c.outputs / unit.output_words), (p.tiles, c.latency)])
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


def _accesses(unit: Unit, pixel: Sequence[Floats], channel: Sequence[Floats], machine: Machine) -> Accesses:
    """Words of whole layers: PEs read what stays from registers; sums of loops in space go from PE to PE.

    Sums that stay in the array are in registers, and leave it once.
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
    return {
        Access("register_file", stays): registers[unit.stationary],
        **({Access("register_file", "psums"): 2.0 * p.pixels * c.sums} if within else {}),
        Access("inter_pe", "psums"): p.pixels * c.added,
        **buffer_words(inputs=inputs, weights=weights, psums=p.pixels * (c.outputs if within else c.sums)),
    }


@lru_cache(maxsize=256)
def dataflow_of(unit: Unit) -> Dataflow:
    """Return *unit* as a dataflow, whose name is the unit's.

    Example:
        >>> unit = Unit("conv", (("c", 16), ("k", 16), ("x", 8)))
        >>> dataflow_of(unit).declared.stationary
        'outputs'
    """
    bounds = Bounds(
        pixel_terms=lambda problem, n, y, x, _machine: _pixel_terms(unit, problem, n, y, x),
        channel_terms=lambda problem, g, k, c, _machine: _channel_terms(unit, problem, g, k, c),
        cycles=lambda pixel, channel: _cycles(unit, pixel, channel),
        accesses=lambda _problem, pixel, channel, machine: [_accesses(unit, pixel, channel, machine)],
    )
    declared = Declaration(unit.name, SpatialMap((), ()), unit.stationary, ports="none")
    return Dataflow(declared, partial(tile_cost, unit), bounds)
