"""Layers side by side: rows of them, their names below, their stages as bands."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from squeezesim.report.figures.sheet import NORMAL, SMALL
from squeezesim.report.figures.theme import Theme
from squeezesim.report.names import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Places = NDArray[np.intp]

ACROSS = 46
"""Layers that stand side by side, so that their names are read on a page."""
_MOST_ROWS = 6
_INCHES = (8.0, 11.0)  # of width, for few layers and for many
_INCHES_A_LAYER = 0.25
_INCHES_A_LETTER = 0.1
_LONGEST_LABEL = 28
_LONGEST_STAGE = 16
_LONGEST_UPRIGHT = 8
_INCHES_OF_NAME = 0.26  # of height, of a stage's name
_MOST_OF_AXIS = 0.4  # that the names of stages take
_UPRIGHT = 60  # characters of labels that stand side by side


def rows_of(count: int) -> list[Places]:
    """Deal *count* things to rows of equal length, the last one shorter.

    Example: 112 layers stand in rows of 38, 38 and 36.
    """
    rows = min(-(-count // ACROSS), _MOST_ROWS)
    across = -(-count // rows)
    return [np.arange(start, min(start + across, count)) for start in range(0, count, across)]


def width_of(count: int) -> float:
    """Return the inches that a figure of *count* layers side by side is wide."""
    return float(np.clip(3.0 + _INCHES_A_LAYER * count, *_INCHES))


def name_layers(axes: Axes, names: Sequence[str]) -> None:
    """Write the layers' names below their bars; of more than fit, every second or third."""
    step = -(-len(names) // ACROSS)
    texts = [shorten(name, _LONGEST_LABEL) for name in names[::step]]
    upright = sum(map(len, texts)) <= _UPRIGHT
    size, turn = (NORMAL, 0) if upright else (SMALL, 90)
    axes.set_xticks(range(0, len(names), step), texts, rotation=turn, fontsize=size, parse_math=False)


def shade_stages(
    axes: Axes, stages: Sequence[str], inches: tuple[float, float], theme: Theme, known: Sequence[str]
) -> float:
    """Shade every second stage and write its name at the top, upwards where its layers are too narrow for it.

    *stages* has the stage of each layer, *known* all that there are, in order; *inches* are the width of a layer and
    the height of the axis. Returned is how much higher than what it shows the axis must be, so that names stand above.
    """
    start = letters = 0
    for stage, part in groupby(stages):
        count = len(list(part))
        name = shorten(stage, _LONGEST_STAGE)
        level = count * inches[0] > _INCHES_A_LETTER * len(name)
        if not level:
            name = shorten(stage, _LONGEST_UPRIGHT)
            letters = max(letters, len(name))
        if known.index(stage) % 2 == 0 and len(known) > 1:
            axes.axvspan(start - 0.5, start + count - 0.5, color=theme.band, zorder=0, linewidth=0)
        axes.text(
            start + (count - 1) / 2,
            0.99,
            name,
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize=NORMAL,
            color=theme.ink,
            rotation=0 if level else 90,
            parse_math=False,
        )
        start += count
    room = max(_INCHES_OF_NAME, (letters + 1) * _INCHES_A_LETTER)
    return 1 / (1 - min(room / inches[1], _MOST_OF_AXIS))
