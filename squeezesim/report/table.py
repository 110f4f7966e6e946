"""Tables of layers, stages and operators as text: which columns there are, and which of them fit a width."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError, nearest
from squeezesim.report import units

if TYPE_CHECKING:
    from rich.table import Table

    from squeezesim.report.report import Report

Row = Mapping[str, Any]

GAP = 2
"""Blanks between two columns."""
NAME_WIDTH = 28
"""Columns beyond the first six are shown only where they leave the name this much."""
SHORTEST_NAME = 8


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; of those that do not fit, the one with the highest rank goes first."""

    key: str
    header: str
    rank: int
    show: Callable[[Row], str]
    left: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as text: cells by row, the first column's names."""

    columns: Sequence[Column]
    cells: Sequence[Sequence[str]]

    @property
    def widths(self) -> list[int]:
        """Width of each column."""
        texts = [[column.header for column in self.columns], *self.cells]
        return [max(map(len, column)) for column in zip(*texts, strict=True)]

    def plain(self) -> str:
        """Return the table without lines, colours or limits on its width."""
        lines = [[column.header for column in self.columns], *self.cells]
        widths = self.widths

        def line(cells: Sequence[str]) -> str:
            padded = (
                cell.ljust(width) if column.left else cell.rjust(width)
                for cell, width, column in zip(cells, widths, self.columns, strict=True)
            )
            return (" " * GAP).join(padded).rstrip()

        return "\n".join(line(cells) for cells in lines)

    def rich(self) -> Table:
        """Return the table for a terminal."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, GAP - 1, 0, 0), pad_edge=False)
        for column, width in zip(self.columns, self.widths, strict=True):
            justify = "left" if column.left else "right"
            header = Text(column.header, style="bold")
            table.add_column(header, justify=justify, min_width=width, no_wrap=True)  # type: ignore[arg-type]
        for cells in self.cells:
            table.add_row(*(Text(cell) for cell in cells))
        return table


def grid(report: Report, rows: Sequence[Row], by: str, width: int | None) -> Grid:
    """Return *rows* as a table of at most *width* characters: columns go and names are shortened, numbers never."""
    columns = _columns(report, by)
    whole = Grid(columns, [[column.show(row) for column in columns] for row in rows])
    if width is None:
        return whole
    return _fit(whole, width, reserved=max(whole.widths[0], NAME_WIDTH if by == "layer" else 0))


def select(
    report: Report, by: str = "layer", sort: str | None = None, top: int | None = None
) -> list[dict[str, Any]]:
    """Return the rows of *report*, sorted by a column (numbers descending, texts ascending), the first *top* of them.

    The first rows are those that take longest where *sort* does not say otherwise.

    Raises:
        UsageError: there is no such column.
    """
    rows = report.rows(by)
    key = sort or ("cycles" if top is not None else None)
    if key is None:
        return rows
    if key not in rows[0]:
        raise UsageError(f"there is no column {key!r}; allowed: {', '.join(rows[0])}{nearest(key, rows[0])}")
    known = [row for row in rows if row[key] is not None]
    descending = bool(known) and not isinstance(known[0][key], str)
    ordered = sorted(known, key=lambda row: row[key], reverse=descending)
    return [*ordered, *(row for row in rows if row[key] is None)][:top]


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


def _fit(whole: Grid, width: int, reserved: int) -> Grid:
    widths = whole.widths
    order = sorted(range(len(widths)), key=lambda index: whole.columns[index].rank)
    kept = order[:1]
    left = width
    for place, index in enumerate(order[1:], 1):
        left -= widths[index] + GAP
        if left < (SHORTEST_NAME if place < _ALWAYS else reserved):
            left += widths[index] + GAP
            break
        kept.append(index)
    kept.sort()
    name_width = max(left, SHORTEST_NAME, len(whole.columns[0].header))
    return Grid(
        [whole.columns[index] for index in kept],
        [
            [shorten(row[0], name_width) if index == 0 else row[index] for index in kept]
            for row in whole.cells
        ],
    )


_ALWAYS = 6  # columns that names are shortened for


def _columns(report: Report, by: str) -> list[Column]:
    if report.scale.pj_per_unit is None:
        energy = Column(
            "energy_mac_equiv", "energy (MACs)", 5, lambda row: units.count(row["energy_mac_equiv"])
        )
    else:
        energy = Column("energy_uj", "energy µJ", 5, lambda row: units.decimal(row["energy_uj"]))
    costs = [
        Column("macs", "MACs", 1, lambda row: units.count(row["macs"])),
        Column("cycles", "cycles", 2, lambda row: units.count(row["cycles"])),
        Column("share", "time", 7, lambda row: units.share(row["share"])),
        Column("latency_us", "latency µs", 8, lambda row: units.decimal(row["latency_us"])),
        Column("utilization", "utilization", 3, lambda row: units.share(row["utilization"])),
        Column("efficiency", "efficiency", 13, lambda row: units.share(row["efficiency"])),
        Column("bound", "bound", 4, lambda row: row["bound"] or units.EMPTY, left=True),
        energy,
        Column("dram_bytes", "DRAM", 9, lambda row: units.size(row["dram_bytes"])),
        Column("params", "params", 12, lambda row: units.count(row["params"])),
    ]
    if by != "layer":
        heading = Column(by, by, 0, lambda row: row[by] or units.EMPTY, left=True)
        return [heading, Column("layers", "layers", 6, lambda row: str(row["layers"])), *costs]
    return [
        Column("name", "layer", 0, lambda row: row["name"], left=True),
        Column("stage", "stage", 14, lambda row: row["stage"], left=True),
        Column("op", "op", 15, lambda row: row["op"], left=True),
        Column("k", "output", 10, lambda row: f"{row['groups'] * row['k']}×{row['oy']}×{row['ox']}"),
        Column("fy", "filter", 11, _filter),
        Column("dataflow", "dataflow", 6, lambda row: row["dataflow"] or units.EMPTY, left=True),
        *costs,
        Column("tiling", "tiling", 16, lambda row: row["tiling"], left=True),
    ]


def _filter(row: Row) -> str:
    """Filter and stride, as 3×3/2."""
    stride = row["stride"].split("x")
    steps = stride[0] if stride[0] == stride[1] else "×".join(stride)
    return f"{row['fy']}×{row['fx']}" + ("" if steps == "1" else f"/{steps}")
