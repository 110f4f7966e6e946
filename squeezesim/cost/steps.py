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

    point: Ints
    weight: Ints  # how many steps this one stands for
    this: Ints
    before: Ints  # of the step before; the last one's for the first
    after: Ints  # of the step after; the first one's for the last
    first: Bools
    last: Bools
    last_c: Ints  # for each point, index of its last tile of input channels


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

    points = np.arange(len(order))
    nest = _NESTS[order].T
    tiles_nested, played_nested, reduced_nested = (
        tiles[nest, points],
        played[nest, points],
        reduced[nest, points],
    )
    counts = np.prod(played, axis=0)
    ends = np.cumsum(counts)
    point = np.repeat(points, counts)
    rest = np.arange(ends[-1]) - np.repeat(ends - counts, counts)

    weight = np.ones_like(rest)
    this, before, after = np.zeros((3, 6, len(point)), np.int64)
    carry = np.ones(len(point), np.bool_)  # all loops inside are at their last tile: this one moves on
    borrow = carry.copy()  # all loops inside are at their first tile: this one has just moved
    for depth in range(5, -1, -1):
        if np.all(tiles_nested[depth] == 1):
            continue
        rest, digit = np.divmod(rest, played_nested[depth][point])
        end = tiles_nested[depth][point] - 1
        shortened = reduced_nested[depth][point]
        index = np.where(shortened & (digit >= 2), end - 3 + digit, digit)
        weight *= np.where(shortened & (digit == 1), end - 2, 1)
        this[depth] = index
        at_end, at_start = index == end, index == 0
        after[depth] = np.where(carry, np.where(at_end, 0, index + 1), index)
        before[depth] = np.where(borrow, np.where(at_start, end, index - 1), index)
        carry = carry & at_end
        borrow = borrow & at_start
    where = _DEPTHS[order].T[:, point], np.arange(len(point))
    return Steps(point, weight, this[where], before[where], after[where], borrow, carry, tiles[C] - 1)
