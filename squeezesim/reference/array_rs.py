"""What a row-stationary array holds in a pass, and the sweeps that stream past it: which words each column needs.

A sweep goes over output columns of a strip whose windows overlap: with stride 1 and dilation 2, the even columns are
one sweep and the odd ones another, since they share no inputs.

Row stationary, cycle by cycle: filter rows stay in the PEs, input rows slide past them, sums go up the columns.

A PE holds the taps of one filter row for p filters and q channels, for each of the channels the window of one input
row, and for each of the filters a sum. Three networks work beside the PEs: one brings weights, one brings inputs, each
word to every PE that needs it, and one takes the sums that leave the columns to the buffer's accumulators. All PEs
execute the same command: for each output column filter after filter, its products and then adding up the column.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, product
from typing import NamedTuple

from squeezesim.cost.machine import Machine
from squeezesim.network import Layer
from squeezesim.reference.array import (
    Buffer,
    Item,
    Pixel,
    cycles_of,
    is_matrix_product,
    pixels_of,
    portions,
    rate_of,
)


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


class Mapping(NamedTuple):
    """How a layer is laid on the array, in the letters of Eyeriss's papers.

    e output rows of a strip; p filters and q channels in a PE; r PE sets along the channels and t along the filters;
    taps of a filter row that a PE holds, by default as many as it can.
    """

    e: int
    p: int
    q: int
    r: int
    t: int
    taps: int = 0


@dataclass(slots=True)
class _PE:
    """The registers of a PE; ``coming`` are the inputs that stand at its port."""

    weights: dict[tuple[int, int, int], int] = field(default_factory=dict)  # by filter, channel, tap
    windows: list[deque[int]] = field(default_factory=list)  # one for each channel
    coming: list[deque[int]] = field(default_factory=list)
    sums: list[int | None] = field(default_factory=list)  # by filter; None: no product yet

    def hold(self, filters: int, channels: int) -> None:
        """Make room for a pass."""
        self.weights, self.sums = {}, [None] * filters
        self.windows = [deque() for _ in range(channels)]
        self.coming = [deque() for _ in range(channels)]

    def slide(self, words: int, size: int) -> int:
        """Take the next *words* inputs of each channel into windows of *size*; how many were written."""
        for window, coming in zip(self.windows, self.coming, strict=True):
            window.extend(coming.popleft() for _ in range(words))
            while len(window) > size:
                window.popleft()
        return words * len(self.windows)


_Sum = tuple[Pixel, int, int]  # with its channel and value
_Set = list[list[_PE]]  # by filter row and output row


class _Array:
    def __init__(self, layer: Layer, buffer: Buffer, machine: Machine, mapping: Mapping, rows: int) -> None:
        self.layer, self.buffer, self.machine = layer, buffer, machine
        self.rate = rate_of(layer, machine)
        places = _places(mapping, rows, machine)
        self.sets: dict[tuple[int, int], _Set] = {
            index: [[_PE() for _ in range(mapping.e)] for _ in range(rows)]
            for index in product(range(mapping.r), range(mapping.t))
        }
        assert len(places) == len(set(places)) == len(self.sets) * rows * mapping.e
        self.inputs: deque[tuple[Sweep, Sequence[Word]]] = deque()  # what the network brings in each cycle
        self.leaving: deque[_Sum | None] = deque()  # from the top of the columns; None: an empty slot

    def taking_part(self, held: Pass) -> Iterator[tuple[int, int]]:
        """The PE sets that hold filters and channels."""
        return product(range(len(held.channels)), range(len(held.filters)))

    def cycle(self) -> None:
        """Let the networks move what is there; what the PEs do in the same cycle follows."""
        self.buffer.counts.cycles += 1
        for _ in range(min(self.machine.network_psums, len(self.leaving))):
            if (one := self.leaving.popleft()) is not None:
                self.buffer.accumulate(*one)

    def bring(self) -> None:
        """Let inputs come to the ports of the PEs, as the last thing in a cycle."""
        if not self.inputs:
            return
        sweep, words = self.inputs.popleft()
        for word in words:
            if word.at is None:
                continue
            value = self.buffer.input(*word.at)
            r, slot = sweep.held.set_of(word.channel)
            for t in range(len(sweep.held.filters)):
                for row, output in sweep.readers[word.row]:
                    self.sets[r, t][row][output].coming[slot].append(value)
                    self.buffer.counts.inter_pe_inputs += 1

    def load(self, held: Pass) -> None:
        """Bring the weights of a pass, each to all PEs of its filter row."""
        for r, t in self.taking_part(held):
            filters, channels = len(held.filters[t]), len(held.channels[r])
            assert filters <= self.machine.psum_words
            assert channels * len(held.taps) <= self.machine.input_words
            assert channels * len(held.taps) * filters <= self.machine.filter_words
            for pe in chain(*self.sets[r, t]):
                pe.hold(filters, channels)
        counts = self.buffer.counts
        for several in portions(list(held.weights()), self.machine.network_weights):
            self.cycle()
            for r, t, slots, row, tap, address in several:
                value = self.buffer.weight(*address)
                for pe in self.sets[r, t][row]:
                    pe.weights[*slots, tap] = value
                    counts.register_weights += 1
                    counts.inter_pe_weights += 1

    def send(self, sweep: Sweep, column: Column) -> None:
        """Queue the words of a column for the network."""
        self.inputs.extend((sweep, words) for words in portions(column.words, self.machine.network_inputs))

    def run(self, sweep: Sweep, following: Sweep | None) -> None:
        """Stream a sweep, and bring the first window of the next one."""
        assert not self.inputs
        arrive = []
        for column in sweep.columns[1:]:
            arrive.append(len(self.inputs))
            self.send(sweep, column)
        arrive.append(ahead := len(self.inputs))
        if following is not None:
            self.send(following, following.columns[0])
        left = len(self.inputs) - ahead  # of the network's cycles, for the next sweep
        held = sweep.held
        for column, later in zip(sweep.columns, arrive, strict=True):
            while len(self.inputs) > ahead + left - later:
                self.stall()
            self.slide(sweep, column)
            for f in range(len(held.filters[0])):
                for several in self.products(held):
                    self.multiply(sweep, column, f, several)
                self.add_up(sweep, column, f)
        until_first_sum = len(self.products(held)) + 1
        allowed = until_first_sum * self.machine.network_psums if following is not None else 0
        while self.inputs or len(self.leaving) > allowed:
            self.stall()

    def products(self, held: Pass) -> list[Sequence[tuple[int, int]]]:
        """The channels and taps of a filter that a PE multiplies in each cycle."""
        every = list(product(range(len(held.channels[0])), range(len(held.taps))))
        return list(cycles_of(every, self.rate))

    def stall(self) -> None:
        """Spend a cycle in which the PEs wait."""
        self.cycle()
        self.bring()

    def slide(self, sweep: Sweep, column: Column) -> None:
        """Move the windows of all PEs on to a column."""
        held = sweep.held
        for (r, t), (row, output) in product(self.taking_part(held), sweep.places()):
            if column.pixels[output] is not None:
                pe = self.sets[r, t][row][output]
                self.buffer.counts.register_inputs += pe.slide(column.fresh, len(held.taps))

    def multiply(self, sweep: Sweep, column: Column, f: int, several: Sequence[tuple[int, int]]) -> None:
        """Spend a cycle in which each PE multiplies *several* inputs of its windows."""
        self.cycle()
        held, counts = sweep.held, self.buffer.counts
        counts.stream += 1
        for (r, t), (slot, tap) in product(list(self.taking_part(held)), several):
            if f >= len(held.filters[t]) or slot >= len(held.channels[r]):
                continue
            for row, output in sweep.places():
                if column.pixels[output] is None:
                    continue
                pe = self.sets[r, t][row][output]
                weight = pe.weights[f, slot, tap]
                before = pe.sums[f]
                pe.sums[f] = pe.windows[slot][tap] * weight + (before or 0)
                counts.busy += 1
                counts.executed += weight != 0
                counts.register_inputs += 1
                counts.register_weights += 1
                counts.register_psums += 1 if before is None else 2
        self.bring()

    def add_up(self, sweep: Sweep, column: Column, f: int) -> None:
        """Spend a cycle in which the sums of a filter go up the columns: each PE adds its own to what comes."""
        self.cycle()
        held, counts = sweep.held, self.buffer.counts
        for t, filters in enumerate(held.filters):
            if f >= len(filters):
                continue
            for output, pixel in enumerate(column.pixels):
                if pixel is None:
                    self.leaving.append(None)
                    continue
                total = 0
                above = [self.sets[r, t][: len(held.rows)] for r in range(len(held.channels))]
                for number, pes in enumerate(chain(*above)):
                    pe = pes[output]
                    total += pe.sums[f] or 0
                    pe.sums[f] = None
                    counts.register_psums += 1
                    counts.inter_pe_psums += number > 0
                self.leaving.append((pixel, held.group * self.layer.k + filters[f], total))
        self.bring()


def run_row_stationary(layer: Layer, buffer: Buffer, machine: Machine, mapping: Mapping) -> None:
    """Run a layer; what happened is in the buffer's counts."""
    folds = list(_folds(layer, machine, mapping.taps))
    array = _Array(layer, buffer, machine, mapping, max(len(rows) for rows, _ in folds))
    filters = _blocks(range(layer.k), mapping.p * mapping.t)
    channels = _blocks(range(layer.c), mapping.q * mapping.r)
    for group, (rows, taps), of_k, of_c in product(range(layer.g), folds, filters, channels):
        held = Pass(group, rows, taps, _dealt(of_k, mapping.t), _dealt(of_c, mapping.r))
        array.load(held)
        sweeps = list(sweeps_of(layer, held, _strips(layer, mapping.e)))
        array.send(sweeps[0], sweeps[0].columns[0])
        while array.inputs:
            array.stall()
        for sweep, following in zip(sweeps, [*sweeps[1:], None], strict=True):
            array.run(sweep, following)


def _blocks(items: Sequence[Item], most: int) -> list[Sequence[Item]]:
    """Cut *items* into the fewest runs of at most *most*, as equal as they go, the last one the shortest."""
    number = -(-len(items) // most)
    return list(portions(items, -(-len(items) // number)))


def _dealt(items: Sequence[int], sets: int) -> list[Sequence[int]]:
    """Deal *items* over PE sets, so that no PE holds more than it must; some sets may get none."""
    return list(portions(items, -(-len(items) // sets)))


def _folds(layer: Layer, machine: Machine, most: int) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Filter rows and taps of a row, at *most* so many, that the array holds at once."""
    rows = _blocks(range(layer.fy), machine.rows)
    taps = _blocks(range(layer.fx), most or min(machine.input_words, machine.filter_words))
    yield from product(rows, taps)


def _strips(layer: Layer, e: int) -> Iterator[list[list[Pixel | None]]]:
    """Output rows that are computed together; a matrix product's pixels are dealt over e rows of equal length."""
    if is_matrix_product(layer):
        pixels: list[Pixel | None] = list(pixels_of(layer))
        length = -(-len(pixels) // e)
        yield [[*row, *[None] * (length - len(row))] for row in portions(pixels, length)]
        return
    for n, rows in product(range(layer.n), list(portions(range(layer.oy), e))):
        yield [[Pixel(n, y, x) for x in range(layer.ox)] for y in rows]


def _places(mapping: Mapping, rows: int, machine: Machine) -> list[tuple[int, int]]:
    """PEs (row, column) of all sets: side by side and one above the other; one wider than the array is stacked."""
    places = []
    band = column = 0
    for _ in range(mapping.r * mapping.t):
        if column and column + mapping.e > machine.cols:
            band, column = band + 1, 0
        for _ in range(mapping.e):
            if column == machine.cols:
                band, column = band + 1, 0
            places += [(band * rows + row, column) for row in range(rows)]
            column += 1
        if mapping.e > machine.cols:
            band, column = band + 1, 0
    assert all(row < machine.rows and column < machine.cols for row, column in places)
    return places
