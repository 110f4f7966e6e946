"""Output stationary, cycle by cycle: a block of pixels stays in the PEs, one weight is broadcast each cycle.

A PE keeps the sums of its pixel for a chunk of output channels, in two sets: while one chunk computes, the one before
drains through the ports. The block's window of each input channel is loaded once for a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product, zip_longest
from typing import NamedTuple

import numpy as np

from squeezesim.cost.machine import Machine
from squeezesim.network import Layer
from squeezesim.reference.array import (
    Bools,
    Buffer,
    Ints,
    Line,
    Pixel,
    Window,
    cycles_of,
    is_matrix_product,
    pixels_of,
    portions,
    rate_of,
    walk,
)


class _Item(NamedTuple):
    """What the array computes at a time: a block of pixels, row by row, and a chunk of output channels of a group."""

    number: int
    pixels: list[list[Pixel]]
    group: int
    outputs: range

    @property
    def working(self) -> Bools:
        """The PEs that hold a pixel, in the smallest rectangle around them."""
        lengths = np.array([len(row) for row in self.pixels])
        return np.asarray(np.arange(lengths.max()) < lengths[:, None])

    @property
    def bank(self) -> int:
        """The set of sums that it uses."""
        return self.number % 2


class _Weight(NamedTuple):
    """A weight for all PEs, and the input that each multiplies it by."""

    item: _Item
    slot: int  # output channel within the chunk
    value: int
    operands: Ints
    starts: bool  # the sums start with this one


class _Drain(NamedTuple):
    """Sums of some PEs of a row that leave through the ports."""

    item: _Item
    slot: int
    row: int
    columns: range


@dataclass(slots=True)
class _Command:
    """One cycle of the array; ``sums`` leave with it."""

    weights: Sequence[_Weight]
    drain: _Drain | None
    sums: dict[int, int] = field(default_factory=dict)  # by column


class _Array:
    def __init__(self, layer: Layer, buffer: Buffer, machine: Machine, first: _Item) -> None:
        self.layer, self.buffer, self.machine = layer, buffer, machine
        self.line: Line[_Command] = Line(machine, *first.working.shape)
        self.sums = np.zeros((2, machine.psum_words, machine.rows, machine.cols), np.int64)

    def cycle(self, weights: Sequence[_Weight] | None = None, drain: _Drain | None = None) -> None:
        """Issue a command, let each PE execute what has reached it, and hand on the sums that have left."""
        counts = self.buffer.counts
        counts.cycles += 1
        counts.stream += weights is not None
        done = self.line.issue(_Command(weights or (), drain))
        for present, reached in self.line.underway():
            for weight in present.weights:
                self._multiply(weight, reached)
            if present.drain is not None:
                self._read(present.drain, present.sums, reached)
        if done is not None and done.drain is not None:
            item, slot, row, _ = done.drain
            channel = item.group * self.layer.k + item.outputs[slot]
            for column, value in done.sums.items():
                self.buffer.accumulate(item.pixels[row][column], channel, value)

    def _multiply(self, weight: _Weight, reached: Bools) -> None:
        item, slot, value, operands, starts = weight
        rows, cols = operands.shape
        working = item.working & reached[:rows, :cols]
        sums = self.sums[item.bank, slot, :rows, :cols]
        sums[working] = operands[working] * value + (0 if starts else sums[working])
        busy, counts = int(working.sum()), self.buffer.counts
        counts.busy += busy
        counts.executed += busy * (value != 0)
        counts.register_inputs += busy
        counts.register_psums += busy * (1 if starts else 2)
        if self.machine.systolic:
            counts.inter_pe_weights += busy - int(working[0, 0])

    def _read(self, drain: _Drain, out: dict[int, int], reached: Bools) -> None:
        for column in drain.columns:
            if reached[drain.row, column]:
                out[column] = int(self.sums[drain.item.bank, drain.slot, drain.row, column])
                self.buffer.counts.register_psums += 1


def run_output_stationary(layer: Layer, buffer: Buffer, machine: Machine, pixels: int | None = None) -> None:
    """Run a layer, blocks of a matrix product with so many *pixels*; what happened is in the buffer's counts."""
    items = list(_items(layer, machine, machine.pes if pixels is None else pixels))
    array = _Array(layer, buffer, machine, items[0])
    drain: Iterator[_Drain] = iter(())
    for item in items:
        for weights, sums in zip_longest(_work(item, layer, buffer, machine), drain):
            array.cycle(weights, sums)
        drain = _drain(item, machine)
    for sums in drain:
        array.cycle(drain=sums)
    for _ in range(array.line.depth):
        array.cycle()


def _items(layer: Layer, machine: Machine, most: int) -> Iterator[_Item]:
    chunks = portions(range(layer.k), machine.psum_words)
    several = product(_blocks(layer, machine, most), range(layer.g), chunks)
    for number, (pixels, group, outputs) in enumerate(several):
        assert isinstance(outputs, range)
        yield _Item(number, pixels, group, outputs)


def _blocks(layer: Layer, machine: Machine, most: int) -> Iterator[list[list[Pixel]]]:
    """Blocks of pixels as rows of the array; a matrix product's pixels, *most* in a block, fill it line by line."""
    if is_matrix_product(layer):
        for block in portions(pixels_of(layer), most):
            yield [list(row) for row in portions(block, machine.cols)]
        return
    ys = list(portions(range(layer.oy), machine.rows))
    xs = list(portions(range(layer.ox), machine.cols))
    for n, rows, cols in product(range(layer.n), ys, xs):
        yield [[Pixel(n, y, x) for x in cols] for y in rows]


def _work(item: _Item, layer: Layer, buffer: Buffer, machine: Machine) -> Iterator[Sequence[_Weight] | None]:
    """The cycles of an item, one by one, each with the weights that come: None while a window is loaded."""
    taps, rate = walk(layer), rate_of(layer, machine)
    for c in range(layer.c):
        window = Window(layer, item.working, buffer.counts)
        channel = item.group * layer.c + c
        yield from _load(window, item, channel, layer, buffer, machine)
        weights: list[_Weight] = []
        for slot, k in enumerate(item.outputs):
            order = taps if slot % 2 == 0 else taps[::-1]
            weights += _slice(window, item, (slot, k, c), order, layer, buffer, machine)
        yield from cycles_of(weights, rate)


def _load(
    window: Window, item: _Item, channel: int, layer: Layer, buffer: Buffer, machine: Machine
) -> Iterator[None]:
    if is_matrix_product(layer):
        addresses = [(pixel.n, pixel.y, pixel.x) for row in item.pixels for pixel in row]
    else:
        corner = item.pixels[0][0]
        addresses = [(corner.n, y, x) for y, x in window.positions(corner)]
    for numbers in portions(range(len(addresses)), machine.ports):
        words = [buffer.input(n, channel, y, x) for n, y, x in (addresses[number] for number in numbers)]
        window.load(numbers[0], words)
        yield None


def _slice(
    window: Window,
    item: _Item,
    where: tuple[int, int, int],
    taps: list[tuple[int, int]],
    layer: Layer,
    buffer: Buffer,
    machine: Machine,
) -> Iterator[_Weight]:
    """The weights of one output and one input channel; zeros may be skipped, but a slice takes a cycle at least."""
    slot, k, c = where
    skipping = "os" in machine.skips_zeros
    counts = buffer.counts
    passed = 0
    for number, tap in enumerate(taps, 1):
        operands = window.operands(tap)
        zero = buffer.weights[item.group * layer.k + k, c, tap[0], tap[1]] == 0
        if skipping and zero and (passed or number < len(taps)):
            counts.skipped += int(item.working.sum())
            continue
        value = buffer.weight(item.group, k, c, tap)
        yield _Weight(item, slot, value, operands, starts=c == 0 and not passed)
        passed += 1


def _drain(item: _Item, machine: Machine) -> Iterator[_Drain]:
    """Let the sums of an item leave row by row, a word for each port and cycle."""
    for slot in range(len(item.outputs)):
        for row, pixels in enumerate(item.pixels):
            for columns in portions(range(len(pixels)), machine.ports):
                assert isinstance(columns, range)
                yield _Drain(item, slot, row, columns)
