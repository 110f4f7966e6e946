"""The compiled search makes the choices of the other one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost import compiled
from squeezesim.cost.array_costs import DataflowCosts
from squeezesim.cost.bounds import OptionSpace
from squeezesim.cost.costs import Costs
from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import MapSpace, options_of, tried_sizes
from squeezesim.cost.problem import Workload, workload_of
from squeezesim.cost.rates import EDP, ENERGY, LATENCY, Rates
from squeezesim.cost.search import TRAFFIC, Choice, Search
from squeezesim.cost.traffic import ORDERS
from squeezesim.hardware import Accelerator
from squeezesim.load import load
from tests.cost.cases import buffer_parts, homes, layers, least_bits, machines_with_lanes, usual_layers
from tests.draws import among
from tests.reference.cases import units

pytestmark = pytest.mark.skipif(compiled.core() is None, reason="no compiled core was built")

ROOMS = st.sampled_from([1.0, 1.0, 1.1, 1.3, 1.6, 2.0, 3.0, 5.0, 10.0, 1000.0])
"""Of a buffer, in smallest tiles."""


@st.composite
def families(draw: st.DrawFn) -> Machine:
    """A machine of what the core knows: small ones, and those of usual sizes."""
    fixed: dict[str, Any] = {"dataflows": draw(among(("ws",), ("os",), ("ws", "os")))}
    fixed["objective"] = draw(st.sampled_from([LATENCY, LATENCY, ENERGY, EDP]))
    fixed["whole_blocks"] = draw(among(False, False, True))
    if draw(st.booleans()):
        fixed["units"] = (draw(units()),)
        fixed["dataflows"] = draw(among((), (), ("ws",), ("os",)))
    accumulators = 0 if fixed["dataflows"] else draw(among(0, 1, 7, 64))
    if draw(st.booleans()):
        fixed["rows"], fixed["cols"] = draw(st.tuples(*[st.sampled_from([4, 8, 9, 14, 16, 20, 32])] * 2))
        fixed["ports"] = draw(among(1, 4, 16, 40))
        fixed["psum_words"] = draw(among(1, 4, 16, 64))
    if draw(among(False, False, True)):
        fixed |= draw(buffer_parts())
        fixed["parts"] = tuple(
            part for part in fixed["parts"] if part.holds != ("psums",) or not accumulators
        )
    # Without accumulators tiles have all channels: a search is told so by constraints.
    fixed |= {"psums_stay": accumulators > 0, "accumulators": accumulators}
    return draw(machines_with_lanes(**fixed))


class Case(NamedTuple):
    """Problems on similar machines, in what constraints leave of the tilings."""

    work: Workload
    family: Machine
    rates: Rates
    options: MapSpace | None
    orders: Sequence[str]
    required: Sequence[str]

    def search(self) -> Search:
        room = float((self.rates.buffer_bits - self.family.weights_bits).max())
        flows = list(flows_of(self.family).values())
        return Search(self.work, self.family, room, flows, self.options, self.orders, self.required)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any problems, machines and constraints of what the core knows."""
    on, each = draw(families()), draw(st.lists(layers() | usual_layers(), min_size=1, max_size=3))
    at = draw(homes(200))
    smallest = max(least_bits(layer, on) for layer in each) + at.kept
    if not on.parts and draw(among(False, False, True)):
        on = replace(on, weights_bits=smallest)
    rooms = draw(st.lists(ROOMS, min_size=1, max_size=3))
    if on.parts:
        on = replace(on, parts=tuple(part._replace(bits=part.bits + smallest) for part in on.parts))
        rooms = [1.0]
    whole = sum(part.bits for part in on.parts)
    several = [
        replace(
            on,
            buffer_bits=(whole or int(smallest * room)) + on.weights_bits,
            dram_bytes_per_cycle=on.dram_bytes_per_cycle * draw(among(1.0, 1.0, 1.7)),
            dram_latency=on.dram_latency + draw(st.integers(0, 2)),
            slack=draw(among(0.0, 0.05, 0.3)),
        )
        for room in rooms
    ]
    places = [at] * len(each)
    if draw(st.booleans()):  # a layer in two places
        each, places = [*each, each[0]], [*places, at._replace(inputs=not at.inputs)]
    work, _ = workload_of(each, on, places)
    family, rates = on.family(priced=False), Rates.of(several)
    if on.objective == EDP:
        weights = [draw(among((1.0, 0.0), (1.0, 1.0), (0.02, 1.0), (1.0, 0.03))) for _ in several]
        rates = rates.weighted(np.array(weights))
    options = None
    if not family.accumulators and draw(among(False, False, True)):
        sizes = [
            [axis[: draw(st.integers(1, len(axis)))] for axis in axes] for axes in tried_sizes(work, family)
        ]
        options = options_of(work, family, sizes)
    orders = draw(st.sampled_from([ORDERS, ORDERS, ORDERS[:1], ORDERS[2:]]))
    required = draw(among((), (), ("weights",), ("inputs", "outputs")))
    return Case(work, family, rates, options, orders, required)


def tilings_of(search: Search, choice: Choice) -> Any:
    """Dataflow, mode and tile sizes of each machine and problem."""
    machines, problems = choice.flow.shape
    machine, row = (part.ravel() for part in np.indices((machines, problems)))
    taken = choice.tilings(machine, row)
    return choice.flow.ravel(), taken.mode, search.space.tile_sizes(taken.pixel, taken.channel)


def check(case: Case) -> None:
    ours = case.search()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "core", lambda: None)
        theirs = case.search()
    # Shares of parts of a buffer are rounded down there.
    np.testing.assert_allclose(ours.space.least_footprint, theirs.space.least_footprint, rtol=2e-12)
    room = case.rates.buffer_bits - case.family.weights_bits
    rates = case.rates.take(np.flatnonzero(room >= ours.space.least_footprint.max()))
    if len(rates) == 0:
        return
    one, other = ours.choose(rates), theirs.choose(rates)
    for name in (LATENCY, TRAFFIC):
        np.testing.assert_array_equal(one.measures[name], other.measures[name])
    for name in (ENERGY, EDP):
        np.testing.assert_allclose(one.measures[name], other.measures[name], rtol=1e-13)
    for values, others in zip(tilings_of(ours, one), tilings_of(theirs, other), strict=True):
        np.testing.assert_array_equal(values, others)


@settings(max_examples=100)
@given(cases())
def test_the_core_makes_the_same_choices(case: Case) -> None:
    check(case)


def check_forms(case: Case) -> None:
    """The closed forms of the core are those of NumPy, to the last bit."""
    space = OptionSpace(case.work, case.family, case.options, case.orders, case.required)
    for flow in flows_of(case.family).values():
        costs = DataflowCosts(space, flow)
        ours, theirs = compiled.cycle_forms(space, costs), costs.array.alternatives
        np.testing.assert_array_equal(ours.rows, theirs.rows)
        np.testing.assert_array_equal(ours.columns, theirs.columns)


@settings(max_examples=200)
@given(cases())
def test_the_core_has_the_same_closed_forms(case: Case) -> None:
    check_forms(case)


@pytest.mark.slow
@settings(max_examples=2_000)
@given(cases())
def test_the_core_has_the_same_closed_forms_in_2000_cases(case: Case) -> None:
    check_forms(case)


@pytest.mark.slow
@settings(max_examples=2_000)
@given(cases())
def test_the_core_makes_the_same_choices_in_2000_cases(case: Case) -> None:
    check(case)


def check_network(name: str, hw: Accelerator) -> None:
    layers = load(name).layers
    ours = evaluate(layers, [hw])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "core", lambda: None)
        theirs = evaluate(layers, [hw])
    for field in fields(Costs):
        one, other = getattr(ours, field.name), getattr(theirs, field.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other, err_msg=field.name)
        else:
            assert one == other


SEARCHED = ("os_32x32", "ws_32x32", "hybrid_32x32", "squeezelerator_8x8", "squeezelerator_16x16", "dpu_b4096")
"""Shipped accelerators that the core knows."""


@pytest.mark.parametrize("accelerator", ["hybrid_32x32", "dpu_b4096"])
def test_all_arrays_of_a_network_are_equal(accelerator: str) -> None:
    check_network("squeezenext_23", Accelerator.named(accelerator))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x1_0", "ghostnet", "alexnet", "resnet18"])
@pytest.mark.parametrize("accelerator", SEARCHED)
def test_all_arrays_of_networks_are_equal(accelerator: str, name: str) -> None:
    check_network(name, Accelerator.named(accelerator))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenext_23", "mobilenet_v2", "resnet18"])
def test_all_arrays_of_networks_whose_maps_stay_are_equal(name: str) -> None:
    keeps = {"memory.global_buffer.keeps": ["activations"]}
    check_network(name, Accelerator.named("hybrid_32x32").replace(keeps))
