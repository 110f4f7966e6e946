"""Grid: a table as text, and which of its columns fit a width; numbers are never cropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from squeezesim.report.meter import INK
from squeezesim.report.names import short_names

if TYPE_CHECKING:
    from rich.console import Console

GAP = 2
"""Blanks between two columns."""
SHORTEST_NAME = 8


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Where the width is short, those of the highest rank go first, and rank 0 last."""

    header: str
    rank: int = 0
    left: bool = False


@dataclass(frozen=True)
class Grid:
    """Cells by row. The first column holds names, which may be shortened and stay distinct; other cells never are."""

    columns: Sequence[Column]
    cells: Sequence[Sequence[str]]

    @cached_property
    def widths(self) -> list[int]:
        """Width of each column."""
        texts = [[column.header for column in self.columns], *self.cells]
        return [max(map(len, column)) for column in zip(*texts, strict=True)]

    def plain(self) -> str:
        """Return the table without lines, colours or a limit on its width."""

        def line(cells: Sequence[str]) -> str:
            padded = (
                cell.ljust(width) if column.left else cell.rjust(width)
                for cell, width, column in zip(cells, self.widths, self.columns, strict=True)
            )
            return (" " * GAP).join(padded).rstrip()

        return "\n".join(map(line, [[column.header for column in self.columns], *self.cells]))

    def fit(self, width: int, reserved: int = 0) -> Grid:
        """Return a table of at most *width* characters, as far as numbers allow.

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
        cells = [
            [name, *(row[index] for index in kept[1:])] for name, row in zip(names, self.cells, strict=True)
        ]
        return Grid([self.columns[index] for index in kept], cells)

    def print(self, console: Console, indent: int = 0) -> None:
        """Print the table on a terminal with *indent* blanks before each line."""
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
