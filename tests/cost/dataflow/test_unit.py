"""Units: worked by hand, beside what is closed in another way, and on whole networks."""

from __future__ import annotations

import dataclasses
import json
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.dataflow import DATAFLOWS, Tile, flows_of
from squeezesim.cost.machine import Machine, Unit
from squeezesim.cost.traffic import AXES
from squeezesim.errors import HardwareError, UsageError
from squeezesim.explore.sweep.design_space import Designs, numeric_column
from squeezesim.explore.sweep.plan import ranking_column
from squeezesim.explore.sweep.sweep import sweep
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.mapping import Mapping
from squeezesim.network.layer import Layer
from squeezesim.network.network import Network
from squeezesim.reference.array_case import Case, closed_form, whole
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.cost.cases import layers, machine, problem_of
from tests.reference.cases import units

CONV = Layer.conv("conv", c=64, k=32, oy=14, ox=14, fy=3, fx=3, padding=1)
POINTWISE = Layer.conv("pointwise", c=16, k=10, oy=2, ox=6, fy=1, fx=1)
SMALL = {
    "name": "small",
    "clock_mhz": 300,
    "array": {
        "units": {
            "conv": {"unroll": {"c": 16, "k": 16, "x": 8}, "output_words": 16},
            "depthwise": {"unroll": {"g": 16, "x": 4}, "runs": ["depthwise"]},
        }
    },
    "precision": {"weight_bits": 8, "activation_bits": 8},
    "memory": {"global_buffer": {"size_kib": 1024}, "dram": {"bandwidth_gb_s": 9.6}},
}


def costs(layer: Layer, **unit: Any) -> dict[str, int]:
    """What the whole layer costs on a unit as one tile."""
    unroll = tuple(unit.pop("unroll").items())
    on = machine(dataflows=(), units=(Unit("unit", unroll, **unit),))
    return closed_form(Case(layer, whole(layer, on), on, "unit", resumed=False, seed=0))


def test_outputs_stay() -> None:
    # Blocks of 16 channels and 8 pixels of a row: 2 · 14 · 2, each of 4 · 9 steps; the last 96 outputs leave in 6.
    found = costs(CONV, unroll={"c": 16, "k": 16, "x": 8}, output_words=16)
    assert found["cycles"] == 56 * 36 + 6 == 2022
    assert found["stream"] == 2016
    assert found["busy"] == CONV.macs
    assert found["buffer_weights"] == 64 * 32 * 9 * 28  # for each row and each half of it
    assert found["buffer_inputs"] == 196 * 64 * 9 * 2  # for both halves of the output channels
    assert found["buffer_psums_written"] == 196 * 32
    assert found["register_psums"] == 2 * 196 * 32 * 36
    assert found["inter_pe_psums"] == CONV.macs - 196 * 32 * 36


def test_outputs_that_leave_slowly_are_waited_for() -> None:
    # A word a cycle: 128 outputs take longer than 36 steps, 96 too; all but the last beside the next block.
    found = costs(CONV, unroll={"c": 16, "k": 16, "x": 8}, output_words=1)
    assert found["cycles"] == 36 + 28 * 128 + 28 * 96


def test_weights_stay() -> None:
    # Blocks of 16×16 weights: 2 · 4 · 9, each for 196 pixels; 256 words arrive in 16 cycles, the first alone.
    found = costs(CONV, unroll={"c": 16, "k": 16}, stationary="weights", ports=16)
    assert found["cycles"] == 16 + 72 * 196
    assert found["buffer_weights"] == 64 * 32 * 9
    assert found["buffer_inputs"] == 196 * 64 * 9 * 2
    assert found["buffer_psums_written"] == 196 * 32 * 36
    assert found["register_weights"] == CONV.macs + 64 * 32 * 9


def test_inputs_stay() -> None:
    # Rows of 3 + 3 pixels, 8 of 16 channels: 2 · 2 · 2 blocks for 10 output channels each; 24 words arrive in 3 cycles.
    found = costs(POINTWISE, unroll={"c": 8, "x": 4}, stationary="inputs", ports=8)
    assert found["cycles"] == 3 + 8 * 10
    assert found["buffer_inputs"] == 12 * 16
    assert found["buffer_weights"] == 16 * 10 * 4
    assert found["buffer_psums_written"] == 12 * 10 * 2


def test_whole_blocks_use_all_of_a_unit() -> None:
    # Rows of 4 + 2 pixels: 32 words arrive in 4 cycles.
    unit = Unit("unit", (("c", 8), ("x", 4)), "inputs", ports=8)
    for whole_blocks, first in ((True, 4), (False, 3)):
        on = machine(dataflows=(), units=(unit,), whole_blocks=whole_blocks)
        found = closed_form(Case(POINTWISE, whole(POINTWISE, on), on, "unit", resumed=False, seed=0))
        assert found["cycles"] == first + 8 * 10


def test_blocks_are_those_of_the_fewest_cycles() -> None:
    # 9 columns of 8 channels leave 8 at once, in steps of a cycle: a block of 9 takes 2 cycles, 8 + 1 one each.
    layer = Layer.conv("a", c=1, k=8, oy=1, ox=9, fy=1, fx=1)
    found = costs(layer, unroll={"x": 9}, output_words=8)
    assert found["cycles"] == 1 + 8 * 2
    wide = Layer.conv("a", c=2, k=8, oy=1, ox=36, fy=1, fx=1)
    # Whole: 32 blocks of 2 steps, of 9 outputs in 2 cycles. With 3 words a cycle 9 take 3, as do 8: four blocks a row.
    assert costs(wide, unroll={"x": 9}, output_words=8)["cycles"] == 32 * 2 + 2
    assert costs(wide, unroll={"x": 9}, output_words=3)["cycles"] == 2 + 31 * 3 + 3
    # Where a block waits for 12 outputs, 6 + 6 beside each other leave sooner than 11 + 1 do.
    tall = Layer.conv("a", c=6, k=12, oy=3, ox=1, fy=1, fx=1)
    several = {
        size: costs(tall, unroll={"k": size, "y": 2}, output_words=2)["cycles"] for size in (6, 11, 12)
    }
    assert several == {6: 6 + 3 * 6 + 3, 11: 6 + 3 * 6 + 3, 12: 6 + 12 + 6}


def check_blocks(layer: Layer, unit: Unit, rate: float, priced: bool) -> None:
    """All sizes of blocks of the loops of a unit, each on a unit of that size that has no choice.

    Where words matter, those of as many parts of each loop.
    """
    on = machine(
        dataflows=(),
        units=(unit,),
        buffer_bits_per_cycle=rate,
        objective="energy" if priced else "latency",
    )
    tile = whole(layer, on)
    found = closed_form(Case(layer, tile, on, "unit", resumed=False, seed=0))
    work = problem_of(layer, on)
    extents = {loop: int(getattr(work, loop)[0]) for loop in (*"ngkcyx", "fy", "fx")}
    extents |= {"t": extents["fy"] * extents["fx"], "p": extents["n"] * extents["y"] * extents["x"]}
    every, as_many = [], []
    for sizes in product(*(range(1, size + 1) for _, size in unit.unroll)):
        smaller = unit._replace(
            unroll=tuple((loop, size) for (loop, _), size in zip(unit.unroll, sizes, strict=True))
        )
        fixed = dataclasses.replace(on, units=(smaller,), whole_blocks=True)
        if fixed.flattens == on.flattens:
            every.append(closed_form(Case(layer, tile, fixed, "unit", resumed=False, seed=0)))
            if all(
                -(-extents[loop] // size) == -(-extents[loop] // unit.by(loop))
                for loop, size in smaller.unroll
            ):
                as_many.append(every[-1])
    full = every[-1]
    moved = {name for name in full if name.startswith(("buffer", "inter", "register"))}
    if on.moves_least:
        assert all(found[name] == full[name] for name in moved)
    assert found["cycles"] == min(each["cycles"] for each in (as_many if on.moves_least else every))


@settings(max_examples=200)
@given(layers(largest=12), units(), st.sampled_from([float("inf"), 16.0]), st.booleans())
def test_no_blocks_that_fit_are_faster(layer: Layer, unit: Unit, rate: float, priced: bool) -> None:
    check_blocks(layer, unit, rate, priced)


@pytest.mark.slow
@settings(max_examples=2000)
@given(layers(largest=12), units(), st.sampled_from([float("inf"), 16.0]), st.booleans())
def test_no_blocks_that_fit_are_faster_on_2000_tiles(
    layer: Layer, unit: Unit, rate: float, priced: bool
) -> None:
    check_blocks(layer, unit, rate, priced)


def test_sums_that_stay_in_the_array_leave_it_once() -> None:
    unit = Unit("unit", (("c", 16), ("k", 16)), "weights", ports=16)
    on = machine(dataflows=(), units=(unit,), psums_stay=True)
    found = closed_form(Case(CONV, whole(CONV, on), on, "unit", resumed=False, seed=0))
    assert found["buffer_psums_written"] == 196 * 32
    assert found["buffer_psums_read"] == 0
    assert found["register_psums"] == 2 * 196 * 32 * 36  # read and written for each of 4 · 9 blocks


def test_a_step_of_several_cycles() -> None:
    # 32 output pixels × 8 channels in 4 cycles, all 9 taps in 3 steps of 4 of them.
    layer = Layer.conv("d", c=8, k=8, groups=8, oy=4, ox=4, fy=3, fx=3, padding=1)
    found = costs(layer, unroll={"g": 8, "y": 2, "x": 2, "t": 4}, interval=4)
    assert found["cycles"] == 2 * 2 * 3 * 4
    assert found["busy"] == layer.macs


@given(layers(largest=12), st.integers(1, 6), st.integers(1, 6))
def test_weights_of_rows_and_columns_are_those_of_ws(layer: Layer, rows: int, cols: int) -> None:
    """As long as no preload is waited for, and the first one aside, whose block is the smallest in `ws`."""
    unit = Unit("unit", (("c", rows), ("k", cols)), "weights", ports=cols)
    shared = machine(rows=rows, cols=cols, ports=cols)
    on = machine(dataflows=(), units=(unit,))
    tile = whole(layer, on)
    sizes = Tile(*(np.array([size]) for size in tile))
    streams = [
        int(flow.tile_cost(problem_of(layer, each), sizes, each).stream[0])
        for flow, each in ((DATAFLOWS["ws"], shared), (flows_of(on)["unit"], on))
    ]
    assert streams[0] == streams[1]


def test_only_pixels_that_a_unit_flattens_stand_in_one() -> None:
    flat, rows = Unit("flat", (("p", 8), ("k", 4))), Unit("rows", (("x", 8), ("k", 4)))
    for several, pointwise, cycles in (((flat,), True, 2), ((rows,), False, 2), ((flat, rows), False, 2)):
        on = machine(dataflows=(), units=several, setup=0, dram_latency=0)
        work = problem_of(POINTWISE, on)
        assert bool(work.pointwise[0]) is pointwise
        sizes = Tile(*(getattr(work, axis) for axis in AXES))
        blocks = flows_of(on)[several[0].name].tile_cost(work, sizes, on).stream[0] / (16 * 3)
        assert blocks == cycles


def test_each_layer_runs_on_the_best_unit_that_can() -> None:
    found = simulate(load("mobilenet_v1"), Accelerator.from_dict(SMALL))
    rows = [row for row in found.rows() if row["dataflow"]]
    depthwise = [row["unit"] for row in rows if row["name"].endswith(".depthwise")]
    others = [row["unit"] for row in rows if not row["name"].endswith(".depthwise")]
    assert {*depthwise} == {"depthwise"}
    assert {*others} == {"conv"}
    assert found.totals["cycles"] * 2048 == sum(
        row["executed_macs"] + sum(value for key, value in row.items() if key.startswith("lost_"))
        for row in found.rows()
    )


def test_units_and_dataflows_stand_in_one_file() -> None:
    both = Accelerator.from_dict(SMALL).replace(
        {"array.rows": 16, "array.cols": 16, "array.dataflows": ["os"]}
    )
    assert both.array.flows == ("os", "conv", "depthwise")
    assert both.array.pes == 2048
    alone = simulate(load("mobilenet_v1"), Accelerator.from_dict(SMALL))
    together = simulate(load("mobilenet_v1"), both)
    assert together.totals["cycles"] <= alone.totals["cycles"]
    assert {row["dataflow"] for row in together.rows()} - {"", "conv", "depthwise", "os"} == set()


def test_what_no_unit_runs_is_one_line() -> None:
    changes = {"array.units": {"depthwise": SMALL["array"]["units"]["depthwise"]}}  # type: ignore[index]
    with pytest.raises(HardwareError) as error:
        simulate(load("mobilenet_v1"), Accelerator.from_dict(SMALL).replace(changes))
    assert str(error.value) == (
        "small: layer 'stem.conv': unit depthwise runs no conv; allowed: one whose array.units.NAME.runs has it"
    )


def test_results_on_units_are_saved_mapped_and_read_back(tmp_path: Any) -> None:
    accelerator = Accelerator.from_dict(SMALL)
    found = simulate(load("squeezenext_23"), accelerator)
    found.save(tmp_path / "a.json")
    found.save(tmp_path / "a.mapping.json")
    found.save(tmp_path / "a.trace.json")  # each layer's tiles end with its cycles
    names = [event["name"] for event in json.loads((tmp_path / "a.trace.json").read_text())["traceEvents"]]
    assert names.count("inputs") > len(found.network.layers)  # of tiles on units, too
    again = Report.load(tmp_path / "a.json")
    assert again.costs.equals(found.costs)
    assert again.accelerator == accelerator
    given_again = simulate(
        load("squeezenext_23"), accelerator, mapping=Mapping.load(tmp_path / "a.mapping.json")
    )
    assert given_again.totals == found.totals
    assert Accelerator.from_yaml(_written(tmp_path, accelerator)) == accelerator


def _written(folder: Any, accelerator: Accelerator) -> Any:
    path = folder / "a.yaml"
    path.write_text(accelerator.to_yaml(), encoding="utf-8")
    return path


def test_more_places_along_a_loop_make_no_step_more() -> None:
    layer = dataclasses.replace(CONV, name="a")
    before = None
    for places in (4, 8, 16, 32):
        on = Machine.of(Accelerator.from_dict(SMALL).replace({"array.units.conv.unroll.k": places}))
        cycles = int(flows_of(on)["conv"].tile_cost(problem_of(layer, on), _tile(layer, on), on).stream[0])
        assert before is None or cycles <= before
        before = cycles


def _tile(layer: Layer, on: Machine) -> Tile:
    work = problem_of(layer, on)
    return Tile(*(getattr(work, axis) for axis in AXES))


def test_sweeps_rank_by_the_pes_of_units() -> None:
    base = Accelerator.from_dict(SMALL)
    values = {"array.units.conv.unroll.k": [8, 16, 32], "array.units.depthwise.unroll.x": [4, 64]}
    designs = Designs(base, {path: tuple(column) for path, column in _crossed(values).items()})
    found = numeric_column("array.pes", base, designs.columns, len(designs))
    assert found.tolist() == [1024, 1024, 2048, 2048, 4096, 4096]
    rows = {path: pa.array(column) for path, column in designs.columns.items()}
    assert ranking_column(pa.table(rows), base, "array.pes").tolist() == found.tolist()
    # Loops that the file does not unroll, and steps of several cycles.
    further = Designs(base, {"array.units.conv.unroll.y": (1, 3, 1), "array.units.conv.interval": (1, 2, 2)})
    assert further.where(["array.pes > 1024"]).columns["array.units.conv.unroll.y"] == (1, 3)
    assert numeric_column("array.pes", base, further.columns, 3).tolist() == [2048, 3072, 1024]


def test_conditions_know_the_numbers_of_units_and_of_parts_of_the_buffer() -> None:
    parts = {"all": {"size_kib": 64, "holds": ["inputs", "weights", "outputs"]}}
    data = SMALL | {"memory": SMALL["memory"] | {"global_buffer": {"parts": parts}}}
    base, path = Accelerator.from_dict(data), "array.units.conv.unroll.k"
    designs = Designs(base, {path: (8, 16, 32)})
    for condition, kept in (
        (f"{path} >= 16", (16, 32)),
        ("array.units.depthwise.unroll.x < 5", (8, 16, 32)),
        ("array.units.conv.interval == 1 and array.pes <= 1024", (8,)),
        ("memory.global_buffer.parts.all.size_kib == 64", (8, 16, 32)),
    ):
        assert designs.where([condition]).columns[path] == kept
    with pytest.raises(UsageError, match=r"did you mean 'array\.units\.conv\.unroll\.k'"):
        designs.where(["array.units.conv.unrol.k > 1"])
    frame = sweep(Network("one", (CONV,)), base, {path: "8,16,32"}, where=[f"{path} > 8 and cycles > 0"])
    assert frame[path].tolist() == [16, 32]


def _crossed(values: dict[str, list[int]]) -> dict[str, list[int]]:
    return dict(zip(values, map(list, zip(*product(*values.values()), strict=True)), strict=True))


def test_constraints_name_units() -> None:
    wanted = {"mapper.constraints": [{"op": "depthwise", "dataflow": "conv"}]}
    found = simulate(load("mobilenet_v1"), Accelerator.from_dict(SMALL).replace(wanted))
    assert {row["unit"] for row in found.rows()} == {"", "conv"}
