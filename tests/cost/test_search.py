from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from squeezesim.cost.axes import tile_sizes
from squeezesim.cost.bounds import Space
from squeezesim.cost.candidates import Flow
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import Machine
from squeezesim.cost.rates import Rates
from squeezesim.cost.search import Search
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
    space = Space(problem, machine)
    fits = space.volumes(0).footprint.min() <= machine.buffer_bits
    assert fits == bool(expected)
    if not fits:
        return
    choice = Search(space, [DATAFLOWS[flow]]).choose(Rates.of([machine]))
    best = min(cycles for cycles, _ in expected)
    within = [(bits, cycles) for cycles, bits in expected if cycles <= (1 + slack) * best]
    taken = choice.tilings(np.array([0]), np.array([0]))
    bits = sum(int(part[0]) for part in space.dram_bits(taken.order, taken.pixel, taken.channel))
    assert (bits, choice.value[0, 0]) == min(within)
    assert choice.value[0, 0] <= (1 + slack) * best


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
    of, rates, volumes = Flow(space, flow), Rates.of([machine]), space.volumes(0)
    pixel = data.draw(st.integers(0, volumes.footprint.shape[0] - 1))
    channel = data.draw(st.integers(0, volumes.footprint.shape[1] - 1))
    candidates = of.candidates(np.array([0]), np.array([pixel]), np.array([channel]))
    tilings, cycles = candidates.tilings, candidates.cycles(rates)[0]
    matrix = of.matrix(0, rates)[pixel, channel]
    per_bit = 1 / (8 * machine.dram_bytes_per_cycle)
    for number, order in enumerate(tilings.order.tolist()):
        sizes = dict(
            zip(AXES, space.tile_sizes(tilings.pixel, tilings.channel)[:, number].tolist(), strict=True)
        )
        played = simulated(Case(problem, sizes, ORDERS[order], flow, machine))
        footprint = Tiling(problem, sizes, "PKC", machine).footprint()
        assert volumes.footprint[pixel, channel] == candidates.footprint[number] == footprint
        exact = [int(part[number]) for part in space.dram_bits(tilings.order, tilings.pixel, tilings.channel)]
        assert exact == list(played.bits.values())
        assert candidates.traffic[number] == sum(exact)
        assert volumes.traffic[pixel, channel] <= sum(exact) * (1 + 1e-6)
        assert cycles[number] <= played.cycles
        assert cycles[number] >= sum(exact) * per_bit * (1 - 1e-5)
        assert np.isinf(matrix) == (footprint > machine.buffer_bits)
        assert np.isinf(matrix) or matrix <= cycles[number] * (1 + 1e-5)
        assert np.isinf(matrix) or matrix <= played.cycles
