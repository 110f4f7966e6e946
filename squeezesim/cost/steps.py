"""The steps of a tiling in the order in which they run, with as few of them as its cycles need.

Tiles along an axis are alike but for the first, the last but one and the last, so that an axis of many tiles is played
with four: the second stands for all that are like it. Where padding makes more of them differ, all are played.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from squeezesim.cost.axes import Window
from squeezesim.cost.tiling import ORDERS, windows
from squeezesim.cost.workload import Bools, Ints, Workload

AXES = ("n", "y", "x", "g", "k", "c")
N, Y, X, G, K, C = range(6)
_LOOPS = {"P": (N, Y, X), "K": (K,), "C": (C,)}
# Axes from the outermost loop to the innermost for each order, and the inverse.
_NESTS = np.array([[G, *(axis for loop in order for axis in _LOOPS[loop])] for order in ORDERS])
_DEPTHS = np.argsort(_NESTS, axis=1)


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps that are played, in order, point after point; tile indices are (6, steps) along ``AXES``."""

    counts: Ints  # for each point, its steps
    begins: Ints  # for each point, its first step
    weight: Ints  # how many steps this one stands for
    this: Ints
    before: Ints  # of the step before; the last one's for the first
    after: Ints  # of the step after; the first one's for the last
    end: Ints  # for each point, tile indices of its last step


def _alike(window: Window, size: Ints, tiles: Ints) -> Bools:
    """Whether tiles 1 … T−2 along a spatial axis read equally much: none of them touches the padding."""
    stride, taps, dilation, padding, available = window
    end = ((tiles - 1) * size - 1) * stride - padding + (taps - 1) * dilation + 1
    return np.asarray((size * stride >= padding) & (end <= available))


def steps_of(problem: Workload, order: Ints, sizes: Ints, extents: Ints, *, every: bool = False) -> Steps:
    """Enumerate the steps of each point; *sizes* and *extents* are (6, points) along ``AXES``.

    With *every*, each step stands for itself alone.
    """
    tiles = -(-extents // sizes)
    reduced = np.zeros_like(tiles, np.bool_) if every else tiles > 4
    for axis, window in zip((Y, X), windows(problem), strict=True):
        reduced[axis] &= problem.pointwise | _alike(window, sizes[axis], tiles[axis])
    played = np.where(reduced, 4, tiles)

    counts = np.prod(played, axis=0)
    begins = np.cumsum(counts) - counts
    number = np.arange(counts.sum()) - np.repeat(begins, counts)
    cut = np.flatnonzero((tiles > 1).any(axis=1))  # the loops along other axes have one round
    inside, rounds, end, shortened = (
        np.repeat(part[cut], counts, axis=1) for part in (_inside(played, order), played, tiles - 1, reduced)
    )
    done, inner = np.divmod(number, inside)
    digit = done % rounds
    index = np.where(shortened & (digit >= 2), end - 3 + digit, digit)
    weight = np.prod(np.where(shortened & (digit == 1), end - 2, 1), axis=0)
    # A loop moves on when all loops inside are at their last tile, and has just moved when they are at their first.
    this, before, after = np.zeros((3, 6, len(number)), np.int64)
    this[cut] = index
    after[cut] = np.where(inner == inside - 1, np.where(index == end, 0, index + 1), index)
    before[cut] = np.where(inner == 0, np.where(index == 0, end, index - 1), index)
    return Steps(counts, begins, weight, this, before, after, tiles - 1)


def _inside(played: Ints, order: Ints) -> Ints:
    """Steps of the loops inside that along each axis, (6, points)."""
    points = np.arange(len(order))
    nested = played[_NESTS[order].T, points]
    steps = np.ones_like(nested)
    np.cumprod(nested[:0:-1], axis=0, out=steps[-2::-1])
    return np.asarray(steps[_DEPTHS[order].T, points])
