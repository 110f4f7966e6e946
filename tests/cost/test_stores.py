"""Memories beside DRAM: what a file says of them, whether a network fits, and that a port is a port by any name."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import squeezesim as sq
from squeezesim.cost.evaluate import evaluate, evaluate_each
from squeezesim.cost.machine import Machine, Store
from squeezesim.cost.stores import overfull
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.energy import energy_costs
from squeezesim.network import Layer, Network
from tests.cost.cases import layers

BASE = Accelerator.named("os_32x32")
DRAM = {"bandwidth_gb_s": 12.8, "usable_fraction": 0.8, "latency_ns": 100.0}


def test_the_numbers_of_a_file() -> None:
    """At 500 MHz 3.2 GB/s at 75 % are 4.8 bytes a cycle, and 30 ns are 15 cycles."""
    sram = {"holds": ["activations"], "bandwidth_gb_s": 3.2, "usable_fraction": 0.75, "latency_ns": 30.0}
    flash = {"holds": ["weights"], "bandwidth_gb_s": 0.1, "latency_cycles": 7, "access": 320.0}
    stores = {"sram": {**sram, "size_kib": 512.0}, "flash": flash}
    on = BASE.replace({"clock_mhz": 500.0, "memory.stores": stores})
    costs = energy_costs(on)
    of_buffer = (costs.buffer_read_per_bit + costs.buffer_write_per_bit) / 2  # as large
    assert Machine.of(on).stores == (
        Store("sram", ("inputs", "outputs"), 4.8, 15, pytest.approx(of_buffer), 512 * 8192),
        Store("flash", ("weights",), 0.2, 7, 20.0, inf),
    )
    unlimited = on.replace({"memory.stores.sram.size_kib": None})
    assert Machine.of(unlimited).stores[0].per_bit == costs.dram_per_bit


@settings(max_examples=25)
@given(st.lists(layers(), min_size=1, max_size=4))
def test_one_store_for_all_is_a_dram_of_another_name(drawn: list[Layer]) -> None:
    named = [replace(layer, name=f"l{number}") for number, layer in enumerate(drawn)]
    plain = BASE.replace({f"memory.dram.{key}": value for key, value in DRAM.items()})
    store = {"holds": ["weights", "activations"], **DRAM}
    # A DRAM that nothing passes may be as slow as it likes.
    changes = {"memory.stores": {"hbm": store}, "memory.dram.bandwidth_gb_s": 0.01}
    before, after = (evaluate(named, [on]) for on in (plain, plain.replace(changes)))
    for name in ("cycles", "dram_bytes", "tile", "mode", "dataflow"):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
    assert np.allclose(before.energy.sum(axis=-1), after.energy.sum(axis=-1), rtol=1e-12)
    assert not after.losses[..., after.causes.index("dram")].any()


def vector(name: str, inputs: tuple[str, ...], read: int, written: int) -> Layer:
    return Layer(
        name=name,
        op="add",
        kind="vector",
        inputs=inputs,
        input_elements=read,
        output_elements=written,
        vector_ops=written,
    )


def test_the_largest_sum_of_what_is_alive_has_to_fit() -> None:
    """At 8 bits: a of 100 bytes and b of 200 are alive with c of 200 when the sum writes 200, the input no longer."""
    conv = {"oy": 10, "ox": 10, "input_elements": 100}
    network = [
        Layer(name="a", op="conv2d", kind="mac", inputs=("x",), k=1, c=1, output_elements=100, **conv),
        Layer(name="b", op="conv2d", kind="mac", inputs=("a",), k=2, c=1, output_elements=200, **conv),
        Layer(name="c", op="conv2d", kind="mac", inputs=("a",), k=2, c=1, output_elements=200, **conv),
        vector("sum", ("b", "c"), 400, 200),
    ]
    precision = {"precision.weight_bits": 8, "precision.activation_bits": 8}
    sram = {"holds": ["activations"], "bandwidth_gb_s": 1.0, "size_kib": 600 / 1024, "access": 1.0}
    on = BASE.replace({**precision, "memory.stores": {"sram": sram}})
    assert overfull(network, Machine.of(on)) == ""
    tight = on.replace({"memory.stores.sram.size_kib": 599 / 1024})
    text = "activations beside layer sum take 600 bytes of sram, which has 599"
    assert overfull(network, Machine.of(tight)) == text
    costs, misfits = evaluate_each(network, [on, tight])
    assert misfits == [None, f"{tight.name}: {text}"]
    assert costs.cycles[0].all()
    assert not costs.cycles[1].any()


def test_steps_that_others_read_are_all_there() -> None:
    """Of `h` all five outputs of 10 bytes, of `gate` one, and the input of 5 · 10 bytes until the last step."""
    steps = [vector("gate", ("x",), 10, 10), replace(vector("h", ("gate",), 10, 10), carried=("h",))]
    network = [*(replace(layer, repeat=5) for layer in steps), vector("last", ("h",), 50, 1)]
    sram = {"holds": ["activations"], "bandwidth_gb_s": 1.0, "size_kib": 109 / 1024, "access": 1.0}
    on = BASE.replace({"precision.activation_bits": 8, "memory.stores": {"sram": sram}})
    assert (
        overfull(network, Machine.of(on))
        == "activations beside layer gate take 110 bytes of sram, which has 109"
    )


def test_weights_have_to_fit_as_the_memory_stores_them() -> None:
    """36 weights of 16 bits are 72 bytes; a quarter of them, with a bit for each, 23."""
    conv = Layer.conv("conv", c=2, k=2, oy=4, ox=4, fy=3, fx=3, padding=1)
    flash = {"holds": ["weights"], "bandwidth_gb_s": 1.0, "size_kib": 71 / 1024, "access": 1.0}
    on = BASE.replace({"memory.stores": {"flash": flash}, "precision.weight_bits": 16})
    assert overfull([conv], Machine.of(on)) == "weights take 72 bytes of flash, which has 71"
    sparse = {"sparsity.weights": 0.75, "sparsity.compressed": ["flash"], "sparsity.form": "bitmap"}
    assert overfull([conv], Machine.of(on.replace(sparse))) == ""
    needed = overfull([conv], Machine.of(on.replace({**sparse, "memory.stores.flash.size_kib": 0.001})))
    assert needed == "weights take 23 bytes of flash, which has 1"


def test_designs_of_a_sweep_that_do_not_fit_have_no_result() -> None:
    """The map of 4 · 16 words and the 8 · 16 that are written are 384 bytes at 16 bits, 0.375 KiB."""
    conv = Layer.conv("conv", c=4, k=8, oy=4, ox=4, fy=1, fx=1)
    sram = {"holds": ["activations"], "bandwidth_gb_s": 1.0, "size_kib": 1.0, "access": 1.0}
    on = BASE.replace({"memory.stores": {"sram": sram}, "precision.activation_bits": 16})
    sizes = [0.374, 0.375, 4.0]
    network = Network(name="one", layers=(conv,))
    table = sq.sweep(network, on, {"memory.stores.sram.size_kib": sizes})
    assert table["latency_us"].notna().tolist() == [False, True, True]
