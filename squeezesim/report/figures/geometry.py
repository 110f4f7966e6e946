"""Rectangles, circles and straight lines in the plane: what covers or crosses what, many against many.

Points are arrays whose last axis is (x, y). Of K things against N the result has K rows and N columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
