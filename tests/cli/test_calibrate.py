from __future__ import annotations

import csv
from pathlib import Path

import pytest

import squeezesim as sq
from tests.cli.conftest import Run


def test_the_command_writes_the_accelerator(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "measured.csv"
    file.write_text("model,latency_ms\nsqueezenet_1_1,4.0\n")
    out = tmp_path / "fitted.yaml"
    given = "squeezelerator_16x16", "--measured", str(file)
    done = run("calibrate", *given, "--fit", "memory.dram.usable_fraction", "-o", str(out), "--format", "csv")
    assert done.code == 0
    (row,) = csv.DictReader(done.out.splitlines())
    assert float(row["measured"]) == 4000
    assert abs(float(row["fitted_error"])) < 2e-3
    assert row["left_out_error"] == ""
    found = sq.Accelerator.from_yaml(out)
    assert found.provenance["memory.dram.usable_fraction"].provenance == "calibrated"
    assert sq.simulate("squeezenet_1_1", found).totals["latency_us"] == pytest.approx(
        float(row["fitted"]), rel=1e-6
    )
    refused = run("calibrate", *given, "-o", str(out))
    assert (refused.code, refused.err) == (2, "error: -o writes fitted values; needed: --fit PATH\n")
