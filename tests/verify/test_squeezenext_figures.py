from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.text import Text

from squeezesim.papers.squeezenext_networks import ACCELERATORS, Table3, compute, table3
from squeezesim.papers.squeezenext_tables import (
    STAGES,
    VERSIONS,
    accuracy_figure,
    drawings,
    groups,
    layers_figure,
    stage_cycles,
    stages_figure,
)
from squeezesim.report.figures.style import render


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
