"""Branch and bound over pairs of a machine and a candidate: the most promising of each segment are played first.

A segment has the pairs of one machine and one problem. What is played rules out pairs whose bounds are above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.problem import Bools, Floats, Ints

_FIRST = 16  # pairs of a segment that a round plays at first; later rounds take four times as many
_SORTED = 1 << 14
"""Pairs that are sorted before any is played; of more, the most promising of each segment goes first."""


@dataclass(slots=True)
class MachineCandidatePairs:
    """Machines beside candidates; those of one machine and one problem, a segment, stand together."""

    machine: Ints
    candidate: Ints
    bound: Floats
    traffic: Ints
    number: Ints  # of the tiling
    value: Floats  # inf: not played
    segment: Ints
    starts: Ints

    @property
    def first_count(self) -> int:
        """Pairs of a segment that the first round plays: one does without sorting, and leaves few to sort."""
        return _FIRST if len(self.machine) <= _SORTED else 1

    def least(self, values: Any) -> Any:
        """The least of each segment."""
        return np.minimum.reduceat(values, self.starts)

    def first(self, among: Ints, key: Floats, count: int) -> Ints:
        """Of the pairs *among* the first *count* of each segment by *key*."""
        segment = self.segment[among]
        begins = np.flatnonzero(np.diff(segment, prepend=-1))
        counts = np.diff(np.append(begins, len(among)))
        if counts.max() <= count:
            return among
        if count == 1:  # without sorting
            least = np.flatnonzero(key == np.repeat(np.minimum.reduceat(key, begins), counts))
            return among[least[np.flatnonzero(np.diff(segment[least], prepend=-1))]]
        order = np.lexsort((key, segment))
        rank = np.arange(len(order)) - np.repeat(begins, counts)
        return among[order[rank < count]]


class Player(NamedTuple):
    """What is found out of pairs, given their indices.

    Attributes:
        play: their values of the objective.
        refine: closer bounds.
        may_tie: whether they can come first with the given value of each segment.
    """

    play: Callable[[Ints], Floats]
    refine: Callable[[Ints], Floats]
    may_tie: Callable[[Ints, Floats], Bools]


_MANY_LEFT = 1 << 8
"""Pairs that are left from which on a closer look is worth its time."""


def branch_and_bound(pairs: MachineCandidatePairs, incumbent: Floats, player: Player) -> None:
    """Play until no pair is left whose bound is not above the best value of its segment, *incumbent* or played.

    Once some are played, those that are left have closer bounds, and go where they could tie at best and come second.
    """
    count, refined = pairs.first_count, False
    while True:
        wanted = np.flatnonzero(np.isinf(pairs.value) & (pairs.bound <= incumbent[pairs.segment]))
        if count > pairs.first_count and len(wanted) > _MANY_LEFT:
            wanted = _without_losers(pairs, wanted, incumbent, player)
            if len(wanted) > _MANY_LEFT and not refined:
                pairs.bound[wanted], refined = player.refine(wanted), True
                continue
        if len(wanted) == 0:
            return
        batch = pairs.first(wanted, pairs.bound[wanted], count)
        pairs.value[batch] = player.play(batch)
        incumbent = np.minimum(incumbent, pairs.least(pairs.value))
        count = max(4 * count, _FIRST)


def minimise_traffic(
    pairs: MachineCandidatePairs, limit: Floats, least: Floats, value: Floats, player: Player
) -> None:
    """Play until no pair is left that can be within *limit* of its segment and move less than any that was played.

    *least* is the traffic of a tiling that is known to be within the limit, *value* its value. Of equal traffic, lower
    values are looked for, and equal ones. Those that are left are looked at as in ``branch_and_bound``.
    """
    count, refined = pairs.first_count, False
    while True:
        within = pairs.value <= limit[pairs.segment]
        moved = pairs.least(np.where(within, pairs.traffic, np.inf))
        lowest = pairs.least(np.where(within & (pairs.traffic == moved[pairs.segment]), pairs.value, np.inf))
        value = np.where(moved < least, lowest, np.where(moved == least, np.minimum(lowest, value), value))
        least = np.minimum(least, moved)
        unplayed = np.flatnonzero(np.isinf(pairs.value) & (pairs.bound <= limit[pairs.segment]))
        segment, traffic, bound = pairs.segment[unplayed], pairs.traffic[unplayed], pairs.bound[unplayed]
        wanted = (traffic < least[segment]) | ((traffic == least[segment]) & (bound <= value[segment]))
        unplayed = unplayed[wanted]
        if count > pairs.first_count and len(unplayed) > _MANY_LEFT:
            less = pairs.traffic[unplayed] < least[pairs.segment[unplayed]]
            alike = _without_losers(pairs, unplayed[~less], value, player)
            unplayed = np.sort(np.concatenate([unplayed[less], alike]))
            if len(unplayed) > _MANY_LEFT and not refined:
                pairs.bound[unplayed], refined = player.refine(unplayed), True
                continue
        if len(unplayed) == 0:
            return
        segment = pairs.segment[unplayed]
        key = pairs.traffic[unplayed] + pairs.bound[unplayed] * (1e-3 * least[segment] / value[segment])
        batch = pairs.first(unplayed, key, count)
        pairs.value[batch] = player.play(batch)
        count = max(4 * count, _FIRST)


def _without_losers(pairs: MachineCandidatePairs, index: Ints, value: Floats, player: Player) -> Ints:
    """Of the pairs *index* those that can be below the *value* of their segment, or tie and come first; the others go.

    A value that is less is so by a cycle.
    """
    ties = index[pairs.bound[index] > value[pairs.segment[index]] - 1]
    if len(ties) == 0:
        return index
    pairs.bound[ties[~player.may_tie(ties, value)]] = np.inf
    return index[np.isfinite(pairs.bound[index])]
