"""Grid: a table as text, and which of its columns fit a width; numbers are never cropped."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from squeezesim.escapes import visible
from squeezesim.report.meter import INK
from squeezesim.report.names import short_names
from squeezesim.report.units import plural

if TYPE_CHECKING:
    from rich.console import Console

GAP = 2
"""Blanks between two columns."""
SHORTEST_NAME = 8
EVERYWHERE = "widen the terminal or use --format csv"
"""Where columns that do not fit a terminal are, of commands that print CSV."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Where the width is short, those of the highest rank go first, and rank 0 last."""

    header: str
    rank: int = 0
    left: bool = False


@dataclass(frozen=True)
class Grid:
    """Cells by row. The first column holds names, which may be shortened and stay distinct; other cells never are.

    Control characters are escaped. ``part`` says how many of all rows there are, ``hidden`` how many columns of each
    kind are left out for want of width and ``elsewhere`` where to find them: lines below the table tell both.
    """

    columns: Sequence[Column]
    cells: Sequence[Sequence[str]]
    part: str = ""
    hidden: tuple[tuple[int, str], ...] = ()
    elsewhere: str = EVERYWHERE

    def __post_init__(self) -> None:
        columns = [replace(column, header=visible(column.header)) for column in self.columns]
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "cells", [list(map(visible, row)) for row in self.cells])

    @cached_property
    def widths(self) -> list[int]:
        """Width of each column."""
        texts = [[column.header for column in self.columns], *self.cells]
        return [max(map(len, column)) for column in zip(*texts, strict=True)]

    @property
    def notes(self) -> list[str]:
        """What the table does not show, in a line for rows and one for columns.

        Example:
            >>> Grid([Column("name")], [["a"]], "1 of 3 rows", ((2, "column"), (1, "result"))).notes
            ['1 of 3 rows', '2 columns and 1 result hidden; widen the terminal or use --format csv']
        """
        counted = " and ".join(plural(count, noun) for count, noun in self.hidden if count)
        return [*filter(None, [self.part]), *([f"{counted} hidden; {self.elsewhere}"] if counted else [])]

    def plain(self) -> str:
        """Return the table without lines, colours or a limit on its width, and what it does not show below it."""

        def line(cells: Sequence[str]) -> str:
            padded = (
                cell.ljust(width) if column.left else cell.rjust(width)
                for cell, width, column in zip(cells, self.widths, self.columns, strict=True)
            )
            return (" " * GAP).join(padded).rstrip()

        lines = list(map(line, [[column.header for column in self.columns], *self.cells]))
        return "\n".join([*lines, *(["", *self.notes] if self.notes else [])])

    def take(self, kept: Sequence[int], noun: str = "column") -> Grid:
        """Return the table of the columns at the places *kept*; the others are hidden ones, called *noun*."""
        columns = [self.columns[place] for place in kept]
        cells = [[row[place] for place in kept] for row in self.cells]
        hidden = (*self.hidden, (len(self.columns) - len(kept), noun))
        return replace(self, columns=columns, cells=cells, hidden=hidden)

    def fit(self, width: int, reserved: int = 0, noun: str = "column") -> Grid:
        """Return a table of at most *width* characters, as far as numbers allow; hidden columns are called *noun*.

        Columns of rank 0 are kept as long as names have 8 characters; another one only where all of a lower rank
        are there and names have *reserved* characters, or all that they need.
        """
        order = sorted(range(1, len(self.columns)), key=lambda index: self.columns[index].rank)
        kept, left = [0], width
        for index in order:
            after = left - self.widths[index] - GAP
            enough = SHORTEST_NAME if self.columns[index].rank == 0 else max(reserved, self.widths[0])
            if after < enough:
                break
            kept.append(index)
            left = after
        kept.sort()
        name_width = max(left, SHORTEST_NAME, len(self.columns[0].header))
        names = short_names([row[0] for row in self.cells], name_width)
        named = [[name, *row[1:]] for name, row in zip(names, self.cells, strict=True)]
        return replace(self, cells=named).take(kept, noun)

    def print(self, console: Console, indent: int = 0) -> None:
        """Print the table on a terminal with *indent* blanks before each line, and what it does not show."""
        from rich import box
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, GAP - 1, 0, 0), pad_edge=False)
        for column, width in zip(self.columns, self.widths, strict=True):
            header = Text(column.header, style="bold")
            if column.left:
                table.add_column(header, justify="left", min_width=width, no_wrap=True)
            else:
                table.add_column(header, justify="right", min_width=width, no_wrap=True)
        for cells in self.cells:
            texts = [Text(text) for text in cells]
            for text in texts[1:]:
                text.highlight_regex(INK, "cyan")
            table.add_row(*texts)
        width = indent + sum(self.widths) + (GAP + 1) * len(self.columns)
        across = console.width
        console.width = max(across, width)  # rather a line that is too long than a cropped number
        console.print(Padding(table, (0, 0, 0, indent), expand=False))
        console.width = across
        if self.notes:
            console.print()
        for note in self.notes:
            lines = textwrap.wrap(note, max(across, 40) - indent)
            console.print(Text(textwrap.indent("\n".join(lines), " " * indent), style="dim"), soft_wrap=True)


def shares(counts: Sequence[int], most: int) -> list[int]:
    """Return how many of *most* rows each of several groups gets: all that it has, or as many as any other, ± 1.

    Example:
        >>> shares([20, 2, 9], 10), shares([20, 2, 9], 2), shares([1, 1], 10)
        ([4, 2, 4], [1, 1, 0], [1, 1])
    """
    given = [0] * len(counts)
    while most > 0 and (short := [place for place, count in enumerate(counts) if given[place] < count]):
        each = max(most // len(short), 1)
        for place in short:
            more = min(each, counts[place] - given[place], most)
            given[place] += more
            most -= more
    return given
