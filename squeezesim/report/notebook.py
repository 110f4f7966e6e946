"""A report where an expression ends in it: one screen of text in a terminal, a table with bars in a notebook."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.evaluate import LOSSES
from squeezesim.markup import Html, Part, bar, block, table
from squeezesim.report import diagnosis, metrics, units
from squeezesim.report.figures.charts import CAUSES
from squeezesim.report.figures.style import theme_named
from squeezesim.report.grid import short_names
from squeezesim.report.metrics import groups
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
    tally: Tally
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
        return cls(by, [rows[place] for place in places], tally.take(places), note)


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
    absolute = report.scale.pj_per_unit is not None
    headers = (shown.by, "MACs", "cycles", "time", "where it goes", "utilization", "bound", "DRAM")
    names = short_names([row["name" if shown.by == "layer" else shown.by] for row in shown.rows], _LONGEST)
    body = [
        (
            names[place] or units.EMPTY,
            units.count(row["macs"]),
            units.count(row["cycles"]),
            units.share(row["share"]),
            _bar(report, shown.tally, place),
            units.share(row["utilization"]),
            row["bound"] or units.EMPTY,
            units.size(row["dram_bytes"]),
            units.decimal(row["energy_uj"]) if absolute else units.count(row["energy_mac_equiv"]),
        )
        for place, row in enumerate(shown.rows)
    ]
    columns = (*headers, "energy µJ" if absolute else "energy (MACs)")
    worst = [f"{place}. {finding}" for place, finding in enumerate(diagnosis.findings(report, _WORST), 1)]
    notes = [shown.note] if shown.note else []
    return block(_heading(report), table(columns, body), *notes, _legend(report), *worst)


def _heading(report: ReportData) -> str:
    totals = metrics.totals(report)
    energy = f"{units.count(totals['energy_mac_equiv'])} MACs' worth"
    if totals["energy_uj"] is not None:
        energy = f"{units.decimal(totals['energy_uj'])} µJ"
    return (
        f"{report.network.name} on {report.accelerator.name}: {units.decimal(totals['latency_us'])} µs, "
        f"{units.count(totals['cycles'])} cycles, utilization {units.share(totals['utilization'])}, {energy}, "
        f"{units.size(totals['dram_bytes'])} from and to DRAM"
    )


def _bar(report: ReportData, tally: Tally, place: int) -> Html:
    """Executed MACs and losses of one row, as parts of the cycles of the longest."""
    colours = theme_named("light").causes
    most = int(tally.cycles.max()) * report.scale.pes
    spent = [int(tally.executed[place]), *tally.losses[place].tolist()]
    whole = sum(spent)
    return bar(
        Part(value / most, colours[cause], f"{CAUSES[cause]}: {units.share(value / whole)}")
        for cause, value in zip(("executed", *LOSSES), spent, strict=True)
    )


def _legend(report: ReportData) -> Html:
    """The causes that occur, each with its colour."""
    colours, lost = theme_named("light").causes, report.tally.losses.sum(axis=0).tolist()
    found = ["executed", *(cause for cause, value in zip(LOSSES, lost, strict=True) if value)]
    squares = (
        f'<span style="display:inline-block;width:10px;height:10px;background:{colours[cause]};'
        f'border:1px solid rgba(128,128,128,.6)"></span> {CAUSES[cause].partition(":")[0]}'
        for cause in found
    )
    return Html(f"<div>{' &nbsp; '.join(squares)}</div>")
