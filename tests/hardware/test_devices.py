"""Devices beside what was measured on them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Layer, Network
from squeezesim.report.report import Report
from squeezesim.simulate import simulate

MEASURED = Path(__file__).parents[1] / "data" / "devices"


def rows(name: str) -> list[dict[str, str]]:
    with (MEASURED / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def dpu_layers() -> dict[str, tuple[Report, dict[str, str]]]:
    dpu, found = Accelerator.named("dpu_b4096"), {}
    for row in rows("dpu_b4096_layers.csv"):
        sizes = {key: int(row[key]) for key in ("c", "k", "oy", "ox", "fy", "fx", "stride", "padding")}
        layer = Layer.conv(row["layer"], **sizes)
        found[f"{row['net']}.{row['layer']}"] = simulate(Network.from_layers([layer]), dpu), row
    return found


def error(report: Report, row: dict[str, str]) -> float:
    return report.totals["latency_us"] / 1e3 / float(row["runtime_ms_runB"]) - 1


def test_large_layers_on_the_dpu_are_within_12_percent(
    dpu_layers: dict[str, tuple[Report, dict[str, str]]],
) -> None:
    large = {
        name: error(report, row)
        for name, (report, row) in dpu_layers.items()
        if float(row["workload_mop"]) >= 100 or row["layer"] in ("fc6", "fc7")
    }
    assert len(large) == 21
    assert np.mean(np.abs([*large.values()])) <= 0.12
    assert max(large.values()) <= 0.01  # what no key says, waits and starts, is missing from all


def test_weights_without_room_for_two_slots_are_loaded_before_they_are_used(
    dpu_layers: dict[str, tuple[Report, dict[str, str]]],
) -> None:
    """Two of conv6's filter blocks, 16 × 512 × 49 bytes each, exceed the 512 KiB of weights; fc6's do not."""
    conv6, fc6 = (dpu_layers[name][0] for name in ("fcn8.conv6", "alexnet.fc6"))
    assert "single:weights" in conv6.rows()[0]["tiling"]
    assert "single:weights" not in fc6.rows()[0]["tiling"]
    cycles = 32 * 32 * 49 * 7  # blocks of 16 × 16 channels, taps, rows of 7 pixels
    loading = 512 * 512 * 49 / 32
    assert cycles + loading <= conv6.totals["cycles"] <= 1.01 * (cycles + loading)


def test_depthwise_layers_run_on_their_engine() -> None:
    measured = next(row for row in rows("dpu_b4096_networks.csv") if row["squeezesim"] == "mobilenet_v1")
    frames = 1e6 / simulate("mobilenet_v1", "dpu_b4096").totals["latency_us"]
    assert abs(frames / float(measured["fps_multi_thread"]) - 1) <= 0.15
