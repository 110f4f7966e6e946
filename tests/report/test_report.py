from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given

from squeezesim.cost.traffic import LOOPS
from squeezesim.errors import UsageError
from squeezesim.network import Layer, Network, Unmodelled
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, few, network, report, reports

COLUMNS = [
    "name",
    "op",
    "stage",
    "dataflow",
    "groups",
    "k",
    "c",
    "oy",
    "ox",
    "fy",
    "fx",
    "stride",
    "params",
    "macs",
    "vector_ops",
    "cycles",
    "latency_us",
    "utilization",
    "efficiency",
    "bound",
    "energy_uj",
    "dram_bytes",
    "buffer_bytes",
    "tiling",
]
TOTALS = [
    "params",
    "macs",
    "vector_ops",
    "cycles",
    "latency_us",
    "utilization",
    "efficiency",
    "energy_uj",
    "energy_mac_equiv",
    "dram_bytes",
    "area_mm2",
    "weights_bytes",
    "weights_values_bytes",
]


def test_columns_of_layers_come_in_the_documented_order() -> None:
    assert list(report().layers.columns)[: len(COLUMNS)] == COLUMNS
    assert list(report().rows()[0])[: len(COLUMNS)] == COLUMNS


def test_totals_have_the_documented_keys() -> None:
    assert list(report().totals) == TOTALS


@few
@given(reports())
def test_totals_are_sums_of_the_rows(made: Report) -> None:
    rows, totals = made.rows(), made.totals
    sums = ("params", "macs", "vector_ops", "cycles", "dram_bytes", "weights_bytes", "weights_values_bytes")
    for key in sums:
        assert totals[key] == sum(row[key] for row in rows)
    assert totals["latency_us"] == pytest.approx(math.fsum(row["latency_us"] for row in rows), rel=1e-12)
    pes = made.accelerator.array.rows * made.accelerator.array.cols
    assert totals["utilization"] == sum(row["executed_macs"] for row in rows) / (
        pes * (totals["cycles"] or 0)
    )
    assert totals["efficiency"] == made.network.macs / (pes * (totals["cycles"] or 0))
    if made.accelerator.energy.pj_per_unit is None:
        assert totals["energy_uj"] is None
    else:
        assert totals["energy_uj"] == pytest.approx(math.fsum(row["energy_uj"] for row in rows), rel=1e-12)


@few
@given(reports())
@pytest.mark.parametrize("by", ["stage", "op"])
def test_groups_are_sums_of_their_layers(by: str, made: Report) -> None:
    rows = made.rows()
    assert [row[by] for row in made.rows(by)] == list(dict.fromkeys(row[by] for row in rows))
    for group in made.rows(by):
        members = [row for row in rows if row[by] == group[by]]
        assert group["layers"] == len(members)
        for key in ("params", "macs", "vector_ops", "cycles", "dram_bytes", "buffer_bytes"):
            assert group[key] == sum(row[key] for row in members)
        assert group["share"] == pytest.approx(sum(row["share"] for row in members), abs=1e-12)


@few
@given(reports())
def test_frames_say_what_rows_say(made: Report) -> None:
    frame = made.layers
    assert frame["name"].tolist() == [layer.name for layer in made.network.layers]
    for key in ("cycles", "macs", "utilization", "bound"):
        shown = [None if value is None or pd.isna(value) else value for value in frame[key]]
        assert shown == [row[key] for row in made.rows()]
    assert made.stages["cycles"].sum() == made.totals["cycles"]


@few
@given(reports())
def test_losses_add_up_to_all_pe_cycles(made: Report) -> None:
    frame = made.losses
    first = frame.columns.get_loc("executed_macs")
    assert (frame.iloc[:, first:].sum(axis=1) == frame["pe_cycles"]).all()


@few
@given(reports())
def test_energy_by_level_adds_up(made: Report) -> None:
    frame = made.energy
    levels = [
        column for column in frame.columns if column.endswith("_mac_equiv") and column != "energy_mac_equiv"
    ]
    assert len(levels) == made.costs.energy.shape[-1]
    assert frame[levels].sum(axis=1).tolist() == pytest.approx(frame["energy_mac_equiv"].tolist(), rel=1e-12)
    assert frame["energy_mac_equiv"].sum() == pytest.approx(made.totals["energy_mac_equiv"], rel=1e-12)


def test_activations_are_part_of_the_layer_before() -> None:
    rows = {row["name"]: row for row in report().rows()}
    assert "stem.relu" not in rows
    assert rows["stem.conv"]["fused"] == "bias relu"
    assert rows["stem.conv"]["vector_ops"] == 2 * 16 * 16 * 16


def test_a_layer_that_takes_no_time_has_no_utilization() -> None:
    rows = {row["name"]: row for row in report().rows()}
    concat = rows["stage1.concat"]
    assert (concat["cycles"], concat["utilization"], concat["efficiency"], concat["bound"]) == (
        0,
        None,
        None,
        "",
    )
    assert rows["stage1.add"]["utilization"] == 0
    without = {row["name"]: row for row in report({"vector.model": "none"}).rows()}
    assert without["stage1.add"]["cycles"] == 0
    assert without["stage1.add"]["utilization"] is None


def test_the_tiling_names_its_order_and_sizes() -> None:
    rows = {row["name"]: row for row in report().rows()}
    order, *sizes = rows["stem.conv"]["tiling"].split()
    assert order in ("PKC", "PCK", "KCP", "NKCP")
    assert [size[0] for size in sizes[:4]] == ["y", "x", "k", "c"]
    held = {(op, how) for op in LOOPS for how in ("stay", "single")}
    for part in sizes[4:]:
        how, operands = part.split(":")
        assert {(operand, how) for operand in operands.split("+")} <= held
    assert [size[0] for size in rows["stage1.depthwise"]["tiling"].split()[1:6]] == ["y", "x", "g", "k", "c"]
    assert [size[0] for size in rows["head.fc"]["tiling"].split()[1:4]] == ["x", "k", "c"]
    assert rows["stage1.add"]["tiling"] == ""


def test_params_that_no_layer_reads_are_in_the_total() -> None:
    import dataclasses

    unread = dataclasses.replace(network(), unread_params=1000)
    assert simulate(unread, accelerator()).totals["params"] == (report().totals["params"] or 0) + 1000


def test_what_is_not_modelled_is_said() -> None:
    assert report().unmodelled == (Unmodelled("fft", 2, "stage1"),)


def test_reports_are_equal_where_all_they_say_is() -> None:
    assert report() == report()
    assert report() != report({"array.rows": 4})
    assert report() != "report"
    with pytest.raises(TypeError):
        hash(report())


def test_an_unknown_grouping_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        report().rows("stages")
    assert str(caught.value) == "rows are by layer, stage, op, found 'stages'; did you mean 'stage'?"


def test_its_short_form_names_network_accelerator_and_time() -> None:
    made = report()
    assert repr(made).startswith("small on small_8x8: 72.59 µs, 36.30 k cycles, utilization 23.3 %")
    assert str(made).startswith("small on small_8x8\n")


def test_scalesims_numbers_stand_where_its_dataflows_run() -> None:
    made = report()
    assert not [name for name in made.columns() if name.startswith("scalesim")]
    grouped = Layer.conv("grouped", c=8, k=8, oy=9, ox=9, fy=3, fx=3, groups=4)
    pool = Layer.vector("pool", op="max_pool", k=8, oy=3, ox=3, fy=3, fx=3, stride=3)
    mixed = simulate(Network.from_layers([grouped, pool]), accelerator({"array.dataflows": ["scalesim_os"]}))
    first, second = mixed.rows()
    # Four groups of ⌈81/8⌉ · ⌈2/8⌉ folds of 18 + 8 + 8 − 2 cycles.
    assert first["scalesim_total_cycles"] == 4 * (11 * 32 - 1)
    assert first["scalesim_mapping_efficiency"] == pytest.approx(81 * 2 / (11 * 64))
    assert second["scalesim_total_cycles"] is second["scalesim_mapping_efficiency"] is None
    padded = simulate(mixed.network, mixed.accelerator.replace({"memory.row_words": 4})).rows()[0]
    assert padded["scalesim_total_cycles"] == first["scalesim_total_cycles"]
    assert padded["cycles"] > first["cycles"]
