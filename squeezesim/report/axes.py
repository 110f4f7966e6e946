"""What lies along the rows and the columns of the array, and how much of them it fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from squeezesim.report import units

if TYPE_CHECKING:
    from squeezesim.cost.workload import Workload
    from squeezesim.hardware.parts import Array


@dataclass(frozen=True, slots=True)
class Axis:
    """Items laid on *width* rows, columns or PEs (*what*) at a time, each tile of them by itself.

    Attributes:
        noun: what an item is, with ``{s}`` where the plural has an s.
        cuts: (extent, tile size) of each loop whose product the items are.
    """

    noun: str
    cuts: tuple[tuple[int, int], ...]
    width: int
    what: str

    @property
    def items(self) -> int:
        """Items in all."""
        return prod(extent for extent, _ in self.cuts)

    @property
    def passes(self) -> int:
        """How often rows, columns or PEs are laid out to hold every item once."""
        parts = [((tile, extent // tile), (extent % tile, 1)) for extent, tile in self.cuts]
        return sum(
            prod(count for _, count in tile) * -(-prod(size for size, _ in tile) // self.width)
            for tile in product(*parts)
        )

    @property
    def filled(self) -> float:
        """Part of the rows, columns or PEs that holds an item, over all passes."""
        return self.items / (self.passes * self.width)

    def __str__(self) -> str:
        items = f"{self.items:,} {self.noun.format(s='' if self.items == 1 else 's')}"
        verb = "fills" if self.items == 1 else "fill"
        if self.passes == 1:
            return f"{items} {verb} {self.items:,} of {self.width:,} {self.what}"
        return f"{items} {verb} {units.share(self.filled)} of {self.width:,} {self.what} in {self.passes:,} passes"


def axes(work: Workload, dataflow: str, tile: Sequence[int], array: Array) -> list[Axis]:
    """Return what lies along rows and columns, for one problem in tiles (n, y, x, g, k, c); nothing where it varies.

    Pixels are those of rows as they are stored, padding included.

    Example: 9 input channels of a layer fill 56.2 % of 8 rows in 2 passes with ``ws``.
    """
    n, y, x, _, k, c = tile
    images, groups, filters, channels, rows, row, fy, fx = (
        int(column[0]) for column in (work.n, work.g, work.k, work.c, work.y, work.x, work.fy, work.fx)
    )
    each = " of a group" if groups > 1 else ""
    taps = fy * fx
    pixels = ((images, n), (rows, y), (row, x))

    def on_rows(noun: str, *cuts: tuple[int, int]) -> Axis:
        return Axis(noun, cuts, array.rows, "rows")

    def on_columns(noun: str, *cuts: tuple[int, int]) -> Axis:
        return Axis(noun, cuts, array.cols, "columns")

    outputs = on_columns(f"output channel{{s}}{each}", (filters, k))
    weights = on_rows("weight{s} of a filter", (taps * channels, taps * c))
    laid = {
        "ws": [on_rows(f"input channel{{s}}{each}", (channels, c)), outputs],
        "os": [on_rows("output row{s}", (rows, y)), on_columns("output column{s}", (row, x))],
        "scalesim_os": [on_rows("output pixel{s}", *pixels), outputs],
        "scalesim_ws": [weights, outputs],
        "scalesim_is": [weights, on_columns("output pixel{s}", *pixels)],
    }
    if work.pointwise[0]:
        laid["os"] = [Axis("output pixel{s}", pixels, array.rows * array.cols, "PEs")]
    else:
        # Sets of PEs stand one above the other and side by side: what matters is the room of each.
        high = array.rows // max(array.rows // fy, 1)
        wide = array.cols // max(array.cols // y, 1)
        laid["rs"] = [
            Axis("filter row{s}", ((fy, fy),), high, "rows"),
            Axis("output row{s}", ((rows, y),), wide, "columns"),
        ]
    return laid.get(dataflow, [])
