"""What docs/report-format.md says of the files of a report is so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator, ValidationError

from squeezesim.report.metrics import COLUMNS, SCALESIM_COLUMNS, column_table
from squeezesim.report.perfetto import MOST_PLAYED, MOST_SLICES
from squeezesim.report.report import Report
from squeezesim.report.serialize import encode, report_schema
from tests.report.cases import few, report, reports

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "report-format.md").read_text(encoding="utf-8")
FIRST = ROOT / "tests" / "data" / "report-v1.json"
VALIDATOR = Draft202012Validator(report_schema())


def test_the_schema_is_one_and_is_the_one_beside_the_page() -> None:
    Draft202012Validator.check_schema(report_schema())
    assert json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8")) == report_schema()


@few
@given(reports())
def test_reports_keep_the_schema(made: Report) -> None:
    VALIDATOR.validate(json.loads(encode(made)))


def test_reports_of_scalesim_s_dataflows_keep_it() -> None:
    VALIDATOR.validate(json.loads(encode(report({"array.dataflows": ["scalesim_ws"]}))))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cycles", -1),
        ("cycles", 1.5),
        ("cycles", None),
        ("dataflow", "xs"),
        ("tile", {}),
        ("name", 3),
        ("other", 1),
    ],
)
def test_what_no_report_says_breaks_the_schema(key: str, value: Any) -> None:
    document = json.loads(encode(report()))
    document["layers"][0][key] = value
    with pytest.raises(ValidationError):
        VALIDATOR.validate(document)


@few
@given(reports())
def test_the_dictionary_has_every_column_with_its_type(made: Report) -> None:
    types = {"text": str, "integer": int, "number": float}
    for row in made.rows():
        assert list(row) == [entry.name for entry in COLUMNS]
        for entry in COLUMNS:
            value = row[entry.name]
            assert type(value) is types[entry.kind] or (value is None and entry.can_be_empty)


def test_the_dictionary_has_scalesim_s_columns() -> None:
    row = report({"array.dataflows": ["scalesim_ws"]}).rows()[0]
    assert list(row) == [entry.name for entry in (*COLUMNS, *SCALESIM_COLUMNS)]


def test_units_are_those_of_the_names() -> None:
    for entry in COLUMNS:
        for suffix, unit in (("_us", "µs"), ("_uj", "µJ"), ("_bytes", "bytes"), ("_bits", "bits")):
            assert not entry.name.endswith(suffix) or entry.unit == unit


def test_the_page_has_the_columns_and_the_bounds_of_traces() -> None:
    assert column_table() in PAGE
    assert f"at most {MOST_SLICES:,} slices" in PAGE
    assert f"more than {MOST_PLAYED:,} tiles" in PAGE


def test_the_page_s_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = PAGE.partition("```python\n")[2].partition("```")[0]
    exec(compile(code, "report-format.md", "exec"), {})
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".json", ".md", ".parquet"]


def test_the_first_version_s_file_is_read() -> None:
    document = json.loads(FIRST.read_text(encoding="utf-8"))
    assert document["version"] == 1
    made = Report.load(FIRST)
    assert made.totals["cycles"] == document["totals"]["cycles"]
    assert [row["cycles"] for row in made.rows()] == [row["cycles"] for row in document["layers"]]
    assert made.totals["energy_mac_equiv"] == pytest.approx(document["totals"]["energy_mac_equiv"])


def test_keys_that_a_reader_does_not_know_are_passed_over(tmp_path: Path) -> None:
    document = json.loads(encode(report()))
    document["another"] = 1
    document["totals"] = {}
    read = {
        "name",
        "dataflow",
        "cycles",
        "executed_macs",
        "buffer_bytes",
        "order",
        "tile",
        "pointwise",
        "time_cycles",
    }
    for number, row in enumerate(document["layers"]):
        kept = {
            key: row[key]
            for key in row
            if key in read or key.startswith(("lost_", "dram_")) or key == "energy"
        }
        document["layers"][number] = {**kept, "another": None}
    (tmp_path / "report.json").write_text(json.dumps(document), encoding="utf-8")
    assert Report.load(tmp_path / "report.json") == report()
