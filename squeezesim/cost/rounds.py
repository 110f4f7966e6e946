"""Rounds: the most promising of many tilings are played first, so that what they reach rules out the others.

*Pairs* are machines beside tilings. A pair whose bound is above what its machine and problem, its segment, reach
cannot be the best and is never played.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from squeezesim.cost.workload import Floats, Ints

_FIRST = 16  # pairs of a segment that the first round plays; later rounds take four times as many


@dataclass(slots=True)
class Pairs:
    """Machines beside candidates; those of one machine and one problem, a segment, stand together."""

    machine: Ints
    candidate: Ints
    bound: Floats
    traffic: Ints
    number: Ints  # of the tiling
    value: Floats  # inf: not played
    segment: Ints
    starts: Ints

    def least(self, values: Any) -> Any:
        """The least of each segment."""
        return np.minimum.reduceat(values, self.starts)

    def chosen(self, slack: Floats) -> Ints:
        """The pair taken in each segment in which one is played, by *slack* of each segment."""
        within = (1 + slack) * self.least(self.value)
        wanted = np.isfinite(self.value) & (self.value <= within[self.segment])
        for key in (self.traffic, self.value, self.number):
            left = np.where(wanted, key, np.inf)
            wanted &= left == self.least(left)[self.segment]
        return np.flatnonzero(wanted)

    def first(self, among: Ints, key: Floats, count: int) -> Ints:
        """Of the pairs *among* the first *count* of each segment by *key*."""
        segment = self.segment[among]
        if np.bincount(segment).max() <= count:
            return among
        order = np.lexsort((key, segment))
        begins = np.flatnonzero(np.diff(segment[order], prepend=-1))
        rank = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
        return among[order[rank < count]]


Play = Callable[[Ints], Floats]
"""Pairs → their values of the objective."""


def improve(pairs: Pairs, reached: Floats, play: Play) -> None:
    """Play until no pair is left whose bound is not above the best value of its segment, *reached* or played."""
    count = _FIRST
    while True:
        wanted = np.flatnonzero(np.isinf(pairs.value) & (pairs.bound <= reached[pairs.segment]))
        if len(wanted) == 0:
            return
        batch = pairs.first(wanted, pairs.bound[wanted], count)
        pairs.value[batch] = play(batch)
        reached = np.minimum(reached, pairs.least(pairs.value))
        count *= 4


def cheapen(pairs: Pairs, slack: Floats, play: Play) -> None:
    """Play until no pair is left that can be within *slack* of the best value of its segment and move less."""
    count = _FIRST
    while np.any(slack > 0):
        best = pairs.least(pairs.value)
        within = np.where(np.isfinite(best) & (slack > 0), (1 + slack) * best, -np.inf)
        taken = pairs.chosen(slack)
        least, value = np.full(len(best), -np.inf), np.full(len(best), np.inf)
        least[pairs.segment[taken]], value[pairs.segment[taken]] = pairs.traffic[taken], pairs.value[taken]
        open_ = np.flatnonzero(np.isinf(pairs.value) & (pairs.bound <= within[pairs.segment]))
        segment, traffic, bound = pairs.segment[open_], pairs.traffic[open_], pairs.bound[open_]
        cheaper = traffic < least[segment]
        wanted = cheaper | ((traffic == least[segment]) & (bound <= value[segment]))
        if not wanted.any():
            return
        open_, segment = open_[wanted], segment[wanted]
        key = pairs.traffic[open_] + pairs.bound[open_] * (1e-3 * least[segment] / value[segment])
        batch = pairs.first(open_, key, count)
        pairs.value[batch] = play(batch)
        count *= 4
