"""What a row-stationary array holds in a pass, and the sweeps that stream past it: which words each column needs.

A sweep goes over output columns of a strip whose windows overlap: with stride 1 and dilation 2, the even columns are
one sweep and the odd ones another, since they share no inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import NamedTuple

from squeezesim.network.layer import Layer
from squeezesim.verify.array_sim import Pixel, is_matrix_product


class Word(NamedTuple):
    """An input, and the input row whose readers get it; an empty slot of the network has no place in the buffer."""

    row: int
    channel: int
    at: tuple[int, int, int, int] | None


class Column(NamedTuple):
    """An output column of a sweep: its pixels, the words that come for it, and how many of each input row."""

    pixels: list[Pixel | None]
    words: list[Word]
    fresh: int


class Pass(NamedTuple):
    """Filters and channels of a group and the part of a filter that are held, dealt over the PE sets."""

    group: int
    rows: Sequence[int]
    taps: Sequence[int]
    filters: list[Sequence[int]]  # of each set along the filters
    channels: list[Sequence[int]]  # of each set along the channels

    def set_of(self, channel: int) -> tuple[int, int]:
        """Which set along the channels holds a channel, as which of its own."""
        return next((r, of.index(channel)) for r, of in enumerate(self.channels) if channel in of)

    def weights(
        self,
    ) -> Iterator[tuple[int, int, tuple[int, int], int, int, tuple[int, int, int, tuple[int, int]]]]:
        """(r, t, slots of filter and channel in a PE, row, tap, address in the buffer) of each weight."""
        for (t, filters), (r, channels) in product(enumerate(self.filters), enumerate(self.channels)):
            for (f, k), (slot, c) in product(enumerate(filters), enumerate(channels)):
                for (row, i), (tap, j) in product(enumerate(self.rows), enumerate(self.taps)):
                    yield r, t, (f, slot), row, tap, (self.group, k, c, (i, j))


class Sweep:
    """Output columns of a strip, one after the other."""

    def __init__(self, layer: Layer, held: Pass, pixels: list[list[Pixel | None]]) -> None:
        self.layer, self.held, self.pixels = layer, held, pixels

    def places(self) -> Iterable[tuple[int, int]]:
        """(filter row, output row) of the PEs of a set that take part."""
        return product(range(len(self.held.rows)), range(len(self.pixels)))

    def _input_row(self, row: int, output: int) -> int:
        """The input row that filter row number *row* needs for an output row; of a matrix product a row of pixels."""
        pixel = self.pixels[output][0]
        if pixel is None or is_matrix_product(self.layer):
            return output
        layer = self.layer
        return pixel.y * layer.stride[0] + self.held.rows[row] * layer.dilation[0] - layer.padding[0]

    @cached_property
    def readers(self) -> dict[int, list[tuple[int, int]]]:
        """The PEs of a set by the input row that they need."""
        found: dict[int, list[tuple[int, int]]] = {}
        for row, output in self.places():
            found.setdefault(self._input_row(row, output), []).append((row, output))
        return found

    def _window(self, column: int) -> list[int]:
        """Input columns that an output column needs; of a matrix product the place in a row of pixels."""
        layer, pixel = self.layer, self.pixels[0][column]
        if pixel is None or is_matrix_product(layer):
            return [column]
        first = pixel.x * layer.stride[1] - layer.padding[1]
        return [first + tap * layer.dilation[1] for tap in self.held.taps]

    @cached_property
    def columns(self) -> list[Column]:
        """The columns with the words that none of the columns before has brought."""
        result: list[Column] = []
        before: list[int] = []
        for number in range(len(self.pixels[0])):
            window = self._window(number)
            fresh = [x for x in window if x not in before]
            channels = [channel for of in self.held.channels for channel in of]
            words = [Word(y, c, self._at(y, x, c)) for x, y, c in product(fresh, self.readers, channels)]
            result.append(Column([row[number] for row in self.pixels], words, len(fresh)))
            before = window
        return result

    def _at(self, y: int, x: int, c: int) -> tuple[int, int, int, int] | None:
        layer = self.layer
        channel = self.held.group * layer.c + c
        if is_matrix_product(layer):
            pixel = self.pixels[y][x]
            return None if pixel is None else (pixel.n, channel, pixel.y, pixel.x)
        first = self.pixels[0][0]
        assert first is not None
        return first.n, channel, y, x


def sweeps_of(layer: Layer, held: Pass, strips: Iterable[list[list[Pixel | None]]]) -> Iterator[Sweep]:
    """The sweeps of the strips: each takes the first column left and those on the same grid of the dilation."""
    for strip in strips:
        left = list(range(len(strip[0])))
        while left:
            taken = [left[0]]
            for column in left[1:]:
                if (column - taken[0]) * layer.stride[1] % layer.dilation[1] == 0:
                    taken.append(column)
            left = [column for column in left if column not in taken]
            yield Sweep(layer, held, [[row[column] for column in taken] for row in strip])
