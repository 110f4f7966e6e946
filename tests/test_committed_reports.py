"""The committed results are what the code gives, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from squeezesim.hardware import Accelerator
from squeezesim.load import load
from squeezesim.report import Report
from squeezesim.report.data import Maker
from squeezesim.simulate import simulate

ROOT = Path(__file__).parents[1]
# Those of `profile`; what `reproduce` writes is compared in tests/cli/test_reproduce.py.
FOLDERS = sorted(path for path in (ROOT / "reports").glob("*__*") if path.is_dir())


def report(folder: Path) -> Report:
    model, hardware = folder.name.split("__")
    made_by = Maker(command=("profile", model, "--hw", f"hwconfigs/{hardware}.yaml"))
    return replace(simulate(load(model), Accelerator.named(hardware)), made_by=made_by)


def test_the_main_command_is_among_them() -> None:
    assert "squeezenext_23__os_32x32" in [folder.name for folder in FOLDERS]
    for folder in FOLDERS:
        assert sorted(file.name for file in folder.iterdir()) == [
            "layers.csv",
            "report.json",
            "utilization.png",
        ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_tables_are_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    fresh = report(folder)
    for name in ("layers.csv", "report.json"):
        fresh.save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_committed_report_is_read_back_whole(folder: Path) -> None:
    assert Report.load(folder / "report.json") == report(folder)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_figures_are_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if f"matplotlib=={version('matplotlib')}" not in pins:
        pytest.skip("another matplotlib draws other bytes")
    report(folder).save(tmp_path / "utilization.png")
    assert (tmp_path / "utilization.png").read_bytes() == (folder / "utilization.png").read_bytes()


def test_the_figure_of_the_docs_is_the_main_command_s() -> None:
    figure = (ROOT / "reports" / "squeezenext_23__os_32x32" / "utilization.png").read_bytes()
    assert (ROOT / "docs" / "img" / "squeezenext_23__os_32x32.png").read_bytes() == figure
