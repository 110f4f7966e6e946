from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from squeezesim.errors import HardwareError, ModelError, UsageError
from squeezesim.explore.compare.compare import compare
from squeezesim.explore.sensitivity import sensitivity
from squeezesim.explore.sweep.sweep import sweep
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Layer, Network, ops
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


@pytest.mark.parametrize("machine", ["os_32x32", "ws_32x32", "eyeriss"])
def test_a_transposed_convolution_stores_each_output_once(machine: str) -> None:
    """4×4 taps, stride 2, 64 channels, 28×28 to 56×56 pixels: 200,704 outputs of 8 or 16 bits, 51.4 M MACs."""
    shapes = (1, 64, 28, 28), (64, 64, 4, 4), (1, 64, 56, 56)
    layer = ops.transposed_convolution(*shapes, stride=(2, 2), dilation=(1, 1))
    costs = simulate(Network.from_layers([layer]), machine).costs
    assert costs.executed.sum() == 28 * 28 * 64 * 64 * 16
    moved = {name: int(costs.dram_bytes[0, 0, place]) for place, name in enumerate(costs.axes.operands)}
    width = 2 if machine == "eyeriss" else 1
    assert moved["outputs"] == width * 200_704
    assert moved["weights"] >= width * 64 * 64 * 16


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


@settings(max_examples=30)
@given(
    taps=st.integers(1, 5),
    stride=st.integers(1, 3),
    size=st.integers(1, 9),
    channels=st.sampled_from([1, 3, 8, 16]),
    filters=st.sampled_from([1, 4, 8]),
    data=st.data(),
)
def test_transposed_convolutions_store_all_outputs_and_hardly_more(
    taps: int, stride: int, size: int, channels: int, filters: int, data: st.DataObject
) -> None:
    """All outputs are stored; what is stored beyond them is a row and what padding cuts off."""
    padding, more = data.draw(st.integers(0, taps - 1)), data.draw(st.integers(0, stride - 1))
    made = (size - 1) * stride - 2 * padding + taps + more
    assume(made > 0)
    shapes = (1, channels, size, size), (channels, filters, taps, taps), (1, filters, made, made)
    layer = ops.transposed_convolution(*shapes, stride=(stride, stride), dilation=(1, 1))
    costs = simulate(Network.from_layers([layer]), "ws_32x32").costs
    assert costs.executed.sum() == layer.macs == size**2 * channels * filters * taps**2
    stored = int(costs.dram_bytes[0, 0, costs.axes.operands.index("outputs")])
    assert layer.output_elements == filters * made**2 <= stored
    assert stored < filters * made**2 + layer.k * size or layer.k * size**2 == stored


def test_rows_that_no_loop_makes_read_no_inputs() -> None:
    """1×1 taps and stride 2: three of four outputs are no product, and inputs are read once."""
    shapes = (1, 64, 28, 28), (64, 64, 1, 1), (1, 64, 56, 56)
    layer = ops.transposed_convolution(*shapes, stride=(2, 2), dilation=(1, 1))
    costs = simulate(Network.from_layers([layer]), "ws_32x32").costs
    bytes_of = dict(zip(costs.axes.operands, costs.dram_bytes[0, 0].tolist(), strict=True))
    assert bytes_of == {"inputs": 64 * 28**2, "weights": 64**2, "outputs": 64 * 56**2, "psums": 0}


def test_by_edp_a_product_on_rs_is_laid_by_latency() -> None:
    """The least product of a tile's own cycles and energy takes 2,240 cycles and 980,640 MAC-equivalents."""
    on = Accelerator.from_dict(
        {
            "name": "small",
            "clock_mhz": 800,
            "array": {"rows": 8, "cols": 24, "dataflows": ["rs"]},
            "precision": {"weight_bits": 8, "activation_bits": 8},
            "memory": {
                "global_buffer": {"size_kib": 64, "double_buffered": []},
                "dram": {"bandwidth_gb_s": 12.8, "latency_cycles": 20},
            },
            "control": {"layer_setup_cycles": 1000},
        }
    )
    net = Network.from_layers([Layer.matmul("fc", m=4, n=10, k=128)])
    found = {}
    for objective in ("latency", "edp"):
        totals = simulate(net, on.replace({"mapper.objective": objective})).totals
        found[objective] = (totals["cycles"], totals["energy_mac_equiv"])
    assert found == dict.fromkeys(("latency", "edp"), (2044, 936_032))
