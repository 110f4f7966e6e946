"""Rows of a report that are asked for, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError, nearest
from squeezesim.report import metrics

if TYPE_CHECKING:
    from squeezesim.report.data import ReportData


def select(
    report: ReportData, by: str = "layer", sort: str | None = None, top: int | None = None
) -> list[dict[str, Any]]:
    """Return the rows of *report*, sorted by a column (numbers descending, texts ascending), the first *top* of them.

    *by* is ``shape``, for layers of one shape in a stage together, or one of ``metrics.GROUPS``. The first rows are
    those that take longest where *sort* does not say otherwise.

    Raises:
        UsageError: there is no such column.
    """
    rows = rows_by(report, by)
    key = "cycles" if sort is None and top is not None else sort
    return rows if key is None else sort_rows(rows, key)[:top]


def rows_by(report: ReportData, by: str) -> list[dict[str, Any]]:
    """Return all rows of *report* by shape, layer, stage or operator."""
    if by != "shape":
        return metrics.rows(report, by)
    from squeezesim.report import shapes

    return shapes.rows(report)


def sort_rows(rows: Sequence[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    """Return *rows*, at least one, by a column: numbers descending, texts ascending, those without a value last.

    Raises:
        UsageError: there is no such column.

    Example:
        >>> sort_rows([{"name": "a", "top1": None}, {"name": "b", "top1": 57.5}], "top1")[0]["name"]
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
