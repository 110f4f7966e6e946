"""Grid: a table of text that fits a width; columns go by rank, names are shortened and stay distinct."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from squeezesim.escapes import visible
from squeezesim.report import units
from squeezesim.report.units import plural

if TYPE_CHECKING:
    from rich.console import Console

_EIGHTHS = " ▏▎▍▌▋▊▉"
_WHOLE = "█"
INK = f"[{_EIGHTHS[1:]}{_WHOLE}]+"
"""What a bar is made of, as a regular expression."""


def meter(share: float | None, width: int) -> str:
    """Return *share* as a bar of *width* characters and in per cent; a share above 0 has a bar.

    Example:
        >>> meter(0.6, 3), meter(0.001, 3), meter(None, 3)
        ('█▊   60.0 %', '▏     0.1 %', '–')
    """
    text = units.share(share)
    if share is None or text == units.EMPTY:
        return text
    eighths = min(max(round(share * width * 8), int(share > 0)), width * 8)
    bar = _WHOLE * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
    return f"{bar:<{width}} {text:>7}"


_DEEPEST = 12  # parts of a path; those behind them are one
_BRIEF = 3  # characters of a part, up to which it stays as it is
_READABLE = 8  # characters that are left of a name's last part, from which on both its ends are shown

_Path = tuple[str, ...]


def shorten(name: str, width: int) -> str:
    """Return *name* in at most *width* characters, … in its middle.

    Example:
        >>> shorten("stage1.block1.squeeze1", 15)
        'stage1.…queeze1'
    """
    if len(name) <= width:
        return name
    front = (width - 1) // 2
    return f"{name[:front]}…{name[len(name) - (width - 1 - front) :]}"


def short_names(names: Iterable[str], width: int) -> list[str]:
    """Return *names* in at most *width* characters each, different ones for different names.

    Of ``a.b.c`` or ``a/b/c`` the first parts are abbreviated, as many as need be, to the letters that tell them from
    others in the same place and the number at their end; then the last part is cut. What would still be the same gets
    its place among *names*, as ``#12``, for which *width* must have room.

    Example:
        >>> short_names(["features.denseblock1.conv2", "features.denseblock3.conv2", "classifier"], 20)
        ['f.denseblock1.conv2', 'f.denseblock3.conv2', 'classifier']
        >>> short_names(["stage1.block1.depthwise", "stage1.block1.pointwise"], 9)
        ['s1.b1.dep', 's1.b1.poi']
    """
    wanted = list(names)
    found = {name: name for name in wanted if len(name) <= width}
    left = {name: _split(name) for name in dict.fromkeys(wanted) if name not in found}
    if left:
        brief = _abbreviations([_split(name) for name in dict.fromkeys(wanted)])
        taken = set(found)
        for attempt in _attempts(max(map(len, left.values())), width, brief):
            texts = {name: attempt(path) for name, path in left.items()}
            counts = Counter(texts.values())
            for name, text in texts.items():
                if len(text) <= width and counts[text] == 1 and text not in taken:
                    found[name] = text
                    taken.add(text)
                    del left[name]
        for place, name in enumerate(dict.fromkeys(wanted), 1):
            if name in left:
                mark = f"#{place}"
                found[name] = shorten(name, max(width - len(mark), 1)) + mark
    return [found[name] for name in wanted]


def _split(name: str) -> _Path:
    """Return the parts of *name*, each but the last with the sign at its end."""
    return tuple(part for part in re.split(r"(?<=[./])", name, maxsplit=_DEEPEST - 1) if part)


def _attempts(depth: int, width: int, brief: dict[_Path, str]) -> Iterator[partial[str]]:
    """Ways to write a path, from the one that leaves out least."""
    for count in range(1, depth):
        yield partial(_abbreviated, brief, count)
    yield partial(_cut, brief, width)
    yield partial(_abbreviated, brief, depth)
    yield partial(_tail, brief, width)


def _abbreviated(brief: dict[_Path, str], count: int, path: _Path) -> str:
    """Return *path* with its first *count* parts abbreviated."""
    return "".join(brief[path[: place + 1]] if place < count else part for place, part in enumerate(path))


def _cut(brief: dict[_Path, str], width: int, path: _Path) -> str:
    """Return *path* with all parts but the last abbreviated, and the last one cut to what is left of *width*."""
    front = _abbreviated(brief, len(path) - 1, path[:-1])
    room = width - len(front)
    if room >= _READABLE:
        return front + shorten(path[-1], room)
    head, number = _numbered(path[-1])
    return f"{front}{head[: max(room - len(number), 1)]}{number}"


def _tail(brief: dict[_Path, str], width: int, path: _Path) -> str:
    """Return the end of *path*, all of whose parts are abbreviated."""
    text = _abbreviated(brief, len(path), path)
    return text if len(text) <= width else f"…{text[len(text) - (width - 1) :]}"


def _numbered(part: str) -> tuple[str, str]:
    """Return *part* without the number at its end, and that."""
    head = part.rstrip("0123456789")
    return head, part[len(head) :]


def _abbreviations(paths: Sequence[_Path]) -> dict[_Path, str]:
    """Return what is written for the last part of every path and of every beginning of one."""
    siblings: dict[_Path, dict[str, None]] = {}
    for path in paths:
        for place, part in enumerate(path):
            siblings.setdefault(path[:place], {})[part] = None
    return {
        (*parent, part): text
        for parent, parts in siblings.items()
        for part, text in _distinct(list(parts)).items()
    }


def _distinct(parts: Sequence[str]) -> dict[str, str]:
    """Return the abbreviations of siblings: as few first letters as are enough, and the number at the end."""
    found: dict[str, str] = {}
    left = {part: _pieces(part) for part in parts}
    taken = set(parts)
    letters = 1
    while left:
        texts = {part: head[:letters] + end for part, (head, end) in left.items()}
        counts = Counter(texts.values())
        for part, text in texts.items():
            if letters >= len(left[part][0]) or len(part) <= _BRIEF:
                found[part] = part
                del left[part]
            elif counts[text] == 1 and text not in taken:
                found[part] = text
                taken.add(text)
                del left[part]
        letters += 1
    return found


def _pieces(part: str) -> tuple[str, str]:
    """Return the letters of *part* that may be left out, and what stands behind them: a number, a sign."""
    bare = part.rstrip("./")
    head, number = _numbered(bare)
    return head, number + part[len(bare) :]


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
