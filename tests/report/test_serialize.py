from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from squeezesim import __version__
from squeezesim.errors import ReportError
from squeezesim.report import metrics
from squeezesim.report.data import Maker
from squeezesim.report.metrics import METRICS, column_table, metrics_of
from squeezesim.report.perfetto import MOST_PLAYED, MOST_SLICES
from squeezesim.report.report import Report
from squeezesim.report.serialize import decode, encode, report_schema
from tests.report.cases import few, report, reports


@few
@given(reports())
def test_reading_gives_an_equal_report_and_the_same_text(made: Report) -> None:
    text = encode(made)
    again = decode(text)
    assert again == made
    assert encode(again) == text


def test_provenance_is_kept() -> None:
    again = decode(encode(report()))
    assert again.accelerator.provenance["memory.dram.bandwidth_gb_s"].source == "a test"


def test_what_made_it_is_kept_and_nothing_of_the_machine() -> None:
    maker = Maker("9.8.7", ("profile", "my net.onnx", "--hw", "os_32x32"))
    text = encode(replace(report(), made_by=maker))
    assert json.loads(text)["made_by"] == {"squeezesim": "9.8.7", "command": list(maker.command)}
    again = decode(text)
    assert again == report()
    assert again.made_by == replace(maker, saved=True)
    assert encode(again) == text
    assert json.loads(encode(report()))["made_by"] == {"squeezesim": __version__}


def test_a_file_that_does_not_say_what_made_it_is_read_and_does_not_say_so_again() -> None:
    again = decode(broken(lambda d: d.pop("made_by")))
    assert again == report()
    assert (again.made_by.version, again.made_by.command) == ("", ())
    assert "made_by" not in json.loads(encode(again))


def test_totals_differ_from_their_layers_at_most_in_the_last_digit() -> None:
    exact = report().totals["utilization"]
    assert exact is not None
    assert decode(broken(lambda d: d["totals"].update(utilization=exact * (1 + 3e-10)))) == report()


def test_it_is_json_with_totals_and_rows_for_readers() -> None:
    document = json.loads(encode(report()))
    assert document["format"] == "squeezesim.report"
    assert document["version"] == 1
    assert document["totals"]["cycles"] == report().totals["cycles"]
    assert document["totals"]["energy_uj"] is None
    assert [row["name"] for row in document["layers"]] == [row["name"] for row in report().rows()]
    assert document["accelerator"]["array"]["rows"] == 8


def broken(change: Any) -> str:
    document = json.loads(encode(report()))
    change(document)
    return json.dumps(document)


WHERE = "the row of layer 'stem.conv': "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d.update(format="x"),
            'no report: it must be an object with "format": "squeezesim.report"',
        ),
        (lambda d: d.update(version=2), "a report of version 2; this program reads 1"),
        (lambda d: d.update(layers=[]), "layers must be a list of 8, one for each layer of the network"),
        (
            lambda d: d["layers"].reverse(),
            "the row of layer 'stem.conv' must be an object with its name, found {",
        ),
        (
            lambda d: d["layers"][0].update(cycles=-1),
            f"{WHERE}cycles must be an integer from 0 to 4611686018427387904, found -1",
        ),
        (
            lambda d: d["layers"][0].update(cycles=10**30),
            f"{WHERE}cycles must be an integer from 0 to 4611686018427387904, found 1000000000000000000000000000000",
        ),
        (
            lambda d: d["layers"][0].update(lost_edge=1),
            f"{WHERE}PEs · cycles are not executed_macs + the losses",
        ),
        (
            lambda d: d["layers"][0].update(cycles=2**61),
            f"{WHERE}PEs · cycles are more than 4611686018427387904",
        ),
        (
            lambda d: d["layers"][0]["time_cycles"].update(dram=2**40),
            f"{WHERE}executed_macs or time_cycles do not fit its macs and cycles",
        ),
        (
            lambda d: d["layers"][0]["energy"].update(mac="1"),
            f"{WHERE}mac must be a number from 0 up, found '1'",
        ),
        (
            lambda d: d["layers"][0]["energy"].update(mac=10**400),
            f"{WHERE}mac must be a number from 0 up, found 1000",
        ),
        (lambda d: d["layers"][0].update(energy=[]), f"{WHERE}energy must be an object, found []"),
        (
            lambda d: d["layers"][0].update(dataflow="xs"),
            f"{WHERE}dataflow must be one of ",
        ),
        (lambda d: d["layers"][0].update(dataflow=""), f"{WHERE}a layer with MACs has a dataflow and a tile"),
        (lambda d: d["layers"][0]["tile"].update(k=0), f"{WHERE}a layer with MACs has a dataflow and a tile"),
        (lambda d: d["layers"][0].update(order=["PKC"]), f"{WHERE}order must be one of "),
        (
            lambda d: d.update(network=None),
            'no network file: it must be an object with "format": "squeezesim.network"',
        ),
        (lambda d: d.update(accelerator=3), "accelerator must be an object, found 3"),
        (lambda d: d["accelerator"]["array"].update(rows=0), "array.rows"),
        (lambda d: d["totals"].update(cycles=7), "totals: cycles is 7, but its layers make 36297"),
        (
            lambda d: d["totals"].update(utilization=0.5),
            "totals: utilization is 0.5, but its layers make 0.23",
        ),
        (lambda d: d["totals"].update(energy_uj=1.0), "totals: energy_uj is 1.0, but its layers make None"),
        (lambda d: d.update(totals=[]), "totals must be an object, found []"),
        (lambda d: d.update(made_by=1), "made_by must be an object, found 1"),
        (
            lambda d: d["made_by"].update(squeezesim=1),
            "made_by: squeezesim must be printable text of at most 1000 characters, found 1",
        ),
        (
            lambda d: d["made_by"].update(command="rm"),
            "made_by: command must be a list of at most 1,000 words, found 'rm'",
        ),
        (
            lambda d: d["made_by"].update(command=["a\nb"]),
            "made_by: a word of command must be printable text of at most 1000 characters, found 'a",
        ),
        (
            lambda d: d["accelerator"]["provenance"].update({"a.b": {}}),
            "accelerator: provenance of 'a.b', which is no parameter of it",
        ),
        (
            lambda d: d["accelerator"].update(provenance=[]),
            "accelerator: provenance must be an object, found []",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change: Any, message: str) -> None:
    with pytest.raises(ReportError) as caught:
        decode(broken(change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a report is not JSON: Expecting value"),
        ("[" * 100_000, "a report is nested too deeply"),
        ('{"a": NaN}', "a report is not JSON: NaN is no number here"),
        (b"\xff\xfe\xff", "a report is not JSON: "),
        ("[]", "no report: "),
        ("9" * 10_000, "a report is not JSON: "),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(text: str | bytes, message: str) -> None:
    with pytest.raises(ReportError) as caught:
        decode(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in items for found in paths(item, (*path, key)))]


DOCUMENT = json.loads(encode(report()))
PLACES = [path for path in paths(DOCUMENT) if path]


@given(
    st.sampled_from(PLACES),
    st.sampled_from([None, True, -1, 0, 1.5, 2**63, 10**400, "", "x", [], [[]], {}, {"value": 1}]),
)
def test_no_replaced_value_gives_anything_but_a_report_or_one_line(
    place: tuple[Any, ...], value: Any
) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    refused, again = "", report()
    try:
        again = decode(json.dumps(document))
    except ReportError as error:
        refused = str(error)
    assert "\n" not in refused
    rows = metrics.rows(again)
    assert len(rows) == len(again.network.layers)
    assert metrics.totals(again)["cycles"] == sum(row["cycles"] for row in rows)


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
        always = [metric for metric in metrics_of("layer") if not metric.is_optional]
        assert list(row) == [metric.name for metric in always]
        for metric in always:
            value = row[metric.name]
            assert type(value) is types[metric.kind] or (value is None and metric.can_be_empty)


def test_the_dictionary_has_the_columns_of_some_reports() -> None:
    every = [metric.name for metric in metrics_of("layer")]
    of_maps = ("inputs_in", "output_in", "kept_bytes")
    own = (
        "unit",
        "macs_per_pe",
        *of_maps,
        "weights_in",
        "ahead_bytes",
        "memory_dram_bytes",
        *(name for name in every if name.startswith("scalesim")),
    )
    some: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
        "scalesim": (("scalesim",), {"array.dataflows": ["scalesim_ws"]}),
        "unit": (("unit",), {"array.units": {"conv": {"unroll": {"k": 8, "c": 4}}}}),
        "macs_per_pe": (("macs_per_pe",), {"precision.rates": ["w16a16:2"]}),
        "maps": (of_maps, {"memory.global_buffer.keeps": ["activations"]}),
        "weights": (("weights_in",), {"memory.stays.size_kib": 1.0}),
        "ahead": (("ahead_bytes",), {"memory.prefetch": "weights"}),
    }
    for marks, changes in some.values():
        left_out = [name for name in own if not name.startswith(marks)]
        assert list(report(changes).rows()[0]) == [name for name in every if name not in left_out]


def test_a_report_of_maps_that_stay_is_read_as_it_was_written() -> None:
    made = report({"memory.global_buffer.keeps": ["activations"]})
    assert made.costs.homes.any()
    again = decode(encode(made))
    assert again.costs.equals(made.costs)
    broken = re.sub(r'("homes": ?{[^}]*)"buffer"', r'\1"shelf"', encode(made), count=1)
    with pytest.raises(ReportError, match=r"must be one of .*shelf"):
        decode(broken)


def test_units_are_those_of_the_names() -> None:
    for name, metric in METRICS.items():
        for suffix, unit in (("_us", "µs"), ("_uj", "µJ"), ("_bytes", "bytes"), ("_bits", "bits")):
            assert not name.endswith(suffix) or metric.unit == unit


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
        "stays",
        "single",
        "tile",
        "pointwise",
        "time_cycles",
        "bits",
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
