"""Moves: blocks taken from one stage and given to another, and what that changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.explore.allocate.candidates import MEASURES, Candidates, merit

if TYPE_CHECKING:
    from squeezesim.explore.allocate.space import Depth

MOST = 3
"""Moves that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """*blocks* taken from a stage and given to another, stages numbered from 1.

    Attributes:
        depth: the allocation that it leads to.
        measures: what that costs.
        changes: relative change of each measure that both have, 0.04 is 4 % more.
    """

    blocks: int
    taken_from: int
    given_to: int
    depth: Depth
    measures: Mapping[str, Any]
    changes: Mapping[str, float]

    @property
    def record(self) -> dict[str, Any]:
        """The move as a row of a table; ``changes`` is a dictionary."""
        return {
            "blocks": self.blocks,
            "taken_from_stage": self.taken_from,
            "given_to_stage": self.given_to,
            "depth": self.depth,
            **self.measures,
            "changes": dict(self.changes),
        }


def best_moves(
    candidates: Candidates, base: int, depth: Depth, now: Mapping[str, Any], column: str
) -> list[Move]:
    """Return the moves from *depth* of *base* that better *column* the most, one for each pair of stages.

    Only allocations among *candidates* are moved to; *now* is what *depth* costs. None where nothing is better.
    """
    change = candidates.depth - np.array(depth)
    is_move = (candidates.base == base) & (change.sum(axis=1) == 0) & ((change != 0).sum(axis=1) == 2)
    index = np.flatnonzero(is_move)
    if now[column] is None or not len(index):
        return []
    values = merit(column, candidates.measures[column][index])
    better = values < merit(column, now[column])
    moves: dict[tuple[int, int], Move] = {}
    for row in index[better][np.argsort(values[better], kind="stable")].tolist():
        pair = int(change[row].argmin()) + 1, int(change[row].argmax()) + 1
        if pair not in moves:
            moves[pair] = _move(candidates, row, pair, int(change[row].max()), now)
        if len(moves) == MOST:
            break
    return list(moves.values())


def _move(
    candidates: Candidates, row: int, pair: tuple[int, int], blocks: int, now: Mapping[str, Any]
) -> Move:
    (measures,) = candidates.measures_of([row])
    return Move(
        blocks=blocks,
        taken_from=pair[0],
        given_to=pair[1],
        depth=tuple(candidates.depth[row].tolist()),
        measures=measures,
        changes=relative(measures, now),
    )


def relative(measures: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, float]:
    """Return the relative change of each measure from *now*, of those that have one."""
    return {
        name: measures[name] / now[name] - 1
        for name in MEASURES
        if measures[name] is not None and now[name] not in (None, 0)
    }
