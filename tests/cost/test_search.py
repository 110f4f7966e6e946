from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from squeezesim.cost.axes import tile_sizes
from squeezesim.cost.bounds import Space
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import Machine
from squeezesim.cost.search import Search, dram_bits
from squeezesim.cost.steps import AXES
from squeezesim.cost.tiling import ORDERS
from squeezesim.cost.workload import Workload
from squeezesim.network.layer import Layer
from squeezesim.verify.pipeline_case import Case, simulated
from squeezesim.verify.tiles import Tiling
from tests.cost.cases import layers, machines, problem_of


def tilings(problem: Workload, machine: Machine) -> list[dict[str, int]]:
    """Every tiling of the design space, straight from its description."""
    one = {axis: int(getattr(problem, axis)[0]) for axis in AXES}
    columns = machine.rows * machine.cols if problem.pointwise[0] else machine.cols
    multiples = {"n": 1, "g": 1, "y": machine.rows, "x": columns, "k": machine.cols, "c": machine.rows}
    choices = [tile_sizes(one[axis], multiples[axis]).tolist() for axis in AXES]
    found = []
    for values in itertools.product(*choices):
        sizes = dict(zip(AXES, values, strict=True))
        whole_images = sizes["n"] == 1 or (sizes["y"], sizes["x"]) == (one["y"], one["x"])
        whole_groups = sizes["g"] == 1 or (sizes["k"], sizes["c"]) == (one["k"], one["c"])
        if whole_images and whole_groups:
            found.append(sizes)
    return found


def enumerate_all(
    problem: Workload, machine: Machine, flow: str, nests: tuple[str, ...] = ORDERS
) -> list[tuple[int, int]]:
    """(cycles, DRAM bits) of every tiling that fits, each played event by event."""
    results = []
    for sizes in tilings(problem, machine):
        if Tiling(problem, sizes, "PKC", machine).footprint() > machine.buffer_bits:
            continue
        for nest in nests:
            played = simulated(Case(problem, sizes, nest, DATAFLOWS[flow], machine))
            results.append((played.cycles, sum(played.bits.values())))
    return results


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers(largest=5), st.data())
def test_equals_a_full_enumeration(layer: Layer, data: st.DataObject) -> None:
    check_against_enumeration(layer, data)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers(largest=5), st.data())
def test_equals_a_full_enumeration_on_200_layers(layer: Layer, data: st.DataObject) -> None:
    check_against_enumeration(layer, data)


def check_against_enumeration(layer: Layer, data: st.DataObject) -> None:
    slack = data.draw(st.sampled_from([0.0, 0.0, 0.15, 1.0]), label="slack")
    kib = data.draw(st.sampled_from([256, 1024, 8192]), label="bytes")
    machine = data.draw(machines(slack=slack, buffer_bits=8 * kib), label="machine")
    # A tile of `rs` is mapped before it is costed, which takes longer than all the rest: one case in nine.
    flow = data.draw(st.sampled_from(sorted(DATAFLOWS.keys() - {"rs"}) * 4 + ["rs"]), label="flow")
    problem = problem_of(layer, machine)
    assume(len(tilings(problem, machine)) <= 80)
    expected = enumerate_all(problem, machine, flow)
    search = Search(Space(problem, machine), DATAFLOWS[flow])
    reached = search.bound(np.array([0]))
    if not expected:
        assert math.isinf(reached[0])
        return
    choice = search.choose(np.array([np.inf]))
    best = min(cycles for cycles, _ in expected)
    within = [(bits, cycles) for cycles, bits in expected if cycles <= (1 + slack) * best]
    bits = sum(
        part[0] for part in dram_bits(search.space, np.array([0]), choice.order, choice.pixel, choice.channel)
    )
    assert (bits, choice.value[0]) == min(within)
    assert choice.value[0] <= (1 + slack) * best


@settings(max_examples=60, deadline=None)
@given(layers(largest=3), machines())
def test_three_loop_orders_cause_the_traffic_of_all_six(layer: Layer, machine: Machine) -> None:
    problem = problem_of(layer, machine)
    every = tuple("".join(nest) for nest in itertools.permutations("PKC"))
    for sizes in tilings(problem, machine)[::7]:
        amounts = {
            nest: tuple(simulated(Case(problem, sizes, nest, DATAFLOWS["ws"], machine)).bits.items())
            for nest in every
        }
        assert {amounts[nest] for nest in every} == {amounts[nest] for nest in ORDERS}


@settings(max_examples=100, deadline=None)
@given(layers(largest=8), machines(), st.data())
def test_bounds_traffic_and_footprint_of_every_tiling(
    layer: Layer, machine: Machine, data: st.DataObject
) -> None:
    problem = problem_of(layer, machine)
    flow = DATAFLOWS[data.draw(st.sampled_from(sorted(DATAFLOWS)))]
    space = Space(problem, machine)
    search = Search(space, flow)
    bounds, (cycles, excluded) = search.terms.cycles(0), space.traffic(0)
    order = data.draw(st.integers(0, 2))
    pixel = data.draw(st.integers(0, cycles.shape[1] - 1))
    channel = data.draw(st.integers(0, cycles.shape[2] - 1))
    where = np.array([order]), np.array([pixel]), np.array([channel])
    sizes = dict(zip(AXES, (int(size[0]) for size in search.tile_sizes(*where[1:])), strict=True))
    played = simulated(Case(problem, sizes, ORDERS[order], flow, machine))
    assert space.footprint(0)[pixel, channel] == Tiling(problem, sizes, "PKC", machine).footprint()
    exact = [int(part[0]) for part in dram_bits(space, np.array([0]), *where)]
    assert exact == list(played.bits.values())
    assert cycles[order, pixel, channel] * 8 * machine.dram_bytes_per_cycle == pytest.approx(
        sum(exact), rel=1e-6
    )
    if excluded[order, pixel, channel] == 0:
        assert bounds[order, pixel, channel] <= played.cycles
