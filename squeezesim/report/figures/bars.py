"""Bars: many of them stacked, drawn as one shape for each part, and a few side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.report.figures.sheet import ruled
from squeezesim.report.figures.theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 0.84


def boxes(axes: Axes, sides: Sequence[Any], colour: str, **style: Any) -> None:
    """Draw rectangles from their *sides* (left, right, bottom, top), numbers or arrays of them.

    One collection is drawn in a fraction of the time of many single bars.
    """
    from matplotlib.collections import PolyCollection

    left, right, bottom, top = np.broadcast_arrays(*sides)
    corners = ((left, bottom), (left, top), (right, top), (right, bottom))
    shapes = np.stack([np.stack(corner, axis=-1) for corner in corners], axis=-2).reshape(-1, 4, 2)
    look: dict[str, Any] = {"facecolor": colour, "linewidth": 0, "zorder": 2} | style
    axes.add_collection(PolyCollection(list(shapes), **look), autolim=False)


def stacked(
    axes: Axes, parts: Mapping[str, Any], colours: Mapping[str, str], *, sideways: bool = False
) -> Any:
    """Stack *parts* (a value for each bar) that are not all zero, and return the heights of the bars."""
    heights = np.zeros(len(next(iter(parts.values()))))
    left = np.arange(len(heights)) - WIDTH / 2
    for name, part in parts.items():
        above = heights + part
        if np.any(part):
            across, along = (left, left + WIDTH), (heights, above)
            boxes(axes, (*along, *across) if sideways else (*across, *along), colours[name], label=name)
        heights = above
    return heights


def beside(axes: Axes, groups: Sequence[str], series: Mapping[str, Sequence[float]], theme: Theme) -> None:
    """Draw a bar for each series in each group, colours in the order of the theme; groups are named below."""
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        left = np.arange(len(groups)) + (number - (len(series) - 1) / 2) * width
        axes.bar(left, values, width, color=theme.series[number], label=name, zorder=2)
    axes.set_xticks(range(len(groups)), groups, parse_math=False)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    ruled(axes, theme)
