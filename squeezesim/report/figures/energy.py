"""The figure ``energy``: by level of the memories, and that of DRAM by operand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.costs import OPERANDS, label_of
from squeezesim.cost.machine import LEVELS
from squeezesim.report import metrics, units
from squeezesim.report.figures.charts import Energies, Unit, byte_unit, stacked_bars
from squeezesim.report.figures.style import NORMAL, Sheet, draw_grid_lines, labels, patch
from squeezesim.report.metrics import groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData
    from squeezesim.report.tally import Floats, Tally

MOST = 24
"""Rows; those that take least are summed in the last."""
_INCHES = 10.5
_INCHES_A_ROW = 0.3
_LONGEST = 24
_ROOM = 1.04
_LEGEND_COLUMNS = 3
_LEAST = 1 / 500  # of the longest bar, of what is seen in a bar


def energy(report: ReportData, ax: Any = None, *, theme: str = "light") -> Figure:
    """Draw the energy of each stage by level and that of DRAM by operand; of each layer where there are no stages.

    A byte from or to a memory costs the same for every operand, so its energy is shared as the bytes are. Where they
    cost nothing the bytes are drawn.

    Raises:
        UsageError: there is no such theme.
    """
    names, tally = _rows(report)
    size = (_INCHES, 2.2 + _INCHES_A_ROW * len(names))
    sheet = Sheet.open(ax, theme, size, columns=2)
    energies = Energies([report])
    spent = energies.of(report, tally)
    unit = energies.unit(float(spent.sum(axis=1).max()))
    colours = sheet.theme.colours(tally.levels), sheet.theme.colours(tally.operands)
    by_operand, label = _by_operand(report, tally, spent, unit)
    values = spent * unit.factor, by_operand
    labels_below = unit.label("energy by level"), label
    for number, (axes, words) in enumerate(zip(sheet.panels, (LEVELS, OPERANDS), strict=True)):
        parts = dict(zip(colours[number], values[number].T, strict=True))
        lengths = stacked_bars(axes, parts, colours[number], sideways=True)
        axes.set_xlim(0, lengths.max() * _ROOM or 1)
        axes.set_ylim(len(names) - 0.4, -0.6)
        texts = names if number == 0 else [""] * len(names)
        axes.set_yticks(range(len(names)), texts, fontsize=NORMAL, parse_math=False)
        axes.set_xlabel(labels_below[number], fontsize=NORMAL)
        draw_grid_lines(axes, sheet.theme, "x")
        least = _LEAST * lengths.max()
        shown = {
            label_of(key, words): patch(colours[number][key])
            for key, part in parts.items()
            if part.max() > least
        }
        sheet.legend_above(axes, shown, _LEGEND_COLUMNS)
    if sheet.own:  # above axes of the caller there are the legends
        sheet.title(
            f"{report.network.name} on {report.accelerator.name}: {energies.text(float(spent.sum()))}, "
            f"{units.size(metrics.totals(report)['dram_bytes'])} from and to {report.memory_words}"
        )
    sheet.finish()
    return sheet.figure


def _by_operand(report: ReportData, tally: Tally, spent: Floats, unit: Unit) -> tuple[Floats, str]:
    """Return the energy *spent* beyond the buffer by operand, and the label of its axis; bytes where it is nothing."""
    what = " and ".join(label_of(name, LEVELS) for name, operands in report.memories.items() if operands)
    values = np.zeros(tally.dram.shape)
    for memory, operands in report.memories.items():
        held = np.array([operand in operands for operand in tally.operands])
        moved = tally.dram[:, held].sum(axis=1)
        shares = tally.dram[:, held] / np.maximum(moved, 1)[:, np.newaxis]
        own = spent[:, [level == memory for level in tally.levels]].sum(axis=1)
        values[:, held] = own[:, np.newaxis] * unit.factor * shares
    if not values.any():
        in_bytes = byte_unit(int(tally.dram_bytes.max()))
        return np.asarray(tally.dram * in_bytes.factor), in_bytes.label(f"{what} traffic by operand")
    return values, unit.label(f"{what} energy by operand")


def _rows(report: ReportData) -> tuple[list[str], Tally]:
    """Return the stages, or the layers that take energy where all are of one stage; at most ``MOST``."""
    names, tally = groups(report, "stage")
    if len(names) == 1:
        names, tally = [layer.name for layer in report.network.layers], report.tally
    spent = tally.energy.sum(axis=1)
    rank = np.argsort(np.argsort(-spent, kind="stable"))
    kept = MOST if np.count_nonzero(spent) <= MOST else MOST - 1
    chosen = np.flatnonzero((rank < kept) & (spent > 0))
    owner = np.full(len(names), len(chosen))
    owner[chosen] = np.arange(len(chosen))
    rest = np.count_nonzero(spent) - len(chosen)
    short = labels(names, _LONGEST)
    texts = [short[place] or units.EMPTY for place in chosen]
    if rest:
        texts.append(f"{rest} others")
    return texts, tally.grouped(owner, len(chosen) + 1).take(np.arange(len(texts)))
