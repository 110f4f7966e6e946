"""Blocks of units: the parts into which loops in space cut tiles, and the cycles that they take.

The closed forms are those of ``squeezesim.cost.dataflow.unit``. A block need not fill the unit: where it would wait for
what it preloads or for outputs that leave, a tile is cut into the blocks of the fewest cycles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import product
from operator import mul
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import Tile, ceil_div
from squeezesim.cost.machine import Machine, Unit
from squeezesim.cost.problem import Bools, Ints, Workload


class Cut(NamedTuple):
    """A loop of tiles cut into parts of up to u iterations."""

    full: Ints  # parts of u iterations
    size: Ints | int  # u
    rest: Ints  # iterations of the part after them; 0: there is none

    @classmethod
    def of(cls, extent: Ints, by: Ints | int) -> Cut:
        """Cut *extent* iterations into parts of *by*."""
        full, rest = np.divmod(extent, by)
        return cls(full, by, rest)

    @property
    def extent(self) -> Ints:
        """Iterations of all parts."""
        return np.asarray(self.full * self.size + self.rest)

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
        """(number, iterations) of full parts and of the other one, those that some tile has."""
        if self.full.any():
            yield self.full, self.size + np.zeros_like(self.full)
        if self.rest.any():
            yield (self.rest > 0) * 1, self.rest

    def steps(self) -> Iterator[tuple[Ints, Ints, Ints]]:
        """(number, iterations before, iterations after) of each kind of succession of two parts that some tile has."""
        size = self.size + np.zeros_like(self.full)
        if (alike := np.maximum(self.full - 1, 0)).any():
            yield alike, size, size
        if (unlike := ((self.full > 0) & (self.rest > 0)) * 1).any():
            yield unlike, size, self.rest


Nest = Sequence[Cut]
"""Loops, the last one innermost."""


def count_of(nest: Nest) -> Any:
    """Number of parts, or blocks."""
    return reduce(mul, (cut.parts for cut in nest), 1)


def first_of(nest: Nest) -> Any:
    """Iterations of the first block."""
    return reduce(mul, (cut.first for cut in nest), 1)


def last_of(nest: Nest) -> Any:
    """Iterations of the last block."""
    return reduce(mul, (cut.last for cut in nest), 1)


def classes_of(nest: Nest) -> Iterator[tuple[Any, Any]]:
    """(number, iterations in all) of each class of blocks of a nest."""
    for each in product(*(cut.classes() for cut in nest)):
        counts, sizes = zip(*each, strict=True)
        yield reduce(mul, counts), reduce(mul, sizes)


def _successions(nest: Nest) -> Iterator[tuple[Any, Any, Any]]:
    """(number, iterations before, iterations after) of each kind of succession of two blocks of a nest."""
    for level, cut in enumerate(nest):
        ended, begun = last_of(nest[level + 1 :]), first_of(nest[level + 1 :])
        for outer, (count, before, after) in product(
            product(*(each.classes() for each in nest[:level])), cut.steps()
        ):
            several = reduce(mul, (number for number, _ in outer), count * 1)
            beside = reduce(mul, (size for _, size in outer), 1)
            yield several, beside * before * ended, beside * after * begun


class Loops(NamedTuple):
    """The loops of tiles on a unit, cut: pixels, groups, output channels, and what is summed up; whose sums leave."""

    pixels: tuple[Cut, ...]  # n, y, x, or p
    g: Cut
    k: Cut
    summed: tuple[Cut, ...]  # c and fy, fx, or t
    finished: Any = True

    @classmethod
    def of(cls, unit: Unit, problem: Workload, tile: Tile) -> Loops:
        """Cut the loops of tiles into parts of what the unit does at once."""
        n, y, x, g, k, c, unfinished = tile
        pixels = [Cut.of(extent, unit.by(loop)) for loop, extent in zip("nyx", (n, y, x), strict=True)]
        if unit.by("p") > 1:
            pixels = [Cut.of(n * y * x, unit.by("p"))]
        taps = [Cut.of(problem.fy, unit.by("fy")), Cut.of(problem.fx, unit.by("fx"))]
        if unit.by("t") > 1:
            taps = [Cut.of(problem.taps, unit.by("t"))]
        summed = Cut.of(c, unit.by("c")), *taps
        return cls(
            tuple(pixels),
            Cut.of(g, unit.by("g")),
            Cut.of(k, unit.by("k")),
            summed,
            np.logical_not(unfinished),
        )

    @property
    def every(self) -> list[Cut]:
        """All loops, those of the pixels first."""
        return [*self.pixels, self.g, self.k, *self.summed]

    def replaced(self, every: Nest) -> Loops:
        """Return these loops with other cuts."""
        n = len(self.pixels)
        return Loops(tuple(every[:n]), every[n], every[n + 1], tuple(every[n + 2 :]), self.finished)

    def leaving(self, unit: Unit, outputs: Any) -> Any:
        """Cycles in which *outputs* leave; none where their sums go on in the tile after."""
        return ceil_div(outputs, unit.output_words) * self.finished if unit.output_words else 0 * outputs

    def cutting(self, stationary: str) -> list[int]:
        """Return which of ``every`` loop cut what stays into blocks, the outermost first; in the others steps go on."""
        n = len(self.pixels)
        pixels, summed = list(range(n)), list(range(n + 2, n + 2 + len(self.summed)))
        nests = {
            "outputs": [n, n + 1, *pixels],
            "weights": [n, n + 1, *summed],
            "inputs": [*pixels, n, *summed],
        }
        return nests[stationary]


def cycles_of_block(unit: Unit, problem: Workload, loops: Loops) -> Ints:
    """Cycles in which the steps of a block go on."""
    steps = {"outputs": loops.summed, "weights": loops.pixels, "inputs": (loops.k,)}[unit.stationary]
    return problem.paced(count_of(steps) * unit.interval)


def times_of(unit: Unit, problem: Workload, loops: Loops) -> tuple[Ints, Ints]:
    """Cycles of tiles but for the latency, and those in which the PEs multiply."""
    return _TIMES[unit.stationary](unit, problem, loops)


def _outputs(unit: Unit, problem: Workload, loops: Loops) -> tuple[Ints, Ints]:
    """Cycles, and those in which the PEs multiply, where outputs stay."""
    nest = (loops.g, loops.k, *loops.pixels)
    m = cycles_of_block(unit, problem, loops)
    stream = count_of(nest) * m
    if not unit.output_words:
        return stream, stream
    cycles = stream
    for count, outputs in classes_of(nest):
        cycles = cycles + count * np.maximum(loops.leaving(unit, outputs) - m, 0)
    last = loops.leaving(unit, last_of(nest))
    return cycles - np.maximum(last - m, 0) + last, stream


def _weights(unit: Unit, problem: Workload, loops: Loops) -> tuple[Ints, Ints]:
    """The same where weights stay."""
    pixels = reduce(mul, (cut.extent for cut in loops.pixels))
    m = cycles_of_block(unit, problem, loops)
    return _preloaded(unit, loops, (loops.g, loops.k), m, pixels)


def _inputs(unit: Unit, problem: Workload, loops: Loops) -> tuple[Ints, Ints]:
    """The same where inputs stay."""
    m = cycles_of_block(unit, problem, loops)
    return _preloaded(unit, loops, (*loops.pixels, loops.g), m, loops.k.extent)


def _preloaded(unit: Unit, loops: Loops, kept: Nest, m: Ints, made: Ints) -> tuple[Ints, Ints]:
    """Cycles where blocks of *kept* × what is summed up are preloaded, each for *m* cycles.

    One of *kept* makes *made* outputs.
    """
    summed = loops.summed

    def preload(words: Any) -> Any:
        return np.maximum(arrive(unit, words), unit.preload)

    def leave(iterations: Any) -> Any:
        return loops.leaving(unit, iterations * made)

    stream = count_of(kept) * count_of(summed) * m
    cycles = stream + preload(first_of(kept) * first_of(summed))
    for several, size in classes_of(kept):
        for count, _, after in _successions(summed):
            cycles = cycles + several * count * np.maximum(preload(size * after) - m, 0)
    for count, before, after in _successions(kept):
        waiting = np.maximum(leave(before), preload(after * first_of(summed))) - m
        cycles = cycles + count * np.maximum(waiting, 0)
    return cycles + np.maximum(leave(last_of(kept)) - m, 0), stream


_TIMES = {"outputs": _outputs, "weights": _weights, "inputs": _inputs}


def arrive(unit: Unit, words: Ints) -> Ints:
    """Cycles in which *words* of what stays arrive."""
    return ceil_div(words, unit.ports) if unit.ports else 0 * words


_EACH = 16  # iterations of a block up to which each number is tried; beyond it multiples of 8
_TOGETHER = 1 << 18  # blocks that are costed at once


def sizes_of(places: int) -> list[int]:
    """Return how many iterations a block may have along a loop of so many *places*, the most first.

    All but the most are those of any unit, so that a larger one can do what a smaller one can.

    Example:
        >>> sizes_of(5), sizes_of(28)[:5]
        ([5, 4, 3, 2, 1], [28, 24, 16, 15, 14])
    """
    return sorted({places, *range(1, min(places, _EACH) + 1), *range(8, places + 1, 8)}, reverse=True)


def chooses(unit: Unit, machine: Machine) -> bool:
    """Whether tiles may use less of *unit*: where blocks can wait for what they preload, or for outputs that leave."""
    return machine.chooses_blocks and bool(
        unit.output_words or (unit.stationary != "outputs" and (unit.ports or unit.preload))
    )


def used(unit: Unit, problem: Workload, tile: Tile, machine: Machine) -> Loops:
    """Cut tiles into the blocks of the fewest cycles; of equal ones the fewest, the first of which in ``sizes_of``.

    What goes on in steps uses all of the unit. With ``Machine.moves_least`` each loop has as many parts as on the whole
    unit, so that as many words are moved.
    """
    loops = Loops.of(unit, problem, tile)
    if not chooses(unit, machine):
        return loops
    whole = times_of(unit, problem, loops)[0]
    waiting = np.flatnonzero(whole > _least(unit, problem, loops))
    if len(waiting) == 0:
        return loops
    places, every = loops.cutting(unit.stationary), loops.every
    sizes = {place: np.full_like(whole, every[place].size) for place in places}
    blocks = np.array(list(product(*(sizes_of(int(sizes[place][0])) for place in places))), np.int64).T
    most = max(_TOGETHER // blocks.shape[1], 1)
    for rows in np.split(waiting, range(most, len(waiting), most)):
        few = problem if len(problem) == 1 else problem.take(rows)
        extents = [np.broadcast_to(cut.extent, whole.shape)[rows] for cut in every]
        cuts = [Cut.of(extent, cut.size) for extent, cut in zip(extents, every, strict=True)]
        of_rows = loops._replace(finished=np.broadcast_to(loops.finished, whole.shape)[rows])
        m = np.broadcast_to(cycles_of_block(unit, few, of_rows.replaced(cuts)), rows.shape)
        parts = [ceil_div(extents[place][:, None], size) for place, size in zip(places, blocks, strict=True)]
        count = reduce(mul, parts)
        fits: Bools = count * m[:, None] < whole[rows, None]
        if machine.moves_least:
            for place, part in zip(places, parts, strict=True):
                fits &= part == cuts[place].parts[:, None]
        row, block = np.nonzero(fits)
        cuts = [Cut.of(extent[row], cut.size) for extent, cut in zip(extents, every, strict=True)]
        for place, size in zip(places, blocks, strict=True):
            cuts[place] = Cut.of(extents[place][row], size[block])
        taken = few if len(few) == 1 else few.take(row)
        cycles = times_of(unit, taken, of_rows._replace(finished=of_rows.finished[row]).replaced(cuts))[0]
        ranked = np.lexsort((block, count[row, block], cycles, row))
        best = ranked[np.unique(row[ranked], return_index=True)[1]]
        best = best[cycles[best] < whole[rows[row[best]]]]
        for place, size in zip(places, blocks, strict=True):
            sizes[place][rows[row[best]]] = size[block[best]]
    return loops.replaced([Cut.of(cut.extent, sizes.get(place, cut.size)) for place, cut in enumerate(every)])


def _least(unit: Unit, problem: Workload, loops: Loops) -> Ints:
    """Cycles that no blocks of tiles fall below, but for the latency."""
    m, every = cycles_of_block(unit, problem, loops), loops.every
    nest = [every[place] for place in loops.cutting(unit.stationary)]
    outputs = reduce(mul, (cut.extent for cut in (*loops.pixels, loops.g, loops.k)))
    leaving = loops.leaving(unit, outputs)
    if unit.stationary == "outputs":
        return np.asarray(np.maximum(count_of(nest) * m + (leaving > 0), m + leaving))
    preload = max(unit.preload, unit.ports > 0)
    words = reduce(mul, (cut.extent for cut in nest))
    waiting = preload + (count_of(nest) - 1) * np.maximum(m, preload) + m
    return np.asarray(np.maximum(np.maximum(waiting, m + arrive(unit, words)), preload + leaving))
