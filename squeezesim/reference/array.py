"""The PE array, cycle by cycle: what the simulators of the dataflows share, and the one call that runs them.

Nothing here knows a closed form. A controller beside the array issues one command each cycle; the array executes it
with its registers, and every number is a count of what happened. In a systolic array a command goes from PE to PE and
reaches PE (r, c) r + c cycles after it was issued; in a broadcast one it reaches all of them at once.

The inputs of a block of output pixels in the array's registers, moved from neighbour to neighbour.

With a stride, a PE holds the words at its pixel's own positions, stride_y · stride_x of them, and the words beyond the
last pixel (the halo) stand in registers beside the array. Each of these planes of words moves by itself, one PE at a
time, so that each PE comes to the word that its pixel needs for a tap. What leaves on one side waits in the registers
of the other, for the way back.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.machine import Machine
from squeezesim.network import Layer

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Command = TypeVar("Command")
Item = TypeVar("Item")


@dataclass(slots=True)
class Counts:
    """What happened: cycles, PE-cycles, and words read, written or handed on, words by level and operand."""

    cycles: int = 0
    stream: int = 0  # cycles in which the PEs were told to multiply
    busy: int = 0  # PE-cycles in which one did
    executed: int = 0  # of those, with a weight that is not zero
    skipped: int = 0  # multiplications with a zero weight that took no cycle
    register_inputs: int = 0
    register_weights: int = 0
    register_psums: int = 0
    inter_pe_inputs: int = 0
    inter_pe_weights: int = 0
    inter_pe_psums: int = 0
    buffer_inputs: int = 0
    buffer_weights: int = 0
    buffer_psums_read: int = 0
    buffer_psums_written: int = 0


ACCESSES = tuple(field.name for field in fields(Counts) if "_" in field.name)
"""Fields of ``Counts`` that count words."""


class Pixel(NamedTuple):
    """An output pixel."""

    n: int
    y: int
    x: int


@dataclass(slots=True)
class Buffer:
    """The global buffer with a layer's operands; its accumulators add what leaves the array to the sums it holds.

    Attributes:
        inputs: (N, G·C, IY, IX).
        weights: (G·K, C, FY, FX).
        sums: (N, G·K, OY, OX), what is there already where an earlier tile of input channels has left partial sums.
    """

    layer: Layer
    inputs: Ints
    weights: Ints
    counts: Counts
    sums: Ints | None = None
    outputs: Ints = field(init=False)
    started: Bools = field(init=False)

    def __post_init__(self) -> None:
        layer = self.layer
        shape = (layer.n, layer.g * layer.k, layer.oy, layer.ox)
        self.outputs = np.zeros(shape, np.int64) if self.sums is None else self.sums.copy()
        self.started = np.full(shape, self.sums is not None)

    def input(self, n: int, channel: int, y: int, x: int) -> int:
        """Read an input; in the padding the address is clamped and the word replaced by zero."""
        self.counts.buffer_inputs += 1
        inside = 0 <= y < self.layer.iy and 0 <= x < self.layer.ix
        return int(self.inputs[n, channel, y, x]) if inside else 0

    def weight(self, g: int, k: int, c: int, tap: tuple[int, int]) -> int:
        """Read weight *tap* of output channel *k* and input channel *c* of a group."""
        self.counts.buffer_weights += 1
        return int(self.weights[g * self.layer.k + k, c, tap[0], tap[1]])

    def accumulate(self, pixel: Pixel, channel: int, value: int) -> None:
        """Add *value* to an output; the first one to arrive needs no read."""
        at = (pixel.n, channel, pixel.y, pixel.x)
        if self.started[at]:
            self.counts.buffer_psums_read += 1
        self.started[at] = True
        self.outputs[at] += value
        self.counts.buffer_psums_written += 1


class Line(Generic[Command]):
    """The way of a command through the array: PEs at distance d execute what was issued d cycles ago."""

    def __init__(self, machine: Machine, used_rows: int, used_cols: int) -> None:
        self.depth = used_rows + used_cols - 2 if machine.systolic else 0
        rows, cols = np.indices((machine.rows, machine.cols))
        distance = (rows + cols) * machine.systolic
        self._reached = [np.asarray(distance == d) for d in range(self.depth + 1)]
        self._commands: deque[Command | None] = deque([None] * (self.depth + 1), self.depth + 1)

    def issue(self, command: Command | None) -> Command | None:
        """Send a command in; return the one that every PE has seen by the end of this cycle."""
        self._commands.appendleft(command)
        return self._commands[-1]

    def underway(self) -> Iterator[tuple[Command, Bools]]:
        """The commands in the array, the PEs that each reaches in this cycle; the oldest first."""
        for command, reached in zip(reversed(self._commands), reversed(self._reached), strict=True):
            if command is not None:
                yield command, reached


def portions(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Cut *items* into runs of at most *size*: what the ports move in one cycle each."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


Rate = tuple[int, int]
"""MACs that a PE does, and in how many cycles."""


def rate_of(layer: Layer, machine: Machine) -> Rate:
    """The rate of a layer's MACs: that of its own widths or, where it has none, the machine's."""
    activations = layer.activation_bits or machine.activation_bits
    weights = activations if layer.weights_are_activations else layer.weight_bits or machine.weight_bits
    return next((rate for pair, rate in machine.paces if pair == (weights, activations)), (1, 1))


def cycles_of(items: Sequence[Item], rate: Rate) -> Iterator[Sequence[Item]]:
    """What is begun of *items* in each cycle: several at once, or one and then nothing for some cycles."""
    several, cycles = rate
    for part in portions(items, several):
        yield part
        for _ in range(cycles - 1):
            yield ()


def is_matrix_product(layer: Layer) -> bool:
    """Whether batch, rows and columns of the pixels make no difference."""
    alone = layer.fy == layer.fx == 1 and layer.stride == (1, 1) and layer.padding == (0, 0)
    return alone and (layer.iy, layer.ix) == (layer.oy, layer.ox)


def pixels_of(layer: Layer) -> list[Pixel]:
    """The output pixels, row by row."""
    return [Pixel(*index) for index in np.ndindex(layer.n, layer.oy, layer.ox)]


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
