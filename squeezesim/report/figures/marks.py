"""Marks of scatter plots by their area on paper, which matplotlib does not take: its size is that of their square."""

from __future__ import annotations

from functools import cache

import numpy as np

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
