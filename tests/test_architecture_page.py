"""What docs/architecture.md says of adding a dataflow, a memory, a metric and an accelerator is run."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import squeezesim as sq
from squeezesim.cli import main
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.hardware.dataflows import DECLARED
from squeezesim.report.figures.registry import KINDS
from squeezesim.report.metrics import METRICS
from tests.report.cases import network

PAGE = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|yaml)\n(.*?)```", PAGE.partition("## Add one")[2], re.DOTALL)
FLASH = "flash"


@pytest.fixture
def hw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The accelerator of the page, with what the other blocks add."""
    tables: tuple[dict[str, Any], ...] = (DATAFLOWS, DECLARED, METRICS)
    before = [dict(table) for table in tables]
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, "architecture.md", "exec"), {})
        else:
            (tmp_path / "tiny_8x8.yaml").write_text(block.replace("[ws, os]", "[line]"), encoding="utf-8")
    network().save(tmp_path / "small.graph.json")
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "tiny_8x8.yaml"
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


def test_there_is_a_block_for_each() -> None:
    assert [language for language, _ in BLOCKS] == ["python", "python", "yaml"]


def test_a_profile_has_all_of_it(hw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = [f"{out}/report.{suffix}" for suffix in ("csv", "json", "md", "html")]
    assert (
        main(
            [
                "profile",
                "small.graph.json",
                "--hw",
                str(hw),
                *(part for word in words for part in ("-o", word)),
            ]
        )
        == 0
    )
    rows = list(csv.DictReader((out / "report.csv").read_text(encoding="utf-8").splitlines()))
    products = [row for row in rows if int(row["macs"])]
    assert {row["dataflow"] for row in products} == {"line"}
    # Weights come through a port of half a byte a cycle, which the array waits for.
    assert sum(int(row["lost_flash"]) for row in products) > 0
    assert any(row["bound"] == FLASH for row in products)
    for row in products:
        assert float(row["macs_per_byte"]) == pytest.approx(int(row["macs"]) / int(row["dram_bytes"]))
        lost = sum(int(value) for name, value in row.items() if name.startswith("lost_"))
        assert 64 * int(row["cycles"]) == int(row["executed_macs"]) + lost
    document = json.loads((out / "report.json").read_text(encoding="utf-8"))
    for row in document["layers"]:
        assert row["energy"][FLASH] == sum(row["bits"][FLASH].values()) * 20
    made = sq.Report.load(out / "report.json")
    assert made == sq.simulate("small.graph.json", str(hw))
    assert FLASH in (out / "report.html").read_text(encoding="utf-8")
    assert "macs_per_byte" in made.totals
    capsys.readouterr()


def test_figures_show_it(hw: Path) -> None:
    made = sq.simulate("small.graph.json", str(hw))
    for kind in KINDS:
        if kind != "tradeoff":  # it wants accuracies
            getattr(made.plot, kind)()


def test_a_sweep_ranks_by_it(hw: Path) -> None:
    table = sq.sweep("small.graph.json", str(hw), {"array.cols": [4, 8]}, where=["macs_per_byte > 0"])
    assert (table["macs_per_byte"] > 0).all()
    assert table["latency_us"].nunique() == 2


def test_explanations_and_advice_name_it(hw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "small.graph.json", "--hw", str(hw)]) == 0
    assert FLASH in capsys.readouterr().out
