"""The figure ``utilization``: where the cycles of each layer go, and how busy the PEs are meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.report import metrics
from squeezesim.report.equal import equal_layers
from squeezesim.report.figures.charts import (
    Places,
    cause_labels,
    name_layers,
    rows_of,
    shade_stages,
    stacked_bars,
    width_of,
)
from squeezesim.report.figures.style import NORMAL, Sheet, draw_grid_lines, patch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData
    from squeezesim.report.tally import Tally

_LINE = "utilization (right axis)"
_INCHES_A_ROW = 3.7
_INCHES_OF_AXIS = 2.1  # of which the bars' names leave this height, at least
_INCHES_OF_LEGEND = 1.4
_INCHES_OF_TICKS = 1.5  # of the axis, for ticks every 20 %


@dataclass(frozen=True, slots=True)
class _Bars:
    """What each bar stands for, a layer or equal ones, and what these take."""

    names: list[str]
    stages: list[str]
    tally: Tally


def utilization(report: ReportData, ax: Any = None, *, equal: bool = False, theme: str = "light") -> Figure:
    """Draw a bar of cycles for each layer that takes time, by cause, and utilization as a line on a second axis.

    Many layers go on in further rows, each with a scale of its own, or one large layer would hide what the others are
    made of. On axes of the caller all stand in one row. With *equal*, those of equal layers of a stage are summed, as
    in figure 6 of the SqueezeNext paper.

    Raises:
        UsageError: there is no such theme.
    """
    bars = _bars(report, equal)
    rows = rows_of(len(bars.names)) if ax is None else [np.arange(len(bars.names))]
    across = len(rows[0])
    height = _INCHES_A_ROW * max(len(rows), 1.25) + _INCHES_OF_LEGEND
    sheet = Sheet.open(ax, theme, (width_of(across), height), rows=len(rows))
    known = list(dict.fromkeys(layer.stage for layer in report.network.layers))
    shown: dict[str, Any] = {}
    for axes, index in zip(sheet.panels, rows, strict=True):
        stages = [bars.stages[place] for place in index]
        headroom = shade_stages(
            axes, stages, (sheet.inches / across, sheet.high(_INCHES_OF_AXIS)), sheet.theme, known
        )
        shown |= _row(sheet, axes, report, bars.tally, index, headroom)
        axes.set_ylabel("cycles" if len(rows) == 1 else "cycles (this row's scale)", fontsize=NORMAL)
        second = sheet.twin(axes, "utilization (%)")
        shown |= _line(sheet, second, report, bars.tally, index, headroom)
        second.set_yticks(range(0, 101, 20 if sheet.high(_INCHES_OF_AXIS) > _INCHES_OF_TICKS else 50))
        name_layers(sheet, axes, [bars.names[place] for place in index])
        axes.set_xlim(-0.6, across - 0.4)
    text = {name: metrics.quantity(name, value) for name, value in metrics.totals(report).items()}
    sheet.title(
        f"{report.network.name} on {report.accelerator.name}: {text['latency_us']}, {text['cycles']} cycles, "
        f"utilization {text['utilization']}"
    )
    words = cause_labels(report.costs.causes)
    labels = [label for label in (*words.values(), _LINE) if label in shown]
    sheet.legend({label: shown[label] for label in labels})
    sheet.finish()
    return sheet.figure


def _bars(report: ReportData, equal: bool) -> _Bars:
    """Return the bars of what takes time."""
    layers, tally = report.network.layers, report.tally
    if equal:
        found = equal_layers(layers)
        owner = np.empty(len(layers), np.int64)
        for number, members in enumerate(found):
            owner[list(members.places)] = number
        names, stages = list(map(str, found)), [members.stage for members in found]
        tally = tally.grouped(owner, len(found))
    else:
        names, stages = [layer.name for layer in layers], [layer.stage for layer in layers]
    taking = np.flatnonzero(tally.cycles > 0)
    return _Bars([names[place] for place in taking], [stages[place] for place in taking], tally.take(taking))


def _row(
    sheet: Sheet, axes: Axes, report: ReportData, tally: Tally, index: Places, headroom: float
) -> dict[str, Any]:
    """Stack executed MACs and losses, each divided by the PEs: a bar is as high as the layer's cycles."""
    from matplotlib.ticker import EngFormatter

    labels, colours = cause_labels(tally.causes), sheet.theme.causes(tally.causes)
    spent = tally.in_pe_cycles(report.scale)
    parts = zip(labels, (spent.executed[index], *spent.losses[index].T), strict=True)
    cycles = {cause: part / report.machine.pes for cause, part in parts}
    heights = stacked_bars(axes, cycles, colours)
    axes.set_ylim(0, heights.max() * headroom)
    axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    draw_grid_lines(axes, sheet.theme)
    return {labels[cause]: patch(colours[cause]) for cause, part in cycles.items() if part.any()}


def _line(
    sheet: Sheet, second: Axes, report: ReportData, tally: Tally, index: Places, headroom: float
) -> dict[str, Any]:
    """Draw a line on the axes *second* through what has MACs, 100 % as high as the highest bar."""
    from matplotlib.patheffects import Normal, Stroke

    places = np.flatnonzero(tally.macs[index] > 0)
    ratio = tally.utilization(report.scale)[index][places]
    halo = [Stroke(linewidth=2.4, foreground=sheet.theme.paper), Normal()]
    style: dict[str, Any] = {"color": sheet.theme.ink, "linewidth": 0.9, "marker": "o", "markersize": 3}
    style |= {"markerfacecolor": sheet.theme.paper, "path_effects": halo}
    (line,) = second.plot(places, 100 * ratio, **style)
    second.set_ylim(0, 100 * headroom)
    return {_LINE: line}
