from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.dataflow import DATAFLOWS, Tile
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Workload
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, machine, machines, macs_at_most, problem_of
from tests.cost.dataflow.arrays import Words, drawn_tile, untiled, whole
from tests.draws import among

WS = DATAFLOWS["ws"]


def test_hand_worked_convolution() -> None:
    on = machine(rows=16, cols=16, ports=16)
    layer = Layer(
        name="a", op="conv2d", kind="mac", k=32, c=64, oy=14, ox=14, fy=3, fx=3, iy=14, ix=14, padding=(1, 1)
    )
    work = whole(WS, layer, on)
    assert work.cycles == 16 + 72 * 196
    assert work.busy == layer.macs  # 64 and 32 channels fill the array


def test_hand_worked_fully_connected_layer_waits_for_weights() -> None:
    on = machine(rows=16, cols=16, ports=16)
    layer = Layer(name="fc", op="linear", kind="mac", k=32, c=32)
    work = whole(WS, layer, on)
    # 4 blocks; each preload takes 16 cycles, each stream 1, and nothing hides a preload.
    assert work.cycles == 4 * 16 + 1
    assert work.stream == 4
    several = [
        whole(WS, layer, machine(rows=16, cols=16, ports=ports)).cycles for ports in (32, 64, 256, 512)
    ]
    assert several == [4 * 8 + 1, 4 * 4 + 1, 4 * 1 + 1, 4 * 1 + 1]


def test_hand_worked_layer_that_is_loaded_faster_in_smaller_blocks() -> None:
    """32 → 32, 16×16 PEs, 31 ports: two rows of 15 columns at once.

    Blocks of 14, 14 and 4 rows, of 15, 15 and 2 columns, take 2 · (7 + 7 + 2) + 3 · 1 cycles; the whole array 4 · 16.
    """
    on = machine(rows=16, cols=16, ports=31)
    layer = Layer(name="fc", op="linear", kind="mac", k=32, c=32)
    assert whole(WS, layer, on).cycles == 2 * (7 + 7 + 2) + 3 * 1 + 1
    for frugal in (replace(on, objective="energy"), replace(on, buffer_bits_per_cycle=1e9)):
        assert whole(WS, layer, frugal).cycles == 4 * 16 + 1


def test_hand_worked_layer_whose_blocks_are_as_many_and_smaller() -> None:
    """20 pixels, 16 → 20 channels: two blocks of 16 and 4 columns, or of 10 through a systolic array: 6 cycles less."""
    systolic = machine(rows=16, cols=16, ports=256, systolic=True)
    layer = Layer(name="a", op="conv2d", kind="mac", k=20, c=16, ox=20, ix=20)
    assert whole(WS, layer, replace(systolic, whole_blocks=True)).cycles == 1 + 2 * 20 + 16 + 16 - 2
    assert whole(WS, layer, systolic).cycles == 1 + 2 * 20 + 16 + 10 - 2
    assert whole(WS, layer, replace(systolic, objective="energy")).cycles == 1 + 2 * 20 + 16 + 10 - 2


def cycles_of(copies: int, pixels: int, rows: Sequence[int], cols: Sequence[int], on: Machine) -> int:
    """Cycles of blocks with so many *rows* and *cols*, the last of both being the smallest, copy after copy."""
    preloads = [
        -(-high // max(on.ports // wide, 1)) * -(-wide // on.ports)
        for high in rows[::-1]
        for wide in cols[::-1]
    ] * copies
    beside = [*preloads[1:], 0]
    return preloads[0] + sum(max(pixels, preload) + on.weight_swap for preload in beside)


def every_size(extent: int, most: int) -> list[list[int]]:
    """An axis cut into blocks of each size up to *most*."""
    sizes = range(1, min(extent, most) + 1)
    return [[size] * (extent // size) + [extent % size] * (extent % size > 0) for size in sizes]


@st.composite
def waiting_tiles(draw: st.DrawFn) -> tuple[Machine, Workload, Tile]:
    """A tile of few pixels on an array whose ports are few."""
    on = machine(
        rows=draw(st.integers(1, 20)),
        cols=draw(st.integers(1, 20)),
        ports=draw(st.integers(1, 45)),
        weight_swap=draw(among(0, 0, 1, 3)),
        systolic=draw(st.booleans()),
        objective=draw(among("latency", "latency", "energy")),
    )
    k, c = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    pixels, g = draw(st.integers(1, 30)), draw(st.integers(1, 12))
    layer = Layer(name="a", op="conv2d", kind="mac", k=k, c=c, g=g, ox=pixels, ix=pixels)
    problem = problem_of(layer, on)
    return on, problem, untiled(problem)


@settings(max_examples=200)
@given(waiting_tiles())
def test_no_other_blocks_are_better(case: tuple[Machine, Workload, Tile]) -> None:
    """By latency none take fewer cycles; by energy none of those that move as few words do."""
    on, problem, tile = case
    _, _, x, g, k, c = (int(size[0]) for size in tile.sizes)
    best = min(
        (
            (len(cols) * c + 2 * len(rows) * k) * (on.objective == "energy"),
            cycles_of(g, x, rows, cols, on) + (rows[0] + cols[0] - 2) * on.systolic,
        )
        for rows in every_size(c, on.rows)
        for cols in every_size(k, on.cols)
    )
    found = WS.tile_cost(problem, tile, on)
    assert found.cycles[0] == best[1]
    if on.objective == "energy":
        words = Words(found)
        moved = words("buffer", "inputs", "read") + 2 * words("buffer", "psums", "write")
        assert moved == best[0] * g * x


@given(waiting_tiles(), st.sampled_from(["rows", "cols", "ports"]), st.sampled_from([1, 2, 5, 20, 236]))
def test_a_larger_array_is_never_slower(case: tuple[Machine, Workload, Tile], axis: str, more: int) -> None:
    on, problem, tile = replace(case[0], objective="latency"), *case[1:]
    larger = replace(on, **{axis: getattr(on, axis) + more})
    assert WS.tile_cost(problem, tile, larger).cycles[0] <= WS.tile_cost(problem, tile, on).cycles[0]


@given(waiting_tiles())
def test_no_tile_is_below_its_bounds(case: tuple[Machine, Workload, Tile]) -> None:
    on, problem, tile = case
    pixel = WS.bounds.pixel_terms(problem, tile.n, tile.y, tile.x, on)
    channel = WS.bounds.channel_terms(problem, tile.g, tile.k, tile.c, on)
    cycles = WS.tile_cost(problem, tile, on).cycles[0]
    for alternative in WS.bounds.cycles(pixel, channel):
        assert sum(float((a * b)[0]) for a, b in alternative) <= cycles * (1 + 1e-9)


@given(waiting_tiles())
def test_smaller_blocks_move_no_less(case: tuple[Machine, Workload, Tile]) -> None:
    on, problem, tile = case
    fastest, least = (
        Words(WS.tile_cost(problem, tile, replace(on, objective=o))) for o in ("latency", "energy")
    )
    for access in fastest.accesses:
        if access != ("inter_pe", "inputs", "access"):  # of a systolic array: what the buffer does not give
            assert fastest(*access) >= least(*access)


@given(layers(), machines(), st.integers(1, 200), st.data())
def test_more_ports_are_never_slower(layer: Layer, on: Machine, more: int, data: st.DataObject) -> None:
    problem = problem_of(layer, on)
    tile = drawn_tile(problem, data)
    plain, with_more = (
        WS.tile_cost(problem, tile, each).cycles[0] for each in (on, replace(on, ports=on.ports + more))
    )
    assert with_more <= plain


@given(layers(), machines(), st.data())
def test_busy_never_exceeds_the_array(layer: Layer, on: Machine, data: st.DataObject) -> None:
    problem = problem_of(layer, on)
    work = WS.tile_cost(problem, drawn_tile(problem, data), on)
    assert 0 < work.busy[0] <= macs_at_most(problem, on, work.stream[0])
    assert work.fill[0] >= 0


@given(layers(), machines(structured=(), objective="energy"))
def test_accesses_of_a_whole_layer(layer: Layer, on: Machine) -> None:
    outputs = layer.n * layer.g * layer.k * layer.oy * layer.ox
    words = Words(whole(WS, layer, on))
    weights = layer.g * layer.k * layer.c * layer.fy * layer.fx
    folds_c, folds_k = -(-layer.c // on.rows), -(-layer.k // on.cols)
    assert words("buffer", "weights", "read") == weights
    assert words("register_file", "weights") == layer.macs + weights
    assert words("inter_pe", "psums") == layer.macs
    # Each output is written once for every tap and fold of the input channels.
    assert words("buffer", "psums", "write") == outputs * layer.fy * layer.fx * folds_c
    pixels = layer.n * layer.oy * layer.ox
    assert words("buffer", "inputs", "read") == pixels * layer.g * layer.c * layer.fy * layer.fx * folds_k


@given(layers(largest=12), machines(structured=("1:2", "2:4")), st.data())
def test_packed_patterns_are_layers_of_fewer_channels(layer: Layer, on: Machine, data: st.DataObject) -> None:
    """N of M channels take as many rows as a layer of so many; inputs and weights are read from the buffer whole."""
    problem = problem_of(layer, on)
    tile = drawn_tile(problem, data)
    c = int(tile.c[0])
    kept, size = map(int, layer.weight_pattern.split(":")) if layer.weight_pattern else (1, 1)
    rows = sum(1 for channel in range(c) if channel % size < kept)
    fewer = problem_of(replace(layer, c=rows, weight_pattern=""), on)
    packed, dense = (
        WS.tile_cost(problem, tile, on),
        WS.tile_cost(fewer, tile._replace(c=np.array([rows])), on),
    )
    assert (packed.stream, packed.fill, packed.busy) == (dense.stream, dense.fill, dense.busy)
    here, there = Words(packed), Words(dense)
    for access in (("register_file", "weights"), ("inter_pe", "psums"), ("buffer", "psums", "write")):
        assert here(*access) == there(*access)
    for operand in ("inputs", "weights"):
        assert here("buffer", operand, "read") * rows == there("buffer", operand, "read") * c
    executed = WS.executed(problem, on)
    assert executed[0] <= layer.macs
    assert packed.busy[0] <= macs_at_most(problem, on, packed.stream[0])


def test_two_of_four_by_hand() -> None:
    """3×3, 64 → 32 channels, 14×14 pixels, 16×16 PEs: 64 channels take 32 rows, two folds where four were."""
    on = machine(rows=16, cols=16, ports=16, structured=("2:4",))
    sizes: dict[str, Any] = {
        "k": 32,
        "c": 64,
        "oy": 14,
        "ox": 14,
        "fy": 3,
        "fx": 3,
        "iy": 14,
        "ix": 14,
        "padding": (1, 1),
    }
    layer = Layer(name="a", op="conv2d", kind="mac", weight_pattern="2:4", **sizes)
    work = whole(WS, layer, on)
    assert work.cycles == 16 + 36 * 196
    assert work.busy == WS.executed(problem_of(layer, on), on) == layer.macs // 2
    assert whole(WS, layer, machine(rows=16, cols=16, ports=16)).cycles == 16 + 72 * 196
    for fits, pattern in ((True, "1:4"), (True, "1:2"), (True, "2:8"), (False, "3:4"), (False, "4:8")):
        other = replace(layer, weight_pattern=pattern)
        assert whole(WS, other, on).cycles == 16 + (36 if fits else 72) * 196
    both = replace(on, structured=("2:4", "1:4"))
    assert whole(WS, replace(layer, weight_pattern="1:4"), both).cycles == 16 + 18 * 196
    depthwise = replace(layer, g=64, c=1, k=1)
    assert whole(WS, depthwise, on).busy == depthwise.macs
