"""Weight stationary, cycle by cycle: a block of weights stays in the PEs while all pixels stream past.

A PE has an active and a shadow weight. While a block streams, the ports fill the shadow weights of the next one. Inputs
go along the rows, sums down the columns into the buffer's accumulators.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product, zip_longest
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
    cycles_of,
    pixels_of,
    portions,
    rate_of,
)


class _Block(NamedTuple):
    """Weights that stay together: one tap of some input (rows) and output channels (columns) of a group."""

    group: int
    tap: tuple[int, int]
    inputs: range
    outputs: range


class _Load(NamedTuple):
    """Words for the shadow weights of some PEs of a row, which come in one cycle."""

    row: int
    columns: Sequence[int]
    words: list[int]


@dataclass(slots=True)
class _Column:
    """What streams past for a pixel; ``sums`` go down the columns with it."""

    pixel: Pixel
    inputs: Ints
    sums: Ints


@dataclass(slots=True)
class _Command:
    """One cycle of the array; the PEs multiply where it has a block, unless what they do takes several cycles."""

    loads: tuple[_Load, ...] = ()
    swap: bool = False
    block: _Block | None = None
    columns: list[_Column] = field(default_factory=list)


class _Array:
    def __init__(self, layer: Layer, buffer: Buffer, machine: Machine) -> None:
        self.layer, self.buffer, self.machine = layer, buffer, machine
        self.line: Line[_Command] = Line(machine, min(layer.c, machine.rows), min(layer.k, machine.cols))
        self.active = np.zeros((machine.rows, machine.cols), np.int64)
        self.shadow = np.zeros_like(self.active)

    def cycle(self, command: _Command | None) -> None:
        """Issue a command, let each PE execute what has reached it, and hand on what leaves the columns."""
        counts = self.buffer.counts
        counts.cycles += 1
        counts.stream += command is not None and command.block is not None
        done = self.line.issue(command)
        for present, reached in self.line.underway():
            self._execute(present, reached)
        if done is not None and done.block is not None:
            for streamed, (column, output) in product(done.columns, enumerate(done.block.outputs)):
                channel = done.block.group * self.layer.k + output
                self.buffer.accumulate(streamed.pixel, channel, int(streamed.sums[column]))

    def _execute(self, command: _Command, reached: Bools) -> None:
        counts = self.buffer.counts
        if command.swap:
            self.active[reached] = self.shadow[reached]
        for column in command.columns:
            assert command.block is not None
            working = reached.copy()
            working[len(command.block.inputs) :] = False
            working[:, len(command.block.outputs) :] = False
            weights = np.where(working, self.active, 0)
            column.sums += column.inputs @ weights
            busy = int(working.sum())
            counts.busy += busy
            counts.executed += int(np.count_nonzero(weights))
            counts.register_weights += busy
            counts.inter_pe_psums += busy
            if self.machine.systolic:
                counts.inter_pe_inputs += int(working[:, 1:].sum())
        for row, columns, words in command.loads:
            for place, word in zip(columns, words, strict=True):
                if reached[row, place]:
                    self.shadow[row, place] = word
                    counts.register_weights += 1


def run_weight_stationary(layer: Layer, buffer: Buffer, machine: Machine) -> None:
    """Run a layer; what happened is in the buffer's counts."""
    array = _Array(layer, buffer, machine)
    blocks = list(_blocks(layer, machine))
    for loads in _loads(blocks[0], buffer, machine):
        array.cycle(_Command(loads))
    for block, following in pairwise([*blocks, None]):
        assert block is not None
        for _ in range(machine.weight_swap):
            array.cycle(None)
        preload = iter(()) if following is None else _loads(following, buffer, machine)
        swap = True
        for pixels, loads in zip_longest(cycles_of(pixels_of(layer), rate_of(layer, machine)), preload):
            command = _Command(loads or (), swap)
            if pixels is not None:
                command.block = block
                command.columns = [_column(block, pixel, layer, buffer, machine) for pixel in pixels]
            array.cycle(command)
            swap = False
    for _ in range(array.line.depth):
        array.cycle(None)


def _blocks(layer: Layer, machine: Machine) -> Iterator[_Block]:
    taps = product(range(layer.fy), range(layer.fx))
    # The remainders come first: nothing overlaps the preload of the first block.
    folds_c = list(portions(range(layer.c), machine.rows))[::-1]
    folds_k = list(portions(range(layer.k), machine.cols))[::-1]
    for group, tap, inputs, outputs in product(range(layer.g), taps, folds_c, folds_k):
        assert isinstance(inputs, range)
        assert isinstance(outputs, range)
        yield _Block(group, tap, inputs, outputs)


def _loads(block: _Block, buffer: Buffer, machine: Machine) -> Iterator[tuple[_Load, ...]]:
    """Fill the shadow weights, a word for each port and cycle: part of a row, or as many rows as the ports allow."""

    def load(row: int, columns: Sequence[int]) -> _Load:
        words = [
            buffer.weight(block.group, block.outputs[column], block.inputs[row], block.tap)
            for column in columns
        ]
        return _Load(row, columns, words)

    columns = range(len(block.outputs))
    for rows in portions(range(len(block.inputs)), max(machine.ports // len(columns), 1)):
        for part in portions(columns, machine.ports):
            yield tuple(load(row, part) for row in rows)


def _column(block: _Block, pixel: Pixel, layer: Layer, buffer: Buffer, machine: Machine) -> _Column:
    """Read what one pixel needs of the block's input channels."""
    y = pixel.y * layer.stride[0] + block.tap[0] * layer.dilation[0] - layer.padding[0]
    x = pixel.x * layer.stride[1] + block.tap[1] * layer.dilation[1] - layer.padding[1]
    column = np.zeros(machine.rows, np.int64)
    for row, c in enumerate(block.inputs):
        column[row] = buffer.input(pixel.n, block.group * layer.c + c, y, x)
    return _Column(pixel, column, np.zeros(machine.cols, np.int64))
