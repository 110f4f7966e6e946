"""The paper's figures 6 to 8, drawn from our numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.verify.squeezenext_paper import ACCELERATORS, families
from squeezesim.verify.squeezenext_runs import Run, Table3
from squeezesim.verify.squeezenext_tables import STAGES, VERSIONS, groups, stage_cycles, version

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Paul Tol's "muted" scheme: distinct for every kind of colour vision.
_FLOWS = {"ws": "#88CCEE", "os": "#332288"}
_FLOW_NAMES = {"ws": "weight stationary", "os": "output stationary"}
_VERSIONS = ("#332288", "#88CCEE", "#44AA99", "#DDCC77", "#CC6677")
_FAMILIES = ("#AA4499", "#CC6677", "#999933", "#332288", "#117733", "#88CCEE")

# What is written beside a circle, and how far from its middle in points, so that nothing covers anything.
_NAMES: Mapping[str, tuple[str, float, float]] = {
    "AlexNet": ("AlexNet", 0, 27),
    "SqueezeNet v1.0": ("v1.0", 0, -15),
    "SqueezeNet v1.1": ("v1.1", 0, -15),
    "Tiny Darknet": ("Tiny Darknet", 38, 0),
    "1.0-SqNxt-23": ("v1", 14, 16),
    "1.0-SqNxt-23v2": ("v2", 22, -12),
    "1.0-SqNxt-23v3": ("v3", -20, -8),
    "1.0-SqNxt-23v4": ("v4", 12, 30),
    "1.0-SqNxt-23v5": ("v5", -14, 24),
    "MobileNet": ("MobileNet", -50, 22),
    "2.0-SqNxt-23": ("v1", 26, -10),
    "2.0-SqNxt-23v4": ("v4", -8, -20),
    "2.0-SqNxt-23v5": ("v5", 12, 30),
}
_TICKS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30)


def drawings(table: Table3) -> dict[str, Callable[[], Figure]]:
    """Return what draws each figure, by the name of its file: layers (figure 6), stages (8), accuracy (7)."""
    layers: dict[str, Callable[[], Figure]] = {
        f"layers_{name}": partial(layers_figure, table, name) for name in ACCELERATORS
    }
    return layers | {
        "stages": partial(stages_figure, table),
        "accuracy": partial(accuracy_figure, table),
    }


def layers_figure(table: Table3, accelerator: str) -> Figure:
    """Return figure 6: cycles of equal layers, summed, and their efficiency; a panel for each of v1 to v5."""
    from matplotlib.figure import Figure

    runs = [table.runs[accelerator][title] for title in VERSIONS]
    figure = Figure(figsize=(12, 3 * len(runs)))
    panels = figure.subplots(len(runs), 1)
    # The labels are as long on every panel: fixed margins are drawn in half the time of computed ones.
    figure.subplots_adjust(left=0.065, right=0.945, top=0.955, bottom=0.09, hspace=0.95)
    most = max(group.cycles for run in runs for group in groups(run))
    for axes, run in zip(panels, runs, strict=True):
        _layers_panel(axes, run, most)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=3, fontsize=9, frameon=False)
    return figure


def stages_figure(table: Table3) -> Figure:
    """Return figure 8: cycles of each stage of v1 to v5; a panel for each accelerator."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, len(table.runs))
    width = 0.8 / len(VERSIONS)
    for axes, runs in zip(panels, table.runs.values(), strict=True):
        for number, title in enumerate(VERSIONS):
            cycles = list(stage_cycles(runs[title]).values())
            left = np.arange(len(STAGES)) + (number - (len(VERSIONS) - 1) / 2) * width
            axes.bar(left, cycles, width, color=_VERSIONS[number], label=title, zorder=2)
        axes.set_xticks(range(len(STAGES)), STAGES)
        axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
        axes.set_ylabel("cycles")
        axes.set_title(_on(runs[VERSIONS[0]]))
        axes.grid(axis="y", color="0.85", linewidth=0.6, zorder=0)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    return figure


def accuracy_figure(table: Table3) -> Figure:
    """Return figure 7: top-1 accuracy against time and energy; the area of a circle goes with √params."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(12, 9.5), layout="constrained")
    for row, runs in zip(figure.subplots(len(table.runs), 2), table.runs.values(), strict=True):
        some = runs[VERSIONS[0]]
        megahertz = some.accelerator.clock_mhz
        times = {title: run.total_cycles / megahertz / 1e3 for title, run in runs.items()}
        energies = {title: run.total_energy / 1e9 for title, run in runs.items()}
        _accuracy_panel(row[0], runs, times, f"time on {_on(some)} (ms)")
        _accuracy_panel(row[1], runs, energies, f"energy on {_on(some)} (10⁹ MACs' worth)")
    handles = [
        Line2D([], [], linewidth=0, marker="o", markersize=8, color=colour, label=family)
        for family, colour in _family_colours().items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=9, frameon=False)
    return figure


def _layers_panel(axes: Axes, run: Run, most: int) -> None:
    from matplotlib.ticker import EngFormatter

    found = groups(run)
    places = np.arange(len(found))
    base = np.zeros(len(found))
    for flow, colour in _FLOWS.items():
        cycles = np.array([group.cycles_by_dataflow.get(flow, 0) for group in found])
        axes.bar(places, cycles, 0.8, bottom=base, color=colour, label=_FLOW_NAMES[flow], zorder=2)
        base += cycles
    axes.set_ylim(0, 1.25 * most)
    axes.set_xlim(-0.6, len(found) - 0.4)
    axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_ylabel("cycles")
    names = [f"{group.layers} × ({group.label})" if group.layers > 1 else group.label for group in found]
    axes.set_xticks(places, names, rotation=90, fontsize=7)
    axes.set_title(
        f"{run.title} ({version(run.title)}) on {_on(run)}: {run.total_cycles / 1e6:.3f} M cycles",
        fontsize=10,
    )
    second = axes.twinx()
    style: dict[str, Any] = {
        "color": "black",
        "linewidth": 0,
        "marker": "o",
        "markersize": 4,
        "markerfacecolor": "white",
    }
    efficiency = [100 * group.efficiency for group in found]
    second.plot(places, efficiency, **style)
    second.set_ylim(0, 1.25 * 150)  # the stages' names stand above
    second.set_yticks((0, 50, 100, 150))
    second.set_ylabel("efficiency (%)")
    axes.plot([], [], label="efficiency: dense MACs / (PEs · cycles), right axis", **style)
    for stage in STAGES:
        inside = [place for place, group in zip(places, found, strict=True) if group.stage == stage]
        if STAGES.index(stage) % 2 == 0:
            axes.axvspan(inside[0] - 0.5, inside[-1] + 0.5, color="0.95", linewidth=0, zorder=0)
        middle = (inside[0] + inside[-1]) / 2
        axes.text(
            middle, 0.97, stage, transform=axes.get_xaxis_transform(), ha="center", va="top", fontsize=8
        )


def _accuracy_panel(axes: Axes, runs: Mapping[str, Run], values: Mapping[str, float], label: str) -> None:
    from matplotlib.ticker import NullLocator

    colours = _family_colours()
    for title, run in runs.items():
        printed = run.printed
        spot = (values[title], printed.top1)
        axes.scatter(
            *spot,
            s=110 * printed.params_millions**0.5,
            color=colours[printed.family],
            edgecolor="white",
            linewidth=0.6,
            alpha=0.85,
            zorder=2,
        )
        text, right, up = _NAMES[title]
        axes.annotate(
            text,
            spot,
            (right, up),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": "0.5", "linewidth": 0.5},
        )
    axes.set_xscale("log")
    low, high = min(values.values()) / 1.2, max(values.values()) * 1.2
    axes.set_xlim(low, high)
    axes.set_xticks([tick for tick in _TICKS if low < tick < high])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(55.5, 69.5)
    axes.set_xlabel(label)
    axes.set_ylabel("top-1 accuracy (%)")
    axes.grid(color="0.9", linewidth=0.6, zorder=0)


def _family_colours() -> dict[str, str]:
    return dict(zip(families(), _FAMILIES, strict=True))


def _on(run: Run) -> str:
    array, buffer = run.accelerator.array, run.accelerator.memory.global_buffer
    return f"{array.rows}×{array.cols} PEs, {buffer.size_kib:g} KiB"
