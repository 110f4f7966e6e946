from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.bounds import Space
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.dataflow.rs import mapping
from squeezesim.cost.dataflow.rs_mapping import Mapped, filter_parts, lay_rows, splits
from squeezesim.cost.machine import Machine
from squeezesim.cost.search import Search
from squeezesim.cost.workload import Workload
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, machine, machines, problem_of
from tests.cost.dataflow.arrays import tile_terms, whole

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


def blocks(extent: int, most: int) -> list[int]:
    """Sizes of the parts of *extent*, as equal as possible and none above *most*."""
    size = math.ceil(extent / math.ceil(extent / most))
    return [min(size, extent - start) for start in range(0, extent, size)]


class Passes:
    """One group of a tile, gone through pass by pass and strip by strip, each PE counted."""

    def __init__(self, problem: Workload, sizes: list[int], split: tuple[int, int, int], on: Machine) -> None:
        n, y, x, k, c = sizes
        fy, fx, sy, sx, dy, dx = (
            int(getattr(problem, name)[0]) for name in ("fy", "fx", "sy", "sx", "dy", "dx")
        )
        r, t, most_q = split
        if problem.pointwise[0]:
            columns = math.ceil(x / min(on.cols, x))
            y, x = math.ceil(x / columns), columns
        taps = math.ceil(fx / math.ceil(fx / min(on.input_words, on.filter_words)))
        rows = math.ceil(fy / math.ceil(fy / on.rows))
        self.stream = self.cycles = self.inputs_read = self.inputs_delivered = self.hops = self.passes = 0
        reach = min((x - 1) * sx + (taps - 1) * dx + 1, x * taps)
        strips = blocks(y, on.rows // rows * on.cols)

        def read(strip: int) -> int:
            return min((strip - 1) * sy + (rows - 1) * dy + 1, strip * rows)

        most_p = min(on.psum_words, on.filter_words // (most_q * taps))
        channels, filters = blocks(c, r * most_q), blocks(k, t * most_p)
        p, q = math.ceil(filters[0] / t), math.ceil(channels[0] / r)
        assert p * q * taps <= on.filter_words
        assert q * taps <= on.input_words
        assert p <= on.psum_words
        for _ in range(math.ceil(fy / on.rows) * math.ceil(fx / min(on.input_words, on.filter_words))):
            self.passes += len(channels)
            for held_c in channels:
                sets_r = math.ceil(held_c / q)
                for held_k in filters:
                    self.hops += held_k * (rows * sets_r - 1)
                    self.cycles += math.ceil(held_k * held_c * rows * taps / on.network_weights)
                    self.cycles += math.ceil(read(strips[0]) * taps * held_c / on.network_inputs)
                    for strip in strips * n:
                        in_pe, interleaved = math.ceil(held_k / t), math.ceil(held_c / r)
                        products = x * in_pe * interleaved * taps
                        words = read(strip) * reach * held_c
                        sums = math.ceil(strip * x * held_k / on.network_psums)
                        self.stream += products
                        self.cycles += max(products + x * in_pe, sums, math.ceil(words / on.network_inputs))
                        self.inputs_read += words
                        self.inputs_delivered += strip * rows * reach * held_c * math.ceil(held_k / p)


@settings(max_examples=150, deadline=None)
@given(layers(), rs_machines(), st.data())
def test_equals_passes_one_by_one(layer: Layer, on: Machine, data: st.DataObject) -> None:
    problem, pixel, channel = tile_terms(RS, layer, on, data)
    mapped = mapping(problem, pixel, channel, on)
    work = RS.work(problem, pixel, channel, on)
    n, y, x = numbers(pixel[:3])
    g, k, c = numbers(channel[:3])
    rows = lay_rows(problem, *(np.array([size]) for size in (n, y, x)), on)
    most = min(on.input_words, on.filter_words) // int(filter_parts(problem, on).taps[0])
    candidates = list(zip(*(part.tolist() for part in splits(int(rows.sets[0]), most)), strict=True))
    played = [Passes(problem, [n, y, x, k, c], candidate, on) for candidate in candidates]
    chosen = [
        one
        for one, (r, t, _) in zip(played, candidates, strict=True)
        if (r, t) == (int(mapped.r[0]), int(mapped.t[0]))
        and (one.stream, one.cycles) == (int(mapped.stream[0]), int(mapped.stream[0] + mapped.fill[0]))
        and one.inputs_read == mapped.inputs_read[0]
        and one.inputs_delivered == mapped.inputs_delivered[0]
        and (one.hops, one.passes) == (mapped.hops[0], mapped.psum_passes[0])
    ]
    assert chosen
    assert work.cycles[0] == g * min(one.cycles for one in played)
    assert work.busy[0] == n * y * x * g * k * c * int(problem.taps[0]) <= on.pes * work.stream[0]
    assert rows.strip[0] * filter_parts(problem, on).rows[0] * mapped.r[0] * mapped.t[0] <= on.pes


@settings(max_examples=60, deadline=None)
@given(layers(largest=6), rs_machines(), st.data())
def test_bounds_hold_for_every_tiling(layer: Layer, on: Machine, data: st.DataObject) -> None:
    on = replace(on, buffer_bits=1 << 40, objective=data.draw(st.sampled_from(["latency", "energy", "edp"])))
    search = Search(Space(problem_of(layer, on), on), RS)
    pixel = np.array([data.draw(st.integers(0, len(search.space.pixels.owner) - 1), label="pixel")])
    channel = np.array([data.draw(st.integers(0, len(search.space.channels.owner) - 1), label="channel")])
    row = np.array([0])
    for order in range(3):
        timing = search.timing(row, np.array([order]), pixel, channel)
        assert search.terms.cycles(0)[order, pixel[0], channel[0]] <= timing.cycles[0]
    exact = search.accesses(row, pixel, channel)
    least = search._least_accesses(row, pixel, channel)
    for name, words in least._asdict().items():
        assert float(np.asarray(words)[0]) <= float(np.asarray(getattr(exact, name))[0]) + 1e-6, name


@settings(max_examples=100, deadline=None)
@given(layers(), rs_machines())
def test_accesses_of_an_uncut_layer(layer: Layer, on: Machine) -> None:
    problem, (pixel, channel) = problem_of(layer, on), whole(RS, layer, on)
    outputs = float(layer.n * layer.g * layer.k * layer.oy * layer.ox)
    used = RS.accesses(
        problem, [1.0 * term for term in pixel], [1.0 * term for term in channel], np.array([outputs]), on
    )
    weights = layer.g * layer.k * layer.c * layer.fy * layer.fx
    assert used.register_psums[0] == 2 * layer.macs
    assert used.register_inputs[0] - used.inter_pe_inputs[0] == layer.macs
    assert used.register_weights[0] - np.asarray(used.inter_pe_weights)[0] == layer.macs
    assert used.buffer_weights[0] == weights <= np.asarray(used.inter_pe_weights)[0]
    assert used.buffer_psums_written[0] - used.buffer_psums_read[0] == outputs
    assert used.buffer_inputs[0] <= used.inter_pe_inputs[0]


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
    return mapping(problem_of(layer, on), *whole(RS, layer, on), on)


def test_hand_worked_convolution() -> None:
    """Conv3 of AlexNet, a tile of 4 images, 64 filters and 4 channels: one pass of 16 filters in each of 4 sets."""
    layer = Layer.conv("a", n=4, c=4, k=64, oy=13, ox=13, fy=3, fx=3, padding=0)
    mapped = chosen(layer, eyeriss())
    assert numbers((mapped.p, mapped.q, mapped.r, mapped.t)) == [16, 4, 1, 4]
    # 13 columns of 16 · 4 · 3 products and 16 sums; as many sums of 13 rows and 64 filters, 4 words a cycle
    assert 13 * (192 + 16) == 13 * 13 * 64 // 4 == 2704
    loading = 64 * 4 * 9 // 4 + 15 * 3 * 4
    assert numbers((mapped.stream, mapped.fill)) == [4 * 13 * 192, 4 * 13 * 16 + loading]
    assert loading == 756
    assert numbers((mapped.inputs_read, mapped.psum_passes)) == [4 * 15 * 15 * 4, 1]


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
    assert (apart.footprint(0) < shared.footprint(0)).all()
    excluded = apart.traffic(0)[1]
    whole_layer = excluded[0, -1, -1]
    assert whole_layer == 0
    assert np.isinf(excluded[0, 0, -1])  # several tiles of pixels, all weights: 4,608 bytes do not fit 1 KiB
    assert excluded[0, 0, 0] == 0
