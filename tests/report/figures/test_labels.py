from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from squeezesim.report.figures.colours import theme_named
from squeezesim.report.figures.labels import Spot, limits_around, name_spots

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


@settings(max_examples=10, deadline=None)
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


def crossings(axes: Axes, found: Sequence[Spot]) -> list[tuple[str, str]]:
    """Names over circles, lines through names and through circles, by the drawn texts and arrows, in pixels."""
    scale = axes.get_figure(root=True).dpi / 72
    circles = [(spot, axes.transData.transform((spot.x, spot.y)), spot.radius * scale) for spot in found]
    boxes = {text.get_text(): Text.get_window_extent(text) for text in axes.texts}
    wrong = []
    for name, box in boxes.items():
        for spot, (x, y), radius in circles:
            away = np.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1))
            if away < radius:
                wrong.append((name, f"the circle of {spot.text}"))
    for text in axes.texts:
        arrow = getattr(text, "arrow_patch", None)
        if arrow is None:
            continue
        ends = arrow.get_path().vertices[[0, -1]]
        line = ends[0] + np.linspace(0, 1, 400)[:, None] * (ends[1] - ends[0])
        line = arrow.get_transform().transform(line)
        (own,) = [(at, radius) for spot, at, radius in circles if spot.text == text.get_text()]
        outside = line[np.hypot(*(line - own[0]).T) > own[1]]
        for name, box in boxes.items():
            if name != text.get_text() and any(box.contains(*point) for point in line):
                wrong.append((f"the line to {text.get_text()}", name))
        for spot, at, radius in circles:
            apart = np.hypot(*(own[0] - at)) > own[1] + radius
            if apart and np.any(np.hypot(*(outside - at).T) < radius):
                wrong.append((f"the line to {text.get_text()}", f"the circle of {spot.text}"))
    return wrong


@settings(max_examples=10, deadline=None)
@given(spots())
def test_names_and_lines_keep_off_circles_and_names(found: list[Spot]) -> None:
    axes = panel()
    name_spots(axes, found, LIGHT, 8)
    axes.get_figure(root=True).draw_without_rendering()
    assert len(axes.texts) == len(found)
    assert crossings(axes, found) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_is_named_without_crossings(seed: int) -> None:
    random = np.random.default_rng(seed)
    crowd: list[Spot] = []
    while len(crowd) < 20:
        alike = len(crowd) < 8
        place = random.uniform(0.15, 0.4, 2) if alike else random.uniform(0.1, 0.9, 2)
        radius = 5 if alike else random.uniform(4, 20)
        name = f"squeezenext_23_variant{len(crowd)}" if alike else f"network{len(crowd)}"
        new = Spot(float(place[0]), float(place[1]), radius, name)
        # Circles that overlap may leave no way out for a line.
        if all(
            np.hypot((new.x - one.x) * 390, (new.y - one.y) * 277) > new.radius + one.radius + 3
            for one in crowd
        ):
            crowd.append(new)
    axes = panel()
    name_spots(axes, crowd, LIGHT, 8)
    axes.get_figure(root=True).draw_without_rendering()
    assert len(axes.texts) == 20
    assert crossings(axes, crowd) == []


@given(spots(), st.booleans())
def test_limits_leave_every_circle_whole(found: list[Spot], log: bool) -> None:
    axes = panel()
    if log:
        axes.set_xscale("log")
        axes.set_xlim(0.1, 0.9)
    x, y = limits_around(axes, found)
    assert x[0] <= axes.get_xlim()[0] < axes.get_xlim()[1] <= x[1]
    axes.set(xlim=x, ylim=y)
    frame, scale = axes.get_window_extent(), axes.get_figure(root=True).dpi / 72
    for spot in found:
        place = axes.transData.transform((spot.x, spot.y))
        radius = spot.radius * scale
        assert frame.x0 <= place[0] - radius
        assert place[0] + radius <= frame.x1
        assert frame.y0 <= place[1] - radius
        assert place[1] + radius <= frame.y1


def test_without_room_for_all_names_every_one_is_there_and_covers_least() -> None:
    axes = Figure(figsize=(2.4, 2.4)).subplots()
    crowd = [Spot(0.5, 0.5, 12, f"a name, number {number}") for number in range(30)]
    name_spots(axes, crowd, LIGHT, 8)
    assert len(axes.texts) == 30


@settings(max_examples=10, deadline=None)
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
