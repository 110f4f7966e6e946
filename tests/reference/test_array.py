from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.dataflow.base import balanced_nonzeros
from squeezesim.cost.machine import Machine
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network.layer import Layer
from squeezesim.reference.array_case import (
    Case,
    closed_form,
    differences,
    found_mapping,
    simulate_array,
    simulated,
    whole,
)
from squeezesim.reference.nonzeros import convolution, dealt_weights, larger_by_chunk
from tests.cost.cases import machine, problem_of
from tests.reference.cases import (
    array_cases,
    at_least,
    paced_cases,
    row_stationary_cases,
    small_layers,
    systolic_cases,
    unit_cases,
    waiting_cases,
    waiting_unit_cases,
)


@settings(max_examples=at_least(100), deadline=None)
@given(array_cases())
def test_closed_forms_equal_the_simulated_array(case: Case) -> None:
    assert differences(case) == []


@pytest.mark.slow
@settings(max_examples=at_least(2000), deadline=None)
@given(array_cases())
def test_closed_forms_equal_the_simulated_array_on_2000_tiles(case: Case) -> None:
    assert differences(case) == []


def crowded() -> Case:
    """Filter rows are cut for the sake of more filters in a PE."""
    layer = Layer.conv("a", c=4, k=2, oy=6, ox=1, fy=1, fx=3, padding=0)
    on = machine(rows=4, cols=2, filter_words=5, input_words=10, network_inputs=7)
    return Case(layer, whole(layer, on), on, "rs", False, 0)


@settings(max_examples=at_least(150), deadline=None)
@given(row_stationary_cases())
@example(crowded())
def test_row_stationary_equals_the_simulated_array(case: Case) -> None:
    assert differences(case) == []


_KEPT = {"outputs": "", "weights": ["g", "k", "c", "fy", "fx", "t"], "inputs": [*"nyxpgc", "fy", "fx", "t"]}
_MADE = {"outputs": "gknyxp", "weights": "gk", "inputs": "nyxpg"}
_GOES_ON = {"outputs": "", "weights": "nyx", "inputs": "k"}
"""By what stays: loops of the words of a block, of the outputs that blocks cut, and of those that steps make."""


def unit_classes(case: Case) -> set[str]:
    """What makes a tile on a unit more than steps one after the other."""
    (unit,), tile = case.machine.units, case.as_layer()
    extents = {"k": tile.k, "c": tile.c, "g": tile.g, "x": tile.ox, "y": tile.oy, "n": tile.n}
    extents |= {"fy": tile.fy, "fx": tile.fx, "t": tile.fy * tile.fx, "p": tile.n * tile.oy * tile.ox}
    unroll = dict(zip(dict(unit.unroll), found_mapping(case), strict=True))  # of the blocks that were found
    unit = unit._replace(unroll=tuple(unroll.items()))

    def cycles(**changes: Any) -> int:
        machine = replace(case.machine, units=(unit._replace(**changes),), whole_blocks=True)
        return closed_form(replace(case, machine=machine))["cycles"]

    # Of the largest block: the first one is waited for and the last one leaves alone, whatever the others do.
    outputs = prod(min(unroll.get(loop, 1), extents[loop]) for loop in _MADE[unit.stationary])
    outputs *= prod(extents[loop] for loop in _GOES_ON[unit.stationary])
    words = prod(min(unroll.get(loop, 1), extents[loop]) for loop in _KEPT[unit.stationary])
    leaves = -(-outputs // unit.output_words) if unit.output_words else 0
    arrives = max(-(-words // unit.ports) if unit.ports else 0, unit.preload)
    cut = unroll.items()
    alone, at_once = cycles(ports=0, preload=0), cycles(ports=0, preload=0, output_words=0)
    found = {
        "unequal remainders": sum(extents[loop] > by and extents[loop] % by > 0 for loop, by in cut) > 1,
        "output-bound": alone > at_once + leaves,
        "preload-bound": cycles(output_words=0) > at_once + arrives,
        "interval": unit.interval > 1,
        "taps": tile.fy * tile.fx > 1 and bool({"t", "fy", "fx"} & {*unroll}),
        "pixels in one": unit.by("p") > 1,
        f"{unit.stationary} stay": True,
        "unfinished": case.unfinished,
    }
    return {name for name, hit in found.items() if hit}


def check_units(count: int) -> None:
    hit: Counter[str] = Counter()

    @settings(max_examples=count, deadline=None)
    @given(unit_cases())
    def check(case: Case) -> None:
        assert differences(case) == []
        hit.update(unit_classes(case))

    check()
    assert len(hit) == 10
    assert min(hit.values()) > count / 20


def test_units_equal_the_simulated_ones() -> None:
    check_units(at_least(300))


@pytest.mark.slow
def test_units_equal_the_simulated_ones_on_2000_tiles(drawn: Callable[[int], int]) -> None:
    check_units(drawn(at_least(2000)))


def check_waiting_units(count: int) -> None:
    smaller: Counter[bool] = Counter()

    @settings(max_examples=count, deadline=None)
    @given(waiting_unit_cases())
    def check(case: Case) -> None:
        assert differences(case) == []
        whole_blocks = replace(case, machine=replace(case.machine, whole_blocks=True))
        smaller[closed_form(case)["cycles"] < closed_form(whole_blocks)["cycles"]] += 1

    check()
    assert smaller[True] > count / 5


def test_units_in_smaller_blocks_equal_the_simulated_ones() -> None:
    check_waiting_units(at_least(200))


@pytest.mark.slow
def test_units_in_smaller_blocks_equal_the_simulated_ones_on_2000_tiles(drawn: Callable[[int], int]) -> None:
    check_waiting_units(drawn(at_least(2000)))


def slow_networks(k: int = 1, *, oy: int, rows: int) -> Case:
    """A word a cycle for inputs and for sums, two new input columns for each output column."""
    layer = Layer.conv("a", c=1, k=k, oy=oy, ox=3, fy=rows, fx=2, stride=2)
    on = machine(rows=rows, network_inputs=1, network_psums=1, filter_words=4, input_words=2)
    return Case(layer, whole(layer, on), on, "rs", False, 0)


@settings(max_examples=at_least(150), deadline=None)
@given(paced_cases())
@example(
    slow_networks(oy=13, rows=1)
)  # the sums of a column take longer than the window of the last strip, of 1 row
@example(slow_networks(k=2, oy=4, rows=2))  # and longer than the PEs take for the last column
def test_paces_of_the_networks_equal_the_simulated_array(case: Case) -> None:
    assert differences(case) == []


@settings(max_examples=at_least(100), deadline=None)
@given(systolic_cases())
def test_scalesims_arrays_equal_the_simulated_ones(case: Case) -> None:
    assert differences(case) == []


@settings(max_examples=at_least(150), deadline=None)
@given(waiting_cases())
def test_waiting_for_drains_equals_the_simulated_array(case: Case) -> None:
    assert differences(case) == []


@settings(max_examples=100, deadline=None)
@given(small_layers(), st.sampled_from(sorted(DATAFLOWS)), st.integers(0, 1 << 16))
def test_computes_what_torch_computes(layer: Layer, flow: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.integers(-128, 128, (layer.n, layer.g * layer.c, layer.iy, layer.ix))
    weights = rng.integers(-128, 128, (layer.g * layer.k, layer.c, layer.fy, layer.fx))
    reach = [
        (out - 1) * stride + (taps - 1) * dilation + 1
        for out, stride, taps, dilation in zip(
            (layer.oy, layer.ox), layer.stride, (layer.fy, layer.fx), layer.dilation, strict=True
        )
    ]
    (top, left), (height, width) = layer.padding, (layer.iy, layer.ix)
    sides = (left, reach[1] - left - width, top, reach[0] - top - height)  # cuts what no tap reaches
    padded = torch.nn.functional.pad(torch.from_numpy(inputs), sides)
    expected = torch.nn.functional.conv2d(
        padded, torch.from_numpy(weights), stride=layer.stride, dilation=layer.dilation, groups=layer.g
    ).numpy()
    on = machine(rows=3, cols=4, skips_zeros=("os",))
    mapping = found_mapping(Case(layer, whole(layer, on), on, flow, False, seed))
    outputs, _ = simulate_array(layer, inputs, weights, on, flow, mapping=mapping)
    assert np.array_equal(outputs, expected)
    assert np.array_equal(convolution(layer, inputs, weights), expected)


CONV = Layer.conv("a", c=4, k=6, oy=5, ox=5, fy=3, fx=3)


@pytest.mark.parametrize("density", [0.9, 0.6, 0.3, 0.1])
def test_random_zeros_cost_what_their_empty_slices_cost(density: float) -> None:
    """Zeros anywhere: a mean of slices · P(slice is empty) cycles a block beyond zeros dealt evenly, if q ≥ 1."""
    on = machine(rows=5, cols=5, skips_zeros=("os",), weight_density=density, whole_blocks=True)
    weights = CONV.g * CONV.k * CONV.c * 9
    nonzeros = round(weights * density)
    rng = np.random.default_rng(0)
    streams = []
    for _ in range(60):
        flat = np.zeros(weights, np.int64)
        flat[rng.permutation(weights)[:nonzeros]] = 1
        inputs = np.zeros((1, 4, 5, 5), np.int64)
        _, counts = simulate_array(CONV, inputs, flat.reshape(6, 4, 3, 3), on, "os")
        assert counts.executed == nonzeros * 25
        streams.append(counts.stream)
    dealt_evenly = closed_form(Case(CONV, whole(CONV, on), on, "os", False, 0))["stream"]
    slices = 24
    empty = slices * (1 - density) ** 9
    spread = 4 * np.sqrt(max(empty, 0.05) / len(streams))  # of the mean number of empty slices
    assert min(streams) >= dealt_evenly
    assert abs(np.mean(streams) - (max(nonzeros, slices) + empty - max(0, slices - nonzeros))) <= spread
    if density >= 0.6:
        assert np.mean(streams) <= 1.005 * dealt_evenly


@given(small_layers(), st.integers(1, 6), st.integers(0, 1 << 16), st.data())
def test_dealt_weights_are_as_even_as_they_go(
    layer: Layer, words: int, seed: int, data: st.DataObject
) -> None:
    taps, slices = layer.fy * layer.fx, layer.g * layer.k * layer.c
    nonzeros = data.draw(st.integers(0, taps * slices))
    least, larger = divmod(nonzeros, slices)
    weights = dealt_weights(layer, least, larger, words, np.random.default_rng(seed))
    held = np.count_nonzero(weights, axis=(2, 3))
    assert held.sum() == nonzeros
    assert held.min() >= least
    assert held.max() <= least + 1
    # Chunks of equal size hold equally much, to within one slice.
    shares = larger_by_chunk(layer, larger, words)
    last = max(chunk for _, chunk in shares)
    for chunks in ({last}, set(range(last))):
        of_one_kind = [share for (_, chunk), share in shares.items() if chunk in chunks]
        assert not of_one_kind or max(of_one_kind) - min(of_one_kind) <= 1


@given(small_layers(), st.integers(0, 9))
def test_a_layers_cycles_follow_from_its_non_zeros(layer: Layer, tenths: int) -> None:
    on = machine(weight_density=tenths / 10, skips_zeros=("os",))
    problem = problem_of(layer, on)
    least, larger = balanced_nonzeros(problem.slices, problem)
    q, r = divmod(int(problem.nonzeros[0]), int(problem.slices[0]))
    cycles = (problem.slices - r) * max(1, q) + r * max(1, q + 1)
    assert least * problem.slices + larger == cycles


def test_a_difference_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(CONV, whole(CONV, machine()), machine(), "ws", False, 0)
    told = closed_form(case)
    monkeypatch.setattr(
        "squeezesim.reference.array_case.closed_form", lambda _: told | {"cycles": told["cycles"] + 1}
    )
    assert differences(case) == [
        f"ws cycles: {told['cycles']} simulated, {told['cycles'] + 1} in closed form"
    ]


def test_one_pixel_by_hand() -> None:
    layer = Layer(name="a", op="linear", kind="mac", k=2, c=2)
    on = machine(rows=2, cols=2, ports=2)
    outputs, counts = simulate_array(layer, [[[[3]], [[5]]]], [[[[1]], [[2]]], [[[-1]], [[4]]]], on, "ws")
    assert outputs.ravel().tolist() == [13, 17]
    assert (counts.cycles, counts.stream, counts.busy) == (3, 1, 4)
    assert (counts.buffer_inputs, counts.buffer_weights, counts.buffer_psums_written) == (2, 4, 2)
    assert (counts.register_weights, counts.inter_pe_psums) == (8, 4)


def test_a_row_stationary_pass_by_hand() -> None:
    """A 2×2 filter on 2×2 PEs, 2 output rows of 3 columns, one filter and channel; a word a cycle on each network."""
    layer = Layer.conv("a", c=1, k=1, oy=2, ox=3, fy=2, fx=2, padding=0, iy=3, ix=4)
    on = machine(rows=2, cols=2, network_weights=1, network_inputs=1, network_psums=1)
    inputs, weights = np.arange(12).reshape(1, 1, 3, 4), np.array([[[[1, 2], [3, 4]]]])
    outputs, counts = simulate_array(layer, inputs, weights, on, "rs", mapping=(2, 1, 1, 1, 1))
    assert outputs.ravel().tolist() == [34, 44, 54, 74, 84, 94]
    # 4 weights and a window of 3 rows and 2 columns; each column 2 products and a sum, while 3 words come for the next
    # one; the last column's 2 sums leave.
    assert counts.cycles == 4 + 3 * 2 + 3 * (2 + 1) + 2
    assert (counts.stream, counts.busy) == (3 * 2, 24)
    # The middle input row goes to a PE of each output row; the others to one PE.
    assert (counts.buffer_inputs, counts.inter_pe_inputs, counts.register_inputs) == (12, 16, 24 + 16)
    # Each weight goes to the PEs of both output rows; a sum goes up one PE in each column.
    assert (counts.inter_pe_weights, counts.register_weights, counts.inter_pe_psums) == (8, 24 + 8, 6)
    assert (counts.register_psums, counts.buffer_psums_written, counts.buffer_psums_read) == (48, 6, 0)


@pytest.mark.slow
def test_the_layer_worked_by_hand_in_dataflows_md() -> None:
    """A tile of AlexNet's conv3 on the chip's array, 1.6 million MACs."""
    on = Machine.of(Accelerator.named("eyeriss"))
    layer = Layer.conv("a", n=4, c=4, k=64, oy=13, ox=13, fy=3, fx=3, padding=0)
    case = Case(layer, whole(layer, on), on, "rs", False, 0)
    assert found_mapping(case) == (13, 16, 4, 1, 4, 3)
    right, counts = simulated(case)
    assert right
    assert (counts.cycles, counts.stream, counts.busy) == (11_585, 9_984, 9_984 * 156)
    for name, value in closed_form(case).items():
        assert getattr(counts, name) == value, name


@pytest.mark.parametrize(
    ("changes", "mapping"),
    [
        ({"rows": 1}, (2, 1, 1, 1, 1)),  # filter rows take a pass each, but two output rows need two columns
        ({"input_words": 3}, (2, 1, 2, 1, 1)),
        ({"filter_words": 3}, (2, 2, 1, 1, 1)),
        ({"psum_words": 1}, (2, 2, 1, 1, 1)),
        ({}, (2, 1, 1, 2, 2)),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, int], mapping: tuple[int, ...]) -> None:
    layer = Layer.conv("a", c=2, k=2, oy=2, ox=2, fy=2, fx=2)
    on = machine(**({"rows": 2, "cols": 2 - (changes == {"rows": 1})} | changes))
    inputs, weights = np.zeros((1, 2, 2, 2), np.int64), np.ones((2, 2, 2, 2), np.int64)
    with pytest.raises(AssertionError):
        simulate_array(layer, inputs, weights, on, "rs", mapping=mapping)
