"""The search over layings: problems searched in each (``layings``), and the best choice of all taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from squeezesim.cost.candidates import Tilings
from squeezesim.cost.problem import Bools, Floats, Ints
from squeezesim.cost.rates import Rates, clusters
from squeezesim.cost.search import BY_VALUE, EQUAL, WITHIN_SLACK, Choice, Search, compared, totals
from squeezesim.cost.views import NEVER


class Part(NamedTuple):
    """The search in one laying, for some of the problems."""

    search: Search
    rows: Ints


class Taken(NamedTuple):
    """The tiling taken for each machine and problem, (machines, problems)."""

    measures: dict[str, Floats]
    part: Ints  # in which it was found
    choices: Sequence[Choice]  # of each part

    def where(self, mask: Bools, other: Taken) -> Taken:
        """This choice where *mask* says so, elsewhere an *other* one among the same."""
        measures = {
            name: np.where(mask, values, other.measures[name]) for name, values in self.measures.items()
        }
        return Taken(measures, np.where(mask, self.part, other.part), self.choices)


class Found(NamedTuple):
    """Tilings that are taken, all of one search and dataflow."""

    search: Search
    flow: int
    machine: Ints
    row: Ints  # problem
    tilings: Tilings


class Alternatives:
    """Searches for *count* problems, each for some of them, of which the best choice is taken; of equals the first.

    The choice is that of one search over the tilings of all: with slack, within that of the least value of all.
    """

    def __init__(self, count: int, parts: Sequence[Part]) -> None:
        self.count, self.parts = count, parts
        self.least_footprint: Floats = np.full(count, NEVER)
        for search, rows in parts:
            self.least_footprint[rows] = np.minimum(self.least_footprint[rows], search.space.least_footprint)

    def groups(self, rates: Rates) -> Iterator[Ints]:
        """Group machines as ``choose`` is the fastest: indices of each group."""
        return self.parts[0].search.groups(rates) if len(self.parts) == 1 else clusters(rates)

    def choose(self, rates: Rates) -> Taken:
        """Return the choice for each machine, on which some tiling of each problem must fit."""
        objective = self.parts[0].search.space.machine.objective
        if len(self.parts) == 1:
            choice = self.parts[0].search.choose(rates)
            return Taken(choice.measures, np.zeros((len(rates), self.count), np.int64), [choice])
        best = self._best(rates.without_slack(), objective)
        has_slack = rates.slack > 0
        if objective not in WITHIN_SLACK or not has_slack.any():
            return best
        ceiling = (1 + rates.slack[:, np.newaxis]) * best.measures[objective]
        choices = [search.choose(rates, ceiling[:, rows]) for search, rows in self.parts]
        for (_, rows), choice in zip(self.parts, choices, strict=True):
            above = choice.measures[objective] > ceiling[:, rows]
            for values in choice.measures.values():
                values[above] = np.inf
        leanest, fastest = (self._first(choices, by[objective]) for by in (WITHIN_SLACK, BY_VALUE))
        return leanest.where(has_slack[:, np.newaxis], fastest)

    def _best(self, rates: Rates, objective: str) -> Taken:
        """The choice on machines without slack; what is no better than that of the parts before is not looked for."""
        choices = list[Choice]()
        reached = np.full((len(rates), self.count), np.inf)
        for search, rows in self.parts:
            choices.append(search.choose(rates, reached[:, rows] * EQUAL))
            reached[:, rows] = np.minimum(reached[:, rows], choices[-1].measures[objective])
        return self._first(choices, BY_VALUE[objective])

    def _first(self, choices: Sequence[Choice], order: Sequence[str]) -> Taken:
        """The choice of each problem that comes first by measures in *order*."""
        shape = len(choices[0].flow), self.count
        measures = {name: np.full(shape, np.inf) for name in choices[0].measures}
        part = np.zeros(shape, np.int64)
        for number, ((_, rows), choice) in enumerate(zip(self.parts, choices, strict=True)):
            others = {name: values[:, rows] for name, values in measures.items()}
            machine, row = np.nonzero(compared(choice.measures, others, order)[0])
            part[machine, rows[row]] = number
            for name, values in measures.items():
                values[machine, rows[row]] = choice.measures[name][machine, row]
        return Taken(measures, part, choices)

    def tilings(self, taken: Taken) -> Iterator[Found]:
        """Yield the tilings that are taken, those of one search and dataflow at once."""
        for number, ((search, rows), choice) in enumerate(zip(self.parts, taken.choices, strict=True)):
            for flow in range(len(search.flows)):
                machine, row = np.nonzero((taken.part[:, rows] == number) & (choice.flow == flow))
                if len(machine):
                    yield Found(search, flow, machine, rows[row], choice.tilings(machine, row))

    def sums(self, rates: Rates, counts: Ints | int = 1) -> Floats:
        """Σ cycles and Σ energy of what ``choose`` takes, (machines, 2), *counts* times each problem."""
        return totals(self.choose(rates).measures, counts)
