"""The figure ``timeline``: when the tiles of a few layers are loaded, computed and stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.costs import OPERANDS, label_of
from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.machine import LEVELS
from squeezesim.cost.timeline import Slices, tile_count
from squeezesim.cost.timeline import timeline as timeline_of
from squeezesim.cost.weights import has_weights
from squeezesim.errors import UsageError, nearest
from squeezesim.report import units
from squeezesim.report.figures.charts import boxes
from squeezesim.report.figures.style import NORMAL, Sheet, draw_grid_lines, labels, patch
from squeezesim.report.metrics import dataflows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData

SLOWEST = 3
"""Layers that are drawn where none are named."""
MOST = 12
"""Layers in a figure."""
MOST_TILES = 100_000
"""Tiles of a layer."""
_INCHES = 11.0
_INCHES_A_LAYER = 1.75
_SEPARATE = 150  # slices of a lane, up to which there are lines between them,
_WIDE = 250  # if they take more than this part of the layer's cycles
_RESOLUTION = 3000  # parts of the layer's cycles, below which a gap is not drawn
_LANES = ("load", "compute", "store")
_HEIGHT = 0.72
_ROOM = 1.02  # of the axis, so that the number at its end is not cut
_LONGEST = 40


def timeline(
    report: ReportData, ax: Any = None, *, layers: Sequence[str] = (), theme: str = "light"
) -> Figure:
    """Draw when the tiles of *layers*, by default those of the three slowest, are loaded, computed and stored.

    Each panel is a layer, or one of its steps, from its first cycle to its last. Colours of the DMA are those of the
    operand.

    Raises:
        UsageError: there is no layer of a name, one takes no time or has too many tiles, there are too many layers, or
            there is no such theme.
    """
    chosen = _chosen(report, layers)
    machine = report.machine
    run = report.ran
    lanes, lane_of = [*_LANES], {("dram", True): 0, ("dram", False): 2}
    for name in [*report.memories][1:]:
        lane_of |= {(name, True): len(lanes), (name, False): len(lanes) + 1}
        lanes += [f"load {label_of(name, LEVELS)}", f"store {label_of(name, LEVELS)}"]
    size = (_INCHES, 1.2 + _INCHES_A_LAYER * len(lanes) / len(_LANES) * len(chosen))
    sheet = Sheet.open(ax, theme, size, rows=len(chosen))
    colours = sheet.theme.colours(("executed", "setup", *report.costs.operands))
    short = labels([layer.name for layer in report.network.layers], _LONGEST)
    busy = report.tally.utilization(report.scale)
    shown: dict[str, Any] = {}
    for axes, place in zip(sheet.panels, chosen, strict=True):
        layer = run[place]
        count = tile_count(layer, report.costs, place, machine)
        if count > MOST_TILES:
            raise UsageError(
                f"layer {layer.name!r} has {count:,} tiles; a timeline has at most {MOST_TILES:,}"
            )
        line = timeline_of(layer, report.costs, place, machine)
        shown |= _setup(axes, line.setup, colours["setup"])
        shown |= _slices(sheet, axes, line.cycles, 1, line.compute, "computing", colours["executed"])
        for part in line.transfers:
            name = "psums" if part.load and part.operand == "outputs" else part.operand
            lane, label = lane_of[part.store, part.load], label_of(name, OPERANDS)
            shown |= _slices(sheet, axes, line.cycles, lane, part, label, colours[name])
        flow = dataflows(report.costs)[place]
        tiles = units.plural(count, "tile") + (f", {flow}" if flow else "")
        if layer.macs:
            tiles += f", utilization {units.share(busy[place])}"
        if layer.repeat > 1:
            tiles += f", in each of {layer.repeat:,} steps"
            if has_weights(layer) and report.costs.homes_at(place).weights:
                tiles += ", whose weights stay"
        axes.set_title(
            f"{short[place]}: {line.cycles:,} cycles, {tiles}",
            fontsize=NORMAL,
            color=sheet.theme.ink,
            loc="left",
            parse_math=False,
        )
        _axis(sheet, axes, line.cycles, lanes)
    sheet.panels[-1].set_xlabel("cycles from the layer's start", fontsize=NORMAL)
    if sheet.own:
        sheet.title(f"{report.network.name} on {report.accelerator.name}: tiles over time")
    sheet.legend(shown)
    sheet.finish()
    return sheet.figure


def _chosen(report: ReportData, names: Sequence[str]) -> list[int]:
    """Return the places of the layers *names*, or of the slowest, those in the order in which they run."""
    cycles = report.tally.cycles
    flows, known = dataflows(report.costs), ("", *flows_of(report.machine))
    if not names:
        slowest = np.argsort(-cycles, kind="stable").tolist()
        return sorted([place for place in slowest if cycles[place] and flows[place] in known][:SLOWEST])
    if len(names) > MOST:
        raise UsageError(f"a timeline has at most {MOST} layers, found {len(names)}")
    places = {layer.name: place for place, layer in enumerate(report.network.layers)}
    for name in names:
        if name not in places:
            raise UsageError(f"there is no layer {name!r} in {report.network.name}{nearest(name, places)}")
        if not cycles[places[name]]:
            raise UsageError(f"layer {name!r} takes no time on {report.accelerator.name}")
        if flows[places[name]] not in known:
            raise UsageError(
                f"layer {name!r} runs the dataflow {flows[places[name]]!r}, of which this version knows no timing"
            )
    return [places[name] for name in dict.fromkeys(names)]


def _setup(axes: Axes, cycles: int, colour: str) -> dict[str, Any]:
    if not cycles:
        return {}
    axes.axvspan(0, cycles, color=colour, linewidth=0, zorder=1)
    return {"set-up": patch(colour)}


def _slices(
    sheet: Sheet, axes: Axes, cycles: int, lane: int, part: Slices, label: str, colour: str
) -> dict[str, Any]:
    """Draw *part* in a lane; slices that cannot be told apart on paper as one."""
    if not len(part.start):
        return {}
    start, end = part.start, part.end
    few = len(start) <= _SEPARATE and np.median(end - start) > cycles / _WIDE
    if len(start) > _SEPARATE:
        apart = start[1:] - end[:-1] > cycles / _RESOLUTION
        start, end = start[np.append(True, apart)], end[np.append(apart, True)]
    sides = (start, end, lane - _HEIGHT / 2, lane + _HEIGHT / 2)
    edges = (
        {"edgecolor": sheet.theme.paper, "linewidth": 0.5} if few else {"linewidth": 0.3, "edgecolor": colour}
    )
    boxes(axes, sides, colour, **edges)
    return {label: patch(colour)}


def _axis(sheet: Sheet, axes: Axes, cycles: int, lanes: Sequence[str]) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_xlim(0, cycles * _ROOM)
    axes.set_ylim(len(lanes) - 0.45, -0.55)
    axes.set_yticks(range(len(lanes)), lanes, fontsize=NORMAL)
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    draw_grid_lines(axes, sheet.theme, "x")
