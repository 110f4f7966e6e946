"""When each tile of a layer is loaded, computed and stored: the pipeline of ``cost.pipeline``, step by step.

A step begins with the store of single-buffered outputs. Then the array computes while the DMA stores what the tile
before it finished and loads what the next one needs; what has one buffer only is loaded last. The end of the last store
is the layer's cycles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.dataflow.base import Dataflow
from squeezesim.cost.machine import Machine
from squeezesim.cost.pipeline import AXES, Points, Transfer, played, transfer_cycles
from squeezesim.cost.problem import Ints, workload_of
from squeezesim.cost.vector import moved_bits
from squeezesim.network.layer import Layer

if TYPE_CHECKING:
    from squeezesim.cost.evaluate import Costs

_FLOWS = tuple(DATAFLOWS.values())


@dataclass(frozen=True, slots=True)
class Slices:
    """Work of the array or the DMA, in cycles from the layer's begin; one entry for each tile that has some.

    ``operand`` and ``load`` are of the DMA, and so are ``bits``, those that it moves; the array has none of them.
    """

    operand: str
    load: bool
    tile: Ints
    start: Ints
    end: Ints
    bits: Ints


@dataclass(frozen=True, slots=True)
class Timeline:
    """One layer: its cycles, those of its set-up, what the array and what the DMA does meanwhile."""

    cycles: int
    setup: int
    compute: Slices
    transfers: tuple[Slices, ...]

    def repeated(self, times: int, tiles: int) -> Timeline:
        """Return *times* of it, one after the other, the tiles of each numbered on from those before, *tiles* each."""

        def each(part: Slices) -> Slices:
            steps = np.arange(times)[:, None]
            tile, start, end = (
                (column + steps * apart).ravel()
                for column, apart in ((part.tile, tiles), (part.start, self.cycles), (part.end, self.cycles))
            )
            return Slices(part.operand, part.load, tile, start, end, np.tile(part.bits, times))

        return Timeline(
            self.cycles * times, self.setup, each(self.compute), tuple(each(part) for part in self.transfers)
        )


def tile_count(layer: Layer, costs: Costs, index: int, machine: Machine) -> int:
    """Return the steps of *layer*, which is layer *index* of *costs*; 1 where it is not tiled."""
    if layer.kind != "mac":
        return 1
    work, _ = workload_of([layer], machine)
    sizes = zip(AXES, costs.tile[0, index].tolist(), strict=True)
    return prod(-(-int(getattr(work, axis)[0]) // size) for axis, size in sizes)


def timeline(layer: Layer, costs: Costs, index: int, machine: Machine) -> Timeline:
    """Return when the tiles of *layer*, which is layer *index* of *costs*, are moved and computed on *machine*.

    Of a layer that repeats they are those of one step. Memory grows with the tiles, see ``tile_count``.
    """
    if layer.kind == "mac":
        work, _ = workload_of([layer], machine)
        points = Points(work, costs.order[0, [index]], costs.tile[0, index][:, np.newaxis])
        return of_tiling(points, _FLOWS[int(costs.dataflow[0, index])], machine)
    if costs.cycles[0, index]:
        return _of_lanes(layer, machine)
    nothing = np.zeros(0, np.int64)
    return Timeline(0, 0, Slices("", False, nothing, nothing, nothing, nothing), ())


def of_tiling(points: Points, flow: Dataflow, machine: Machine) -> Timeline:
    """Return when the tiles of the only one of *points* are moved and computed.

    Example: the layer worked by hand in docs/timing.md ends at cycle 136.
    """
    done = played(points, flow, machine, every=True)
    steps = np.arange(len(done.compute))
    before = [part for part in done.transfers if not part.overlapped and not part.load]
    beside = [part for part in done.transfers if part.overlapped]
    after = [part for part in done.transfers if not part.overlapped and part.load]
    early, late = _lasting(before, steps), _lasting(after, steps)
    longest = np.maximum(done.compute, _lasting(beside, steps))
    loaded = machine.setup + int(_lasting(done.first_loads, steps[:1])[0])
    ends = loaded + np.cumsum(early + longest + late)
    begins = ends - late - longest
    stored = [part for part in beside if not part.load]
    transfers = [
        *_placed(done.first_loads, steps[:1], np.array([machine.setup])),
        *_placed(before, steps - 1, begins - early),
        *_placed(stored, steps - 1, begins),
        *_placed([part for part in beside if part.load], steps + 1, begins + _lasting(stored, steps)),
        *_placed(after, steps + 1, ends - late),
        *_placed([done.last_store], steps[-1:], ends[-1:]),
    ]
    compute = Slices("", False, steps, begins, begins + done.compute, np.zeros_like(steps))
    return Timeline(int(transfers[-1].end[-1]), machine.setup, compute, tuple(transfers))


def _lasting(parts: Iterable[Transfer], steps: Ints) -> Ints:
    """Cycles of the transfers of each step, one after the other."""
    return sum((part.cycles + part.latency * (part.cycles > 0) for part in parts), np.zeros_like(steps))


def _placed(parts: Iterable[Transfer], tiles: Ints, begins: Ints) -> Iterator[Slices]:
    """The transfers for *tiles*, those of one tile one after the other."""
    for part in parts:
        ends = begins + _lasting([part], tiles)
        some = np.flatnonzero(part.cycles)
        yield Slices(part.operand, part.load, tiles[some], begins[some], ends[some], part.bits[some])
        begins = ends


def _of_lanes(layer: Layer, machine: Machine) -> Timeline:
    """A layer without MACs: its operands stream past the vector lanes, which begin with the first of them."""
    inputs, parameters, outputs = moved_bits([layer], machine)
    loaded = inputs + parameters
    loading, storing = (int(transfer_cycles(bits, machine)[0]) for bits in (loaded, outputs))
    begin = machine.setup + machine.dram_latency
    computing = -(-(layer.vector_ops // layer.repeat) // machine.vector_lanes)
    end = begin + max(computing, loading + storing)
    cycles = end + machine.dram_latency
    one = np.zeros(1, np.int64)
    return Timeline(
        cycles,
        machine.setup,
        Slices("", False, one, one + begin, one + begin + computing, one),
        (
            Slices("inputs", True, one, one + machine.setup, one + begin + loading, loaded),
            Slices("outputs", False, one, one + end - storing, one + cycles, outputs),
        ),
    )
