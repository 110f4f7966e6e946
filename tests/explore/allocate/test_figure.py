"""What is written on the figure of allocations is readable: no name covers another, or what is drawn."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from matplotlib.transforms import Bbox

import squeezesim as sq
from squeezesim.explore.allocate.figure import Mark, apart, figure
from squeezesim.explore.allocate.study import Study, study
from squeezesim.report.figures.style import quiet

pytestmark = pytest.mark.torch  # networks of other depths are traced

HW = sq.Accelerator.named("squeezelerator_16x16")
PARTS = st.floats(0, 1)


def overlap(one: Bbox, other: Bbox) -> bool:
    return Bbox.intersection(one, other) is not None


def resnets() -> Study:
    """Two networks beside the allocations cost nearly the same."""
    return study("resnet34", [sq.Accelerator.named("os_32x32")], stages=[(3, 4), (4, 4), (6, 7), (2, 3)])


def squeezenexts() -> Study:
    """Many published networks, and a best one with many options."""
    choices = {"conv1": [5], "width": [0.75, 1.0], "wiring": ["serial"], "groups": [1, 2]}
    stages = [(2, 6), (4, 6), (8, 14), (1, 1)]
    return study("squeezenext_23_v5", [HW], stages=stages, choices=choices)


@pytest.mark.parametrize("of", [resnets, pytest.param(squeezenexts, marks=pytest.mark.slow)])
def test_names_do_not_cover_each_other_or_what_is_drawn(of: Callable[[], Study]) -> None:
    done = of()
    drawn = figure(done)
    with quiet():
        drawn.draw_without_rendering()
    panels = [axes for axes in drawn.axes if axes.get_xlabel()]
    assert len(panels) == 3
    for axes in panels:
        boxes = [
            patch.get_window_extent()
            for text in axes.findobj(Text)
            if isinstance(text, Text) and (patch := text.get_bbox_patch()) is not None
        ]
        assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
    numbers = [text.get_text() for text in panels[1].texts]
    listed = sorted(int(number) for text in numbers for number in text.split(", "))
    assert listed == list(range(1, len(done.results[0].standings) + 1))
    assert ("2, 3" in numbers) == (of is resnets)
    legend = panels[2].get_legend()
    assert legend is not None
    names, bars = legend.get_window_extent(), panels[2].get_window_extent()
    assert names.y0 >= bars.y1
    assert bars.x0 - 1 <= names.x0
    assert names.x1 <= drawn.bbox.x1
    assert names.y1 <= drawn.bbox.y1


def test_the_name_of_the_best_is_whole() -> None:
    choices = {"conv1": [5], "width": [0.75], "wiring": ["serial"], "groups": [2]}
    done = study("squeezenext_23_v5", [HW], stages=[(1, 1), (1, 2), (1, 2), (1, 1)], choices=choices)
    legend = figure(done).axes[2].get_legend()
    assert legend is not None
    (best,) = (text.get_text() for text in legend.get_texts() if text.get_text().startswith("best"))
    assert best.replace("\n", " ") == "best: 1-1-1-1, conv1=5, width=0.75, wiring=serial, groups=2"


@given(st.lists(st.tuples(PARTS, PARTS, st.booleans()), max_size=12))
def test_marks_are_joined_until_none_covers_another(points: list[tuple[float, float, bool]]) -> None:
    marks = [Mark((number,), (x, y), filled) for number, (x, y, filled) in enumerate(points)]
    found = apart(marks, (1, 1))
    assert not any(one.covers(other, (1, 1)) for one, other in combinations(found, 2))
    assert sorted(number for mark in found for number in mark.numbers) == list(range(len(points)))
    for mark in found:
        own = [points[number] for number in mark.numbers]
        middle = [sum(point[axis] for point in own) / len(own) for axis in (0, 1)]
        assert mark.place == pytest.approx(middle, abs=1e-9)
        assert mark.filled == all(point[2] for point in own)
