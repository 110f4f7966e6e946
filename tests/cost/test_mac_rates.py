"""MACs that a PE does in a cycle at a pair of widths: hand-worked tiles, and what holds of all of them."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.dataflow.unit import dataflow_of
from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.machine import Machine, Unit
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, machine
from tests.cost.dataflow.arrays import whole
from tests.draws import among

RATES: dict[str, Any] = {"2": ((16, 16), (2, 1)), "1/3": ((16, 16), (1, 3)), "other": ((8, 16), (4, 1))}
"""At the widths of the machine, and at others."""


def on_16x16(rate: str) -> Machine:
    return machine(rows=16, cols=16, ports=16, psum_words=64, paces=(RATES[rate],), whole_blocks=True)


@pytest.mark.parametrize(("rate", "cycles"), [("2", 98), ("1/3", 588), ("other", 196)])
def test_pixels_pass_a_block_of_weights_at_the_rate(rate: str, cycles: int) -> None:
    layer = Layer.conv("a", c=64, k=32, oy=14, ox=14, fy=3, fx=3)
    work = whole(DATAFLOWS["ws"], layer, on_16x16(rate))
    assert (work.stream, work.cycles, work.busy) == (72 * cycles, 16 + 72 * cycles, layer.macs)


@pytest.mark.parametrize(("rate", "cycles"), [("2", 68), ("1/3", 3 * 135), ("other", 135)])
def test_weights_pass_a_window_at_the_rate(rate: str, cycles: int) -> None:
    """15 channels of 9 taps for each of 8 windows and 4 blocks; windows and the last drain take what they take."""
    layer = Layer.conv("a", c=8, k=15, oy=28, ox=28, fy=3, fx=3)
    work = whole(DATAFLOWS["os"], layer, on_16x16(rate))
    assert work.stream == 4 * 8 * cycles
    assert work.cycles == 4 * 8 * cycles + (21 + 16 + 16 + 13) * 8 + 12 * 15


@pytest.mark.parametrize(("rate", "cycles"), [("2", 1), ("1/3", 6), ("other", 2)])
def test_products_of_a_filter_row_take_the_rate_and_adding_up_does_not(rate: str, cycles: int) -> None:
    """4 weights, a window of 6 words; 3 columns of 2 products and a sum; 2 sums leave at the end."""
    layer = Layer.conv("a", c=1, k=1, oy=2, ox=3, fy=2, fx=2, padding=0, iy=3, ix=4)
    on = machine(rows=2, cols=2, network_weights=1, network_inputs=3, network_psums=1, paces=(RATES[rate],))
    assert whole(DATAFLOWS["rs"], layer, on).cycles == 4 + 2 + 3 * (cycles + 1) + 2


@pytest.mark.parametrize(("rate", "cycles"), [("2", 18), ("1/3", 108), ("other", 36)])
def test_steps_of_a_block_of_a_unit_take_the_rate(rate: str, cycles: int) -> None:
    layer = Layer.conv("a", c=64, k=32, oy=14, ox=14, fy=3, fx=3)
    unit = Unit("conv", (("c", 16), ("k", 16), ("x", 8)), output_words=16)
    on = machine(dataflows=(), units=(unit,), paces=(RATES[rate],))
    assert whole(dataflow_of(unit), layer, on).cycles == 56 * cycles + 6


BASE: dict[str, Any] = {
    "name": "rated",
    "clock_mhz": 500,
    "array": {"rows": 3, "cols": 5, "dataflows": ["ws"]},
    "memory": {"global_buffer": {"size_kib": 8}, "dram": {"bandwidth_gb_s": 2, "latency_cycles": 3}},
    "control": {"layer_setup_cycles": 7},
    "precision": {"weight_bits": 8, "activation_bits": 8},
}
UNIT = {"conv": {"unroll": {"c": 3, "k": 5}, "output_words": 2}}
ARRAYS = [{"dataflows": [name]} for name in ("ws", "os", "rs")] + [{"dataflows": ["ws", "os"], "units": UNIT}]


@st.composite
def rated(draw: st.DrawFn) -> tuple[list[Layer], Accelerator]:
    """Layers of several widths, on an array that has a rate for some of these."""
    own = [(None, None), (4, 8), (16, 16), (4, None)]
    several = [
        replace(layer, weight_bits=weights, activation_bits=activations, repeat=draw(st.integers(1, 2)))
        for layer in draw(st.lists(layers(), min_size=1, max_size=3))
        for weights, activations in [draw(st.sampled_from(own))]
    ]
    several.append(
        Layer(name="add", op="add", kind="vector", input_elements=64, output_elements=32, vector_ops=32)
    )
    rates = [
        f"w{weights}a{activations}:{draw(among('1', '2', '3', '0.5', '0.25', '0.333'))}"
        for weights, activations in draw(st.sets(st.sampled_from([(8, 8), (4, 8), (16, 16), (4, 4)])))
    ]
    sparsity = {"weights": draw(among(0, 0.5)), "skipped_by": ["os"]}
    array = BASE["array"] | draw(st.sampled_from(ARRAYS))
    precision = BASE["precision"] | {"rates": rates}
    data = BASE | {"array": array, "sparsity": sparsity, "precision": precision}
    return several, Accelerator.from_dict(data)


def rate_of(layer: Layer, hw: Accelerator) -> Fraction:
    pair = layer.weight_bits or 8, layer.activation_bits or 8
    found = {rate.pair: Fraction(rate.macs).limit_denominator(64) for rate in hw.precision.rates}
    return found.get(pair, Fraction(1)) if layer.kind == "mac" else Fraction(1)


@settings(max_examples=40, deadline=None)
@given(rated())
def test_slots_add_up_to_the_last_one(case: tuple[list[Layer], Accelerator]) -> None:
    several, hw = case
    costs, machine = evaluate(several, [hw]), Machine.of(hw)
    assert (costs.losses >= 0).all()
    for number, layer in enumerate(several):
        executed, cycles, load = int(costs.executed[0, number]), int(costs.cycles[0, number]), 0
        if costs.homes_at(number).weights:  # they stay from step to step
            loaded = costs.dram_bytes[0, number, costs.operands.index("weights")]
            load = machine.dram_latency + math.ceil(loaded / machine.dram_bytes_per_cycle)
        rate, steps = hw.array.pes * rate_of(layer, hw), layer.repeat
        slots = steps * math.floor((cycles - load) // steps * rate) + math.floor(load * rate)
        assert slots == executed + costs.losses[0, number].sum()
        assert executed <= slots


@settings(max_examples=20, deadline=None)
@given(rated())
def test_one_mac_a_cycle_is_what_there_is_without_rates(case: tuple[list[Layer], Accelerator]) -> None:
    several, hw = case
    ones = [f"w{bits}a{other}:1" for bits in (4, 8, 16) for other in (8, 16)]
    with_ones, without = (hw.replace({"precision.rates": rates}) for rates in (ones, []))
    assert evaluate(several, [with_ones]).equals(evaluate(several, [without]))


@settings(max_examples=20, deadline=None)
@given(rated(), st.sampled_from([2, 3]))
def test_a_higher_rate_is_never_slower(case: tuple[list[Layer], Accelerator], times: int) -> None:
    several, hw = case
    pairs = [(4, 8), (8, 8), (16, 16)]
    slow, fast = (
        hw.replace({"precision.rates": [f"w{w}a{a}:{macs}" for w, a in pairs]}) for macs in (0.5, times)
    )
    costs = evaluate(several, [slow, fast])
    assert (costs.cycles[1] <= costs.cycles[0]).all()
    of_macs = costs.energy[:, :-1, costs.levels.index("mac")]  # the last layer has none
    executed = costs.executed[:, :-1]
    assert np.allclose(of_macs[0] * executed[1], of_macs[1] * executed[0])


def test_a_product_of_activations_has_their_widths_twice() -> None:
    hw = Accelerator.from_dict(
        BASE | {"precision": {"weight_bits": 4, "activation_bits": 8, "rates": ["w8a8:2"]}}
    )
    layer = Layer(name="a", op="matmul", kind="mac", k=8, c=8, ox=16, ix=16, weights_are_activations=True)
    plain = evaluate([layer], [hw.replace({"precision.rates": []})])
    assert evaluate([layer], [hw]).cycles < plain.cycles
