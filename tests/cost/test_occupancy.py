"""What is in the buffer, and where: what is kept of each layer, and no two things in one place."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from squeezesim.cost.costs import HOMES, Costs
from squeezesim.cost.evaluate import evaluate, evaluate_each
from squeezesim.cost.machine import Machine
from squeezesim.cost.occupancy import Occupancy, Tensor, occupancy
from squeezesim.cost.weights import own_bits
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Network
from squeezesim.network.layer import Layer
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.cost.test_placement import designs, networks, small, vector


def there(tensors: list[Tensor], layer: int) -> list[tuple[int, int]]:
    """Begins and ends of what is there while a layer runs; what is written over something is in its place."""
    found = [
        (at := each.addresses[layer - each.first], at + each.bits)
        for each in tensors
        if each.first <= layer <= each.last
    ]
    return sorted({*found}) if any(each.over and each.first == layer for each in tensors) else sorted(found)


def check(found: Occupancy, costs: Costs) -> None:
    for layer, kept in enumerate(costs.kept_bytes[0].tolist()):
        inside = there([*found.stays], layer)
        assert costs.cycles[0, layer] == 0 or sum(end - begin for begin, end in inside) // 8 == kept
        if found.tiles[layer]:
            inside.append((found.tiles_at[layer], found.tiles_at[layer] + found.tiles[layer]))
        for pieces in (sorted(inside), there([*found.outside], layer)):
            assert all(end <= begin for (_, end), (begin, _) in pairwise(pieces))
        assert max((end for _, end in inside), default=0) <= found.capacity
    if found.has_addresses:
        assert all(len({*each.addresses}) == 1 for each in found.stays)


@settings(max_examples=25, deadline=None)
@given(networks(most=8), designs())
def test_tensors_are_what_is_kept_and_nothing_is_in_one_place(layers: list[Layer], on: Accelerator) -> None:
    costs, (misfit,) = evaluate_each(layers, [on])
    if misfit is None:
        check(occupancy(layers, {"x": 32}, Machine.of(on), costs), costs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnet50", "densenet121", "efficientnet_b0", "ghostnet", "shufflenet_v2_x1_0"]
)
@pytest.mark.parametrize("hardware", ["os_32x32", "hybrid_32x32"])
def test_real_networks_have_addresses(name: str, hardware: str) -> None:
    report = simulate(load(name), Accelerator.named(hardware))
    assert report.occupancy is not None
    assert report.occupancy.has_addresses
    check(report.occupancy, report.costs)


def test_the_residual_block_worked_by_hand() -> None:
    """Maps of 512 bits: x lives until the sum, which is written over it; the input of the network is outside."""
    conv = Layer.conv("a", c=4, k=4, oy=4, ox=4, fy=1, fx=1)
    layers = [
        vector("x", "relu", ("input",), 64, 64),
        replace(conv, inputs=("x",)),
        replace(conv, name="b", inputs=("a",)),
        vector("sum", "add", ("x", "b"), 128, 64),
        vector("end", "relu", ("sum",), 64, 64),
    ]
    on = small()
    found = occupancy(layers, {"input": 64}, Machine.of(on), evaluate(layers, [on]))
    assert [(each.name, each.first, each.last, each.over, each.under) for each in found.stays] == [
        ("x", 0, 3, False, True),
        ("a", 1, 2, False, False),
        ("b", 2, 3, False, False),
        ("sum", 3, 4, True, False),
    ]
    assert [*found.stays[0].pieces] == [(-0.5, 3.0, found.stays[0].addresses[0])]
    assert [*found.stays[3].pieces] == [(3.0, 4.5, found.stays[0].addresses[0])]
    assert {each.bits for each in found.stays} == {512}
    assert [(each.name, each.first, each.last, each.bits) for each in found.outside] == [
        ("input", 0, 0, 512),
        ("end", 4, 4, 512),
    ]
    assert found.tiles[0] == found.tiles[3] == 0
    assert 4 * 4 * 8 <= found.tiles[1] <= found.capacity - 2 * 512


def test_weights_that_stay_are_there_for_the_steps() -> None:
    step = Layer.matmul("h", m=1, n=8, k=8).repeated(3)
    layers = [
        vector("x", "relu", ("input",), 8, 8),
        replace(step, inputs=("x",), carried=("h",)),
        vector("y", "relu", ("h",), 24, 24),
    ]
    on = small()
    costs = evaluate(layers, [on])
    found = occupancy(layers, {"input": 8}, Machine.of(on), costs)
    check(found, costs)
    (weights,) = [each for each in found.stays if each.is_weights]
    assert (weights.name, weights.first, weights.last, weights.bits) == ("h", 1, 1, 8 * 8 * 8)
    assert {each.name: each.bits for each in found.outside}["h"] == 3 * 8 * 8  # all steps are read


def test_homes_that_contradict_have_no_occupancy() -> None:
    """A report that was changed by hand: an input in the buffer that nobody left there."""
    layers = (vector("x", "relu", ("input",), 64, 64), vector("y", "relu", ("x",), 64, 64))
    made = simulate(
        Network(
            name="two",
            layers=(*layers, Layer.conv("c", c=4, k=4, oy=4, ox=4, fy=1, fx=1)),
            inputs=(("input", (64,)),),
        ),
        small(),
    )
    assert made.occupancy is not None
    homes = np.array(made.costs.homes)
    homes[0, 1] = [1, 0, 0, 0]
    homes[0, 0] = 0
    wrong = Report(made.network, made.accelerator, replace(made.costs, homes=homes))
    assert wrong.occupancy is None
    smaller = replace(made.costs, kept_bytes=made.costs.kept_bytes * 0 + 1)
    found = Report(made.network, made.accelerator, smaller).occupancy
    assert found is not None
    assert [each.name for each in found.stays] == ["x"]


def test_weights_that_stay_between_inferences_are_there_all_the_time() -> None:
    keeps = {"memory.global_buffer.keeps": ["activations", "weights"]}
    made = simulate("squeezenext_23", Accelerator.named("os_32x32").replace(keeps))
    found = made.occupancy
    assert found is not None
    (weights,) = (each for each in found.stays if each.is_weights)
    stay = [layer for layer, home in enumerate(made.costs.homes[0, :, 1].tolist()) if HOMES[home] == "stays"]
    bits = own_bits(made.network.layers, made.machine)
    assert stay
    assert weights.bits == sum(bits[layer] for layer in stay)
    assert weights.name == f"weights up to {made.network.layers[stay[-1]].name}"
    assert (weights.first, weights.last) == (0, len(made.network.layers) - 1)
    assert len({*weights.addresses}) == 1
