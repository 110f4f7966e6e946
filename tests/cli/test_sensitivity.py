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


def test_sizes_of_the_buffer(run: Run) -> None:
    found = run(*SMALL, "--sizes", "8:32:x2", "--plot", "a.svg")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0].startswith("small on small_8x8, which has 16 KiB; compulsory DRAM traffic ")
    assert [line.split()[0] for line in lines[2:5]] == ["8", "16", "32"]
    assert lines[-1] == "wrote a.svg"
    csv = run(*SMALL, "--sizes", "8,16", "--format", "csv")
    assert csv.out.splitlines()[0].startswith("network,size_kib,latency_us,energy_uj")
    assert csv.err == (
        "note: no feature map stays: memory.global_buffer.keeps is not [activations], or memory.placement is layer\n"
    )
    points = json.loads(run(*SMALL, "--sizes", "8,16", "--format", "json").out)["points"]
    assert [point["size_kib"] for point in points] == [8, 16]
    bad = run(*SMALL, "--sizes", "8:16")
    assert (bad.code, bad.err) == (
        2,
        "error: --sizes '8:16'; allowed: auto, numbers in KiB as 64,128 or from:to:step, from:to:xFACTOR\n",
    )
