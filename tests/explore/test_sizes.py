"""What networks take and move over sizes of the buffer, against simulating each size by itself."""

from __future__ import annotations

import pytest

import squeezesim as sq
from squeezesim.cost.costs import HOMED
from squeezesim.errors import UsageError
from squeezesim.explore.sizes import Sizes, curves, default_sizes, draw, sections, sizes_study
from squeezesim.report.text import plain
from tests.report.cases import accelerator, network
from tests.report.figures.drawn import overlaps

HW = accelerator({"memory.global_buffer.keeps": ["activations"]})
SIZES = [4, 8, 12, 16, 64]


def studied() -> Sizes:
    return sizes_study([network()], HW, SIZES)


def test_each_size_is_what_simulating_it_gives() -> None:
    found = studied()
    before: set[str] = set()
    for point, size in zip(found.points, SIZES, strict=True):
        report = sq.simulate(network(), HW.replace({"memory.global_buffer.size_kib": size}))
        homes = report.costs.homes[0, :, HOMED.index("outputs")].tolist()
        stays = {layer.name for layer, home in zip(report.network.layers, homes, strict=True) if home > 0}
        assert point.size_kib == size
        for name in ("latency_us", "energy_uj", "energy_mac_equiv", "dram_bytes"):
            assert getattr(point, name) == report.totals[name]
        assert point.maps == len(stays)
        assert {*point.begins} == stays - before
        assert {*point.ends} == before - stays
        before = stays
    assert found.points[0].maps < found.points[-1].maps
    assert found.points[-1].dram_bytes == found.points[-1].compulsory_bytes
    assert len({point.compulsory_bytes for point in found.points}) == 1


def test_the_largest_map_comes_first() -> None:
    point = sizes_study([network()], HW, [1, 64]).points[1]
    of = {layer.name: layer.output_elements for layer in network().fused.layers}
    assert [of[name] for name in point.begins] == sorted((of[name] for name in point.begins), reverse=True)


def test_the_frame_and_the_text() -> None:
    frame = sq.buffer_sizes(network(), HW, SIZES)
    found = studied()
    assert frame.to_dict("records") == found.rows()
    assert frame.attrs["left_out"] == []
    lines = plain(sections(found)).splitlines()
    assert lines[1].split()[:3] == ["size", "KiB", "latency"]
    assert [line.split()[0] for line in lines[2:]] == [f"{size}" for size in SIZES]


def test_what_is_not_there_is_said() -> None:
    few = sizes_study([network()], HW, [0.001, 4, 16])
    assert [point.size_kib for point in few.points] == [4, 16]
    assert len(few.notes) == 1
    assert "0.001 KiB is left out" in few.notes[0]
    off = sizes_study([network()], accelerator(), [4, 16])
    assert all(point.maps == 0 for point in off.points)
    assert [note.partition(":")[0] for note in off.notes] == ["no feature map stays"]


def test_mistakes() -> None:
    with pytest.raises(UsageError, match="of 1 size fewer than 2 can be costed; allowed: at least 2"):
        sizes_study([network()], HW, [4])
    with pytest.raises(UsageError, match="dpu_b4096 has a buffer of parts"):
        sq.buffer_sizes(network(), "dpu_b4096")


def test_sizes_by_default() -> None:
    found = default_sizes(100.5)
    assert len(found) == 13
    assert 100.5 in found
    assert (found[0], found[-1]) == (13, 804)
    assert default_sizes(1) == [1, 2, 3, 4, 6, 8]


def test_the_figure_shows_the_numbers() -> None:
    found = studied()
    named, latency, traffic = curves(found).axes
    assert latency.lines[0].get_ydata().tolist() == [point.latency_us for point in found.points]
    assert traffic.lines[0].get_ydata().tolist() == [point.dram_bytes / 2**20 for point in found.points]
    assert traffic.lines[1].get_ydata()[0] == found.points[0].compulsory_bytes / 2**20
    written = [text.get_text() for text in named.texts]
    assert written[0] == f"{found.points[0].maps} maps here" or found.points[0].maps == 1
    assert len(written) == 1 + sum(bool(point.begins) for point in found.points[1:])
    assert overlaps(curves(found)) == []
    assert draw(found, "svg") == draw(found, "svg")
