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
    "zeros": "zeros: slices without a weight",
    "fill": "fill: preload and drain",
    "dram": "dram: waiting for DRAM",
    "buffer": "buffer: waiting for the buffer",
    "startup": "startup: first load, last store",
    "setup": "setup: once a layer",
    "vector": "vector: vector lanes at work",
}
_BAR_WIDTH = 0.84
_HEADROOM = 1.12
_INCHES_A_LAYER = 0.19
_MOST_INCHES = 60.0
_MOST_LABELS = 300
_LONGEST_LABEL = 36
_UPRIGHT = 60  # characters of labels that stand side by side


def png(report: Report) -> bytes:
    """Return the figure as PNG, the same bytes for equal reports and one version of matplotlib."""
    return render(lambda: utilization_figure(report), "png")


def svg(report: Report) -> bytes:
    """Return the figure as SVG, the same bytes for equal reports and one version of matplotlib."""
    return render(lambda: utilization_figure(report), "svg")


def utilization_figure(report: Report) -> Figure:
    """Return the figure: a bar of cycles for each layer that takes time, utilization as a line on a second axis."""
    from matplotlib.figure import Figure

    index = np.flatnonzero(report.tally.cycles > 0)
    layers = [report.network.layers[number] for number in index]
    count = len(layers)
    width = min(max(8.0, 3.0 + _INCHES_A_LAYER * count), _MOST_INCHES)
    figure = Figure(figsize=(width, 6.4), layout="constrained")
    axes = figure.add_subplot()
    _bands(axes, [layer.stage for layer in layers], (width - 1.5) / count)
    _bars(axes, report, index)
    _utilization(axes, report, index)
    step = -(-count // _MOST_LABELS)
    names = [shorten(layer.name, _LONGEST_LABEL) for layer in layers[::step]]
    upright = sum(map(len, names)) <= _UPRIGHT
    size, turn = (9, 0) if upright else (7, 90)
    axes.set_xticks(range(0, count, step), names, rotation=turn, fontsize=size, parse_math=False)
    axes.set_xlim(-0.6, count - 0.4)
    totals = report.totals
    axes.set_title(
        f"{report.network.name} on {report.accelerator.name}: {units.decimal(totals['latency_us'])} µs, "
        f"{units.count(totals['cycles'])} cycles, utilization {units.share(totals['utilization'])}",
        parse_math=False,
    )
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=3 if count <= 40 else 5, fontsize=8, frameon=False
    )
    return figure


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
    axes.set_ylabel("cycles")
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
    axes.plot([], [], label="utilization (right axis)", **style)


def _bands(axes: Axes, stages: Sequence[str], inches: float) -> None:
    """Shade every second stage and write its name at the top, upwards where its layers of *inches* are too narrow."""
    start = 0
    for number, (stage, members) in enumerate(groupby(stages)):
        count = len(list(members))
        if number % 2 == 0:
            axes.axvspan(start - 0.5, start + count - 0.5, color="0.95", zorder=0, linewidth=0)
        axes.text(
            start + (count - 1) / 2,
            0.99,
            shorten(stage, 16),
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize=8,
            rotation=0 if count * inches > 0.09 * len(stage) else 90,
            parse_math=False,
        )
        start += count
