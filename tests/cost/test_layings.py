"""What is taken is the best of all layings: of each dataflow and unit, by each objective that lays tiles."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from squeezesim.cost.constraints import Limits
from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.layings import laying_of, layings
from squeezesim.cost.machine import Machine, Unit
from squeezesim.cost.problem import workload_of
from squeezesim.cost.product import least_product
from squeezesim.cost.rates import EDP, Rates
from squeezesim.cost.traffic import MODES
from squeezesim.network.layer import Layer
from tests.cost.cases import AXES, Measures, layers, least_bits, machines, measures, problem_of, usual_layers
from tests.cost.test_better_hardware import ROOMS, machines_for
from tests.cost.test_given import costs_on, on_machines
from tests.cost.test_search import check_choice, enumerate_all, nests_of, small_parts
from tests.reference.cases import units

__all__ = ["on_machines"]

UNIT = Unit("seeing", (("k", 2), ("x", 2)))


@st.composite
def mixed(draw: st.DrawFn) -> Machine:
    """A machine that searches a layer in several layings: of two objectives, or of units that see pixels otherwise."""
    several = draw(st.booleans(), label="several objectives")
    objective = draw(st.sampled_from(["latency", "energy", "edp"]), label="objective")
    bits = 8 * draw(st.sampled_from([256, 1024, 8192]), label="bytes")
    slack = draw(st.sampled_from([0.0, 0.15, 1.0]), label="slack")
    slow = {"buffer_bits_per_cycle": draw(st.sampled_from([16.0, 64.0]))} if several else {}
    drawn = {"slack": slack, "buffer_bits": bits, "objective": objective, "leaks": True, **slow}
    if several:
        flows = draw(st.sampled_from(["ws", "os", "ws", "os", "rs"]), label="flow")
        on = draw(machines(dataflows=(flows,), **drawn))
        return replace(on, energy=replace(on.energy, leakage_mw=draw(st.sampled_from([1.0, 1e3]))))
    on = draw(machines(dataflows=draw(st.sampled_from([(), ("os",)])), **drawn))
    flat, seeing = (
        unit._replace(
            name=name, unroll=(*((loop, by) for loop, by in unit.unroll if loop not in "nyxp"), pixels)
        )
        for name, unit, pixels in (
            ("flat", draw(units()), ("p", draw(st.integers(2, 4)))),
            ("seeing", draw(units()), ("x", draw(st.integers(1, 4)))),
        )
    )
    return replace(on, units=(seeing, flat)[: 1 if on.dataflows else 2])


def check_against_enumeration(layer: Layer, on: Machine, data: st.DataObject) -> None:
    """What is taken is the best by the rule of all tilings in all layings, and is not dominated by one of them."""
    every = [(laying, problem_of(layer, laying)) for laying in layings(on)]
    nests = [nests_of(problem, laying, 8) for laying, problem in every]
    assume(sum(map(len, nests)) <= 16)
    expected: list[Measures] = []
    for (laying, problem), own in zip(every, nests, strict=True):
        for flow in flows_of(laying).values():
            expected += enumerate_all(problem, laying, flow, own)
    rates = Rates.of([on])
    with small_parts(data):
        search = Limits.of(layer, on).search(workload_of([layer], on)[0], on, on.buffer_bits)
        assert (search.least_footprint[0] <= on.buffer_bits) == bool(expected)
        if not expected:
            return
        if on.objective == EDP:
            rates = rates.weighted(least_product(1, lambda _, weights: search.sums(rates.weighted(weights))))
        taken = search.choose(rates)
        (found,) = search.tilings(taken)
    space = found.search.space
    flow, sizes = (
        found.search.flows[found.flow].flow,
        space.tile_sizes(found.tilings.pixel, found.tilings.channel),
    )
    laying = laying_of(on, flow.name, space.machine.laid_by)
    played = measures(
        problem_of(layer, laying),
        laying,
        flow,
        dict(zip(AXES, sizes[:, 0].tolist(), strict=True)),
        MODES[int(found.tilings.mode[0])],
    )
    assert taken.measures["latency"][0, 0] == played.cycles
    assert taken.measures["energy"][0, 0] == pytest.approx(played.energy, rel=1e-12)
    check_choice(played, expected, on.objective, on.slack)


@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers(largest=4, most=8), mixed(), st.data())
def test_all_layings_equal_a_full_enumeration(layer: Layer, on: Machine, data: st.DataObject) -> None:
    check_against_enumeration(layer, on, data)


@pytest.mark.slow
@settings(max_examples=2000, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers(largest=4, most=8), mixed(), st.data())
def test_all_layings_equal_a_full_enumeration_on_2000_layers(
    layer: Layer, on: Machine, data: st.DataObject
) -> None:
    check_against_enumeration(layer, on, data)


def check_objectives(data: st.DataObject) -> None:
    """No objective's result is beaten in its own measure by another's."""
    layer = data.draw(layers() | layers() | layers() | usual_layers(), label="layer")
    flow = data.draw(st.sampled_from(["ws", "ws", "os", "os", "ws os", "rs"]), label="flow")
    on = data.draw(machines_for(flow, objective="latency", slack=0.0), label="machine")
    if data.draw(st.booleans(), label="fast buffer"):
        on = replace(on, buffer_bits_per_cycle=inf)
    if data.draw(st.booleans(), label="leaks"):
        on = replace(
            on, leaks=True, energy=replace(on.energy, leakage_mw=data.draw(st.sampled_from([0.1, 10.0, 1e3])))
        )
    on = replace(on, buffer_bits=int(least_bits(layer, on) * data.draw(ROOMS, label="room")))
    found = {}
    for objective in ("latency", "energy", "edp"):
        costs = costs_on(replace(on, objective=objective), [layer], {})
        found[objective] = int(costs.cycles[0, 0]), float(costs.energy[0, 0].sum())
    assert found["latency"][0] == min(cycles for cycles, _ in found.values())
    assert found["energy"][1] <= min(energy for _, energy in found.values()) * (1 + 1e-9)
    assert np.prod(found["edp"]) <= min(map(np.prod, found.values())) * (1 + 1e-9)


@pytest.mark.usefixtures("on_machines")
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_objective_is_beaten_in_its_own_measure(data: st.DataObject) -> None:
    check_objectives(data)


@pytest.mark.slow
@pytest.mark.usefixtures("on_machines")
@settings(max_examples=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_objective_is_beaten_in_its_own_measure_in_2000_cases(data: st.DataObject) -> None:
    check_objectives(data)


@settings(max_examples=100)
@given(st.lists(layers() | usual_layers(), min_size=1, max_size=4), machines())
def test_flattened_problems_are_those_of_a_machine_that_flattens(drawn: list[Layer], on: Machine) -> None:
    seeing = replace(on, units=(UNIT,))
    assert on.flattens
    assert not seeing.flattens
    flat, other = (workload_of(drawn, machine) for machine in (on, seeing))
    again = other[0].flattened()
    one, two = flat[0].take(flat[1]), again.take(other[1])
    pools = [[each.pools[number] for number in each.pool.tolist()] for each in (one, two)]
    assert pools[0] == pools[1]
    nothing = np.zeros_like(one.pool)
    for column, same in zip(
        replace(one, pool=nothing).columns, replace(two, pool=nothing).columns, strict=True
    ):
        assert np.array_equal(column, same)
