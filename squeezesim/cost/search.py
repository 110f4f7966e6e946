"""The search: bounds decide which tilings are played, in rounds, until none that is left can win.

Rounds: the most promising of many tilings are played first, so that what they reach rules out the others.

*Pairs* are machines beside tilings. A pair whose bound is above what its machine and problem, its segment, reach
cannot be the best and is never played.

The best tiling of every problem on every machine of a family: bounds for all tilings, schedules where they can win.

The objective is never below its bound, so a tiling whose bound exceeds a value that is reached cannot be the best. Of
the tilings within ``slack`` of the best value the one with the least DRAM traffic is taken; ties go to the better
value, then to the first in the order of enumeration. The result equals that of playing every tiling on each machine
by itself.

Machines are searched in clusters of such that are alike. No machine of a cluster is better than its ``Rates.best``,
so that bounds on it tell for all of them which tilings can be left alone (``prune``); the rest are bounded for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.bounds import Space
from squeezesim.cost.candidates import Candidates, Flow, Tilings
from squeezesim.cost.dataflow.base import Dataflow
from squeezesim.cost.energy import LevelBits, layer_energy, level_bits
from squeezesim.cost.pipeline import Points, Schedule, Timing, joined, schedule_of
from squeezesim.cost.problem import Floats, Ints
from squeezesim.cost.prune import PROMISING, Sides, joined_found
from squeezesim.cost.rates import Rates


class Book:
    """Schedules by tiling, and the exact value of the objective that follows from them."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        pixels, channels = np.diff(flow.space.pixels.offsets), np.diff(flow.space.channels.offsets)
        self._begins = np.cumsum(3 * pixels * channels) - 3 * pixels * channels
        self._keys = np.empty(0, np.int64)  # ascending
        self._slots = np.empty(0, np.int64)
        self.schedule: Schedule | None = None
        self._levels: LevelBits | None = None

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

    def values(self, candidates: Candidates, which: Ints, rates: Rates) -> Floats:
        """The objective of candidate ``which[i]`` on machine i of *rates*."""
        tilings = candidates.tilings.take(which)
        slots = self.slots(tilings)
        assert self.schedule is not None
        cycles = self.schedule.cycles(slots, rates)
        if self._levels is None:
            return cycles.astype(np.float64)
        energy = layer_energy(
            self.flow.space.work.take(tilings.row),
            LevelBits(*(bits[slots] for bits in self._levels)),
            self.flow.executed[tilings.row],
            candidates.loaded[which],
            candidates.stored[which],
            cycles,
            rates,
        ).total
        return energy * cycles if self.flow.objective == "edp" else energy

    def timing(self, tilings: Tilings, rates: Rates) -> Timing:
        """Where the cycles of tiling i on machine i of *rates* go."""
        slots = self.slots(tilings)
        assert self.schedule is not None
        return self.schedule.timing(slots, rates)

    def levels(self, tilings: Tilings) -> LevelBits:
        """Bits that the array moves at each level in whole layers."""
        if self._levels is not None:
            return LevelBits(*(bits[self.slots(tilings)] for bits in self._levels))
        _, first, inverse = np.unique(self._key(tilings), return_index=True, return_inverse=True)
        return LevelBits(*(bits[inverse] for bits in self._level_bits(tilings.take(first))))

    def _add(self, tilings: Tilings, *, several: bool) -> None:
        """Make the schedules of *tilings*; those for *several* machines with as few rows as can be."""
        space = self.flow.space
        pixel, channel = tilings.pixel, tilings.channel
        points = Points(space.work.take(tilings.row), tilings.order, space.tile_sizes(pixel, channel))
        schedule = schedule_of(points, self.flow.flow, space.machine)
        schedule = schedule.merged() if several else schedule
        self.schedule = schedule if self.schedule is None else joined(self.schedule, schedule)
        if self.flow.objective != "latency":
            bits = self._level_bits(tilings)
            old = self._levels
            self._levels = (
                bits
                if old is None
                else LevelBits(*(np.concatenate(pair) for pair in zip(old, bits, strict=True)))
            )

    def _key(self, tilings: Tilings) -> Ints:
        """A number for each tiling, over all problems."""
        return np.asarray(self._begins[tilings.row] + tilings.number)

    def _level_bits(self, tilings: Tilings) -> LevelBits:
        accesses = self.flow.accesses(tilings.pixel, tilings.channel)
        return level_bits(self.flow.space.work.take(tilings.row), accesses)


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


_TILINGS = 1 << 18  # candidates that are held at once, a problem's more or less
_SOME = 32  # tilings of each problem that are left; more are worth it to play the most promising before
_MANY = 1 << 10  # tilings of a problem of which more than one is played first
_BOUNDS = 1 << 22  # of candidates on machines that are held at once


class Choice(NamedTuple):
    """The tiling taken for each machine and problem, (machines, problems)."""

    value: Floats  # of the objective
    flow: Ints  # index of the dataflow
    order: Ints
    pixel: Ints
    channel: Ints
    number: Ints

    def tilings(self, machine: Ints, row: Ints) -> Tilings:
        """The tilings taken on *machine* for problems *row*."""
        return Tilings(row, *(column[machine, row] for column in self[2:]))


class Probe(NamedTuple):
    """Tilings that were played first, an entry for each."""

    row: Ints  # of the problem
    near: Floats  # the most over the machines of value / (1 + slack); inf where one has no room for it
    traffic: Floats


class Search:
    """The search for one family of machines, which share the space of tilings and the schedules played so far."""

    def __init__(self, space: Space, flows: Sequence[Dataflow]) -> None:
        self.space = space
        self.flows = [Flow(space, flow) for flow in flows]
        self.books = [Book(flow) for flow in self.flows]

    def choose(self, rates: Rates) -> Choice:
        """Return the choice for each machine; some tiling of each problem must fit every machine.

        Time is saved where the machines are alike.
        """
        shape = len(rates), len(self.space.work)
        choice = Choice(np.full(shape, np.inf), *(np.zeros(shape, np.int64) for _ in range(5)))
        reached, sides, probes = self._reached(rates)
        for number in range(len(self.flows)):
            for candidates in self._survivors(number, sides[number], rates, reached, probes[number]):
                size = max(_BOUNDS // len(candidates), 1)
                for start in range(0, len(rates), size):
                    part = slice(start, start + size)
                    self._settle(number, candidates, rates, part, reached, choice)
        return choice

    def _reached(self, rates: Rates) -> tuple[Floats, list[Sides], list[list[Probe]]]:
        """Values that some tiling reaches, (dataflows, machines, problems), bounds of options, what was played.

        A dataflow that can never come near what another one reaches is left alone: its values are inf.
        """
        ideal = rates.best()
        reached = np.full((len(self.flows), len(rates), len(self.space.work)), np.inf)
        sides = [Sides(flow, ideal) for flow in self.flows]
        floors = np.array([side.floor for side in sides])
        first = floors.argmin(axis=0)
        probes: list[list[Probe]] = [[] for _ in self.flows]
        for number, side in enumerate(sides):
            probes[number] += self._probe(number, side, np.flatnonzero(first == number), rates, reached)
        near = (reached.min(axis=0) * (1 + rates.slack[:, None])).max(axis=0)
        for number, side in enumerate(sides):
            others = np.flatnonzero((first != number) & (floors[number] <= near))
            probes[number] += self._probe(number, side, others, rates, reached)
        return reached, sides, probes

    def _probe(self, number: int, sides: Sides, rows: Ints, rates: Rates, reached: Floats) -> list[Probe]:
        """Play a promising tiling of each of the problems *rows* on all machines."""
        if len(rows) == 0:
            return []
        room = rates.buffer_bits - self.space.machine.weights_bits
        # Where room differs, also one that every machine has room for.
        found = [sides.descend(rows, most) for most in sorted({room.max(), room.min()}, reverse=True)]
        pixel, channel = (np.concatenate(part) for part in zip(*found, strict=True))
        return [self._play(number, sides, pixel, channel, rates, reached)]

    def _play(
        self, number: int, sides: Sides, pixel: Ints, channel: Ints, rates: Rates, reached: Floats
    ) -> Probe:
        """Play single tilings, each under the most promising loop order, on all machines that have room."""
        flow, space = self.flows[number], self.space
        room = rates.buffer_bits - space.machine.weights_bits
        candidates = flow.candidates(space.pixels.owner[pixel], pixel, channel)
        tilings = candidates.tilings
        bound = candidates.values(flow.objective, space.work, sides.ideal)[0]
        group = np.cumsum(
            np.diff(tilings.pixel, prepend=-1).astype(bool)
            | np.diff(tilings.channel, prepend=-1).astype(bool)
        )
        chosen = np.lexsort((bound, group))[np.flatnonzero(np.diff(group, prepend=-1))]
        machine, which = np.nonzero(candidates.footprint[chosen] <= room[:, None])
        value = self.books[number].values(candidates, chosen[which], rates.take(machine))
        row = tilings.row[chosen]
        np.minimum.at(reached[number], (machine, row[which]), value)
        near = np.full((len(rates), len(chosen)), np.inf)
        near[machine, which] = value / (1 + rates.slack[machine])
        return Probe(row, near.max(axis=0), candidates.traffic[chosen].astype(np.float64))

    def _survivors(
        self, number: int, sides: Sides, rates: Rates, reached: Floats, probes: list[Probe]
    ) -> Iterator[Candidates]:
        """Tilings of a dataflow that can win, some problems at a time.

        Their bounds do not exceed the limit of their problem; those above its best value do not move more than a
        tiling does that is within the slack of every bound, on all machines: it will be taken if no other moves less.
        """

        def limits() -> tuple[Floats, Floats]:
            limit, best = _limit(reached, number, rates).max(axis=0), reached[number].max(axis=0)
            limit[np.isinf(best)] = best[np.isinf(best)] = -np.inf  # a dataflow that was left alone
            return limit, best

        limit, best = limits()
        nothing = np.full(len(limit), -np.inf)
        found = sides.most_promising(np.minimum(limit, best))
        if len(found.row):
            self._play(number, sides, found.pixel, found.channel, rates, reached)
            limit, best = limits()
        found = sides.inside(nothing, np.minimum(limit, best), nothing)
        if len(found.row) == 0:
            return
        counts = np.bincount(found.row, minlength=len(limit))
        first = found.first(np.where(counts[found.row] > _MANY, PROMISING, 1))
        played = probes
        if len(found.row) > _SOME * len(first.row):
            played = [*probes, self._play(number, sides, first.pixel, first.channel, rates, reached)]
            limit, best = limits()
        slack = np.flatnonzero(limit > best)
        found = found.take(found.bound <= np.minimum(limit, best)[found.row])
        if len(slack):
            bounds = np.full(len(limit), np.inf)
            np.minimum.at(bounds, first.row, first.bound)
            most = _most_traffic(bounds, played)
            near, least = nothing.copy(), nothing.copy()
            near[slack], least[slack] = limit[slack], best[slack]
            beyond = sides.inside(near, least, most)
            found = joined_found([found.take(~np.isin(found.row, slack)), beyond])
        counts = np.bincount(found.row, minlength=len(limit))
        parts = np.cumsum(counts) // _TILINGS
        for part in np.unique(parts[found.row]).tolist():
            some = found.take(parts[found.row] == part)
            yield self.flows[number].candidates(some.row, some.pixel, some.channel)

    def _settle(
        self,
        number: int,
        candidates: Candidates,
        rates: Rates,
        part: slice,
        reached: Floats,
        choice: Choice,
    ) -> None:
        """Play the candidates that can win on machines *part* and enter those that do into *choice*."""
        of, row = rates.take(part), candidates.tilings.row
        pairs = self._pairs(number, candidates, of, _limit(reached[:, part], number, of))
        if pairs is None:
            return
        machine, problem = pairs.machine[pairs.starts], row[pairs.candidate[pairs.starts]]
        slack = of.slack[machine]
        own, others = reached[number, part][machine, problem], reached[:, part].min(axis=0)[machine, problem]

        def play(index: Ints) -> Floats:
            return self.books[number].values(
                candidates, pairs.candidate[index], of.take(pairs.machine[index])
            )

        improve(pairs, np.where(slack > 0, own, others), play)
        cheapen(pairs, slack, play)
        taken = pairs.chosen(slack)
        value, machine = pairs.value[taken], pairs.machine[taken]
        tilings = candidates.tilings.take(pairs.candidate[taken])
        reached[number, part][machine, tilings.row] = np.minimum(
            reached[number, part][machine, tilings.row], pairs.least(pairs.value)[pairs.segment[taken]]
        )
        better = value < choice.value[part][machine, tilings.row]
        where = machine[better] + part.start, tilings.row[better]
        choice.flow[where] = number
        for column, entries in zip((choice.value, *choice[2:]), (value, *tilings[1:]), strict=True):
            column[where] = entries[better]

    def _pairs(self, number: int, candidates: Candidates, rates: Rates, limit: Floats) -> Pairs | None:
        """The candidates that fit a machine and do not exceed its limit."""
        tilings = candidates.tilings
        room = rates.buffer_bits - self.space.machine.weights_bits
        bound = candidates.values(self.flows[number].objective, self.space.work, rates)
        wanted = (candidates.footprint <= room[:, None]) & (bound <= limit[:, tilings.row])
        machine, candidate = np.nonzero(wanted)
        if len(machine) == 0:
            return None
        row = tilings.row[candidate]
        begins = (np.diff(machine, prepend=-1) != 0) | (np.diff(row, prepend=-1) != 0)
        return Pairs(
            machine=machine,
            candidate=candidate,
            bound=bound[wanted],
            traffic=candidates.traffic[candidate],
            number=tilings.number[candidate],
            value=np.full(len(machine), np.inf),
            segment=np.cumsum(begins) - 1,
            starts=np.flatnonzero(begins),
        )


def _limit(reached: Floats, number: int, rates: Rates) -> Floats:
    """Values up to which tilings of a dataflow matter, (machines, problems).

    With slack they are those near the dataflow's own best, which is another's where it comes near that one at all.
    """
    slack = rates.slack[:, None]
    return np.asarray(np.where(slack > 0, reached[number] * (1 + slack), reached.min(axis=0)))


def _most_traffic(least: Floats, probes: Sequence[Probe]) -> Floats:
    """The least traffic of the *probes* of each problem that are within the slack of every bound, *least* and up."""
    most = np.full(len(least), np.inf)
    for probe in probes:
        sure = probe.near <= least[probe.row]
        np.minimum.at(most, probe.row[sure], probe.traffic[sure])
    return most
