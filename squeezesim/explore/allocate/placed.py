"""Costs of allocations whose feature maps may stay in the buffer: shortest paths through the blocks.

What a block costs depends on where the map that it reads and the map that it writes live, and on nothing else of the
network: no other map is alive between two blocks. So a block is a matrix of costs, and a network the cheapest path

    cost(after) = min over before of (cost(before) + block[before, after])        a (min, +) product

through the blocks that it has. Homes are those of ``residents.ways_through``: in a memory, in the buffer, in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.costs import Axes
from squeezesim.cost.dataflow import family_of
from squeezesim.cost.evaluate import evaluate, evaluate_placed
from squeezesim.cost.machine import Machine
from squeezesim.cost.rates import Rates
from squeezesim.cost.residents import ways_through
from squeezesim.explore.allocate.additive import late_share
from squeezesim.report.tally import ARRAYS, Scale, Tally, layer_operands

if TYPE_CHECKING:
    from squeezesim.cost.placement import Place
    from squeezesim.cost.problem import Floats
    from squeezesim.explore.allocate.additive import Pieces
    from squeezesim.explore.allocate.allocations import Depth, Ints
    from squeezesim.hardware.accelerator import Accelerator

_HOMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The parts of a network, each with what it costs between every two homes, on one accelerator.

    Attributes:
        owner: of each part its stage and block, as in ``Pieces``.
        lengths: by the objective, and by what breaks its ties, (parts, homes before, homes after, 2).
        costs: what is added up, (parts, homes before, homes after, …).
        unread_params: params of the network that no layer reads.
    """

    scale: Scale
    owner: tuple[tuple[int, int], ...]
    lengths: Floats
    costs: Tally
    unread_params: int

    @classmethod
    def of(cls, pieces: Pieces, accelerator: Accelerator) -> Paths:
        """Return the paths of *pieces* on *accelerator*, which may keep feature maps.

        Raises:
            HardwareError: a layer does not fit the global buffer.
            UsageError: several feature maps are alive between two blocks.
        """
        layers, ends, owner = pieces.network.layers, [0], []
        for key, group in groupby(pieces.owner):
            ends.append(ends[-1] + len([*group]))
            owner.append(key)
        parts = [range(*pair) for pair in pairwise(ends)]
        machine = Machine.of(accelerator)
        ways = ways_through(layers, parts, family_of(machine), Rates.of([machine]), Axes.of([machine]))
        lengths = np.full((len(parts), _HOMES, _HOMES, 2), np.inf)
        rows: dict[tuple[int, Place], int] = {}
        of, used = list[int](), list[int]()
        for number, (part, of_part) in enumerate(zip(parts, ways, strict=True)):
            for (before, after), way in of_part.items():
                lengths[number, before, after] = way.first, way.second
                if np.isfinite(way.first):
                    of += [(number * _HOMES + before) * _HOMES + after] * len(part)
                    used += [rows.setdefault(pair, len(rows)) for pair in zip(part, way.places, strict=True)]
        found = evaluate_placed(layers, accelerator, [n for n, _ in rows], [place for _, place in rows])
        own = [layers[number] for number, _ in rows]
        each = Tally.of(own, found, layer_operands(own, [accelerator])).take(0)
        summed = each.take(np.array(used)).grouped(np.array(of), len(parts) * _HOMES**2)
        paths = cls(
            scale=Scale.of([accelerator]),
            owner=tuple(owner),
            lengths=lengths,
            costs=summed.map(lambda column: column.reshape(len(parts), _HOMES, _HOMES, *column.shape[1:])),
            unread_params=pieces.network.unread_params,
        )
        if not np.isfinite(paths._walk(np.array([pieces.depth]), [])[0]).all():
            evaluate(layers, [accelerator])  # which names the layer that does not fit
        return paths

    def tally(self, depths: Ints) -> Tally:
        """Return one row for each allocation of *depths*, (allocations, stages)."""
        _, columns = self._walk(depths, [getattr(self.costs, name) for name in ARRAYS])
        found = replace(self.costs, **dict(zip(ARRAYS, columns, strict=True)))
        return replace(found, params=found.params + self.unread_params)

    def late_share(self, depths: Ints) -> Floats:
        """Return the share of params in the last half of the stages for each allocation of *depths*."""
        every = self.costs.params.max(axis=(1, 2))  # the same between all homes
        columns = np.zeros(depths.shape, np.int64)
        for (stage, block), params in zip(self.owner, every.tolist(), strict=True):
            if stage >= 0:
                columns[:, stage] += params * (depths[:, stage] > block)
        return late_share(columns)

    def latency_by_stage(self, depth: Depth) -> Floats:
        """Return latency in µs of stem and head, and of each stage, for one allocation."""
        stage = np.array([stage for stage, _ in self.owner]) + 1
        cycles = self.costs.cycles[..., None] * (stage[:, None, None, None] == np.arange(len(depth) + 1))
        _, (found,) = self._walk(np.array([depth]), [cycles])
        return np.asarray(found[0] / self.scale.clock_mhz)

    def _walk(self, depths: Ints, tables: Sequence[Any]) -> tuple[Floats, list[Any]]:
        """The length of the shortest path of each allocation, and what stands in *tables* summed along it."""
        best = np.full((len(depths), _HOMES, 2), np.inf)
        best[:, 0] = 0.0
        sums = [np.zeros((*best.shape[:2], *table.shape[3:]), table.dtype) for table in tables]
        after = np.arange(_HOMES)
        for number, (stage, block) in enumerate(self.owner):
            rows = np.flatnonzero((block < 0) | (depths[:, stage] > block))
            every = best[rows, :, None] + self.lengths[number]
            least = every[..., 0].min(axis=1, keepdims=True)
            before = np.where(every[..., 0] == least, every[..., 1], np.inf).argmin(axis=1)
            own = np.arange(len(rows))[:, None]
            best[rows] = every[own, before, after]
            for column, table in zip(sums, tables, strict=True):
                column[rows] = column[rows][own, before] + table[number][before, after]
        last = np.lexsort((best[..., 1], best[..., 0]), axis=1)[:, 0]
        each = np.arange(len(depths))
        return best[each, last, 0], [column[each, last] for column in sums]
