from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from squeezesim.errors import HardwareError, ModelError, UsageError
from squeezesim.explore.compare.compare import compare
from squeezesim.explore.sensitivity import sensitivity
from squeezesim.explore.sweep.sweep import sweep
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, network


def test_it_costs_every_layer_and_changes_nothing() -> None:
    before = network()
    report = simulate(before, accelerator())
    assert before == network()
    assert report.totals["macs"] == before.macs
    assert report.totals["params"] == before.params
    assert report.totals["vector_ops"] == before.vector_ops
    assert report == simulate(before, accelerator())


def test_a_hand_worked_product() -> None:
    """One MAC a PE and cycle: 8 input and 8 output channels fill 8×8 PEs, and 40 pixels stream past in 40 cycles."""
    net = Network.from_layers([Layer.matmul("a", m=40, n=8, k=8)])
    fast = accelerator({"array.dataflows": ["ws"], "memory.dram.bandwidth_gb_s": 2000})
    (row,) = simulate(net, fast).rows()
    # Set-up; three transfers of at most 4,000 bytes, a cycle each and 40 ns of latency; preload of 8 rows; the pixels.
    assert row["cycles"] == 100 + 3 * (1 + 20) + 8 + 40
    assert row["executed_macs"] == 40 * 64
    assert row["lost_edge"] == 0
    assert row["lost_fill"] == 8 * 64
    assert row["utilization"] == 40 / row["cycles"]


@pytest.mark.parametrize("call", [simulate, compare, sensitivity, sweep])
@pytest.mark.parametrize("wrong", [None, 3])
def test_what_is_no_network_and_no_accelerator_is_refused_in_one_line(
    call: Callable[..., object], wrong: object
) -> None:
    changes = [{"array.rows": [8]}] if call is sweep else []
    with pytest.raises(UsageError, match=rf"^network {wrong!r}; allowed: a Network, "):
        call(wrong, "os_32x32", *changes)
    with pytest.raises(UsageError, match=rf"^accelerator {wrong!r}; allowed: an Accelerator, "):
        call("squeezenext_23", wrong, *changes)


def test_a_network_without_macs_is_refused_in_one_line() -> None:
    pools = Network.from_layers([Layer.vector("pool", op="max_pool", k=3)], name="pools")
    with pytest.raises(ModelError) as caught:
        simulate(pools, accelerator())
    assert str(caught.value) == (
        "network 'pools' has no MAC layer: nothing in it is a convolution or a matrix product"
    )


def test_a_layer_that_fits_no_buffer_is_refused() -> None:
    wide = Network.from_layers([Layer.conv("wide", c=1, k=1, oy=1, ox=1, fy=200, fx=200)])
    with pytest.raises(
        HardwareError, match=r"^small_8x8: layer 'wide' .*memory\.global_buffer\.size_kib is 16$"
    ):
        simulate(wide, accelerator())


def test_names_and_paths_are_taken_for_what_they_name(tmp_path: Path) -> None:
    network().save(tmp_path / "small.graph.json")
    (tmp_path / "a.yaml").write_text(accelerator().to_yaml(), encoding="utf-8")
    expected = simulate(network(), accelerator())
    assert simulate(tmp_path / "small.graph.json", tmp_path / "a.yaml").costs.cycles.tolist() == (
        expected.costs.cycles.tolist()
    )
    named = simulate("squeezenet_1_1", "os_32x32")
    assert named == simulate(load("squeezenet_1_1"), Accelerator.named("os_32x32"))
    with pytest.raises(ModelError, match="squeezenet_1_1"):
        simulate("squeezenet_1_2", "os_32x32")
    with pytest.raises(HardwareError, match="os_32x32"):
        simulate("squeezenet_1_1", "os_32x33")
