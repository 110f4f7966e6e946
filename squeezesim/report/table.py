"""Tables of layers, stages and operators: their rows, their columns, how each number is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError, nearest
from squeezesim.report import units
from squeezesim.report.grid import Column, Grid
from squeezesim.report.meter import meter

if TYPE_CHECKING:
    from squeezesim.report.report import Report

Row = Mapping[str, Any]
_Shown = tuple[Column, Callable[[Row], str]]

NAME_WIDTH = 28
"""Columns beyond the first six are shown only where they leave a layer's name this much."""


def select(
    report: Report, by: str = "layer", sort: str | None = None, top: int | None = None
) -> list[dict[str, Any]]:
    """Return the rows of *report*, sorted by a column (numbers descending, texts ascending), the first *top* of them.

    The first rows are those that take longest where *sort* does not say otherwise.

    Raises:
        UsageError: there is no such column.
    """
    rows = report.rows(by)
    key = "cycles" if sort is None and top is not None else sort
    return rows if key is None else ordered(rows, key)[:top]


def ordered(rows: Sequence[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    """Return *rows*, at least one, by a column: numbers descending, texts ascending, those without a value last.

    Raises:
        UsageError: there is no such column.

    Example:
        >>> ordered([{"name": "a", "top1": None}, {"name": "b", "top1": 57.5}], "top1")[0]["name"]
        'b'
    """
    if column not in rows[0]:
        raise UsageError(
            f"there is no column {column!r}; allowed: {', '.join(rows[0])}{nearest(column, rows[0])}"
        )
    known = [row for row in rows if row[column] is not None]
    descending = bool(known) and not isinstance(known[0][column], str)
    by_value = sorted(known, key=lambda row: row[column], reverse=descending)
    return [*by_value, *(row for row in rows if row[column] is None)]


def grid(
    report: Report, rows: Sequence[Row], by: str, width: int | None, bars: int = 0, part: str = ""
) -> Grid:
    """Return *rows* as a table, of at most *width* characters where given; *part* says how many of all they are.

    Beside utilization stand bars of *bars* characters.
    """
    shown = _columns(report, by, bars)
    whole = Grid([column for column, _ in shown], [[show(row) for _, show in shown] for row in rows], part)
    return whole if width is None else whole.fit(width, NAME_WIDTH if by == "layer" else 0)


def _columns(report: Report, by: str, bars: int) -> list[_Shown]:
    """All columns in the order in which they stand; those without a rank are there at 80 characters."""
    energy: _Shown = (Column("energy µJ"), lambda row: units.decimal(row["energy_uj"]))
    if report.scale.pj_per_unit is None:
        energy = (Column("energy (MACs)"), lambda row: units.count(row["energy_mac_equiv"]))
    costs: list[_Shown] = [
        (Column("MACs"), lambda row: units.count(row["macs"])),
        (Column("cycles"), lambda row: units.count(row["cycles"])),
        (Column("time", 2), lambda row: units.share(row["share"])),
        (Column("latency µs", 3), lambda row: units.decimal(row["latency_us"])),
        (
            Column("utilization"),
            lambda row: (
                units.EMPTY
                if not row["macs"]
                else meter(row["utilization"], bars)
                if bars
                else units.share(row["utilization"])
            ),
        ),
        (Column("efficiency", 8), lambda row: units.share(row["efficiency"] if row["macs"] else None)),
        (Column("bound", left=True), lambda row: row["bound"] or units.EMPTY),
        energy,
        (Column("DRAM", 4), lambda row: units.size(row["dram_bytes"])),
        (Column("params", 7), lambda row: units.count(row["params"])),
    ]
    if by != "layer":
        return [
            (Column(by, left=True), lambda row: row[by] or units.EMPTY),
            (Column("layers", 1), lambda row: str(row["layers"])),
            *costs,
        ]
    repeats: list[_Shown] = [(Column("repeat"), lambda row: str(row["repeat"]))]
    return [
        (Column("layer", left=True), lambda row: row["name"]),
        (Column("stage", 9, left=True), lambda row: row["stage"]),
        (Column("op", 10, left=True), lambda row: row["op"]),
        (Column("output", 5), lambda row: f"{row['groups'] * row['k']}×{row['oy']}×{row['ox']}"),
        (Column("filter", 6), _filter),
        (Column("dataflow", 1, left=True), lambda row: row["dataflow"] or units.EMPTY),
        *(repeats if any(layer.repeat > 1 for layer in report.network.layers) else ()),
        *costs,
        (Column("tiling", 11, left=True), lambda row: row["tiling"]),
    ]


def _filter(row: Row) -> str:
    """Filter and stride, as 3×3/2."""
    vertical, horizontal = row["stride"].split("x")
    steps = vertical if vertical == horizontal else f"{vertical}×{horizontal}"
    return f"{row['fy']}×{row['fx']}" + ("" if steps == "1" else f"/{steps}")
