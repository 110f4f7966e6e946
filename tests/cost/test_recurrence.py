"""Weights of recurrences against every choice, each step of each layer searched by itself."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.bounds import Space
from squeezesim.cost.costs import ARRAYS, HOMED, OPERANDS
from squeezesim.cost.evaluate import evaluate, evaluate_each
from squeezesim.cost.given import LayerMapping
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import IN_MEMORY, Homes
from squeezesim.cost.search import best
from squeezesim.cost.timeline import run_of
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network.layer import Layer
from tests.cost.cases import problem_of
from tests.draws import among
from tests.report.cases import accelerator

WEIGHTS = [*OPERANDS].index("weights")


def small(**changes: Any) -> Accelerator:
    """8×8 PEs for words of a byte; keys of the buffer may be given without their section."""
    values = {
        "clock_mhz": 1000,
        "array.dataflows": ["ws"],
        "precision.weight_bits": 8,
        "precision.activation_bits": 8,
        "memory.dram.bandwidth_gb_s": 2.0,
        "control.layer_setup_cycles": 0,
    }
    return accelerator(values | changes)


def buffer(kib: float, **keys: Any) -> dict[str, Any]:
    return {f"memory.global_buffer.{key}": value for key, value in ({"size_kib": kib} | keys).items()}


def product(name: str, n: int, k: int, times: int, **sizes: Any) -> Layer:
    return Layer.matmul(name, **({"m": 1} | sizes), n=n, k=k).repeated(times)


def kept(layers: Sequence[Layer], on: Accelerator) -> list[bool]:
    """Whether the second operand of each layer lives in the buffer."""
    return (evaluate(layers, [on]).homes[0, :, HOMED.index("weights")] == 1).tolist()


def test_64_kib_of_weights_for_100_steps_by_hand() -> None:
    """A load of 50 + 65,536 / 16 cycles; then steps that load 128 bytes, compute, and store the last 32 of 512.

    Their tiles are five of 96 outputs and one of 32: 12 and 4 blocks, preloaded in 32 cycles each, and a cycle more.
    """
    changes = {
        **{"array.rows": 32, "array.cols": 32, "array.ports": 32, "precision.accumulator_bits": 32},
        **{"memory.dram.bandwidth_gb_s": 16.0, "memory.dram.latency_ns": 50},
    }
    layers = [product("h", 512, 128, 100), Layer.vector("cell", op="tanh", k=512).repeated(100)]
    large, little = (evaluate(layers, [small(**changes, **buffer(kib))]) for kib in (256, 32))
    step = (50 + 8) + 5 * (12 * 32 + 1) + (4 * 32 + 1) + (50 + 2)
    assert large.cycles[0, 0] == 50 + 65_536 // 16 + 100 * step == 220_546
    assert large.dram_bytes[0, 0].tolist() == [12_800, 65_536, 51_200, 0]
    assert large.kept_bytes[0].tolist() == [65_536, 65_536]
    assert little.cycles[0, 0] > 100 * 4_096
    assert little.dram_bytes[0, 0, WEIGHTS] == 100 * 65_536
    assert not little.kept_bytes.any()
    assert np.array_equal(large.cycles[:, 1], little.cycles[:, 1])


@st.composite
def recurrent(draw: st.DrawFn) -> list[Layer]:
    """One or two recurrences, apart or side by side, of products of weights, of activations, and of work on lanes."""
    layers: list[Layer] = []
    for _ in range(draw(st.integers(1, 2))):
        times = draw(among(2, 5, 40))
        for kind in draw(
            st.lists(among("weights", "weights", "activations", "lanes"), min_size=1, max_size=3)
        ):
            if kind == "lanes":
                layer = Layer.vector("v", op="tanh", k=32)
            else:
                layer = Layer.matmul(
                    "m",
                    **{"m": draw(among(1, 4)), "n": draw(among(8, 32)), "k": draw(among(16, 64))},
                    bias=draw(st.booleans()),
                    weights_are_activations=kind == "activations",
                )
            layers.append(layer.repeated(times))
        if draw(st.booleans()):
            layers.append(Layer.matmul("between", m=1, n=8, k=8))
    return [replace(layer, name=f"l{number}") for number, layer in enumerate(layers)]


@st.composite
def designs(draw: st.DrawFn) -> Accelerator:
    """Buffers that hold the weights of some recurrences, in the room of all operands, or in parts."""
    kib = draw(among(1.0, 2.0, 4.0, 16.0))
    maps, weights = (
        (["inputs", "outputs"], ["weights"]) if draw(st.booleans()) else (["inputs"], ["weights", "outputs"])
    )
    parts = {"m": {"size_kib": kib, "holds": maps}, "w": {"size_kib": kib, "holds": weights}}
    buffers = [buffer(kib), buffer(2 * kib, weights_kib=kib), {"memory.global_buffer": {"parts": parts}}]
    return small(
        **draw(st.sampled_from(buffers)),
        **{
            "memory.dram.bandwidth_gb_s": draw(among(0.25, 2.0, 16.0)),
            "mapper.objective": draw(among("latency", "energy")),
        },
    )


def runs(layers: Sequence[Layer]) -> list[list[int]]:
    """Layers in a row that repeat as often, by number."""
    groups = itertools.groupby(range(len(layers)), key=lambda number: layers[number].repeat)
    return [[*numbers] for _, numbers in groups]


def of_step(layer: Layer, on: Accelerator, at: Homes) -> tuple[float, float]:
    """Cycles and energy of a step; infinite where it does not fit."""
    machine = Machine.of(on)
    if layer.kind == "vector":
        costs = evaluate([replace(layer, repeat=1, vector_ops=layer.vector_ops // layer.repeat)], [on])
        return float(costs.cycles.sum()), float(costs.energy.sum())
    problem = problem_of(layer, machine, at)
    if Space(problem, machine).least_footprint[0] > machine.buffer_bits - machine.weights_bits:
        return np.inf, np.inf
    found = best(problem, machine)
    assert found is not None
    return found.cycles, found.energy


def least(layers: Sequence[Layer], on: Accelerator) -> tuple[float, float]:
    """Cycles and energy of the best choice for each recurrence, by the objective; its layers one after the other."""
    machine, sums = Machine.of(on), np.zeros(2)
    order = 1 if on.mapper.objective == "latency" else -1
    for run in runs(layers):
        times = layers[run[0]].repeat
        owners = [n for n in run if layers[n].kind == "mac" and not layers[n].weights_are_activations]
        sizes = {n: (layers[n].weight_elements, layers[n].constants) for n in owners}
        bits = sum(8 * weights + machine.accumulator_bits * values for weights, values in sizes.values())
        plain = times * np.sum([of_step(layers[n], on, IN_MEMORY) for n in run], axis=0)
        ways = [plain]
        alone = not any(layers[n].weights_are_activations for n in run)
        if times > 1 and owners and (not machine.weights_bits or (alone and bits <= machine.weights_bits)):
            place = "beside" if machine.parts else "resident"
            taken = {place: 0 if machine.weights_bits else bits}
            steps = [of_step(layers[n], on, Homes(weights=n in owners, **taken)) for n in run]
            way = times * np.sum(steps, axis=0)
            for weights, values in sizes.values():
                loaded = 8 * weights + machine.accumulator_bits * values
                cycles = machine.dram_latency + -(-(loaded // 8) // machine.dram_bytes_per_cycle)
                prices = machine.energy.dram_per_bit + machine.energy.buffer_write_per_bit
                leaked = cycles * machine.energy.leakage_mw * 1e9 / machine.clock_hz
                way += [cycles, loaded * prices + leaked]
            ways.append(way)
        sums += min(ways, key=lambda way: tuple(way)[::order])
    return float(sums[0]), float(sums[1])


def check_against_every_choice(layers: list[Layer], on: Accelerator) -> None:
    costs, (misfit,) = evaluate_each(layers, [on])
    if misfit is not None:
        return
    cycles, energy = float(costs.cycles.sum()), float(costs.energy.sum())
    assert (cycles, energy) == pytest.approx(least(layers, on), rel=1e-9)
    plain = evaluate(layers, [on], homes=[IN_MEMORY] * len(layers))
    if on.mapper.objective == "latency":
        assert cycles <= plain.cycles.sum()
    else:
        assert energy <= plain.energy.sum() * (1 + 1e-12)
    assert np.array_equal(costs.pes * costs.cycles, costs.executed + costs.losses.sum(axis=-1))
    assert np.array_equal(costs.cycles, costs.time.sum(axis=-1))
    machine = Machine.of(on)
    for number, layer in enumerate(layers):
        line = run_of(layer, costs, number, machine)
        assert line.cycles == costs.cycles[0, number]
        loaded = sum(int(part.bits.sum()) for part in line.transfers if part.operand == "weights")
        assert loaded == 8 * costs.dram_bytes[0, number, WEIGHTS]


@settings(max_examples=10, deadline=None)
@given(recurrent(), designs())
def test_it_is_the_best_of_every_choice(layers: list[Layer], on: Accelerator) -> None:
    check_against_every_choice(layers, on)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(recurrent(), designs())
def test_it_is_the_best_of_every_choice_for_200_networks(layers: list[Layer], on: Accelerator) -> None:
    check_against_every_choice(layers, on)


@settings(max_examples=5, deadline=None)
@given(recurrent(), designs(), among("latency", "energy", "edp"))
def test_accelerators_together_equal_each_by_itself(
    layers: list[Layer], on: Accelerator, objective: str
) -> None:
    one = on.replace({"mapper.objective": objective})
    several = [
        one,
        one.replace({"memory.dram.bandwidth_gb_s": 32.0}),
        small(),
        small(**{"mapper.residency": "order"}),
    ]
    together, misfits = evaluate_each(layers, several)
    for number, each in enumerate(several):
        alone, (misfit,) = evaluate_each(layers, [each])
        assert misfit == misfits[number]
        for name in ARRAYS:
            assert np.array_equal(getattr(together, name)[number], getattr(alone, name)[0]), name


def test_the_product_of_the_sums_is_no_more_than_with_nothing_kept() -> None:
    layers = [Layer.matmul("x", m=40, n=32, k=64), product("h", 32, 64, 40), product("y", 16, 32, 3)]
    for kib in (2, 4, 16):
        on = small(**buffer(kib), **{"mapper.objective": "edp"})
        found, plain = evaluate(layers, [on]), evaluate(layers, [on], homes=[IN_MEMORY] * 3)
        assert found.cycles.sum() * found.energy.sum() <= plain.cycles.sum() * plain.energy.sum() * (
            1 + 1e-12
        )


def test_a_buffer_for_all_moves_weights_once() -> None:
    layers = [product("h", 64, 32, 9, bias=True), product("g", 16, 64, 9), product("y", 8, 16, 4)]
    found = evaluate(layers, [small(**buffer(4096))])
    assert found.dram_bytes[0, :, WEIGHTS].tolist() == [64 * 32 + 64 * 2, 16 * 64, 8 * 16]


def test_all_weights_of_a_recurrence_have_to_fit_together() -> None:
    """2 and 1 KiB beside tiles; with a layer of its own between them they are two recurrences."""
    layers = [product("h", 64, 32, 50), product("g", 32, 32, 50)]
    apart = [layers[0], Layer.matmul("x", m=1, n=8, k=8), layers[1]]
    assert kept(layers, small(**buffer(4))) == [True, True]
    assert kept(layers, small(**buffer(2.5))) == [False, False]
    assert kept(apart, small(**buffer(2.5))) == [True, False, True]


def test_a_part_for_weights_is_their_room() -> None:
    layers = [product("h", 64, 32, 50)]
    scores = [*layers, product("scores", 8, 8, 50, weights_are_activations=True)]
    assert kept(layers, small(**buffer(4, weights_kib=2))) == [True]
    assert kept(layers, small(**buffer(64, weights_kib=1.5))) == [False]
    assert kept(scores, small(**buffer(64, weights_kib=32))) == [False, False]
    for kib, stays in ((2, [True]), (1.5, [False])):
        parts = {
            "m": {"size_kib": 64, "holds": ["inputs", "outputs"]},
            "w": {"size_kib": kib, "holds": ["weights"]},
        }
        assert kept(layers, small(**{"memory.global_buffer": {"parts": parts}})) == stays
    both = {"m": {"size_kib": 64, "holds": ["inputs", "outputs"]}, "w": {"size_kib": 4, "holds": ["weights"]}}
    assert kept(scores, small(**{"memory.global_buffer": {"parts": both}})) == [True, False]


def test_what_may_not_stay_is_loaded_in_each_step() -> None:
    layers = [product("h", 64, 32, 50)]
    given_one = {0: LayerMapping("ws", "PKC", (1, 1, 1, 1, 64, 32))}
    by_order = evaluate(layers, [small(**{"mapper.residency": "order"})])
    for costs in (by_order, evaluate(layers, [small()], given_one)):
        assert costs.dram_bytes[0, 0, WEIGHTS] == 50 * 64 * 32
        assert not costs.homes.any()
    one = evaluate([replace(layers[0], repeat=1)], [small(**{"mapper.residency": "order"})])
    assert by_order.cycles[0, 0] == 50 * one.cycles[0, 0]


def test_maps_and_weights_share_the_buffer() -> None:
    """A map of 2 KiB is read before and after a recurrence; its weights of 2 KiB stay where both fit, and first."""
    sizes = {"input_elements": 2048, "output_elements": 2048}
    layers = [
        Layer(name="x", op="relu", kind="vector", inputs=("input",), vector_ops=2048, **sizes),
        replace(product("h", 64, 32, 50), inputs=("input",)),
        Layer(name="y", op="relu", kind="vector", inputs=("x",), vector_ops=2048, **sizes),
    ]
    large, little = (evaluate(layers, [small(**buffer(kib, keeps=["activations"]))]) for kib in (8, 3))
    assert large.kept_bytes[0].tolist() == [2048, 4096, 2048]
    assert little.kept_bytes[0].tolist() == [0, 2048, 0]
    outputs, weights = HOMED.index("outputs"), HOMED.index("weights")
    assert large.homes[0, :, [outputs, weights]].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert little.homes[0, 1, weights] == 1
