"""Costs of whole layers and of drawn tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from squeezesim.cost.dataflow import Access, Dataflow, Tile, TileCost
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Workload
from squeezesim.cost.traffic import AXES
from squeezesim.network.layer import Layer
from tests.cost.cases import problem_of


def untiled(problem: Workload) -> Tile:
    """The whole layer as one tile."""
    return Tile(problem.n, problem.y, problem.x, problem.g, problem.k, problem.c)


def whole(flow: Dataflow, layer: Layer, on: Machine) -> TileCost:
    """Cost of the untiled layer."""
    problem = problem_of(layer, on)
    return flow.tile_cost(problem, untiled(problem), on)


def drawn_tile(problem: Workload, data: st.DataObject) -> Tile:
    """A tile of any size."""
    most = zip(AXES, untiled(problem).sizes, strict=True)
    return Tile(*(np.array([data.draw(st.integers(1, int(size[0])), label=axis)]) for axis, size in most))


class Words:
    """Words of a layer's accesses, by what they are called in short; 0 where there are none."""

    def __init__(self, cost: TileCost) -> None:
        self.accesses = cost.accesses()

    def __call__(self, level: str, operand: str, direction: str = "access") -> float:
        words: Any = self.accesses.get(Access(level, operand, direction), 0.0)
        return float(np.asarray(words).reshape(-1)[0])
