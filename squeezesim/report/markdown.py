"""Markdown: sections of a text as headings, tables and lists; names in it are text, never markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from squeezesim.markup import escaped, markdown_table
from squeezesim.report.grid import Column, Grid

if TYPE_CHECKING:
    from squeezesim.report.report import Report
    from squeezesim.report.text import Section

_NUMBERED = re.compile(r"\d+\. ")


def report_markdown(report: Report) -> str:
    """Return *report* as GitHub's Markdown: what ``profile`` prints, with all columns."""
    from squeezesim.report.text import sections

    return markdown(sections(report, by="layer", sort=None, top=None, width=None))


def markdown(parts: Iterable[Section]) -> str:
    """Return sections as GitHub's Markdown, the first with a heading of its own level.

    Example: a section "total" with the line ``cycles  2.004 M`` is a heading and a table of one row.
    """
    texts = []
    for number, section in enumerate(parts):
        heading = f"{'##' if number else '#'} {escaped(section.heading)}"
        body = _table(section.body) if isinstance(section.body, Grid) else _lines(section.body)
        texts.append(f"{heading}\n\n{body}" if body else heading)
    return "\n\n".join(texts) + "\n"


def _table(grid: Grid) -> str:
    left = [place for place, column in enumerate(grid.columns) if column.left or not place]
    table = markdown_table([column.header for column in grid.columns], grid.cells, left).rstrip("\n")
    return "\n\n".join([table, *map(escaped, grid.notes)])


def _lines(lines: Sequence[str]) -> str:
    """A table where every line is a label and a value, otherwise a list, numbered as the lines are."""
    pairs = [re.split(r" {2,}", line.strip(), maxsplit=1) for line in lines]
    if lines and all(len(pair) == 2 for pair in pairs):
        return _table(Grid([Column("", left=True), Column("")], pairs))
    if lines and all(_NUMBERED.match(line) for line in lines):
        items = [line.split(" ", 1) for line in lines]
        return "\n".join(f"{number} {escaped(text)}" for number, text in items)
    return "\n".join(f"- {escaped(line)}" for line in lines)
