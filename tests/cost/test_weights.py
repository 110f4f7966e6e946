"""Weights that stay from one inference to the next: by hand, event by event, and whatever the networks are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from squeezesim.cost.costs import ARRAYS, HOMED, HOMES
from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.evaluate import evaluate, evaluate_each
from squeezesim.cost.given import LayerHomes
from squeezesim.cost.lowering import as_run
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import workload_of
from squeezesim.cost.residents import given_places
from squeezesim.cost.timeline import run_of
from squeezesim.cost.traffic import AXES, MODES
from squeezesim.cost.weights import lasting, own_bits
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network.layer import Layer
from squeezesim.reference.pipeline import Case, simulated
from tests.cost.cases import among
from tests.cost.test_placement import designs, designs_of_parts, networks, small

SIZE = "memory.stays.size_kib"
WEIGHTS = 1
STAY = HOMES.index("stays")


def bytes_wide(**changes: Any) -> Accelerator:
    """A 4×4 array for words of a byte, and a DRAM of a byte a cycle."""
    values = {
        **{"precision.weight_bits": 8, "precision.activation_bits": 8, "memory.global_buffer.keeps": []},
        **{
            "memory.dram.usable_fraction": 1.0,
            "memory.dram.latency_ns": 0.0,
            "control.layer_setup_cycles": 0,
        },
    }
    return small(**(values | changes))


def where(layers: list[Layer], on: Accelerator) -> list[str]:
    homes = evaluate(layers, [on]).homes[0, :, HOMED.index("weights")]
    return [HOMES[home] for home in homes.tolist()]


def test_a_layer_by_hand() -> None:
    """16 inputs, 16 weights and 16 outputs in bytes, a byte a cycle: weights that stay take 16 cycles away, all alone.

    The tile is one; the array works on it in between, the same with both.
    """
    layer = Layer.matmul("fc", m=4, n=4, k=4)
    loaded, kept = (evaluate([layer], [bytes_wide(**{SIZE: size})]) for size in (0, 16 / 1024))
    assert loaded.dram_bytes[0, 0].tolist() == [16, 16, 16, 0]
    assert kept.dram_bytes[0, 0].tolist() == [16, 0, 16, 0]
    assert loaded.cycles[0, 0] - kept.cycles[0, 0] == 16
    assert loaded.homes[0, 0].tolist() == [0, 0, 0, 0]
    assert kept.homes[0, 0].tolist() == [0, STAY, 0, 0]
    assert not kept.kept_bytes.any()  # of the buffer


def test_it_is_filled_in_order_until_some_do_not_fit() -> None:
    layers = [Layer.matmul(name, m=1, n=size, k=1024) for name, size in (("a", 30), ("b", 50), ("c", 10))]
    assert where(layers, bytes_wide(**{SIZE: 64})) == ["stays", "memory", "memory"]
    assert where(layers, bytes_wide(**{SIZE: 80})) == ["stays", "stays", "memory"]
    assert where(layers, bytes_wide(**{SIZE: 90})) == ["stays", "stays", "stays"]
    assert where(layers, bytes_wide(**{SIZE: 29})) == ["memory", "memory", "memory"]


def test_what_is_read_beside_weights_stays_with_them() -> None:
    """Biases are as wide as partial sums."""
    layer = Layer.matmul("fc", m=1, n=8, k=8, bias=True)
    on = bytes_wide(**{SIZE: 1.0})
    wide = on.precision.accumulator_bits // 8
    assert own_bits([layer], Machine.of(on)) == {0: 8 * (64 + 8 * wide)}
    assert evaluate([layer], [on]).dram_bytes[0, 0].tolist() == [8, 0, 8, 0]


def test_weights_that_another_layer_owns_are_there_once() -> None:
    first = Layer.matmul("a", m=1, n=64, k=64)
    again = replace(first, name="b", params=0, shared=("a",))
    machine = Machine.of(bytes_wide(**{SIZE: 4.0}))
    assert own_bits([first, again], machine) == {0: 8 * 4096, 1: 0}
    assert lasting([first, again], machine).layers == {0, 1}
    apart = replace(again, params=4096, shared=())
    assert lasting([first, apart], machine).layers == {0}


def test_products_of_activations_and_parts_of_tables_do_not_stay() -> None:
    product = replace(Layer.matmul("qk", m=4, n=4, k=4), weights_are_activations=True, params=0)
    sizes = {"input_elements": 4, "output_elements": 32, "vector_ops": 32}
    table = Layer(name="words", op="embedding", kind="vector", weight_elements=32, params=800, **sizes)
    norm = Layer(name="norm", op="layer_norm", kind="vector", weight_elements=8, params=8, **sizes)
    layers = [table, product, norm]
    on = bytes_wide(**{SIZE: 64.0})
    assert lasting(layers, Machine.of(on)).layers == {2}
    kept, loaded = (evaluate(layers, [each]) for each in (on, bytes_wide()))
    moved = [costs.dram_bytes[0, :, WEIGHTS].tolist() for costs in (kept, loaded)]
    assert moved == [[32, 16, 0], [32, 16, 8]]
    assert loaded.cycles[0, 2] - kept.cycles[0, 2] == 8
    # They are read from where they are, and no longer written there.
    assert loaded.buffer_bytes[0, 2] - kept.buffer_bytes[0, 2] == 8


@pytest.mark.parametrize("keeps", [[], ["activations"]])
def test_of_a_recurrence_those_that_fit_stay_elsewhere(keeps: list[str]) -> None:
    """What is left of its weights is loaded once, or in every step, whichever is better."""
    steps = [Layer.matmul(name, m=1, n=16, k=16).repeated(10) for name in ("a", "b")]
    some, every = (
        bytes_wide(**{SIZE: size, "memory.global_buffer.size_kib": 4.0, "memory.global_buffer.keeps": keeps})
        for size in (256 / 1024, 512 / 1024)
    )
    assert where(steps, some) == ["stays", "buffer"]
    assert evaluate(steps, [some]).dram_bytes[0, :, WEIGHTS].tolist() == [0, 256]
    assert where(steps, every) == ["stays", "stays"]
    assert not evaluate(steps, [every]).dram_bytes[0, :, WEIGHTS].any()
    for number, layer in enumerate(steps):
        costs = evaluate(steps, [some])
        assert run_of(layer, costs, number, Machine.of(some)).cycles == costs.cycles[0, number]


def with_some(layers: list[Layer], on: Accelerator, share: float) -> Accelerator:
    """*on* with room for a share of the weights."""
    every = sum(own_bits(layers, Machine.of(on)).values()) / 8192
    return on.replace({SIZE: max(every * share, 0.001)})


@settings(max_examples=10, deadline=None)
@given(networks(most=6), designs(), among(0.4, 1.0))
def test_layers_take_what_events_do_and_timelines_end_with_them(
    layers: list[Layer], on: Accelerator, share: float
) -> None:
    on = with_some(layers, on, share)
    machine = Machine.of(on)
    costs, (misfit,) = evaluate_each(layers, [on])
    if misfit is not None:
        return
    stay = costs.homes[0, :, HOMED.index("weights")] == STAY
    assert {*np.flatnonzero(stay).tolist()} == lasting(layers, machine).layers
    for number, layer in enumerate(as_run(layers, machine, costs.cycles[0].tolist())):
        assert run_of(layer, costs, number, machine).cycles == costs.cycles[0, number]
        if stay[number]:
            assert not costs.dram_bytes[0, number, WEIGHTS]
        if layer.kind == "mac":
            problem = workload_of([layer], machine, [costs.homes_at(number)])[0]
            sizes = dict(zip(AXES, costs.tile[0, number].tolist(), strict=True))
            flow = flows_of(machine)[costs.dataflows[costs.dataflow[0, number]]]
            played = simulated(Case(problem, sizes, MODES[costs.mode[0, number]], flow, machine))
            assert played.cycles == costs.cycles[0, number]
            moved = [played.bits[operand] / 8 for operand in ("weights", "outputs", "psums")]
            assert costs.dram_bytes[0, number, 1:].tolist() == moved


@settings(max_examples=10, deadline=None)
@given(networks(most=7), designs(), among(0.2, 0.6), among(0.7, 1.0))
def test_more_room_for_weights_is_never_worse(
    layers: list[Layer], on: Accelerator, little: float, much: float
) -> None:
    several = [on, with_some(layers, on, little), with_some(layers, on, much)]
    costs, misfits = evaluate_each(layers, several)
    which = on.mapper.objective == "energy"
    found = [costs.cycles.sum(axis=1), costs.energy.sum(axis=(1, 2))][which]
    for before, after in ((0, 1), (1, 2)):
        if misfits[before] is None:
            assert misfits[after] is None
            assert found[after] <= found[before] * (1 + 1e-12)
    for number, each in enumerate(several):
        alone, (misfit,) = evaluate_each(layers, [each])
        assert misfit == misfits[number]
        for name in ARRAYS:
            assert np.array_equal(getattr(alone, name)[0], getattr(costs, name)[number]), name


def test_where_maps_stay_too_only_inputs_and_outputs_of_the_network_move() -> None:
    """A byte each; no filter of the first layer, of stride 2, reads the last row and column."""
    network, sizes = load("squeezenet_1_1").fused, {SIZE: 4096.0, "memory.global_buffer.size_kib": 65536.0}
    costs = evaluate(network.layers, [Accelerator.named("hybrid_32x32").replace(sizes)])
    assert costs.dram_bytes[0].sum(axis=0).tolist() == [3 * 223 * 223, 0, 1000, 0]


def test_by_edp_no_product_is_more_than_with_nothing_there() -> None:
    layers = [Layer.conv(f"c{k}", c=8, k=k, oy=4, ox=4, fy=3, fx=3, padding=1) for k in (8, 16, 24)]
    for keeps in ([], ["activations"]):
        on = small(**{"mapper.objective": "edp", "memory.global_buffer.keeps": keeps})
        costs = evaluate(layers, [on, with_some(layers, on, 0.5), with_some(layers, on, 1.0)])
        products = costs.cycles.sum(axis=1) * costs.energy.sum(axis=(1, 2))
        assert products[0] >= products[1] >= products[2]


def in_the_buffer(on: Accelerator, **changes: Any) -> Accelerator:
    kept = ["weights", *on.memory.global_buffer.keeps]
    return on.replace({"memory.global_buffer.keeps": kept} | changes)


def split(layers: list[Layer], on: Accelerator, count: int, bits: int) -> tuple[float, float]:
    """Cycles and energy where weights of the first *count* layers with some are in *bits* of the buffer's size.

    Of a buffer in parts it is that of the part of weights, which may be full where all of them stay.
    """
    buffer, key = on.memory.global_buffer, "memory.global_buffer.size_kib"
    size = buffer.size_kib - bits / 8192
    for name, part in buffer.parts.items():
        if "weights" in part.holds:
            key, size = f"memory.global_buffer.parts.{name}.size_kib", part.size_kib - bits / 8192
            is_full = (
                size == 0 and "inputs" not in part.holds and count == len(own_bits(layers, Machine.of(on)))
            )
            size = 0.001 if is_full else size
    if size < 0.001:
        return np.inf, np.inf
    rest = [each for each in buffer.keeps if each != "weights"]
    changes = {
        key: size,
        "memory.global_buffer.keeps": rest,
        SIZE: bits / 8192,
    }
    apart = on.replace(changes)
    assert len(lasting(layers, Machine.of(apart)).layers) == count
    costs, (misfit,) = evaluate_each(layers, [apart])
    if misfit is not None:
        return np.inf, np.inf
    return float(costs.cycles.sum()), float(costs.energy.sum())


def check_against_every_split(layers: list[Layer], on: Accelerator) -> None:
    """In a memory apart of the size of the first layers' weights, and a buffer that is smaller by as much.

    A buffer has the same price at all sizes here.
    """
    on = in_the_buffer(on)
    machine = Machine.of(on)
    sizes = np.cumsum([0, *own_bits(layers, machine).values()]).tolist()
    every = [split(layers, on, count, bits) for count, bits in enumerate(sizes)]
    costs, (misfit,) = evaluate_each(layers, [on])
    first = on.mapper.objective == "energy"
    least = min(every, key=lambda pair: (pair[first], pair[not first]))
    assert (misfit is None) == bool(np.isfinite(least[0]))
    if misfit is None:
        found = float(costs.cycles.sum()), float(costs.energy.sum())
        assert found[first] == pytest.approx(least[first], rel=1e-12)
        if not first:
            assert found[1] == pytest.approx(least[1], rel=1e-9)
        taken = costs.kept_bytes[0] * 8
        stay = costs.homes[0, :, HOMED.index("weights")] == STAY
        assert (taken[costs.cycles[0] > 0] >= sizes[int(stay.sum())]).all()


@settings(max_examples=20, deadline=None)
@given(networks(most=4), designs(), among(("activations",), ()))
def test_the_buffer_keeps_as_many_weights_as_is_best(
    layers: list[Layer], on: Accelerator, keeps: tuple[str, ...]
) -> None:
    check_against_every_split(layers, on.replace({"memory.global_buffer.keeps": [*keeps]}))


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(networks(most=7), designs(), among(("activations",), ()))
def test_the_buffer_keeps_as_many_weights_as_is_best_of_200_networks(
    layers: list[Layer], on: Accelerator, keeps: tuple[str, ...]
) -> None:
    check_against_every_split(layers, on.replace({"memory.global_buffer.keeps": [*keeps]}))


@settings(max_examples=20, deadline=None)
@given(networks(most=4), designs_of_parts())
def test_a_part_keeps_as_many_weights_as_is_best(layers: list[Layer], on: Accelerator) -> None:
    check_against_every_split(layers, on)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(networks(most=6), designs_of_parts())
def test_a_part_keeps_as_many_weights_as_is_best_of_200_networks(
    layers: list[Layer], on: Accelerator
) -> None:
    check_against_every_split(layers, on)


@settings(max_examples=6, deadline=None)
@given(networks(most=6), designs() | designs_of_parts(), among(0.0, 0.4))
def test_what_the_buffer_keeps_ends_with_its_timelines_and_is_read_back(
    layers: list[Layer], on: Accelerator, share: float
) -> None:
    on = in_the_buffer(with_some(layers, on, share) if share else on)
    machine = Machine.of(on)
    costs, (misfit,) = evaluate_each(layers, [on])
    if misfit is not None:
        return
    assert lasting(layers, machine).layers <= {
        *np.flatnonzero(costs.homes[0, :, HOMED.index("weights")] == STAY)
    }
    for number, layer in enumerate(as_run(layers, machine, costs.cycles[0].tolist())):
        assert run_of(layer, costs, number, machine).cycles == costs.cycles[0, number]
    homes = {
        number: LayerHomes(tuple(HOMES[home] for home in at), kept)
        for number, (at, kept) in enumerate(
            zip(costs.homes[0].tolist(), costs.kept_bytes[0].tolist(), strict=True)
        )
    }
    again = evaluate(layers, [on], places=[held.place for held in given_places(layers, machine, homes)])
    assert again.cycles.sum() == costs.cycles.sum()
    assert again.homes.tolist() == costs.homes.tolist()


@settings(max_examples=6, deadline=None)
@given(networks(most=6), designs())
def test_a_larger_buffer_with_weights_is_never_worse_and_stands_for_itself(
    layers: list[Layer], on: Accelerator
) -> None:
    size = on.memory.global_buffer.size_kib
    several = [
        on,
        *(in_the_buffer(on, **{"memory.global_buffer.size_kib": size * more}) for more in (1.0, 1.5, 4.0)),
    ]
    costs, misfits = evaluate_each(layers, several)
    found = (costs.cycles.sum(axis=1), costs.energy.sum(axis=(1, 2)))[on.mapper.objective == "energy"]
    for number in range(3):
        if misfits[number] is None:
            assert misfits[number + 1] is None
            assert found[number + 1] <= found[number] * (1 + 1e-12)
    alone, _ = evaluate_each(layers, several[2:3])
    for name in ARRAYS:
        assert np.array_equal(getattr(alone, name)[0], getattr(costs, name)[2]), name
