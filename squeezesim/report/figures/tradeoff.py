"""The figure ``tradeoff``: accuracy against latency and against energy, circles whose area goes with √params."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.errors import UsageError, nearest
from squeezesim.report.figures.place import Spot, name_spots, settled
from squeezesim.report.figures.scales import Energies, Unit, log_axes, time_unit
from squeezesim.report.figures.sheet import NORMAL, SMALL, Sheet, dot, ruled
from squeezesim.report.names import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.report.report import Report

_INCHES = 12.0
_INCHES_A_ROW = 4.6
_INCHES_OF_LEGEND = 0.8
_AREA = 110  # square points of a circle that stands for a million params
_LEAST = 300  # square points of the largest circle
_ROOM = 0.16  # of the range of accuracies, below and above
_AROUND = 1.25  # of the smallest and the largest value
_LONGEST = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """One network: ``family`` chooses its colour, ``name`` stands beside it."""

    name: str
    family: str
    top1: float
    params: int
    value: float


def tradeoff(
    reports: Sequence[Report],
    ax: Any = None,
    *,
    top1: Mapping[str, float] | None = None,
    theme: str = "light",
) -> Figure:
    """Draw top-1 accuracy against latency and energy, a row for each accelerator, as figure 7 of the SqueezeNext paper.

    Accuracies in per cent are those that are published of built-in networks; *top1* has others, by network.

    Raises:
        UsageError: the accuracy of a network is not known, *top1* names none of them, or there is no such theme.
    """
    known = _accuracies(reports, top1 or {})
    hardware = list(dict.fromkeys(report.accelerator.name for report in reports))
    families = _families(reports)
    colours = dict.fromkeys(families.values())
    size = (_INCHES, _INCHES_A_ROW * len(hardware) + _INCHES_OF_LEGEND)
    sheet = Sheet.open(ax, theme, size, rows=len(hardware), columns=2)
    paint = dict(zip(colours, _cycled(sheet.theme.series, len(colours)), strict=True))
    energies = Energies(reports)
    drawn = []
    for row, name in enumerate(hardware):
        members = [report for report in reports if report.accelerator.name == name]
        times = [float(report.tally.latency_us(report.scale).sum()) for report in members]
        spent = [float(energies.of(report, report.tally).sum()) for report in members]
        quantities: tuple[tuple[str, list[float], Unit], ...] = (
            ("latency", times, time_unit(max(times))),
            ("energy", spent, energies.unit(max(spent))),
        )
        for axes, (quantity, values, unit) in zip(
            sheet.panels[2 * row : 2 * row + 2], quantities, strict=True
        ):
            circles = [
                Circle(
                    name=shorten(report.network.name, _LONGEST),
                    family=families[report.network.name],
                    top1=known[report.network.name],
                    params=report.network.params,
                    value=value * unit.factor,
                )
                for report, value in zip(members, values, strict=True)
            ]
            draw_circles(sheet, axes, circles, unit.label(f"{quantity} on {name}"), paint)
            drawn.append((axes, circles))
    sheet.title("Top-1 accuracy against latency and energy; the area of a circle goes with √params")
    sheet.legend({family: dot(colour) for family, colour in paint.items()})
    name_circles(sheet, drawn)
    return sheet.figure


def draw_circles(
    sheet: Sheet, axes: Axes, circles: Sequence[Circle], label: str, colours: Mapping[str, str]
) -> None:
    """Draw *circles* on *axes*, whose x axis is called *label*; smaller ones before larger ones."""
    for circle, area in zip(circles, _areas(circles), strict=True):
        axes.scatter(
            circle.value,
            circle.top1,
            s=area,
            color=colours[circle.family],
            edgecolor=sheet.theme.paper,
            linewidth=0.6,
            alpha=0.85,
            zorder=2 + 1 / (1 + circle.params),
        )
    values = [circle.value for circle in circles]
    log_axes(axes, (min(values) / _AROUND, max(values) * _AROUND))
    accuracies = [circle.top1 for circle in circles]
    low, high = min(accuracies), max(accuracies)
    room = max(high - low, 1) * _ROOM
    axes.set_ylim(low - room, high + room)
    axes.set_xlabel(label, fontsize=NORMAL)
    axes.set_ylabel("top-1 accuracy (%)", fontsize=NORMAL)
    ruled(axes, sheet.theme, "both")


def name_circles(sheet: Sheet, drawn: Sequence[tuple[Axes, Sequence[Circle]]]) -> None:
    """Write the names beside the circles of each panel; to be done last, when nothing moves the panels any more."""
    settled(sheet.figure)
    for axes, circles in drawn:
        spots = [
            Spot(circle.value, circle.top1, (area / np.pi) ** 0.5, circle.name)
            for circle, area in zip(circles, _areas(circles), strict=True)
        ]
        name_spots(axes, spots, sheet.theme, SMALL)


def _areas(circles: Sequence[Circle]) -> list[float]:
    """Areas in square points: one for a million params, unless all would be too small to see."""
    roots = [circle.params**0.5 / 1e3 for circle in circles]
    scale = max(_AREA, _LEAST / max(*roots, 1e-3))
    return [scale * root for root in roots]


def _cycled(colours: Sequence[str], count: int) -> list[str]:
    return [colours[number % len(colours)] for number in range(count)]


def _accuracies(reports: Sequence[Report], given: Mapping[str, float]) -> dict[str, float]:
    from squeezesim.zoo.registry import catalogue

    names = list(dict.fromkeys(report.network.name for report in reports))
    for name in given:
        if name not in names:
            raise UsageError(
                f"an accuracy is given of {name!r}, which is none of: {', '.join(names)}{nearest(name, names)}"
            )
    found: dict[str, float] = {}
    for name in names:
        entry = catalogue().get(name)
        value = given.get(name, entry.facts.top1 if entry else None)
        if value is None:
            raise UsageError(f"no top-1 accuracy of {name!r} is known; give one, as {name}=70.5")
        if not 0 <= value <= 100:
            raise UsageError(f"the top-1 accuracy of {name!r} is a number from 0 to 100 %, found {value:g}")
        found[name] = value
    return found


def _families(reports: Sequence[Report]) -> dict[str, str]:
    """Return the family of each network by its name; of one that is not built in, the name itself."""
    from squeezesim.zoo.registry import catalogue

    found = {}
    for report in reports:
        name = report.network.name
        entry = catalogue().get(name)
        found[name] = entry.family.name if entry else shorten(name, _LONGEST)
    return found
