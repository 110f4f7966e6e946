"""The figure of a sweep: the designs by two objectives with their Pareto front, and two parameters as a map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.errors import UsageError
from squeezesim.explore.sweep.plan import front_mask, ranking_column
from squeezesim.report import units
from squeezesim.report.figures.charts import log_axis
from squeezesim.report.figures.labels import Spot, name_spots
from squeezesim.report.figures.style import NORMAL, SMALL, Sheet, dot, draw_grid_lines, legible, render
from squeezesim.report.metrics import METRICS, header, is_more_better, words

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.explore.sweep.plan import Planned

Floats = NDArray[np.float64]

_PANEL = (5.6, 4.6)  # inches
_WIDE = 20.0  # of the largest value to the smallest, from which on an axis is logarithmic
_AROUND = 1.15  # of what a logarithmic axis shows
_MOST_CELLS = 12  # of a side of the map: more values are put together
_WHOLE = 1000  # from which on a number is written without a fraction
_WRITTEN = 80  # cells that have their number in them
_NAMED = 8  # designs on the front that have names
_LONGEST = 40


def check_drawable(objectives: Sequence[str]) -> None:
    """Check that a figure can show the front of *objectives*.

    Raises:
        UsageError: they are not two.
    """
    if len(objectives) != 2:
        raise UsageError(
            f"--plot draws a front of two objectives, found {len(objectives)}; allowed: two, as "
            "--objectives array.pes,latency_us"
        )


def draw(of: Planned, table: pa.Table, objectives: Sequence[str], sort: str, file_format: str) -> bytes:
    """Return the figure as ``png`` or ``svg``: a row for each network."""
    return render(lambda: figure(of, table, objectives, sort), file_format)


def figure(
    of: Planned, table: pa.Table, objectives: Sequence[str], sort: str, theme: str = "light"
) -> Figure:
    """Draw the costed rows of *table*: all designs by two *objectives*, and the best *sort* over two parameters.

    The parameters are the two that *sort* follows most; of a single one that varies, *sort* is drawn over it.

    Raises:
        UsageError: no row has numbers in the objectives.
    """
    networks = of.about["networks"]
    sheet = Sheet.open(None, theme, (2 * _PANEL[0], _PANEL[1] * len(networks)), len(networks), 2)
    costed = {name: _column(of, table, name) for name in dict.fromkeys((*objectives, sort))}
    known = ~np.isnan(np.stack([costed[name] for name in objectives])).any(axis=0)
    if not known.any():
        raise UsageError(
            f"no design has a number in {' and '.join(objectives)}, and there is nothing to draw"
        )
    mask = front_mask(table, of.base, objectives)
    network = np.array(table["network"].to_pylist())
    named: list[tuple[Axes, list[Spot]]] = []
    for row, name in enumerate(networks):
        own = np.flatnonzero((network == name) & known)
        left, right = sheet.panels[2 * row : 2 * row + 2]
        values = {key: column[own] for key, column in costed.items()}
        named.append((left, _front(sheet, left, of, table, values, own, mask, objectives)))
        _map(sheet, right, of, table, values[sort], own, sort)
        left.set_title(name, fontsize=NORMAL, color=sheet.theme.ink, loc="left", parse_math=False)
    sheet.title(f"{of.about['accelerator']}: {units.plural(len(set(table['design'].to_pylist())), 'design')}")
    paint = sheet.theme.series
    sheet.legend({"designs": dot(sheet.theme.faint), "Pareto front": dot(paint[2])})
    sheet.settle()
    for axes, spots in named:
        front = np.array([(spot.x, spot.y) for spot in spots if spot.text])
        lines = [*np.stack([front[:-1], front[1:]], axis=1)]
        name_spots(axes, spots, sheet.theme, SMALL, most=min(_NAMED, len(front)), lines=lines)
    return sheet.figure


def _column(of: Planned, table: pa.Table, name: str) -> Floats:
    return np.asarray(ranking_column(table, of.base, name), np.float64)


def axis_label(name: str) -> str:
    """Return the label of an axis: ``latency (µs)``, ``array.rows``."""
    if name not in METRICS:
        return "PEs" if name == "array.pes" else name
    unit = METRICS[name].unit
    return words(name) if unit in ("", "1") else f"{words(name)} ({unit})"


def _front(
    sheet: Sheet,
    axes: Axes,
    of: Planned,
    table: pa.Table,
    values: dict[str, Floats],
    own: NDArray[np.intp],
    mask: NDArray[np.bool_],
    objectives: Sequence[str],
) -> list[Spot]:
    """Draw the designs and their front; return their spots, first those on it, which have names."""
    x, y = (values[name] for name in objectives)
    on_front = np.flatnonzero(mask[own])
    on_front = on_front[np.argsort(x[on_front], kind="stable")]
    axes.scatter(x, y, s=14, color=sheet.theme.faint, linewidth=0, alpha=0.7, zorder=2)
    axes.plot(
        x[on_front], y[on_front], color=sheet.theme.series[2], linewidth=1, marker="o", markersize=5, zorder=3
    )
    axes.margins(0.08)
    for name, column in (("x", x), ("y", y)):
        low, high = float(column.min()), float(column.max())
        if low > 0 and high / low > _WIDE:
            log_axis(axes, name, (low / _AROUND, high * _AROUND))
    axes.set_xlabel(axis_label(objectives[0]), fontsize=NORMAL, parse_math=False)
    axes.set_ylabel(axis_label(objectives[1]), fontsize=NORMAL, parse_math=False)
    draw_grid_lines(axes, sheet.theme, "both")
    names = {place: _named(of, table, int(own[place])) for place in on_front.tolist()}
    order = [*names, *(place for place in range(len(own)) if place not in names)]
    return [Spot(float(x[place]), float(y[place]), 2.5, names.get(place, "")) for place in order]


def _named(of: Planned, table: pa.Table, row: int) -> str:
    """The parameters of a design, ``rows 16, cols 32``, or its number where they are long."""
    parts = []
    for path in of.about["parameters"]:
        value = table[path][row].as_py()
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        parts.append(f"{header(path)} {value:.4g}" if is_number else f"{header(path)} {value}")
    text = legible(", ".join(parts))
    return text if len(text) <= _LONGEST else f"design {table['design'][row].as_py()}"


def _map(
    sheet: Sheet, axes: Axes, of: Planned, table: pa.Table, values: Floats, own: NDArray[np.intp], sort: str
) -> None:
    """Draw the best *values* over the two parameters that they follow most, or over the only one."""
    sign = -1 if is_more_better(sort) else 1
    sides = {path: _bins(table[path].take(own).to_pylist()) for path in of.about["parameters"]}
    varying = {path: side for path, side in sides.items() if len(side[1]) > 1}
    pairs = [
        pair
        for pair in combinations(varying, 2)
        if len(set(zip(varying[pair[0]][0], varying[pair[1]][0], strict=True)))
        > max(len(varying[path][1]) for path in pair)
    ]
    if not pairs:
        _curve(sheet, axes, varying, values, sort)
        return
    weight = {path: _follows(values, side[0]) for path, side in varying.items()}
    first, second = max(
        pairs, key=lambda pair: (weight[pair[0]] + weight[pair[1]], min(weight[p] for p in pair))
    )
    (across, columns), (up, rows) = varying[first], varying[second]
    best = np.full((len(rows), len(columns)), np.inf)
    np.minimum.at(best, (up, across), sign * values)
    shown = np.where(np.isinf(best), np.nan, sign * best)
    image = axes.imshow(shown, origin="lower", aspect="auto", cmap="cividis_r" if sign > 0 else "cividis")
    axes.set_xticks(range(len(columns)), columns, fontsize=SMALL)
    axes.set_yticks(range(len(rows)), rows, fontsize=SMALL)
    axes.set_xlabel(first, fontsize=NORMAL, parse_math=False)
    axes.set_ylabel(second, fontsize=NORMAL, parse_math=False)
    if shown.size <= _WRITTEN:
        middle = (np.nanmin(shown) + np.nanmax(shown)) / 2
        for (row, column), value in np.ndenumerate(shown):
            if not np.isnan(value):
                light = (value > middle) == (sign < 0)
                style: dict[str, Any] = {"color": "#000000" if light else "#FFFFFF", "fontsize": SMALL - 1}
                text = f"{value:,.0f}" if value >= _WHOLE else f"{value:.4g}"
                axes.text(column, row, text, ha="center", va="center", **style)
    bar = sheet.figure.colorbar(image, ax=axes, pad=0.02)
    best_word = "greatest" if sign < 0 else "least"
    bar.set_label(f"{best_word} {axis_label(sort)}", fontsize=NORMAL, color=sheet.theme.ink)
    bar.ax.tick_params(colors=sheet.theme.ink, labelsize=SMALL)


def _curve(
    sheet: Sheet,
    axes: Axes,
    varying: dict[str, tuple[NDArray[np.intp], list[str]]],
    values: Floats,
    sort: str,
) -> None:
    """Draw *values* over a parameter."""
    path, (places, names) = next(iter(varying.items()), ("design", (np.arange(len(values)), [])))
    axes.plot(places, values, linewidth=0, marker="o", markersize=5, color=sheet.theme.series[0])
    if names:
        axes.set_xticks(range(len(names)), names, fontsize=SMALL)
    axes.set_xlabel(path, fontsize=NORMAL, parse_math=False)
    axes.set_ylabel(axis_label(sort), fontsize=NORMAL)
    draw_grid_lines(axes, sheet.theme)


def _bins(column: Sequence[Any]) -> tuple[NDArray[np.intp], list[str]]:
    """Return the place of each value among those of a side of the map, and their texts; many are put together."""
    is_number = all(isinstance(value, int | float) for value in column)
    known = sorted(set(column)) if is_number else list(dict.fromkeys(map(str, column)))
    if len(known) <= _MOST_CELLS or not is_number:
        place = {value: number for number, value in enumerate(known)}
        texts = [f"{value:g}" if is_number else str(value) for value in known]
        return np.array([place[value if is_number else str(value)] for value in column]), texts
    parts = np.array_split(np.array(known, np.float64), _MOST_CELLS)
    edges = [part[0] for part in parts[1:]]
    return np.searchsorted(edges, np.array(column), side="right"), [
        f"{part[0]:.3g}–{part[-1]:.3g}" for part in parts
    ]


def _follows(values: Floats, places: NDArray[np.intp]) -> float:
    """Return how much of the variance of *values* is between those of different *places*."""
    whole = float(np.var(values)) or 1.0
    means = np.array([values[places == place].mean() for place in np.unique(places)])
    counts = np.array([(places == place).sum() for place in np.unique(places)])
    return float(np.average((means - values.mean()) ** 2, weights=counts)) / whole
