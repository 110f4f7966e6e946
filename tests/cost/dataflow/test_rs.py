from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.bounds import NEVER, Space
from squeezesim.cost.candidates import DataflowBounds
from squeezesim.cost.dataflow import DATAFLOWS, Tile
from squeezesim.cost.dataflow.rs import mapping
from squeezesim.cost.dataflow.rs_mapping import Mapped
from squeezesim.cost.dataflow.rs_passes import filter_parts, input_positions, lay_rows
from squeezesim.cost.machine import Machine
from squeezesim.cost.prune import LowerBounds
from squeezesim.cost.traffic import ORDERS, Mode
from squeezesim.network.layer import Layer
from squeezesim.reference.array import ACCESSES, Counts
from squeezesim.reference.array_case import simulate_array
from squeezesim.reference.array_rs import Mapping
from tests.cost.cases import (
    layers,
    machine,
    machines,
    macs_at_most,
    measures_of,
    problem_of,
    tilings,
)
from tests.cost.dataflow.arrays import Words, drawn_tile, untiled, whole
from tests.draws import among

RS = DATAFLOWS["rs"]
SIZES = st.integers(1, 8)


@st.composite
def rs_machines(draw: st.DrawFn, **fixed: Any) -> Machine:
    """Any machine with the registers, networks and weights' part of the buffer that ``rs`` reads."""
    return replace(
        draw(machines()),
        filter_words=draw(st.integers(1, 40)),
        input_words=draw(st.integers(1, 12)),
        network_weights=draw(SIZES),
        network_inputs=draw(SIZES),
        network_psums=draw(SIZES),
        **fixed,
    )


def eyeriss(**changes: Any) -> Machine:
    """The chip's array."""
    numbers: dict[str, Any] = {
        "rows": 12,
        "cols": 14,
        "psum_words": 24,
        "filter_words": 224,
        "input_words": 12,
    }
    return machine(**(numbers | changes))


def numbers(values: Any) -> list[int]:
    return [int(np.asarray(value).reshape(-1)[0]) for value in values]


def cuts(extent: int, most: int) -> list[int]:
    """Sizes of equal blocks of at most so much."""
    return sorted({size for n in range(1, extent + 1) if (size := math.ceil(extent / n)) <= most})


def laid(layer: Layer, on: Machine) -> Iterator[tuple[int, int]]:
    """(e, sets) of all strips; of those that do not hold all rows one set, or one in each band for pixels in a row."""
    problem = problem_of(layer, on)
    flat = bool(problem.pointwise[0])
    extent = int((problem.x if flat else problem.y)[0])
    high = on.rows // math.ceil(layer.fy / math.ceil(layer.fy / on.rows))
    for e in cuts(extent, on.cols * (1 if flat else high)):
        wide = math.ceil(e / on.cols)
        whole = high // wide if wide > 1 else high * (on.cols // e)
        yield e, whole if e == extent else high if flat else 1


def mappings(layer: Layer, on: Machine) -> Iterator[Mapping]:
    """Every (e, p, q, r, t, taps) that fits; of those that cut the channels alike only one."""
    largest, *others = reversed(cuts(layer.fx, min(on.input_words, on.filter_words)))
    for (e, sets), taps in product(laid(layer, on), (largest, *others)):
        most_q = on.input_words // taps if taps == largest else 1
        for r, t in product(range(1, min(sets, layer.c) + 1), range(1, min(sets, layer.k) + 1)):
            for q, p in product(range(1, most_q + 1), range(1, on.psum_words + 1)):
                blocks_k, blocks_c = math.ceil(layer.k / (p * t)), math.ceil(layer.c / (q * r))
                smallest = p == math.ceil(math.ceil(layer.k / blocks_k) / t)
                smallest &= q == math.ceil(math.ceil(layer.c / blocks_c) / r)
                if r * t <= sets and p * q * taps <= on.filter_words and smallest:
                    yield Mapping(e, p, q, r, t, taps)


def energy(counts: Counts, layer: Layer, on: Machine) -> float:
    """What the words cost that the simulated array moved."""
    costs, problem = on.energy, problem_of(layer, on)
    bits = {
        "inputs": problem.activation_bits,
        "weights": problem.weight_bits,
        "psums": problem.accumulator_bits,
    }
    prices = {"register": costs.register_file_per_bit, "inter_pe": costs.inter_pe_per_bit}
    spent = 0.0
    for name in ACCESSES:
        level, operand, *direction = name.replace("inter_pe", "inter-pe").split("_")
        written = costs.buffer_write_per_bit if direction == ["written"] else costs.buffer_read_per_bit
        price = prices.get(level.replace("-", "_"), written)
        spent += getattr(counts, name) * int(bits[operand][0]) * price
    return spent


@settings(max_examples=30, deadline=None)
@given(layers(largest=4), rs_machines(rows=3, cols=3, psum_words=3))
def test_no_mapping_that_fits_is_better(layer: Layer, on: Machine) -> None:
    """Every mapping of a whole layer is run on the simulated array: by energy the fastest of the cheapest is taken."""
    for axis in ("n", "k", "c", "g") * 2:
        if layer.macs > 400:
            layer = replace(layer, **{axis: math.ceil(getattr(layer, axis) / 2)})
    inputs = np.zeros((layer.n, layer.g * layer.c, layer.iy, layer.ix), np.int64)
    weights = np.ones((layer.g * layer.k, layer.c, layer.fy, layer.fx), np.int64)

    def played(mapping: Sequence[int]) -> tuple[int, float]:
        counts = simulate_array(layer, inputs, weights, on, "rs", mapping=mapping)[1]
        return counts.cycles, energy(counts, layer, on)

    every = [played(one) for one in mappings(layer, on)]
    taken = {
        objective: played(numbers(chosen(layer, replace(on, objective=objective))[:6]))
        for objective in ("latency", "energy", "edp")
    }
    assert taken["latency"] == pytest.approx(min(every))
    least = min(spent for _, spent in every)
    assert taken["energy"][1] == pytest.approx(least)
    assert taken["energy"][0] == min(cycles for cycles, spent in every if spent == pytest.approx(least))
    # By edp a tile has the least product with what its words between buffer and PEs cost, a part of the energy.
    cycles, spent = taken["edp"]
    for other in (taken["latency"], taken["energy"]):
        assert cycles < other[0] or spent <= other[1] * (1 + 1e-9)


@settings(max_examples=100, deadline=None)
@given(layers(), rs_machines(), st.data())
def test_a_mapping_fits_the_array(layer: Layer, on: Machine, data: st.DataObject) -> None:
    problem = problem_of(layer, on)
    tile = drawn_tile(problem, data)
    mapped, work = mapping(problem, tile, on), RS.tile_cost(problem, tile, on)
    e, p, q, r, t, taps = numbers(mapped[:6])
    assert p <= on.psum_words
    assert q * taps <= on.input_words
    assert p * q * taps <= on.filter_words
    assert e * filter_parts(problem, on).rows.size[0] * r * t <= on.pes
    macs = math.prod(numbers((*tile.sizes, problem.taps)))
    assert work.busy[0] == macs <= macs_at_most(problem, on, work.stream[0])


BETTER = (
    "rows",
    "cols",
    "psum_words",
    "filter_words",
    "input_words",
    "network_weights",
    "network_inputs",
    "network_psums",
)
"""What there can be more of."""


def any_layer(rng: np.random.Generator) -> Layer:
    """A convolution of up to 64 channels, or a small one."""
    (fy, fx), large = rng.choice([(1, 1), (1, 1), (1, 3), (3, 3), (5, 5), (2, 5)]), rng.random() < 0.5
    k, c = rng.integers(1, 65 if large else 10, 2).tolist()
    n, oy, ox = rng.integers(1, (4, 33, 33) if large else (4, 10, 10)).tolist()
    stride, dilation = rng.choice([1, 1, 2, 3], 2).tolist()
    sizes = {"n": n, "k": k, "c": c, "oy": oy, "ox": ox, "fy": int(fy), "fx": int(fx)}
    return Layer.conv("layer", **sizes, stride=stride, dilation=dilation, padding=0)


def any_array(rng: np.random.Generator) -> Machine:
    """An array of usual sizes, or a small one with few registers."""
    usual = {"rows": (4, 9, 12, 16, 20), "cols": (4, 8, 14, 16, 20), "psum_words": (1, 4, 16, 24, 64)}
    usual |= {"filter_words": (16, 64, 224), "input_words": (4, 8, 12)}
    small = {"rows": 8, "cols": 8, "psum_words": 8, "filter_words": 40, "input_words": 12}
    large = rng.random() < 0.5
    sizes = {
        name: int(rng.choice(usual[name]) if large else rng.integers(1, most + 1))
        for name, most in small.items()
    }
    for network in ("network_weights", "network_inputs", "network_psums"):
        sizes[network] = int(rng.integers(1, 9))
    return machine(dataflows=("rs",), **sizes)


def check_better_arrays(field: str, count: int) -> None:
    """20 tiles of each of *count* layers on some array, and on one with more of *field*."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        layer, on = any_layer(rng), any_array(rng)
        better = replace(on, **{field: getattr(on, field) + int(rng.choice([1, 2, 5, 16]))})
        problem = problem_of(layer, on)
        tile = Tile(*(rng.integers(1, size + 1, 20) for size in untiled(problem).sizes))
        several = problem.take(np.zeros(20, np.int64))
        before, after = (RS.tile_cost(several, tile, machine).cycles for machine in (on, better))
        assert (after <= before).all(), (layer, on, better, tile)


@pytest.mark.parametrize("field", BETTER)
def test_no_tile_is_slower_on_a_better_array(field: str) -> None:
    check_better_arrays(field, 12)


@pytest.mark.slow
@pytest.mark.parametrize("field", BETTER)
def test_no_tile_of_2000_is_slower_on_a_better_array(field: str) -> None:
    check_better_arrays(field, 100)


@given(*[st.integers(1, 9) for _ in range(4)])
def test_input_positions_one_by_one(outputs: int, stride: int, taps: int, dilation: int) -> None:
    found = {o * stride + tap * dilation for o in range(outputs) for tap in range(taps)}
    assert input_positions(*(np.array(size) for size in (outputs, stride, taps, dilation))) == len(found)


@settings(max_examples=60, deadline=None)
@given(layers(largest=6), rs_machines(), st.data())
def test_bounds_hold_for_every_tiling(layer: Layer, on: Machine, data: st.DataObject) -> None:
    on = replace(on, buffer_bits=1 << 40, objective=data.draw(among("latency", "energy", "edp")))
    problem = problem_of(layer, on)
    sizes = data.draw(st.sampled_from(tilings(problem, on)), label="sizes")
    bounds = LowerBounds(problem, on, RS)
    bound = bounds.of(sizes)
    assert bounds.of() <= bound * (1 + 1e-9)
    assert bound <= min(
        cost.value(on.objective)
        for cost in measures_of(problem, on, RS, sizes, [Mode(nest) for nest in ORDERS])
    )


@settings(max_examples=60, deadline=None)
@given(layers(largest=6), rs_machines(), st.data())
def test_no_tiling_has_fewer_accesses_than_the_bounds(layer: Layer, on: Machine, data: st.DataObject) -> None:
    on = replace(on, objective=data.draw(among("latency", "energy", "edp")))
    space = Space(problem_of(layer, on), on)
    flow = DataflowBounds(space, RS)
    pixel = np.array([data.draw(st.integers(0, len(space.pixels.owner) - 1), label="pixel")])
    channel = np.array([data.draw(st.integers(0, len(space.channels.owner) - 1), label="channel")])
    exact = flow.accesses(pixel, channel)
    terms = list(flow.array.pixel_terms[:, pixel]), list(flow.array.channel_terms[:, channel])
    for least in RS.bounds.accesses(space.work, *terms, on):
        for access, words in least.items():
            assert float(np.asarray(words)[0]) <= float(np.asarray(exact[access])[0]) + 1e-6, access


@settings(max_examples=100, deadline=None)
@given(layers(), rs_machines())
def test_accesses_of_an_uncut_layer(layer: Layer, on: Machine) -> None:
    words = Words(whole(RS, layer, on))
    weights = layer.g * layer.k * layer.c * layer.fy * layer.fx
    assert words("register_file", "psums") == 2 * layer.macs
    for operand in ("inputs", "weights"):
        assert words("register_file", operand) - words("inter_pe", operand) == layer.macs
    assert words("buffer", "weights", "read") == weights <= words("inter_pe", "weights")
    assert words("buffer", "inputs", "read") <= words("inter_pe", "inputs")


@pytest.mark.parametrize(
    ("rows", "taps", "strip", "sets"),
    [
        (7, 11, 7, 2),  # AlexNet's conv1: 11 × 7 twice, side by side
        (27, 5, 27, 1),  # conv2: 5 × 27, split into 14 and 13 columns
        (13, 3, 13, 4),  # conv3 to conv5: 3 × 13, four of them
        (14, 3, 14, 4),
        (56, 3, 56, 1),  # four stacked
        (57, 3, 29, 1),  # two strips
    ],
)
def test_sets_of_the_chip(rows: int, taps: int, strip: int, sets: int) -> None:
    layer = Layer.conv("a", c=8, k=8, oy=rows, ox=rows, fy=taps, fx=taps)
    problem = problem_of(layer, eyeriss())
    laid = lay_rows(problem, problem.n, problem.y, problem.x, eyeriss())
    assert (int(laid.strip[0]), int(laid.sets[0])) == (strip, sets)


def chosen(layer: Layer, on: Machine) -> Mapped:
    problem = problem_of(layer, on)
    return mapping(problem, untiled(problem), on)


def test_hand_worked_convolution() -> None:
    """Conv3 of AlexNet, a tile of 4 images, 64 filters and 4 channels: one pass of 16 filters in each of 4 sets."""
    layer = Layer.conv("a", n=4, c=4, k=64, oy=13, ox=13, fy=3, fx=3, padding=0)
    mapped = chosen(layer, eyeriss())
    assert numbers((mapped.p, mapped.q, mapped.r, mapped.t)) == [16, 4, 1, 4]
    # 13 columns of 16 · 4 · 3 products and 16 sums; as many sums of 13 rows and 64 filters, 4 words a cycle.
    # The sums of a column's last filter in 4 sets leave after the last image.
    assert 13 * (192 + 16) == 13 * 13 * 64 // 4 == 2704
    loading, leaving = 64 * 4 * 9 // 4 + 15 * 3 * 4, 13 * 4 // 4
    assert numbers((mapped.stream, mapped.fill)) == [4 * 13 * 192, 4 * 13 * 16 + loading + leaving]
    assert loading == 756
    assert numbers((mapped.inputs_read, mapped.psum_passes)) == [4 * 15 * 15 * 4, 1]


def test_blocks_that_fill_the_sets_are_faster_than_the_largest() -> None:
    """10 filters in 4 sets of PEs with 2: a PE works for 1 of 4, 4 and 2 filters, but for 2 of each 5 of two blocks."""
    layer = Layer.conv("a", c=1, k=10, oy=13, ox=13, fy=3, fx=3)
    mapped = chosen(layer, eyeriss(psum_words=2, network_inputs=64, network_psums=64))
    assert numbers((mapped.p, mapped.q, mapped.r, mapped.t)) == [1, 1, 1, 4]
    assert numbers([mapped.stream]) == [13 * 3 * (1 + 1 + 1)]


def test_shorter_parts_of_filter_rows_leave_room_for_more_filters() -> None:
    """5 weights are 3 taps of a filter or 2 of two: 4 channels of both take 4 passes for each part, or for each filter.

    Of 2 and 1 taps the PEs multiply in as many cycles as of 3, and every input comes once, not for each filter.
    """
    layer = Layer.conv("a", c=4, k=2, oy=6, ox=1, fy=1, fx=3, padding=0)
    few = machine(rows=4, cols=2, filter_words=5, input_words=2, network_inputs=7)
    for on in (few, replace(few, input_words=10)):
        mapped = chosen(layer, on)
        assert numbers((mapped.taps, mapped.p, mapped.inputs_read)) == [2, 2, 4 * 6 * 3]


def test_energy_prefers_fewer_words_where_latency_prefers_fewer_cycles() -> None:
    layer = Layer.conv("a", n=4, c=7, k=60, oy=13, ox=13, fy=3, fx=3, padding=0)
    fast, frugal = (chosen(layer, eyeriss(objective=objective)) for objective in ("latency", "energy"))
    assert (fast.stream + fast.fill)[0] < (frugal.stream + frugal.fill)[0]
    assert frugal.psum_passes[0] < fast.psum_passes[0]


def test_weights_that_only_pass_through_take_no_room_but_are_loaded_for_every_tile_of_pixels() -> None:
    layer = Layer.conv("a", c=4, k=64, oy=26, ox=26, fy=3, fx=3)
    shared, apart = (
        Space(problem_of(layer, on), on)
        for on in (eyeriss(), eyeriss(weights_bits=8 * 1024, buffer_bits=1 << 30))
    )
    of = [(len(space.pixels.owner), len(space.channels.owner)) for space in (shared, apart)]
    assert of[0] == of[1]
    pixel, channel = np.divmod(np.arange(of[0][0] * of[0][1]), of[0][1])
    together, footprint = (space.footprint(pixel, channel).reshape(of[0]) for space in (shared, apart))
    fits = footprint < NEVER
    assert (footprint[fits] < together[fits]).all()
    assert fits[-1, -1]  # the whole layer
    assert not fits[0, -1]  # several tiles of pixels, all weights: 4,608 bytes do not fit 1 KiB
    assert fits[0, 0]
