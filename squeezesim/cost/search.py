"""The search: the best tiling of every problem on every machine of a family, by branch and bound.

The objective is never below its bound, so that a tiling whose bound exceeds an incumbent cannot be the best and is not
played. The most promising tilings are played first: their values rule out the others. The result equals that of playing
every tiling of every dataflow on each machine by itself:

    objective   least of all tilings, ties in the order      with slack s, of the tilings within (1 + s) of the least
    latency     cycles, energy, DRAM traffic                 DRAM traffic, cycles, energy
    energy      energy, cycles, DRAM traffic                 no slack: DRAM traffic has its price in the energy
    edp         weighted sum, cycles, DRAM traffic           no slack

The sum of cycles and energy has the weights under which a network's (Σ cycles) · (Σ energy) is least (``product``).
Then comes the first dataflow, then the first in the order of enumeration. So no tiling that is taken is dominated: no
other, with slack no other within it, has as few cycles, as little energy and as little traffic, and less of one.
Energies are sums of floats: those that differ by 1e-12 are equal.

Machines are searched in clusters of similar ones. No machine of a cluster is better in any number than its
``Rates.optimistic`` machine: bounds on that one decide for all of them which tilings can be left alone (``prune``). The
rest are bounded for each machine, as pairs of a machine and a candidate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost import compiled
from squeezesim.cost.array_costs import DataflowCosts
from squeezesim.cost.bounds import OptionSpace, Space
from squeezesim.cost.branching import MachineCandidatePairs, Player, branch_and_bound, minimise_traffic
from squeezesim.cost.candidates import Candidates, DataflowBounds, Tilings
from squeezesim.cost.dataflow import Dataflow, flows_of
from squeezesim.cost.energy import AccessBits, Bits, add_bits, layer_energy, level_bits, total
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import MapSpace
from squeezesim.cost.pipeline import Points, Schedule, Timing, concat, schedule_of
from squeezesim.cost.problem import Bools, Floats, Ints, Workload
from squeezesim.cost.product import least_product
from squeezesim.cost.prune import PROMISING, BoundedTilings, OptionBounds
from squeezesim.cost.rates import EDP, ENERGY, LATENCY, Rates, clusters, in_order
from squeezesim.cost.traffic import AXES, MODES, ORDERS, Mode, capacity


class ScheduleCache:
    """The schedule of each tiling, made once, and the exact value of the objective that follows from it."""

    def __init__(self, flow: DataflowCosts) -> None:
        self.flow = flow
        pixels, channels = np.diff(flow.space.pixels.offsets), np.diff(flow.space.channels.offsets)
        counts = len(MODES) * pixels * channels
        self._begins = np.cumsum(counts) - counts
        self._keys = np.empty(0, np.int64)  # ascending
        self._slots = np.empty(0, np.int64)
        self.schedule: Schedule | None = None
        self._levels: Bits | None = None

    def slots(self, tilings: Tilings) -> Ints:
        """Points of ``schedule`` that *tilings* are."""
        keys, first, inverse = np.unique(self._key(tilings), return_index=True, return_inverse=True)
        missing = np.append(self._keys, -1)[np.searchsorted(self._keys, keys)] != keys
        if missing.any():
            added = keys[missing]
            slots = np.arange(len(added)) + len(self._keys)
            self._add(tilings.take(first[missing]), several=len(inverse) > 2 * len(keys))
            merged = np.concatenate([self._keys, added])
            order = np.argsort(merged)
            self._keys, self._slots = merged[order], np.concatenate([self._slots, slots])[order]
        return self._slots[np.searchsorted(self._keys, keys)][inverse]

    def measures(
        self, candidates: Candidates, which: Ints, rates: Rates, *, energy: bool = True
    ) -> dict[str, Floats]:
        """Cycles of candidate ``which[i]`` on machine i of *rates*; with *energy* it and their weighted sum too."""
        tilings = candidates.tilings.take(which)
        slots = self.slots(tilings)
        assert self.schedule is not None
        cycles = self.schedule.cycles(slots, rates)
        found: dict[str, Floats] = {LATENCY: cycles.astype(np.float64)}
        if energy:
            if self._levels is None:
                levels = level_bits(self.access_bits(tilings))
            else:
                levels = {key: bits[slots] for key, bits in self._levels.items()}
            transfers = {key: bits[which] for key, bits in candidates.transfers.items()}
            problem, executed = self.flow.space.work.take(tilings.row), self.flow.executed[tilings.row]
            spent = total(layer_energy(problem, add_bits(levels, transfers), executed, cycles, rates))
            found |= {ENERGY: spent, EDP: rates.value(cycles, spent)}
        return found

    def values(self, candidates: Candidates, which: Ints, rates: Rates) -> Floats:
        """The objective of candidate ``which[i]`` on machine i of *rates*."""
        objective = self.flow.objective
        return self.measures(candidates, which, rates, energy=objective != LATENCY)[objective]

    def timing(self, tilings: Tilings, rates: Rates) -> Timing:
        """Where the cycles of tiling i on machine i of *rates* go."""
        slots = self.slots(tilings)
        assert self.schedule is not None
        return self.schedule.timing(slots, rates)

    def access_bits(self, tilings: Tilings) -> AccessBits:
        """Bits that the array moves in whole layers."""
        _, first, inverse = np.unique(self._key(tilings), return_index=True, return_inverse=True)
        found = self.flow.access_bits(tilings.pixel[first], tilings.channel[first])
        return {access: bits[inverse] for access, bits in found.items()}

    def _add(self, tilings: Tilings, *, several: bool) -> None:
        """Make the schedules of *tilings*; those for *several* machines with as few rows as can be."""
        space = self.flow.space
        pixel, channel = tilings.pixel, tilings.channel
        points = Points(space.work.take(tilings.row), tilings.mode, space.tile_sizes(pixel, channel))
        schedule = schedule_of(points, self.flow.flow, space.machine)
        schedule = schedule.merge_rows() if several else schedule
        self.schedule = schedule if self.schedule is None else concat(self.schedule, schedule)
        if self.flow.objective != LATENCY:
            bits, old = level_bits(self.flow.access_bits(pixel, channel)), self._levels
            self._levels = (
                bits if old is None else {key: np.concatenate([old[key], bits[key]]) for key in bits}
            )

    def _key(self, tilings: Tilings) -> Ints:
        """A number for each tiling, over all problems."""
        return np.asarray(self._begins[tilings.row] + tilings.number)


EQUAL = 1 + 1e-12
"""Ratio of energies that are the same but for rounding."""

TRAFFIC = "traffic"
"""DRAM bits, beside the objectives."""

BY_VALUE: Mapping[str, tuple[str, ...]] = {
    LATENCY: (LATENCY, ENERGY, TRAFFIC),
    ENERGY: (ENERGY, LATENCY, TRAFFIC),
    EDP: (EDP, LATENCY, ENERGY, TRAFFIC),
}
"""By which measures tilings are compared, one after the other, by objective."""

WITHIN_SLACK: Mapping[str, tuple[str, ...]] = {LATENCY: (TRAFFIC, LATENCY, ENERGY)}
"""The same of tilings within the slack; an objective that is not here has none."""


def is_less(one: Any, other: Any, name: str) -> Any:
    """Return whether measure *name* is less, rounding apart."""
    return one * (EQUAL if name in (ENERGY, EDP) else 1.0) < other


def compared(
    one: Mapping[str, Floats], other: Mapping[str, Floats], order: Sequence[str]
) -> tuple[Bools, Bools]:
    """Return whether *one* is less in the first measure of *order* that differs, and whether none differs.

    Example:
        >>> before, equal = compared({"latency": np.array([1.0, 2.0])}, {"latency": np.array([2.0, 2.0])}, ["latency"])
        >>> before.tolist(), equal.tolist()
        ([True, False], [False, True])
    """
    before = np.zeros(one[order[0]].shape, np.bool_)
    equal = ~before
    for name in order:
        less = is_less(one[name], other[name], name)
        before |= equal & less
        equal &= ~less & ~is_less(other[name], one[name], name)
    return before, equal


def totals(measures: Mapping[str, Floats], counts: Ints | int = 1) -> Floats:
    """Return Σ cycles and Σ energy, (machines, 2), *counts* times each problem.

    Example:
        >>> totals({"latency": np.ones((1, 3)), "energy": np.full((1, 3), 2.0)}, np.array([1, 1, 2])).tolist()
        [[4.0, 8.0]]
    """
    return np.stack([(measures[name] * counts).sum(axis=-1) for name in (LATENCY, ENERGY)], axis=-1)


_TILINGS = 1 << 18  # candidates that are held at once, a problem's more or less
_SOME = 32  # tilings of each problem that are left; more are worth it to play the most promising before
_MANY = 1 << 7  # tilings of a problem of which more than one is played first
_BOUNDS = 1 << 22  # of candidates on machines that are held at once
_MOST_MAPPED = 1 << 22
"""Most tilings of a problem where a mapping is searched for each tile, as by `rs`; of more a selection is tried."""

_MOST_ON_UNITS = 1 << 20
"""The same on units, of whose tilings many may be within a few cycles of each other."""


class Choice(NamedTuple):
    """The tiling taken for each machine and problem, (machines, problems)."""

    measures: dict[str, Floats]
    flow: Ints  # index of the dataflow
    mode: Ints
    pixel: Ints
    channel: Ints
    number: Ints

    def tilings(self, machine: Ints, row: Ints) -> Tilings:
        """The tilings taken on *machine* for problems *row*."""
        return Tilings(row, *(column[machine, row] for column in self[2:]))


class BoundedSearch:
    """The search in NumPy, by bounds on sets of tilings; ``Search`` says what is searched."""

    def __init__(self, space: Space, dataflows: Sequence[Dataflow]) -> None:
        self.space = space
        self.flows = [DataflowBounds(space, flow) for flow in dataflows]
        self.caches = [ScheduleCache(flow) for flow in self.flows]
        self._optimistic: tuple[Rates, Rates] | None = None
        self._ceiling: Floats = np.empty((0, 0))
        # Tilings of each dataflow that are played before the others are bounded, by pixel and channel option.
        self._played: list[list[tuple[Ints, Ints]]] = []

    def choose(self, rates: Rates, ceiling: Floats | None = None) -> Choice:
        """As ``Search.choose``."""
        shape, objective = (len(rates), len(self.space.work)), self.space.machine.objective
        measures = {name: np.full(shape, np.inf) for name in (LATENCY, ENERGY, EDP, TRAFFIC)}
        choice = Choice(measures, *(np.zeros(shape, np.int64) for _ in range(5)))
        self._played = [[] for _ in self.flows]
        self._ceiling = np.full(shape, np.inf) if ceiling is None else ceiling
        incumbent, options = self._incumbents(rates)
        for number in range(len(self.flows)):
            for candidates in self._survivors(number, options[number], rates, incumbent):
                for part in _parts(len(rates), candidates):
                    self._choose_best(number, candidates, rates, part, incumbent, choice)
        slack = np.where(objective in WITHIN_SLACK, rates.slack, 0.0)[:, None]
        if np.any(slack > 0):
            limit = np.where(slack > 0, (1 + slack) * choice.measures[objective], -np.inf)
            limit = np.minimum(limit, self._ceiling)
            provisional = np.broadcast_to(slack > 0, shape).copy()
            for number in range(len(self.flows)):
                reached = (choice.measures[name] for name in (TRAFFIC, objective))
                moved, value = (np.where(slack > 0, values, -np.inf).max(axis=0) for values in reached)
                for candidates in self._within(
                    number, options[number], rates, limit.max(axis=0), moved, value
                ):
                    for part in _parts(len(rates), candidates):
                        self._choose_within(number, candidates, rates, part, limit, choice, provisional)
        return choice

    def _incumbents(self, rates: Rates) -> tuple[Floats, list[OptionBounds]]:
        """Values that some tiling reaches, (dataflows, machines, problems), and bounds of options.

        A dataflow that can never come near what another one reaches is left alone: its values are inf.
        """
        ideal = self._ideal(rates)
        incumbent = np.full((len(self.flows), len(rates), len(self.space.work)), np.inf)
        options = [OptionBounds(flow, ideal) for flow in self.flows]
        floors = np.array([option_bounds.floor for option_bounds in options])
        first = floors.argmin(axis=0)
        for number, option_bounds in enumerate(options):
            self._probe(number, option_bounds, np.flatnonzero(first == number), rates, incumbent)
        near = np.minimum(incumbent.min(axis=0), self._ceiling).max(axis=0)
        for number, option_bounds in enumerate(options):
            others = np.flatnonzero((first != number) & (floors[number] <= near))
            self._probe(number, option_bounds, others, rates, incumbent)
        return incumbent, options

    def _ideal(self, rates: Rates) -> Rates:
        """The machine that none of *rates* is better than."""
        if self._optimistic is None or self._optimistic[0] is not rates:
            self._optimistic = rates, rates.optimistic()
        return self._optimistic[1]

    def _probe(self, number: int, options: OptionBounds, rows: Ints, rates: Rates, incumbent: Floats) -> None:
        """Play a promising tiling of each of the problems *rows* on all machines."""
        if len(rows) == 0:
            return
        room = capacity(self.space.machine, rates)
        # Where room differs, also one that every machine has room for.
        found = [options.descend(rows, most) for most in sorted({room.max(), room.min()}, reverse=True)]
        pixel, channel = (np.concatenate(part) for part in zip(*found, strict=True))
        self._play(number, options, pixel, channel, rates, incumbent)

    def _play(
        self, number: int, options: OptionBounds, pixel: Ints, channel: Ints, rates: Rates, incumbent: Floats
    ) -> None:
        """Play single tilings on all machines, each in the most promising of the modes that have room."""
        flow, space = self.flows[number], self.space
        room = capacity(space.machine, rates)
        candidates = self._candidates_of(number, rates, space.pixels.owner[pixel], pixel, channel)
        tilings = candidates.tilings
        bound = candidates.values(flow.objective, space.work, options.ideal)[0]
        group = np.cumsum(
            np.diff(tilings.pixel, prepend=-1).astype(bool)
            | np.diff(tilings.channel, prepend=-1).astype(bool)
        )
        ranked = np.lexsort((bound, group))
        chosen = []
        for most in {room.min(), room.max()}:
            fitting = ranked[candidates.footprint[ranked] <= most]
            chosen.append(fitting[np.flatnonzero(np.diff(group[fitting], prepend=-1))])
        every = np.concatenate(chosen)
        if len(every) == 0:  # what is required does not stay in any mode
            return
        self._played[number].append((pixel, channel))
        machine, which = np.nonzero(candidates.footprint[every] <= room[:, None])
        value = self.caches[number].values(candidates, every[which], rates.take(machine))
        np.minimum.at(incumbent[number], (machine, tilings.row[every][which]), value)

    def _survivors(
        self, number: int, options: OptionBounds, rates: Rates, incumbent: Floats
    ) -> Iterator[Candidates]:
        """Tilings of a dataflow whose bounds do not exceed what some tiling reaches, some problems at a time.

        Where there is slack on all machines those come first that reach it, then those that can be better: which of
        equally fast ones is taken is asked within the slack.
        """
        objective, owner = self.space.machine.objective, self.space.pixels.owner
        step = 1.0 if objective in WITHIN_SLACK and np.all(rates.slack > 0) else 0.0

        def reached() -> Floats:
            limit: Floats = np.minimum(incumbent.min(axis=0), self._ceiling).max(axis=0) - step
            limit[np.isinf(incumbent[number].max(axis=0))] = -np.inf  # a dataflow that was left alone
            return limit

        limit = reached()
        found = options.most_promising(limit)
        if len(found.row):
            self._play(number, options, found.pixel, found.channel, rates, incumbent)
            limit = reached()
        found = options.tighten(options.within_limits(limit))
        counts = np.bincount(found.row, minlength=len(limit))
        first = found.first(np.where(counts[found.row] > _MANY, PROMISING, 1))
        if len(found.row) > _SOME * len(first.row):
            self._play(number, options, first.pixel, first.channel, rates, incumbent)
            limit = reached()
        if step and self._played[number]:
            pixel, channel = (np.concatenate(part) for part in zip(*self._played[number], strict=True))
            pixel, channel = np.unique([pixel, channel], axis=1)
            yield self._candidates_of(number, rates, owner[pixel], pixel, channel)
        yield from self._candidates(number, rates, found.take(found.bound <= limit[found.row]))

    def _within(
        self,
        number: int,
        options: OptionBounds,
        rates: Rates,
        limit: Floats,
        moved: Floats,
        value: Floats,
    ) -> Iterator[Candidates]:
        """Tilings of a dataflow with bounds up to *limit* of their problem, those that move *moved* up to *value*."""
        found = options.within_limits(limit, moved, value)
        yield from self._candidates(number, rates, options.tighten(found))

    def _candidates(self, number: int, rates: Rates, found: BoundedTilings) -> Iterator[Candidates]:
        """The tilings *found* in their modes, some problems at a time."""
        counts = np.bincount(found.row, minlength=len(self.space.work))
        parts = np.cumsum(counts) // _TILINGS
        for part in np.unique(parts[found.row]).tolist():
            some = found.take(parts[found.row] == part)
            yield self._candidates_of(number, rates, some.row, some.pixel, some.channel)

    def _candidates_of(self, number: int, rates: Rates, row: Ints, pixel: Ints, channel: Ints) -> Candidates:
        room = capacity(self.space.machine, rates)
        rooms = float(room.min()), float(room.max())
        return self.flows[number].candidates(row, pixel, channel, *rooms, self._ideal(rates))

    def _choose_best(
        self,
        number: int,
        candidates: Candidates,
        rates: Rates,
        part: slice,
        incumbent: Floats,
        choice: Choice,
    ) -> None:
        """Play the candidates that can be the best on machines *part* and enter those that are into *choice*."""
        rates, row = rates.take(part), candidates.tilings.row
        least = np.minimum(incumbent[:, part].min(axis=0), self._ceiling[part])
        pairs = self._pairs(number, candidates, rates, least)
        if pairs is None:
            return
        branch_and_bound(
            pairs,
            least[pairs.machine[pairs.starts], row[pairs.candidate[pairs.starts]]],
            self._player(number, candidates, rates, part, pairs, choice),
        )
        best = pairs.least(pairs.value)
        played = np.isfinite(best)
        where = pairs.machine[pairs.starts][played], row[pairs.candidate[pairs.starts]][played]
        own = incumbent[number, part]
        own[where] = np.minimum(own[where], best[played])
        finalists = np.flatnonzero(np.isfinite(pairs.value) & (pairs.value <= best[pairs.segment] * EQUAL))
        order = BY_VALUE[self.space.machine.objective]
        self._enter(number, candidates, rates, part, pairs, finalists, order, choice)

    def _choose_within(
        self,
        number: int,
        candidates: Candidates,
        rates: Rates,
        part: slice,
        limit: Floats,
        choice: Choice,
        provisional: Bools,
    ) -> None:
        """Enter the candidates within *limit* that are better there on machines *part* into *choice*.

        What is *provisional* there gives way to its equals: ties at the least value were not all looked at.
        """
        rates, row, objective = rates.take(part), candidates.tilings.row, self.space.machine.objective
        reached = tuple(choice.measures[name][part] for name in (TRAFFIC, objective))
        pairs = self._pairs(number, candidates, rates, limit[part], reached)
        if pairs is None:
            return
        where = pairs.machine[pairs.starts], row[pairs.candidate[pairs.starts]]
        of_segment = limit[part][where]
        moved, value = (choice.measures[name][part][where] for name in (TRAFFIC, objective))
        player = self._player(number, candidates, rates, part, pairs, choice, within=True)
        minimise_traffic(pairs, of_segment, moved, value, player)
        finalists = np.flatnonzero(np.isfinite(pairs.value) & (pairs.value <= of_segment[pairs.segment]))
        order = WITHIN_SLACK[objective]
        self._enter(number, candidates, rates, part, pairs, finalists, order, choice, provisional)

    def _player(
        self,
        number: int,
        candidates: Candidates,
        rates: Rates,
        part: slice,
        pairs: MachineCandidatePairs,
        choice: Choice,
        *,
        within: bool = False,
    ) -> Player:
        """What is found out of *pairs*; *within* the slack those that tie have the same traffic."""
        flow, cache, work = self.flows[number], self.caches[number], self.space.work

        def play(index: Ints) -> Floats:
            return cache.values(candidates, pairs.candidate[index], rates.take(pairs.machine[index]))

        def refine(index: Ints) -> Floats:
            which, inverse = np.unique(pairs.candidate[index], return_inverse=True)
            machines, of_machine = np.unique(pairs.machine[index], return_inverse=True)
            bound = flow.refined(candidates.take(which)).values(flow.objective, work, rates.take(machines))
            return np.asarray(bound[of_machine, inverse])

        def may_tie(index: Ints, value: Floats) -> Bools:
            if flow.objective != LATENCY:
                return np.ones(len(index), np.bool_)
            segment, machine = pairs.segment[index], pairs.machine[pairs.starts]
            where = machine, candidates.tilings.row[pairs.candidate[pairs.starts]]
            before = {name: values[part][where] for name, values in choice.measures.items()}
            entered, played = before[LATENCY] == value, pairs.value == value[pairs.segment]
            if within:
                least = np.full(len(machine), np.inf)
                least[segment] = pairs.traffic[index]
                entered &= before[TRAFFIC] == least
                played &= pairs.traffic == least[pairs.segment]
            best, found = np.where(entered, before[ENERGY], np.inf), np.flatnonzero(played)
            if len(found):
                machines = rates.take(pairs.machine[found])
                spent = cache.measures(candidates, pairs.candidate[found], machines)[ENERGY]
                np.minimum.at(best, pairs.segment[found], spent)
            if not within:  # which of them comes first is asked again within the slack
                best[np.isfinite(best) & (rates.slack[machine] > 0)] = -np.inf
            result, open_ones = np.isinf(best[segment]) & (best[segment] > 0), np.isfinite(best[segment])
            some = index[open_ones]
            if len(some):
                of = pairs.candidate[some], value[pairs.segment[some]], rates.take(pairs.machine[some])
                result[open_ones] = flow.energy_at_least(candidates, *of) <= best[segment[open_ones]] * EQUAL
            return result

        return Player(play, refine, may_tie)

    def _enter(
        self,
        number: int,
        candidates: Candidates,
        rates: Rates,
        part: slice,
        pairs: MachineCandidatePairs,
        finalists: Ints,
        order: Sequence[str],
        choice: Choice,
        provisional: Bools | None = None,
    ) -> None:
        """Enter the first *finalist* of each segment, by measures in *order*, where it comes before the choice."""
        if len(finalists) == 0:
            return
        if order[0] == TRAFFIC:  # energies are wanted of few
            finalists = _least(pairs.segment[finalists], finalists, pairs.traffic[finalists])
            finalists = _least(pairs.segment[finalists], finalists, pairs.value[finalists])
        which = pairs.candidate[finalists]
        found = self.caches[number].measures(candidates, which, rates.take(pairs.machine[finalists]))
        found[TRAFFIC] = pairs.traffic[finalists].astype(np.float64)
        left = np.arange(len(finalists))
        for name in order:
            left = _least(pairs.segment[finalists[left]], left, found[name][left], name)
        left = _least(pairs.segment[finalists[left]], left, pairs.number[finalists[left]])
        taken = finalists[left]
        where = pairs.machine[taken] + part.start, candidates.tilings.row[pairs.candidate[taken]]
        ours = {name: found[name][left] for name in order}
        before, equal = compared(ours, {name: choice.measures[name][where] for name in order}, order)
        if provisional is not None:
            before |= equal & provisional[where]
        where = where[0][before], where[1][before]
        if provisional is not None:
            provisional[where] = False
        for name, values in choice.measures.items():
            values[where] = found[name][left[before]]
        choice.flow[where] = number
        tilings = candidates.tilings.take(pairs.candidate[taken[before]])
        for column, entries in zip(choice[2:], tilings[1:], strict=True):
            column[where] = entries

    def _pairs(
        self,
        number: int,
        candidates: Candidates,
        rates: Rates,
        limit: Floats,
        reached: tuple[Floats, ...] = (),
    ) -> MachineCandidatePairs | None:
        """The candidates that fit a machine and do not exceed its limit, nor come after traffic and value *reached*."""
        tilings = candidates.tilings
        room = capacity(self.space.machine, rates)
        bound = candidates.values(self.flows[number].objective, self.space.work, rates)
        wanted = (candidates.footprint <= room[:, None]) & (bound <= limit[:, tilings.row])
        if reached:
            moved, value = (values[:, tilings.row] for values in reached)
            wanted &= (candidates.traffic < moved) | ((candidates.traffic == moved) & (bound <= value))
        machine, candidate = np.nonzero(wanted)
        if len(machine) == 0:
            return None
        row = tilings.row[candidate]
        begins = (np.diff(machine, prepend=-1) != 0) | (np.diff(row, prepend=-1) != 0)
        return MachineCandidatePairs(
            machine=machine,
            candidate=candidate,
            bound=bound[wanted],
            traffic=candidates.traffic[candidate],
            number=tilings.number[candidate],
            value=np.full(len(machine), np.inf),
            segment=np.cumsum(begins) - 1,
            starts=np.flatnonzero(begins),
        )


def _parts(machines: int, candidates: Candidates) -> Iterator[slice]:
    """Parts of the machines that are searched beside the candidates at once."""
    size = max(_BOUNDS // max(len(candidates), 1), 1)
    for start in range(0, machines, size):
        yield slice(start, start + size)


def _least(segment: Ints, index: Ints, values: Any, name: str = "") -> Ints:
    """Of *index* those whose values are the least of their segment; *segment* ascends."""
    begins = np.flatnonzero(np.diff(segment, prepend=-1))
    least = np.repeat(np.minimum.reduceat(values, begins), np.diff(np.append(begins, len(segment))))
    return np.asarray(index[~is_less(least, values, name)])


class Search:
    """The search for one family of machines, which share the space of tilings and the schedules played so far.

    No machine's buffer has more than *room* bits for tiles. *dataflows* are by default those of the family, *options*
    and loop *orders* all that there are. Each element of *required* operands is loaded once. The compiled core
    searches the dataflows that it knows.
    """

    def __init__(
        self,
        work: Workload,
        machine: Machine,
        room: float,
        dataflows: Sequence[Dataflow] = (),
        options: MapSpace | None = None,
        orders: Sequence[str] = ORDERS,
        required: Sequence[str] = (),
    ) -> None:
        dataflows = dataflows or list(flows_of(machine).values())
        mapped = any(flow.bounds.exact is False for flow in dataflows)
        units = {unit.name for unit in machine.units} & {flow.name for flow in dataflows}
        most = _MOST_ON_UNITS if units else _MOST_MAPPED if mapped else np.inf
        self.space: OptionSpace
        self.flows: Sequence[DataflowCosts]
        self._bounded: BoundedSearch | None = None
        if compiled.serves(machine, dataflows):
            self.space = OptionSpace(work, machine, options, orders, required)
            if (self.space.counts > most).any():
                self.space = Space(work, machine, room, most, options, orders, required)
            else:
                self.space.least_footprint = compiled.least_footprint(self.space)
            self.flows = [DataflowCosts(self.space, flow) for flow in dataflows]
            self.caches = [ScheduleCache(flow) for flow in self.flows]
        else:
            space = Space(work, machine, room, most, options, orders, required)
            self._bounded = BoundedSearch(space, dataflows)
            self.space, self.flows, self.caches = space, self._bounded.flows, self._bounded.caches

    def choose(self, rates: Rates, ceiling: Floats | None = None) -> Choice:
        """Return the choice for each machine; of a problem of which no tiling fits, one whose measures are infinite.

        Time is saved where the machines are alike. Nothing is looked for whose value is above the *ceiling* of the
        machine and problem; where the least value is, the measures are above it too or infinite.
        """
        if self._bounded is not None:
            return self._bounded.choose(rates, ceiling)
        found = compiled.choose(self.space, self.flows, rates, ceiling)
        measures = dict(zip((LATENCY, ENERGY, EDP, TRAFFIC), found.measures, strict=True))
        return Choice(measures, *found.tilings)

    def groups(self, rates: Rates) -> Iterator[Ints]:
        """Group machines as ``choose`` is the fastest: indices of each group."""
        # The core bounds each machine by itself; closed forms of energy are of the best prices of a group.
        alone = self._bounded is None and self.space.machine.objective == LATENCY
        return in_order(rates) if alone else clusters(rates)


class BestTiling(NamedTuple):
    """What the search takes for a problem on a machine."""

    dataflow: str
    mode: Mode
    sizes: Mapping[str, int]  # of a tile along each of ``AXES``
    cycles: int
    energy: float
    dram_bits: int  # moved between the memories and the buffer


def best(problem: Workload, machine: Machine, dataflows: Sequence[Dataflow] = ()) -> BestTiling | None:
    """Return the tiling taken for the only row of *problem*, by default of all dataflows of *machine*.

    It is that of playing every tiling, compared as in ``BY_VALUE`` and, with ``machine.slack``, ``WITHIN_SLACK``; None
    where none fits the buffer.
    """
    rates = Rates.of([machine])
    room, first = capacity(machine, rates)[0], np.zeros(1, np.int64)
    search = Search(problem, machine, room, dataflows)
    if search.space.least_footprint[0] > room:
        return None
    if machine.objective == EDP:
        rates = rates.weighted(
            least_product(1, lambda _, weights: totals(search.choose(rates.weighted(weights)).measures))
        )
    choice = search.choose(rates)
    number, tilings = int(choice.flow[0, 0]), choice.tilings(first, first)
    sizes = search.space.tile_sizes(tilings.pixel, tilings.channel)[:, 0].tolist()
    return BestTiling(
        dataflow=search.flows[number].flow.name,
        mode=MODES[int(tilings.mode[0])],
        sizes=dict(zip(AXES, sizes, strict=True)),
        cycles=int(search.caches[number].timing(tilings, rates).cycles[0]),
        energy=float(choice.measures[ENERGY][0, 0]),
        dram_bits=int(np.sum(search.space.residency.dram_bits(tilings.mode, tilings.pixel, tilings.channel))),
    )
