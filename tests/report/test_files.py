from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given

from squeezesim.errors import OutputError, ReportError, UsageError
from squeezesim.report.files import FORMATS, KEY, csv_text, file_format, parquet
from squeezesim.report.report import Report
from tests.report.cases import few, report, reports

ALLOWED = f"files end in {', '.join(FORMATS)}"


@few
@given(reports())
def test_csv_says_what_rows_say(made: Report) -> None:
    lines = list(csv.DictReader(io.StringIO(csv_text(made.rows()))))
    for line, row in zip(lines, made.rows(), strict=True):
        assert list(line) == list(row)
        for key, value in row.items():
            if value is None:
                assert line[key] == ""
            elif isinstance(value, float):
                assert float(line[key]) == pytest.approx(value, rel=1e-9)
            else:
                assert line[key] == str(value)


def test_csv_of_known_rows() -> None:
    rows = [
        {"name": "a,b", "cycles": 7, "utilization": 1 / 3},
        {"name": 'c"', "cycles": 10**18, "utilization": None},
    ]
    assert csv_text(rows) == 'name,cycles,utilization\n"a,b",7,0.3333333333\n"c""",1000000000000000000,\n'


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_are_the_same_bytes_when_written_again(tmp_path: Path, suffix: str) -> None:
    report().save(tmp_path / f"a{suffix}")
    report().save(tmp_path / f"b{suffix}")
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert len(content) > 500
    assert content == (tmp_path / f"b{suffix}").read_bytes()


def test_a_saved_report_is_loaded_again(tmp_path: Path) -> None:
    report().save(tmp_path / "deep" / "report.json")
    assert Report.load(tmp_path / "deep" / "report.json") == report()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("r.htm", f"cannot write 'r.htm': {ALLOWED}, found .htm; did you mean '.html'?"),
        (
            "r.jsno",
            f"cannot write 'r.jsno': {ALLOWED}, found .jsno; did you mean '.json'?",
        ),
        ("r", f"cannot write 'r': {ALLOWED}, found no suffix"),
        (".csv", f"cannot write '.csv': {ALLOWED}, found no suffix"),
        ("r.trace", f"cannot write 'r.trace': {ALLOWED}, found .trace; did you mean '.trace.json'?"),
        (".trace.json/r", f"cannot write '.trace.json/r': {ALLOWED}, found no suffix"),
    ],
)
def test_an_unknown_suffix_is_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        report().save(name)
    assert str(caught.value) == message


def test_the_longest_suffix_says_what_a_file_is() -> None:
    assert file_format("a/r.trace.json") == ".trace.json"
    assert file_format("r.trace.v2.json") == ".json"
    assert file_format(".trace.json") == ".json"


def test_case_of_a_suffix_does_not_matter(tmp_path: Path) -> None:
    report().save(tmp_path / "R.CSV")
    assert (tmp_path / "R.CSV").read_text().startswith("name,op,stage,")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"^cannot write .*r\.csv': "):
        report().save(tmp_path / "file" / "r.csv")


def test_a_missing_or_broken_report_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"^cannot read '.*none\.json': No such file or directory$"):
        Report.load(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ReportError, match=r"^'.*broken\.json': a report is not JSON: "):
        Report.load(tmp_path / "broken.json")


def test_a_report_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("squeezesim.report.files.MAX_BYTES", 2**20)
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(2**20 + 1)
    with pytest.raises(ReportError, match=r"is larger than 1 MiB, the largest report read$"):
        Report.load(tmp_path / "large.json")


@few
@given(reports())
def test_it_holds_the_rows_of_the_report(made: Report) -> None:
    table = pq.read_table(io.BytesIO(parquet(made)))
    assert table.to_pylist() == made.rows()


def test_columns_have_the_same_types_in_every_report() -> None:
    def types(made: Report) -> dict[str, str]:
        return {field.name: str(field.type) for field in pq.read_table(io.BytesIO(parquet(made))).schema}

    found = types(report())
    assert found == types(report({"energy.pj_per_unit": 2.5, "vector.model": "none"}))
    assert set(found.values()) == {"string", "int64", "double"}
    assert found["cycles"] == found["weight_bits"] == "int64"
    assert found["energy_uj"] == found["weight_density"] == "double"


def test_names_and_totals_are_in_the_metadata() -> None:
    made = report()
    about = json.loads(pq.read_schema(io.BytesIO(parquet(made))).metadata[KEY.encode()])
    assert (about["network"], about["accelerator"]) == ("small", "small_8x8")
    assert about["totals"]["cycles"] == made.totals["cycles"]
    assert about["totals"]["utilization"] == pytest.approx(made.totals["utilization"])
