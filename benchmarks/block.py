"""Block: what one part of the benchmarks found, as a table on a terminal, on the page and between processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from squeezesim.report.grid import Column, Grid
from squeezesim.report.text import Section, markdown, plain


@dataclass(frozen=True, slots=True)
class Block:
    """A table with a heading, and how its numbers were measured, in Markdown."""

    heading: str
    grid: Grid
    how: str

    @classmethod
    def of(cls, heading: str, columns: Sequence[str], cells: Sequence[Sequence[str]], how: str) -> Block:
        """Return a block whose first column holds names and the others numbers."""
        first, *others = columns
        return cls(heading, Grid([Column(first, left=True), *map(Column, others)], cells), how)

    @classmethod
    def from_json(cls, text: str) -> Block:
        """Return what ``to_json`` wrote."""
        data = json.loads(text)
        columns = [Column(**column) for column in data["grid"]["columns"]]
        return cls(data["heading"], Grid(columns, data["grid"]["cells"]), data["how"])

    def to_json(self) -> str:
        """Return the block on one line, for the process that asked for it."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the table as plain text."""
        return plain([Section(self.heading, self.grid)])

    def markdown(self) -> str:
        """Return the block as a part of a page: heading, table, how it was measured."""
        return f"#{markdown([Section(self.heading, self.grid)])}\n{self.how.rstrip()}\n"


def duration(seconds: float) -> str:
    """Return a time with three significant digits.

    Example:
        >>> duration(0.01234), duration(123.4), duration(0.0000567)
        ('12.3 ms', '123 s', '56.7 µs')
    """
    power = next((power for power in (0, 1, 2) if seconds * 1000**power >= 0.9995), 3)
    scaled = seconds * 1000**power
    digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
    return f"{scaled:.{digits}f} {('s', 'ms', 'µs', 'ns')[power]}"


def times(ratio: float) -> str:
    """Return a ratio with two significant digits, whole digits never rounded away.

    Example:
        >>> times(0.251), times(3.14), times(1234.5)
        ('0.25×', '3.1×', '1,234×')
    """
    digits = 2 if ratio < 0.995 else 1 if ratio < 9.95 else 0
    return f"{ratio:,.{digits}f}×"
