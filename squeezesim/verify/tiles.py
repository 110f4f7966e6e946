"""The tiles of a layer one by one, in plain integers: what each step computes, loads and stores."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Workload

READS = {"inputs": "nyxgc", "weights": "gkc", "outputs": "nyxgk"}  # axes that an operand's tile depends on
LOOPS = {"P": "nyx", "K": "k", "C": "c"}
Sizes = dict[str, int]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Bits between DRAM and buffer; partial sums are stored and loaded again at the accumulator's width."""

    operand: str  # whose buffer they move through: inputs, weights or outputs
    kind: str  # what they are: inputs, weights, outputs or psums
    bits: int


@dataclass(frozen=True, slots=True)
class Step:
    """One tile: its sizes along n, y, x, g, k, c, what must have been loaded before, what is stored after it."""

    sizes: Sizes
    starts: bool  # the first tile of input channels, so that no partial sums are there
    loads: tuple[Transfer, ...]
    fresh_outputs: bool  # another tile of outputs than in the step before
    store: Transfer | None


def touched(start: int, size: int, window: tuple[int, int, int, int, int], skip: bool) -> int:
    """Count one by one the input positions that *size* outputs from output *start* on make the DMA load.

    *window* is (stride, taps, dilation, padding, available positions); with *skip*, positions between two windows of
    a stride larger than the filter are left out.
    """
    stride, taps, dilation, padding, available = window
    reach = (taps - 1) * dilation + 1
    wanted: set[int] = set()
    for output in range(start, start + size):
        first = output * stride - padding
        wanted.update(range(first, first + reach))
    if not (skip and stride > reach):
        wanted = set(range(min(wanted), max(wanted) + 1))
    return sum(0 <= position < available for position in wanted)


class Tiling:
    """One problem cut into tiles of *sizes*; *nest* are the loops inside the groups, outermost first, as in ``PKC``."""

    def __init__(self, problem: Workload, sizes: Sizes, nest: str, machine: Machine) -> None:
        self.sizes, self.machine = sizes, machine
        self.one = {name: int(getattr(problem, name)[0]) for name in problem.__slots__}
        self.axes = "g" + "".join(LOOPS[loop] for loop in nest)
        self.tiles = {axis: -(-self.one[axis] // sizes[axis]) for axis in self.axes}

    def steps(self) -> Iterator[Step]:
        """The tiles in the order in which they run."""
        every = itertools.product(*(range(self.tiles[axis]) for axis in self.axes))
        places: list[Sizes | None] = [dict(zip(self.axes, index, strict=True)) for index in every]
        for before, this, after in zip([None, *places], places, [*places[1:], None], strict=False):
            assert this is not None
            loads = [
                Transfer(operand, operand, self.bits(this, operand))
                for operand in ("inputs", "weights")
                if self._changes(before, this, operand)
            ]
            fresh = self._changes(before, this, "outputs")
            elements, accumulator = self.bits(this, "outputs"), self.one["accumulator_bits"]
            if fresh and this["c"] > 0:
                loads.append(Transfer("outputs", "psums", elements * accumulator))
            store = None
            if self._changes(this, after, "outputs"):
                store = Transfer("outputs", "psums", elements * accumulator)
                if this["c"] == self.tiles["c"] - 1:
                    store = Transfer("outputs", "outputs", elements * self.one["activation_bits"])
            yield Step(self.tile(this), this["c"] == 0, tuple(loads), fresh, store)

    def tile(self, place: Sizes) -> Sizes:
        """Sizes of the tile at *place*, the remainder at the end of an axis."""
        return {
            axis: min(self.sizes[axis], self.one[axis] - place[axis] * self.sizes[axis]) for axis in self.axes
        }

    def bits(self, place: Sizes, operand: str) -> int:
        """Bits of an operand's tile as it is loaded; of outputs the elements."""
        tile, one = self.tile(place), self.one
        if operand == "weights":
            return tile["g"] * tile["k"] * tile["c"] * one["fy"] * one["fx"] * one["weight_bits"]
        if operand == "outputs":
            return tile["n"] * tile["y"] * tile["x"] * tile["g"] * tile["k"]
        area = tile["y"] * tile["x"] if one["pointwise"] else self._rows("y", place) * self._rows("x", place)
        return tile["n"] * area * tile["g"] * tile["c"] * one["activation_bits"]

    def footprint(self) -> int:
        """Buffer bits: each operand's largest tile, twice where it is double-buffered and not the same all the time."""
        first = dict.fromkeys(self.axes, 0)
        pixels = itertools.product(*(range(self.tiles[axis]) for axis in "yx"))
        machine, accumulator = self.machine, self.one["accumulator_bits"]
        amounts = {
            "inputs": (
                max(self.bits(first | {"y": y, "x": x}, "inputs") for y, x in pixels),
                machine.double_inputs,
            ),
            "weights": (self.bits(first, "weights"), machine.double_weights),
            "outputs": (self.bits(first, "outputs") * accumulator, machine.double_outputs),
        }
        return sum(
            amount * (2 if double and any(self.tiles[axis] > 1 for axis in READS[operand]) else 1)
            for operand, (amount, double) in amounts.items()
        )

    def _changes(self, one: Sizes | None, other: Sizes | None, operand: str) -> bool:
        return one is None or other is None or any(one[axis] != other[axis] for axis in READS[operand])

    def _rows(self, axis: str, place: Sizes) -> int:
        one, skip = self.one, {"y": self.machine.skip_rows, "x": self.machine.skip_columns}
        window = (one["s" + axis], one["f" + axis], one["d" + axis], one["p" + axis], one["i" + axis])
        return touched(place[axis] * self.sizes[axis], self.tile(place)[axis], window, skip[axis])
