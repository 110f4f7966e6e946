"""A unit with loops of its own in space, cycle by cycle: what stays in the PEs, and what comes and leaves beside it.

Blocks and steps are gone through one by one, in the order of the loops. A counter says what each of the array, the
ports and the output stage still has to do; every cycle takes its part of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from squeezesim.cost.machine import Machine, Unit
from squeezesim.network import Layer
from squeezesim.reference.array import Buffer, Pixel, rate_of

HAS = {"inputs": ("n", "y", "x", "g", "c", "fy", "fx"), "weights": ("g", "k", "c", "fy", "fx")}
"""Loops that an operand has."""

_ORDER = {
    "outputs": (("g", "k", "n", "y", "x"), ("c", "fy", "fx")),
    "weights": (("g", "k", "c", "fy", "fx"), ("n", "y", "x")),
    "inputs": (("n", "y", "x", "g", "c", "fy", "fx"), ("k",)),
}
"""Loops over blocks, and over the steps of a block."""

Part = Mapping[tuple[str, ...], Sequence[tuple[int, ...]]]
"""Iterations of each loop, or of several in one, that are done at once."""


class _Loop(NamedTuple):
    loops: tuple[str, ...]  # one, or those that are flattened
    extents: tuple[int, ...]
    by: int

    def parts(self) -> list[Sequence[tuple[int, ...]]]:
        every = list(product(*map(range, self.extents)))
        return [every[start : start + self.by] for start in range(0, len(every), self.by)]


def _nest(unit: Unit, layer: Layer, order: Sequence[str]) -> Iterator[Part]:
    """The parts of the loops in *order*, the last one innermost."""
    extents = {"n": layer.n, "g": layer.g, "k": layer.k, "c": layer.c, "y": layer.oy, "x": layer.ox}
    extents |= {"fy": layer.fy, "fx": layer.fx}
    flat = {
        loop: parts
        for name, parts in (("p", ("n", "y", "x")), ("t", ("fy", "fx")))
        for loop in parts
        if unit.by(name) > 1
    }
    loops: dict[tuple[str, ...], _Loop] = {}
    for name in order:
        several = flat.get(name, (name,))
        by = unit.by({3: "p", 2: "t"}.get(len(several), name))
        loops[several] = _Loop(several, tuple(extents[each] for each in several), by)
    for parts in product(*(loop.parts() for loop in loops.values())):
        yield dict(zip(loops, parts, strict=True))


def run_unit(unit: Unit, layer: Layer, buffer: Buffer, machine: Machine, *, unfinished: bool = False) -> None:
    """Run a layer; what happened is in the buffer's counts.

    Where sums wait in accumulators of the array, those of an *unfinished* tile do not leave it.
    """
    _Array(unit, layer, buffer, machine, unfinished).run()


class _Array:
    """A unit at work: what its operands were in the step before, and what its ports and outputs still have to do."""

    def __init__(self, unit: Unit, layer: Layer, buffer: Buffer, machine: Machine, unfinished: bool) -> None:
        self.accumulates, self.unfinished = machine.accumulators > 0, unfinished
        self.unit, self.layer, self.buffer, self.counts = unit, layer, buffer, buffer.counts
        self.rate = rate_of(layer, machine)
        self.last: dict[str, object] = {}
        self.sums: dict[tuple[Pixel, int], int] = {}  # of outputs that stay
        self.arriving = self.waited = self.leaving = 0  # words, cycles, words

    def run(self) -> None:
        unit = self.unit
        outer, inner = _ORDER[unit.stationary]
        blocks = list(_nest(unit, self.layer, outer))
        steps = list(_nest(unit, self.layer, inner))
        stays = unit.stationary != "outputs"
        unfinished = self.unfinished and self.accumulates
        leaves = unit.output_words and not unfinished
        if stays:
            self.order(blocks[0])
            self.wait()
        for number, block in enumerate(blocks):
            if stays:
                self.leaving = self.made(block, steps) if leaves else 0
                if number + 1 < len(blocks):
                    self.order(blocks[number + 1])
            several, cycles = self.rate
            ahead = 0  # parts of steps that the PEs have yet to do, of which they do *several* in a cycle
            for part in steps:
                self.step({**block, **part})
                ahead += unit.interval * cycles
                while ahead >= several:
                    self.cycle(streams=True)
                    ahead -= several
            if ahead:
                self.cycle(streams=True)
            self.wait()
            if not stays:
                self.leaving = len(self.sums) if leaves else 0
                for (pixel, channel), value in self.sums.items():
                    self.add(pixel, channel, value)
                self.sums.clear()
        if self.accumulates and not unfinished:
            self.counts.buffer_psums_written += self.buffer.outputs.size
        self.wait()
        for _ in range(unit.latency):
            self.cycle(streams=False)

    def order(self, block: Part) -> None:
        """Begin to preload *block*."""
        self.arriving = self.words(self.unit.stationary, block) if self.unit.ports else 0
        self.waited = self.unit.preload

    def wait(self) -> None:
        """Let cycles pass until nothing arrives or leaves any more."""
        while self.arriving or self.waited or self.leaving:
            self.cycle(streams=False)

    def cycle(self, *, streams: bool) -> None:
        self.counts.cycles += 1
        self.counts.stream += streams
        self.arriving = max(self.arriving - self.unit.ports, 0)
        self.leaving = max(self.leaving - self.unit.output_words, 0)
        self.waited = max(self.waited - 1, 0)

    def step(self, part: Part) -> None:
        """Multiply what *part* has of all loops."""
        layer, buffer, counts = self.layer, self.buffer, self.counts
        counts.buffer_inputs += (inputs := self.new("inputs", part))
        counts.buffer_weights += (weights := self.new("weights", part))
        done = prod(map(len, part.values()))
        if self.unit.stationary == "inputs":
            counts.register_inputs += inputs + done
        elif self.unit.stationary == "weights":
            counts.register_weights += weights + done
        touched: dict[tuple[Pixel, int], int] = {}
        for at in _iterations(part):
            pixel, channel = Pixel(at["n"], at["y"], at["x"]), at["g"] * layer.k + at["k"]
            y = at["y"] * layer.stride[0] + at["fy"] * layer.dilation[0] - layer.padding[0]
            x = at["x"] * layer.stride[1] + at["fx"] * layer.dilation[1] - layer.padding[1]
            inside = 0 <= y < layer.iy and 0 <= x < layer.ix
            value = buffer.inputs[at["n"], at["g"] * layer.c + at["c"], y, x] if inside else 0
            weight = buffer.weights[channel, at["c"], at["fy"], at["fx"]]
            touched[pixel, channel] = touched.get((pixel, channel), 0) + int(value) * int(weight)
            counts.executed += int(weight != 0)
        counts.busy += done
        counts.inter_pe_psums += done - len(touched)
        for (pixel, channel), value in touched.items():
            if self.unit.stationary == "outputs":
                counts.register_psums += 2
                self.sums[pixel, channel] = self.sums.get((pixel, channel), 0) + value
            else:
                counts.register_psums += 2 * self.accumulates
                self.add(pixel, channel, value)

    def add(self, pixel: Pixel, channel: int, value: int) -> None:
        """Add *value* to an output, in the buffer or where its sums wait."""
        if self.accumulates:
            self.buffer.outputs[pixel.n, channel, pixel.y, pixel.x] += value
        else:
            self.buffer.accumulate(pixel, channel, value)

    def new(self, operand: str, part: Part) -> int:
        """Words of *operand* that the step before did not have: all, or none where its loops did not go on."""
        seen = [values for loops, values in part.items() if loops[0] in HAS[operand]]
        if self.last.get(operand) == seen:
            return 0
        self.last[operand] = seen
        return self.words(operand, part)

    @staticmethod
    def words(operand: str, part: Part) -> int:
        return prod(len(values) for loops, values in part.items() if loops[0] in HAS[operand])

    def made(self, block: Part, steps: Sequence[Part]) -> int:
        """Outputs whose sums *block* ends."""
        summed = {"c": self.layer.c, "fy": self.layer.fy, "fx": self.layer.fx}
        for loops, values in block.items():
            for loop, place in zip(loops, values[-1], strict=True):
                if place != summed.get(loop, place + 1) - 1:
                    return 0
        every = {loops: [values for each in steps for values in each[loops]] for loops in steps[0]}
        whole = {**block, **every}
        return prod(len(set(values)) for loops, values in whole.items() if not set(loops) & {*summed})


def _iterations(part: Part) -> Iterator[dict[str, int]]:
    """Where each iteration of *part* is along every loop."""
    for iterations in product(*part.values()):
        yield {
            loop: place
            for loops, places in zip(part, iterations, strict=True)
            for loop, place in zip(loops, places, strict=True)
        }
