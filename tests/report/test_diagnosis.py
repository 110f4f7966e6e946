from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim import prune, quantize
from squeezesim.cost.costs import CAUSES
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import workload_of
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.dataflows import Declaration, SpatialMap
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.report import units
from squeezesim.report.diagnosis import Axis, Finding, axes
from squeezesim.report.report import Report
from squeezesim.report.stays import least_dram_bytes
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, few, network, report, reports

Laid = tuple[str, int, int, str, int]
"""Noun, items, width, what of it, passes of an axis."""


def laid(finding: Finding) -> list[Laid]:
    """What lies along the axes that are not full."""
    return [
        (axis.noun, axis.items, axis.width, axis.what, axis.passes)
        for axis in finding.axes
        if axis.filled < 1
    ]


def why(layer: Layer, **changes: Any) -> tuple[Finding, dict[str, Any]]:
    """What is found of the one layer of a network, on an array that waits for nothing, and its row."""
    quick = {
        "memory.dram.bandwidth_gb_s": 10_000,
        "memory.dram.latency_ns": 0,
        "control.layer_setup_cycles": 0,
    }
    named = {key.replace("__", "."): value for key, value in changes.items()}
    made = simulate(Network.from_layers([layer]), accelerator(quick | named))
    (finding,) = made.bottlenecks()
    (row,) = made.rows()
    assert finding.lost == row[f"lost_{finding.cause}"] / (made.machine.pes * row["cycles"])
    assert finding.bound == row["bound"]
    return finding, row


@few
@given(reports())
def test_the_worst_layers_come_first_with_their_largest_loss(made: Report) -> None:
    found = made.bottlenecks(4)
    lost = {layer.name: losses for layer, losses in zip(made.network.layers, made.tally.losses, strict=True)}
    alike: dict[Layer, int] = {}
    for layer in made.network.layers:
        shape = replace(layer, name="a", module="", stage="", inputs=(), carried=(), shared=())
        alike[shape] = alike.get(shape, 0) + int(lost[layer.name].sum())
    sums = [sum(int(lost[name].sum()) for name in finding.layers) for finding in found]
    assert sums == sorted(filter(None, alike.values()), reverse=True)[:4]
    assert all(finding.layer == finding.layers[0] for finding in found)
    rows = {row["name"]: row for row in made.rows()}
    for finding in found:
        loss = lost[finding.layer][list(CAUSES).index(finding.cause)]
        if rows[finding.layer]["macs"]:
            assert loss == lost[finding.layer].max()
        else:
            assert rows[finding.layer]["bound"] in (finding.cause, {"setup": "startup"}.get(finding.cause))
        assert finding.lost == loss / (made.machine.pes * rows[finding.layer]["cycles"])
        assert finding.share == pytest.approx(sum(rows[name]["share"] for name in finding.layers))
        assert finding.bound == rows[finding.layer]["bound"]
        place = [row["name"] for row in rows.values()].index(finding.layer)
        times = dict(zip(made.costs.bounds, made.tally.time[place].tolist(), strict=True))
        assert finding.bound_share == max(times.values()) / rows[finding.layer]["cycles"]
        assert times[finding.bound] == max(times.values())
        assert bool(finding.axes) == (rows[finding.layer]["macs"] > 0)
        assert 0 < finding.lost <= 1
        assert 0 < finding.share <= 1
        assert "\n" not in finding.text
        assert str(finding) == finding.text


def test_row_stationary_edge_names_filter_rows() -> None:
    layer = Layer.conv("a", c=12, k=24, oy=9, ox=30, fy=3, fx=3)
    found, _ = why(layer, array__dataflows=["rs"], array__rows=5, array__cols=14)
    assert found.cause == "edge"
    assert ("filter row{s}", 3, 5, "rows", 1) in laid(found)


@pytest.mark.parametrize(
    ("dataflow", "rows", "columns"),
    [
        ("scalesim_os", ("output pixel{s}", 25, 2), ("output channel{s}", 8, 1)),
        ("scalesim_ws", ("weight{s} of a filter", 18, 2), ("output channel{s}", 8, 1)),
        ("scalesim_is", ("weight{s} of a filter", 18, 2), ("output pixel{s}", 25, 2)),
    ],
)
def test_scalesim_edge_names_the_dimensions_of_the_product(
    dataflow: str, rows: tuple[str, int, int], columns: tuple[str, int, int]
) -> None:
    layer = Layer.conv("a", c=2, k=8, oy=5, ox=5, fy=3, fx=3)
    found, row = why(layer, array__dataflows=[dataflow], array__rows=16, array__cols=16)
    assert row["lost_edge"] > 0
    assert [(*part[:2], part[4]) for part in laid(found)] == [rows, columns]
    assert [part[2:4] for part in laid(found)] == [(16, "rows"), (16, "columns")]


def test_a_sentence_begins_with_share_and_utilization() -> None:
    made = report()
    rows = {row["name"]: row for row in made.rows()}
    worst = next(finding for finding in made.bottlenecks(8) if rows[finding.layer]["macs"])
    row = rows[worst.layer]
    assert worst.text.startswith(
        f"{row['name']} takes {100 * row['share']:.1f} % of the time at {100 * row['utilization']:.1f} % utilization: "
    )


def test_channels_that_do_not_fill_rows_and_columns() -> None:
    found, row = why(Layer.conv("a", c=3, k=8, oy=40, ox=40, fy=3, fx=3), array__dataflows=["ws"])
    assert found.cause == "edge"
    assert laid(found) == [("input channel{s}", 3, 8, "rows", 1)]
    # While the array computes, 5 of 8 rows are idle.
    assert row["lost_edge"] == row["macs"] * 5 / 3

    found, row = why(
        Layer.conv("a", c=16, k=16, groups=16, oy=40, ox=40, fy=3, fx=3),
        array__dataflows=["ws"],
        array__cols=4,
    )
    assert found.cause == "edge"
    assert laid(found) == [
        ("input channel{s} of a group", 1, 8, "rows", 1),
        ("output channel{s} of a group", 1, 4, "columns", 1),
    ]
    assert row["lost_edge"] == row["macs"] * 31


def test_channels_that_fill_the_last_pass_only_in_part() -> None:
    layer = Layer.matmul("a", m=64, n=8, k=9)
    found, row = why(layer, array__dataflows=["ws"], memory__global_buffer__size_kib=1024)
    assert found.cause == "edge"
    assert laid(found) == [("input channel{s}", 9, 8, "rows", 2)]
    assert row["lost_edge"] == row["macs"] * 7 / 9


def test_pixels_that_do_not_fill_the_array() -> None:
    found, row = why(Layer.conv("a", c=64, k=64, oy=8, ox=2, fy=3, fx=3), array__dataflows=["os"])
    assert found.cause == "edge"
    assert laid(found) == [("output column{s}", 2, 8, "columns", 1)]
    assert row["lost_edge"] == row["macs"] * 3

    found, row = why(Layer.matmul("a", m=1, n=64, k=64), array__dataflows=["os"])
    assert found.cause == "edge"
    assert laid(found) == [("output pixel{s}", 1, 64, "PEs", 1)]
    assert row["lost_edge"] == row["macs"] * 63


def test_rows_that_are_padded_in_memory() -> None:
    layer = Layer.conv("a", c=8, k=8, oy=5, ox=5, fy=3, fx=3)
    found, row = why(layer, array__dataflows=["ws"], memory__row_words=8)
    assert (found.cause, laid(found)) == ("edge", [])
    # 15 of 40 pixels are padding.
    assert row["lost_edge"] == row["macs"] * 15 / 25
    assert " 5 pixels are padded to 8," in found.text


def test_waiting_for_dram() -> None:
    slow = accelerator({"memory.dram.bandwidth_gb_s": 0.1, "memory.dram.latency_ns": 0})
    made = simulate(Network.from_layers([Layer.matmul("fc", m=1, n=512, k=256)]), slow)
    (finding,) = made.bottlenecks()
    row = made.rows()[0]
    assert finding.cause == "dram"
    # 262,144 bytes of weights, 512 of inputs and 1,024 of outputs, at 0.1 GB/s / 500 MHz.
    assert (row["dram_weights_bytes"], row["dram_inputs_bytes"], row["dram_outputs_bytes"]) == (
        262144,
        512,
        1024,
    )
    assert finding.lost == row["lost_dram"] / (64 * row["cycles"])
    assert finding.bound == "dram"
    assert "257.5 KiB (99.4 % weights)" in finding.text


def test_waiting_for_the_buffer() -> None:
    found, row = why(
        Layer.matmul("a", m=64, n=8, k=8), array__dataflows=["ws"], memory__global_buffer__bytes_per_cycle=1
    )
    assert (found.cause, found.bound) == ("buffer", "buffer")
    # Inputs, weights and outputs once, a byte a cycle.
    assert row["cycles"] == pytest.approx((64 * 8 + 8 * 8 + 64 * 8) * 2, rel=0.01)


def test_set_up() -> None:
    made = simulate(
        Network.from_layers([Layer.matmul("a", m=8, n=8, k=8)]),
        accelerator({"control.layer_setup_cycles": 10_000}),
    )
    (finding,) = made.bottlenecks()
    assert (finding.cause, finding.bound) == ("setup", "startup")
    assert finding.lost == 10_000 / made.rows()[0]["cycles"]


def test_first_load_and_last_store() -> None:
    found, row = why(Layer.matmul("a", m=8, n=8, k=8), memory__dram__latency_ns=10_000)
    assert (found.cause, found.bound) == ("startup", "startup")
    # 10 µs at 500 MHz, twice.
    assert row["cycles"] * found.lost >= 2 * 5000
    assert found.lost > 0.99


def test_filling_the_array() -> None:
    found, row = why(Layer.matmul("a", m=1, n=64, k=64), array__dataflows=["ws"], array__ports=1)
    assert (found.cause, found.bound) == ("fill", "compute")
    # One weight a cycle; a pixel passes in one cycle more for each 64 of them.
    assert row["lost_fill"] >= 64 * (64 * 64 - 64)


def test_blocks_of_a_unit_that_wait() -> None:
    layer = Layer.conv("a", c=4, k=16, oy=16, ox=16, fy=1, fx=1)
    unit = {"unroll": {"c": 4, "k": 8}, "stationary": "weights", "ports": 4, "output_words": 1}
    on = {"array.units": {"conv": unit}, "array.dataflows": []}
    has = "unit conv has 4 ports a cycle and 1 output word a cycle"
    # 16 · 256 outputs leave one by one: those of 8 channels wait, or each channel is a block, 4 of 32 PEs.
    waiting, row = why(layer, **on, mapper__blocks="whole")
    assert f"cycles: {has}" in str(waiting)
    smaller, less = why(layer, **on)
    assert f"{has}, and its blocks are smaller than it, leaving 87.3 % of its PE-cycles idle" in str(smaller)
    assert less["cycles"] < row["cycles"]


def test_zero_weights_that_are_not_skipped() -> None:
    made = simulate(
        Network.from_layers([Layer.matmul("a", m=64, n=64, k=64)]),
        accelerator(
            {
                "array.dataflows": ["os"],
                "sparsity.weights": 0.9,
                "sparsity.skipped_by": ["os"],
                "memory.dram.bandwidth_gb_s": 10_000,
            }
        ),
    )
    (finding,) = made.bottlenecks()
    row = made.rows()[0]
    # Of 4,096 weights 410 are not zero; the 3,686 others take a cycle each all the same, since filters are 1×1.
    assert (finding.cause, row["lost_zeros"]) == ("zeros", 64 * 3686)
    assert finding.lost == 3686 / row["cycles"]


def test_what_dram_hides_is_said_beside_dram() -> None:
    """The array fills slowly, and DRAM is slower still."""
    found, _ = why(
        Layer.matmul("a", m=1, n=512, k=512),
        array__dataflows=["ws"],
        array__ports=1,
        memory__dram__bandwidth_gb_s=0.75,
    )
    assert (found.cause, found.bound) == ("fill", "dram")
    assert found.bound_share > 0.9
    assert found.text.endswith(f"{100 * found.bound_share:.1f} % of its cycles is DRAM")


def pool(changes: dict[str, Any]) -> tuple[Finding, dict[str, Any]]:
    """What is found of a pooling, and its row."""
    layers = [
        Layer.matmul("a", m=1, n=1, k=1),
        Layer.vector("pool", op="max_pool", k=8, oy=16, ox=16, fy=3, fx=3),
    ]
    made = simulate(Network.from_layers(layers), accelerator(changes))
    finding = next(finding for finding in made.bottlenecks() if finding.layer == "pool")
    row = made.rows()[1]
    assert (finding.axes, finding.bound) == ((), row["bound"])
    assert finding.lost == row[f"lost_{finding.cause}"] / (64 * row["cycles"])
    return finding, row


def test_vector_work() -> None:
    found, row = pool({"vector.lanes": 1})
    assert (found.cause, found.bound) == ("vector", "vector")
    assert found.lost == pytest.approx(18432 / row["cycles"])


def test_vector_work_that_is_quicker_than_its_transfers() -> None:
    """2,304 cycles of work are most of what is counted as lost, but 18·18·8 + 16·16·8 words take longer."""
    found, row = pool({"memory.dram.bandwidth_gb_s": 2, "memory.dram.latency_ns": 0})
    moved = row["dram_bytes"]
    cycles = moved / 4  # 2 GB/s at 500 MHz
    assert row["lost_vector"] > row["lost_dram"]
    assert (found.cause, found.bound) == ("dram", "dram")
    assert found.bound_share == pytest.approx(cycles / row["cycles"])
    assert row["lost_vector"] == 2304 * 64
    for share in (row["dram_inputs_bytes"] / moved, cycles / row["cycles"], 2304 / row["cycles"]):
        assert f"{100 * share:.1f} %" in found.text


@pytest.mark.parametrize(
    ("changes", "cause"),
    [({"control.layer_setup_cycles": 90_000}, "setup"), ({"memory.dram.latency_ns": 90_000}, "startup")],
)
def test_vector_work_that_is_quicker_than_its_start(changes: dict[str, Any], cause: str) -> None:
    found, row = pool(changes)
    assert (found.cause, found.bound) == (cause, "startup")
    # 90 µs at 500 MHz, twice, or 90,000 cycles once.
    assert row[f"lost_{cause}"] // 64 >= 90_000


@pytest.mark.parametrize("n", [0, -1])
def test_none_are_found_where_none_are_wanted(n: int) -> None:
    assert report().bottlenecks(n) == []


def test_layers_that_take_no_time_are_not_found() -> None:
    names = [finding.layer for finding in report().bottlenecks(100)]
    assert "stage1.concat" not in names
    assert len(names) == np.count_nonzero(report().tally.cycles)


ZEROS = "zero weights are loaded from DRAM like others; weights_bytes is what a compressed file takes"


def said(of: Network, on: Accelerator) -> tuple[str, ...]:
    """The notes of a report that are not its network's."""
    made = simulate(of, on)
    assert made.notes[: len(of.notes)] == of.notes
    assert all(note in str(made) for note in made.notes)
    return tuple(
        note for note in made.notes[len(of.notes) :] if not note.startswith("feature maps pass DRAM")
    )


def test_of_a_network_without_compression_nothing_is_said() -> None:
    assert said(network(), accelerator()) == ()


@pytest.mark.parametrize(
    ("objective", "slack", "told"),
    [
        *[("latency", 0.1, False), ("energy", 0, False), ("edp", 0, False)],
        *[("energy", 0.1, True), ("edp", 0.1, True)],
    ],
)
def test_a_slack_of_latency_where_something_else_is_minimised(
    objective: str, slack: float, told: bool
) -> None:
    note = f"mapper.latency_slack 0.1 has no effect by {objective}: it belongs to the objective latency"
    on = accelerator({"mapper.objective": objective, "mapper.latency_slack": slack})
    assert said(network(), on) == (note,) * told


def test_zeros_that_no_dataflow_skips() -> None:
    pruned = prune(network(), 0.4)
    flows = accelerator({"array.dataflows": ["ws"]})
    count = sum(layer.kind == "mac" and not layer.weights_are_activations for layer in pruned.layers)
    assert said(pruned, flows) == (
        f"weights of {count} layers are 40.0 % dense, but ws skips no zeros here: dense time",
        ZEROS,
    )


def test_zeros_that_are_skipped() -> None:
    flows = accelerator({"array.dataflows": ["os"], "sparsity.skipped_by": ["os"]})
    assert said(prune(network(), 0.4), flows) == (ZEROS,)
    assert said(prune(network(), 1), flows) == ()


def test_patterns_that_are_packed() -> None:
    """Of layers with a pattern that PEs pack, those without two input channels in a block gain nothing."""
    pruned = prune(network(), "2:4")
    on = accelerator(
        {"array.dataflows": ["ws"], "sparsity.structured": ["2:4"], "sparsity.compressed": ["dram"]}
    )
    single = [
        layer for layer in pruned.layers if layer.kind == "mac" and layer.weight_pattern and layer.c <= 2
    ]
    notes = said(pruned, on)
    assert len(notes) == bool(single)
    assert all(note.startswith(f"weights of {units.plural(len(single), 'layer')} are ") for note in notes)
    assert (
        f"weights of {count_learnt(pruned)} layers"
        in said(pruned, on.replace({"sparsity.structured": []}))[0]
    )


@pytest.mark.parametrize(
    ("channels", "groups", "pattern", "laid_out"),
    [
        (10, 1, "2:4", "6 of 10 input channels that 2:4 keeps fill 6 of 8 rows"),
        (4, 1, "1:4", "1 of 4 input channels that 1:4 keeps fills 1 of 8 rows"),
        (18, 1, "2:4", "10 of 18 input channels that 2:4 keeps fill 62.5 % of 8 rows in 2 passes"),
        (10, 2, "2:4", "6 of 10 input channels of a group that 2:4 keeps fill 6 of 8 rows"),
    ],
)
def test_rows_that_hold_packed_weights(channels: int, groups: int, pattern: str, laid_out: str) -> None:
    """A row holds a weight that stays, not an input channel: of 10 channels at 2:4 these are 2 + 2 + 2."""
    layer = Layer.conv("conv", c=channels * groups, k=8 * groups, oy=16, ox=16, fy=3, fx=3, groups=groups)
    (pruned,) = prune(Network.from_layers([layer]), pattern).layers
    on: dict[str, Any] = {"array.dataflows": ["ws"], "sparsity.structured": [pattern]}
    made = simulate(Network.from_layers([pruned]), accelerator({"memory.dram.bandwidth_gb_s": 1000, **on}))
    (row,) = made.rows()
    (finding,) = made.bottlenecks(1)
    partly = [axis for axis in finding.axes if axis.filled < 1]
    assert [*map(str, partly)] == [laid_out]
    edge = row["lost_edge"] / (row["executed_macs"] + row["lost_edge"])
    assert edge == pytest.approx(1 - partly[0].filled)
    assert finding.cause != "edge" or laid_out in finding.text


def count_learnt(of: Network) -> int:
    return sum(layer.kind == "mac" and not layer.weights_are_activations for layer in of.layers)


def test_zeros_that_take_no_fewer_bits_compressed() -> None:
    """A bitmap takes a bit for each of 16, so that it saves where less than 15/16 are left."""
    changes = {"array.dataflows": ["os"], "sparsity.skipped_by": ["os"], "sparsity.compressed": ["dram"]}
    on = accelerator({**changes, "sparsity.form": "bitmap"})
    count = sum(layer.kind == "mac" and not layer.weights_are_activations for layer in network().layers)
    assert said(prune(network(), 0.9), on) == ()
    assert said(prune(network(), 0.95), on) == (
        f"zero weights of {count} pruned layers are loaded like others: sparsity.form bitmap takes no fewer bits",
    )


def test_widths_that_pes_do_not_have() -> None:
    one = {"stem.conv": "w8a8", "*": "w16a16"}
    assert said(quantize(network(), one), accelerator()) == (
        "operands of 1 layer are narrower than w16a16 of the PEs: "
        "less traffic and energy, but still one MAC a cycle in each PE",
    )
    assert said(quantize(network(), {"stem.conv": "w24"}), accelerator()) == (
        "operands of 1 layer are wider than w16a16 of the PEs, which is counted in traffic and energy, not in cycles",
    )


def test_weights_take_what_their_widths_and_zeros_leave() -> None:
    dense = report().totals["weights_bytes"]
    assert dense == report().totals["weights_values_bytes"] == network().params * 2
    made = simulate(quantize(prune(network(), 0.25), "w8"), accelerator())
    rows = {row["name"]: row for row in made.rows()}
    conv, layer = rows["stem.conv"], network().layers[0]
    kept = layer.weight_elements // 4
    biases = 2 * 16
    assert conv["weights_values_bytes"] == kept + biases
    assert conv["weights_bytes"] == kept + layer.weight_elements // 8 + biases  # with a bitmap
    assert (conv["weight_bits"], conv["activation_bits"], conv["weight_density"]) == (8, 16, 0.25)
    assert "compressed," in str(made)


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        ({}, 8192),
        ({"sparsity.compressed": ["dram"]}, 4096 + 512),
        ({"sparsity.compressed": ["dram"], "sparsity.form": "relative4"}, 5123),
    ],
)
def test_compulsory_weights_are_those_that_dram_holds(changes: dict[str, Any], weights: int) -> None:
    layer = Layer.conv("c", c=64, k=64, oy=14, ox=14, fy=1, fx=1)
    pruned = prune(Network.from_layers([layer]), 0.5)
    made = simulate(pruned, accelerator({"memory.global_buffer.size_kib": 256} | changes))
    maps = 2 * 64 * 14 * 14 * 2
    assert least_dram_bytes(made) == maps + weights
    assert made.totals["dram_bytes"] == maps + weights
    assert "compulsory" not in str(made)


def test_of_a_table_the_rows_that_are_read_are_compulsory() -> None:
    table = Layer.vector("table", op="embedding", k=64, oy=16, ox=1)
    table = replace(table, params=50_000 * 64, weight_elements=16 * 64, input_elements=16, inputs=("ids",))
    product = Layer.matmul("fc", m=16, n=8, k=64, inputs=["table"])
    made = simulate(Network("looked_up", (table, product), (("ids", (1, 16)),)), accelerator())
    assert least_dram_bytes(made) == 2 * (16 + 16 * 64 + 8 * 64 + 16 * 8)
    assert least_dram_bytes(made) == made.totals["dram_bytes"] - 2 * 2 * 16 * 64  # the map between the two


def test_vector_layers_that_cost_nothing() -> None:
    counted = said(network(), accelerator({"vector.model": "none"}))
    assert counted == (
        "not modelled on this accelerator (vector.model is none): 1 add, 1 avg_pool, which are free",
    )
    assert said(network(), accelerator({"vector.model": "lanes"})) == ()


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=3), st.integers(1, 9))
def test_passes_are_those_of_the_tiles_one_by_one(sizes: list[tuple[int, int]], width: int) -> None:
    cuts = tuple((extent, min(tile, extent)) for extent, tile in sizes)
    tiles = [[min(tile, extent - start) for start in range(0, extent, tile)] for extent, tile in cuts]
    expected = sum(-(-prod(tile) // width) for tile in product(*tiles))
    axis = Axis("item{s}", cuts, width, "rows")
    assert axis.passes == expected
    assert axis.filled == axis.items / (expected * width) <= 1


def test_one_item_is_singular() -> None:
    assert str(Axis("item{s}", ((1, 1),), 4, "rows")) == "1 item fills 1 of 4 rows"
    assert str(Axis("item{s}", ((9, 9),), 8, "rows")) == "9 items fill 56.2 % of 8 rows in 2 passes"


@few
@given(reports())
def test_what_is_not_filled_is_the_edge_loss(made: Report) -> None:
    """While the array multiplies, PEs without an item are those that the loss accounting calls edge."""
    machine = Machine.of(made.accelerator)
    for index, (layer, row) in enumerate(zip(made.network.layers, made.rows(), strict=True)):
        if row["macs"]:
            work, _ = workload_of([layer], machine)
            laid = axes(work, row["dataflow"], made.costs.tile[0, index].tolist(), made.accelerator.array)
            busy = row["executed_macs"] + row["lost_zeros"]
            padded = work.valid[0] / work.pixels[0]
            expected = 1 - padded * prod(axis.filled for axis in laid)
            assert laid
            assert row["lost_edge"] / (busy + row["lost_edge"]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rows", "cols", "expected"),
    [
        (("C",), ("P",), [("input channels of a group", 12, 2, "rows"), ("output pixels", 35, 5, "columns")]),
        (
            *(("K", "FX"), ("X",)),
            [
                ("output channels of a group × filter columns", 50, 7, "rows"),
                ("output columns", 7, 1, "columns"),
            ],
        ),
        (("G",), ("FY", "FX", "C"), [("groups", 2, 1, "rows"), ("weights of a filter", 180, 23, "columns")]),
    ],
)
def test_what_lies_along_the_array_follows_from_the_loops_in_space(
    monkeypatch: pytest.MonkeyPatch,
    rows: tuple[str, ...],
    cols: tuple[str, ...],
    expected: list[tuple[str, int, int, str]],
) -> None:
    declared = Declaration("dummy", SpatialMap(rows, cols), "weights")
    flow = replace(DATAFLOWS["ws"], declared=declared)
    monkeypatch.setitem(DATAFLOWS, "dummy", flow)
    layer = Layer.conv("conv", c=24, k=20, oy=5, ox=7, fy=3, fx=5, groups=2)
    work, _ = workload_of([layer], Machine.of(accelerator()))
    laid = axes(work, "dummy", (1, 5, 7, 2, 10, 12), accelerator().array)
    found = [(axis.noun.format(s="s"), axis.items, axis.passes, axis.what) for axis in laid]
    assert found == expected
    assert axes(work, "unknown", (1, 5, 7, 2, 10, 12), accelerator().array) == []


@pytest.mark.parametrize(
    ("flows", "ports", "told"),
    [
        (["ws"], 64, ()),
        (["ws"], 65, ("array.ports 65: ws can use 64 at most",)),
        (["ws", "os"], 65, ()),
        (["rs"], 1, ("array.ports 1: rs can use none",)),
        (["scalesim_os", "scalesim_ws"], 8, ("array.ports 8: scalesim_os and scalesim_ws can use none",)),
        (["rs"], None, ()),
    ],
)
def test_ports_that_nothing_can_use_are_told(
    flows: list[str], ports: int | None, told: tuple[str, ...]
) -> None:
    hw = accelerator({"array.dataflows": flows, "array.ports": ports})
    assert tuple(note for note in said(network(), hw) if note.startswith("array.ports")) == told


@pytest.mark.parametrize("name", ["squeezenext_23", "shufflenet_v2_x1_0", "deit_tiny"])
def test_a_buffer_that_keeps_every_map_moves_what_is_compulsory(name: str) -> None:
    size = {"memory.global_buffer.size_kib": 65536, "energy.table": "eyeriss_relative"}
    on = Accelerator.named("hybrid_32x32").replace({"memory.global_buffer.keeps": ["activations"], **size})
    report = simulate(load(name), on)
    assert least_dram_bytes(report) == report.tally.dram_bytes.sum()


@pytest.mark.parametrize(
    ("branches", "objective", "is_cut"), [(9, "energy", False), (10, "energy", True), (40, "latency", False)]
)
def test_more_ways_to_fill_the_buffer_than_are_followed(branches: int, objective: str, is_cut: bool) -> None:
    """By latency there is room for all maps and any tile, so that nothing is left to choose."""
    sizes: dict[str, Any] = {"k": 4, "c": 4, "oy": 8, "ox": 8, "iy": 8, "ix": 8}
    sizes |= {"input_elements": 256, "output_elements": 256}
    names = [f"branch{number}" for number in range(branches)]
    layers = [Layer(name=name, op="conv2d", kind="mac", inputs=("x",), **sizes) for name in names]
    layers += [Layer(name=f"out_{name}", op="conv2d", kind="mac", inputs=(name,), **sizes) for name in names]
    buffer = {"memory.global_buffer.keeps": ["activations"], "memory.global_buffer.size_kib": 32}
    on = accelerator({**buffer, "mapper.objective": objective})
    notes = simulate(Network(name="many", layers=tuple(layers), inputs=(("x", (1, 4, 8, 8)),)), on).notes
    assert [note for note in notes if "512 ways" in note] == [
        "after branch9 there are more than 512 ways to fill the buffer, of which the fullest were followed: "
        "another placement may be better"
    ] * is_cut


@pytest.mark.parametrize(("branches", "size_kib", "is_cut"), [(4, 32, False), (5, 32, True), (5, 2, False)])
def test_more_maps_in_both_homes_than_are_dropped_in_all_ways(
    branches: int, size_kib: int, is_cut: bool
) -> None:
    """Maps of 512 bytes that are read twice; 2 KiB hold four of them and no tile."""
    sizes: dict[str, Any] = {"k": 4, "c": 4, "oy": 8, "ox": 8, "iy": 8, "ix": 8}
    sizes |= {"input_elements": 256, "output_elements": 256}
    names = [f"branch{number}" for number in range(branches)]
    layers = [Layer(name=name, op="conv2d", kind="mac", inputs=("x",), **sizes) for name in names]
    for end in ("one", "two"):
        layers += [
            Layer(name=f"{name}.{end}", op="conv2d", kind="mac", inputs=(name,), **sizes) for name in names
        ]
    buffer = {"memory.global_buffer.keeps": ["activations"], "memory.global_buffer.size_kib": size_kib}
    on = accelerator({**buffer, "mapper.objective": "energy"})
    notes = simulate(Network(name="many", layers=tuple(layers), inputs=(("x", (1, 4, 8, 8)),)), on).notes
    assert [note for note in notes if "both homes" in note] == [
        "before branch0.one more than 4 feature maps can be in both homes, of which none, one or all were dropped at "
        "once: another placement may be better"
    ] * is_cut
