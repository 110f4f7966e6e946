from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from squeezesim.cost.evaluate import LOSSES
from squeezesim.network import Layer, Network
from squeezesim.report.diagnosis import Case, _edge
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, few, report, reports


def why(layer: Layer, **changes: Any) -> tuple[str, str]:
    """Cause and reason of the one layer of a network, on an array that waits for nothing."""
    quick = {
        "memory.dram.bandwidth_gb_s": 10_000,
        "memory.dram.latency_ns": 0,
        "control.layer_setup_cycles": 0,
    }
    named = {key.replace("__", "."): value for key, value in changes.items()}
    (finding,) = simulate(Network.from_layers([layer]), accelerator(quick | named)).bottlenecks()
    return finding.cause, finding.text.partition(": ")[2]


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
        loss = lost[finding.layer][LOSSES.index(finding.cause)]
        if rows[finding.layer]["macs"]:
            assert loss == lost[finding.layer].max()
        else:
            assert rows[finding.layer]["bound"] in (finding.cause, {"setup": "startup"}.get(finding.cause))
        assert finding.lost == loss / (made.scale.pes * rows[finding.layer]["cycles"])
        assert finding.share == pytest.approx(sum(rows[name]["share"] for name in finding.layers))
        assert 0 < finding.lost <= 1
        assert 0 < finding.share <= 1
        assert "\n" not in finding.text
        assert str(finding) == finding.text


def test_row_stationary_edge_names_filter_rows() -> None:
    layer = Layer.conv("a", c=12, k=24, oy=9, ox=30, fy=3, fx=3)
    cause, text = why(layer, array__dataflows=["rs"], array__rows=5, array__cols=14)
    assert cause == "edge"
    assert text.startswith("its 3 filter rows fill 3 of 5 rows, so that ")


@pytest.mark.parametrize(
    ("dataflow", "reason"),
    [
        (
            "scalesim_os",
            "its 8 output channels fill 8 of 16 columns and its 25 output pixels fill 78.1 % of 16 rows in 2",
        ),
        (
            "scalesim_ws",
            "its 8 output channels fill 8 of 16 columns and its 18 weights of a filter fill 56.2 % of 16 rows",
        ),
        (
            "scalesim_is",
            "its 18 weights of a filter fill 56.2 % of 16 rows in 2 passes and its 25 output pixels fill ",
        ),
    ],
)
def test_scalesim_edge_names_the_dimensions_of_the_product(dataflow: str, reason: str) -> None:
    layer = Layer.conv("a", c=2, k=8, oy=5, ox=5, fy=3, fx=3)
    made = simulate(
        Network.from_layers([layer]),
        accelerator({"array.dataflows": [dataflow], "array.rows": 16, "array.cols": 16}),
    )
    case = Case(made, 0)
    assert _edge(case).startswith(reason)
    assert case.lost("edge") > 0


def test_a_sentence_begins_with_share_and_utilization() -> None:
    made = report()
    rows = {row["name"]: row for row in made.rows()}
    worst = next(finding for finding in made.bottlenecks(8) if rows[finding.layer]["macs"])
    row = rows[worst.layer]
    assert worst.text.startswith(
        f"{row['name']} takes {100 * row['share']:.1f} % of the time at {100 * row['utilization']:.1f} % utilization: "
    )


def test_channels_that_do_not_fill_rows_and_columns() -> None:
    cause, text = why(Layer.conv("a", c=3, k=8, oy=40, ox=40, fy=3, fx=3), array__dataflows=["ws"])
    assert cause == "edge"
    assert text.startswith("its 3 input channels fill 3 of 8 rows, so that 6")

    cause, text = why(
        Layer.conv("a", c=16, k=16, groups=16, oy=40, ox=40, fy=3, fx=3),
        array__dataflows=["ws"],
        array__cols=4,
    )
    assert cause == "edge"
    assert text.startswith(
        "its 1 input channel of a group fills 1 of 8 rows and its 1 output channel of a group fills 1 of 4 columns, "
    )


def test_channels_that_fill_the_last_pass_only_in_part() -> None:
    layer = Layer.matmul("a", m=64, n=8, k=9)
    cause, text = why(layer, array__dataflows=["ws"], memory__global_buffer__size_kib=1024)
    assert cause == "edge"
    assert text.startswith("its 9 input channels fill 56.2 % of 8 rows in 2 passes, so that ")


def test_pixels_that_do_not_fill_the_array() -> None:
    cause, text = why(Layer.conv("a", c=64, k=64, oy=8, ox=2, fy=3, fx=3), array__dataflows=["os"])
    assert cause == "edge"
    assert text.startswith("its 2 output columns fill 2 of 8 columns, so that ")

    cause, text = why(Layer.matmul("a", m=1, n=64, k=64), array__dataflows=["os"])
    assert cause == "edge"
    assert text.startswith("its 1 output pixel fills 1 of 64 PEs, so that ")


def test_rows_that_are_padded_in_memory() -> None:
    layer = Layer.conv("a", c=8, k=8, oy=5, ox=5, fy=3, fx=3)
    cause, text = why(layer, array__dataflows=["ws"], memory__row_words=8)
    assert cause == "edge"
    # 15 of 40 pixels are padding.
    assert text.startswith("its rows of 5 pixels are padded to 8, so that ")


def test_the_share_without_work_is_the_edge_loss() -> None:
    made = simulate(
        Network.from_layers([Layer.conv("a", c=3, k=8, oy=40, ox=40, fy=3, fx=3)]),
        accelerator({"array.dataflows": ["ws"]}),
    )
    row = made.rows()[0]
    share = 100 * row["lost_edge"] / (64 * row["cycles"])
    assert made.bottlenecks()[0].text.endswith(f"so that {share:.1f} % of its PE-cycles find no work")


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
    waited = 100 * row["lost_dram"] / (64 * row["cycles"])
    assert finding.text.endswith(
        f"it waits for DRAM for {waited:.1f} % of its cycles, moving 257.5 KiB (99.4 % weights) at a steady 0.2 "
        "bytes a cycle"
    )


def test_waiting_for_the_buffer() -> None:
    cause, text = why(
        Layer.matmul("a", m=64, n=8, k=8), array__dataflows=["ws"], memory__global_buffer__bytes_per_cycle=1
    )
    assert cause == "buffer"
    assert text.startswith("it waits for the buffer for ")
    assert text.endswith(" at a steady 1 bytes a cycle")


def test_set_up() -> None:
    made = simulate(
        Network.from_layers([Layer.matmul("a", m=8, n=8, k=8)]),
        accelerator({"control.layer_setup_cycles": 10_000}),
    )
    (finding,) = made.bottlenecks()
    assert finding.cause == "setup"
    assert finding.text.endswith(f": setting it up takes 10,000 of its {made.totals['cycles']:,} cycles")


def test_first_load_and_last_store() -> None:
    cause, text = why(Layer.matmul("a", m=8, n=8, k=8), memory__dram__latency_ns=10_000)
    assert cause == "startup"
    assert text.startswith("its first load and last store, which no other layer hides, take 99.")


def test_filling_the_array() -> None:
    cause, text = why(Layer.matmul("a", m=1, n=64, k=64), array__dataflows=["ws"], array__ports=1)
    assert cause == "fill"
    assert text.startswith("filling and draining the array takes ")


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
    assert finding.text.partition(": ")[2] == (
        f"{100 * 3686 / row['cycles']:.1f} % of its PE-cycles are spent on zero weights, which are spread "
        "evenly and skipped only in part: a filter takes at least one cycle for each input channel, even where it "
        "has only zeros there, and each tile rounds up to whole cycles"
    )


def test_what_dram_hides_is_said_beside_dram() -> None:
    """The array fills slowly, and DRAM is slower still."""
    cause, text = why(
        Layer.matmul("a", m=1, n=512, k=512),
        array__dataflows=["ws"],
        array__ports=1,
        memory__dram__bandwidth_gb_s=0.75,
    )
    assert cause == "fill"
    assert text.startswith("filling and draining the array takes ")
    assert ", but DRAM sets the pace in 9" in text
    assert text.endswith(" % of its cycles")


def pool(changes: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Cause and text of what is found of a pooling, and its row."""
    layers = [
        Layer.matmul("a", m=1, n=1, k=1),
        Layer.vector("pool", op="max_pool", k=8, oy=16, ox=16, fy=3, fx=3),
    ]
    made = simulate(Network.from_layers(layers), accelerator(changes))
    finding = next(finding for finding in made.bottlenecks() if finding.layer == "pool")
    assert " of the time without a MAC: " in finding.text
    return finding.cause, finding.text.partition(": ")[2], made.rows()[1]


def test_vector_work() -> None:
    cause, text, row = pool({"vector.lanes": 1})
    assert (cause, row["bound"]) == ("vector", "vector")
    assert (
        text
        == f"{100 * 18432 / row['cycles']:.1f} % of its cycles are 18.43 k vector operations (one a cycle on "
        "one lane)"
    )


def test_vector_work_that_is_quicker_than_its_transfers() -> None:
    """2,304 cycles of work are most of what is counted as lost, but 18·18·8 + 16·16·8 words take longer."""
    cause, text, row = pool({"memory.dram.bandwidth_gb_s": 2, "memory.dram.latency_ns": 0})
    moved = row["dram_bytes"]
    cycles = moved / 4  # 2 GB/s at 500 MHz
    assert row["lost_vector"] > row["lost_dram"]
    assert (cause, row["bound"]) == ("dram", "dram")
    assert text == (
        f"moving {moved / 1024:.1f} KiB ({100 * row['dram_inputs_bytes'] / moved:.1f} % inputs) at a steady 4 bytes "
        f"a cycle takes {100 * cycles / row['cycles']:.1f} % of its cycles, beside which its 18.43 k vector operations "
        "(one a cycle on each of 8 lanes) take "
        f"{100 * 2304 / row['cycles']:.1f} %"
    )


@pytest.mark.parametrize(
    ("changes", "cause"),
    [({"control.layer_setup_cycles": 90_000}, "setup"), ({"memory.dram.latency_ns": 90_000}, "startup")],
)
def test_vector_work_that_is_quicker_than_its_start(changes: dict[str, Any], cause: str) -> None:
    found, text, row = pool(changes)
    assert (found, row["bound"]) == (cause, "startup")
    assert text.startswith(
        "setting it up takes 90,000 of its " if cause == "setup" else "its first load and "
    )


@pytest.mark.parametrize("n", [0, -1])
def test_none_are_found_where_none_are_wanted(n: int) -> None:
    assert report().bottlenecks(n) == []


def test_layers_that_take_no_time_are_not_found() -> None:
    names = [finding.layer for finding in report().bottlenecks(100)]
    assert "stage1.concat" not in names
    assert len(names) == np.count_nonzero(report().tally.cycles)
