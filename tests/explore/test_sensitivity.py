from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import pytest

import squeezesim as sq
from squeezesim.errors import UsageError
from squeezesim.explore.sensitivity import OWN, Study, break_even, draw, ranks, study, tornado
from squeezesim.hardware.parts import tables
from tests.report.cases import network

HW = sq.Accelerator.named("squeezelerator_16x16")
BANDWIDTH = "memory.dram.bandwidth_gb_s"


@cache
def networks() -> list[sq.Network]:
    layers = [
        sq.Layer.conv("a", c=16, k=32, oy=28, ox=28, fy=3, fx=3),
        sq.Layer.conv("b", c=32, k=128, oy=14, ox=14, fy=1, fx=1),
        sq.Layer.matmul("c", m=1, n=100, k=512),
    ]
    return [network(), sq.Network.from_layers(layers, "three")]


@cache
def studied() -> Study:
    return study(networks(), HW)


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(studied().rows()).set_index(["network", "parameter"])


def test_latency_follows_clock_and_bandwidth_together(table: pd.DataFrame) -> None:
    """λ times the clock and λ times the bandwidth are the same cycles in 1/λ of the time."""
    for net in networks():
        latency = table.loc[net.name].latency_elasticity
        assert latency["clock_mhz"] + latency[BANDWIDTH] == pytest.approx(-1, abs=0.02)


def test_energy_is_a_sum_over_prices(table: pd.DataFrame) -> None:
    """So λ times all prices is λ times the energy, and tilings that are chosen by latency stay."""
    for net in networks():
        of = table.loc[net.name]
        prices = of[of.index.str.startswith("energy.overrides.")]
        assert prices.energy_elasticity.sum() == pytest.approx(1, abs=0.01)
        assert (prices.latency_elasticity == 0).all()
        levels = sq.simulate(net, HW).energy
        share = levels["dram_mac_equiv"].sum() / levels["energy_mac_equiv"].sum()
        assert prices.energy_elasticity["energy.overrides.dram"] == pytest.approx(share, abs=0.01)


def test_ends_are_those_of_simulations(table: pd.DataFrame) -> None:
    own = sq.simulate(networks()[0], HW).totals
    for path in (BANDWIDTH, "array.rows", "memory.global_buffer.size_kib"):
        row = table.loc[networks()[0].name, path]
        for end in ("lower", "upper"):
            there = sq.simulate(networks()[0], HW.replace({path: row[end]})).totals
            assert row[f"latency_{end}"] == pytest.approx(there["latency_us"] / own["latency_us"] - 1)
            relative = there["energy_mac_equiv"] / own["energy_mac_equiv"] - 1
            assert row[f"energy_{end}"] == pytest.approx(relative)


def test_values_stay_within_what_a_parameter_can_have(table: pd.DataFrame) -> None:
    of = table.loc[networks()[0].name]
    assert (of.lower <= of.value).all()
    assert (of.upper >= of.value).all()
    assert of.upper["memory.dram.usable_fraction"] == HW.memory.dram.usable_fraction  # 1.045 is above 1
    assert (of.lower["array.rows"], of.upper["array.rows"]) == (14, 18)


def test_the_break_even_bandwidth_parts_dram_from_the_rest() -> None:
    for net in networks():
        bandwidth = break_even(net, HW)
        assert bandwidth == studied().break_even_gb_s[net.name]
        assert bandwidth is not None
        below = bandwidth / 1e9 ** (1 / 32**4)  # the width of the last interval
        at = sq.sweep(net, HW, {BANDWIDTH: [below, bandwidth, bandwidth * 1.5, bandwidth * 9]})
        assert at.bound[0] == "dram"
        assert not (at.bound[1:] == "dram").any()


def test_a_network_that_never_or_always_waits() -> None:
    layer = sq.Layer.conv("a", c=64, k=64, oy=28, ox=28, fy=3, fx=3)
    conv = sq.Network.from_layers([layer])
    slow = HW.replace({"clock_mhz": 0.001, "control.layer_setup_cycles": 10**9})
    assert break_even(conv, slow) == 0.001
    matmul = sq.Network.from_layers([sq.Layer.matmul("b", m=1, n=4000, k=4000)])
    fast = HW.replace(
        {"clock_mhz": 100_000, "array.rows": 4096, "array.cols": 4096, "memory.dram.latency_cycles": 0}
    )
    fast = fast.replace({"control.pe_setup_cycles": 0, "memory.dram.usable_fraction": 0.001})
    found = break_even(matmul, fast)
    assert found is None or found > 100


def test_ranks_by_energy_table() -> None:
    found = ranks(networks(), HW)
    assert {rank.table for rank in found} <= {OWN, *tables()}
    for table in {rank.table for rank in found}:
        of = sorted((rank for rank in found if rank.table == table), key=lambda rank: rank.rank or 0)
        assert [rank.rank for rank in of] == [1, 2]
        assert of[0].energy_mac_equiv < of[1].energy_mac_equiv  # type: ignore[operator]
    own = [rank.energy_mac_equiv for rank in found if rank.table == OWN]
    assert own == [sq.simulate(net, HW).totals["energy_mac_equiv"] for net in networks()]


def test_the_frame_and_the_figure() -> None:
    frame = sq.sensitivity(networks()[0], HW)
    assert frame.parameter.is_unique
    assert frame.latency_elasticity.abs().is_monotonic_decreasing
    svg = draw(studied(), "svg")
    assert svg.startswith(b"<?xml")
    assert svg == draw(studied(), "svg")


def test_the_plot_names_the_values_that_were_tried() -> None:
    first, _ = tornado(studied()).axes[:2]
    labels = {label.get_text() for label in first.get_yticklabels()}
    assert {"array.rows  14 … 18", "memory.dram.usable_fraction  0.855 … 0.95"} <= labels


def test_the_frame_has_what_the_command_prints() -> None:
    frame = sq.sensitivity(networks(), HW)
    done = studied()
    assert frame.to_dict("records") == pd.DataFrame(done.rows()).to_dict("records")
    assert frame.attrs["break_even_gb_s"] == done.break_even_gb_s
    assert [rank["rank"] for rank in frame.attrs["ranks"]] == [rank.rank for rank in done.ranks]


def test_networks_and_accelerators_by_name(tmp_path: Path) -> None:
    network().save(tmp_path / "small.graph.json")
    frame = sq.sensitivity(str(tmp_path / "small.graph.json"), "squeezelerator_8x8")
    assert set(frame.network) == {"small"}
    assert frame.set_index("parameter").value["array.rows"] == 8


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no network is given"),
        ([*networks(), networks()[0]], f"network '{networks()[0].name}' is given twice"),
    ],
)
def test_no_network_and_one_twice(given: list[sq.Network], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sq.sensitivity(given, HW)


@pytest.mark.parametrize("change", [0, 1, -0.1, 7])
def test_a_change_is_a_share(change: float) -> None:
    with pytest.raises(UsageError, match="allowed: a share above 0 and below 1"):
        sq.sensitivity(networks()[0], HW, change)
