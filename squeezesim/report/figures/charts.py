"""What charts share: words of the parts, scales, bars, and rows of layers along an axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from squeezesim.cost.costs import cause_named
from squeezesim.report import units
from squeezesim.report.figures.colours import Theme
from squeezesim.report.figures.style import NORMAL, SMALL, Sheet, draw_grid_lines, labels
from squeezesim.report.metrics import quantity, shown_energy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from squeezesim.report.data import ReportData
    from squeezesim.report.tally import Floats, Tally


def cause_labels(names: Iterable[str]) -> dict[str, str]:
    """Return the labels of executed MACs and of the losses to *names*."""
    return {"executed": "MACs", **{name: cause_named(name).label for name in names}}


_MANY = 2000  # of a unit, from which on the next larger one is taken
# Ticks of a decade, for axes whose ends have at most this ratio.
_STEPS: tuple[tuple[float, tuple[float, ...]], ...] = (
    (4, (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)),
    (30, (1, 1.5, 2, 3, 4, 6, 8)),
    (3000, (1, 2, 5)),
    (math.inf, (1,)),
)


class Unit(NamedTuple):
    """A value times *factor* is in the unit *name*."""

    factor: float
    name: str

    def label(self, quantity: str) -> str:
        """Return the label of an axis."""
        return f"{quantity} ({self.name})"


def time_unit(largest_us: float) -> Unit:
    """Return the unit of times up to *largest_us* µs.

    Example:
        >>> time_unit(12345.6)
        Unit(factor=0.001, name='ms')
    """
    return _unit(largest_us, [Unit(1, "µs"), Unit(1e-3, "ms"), Unit(1e-6, "s")])


def byte_unit(largest: int) -> Unit:
    """Return the unit of sizes up to *largest* bytes.

    Example:
        >>> byte_unit(300_000)
        Unit(factor=0.0009765625, name='KiB')
    """
    return _unit(largest, [Unit(1 / 1024**power, name) for power, name in enumerate(units.IEC)])


class Energies:
    """Energies of several reports in one quantity: µJ where all tables are absolute, else units of one MAC."""

    def __init__(self, reports: Iterable[ReportData]) -> None:
        self.column = shown_energy(*reports)

    @property
    def absolute(self) -> bool:
        """Whether they are in µJ."""
        return self.column == "energy_uj"

    def of(self, report: ReportData, tally: Tally) -> Floats:
        """Return the energy of each row of *tally* by level."""
        return tally.energy_uj(report.scale) if self.absolute else tally.energy_mac_equiv(report.scale)

    def text(self, value: float) -> str:
        """Return an energy with its unit."""
        return quantity(self.column, value)

    def unit(self, largest: float) -> Unit:
        """Return the unit of energies up to *largest*."""
        if self.absolute:
            return _unit(largest, [Unit(1, "µJ"), Unit(1e-3, "mJ"), Unit(1e-6, "J")])
        powers = {
            1.0: "MAC-equivalents",
            1e-3: "10³ MAC-equivalents",
            1e-6: "10⁶ MAC-equivalents",
            1e-9: "10⁹ MAC-equivalents",
        }
        return _unit(largest, [Unit(factor, name) for factor, name in powers.items()])


def _unit(largest: float, allowed: Sequence[Unit]) -> Unit:
    return next((unit for unit in allowed if largest * unit.factor < _MANY), allowed[-1])


def log_axes(axes: Axes, x: tuple[float, float], y: tuple[float, float] | None = None) -> None:
    """Make the x axis of *axes* logarithmic, and the y axis where it has limits, with ticks at short numbers."""
    log_axis(axes, "x", x)
    if y is not None:
        log_axis(axes, "y", y)


def log_axis(axes: Axes, name: str, limits: tuple[float, float]) -> None:
    """Make the axis *name* of *axes*, ``x`` or ``y``, logarithmic between *limits*, with ticks at short numbers."""
    from matplotlib.ticker import NullLocator

    low, high = limits
    axes.set(**{f"{name}scale": "log", f"{name}lim": limits})
    axis = axes.xaxis if name == "x" else axes.yaxis
    axis.set_ticks([tick for tick in _ticks(low, high) if low < tick < high])
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_locator(NullLocator())


def _ticks(low: float, high: float) -> list[float]:
    """Short numbers around *low* and *high*: few a decade where there are many decades."""
    steps = next(steps for most, steps in _STEPS if high / low <= most)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [float(f"{step}e{power}") for power in powers for step in steps]


_ACROSS = 46  # names side by side, so that they are read on a page
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


def width_of(count: int) -> float:
    """Return the inches that a figure of *count* layers side by side is wide."""
    return float(np.clip(3.0 + _INCHES_A_LAYER * count, *_INCHES))


def name_layers(sheet: Sheet, axes: Axes, names: Sequence[str]) -> None:
    """Write the layers' names below their bars; of more than fit, every second or third."""
    most, longest, letters = _ACROSS, _LONGEST_LABEL, float(_UPRIGHT)
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


def stacked_bars(
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


def grouped_bars(
    axes: Axes, groups: Sequence[str], series: Mapping[str, Sequence[float]], theme: Theme
) -> None:
    """Draw a bar for each series in each group, colours in the order of the theme; groups are named below."""
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        left = np.arange(len(groups)) + (number - (len(series) - 1) / 2) * width
        axes.bar(left, values, width, color=theme.series[number], label=name, zorder=2)
    axes.set_xticks(range(len(groups)), groups, parse_math=False)
    axes.set_xlim(-0.6, len(groups) - 0.4)
    draw_grid_lines(axes, theme)
