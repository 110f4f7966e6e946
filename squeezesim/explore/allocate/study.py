"""allocate(): every way to spread blocks over stages, within budgets, ranked by objectives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.arguments import formerly
from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.machine import Machine
from squeezesim.errors import UsageError
from squeezesim.explore.allocate import additive as networks
from squeezesim.explore.allocate.additive import Sums, costs_of, totals_of
from squeezesim.explore.allocate.allocations import Depth, Space
from squeezesim.explore.allocate.candidates import (
    OBJECTIVES,
    Candidates,
    Move,
    Point,
    best_moves,
    measure_names,
    measures,
    merit,
    points,
)
from squeezesim.explore.allocate.fitting import fitting, with_all_weights, without_sizes
from squeezesim.explore.allocate.placed import Paths
from squeezesim.explore.objectives import check_column, check_objectives, without_joules
from squeezesim.expressions import Condition, parse, quantity
from squeezesim.inputs import GivenAccelerator, accelerators_of
from squeezesim.load import load
from squeezesim.report import units
from squeezesim.report.frame import results
from squeezesim.report.metrics import to_rows, units_by_name

if TYPE_CHECKING:
    import pandas as pd

    from squeezesim.cost.problem import Bools
    from squeezesim.explore.allocate.additive import Base, Choices, Pieces
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network
    from squeezesim.zoo.registry import Spec

_FAR = 10  # times a limit, from where on a percentage says little


@dataclass(frozen=True, slots=True)
class Budget:
    """A condition with the words that asked for it; ``limit`` is the most that its one column may be, if it is that."""

    label: str
    condition: Condition
    limit: float | None = None

    def holds(self, candidates: Candidates, baseline: Mapping[str, Any]) -> Bools:
        """Return which of *candidates* meet it; changes are those from *baseline*.

        Raises:
            UsageError: it is of joules, and the accelerator's energy table is relative.
        """
        names = candidates.names
        if "energy_uj" in self.condition.names and np.isnan(names["energy_uj"]).all():
            raise UsageError(
                f"{self.label}: {without_joules(candidates.accelerator)}; "
                "allowed: energy in MAC-equivalents (energy_mac_equiv), such as 2G"
            )
        blocks = {name: None for name in names if name not in measure_names()}
        return np.asarray(self.condition.holds(names, {**blocks, **baseline}), np.bool_)


def budget_where(text: str, stages: int) -> Budget:
    """Return the budget that a condition on columns says, as ``dram_bytes <= 4MiB`` or ``latency_us < -5%``.

    Raises:
        UsageError: it is no condition.
    """
    return Budget(f"--where {text!r}", parse(text, _names(stages), units_by_name()))


def at_most(option: str, text: str) -> Budget:
    """Return the budget of ``--max-params``, ``--max-macs``, ``--max-latency`` or ``--max-energy``.

    Energy is in J where the number has that unit, otherwise in MAC-equivalents.

    Raises:
        UsageError: *text* is no number of that quantity above 0.
    """
    column = LIMITS[option]
    if column == "energy_mac_equiv" and text.strip().endswith("J"):
        column = "energy_uj"
    try:
        limit = quantity(text, column, units_by_name())
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None
    if limit <= 0:
        raise UsageError(f"{option} {text}: nothing costs so little; allowed: a number above 0")
    return Budget(f"{option} {text}", parse(f"{column} <= {limit!r}", measure_names()), limit)


LIMITS = {
    "--max-params": "params",
    "--max-macs": "macs",
    "--max-latency": "latency_us",
    "--max-energy": "energy_mac_equiv",
}


def within(
    candidates: Sequence[Candidates], budgets: Sequence[Budget], baselines: Sequence[Mapping[str, Any]]
) -> list[Candidates]:
    """Return those of *candidates*, an entry for each accelerator, that meet all *budgets*.

    Raises:
        UsageError: there is none on any accelerator; the line says which budget is the tightest and how near the
            nearest allocation comes.
    """
    if not budgets:
        return list(candidates)
    met = [
        np.stack([budget.holds(part, baseline) for budget in budgets])
        for part, baseline in zip(candidates, baselines, strict=True)
    ]
    if not any(mask.all(axis=0).any() for mask in met):
        raise UsageError(_nothing(candidates, budgets, met))
    return [part.kept(np.asarray(mask.all(axis=0))) for part, mask in zip(candidates, met, strict=True)]


def _nothing(candidates: Sequence[Candidates], budgets: Sequence[Budget], met: Sequence[Bools]) -> str:
    alone = np.sum([mask.sum(axis=1) for mask in met], axis=0)
    tightest = int(np.argmin(alone))
    budget = budgets[tightest]
    count = sum(map(len, candidates))
    text = f"no allocation meets {budget.label}"
    if len(budgets) > 1:
        text = f"no allocation meets all {len(budgets)} budgets; the tightest is {budget.label}, which alone "
        text += f"{alone[tightest] or 'none'} of {count:,} meet"
    if budget.limit is None:
        return text
    others = [np.asarray(np.delete(mask, tightest, axis=0).all(axis=0)) for mask in met]
    joint = len(budgets) > 1 and any(mask.any() for mask in others)
    (column,) = budget.condition.names
    nearest = min(
        (
            (float(part.measures[column][row]), part.accelerator.name, tuple(part.depth[row].tolist()))
            for part, mask in zip(candidates, others, strict=True)
            for row in [_least(part.measures[column], mask if joint else np.ones_like(mask))]
            if row is not None
        ),
    )
    value, accelerator, depth = nearest
    which = "the nearest that meets the others" if joint else "the nearest"
    ratio = value / budget.limit
    over = f"{units.share(ratio - 1)} above" if ratio < _FAR else f"{ratio:,.0f} times as much"
    return (
        f"{text}; {which}, {'-'.join(map(str, depth))} on {accelerator}, has {column} = {value:,.10g}, {over}"
    )


def _least(column: Any, mask: Bools) -> int | None:
    index = np.flatnonzero(mask)
    return int(index[np.argmin(column[index])]) if len(index) else None


def _names(stages: int) -> list[str]:
    return [*measure_names(), "blocks", *(f"stage{number}" for number in range(1, stages + 1))]


def aims(
    sort: str, objectives: str | Sequence[str] | None, accelerators: Sequence[Accelerator], stages: int
) -> tuple[str, ...]:
    """Return *objectives*, by default those of ``OBJECTIVES`` that a network of so many *stages* has.

    Raises:
        UsageError: one of them or *sort* is not in ``measure_names`` or has no values: µJ where an energy table is
            relative, the share of late stages of a network of one; an objective is named twice, or there is none.
    """
    if objectives is None:
        found = tuple(name for name in OBJECTIVES if name != "late_share" or stages > 1)
    else:
        found = (objectives,) if isinstance(objectives, str) else tuple(objectives)
    check_column("column to sort by", sort, measure_names())
    check_objectives(found, measure_names())
    for what, name in (("column to sort by", sort), *(("objective", name) for name in found)):
        if why := _without_values(name, accelerators, stages):
            raise UsageError(f"{what} {name!r}: {why}")
    return found


def _without_values(name: str, accelerators: Sequence[Accelerator], stages: int) -> str:
    """Why no allocation has a value of *name*; empty where they have."""
    relative = [*filter(None, map(without_joules, accelerators))]
    if name == "energy_uj" and relative:
        return f"{relative[0]}; allowed: energy_mac_equiv"
    if name == "late_share" and stages == 1:
        others = ", ".join(each for each in measure_names() if each != name)
        return f"a network of one stage has no late ones; allowed: {others}"
    return ""


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
        left_out: how many allocations do not fit a memory of the accelerator.
    """

    accelerator: Accelerator
    candidates: Candidates
    standings: Sequence[Standing]
    moves: Sequence[Move] | None
    sums: Sequence[Sums | Paths]
    left_out: int = 0

    @property
    def misfits(self) -> str:
        """How many allocations were left out, as a sentence; empty where none was."""
        if not self.left_out:
            return ""
        count = units.plural(self.left_out, "allocation")
        verb = "does" if self.left_out == 1 else "do"
        return f"{count} {verb} not fit the memories of {self.accelerator.name} (memory.stores)"

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
    for accelerator in accelerators:
        if accelerator.memory.prefetch != "none":
            raise UsageError(
                f"{accelerator.name}: memory.prefetch {accelerator.memory.prefetch!r}; allowed: none: allocate adds up "
                "blocks, and what is loaded ahead depends on the block before"
            )
        if accelerator.mapper.objective == "edp":
            raise UsageError(
                f"{accelerator.name}: mapper.objective 'edp'; allowed: latency, energy: allocate adds up blocks, and "
                "by edp a block's cost depends on the rest of the network"
            )
    spec = networks.parse_model(model)
    depth, option = networks.depth_of(spec), networks.option_of(spec.entry)
    wanted = aims(sort, objectives, accelerators, len(depth))
    space = Space.of(depth, low=int(option.low), high=int(option.high), blocks=blocks, stages=stages)
    found = networks.bases(spec, choices or {})
    limits = budgets(len(depth))
    _check_size(space, len(found), len(accelerators))
    named = points(spec, found, space)
    pieces = _pieces(space, depth, found, named, cache, progress)
    beside = {point.name: load(str(point.spec), cache=cache).fused for point in named if point.base is None}
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
    """Allocations on one accelerator, the sums that they are of, and what the points cost, by name.

    How many were left out, since they do not fit a memory.
    """

    candidates: Candidates
    sums: Sequence[Sums | Paths]
    known: Mapping[str, Mapping[str, Any]]
    left_out: int


def _costed(
    accelerator: Accelerator,
    found: Sequence[Base],
    space: Space,
    pieces: Sequence[Pieces],
    beside: Mapping[str, Network],
    named: Sequence[Point],
) -> _Costed:
    sums: list[Sums | Paths]
    depths = space.depths()
    own, accelerator = accelerator, without_sizes(accelerator)
    accelerator = with_all_weights(accelerator, pieces, beside.values(), depths)
    if Machine.of(accelerator).keeps_maps:
        sums = [Paths.of(part, accelerator) for part in pieces]
        others = [evaluate(network.layers, [accelerator]) for network in beside.values()]
    else:
        costs = costs_of([*(part.network for part in pieces), *beside.values()], accelerator)
        sums = [Sums.of(part, cost, accelerator) for part, cost in zip(pieces, costs, strict=False)]
        others = costs[len(pieces) :]
    known = {
        name: totals_of(network, cost, accelerator, len(space.least))
        for (name, network), cost in zip(beside.items(), others, strict=True)
    }
    for point in named:
        if point.base is not None:
            (known[point.name],) = to_rows(measures(sums[point.base], np.array([point.depth], np.int64)))
    candidates = replace(Candidates.of(accelerator, found, sums, depths), accelerator=own)
    fits = np.concatenate([fitting(part, own, depths) for part in pieces])
    if not fits.any():
        raise UsageError(f"{own.name}: no allocation fits its memories (memory.stores)")
    left_out = len(fits) - int(fits.sum())
    return _Costed(
        candidates=candidates.kept(fits) if left_out else candidates,
        sums=sums,
        known=known,
        left_out=left_out,
    )


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
        left_out=costed.left_out,
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


@formerly(model="network", hw="accelerators")
def allocate(
    network: str,
    accelerators: GivenAccelerator | Iterable[GivenAccelerator],
    *,
    blocks: int | None = None,
    stages: Sequence[tuple[int, int]] | None = None,
    options: Choices | None = None,
    where: str | Sequence[str] = (),
    objectives: str | Sequence[str] | None = None,
    sort: str = "latency_us",
    cache: bool = True,
) -> pd.DataFrame:
    """Return every way to spread the blocks of a network over its stages, one row for each and each accelerator.

    What a stage costs is the sum of its blocks, so that the network is traced and costed once, at its deepest:
    counts, cycles and bytes are those that ``simulate`` gives for the network itself, energy is the same but for
    rounding.

    Columns: ``accelerator``, those of *options*, ``depth`` (a tuple of blocks by stage), ``blocks``, those of
    ``Report.totals``, ``late_share`` (share of the last half of the stages in the params of all stages, a stand-in for
    capacity and no accuracy), ``pareto`` and ``published`` (the built-in network that a row is).

    Its ``attrs`` hold what the command prints below, as lists of rows: ``networks``, this and published networks
    with their ``place`` by *sort*, and ``moves`` of blocks from this one that gain most, with relative ``changes``;
    ``left_out``, by accelerator how many allocations do not fit a memory with a size.

    Args:
        network: the name of a built-in network with a depth, with or without ``@option=value,…``.
        accelerators: one or several, their names or the paths of their files.
        blocks: blocks in all stages together; those of *network*, unless *stages* is given.
        stages: the least and the greatest number of blocks of each stage.
        options: values of other options, each combination of which is tried, as ``{"conv1": [5, 7], "width": 1.5}``;
            ``resolution`` is the side of the input.
        where: conditions that rows meet, such as ``"latency_us <= 1.3ms"``; changes, as in ``"params < +5%"``, are
            from *network*; ``stage1`` … are the blocks of a stage.
        objectives: columns of which ``pareto`` says that no other row of the accelerator is better in one and as good
            in the others; more is better of ``utilization``, ``efficiency`` and ``late_share``. By default latency,
            energy in MAC-equivalents, params, MACs and the late share.
        sort: the column by which each accelerator's rows are ordered, the best first.
        cache: keep and read traced networks on disk.

    Raises:
        ModelError: there is no such network, it has no blocks to allocate, or its costs are no sum over them.
        UsageError: *network* is no name; there are no allocations, none that meets *where*, or over 2,000,000 rows.
        HardwareError: a layer does not fit a buffer.

    Example:
        >>> import squeezesim as sq
        >>> len(sq.allocate("squeezenext_23_v5", "squeezelerator_16x16", blocks=21))
        1140
    """
    import pandas as pd

    machines = accelerators_of(accelerators)
    if not machines:
        raise UsageError("no accelerator is given; allowed: at least one")
    conditions = [where] if isinstance(where, str) else list(where)
    done = study(
        network,
        machines,
        blocks=blocks,
        stages=stages,
        choices=options,
        budgets=lambda count: [budget_where(text, count) for text in conditions],
        objectives=objectives,
        sort=sort,
        cache=cache,
    )
    table = pd.concat(
        [pd.DataFrame(result.candidates.columns()) for result in done.results], ignore_index=True
    )
    table.attrs["networks"] = [
        {"accelerator": result.accelerator.name, **standing.record}
        for result in done.results
        for standing in result.standings
    ]
    table.attrs["left_out"] = {result.accelerator.name: result.left_out for result in done.results}
    table.attrs["moves"] = [
        {"accelerator": result.accelerator.name, **move.record}
        for result in done.results
        for move in result.moves or ()
    ]
    return results(table, f"{done.model}: {len(table):,} allocations")
