"""An entry of the table of metrics is all that a metric needs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import squeezesim as sq
from squeezesim.errors import UsageError
from squeezesim.explore.compare.compare import comparison
from squeezesim.explore.compare.comparison import of_report
from squeezesim.explore.compare.gate import conditions, judge
from squeezesim.explore.compare.render import to_json
from squeezesim.explore.sweep.plan import front_mask
from squeezesim.explore.sweep.render import best_rows, check_sort, sections
from squeezesim.explore.sweep.sweep import plan
from squeezesim.report.metrics import METRICS, Metric, bounds, column_table, header, words
from squeezesim.report.report import Report
from squeezesim.report.selection import select
from squeezesim.report.serialize import encode, report_schema
from squeezesim.report.text import plain
from tests.report.cases import report

NAME = "busy_share"
HARDWARE = "os_32x32"
ROWS = [8, 16, 32]


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric of which more is better: a quarter of the utilization."""
    metric = Metric(
        *(NAME, "number", "1", "a quarter of the *utilization*"),
        lambda tally, scale: tally.utilization(scale) / 4,
        header="busy",
        better="more",
        can_be_empty=True,
        ratio="busy_relative",
    )
    monkeypatch.setitem(METRICS, NAME, metric)


def made() -> Report:
    """A report of layers that all take time."""
    return report()


def test_reports_have_it(tmp_path: Path) -> None:
    one = made()
    rows = one.rows()
    for row, layer in zip(rows, one.layers[NAME], strict=True):
        assert row[NAME] == (row["utilization"] / 4 if row["cycles"] else None)
        assert layer == row[NAME] or row[NAME] is None
    assert one.totals[NAME] == pytest.approx(one.totals["utilization"] / 4)
    assert [row[NAME] for row in one.rows("stage")] == [row["utilization"] / 4 for row in one.rows("stage")]
    one.save(tmp_path / "one.csv")
    with (tmp_path / "one.csv").open(encoding="utf-8") as file:
        assert [float(row[NAME]) if row[NAME] else None for row in csv.DictReader(file)] == pytest.approx(
            [row[NAME] for row in rows]
        )
    first = select(one, sort=NAME)[0]
    assert first[NAME] == max(row[NAME] for row in rows if row[NAME] is not None)
    assert f"busy         {one.totals[NAME] * 100:.1f} %" in str(one)


def test_their_files_are_read_again_and_keep_the_schema(tmp_path: Path) -> None:
    one = made()
    document = json.loads(encode(one))
    assert document["totals"][NAME] == pytest.approx(one.totals[NAME])
    assert [row[NAME] for row in document["layers"]] == pytest.approx([row[NAME] for row in one.rows()])
    Draft202012Validator(report_schema()).validate(document)
    for name in ("one.json", "one.parquet", "one.md", "one.html"):
        one.save(tmp_path / name)
    assert Report.load(tmp_path / "one.json") == one
    assert f"| `{NAME}`" in column_table()


def test_a_report_that_was_saved_without_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.delitem(METRICS, NAME)
        made().save(tmp_path / "before.json")
    assert Report.load(tmp_path / "before.json").totals[NAME] == made().totals[NAME]


def test_sweeps_have_it() -> None:
    values = {"array.rows": ROWS, "array.cols": [16]}
    table = sq.sweep("squeezenext_23", HARDWARE, values, where=[f"{NAME} < 99%", f"{NAME} > 0.1%"])
    assert table[NAME].tolist() == pytest.approx((table.utilization / 4).tolist())
    most = float(table[NAME].max())
    few = sq.sweep("squeezenext_23", HARDWARE, values, where=f"{NAME} >= {most!r}")
    assert few["array.rows"].tolist() == table["array.rows"][table[NAME] == most].tolist()
    accelerator = sq.Accelerator.resolve(HARDWARE)
    planned = plan([sq.load("squeezenext_23")], accelerator, values)
    rows = planned.table(0)
    assert front_mask(rows, accelerator, [NAME]).tolist() == (table[NAME] == most).tolist()
    check_sort(NAME, planned)
    assert best_rows(rows, accelerator, NAME)[NAME].to_pylist() == sorted(table[NAME], reverse=True)
    text = plain(sections(planned, rows, len(ROWS), sort=NAME, top=None))
    assert f"designs, greatest {NAME} first" in text
    assert f"{100 * most:.1f} %" in text


def test_sweeps_have_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Metric("pace", "text", "", "the bound", lambda tally, _: [name.upper() for name in bounds(tally)])
    monkeypatch.setitem(METRICS, "pace", text)
    planned = plan([sq.load("squeezenext_23")], sq.Accelerator.resolve(HARDWARE), {"array.rows": ROWS})
    rows = planned.table(0)
    assert rows.column_names[-3:] == ["bound", "pace", "problem"]
    assert rows["pace"].to_pylist() == [name.upper() for name in rows["bound"].to_pylist()]
    check_sort("pace", planned)
    assert "pace" in made().rows("stage")[0]
    assert "pace" not in made().totals


@pytest.mark.torch
def test_allocations_have_it() -> None:
    table = sq.allocate("squeezenext_23_v5", HARDWARE, blocks=5, sort=NAME, objectives=[NAME])
    assert table[NAME].tolist() == sorted(table[NAME], reverse=True)
    assert table[NAME][table.pareto].tolist() == [table[NAME].max()]


def test_comparisons_have_it() -> None:
    network = sq.load("squeezenext_23")
    reports = [sq.simulate(network, name) for name in (HARDWARE, "squeezelerator_16x16")]
    expected = [one.totals["utilization"] / 4 for one in reports]
    table = sq.compare(reports)
    assert table[NAME].tolist() == pytest.approx(expected)
    assert table["busy_relative"].tolist() == pytest.approx([1, expected[1] / expected[0]])
    assert {NAME, "busy_relative"} <= {*sq.compare(reports, by="stage")}
    side = comparison(map(of_report, reports))
    assert json.loads(to_json(side))["results"][1][NAME] == pytest.approx(expected[1])
    (verdict,) = judge(side, conditions([f"{NAME} > {100 * min(expected):.6f}%"]))
    assert verdict.has_failed
    with pytest.raises(UsageError, match="a time beside a share"):
        conditions([f"{NAME} > 1ms"])


def test_what_a_metric_is_called() -> None:
    assert header(NAME) == words(NAME) == "busy"
    assert [words(name) for name in ("latency_us", "vector_ops")] == ["latency", "vector ops"]
    assert words("energy_uj") == words("energy_mac_equiv") == "energy"
    assert header("energy_mac_equiv") == "energy (MACs)"
    assert header("memory.global_buffer.size_kib") == "size_kib"


def test_columns_of_memories_are_what_has_their_price() -> None:
    stores = {
        "sram": {"bandwidth_gb_s": 4, "holds": ["activations"]},
        "flash": {"bandwidth_gb_s": 0.5, "holds": ["weights"]},
    }
    one = report({"memory.stores": stores})
    bits = one.costs.bits[0].sum(axis=-1)
    for name in ("dram", "sram", "flash"):
        moved = [row[f"memory_{name}_bytes"] for row in one.rows()]
        of_port = bits[:, one.costs.accesses.index(name)] / 8
        assert moved == pytest.approx(of_port.tolist(), abs=2)  # operands are rounded up to bytes
        assert (sum(moved) > 0) == (name != "dram")
    for row in one.rows():
        assert row["dram_bytes"] == sum(row[f"memory_{name}_bytes"] for name in ("dram", "sram", "flash"))
    assert header("memory_flash_bytes") == "memory_flash_bytes"
    Draft202012Validator(report_schema()).validate(json.loads(encode(one)))


def test_tables_of_layers_say_where_operands_live() -> None:
    one = report({"memory.global_buffer.keeps": ["activations"]})
    lines = str(one).splitlines()
    heading = next(line for line in lines if line.split()[:1] == ["layer"])
    assert heading.split()[-6:] == ["inputs", "in", "output", "in", "kept", "tiling"]
    stays = [row["name"] for row in one.rows() if row["output_in"] == "buffer"]
    assert stays
    assert all(any(line.split()[:1] == [name] and "buffer" in line for line in lines) for name in stays)
    assert "inputs in" not in str(report())
