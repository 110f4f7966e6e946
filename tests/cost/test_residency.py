"""What stays has the place that it needs at every moment, and never makes a tiling slower."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.bounds import Space
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import Machine
from squeezesim.cost.pipeline import Points, play
from squeezesim.cost.problem import Workload
from squeezesim.cost.rates import Rates
from squeezesim.cost.search import TRAFFIC, Search
from squeezesim.cost.traffic import AXES, LOOPS, MODE_NUMBERS, MODES, Mode, capacity
from squeezesim.network.layer import Layer
from squeezesim.reference.pipeline import READS, Tiling
from tests.cost.cases import layers, machines, problem_of, usual_layers
from tests.cost.cases import machine as one_machine
from tests.reference.cases import tiles


def occupied(tiling: Tiling, operand: str) -> int:
    """Most bits of *operand* that are in the buffer in any step, if it stays: from the step before their first use on.

    They leave with their last use before an outer loop moves on, finished outputs a step later.
    """
    places = [
        dict(zip(tiling.axes, index, strict=True))
        for index in itertools.product(*(range(tiling.tiles[axis]) for axis in tiling.axes))
    ]
    lacked = min(tiling.axes.index(axis) for axis in tiling.axes if axis not in READS[operand])
    first: dict[object, int] = {}
    last: dict[object, int] = {}
    size: dict[object, int] = {}
    for number, place in enumerate(places):
        period = tuple(place[axis] for axis in tiling.axes[:lacked])
        key = period, tuple(place[axis] for axis in READS[operand] if operand != "inputs" or axis not in "yx")
        bits = tiling.bits(place, operand)
        elements = [(0, 0)]
        if operand == "inputs":
            elements = list(itertools.product(*(tiling.positions(axis, place) for axis in "yx")))
            bits //= max(len(elements), 1)
        bits *= tiling.one["accumulator_bits"] if operand == "outputs" else 1
        for element in elements:
            first.setdefault((key, element), number - (operand != "outputs"))
            last[key, element] = number + (operand == "outputs")
            size[key, element] = bits
    events = defaultdict[int, int](int)
    for element, bits in size.items():
        events[first[element]] += bits
        events[last[element] + 1] -= bits
    return max(itertools.accumulate(events[step] for step in sorted(events)))


@settings(max_examples=200)
@given(layers(largest=6), machines(double_inputs=True, double_weights=True, double_outputs=True), st.data())
def test_what_stays_fits_its_place(layer: Layer, machine: Machine, data: st.DataObject) -> None:
    problem = problem_of(layer, machine)
    sizes = data.draw(tiles(problem))._asdict()
    order = data.draw(st.sampled_from([*dict.fromkeys(mode.order for mode in MODES)]))
    alone = Tiling(problem, sizes, Mode(order), machine)
    for operand in LOOPS:
        several = [axis for axis in alone.axes[_lacked(alone, operand) :] if axis in READS[operand]]
        if np.prod([alone.tiles[axis] for axis in several]) == 1:
            continue  # it is held as if it did not stay
        tiling = Tiling(problem, sizes, Mode(order, (operand,)), machine)
        place = tiling.footprint() - sum(
            tiling.slot(other) * (1 + any(tiling.tiles[axis] > 1 for axis in READS[other]))
            for other in LOOPS
            if other != operand
        )
        assert occupied(tiling, operand) <= place


@pytest.mark.parametrize(("order", "slots"), [("PKC", 1), ("PCK", 2), ("KCP", 2)])
def test_what_is_added_has_a_slot_more_where_two_tiles_in_a_row_finish_outputs(
    order: str, slots: int
) -> None:
    """Of 3 inputs and outputs of 16 bits in tiles of one, in three pixels; other operands have two slots each."""
    layer = Layer.conv("layer", c=3, k=3, oy=3, ox=1, fy=1, fx=1)
    on = one_machine(double_inputs=True, double_weights=True, double_outputs=True)
    with_sum = problem_of(replace(layer, second_elements=9), on)
    sizes = dict.fromkeys(AXES, 1)
    for mode in (Mode(order), Mode(order, ("weights",))):
        alone, beside = (
            Tiling(each, sizes, mode, on).footprint() for each in (problem_of(layer, on), with_sum)
        )
        assert beside - alone == 16 * slots
        space = Space(with_sum, on)
        found = [
            (pixel, channel)
            for pixel in range(len(space.pixels.owner))
            for channel in range(len(space.channels.owner))
            if not np.any(space.tile_sizes(np.array([pixel]), np.array([channel]))[:, 0] != 1)
        ]
        pixel, channel = (np.array([each]) for each in found[0])
        assert space.residency.footprint(np.array([MODE_NUMBERS[mode]]), pixel, channel) == beside


def _lacked(tiling: Tiling, operand: str) -> int:
    return min(tiling.axes.index(axis) for axis in tiling.axes if axis not in READS[operand])


def cycles(problem: Workload, sizes: dict[str, int], modes: list[Mode], machine: Machine) -> list[int]:
    several = problem.take(np.zeros(len(modes), np.int64))
    tiles = np.array([[sizes[axis]] * len(modes) for axis in AXES])
    points = Points(several, np.array([MODE_NUMBERS[mode] for mode in modes]), tiles)
    return [int(each) for each in play(points, DATAFLOWS["ws"], machine).cycles]


ANY = (layers(), machines(stores=()), st.data(), st.sampled_from(MODES))


@settings(max_examples=200)
@given(*ANY)
def test_what_stays_is_never_slower_nor_are_two_slots(
    layer: Layer, machine: Machine, data: st.DataObject, mode: Mode
) -> None:
    check_slots(layer, machine, data, mode)


@pytest.mark.slow
@settings(max_examples=2000)
@given(*ANY)
def test_what_stays_is_never_slower_in_2000_cases(
    layer: Layer, machine: Machine, data: st.DataObject, mode: Mode
) -> None:
    check_slots(layer, machine, data, mode)


def check_slots(layer: Layer, machine: Machine, data: st.DataObject, mode: Mode) -> None:
    problem = problem_of(layer, machine)
    sizes = data.draw(tiles(problem))._asdict()
    for operand in LOOPS:
        rest = [{*part} - {operand} for part in (mode.stays, mode.single)]
        ways = [({operand}, set()), (set(), set()), (set(), {operand})]
        ways += [({operand}, {operand})] if operand == "inputs" else []
        modes = [
            Mode(mode.order, *(part(one | more) for one, more in zip(rest, way, strict=True))) for way in ways
        ]
        own, stays, slots, single, *in_one = cycles(problem, sizes, [mode, *modes], machine)
        assert stays <= slots <= single
        assert all(stays <= each <= single for each in in_one)
        assert own in (stays, slots, single, *in_one)


def part(operands: set[str]) -> tuple[str, ...]:
    """Operands in their order."""
    return tuple(operand for operand in LOOPS if operand in operands)


LARGE = (
    layers() | usual_layers(),
    machines(buffer_bits=1 << 40, stays=True, stores=()),
    st.sampled_from(sorted(DATAFLOWS)),
    st.sampled_from(["latency", "latency", "energy"]),
)


@settings(max_examples=200)
@given(*LARGE)
def test_an_unlimited_buffer_has_compulsory_traffic(
    layer: Layer, machine: Machine, flow: str, objective: str
) -> None:
    check_traffic(layer, replace(machine, objective=objective), flow)


@pytest.mark.slow
@settings(max_examples=2000)
@given(*LARGE)
def test_an_unlimited_buffer_has_compulsory_traffic_in_2000_cases(
    layer: Layer, machine: Machine, flow: str, objective: str
) -> None:
    check_traffic(layer, replace(machine, objective=objective), flow)


def check_traffic(layer: Layer, machine: Machine, flow: str) -> None:
    """Each element passes once, by latency with some slack, and by energy at a price of DRAM alone.

    Those inputs that are read, as rows or elements. Without slack more may pass where that takes fewer cycles.
    """
    if machine.objective != "latency":
        free = dict.fromkeys(("buffer_read_per_bit", "buffer_write_per_bit", "leakage_mw"), 0.0)
        prices = replace(machine.energy, **free, dram_per_bit=1e6)
        machine = replace(machine, energy=prices)
    problem, rates = problem_of(layer, machine), Rates.of([machine, replace(machine, slack=0.15)])
    search = Search(problem, machine, capacity(machine, rates).max(), [DATAFLOWS[flow]])
    measures = search.choose(rates).measures
    (cycles, lean_cycles), (moved, lean_moved) = (
        measures[name][:, 0].tolist() for name in ("latency", TRAFFIC)
    )
    whole = Tiling(problem, {axis: int(getattr(problem, axis)[0]) for axis in AXES}, Mode("PKC"), machine)
    place = dict.fromkeys(whole.axes, 0)
    outputs = int((problem.g * problem.k * problem.pooled * problem.activation_bits)[0])
    second = whole.bits(place, "outputs") * int(problem.second[0])
    weights = int((problem.stored_weights + problem.constants)[0])
    compulsory = whole.bits(place, "inputs") + second + weights + outputs
    assert lean_moved <= compulsory
    assert moved <= compulsory or (machine.objective == "latency" and cycles < lean_cycles)
