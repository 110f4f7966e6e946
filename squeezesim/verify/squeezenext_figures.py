"""The paper's figures 6 to 8, drawn from our numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.report.figures.along import shade_stages
from squeezesim.report.figures.bars import beside, stacked
from squeezesim.report.figures.scales import Unit
from squeezesim.report.figures.sheet import NORMAL, SMALL, Sheet, dot, patch, ruled
from squeezesim.report.figures.tradeoff import Circle, draw_circles, name_circles
from squeezesim.verify.squeezenext_paper import ACCELERATORS, families
from squeezesim.verify.squeezenext_runs import Run, Table3
from squeezesim.verify.squeezenext_tables import STAGES, VERSIONS, groups, stage_cycles, version

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FLOWS = {"ws": "weight stationary", "os": "output stationary"}
_EFFICIENCY = "efficiency: dense MACs / (PEs · cycles), right axis"
_MOST_EFFICIENCY = 150  # per cent
_INCHES = 12.0
_INCHES_A_VERSION = 3.0


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
    runs = [table.runs[accelerator][title] for title in VERSIONS]
    # The labels are as long on every panel: fixed margins are drawn in half the time of computed ones.
    size = (_INCHES, _INCHES_A_VERSION * len(runs))
    sheet = Sheet.open(None, "light", size, rows=len(runs), layout=None)
    sheet.figure.subplots_adjust(left=0.065, right=0.945, top=0.955, bottom=0.09, hspace=0.95)
    most = max(group.cycles for run in runs for group in groups(run))
    shown: dict[str, Any] = {}
    for axes, run in zip(sheet.panels, runs, strict=True):
        shown |= _layers_panel(sheet, axes, run, most)
    sheet.figure.legend(
        shown.values(), shown, loc="upper center", ncols=len(shown), fontsize=NORMAL, frameon=False
    )
    return sheet.figure


def stages_figure(table: Table3) -> Figure:
    """Return figure 8: cycles of each stage of v1 to v5; a panel for each accelerator."""
    from matplotlib.ticker import EngFormatter

    sheet = Sheet.open(None, "light", (11, 4.2), columns=len(table.runs))
    for axes, runs in zip(sheet.panels, table.runs.values(), strict=True):
        series = {title: list(stage_cycles(runs[title]).values()) for title in VERSIONS}
        beside(axes, STAGES, series, sheet.theme)
        axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
        axes.set_ylabel("cycles")
        axes.set_title(_on(runs[VERSIONS[0]]))
    sheet.legend({title: patch(colour) for title, colour in zip(VERSIONS, sheet.theme.series, strict=False)})
    return sheet.figure


def accuracy_figure(table: Table3) -> Figure:
    """Return figure 7: top-1 accuracy against time and energy; the area of a circle goes with √params."""
    sheet = Sheet.open(None, "light", (_INCHES, 9.5), rows=len(table.runs), columns=2)
    colours = dict(zip(families(), sheet.theme.series, strict=False))
    drawn = []
    for row, runs in enumerate(table.runs.values()):
        some = runs[VERSIONS[0]]
        quantities: tuple[tuple[str, Unit, Mapping[str, float]], ...] = (
            (
                "time",
                Unit(1e-3 / some.accelerator.clock_mhz, "ms"),
                {title: run.total_cycles for title, run in runs.items()},
            ),
            (
                "energy",
                Unit(1e-9, "10⁹ MACs' worth"),
                {title: run.total_energy for title, run in runs.items()},
            ),
        )
        for axes, (quantity, unit, values) in zip(sheet.panels[2 * row :], quantities, strict=False):
            circles = [
                Circle(
                    name=_short(title),
                    family=run.printed.family,
                    top1=run.printed.top1,
                    params=round(run.printed.params_millions * 1e6),
                    value=values[title] * unit.factor,
                )
                for title, run in runs.items()
            ]
            draw_circles(sheet, axes, circles, unit.label(f"{quantity} on {_on(some)}"), colours)
            drawn.append((axes, circles))
    sheet.legend({family: dot(colour) for family, colour in colours.items()})
    name_circles(sheet, drawn)
    return sheet.figure


def _layers_panel(sheet: Sheet, axes: Axes, run: Run, most: int) -> dict[str, Any]:
    from matplotlib.ticker import EngFormatter

    found = groups(run)
    colours = {flow: sheet.theme.dataflows[flow] for flow in _FLOWS}
    cycles = {
        flow: np.array([group.cycles_by_dataflow.get(flow, 0) for group in found], np.float64)
        for flow in _FLOWS
    }
    stacked(axes, cycles, colours)
    stages = [group.stage for group in found]
    headroom = shade_stages(axes, stages, (_INCHES * 0.88 / len(found), 1.1), sheet.theme, STAGES)
    axes.set_ylim(0, headroom * most)
    axes.set_xlim(-0.6, len(found) - 0.4)
    axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_ylabel("cycles", fontsize=NORMAL)
    ruled(axes, sheet.theme)
    axes.set_xticks(range(len(found)), [group.name for group in found], rotation=90, fontsize=SMALL - 1)
    axes.set_title(
        f"{run.title} ({version(run.title)}) on {_on(run)}: {run.total_cycles / 1e6:.3f} M cycles",
        fontsize=NORMAL + 1,
    )
    second = sheet.twin(axes, "efficiency (%)")
    (points,) = second.plot(
        range(len(found)),
        [100 * group.efficiency for group in found],
        color=sheet.theme.ink,
        linewidth=0,
        marker="o",
        markersize=4,
        markerfacecolor=sheet.theme.paper,
    )
    second.set_ylim(0, headroom * _MOST_EFFICIENCY)
    second.set_yticks((0, 50, 100, 150))
    return {_FLOWS[flow]: patch(colour) for flow, colour in colours.items()} | {_EFFICIENCY: points}


def _short(title: str) -> str:
    """The name of a network within its family, whose colour says the rest.

    Example: ``v2`` for 1.0-SqNxt-23v2, ``v1.0`` for SqueezeNet v1.0, ``AlexNet`` for AlexNet.
    """
    family, _, variant = title.partition("SqNxt-23")
    return (variant or "v1") if family != title else title.removeprefix("SqueezeNet ")


def _on(run: Run) -> str:
    array, buffer = run.accelerator.array, run.accelerator.memory.global_buffer
    return f"{array.rows}×{array.cols} PEs, {buffer.size_kib:g} KiB"
