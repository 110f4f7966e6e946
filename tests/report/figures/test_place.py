from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from squeezesim.report.figures.place import Spot, name_spots
from squeezesim.report.figures.theme import theme_named

LIGHT = theme_named("light")


def panel() -> Axes:
    axes = Figure(figsize=(7, 5)).subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return axes


@st.composite
def spots(draw: st.DrawFn) -> list[Spot]:
    inside = st.floats(0.1, 0.9)
    return [
        Spot(draw(inside), draw(inside), draw(st.floats(1, 15)), f"layer{number}")
        for number in range(draw(st.integers(1, 8)))
    ]


@settings(max_examples=20, deadline=None)
@given(spots())
def test_names_cover_neither_each_other_nor_the_edge(found: list[Spot]) -> None:
    axes = panel()
    name_spots(axes, found, LIGHT, 8)
    axes.get_figure(root=True).draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == [spot.text for spot in found]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    frame = axes.get_window_extent()
    assert all(frame.x0 < box.x0 and box.x1 < frame.x1 for box in boxes)
    assert all(frame.y0 < box.y0 and box.y1 < frame.y1 for box in boxes)


@settings(max_examples=20, deadline=None)
@given(spots())
def test_names_that_may_be_left_out_cover_no_circle(found: list[Spot]) -> None:
    axes = panel()
    name_spots(axes, found, LIGHT, 8, most=5)
    axes.get_figure(root=True).draw_without_rendering()
    assert len(axes.texts) <= 5
    scale = axes.get_figure(root=True).dpi / 72
    for text in axes.texts:
        box = Text.get_window_extent(text)
        for spot in found:
            x, y = axes.transData.transform((spot.x, spot.y))
            away = np.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1))
            assert away >= spot.radius * scale


def test_a_line_is_kept_free() -> None:
    line = np.array([[0.0, 0.45], [1.0, 0.55]])
    axes = panel()
    spot = Spot(0.5, 0.5, 3, "a rather long name of a layer")
    name_spots(axes, [spot], LIGHT, 8, most=1, lines=[line])
    axes.get_figure(root=True).draw_without_rendering()
    (text,) = axes.texts
    box = Text.get_window_extent(text)
    along = axes.transData.transform(line[0] + np.linspace(0, 1, 500)[:, None] * (line[1] - line[0]))
    assert not any(box.contains(*point) for point in along)


def test_without_room_a_name_is_left_out() -> None:
    axes = Figure(figsize=(0.8, 0.8)).subplots()
    crowd = [Spot(0.5, 0.5, 3, "a name that is far too long for this")] * 2
    name_spots(axes, crowd, LIGHT, 8, most=2)
    assert not axes.texts
