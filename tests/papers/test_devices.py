"""Devices beside what was measured on them."""

from __future__ import annotations

import numpy as np
import pytest

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Layer, Network
from squeezesim.papers.devices import check as checking
from squeezesim.papers.devices.check import DEVICES, Compared, compared
from squeezesim.papers.devices.dpu import DPU
from squeezesim.papers.devices.errors import committed, text
from squeezesim.papers.devices.figure import figure
from squeezesim.papers.devices.nvdla import winograd
from squeezesim.papers.devices.record import (
    CYCLES,
    MILLISECONDS,
    Aim,
    Device,
    Measured,
    Ran,
    disorder,
    largest_error,
    mean_error,
    run,
)
from squeezesim.papers.devices.vta import VTA
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.papers.checked import checked
from tests.validation import ROOT, errors_of

CHEAP = (DPU, VTA)


@pytest.fixture(scope="module")
def cheap() -> list[Compared]:
    return [compared(device) for device in CHEAP]


@pytest.fixture(scope="module")
def every() -> list[Compared]:
    return [compared(device) for device in DEVICES]


def made(value: float, ours: float, *groups: str) -> Ran:
    """A row of a device, without a simulation."""
    network = Network.from_layers([Layer.matmul("fc", m=1, n=8, k=8)])
    item = Measured(
        subject="fc", quantity=CYCLES, value=value, network=network, accelerator="os_32x32", groups=groups
    )
    return Ran(item, ours, 500.0)


def test_measures_of_errors() -> None:
    rows = [made(100, 110), made(50, 40), made(10, 10)]
    assert mean_error(rows) == pytest.approx((0.1 + 0.2) / 3)
    assert largest_error(rows) == pytest.approx(0.2)
    assert disorder(rows) == 0
    # Ranks 1 2 3 4 against 1 2 4 3: ρ = 1 − 6 · 2 / (4 · 15)
    assert disorder([made(n, ours) for n, ours in zip((1, 2, 3, 4), (1, 2, 4, 3), strict=True)]) == (
        pytest.approx(0.2)
    )
    # Two that are equal have the mean of their ranks: 1 2.5 2.5 against 1 2 3
    assert disorder([made(1, 1), made(2, 2), made(2, 3)]) == pytest.approx(
        1 - np.corrcoef([1, 2.5, 2.5], [1, 2, 3])[0, 1]
    )


def test_times_follow_the_clock() -> None:
    assert made(1000, 500).times_us == (2, 1)  # cycles at 500 MHz
    assert made(1000, 500).error == -0.5


def check_aims(found: Compared) -> None:
    """What is a bound holds; what is said to be missed is."""
    for aim in found.device.aims:
        value = aim.value(found.ran)
        assert np.isfinite(value)
        assert (value > aim.limit) == bool(aim.missing), (found.device.name, aim.text, value)


def test_aims_of_the_dpu_and_vta(cheap: list[Compared]) -> None:
    for found in cheap:
        check_aims(found)


def test_the_dpu_is_slower_than_the_model_says(cheap: list[Compared]) -> None:
    """Without the calibrated start all large layers lack it, and waits: none is slower here than it is."""
    large = cheap[0].of("large layers")
    assert len(large) == 21
    without = run([one.item for one in large], DPU.mechanisms["start of a layer"])
    assert max(one.error for one in without) <= 0.01


def test_the_start_of_a_layer_helps_networks_that_it_was_not_fitted_to(cheap: list[Compared]) -> None:
    """The value is the least squares of 25 layers on one board; five networks were measured on another."""
    networks = cheap[0].of("networks")
    without = run([one.item for one in networks], DPU.mechanisms["start of a layer"])
    assert mean_error(networks) < 0.06
    assert mean_error(without) > 0.15


def test_committed_errors_are_current(cheap: list[Compared]) -> None:
    for error in errors_of(cheap, ()):
        assert error in committed()[error.accelerator]


def test_rows_that_fail_break_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    aim = Aim("rows, mean error", "rows", mean_error, 0.1)
    good, bad = made(100, 109, "rows"), made(100, 111, "rows")
    device = Device(
        name="chip",
        title="A chip",
        source="a page",
        grade="silicon",
        compared="Cycles.",
        measured=lambda: (good.item,),
        mechanisms={},
        aims=(aim,),
        missing=("nothing",),
    )
    for row, holds in ((good, True), (bad, False)):
        monkeypatch.setattr(checking, "DEVICES", (device,))
        monkeypatch.setattr(checking, "run", lambda _items, row=row: [row])
        made_check = checking.check(quick=True)
        assert made_check.holds is holds
        assert [(each.reference, each.ours) for each in made_check.rows] == [(100, row.ours)]


def test_weights_without_room_for_two_slots_are_loaded_before_they_are_used() -> None:
    """Two of conv6's filter blocks, 16 × 512 × 49 bytes each, exceed the 512 KiB of weights; fc6's do not."""
    items = {item.subject: item for item in DPU.measured() if item.quantity is MILLISECONDS}
    dpu = Accelerator.named("dpu_b4096").replace({"memory.dram.usable_fraction": 1})
    conv6, fc6 = (simulate(items[name].network, dpu) for name in ("fcn8 conv6", "alexnet fc6"))
    assert "single:weights" in conv6.rows()[0]["tiling"]
    assert "single:weights" not in fc6.rows()[0]["tiling"]
    cycles = 32 * 32 * 49 * 7  # blocks of 16 × 16 channels, taps, rows of 7 pixels
    loading = 512 * 512 * 49 / 32
    assert cycles + loading <= conv6.totals["cycles"] <= 1.01 * (cycles + loading)


def test_a_mechanism_that_is_taken_away_is_gone() -> None:
    dpu = Accelerator.named("dpu_b4096").replace({"control.layer_setup_cycles": 0})
    without = DPU.mechanisms["depthwise engine"](dpu)
    assert [*without.array.units] == ["conv"]
    assert DPU.mechanisms["additions and poolings on the way out"](dpu).array.post_ops == ()
    depthwise = Layer.conv("dw", c=64, k=64, groups=64, oy=14, ox=14, fy=3, fx=3, padding=1)
    net = Network.from_layers([depthwise])
    # 4 blocks of 16 groups, 14 rows of 4 parts, 9 taps; without it 64 groups, 14 rows of 2 parts, 9 taps
    fast, slow = (simulate(net, each).totals["cycles"] for each in (dpu, without))
    assert (4 * 14 * 4 * 9, 64 * 14 * 2 * 9) == (2016, 16128)
    assert 2016 <= fast <= 2016 + 900
    assert 16128 <= slow <= 16128 + 900


def test_winograd_of_a_network_has_its_products_and_bytes() -> None:
    sizes = {"oy": 8, "ox": 8, "fy": 3, "fx": 3, "padding": 1}
    direct = Network.from_layers(
        [
            Layer.conv("a", c=16, k=32, **sizes),  # type: ignore[arg-type]
            Layer.conv("strided", c=32, k=32, oy=4, ox=4, fy=3, fx=3, stride=2, padding=1),
        ]
    )
    first, second = winograd(direct).layers
    assert first.macs == 16 * 32 * 64 * 36 / 4 / 2.25  # 16 products for the 36 of 4 outputs
    assert first.weight_bits is not None
    assert first.weight_elements * first.weight_bits == 16 * 32 * 16 * 8
    assert second == direct.layers[1]


def test_every_device_has_a_file_and_its_error() -> None:
    for device in DEVICES:
        assert device.name in Accelerator.names()
        assert device.missing
        assert device.mechanisms
        for item in device.measured():
            assert item.accelerator in Accelerator.names()
            assert item.value > 0
    assert text("dpu_b512") == "not validated"
    assert text("dpu_b4096") != "not validated"


def test_the_page_has_the_committed_errors() -> None:
    page = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    rows = {line.split("|")[2]: line for line in page.splitlines() if line.startswith("| ")}
    for name in ("dpu_b4096", "edge_tpu", "vta_pynq", "gemmini_16x16"):
        (line,) = (line for files, line in rows.items() if f"`{name}`" in files)
        assert ", ".join(f"{100 * each.mean:.1f} %" for each in committed()[name]) in line
    (line,) = (line for line in rows.values() if "Ethos" in line)
    ethos = [each for name in ("ethos_u55_128", "ethos_u55_256") for each in committed()[name]]
    assert ", ".join(f"{100 * each.mean:.1f} %" for each in ethos) in line


def test_the_figure_has_every_time(cheap: list[Compared]) -> None:
    axes = figure(cheap).axes[0]
    marks = {each.get_label(): each for each in axes.collections}
    for found in cheap:
        drawn = np.array(marks[found.device.title].get_offsets())
        times = [one.times_us for one in found.ran if one.item.groups and one.times_us]
        np.testing.assert_allclose(drawn, times)
    assert axes.get_xlim() == axes.get_ylim()


@pytest.mark.slow
def test_aims_of_all_devices(every: list[Compared]) -> None:
    for found in every:
        check_aims(found)


@pytest.mark.slow
def test_all_committed_errors_are_current(every: list[Compared]) -> None:
    found: dict[str, tuple[object, ...]] = {}
    for error in errors_of(every, [checked("squeezenext"), checked("eyeriss")]):
        found[error.accelerator] = (*found.get(error.accelerator, ()), error)
    assert found == committed()


@pytest.mark.slow
def test_the_check_has_what_mechanisms_are_worth() -> None:
    made_check = checked("devices")
    assert made_check.holds
    tables = {table.title: table for table in made_check.tables}
    without = {(cells[0], cells[1]) for cells in tables["errors without each mechanism"].cells}
    assert without == {(device.name, name) for device in DEVICES for name in device.mechanisms}
    assert len(made_check.rows) == 25 * 2 + 5 * 2 + 1 + 4 + 28 + 6 + 10 + 7 + 3


def test_run_gives_one_layer_of_a_network() -> None:
    layers = [Layer.matmul("a", m=64, n=64, k=64), Layer.matmul("b", m=64, n=128, k=64)]
    net = Network.from_layers(layers)
    items = [
        Measured(subject=name, quantity=CYCLES, value=1, network=net, accelerator="os_32x32", layer=name)
        for name in ("a", "b", "")
    ]
    first, second, whole = run(items)
    report: Report = simulate(net, "os_32x32")
    assert [first.ours, second.ours] == [row["cycles"] for row in report.rows()]
    assert whole.ours == first.ours + second.ours
