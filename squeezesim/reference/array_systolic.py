"""SCALE-Sim's systolic array, cycle by cycle: operands enter skewed at the edges and pass from PE to PE.

A group of a layer is a product of M pixels by K filters over the weights of a filter. Two of the three lie along the
rows and columns, the third passes in waves: a wave enters at PE (0, 0) in each cycle and reaches PE (r, c) r + c cycles
later. A fold is over when its last wave has passed the last PE, whether or not that PE holds work; folds do not
overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np

from squeezesim.cost.machine import Machine
from squeezesim.network import Layer
from squeezesim.reference.array import Bools, Buffer, Ints, Pixel, pixels_of, portions

_AXES = {  # along the rows, along the columns, in waves
    "scalesim_os": ("pixels", "filters", "weights"),
    "scalesim_ws": ("weights", "filters", "pixels"),
    "scalesim_is": ("weights", "pixels", "filters"),
}
_Read = Callable[[int, int], int]


class _Operands:
    """A group of a layer as a matrix product in the buffer."""

    def __init__(self, layer: Layer, buffer: Buffer, group: int) -> None:
        self.layer, self.buffer, self.group = layer, buffer, group
        self.pixels = pixels_of(layer)
        self.weights = list(product(range(layer.c), range(layer.fy), range(layer.fx)))
        self.filters = range(layer.k)

    def input(self, weight: int, pixel: int) -> int:
        """Read the input that a weight of a filter is multiplied by for a pixel."""
        layer, (c, i, j), at = self.layer, self.weights[weight], self.pixels[pixel]
        y = at.y * layer.stride[0] + i * layer.dilation[0] - layer.padding[0]
        x = at.x * layer.stride[1] + j * layer.dilation[1] - layer.padding[1]
        return self.buffer.input(at.n, self.group * layer.c + c, y, x)

    def weight(self, weight: int, filter_: int) -> int:
        """Read a weight of a filter."""
        c, i, j = self.weights[weight]
        return self.buffer.weight(self.group, filter_, c, (i, j))

    def accumulate(self, pixel: int, filter_: int, value: int) -> None:
        """Add *value* to an output in the buffer."""
        at: Pixel = self.pixels[pixel]
        self.buffer.accumulate(at, self.group * self.layer.k + filter_, value)


class _Waves:
    """Which wave each PE works on; −1 before the first and after the last one."""

    def __init__(self, machine: Machine, count: int) -> None:
        self.number = np.full((machine.rows, machine.cols), -1)
        self.count = count

    def cycles(self, buffer: Buffer) -> Iterator[Ints]:
        """Let a wave enter in each cycle, until the last one has passed the last PE."""
        for cycle in range(self.count + self.number.size):
            self.number[:, 1:] = self.number[:, :-1].copy()
            self.number[1:, 0] = self.number[:-1, 0].copy()
            self.number[0, 0] = cycle if cycle < self.count else -1
            buffer.counts.cycles += 1
            buffer.counts.stream += cycle < self.count
            yield self.number
            if self.number[-1, -1] == self.count - 1:
                return


def run_systolic(dataflow: str, layer: Layer, buffer: Buffer, machine: Machine) -> None:
    """Run a layer with one of SCALE-Sim's dataflows; what happened is in the buffer's counts."""
    for group in range(layer.g):
        operands = _Operands(layer, buffer, group)
        rows, cols, waves = (range(len(getattr(operands, axis))) for axis in _AXES[dataflow])
        folds = product(list(portions(rows, machine.rows)), list(portions(cols, machine.cols)))
        for along_rows, along_cols in folds:
            if dataflow == "scalesim_os":
                _run_output_stationary(operands, machine, along_rows, along_cols, len(waves))
            else:
                weights_stay = dataflow == "scalesim_ws"
                _run_operand_stationary(operands, machine, weights_stay, along_rows, along_cols, len(waves))


def _run_output_stationary(
    operands: _Operands, machine: Machine, pixels: Sequence[int], filters: Sequence[int], count: int
) -> None:
    """Inputs pass to the right, weights down; a sum stays until its last product."""
    buffer, counts = operands.buffer, operands.buffer.counts
    inputs, weights, sums = (np.zeros((machine.rows, machine.cols), np.int64) for _ in range(3))
    holds = _holding(machine, pixels, filters)
    for number in _Waves(machine, count).cycles(buffer):
        inputs[:, 1:], weights[1:] = inputs[:, :-1].copy(), weights[:-1].copy()
        for row, pixel in enumerate(pixels):
            if number[row, 0] >= 0:
                inputs[row, 0] = operands.input(number[row, 0], pixel)
        for column, filter_ in enumerate(filters):
            if number[0, column] >= 0:
                weights[0, column] = operands.weight(number[0, column], filter_)
        working = holds & (number >= 0)
        sums[working] += inputs[working] * weights[working]
        busy, starting = int(working.sum()), int((working & (number == 0)).sum())
        counts.busy += busy
        counts.executed += int(np.count_nonzero(weights[working]))
        counts.register_psums += 2 * busy - starting
        counts.inter_pe_inputs += int(working[:, 1:].sum())
        counts.inter_pe_weights += int(working[1:].sum())
        for row, column in np.argwhere(working & (number == count - 1)):
            counts.register_psums += 1
            operands.accumulate(pixels[row], filters[column], int(sums[row, column]))


def _run_operand_stationary(
    operands: _Operands,
    machine: Machine,
    weights_stay: bool,
    weights: Sequence[int],
    columns: Sequence[int],
    count: int,
) -> None:
    """One operand is loaded row by row and stays; the other passes to the right, sums pass down."""
    buffer, counts = operands.buffer, operands.buffer.counts
    read_staying: _Read = operands.weight if weights_stay else operands.input
    read_passing: _Read = operands.input if weights_stay else operands.weight
    staying, passing, sums = (np.zeros((machine.rows, machine.cols), np.int64) for _ in range(3))
    for row in range(machine.rows):
        counts.cycles += 1
        if row < len(weights):
            staying[row, : len(columns)] = [read_staying(weights[row], column) for column in columns]
    holds = _holding(machine, weights, columns)
    written, read, passed = len(weights) * len(columns), 0, 0
    for number in _Waves(machine, count).cycles(buffer):
        passing[:, 1:] = passing[:, :-1].copy()
        for row, weight in enumerate(weights):
            if number[row, 0] >= 0:
                passing[row, 0] = read_passing(weight, number[row, 0])
        working = holds & (number >= 0)
        sums[1:], sums[0] = sums[:-1].copy(), 0
        sums[working] += staying[working] * passing[working]
        read += int(working.sum())
        passed += int(working[:, 1:].sum())
        counts.executed += int(np.count_nonzero((staying if weights_stay else passing)[working]))
        for column, along in enumerate(columns):
            if (wave := int(number[-1, column])) >= 0:
                pixel, filter_ = (wave, along) if weights_stay else (along, wave)
                operands.accumulate(pixel, filter_, int(sums[-1, column]))
    counts.busy += read
    counts.inter_pe_psums += read
    if weights_stay:
        counts.register_weights += written + read
        counts.inter_pe_inputs += passed
    else:
        counts.register_inputs += written + read
        counts.inter_pe_weights += passed


def _holding(machine: Machine, rows: Sequence[int], columns: Sequence[int]) -> Bools:
    """The PEs that a fold gives work."""
    holds = np.zeros((machine.rows, machine.cols), np.bool_)
    holds[: len(rows), : len(columns)] = True
    return holds
