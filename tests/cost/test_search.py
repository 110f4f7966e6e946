from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from squeezesim.cost.bounds import Products, Space, block, runs, winners
from squeezesim.cost.candidates import Flow
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import ORDERS, tile_sizes
from squeezesim.cost.pipeline import AXES
from squeezesim.cost.problem import Workload
from squeezesim.cost.prune import Sides
from squeezesim.cost.rates import Rates
from squeezesim.cost.search import Search
from squeezesim.network.layer import Layer
from squeezesim.reference.pipeline import Case, Tiling, simulated
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
    fits = space.least_footprint[0] <= machine.buffer_bits
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
    of, rates = Flow(space, flow), Rates.of([machine])
    pixel = data.draw(st.integers(0, len(space.pixels.owner) - 1))
    channel = data.draw(st.integers(0, len(space.channels.owner) - 1))
    view = space.pairs(np.array([pixel]), np.array([channel]))
    (footprint,), (traffic,), _ = space.volumes(view)
    candidates = of.candidates(np.array([0]), np.array([pixel]), np.array([channel]))
    tilings, cycles = candidates.tilings, candidates.cycles(rates)[0]
    (bound,), _ = of.bound(view, rates)
    per_bit = 1 / (8 * machine.dram_bytes_per_cycle)
    for number, order in enumerate(tilings.order.tolist()):
        sizes = dict(
            zip(AXES, space.tile_sizes(tilings.pixel, tilings.channel)[:, number].tolist(), strict=True)
        )
        played = simulated(Case(problem, sizes, ORDERS[order], flow, machine))
        bits = Tiling(problem, sizes, "PKC", machine).footprint()
        assert footprint == candidates.footprint[number] == bits
        exact = [int(part[number]) for part in space.dram_bits(tilings.order, tilings.pixel, tilings.channel)]
        assert exact == list(played.bits.values())
        assert candidates.traffic[number] == sum(exact)
        assert traffic <= sum(exact) * (1 + 1e-12)
        assert cycles[number] <= played.cycles
        assert cycles[number] >= sum(exact) * per_bit * (1 - 1e-5)
        assert np.isinf(bound) == (bits > machine.buffer_bits)
        assert np.isinf(bound) or bound <= cycles[number] * (1 + 1e-12)
        assert np.isinf(bound) or bound <= played.cycles


@settings(max_examples=60, deadline=None)
@given(layers(largest=12), machines(), st.data())
def test_no_view_is_above_the_tilings_that_it_stands_for(
    layer: Layer, machine: Machine, data: st.DataObject
) -> None:
    """Options, and runs of them, are left out by bounds that none of their tilings is below."""
    objective = data.draw(st.sampled_from(["latency", "energy", "edp"]))
    bits = 8 * data.draw(st.sampled_from([128, 1024, 1 << 20]))
    kept = data.draw(st.sampled_from([0, 0, 256]))
    machine = dataclasses.replace(machine, objective=objective, buffer_bits=bits + kept, weights_bits=kept)
    flow = DATAFLOWS[data.draw(st.sampled_from(sorted(DATAFLOWS)))]
    space = Space(problem_of(layer, machine), machine)
    of, ideal = Flow(space, flow), Rates.of([machine])
    pixels, channels = np.arange(len(space.pixels.owner)), np.arange(len(space.channels.owner))
    pixel, channel = (part.ravel() for part in np.meshgrid(pixels, channels, indexing="ij"))
    values, traffic = of.bound(space.pairs(pixel, channel), ideal)
    bounds, moved = (part.reshape(len(pixels), len(channels)) for part in (values, traffic))
    footprint = space.footprint(pixel, channel)
    assert space.least_footprint[0] == footprint.min()
    assert space.footprint(*space.smallest)[0] == footprint.min()

    def below(some: Any, every: Any) -> bool:
        return bool((some <= every + 1e-9 * np.where(np.isinf(every), 0, abs(every)) + 1e-9).all())

    sides = Sides(of, ideal)
    several = bounds[:-1]
    if len(several):
        assert below(sides.by_pixel[:-1], several.min(axis=1))
        assert below(sides.by_channel, several.min(axis=0))
        assert below(sides.pixel_traffic[:-1], moved[:-1].min(axis=1))
        assert below(sides.channel_traffic, moved[:-1].min(axis=0))
        found = of.bound(block(pixels[:-1], channels), ideal)[0]
        assert below(found, several)
        assert below(several, found)
        rows, columns = (np.arange(0, len(part), 3) for part in (pixels[:-1], channels))
        of_runs = of.bound(runs(pixels[:-1], rows, channels, columns), ideal)[0]
        least = np.minimum.reduceat(np.minimum.reduceat(several, rows, axis=0), columns, axis=1)
        assert below(of_runs, least)
    assert below(sides.single, bounds[-1])
    assert below(bounds[-1], sides.single)
    assert below(sides.floor, bounds.min())


@given(st.data())
def test_winners_are_all_that_are_wanted(data: st.DataObject) -> None:
    """With blocks of any size, by the definition."""
    seed = np.random.default_rng(data.draw(st.integers(0, 1 << 32)))
    shape = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    quantity = Products(seed.integers(0, 9, (2, shape[0])) * 1.0, seed.integers(0, 9, (2, shape[1])) * 1.0)
    every = quantity.rows.T @ quantity.columns
    limit = data.draw(st.sampled_from([-1.0, 0.0, 20.0, 60.0, 1e9]))
    pixels, channels = np.arange(shape[0]), np.arange(shape[1])
    found: set[tuple[int, int]] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("squeezesim.cost.bounds.FEW", data.draw(st.integers(1, 100)))
        for pixel, channel, (values,) in winners(
            lambda view: (view(quantity),), lambda bound: bound <= limit, pixels, channels
        ):
            assert np.array_equal(values, every[pixel, channel])
            assert len(found & set(zip(pixel.tolist(), channel.tolist(), strict=True))) == 0
            found |= set(zip(pixel.tolist(), channel.tolist(), strict=True))
    assert found == {(p, c) for p, c in zip(*np.nonzero(every <= limit), strict=True)}
