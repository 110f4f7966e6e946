"""Which of the layers that can join another one do: both ways are costed, and the better one is taken.

An item is a layer by itself, or a layer with the first of what can join it. Of each layer that others can join there
are as many options as prefixes of these, each a set of items that does the same: with an addition and a pooling both
joined; the addition alone, beside the pooling; or each by itself. The option with the least of the objective is taken,
by ``edp`` with the weights of the network; of equal ones that with fewer cycles, less energy and more that joins. Where
vector layers cost nothing, as much joins as can.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from squeezesim.cost.lowering import Joint, joints
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints
from squeezesim.cost.rates import Rates
from squeezesim.network.layer import Layer

UNFIT = 2.0**200
"""Cycles and energy of an item that fits no buffer."""


class Variant(NamedTuple):
    """A layer that others join: item ``item`` is it with the first ``joined`` of them."""

    item: int
    joint: Joint
    joined: int


class Joining:
    """The options of a network's layers on a family of machines; items are its layers, then ``variants``."""

    def __init__(self, layers: Sequence[Layer], machine: Machine) -> None:
        self.variants: list[Variant] = []
        self.options: list[
            list[list[int]]
        ] = []  # of each joint, the items of each option; the most joined first
        self.joints = () if machine.joins_always else tuple(joints(layers, machine))
        for joint in self.joints:
            options = [[joint.maker, *joint.post_ops]]
            for count in range(1, len(joint.post_ops) + 1):
                item = len(layers) + len(self.variants)
                self.variants.append(Variant(item, joint, count))
                options.append([item, *joint.post_ops[count:]])
            self.options.append(options[::-1])
        self.items = np.array(
            sorted({item for options in self.options for items in options for item in items})
        )

    def choose(self, cycles: Floats, energy: Floats, rates: Rates) -> Ints:
        """Return the option taken of each joint on each machine, (joints, machines); costs are (machines, items)."""
        return np.array([self._taken(*sums, rates) for sums in self._sums(cycles, energy)], np.int64)

    def sums(self, cycles: Floats, energy: Floats, rates: Rates) -> Floats:
        """Return Σ cycles and Σ energy of the options taken, (machines, 2)."""
        result = np.zeros((len(rates), 2))
        for sums in self._sums(cycles, energy):
            taken = self._taken(*sums, rates)
            result += np.stack([np.take_along_axis(part, taken[None], axis=0)[0] for part in sums], axis=-1)
        return result

    def _sums(self, cycles: Floats, energy: Floats) -> list[tuple[Floats, Floats]]:
        """Cycles and energy of each option of each joint, (options, machines)."""
        return [
            (
                np.array([cycles[:, items].sum(axis=1) for items in options]),
                np.array([energy[:, items].sum(axis=1) for items in options]),
            )
            for options in self.options
        ]

    @staticmethod
    def _taken(cycles: Floats, energy: Floats, rates: Rates) -> Ints:
        """The first option with the least value, (machines)."""
        there = cycles < UNFIT
        best = there
        for measure in (rates.value(cycles, energy), cycles, energy):
            least = reduce(np.minimum, np.where(best, measure, np.inf))
            best = best & (measure <= least * (1 + 1e-12))
        return np.asarray(np.where(rates.vector_lanes > 0, best, there).argmax(axis=0), np.int64)
