"""A report where an expression ends in it: one screen of text in a terminal, a table with bars in a notebook."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.costs import pe_slots
from squeezesim.markup import Html, Part, bar, block, table
from squeezesim.report import diagnosis, metrics, units
from squeezesim.report.figures.charts import cause_labels
from squeezesim.report.figures.colours import theme_named
from squeezesim.report.grid import short_names
from squeezesim.report.metrics import format_value, groups, header
from squeezesim.report.text import grid

if TYPE_CHECKING:
    from squeezesim.report.data import ReportData
    from squeezesim.report.tally import Tally

WIDTH = 80
"""Characters across a screen."""
MOST = 12
"""Rows of the table; those that take longest where there are more."""
_WORST = 2
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows that are shown: stages or, of a network without them, layers; ``note`` says what is not."""

    by: str
    rows: list[dict[str, Any]]
    tally: Tally  # in PE-cycles
    note: str

    @classmethod
    def of(cls, report: ReportData) -> _Rows:
        names, tally = groups(report, "stage")
        by = "stage" if len(names) > 1 else "layer"
        tally = tally if by == "stage" else report.tally
        longest = np.argsort(-tally.cycles, kind="stable")[:MOST]
        places = np.sort(longest[tally.cycles[longest] > 0])
        rows = metrics.rows(report, by)
        hidden = int(np.count_nonzero(tally.cycles)) - len(places)
        note = f"and {units.plural(hidden, by)} that take less" if hidden else ""
        spent = report.tally.in_pe_cycles(report.scale)
        spent = groups(report, "stage", spent)[1] if by == "stage" else spent
        return cls(by, [rows[place] for place in places], spent.take(places), note)


def screen(report: ReportData) -> str:
    """Return *report* on one screen of 80 characters: totals, its stages or slowest layers, the worst layer."""
    shown = _Rows.of(report)
    whole = grid(report, shown.rows, shown.by, None, part=shown.note)
    rows = replace(whole, elsewhere="print it for all").fit(WIDTH).plain()
    worst = [textwrap.fill(str(finding), WIDTH) for finding in diagnosis.findings(report, 1)]
    parts = [textwrap.fill(_heading(report), WIDTH), rows, *worst]
    return "\n\n".join(parts)


def html(report: ReportData) -> str:
    """Return *report* as HTML: totals, its stages or slowest layers with bars of where their cycles go, the worst ones.

    The row that takes longest has a bar of the full width.
    """
    shown = _Rows.of(report)
    before = ("macs", "cycles", "share")
    after = ("utilization", "bound", "dram_bytes", metrics.shown_energy(report))
    names = short_names([row["name" if shown.by == "layer" else shown.by] for row in shown.rows], _LONGEST)
    body = [
        (
            names[place] or units.EMPTY,
            *(format_value(name, row[name]) for name in before),
            _bar(report, shown.tally, place),
            *(format_value(name, row[name]) for name in after),
        )
        for place, row in enumerate(shown.rows)
    ]
    columns = (shown.by, *map(header, before), "where it goes", *map(header, after))
    worst = [f"{place}. {finding}" for place, finding in enumerate(diagnosis.findings(report, _WORST), 1)]
    notes = [shown.note] if shown.note else []
    return block(_heading(report), table(columns, body), *notes, _legend(report), *worst)


def _heading(report: ReportData) -> str:
    totals = metrics.totals(report)
    text = {name: metrics.quantity(name, value) for name, value in totals.items()}
    return (
        f"{report.network.name} on {report.accelerator.name}: {text['latency_us']}, {text['cycles']} cycles, "
        f"utilization {text['utilization']}, {text[metrics.shown_energy(report)]}, "
        f"{text['dram_bytes']} from and to {report.memory_words}"
    )


def _bar(report: ReportData, tally: Tally, place: int) -> Html:
    """Executed MACs and losses of one row, as parts of the cycles of the longest."""
    labels = cause_labels(tally.causes)
    colours = theme_named("light").colours(labels)
    most = pe_slots(int(tally.cycles.max()), report.machine.pes)
    spent = [int(tally.executed[place]), *tally.losses[place].tolist()]
    whole = sum(spent)
    return bar(
        Part(value / most, colours[cause], f"{labels[cause]}: {units.share(value / whole)}")
        for cause, value in zip(labels, spent, strict=True)
    )


def _legend(report: ReportData) -> Html:
    """The causes that occur, each with its colour."""
    names, lost = report.tally.causes, report.tally.losses.sum(axis=0).tolist()
    labels = cause_labels(names)
    colours = theme_named("light").colours(labels)
    found = ["executed", *(cause for cause, value in zip(names, lost, strict=True) if value)]
    squares = (
        f'<span style="display:inline-block;width:10px;height:10px;background:{colours[cause]};'
        f'border:1px solid rgba(128,128,128,.6)"></span> {labels[cause].partition(":")[0]}'
        for cause in found
    )
    return Html(f"<div>{' &nbsp; '.join(squares)}</div>")
