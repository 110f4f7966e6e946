"""Study: all allocations of a network on several accelerators, what is published among them, and the moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.errors import UsageError
from squeezesim.explore.allocate import bases as networks
from squeezesim.explore.allocate.aims import aims
from squeezesim.explore.allocate.budgets import Budget, within
from squeezesim.explore.allocate.candidates import Candidates, measures, merit
from squeezesim.explore.allocate.costing import costs_of, totals_of
from squeezesim.explore.allocate.moves import Move, best_moves
from squeezesim.explore.allocate.published import Point, points
from squeezesim.explore.allocate.space import Depth, Space
from squeezesim.explore.allocate.sums import Sums
from squeezesim.load import load
from squeezesim.network.passes import fuse
from squeezesim.report.columns import to_rows

if TYPE_CHECKING:
    from squeezesim.explore.allocate.bases import Base, Choices
    from squeezesim.explore.allocate.pieces import Pieces
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network
    from squeezesim.zoo.registry import Spec

MOST_ROWS = 2_000_000
MOST_BLOCKS = 1_000

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a network stands among the allocations that are within the budgets.

    Attributes:
        place: 1 + how many of them are better in the column that they are sorted by.
        row: its row, None where it is not one of them.
        measures: what it costs.
    """

    point: Point
    place: int
    row: int | None
    measures: Mapping[str, Any]

    @property
    def record(self) -> dict[str, Any]:
        """The standing as a row of a table."""
        return {
            "network": self.point.name,
            "depth": self.point.depth,
            "differs_in": self.point.differs,
            "place": self.place,
            "is_allocation": self.row is not None,
            **self.measures,
        }


@dataclass(frozen=True, kw_only=True)
class Result:
    """What there is to say of one accelerator.

    Attributes:
        candidates: allocations within the budgets, the best first.
        standings: the model itself, then published networks.
        moves: from the model, the best first; None where it is of none of the bases.
        sums: of each base, from which any allocation's stages follow.
    """

    accelerator: Accelerator
    candidates: Candidates
    standings: Sequence[Standing]
    moves: Sequence[Move] | None
    sums: Sequence[Sums]

    @property
    def current(self) -> Standing:
        """The model itself."""
        return self.standings[0]


@dataclass(frozen=True, kw_only=True)
class Study:
    """All allocations of *model* in *space*, with a result for each accelerator; ``count`` is before budgets."""

    model: Spec
    space: Space
    bases: Sequence[Base]
    budgets: Sequence[Budget]
    objectives: Sequence[str]
    sort: str
    results: Sequence[Result]

    @property
    def count(self) -> int:
        """Allocations on one accelerator, whether or not they are within the budgets."""
        return self.space.count() * len(self.bases)


def study(
    model: str,
    accelerators: Sequence[Accelerator],
    *,
    blocks: int | None = None,
    stages: Sequence[tuple[int, int]] | None = None,
    choices: Choices | None = None,
    budgets: Callable[[int], Sequence[Budget]] = lambda _: (),
    objectives: str | Sequence[str] | None = None,
    sort: str = "latency_us",
    cache: bool = True,
    progress: Progress = lambda _: None,
) -> Study:
    """Return all allocations of the built-in network *model*; see ``allocate``.

    Args:
        budgets: makes the budgets of a network of so many stages.
        progress: is told what is being done.

    Raises:
        ModelError: there is no such network, it has no blocks, or its costs are no sum over them.
        UsageError: the allocations asked for are none or too many, or none is within the budgets.
        HardwareError: a layer does not fit a buffer.
    """
    names = [accelerator.name for accelerator in accelerators]
    if len(set(names)) < len(names):
        raise UsageError(f"two accelerators share a name: {', '.join(names)}")
    spec = networks.parse_model(model)
    depth, option = networks.depth_of(spec), networks.option_of(spec.entry)
    wanted = aims(sort, objectives, accelerators, len(depth))
    space = Space.of(depth, low=int(option.low), high=int(option.high), blocks=blocks, stages=stages)
    found = networks.bases(spec, choices or {})
    limits = budgets(len(depth))
    _check_size(space, len(found), len(accelerators))
    named = points(spec, found, space)
    pieces = _pieces(space, depth, found, named, cache, progress)
    beside = {point.name: fuse(load(str(point.spec), cache=cache)) for point in named if point.base is None}
    costed = []
    for accelerator in accelerators:
        progress(f"costing on {accelerator.name}")
        costed.append(_costed(accelerator, found, space, pieces, beside, named))
    kept = within(
        [part.candidates for part in costed], limits, [part.known[named[0].name] for part in costed]
    )
    progress("ranking")
    results = [
        _result(replace(part, candidates=candidates), named, wanted, sort)
        for part, candidates in zip(costed, kept, strict=True)
    ]
    return Study(
        model=spec,
        space=space,
        bases=found,
        budgets=limits,
        objectives=wanted,
        sort=sort,
        results=results,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Costed:
    """Allocations on one accelerator, the sums that they are of, and what the points cost, by name."""

    candidates: Candidates
    sums: Sequence[Sums]
    known: Mapping[str, Mapping[str, Any]]


def _costed(
    accelerator: Accelerator,
    found: Sequence[Base],
    space: Space,
    pieces: Sequence[Pieces],
    beside: Mapping[str, Network],
    named: Sequence[Point],
) -> _Costed:
    costs = costs_of([*(part.network for part in pieces), *beside.values()], accelerator)
    sums = [Sums.of(part, cost, accelerator) for part, cost in zip(pieces, costs, strict=False)]
    known = {
        name: totals_of(network, cost, accelerator, len(space.least))
        for (name, network), cost in zip(beside.items(), costs[len(pieces) :], strict=True)
    }
    for point in named:
        if point.base is not None:
            (known[point.name],) = to_rows(measures(sums[point.base], np.array([point.depth], np.int64)))
    return _Costed(candidates=Candidates.of(accelerator, found, sums, space.depths()), sums=sums, known=known)


def _result(costed: _Costed, named: Sequence[Point], objectives: Sequence[str], sort: str) -> Result:
    ranked = _named(costed.candidates.ranked(sort).with_front(objectives), named)
    standings = [_standing(ranked, point, costed.known[point.name], sort) for point in named]
    now = standings[0]
    base = now.point.base
    return Result(
        accelerator=ranked.accelerator,
        candidates=ranked,
        standings=standings,
        moves=None if base is None else best_moves(ranked, base, now.point.depth, now.measures, sort),
        sums=costed.sums,
    )


def _check_size(space: Space, bases: int, accelerators: int) -> None:
    count = space.count() * bases * accelerators
    if count > MOST_ROWS:
        each = " × ".join(
            f"{number:,} {noun}"
            for number, noun in ((bases, "combinations of options"), (accelerators, "accelerators"))
            if number > 1
        )
        raise UsageError(
            f"{space.count():,} allocations{f' × {each}' if each else ''}; allowed: at most {MOST_ROWS:,} in all: "
            "narrow the range of each stage"
        )
    if sum(space.greatest) > MOST_BLOCKS:
        raise UsageError(
            f"the deepest stages have {sum(space.greatest):,} blocks together; allowed: at most {MOST_BLOCKS:,}"
        )


def _pieces(
    space: Space,
    depth: Depth,
    found: Sequence[Base],
    named: Sequence[Point],
    cache: bool,
    progress: Progress,
) -> list[Pieces]:
    """The pieces of each base, of all depths in *space* and that of the model itself."""
    least = tuple(map(min, space.least, depth))
    greatest = tuple(map(max, space.greatest, depth))
    made = []
    for number, base in enumerate(found):
        progress(f"tracing network {number + 1} of {len(found)}")
        own = [point.entry for point in named if point.base == number and not point.spec.changes]
        made.append(base.pieces(least, greatest, own, cache=cache))
    return made


def _named(candidates: Candidates, named: Sequence[Point]) -> Candidates:
    """*candidates* that know which of them are published."""
    rows = {
        candidates.row_of(point.base, point.depth): point.name
        for point in reversed(named)
        if point.base is not None and not point.spec.changes
    }
    return replace(candidates, published={row: name for row, name in rows.items() if row is not None})


def _standing(candidates: Candidates, point: Point, costs: Mapping[str, Any], sort: str) -> Standing:
    value = costs[sort]
    better = 0
    if value is not None:
        better = int((merit(sort, candidates.measures[sort]) < merit(sort, value)).sum())
    row = None if point.base is None else candidates.row_of(point.base, point.depth)
    return Standing(point=point, place=better + 1, row=row, measures=costs)
