"""Many accelerators costed together: what comes out is what each gives by itself, to the last bit."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.costs import ARRAYS, Costs
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.evaluate import evaluate, evaluate_each
from squeezesim.cost.layings import LAID_BY, layings
from squeezesim.cost.machine import Machine
from squeezesim.cost.pipeline import Points, play, schedule_of
from squeezesim.cost.rates import Rates, clusters, in_order
from squeezesim.cost.search import BestTiling, best
from squeezesim.cost.traffic import AXES, MODES
from squeezesim.errors import HardwareError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, machine, machines, problem_of
from tests.draws import among

BASE = Accelerator.named("squeezelerator_16x16").replace({"energy.overrides": {}})
POOL = Layer(name="p", op="pool", kind="vector", input_elements=400, output_elements=100, vector_ops=900)


def designs(draw: st.DrawFn, **fixed: Any) -> Accelerator:
    """An accelerator that differs from others in what families share and in what they do not."""
    whole = {
        "array.rows": draw(among(2, 4)),
        "array.dataflows": draw(among(("ws", "os"), ("os", "ws"), ("scalesim_os", "ws"))),
        "memory.global_buffer.double_buffered": draw(
            st.sampled_from([("inputs", "weights", "outputs"), ("inputs",), ()])
        ),
        "memory.global_buffer.size_kib": draw(among(2, 4, 8, 64)),
        "memory.global_buffer.bytes_per_cycle": draw(among(None, None, 3, 32)),
        "memory.global_buffer.weights_kib": draw(among(0, 0, 0, 1)),
        "memory.dram.bandwidth_gb_s": draw(among(0.5, 3.8, 16, 100)),
        "memory.dram.latency_cycles": draw(among(0, 10, 100)),
        "control.layer_setup_cycles": draw(among(0, 50)),
        "clock_mhz": draw(among(200, 1000)),
        "mapper.objective": draw(among("latency", "latency", "energy", "edp")),
        "mapper.latency_slack": draw(among(0, 0, 0.15, 1)),
        "vector.model": draw(among("lanes", "none")),
        "vector.lanes": draw(among(1, 16)),
        "energy.overrides.dram": draw(among(0, 50, 200)),
        "energy.overrides.buffer": draw(among(0, 6)),
    }
    return BASE.replace(whole | {"array.cols": 4} | fixed)


@st.composite
def several(draw: st.DrawFn, **fixed: Any) -> list[Accelerator]:
    return [designs(draw, **fixed) for _ in range(draw(st.integers(2, 7)))]


def same(together: Costs, row: int, alone: Costs) -> None:
    for field in ARRAYS:
        assert np.array_equal(getattr(together, field)[[row]], getattr(alone, field)), field


def order(found: BestTiling, objective: str) -> tuple[float, ...]:
    """By what the best tilings of several layings are compared; energies are sums of floats."""
    energy = float(f"{found.energy:.10e}")
    if objective == "latency":
        return found.cycles, energy, found.dram_bits
    return energy * (found.cycles if objective == "edp" else 1), found.cycles, energy, found.dram_bits


def takes_the_best(layer: Layer, hw: Accelerator, together: Costs, row: int) -> None:
    """The first layer has the best tiling of all layings of this machine alone."""
    on = Machine.of(hw)
    every = layings(on)
    if (
        len(every) > 1 and on.objective == "latency" and on.slack
    ):  # which is beside the fastest of all layings
        fastest = (best(problem_of(layer, each), dataclasses.replace(each, slack=0.0)) for each in every)
        assert together.cycles[row, 0] <= (1 + on.slack) * min(each.cycles for each in fastest if each)
        return
    tilings = [best(problem_of(layer, each), each) for each in every]
    found = min((each for each in tilings if each), key=lambda each: order(each, on.objective))
    assert LAID_BY[together.laid_by[row, 0]] == every[tilings.index(found)].laid_by
    assert found.dataflow == together.dataflows[together.dataflow[row, 0]]
    assert found.mode == MODES[together.mode[row, 0]]
    assert list(found.sizes.values()) == together.tile[row, 0].tolist()
    assert found.cycles == together.cycles[row, 0]


def check(network: list[Layer], accelerators: list[Accelerator]) -> None:
    together, misfits = evaluate_each(network, accelerators)
    for row, (hw, misfit) in enumerate(zip(accelerators, misfits, strict=True)):
        if misfit is None:
            same(together, row, evaluate(network, [hw]))
            # By edp the other layers count: the layer alone is a network of its own.
            is_edp = hw.mapper.objective == "edp"
            costs, of = (evaluate(network[:1], [hw]), 0) if is_edp else (together, row)
            takes_the_best(network[0], hw, costs, of)
            continue
        with pytest.raises(HardwareError) as caught:
            evaluate(network, [hw])
        assert str(caught.value) == misfit
        assert not together.cycles[row].any()


@settings(max_examples=10, deadline=None)
@given(st.lists(layers(), min_size=1, max_size=3), several())
def test_together_as_each_by_itself(network: list[Layer], accelerators: list[Accelerator]) -> None:
    check([*network, POOL], accelerators)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(layers(largest=14), min_size=1, max_size=3), several())
def test_together_as_each_by_itself_60_times(network: list[Layer], accelerators: list[Accelerator]) -> None:
    check([*network, POOL], accelerators)


@settings(max_examples=8, deadline=None)
@given(layers(largest=6), several(**{"array.dataflows": ("rs", "os")}))
def test_together_with_a_dataflow_that_maps_by_price(layer: Layer, accelerators: list[Accelerator]) -> None:
    check([layer], accelerators)


@settings(max_examples=60, deadline=None)
@given(layers(largest=9), machines(), st.lists(machines(), min_size=1, max_size=4), st.data())
def test_one_schedule_serves_every_machine_of_a_family(
    layer: Layer, on: Machine, others: list[Machine], data: st.DataObject
) -> None:
    problem, flow = problem_of(layer, on), DATAFLOWS[data.draw(among("ws", "os"))]
    extents = {axis: int(getattr(problem, axis)[0]) for axis in AXES}
    sizes = {axis: data.draw(st.integers(1, extent)) for axis, extent in extents.items()}
    sizes |= {axis: extents[axis] for axis in "yx"} if sizes["n"] > 1 else {}
    sizes |= {axis: extents[axis] for axis in "kc"} if sizes["g"] > 1 else {}
    points = Points(
        problem, np.array([data.draw(st.integers(0, len(MODES) - 1))]), np.array([[sizes[a]] for a in AXES])
    )
    limited = np.isfinite(on.buffer_bits_per_cycle)
    family = [
        dataclasses.replace(
            on,
            dram_bytes_per_cycle=other.dram_bytes_per_cycle,
            dram_latency=other.dram_latency,
            setup=other.setup,
            buffer_bits_per_cycle=7.0 * (number + 1) if limited else on.buffer_bits_per_cycle,
        )
        for number, other in enumerate(others)
    ]
    assert len({member.family(priced=False) for member in family}) == 1
    rates, index = Rates.of(family), np.zeros(len(family), np.int64)
    schedule = schedule_of(points, flow, on.family(priced=False))
    for rows in (schedule, schedule.merge_rows()):
        timing = rows.timing(index, rates)
        assert rows.cycles(index, rates).tolist() == timing.cycles.tolist()
        for number, member in enumerate(family):
            alone = play(points, flow, member)
            assert [part[..., number].tolist() for part in timing] == [
                part[..., 0].tolist() for part in alone
            ]


@given(st.lists(st.tuples(st.integers(1, 1 << 20), st.floats(0.1, 100), st.integers(0, 9)), max_size=300))
def test_clusters_part_the_machines(numbers: list[tuple[int, float, int]]) -> None:
    on = [
        machine(buffer_bits=bits, dram_bytes_per_cycle=rate, dram_latency=latency)
        for bits, rate, latency in numbers
    ]
    parts = list(clusters(Rates.of(on))) if on else []
    assert sorted(index for part in parts for index in part.tolist()) == list(range(len(on)))
    for part in parts:
        rates = Rates.of([on[index] for index in part.tolist()])
        best = rates.optimistic()
        assert best.buffer_bits[0] == rates.buffer_bits.max()
        assert best.dram_bytes_per_cycle[0] == rates.dram_bytes_per_cycle.max()
        assert best.dram_latency[0] == rates.dram_latency.min()


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from([1.0, 2.0]), st.sampled_from([1e8, 1e9])), min_size=1
    ),
    st.booleans(),
)
def test_machines_that_cost_the_same_are_one(numbers: list[tuple[int, float, float]], leaks: bool) -> None:
    prices = dataclasses.replace(machine().energy, leakage_mw=float(leaks))
    rates = Rates.of(
        [
            machine(buffer_bits=bits, dram_bytes_per_cycle=rate, clock_hz=clock, energy=prices)
            for bits, rate, clock in numbers
        ]
    )
    first, number = rates.distinct()
    keys = [each if leaks else each[:2] for each in numbers]
    assert [keys[one] for one in first[number].tolist()] == keys
    assert len(first) == len(set(keys))
    assert first.tolist() == [keys.index(key) for key in dict.fromkeys(keys)]
    groups = list(in_order(rates))
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(numbers)))
