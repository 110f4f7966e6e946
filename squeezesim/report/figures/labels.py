"""Labels of points: placed so that they cover nothing.

Points are arrays whose last axis is (x, y). Of K things against N the result has K rows and N columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from squeezesim.report.figures.colours import Theme
from squeezesim.report.figures.style import quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = NDArray[np.float64]
Distances = NDArray[np.float64]
Found = NDArray[np.bool_]

_PARALLEL = 1e-12


class Boxes(NamedTuple):
    """Rectangles around *middle*, half as large each way as *half*."""

    middle: Points
    half: Points


class Lines(NamedTuple):
    """Straight lines from *start* to *end*."""

    start: Points
    end: Points


def boxes_from(boxes: Boxes, points: Points) -> Distances:
    """Return how far each of *points* is from each box, 0 inside."""
    beyond = np.abs(points[None] - boxes.middle[:, None]) - boxes.half[:, None]
    return np.asarray(np.linalg.norm(np.maximum(beyond, 0), axis=-1))


def boxes_cover(one: Boxes, other: Boxes, air: float = 0.0) -> Found:
    """Return which boxes overlap, or are nearer than *air* both ways."""
    apart = np.abs(one.middle[:, None] - other.middle[None])
    return np.asarray(np.all(apart < one.half[:, None] + other.half[None] + air, axis=-1))


def lines_cross_boxes(lines: Lines, boxes: Boxes) -> Found:
    """Return which lines have a point in which box."""
    along = (lines.end - lines.start)[:, None]
    along = np.where(np.abs(along) < _PARALLEL, _PARALLEL, along)
    first = (boxes.middle - boxes.half)[None] - lines.start[:, None]
    last = (boxes.middle + boxes.half)[None] - lines.start[:, None]
    enter = np.minimum(first / along, last / along).max(axis=-1)
    leave = np.maximum(first / along, last / along).min(axis=-1)
    return np.asarray((enter <= leave) & (leave >= 0) & (enter <= 1))


def lines_from(lines: Lines, points: Points) -> Distances:
    """Return how far each of *points* is from each line."""
    along = (lines.end - lines.start)[:, None]
    to = points[None] - lines.start[:, None]
    part = (to * along).sum(axis=-1) / np.maximum((along**2).sum(axis=-1), _PARALLEL)
    return np.asarray(np.linalg.norm(to - np.clip(part, 0, 1)[..., None] * along, axis=-1))


def lines_cross(one: Lines, other: Lines) -> Found:
    """Return which lines cross, ends included."""

    def sides(line: Lines, points: Points) -> Distances:
        along, to = line.end - line.start, points[None] - line.start[:, None]
        return np.asarray(np.sign(along[:, None, 0] * to[..., 1] - along[:, None, 1] * to[..., 0]))

    apart = sides(one, other.start) * sides(one, other.end) <= 0
    return np.asarray(apart & (sides(other, one.start) * sides(other, one.end) <= 0).T)


SHAPES = ("o", "s", "^", "D", "v", "P")
"""Shapes that are told apart, the first of them best: circle, square, triangles, diamond, plus."""


def size_of(area: float, shape: str = "o") -> float:
    """Return matplotlib's size of a mark of *area* square points: of a circle, its squared diameter 4 · area / π.

    Example:
        >>> round(size_of(100), 1), round(size_of(100, "s"), 1)
        (127.3, 100.0)
    """
    return area / _measures(shape)[0]


def radius_of(area: float, shape: str = "o") -> float:
    """Return the points from the middle of a mark of *area* square points to its farthest corner.

    Example:
        >>> round(radius_of(np.pi * 5**2), 3)
        5.0
    """
    unit, reach = _measures(shape)
    return reach * float(np.sqrt(area / unit))


@cache
def _measures(shape: str) -> tuple[float, float]:
    """Return the area of the mark of size 1, and how far it reaches."""
    if shape == "o":
        return np.pi / 4, 0.5
    from matplotlib.markers import MarkerStyle

    style = MarkerStyle(shape)
    (corners,) = style.get_path().transformed(style.get_transform()).to_polygons()
    x, y = np.asarray(corners).T
    area = abs(float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))) / 2
    return area, float(np.hypot(x, y).max())


Limits = tuple[float, float]

_ANGLES = np.deg2rad(np.arange(0, 360, 10))
_SIDES = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
_GAPS = (2, 6, 12, 20, 30, 42, 56, 72, 90, 112, 138, 170, 210)  # points between a circle and its name
_NEAR = _GAPS[:6]  # where a name may be left out
_LED = 4  # points, from which on a line leads to the name
_AIR = 1.0  # points around a name
_LINE_AIR = 2.5  # between a name and a line that is kept
_FROM_END, _ABOVE = 8.0, 2.0  # points of a text from the end of its line, and from the line
_TRIED = 24  # places of that text
_FRAME_AIR = 2.0  # points between a circle and the frame
_MOVES = 600  # of names that are in the way, until there is room for all
_ELSEWHERE = 0.3  # part of the moves that are not to the best place, but to one of the next
_CHOICE = 12
_STEPS = 40  # of the limits towards those that leave room for all circles
_POINTS_AN_INCH = 72
# How bad it is where there is no room for all: a name on another, a name or a circle with a line across, a name on a
# circle, lines that cross.
_FAULTS = (1000.0, 100.0, 10.0, 10.0, 1.0)


@dataclass(frozen=True, slots=True)
class Spot:
    """A circle at (x, y) of the axes' data, its radius in points, and the name to write beside it."""

    x: float
    y: float
    radius: float
    text: str


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the name of a spot may stand, nearest first, the line that would lead there, and how bad that is by itself.

    ``lines`` have length 0 where the name is so near that none is drawn.
    """

    boxes: Boxes
    lines: Lines
    wrong: Distances


def _beside(boxes: Boxes, lines: Lines, others: Boxes, leading: Lines) -> Distances:
    """Return how bad each of *boxes*, to which *lines* lead, is beside each of *others*, to which *leading* do."""
    led, here = _is_led(lines)[:, None], _is_led(leading)[None]
    wide, wide_others = (Boxes(some.middle, some.half + _AIR) for some in (boxes, others))
    faults: tuple[tuple[float, Found], ...] = (
        (_FAULTS[0], boxes_cover(boxes, others, _AIR)),
        (_FAULTS[1], lines_cross_boxes(leading, wide).T & here),
        (_FAULTS[1], lines_cross_boxes(lines, wide_others) & led),
        (_FAULTS[4], lines_cross(lines, leading) & led & here),
    )
    return np.asarray(sum(weight * fault for weight, fault in faults))


def limits_around(axes: Axes, spots: Sequence[Spot]) -> tuple[Limits, Limits]:
    """Return limits of x and y as those of *axes*, or as much wider as the circles of *spots* need to be whole."""
    scale, extent = _scale(axes), axes.get_window_extent()
    size = np.array([extent.width, extent.height]) / scale
    to = axes.transScale
    at = to.transform([(spot.x, spot.y) for spot in spots])
    ends = to.transform(np.column_stack([axes.get_xlim(), axes.get_ylim()]))
    room = np.array([[spot.radius + _FRAME_AIR] for spot in spots])
    low, high = ends.min(axis=0), ends.max(axis=0)
    for _ in range(_STEPS):  # wider limits make the circles larger in the units of the axes
        each = room * (high - low) / size
        low, high = np.minimum(low, (at - each).min(axis=0)), np.maximum(high, (at + each).max(axis=0))
    (left, bottom), (right, top) = to.inverted().transform([low, high]).tolist()
    return (left, right), (bottom, top)


def name_spots(
    axes: Axes,
    spots: Sequence[Spot],
    theme: Theme,
    fontsize: float,
    most: int | None = None,
    lines: Sequence[Points] = (),
) -> None:
    """Write the names of the first *most* of *spots* on *axes*, each as near to its circle as there is room.

    Names cover neither names nor circles nor *lines* (two ends each); a line that leads to a name crosses no name and
    no circle but its own and those that overlap it. A name for which there is no room nearby is left out, unless all
    are wanted (*most* is None): then it stands where it covers least. The axes must have their limits, and be
    where they are drawn.
    """
    scale, extent = _scale(axes), axes.get_window_extent()
    ends = np.array(extent.extents).reshape(2, 2) / scale
    frame = Boxes(ends.mean(axis=0), (ends[1] - ends[0]) / 2)
    centres = axes.transData.transform([(spot.x, spot.y) for spot in spots]) / scale
    radii = np.array([spot.radius for spot in spots])
    fixed = [axes.transData.transform(line) / scale for line in lines]
    kept = Lines(*(np.array([line[end] for line in fixed]).reshape(-1, 2) for end in (0, 1)))
    places = []
    for number, spot in enumerate(spots[:most]):
        half = _half_size(axes, spot.text, fontsize) / scale
        gaps = _GAPS if most is None else _NEAR
        places.append(_places(number, centres, radii, half, gaps, frame, kept))
    found = _all(places) if most is None else _some(places)
    for number, place in sorted(found.items()):
        led = bool(_is_led(places[number].lines)[place])
        offset = places[number].boxes.middle[place] - centres[number]
        _write(axes, spots[number], offset, led, theme, fontsize)


def write_along(
    axes: Axes,
    text: str,
    ends: Points,
    spots: Sequence[Spot],
    theme: Theme,
    fontsize: float,
    lines: Sequence[Points] = (),
) -> list[Points]:
    """Write *text* beside a line of *axes*, as near to its first end as no circle of *spots* and no line is under it.

    *ends* are the line's, in the units of the axes, as are those of *lines*. Returned are the lines between opposite
    corners of the text. The axes must have their limits, and be where they are drawn.
    """
    scale, half = _scale(axes), _half_size(axes, text, fontsize)
    last, first = axes.transData.transform(ends)
    long = float(np.linalg.norm(last - first))
    along = (last - first) / max(long, 1)
    up = np.array([-along[1], along[0]])
    above = up * (_ABOVE * scale + half[1])
    room = long - 2 * half[0] - _FROM_END * scale
    starts = first + np.linspace(room, min(_FROM_END * scale, room), _TRIED)[:, None] * along
    middles = Lines(starts + above, starts + above + 2 * half[0] * along)
    at = axes.transData.transform([(spot.x, spot.y) for spot in spots])
    radii = scale * np.array([spot.radius for spot in spots]) + half[1]
    wrong = np.maximum(radii - lines_from(middles, at), 0).max(axis=1)
    for line in lines:
        crossed = Lines(*(axes.transData.transform(line)[end][None] for end in (0, 1)))
        wrong += _FAULTS[1] * lines_cross(middles, crossed)[:, 0]
    best = int(wrong.argmin())
    to_data = axes.transData.inverted()
    written = axes.annotate(
        text,
        tuple(to_data.transform(starts[best]).tolist()),
        (float(up[0] * _ABOVE), float(up[1] * _ABOVE)),
        textcoords="offset points",
        rotation=float(np.degrees(np.arctan2(along[1], along[0]))),
        rotation_mode="anchor",
        va="bottom",
        fontsize=fontsize,
        color=theme.ink,
        parse_math=False,
        zorder=4,
    )
    written.set_in_layout(False)
    start, end = middles.start[best], middles.end[best]
    return [to_data.transform([start + side, end - side]) for side in (up * half[1], -up * half[1])]


def _places(
    number: int,
    centres: Points,
    radii: Distances,
    half: Points,
    gaps: Sequence[float],
    frame: Boxes,
    kept: Lines,
) -> _Places:
    """Return where the name of a circle stands best within *frame*, beside all circles and the lines *kept*."""
    gap = np.repeat(gaps, len(_SIDES))[:, None]
    side = np.tile(_SIDES, (len(gaps), 1))
    middle = centres[number] + side * (radii[number] + gap) + half * np.clip(side * np.sqrt(2), -1, 1)
    inside = np.all(np.abs(middle - frame.middle) + half <= frame.half - _AIR, axis=1)
    gap, middle = gap[inside], middle[inside]
    half = np.broadcast_to(half, middle.shape)
    boxes = Boxes(middle, half)
    to = middle - centres[number]
    start = centres[number] + radii[number] * to / np.linalg.norm(to, axis=1, keepdims=True)
    lines = Lines(start, np.where(gap >= _LED, middle, start))
    beyond = np.linalg.norm(start[:, None] - centres[None], axis=-1) > radii  # not begun in that circle
    beyond[:, number] = False
    struck = (lines_from(lines, centres) < radii) & beyond & _is_led(lines)[:, None]
    covered = boxes_from(boxes, centres) < radii + _AIR
    crossed = lines_cross_boxes(kept, Boxes(middle, half + _LINE_AIR)).T
    led = lines_cross(lines, kept) & _is_led(lines)[:, None]
    wrong = sum(
        weight * fault.sum(axis=1)
        for weight, fault in zip(_FAULTS[1:], (crossed, struck, covered, led), strict=True)
    )
    good = np.flatnonzero(wrong == np.min(wrong, initial=np.inf))
    some = Boxes(*(part[good] for part in boxes)), Lines(*(part[good] for part in lines))
    return _Places(*some, np.asarray(wrong)[good])


def _is_led(lines: Lines) -> Found:
    return np.asarray(np.any(lines.start != lines.end, axis=-1))


def _taken(places: Sequence[_Places], chosen: Mapping[int, int]) -> tuple[Boxes, Lines]:
    """Return the names that stand at *chosen*, and the lines that lead there."""
    rows = [(places[number], place) for number, place in chosen.items()]

    def gathered(part: str, end: int) -> Points:
        return np.array([getattr(at, part)[end][place] for at, place in rows]).reshape(-1, 2)

    return (
        Boxes(gathered("boxes", 0), gathered("boxes", 1)),
        Lines(gathered("lines", 0), gathered("lines", 1)),
    )


def _wrong(places: Sequence[_Places], number: int, chosen: Mapping[int, int]) -> Distances:
    """Return how bad each place of a name is beside those of the others."""
    others = {other: place for other, place in chosen.items() if other != number}
    at = places[number]
    return np.asarray(at.wrong + _beside(at.boxes, at.lines, *_taken(places, others)).sum(axis=1))


def _some(places: Sequence[_Places]) -> dict[int, int]:
    """Return the place of each name for which there is room beside those before it."""
    found: dict[int, int] = {}
    for number, at in enumerate(places):
        if len(at.wrong):
            wrong = _wrong(places, number, found)
            if wrong.min() == 0:
                found[number] = int(wrong.argmin())
    return found


def _all(places: Sequence[_Places]) -> dict[int, int]:
    """Return the place of each name: what is wrong is moved to where it is least so, until nothing is.

    Now and then one goes elsewhere, or two would give way to each other for ever; the same spots have the same places.
    """
    chosen: dict[int, int] = {}
    for number, at in enumerate(places):
        if len(at.wrong):
            chosen[number] = int(_wrong(places, number, chosen).argmin())
    random = np.random.default_rng(0)
    best, least = dict(chosen), np.inf
    for _ in range(_MOVES):
        names = list(chosen)
        boxes, lines = _taken(places, chosen)
        beside = _beside(boxes, lines, boxes, lines)
        np.fill_diagonal(beside, 0)
        wrong = np.array([places[name].wrong[chosen[name]] for name in names]) + beside.sum(axis=1)
        if wrong.sum() < least:
            best, least = dict(chosen), wrong.sum()
        if not wrong.any():
            break
        name = names[random.choice(np.flatnonzero(wrong))]
        order = np.argsort(_wrong(places, name, chosen), kind="stable")
        chosen[name] = int(order[0] if random.random() > _ELSEWHERE else random.choice(order[:_CHOICE]))
    for name in best:
        best[name] = int(_wrong(places, name, best).argmin())  # nearer, where there is room by now
    return best


def _scale(axes: Axes) -> float:
    """Pixels a point."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return float(figure.dpi / _POINTS_AN_INCH)


def _half_size(axes: Axes, text: str, fontsize: float) -> Points:
    """Half the width and the height of *text* in pixels."""
    drawn = axes.text(0, 0, text, fontsize=fontsize, parse_math=False)
    with quiet():
        extent = drawn.get_window_extent()
    drawn.remove()
    return np.array([extent.width, extent.height]) / 2


def _write(axes: Axes, spot: Spot, offset: Points, led: bool, theme: Theme, fontsize: float) -> None:
    line = {"arrowstyle": "-", "color": theme.faint, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
    text = axes.annotate(
        spot.text,
        (spot.x, spot.y),
        (float(offset[0]), float(offset[1])),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=fontsize,
        color=theme.ink,
        arrowprops=line if led else None,
        parse_math=False,
        zorder=4,
    )
    text.set_in_layout(False)
