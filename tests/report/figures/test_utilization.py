from __future__ import annotations

import dataclasses
import struct
import warnings
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.report.diagnosis import alike
from squeezesim.report.figures.registry import figure
from squeezesim.report.figures.utilization import MOST, utilization
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, network, report
from tests.report.figures.drawn import chain, overlaps

REPORT = report()


def many(count: int) -> Network:
    layers = [
        Layer.matmul(
            f"stage{number // 30}.layer{number}", m=8, n=8, k=8 + number % 5, stage=f"stage{number // 30}"
        )
        for number in range(count)
    ]
    return Network.from_layers(layers)


def panels(drawn: Figure) -> tuple[Axes, Axes]:
    """The bars, and the strip of utilization beside them."""
    (axes,) = drawn.axes
    (strip,) = axes.child_axes
    return axes, strip


def names(drawn: Figure) -> list[str]:
    return [label.get_text() for label in panels(drawn)[0].get_yticklabels()]


def lengths(drawn: Figure) -> NDArray[np.float64]:
    """The ends of the bars, each part of which begins where the one before it ends."""
    bars = [part for part in panels(drawn)[0].collections if isinstance(part, PolyCollection)]
    ends = np.zeros(len(names(drawn)))
    for part in bars:
        corners = np.array([path.vertices for path in part.get_paths()])
        np.testing.assert_allclose(corners[:, 0, 0], ends, atol=1e-6)
        ends = corners[:, 2, 0]
    return ends


def test_bars_are_stacked_up_to_the_cycles() -> None:
    cycles = [row["cycles"] for row in REPORT.rows() if row["cycles"]]
    np.testing.assert_allclose(lengths(utilization(REPORT)), cycles, atol=1e-6)


def test_the_dots_are_the_utilization_of_layers_with_macs() -> None:
    (dots,) = panels(utilization(REPORT))[1].lines
    rows = [row for row in REPORT.rows() if row["cycles"]]
    expected = [(100 * row["utilization"], place) for place, row in enumerate(rows) if row["macs"]]
    np.testing.assert_allclose(np.column_stack([dots.get_xdata(), dots.get_ydata()]), expected)
    assert dots.get_linestyle() == "None" or dots.get_linewidth() == 0


def test_axes_have_units_and_stages_names() -> None:
    axes, strip = panels(utilization(REPORT))
    assert [axes.get_xlabel(), strip.get_xlabel()] == ["cycles, and share of all", "utilization (%)"]
    assert [label.get_text() for label in strip.get_yticklabels()] == ["stem", "stage1", "head"]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:2] == ["stem.conv", "stage1.depthwise"]
    assert "stage1.concat" not in labels


def test_only_causes_that_occur_are_in_the_legend() -> None:
    (legend,) = utilization(REPORT).legends
    labels = {text.get_text().partition(":")[0] for text in legend.get_texts()}
    lost = REPORT.losses.drop(
        columns=["name", "stage", "dataflow", "cycles", "pe_cycles", "executed_macs"]
    ).sum()
    assert labels == {"MACs", *lost[lost > 0].index}


@pytest.mark.parametrize("count", [1, 3, 38, 112, pytest.param(700, marks=pytest.mark.slow)])
def test_text_is_large_and_none_overlaps_another(count: int) -> None:
    drawn = utilization(chain(count))
    assert overlaps(drawn) == []
    page = 890 / drawn.get_size_inches()[0] / 72  # pixels a point, in a column of text on a screen
    axes, strip = panels(drawn)
    written = [*axes.get_yticklabels(), *axes.get_xticklabels(), *strip.get_yticklabels(), *axes.texts]
    assert all(text.get_fontsize() * page > 7.8 for text in written)


@pytest.mark.parametrize("count", [1, 38, 39, 130, 400, 2500])
def test_it_is_at_most_a_screen_high_and_has_all_cycles_on_one_scale(count: int) -> None:
    made = simulate(many(count), accelerator())
    drawn = utilization(made)
    assert drawn.get_size_inches()[1] < 9
    assert len(names(drawn)) <= MOST
    assert lengths(drawn).sum() == pytest.approx(made.tally.cycles.sum())
    assert sum(map(members, names(drawn))) == count


def members(name: str) -> int:
    """The layers of a bar: ``layer1 ×3`` are three, ``12 others`` twelve."""
    if name.endswith(" others"):
        return int(name.split(maxsplit=1)[0].replace(",", ""))
    return int(name.partition("×")[2] or 1)


def test_layers_of_one_shape_in_a_stage_are_one_bar() -> None:
    drawn = utilization(simulate(many(60), accelerator()))
    found = [f"stage{stage}.layer{30 * stage + number} ×6" for stage in (0, 1) for number in range(5)]
    assert names(drawn) == found


def test_the_longest_bars_stand_by_themselves() -> None:
    made = simulate(load("efficientnet_b4"), Accelerator.named("squeezelerator_16x16"))
    drawn = utilization(made)
    layers, cycles = made.network.layers, made.tally.cycles
    sums = Counter[tuple[str, int]]()
    for number, places in enumerate(alike(made)):
        for place in places:
            sums[layers[place].stage, number] += int(cycles[place])
    stages = dict.fromkeys(stage for stage, _ in sums)
    longest = sorted(sums.values())[len(stages) - MOST :]
    found = dict(zip(lengths(drawn).round().astype(int).tolist(), names(drawn), strict=True))
    assert all(not found[each].endswith(" others") for each in longest)
    assert [label.get_text() for label in panels(drawn)[1].get_yticklabels()] == list(stages)


def test_pictures_are_pictures_without_dates() -> None:
    data = figure("utilization", [REPORT], "png")
    width, height = struct.unpack(">II", data[16:24])
    assert data.startswith(b"\x89PNG")
    assert width > 2000
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
