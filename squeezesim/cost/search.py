"""The best tiling of every problem on every machine of a family: bounds for all tilings, schedules where they can win.

The objective is never below its bound, so a tiling whose bound exceeds a value that is reached cannot be the best. Of
the tilings within ``slack`` of the best value the one with the least DRAM traffic is taken; ties go to the better
value, then to the first in the order of enumeration. The result equals that of playing every tiling on each machine
by itself.

Machines are searched in clusters of such that are alike. No machine of a cluster is better than its ``Rates.best``,
so that one matrix of bounds tells for all of them which tilings can be left alone; the rest are bounded for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.book import Book
from squeezesim.cost.bounds import Space
from squeezesim.cost.candidates import Candidates, Flow, Tilings
from squeezesim.cost.dataflow.base import Dataflow
from squeezesim.cost.rates import Rates
from squeezesim.cost.rounds import Pairs, cheapen, improve
from squeezesim.cost.workload import Floats, Ints

_TILINGS = 1 << 18  # candidates that are held at once, a problem's more or less
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
        reached, matrices, traffic = self._reached(rates)
        for number in range(len(self.flows)):
            limit, best = _limit(reached, number, rates).max(axis=0), reached[number].max(axis=0)
            for candidates in self._survivors(number, matrices[number], limit, best, traffic[number]):
                size = max(_BOUNDS // len(candidates), 1)
                for start in range(0, len(rates), size):
                    part = slice(start, start + size)
                    self._settle(number, candidates, rates, part, reached, choice)
        return choice

    def _reached(self, rates: Rates) -> tuple[Floats, list[dict[int, Any]], Floats]:
        """Values that some tiling reaches, (dataflows, machines, problems), and bounds on all tilings of problems.

        Also the traffic that the tiling taken will not exceed, (dataflows, problems), inf where that is not known.
        A dataflow that can never come near what another one reaches is left alone: its values are inf.
        """
        ideal = rates.best()
        reached = np.full((len(self.flows), len(rates), len(self.space.work)), np.inf)
        matrices: list[dict[int, Any]] = [{} for _ in self.flows]
        traffic = np.full((len(self.flows), len(self.space.work)), np.inf)
        floors = np.array([flow.floor(ideal) for flow in self.flows])
        first = floors.argmin(axis=0)
        for number in range(len(self.flows)):
            self._probe(number, np.flatnonzero(first == number), rates, ideal, reached, matrices, traffic)
        near = (reached.min(axis=0) * (1 + rates.slack[:, None])).max(axis=0)
        for number, floor in enumerate(floors):
            others = np.flatnonzero((first != number) & (floor <= near))
            self._probe(number, others, rates, ideal, reached, matrices, traffic)
        return reached, matrices, traffic

    def _probe(
        self,
        number: int,
        rows: Ints,
        rates: Rates,
        ideal: Rates,
        reached: Floats,
        matrices: list[dict[int, Any]],
        traffic: Floats,
    ) -> None:
        """Bound every tiling of problems *rows* and play the most promising one of each on all machines.

        One that is within the slack of every bound on all machines will be taken if no other moves less.
        """
        flow, space = self.flows[number], self.space
        room = rates.buffer_bits - space.machine.weights_bits
        found, bounds = [], {}
        for row in rows.tolist():
            matrix = matrices[number][row] = flow.matrix(row, ideal)
            found.append((row, int(matrix.argmin())))
            bounds[row] = matrix.flat[found[-1][1]]
            if room.min() < room.max():  # one that every machine has room for
                found.append(
                    (row, int(np.where(space.volumes(row).footprint <= room.min(), matrix, np.inf).argmin()))
                )
        if not found:
            return
        row, option = np.array(list(dict.fromkeys(found)), np.int64).T
        candidates = flow.candidates(row, *self._options(row, option))
        tilings = candidates.tilings
        bound = candidates.values(flow.objective, space.work, ideal)[0]
        group = np.cumsum(
            np.diff(tilings.pixel, prepend=-1).astype(bool)
            | np.diff(tilings.channel, prepend=-1).astype(bool)
        )
        chosen = np.lexsort((bound, group))[np.flatnonzero(np.diff(group, prepend=-1))]
        machine, which = np.nonzero(candidates.footprint[chosen] <= room[:, None])
        value = self.books[number].values(candidates, chosen[which], rates.take(machine))
        row = tilings.row[chosen]
        np.minimum.at(reached[number], (machine, row[which]), value)
        least = np.array([bounds[of] for of in row.tolist()])
        near = np.full((len(rates), len(chosen)), np.inf)
        near[machine, which] = value / (1 + rates.slack[machine])
        sure = near.max(axis=0) <= least
        np.minimum.at(traffic[number], row[sure], candidates.traffic[chosen[sure]].astype(np.float64))

    def _options(self, row: Ints, option: Ints) -> tuple[Ints, Ints]:
        """Pixel and channel options of entries *option* of the matrices of problems *row*."""
        pixels, channels = self.space.pixels.offsets, self.space.channels.offsets
        pixel, channel = np.divmod(option, channels[row + 1] - channels[row])
        return pixel + pixels[row], channel + channels[row]

    def _survivors(
        self, number: int, matrices: dict[int, Any], limit: Floats, best: Floats, traffic: Floats
    ) -> Iterator[Candidates]:
        """Tilings of a dataflow that can win, some problems at a time.

        Their bounds do not exceed the *limit* of their problem; those above the *best* do not move more than *traffic*.
        """
        rows, options, count = [], [], 0
        for row, matrix in matrices.items():
            wanted = matrix <= limit[row] * (1 + 1e-6)
            if limit[row] > best[row] and np.isfinite(traffic[row]):
                least = self.space.volumes(row).traffic
                wanted &= (matrix <= best[row] * (1 + 1e-6)) | (least <= traffic[row] * (1 + 1e-5))
            option = np.flatnonzero(wanted)
            rows.append(np.full(len(option), row))
            options.append(option)
            count += len(option)
            if count > _TILINGS:
                yield self._candidates(number, rows, options)
                rows, options, count = [], [], 0
        if count:
            yield self._candidates(number, rows, options)

    def _candidates(self, number: int, rows: list[Ints], options: list[Ints]) -> Candidates:
        row, option = np.concatenate(rows), np.concatenate(options)
        return self.flows[number].candidates(row, *self._options(row, option))

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
