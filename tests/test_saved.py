"""Files that users of version 0.1 have saved are read, and say what they said then (tests/data/saved_0_1/README.md)."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import squeezesim as sq
from squeezesim.cli import main

SAVED = Path(__file__).parent / "data" / "saved_0_1"
REPORT = json.loads((SAVED / "report.json").read_text(encoding="utf-8"))
SWEEP = pd.read_parquet(SAVED / "sweep" / "part-00000.parquet")

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command, which must succeed, in a folder with the files that the saved ones were made from."""
    monkeypatch.chdir(tmp_path)
    for name in ("accelerator.yaml", "recipe.yaml"):
        shutil.copy(SAVED / name, name)

    def command(*arguments: str) -> str:
        code = main(arguments)
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return command


def agrees(found: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """What was saved is there with its value; files hold ten digits. What is new may stand beside it."""
    assert saved.keys() <= found.keys()
    for name, value in saved.items():
        expected = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
        assert found[name] == expected, name


def columns(name: str) -> list[str]:
    with (SAVED / name).open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def test_a_graph() -> None:
    graph = json.loads((SAVED / "squeezenet_1_1.graph.json").read_text(encoding="utf-8"))
    network = sq.load(str(SAVED / "squeezenet_1_1.graph.json"))
    assert network.name == graph["name"] == "squeezenet_1_1"
    assert [layer.name for layer in network.layers] == [layer["name"] for layer in graph["layers"]]
    assert [layer.op for layer in network.layers] == [layer["op"] for layer in graph["layers"]]
    assert (network.params, network.macs) == (1_235_496, 349_151_936)
    assert sum(layer.vector_ops for layer in network.layers) == 8_319_288
    assert list(dict.fromkeys(layer.stage for layer in network.layers)) == [
        *("stem", "stage1", "stage2", "stage3", "head")
    ]


def test_a_graph_is_written_in_the_newest_form_and_says_the_same(tmp_path: Path) -> None:
    network = sq.load(str(SAVED / "squeezenet_1_1.graph.json"))
    network.save(tmp_path / "new.graph.json")
    assert sq.load(str(tmp_path / "new.graph.json")) == network


def test_an_accelerator() -> None:
    hw = sq.Accelerator.from_yaml(SAVED / "accelerator.yaml")
    assert (hw.name, hw.array.rows, hw.array.cols, hw.clock_mhz) == ("hybrid_32x32", 32, 32, 800)
    assert hw.array.dataflows == ("ws", "os")
    assert (hw.array.ports, hw.vector.lanes, hw.array.register_file.psum_words) == (32, 32, 64)
    assert (hw.precision.weight_bits, hw.precision.accumulator_bits) == (8, 32)
    memory = hw.memory
    assert (memory.global_buffer.size_kib, memory.dram.bandwidth_gb_s) == (512, 12.8)
    assert (memory.dram.usable_fraction, memory.dram.latency_ns) == (0.8, 100)
    assert (hw.control.layer_setup_cycles, hw.mapper.latency_slack) == (1000, 0.05)
    assert (hw.mapper.objective, hw.energy.table) == ("latency", "cacti_45nm")


def test_a_recipe() -> None:
    network = sq.load(f"squeezenet_1_1+compress={SAVED / 'recipe.yaml'}")
    assert (network.params, network.macs) == (REPORT["totals"]["params"], REPORT["totals"]["macs"])
    layers = {layer.name: layer for layer in network.layers}
    for saved in REPORT["layers"]:
        if saved["macs"]:
            layer = layers[saved["name"]]
            assert (layer.macs, layer.k, layer.c) == (saved["macs"], saved["k"], saved["c"])
            density = 1 if layer.weight_density is None else layer.weight_density
            assert density == pytest.approx(saved["weight_density"], rel=1e-9)
            assert (layer.weight_bits, layer.activation_bits) == (
                saved["weight_bits"],
                saved["activation_bits"],
            )


def test_a_report() -> None:
    report = sq.Report.load(SAVED / "report.json")
    agrees(report.totals, REPORT["totals"])
    rows = report.rows()
    assert len(rows) == len(REPORT["layers"]) == 49
    for row, saved in zip(rows, REPORT["layers"], strict=True):
        agrees(row, {name: saved[name] for name in columns("report.csv") if saved[name] is not None})
    hw = report.accelerator
    assert (hw.name, hw.memory.dram.usable_fraction) == ("hybrid_32x32", 0.8)
    assert report.network.macs == REPORT["totals"]["macs"]


def test_a_report_is_written_in_the_newest_form_and_says_the_same(tmp_path: Path) -> None:
    report = sq.Report.load(SAVED / "report.json")
    report.save(tmp_path / "new.json")
    agrees(sq.Report.load(tmp_path / "new.json").totals, REPORT["totals"])


@pytest.mark.parametrize(
    "command",
    [
        ("compare", "report.json", "report.json"),
        ("explain", "report.json"),
        ("report", "report.json", "-o", "page.html"),
        ("plot", "losses", "report.json", "-o", "figure.svg"),
    ],
    ids=lambda command: command[0],
)
def test_commands_take_a_saved_report(command: tuple[str, ...], run: Run) -> None:
    shutil.copy(SAVED / "report.json", "report.json")
    run(*command)


def test_a_report_as_columns_of_text(run: Run) -> None:
    """Nothing reads reports in CSV back: their columns stay, in their order, and their values their form."""
    lines = run(
        "profile", "squeezenet_1_1+compress=recipe.yaml", "--hw", "accelerator.yaml", "--format", "csv"
    )
    now = list(csv.DictReader(lines.splitlines()))
    with (SAVED / "report.csv").open(encoding="utf-8", newline="") as file:
        saved = list(csv.DictReader(file))
    assert [name for name in now[0] if name in saved[0]] == columns("report.csv")
    for name in ("name", "op", "stage", "k", "c", "oy", "ox", "stride", "macs", "params", "weight_density"):
        assert [row[name] for row in now] == [row[name] for row in saved], name


def test_a_comparison_keeps_its_keys(run: Run) -> None:
    run(
        *("compare", "squeezenet_1_1", "squeezenext_23", "--hw", "os_32x32", "--hw", "squeezelerator_16x16"),
        *("-o", "now.json", "-o", "now.csv"),
    )
    saved = json.loads((SAVED / "comparison.json").read_text(encoding="utf-8"))
    now = json.loads(Path("now.json").read_text(encoding="utf-8"))
    assert saved.keys() <= now.keys()
    assert len(now["results"]) == len(saved["results"]) == 4
    for found, result in zip(now["results"], saved["results"], strict=True):
        assert result.keys() <= found.keys()
        for name in ("network", "accelerator", "top1_percent", "params", "macs", "baseline", "macs_relative"):
            assert found[name] == result[name]
    header = Path("now.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert set(columns("comparison.csv")) <= set(header)


@pytest.mark.torch
@pytest.mark.slow
def test_an_allocation_keeps_its_keys(run: Run) -> None:
    run(
        *("allocate", "squeezenext_23_v5", "--hw", "squeezelerator_16x16", "--max-params", "600k"),
        *("-o", "now.json", "-o", "now.csv"),
    )
    saved = json.loads((SAVED / "allocation.json").read_text(encoding="utf-8"))
    now = json.loads(Path("now.json").read_text(encoding="utf-8"))
    assert saved.keys() <= now.keys()
    for name in ("model", "blocks", "stages", "options", "allocations"):
        assert now[name] == saved[name]
    (found,), (result,) = now["results"], saved["results"]
    assert result.keys() <= found.keys()
    assert found["within_budgets"] == result["within_budgets"] == 53
    for part in ("networks", "rows"):
        assert result[part][0].keys() <= found[part][0].keys()
    sizes = [
        {(row["depth"], row["params"], row["macs"]) for row in rows}
        for rows in (found["rows"], result["rows"])
    ]
    assert sizes[0] == sizes[1]
    header = Path("now.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert set(columns("allocation.csv")) <= set(header)


def test_a_sweep_goes_on_with_the_same_command(run: Run) -> None:
    """What is there is read or costed again, never refused; the rows are those of the sweep, each once."""
    shutil.copytree(SAVED / "sweep", "sweep")
    run(
        *("sweep", "squeezenet_1_1", "--hw", "accelerator.yaml", "--set", "array.rows=16,32"),
        *("--set", "array.cols=array.rows", "--set", "memory.global_buffer.size_kib=128:512:x2"),
        *("--jobs", "1", "-o", "sweep"),
    )
    now = pd.read_parquet("sweep").sort_values("design", ignore_index=True)
    assert set(SWEEP) <= set(now)
    given = [
        "design",
        "network",
        "array.rows",
        "array.cols",
        "memory.global_buffer.size_kib",
        "params",
        "macs",
    ]
    pd.testing.assert_frame_equal(now[given], SWEEP[given])
    assert (now["cycles"] > 0).all()
    assert now["problem"].isna().all()
