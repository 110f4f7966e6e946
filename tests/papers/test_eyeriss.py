from __future__ import annotations

import pytest

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.papers.eyeriss import alexnet, alexnet_fc, counted, figures, run, scaled_down, vgg16
from squeezesim.reference import array_case
from squeezesim.reference.record import Check
from tests.papers.checked import checked

CHIP, STUDY = (Accelerator.named(name) for name in ("eyeriss", "eyeriss_isca16"))


@pytest.fixture(scope="module")
def eyeriss() -> Check:
    return checked("eyeriss")


def test_the_chip_runs_alexnet_as_printed() -> None:
    """The layers of the check whose tiles are searched in a moment."""
    published, ran = figures("eyeriss_alexnet"), run(alexnet(4), CHIP)
    errors = [abs(one.processing_ms / published[one.layer.name]["processing_ms"] - 1) for one in ran]
    assert sum(errors) / len(errors) <= 0.05
    assert [one.active_pes for one in ran] == [published[one.layer.name]["active_pes"] for one in ran]


@pytest.mark.slow
def test_every_bound_holds(eyeriss: Check) -> None:
    assert eyeriss.name == "eyeriss"
    assert eyeriss.bounds
    assert [bound.text for bound in eyeriss.bounds if not bound.holds] == []


@pytest.mark.slow
def test_every_published_number_has_its_row(eyeriss: Check) -> None:
    found = {(row.subject, row.quantity): row.reference for row in eyeriss.rows}
    assert len(found) == len(eyeriss.rows) == 4 * 5 + 2 * 13 + 3 * 8 + 5
    assert found["CONV2", "processing latency"] == 39.2
    assert found["CONV2-2", "processing latency, VGG-16"] == 810.8
    assert found["FC1", "energy, DRAM"] == 7.78


def test_the_layers_have_the_printed_macs() -> None:
    assert [round(layer.macs / 1e9, 2) for layer in alexnet(4)] == [0.42, 0.90, 0.60, 0.45, 0.30]
    assert [round(layer.macs / 1e9, 2) for layer in vgg16(3)] == [
        0.26, 5.55, 2.77, 5.55, 2.77, 5.55, 5.55, 2.77, 5.55, 5.55, 1.39, 1.39, 1.39
    ]  # fmt: skip
    energies = figures("eyeriss_isca16")
    for layer in (*alexnet(16), *alexnet_fc(16)):
        assert layer.macs / 1e9 == pytest.approx(energies[layer.name]["alu"], abs=0.006)


def test_the_printed_totals_are_the_sums() -> None:
    assert sum(row["processing_ms"] for row in figures("eyeriss_alexnet").values()) == pytest.approx(103.5)
    vgg = figures("eyeriss_vgg16").values()
    assert sum(row["processing_ms"] for row in vgg) == pytest.approx(3755.2, abs=0.2)
    assert sum(row["total_ms"] for row in vgg) == pytest.approx(4309.5, abs=0.7)
    busy = sum(row["active_pes"] * row["processing_ms"] for row in vgg)
    assert busy / sum(row["processing_ms"] for row in vgg) == pytest.approx(158, abs=0.5)


def test_register_file_is_four_times_the_alu_on_convolutions() -> None:
    for one in run(alexnet(16), STUDY):
        assert 4 <= one.energy["register_file"] / one.energy["mac"] < 4.1


@pytest.mark.slow
def test_the_simulated_array_counts_four_register_accesses_for_each_mac(eyeriss: Check) -> None:
    quantity = "register accesses for each MAC, simulated"
    rows = {row.subject: row for row in eyeriss.rows if row.quantity == quantity}
    assert list(rows) == [layer.name for layer in alexnet(16)]
    assert rows["CONV3"].reference == pytest.approx(9.57 / 2.39)
    # 3 rows of 13 columns in strips of one, an input for 16 · 3 MACs but at the borders, a weight for 3 · 13 MACs of 2
    # images:
    assert rows["CONV3"].ours == pytest.approx(4 + 15 / (13 * 48) + 1 / (3 * 13 * 2), rel=1e-12)
    for layer in map(scaled_down, alexnet(16)):
        assert 4 <= rows[layer.name].ours < 4.1


def test_a_count_that_differs_breaks_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_case, "convolution", lambda *_: 0)
    assert not any(one.agrees for one in counted(STUDY))
