from __future__ import annotations

import dataclasses
import struct
import warnings
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from squeezesim.network import Layer, Network
from squeezesim.report.figures.registry import figure
from squeezesim.report.figures.utilization import utilization
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, network, report

REPORT = report()


def many(count: int) -> Network:
    layers = [
        Layer.matmul(
            f"stage{number // 30}.layer{number}", m=8, n=8, k=8 + number % 5, stage=f"stage{number // 30}"
        )
        for number in range(count)
    ]
    return Network.from_layers(layers)


def main_axes(drawn: Figure) -> list[Axes]:
    """The rows of the figure, without the second axes of utilization."""
    return drawn.axes[: len(drawn.axes) // 2]


def test_bars_are_stacked_up_to_the_cycles() -> None:
    axes = utilization(REPORT).axes[0]
    bars = [collection for collection in axes.collections if isinstance(collection, PolyCollection)]
    cycles = [row["cycles"] for row in REPORT.rows() if row["cycles"]]
    heights = np.zeros(len(cycles))
    for collection in bars:
        corners = np.array([path.vertices for path in collection.get_paths()])
        np.testing.assert_allclose(
            corners[:, 0, 1], heights, atol=1e-6
        )  # each part begins where the one below ends
        heights = corners[:, 1, 1]
    np.testing.assert_allclose(heights, cycles, atol=1e-6)


def test_the_line_is_the_utilization_of_layers_with_macs() -> None:
    line = utilization(REPORT).axes[1].lines[0]
    rows = [row for row in REPORT.rows() if row["cycles"]]
    expected = [(place, 100 * row["utilization"]) for place, row in enumerate(rows) if row["macs"]]
    np.testing.assert_allclose(np.column_stack([line.get_xdata(), line.get_ydata()]), expected)


def test_axes_have_units_and_stages_names() -> None:
    drawn = utilization(REPORT)
    assert [axes.get_ylabel() for axes in drawn.axes] == ["cycles", "utilization (%)"]
    assert [text.get_text() for text in drawn.axes[0].texts] == ["stem", "stage1", "head"]
    labels = [label.get_text() for label in drawn.axes[0].get_xticklabels()]
    assert labels[:2] == ["stem.conv", "stage1.depthwise"]
    assert "stage1.concat" not in labels


def test_only_causes_that_occur_are_in_the_legend() -> None:
    (legend,) = utilization(REPORT).legends
    labels = {text.get_text().partition(":")[0] for text in legend.get_texts()}
    lost = REPORT.losses.drop(
        columns=["name", "stage", "dataflow", "cycles", "pe_cycles", "executed_macs"]
    ).sum()
    assert labels == {"MACs", "utilization (right axis)", *lost[lost > 0].index}


@pytest.mark.parametrize("count", [1, 3, 46, 47, 112, pytest.param(230, marks=pytest.mark.slow)])
def test_text_is_large_and_none_overlaps_another(count: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawn = utilization(simulate(many(count), accelerator()))
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    page = 890 / drawn.get_size_inches()[0] / 72  # pixels a point, in a column of text on a screen
    for axes in main_axes(drawn):
        for texts in (axes.get_xticklabels(), axes.texts, [axes.title, *axes.texts]):
            boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
            assert all(text.get_fontsize() * page > 8.5 for text in texts)
            for place, box in enumerate(boxes):
                assert not any(box.overlaps(other) for other in boxes[place + 1 :])
                assert box.x0 >= 0
                assert box.x1 <= drawn.bbox.x1


@pytest.mark.parametrize(("count", "rows"), [(46, [46]), (47, [24, 23]), (112, [38, 38, 36])])
def test_many_layers_go_on_in_rows_of_equal_width(count: int, rows: list[int]) -> None:
    drawn = utilization(simulate(many(count), accelerator()))
    main = main_axes(drawn)
    assert [len(axes.get_xticks()) for axes in main] == rows
    assert len({axes.get_xlim() for axes in main}) == 1
    names = [label.get_text() for axes in main for label in axes.get_xticklabels()]
    assert names == [layer.name for layer in many(count).layers]
    assert {axes.get_ylabel() for axes in main} == {
        "cycles" if len(rows) == 1 else "cycles (this row's scale)"
    }


def test_the_legend_names_what_any_row_shows() -> None:
    pool = Layer.vector("stage9.pool", op="max_pool", k=8, oy=8, ox=8, stage="stage9")
    layers = [*many(60).layers, dataclasses.replace(pool, inputs=())]
    drawn = utilization(simulate(Network.from_layers(layers), accelerator()))
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels[0] == "MACs"
    assert labels[-2:] == ["vector: vector lanes at work", "utilization (right axis)"]
    assert len(labels) == len(set(labels))


def test_a_figure_is_no_larger_than_a_picture_can_be() -> None:
    drawn = utilization(simulate(many(700), accelerator()))
    assert max(drawn.get_size_inches()) < 30
    assert sum(len(axes.get_xticks()) for axes in main_axes(drawn)) <= 300


def test_pictures_are_pictures_without_dates() -> None:
    data = figure("utilization", [REPORT], "png")
    width, height = struct.unpack(">II", data[16:24])
    assert data.startswith(b"\x89PNG")
    assert width > 600
    assert height > 500
    assert b"Software" not in data
    root = ElementTree.fromstring(figure("utilization", [REPORT], "svg"))
    assert root.tag.endswith("svg")
    assert b"dc:date" not in figure("utilization", [REPORT], "svg")


def test_the_user_s_settings_neither_matter_nor_change(tmp_path: Path) -> None:
    before = figure("utilization", [REPORT], "png")
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.hashsalt": "mine"}):
        assert figure("utilization", [REPORT], "png") == before
        assert mpl.rcParams["font.size"] == 30
        assert mpl.rcParams["svg.hashsalt"] == "mine"
    assert not list(tmp_path.iterdir())


def test_names_with_signs_that_the_font_has_not_are_drawn_quietly() -> None:
    strange = dataclasses.replace(network(), name="網絡 $x^2$ \\alpha")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figure("utilization", [simulate(strange, accelerator())], "png").startswith(b"\x89PNG")
