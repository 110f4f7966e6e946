"""The utilization figure: where the cycles of each layer go, and how busy the PEs are meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.evaluate import LOSSES
from squeezesim.report import units
from squeezesim.report.canvas import render
from squeezesim.report.grid import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.report.report import Report

Places = NDArray[np.intp]

# Paul Tol's "muted" scheme: distinct for every kind of colour vision.
_COLOURS = {
    "executed": "#332288",
    "edge": "#CC6677",
    "zeros": "#999933",
    "fill": "#DDCC77",
    "dram": "#88CCEE",
    "buffer": "#117733",
    "startup": "#44AA99",
    "setup": "#AA4499",
    "vector": "#882255",
}
_LABELS = {
    "executed": "MACs",
    "edge": "edge: PEs without work",
    "zeros": "zeros: zero weights not skipped",
    "fill": "fill: preload and drain",
    "dram": "dram: waiting for DRAM",
    "buffer": "buffer: waiting for the buffer",
    "startup": "startup: first load, last store",
    "setup": "setup: once a layer",
    "vector": "vector: vector lanes at work",
}
_LINE = "utilization (right axis)"
_BAR_WIDTH = 0.84
_HEADROOM = 1.16
_ACROSS = 46  # layers that stand side by side, so that their names are read on a page
_MOST_ROWS = 6
_INCHES = (8.0, 11.0)  # of width, for few layers and for many
_INCHES_A_LAYER = 0.25
_INCHES_A_ROW = 3.7
_INCHES_OF_LEGEND = 1.4
_LONGEST_LABEL = 28
_UPRIGHT = 60  # characters of labels that stand side by side


def png(report: Report) -> bytes:
    """Return the figure as PNG, the same bytes for equal reports and one version of matplotlib."""
    return render(lambda: utilization_figure(report), "png")


def svg(report: Report) -> bytes:
    """Return the figure as SVG, the same bytes for equal reports and one version of matplotlib."""
    return render(lambda: utilization_figure(report), "svg")


def utilization_figure(report: Report) -> Figure:
    """Return the figure: a bar of cycles for each layer that takes time, utilization as a line on a second axis.

    Many layers go on in further rows. Each row has a scale of its own, or one large layer would hide what the others
    are made of.
    """
    from matplotlib.figure import Figure

    rows = _rows(np.flatnonzero(report.tally.cycles > 0))
    across = len(rows[0])
    width = float(np.clip(3.0 + _INCHES_A_LAYER * across, *_INCHES))
    height = _INCHES_A_ROW * max(len(rows), 1.25) + _INCHES_OF_LEGEND
    figure = Figure(figsize=(width, height), layout="constrained")
    stages = list(dict.fromkeys(layer.stage for layer in report.network.layers))
    shown: dict[str, Any] = {}  # what the legend names, from all rows
    for axes, index in zip(figure.subplots(len(rows), squeeze=False)[:, 0], rows, strict=True):
        members = [stages.index(report.network.layers[place].stage) for place in index]
        _bands(axes, members, stages, (width - 1.5) / across)
        _bars(axes, report, index)
        axes.set_ylabel("cycles" if len(rows) == 1 else "cycles (this row's scale)")
        _utilization(axes, report, index)
        _names(axes, [report.network.layers[place].name for place in index])
        axes.set_xlim(-0.6, across - 0.4)
        handles, labels = axes.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
    totals = report.totals
    figure.axes[0].set_title(
        f"{report.network.name} on {report.accelerator.name}: {units.decimal(totals['latency_us'])} µs, "
        f"{units.count(totals['cycles'])} cycles, utilization {units.share(totals['utilization'])}",
        parse_math=False,
    )
    labels = [label for label in (*_LABELS.values(), _LINE) if label in shown]
    figure.legend(
        [shown[label] for label in labels],
        labels,
        loc="outside lower center",
        ncols=3,
        fontsize=9,
        frameon=False,
    )
    return figure


def _rows(index: Places) -> list[Places]:
    """Deal layers to rows of equal length, the last one shorter."""
    count = min(-(-len(index) // _ACROSS), _MOST_ROWS)
    across = -(-len(index) // count)
    return [index[start : start + across] for start in range(0, len(index), across)]


def _names(axes: Axes, names: Sequence[str]) -> None:
    """Write the layers' names below their bars; of more than fit, every second or third."""
    step = -(-len(names) // _ACROSS)
    texts = [shorten(name, _LONGEST_LABEL) for name in names[::step]]
    upright = sum(map(len, texts)) <= _UPRIGHT
    size, turn = (9, 0) if upright else (8, 90)
    axes.set_xticks(range(0, len(names), step), texts, rotation=turn, fontsize=size, parse_math=False)


def _bars(axes: Axes, report: Report, index: Places) -> None:
    """Stack executed MACs and losses, each divided by the PEs: a bar is as high as the layer's cycles."""
    from matplotlib.collections import PolyCollection
    from matplotlib.ticker import EngFormatter

    tally = report.tally
    parts = [tally.executed[index], *tally.losses[index].T]
    left = np.arange(len(index)) - _BAR_WIDTH / 2
    right = left + _BAR_WIDTH
    base = np.zeros(len(index))
    for cause, part in zip(("executed", *LOSSES), parts, strict=True):
        top = base + part / report.scale.pes
        if part.any():
            corners = ((left, base), (left, top), (right, top), (right, base))
            bars = np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1)
            # One collection is drawn in a fraction of the time of many single bars.
            axes.add_collection(
                PolyCollection(
                    list(bars), facecolor=_COLOURS[cause], label=_LABELS[cause], linewidth=0, zorder=2
                ),
                autolim=False,
            )
        base = top
    axes.set_ylim(0, base.max() * _HEADROOM)  # the stages' names stand above the highest bar
    axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.grid(axis="y", color="0.85", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)


def _utilization(axes: Axes, report: Report, index: Places) -> None:
    """Draw a line through the layers that have MACs, 100 % as high as the highest bar."""
    from matplotlib.patheffects import Normal, Stroke

    places = np.flatnonzero(report.tally.macs[index] > 0)
    ratio = report.tally.utilization(report.scale)[index][places]
    second = axes.twinx()
    halo = [Stroke(linewidth=2.4, foreground="white"), Normal()]
    style: dict[str, Any] = {"color": "black", "linewidth": 0.9, "marker": "o", "markersize": 3}
    style |= {"markerfacecolor": "white", "path_effects": halo}
    second.plot(places, 100 * ratio, **style)
    second.set_ylim(0, 100 * _HEADROOM)
    second.set_yticks(range(0, 101, 20))
    second.set_ylabel("utilization (%)")
    axes.plot([], [], label=_LINE, **style)


def _bands(axes: Axes, members: Sequence[int], stages: Sequence[str], inches: float) -> None:
    """Shade every second of *stages* and write its name at the top, upwards where its layers are too narrow for it.

    *members* has the stage of each layer, *inches* is the width of one.
    """
    start = 0
    for stage, part in groupby(members):
        count = len(list(part))
        name = shorten(stages[stage], 16)
        if stage % 2 == 0:
            axes.axvspan(start - 0.5, start + count - 0.5, color="0.95", zorder=0, linewidth=0)
        axes.text(
            start + (count - 1) / 2,
            0.99,
            name,
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize=9,
            rotation=0 if count * inches > 0.1 * len(name) else 90,
            parse_math=False,
        )
        start += count
