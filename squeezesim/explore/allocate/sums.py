"""Sums: what every allocation costs, added up from the running sums of its stages' blocks; no loop over allocations."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.report.tally import Scale, Tally

if TYPE_CHECKING:
    from squeezesim.cost.evaluate import Costs
    from squeezesim.cost.workload import Floats
    from squeezesim.explore.allocate.pieces import Pieces
    from squeezesim.explore.allocate.space import Depth, Ints
    from squeezesim.hardware.accelerator import Accelerator


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Running sums of a network's blocks on one accelerator.

    ``rest`` is one row for stem and head, ``stages[s]`` has a row for each number of blocks of stage s, from 0.
    """

    scale: Scale
    rest: Tally
    stages: tuple[Tally, ...]

    @classmethod
    def of(cls, pieces: Pieces, costs: Costs, accelerator: Accelerator) -> Sums:
        """Return the sums of the layers of *pieces*, whose *costs* have one row, of *accelerator*."""
        # Row 0 is stem and head; a stage's first row is what it has at every depth, its blocks follow.
        offsets = np.cumsum([1, *(blocks + 1 for blocks in pieces.depth)])
        stage, block = np.array(pieces.owner, np.int64).T
        groups = np.where(stage < 0, 0, offsets[stage] + block + 1)
        blocks = Tally.of(pieces.network.layers, costs, accelerator).grouped(groups, int(offsets[-1]))
        rest = _rows(blocks, slice(0, 1))
        return cls(
            scale=Scale.of(accelerator),
            rest=replace(rest, params=rest.params + pieces.network.unread_params),
            stages=tuple(
                _running(_rows(blocks, slice(first, last))) for first, last in pairwise(offsets.tolist())
            ),
        )

    def tally(self, depths: Ints) -> Tally:
        """Return one row for each allocation of *depths*, (allocations, stages).

        Integers are exact; energy is the sum of the blocks in another order than that of a simulated network, and so
        the same but for rounding.
        """
        columns = {}
        for field in fields(Tally):
            sums = getattr(self.rest, field.name)
            for stage, table in enumerate(self.stages):
                sums = sums + getattr(table, field.name)[depths[:, stage]]
            columns[field.name] = sums
        return Tally(**columns)

    def late_share(self, depths: Ints) -> Floats:
        """Return the share of params in the last half of the stages for each allocation of *depths*."""
        columns = [table.params[depths[:, stage]] for stage, table in enumerate(self.stages)]
        return late_share(np.stack(columns, axis=-1))

    def latency_by_stage(self, depth: Depth) -> Floats:
        """Return latency in µs of stem and head, and of each stage, for one allocation."""
        parts = [self.rest.cycles[0], *(table.cycles[n] for table, n in zip(self.stages, depth, strict=True))]
        return np.array(parts) / self.scale.clock_mhz


def late_share(params: Ints) -> Floats:
    """Share of the last ⌊S / 2⌋ of S stages in the *params* of all stages, (…, S); not a number where S is 1.

    A stand-in for how much a network can learn where features are abstract. It says nothing of its accuracy.

    Example: 1, 2, 3 and 4 params in four stages are 0.7.
    """
    late, total = params[..., params.shape[-1] - params.shape[-1] // 2 :].sum(axis=-1), params.sum(axis=-1)
    known = total * (params.shape[-1] > 1)
    share = np.full(known.shape, np.nan)
    np.divide(late, known, out=share, where=known != 0)
    return share


def _rows(tally: Tally, index: Any) -> Tally:
    return Tally(**{field.name: getattr(tally, field.name)[index] for field in fields(Tally)})


def _running(blocks: Tally) -> Tally:
    """Sums over the first row, the first two, and so on."""
    return Tally(**{field.name: getattr(blocks, field.name).cumsum(axis=0) for field in fields(Tally)})
