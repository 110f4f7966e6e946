"""pareto: the non-dominated rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from squeezesim.errors import UsageError
from squeezesim.explore.objectives import check_column, check_objectives

if TYPE_CHECKING:
    import pandas as pd

Mask = NDArray[np.bool_]
Ranks = NDArray[np.int64]

_FEW = 256  # points that are compared each with each


def pareto(
    table: pd.DataFrame | Mapping[str, ArrayLike],
    minimise: Sequence[str] = (),
    maximise: Sequence[str] = (),
) -> Mask:
    """Return for each row whether it is on the Pareto front: booleans of shape (rows,).

    A row is non-dominated where no other is at least as good in every objective and better in one: equal rows are on
    the front together. A row without a number in an objective is not. The time is O(n · log n^(d-1)) for n rows and d
    objectives.

    Args:
        table: columns of one length.
        minimise: names of columns, of which less is better.
        maximise: names of columns, of which more is better.

    Raises:
        UsageError: a column is not there, is no column of numbers, has none in any row, or is named twice; or there is
            no objective.

    Example:
        >>> pareto({"latency_us": [3, 1, 2, 2], "energy_uj": [1, 3, 2, 3]}, ["latency_us", "energy_uj"])
        array([ True,  True,  True, False])
    """
    names = [*minimise, *maximise]
    check_objectives(names)
    columns = [_numbers(table, name) for name in names]
    known = np.asarray(~np.isnan(columns).any(axis=0))
    ranks = [np.unique(column[known], return_inverse=True)[1].reshape(-1) for column in columns]
    signs = [1] * len(minimise) + [-1] * len(maximise)
    points = np.stack([sign * rank for sign, rank in zip(signs, ranks, strict=True)], axis=1)
    mask = np.zeros(len(known), np.bool_)
    mask[known] = _nondominated(points)
    return mask


def _numbers(table: pd.DataFrame | Mapping[str, ArrayLike], name: str) -> NDArray[np.float64]:
    check_column("column", name, map(str, table))
    try:
        numbers = np.asarray(table[name], np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"column {name!r} has no numbers; an objective is a column of numbers") from None
    if len(numbers) and np.isnan(numbers).all():
        raise UsageError(f"column {name!r} has no number in any row; an objective has values to compare")
    return numbers


def _nondominated(points: Ranks) -> Mask:
    order = np.lexsort(points.T[::-1])
    ordered = points[order]
    starts = np.ones(len(points), np.bool_)  # of runs of equal points
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    distinct = ordered[starts]
    best = np.zeros(len(distinct), np.bool_)
    best[_front(distinct[:, 1:], np.arange(len(distinct)))] = True
    mask = np.zeros(len(points), np.bool_)
    mask[order] = best[np.cumsum(starts) - 1]
    return mask


def _front(points: Ranks, index: NDArray[np.intp]) -> NDArray[np.intp]:
    """The non-dominated ones of *index*, of distinct points in the order of a coordinate left out.

    A point is dominated only by one before it, so that a half is compared with what is left of the half before it.
    """
    if len(index) <= _FEW:
        beaten = _dominates_pairwise(points[index], points[index])
        return index[~np.tril(beaten, -1).any(axis=1)]
    half = len(index) // 2
    first, second = _front(points, index[:half]), _front(points, index[half:])
    return np.concatenate([first, second[~_is_dominated(points[first], points[second])]])


def _is_dominated(by: Ranks, points: Ranks) -> Mask:
    """For each of *points* whether one of *by* is at most as large in every coordinate."""
    dimensions = points.shape[1]
    if len(by) == 0 or len(points) == 0:
        return np.zeros(len(points), np.bool_)
    if dimensions == 0:
        return np.ones(len(points), np.bool_)
    if dimensions == 1:
        return np.asarray(by.min() <= points[:, 0])
    if dimensions == 2:
        order = np.argsort(by[:, 0], kind="stable")
        least = np.minimum.accumulate(by[order, 1])
        before = np.searchsorted(by[order, 0], points[:, 0], side="right")
        return np.asarray((before > 0) & (least[before - 1] <= points[:, 1]))
    if len(by) * len(points) <= _FEW**2:
        return np.asarray(_dominates_pairwise(by, points).any(axis=1))
    return _split(by, points)


def _dominates_pairwise(by: Ranks, points: Ranks) -> Mask:
    """(points, by): whether it is at most as large in every coordinate."""
    within = np.ones((len(points), len(by)), np.bool_)
    for axis in range(points.shape[1]):
        within &= by[:, axis] <= points[:, axis, None]
    return within


def _split(by: Ranks, points: Ranks) -> Mask:
    """``_beaten`` by halves of the last coordinate; between a lower and a higher half that one does not matter."""
    last = np.concatenate([by[:, -1], points[:, -1]])
    low, high = last.min(), last.max()
    if low == high:
        return _is_dominated(by[:, :-1], points[:, :-1])
    middle = min(int(np.median(last)), high - 1)
    below, under = by[:, -1] <= middle, points[:, -1] <= middle
    mask = np.zeros(len(points), np.bool_)
    mask[under] = _is_dominated(by[below], points[under])
    over = ~under
    mask[over] = _is_dominated(by[~below], points[over]) | _is_dominated(
        by[below][:, :-1], points[over][:, :-1]
    )
    return mask
