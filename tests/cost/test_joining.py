"""What can join a layer does where that is better: beside every way to do it, each costed by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.costs import Costs
from squeezesim.cost.evaluate import evaluate, evaluate_each
from squeezesim.cost.given import LayerMapping
from squeezesim.cost.lowering import joined
from squeezesim.cost.machine import Machine
from squeezesim.errors import HardwareError, MappingError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network.layer import Layer
from squeezesim.network.network import Network
from squeezesim.simulate import simulate
from tests.cost.cases import among

BASE = Accelerator.named("hybrid_32x32").replace(
    {
        "array.rows": 4,
        "array.cols": 4,
        "memory.global_buffer.size_kib": 4,
        "memory.global_buffer.keeps": [],
        "mapper.latency_slack": 0,
        "energy.table": "eyeriss_relative",
        "memory.dram.latency_ns": None,
        "memory.dram.latency_cycles": 0,
    }
)
WAYS: tuple[tuple[str, ...], ...] = ((), ("add",), ("add", "pool"))


def block(taps: int, size: int, channels: int, window: int) -> list[Layer]:
    """A convolution whose outputs another map is added to, pooled, before and behind other convolutions."""
    convs = [
        Layer.conv(
            name, c=channels, k=channels, oy=size, ox=size, fy=fy, fx=fy, inputs=[source] if source else []
        )
        for name, source, fy in (("a", "", 1), ("b", "a", taps))
    ]
    elements = channels * size * size
    add = Layer(
        name="sum",
        op="add",
        kind="vector",
        inputs=("b", "a"),
        input_elements=2 * elements,
        output_elements=elements,
        vector_ops=elements,
    )
    out = (size - window) // 2 + 1
    sizes: dict[str, Any] = {"k": channels, "oy": out, "ox": out, "fy": window, "fx": window, "stride": 2}
    pool = Layer.vector("pool", op="max_pool", iy=size, ix=size, inputs=["sum"], **sizes)
    last = Layer.conv("c", c=channels, k=channels, oy=out, ox=out, fy=1, fx=1, inputs=["pool"])
    return [*convs, add, pool, last]


@st.composite
def accelerators(draw: st.DrawFn, *objectives: str) -> Accelerator:
    return BASE.replace(
        {
            "memory.dram.bandwidth_gb_s": draw(among(0.1, 2.0, 100.0)),
            "memory.dram.latency_cycles": draw(among(0, 5, 100)),
            "memory.global_buffer.size_kib": draw(among(0.5, 1.0, 4.0)),
            "vector.lanes": draw(among(1, 8, 4096)),
            "control.layer_setup_cycles": draw(among(0, 200)),
            "mapper.objective": draw(among(*(objectives or ("latency", "energy")))),
        }
    )


def of_way(layers: list[Layer], accelerator: Accelerator, way: tuple[str, ...]) -> Costs | None:
    """Costs with what *way* names joined, wherever it can; None where that does not fit."""
    with_it = accelerator.replace({"array.post_ops": way, "array.joining": "always"})
    costs, misfits = evaluate_each(layers, [with_it])
    return None if misfits[0] else costs


def value(costs: Costs, objective: str) -> float:
    cycles, energy = float(costs.cycles.sum()), float(costs.energy.sum())
    return {"latency": cycles, "energy": energy, "edp": cycles * energy}[objective]


@settings(max_examples=12)
@given(accelerators(), among(1, 3), among(4, 5), among(2, 4), among(2, 3))
def test_the_best_way_is_taken(
    accelerator: Accelerator, taps: int, size: int, channels: int, window: int
) -> None:
    check_against_every_way(accelerator, taps, size, channels, window)


@pytest.mark.slow
@settings(max_examples=60)
@given(accelerators("latency", "energy", "edp"), among(1, 3), among(4, 7), among(2, 8), among(2, 3))
def test_the_best_way_is_taken_of_60(
    accelerator: Accelerator, taps: int, size: int, channels: int, window: int
) -> None:
    check_against_every_way(accelerator, taps, size, channels, window)


@pytest.mark.parametrize("bandwidth", [0.2, 50.0])
def test_the_best_way_is_taken_by_edp(bandwidth: float) -> None:
    accelerator = BASE.replace({"mapper.objective": "edp", "memory.dram.bandwidth_gb_s": bandwidth})
    check_against_every_way(accelerator, 3, 4, 4, 2)


def check_against_every_way(
    accelerator: Accelerator, taps: int, size: int, channels: int, window: int
) -> None:
    layers, objective = block(taps, size, channels, window), accelerator.mapper.objective
    every = [costs for way in WAYS if (costs := of_way(layers, accelerator, way)) is not None]
    with_all = accelerator.replace({"array.post_ops": ["add", "pool"]})
    found, misfits = evaluate_each(layers, [with_all])
    # That what joins does not fit is no reason not to run the layers by themselves.
    assert (misfits[0] is None) == (of_way(layers, accelerator, ()) is not None)
    if misfits[0] is None:
        assert value(found, objective) == pytest.approx(
            min(value(costs, objective) for costs in every), rel=1e-12
        )
        slots = found.cycles[0] * 16
        assert np.array_equal(slots, found.executed[0] + found.losses[0].sum(axis=-1))


def test_each_way_is_the_best_somewhere() -> None:
    """Joined where lanes are slow; by itself where lanes and memory are fast and a map in rows fits the array worse."""
    layers = block(1, 7, 8, 2)
    taken = set()
    for lanes, bandwidth, kib in ((1, 0.5, 4.0), (4096, 1000.0, 4.0), (4096, 1000.0, 0.5)):
        numbers = {
            "vector.lanes": lanes,
            "memory.dram.bandwidth_gb_s": bandwidth,
            "memory.dram.latency_cycles": 0,
        }
        accelerator = BASE.replace(
            numbers | {"array.post_ops": ["add", "pool"], "memory.global_buffer.size_kib": kib}
        )
        costs = evaluate(layers, [accelerator.replace({"control.layer_setup_cycles": 0})])
        taken.add(tuple(joined(layers, Machine.of(accelerator), costs.cycles[0].tolist())))
    assert {(2, 3), ()} <= taken


@settings(max_examples=5)
@given(st.lists(accelerators(), min_size=2, max_size=3), among(1, 3), among(4, 5))
def test_machines_that_are_costed_together_do_not_change_each_other(
    several: list[Accelerator], taps: int, size: int
) -> None:
    layers = block(taps, size, 8, 2)
    several = [each.replace({"array.post_ops": ["add", "pool"]}) for each in several]
    together, misfits = evaluate_each(layers, several)
    for number, accelerator in enumerate(several):
        alone, misfit = evaluate_each(layers, [accelerator])
        assert misfit[0] == misfits[number]
        assert np.array_equal(alone.cycles[0], together.cycles[number])
        assert np.array_equal(alone.dram_bytes[0], together.dram_bytes[number])
        assert np.allclose(alone.energy[0], together.energy[number], rtol=1e-12)


def test_what_always_joins_has_to_fit() -> None:
    layers = block(3, 7, 8, 3)
    every = BASE.replace({"array.post_ops": ["add", "pool"]})
    sizes = ({"memory.global_buffer.size_kib": number / 1024} for number in range(2, 200))
    small = next(hw for size in sizes if of_way(layers, hw := every.replace(size), ()) is not None)
    assert evaluate(layers, [small]).cycles[0, 2:4].all()
    with pytest.raises(HardwareError, match="layer 'b' does not fit the global buffer"):
        evaluate(layers, [small.replace({"array.joining": "always"})])


def test_without_lanes_all_joins_that_can() -> None:
    layers = block(3, 7, 8, 2)
    free = BASE.replace({"array.post_ops": ["add", "pool"], "vector.model": "none"})
    best, always = (evaluate(layers, [free.replace({"array.joining": way})]) for way in ("best", "always"))
    assert best.equals(always)


@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_a_layer_that_others_join_keeps_its_mapping(objective: str) -> None:
    layers = block(1, 6, 8, 2)
    accelerator = BASE.replace({"array.post_ops": ["add", "pool"], "mapper.objective": objective})
    found = simulate(Network.from_layers(layers), accelerator)
    mappings = {
        number: LayerMapping.of_costs(found.costs, number)
        for number, layer in enumerate(layers)
        if layer.kind == "mac"
    }
    again = evaluate(found.network.layers, [accelerator], mappings)
    assert np.array_equal(again.cycles, found.costs.cycles)
    wrong = {1: replace(mappings[1], tile=(9, 9, 99, 1, 8, 8))}
    with pytest.raises(MappingError, match="layer 'b': n must be"):
        evaluate(found.network.layers, [accelerator], wrong)


@pytest.mark.slow
def test_a_network_by_edp_is_no_worse_than_with_any_fixed_way() -> None:
    network = load("squeezenext_23")
    changes = {"mapper.objective": "edp", "mapper.latency_slack": 0, "memory.global_buffer.keeps": []}
    hybrid = Accelerator.named("hybrid_32x32").replace(changes)
    ways = [{"array.post_ops": way, "array.joining": "always"} for way in WAYS]
    fixed = [simulate(network, hybrid.replace(way)).costs for way in ways]
    found = simulate(network, hybrid.replace({"array.post_ops": ["add", "pool"]})).costs
    assert value(found, "edp") <= min(value(costs, "edp") for costs in fixed) * (1 + 1e-12)
