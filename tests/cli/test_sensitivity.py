from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SMALL = ("sensitivity", "small.graph.json", "--hw", "small_8x8.yaml")


def test_table(run: Run) -> None:
    result = run(*SMALL, "--top", "3", "--plot", "a.svg")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "small on small_8x8: elasticities"
    assert lines[1].split() == ["parameter", "value", "from", "to", "latency", "energy"]
    assert lines[5:9] == ["", "  3 of 17 parameters", "", "DRAM bandwidth"]
    assert lines[-1] == "wrote a.svg"
    assert Path("a.svg").read_bytes().startswith(b"<?xml")


def test_csv_and_json_hold_every_parameter(run: Run) -> None:
    csv = run(*SMALL, "--format", "csv").out.splitlines()
    assert csv[0].startswith("network,parameter,value,lower,upper,latency_lower")
    found = json.loads(run(*SMALL, "--format", "json").out)
    assert len(found["elasticities"]) == len(csv) - 1 > 15
    assert found["ranks"] == []
    assert set(found["break_even_gb_s"]) == {"small"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--change", "0"), "a change of 0; allowed: a share above 0 and below 1, as 0.1"),
        (("--plot", "a.gif"), "--plot 'a.gif': a figure ends in .png or .svg"),
        (("--hw", "os_32x32"), "--hw is given 2 times, as small_8x8.yaml, os_32x32; allowed: once"),
        (("--format", "xml"), "--format 'xml'; allowed: table, csv, json"),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    result = run(*SMALL, *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: {message}\n"
