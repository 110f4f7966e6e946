"""Layers side by side: rows of them, their names below, their stages as bands."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from squeezesim.report.figures.lettering import labels
from squeezesim.report.figures.sheet import NORMAL, SMALL, Sheet
from squeezesim.report.figures.theme import Theme

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
_NOTHING = 1e-6  # inches
_INCHES_OF_LINE = 0.17  # of width, of a stage's name that stands upright
_MOST_OF_AXIS = 0.4  # that the names of stages take, or those of layers on axes of the caller
_INCHES_OF_LABEL = 0.165  # of width, of a layer's name that stands upright
_INCHES_A_SMALL_LETTER = 0.075
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


def name_layers(sheet: Sheet, axes: Axes, names: Sequence[str]) -> None:
    """Write the layers' names below their bars; of more than fit, every second or third."""
    most, longest, letters = ACROSS, _LONGEST_LABEL, float(_UPRIGHT)
    if not sheet.own:
        width, height = sheet.inches, sheet.inches_high
        most = min(most, max(int(width / _INCHES_OF_LABEL), 1))
        longest = int(np.clip(height * _MOST_OF_AXIS / _INCHES_A_SMALL_LETTER, _LONGEST_UPRIGHT, longest))
        letters = min(letters, width / _INCHES_A_LETTER)
    step = -(-len(names) // most)
    texts = labels(names, longest)[::step]
    upright = sum(map(len, texts)) <= letters
    size, turn = (NORMAL, 0) if upright else (SMALL, 90)
    axes.set_xticks(range(0, len(names), step), texts, rotation=turn, fontsize=size, parse_math=False)


def shade_stages(
    axes: Axes, stages: Sequence[str], inches: tuple[float, float], theme: Theme, known: Sequence[str]
) -> float:
    """Shade every second stage and write its name at the top, upwards where its layers are too narrow for it.

    *stages* has the stage of each layer, *known* all that there are, in order; *inches* are the width of a layer and
    the height of the axis. A name for which there is no room between the edges and the names before it is left out.
    Returned is how much higher than what it shows the axis must be, so that names stand above.
    """
    start = letters = 0
    taken = -0.5 * inches[0]  # inches from the first layer's middle, up to which there are names
    end = (len(stages) - 0.5) * inches[0]
    level_names = dict(zip(known, labels(known, _LONGEST_STAGE), strict=True))
    upright_names = dict(zip(known, labels(known, _LONGEST_UPRIGHT), strict=True))
    for stage, part in groupby(stages):
        count = len(list(part))
        name = level_names[stage]
        level = count * inches[0] > _INCHES_A_LETTER * len(name)
        if known.index(stage) % 2 == 0 and len(known) > 1:
            axes.axvspan(start - 0.5, start + count - 0.5, color=theme.band, zorder=0, linewidth=0)
        own = (start + (count - 1) / 2) * inches[0]
        half = (_INCHES_A_LETTER * len(name) if level else _INCHES_OF_LINE) / 2
        middle = max(own, taken + half)
        if not level:
            middle = min(middle, end - half)
            name = upright_names[stage]
        if middle - half > taken - _NOTHING and abs(middle - own) <= count * inches[0] / 2 + half:
            letters = letters if level else max(letters, len(name))
            taken = middle + half
            _write_stage(axes, name, middle / inches[0], level, theme)
        start += count
    room = max(_INCHES_OF_NAME, (letters + 1) * _INCHES_A_LETTER)
    return 1 / (1 - min(room / inches[1], _MOST_OF_AXIS))


def _write_stage(axes: Axes, name: str, place: float, level: bool, theme: Theme) -> None:
    axes.text(
        place,
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
