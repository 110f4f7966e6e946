"""The figure of allocations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.explore.allocate.candidates import merit
from squeezesim.explore.pareto import pareto
from squeezesim.report.figures.colours import theme_named
from squeezesim.report.figures.style import NORMAL, SMALL, Sheet, draw_grid_lines, render
from squeezesim.report.metrics import METRICS, header, is_more_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.explore.allocate.allocations import Ints
    from squeezesim.explore.allocate.candidates import Candidates
    from squeezesim.explore.allocate.study import Result, Study

_THEME = theme_named("light")
NETWORK = _THEME.series[0]
"""Colour of published networks."""

_HIGH = 0.055  # of a box, as a part of the panel
_LETTER, _AROUND = 0.014, 0.028  # its width: a letter, and what is around them


@dataclass(frozen=True, slots=True)
class Mark:
    """A box with the *numbers* of networks at *place*, filled where all of them are allocations that are drawn."""

    numbers: tuple[int, ...]
    place: tuple[float, float]
    filled: bool

    @property
    def text(self) -> str:
        """What is written in it."""
        return ", ".join(map(str, self.numbers))

    @property
    def width(self) -> float:
        """Of the box, as a part of the panel."""
        return _AROUND + _LETTER * len(self.text)

    def covers(self, other: Mark, size: tuple[float, float]) -> bool:
        """Whether its box and that of *other* overlap on a panel of *size*."""
        across, up = (abs(a - b) / span for a, b, span in zip(self.place, other.place, size, strict=True))
        return across < (self.width + other.width) / 2 and up < _HIGH

    def joined(self, other: Mark) -> Mark:
        """Return the box of both, in the middle of all their networks."""
        ours, theirs = len(self.numbers), len(other.numbers)
        x, y = (
            (a * ours + b * theirs) / (ours + theirs) for a, b in zip(self.place, other.place, strict=True)
        )
        return Mark(tuple(sorted((*self.numbers, *other.numbers))), (x, y), self.filled and other.filled)


def apart(marks: Sequence[Mark], size: tuple[float, float]) -> list[Mark]:
    """Return *marks* on a panel of *size*, in units of its axes, those joined that overlap.

    Example:
        >>> [mark.text for mark in apart([Mark((1,), (0, 0), True), Mark((2,), (0, 1), True)], (100, 100))]
        ['1, 2']
    """
    found = list(marks)
    while True:
        pair = next(((a, b) for a, b in combinations(found, 2) if a.covers(b, size)), None)
        if pair is None:
            return found
        found = [mark for mark in found if mark not in pair] + [pair[0].joined(pair[1])]


def draw_marks(axes: Axes, marks: Sequence[Mark]) -> None:
    """Draw *marks* on *axes*, whose limits they extend."""
    for mark in marks:
        axes.update_datalim([mark.place])
    axes.autoscale_view()
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for mark in apart(marks, (right - left, high - low)):
        box = {
            "boxstyle": "round,pad=0.25",
            "facecolor": NETWORK if mark.filled else _THEME.paper,
            "edgecolor": NETWORK,
        }
        axes.text(
            *mark.place,
            mark.text,
            ha="center",
            va="center_baseline",
            fontsize=7,
            color=_THEME.paper if mark.filled else NETWORK,
            bbox=box,
            zorder=5,
        )


_BEST, _DOTS = (_THEME.series[place] for place in (1, 4))
_LETTERS = 48  # of a line of a legend above a panel
_MOST_POINTS = 20_000  # of a scatter: more cannot be told apart


def stage_map(axes: Axes, study: Study, result: Result) -> None:
    """Draw, for two stages, the best that an allocation with so many blocks in each can be, in the base of the best."""
    candidates = _of_best(result)
    pair = mapped(study, result)
    if pair is None:
        axes.set_axis_off()
        return
    across, up = (candidates.depth[:, stage] for stage in pair)
    table = np.full((up.max() - up.min() + 1, across.max() - across.min() + 1), np.inf)
    np.minimum.at(
        table, (up - up.min(), across - across.min()), merit(study.sort, candidates.measures[study.sort])
    )
    values = np.where(np.isinf(table), np.nan, np.abs(table))
    more_is_better = is_more_better(study.sort)
    image = axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        cmap="viridis" if more_is_better else "viridis_r",  # yellow is best
        extent=(across.min() - 0.5, across.max() + 0.5, up.min() - 0.5, up.max() + 0.5),
    )
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01)
    best = "most" if more_is_better else "least"
    bar.set_label(f"{header(study.sort)}, {best} whatever the other stages are", fontsize=NORMAL)
    _units(bar.ax.yaxis, study.sort)
    axes.set_xlabel(f"blocks in stage {pair[0] + 1}")
    axes.set_ylabel(f"blocks in stage {pair[1] + 1}")
    axes.locator_params(integer=True)
    base = int(candidates.base[0])
    draw_marks(
        axes,
        [
            Mark((number,), (standing.point.depth[pair[0]], standing.point.depth[pair[1]]), filled=True)
            for number, standing in enumerate(result.standings, 1)
            if standing.point.base == base and standing.row is not None
        ],
    )
    _star(axes, candidates.depth[0][list(pair)])


def tradeoff(axes: Axes, study: Study, result: Result) -> None:
    """Draw the measure that is sorted by over params, coloured by the share of late stages, with their front."""
    measures = result.candidates.measures
    across = "params" if study.sort != "params" else "latency_us"
    x, y = (np.asarray(measures[name], float) for name in (across, study.sort))
    shown = _sample(len(x))
    colour: Any = {"color": _DOTS}
    if not np.isnan(measures["late_share"]).all():
        colour = {"c": 100 * measures["late_share"][shown], "cmap": "cividis"}
    dots = axes.scatter(x[shown], y[shown], s=9, linewidths=0, rasterized=True, **colour)
    if "c" in colour:
        axes.figure.colorbar(dots, ax=axes, pad=0.01).set_label("late params (%)", fontsize=NORMAL)
    signs = {across: x, study.sort: merit(study.sort, y)}
    front = np.flatnonzero(pareto(signs, list(signs)))
    front = front[np.argsort(x[front])]
    axes.plot(x[front], y[front], color=_THEME.ink, linewidth=1, drawstyle="steps-post")
    places = [(standing.measures[across], standing.measures[study.sort]) for standing in result.standings]
    draw_marks(
        axes,
        [
            Mark((number,), place, filled=result.standings[number - 1].row is not None)
            for number, place in enumerate(places, 1)
            if None not in place
        ],
    )
    _star(axes, (x[0], y[0]))
    axes.set_xlabel(header(across))
    axes.set_ylabel(header(study.sort))
    _units(axes.xaxis, across)
    _units(axes.yaxis, study.sort)
    draw_grid_lines(axes, _THEME, "both")


def best_by_stage(axes: Axes, study: Study, result: Result) -> None:
    """Draw the latency of each stage of the best allocation beside that of the model, blocks written above."""
    del study
    candidates = result.candidates
    sums = result.sums[int(candidates.base[0])]
    first = tuple(candidates.depth[0].tolist())
    options = candidates.bases[int(candidates.base[0])].values
    name = ", ".join(["-".join(map(str, first)), *(f"{key}={value}" for key, value in options.items())])
    series = [(f"best: {name}", _BEST, sums.latency_by_stage(first), first)]
    current = result.current.point
    if current.base is not None:
        times = result.sums[current.base].latency_by_stage(current.depth)
        series.insert(0, (current.name, NETWORK, times, current.depth))
    names = ["stem, head", *map(str, range(1, len(first) + 1))]
    width = 0.8 / len(series)
    for number, (label, colour, values, depth) in enumerate(series):
        left = np.arange(len(names)) + (number - (len(series) - 1) / 2) * width
        axes.bar(left, values, width, color=colour, label=label)
        for place, value, blocks in zip(left[1:], values[1:], depth, strict=True):
            axes.text(place, value, str(blocks), ha="center", va="bottom", fontsize=SMALL)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlabel("stage")
    axes.set_ylabel(f"{header('latency_us')}; blocks above")
    axes.margins(y=0.12)
    draw_grid_lines(axes, _THEME)
    handles, labels = axes.get_legend_handles_labels()
    names = [fill(label, _LETTERS, break_on_hyphens=False) for label in labels]
    style: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "frameon": False}
    axes.legend(handles, names, fontsize=NORMAL, **style)


def mapped(study: Study, result: Result) -> tuple[int, int] | None:
    """Return the two stages whose blocks go most with what is sorted by; None where fewer than two vary."""
    candidates = _of_best(result)
    varying = [stage for stage, blocks in enumerate(candidates.depth.T) if np.ptp(blocks) > 0]
    values = np.asarray(candidates.measures[study.sort], float)
    if len(varying) < 2 or np.isnan(values).any():
        return None
    with np.errstate(invalid="ignore"):  # of values that are all the same
        weights = [abs(np.corrcoef(candidates.depth[:, stage], values)[0, 1]) for stage in varying]
    first, second = sorted(np.argsort(np.nan_to_num(weights), kind="stable")[-2:].tolist())
    return varying[first], varying[second]


def _of_best(result: Result) -> Candidates:
    """Allocations of the base of the best one."""
    return result.candidates.kept(result.candidates.base == result.candidates.base[0])


def key(result: Result) -> dict[str, Any]:
    """Return what a legend shows of what is marked: the best allocation, the model, published networks by number."""
    from matplotlib.lines import Line2D

    handles = {
        "best": Line2D([], [], linewidth=0, marker="*", markersize=11, color=_BEST),
        "Pareto front of the two": Line2D([], [], color=_THEME.ink, linewidth=1),
    }
    for number, standing in enumerate(result.standings, 1):
        fill = _THEME.paper if standing.row is None else NETWORK
        style: Any = {"marker": "s", "markerfacecolor": fill, "markeredgecolor": NETWORK}
        handles[f"{number} {standing.point.name}"] = Line2D([], [], linewidth=0, markersize=8, **style)
    return handles


def _star(axes: Axes, place: Any) -> None:
    axes.plot(
        place[0], place[1], marker="*", markersize=14, color=_BEST, markeredgecolor=_THEME.paper, zorder=6
    )


def _sample(count: int) -> Ints:
    """Rows that are drawn: all of them, or evenly spread ones."""
    return np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(np.int64)


def _units(axis: Any, measure: str) -> None:
    """Write the ticks of *axis* as shares in per cent, or with SI prefixes where the measure has no unit."""
    from matplotlib.ticker import EngFormatter, PercentFormatter

    unit = METRICS[measure].unit
    if unit == "1":
        axis.set_major_formatter(PercentFormatter(1))
    elif unit not in ("µs", "µJ"):
        axis.set_major_formatter(EngFormatter(sep=" "))


_PANEL = (5.0, 5.0)
"""Inches of a panel."""


def picture(study: Study, file_format: str) -> bytes:
    """Return the figure as ``png`` or ``svg``, the same bytes for equal studies and one version of matplotlib."""
    return render(lambda: figure(study), file_format)


def figure(study: Study) -> Figure:
    """Return the figure, a row of panels for each accelerator that has allocations within the budgets.

    There is no map where the blocks of only one stage vary.
    """
    shown = [result for result in study.results if len(result.candidates)]
    draws = [stage_map] if any(mapped(study, result) for result in shown) else []
    draws += [tradeoff, best_by_stage]
    size = _PANEL[0] * len(draws), _PANEL[1] * len(shown)
    sheet = Sheet.open(None, "light", size, len(shown), len(draws))
    for result, panels in zip(shown, _rows(sheet.panels, len(draws)), strict=True):
        for axes, draw in zip(panels, draws, strict=True):
            draw(axes, study, result)
        title = f"{study.model} on {result.accelerator.name}"
        panels[0].set_title(title, loc="left", fontsize=NORMAL, parse_math=False)
    sheet.legend(key(shown[0]))
    return sheet.figure


def _rows(panels: Sequence[Axes], columns: int) -> list[Sequence[Axes]]:
    return [panels[start : start + columns] for start in range(0, len(panels), columns)]
