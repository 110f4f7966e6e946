"""The figure ``tradeoff``: accuracy against latency and against energy, circles whose area goes with √params."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError, nearest
from squeezesim.report.figures.charts import Energies, Unit, log_axes, time_unit
from squeezesim.report.figures.labels import SHAPES, Spot, limits_around, name_spots, radius_of, size_of
from squeezesim.report.figures.style import NORMAL, SMALL, Sheet, Theme, dot, draw_grid_lines, labels, legible
from squeezesim.report.metrics import energy_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData

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
    theme: str = "light",
) -> Figure:
    """Draw top-1 accuracy against latency and energy, a row for each accelerator, as figure 7 of the SqueezeNext paper.

    Accuracies in per cent are those that are published of built-in networks; *top1* has others, by network.

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
    drawn = []
    for row, same in enumerate(hardware):
        members = [report for report in reports if _row(report) == same]
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
                    name=short[report.network.name],
                    family=families[report.network.name],
                    top1=known[report.network.name],
                    params=report.network.params,
                    value=value * unit.factor,
                    shape=looks[families[report.network.name]][1],
                )
                for report, value in zip(members, values, strict=True)
            ]
            label = unit.label(f"{quantity} on {legible(members[0].accelerator.name)}")
            draw_circles(sheet, axes, circles, label, paint, largest)
            drawn.append((axes, circles))
    sheet.title("Top-1 accuracy against latency and energy; areas go with √params")
    sheet.legend({family: dot(colour, shape=shape) for family, (colour, shape) in looks.items()})
    name_circles(sheet, drawn)
    return sheet.figure


def draw_circles(
    sheet: Sheet,
    axes: Axes,
    circles: Sequence[Circle],
    label: str,
    colours: Mapping[str, str],
    largest: int | None = None,
) -> None:
    """Draw *circles* on *axes*, whose x axis is called *label*; smaller ones before larger ones.

    *largest* are the params of the largest circle in the figure, where that is on other axes.
    """
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
    values = [circle.value for circle in circles]
    log_axes(axes, (min(values) / _AROUND, max(values) * _AROUND))
    accuracies = [circle.top1 for circle in circles]
    low, high = min(accuracies), max(accuracies)
    room = max(high - low, 1) * _ROOM
    axes.set_ylim(low - room, high + room)
    axes.set_xlabel(label, fontsize=NORMAL, parse_math=False)
    axes.set_ylabel("top-1 accuracy (%)", fontsize=NORMAL)
    draw_grid_lines(axes, sheet.theme, "both")


def name_circles(sheet: Sheet, drawn: Sequence[tuple[Axes, Sequence[Circle]]]) -> None:
    """Make room for the circles of each panel and write their names beside them; the last thing to be done."""
    sheet.settle()
    largest = max(circle.params for _, circles in drawn for circle in circles)
    spots = [
        [
            Spot(circle.value, circle.top1, radius_of(area, circle.shape), circle.name)
            for circle, area in zip(circles, _areas(circles, largest), strict=True)
        ]
        for _, circles in drawn
    ]
    for (axes, _), some in zip(drawn, spots, strict=True):
        x, y = limits_around(axes, some)
        log_axes(axes, x)
        axes.set_ylim(y)
    sheet.settle()
    for (axes, _), some in zip(drawn, spots, strict=True):
        name_spots(axes, some, sheet.theme, SMALL)


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
