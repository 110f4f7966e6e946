"""What a dataflow is: closed forms for one tile on the array, and their sums over the tiles of a layer.

Every closed form is a sum of products *a(pixels of the tile) · b(channels of the tile)*. That makes it exact for a
single tile and, because the sum over all tiles is then (Σ a) · (Σ b), cheap for millions of tilings at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints, Workload

Terms = tuple[Ints, ...]
Products = Sequence[tuple[Any, Any]]  # Σ a·b, a over the pixels, b over the channels


class Work(NamedTuple):
    """What the array does for a tile, in cycles, and in PE-cycles for ``busy``."""

    stream: Ints  # cycles in which the PEs multiply
    fill: Ints  # preload, drain and skew that nothing hides
    busy: Ints  # Σ over the stream cycles of the PEs that hold work

    @property
    def cycles(self) -> Ints:
        """Cycles of the array: stream + fill."""
        return self.stream + self.fill


class Accesses(NamedTuple):
    """Accesses that the array causes, in words of their operand, one entry for each level and operand."""

    register_inputs: Floats
    register_weights: Floats
    register_psums: Floats
    inter_pe_inputs: Floats
    inter_pe_psums: Floats
    buffer_inputs: Floats  # read
    buffer_weights: Floats  # read
    buffer_psums_read: Floats
    buffer_psums_written: Floats
    inter_pe_weights: Floats | float = 0.0


@dataclass(frozen=True, slots=True)
class Dataflow:
    """A mapping of the loop nest to rows, columns and time.

    Attributes:
        name: as in ``array.dataflows``.
        skips_zeros: whether the dataflow can leave out zero weights.
        pixel_terms: (problem, n, y, x, machine) → terms of a tile's output pixels.
        channel_terms: (problem, g, k, c, machine) → terms of a tile's channels.
        work: (problem, pixel terms, channel terms, machine) → exact ``Work`` of one tile.
        bounds: (Σ pixel terms, Σ channel terms) → alternatives, each a sum of products that a layer's array cycles
            are never below.
        accesses: (problem, pixel terms, channel terms, outputs whose sum starts here, machine) → exact ``Accesses``
            of one tile, or of a whole layer when given the Σ of the terms.
        least_accesses: where ``accesses`` holds for single tiles only: alternatives, each sums of products too, that a
            whole layer's accesses are never below, from the Σ of the terms.
    """

    name: str
    skips_zeros: bool
    pixel_terms: Callable[[Workload, Ints, Ints, Ints, Machine], Terms]
    channel_terms: Callable[[Workload, Ints, Ints, Ints, Machine], Terms]
    work: Callable[[Workload, Terms, Terms, Machine], Work]
    bounds: Callable[[Sequence[Any], Sequence[Any]], Sequence[Products]]
    accesses: Callable[[Workload, Sequence[Floats], Sequence[Floats], Floats, Machine], Accesses]
    least_accesses: (
        Callable[[Workload, Sequence[Floats], Sequence[Floats], Floats, Machine], Sequence[Accesses]] | None
    ) = None

    @property
    def priced(self) -> bool:
        """Whether the objective and the prices of accesses say how a tile is laid on the array, as its accesses do."""
        return self.least_accesses is not None


def ceil_div(numerator: Ints, denominator: Ints | int) -> Ints:
    """⌈numerator / denominator⌉ for integers.

    Example:
        >>> int(ceil_div(np.array(7), 2))
        4
    """
    return -(-numerator // denominator)


def dealt(slices: Ints, problem: Workload) -> tuple[Ints, Ints]:
    """Cycles of the smaller of *slices* filter slices, and how many take one cycle more, where zeros are skipped.

    The layer's non-zeros are dealt as evenly as they go over its slices: q, r = divmod(nonzeros, all slices); r of
    them hold q + 1 and the rest q, and a slice takes at least one cycle. A tile's share of the r is rounded up.
    """
    q, r = np.divmod(problem.nonzeros, problem.slices)
    return np.maximum(q, 1), np.where(q == 0, 0, ceil_div(slices * r, problem.slices))


def slice_cycles(slices: Ints, problem: Workload, skipping: bool) -> Ints:
    """Cycles that *slices* filter slices of the problem take, one weight a cycle: FY·FX each, or as ``dealt``.

    Example: 60 non-zeros in 12 slices of 3×3 cost 5 cycles a slice instead of 9.
    """
    if not skipping:
        return slices * problem.taps
    least, larger = dealt(slices, problem)
    return slices * least + larger
