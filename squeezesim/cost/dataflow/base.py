"""What a dataflow is: a declaration, the exact cost of a tile on the array, closed forms that speed up the search.

The declaration says what the rows and the columns of the array stand for and what stays in the PEs. ``tile_cost`` is
the definition of the dataflow: everything that a layer costs follows from it. ``Bounds`` are optional. They are sums of
products *a(pixels of the tile) · b(channels of the tile)*, so that the sum over all tiles of a layer is (Σ a) · (Σ b),
cheap for millions of tilings at once. Without them each tile is costed: the result is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Bools, Floats, Ints, Workload
from squeezesim.hardware.dataflows import Declaration

Terms = tuple[Ints, ...]
Products = Sequence[tuple[Any, Any]]  # Σ a·b, a over the pixels, b over the channels


class Access(NamedTuple):
    """What words are moved for: a level, an operand and a direction that have a price together.

    Register files and the links between PEs have one price, ``"access"``; the buffer has ``"read"`` and ``"write"``.
    Operands are inputs, weights and psums.
    """

    level: str
    operand: str
    direction: str = "access"


Accesses = Mapping[Access, Any]
"""Words of each access; an access that is not there has none."""


def buffer_words(*, inputs: Any, weights: Any, psums: Any) -> dict[Access, Any]:
    """Words between buffer and array: *inputs* and *weights* are read; *psums* are written, and read to go on.

    Reads of partial sums are those of all sums; who counts tiles takes away the reads of the sums that begin.
    """
    return {
        Access("buffer", "inputs", "read"): inputs,
        Access("buffer", "weights", "read"): weights,
        Access("buffer", "psums", "read"): psums,
        Access("buffer", "psums", "write"): psums,
    }


class Tile(NamedTuple):
    """Sizes of tiles along the axes of a layer, and where their sums go on in the array in the tile after."""

    n: Ints
    y: Ints
    x: Ints
    g: Ints
    k: Ints
    c: Ints
    unfinished: Any = False

    @property
    def sizes(self) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
        """Along n, y, x, g, k, c."""
        return self.n, self.y, self.x, self.g, self.k, self.c


class TileCost(NamedTuple):
    """What tiles cost on the array, in cycles, and in PE-cycles for ``busy``.

    ``accesses`` is called where they are wanted: most tiles are played for their cycles alone.
    """

    stream: Ints  # cycles in which the PEs multiply
    fill: Ints  # preload, drain and skew that nothing hides
    busy: Ints  # Σ over the stream cycles of the PEs that hold work
    accesses: Callable[[], Accesses]

    @property
    def cycles(self) -> Ints:
        """Cycles of the array: stream + fill."""
        return self.stream + self.fill

    def lasting(self, cycles: Ints) -> TileCost:
        """Return the same where the array waits until *cycles* have passed."""
        return self._replace(fill=np.maximum(self.fill, cycles - self.stream))

    def take(self, number: Ints) -> TileCost:
        """Return what the tiles *number* of these cost."""

        def accesses() -> Accesses:
            return {access: words[number] for access, words in self.accesses().items()}

        return TileCost(self.stream[number], self.fill[number], self.busy[number], accesses)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Closed forms of a dataflow, from which lower bounds for any set of tilings follow.

    Attributes:
        pixel_terms: (problem, n, y, x, machine) → terms of a tile's output pixels.
        channel_terms: (problem, g, k, c, machine) → terms of a tile's channels.
        cycles: (Σ pixel terms, Σ channel terms) → alternatives, each a sum of products that a layer's array cycles are
            never below.
        accesses: (problem, Σ pixel terms, Σ channel terms, machine) → alternatives that a whole layer's accesses are
            never below, linear in the channel terms.
        exact: whether the first alternative is what a whole layer's accesses are; or (problem, tile, machine) → whether
            it is where no tile has fewer pixels than *tile*, nor more channels.
        tile: (problem, tile, machine) → cycles that single tiles are never below, closer than *cycles*, where
            blocks are chosen (``Machine.chooses_blocks``).
    """

    pixel_terms: Callable[[Workload, Ints, Ints, Ints, Machine], Terms]
    channel_terms: Callable[[Workload, Ints, Ints, Ints, Machine], Terms]
    cycles: Callable[[Sequence[Any], Sequence[Any]], Sequence[Products]]
    accesses: Callable[[Workload, Sequence[Any], Sequence[Any], Machine], Sequence[Accesses]]
    exact: bool | Callable[[Workload, Tile, Machine], Bools] = True
    tile: Callable[[Workload, Tile, Machine], Floats] | None = None


NO_BOUNDS = Bounds(
    pixel_terms=lambda _problem, n, _y, _x, _machine: (np.zeros_like(n),),
    channel_terms=lambda _problem, g, _k, _c, _machine: (np.zeros_like(g),),
    cycles=lambda pixel, channel: [[(pixel[0], channel[0])]],
    accesses=lambda *_: [{}],
    exact=False,
)
"""No tiling costs less than nothing."""


@dataclass(frozen=True, slots=True)
class Dataflow:
    """A mapping of the loop nest to rows, columns and time.

    Attributes:
        declared: its name, and what rows and columns stand for.
        tile_cost: (problem, tile, machine) → exact ``TileCost``; a row for each tile.
        bounds: what makes the search fast.
        lays: the objectives by which it lays a tile on the array in different ways; none: there is one way.
        reads_prices: whether it looks at prices when it does.
    """

    declared: Declaration
    tile_cost: Callable[[Workload, Tile, Machine], TileCost]
    bounds: Bounds = NO_BOUNDS
    lays: tuple[str, ...] = ()
    reads_prices: bool = False

    @property
    def name(self) -> str:
        """As in ``array.dataflows``."""
        return self.declared.name

    @property
    def skips_zeros(self) -> bool:
        """Whether the dataflow can leave out zero weights."""
        return self.declared.skips_zeros

    def executed(self, work: Workload, machine: Machine) -> Ints:
        """MACs that are done of each problem: of all weights, of those that are not zero, or of those that are held."""
        if self.skips_zeros and self.name in machine.skips_zeros:
            return work.nonzeros * work.valid
        return (work.held if self.declared.packs else work.weights) * work.valid


def from_terms(
    bounds: Bounds,
    work: Callable[[Workload, Any, Any, Machine], tuple[Ints, Ints, Ints]],
    accesses: Callable[[Workload, Any, Any, Machine], Accesses] | None = None,
) -> Callable[[Workload, Tile, Machine], TileCost]:
    """Return the ``tile_cost`` that follows from the terms of *bounds*.

    *work* has (stream, fill, busy) of tiles with the given terms; *accesses* theirs, by default the first of *bounds*.
    """

    def tile_cost(problem: Workload, tile: Tile, machine: Machine) -> TileCost:
        pixel = bounds.pixel_terms(problem, tile.n, tile.y, tile.x, machine)
        channel = bounds.channel_terms(problem, tile.g, tile.k, tile.c, machine)

        def words() -> Accesses:
            terms = [term * 1.0 for term in pixel], [term * 1.0 for term in channel]
            if accesses is not None:
                return accesses(problem, *terms, machine)
            return bounds.accesses(problem, *terms, machine)[0]

        return TileCost(*work(problem, pixel, channel, machine), words)

    return tile_cost


def ceil_div(numerator: Ints, denominator: Ints | int) -> Ints:
    """⌈numerator / denominator⌉ for integers.

    Example:
        >>> int(ceil_div(np.array(7), 2))
        4
    """
    return -(-numerator // denominator)


def numbered(*columns: Ints) -> tuple[Ints, Ints]:
    """Rows of *columns* that are different, the first of each, and which of them each row is.

    Example:
        >>> first, number = numbered(np.array([7, 7, 5]), np.array([1, 1, 1]))
        >>> first.tolist(), number.tolist()
        ([2, 0], [1, 1, 0])
    """
    number = np.zeros(len(columns[0]), np.int64)
    first = number[:1]
    for column in columns:
        if (column == column[:1]).all():
            continue
        values, index = np.unique(column, return_inverse=True)
        _, first, number = np.unique(number * len(values) + index, return_index=True, return_inverse=True)
    return first, number


def balanced_nonzeros(slices: Ints, problem: Workload) -> tuple[Ints, Ints]:
    """Cycles of the smaller of *slices* filter slices, and how many take one cycle more, where zeros are skipped.

    The layer's non-zeros are dealt as evenly as they go over its slices: q, r = divmod(nonzeros, all slices); r of
    them hold q + 1 and the rest q, and a slice takes at least one cycle. A tile's share of the r is rounded up.
    """
    q, r = np.divmod(problem.nonzeros, problem.slices)
    return np.maximum(q, 1), np.where(q == 0, 0, ceil_div(slices * r, problem.slices))


def slice_cycles(slices: Ints, problem: Workload, skipping: bool) -> Ints:
    """Cycles that *slices* filter slices take, one weight a cycle: FY·FX each, or as ``balanced_nonzeros``.

    Example: 60 non-zeros in 12 slices of 3×3 cost 5 cycles a slice instead of 9.
    """
    if not skipping:
        return slices * problem.taps
    least, larger = balanced_nonzeros(slices, problem)
    return slices * least + larger
