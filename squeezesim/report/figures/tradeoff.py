"""The figure ``tradeoff``: accuracy against latency and against energy, circles whose area goes with √params."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from squeezesim.errors import UsageError, nearest
from squeezesim.report.figures.charts import Energies, Unit, log_axes, time_unit
from squeezesim.report.figures.colours import Theme
from squeezesim.report.figures.labels import (
    SHAPES,
    Points,
    Spot,
    limits_around,
    name_spots,
    radius_of,
    size_of,
    write_along,
)
from squeezesim.report.figures.style import NORMAL, SMALL, Sheet, dot, draw_grid_lines, labels, legible
from squeezesim.report.metrics import energy_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData

MOST_NAMES = 24
"""Circles of a panel that all have names."""
_INCHES = 12.0
_INCHES_A_ROW = 4.6
_INCHES_OF_LEGEND = 0.8
_AREA = 86  # square points of a circle that stands for a million params
_LEAST = 236  # square points of the largest circle
_ROOM = 0.16  # of the range of accuracies, below and above
_AROUND = 1.25  # of the smallest and the largest value
_LONGEST = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """One network: ``family`` chooses its colour and its shape, ``name`` stands beside it."""

    name: str
    family: str
    top1: float
    params: int
    value: float
    shape: str = SHAPES[0]


def tradeoff(
    reports: Sequence[ReportData],
    ax: Any = None,
    *,
    top1: Mapping[str, float] | None = None,
    budgets: Mapping[str, float] | None = None,
    theme: str = "light",
) -> Figure:
    """Draw top-1 accuracy against latency and energy, a row for each accelerator, as figure 7 of the SqueezeNext paper.

    Accuracies in per cent are those that are published of built-in networks; *top1* has others, by network. Steps are
    the Pareto front of each panel. *budgets* are lines: ``latency_us``, ``energy_uj`` and ``energy_mac_equiv`` across,
    ``top1_percent`` along. Of more than 24 networks those on the front have names, and others where there is room.

    The first nine families are circles of nine colours, further ones other shapes of these, of an area that goes with
    √params likewise.

    Raises:
        UsageError: the accuracy of a network is not known, *top1* names none of them, there are more families than
            colours times shapes, or there is no such theme.
    """
    known = _accuracies(reports, top1 or {})
    hardware = list(dict.fromkeys(map(_row, reports)))
    families = _families(reports)
    short = dict(zip(known, labels(known, _LONGEST), strict=True))
    size = (_INCHES, _INCHES_A_ROW * len(hardware) + _INCHES_OF_LEGEND)
    sheet = Sheet.open(ax, theme, size, rows=len(hardware), columns=2)
    looks = _looks(list(dict.fromkeys(families.values())), sheet.theme)
    paint = {family: colour for family, (colour, _) in looks.items()}
    largest = max(report.network.params for report in reports)
    energies = Energies(reports)
    wanted = dict(budgets or {})
    panels: list[Panel] = []
    for row, same in enumerate(hardware):
        members = [report for report in reports if _row(report) == same]
        times = [float(report.tally.latency_us(report.scale).sum()) for report in members]
        spent = [float(energies.of(report, report.tally).sum()) for report in members]
        quantities: tuple[tuple[str, str, list[float], Unit], ...] = (
            ("latency", "latency_us", times, time_unit(max(times))),
            ("energy", energies.column, spent, energies.unit(max(spent))),
        )
        for axes, (quantity, column, values, unit) in zip(
            sheet.panels[2 * row : 2 * row + 2], quantities, strict=True
        ):
            circles = [
                Circle(
                    name=short[report.network.name],
                    family=families[report.network.name],
                    top1=known[report.network.name],
                    params=report.network.params,
                    value=value * unit.factor,
                    shape=looks[families[report.network.name]][1],
                )
                for report, value in zip(members, values, strict=True)
            ]
            most, least = wanted.get(column), wanted.get("top1_percent")
            panel = Panel(axes, circles, None if most is None else most * unit.factor, unit.name, least)
            label = unit.label(f"{quantity} on {legible(members[0].accelerator.name)}")
            draw_circles(sheet, panel, label, paint, largest)
            panels.append(panel)
    sheet.title("Top-1 accuracy against latency and energy; areas go with √params")
    shown = {family: dot(colour, shape=shape) for family, (colour, shape) in looks.items()}
    finish_circles(sheet, panels, shown)
    return sheet.figure


class Panel(NamedTuple):
    """The axes of some circles, the budgets of both quantities where they have one, and the unit of the first."""

    axes: Axes
    circles: Sequence[Circle]
    most: float | None = None
    unit: str = ""
    least: float | None = None


def draw_circles(
    sheet: Sheet, panel: Panel, label: str, colours: Mapping[str, str], largest: int | None = None
) -> None:
    """Draw the circles of *panel*, whose x axis is called *label*; smaller ones before larger ones.

    *largest* are the params of the largest circle in the figure, where that is on other axes.
    """
    axes, circles = panel.axes, panel.circles
    for circle, area in zip(circles, _areas(circles, largest), strict=True):
        axes.scatter(
            circle.value,
            circle.top1,
            s=size_of(area, circle.shape),
            marker=circle.shape,
            color=colours[circle.family],
            edgecolor=sheet.theme.paper,
            linewidth=0.6,
            alpha=0.85,
            zorder=2 + 1 / (1 + circle.params),
        )
    values = [circle.value for circle in circles] + [panel.most or circles[0].value]
    log_axes(axes, (min(values) / _AROUND, max(values) * _AROUND))
    accuracies = [circle.top1 for circle in circles] + [panel.least or circles[0].top1]
    low, high = min(accuracies), max(accuracies)
    room = max(high - low, 1) * _ROOM
    axes.set_ylim(low - room, high + room)
    axes.set_xlabel(label, fontsize=NORMAL, parse_math=False)
    axes.set_ylabel("top-1 accuracy (%)", fontsize=NORMAL)
    draw_grid_lines(axes, sheet.theme, "both")


def finish_circles(sheet: Sheet, panels: Sequence[Panel], legend: Mapping[str, Any]) -> None:
    """Make room for the circles of each panel, draw fronts and budgets, and name the circles, last of all."""
    fronts = [_front(panel.circles) for panel in panels]
    style: dict[str, Any] = {"color": sheet.theme.faint, "linewidth": 1, "zorder": 1}
    line = panels[0].axes.plot([], [], **style)[0]
    sheet.legend({**legend, **({"Pareto front": line} if max(map(len, fronts)) > 1 else {})})
    sheet.settle()
    largest = max(circle.params for panel in panels for circle in panel.circles)
    spots = []
    for panel, front in zip(panels, fronts, strict=True):
        areas = _areas(panel.circles, largest)
        found = [
            Spot(circle.value, circle.top1, radius_of(area, circle.shape), circle.name)
            for circle, area in zip(panel.circles, areas, strict=True)
        ]
        spots.append(
            [found[place] for place in front]
            + [each for place, each in enumerate(found) if place not in front]
        )
        x, y = limits_around(panel.axes, found)
        log_axes(panel.axes, x)
        panel.axes.set_ylim(y)
    sheet.settle()
    for panel, front, some in zip(panels, fronts, spots, strict=True):
        lines: list[Points] = []
        if len(front) > 1:
            steps = _steps(panel, front)
            panel.axes.plot(*steps.T, label="Pareto front", **style)
            lines += [*np.stack([steps[:-1], steps[1:]], axis=1)]
        lines += _budgets(sheet, panel, lines, some)
        most = None if len(some) <= MOST_NAMES else len(some)
        name_spots(panel.axes, some, sheet.theme, SMALL, most, lines)


def _front(circles: Sequence[Circle]) -> list[int]:
    """Return the places of the circles that no other is left of and above, from left to right."""
    order = sorted(range(len(circles)), key=lambda place: (circles[place].value, -circles[place].top1))
    found: list[int] = []
    for place in order:
        if not found or circles[place].top1 > circles[found[-1]].top1:
            found.append(place)
    return found


def _steps(panel: Panel, front: Sequence[int]) -> Points:
    """Return the corners of the steps through *front*, from edge to edge."""
    (_, right), (low, _) = panel.axes.get_xlim(), panel.axes.get_ylim()
    corners, height = [], low
    for circle in (panel.circles[place] for place in front):
        corners += [(circle.value, height), (circle.value, circle.top1)]
        height = circle.top1
    return np.array([*corners, (right, height)])


def _budgets(sheet: Sheet, panel: Panel, steps: Sequence[Points], spots: Sequence[Spot]) -> list[Points]:
    """Draw and name the budgets of *panel*, beside *steps*; return the lines, and those in the middle of the names."""
    axes, lines = panel.axes, list[Points]()
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    style: dict[str, Any] = {"color": sheet.theme.ink, "linestyle": "--", "linewidth": 1.1, "zorder": 1.5}
    wanted: list[tuple[str, Points]] = []
    if panel.most is not None:
        axes.axvline(panel.most, **style)
        ends = np.array([(panel.most, high), (panel.most, low)])
        wanted.append((f"budget {panel.most:,.4g} {panel.unit}", ends))
    if panel.least is not None:
        axes.axhline(panel.least, **style)
        wanted.append(
            (f"at least {panel.least:,.4g} %", np.array([(right, panel.least), (left, panel.least)]))
        )
    for text, ends in wanted:
        others = [*steps, *(line for _, line in wanted if line is not ends)]
        lines += [ends, *write_along(axes, text, ends, spots, sheet.theme, SMALL, others)]
    return lines


def _row(report: ReportData) -> tuple[object, ...]:
    """Return what reports of a row have in common: the accelerator, and the unit of its energies."""
    return report.accelerator.name, energy_unit(report)


def _areas(circles: Sequence[Circle], largest: int | None) -> list[float]:
    """Areas in square points: one for a million params, unless all would be too small to see."""
    roots = [circle.params**0.5 / 1e3 for circle in circles]
    most = max(roots) if largest is None else largest**0.5 / 1e3
    scale = max(_AREA, _LEAST / max(most, 1e-3))
    return [scale * root for root in roots]


def _looks(families: Sequence[str], theme: Theme) -> dict[str, tuple[str, str]]:
    """Return the colour and the shape of each family."""
    allowed = [(colour, shape) for shape in SHAPES for colour in theme.series]
    if len(families) > len(allowed):
        raise UsageError(
            f"tradeoff tells at most {len(allowed)} families of networks apart, found {len(families)}"
        )
    return dict(zip(families, allowed, strict=False))


def _accuracies(reports: Sequence[ReportData], given: Mapping[str, float]) -> dict[str, float]:
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


def _families(reports: Sequence[ReportData]) -> dict[str, str]:
    """Return the family of each network by its name; of one that is not built in, the name itself."""
    from squeezesim.zoo.registry import catalogue

    found = {}
    for report in reports:
        name = report.network.name
        entry = catalogue().get(name)
        found[name] = entry.family.name if entry else legible(name)
    return found
