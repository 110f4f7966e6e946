"""Candidates: allocations on one accelerator as columns, in an order of merit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.explore.pareto import LARGER_IS_BETTER, pareto
from squeezesim.report.columns import TOTALS, Columns, to_rows, total_columns

if TYPE_CHECKING:
    from squeezesim.cost.workload import Bools
    from squeezesim.explore.allocate.bases import Base
    from squeezesim.explore.allocate.space import Depth, Ints
    from squeezesim.explore.allocate.sums import Sums
    from squeezesim.hardware.accelerator import Accelerator

MEASURES = (*TOTALS, "late_share")
"""Columns that say what an allocation costs."""
OBJECTIVES = ("latency_us", "energy_mac_equiv", "params", "macs", "late_share")
"""What the Pareto front is of, where nothing else is asked for."""

_CHUNK = 2**14  # rows that are added up at once, whose sums stay in the processor's cache


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Allocations on one accelerator, a row for each.

    Attributes:
        base: of each row the number of its base.
        depth: blocks of each stage, (rows, stages).
        measures: columns named in ``MEASURES``.
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
        cls, accelerator: Accelerator, bases: Sequence[Base], sums: Sequence[Sums], depths: Ints
    ) -> Candidates:
        """Return all allocations *depths* of all *bases*, whose *sums* are of *accelerator*."""
        parts = [measures(each, chunk) for each in sums for chunk in _chunks(depths)]
        return cls(
            accelerator=accelerator,
            bases=bases,
            base=np.repeat(np.arange(len(bases)), len(depths)),
            depth=np.tile(depths, (len(bases), 1)),
            measures={name: np.concatenate([part[name] for part in parts]) for name in MEASURES},
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
        """Return the rows by *column* of ``MEASURES``, the best first, then by ``OBJECTIVES``, then by depth."""
        keys = [merit(name, self.measures[name]) for name in (column, *OBJECTIVES)]
        return self._take(np.lexsort((*self.depth.T[::-1], self.base, *reversed(keys))))

    def with_front(self, objectives: Sequence[str]) -> Candidates:
        """Return the rows with their Pareto front of *objectives*, names in ``MEASURES`` of columns with numbers."""
        least = [name for name in objectives if name not in LARGER_IS_BETTER]
        most = [name for name in objectives if name in LARGER_IS_BETTER]
        return replace(self, front=pareto(self.measures, least, most))

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


def measures(sums: Sums, depths: Ints) -> Columns:
    """Return the columns ``MEASURES`` of the allocations *depths*."""
    return {**total_columns(sums.tally(depths), sums.scale), "late_share": sums.late_share(depths)}


def merit(column: str, values: Any) -> Any:
    """Return *values* of which less is better, whatever the column."""
    return -values if column in LARGER_IS_BETTER else values


def _chunks(depths: Ints) -> Iterator[Ints]:
    for start in range(0, len(depths), _CHUNK):
        yield depths[start : start + _CHUNK]
