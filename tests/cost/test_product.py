"""The least product of two sums, beside brute force over points and over the tilings of small networks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.machine import Machine
from squeezesim.cost.product import least_product
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network.layer import Layer
from squeezesim.reference.pipeline import Tiling
from tests.cost.cases import layers, measures, modes_of, problem_of, tilings
from tests.draws import among

NUMBERS = st.floats(0.01, 100)


@settings(max_examples=300)
@given(st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30), min_size=1, max_size=4))
def test_it_is_that_of_all_points_for_every_machine(points: list[list[tuple[float, float]]]) -> None:
    calls = []

    def sums(machines: Any, weights: Any) -> Any:
        calls.append(len(machines))
        found = []
        for machine, (one, other) in zip(machines, weights, strict=True):
            found.append(min(points[machine], key=lambda p: (one * p[0] + other * p[1], p)))
        return np.array(found)

    weights = least_product(len(points), sums)
    for found, each in zip(sums(np.arange(len(points)), weights), points, strict=True):
        assert np.prod(found) == pytest.approx(min(a * b for a, b in each), rel=1e-9)
    assert len(calls) <= 2 * max(map(len, points)) + 3


@settings(max_examples=25, deadline=None)
@given(st.lists(layers(largest=3), min_size=2, max_size=3), st.data())
def test_the_product_of_a_network_is_the_least_of_all_choices(
    network: list[Layer], data: st.DataObject
) -> None:
    """Of every tiling of every layer, each played event by event."""
    network = [replace(layer, name=f"layer{number}") for number, layer in enumerate(network)]
    flow = data.draw(st.sampled_from(sorted(DATAFLOWS.keys() - {"rs"})))
    hw = Accelerator.named("squeezelerator_8x8").replace(
        {
            "array.dataflows": [flow],
            "array.rows": data.draw(st.integers(1, 4)),
            "array.cols": data.draw(st.integers(1, 4)),
            "memory.global_buffer.size_kib": 0.5,
            "memory.dram.bandwidth_gb_s": data.draw(among(0.1, 1.0, 10.0)),
            "mapper.objective": "edp",
        }
    )
    machine = Machine.of(hw)
    every = []
    for layer in network:
        problem = problem_of(layer, machine)
        assume(len(tilings(problem, machine)) <= 24)
        costs = {
            (cost.cycles, cost.energy)
            for sizes in tilings(problem, machine)
            for mode in modes_of(problem, machine, sizes)
            if Tiling(problem, sizes, mode, machine).footprint() <= machine.buffer_bits
            for cost in (measures(problem, machine, DATAFLOWS[flow], sizes, mode),)
        }
        assume(costs)
        every.append([point for point in costs if not any(dominates(other, point) for other in costs)])
    least = min(
        sum(cycles for cycles, _ in choice) * sum(energy for _, energy in choice)
        for choice in itertools.product(*every)
    )
    found = evaluate(network, [hw])
    assert int(found.cycles.sum()) * float(found.energy.sum()) == pytest.approx(least, rel=1e-9)


def dominates(one: tuple[int, float], other: tuple[int, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] <= other[1]


def test_machines_are_weighed_each_by_itself() -> None:
    layer = [Layer.conv(f"a{k}", c=8, k=k, oy=14, ox=14, fy=3, fx=3) for k in (4, 16, 64)]
    hw = Accelerator.named("hybrid_32x32").replace({"mapper.objective": "edp"})
    designs = [
        hw.replace({"memory.dram.bandwidth_gb_s": rate, "memory.global_buffer.size_kib": kib})
        for rate in (0.5, 4, 64)
        for kib in (4, 512)
    ]
    together = evaluate(layer, designs)
    for number, design in enumerate(designs):
        alone = evaluate(layer, [design])
        assert together.cycles[number].tolist() == alone.cycles[0].tolist()
        assert together.tile[number].tolist() == alone.tile[0].tolist()
