from __future__ import annotations

import csv
import io
import json
from importlib.metadata import version
from pathlib import Path

import pytest

from squeezesim.cli.reproduce import file_names
from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]


@pytest.mark.torch
@pytest.mark.slow
def test_tables_are_printed_and_the_files_are_the_committed_ones(run: Run) -> None:
    code, out, err = run("reproduce", "squeezenext")
    assert (code, err) == (0, "")
    folder = Path("reports", "squeezenext")
    assert sorted(path.name for path in folder.iterdir()) == sorted(file_names())
    assert "\nTable 3, time relative to 1.0-SqNxt-23v5\n  network          16×16 paper " in out
    assert out.endswith(f"      {folder / 'accuracy.svg'}\n")
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = f"matplotlib=={version('matplotlib')}" in pins  # another one draws other bytes
    for name in file_names():
        if pinned or name.endswith(".csv"):
            assert (folder / name).read_bytes() == (ROOT / folder / name).read_bytes(), name


@pytest.mark.torch
def test_data_alone_writes_nothing(run: Run) -> None:
    before = sorted(path.name for path in Path().iterdir())
    rows = list(csv.DictReader(io.StringIO(run("reproduce", "squeezenext", "--format", "csv").out)))
    assert len(rows) == 26
    document = json.loads(run("reproduce", "squeezenext", "--format", "json").out)
    assert [row["cycles"] for row in document["table3"]] == [int(row["cycles"]) for row in rows]
    assert sorted(document) == ["layers", "stages", "table3"]
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["squeezenxt"],
            "there is no paper 'squeezenxt'; allowed: squeezenext; did you mean 'squeezenext'?\n",
        ),
        (["squeezenext", "--format", "xml"], "--format 'xml'; allowed: table, csv, json\n"),
        (["squeezenext", "-o", "small_8x8.yaml"], "cannot write 'small_8x8.yaml/table3.csv': "),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run("reproduce", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
