"""The inputs of a block of output pixels in the array's registers, moved from neighbour to neighbour.

With a stride, a PE holds the words at its pixel's own positions, stride_y · stride_x of them, and the words beyond the
last pixel (the halo) stand in registers beside the array. Each of these planes of words moves by itself, one PE at a
time, so that each PE comes to the word that its pixel needs for a tap. What leaves on one side waits in the registers
of the other, for the way back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from squeezesim.network.layer import Layer
from squeezesim.verify.array_sim import Bools, Counts, Ints, Pixel

Tap = tuple[int, int]


def walk(layer: Layer) -> list[Tap]:
    """The taps of a filter slice in an order in which no plane ever moves back: to and fro, row by row.

    Example: a 2×3 filter with stride 1 is walked (0,0) (0,1) (0,2) (1,2) (1,1) (1,0).
    """
    there: dict[int, bool] = defaultdict(bool)  # which end of the filter row the planes of a row stand at
    taps = []
    for i in range(layer.fy):
        plane_row = i * layer.dilation[0] % layer.stride[0]
        columns = range(layer.fx)
        taps += [(i, j) for j in (reversed(columns) if there[plane_row] else columns)]
        there[plane_row] = not there[plane_row]
    return taps


def touched(outputs: int, stride: int, taps: int, dilation: int) -> list[int]:
    """Positions along an axis from the first to the last tap of each output, each once."""
    reach = (taps - 1) * dilation + 1
    return sorted({o * stride + p for o in range(outputs) for p in range(reach)})


class Window:
    """The window of a rectangular block; *working* are the PEs that hold a pixel."""

    def __init__(self, layer: Layer, working: Bools, counts: Counts) -> None:
        self.layer, self.counts = layer, counts
        self.used: tuple[int, int] = working.shape
        self._rows, self._cols = (
            touched(outputs, stride, taps, dilation)
            for outputs, stride, taps, dilation in zip(
                self.used, layer.stride, (layer.fy, layer.fx), layer.dilation, strict=True
            )
        )
        self._pes = int(working.sum())
        size = self._rows[-1] // layer.stride[0] + 1, self._cols[-1] // layer.stride[1] + 1
        self._planes = {plane: np.zeros(size, np.int64) for plane in np.ndindex(*layer.stride)}
        # A plane is loaded so that the first tap that reads it finds its words in place.
        self._moved = dict.fromkeys(self._planes, (0, 0))
        for plane, hops in map(self._where, reversed(walk(layer))):
            self._moved[plane] = hops

    def positions(self, corner: Pixel) -> Iterator[tuple[int, int]]:
        """Input positions (y, x) of the window of the block whose first pixel is *corner*, row by row."""
        layer = self.layer
        for row in self._rows:
            for col in self._cols:
                yield (
                    corner.y * layer.stride[0] - layer.padding[0] + row,
                    corner.x * layer.stride[1] - layer.padding[1] + col,
                )

    def load(self, start: int, words: list[int]) -> None:
        """Put *words* where they belong, from the window's word number *start* on."""
        for number, word in enumerate(words, start):
            row, col = divmod(number, len(self._cols))
            home_y, own_y = divmod(self._rows[row], self.layer.stride[0])
            home_x, own_x = divmod(self._cols[col], self.layer.stride[1])
            plane = self._planes[own_y, own_x]
            moved_y, moved_x = self._moved[own_y, own_x]
            plane[(home_y - moved_y) % plane.shape[0], (home_x - moved_x) % plane.shape[1]] = word
            self.counts.register_inputs += 1

    def _where(self, tap: Tap) -> tuple[Tap, Tap]:
        """The plane that holds the words of *tap*, and how many PEs away each PE finds its word at first."""
        (hops_y, own_y), (hops_x, own_x) = (
            divmod(at * dilation, stride)
            for at, dilation, stride in zip(tap, self.layer.dilation, self.layer.stride, strict=True)
        )
        return (own_y, own_x), (hops_y, hops_x)

    def operands(self, tap: Tap) -> Ints:
        """Move the plane that holds the words of *tap* to where the PEs need them, and return what they hold."""
        plane, hops = self._where(tap)
        for axis, (now, goal) in enumerate(zip(self._moved[plane], hops, strict=True)):
            for _ in range(abs(goal - now)):
                self._planes[plane] = np.roll(self._planes[plane], 1 if goal < now else -1, axis)
                self.counts.inter_pe_inputs += self._pes
        self._moved[plane] = hops
        return self._planes[plane][: self.used[0], : self.used[1]].copy()
