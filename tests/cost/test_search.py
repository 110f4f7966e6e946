from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from squeezesim.cost.bounds import Space
from squeezesim.cost.dataflow import DATAFLOWS, Dataflow
from squeezesim.cost.dataflow.base import NO_BOUNDS
from squeezesim.cost.dataflow.unit import dataflow_of
from squeezesim.cost.machine import Machine, Store, Unit
from squeezesim.cost.problem import Workload
from squeezesim.cost.prune import LowerBounds
from squeezesim.cost.rates import Rates
from squeezesim.cost.search import Search, best
from squeezesim.cost.traffic import AXES, MODE_NUMBERS, MODES, ORDERS, Mode
from squeezesim.cost.views import Products, winners
from squeezesim.network.layer import Layer
from squeezesim.reference.pipeline import Case, Tiling, simulated
from tests.cost.cases import (
    Measures,
    buffer_parts,
    homes,
    layers,
    machines,
    machines_with_lanes,
    measures,
    measures_of,
    modes_of,
    problem_of,
    spills,
    tilings,
)
from tests.cost.cases import (
    machine as one_machine,
)
from tests.draws import among
from tests.reference.cases import units

Nests = list[tuple[dict[str, int], list[Mode]]]
"""Tilings, each with its modes."""


def nests_of(problem: Workload, machine: Machine, most: int) -> Nests:
    """Every tiling, of layers with at *most* so many, and four times as many modes of them."""
    sizes = tilings(problem, machine)
    assume(len(sizes) <= most)
    nests = [(each, modes_of(problem, machine, each)) for each in sizes]
    assume(sum(len(modes) for _, modes in nests) <= 4 * most)
    return nests


def enumerate_all(problem: Workload, machine: Machine, flow: Dataflow, nests: Nests) -> list[Measures]:
    """What every tiling of *nests* that fits costs, each played event by event."""
    found: list[Measures] = []
    for sizes, modes in nests:
        fitting = [
            mode
            for mode in modes
            if Tiling(problem, sizes, mode, machine).footprint() <= machine.buffer_bits
            and not (
                (machine.accumulators or not problem.output_bits[0]) and spills(problem, machine, sizes, mode)
            )
        ]
        found += measures_of(problem, machine, flow, sizes, fitting)
    return found


@contextmanager
def small_parts(data: st.DataObject) -> Iterator[None]:
    """The search goes through NumPy, or of few tilings the ways of one of very many; or the core does it."""
    with pytest.MonkeyPatch.context() as patch:
        if data.draw(st.booleans(), label="NumPy"):
            patch.setattr("squeezesim.cost.compiled.core", lambda: None)
        if data.draw(st.booleans(), label="small parts"):
            patch.setattr("squeezesim.cost.compiled.core", lambda: None)
            few = data.draw(st.integers(1, 40), label="few")
            for name in ("views.FEW", "prune.FEW", "prune._FEW", "search._SOME", "search._MANY"):
                patch.setattr(f"squeezesim.cost.{name}", few)
            patch.setattr("squeezesim.cost.search._TILINGS", few)
            patch.setattr("squeezesim.cost.prune.PROMISING", 2)
            patch.setattr("squeezesim.cost.search.PROMISING", 2)
            patch.setattr("squeezesim.cost.branching._FIRST", 1)
            patch.setattr("squeezesim.cost.branching._MANY_LEFT", data.draw(st.integers(0, 4), label="left"))
        yield


@pytest.mark.parametrize("by_core", [True, False])
def test_weights_that_each_image_loads_anew_need_not_fit_their_part(
    by_core: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of images one by one under NKCP no tile of weights serves two tiles of pixels: it passes the part for weights."""
    if not by_core:
        monkeypatch.setattr("squeezesim.cost.compiled.core", lambda: None)
    on = one_machine(weights_bits=8, stays=False)
    problem = problem_of(Layer.conv("a", n=3, c=2, k=2, oy=4, ox=4, fy=3, fx=3, iy=6, ix=6), on)
    one_image = {"n": 1, "y": 4, "x": 4, "g": 1, "k": 2, "c": 1}
    room = Tiling(problem, one_image, Mode("NKCP"), on).footprint()
    on = dataclasses.replace(on, buffer_bits=room + on.weights_bits)
    search = Search(problem, on, room, orders=("NKCP",))
    assert search.space.least_footprint[0] <= room
    found = search.choose(Rates.of([on])).measures["latency"][0, 0]
    flow = DATAFLOWS[on.dataflows[0]]
    assert found <= measures_of(problem, on, flow, one_image, [Mode("NKCP")])[0].cycles


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers(largest=4, most=8), st.data())
def test_equals_a_full_enumeration(layer: Layer, data: st.DataObject) -> None:
    check_against_enumeration(layer, data, most=8)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers(largest=4, most=8), st.data())
def test_equals_a_full_enumeration_on_2000_layers(layer: Layer, data: st.DataObject) -> None:
    check_against_enumeration(layer, data, most=8)


def summed(cost: Measures, objective: str) -> float:
    """What a tiling is compared by, which for edp is a weighted sum, of equal weights where no network says others."""
    return cost.cycles + cost.energy if objective == "edp" else cost.value(objective)


ROUNDING = 1e-11
"""Of energies, which are sums of floats."""


def check_against_enumeration(layer: Layer, data: st.DataObject, most: int) -> None:
    """What is taken is the best by the rule, is within the slack, and is not dominated by a tiling of any dataflow.

    Of layers with at *most* as many tilings, and four times as many modes of them, for all dataflows together.
    """
    slack = data.draw(among(0.0, 0.0, 0.15, 1.0), label="slack")
    kib = data.draw(among(256, 1024, 8192), label="bytes")
    objective = data.draw(among("latency", "latency", "energy", "edp"), label="objective")
    on = data.draw(
        machines_with_lanes(slack=slack, buffer_bits=8 * kib, objective=objective), label="machine"
    )
    # A tile of `rs` is mapped before it is costed, which takes longer than all the rest: one case in nine.
    quick = sorted(DATAFLOWS.keys() - {"rs"})
    first = data.draw(among(*quick * 4, "rs"), label="flow")
    problem = problem_of(layer, on, data.draw(homes(kib), label="homes"))
    nests = nests_of(problem, on, most)
    names = [first]
    if 2 * len(nests) <= most and 2 * sum(len(modes) for _, modes in nests) <= 4 * most:
        names += data.draw(among((), (), *((name,) for name in quick if name != first)), label="second")
    every = {name: enumerate_all(problem, on, DATAFLOWS[name], nests) for name in names}
    expected = [cost for costs in every.values() for cost in costs]
    with small_parts(data):
        found = best(problem, on, [DATAFLOWS[name] for name in names])
    assert (found is not None) == bool(expected)
    if found is None:
        assert all(LowerBounds(problem, on, DATAFLOWS[name]).of() == np.inf for name in names)
        return
    flow = DATAFLOWS[found.dataflow]
    played = measures(problem, on, flow, dict(found.sizes), found.mode)
    assert (found.cycles, found.dram_bits) == (played.cycles, played.dram_bits)
    assert found.energy == pytest.approx(played.energy, rel=1e-12)
    for name in names:
        least = min(summed(cost, objective) for cost in every[name])
        assert LowerBounds(problem, on, DATAFLOWS[name]).of() <= least
    check_choice(played, expected, objective, slack)


@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers(largest=4, most=8), st.lists(units(), min_size=1, max_size=2), st.data())
def test_units_equal_a_full_enumeration(layer: Layer, drawn: list[Unit], data: st.DataObject) -> None:
    check_units_against_enumeration(layer, drawn, data)


@pytest.mark.slow
@settings(max_examples=2000, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers(largest=4, most=8), st.lists(units(), min_size=1, max_size=2), st.data())
def test_units_equal_a_full_enumeration_on_2000_layers(
    layer: Layer, drawn: list[Unit], data: st.DataObject
) -> None:
    check_units_against_enumeration(layer, drawn, data)


@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers(largest=5, most=12), buffer_parts(), st.data())
def test_parts_of_the_buffer_equal_a_full_enumeration(
    layer: Layer, parts: dict[str, Any], data: st.DataObject
) -> None:
    check_parts_against_enumeration(layer, parts, data)


@pytest.mark.slow
@settings(max_examples=2000, suppress_health_check=[HealthCheck.filter_too_much])
@given(layers(largest=5, most=12), buffer_parts(), st.data())
def test_parts_of_the_buffer_equal_a_full_enumeration_on_2000_layers(
    layer: Layer, parts: dict[str, Any], data: st.DataObject
) -> None:
    check_parts_against_enumeration(layer, parts, data)


def check_parts_against_enumeration(layer: Layer, parts: dict[str, Any], data: st.DataObject) -> None:
    """What is taken fits each part, and is the best of all that do."""
    slack = data.draw(among(0.0, 0.0, 0.15), label="slack")
    objective = data.draw(among("latency", "latency", "energy", "edp"), label="objective")
    on = data.draw(machines(slack=slack, objective=objective, **parts), label="machine")
    name = data.draw(among("ws", "os", "scalesim_is"), label="flow")
    problem, flow = problem_of(layer, on), DATAFLOWS[name]
    every = enumerate_all(problem, on, flow, nests_of(problem, on, 12))
    with small_parts(data):
        found = best(problem, on, [flow])
    assert (found is not None) == bool(every)
    if found is None:
        return
    assert Tiling(problem, dict(found.sizes), found.mode, on).footprint() <= on.buffer_bits
    played = measures(problem, on, flow, dict(found.sizes), found.mode)
    assert (found.cycles, found.dram_bits) == (played.cycles, played.dram_bits)
    assert LowerBounds(problem, on, flow).of() <= min(summed(cost, objective) for cost in every)
    check_choice(played, every, objective, slack)


def check_units_against_enumeration(layer: Layer, drawn: list[Unit], data: st.DataObject) -> None:
    """What is taken is the best by the rule of all tilings on all units of a machine, and no bound is above one."""
    named = tuple(unit._replace(name=f"unit{number}") for number, unit in enumerate(drawn))
    slack = data.draw(among(0.0, 0.0, 0.15), label="slack")
    objective = data.draw(among("latency", "latency", "energy", "edp"), label="objective")
    bits = 8 * data.draw(among(256, 1024, 8192), label="bytes")
    on = data.draw(
        machines(slack=slack, buffer_bits=bits, objective=objective, dataflows=()), label="machine"
    )
    waits = data.draw(among(0, 0, 1, 2, 6, 40), label="accumulators")
    on = dataclasses.replace(on, units=named, psums_stay=waits > 0, accumulators=waits)
    problem = problem_of(layer, on)
    nests = nests_of(problem, on, 8)
    assume(len(nests) * len(named) <= 8)
    flows = [dataflow_of(unit) for unit in named]
    every = [enumerate_all(problem, on, flow, nests) for flow in flows]
    with small_parts(data):
        found = best(problem, on)
    assert (found is not None) == any(every)
    if found is None:
        return
    played = measures(problem, on, flows[int(found.dataflow[-1])], dict(found.sizes), found.mode)
    assert (found.cycles, found.dram_bits) == (played.cycles, played.dram_bits)
    assert found.energy == pytest.approx(played.energy, rel=1e-12)
    for flow, costs in zip(flows, every, strict=True):
        assert LowerBounds(problem, on, flow).of() <= min(summed(cost, objective) for cost in costs)
    check_choice(played, [cost for costs in every for cost in costs], objective, slack)


def check_choice(found: Measures, expected: list[Measures], objective: str, slack: float) -> None:
    """*found* is the best of the *expected* ones by the rule, and none of those within the slack dominates it."""
    least = min(cost.value(objective) for cost in expected)
    within = expected
    if objective == "latency":
        within = [cost for cost in expected if cost.cycles <= (1 + slack) * least]
        bits = min(cost.dram_bits for cost in within)
        if slack:
            assert found.dram_bits == bits
        cycles = [cost.cycles for cost in within if cost.dram_bits == bits or not slack]
        assert found.cycles == min(cycles)
    else:
        assert found.value(objective) <= least * (1 + ROUNDING)
    for cost in within:
        ratio = cost.energy / found.energy if found.energy else 1.0
        assert (
            cost.cycles > found.cycles
            or cost.dram_bits > found.dram_bits
            or ratio > 1 + ROUNDING
            or ((cost.cycles, cost.dram_bits) == (found.cycles, found.dram_bits) and ratio > 1 - ROUNDING)
        )


@settings(max_examples=30, deadline=None)
@given(layers(largest=3), machines())
def test_the_loop_orders_cause_the_traffic_of_all_six(layer: Layer, machine: Machine) -> None:
    problem = problem_of(layer, machine)
    every = tuple("".join(nest) for nest in itertools.permutations("PKC"))
    for sizes in tilings(problem, machine)[::7]:
        amounts = {
            nest: tuple(simulated(Case(problem, sizes, Mode(nest), DATAFLOWS["ws"], machine)).bits.items())
            for nest in (*every, "NKCP")
        }
        assert {amounts[nest] for nest in every} <= {amounts[nest] for nest in ORDERS}


@settings(max_examples=40, deadline=None)
@given(layers(largest=7), machines_with_lanes(), st.data())
def test_no_lower_bound_is_above_what_a_tiling_costs(
    layer: Layer, machine: Machine, data: st.DataObject
) -> None:
    """Of all tilings, of those with given pixels or channels in a tile, of single ones, of these with a loop order."""
    objective = data.draw(among("latency", "energy", "edp"), label="objective")
    bits = 8 * data.draw(st.sampled_from([128, 2048, 1 << 20]), label="bytes")
    machine = dataclasses.replace(machine, objective=objective, buffer_bits=bits)
    problem = problem_of(layer, machine, data.draw(homes(200), label="homes"))
    flow = DATAFLOWS[data.draw(st.sampled_from(sorted(DATAFLOWS)))]
    if data.draw(st.integers(0, 3), label="without bounds") == 0:
        flow = dataclasses.replace(flow, bounds=NO_BOUNDS)
    sizes = data.draw(st.sampled_from(tilings(problem, machine)), label="sizes")

    bounds = LowerBounds(problem, machine, flow)

    def bound(axes: str, mode: Mode | None = None) -> float:
        return bounds.of({axis: sizes[axis] for axis in axes}, mode)

    sets = [("", "n"), ("n", "nyx"), ("", "gkc"), ("nyx", "nyxgkc"), ("gkc", "nyxgkc"), ("yk", "nyxgk")]
    for larger, smaller in sets:
        assert bound(larger) <= bound(smaller) * (1 + 1e-9)
    fitting = [
        mode
        for mode in MODES
        if (machine.stays or not (mode.stays or mode.single))
        and Tiling(problem, sizes, mode, machine).footprint() <= machine.buffer_bits
        and (problem.output_bits[0] or not spills(problem, machine, sizes, mode))
    ]
    assert (bound("nyxgkc") < np.inf) == bool(fitting)
    per_bit = 1 / (8 * sum(memory.bytes_per_cycle for memory in machine.memories))
    different = [mode for mode in modes_of(problem, machine, sizes) if mode in fitting]
    for mode in data.draw(st.lists(st.sampled_from(different), max_size=6)) if different else ():
        cost = measures(problem, machine, flow, sizes, mode)
        try:
            closest = bound("nyxgkc", mode)
        except ValueError:  # it is the same as another one
            continue
        assert bound("nyxgkc") <= closest * (1 + 1e-12)
        assert closest <= summed(cost, objective)
        assert objective != "latency" or closest >= cost.dram_bits * per_bit * (1 - 1e-5)


@pytest.mark.parametrize("rate", [pytest.param(1.0, marks=pytest.mark.slow), 4.0])
def test_what_is_added_to_outputs_is_bounded_tile_by_tile(rate: float) -> None:
    """It comes with each tile of outputs, where the operand that lacks the innermost loop does not."""
    layer = dataclasses.replace(Layer.conv("conv", c=1, k=4, oy=2, ox=2, fy=1, fx=1), second_elements=16)
    for stays in (False, True):
        on = one_machine(
            rows=2, cols=1, ports=1, buffer_bits=1 << 30, dram_bytes_per_cycle=rate, setup=0, stays=stays
        )
        problem = problem_of(layer, on)
        for name in ("ws", "os"):
            bounds = LowerBounds(problem, on, DATAFLOWS[name])
            for sizes in tilings(problem, on):
                modes = modes_of(problem, on, sizes)
                costs = measures_of(problem, on, DATAFLOWS[name], sizes, modes)
                for mode, cost in zip(modes, costs, strict=True):
                    with suppress(ValueError):  # the mode is the same as another one
                        assert bounds.of(sizes, mode) <= cost.cycles


@settings(max_examples=100, deadline=None)
@given(layers(largest=8), machines(), st.data())
def test_traffic_and_footprint_of_every_tiling(layer: Layer, machine: Machine, data: st.DataObject) -> None:
    problem = problem_of(layer, machine, data.draw(homes(200), label="homes"))
    space = Space(problem, machine)
    pixel = np.array([data.draw(st.integers(0, len(space.pixels.owner) - 1))])
    channel = np.array([data.draw(st.integers(0, len(space.channels.owner) - 1))])
    sizes = dict(zip(AXES, space.tile_sizes(pixel, channel)[:, 0].tolist(), strict=True))
    (least,), *_ = space.volumes(space.pairs(pixel, channel))
    for mode in data.draw(st.lists(st.sampled_from(MODES), min_size=1, max_size=6)):
        which = np.array([MODE_NUMBERS[mode]])
        footprint = Tiling(problem, sizes, mode, machine).footprint()
        assert space.residency.footprint(which, pixel, channel) == footprint
        assert footprint >= least or not machine.stays
        assert footprint == least or machine.stays or mode.stays or mode.single or layer.pool
        played = simulated(Case(problem, sizes, mode, DATAFLOWS["ws"], machine))
        exact = [int(part[0]) for part in space.residency.dram_bits(which, pixel, channel)]
        assert exact == list(played.bits.values())
        if mode in modes_of(problem, machine, sizes):
            for room in (footprint, np.inf):
                (traffic,) = space.volumes(space.pairs(pixel, channel), room).traffic
                assert traffic <= sum(exact) * (1 + 1e-12)


@given(st.data())
def test_winners_are_all_that_are_wanted(data: st.DataObject) -> None:
    """With blocks of any size, by the definition."""
    seed = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    shape = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    quantity = Products(seed.integers(0, 9, (2, shape[0])) * 1.0, seed.integers(0, 9, (2, shape[1])) * 1.0)
    every = quantity.rows.T @ quantity.columns
    limit = data.draw(among(-1.0, 0.0, 20.0, 60.0, 1e9))
    pixels, channels = np.arange(shape[0]), np.arange(shape[1])
    found: set[tuple[int, int]] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("squeezesim.cost.views.FEW", data.draw(st.integers(1, 100)))
        for pixel, channel, (values,) in winners(
            lambda view: (view(quantity),), lambda bound: bound <= limit, pixels, channels
        ):
            assert np.array_equal(values, every[pixel, channel])
            assert len(found & set(zip(pixel.tolist(), channel.tolist(), strict=True))) == 0
            found |= set(zip(pixel.tolist(), channel.tolist(), strict=True))
    assert found == {(p, c) for p, c in zip(*np.nonzero(every <= limit), strict=True)}


@settings(max_examples=60, deadline=None)
@given(layers(largest=7), machines(), st.data())
def test_bounds_change_how_long_a_search_takes_and_nothing_else(
    layer: Layer, machine: Machine, data: st.DataObject
) -> None:
    kept = data.draw(among(0, 0, 256), label="bits for weights alone")
    machine = dataclasses.replace(
        machine,
        objective=data.draw(among("latency", "energy", "edp"), label="objective"),
        slack=data.draw(among(0.0, 0.15), label="slack"),
        buffer_bits=8 * data.draw(among(512, 8192), label="bytes") + kept,
        weights_bits=kept,
    )
    names = data.draw(
        st.sampled_from([*([name] for name in sorted(DATAFLOWS)), ["ws", "os"], ["os", "scalesim_is"]])
    )
    flows, problem = [DATAFLOWS[name] for name in names], problem_of(layer, machine)
    with small_parts(data):
        found = best(problem, machine, flows)
    assert found == best(problem, machine, [dataclasses.replace(flow, bounds=NO_BOUNDS) for flow in flows])


@given(
    layers(largest=8), machines(buffer_bits=1 << 20, objective="latency"), st.sampled_from(sorted(DATAFLOWS))
)
def test_no_bound_is_below_what_a_port_moves_of_weights(layer: Layer, machine: Machine, flow: str) -> None:
    """Of a slow memory the port alone says how long it takes, however fast the others are."""
    flash = Store("flash", ("weights",), bytes_per_cycle=0.01, latency=0)
    machine = dataclasses.replace(machine, stores=(flash,))
    problem = problem_of(layer, machine)
    moving = int(problem.weights[0] * problem.weight_bits[0]) / 8 / flash.bytes_per_cycle
    assert LowerBounds(problem, machine, DATAFLOWS[flow]).of() >= moving * (1 - 1e-9)
