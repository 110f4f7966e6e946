from __future__ import annotations

import numpy as np
import pytest

from squeezesim.cost.bounds import Space
from squeezesim.cost.candidates import DataflowBounds
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.energy import add_bits, layer_energy, level_bits, total, transfer_bits
from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.machine import LEVELS
from squeezesim.cost.traffic import mode_of
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network.layer import Layer
from tests.cost.cases import machine, problem_of


def test_hand_worked_layer() -> None:
    """The layer of docs/energy.md, in two tiles of four pixels."""
    on = machine()
    problem = problem_of(Layer(name="a", op="conv2d", kind="mac", k=8, c=8, oy=1, ox=8, iy=1, ix=8), on)
    space = Space(problem, on)
    pixel = np.flatnonzero(space.pixels.sizes.c == 4)
    channel = np.flatnonzero((space.channels.sizes.b == 8) & (space.channels.sizes.c == 8))
    moved = space.residency.dram_bits(np.array([mode_of("PKC")]), pixel, channel)
    assert moved[3] == 0
    of_array = DataflowBounds(space, DATAFLOWS["ws"]).access_bits(pixel, channel)
    bits = level_bits(add_bits(of_array, transfer_bits(on, moved)))
    energy = layer_energy(problem, bits, np.array([512]), np.array([136]), on)
    parts = {level: part[0] for level, part in energy.items()}
    assert parts == {
        "mac": 512,
        "register_file": 640,
        "inter_pe": 1024,
        "buffer": 3840,
        "dram": 38400,
        "vector": 0,
        "leakage": 0,
    }
    assert total(energy) == 44416


def test_leakage_is_power_times_time() -> None:
    hw = Accelerator.named("os_32x32").replace({"energy.table": "cacti_65nm"})
    layer = Layer.conv("a", c=8, k=8, oy=14, ox=14, fy=3, fx=3)
    costs = evaluate([layer], [hw])
    seconds = costs.cycles[0, 0] / (hw.clock_mhz * 1e6)
    from squeezesim.hardware.energy import energy_costs

    picojoules = energy_costs(hw).leakage_mw * 1e-3 * seconds * 1e12
    assert costs.energy[0, 0, list(LEVELS).index("leakage")] == pytest.approx(picojoules)


def test_narrow_words_cost_less() -> None:
    layer = Layer.conv("a", c=8, k=8, oy=14, ox=14, fy=3, fx=3)
    wide = Accelerator.named("squeezelerator_16x16").replace({"mapper.latency_slack": 0})
    narrow = wide.replace(
        {"precision.weight_bits": 8, "precision.activation_bits": 8, "precision.accumulator_bits": 8}
    )
    by_level = [dict(zip(LEVELS, evaluate([layer], [hw]).energy[0, 0], strict=True)) for hw in (wide, narrow)]
    assert by_level[1]["mac"] == by_level[0]["mac"] / 4
    assert by_level[1]["dram"] <= by_level[0]["dram"] / 2


def test_own_widths_of_a_layer_win() -> None:
    import dataclasses

    hw = Accelerator.named("squeezelerator_16x16")
    layer = Layer.conv("a", c=8, k=8, oy=14, ox=14, fy=3, fx=3)
    own = dataclasses.replace(layer, weight_bits=8, activation_bits=8, accumulator_bits=8)
    everywhere = hw.replace(
        {"precision.weight_bits": 8, "precision.activation_bits": 8, "precision.accumulator_bits": 8}
    )
    assert np.array_equal(evaluate([own], [hw]).energy, evaluate([layer], [everywhere]).energy)
    assert np.array_equal(evaluate([own], [hw]).dram_bytes, evaluate([layer], [everywhere]).dram_bytes)
