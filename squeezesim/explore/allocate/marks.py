"""Marks: published networks by number on a panel; those that would lie on each other share a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from squeezesim.report.figures.theme import theme_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_THEME = theme_named("light")
NETWORK = _THEME.series[0]
"""Colour of published networks."""

_HIGH = 0.055  # of a box, as a part of the panel
_LETTER, _AROUND = 0.014, 0.028  # its width: a letter, and what is around them


@dataclass(frozen=True, slots=True)
class Mark:
    """A box with the *numbers* of networks at *place*, filled where all of them are allocations that are drawn."""

    numbers: tuple[int, ...]
    place: tuple[float, float]
    filled: bool

    @property
    def text(self) -> str:
        """What is written in it."""
        return ", ".join(map(str, self.numbers))

    @property
    def width(self) -> float:
        """Of the box, as a part of the panel."""
        return _AROUND + _LETTER * len(self.text)

    def covers(self, other: Mark, size: tuple[float, float]) -> bool:
        """Whether its box and that of *other* overlap on a panel of *size*."""
        across, up = (abs(a - b) / span for a, b, span in zip(self.place, other.place, size, strict=True))
        return across < (self.width + other.width) / 2 and up < _HIGH

    def joined(self, other: Mark) -> Mark:
        """Return the box of both, in the middle of all their networks."""
        ours, theirs = len(self.numbers), len(other.numbers)
        x, y = (
            (a * ours + b * theirs) / (ours + theirs) for a, b in zip(self.place, other.place, strict=True)
        )
        return Mark(tuple(sorted((*self.numbers, *other.numbers))), (x, y), self.filled and other.filled)


def apart(marks: Sequence[Mark], size: tuple[float, float]) -> list[Mark]:
    """Return *marks* on a panel of *size*, in units of its axes, those joined that overlap.

    Example:
        >>> [mark.text for mark in apart([Mark((1,), (0, 0), True), Mark((2,), (0, 1), True)], (100, 100))]
        ['1, 2']
    """
    found = list(marks)
    while True:
        pair = next(((a, b) for a, b in combinations(found, 2) if a.covers(b, size)), None)
        if pair is None:
            return found
        found = [mark for mark in found if mark not in pair] + [pair[0].joined(pair[1])]


def draw_marks(axes: Axes, marks: Sequence[Mark]) -> None:
    """Draw *marks* on *axes*, whose limits they extend."""
    for mark in marks:
        axes.update_datalim([mark.place])
    axes.autoscale_view()
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for mark in apart(marks, (right - left, high - low)):
        box = {
            "boxstyle": "round,pad=0.25",
            "facecolor": NETWORK if mark.filled else _THEME.paper,
            "edgecolor": NETWORK,
        }
        axes.text(
            *mark.place,
            mark.text,
            ha="center",
            va="center_baseline",
            fontsize=7,
            color=_THEME.paper if mark.filled else NETWORK,
            bbox=box,
            zorder=5,
        )
