from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.text import Text

from squeezesim.hardware import Accelerator
from squeezesim.load import load
from squeezesim.papers.squeezenext_networks import ACCELERATORS, Table3, compute, table3
from squeezesim.papers.squeezenext_tables import (
    STAGES,
    VERSIONS,
    accuracy_figure,
    drawings,
    groups,
    layer_rows,
    layers_figure,
    sections,
    stage_cycles,
    stage_rows,
    stages_figure,
    table3_rows,
    versions,
)
from squeezesim.report.figures.style import render
from squeezesim.report.text import plain
from squeezesim.simulate import simulate


@pytest.fixture(scope="module")
def table() -> Table3:
    return compute()


@pytest.mark.parametrize("name", ACCELERATORS)
def test_bars_are_the_cycles_of_equal_layers(table: Table3, name: str) -> None:
    figure = layers_figure(table, name)
    panels = [axes for axes in figure.axes if axes.get_ylabel() == "cycles"]
    assert len(panels) == len(VERSIONS)
    for axes, title in zip(panels, VERSIONS, strict=True):
        found = groups(table.runs[name][title])
        bars = [part for part in axes.collections if isinstance(part, PolyCollection)]
        tops = np.array([[path.vertices[1, 1] for path in part.get_paths()] for part in bars])
        assert tops.max(axis=0).tolist() == [group.cycles for group in found]
        heights = tops.max(axis=0)
        assert heights.max() < axes.get_ylim()[1]


def test_points_are_efficiencies_and_stay_inside(table: Table3) -> None:
    figure = layers_figure(table, ACCELERATORS[1])
    panels = [axes for axes in figure.axes if axes.get_ylabel() == "efficiency (%)"]
    for axes, title in zip(panels, VERSIONS, strict=True):
        expected = [100 * group.efficiency for group in groups(table.runs[ACCELERATORS[1]][title])]
        np.testing.assert_allclose(axes.lines[0].get_ydata(), expected)
        assert max(expected) < axes.get_ylim()[1] * 0.9  # the stages' names stand above


def test_bars_of_stages(table: Table3) -> None:
    for axes, runs in zip(stages_figure(table).axes, table.runs.values(), strict=True):
        for bars, title in zip(axes.containers, VERSIONS, strict=True):
            assert [bar.get_height() for bar in bars] == list(stage_cycles(runs[title]).values())
        assert [label.get_text() for label in axes.get_xticklabels()] == list(STAGES)


def test_circles_are_accuracy_against_time_and_energy(table: Table3) -> None:
    axes = accuracy_figure(table).axes[0]
    spots = [collection.get_offsets()[0].tolist() for collection in axes.collections]
    runs = table.runs["squeezelerator_16x16"]
    expected = [[run.total_cycles / 1e6, run.printed.top1] for run in runs.values()]
    np.testing.assert_allclose(spots, expected)
    areas = np.array([collection.get_sizes()[0] for collection in axes.collections])
    params = np.array([row.params_millions for row in table3().values()])
    np.testing.assert_allclose(areas / areas[0], np.sqrt(params / params[0]))


def test_no_name_overlaps_another_or_leaves_its_panel(table: Table3) -> None:
    figure = accuracy_figure(table)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for axes in figure.axes:
        assert len(axes.texts) == len(table3())
        # An annotation's own extent holds its line to the circle too.
        extents = [Text.get_window_extent(text, canvas.get_renderer()) for text in axes.texts]
        for one, other in itertools.combinations(extents, 2):
            assert not one.overlaps(other)
        inside = axes.get_window_extent()
        assert all(inside.x0 < box.x0 and box.x1 < inside.x1 for box in extents)
        assert all(inside.y0 < box.y0 and box.y1 < inside.y1 for box in extents)


def test_stages_and_layers_have_no_overlapping_labels(table: Table3) -> None:
    for figure in (layers_figure(table, ACCELERATORS[0]), stages_figure(table)):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        for axes in (axes for axes in figure.axes if axes.xaxis.get_visible()):
            for texts in (axes.get_xticklabels(), axes.texts, [axes.title, *axes.texts]):
                boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
                assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
                assert all(box.x0 > 0 and box.y0 > 0 for box in boxes)
                assert all(box.x1 < figure.bbox.x1 and box.y1 < figure.bbox.y1 for box in boxes)


@pytest.mark.parametrize("image", ["png", "svg"])
def test_bytes_are_the_same_again(table: Table3, image: str) -> None:
    draw = drawings(table)["stages"]
    assert render(draw, image) == render(draw, image)


def test_groups_lose_no_layer_and_no_cycle(table: Table3) -> None:
    for run in versions(table):
        found = groups(run)
        assert sum(group.cycles for group in found) == run.total_cycles
        assert sum(group.layers for group in found) == len(run.layers)
        assert sum(group.macs for group in found) == sum(layer.macs for layer in run.layers)
        for group in found:
            assert sum(group.cycles_by_dataflow.values()) == group.cycles


def test_a_group_is_the_layers_between_the_same_channels(table: Table3) -> None:
    """Stage 1 of v1 by hand: the first block's shortcut and squeeze read 64 channels, the others' squeeze 32."""
    first = groups(table.runs["squeezelerator_16x16"]["1.0-SqNxt-23"])[:8]
    assert [(group.stage, group.label, group.layers) for group in first] == [
        ("stem", "3→64 7×7/2", 1),
        ("stage1", "64→32 1×1", 1),
        ("stage1", "64→16 1×1", 1),
        ("stage1", "16→8 1×1", 6),
        ("stage1", "8→16 3×1", 6),
        ("stage1", "16→16 3×1", 6),
        ("stage1", "16→32 1×1", 6),
        ("stage1", "32→16 1×1", 5),
    ]
    assert first[0].efficiency == first[0].macs / (256 * first[0].cycles)


def test_stages_are_those_of_a_profile(table: Table3) -> None:
    report = simulate(load("squeezenext_23_v3"), Accelerator.named("squeezelerator_8x8"))
    expected = {row["stage"]: row["cycles"] for row in report.rows("stage")}
    assert stage_cycles(table.runs["squeezelerator_8x8"]["1.0-SqNxt-23v3"]) == expected
    assert tuple(expected) == STAGES


def test_rows_have_every_network_group_and_stage(table: Table3) -> None:
    assert len(table3_rows(table)) == 26
    assert len(stage_rows(table)) == 2 * len(VERSIONS) * len(STAGES)
    assert len(layer_rows(table)) == sum(len(groups(run)) for run in versions(table))
    for row in table3_rows(table):
        assert row["time"] == pytest.approx((1 + row["time_error"]) * row["time_printed"])
        assert row["energy"] == pytest.approx((1 + row["energy_error"]) * row["energy_printed"])
    by_network: dict[tuple[str, str], float] = {}
    for row in stage_rows(table):
        key = (row["accelerator"], row["network"])
        by_network[key] = by_network.get(key, 0) + row["share"]
    assert list(by_network.values()) == pytest.approx([1.0] * 10)


def test_the_text_has_printed_and_ours(table: Table3) -> None:
    text = plain(sections(table))
    run = table.runs["squeezelerator_16x16"]["AlexNet"]
    ours = table.time("squeezelerator_16x16", "AlexNet")
    (line,) = re.findall(r"^  AlexNet +8\.26 .*$", text, re.MULTILINE)
    assert f" {ours:.3f} " in line
    assert f"is {ours:.2f}× faster than AlexNet, in the paper 8.26×" in text
    assert f"  {run.total_energy / 1e9:.2f}  " in text
    assert text.count("figure 8, cycles by stage on ") == 2


@pytest.mark.parametrize("width", [60, 80])
def test_tables_fit_a_terminal(table: Table3, width: int) -> None:
    for section in sections(table, width):
        if hasattr(section.body, "plain"):
            assert max(map(len, section.body.plain().splitlines())) <= width
