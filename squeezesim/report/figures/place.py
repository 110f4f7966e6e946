"""Names beside circles, where they cover neither each other nor a circle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.report.canvas import quiet
from squeezesim.report.figures.theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = NDArray[np.float64]

_SIDES = [np.array([np.cos(angle), np.sin(angle)]) for angle in np.deg2rad(np.arange(0, 360, 15))]
_GAPS = (2, 6, 12, 20, 30, 42, 56, 72, 90)  # points between a circle and its name
_NEAR = _GAPS[:6]  # where a name may be left out
_LED = 4  # points, from which on a line leads to the name
_AIR = 1.0  # points around a name
_ALONG = np.linspace(0, 1, 200)[:, np.newaxis]  # where a line is looked at
_POINTS_AN_INCH = 72


@dataclass(frozen=True, slots=True)
class Spot:
    """A circle at (x, y) of the axes' data, its radius in points, and the name to write beside it."""

    x: float
    y: float
    radius: float
    text: str


@dataclass(frozen=True, slots=True)
class _Box:
    """A rectangle around *middle*, half as large each way as *half*, in points."""

    middle: Point
    half: Point

    def away(self, points: Point) -> Any:
        """How far each of *points* is from the rectangle, 0 inside."""
        return np.linalg.norm(np.maximum(np.abs(points - self.middle) - self.half, 0), axis=-1)

    def covers(self, other: _Box) -> bool:
        """Whether they overlap, or nearly."""
        return bool(np.all(np.abs(self.middle - other.middle) < self.half + other.half + _AIR))


@dataclass(frozen=True, slots=True)
class _Room:
    """What a name must not cover: the frame's edge, circles, other names and the lines that lead to them."""

    frame: _Box
    centres: Point
    radii: Point
    names: list[_Box]
    lines: list[Point]  # points along each

    def holds(self, box: _Box, line: Point | None, *, over_circles: bool) -> bool:
        """Whether there is room for a name at *box*, to which *line* leads."""
        if np.any(np.abs(box.middle - self.frame.middle) + box.half > self.frame.half - _AIR):
            return False
        if any(box.covers(name) for name in self.names):
            return False
        if over_circles:
            return True
        if np.any(box.away(self.centres) < self.radii + _AIR) or any(
            np.any(box.away(other) == 0) for other in self.lines
        ):
            return False
        return line is None or not any(np.any(name.away(line) == 0) for name in self.names)


def settled(figure: Figure) -> None:
    """Lay out *figure*, so that its axes are where they will be drawn."""
    engine = figure.get_layout_engine()
    if engine is not None:
        with quiet():
            engine.execute(figure)


def name_spots(
    axes: Axes,
    spots: Sequence[Spot],
    theme: Theme,
    fontsize: float,
    most: int | None = None,
    lines: Sequence[Point] = (),
) -> None:
    """Write the names of the first *most* of *spots* on *axes*, each as near to its circle as there is room.

    A name for which there is none nearby is left out, unless all are wanted (*most* is None): then it may cover
    circles, but no other name. *lines*, two ends each, are kept free like circles. The axes must have their limits, and
    be ``settled``.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    scale = figure.dpi / _POINTS_AN_INCH
    left, bottom, right, top = (edge / scale for edge in axes.get_window_extent().extents)
    frame = _Box(np.array([left + right, bottom + top]) / 2, np.array([right - left, top - bottom]) / 2)
    centres = axes.transData.transform([(spot.x, spot.y) for spot in spots]) / scale
    room = _Room(frame, centres, np.array([spot.radius for spot in spots]), [], [])
    for start, end in (axes.transData.transform(line) / scale for line in lines):
        room.lines.append(start + _ALONG * (end - start))
    for spot, centre in list(zip(spots, centres, strict=True))[:most]:
        half = _half_size(axes, spot.text, fontsize) / scale
        places = list(_places(spot, centre, half, _GAPS if most is None else _NEAR))
        found = next((p for p in places if room.holds(*p, over_circles=False)), None)
        if found is None and most is None:
            found = next((p for p in places if room.holds(*p, over_circles=True)), None)
        if found is not None:
            box, line = found
            room.names.append(box)
            if line is not None:
                room.lines.append(line)
            _write(axes, spot, box.middle - centre, line is not None, theme, fontsize)


def _places(
    spot: Spot, centre: Point, half: Point, gaps: Sequence[float]
) -> Iterator[tuple[_Box, Point | None]]:
    """Where the name of *spot* may stand, nearest first, with the points along the line that leads there."""
    for gap in gaps:
        for side in _SIDES:
            middle = centre + side * (spot.radius + gap) + half * np.clip(side * np.sqrt(2), -1, 1)
            edge = centre + side * spot.radius
            yield _Box(middle, half), edge + _ALONG * (middle - edge) if gap >= _LED else None


def _half_size(axes: Axes, text: str, fontsize: float) -> Point:
    """Half the width and the height of *text* in pixels."""
    drawn = axes.text(0, 0, text, fontsize=fontsize, parse_math=False)
    with quiet():
        extent = drawn.get_window_extent()
    drawn.remove()
    return np.array([extent.width, extent.height]) / 2


def _write(axes: Axes, spot: Spot, offset: Point, led: bool, theme: Theme, fontsize: float) -> None:
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
