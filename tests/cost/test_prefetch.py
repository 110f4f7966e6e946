"""Weights that are loaded beside the layer before: by hand, and each layer event by event."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import squeezesim as sq
from squeezesim.cost.costs import Costs
from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.evaluate import evaluate, evaluate_each
from squeezesim.cost.given import LayerMapping
from squeezesim.cost.lowering import as_run
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import workload_of
from squeezesim.cost.timeline import run_of
from squeezesim.cost.traffic import AXES, LOOPS, MODES, Mode
from squeezesim.errors import UsageError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network.layer import Layer
from squeezesim.reference.pipeline import Ahead, Case, Tiling, first_weights, simulated
from squeezesim.report.serialize import decode, encode
from squeezesim.simulate import simulate
from tests.cost.cases import among
from tests.cost.test_placement import designs, networks, small

AHEAD = {"memory.prefetch": "weights"}


def chain(*sizes: int, m: int = 4) -> list[Layer]:
    """Products of m rows; each reads the one before."""
    layers = [Layer.matmul(f"fc{number}", m=m, k=k, n=n) for number, (k, n) in enumerate(pairwise(sizes))]
    return [
        replace(layer, inputs=(layers[number - 1].name,) if number else ("x",))
        for number, layer in enumerate(layers)
    ]


def bytes_wide(**changes: Any) -> Accelerator:
    """A byte a cycle, a latency of 20 cycles."""
    values = {
        **{"precision.weight_bits": 8, "precision.activation_bits": 8, "memory.global_buffer.keeps": []},
        **{
            "memory.dram.usable_fraction": 1.0,
            "memory.dram.latency_ns": 20.0,
            "control.layer_setup_cycles": 0,
        },
    }
    return small(**(values | changes))


def test_two_products_by_hand() -> None:
    """Of 4 × 4 inputs and 4 × 4 weights each, one tile: the second begins with its inputs alone.

    Its weights take 16 cycles beside the first one's array, which works for c cycles; loading them first takes 16 and
    a latency of 20.
    """
    layers = chain(4, 4, 4)
    whole = LayerMapping("ws", "PKC", (1, 1, 4, 1, 4, 4))
    plain, ahead = (evaluate(layers, [bytes_wide(**each)], {0: whole, 1: whole}) for each in ({}, AHEAD))
    array = plain.cycles[0, 0] - (16 + 20) * 3
    grown = max(16 - array, 0)
    assert (ahead.cycles - plain.cycles)[0].tolist() == [grown, -(16 + 20)]
    assert ahead.ahead_bytes[0].tolist() == [0, 16]
    assert ahead.dram_bytes.tolist() == plain.dram_bytes.tolist()


def test_they_need_room_beside_the_tiles_by_hand() -> None:
    """16 bytes of inputs, 16 of weights, 64 of partial sums, and 16 of the weights that follow."""
    layers, whole = chain(4, 4, 4), LayerMapping("ws", "PKC", (1, 1, 4, 1, 4, 4))
    for size, ahead in ((111, 0), (112, 16)):
        on = bytes_wide(**{"memory.global_buffer.size_kib": size / 1024} | AHEAD)
        assert evaluate(layers, [on], {0: whole, 1: whole}).ahead_bytes[0].tolist() == [0, ahead]


def case_of(layer: Layer, costs: Costs, number: int, machine: Machine) -> Case:
    return Case(
        workload_of([layer], machine, [costs.homes_at(number)])[0],
        dict(zip(AXES, costs.tile[0, number].tolist(), strict=True)),
        MODES[costs.mode[0, number]],
        flows_of(machine)[costs.dataflows[costs.dataflow[0, number]]],
        machine,
    )


def check_events(layers: list[Layer], on: Accelerator) -> None:
    machine = Machine.of(on)
    costs, (misfit,) = evaluate_each(layers, [on.replace(AHEAD)])
    plain, _ = evaluate_each(layers, [on])
    if misfit is not None:
        return
    assert np.array_equal(costs.tile, plain.tile)
    assert costs.cycles.sum() <= plain.cycles.sum()
    assert costs.energy.sum() <= plain.energy.sum() * (1 + 1e-12)
    assert np.array_equal(costs.time.sum(axis=-1), costs.cycles)
    assert np.array_equal(costs.losses.sum(axis=-1) + costs.executed, costs.cycles * machine.pes)
    run = as_run(layers, machine, costs.cycles[0].tolist())
    there = np.flatnonzero(costs.cycles[0]).tolist()
    for place, number in enumerate(there):
        layer = run[number]
        assert run_of(layer, costs, number, machine).cycles == costs.cycles[0, number]
        if layer.kind != "mac":
            continue
        case = case_of(layer, costs, number, machine)
        following = there[place + 1] if place + 1 < len(there) else None
        loads = None
        if following is not None and costs.ahead_bytes[0, following]:
            loads = first_weights(case_of(run[following], costs, following, machine))
            mode = case.mode
            free = {"inputs", "weights"} - {*mode.stays}  # their second slots
            last = Mode(
                mode.order, mode.stays, tuple(each for each in LOOPS if each in {*mode.single} | free)
            )
            taken = Tiling(case.problem, case.sizes, last, machine).footprint()
            assert taken + loads.bits <= machine.buffer_bits
        played = simulated(case, Ahead(loads, is_there=costs.ahead_bytes[0, number] > 0))
        assert played.cycles == costs.cycles[0, number]


@st.composite
def slow_weights(draw: st.DrawFn) -> Accelerator:
    """Weights in a memory of their own, or in that of all."""
    on = draw(designs()).replace({"memory.dram.latency_ns": draw(among(0.0, 30.0))})
    if draw(st.booleans()):
        flash = {"bandwidth_gb_s": draw(among(0.25, 1.0)), "latency_cycles": 10, "holds": ["weights"]}
        on = on.replace({"memory.stores": {"flash": flash}})
    return on.replace({"memory.global_buffer.bytes_per_cycle": draw(among(None, 4.0))})


@settings(max_examples=25, deadline=None)
@given(networks(most=6), slow_weights())
def test_layers_are_as_long_as_their_events(layers: list[Layer], on: Accelerator) -> None:
    check_events(layers, on)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(networks(most=6), slow_weights())
def test_layers_are_as_long_as_their_events_of_400_networks(layers: list[Layer], on: Accelerator) -> None:
    check_events(layers, on)


def test_reports_have_it_and_are_read_back() -> None:
    report = simulate("squeezenext_23", Accelerator.named("hybrid_32x32").replace(AHEAD))
    rows = report.rows()
    assert sum(row["ahead_bytes"] > 0 for row in rows) > 10
    assert decode(encode(report)).costs.equals(report.costs)
    assert "the first weights of " in report.notes[-1]
    assert "ahead_bytes" not in simulate("squeezenext_23", "hybrid_32x32").rows()[0]


def test_blocks_that_load_ahead_are_no_sums() -> None:
    on = Accelerator.named("os_32x32").replace(AHEAD)
    with pytest.raises(UsageError, match=r"memory\.prefetch 'weights'; allowed: none"):
        sq.allocate("squeezenext_23", on)
