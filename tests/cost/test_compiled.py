"""The compiled search makes the choices of the other one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost import compiled
from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import options_of, tried_sizes
from squeezesim.cost.problem import workload_of
from squeezesim.cost.rates import EDP, ENERGY, LATENCY, Rates
from squeezesim.cost.search import TRAFFIC, Choice, Search
from squeezesim.cost.traffic import LOOPS, ORDERS
from tests.cost.cases import buffer_parts, homes, layers, least_bits, machines, usual_layers
from tests.reference.cases import units

pytestmark = pytest.mark.skipif(compiled.library() is None, reason="no compiled core was built")

ROOMS = st.sampled_from([1.0, 1.0, 1.1, 1.3, 1.6, 2.0, 3.0, 5.0, 10.0, 1000.0])
"""Of a buffer, in smallest tiles."""


@st.composite
def families(draw: st.DrawFn) -> Machine:
    """A machine of what the core knows: small ones, and those of usual sizes."""
    fixed: dict[str, Any] = {"dataflows": draw(st.sampled_from([("ws",), ("os",), ("ws", "os")]))}
    fixed["objective"] = draw(st.sampled_from([LATENCY, LATENCY, ENERGY, EDP]))
    fixed["whole_blocks"] = draw(st.sampled_from([False, False, True]))
    if draw(st.booleans()):
        fixed["units"] = (draw(units()),)
        fixed["dataflows"] = draw(st.sampled_from([(), (), ("ws",), ("os",)]))
    if draw(st.booleans()):
        fixed["rows"], fixed["cols"] = draw(st.tuples(*[st.sampled_from([4, 8, 9, 14, 16, 20, 32])] * 2))
        fixed["ports"] = draw(st.sampled_from([1, 4, 16, 40]))
        fixed["psum_words"] = draw(st.sampled_from([1, 4, 16, 64]))
    if draw(st.sampled_from([False, False, True])):
        fixed |= draw(buffer_parts())
        fixed["psums_stay"] = False  # tiles of all channels alone: a search is told so by constraints
    return draw(machines(**fixed))


@st.composite
def searches(draw: st.DrawFn) -> tuple[Search, Rates]:
    """Problems on similar machines."""
    on, each = draw(families()), draw(st.lists(layers() | usual_layers(), min_size=1, max_size=3))
    at = draw(homes(200))
    smallest = max(least_bits(layer, on) for layer in each) + at.resident
    if not on.parts and draw(st.sampled_from([False, False, True])):
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
            dram_bytes_per_cycle=on.dram_bytes_per_cycle * draw(st.sampled_from([1.0, 1.0, 1.7])),
            dram_latency=on.dram_latency + draw(st.integers(0, 2)),
            slack=draw(st.sampled_from([0.0, 0.05, 0.3])),
        )
        for room in rooms
    ]
    work, _ = workload_of(each, on, [at] * len(each))
    family = on.family(priced=False)
    rates = Rates.of(several)
    if on.objective == EDP:
        weights = [draw(st.sampled_from([(1.0, 0.0), (1.0, 1.0), (0.02, 1.0), (1.0, 0.03)])) for _ in several]
        rates = rates.weighted(np.array(weights))
    options = None
    if draw(st.sampled_from([False, False, True])):  # as constraints leave them
        sizes = [
            [axis[: draw(st.integers(1, len(axis)))] for axis in axes] for axes in tried_sizes(work, family)
        ]
        options = options_of(work, family, sizes)
    orders = draw(st.sampled_from([ORDERS, ORDERS, ORDERS[:1], ORDERS[2:]]))
    required = draw(st.sampled_from([(), (), ("weights",), ("inputs", "outputs")]))
    room = float(max(machine.buffer_bits - machine.weights_bits for machine in several))
    search = Search(work, family, room, list(flows_of(family).values()), options, orders, required)
    fitting = np.flatnonzero(
        rates.buffer_bits - on.weights_bits >= search.space.least_footprint.max()
    )  # machines that all problems fit
    return search, rates.take(fitting)


def chosen(search: Search, rates: Rates, *, by_core: bool) -> Choice:
    search.is_compiled = by_core
    return search.choose(rates)


def check(case: tuple[Search, Rates]) -> None:
    search, rates = case
    assert set(LOOPS) >= set(search.space.required)
    if len(rates) == 0:
        return
    ours, theirs = (chosen(search, rates, by_core=by_core) for by_core in (True, False))
    for name in (LATENCY, TRAFFIC):
        np.testing.assert_array_equal(ours.measures[name], theirs.measures[name])
    for name in (ENERGY, EDP):
        np.testing.assert_allclose(ours.measures[name], theirs.measures[name], rtol=1e-13)
    for one, other in zip(ours[1:], theirs[1:], strict=True):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=100)
@given(searches())
def test_the_core_makes_the_same_choices(case: tuple[Search, Rates]) -> None:
    check(case)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(searches())
def test_the_core_makes_the_same_choices_in_10000_cases(case: tuple[Search, Rates]) -> None:
    check(case)
