"""The figure ``losses``: a waterfall from the cycles that the MACs alone would take to those that the network takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from squeezesim.cost.costs import cause_named
from squeezesim.report import units
from squeezesim.report.figures.charts import WIDTH, boxes
from squeezesim.report.figures.style import NORMAL, Sheet, draw_grid_lines, quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData

_INCHES = 8.5
_INCHES_A_BAR = 0.42
_GAP = 4  # points between a bar and its number
_MOST_ROOM = 0.8  # of the axis, for a number


def losses(report: ReportData, ax: Any = None, *, theme: str = "light") -> Figure:
    """Draw how the cycles grow from MACs / PEs to the network's, cause by cause; zeros that are skipped come first.

    Raises:
        UsageError: there is no such theme.
    """
    from matplotlib.ticker import EngFormatter

    steps = waterfall(report)
    sheet = Sheet.open(ax, theme, (_INCHES, 1.3 + _INCHES_A_BAR * len(steps)))
    (axes,) = sheet.panels
    total = steps[-1][3]
    colours = sheet.theme.colours(("executed", *report.costs.causes))
    for place, (_, colour, start, end) in enumerate(steps):
        fill = sheet.theme.faint if not colour else colours[colour]
        sides = (min(start, end), max(start, end), place - WIDTH / 2, place + WIDTH / 2)
        boxes(axes, sides, fill)
        if place + 1 < len(steps):
            axes.plot([end, end], [place, place + 1], color=sheet.theme.faint, linewidth=0.7, zorder=1)
        change = end - start
        plus = "+" if colour and place else ""
        number = axes.annotate(
            f"{_signed(change, units.count, plus)}  {_signed(change / total, units.share)}",
            (max(start, end), place),
            (_GAP, 0),
            textcoords="offset points",
            va="center",
            fontsize=NORMAL,
            color=sheet.theme.ink,
        )
        number.set_in_layout(False)
    axes.set_yticks(range(len(steps)), [label for label, *_ in steps], fontsize=NORMAL)
    axes.set_ylim(len(steps) - 0.4, -0.6)
    axes.set_xlim(0, max(end for *_, end in steps) or 1)
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_xlabel("cycles", fontsize=NORMAL)
    draw_grid_lines(axes, sheet.theme, "x")
    pes = report.accelerator.array.size
    sheet.title(
        f"{report.network.name} on {report.accelerator.name}: from MACs / {pes} to {units.count(total)} cycles"
    )
    sheet.settle()
    _make_room(axes, [max(start, end) for _, _, start, end in steps])
    sheet.finish()
    return sheet.figure


def _make_room(axes: Axes, ends: Sequence[float]) -> None:
    """Set the end of the x axis so that the numbers behind the bars, which end at *ends*, are within."""
    whole = axes.get_window_extent().width
    with quiet():
        widths = [text.get_window_extent().width for text in axes.texts]
    gap = _GAP * axes.get_figure(root=True).dpi / 72  # type: ignore[union-attr]
    parts = [min((width + 2 * gap) / whole, _MOST_ROOM) for width in widths]
    axes.set_xlim(0, max(end / (1 - part) for end, part in zip(ends, parts, strict=True)) or 1)


def waterfall(report: ReportData) -> list[tuple[str, str, float, float]]:
    """Return the bars in order: label, cause (empty for the total), start and end in cycles; no causes of 0."""
    whole = report.tally.in_pe_cycles(report.scale).total()
    pes = report.machine.pes
    macs, executed = whole.macs[0].item() / pes, whole.executed[0].item() / pes
    steps = [("all PEs at work on MACs", "executed", 0.0, macs)]
    if executed < macs:
        steps.append(("zero weights skipped", "executed", macs, executed))
    now = executed
    for cause, lost in zip(whole.causes, whole.losses[0].tolist(), strict=True):
        if lost:
            steps.append((cause_named(cause).label, cause, now, now + lost / pes))
            now += lost / pes
    return [*steps, ("cycles", "", 0.0, float(whole.cycles[0]))]


def _signed(value: float, write: Callable[[float], str], plus: str = "") -> str:
    """Return *value* as *write* writes it, with *plus* or a minus sign before it."""
    return f"−{write(-value)}" if value < 0 else f"{plus}{write(value)}"
