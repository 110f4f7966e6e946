"""The host's work beside the accelerator's: a time of its own in reports and calibrations, none by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from squeezesim import simulate
from squeezesim.explore.calibrate import calibrate
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.config import from_text
from squeezesim.network import Layer, Network
from squeezesim.report.host import HostWork, host_work, inference_us
from squeezesim.report.text import text
from squeezesim.yaml_tree import Source

HW = Accelerator.named("hybrid_32x32")
NETWORK = Network.from_layers([Layer.conv("a", c=3, k=8, oy=10, ox=10, fy=1, fx=1)], "one")


def test_there_is_none_by_default() -> None:
    assert host_work(NETWORK, HW) == HostWork(0.0, 0.0, 0)
    assert "inference" not in text(simulate("squeezenet_1_1", HW))
    assert "host" not in HW.to_yaml()


def test_time_and_link_are_added_to_the_latency() -> None:
    """squeezenet_1_1 reads 3·224·224 bytes and leaves 1,000: at 0.05 GB/s 3,030.56 µs."""
    hw = HW.replace({"host.time_us": 500, "host.bandwidth_gb_s": 0.05})
    report, before = simulate("squeezenet_1_1", hw), simulate("squeezenet_1_1", HW)
    assert report.totals == before.totals  # the accelerator's own
    host = host_work(report.network, hw)
    assert (host.fixed_us, host.moved_bytes) == (500, 3 * 224 * 224 + 1000)
    assert host.link_us == pytest.approx((3 * 224 * 224 + 1000) / 50)
    latency = before.totals["latency_us"]
    assert latency is not None
    assert inference_us(report) == pytest.approx(latency + 500 + host.link_us)
    printed = text(report)
    assert "host         3,531 µs, 3,031 µs of it the link, 148.0 KiB" in printed
    assert "µs, latency and host" in printed
    assert from_text(Source("again.yaml", hw.to_yaml()), Accelerator) == hw


def test_measured_networks_are_compared_with_inferences_and_layers_with_latencies(tmp_path: Path) -> None:
    table = tmp_path / "measured.csv"
    table.write_text("model,layer,latency_us\nsqueezenet_1_1,,2000\nsqueezenet_1_1,features.0,100\n")
    layer = simulate("squeezenet_1_1", HW).network.layers[0].name
    table.write_text(table.read_text().replace("features.0", layer))
    of_chip, of_both = (calibrate(hw, table).simulated for hw in (HW, HW.replace({"host.time_us": 700})))
    assert of_both[0] == pytest.approx(of_chip[0] + 700)
    assert of_both[1] == of_chip[1]
