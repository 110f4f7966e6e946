"""The figure ``roofline``: how fast each layer runs, below what array, DRAM and buffer allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.costs import label_of
from squeezesim.cost.machine import LEVELS
from squeezesim.errors import UsageError
from squeezesim.report.figures.charts import log_axes
from squeezesim.report.figures.labels import (
    Spot,
    limits_around,
    name_spots,
    radius_of,
    size_of,
    write_along,
)
from squeezesim.report.figures.style import NORMAL, SMALL, Sheet, dot, draw_grid_lines, labels
from squeezesim.report.metrics import dataflows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData

Floats = NDArray[np.float64]

_BUFFER = "the buffer"
_INCHES_BESIDE = 3.0
_INCHES_A_PANEL = 5.0
_HEIGHT = 6.4
_AREA = 2400  # square points of a circle that stands for all of the time
_LEAST = 5  # square points
_NAMED = 10
_LONGEST = 24
_SHOWN = 0.1  # share of the time of the circle in the legend
_AROUND = 2.2  # of what is shown, on each axis
_BEYOND = 1e9  # of where the ceilings meet: their ends, outside of all axes
_GIGA = 1e9


@dataclass(frozen=True, slots=True)
class Roof:
    """What limits the layers: MACs a second of the array, bytes a second of a memory, MACs a byte of each layer."""

    memory: str
    macs_a_second: float
    bytes_a_second: float
    intensity: Floats
    widths: str = ""  # of the operands for which the array's is, where it depends on them
    others: tuple[tuple[str, float], ...] = ()  # and what it is for others that layers have


def roofline(report: ReportData, ax: Any = None, *, theme: str = "light") -> Figure:
    """Draw each MAC layer's executed MACs a second over its MACs a byte, below the accelerator's own ceilings.

    The first panel is about DRAM; others are about memories beside it and, where its bandwidth is limited, the buffer.
    A circle's area is the layer's share of the time, its colour the dataflow; the slowest layers are named. On axes of
    the caller as many panels are drawn as there are axes.

    Raises:
        UsageError: no layer executes a MAC, *ax* are more axes than there are panels, or there is no such theme.
    """
    layers = np.flatnonzero(report.tally.executed > 0)
    if not len(layers):
        raise UsageError(f"no layer of {report.network.name} executes a MAC")
    roofs = ceilings(report, layers)
    if ax is not None:
        roofs = roofs[: np.size(ax)]
    size = (_INCHES_BESIDE + _INCHES_A_PANEL * len(roofs), _HEIGHT)
    sheet = Sheet.open(ax, theme, size, columns=len(roofs))
    hertz = report.accelerator.clock_mhz * 1e6
    cycles = report.tally.cycles[layers]
    speed = report.tally.executed[layers] / cycles * hertz
    share = cycles / report.tally.cycles.sum()
    area = np.maximum(share * _AREA, _LEAST)
    flows = np.array(dataflows(report.costs))[layers]
    colours = sheet.theme.colours(report.costs.dataflows)
    shown: dict[str, Any] = {}
    for axes, roof in zip(sheet.panels, roofs, strict=True):
        _lines(sheet, axes, roof, speed)
        for flow in (name for name in colours if name in flows):
            some = flows == flow
            axes.scatter(
                roof.intensity[some],
                speed[some] / _GIGA,
                s=[size_of(some_area) for some_area in area[some]],
                color=colours[flow],
                edgecolor=sheet.theme.paper,
                linewidth=0.6,
                alpha=0.85,
                zorder=3,
            )
            shown[flow] = dot(colours[flow])
        axes.set_xlabel(f"executed MACs per byte from and to {roof.memory}", fontsize=NORMAL)
        axes.set_ylabel("executed GMAC/s", fontsize=NORMAL)
        draw_grid_lines(axes, sheet.theme, "both")
    across = (_SHOWN * _AREA * 4 / np.pi) ** 0.5
    shown[f"area: {100 * _SHOWN:g} % of the time"] = dot(sheet.theme.paper, across, sheet.theme.faint)
    sheet.title(f"{report.network.name} on {report.accelerator.name}: layers below their ceilings")
    sheet.legend(shown)
    names = [report.network.layers[place].name for place in layers]
    sheet.settle()
    spots = [_spots(names, roof.intensity, speed / _GIGA, share, area) for roof in roofs]
    for axes, some in zip(sheet.panels, spots, strict=True):
        log_axes(axes, *limits_around(axes, some))
    sheet.settle()
    for axes, some, roof in zip(sheet.panels, spots, roofs, strict=True):
        lines = [*_corners(axes, roof), *_name_ceilings(sheet, axes, roof, some)]
        name_spots(axes, some, sheet.theme, SMALL, most=_NAMED, lines=lines)
    return sheet.figure


def _spots(names: Sequence[str], x: Floats, y: Floats, share: Floats, area: Floats) -> list[Spot]:
    """Return the circles, those that take most of the time first; equal ones in one place have one name."""
    members: dict[tuple[float, float], list[int]] = {}
    for place, spot in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        members.setdefault(spot, []).append(place)
    order = sorted(members.values(), key=lambda places: -share[places].sum())
    short = labels(names, _LONGEST)
    return [
        Spot(
            float(x[places[0]]),
            float(y[places[0]]),
            radius_of(float(area[places].max())),
            short[places[0]] + (f" ×{len(places)}" if len(places) > 1 else ""),
        )
        for places in order
    ]


def ceilings(report: ReportData, layers: NDArray[np.intp]) -> list[Roof]:
    """Return the roofs of DRAM, of the memories beside it and of the buffer, where it is limited, for *layers*.

    Executed MACs a second ≤ min(PEs · MACs of a PE in a cycle · clock, bytes a second · executed MACs / byte). Bytes of
    the buffer are those that the array reads and writes; the DMA has a port of its own.
    """
    accelerator, tally, machine = report.accelerator, report.tally, report.machine
    hertz = accelerator.clock_mhz * 1e6
    (widths, array), *others = _of_array(report, layers)
    above: dict[str, Any] = {"widths": widths, "others": tuple(others)}
    macs = tally.executed[layers]
    roofs = []
    for memory, operands in zip(machine.memories, report.memories.values(), strict=True):
        moved = np.sum([tally.part("dram", operand)[layers] for operand in operands], axis=0, dtype=np.int64)
        name, rate = label_of(memory.name, LEVELS), memory.bytes_per_cycle * hertz
        if operands and (memory.name == "dram" or moved.any()):
            roofs.append(Roof(name, array, rate, macs / np.maximum(moved, 1), **above))
    width = accelerator.memory.global_buffer.bytes_per_cycle
    if width is not None:
        used = np.maximum(tally.buffer_bytes[layers] - tally.dram_bytes[layers], 1)
        roofs.append(Roof(_BUFFER, array, width * hertz, macs / used, **above))
    return roofs


def _of_array(report: ReportData, layers: NDArray[np.intp]) -> list[tuple[str, float]]:
    """MACs a second of the array for the widths that *layers* have, the most first: ``("w4a8 w4a4", 2e12)``."""
    machine = report.machine
    most = machine.pes * report.accelerator.clock_mhz * 1e6
    if not machine.paces:
        return [("", most)]
    found: dict[float, dict[str, None]] = {}
    for place in layers.tolist():
        bits = report.operands[place]
        macs, cycles = machine.pace(bits.weight_bits, bits.activation_bits)
        found.setdefault(most * macs / cycles, {})[f"w{bits.weight_bits}a{bits.activation_bits}"] = None
    return [(" ".join(found[speed]), speed) for speed in sorted(found, reverse=True)]


def _lines(sheet: Sheet, axes: Axes, roof: Roof, speed: Floats) -> None:
    """Draw the ceilings, beyond the edges of what the layers need."""
    top, slope = roof.macs_a_second / _GIGA, roof.bytes_a_second / _GIGA
    ridge = top / slope
    low, high = min(ridge, roof.intensity.min()) / _AROUND, max(ridge, roof.intensity.max()) * _AROUND
    log_axes(axes, (low, high), (speed.min() / _GIGA / _AROUND, top * _AROUND))
    style: dict[str, Any] = {"color": sheet.theme.ink, "linewidth": 1.4, "zorder": 2}
    axes.plot([ridge, ridge * _BEYOND], [top, top], **style)
    style["linestyle"] = "-." if roof.memory == _BUFFER else "--"
    axes.plot([ridge, ridge / _BEYOND], [top, top / _BEYOND], **style)
    style |= {"linewidth": 0.9, "linestyle": ":"}
    for _, lower in roof.others:
        ends = [lower / _GIGA / slope, lower / _GIGA / slope * _BEYOND]
        axes.plot(ends, [lower / _GIGA] * 2, **style)


def _name_ceilings(sheet: Sheet, axes: Axes, roof: Roof, spots: Sequence[Spot]) -> list[Floats]:
    """Write on each ceiling what it is, and return the lines that names must not cross there."""
    slope, (low, _) = roof.bytes_a_second / _GIGA, axes.get_ylim()
    flat, ((left, bottom), ridge) = _corners(axes, roof)
    bottom = max(bottom, low)
    texts = [(f"{roof.memory}: {slope:,.4g} GB/s", [ridge, (bottom / slope, bottom)])]
    for widths, speed in ((roof.widths, roof.macs_a_second), *roof.others):
        height = speed / _GIGA
        ends = [(flat[1, 0], height), (max(height / slope, left), height)]
        texts.append((f"array{f' with {widths}' if widths else ''}: {height:,.4g} GMAC/s", ends))
    written = [write_along(axes, text, np.array(ends), spots, sheet.theme, SMALL) for text, ends in texts]
    return [line for lines in written for line in lines]


def _corners(axes: Axes, roof: Roof) -> tuple[Floats, Floats]:
    """Return the ends of the ceilings of the array and of the memory, within the limits of *axes*."""
    top, slope = roof.macs_a_second / _GIGA, roof.bytes_a_second / _GIGA
    low, high = axes.get_xlim()
    return np.array([[top / slope, top], [high, top]]), np.array([[low, low * slope], [top / slope, top]])
