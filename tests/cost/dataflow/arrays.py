"""Terms of whole layers and of drawn tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from squeezesim.cost.dataflow import Dataflow
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Workload
from squeezesim.network.layer import Layer
from tests.cost.cases import problem_of


def whole(flow: Dataflow, layer: Layer, on: Machine) -> tuple[Any, Any]:
    """Pixel and channel terms of the untiled layer."""
    problem = problem_of(layer, on)
    return (
        flow.pixel_terms(problem, problem.n, problem.y, problem.x, on),
        flow.channel_terms(problem, problem.g, problem.k, problem.c, on),
    )


def tile_terms(flow: Dataflow, layer: Layer, on: Machine, data: st.DataObject) -> tuple[Workload, Any, Any]:
    """Terms of a tile of any size."""
    problem = problem_of(layer, on)

    def draw(axis: str) -> np.ndarray[Any, Any]:
        return np.array([data.draw(st.integers(1, int(getattr(problem, axis)[0])), label=axis)])

    return (
        problem,
        flow.pixel_terms(problem, draw("n"), draw("y"), draw("x"), on),
        flow.channel_terms(problem, draw("g"), draw("k"), draw("c"), on),
    )
