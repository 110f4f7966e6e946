"""The checks that validate runs, and their page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from squeezesim.errors import UsageError, nearest
from squeezesim.files import json_page
from squeezesim.markup import code, escaped, markdown_table
from squeezesim.reference.record import Check, Row, Table
from squeezesim.report import units
from squeezesim.report.grid import Column, Grid
from squeezesim.report.text import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How thorough a check is, and who is told of its progress."""

    quick: bool = False
    progress: Callable[[str], None] = lambda _: None


def _squeezenext(options: Options) -> Check:
    from squeezesim.papers.squeezenext import check

    return check(quick=options.quick, progress=options.progress)


def _array(options: Options) -> Check:
    from squeezesim.reference.checks import check

    return check(cases=50 if options.quick else 400)


def _eyeriss(options: Options) -> Check:
    del options
    from squeezesim.papers.eyeriss import check

    return check()


def _scalesim(options: Options) -> Check:
    del options
    from squeezesim.papers.scalesim import check

    return check()


def _devices(options: Options) -> Check:
    from squeezesim.papers.devices.check import check

    return check(quick=options.quick, progress=options.progress)


SOURCES: dict[str, Callable[[Options], Check]] = {
    "squeezenext": _squeezenext,
    "array": _array,
    "scalesim": _scalesim,
    "eyeriss": _eyeriss,
    "devices": _devices,
}


def run(name: str, options: Options | None = None) -> Check:
    """Return the check against the source *name*, recomputed.

    Raises:
        UsageError: there is no such source.

    Example:
        >>> run("array", Options(quick=True)).holds
        True
    """
    known(name)
    return SOURCES[name](options or Options())


def known(name: str) -> str:
    """Return *name*.

    Raises:
        UsageError: there is no source of this name.
    """
    if name not in SOURCES:
        raise UsageError(
            f"there is no source {name!r}; allowed: {', '.join(SOURCES)}{nearest(name, SOURCES)}"
        )
    return name


_HEADERS = ("", "quantity", "reference", "ours", "error", "unit")
_INTRODUCTION = """\
# Validation

What `squeezesim validate` computes: the model beside sources that do not share its code. For each source: the bounds
that must hold (the command exits with 1 where one does not), then reference beside ours, error = ours / reference − 1.
This page is the command's output; `make validation` writes it.
"""


def sections(check: Check, width: int | None = None) -> list[Section]:
    """Return *check* as headings with tables and lines, tables at most *width* wide."""
    parts = [
        Section(f"{check.name}: {check.title}", ()),
        Section("source", (check.source,)),
        Section("method", (check.method,)),
    ]
    parts.append(Section("reference and ours", _grid(_row_headers(check), _row_cells(check), width, left=2)))
    for table in check.tables:
        parts.append(Section(table.title, _grid(table.headers, table.cells, width)))
        if table.note:
            parts.append(Section("how", (table.note,)))
    if check.notes:
        parts.append(Section("notes", [f"{number}. {note}" for number, note in enumerate(check.notes, 1)]))
    if check.bounds:
        parts.append(Section("bounds", _grid(("bound", "value", "limit", ""), _bound_cells(check), width)))
    return parts


def markdown(checks: Iterable[Check]) -> str:
    """Return *checks* as a page, a heading for each source."""
    parts = [_INTRODUCTION]
    for check in checks:
        parts.append(f"## {escaped(check.title)}\n")
        parts.append(f"{code(f'squeezesim validate {check.name}')} · {escaped(check.source)}\n")
        parts.append(f"{escaped(check.method)}\n")
        if check.bounds:
            parts.append(markdown_table(("bound", "value", "limit", ""), _bound_cells(check), left=(0, 3)))
        parts.append("### Reference and ours\n")
        parts.append(markdown_table(_row_headers(check), _row_cells(check), left=(0, 1, 5)))
        parts.extend(_markdown_section(table) for table in check.tables)
        if check.notes:
            parts.append("### Notes\n")
            parts.append("".join(f"- {escaped(note)}\n" for note in check.notes))
    return "\n".join(parts)


def to_json(checks: Sequence[Check]) -> str:
    """Return *checks* as JSON; an error that is infinite is null."""
    document = [
        {
            "name": check.name,
            "title": check.title,
            "source": check.source,
            "method": check.method,
            "holds": check.holds,
            "bounds": [
                {"text": item.text, "value": _finite(item.value), "limit": item.limit, "holds": item.holds}
                for item in check.bounds
            ],
            "rows": [
                {
                    "subject": row.subject,
                    "quantity": row.quantity,
                    "reference": row.reference,
                    "ours": _finite(row.ours),
                    "error": _finite(row.error),
                    "unit": row.unit,
                }
                for row in check.rows
            ],
            "tables": [
                {
                    "title": table.title,
                    "note": table.note,
                    "rows": [dict(zip(table.headers, cells, strict=True)) for cells in table.cells],
                }
                for table in check.tables
            ],
            "notes": list(check.notes),
        }
        for check in checks
    ]
    return json_page(document)


def verdict(check: Check) -> str:
    """Return one line: how many bounds hold, and which do not.

    Example line: ``squeezenext: 5 of 6 bounds hold; BROKEN: relative times, largest error 3.6 %, limit 3.0 %``.
    """
    broken = [bound for bound in check.bounds if not bound.holds]
    line = (
        f"{check.name}: {len(check.bounds) - len(broken)} of {units.plural(len(check.bounds), 'bound')} hold"
    )
    if not broken:
        return line
    names = (
        "{} {}, limit {}".format(*cells[:-1])
        for cells, bound in zip(_bound_cells(check), check.bounds, strict=True)
        if not bound.holds
    )
    return f"{line}; BROKEN: {'; '.join(names)}"


def number(value: float, pair: Sequence[float]) -> str:
    """Return *value* of a *pair* of reference and ours: exact where both are integers, else four digits.

    Example:
        >>> number(1_245_234, (1_240_000, 1_245_234)), number(2.6044, (2.59, 2.6044)), number(4.5e9, (4.5e9, 4.7e9))
        ('1,245,234', '2.604', '4.500 G')
    """
    if not math.isfinite(value):
        return "∞"
    if all(float(item).is_integer() and abs(item) < 1e8 for item in pair):
        return f"{value:,.0f}"
    return units.count(value) if abs(value) >= 1e5 else units.decimal(value)


def _row_headers(check: Check) -> tuple[str, ...]:
    return _HEADERS if any(row.unit for row in check.rows) else _HEADERS[:-1]


def _row_cells(check: Check) -> list[tuple[str, ...]]:
    width = len(_row_headers(check))
    return [_cells(row)[:width] for row in check.rows]


def _cells(row: Row) -> tuple[str, ...]:
    pair = (row.reference, row.ours)
    error = f"{units.signed(row.error)} %" if math.isfinite(row.error) else "∞"
    if row.ours == row.reference:
        error = "0"
    return (row.subject, row.quantity, number(row.reference, pair), number(row.ours, pair), error, row.unit)


def _bound_cells(check: Check) -> list[tuple[str, ...]]:
    return [
        (
            bound.text,
            *(_quantity(value, share=0 < bound.limit < 1) for value in (bound.value, bound.limit)),
            "ok" if bound.holds else "BROKEN",
        )
        for bound in check.bounds
    ]


def _quantity(value: float, *, share: bool) -> str:
    """A limit below 1 is a share of the reference; others, 0 among them, count what differs."""
    return f"{100 * value:.1f} %" if share else f"{value:g}"


def _grid(headers: Sequence[str], cells: Sequence[Sequence[str]], width: int | None, left: int = 1) -> Grid:
    # What stands to the right is the first to go on a narrow terminal.
    columns = [
        Column(header, rank=max(0, place - 4), left=place < left or header in ("", "unit"))
        for place, header in enumerate(headers)
    ]
    whole = Grid(columns, cells, elsewhere="widen the terminal or use --format markdown")
    return whole if width is None else whole.fit(width)


def _markdown_section(table: Table) -> str:
    title = f"### {escaped(table.title[0].upper() + table.title[1:])}\n"
    note = f"\n{escaped(table.note)}\n" if table.note else ""
    return f"{title}{note}\n{markdown_table(table.headers, table.cells)}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
