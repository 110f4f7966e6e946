"""Candidates: allocations as columns; published networks among them, and moves between stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.explore.allocate.additive import Base, depth_of
from squeezesim.explore.allocate.allocations import Depth, Space
from squeezesim.explore.pareto import pareto
from squeezesim.report.metrics import (
    Columns,
    is_more_better,
    split_by_better,
    to_rows,
    total_columns,
    total_names,
)
from squeezesim.zoo.records import Entry
from squeezesim.zoo.registry import Spec, catalogue

if TYPE_CHECKING:
    from squeezesim.cost.problem import Bools
    from squeezesim.explore.allocate.additive import Base, Sums
    from squeezesim.explore.allocate.allocations import Depth, Ints
    from squeezesim.explore.allocate.placed import Paths
    from squeezesim.hardware.accelerator import Accelerator

OBJECTIVES = ("latency_us", "energy_mac_equiv", "params", "macs", "late_share")
"""What the Pareto front is of, where nothing else is asked for."""

_CHUNK = 2**14  # rows that are added up at once, whose sums stay in the processor's cache


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Allocations on one accelerator, a row for each.

    Attributes:
        base: of each row the number of its base.
        depth: blocks of each stage, (rows, stages).
        measures: the columns ``measure_names``.
        front: whether a row is on the Pareto front.
        published: name of the built-in network that a row is, by row.
    """

    accelerator: Accelerator
    bases: Sequence[Base]
    base: Ints
    depth: Ints
    measures: Columns
    front: Bools
    published: Mapping[int, str]

    @classmethod
    def of(
        cls, accelerator: Accelerator, bases: Sequence[Base], sums: Sequence[Sums | Paths], depths: Ints
    ) -> Candidates:
        """Return all allocations *depths* of all *bases*, whose *sums* are of *accelerator*."""
        parts = [measures(each, chunk) for each in sums for chunk in _chunks(depths)]
        return cls(
            accelerator=accelerator,
            bases=bases,
            base=np.repeat(np.arange(len(bases)), len(depths)),
            depth=np.tile(depths, (len(bases), 1)),
            measures={name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
            front=np.zeros(len(bases) * len(depths), np.bool_),
            published={},
        )

    def __len__(self) -> int:
        return len(self.base)

    @property
    def names(self) -> Columns:
        """Columns that conditions may name: the measures, ``blocks`` and ``stage1`` to ``stageN``."""
        stages = {f"stage{number}": column for number, column in enumerate(self.depth.T, 1)}
        return {**self.measures, "blocks": self.depth.sum(axis=1), **stages}

    def kept(self, mask: Bools) -> Candidates:
        """Return the rows where *mask* is true."""
        return self._take(np.flatnonzero(mask))

    def ranked(self, column: str) -> Candidates:
        """Return the rows by *column* of ``measure_names``, the best first, then by ``OBJECTIVES``, then by depth."""
        keys = [merit(name, self.measures[name]) for name in (column, *OBJECTIVES)]
        return self._take(np.lexsort((*self.depth.T[::-1], self.base, *reversed(keys))))

    def with_front(self, objectives: Sequence[str]) -> Candidates:
        """Return the rows with their Pareto front of *objectives*, columns of ``measure_names`` with numbers."""
        return replace(self, front=pareto(self.measures, *split_by_better(objectives)))

    def row_of(self, base: int, depth: Depth) -> int | None:
        """Return the row of an allocation, None where it is not there."""
        found = np.flatnonzero((self.base == base) & (self.depth == np.array(depth)).all(axis=1))
        return int(found[0]) if len(found) else None

    def measures_of(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Return the measures of *rows*, None where there is no number."""
        return to_rows({name: column[list(rows)] for name, column in self.measures.items()})

    def columns(self) -> Columns:
        """Return all columns of the result, one entry for each row; ``depth`` holds tuples."""
        options = list(self.bases[0].values)
        values = [list(base.values.values()) for base in self.bases]
        rows = self.base.tolist()
        return {
            "accelerator": [self.accelerator.name] * len(self),
            **{name: [values[row][place] for row in rows] for place, name in enumerate(options)},
            "depth": list(map(tuple, self.depth.tolist())),
            "blocks": self.depth.sum(axis=1),
            **self.measures,
            "pareto": self.front,
            "published": [self.published.get(row, "") for row in range(len(self))],
        }

    def rows(self, count: int | None = None, start: int = 0) -> list[dict[str, Any]]:
        """Return *count* rows from *start* on as dictionaries, None where there is no number, depth as ``2-4-14-1``."""
        end = len(self) if count is None else min(start + count, len(self))
        columns = self._take(np.arange(start, end)).columns()
        columns["depth"] = ["-".join(map(str, depth)) for depth in columns["depth"]]
        return to_rows(columns)

    def _take(self, index: Ints) -> Candidates:
        published = {
            int(place): name for row, name in self.published.items() for place in np.flatnonzero(index == row)
        }
        return replace(
            self,
            base=self.base[index],
            depth=self.depth[index],
            measures={name: column[index] for name, column in self.measures.items()},
            front=self.front[index],
            published=published,
        )


def measure_names() -> list[str]:
    """Return the columns that say what an allocation costs."""
    return [*total_names(), "late_share"]


def measures(sums: Sums | Paths, depths: Ints) -> Columns:
    """Return the columns ``measure_names`` of the allocations *depths*."""
    return {**total_columns(sums.tally(depths), sums.scale), "late_share": sums.late_share(depths)}


def merit(column: str, values: Any) -> Any:
    """Return *values* of which less is better, whatever the column."""
    return -values if is_more_better(column) else values


def _chunks(depths: Ints) -> Iterator[Ints]:
    for start in range(0, len(depths), _CHUNK):
        yield depths[start : start + _CHUNK]


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
        for name in measure_names()
        if measures[name] is not None and now[name] not in (None, 0)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A network to be found among the allocations or beside them.

    Attributes:
        base: the number of the base that it is of, None where it is beside all of them.
        differs: in what it differs from the model that was asked for, as ``conv1=7``.
    """

    name: str
    spec: Spec
    depth: Depth
    base: int | None
    differs: str = ""

    @property
    def entry(self) -> Entry:
        """The built-in network that it is, or that its options change."""
        return self.spec.entry


def points(model: Spec, bases: Sequence[Base], space: Space) -> list[Point]:
    """Return *model* itself, then published networks of its family whose blocks are an allocation of *space*.

    Those that are of none of *bases* are taken where they are as wide as the model: with another first convolution,
    another wiring, in groups.
    """
    found = [_point(str(model), model, bases, model)]
    for entry in catalogue().values():
        if entry.family.name != model.entry.family.name:
            continue
        spec = Spec(entry, {})
        point = _point(entry.name, spec, bases, model)
        if point.depth not in space or point.name == str(model):
            continue
        if point.base is not None or spec.options.get("width") == model.options.get("width"):
            found.append(point)
    return found


def _point(name: str, spec: Spec, bases: Sequence[Base], model: Spec) -> Point:
    base = next((number for number, base in enumerate(bases) if base.is_like(spec)), None)
    options = spec.entry.family.options
    differs = [
        f"{option.name}={option.format(spec.options[option.name])}"
        for option in options
        if option.name != "depth" and spec.options[option.name] != model.options[option.name]
    ]
    return Point(name=name, spec=spec, depth=depth_of(spec), base=base, differs=", ".join(differs))
