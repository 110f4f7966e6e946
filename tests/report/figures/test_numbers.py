"""What the figures show is what the report says."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from squeezesim.cost.costs import CAUSES
from squeezesim.errors import UsageError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.energy import energy_costs
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.report import units
from squeezesim.report.equal import equal_layers
from squeezesim.report.figures.colours import theme_named
from squeezesim.report.figures.labels import SHAPES, radius_of, size_of
from squeezesim.report.figures.losses import waterfall
from squeezesim.report.figures.roofline import ceilings
from squeezesim.report.figures.stages import titles
from squeezesim.report.liveness import liveness
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, few, network, report, reports
from tests.report.figures.drawn import chain, toy
from tests.shipped import EACH

REPORT = report()


def extents(axes: Axes) -> np.ndarray[Any, Any]:
    """Left, bottom, right, top of every rectangle, in the order in which they are drawn."""
    parts = [part for part in axes.collections if isinstance(part, PolyCollection)]
    return np.array(
        [
            [*path.vertices.min(axis=0), *path.vertices.max(axis=0)]
            for part in parts
            for path in part.get_paths()
        ]
    )


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@few
@given(reports())
def test_the_waterfall_ends_at_the_cycles(made: Report) -> None:
    steps = waterfall(made)
    pes = made.machine.pes
    assert steps[0][2:] == (0, pytest.approx(made.network.macs / pes))
    for (_, _, _, end), (_, _, start, _) in pairwise(steps[:-1]):
        assert start == end
    assert steps[-2][3] == pytest.approx(made.totals["cycles"])
    assert steps[-1] == ("cycles", "", 0.0, made.totals["cycles"])
    lost = dict(zip(CAUSES, made.tally.losses.sum(axis=0).tolist(), strict=True))
    grown = {cause: (end - start) * pes for _, cause, start, end in steps if cause in lost}
    assert grown == pytest.approx({cause: value for cause, value in lost.items() if value})


def test_skipped_zeros_come_before_the_losses() -> None:
    changes = {"sparsity.weights": 0.5, "sparsity.skipped_by": ["os"], "array.dataflows": ["os"]}
    steps = waterfall(report(changes))
    assert steps[1][0] == "zero weights skipped"
    assert steps[1][3] < steps[1][2]


def test_losses_are_drawn_and_written() -> None:
    axes = REPORT.plot.losses().axes[0]
    steps = waterfall(REPORT)
    drawn = extents(axes)
    np.testing.assert_allclose(drawn[:, 0], [min(step[2:]) for step in steps])
    np.testing.assert_allclose(drawn[:, 2], [max(step[2:]) for step in steps])
    assert units.count(REPORT.totals["cycles"]) in axes.texts[-1].get_text()
    assert [label.get_text() for label in axes.get_yticklabels()] == [step[0] for step in steps]


@pytest.mark.parametrize("name", EACH)
def test_no_layer_is_above_a_ceiling(name: str) -> None:
    made = simulate(load("mobilenet_v1"), Accelerator.named(name))
    check_roofs(made)


@few
@given(reports())
def test_no_layer_of_any_report_is_above_a_ceiling(made: Report) -> None:
    rated = made.accelerator.replace({"memory.global_buffer.bytes_per_cycle": 3})
    check_roofs(simulate(made.network, rated))


def check_roofs(made: Report) -> None:
    layers = np.flatnonzero(made.tally.executed)
    hertz = made.accelerator.clock_mhz * 1e6
    speed = made.tally.executed[layers] / made.tally.cycles[layers] * hertz
    roofs = ceilings(made, layers)
    memory = made.accelerator.memory
    buffer = ["the buffer"] * (memory.global_buffer.bytes_per_cycle is not None)
    held = {operand for store in memory.stores.values() for operand in store.holds}
    dram = ["DRAM"] * (len(held) < 2)
    assert [roof.memory for roof in roofs] == [*dram, *memory.stores, *buffer]
    for roof in roofs:
        assert roof.macs_a_second == made.machine.pes * hertz
        assert (speed <= roof.macs_a_second * (1 + 1e-12)).all()
        # bytes of a layer are rounded to whole ones, a few for each operand
        moved = made.tally.executed[layers] / roof.intensity
        assert (speed <= roof.bytes_a_second * roof.intensity * (1 + 8 / moved)).all()


def test_circles_of_the_roofline_are_the_layers() -> None:
    drawn = toy().plot.roofline()
    assert len(drawn.axes) == 2
    for axes, roof in zip(drawn.axes, ceilings(toy(), np.arange(3)), strict=True):
        circles = [part for part in axes.collections if isinstance(part, PathCollection)]
        spots = np.concatenate([part.get_offsets() for part in circles])
        areas = np.concatenate([part.get_sizes() for part in circles])
        np.testing.assert_allclose(np.sort(spots[:, 0]), np.sort(roof.intensity))
        shares = [row["share"] for row in toy().rows()]
        np.testing.assert_allclose(np.sort(areas) / areas.sum(), np.sort(shares) / sum(shares), rtol=1e-6)
        written = {text.get_text() for text in axes.texts}
        assert {"conv1", "conv2", "fc"} < written
        assert len([text for text in written if text.startswith(("array: ", f"{roof.memory}: "))]) == 2
    assert "the buffer: 16 GB/s" in written


def test_the_circle_in_the_legend_has_the_area_that_it_says() -> None:
    made = report()
    drawn = made.plot.roofline()
    (dot,) = [
        handle
        for handle, text in zip(drawn.legends[0].legend_handles, legend(drawn), strict=True)
        if text == "area: 10 % of the time"
    ]
    assert isinstance(dot, Line2D)
    # a layer of 10 % of the time would have a circle as wide as the one in the legend
    shares = {row["name"]: row["share"] for row in made.rows() if row["macs"]}
    sizes = np.concatenate(
        [part.get_sizes() for part in drawn.axes[0].collections if isinstance(part, PathCollection)]
    )
    assert (np.sqrt(0.1 / max(shares.values()) * sizes.max())) == pytest.approx(
        dot.get_markersize(), rel=1e-6
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_marks_have_the_area_that_they_are_to_have(shape: str) -> None:
    dpi, area = 72, 5000.0
    figure = Figure(figsize=(4, 4), dpi=dpi)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(-1, 1), ylim=(-1, 1))
    axes.scatter(0, 0, s=size_of(area, shape), marker=shape, color="black", linewidth=0)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    dark = np.asarray(canvas.buffer_rgba())[..., 0] < 128
    assert dark.sum() == pytest.approx(area, rel=0.02)
    away = np.hypot(*(np.argwhere(dark) - np.array(dark.shape) / 2).T)
    assert away.max() == pytest.approx(radius_of(area, shape), abs=2)


def test_a_network_that_executes_nothing_has_no_roofline() -> None:
    empty = dataclasses.replace(Layer.matmul("fc", m=4, n=4, k=4), weight_density=0.0)
    on = accelerator({"sparsity.skipped_by": ["os"], "array.dataflows": ["os"]})
    nothing = simulate(Network.from_layers([empty]), on)
    with pytest.raises(UsageError, match="no layer of custom executes a MAC"):
        nothing.plot.roofline()
    assert nothing.plot.losses().axes[0].texts


def test_bars_of_the_energy_figure_are_energies_by_level_and_of_dram_by_operand() -> None:
    made = report({"energy.pj_per_unit": 2.5})
    levels, operands = made.plot.energy().axes
    rows = made.rows("stage")
    ends = [extents(levels)[:, 2].max()]
    assert ends == pytest.approx([max(row["energy_uj"] for row in rows)])
    price = 8 * energy_costs(made.accelerator).dram_per_bit * 2.5e-6  # µJ a byte
    found: dict[str, float] = {}
    words = {
        sheet_colour: word for word, sheet_colour in theme_named("light").colours(made.costs.operands).items()
    }
    for part in [part for part in operands.collections if isinstance(part, PolyCollection)]:
        word = words[to_hex(part.get_facecolor()[0]).upper()]
        found[word] = sum(float(np.ptp(path.vertices[:, 0])) for path in part.get_paths())
    moved = made.layers[[f"dram_{word}_bytes" for word in words.values()]].sum()
    expected = {word: moved[f"dram_{word}_bytes"] * price for word in found}
    assert found == pytest.approx(expected, rel=1e-3)  # bytes of a layer are rounded to whole ones
    assert sum(found.values()) == pytest.approx(made.tally.energy_uj(made.scale)[:, 4].sum())
    assert levels.get_xlabel() == "energy by level (µJ)"
    assert operands.get_xlabel() == "DRAM energy by operand (µJ)"
    assert [label.get_text() for label in levels.get_yticklabels()] == ["stem", "stage1", "head"]


def test_bytes_are_drawn_where_dram_costs_nothing() -> None:
    made = report({"energy.overrides": {"dram": 0}})
    operands = made.plot.energy().axes[1]
    most = max(row["dram_bytes"] for row in made.rows("stage"))
    assert extents(operands)[:, 2].max() == pytest.approx(most / 1024)
    assert operands.get_xlabel() == "DRAM traffic by operand (KiB)"


def test_many_stages_are_summed_in_the_last_row() -> None:
    made = chain(80, stage=2)
    levels, _ = made.plot.energy().axes
    names = [label.get_text() for label in levels.get_yticklabels()]
    assert (len(names), names[-1]) == (24, "17 others")
    lengths = np.zeros(24)
    for left, bottom, right, top in extents(levels):
        lengths[round((bottom + top) / 2)] += right - left
    factor = 1e-6 if lengths.sum() < 1e3 else 1
    assert lengths.sum() / factor == pytest.approx(made.totals["energy_mac_equiv"])


def test_bars_of_the_stages_are_times_and_energies() -> None:
    made, other = report({"energy.pj_per_unit": 2.5}), report({"energy.pj_per_unit": 2.5, "clock_mhz": 250})
    times, energies = made.plot.stages(others=[other]).axes
    for axes, column in ((times, "latency_us"), (energies, "energy_uj")):
        for bars, shown in zip(axes.containers, (made, other), strict=True):
            found = [bar.get_height() for bar in bars]
            assert found == pytest.approx([row[column] for row in shown.rows("stage")])
    assert (times.get_ylabel(), energies.get_ylabel()) == ("time (µs)", "energy (µJ)")


def test_energies_of_different_units_are_not_on_one_scale() -> None:
    absolute, relative = report({"energy.pj_per_unit": 2.5}), report()
    _, energies = absolute.plot.stages(others=[relative]).axes
    assert energies.get_ylabel() == "energy (% of each one's own: units differ)"
    for bars in energies.containers:
        assert sum(bar.get_height() for bar in bars) == pytest.approx(100)
    panels = absolute.plot.tradeoff(others=[relative], top1={"small": 60}).axes
    assert [len(axes.collections) for axes in panels] == [1, 1, 1, 1]


def test_others_are_reports() -> None:
    axes = Figure().subplots(1, 2)
    assert REPORT.plot.stages(axes).axes[0].get_ylabel() == "time (µs)"
    assert len(REPORT.plot.stages(others=REPORT).axes[0].containers) == 2
    for plot in (REPORT.plot.stages, REPORT.plot.tradeoff):
        with pytest.raises(UsageError) as caught:
            plot(others=[REPORT, 3])  # type: ignore[list-item]
        assert str(caught.value) == "others are reports, as others=[second, third], found int"


def test_names_of_reports_are_distinct() -> None:
    assert titles([REPORT]) == ["small"]
    assert titles([REPORT, REPORT]) == ["small", "small #2"]
    other = simulate(network(), accelerator({"name": "other"}))
    assert titles([REPORT, other]) == ["small on small_8x8", "small on other"]
    with pytest.raises(UsageError, match="stages compares at most 9 reports, found 10"):
        REPORT.plot.stages(others=[REPORT] * 9)


def test_memory_is_what_is_live() -> None:
    activations, weights = REPORT.plot.memory().axes
    live = liveness(REPORT.network, REPORT.operands, REPORT.machine.activation_bits)
    kept = [place for place, layer in enumerate(REPORT.network.layers) if layer.kind != "view"]
    tops = np.max(
        [patch.get_data().values for patch in activations.patches if hasattr(patch, "get_data")], axis=0
    )
    np.testing.assert_allclose(tops, live.activations[kept] / 1024)
    (steps,) = [patch for patch in weights.patches if hasattr(patch, "get_data")]
    np.testing.assert_allclose(steps.get_data().values, live.weights[kept] / 1024)
    assert [line.get_ydata()[0] for line in activations.lines] == [16]
    assert not weights.lines  # 2.3 KiB at most, and a buffer of 16
    assert "global buffer: 16.0 KiB" in legend(REPORT.plot.memory())


def test_memory_has_a_rectangle_for_each_tensor() -> None:
    made = report({"memory.global_buffer.keeps": ["activations"]})
    inside, outside = made.plot.memory().axes
    occupancy = made.occupancy
    assert occupancy is not None
    shown = [number for number, layer in enumerate(made.network.layers) if layer.kind != "view"]
    sides = [
        (*path.vertices.min(axis=0), *path.vertices.max(axis=0))
        for drawn in inside.collections
        for path in drawn.get_paths()
    ]
    for place, number in enumerate(
        shown
    ):  # at the left of the middle, where sums are not yet in place of others
        found = {
            (bottom, top) for left, bottom, right, top in sides if left < place - 0.25 < right and bottom < 16
        }
        kept = made.costs.kept_bytes[0, number] + occupancy.tiles[number] / 8
        begun = [each for each in occupancy.stays if each.over and each.first == number]
        assert sum(top - bottom for bottom, top in found) * 1024 == pytest.approx(kept), (place, begun)
    assert sum(len(drawn.get_paths()) for drawn in outside.collections) == len(occupancy.outside)
    assert [line.get_ydata()[0] for line in inside.lines] == [16]
    assert "room for tensors and tiles: 16.0 KiB" in legend(made.plot.memory())
    kept_most = units.size(int(made.costs.kept_bytes.max()))
    assert made.plot.memory().get_suptitle().endswith(f"keeps at most {kept_most}")


def test_circles_of_the_tradeoff() -> None:
    made, other = REPORT, toy()
    latency, energy = made.plot.tradeoff(others=other, top1={"small": 61, "toy": 55.5}).axes
    for axes, column in ((latency, "latency_us"), (energy, "energy_mac_equiv")):
        spots = np.array([part.get_offsets()[0] for part in axes.collections])
        assert spots[:, 1].tolist() == [61, 55.5]
        assert spots[1, 0] / spots[0, 0] == pytest.approx(other.totals[column] / made.totals[column])
        areas = [part.get_sizes()[0] for part in axes.collections]
        assert areas[1] / areas[0] == pytest.approx((other.network.params / made.network.params) ** 0.5)
        assert {text.get_text() for text in axes.texts} == {"small", "toy"}


def named(count: int) -> list[Report]:
    return [
        dataclasses.replace(REPORT, network=dataclasses.replace(REPORT.network, name=f"net{number}"))
        for number in range(count)
    ]


def test_families_are_told_apart_by_colour_and_shape() -> None:
    first, *others = named(27)
    accuracies = {made.network.name: 50.0 + number for number, made in enumerate([first, *others])}
    drawn = first.plot.tradeoff(others=others, top1=accuracies)
    looks = {
        (to_hex(part.get_facecolor()[0]), part.get_paths()[0].vertices.tobytes())
        for part in drawn.axes[0].collections
    }
    assert len(looks) == 27
    handles = {(handle.get_color(), handle.get_marker()) for handle in drawn.legends[0].legend_handles}
    assert len(handles) == 27


def test_more_families_than_looks_are_refused() -> None:
    first, *others = named(55)
    accuracies = {made.network.name: 50.0 for made in [first, *others]}
    with pytest.raises(UsageError) as caught:
        first.plot.tradeoff(others=others, top1=accuracies)
    assert str(caught.value) == "tradeoff tells at most 54 families of networks apart, found 55"


def test_accuracies_are_published_or_given() -> None:
    built_in = simulate(load("alexnet"), Accelerator.named("os_32x32"))
    assert built_in.plot.tradeoff().axes[0].collections[0].get_offsets()[0, 1] == 57.1
    assert built_in.plot.tradeoff(top1={"alexnet": 40}).axes[0].collections[0].get_offsets()[0, 1] == 40
    for top1, message in (
        ({}, "no top-1 accuracy of 'small' is known; give one, as small=70.5"),
        ({"smal": 3}, "an accuracy is given of 'smal', which is none of: small; did you mean 'small'?"),
        ({"small": 101}, "the top-1 accuracy of 'small' is a number from 0 to 100 %, found 101"),
        ({"small": float("nan")}, "the top-1 accuracy of 'small' is a number from 0 to 100 %, found nan"),
    ):
        with pytest.raises(UsageError) as caught:
            REPORT.plot.tradeoff(top1=top1)
        assert str(caught.value) == message


def test_a_timeline_ends_with_the_layer_s_cycles() -> None:
    names = ["stem.conv", "stage1.add", "head.fc"]
    drawn = REPORT.plot.timeline(layers=names)
    cycles = {row["name"]: row["cycles"] for row in REPORT.rows()}
    for axes, name in zip(drawn.axes, names, strict=True):
        low, high = axes.get_xlim()
        assert low == 0 < cycles[name] < high < 1.05 * cycles[name]  # room for the number at the end
        assert extents(axes)[:, 2].max() == cycles[name]
        assert axes.get_title(loc="left").startswith(f"{name}: {cycles[name]:,} cycles, ")
    slowest = {axes.get_title(loc="left").partition(":")[0] for axes in REPORT.plot.timeline().axes}
    assert slowest == set(sorted(cycles, key=lambda name: -cycles[name])[:3])


def test_a_timeline_has_layers_on_units() -> None:
    units = {"conv": {"unroll": {"c": 4, "k": 8}}, "depthwise": {"unroll": {"g": 8}, "runs": ["depthwise"]}}
    made = simulate(network(), accelerator({"array.units": units, "array.dataflows": []}))
    cycles = {row["name"]: row["cycles"] for row in made.rows() if row["unit"]}
    drawn = made.plot.timeline(layers=[*cycles])
    assert [extents(axes)[:, 2].max() for axes in drawn.axes] == [*cycles.values()]


def test_many_tiles_are_drawn_as_few_shapes() -> None:
    made = simulate(load("mobilenet_v1"), Accelerator.named("squeezelerator_8x8"))
    most = max(made.rows(), key=lambda row: np.prod([int(v[1:]) for v in row["tiling"].split()[1:2]] or [0]))
    drawn = made.plot.timeline(layers=[most["name"]])
    assert len(extents(drawn.axes[0])) < 4000
    assert extents(drawn.axes[0])[:, 2].max() == most["cycles"]


def test_layers_of_a_timeline_must_be_there() -> None:
    for layers, message in (
        (["stem.cov"], "there is no layer 'stem.cov' in small; did you mean 'stem.conv'?"),
        (["stage1.concat"], "layer 'stage1.concat' takes no time on small_8x8"),
        (["stem.conv"] * 13, "a timeline has at most 12 layers, found 13"),
    ):
        with pytest.raises(UsageError) as caught:
            REPORT.plot.timeline(layers=layers)
        assert str(caught.value) == message


def test_too_many_tiles_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("squeezesim.report.figures.timeline.MOST_TILES", 1)
    with pytest.raises(UsageError, match=r"layer 'stage1.b' has \d+ tiles; a timeline has at most 1"):
        REPORT.plot.timeline(layers=["stage1.b"])


def test_equal_layers_are_summed() -> None:
    made = simulate(load("squeezenext_23"), Accelerator.named("squeezelerator_16x16"))
    axes = made.plot.utilization(equal=True).axes[0]
    cycles = made.tally.cycles
    sums = [int(cycles[list(members.places)].sum()) for members in equal_layers(made.network.layers)]
    sides = extents(axes)
    ends = [sides[sides[:, 1] == bottom, 2].max() for bottom in np.unique(sides[:, 1])]
    assert ends == pytest.approx([value for value in sums if value])
    assert "8 × (32→64 3×1)" in [label.get_text() for label in axes.get_yticklabels()]


def recurrent() -> list[Report]:
    """A recurrence between two layers, as layers that repeat and with each step as layers."""
    step = [
        Layer.matmul("h", m=1, n=8, k=14, bias=True, inputs=["enter"]).repeated(9),
        Layer.vector("gate", op="mul", k=8, operands=2, inputs=["h"]).repeated(9),
    ]
    layers = [
        Layer.matmul("enter", m=9, n=14, k=6, inputs=["input"]),
        dataclasses.replace(step[0], carried=("gate",)),
        dataclasses.replace(step[1], carried=("gate",)),
        Layer.matmul("leave", m=9, n=5, k=8, inputs=["gate"]),
    ]
    made = dataclasses.replace(Network.from_layers(layers), name="steps").with_stages("enter", "leave")
    on = accelerator({"mapper.residency": "order"})  # nothing stays from step to step
    return [simulate(network, on) for network in (made, made.unrolled())]


@pytest.mark.parametrize("kind", ["utilization", "losses", "energy"])
def test_bars_of_a_recurrence_are_those_of_its_steps(kind: str) -> None:
    areas = []
    for made in recurrent():
        drawn = [extents(axes) for axes in getattr(made.plot, kind)().axes]
        areas.append(sum(np.prod(part[:, 2:] - part[:, :2], axis=1).sum() for part in drawn if len(part)))
    assert areas[0] == pytest.approx(areas[1])
    assert areas[0] > 0


def test_stages_and_circles_of_a_recurrence_are_those_of_its_steps() -> None:
    made, apart = recurrent()
    for one, other in zip(made.plot.stages().axes, apart.plot.stages().axes, strict=True):
        heights = [[patch.get_height() for patch in axes.patches] for axes in (one, other)]
        assert heights[0] == pytest.approx(heights[1])
        assert any(heights[0])
    spots = [
        np.concatenate([part.get_offsets() for axes in figure.axes for part in axes.collections])
        for figure in (report.plot.tradeoff(top1={"steps": 70.5}) for report in (made, apart))
    ]
    np.testing.assert_allclose(spots[0], spots[1])


def test_roofline_timeline_and_memory_of_a_recurrence_are_those_of_its_steps() -> None:
    made, apart = recurrent()
    circles = [
        {tuple(spot) for axes in drawn.axes for part in axes.collections for spot in part.get_offsets()}
        for drawn in (made.plot.roofline(), apart.plot.roofline())
    ]
    assert circles[0] == circles[1]
    assert len(circles[0]) >= 3
    shown = [report.plot.timeline(layers=["h"]).axes[0] for report in (made, apart)]
    np.testing.assert_allclose(extents(shown[0]), extents(shown[1]))
    assert len(extents(shown[0]))
    stays = simulate(made.network, accelerator())
    title = stays.plot.timeline(layers=["h"]).axes[0].get_title(loc="left")
    assert title.endswith("in each of 9 steps, whose weights stay")
    titles_of = [report.plot.memory().texts[0].get_text() for report in (made, apart)]
    assert titles_of[0].partition(", at ")[0] == titles_of[1].partition(", at ")[0]
