"""The table of layers: what the terminal prints, with the numbers behind the texts to sort by.

Layers and stages without MACs have no utilization.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from squeezesim.report.document import rounded
from squeezesim.report.table import grid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from squeezesim.report.report import Report

Row = dict[str, Any]

# Heading in the terminal → key in the page's data, and what the heading means.
_MEANINGS: Mapping[str, tuple[str, str]] = {
    "layer": ("name", "in the order in which they run"),
    "stage": ("stage", "part of the network"),
    "op": ("op", "operator"),
    "output": ("outputs", "output channels × rows × columns"),
    "filter": ("taps", "filter rows × columns, /stride"),
    "dataflow": ("dataflow", "what stays in the PEs: ws weights, os outputs, rs filter rows"),
    "repeat": ("repeat", "equal steps of a recurrence; the counts are of all of them"),
    "MACs": ("macs", "multiply–accumulates"),
    "cycles": ("cycles", "of the accelerator’s clock"),
    "time": ("share", "part of the network’s cycles"),
    "latency µs": ("latency_us", "cycles / clock"),
    "utilization": ("utilization", "executed MACs / (PEs × cycles)"),
    "efficiency": ("efficiency", "dense MACs / (PEs × cycles), above 100 % where zeros are skipped"),
    "bound": ("bound", "what set the pace of the most cycles"),
    "energy µJ": ("energy_uj", "all levels"),
    "energy (MACs)": ("energy_mac_equiv", "all levels, in units of one MAC"),
    "DRAM": ("dram_bytes", "bytes between DRAM and buffer"),
    "params": ("params", "learnable values"),
    "tiling": (
        "tiling",
        "loop order, and tile sizes of pixels (y, x) and of output (k) and input channels (c)",
    ),
}
_MADE: Mapping[str, Callable[[Row], int]] = {
    "outputs": lambda row: int(row["groups"] * row["k"] * row["oy"] * row["ox"]),
    "taps": lambda row: int(row["fy"] * row["fx"]),
}
# Columns that are left out where they say nothing of any layer.
_SILENT: Mapping[str, Callable[[Row], bool]] = {
    "stage": lambda row: not row["stage"],
    "efficiency": lambda row: row["efficiency"] == row["utilization"],
}
_FURTHER = ("module", "fused")
FACETS = ("stage", "op", "dataflow", "bound")
"""Columns of which a reader picks one value."""


class Heading(NamedTuple):
    """A column: its heading, the key of the numbers to sort by, its meaning, whether it holds words."""

    text: str
    key: str
    meaning: str
    left: bool


class Table(NamedTuple):
    """Texts of the layers that take time; ``rows`` are (number of the layer, its cells)."""

    headings: Sequence[Heading]
    rows: Sequence[tuple[int, Sequence[str]]]
    facets: Mapping[str, Sequence[str]]


def told(report: Report, by: str = "layer") -> list[Row]:
    """Return the rows of *report*; utilization and efficiency of what has no MACs are None."""
    nothing = {"utilization": None, "efficiency": None}
    return [row if row["macs"] else row | nothing for row in report.rows(by)]


def table(report: Report) -> Table:
    """Return the table of layers as texts."""
    rows = told(report)
    shown = [number for number, row in enumerate(rows) if row["cycles"]]
    texts = grid(report, [rows[number] for number in shown], "layer", None)
    headings = [Heading(column.header, *_MEANINGS[column.header], column.left) for column in texts.columns]
    silent = {key for key, says_nothing in _SILENT.items() if all(says_nothing(row) for row in rows)}
    kept = [place for place, heading in enumerate(headings) if heading.key not in silent]
    cells = [[row[place] for place in kept] for row in texts.cells]
    found = {facet: list(dict.fromkeys(rows[number][facet] for number in shown)) for facet in FACETS}
    facets = {facet: values for facet, values in found.items() if len(values) > 1}
    return Table([headings[place] for place in kept], list(zip(shown, cells, strict=True)), facets)


def numbers(report: Report) -> dict[str, list[Any]]:
    """Return a column of plain values for each key of the table, one entry for every layer."""
    rows = [rounded(row) for row in told(report)]
    keys = dict.fromkeys([*(key for key, _ in _MEANINGS.values()), *_FURTHER])
    return {key: [_MADE[key](row) if key in _MADE else row[key] for row in rows] for key in keys}
