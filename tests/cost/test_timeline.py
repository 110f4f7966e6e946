from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.costs import Axes
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import Machine, Store
from squeezesim.cost.pipeline import Points, play
from squeezesim.cost.rates import Rates
from squeezesim.cost.timeline import Timeline, _of_lanes, of_tiling, tile_count, timeline
from squeezesim.cost.traffic import AXES, MODES
from squeezesim.cost.vector import Streams, vector_costs
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network.layer import Layer
from squeezesim.simulate import simulate
from tests.cost.cases import layers, machine, machines, machines_with_lanes, problem_of
from tests.draws import among
from tests.report import cases


@st.composite
def tilings(draw: st.DrawFn) -> tuple[Points, str, Machine]:
    """A small layer in tiles of any size, on any small machine."""
    on = draw(machines_with_lanes())
    problem = problem_of(draw(layers(largest=6)), on)
    extents = {axis: int(getattr(problem, axis)[0]) for axis in AXES}
    sizes = {axis: draw(st.integers(1, extent)) for axis, extent in extents.items()}
    if sizes["n"] > 1:
        sizes |= {axis: extents[axis] for axis in "yx"}
    if sizes["g"] > 1:
        sizes |= {axis: extents[axis] for axis in "kc"}
    mode = np.array([draw(st.integers(0, len(MODES) - 1))])
    points = Points(problem, mode, np.array([[sizes[axis]] for axis in AXES]))
    return points, draw(among("ws", "os")), on


def moves(line: Timeline, store: str = "") -> list[tuple[int, int]]:
    """When the ports of all memories are busy, or that of *store*, in order."""
    return sorted(
        pair
        for part in line.transfers
        if store in ("", part.store)
        for pair in zip(part.start.tolist(), part.end.tolist(), strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(tilings())
def test_it_ends_with_the_layer_s_cycles(case: tuple[Points, str, Machine]) -> None:
    points, flow, on = case
    line, timing = of_tiling(points, DATAFLOWS[flow], on), play(points, DATAFLOWS[flow], on)
    assert line.cycles == timing.cycles[0]
    assert line.setup == timing.setup[0]
    spent = line.compute.end - line.compute.start
    assert spent.sum() == timing.stream[0] + timing.fill[0] + timing.buffer[0]


@settings(max_examples=60, deadline=None)
@given(tilings())
def test_tiles_are_loaded_then_computed_then_stored_each_by_one_port(
    case: tuple[Points, str, Machine],
) -> None:
    points, flow, on = case
    line = of_tiling(points, DATAFLOWS[flow], on)
    assert moves(line)[0][0] == on.setup
    assert max(end for _, end in moves(line)) == line.cycles
    for store in on.memory_names:
        assert all(end <= start for (_, end), (start, _) in pairwise(moves(line, store)))
    assert (line.compute.end[:-1] <= line.compute.start[1:]).all()
    for part in line.transfers:
        if part.load:
            assert (part.end <= line.compute.start[part.tile]).all()
        else:
            assert (part.start >= line.compute.end[part.tile]).all()


def test_hand_worked_layer() -> None:
    """The table of docs/timing.md."""
    on = machine()
    layer = Layer(name="a", op="conv2d", kind="mac", k=8, c=8, oy=1, ox=8, iy=1, ix=8)
    sizes = {"n": 1, "y": 1, "x": 4, "g": 1, "k": 8, "c": 8}
    points = Points(problem_of(layer, on), np.array([0]), np.array([[sizes[axis]] for axis in AXES]))
    line = of_tiling(points, DATAFLOWS["ws"], on)
    assert line.cycles == 136
    assert line.compute.start.tolist() == [73, 93]
    assert line.compute.end.tolist() == [93, 113]
    assert moves(line) == [(11, 34), (34, 73), (73, 89), (93, 109), (113, 136)]
    assert [(part.operand, part.load, part.bits.tolist()) for part in line.transfers if part.bits.any()] == [
        ("inputs", True, [512]),
        ("weights", True, [1024]),
        ("outputs", False, [512]),
        ("inputs", True, [512]),
        ("outputs", False, [512]),
    ]


@pytest.mark.parametrize("name", ["squeezelerator_8x8", "os_32x32", "eyeriss"])
def test_every_layer_of_a_network(name: str) -> None:
    report = simulate(load("squeezenext_23"), Accelerator.named(name))
    on = Machine.of(report.accelerator)
    for index, layer in enumerate(report.network.layers):
        line = timeline(layer, report.costs, index, on)
        assert line.cycles == report.costs.cycles[0, index]
        if layer.kind == "mac":
            assert len(line.compute.tile) == tile_count(layer, report.costs, index, on)
            moved = sum(-(-int(part.bits.sum()) // 8) for part in line.transfers)
            assert moved == pytest.approx(report.costs.dram_bytes[0, index].sum(), abs=4)


def test_layers_without_macs() -> None:
    report = cases.report()
    on = Machine.of(report.accelerator)
    lines = [timeline(layer, report.costs, i, on) for i, layer in enumerate(report.network.layers)]
    assert [line.cycles for line in lines] == report.costs.cycles[0].tolist()
    pool = next(i for i, layer in enumerate(report.network.layers) if layer.name == "head.pool")
    assert moves(lines[pool])[-1][1] == lines[pool].cycles
    assert tile_count(report.network.layers[pool], report.costs, pool, on) == 1


@settings(max_examples=60, deadline=None)
@given(machines(vector_lanes=4), st.integers(0, 40), st.integers(1, 99), st.data())
def test_a_layer_of_the_lanes_ends_with_its_cycles(
    on: Machine, parameters: int, elements: int, data: st.DataObject
) -> None:
    layer = Layer(
        name="pool",
        op="pool",
        kind="vector",
        input_elements=elements,
        weight_elements=parameters,
        output_elements=elements,
        params=parameters,
        vector_ops=elements,
    )
    loaded = data.draw(st.just(elements) | st.integers(0, elements), label="loaded")
    streams = Streams(loaded, data.draw(st.booleans(), label="stored"))
    made = vector_costs([layer], on.family(priced=False), Rates.of([on]), Axes.of([on]), [streams])
    line = _of_lanes(layer, on, streams)
    assert line.cycles == made["cycles"][0, 0]
    assert (on.pes * made["cycles"] == made["losses"].sum(axis=-1)).all()
    for store in on.memory_names:
        assert all(end <= start for (_, end), (start, _) in pairwise(moves(line, store)))


def test_a_layer_without_parameters_waits_for_no_memory_of_weights() -> None:
    plain = machine(vector_lanes=4)
    flash = replace(plain, stores=(Store("flash", ("weights",), bytes_per_cycle=1.0, latency=500),))
    pool = Layer(name="a", op="pool", kind="vector", input_elements=8, output_elements=8, vector_ops=8)
    every = Streams(8, stored=True)
    assert _of_lanes(pool, flash, every).cycles == _of_lanes(pool, plain, every).cycles
    norm = replace(pool, weight_elements=4, params=4)
    apart = _of_lanes(norm, flash, every).cycles - _of_lanes(norm, plain, every).cycles
    assert apart == 500 - plain.dram_latency - 2
