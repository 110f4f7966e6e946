from __future__ import annotations

import csv
import io
import json
import sys
from unittest import mock

import pytest
from rich.console import Console

import squeezesim
from squeezesim.cli import main
from squeezesim.zoo.registry import catalogue, parse_spec
from tests.cli.conftest import Run

HEADER = ["name", "published_as", "input", "params", "macs", "top1_percent", "top5_percent", "printed_in"]


def test_every_built_in_network_is_listed_with_its_facts(run: Run) -> None:
    code, out, err = run("models")
    assert (code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert list(lines) == squeezesim.models()
    assert "3x227x227  717.3 k  278.0 M    59.05    82.60  2018  Gholami et al." in lines["squeezenext_23"]
    assert "3x224x224  1.573 M  447.7 M        –        –  2016" in lines["squeezenet_1_1_complex_bypass"]
    for entry in catalogue().values():
        assert f"  {entry.family.source}  " in lines[entry.name]
        assert lines[entry.name].endswith(", ".join(entry.defaults) or "–")


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (80, ["name", "params", "MACs", "top-1 %", "top-5 %", "year"]),
        (200, ["name", "input", "params", "MACs", "top-1 %", "top-5 %", "year", "source"]),
    ],
)
def test_a_terminal_gets_the_columns_that_fit_it(
    width: int, columns: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def console() -> Console:
        return Console(file=sys.stdout, width=width, force_terminal=True, color_system=None)

    with mock.patch("squeezesim.cli.output.console", console):
        assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines[0].split()) == " ".join(columns)
    assert max(len(line.rstrip()) for line in lines) <= width
    hidden = 9 - len(columns)
    assert lines[-1].startswith(f"{hidden} column{'s' if hidden > 1 else ''} hidden; ")
    assert len(lines) == len(squeezesim.models()) + 4


def test_csv_and_json_have_whole_numbers_and_the_values_of_options(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("models", "--format", "csv").out)))
    objects = json.loads(run("models", "--format", "json").out)
    assert [*rows[0]] == [*objects[0]] == [*HEADER, "year", "source", "options"]
    assert len(rows) == len(objects) == len(catalogue())
    for row, item, entry in zip(rows, objects, catalogue().values(), strict=True):
        assert {key: str("" if value is None else value) for key, value in item.items()} == row
        assert (item["name"], item["params"], item["macs"]) == (
            entry.name,
            entry.facts.params,
            entry.facts.macs,
        )
        assert not item["options"] or not parse_spec(f"{entry.name}@{item['options']}").changes


@pytest.mark.parametrize("column", ["macs", "params", "top1_percent", "top5_percent", "year"])
def test_numbers_are_sorted_descending_and_missing_ones_are_last(column: str, run: Run) -> None:
    rows = json.loads(run("models", "--sort", column, "--format", "json").out)
    values = [row[column] for row in rows]
    known = [value for value in values if value is not None]
    assert values == sorted(known, reverse=True) + [None] * (len(values) - len(known))
    assert {row["name"] for row in rows} == set(squeezesim.models())


def test_names_are_sorted_ascending(run: Run) -> None:
    lines = run("models", "--sort", "name").out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == sorted(squeezesim.models())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sort", "mac"], "there is no column 'mac'; allowed: name, published_as, "),
        (["--format", "xml"], "--format 'xml'; allowed: table, csv, json"),
    ],
)
def test_mistakes(arguments: list[str], message: str, run: Run) -> None:
    code, out, err = run("models", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
