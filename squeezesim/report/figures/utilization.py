"""The figure ``utilization``: where the cycles of the layers go, and how busy the PEs are meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.report import metrics, units
from squeezesim.report.diagnosis import alike
from squeezesim.report.equal import equal_layers
from squeezesim.report.figures.charts import cause_labels, stacked_bars
from squeezesim.report.figures.style import NORMAL, SMALL, Sheet, draw_grid_lines, dress, labels, patch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData
    from squeezesim.report.tally import Tally

MOST = 38
"""Bars: a figure is at most a screen high."""
_INCHES = 11.0
_INCHES_A_BAR = 0.18
_INCHES_BESIDE = 1.75  # of height, for title, axis and legend
_PART_OF_BARS = 0.7  # of the height of the caller's axes
_FEWEST = 4  # bars that there is room for, even so
_LONGEST = 30
_LONGEST_STAGE = 16
_STRIP = (1.02, 0.0, 0.16, 1.0)  # of utilization, in parts of the axes: left, bottom, width, height
_ROOM = 1.08  # of the axis, for the share behind the longest bar
_TICKS = 8
_LAST_TICK = 0.95  # of the axis, so that its number stands off the strip
_GAP = 3  # points between a bar and its share


@dataclass(frozen=True, slots=True)
class _Bars:
    """What each bar stands for, layers of one shape in a stage or the rest of it, and what these take."""

    names: list[str]
    stages: list[str]
    tally: Tally


def utilization(report: ReportData, ax: Any = None, *, equal: bool = False, theme: str = "light") -> Figure:
    """Draw a bar of cycles by cause for the layers of one shape in each stage, beside it their utilization as a dot.

    Bars stand in the order in which the first of their layers runs, all on one scale, behind each its share of the
    cycles. Of more than ``MOST`` the shortest of each stage are summed, as *3 others*. With *equal*, layers are told
    apart by channels and filters alone, as in figure 6 of the SqueezeNext paper.

    Raises:
        UsageError: there is no such theme.
    """
    bars = _bars(report, equal, MOST)
    sheet = Sheet.open(ax, theme, (_INCHES, _INCHES_BESIDE + _INCHES_A_BAR * max(len(bars.names), _FEWEST)))
    (axes,) = sheet.panels
    if not sheet.own:
        fitting = int(_PART_OF_BARS * sheet.inches_high / _INCHES_A_BAR)
        bars = _bars(report, equal, min(max(fitting, _FEWEST), MOST))
    strip = axes.inset_axes(_STRIP)
    dress(strip, sheet.theme)
    shown = _draw_bars(sheet, axes, report, bars)
    _draw_strip(sheet, strip, report, bars)
    count = len(bars.names)
    for panel in (axes, strip):
        panel.set_ylim(count - 0.4, -0.6)
        draw_grid_lines(panel, sheet.theme, "x")
    axes.set_yticks(range(count), bars.names, fontsize=SMALL, parse_math=False)
    axes.tick_params(axis="y", length=0)
    _mark_stages(sheet, (axes, strip), report, bars.stages)
    text = {name: metrics.quantity(name, value) for name, value in metrics.totals(report).items()}
    sheet.title(
        f"{report.network.name} on {report.accelerator.name}: {text['latency_us']}, {text['cycles']} cycles, "
        f"utilization {text['utilization']}"
    )
    sheet.legend(shown)
    sheet.finish()
    return sheet.figure


def _bars(report: ReportData, equal: bool, most: int) -> _Bars:
    """Return the bars of what takes time, about *most* of them: the longest, and of each stage the sum of the rest."""
    owner, names, stages = _shapes(report, equal)
    tally = report.tally.grouped(owner, len(names))
    taking = np.flatnonzero(tally.cycles > 0)
    parts = [list(part) for _, part in groupby(taking.tolist(), lambda place: stages[place])]
    if len(parts) > most // 2:  # too many stages for a rest of each
        parts = [taking.tolist()]
    room = len(taking) if len(taking) <= most else max(most - len(parts), 1)
    kept = set(taking[np.argsort(-tally.cycles[taking], kind="stable")[:room]].tolist())
    shown: list[tuple[str, str, list[int]]] = []
    for part in parts:
        rest = [place for place in part if place not in kept]
        if len(rest) == 1:
            kept |= {*rest}
        shown += [(names[place], stages[place], [place]) for place in part if place in kept]
        if len(rest) > 1:
            stage = stages[part[0]] if len({stages[place] for place in part}) == 1 else ""
            shown.append((units.plural(int(np.isin(owner, rest).sum()), "other"), stage, rest))
    row = np.full(len(names), len(shown))
    for number, (_, _, places) in enumerate(shown):
        row[places] = number
    sums = tally.grouped(row, len(shown) + 1).take(np.arange(len(shown)))
    return _Bars([name for name, _, _ in shown], [stage for _, stage, _ in shown], sums)


def _shapes(report: ReportData, equal: bool) -> tuple[NDArray[np.int64], list[str], list[str]]:
    """Return the number of each layer's shape, and the names and stages of the shapes, by the first layer of each."""
    layers = report.network.layers
    owner = np.empty(len(layers), np.int64)
    if equal:
        found = equal_layers(layers)
        for number, members in enumerate(found):
            owner[list(members.places)] = number
        return owner, list(map(str, found)), [members.stage for members in found]
    shape = np.empty(len(layers), np.int64)
    for number, places in enumerate(alike(report)):
        shape[places] = number
    numbers: dict[tuple[str, int], list[int]] = {}
    for place, layer in enumerate(layers):
        numbers.setdefault((layer.stage, int(shape[place])), []).append(place)
    short = labels([layer.name for layer in layers], _LONGEST)
    names = []
    for number, places in enumerate(numbers.values()):
        owner[places] = number
        names.append(short[places[0]] + (f" ×{len(places)}" if len(places) > 1 else ""))
    return owner, names, [stage for stage, _ in numbers]


def _draw_bars(sheet: Sheet, axes: Axes, report: ReportData, bars: _Bars) -> dict[str, Any]:
    """Stack executed MACs and losses, each divided by the PEs: a bar is as long as the cycles."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    tally = bars.tally
    words = cause_labels(tally.causes)
    colours = sheet.theme.colours(words)
    spent = tally.in_pe_cycles(report.scale)
    parts = zip(words, (spent.executed, *spent.losses.T), strict=True)
    cycles = {cause: part / report.machine.pes for cause, part in parts}
    lengths = stacked_bars(axes, cycles, colours, sideways=True)
    whole = int(tally.cycles.sum())
    for place, length in enumerate(lengths.tolist()):
        axes.annotate(
            units.share(length / whole),
            (length, place),
            (_GAP, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL - 1,
            color=sheet.theme.ink,
        ).set_in_layout(False)
    end = float(lengths.max()) * _ROOM
    axes.set_xticks(
        [tick for tick in MaxNLocator(_TICKS).tick_values(0, end) if 0 <= tick < _LAST_TICK * end]
    )
    axes.set_xlim(0, end)
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_xlabel("cycles, and share of all", fontsize=NORMAL)
    return {words[cause]: patch(colours[cause]) for cause, part in cycles.items() if part.any()}


def _draw_strip(sheet: Sheet, strip: Axes, report: ReportData, bars: _Bars) -> None:
    """Draw the utilization of what has MACs as dots."""
    places = np.flatnonzero(bars.tally.macs > 0)
    ratio = bars.tally.utilization(report.scale)[places]
    strip.plot(
        100 * ratio, places, linewidth=0, marker="o", markersize=3.5, color=sheet.theme.ink, clip_on=False
    )
    strip.set_xlim(0, 100)
    strip.set_xticks((0, 50, 100))
    strip.set_xlabel("utilization (%)", fontsize=NORMAL)


def _mark_stages(sheet: Sheet, panels: tuple[Axes, Axes], report: ReportData, stages: list[str]) -> None:
    """Shade every second stage, and write its name beside its bars."""
    known = list(dict.fromkeys(layer.stage for layer in report.network.layers))
    short = dict(zip(known, labels(known, _LONGEST_STAGE), strict=True))
    middles: list[float] = []
    names: list[str] = []
    start = 0
    for number, (stage, part) in enumerate(groupby(stages)):
        count = len(list(part))
        if number % 2 == 0 and len(known) > 1:
            for panel in panels:
                panel.axhspan(start - 0.5, start + count - 0.5, color=sheet.theme.band, zorder=0, linewidth=0)
        middles.append(start + (count - 1) / 2)
        names.append(short.get(stage, stage))
        start += count
    strip = panels[1]
    strip.yaxis.tick_right()
    if len(known) == 1:
        middles, names = [], []
    strip.set_yticks(middles, names, fontsize=SMALL, parse_math=False)
    strip.tick_params(axis="y", length=0)
