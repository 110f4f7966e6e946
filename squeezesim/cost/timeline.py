"""When each tile of a layer is loaded, computed and stored: the pipeline of ``cost.pipeline``, step by step.

Weights that stay from step to step of a recurrence are loaded after the set-up of the first one, before anything else.

A step begins with the store of single-buffered outputs. Then the array computes while the DMA stores what the tile
before it finished and loads what the next one needs; what has one buffer only is loaded last. The end of the last store
is the layer's cycles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from math import ceil, prod
from typing import TYPE_CHECKING

import numpy as np

from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.dataflow.base import Dataflow
from squeezesim.cost.layings import laying_in
from squeezesim.cost.machine import Machine
from squeezesim.cost.pipeline import SECOND, Points, Transfer, trace_steps, transfer_cycles
from squeezesim.cost.problem import Ints, operands_of, workload_of
from squeezesim.cost.traffic import AXES
from squeezesim.cost.vector import Streams, lanes_of, moved_bits
from squeezesim.cost.weights import load_once
from squeezesim.network.layer import Layer

if TYPE_CHECKING:
    from squeezesim.cost.costs import Costs


@dataclass(frozen=True, slots=True)
class Slices:
    """Work of the array or the DMA, in cycles from the layer's begin; one entry for each tile that has some.

    ``operand`` and ``load`` are of the DMA, and so are ``store``, the memory, and ``bits``, those that it moves; the
    array has none of them.
    """

    store: str
    operand: str
    load: bool
    tile: Ints
    start: Ints
    end: Ints
    bits: Ints

    def later(self, cycles: int) -> Slices:
        """Return the same *cycles* later."""
        return replace(self, start=self.start + cycles, end=self.end + cycles)


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
            return Slices(part.store, part.operand, part.load, tile, start, end, np.tile(part.bits, times))

        return Timeline(
            self.cycles * times, self.setup, each(self.compute), tuple(each(part) for part in self.transfers)
        )

    def after(self, load: Slices) -> Timeline:
        """Return the same with a *load* that comes between its set-up and all else."""
        cycles = int(load.end[-1] - load.start[0])
        every = tuple(part.later(cycles) for part in self.transfers)
        return Timeline(self.cycles + cycles, self.setup, self.compute.later(cycles), (load, *every))


def tile_count(layer: Layer, costs: Costs, index: int, machine: Machine) -> int:
    """Return the steps of *layer*, which is layer *index* of *costs*; 1 where it is not tiled."""
    if layer.kind != "mac":
        return 1
    work, _ = workload_of([layer], laying_in(machine, costs, index))
    sizes = zip(AXES, costs.tile[0, index].tolist(), strict=True)
    return prod(-(-int(getattr(work, axis)[0]) // size) for axis, size in sizes)


def timeline(layer: Layer, costs: Costs, index: int, machine: Machine) -> Timeline:
    """Return when the tiles of *layer*, which is layer *index* of *costs*, are moved and computed on *machine*.

    Of a layer that repeats they are those of one step. Memory grows with the tiles, see ``tile_count``.
    """
    if layer.kind == "mac":
        laying, flow = laying_in(machine, costs, index), costs.dataflows[int(costs.dataflow[0, index])]
        work, _ = workload_of([layer], laying, [costs.homes_at(index)])
        points = Points(work, costs.mode[0, [index]], costs.tile[0, index][:, np.newaxis])
        later = np.flatnonzero(costs.cycles[0, index + 1 :])[:1] + index + 1
        ahead, following = int(costs.ahead_bytes[0, index]), int(costs.ahead_bytes[0, later].sum())
        return of_tiling(points, flows_of(laying)[flow], laying, is_ahead=ahead > 0, following=8 * following)
    if costs.cycles[0, index]:
        return _of_lanes(layer, machine, _streams(layer, costs, index, machine))
    nothing = np.zeros(0, np.int64)
    return Timeline(0, 0, Slices("", "", False, nothing, nothing, nothing, nothing), ())


def run_of(layer: Layer, costs: Costs, index: int, machine: Machine) -> Timeline:
    """Return the same of all steps of a layer that repeats, with the load of weights that stay."""
    line = timeline(layer, costs, index, machine).repeated(
        layer.repeat, tile_count(layer, costs, index, machine)
    )
    if not load_once(layer, costs.homes_at(index)):
        return line
    work, memory = workload_of([layer], machine)[0], machine.home("weights")
    port, bits, one = machine.memories[memory], work.stored_weights + work.constants, np.zeros(1, np.int64)
    end = machine.setup + port.latency + transfer_cycles(bits, port.bytes_per_cycle)
    store = machine.memory_names[memory]
    return line.after(Slices(store, "weights", True, one, one + machine.setup, end, bits))


def of_tiling(
    points: Points, flow: Dataflow, machine: Machine, *, is_ahead: bool = False, following: int = 0
) -> Timeline:
    """Return when the tiles of the only one of *points* are moved and computed.

    With *is_ahead* its first weights are there; its last step loads bits of weights of the layer that is *following*.

    Example: the layer worked by hand in docs/timing.md ends at cycle 136.
    """
    trace, memories = trace_steps(points, flow, machine, every=True), len(machine.memories)
    steps = np.arange(len(trace.compute))
    before = [part for part in trace.transfers if not part.overlapped and part.offset < 0]
    beside = [part for part in trace.transfers if part.overlapped]
    if following:
        bits = np.where(steps == steps[-1], following, 0)
        beside.append(Transfer("weights", True, bits, True, 1, machine))
    first = [part for part in trace.first_loads if not (is_ahead and part.operand == "weights")]
    after = [part for part in trace.transfers if not part.overlapped and part.offset >= 0]
    early = _lasting(before, steps)
    # The array's end, and that of each port: what is single-buffered moves when both are trace.
    ready = {memory: np.maximum(trace.compute, _lasting(beside, steps, memory)) for memory in range(memories)}
    lasting = [end + _lasting(after, steps, memory) for memory, end in ready.items()]
    loaded = machine.setup + int(_lasting(first, steps[:1])[0])
    ends = loaded + np.cumsum(early + reduce(np.maximum, lasting))
    begins = ends - reduce(np.maximum, lasting)
    transfers = [
        *_placed(first, steps[:1], np.array([machine.setup])),
        *_placed(before, steps, begins - early),
        *_placed(beside, steps, begins),
        *(
            slices
            for memory, end in ready.items()
            for slices in _placed([part for part in after if part.memory == memory], steps, begins + end)
        ),
        *_placed([trace.last_store], steps[-1:], ends[-1:]),
    ]
    compute = Slices("", "", False, steps, begins, begins + trace.compute, np.zeros_like(steps))
    end = max(int(ends[-1]), *(int(each.end.max(initial=0)) for each in transfers))
    return Timeline(end, machine.setup, compute, tuple(transfers))


def _lasting(parts: Iterable[Transfer], steps: Ints, memory: int | None = None) -> Ints:
    """Cycles of the transfers of each step, those of one memory one after the other: of *memory*, or the longest."""
    taken: dict[int, Ints] = {}
    for part in parts:
        cycles = part.cycles + part.latency * (part.cycles > 0)
        taken[part.memory] = taken.get(part.memory, np.zeros_like(steps)) + cycles
    if memory is not None:
        return taken.get(memory, np.zeros_like(steps))
    return np.asarray(reduce(np.maximum, taken.values(), np.zeros_like(steps)))


def _placed(parts: Iterable[Transfer], steps: Ints, begins: Ints) -> Iterator[Slices]:
    """The transfers beside *steps*, those of one memory one after the other, from *begins* on."""
    free: dict[int, Ints] = {}
    for part in parts:
        start = free.get(part.memory, begins)
        free[part.memory] = end = start + _lasting([part], steps)
        some, tiles = np.flatnonzero(part.cycles), steps + part.offset
        store = part.machine.memory_names[part.memory]
        yield Slices(
            store,
            "inputs" if part.operand == SECOND else part.operand,
            part.load,
            tiles[some],
            start[some],
            end[some],
            part.bits[some],
        )


def _streams(layer: Layer, costs: Costs, index: int, machine: Machine) -> Streams:
    """What of the operands of a layer without MACs passes the memories."""
    homes = costs.homes_at(index)
    if not costs.homes[0, index].any():
        return Streams(layer.input_elements, stored=True)
    moved = int(costs.dram_bytes[0, index, costs.operands.index("inputs")]) * 8
    return Streams(moved // operands_of(layer, machine).activation_bits, not homes.outputs, not homes.weights)


def _of_lanes(layer: Layer, machine: Machine, streams: Streams) -> Timeline:
    """A layer without MACs: its operands stream past the vector lanes, which begin with the first of them."""
    inputs, parameters, outputs = moved_bits([layer], machine, [streams])
    read, every, written = moved_bits([layer], machine)
    memories = machine.memories
    homes = [machine.home(operand) for operand in ("inputs", "weights", "outputs")]
    loaded = {homes[0]: inputs}
    if homes[0] == homes[1]:
        loaded = {homes[0]: inputs + parameters}
    elif parameters[0]:
        loaded[homes[1]] = parameters
    loading = {
        memory: int(transfer_cycles(bits, memories[memory].bytes_per_cycle)[0])
        for memory, bits in loaded.items()
    }
    storing = int(transfer_cycles(outputs, memories[homes[2]].bytes_per_cycle)[0])
    waited = [memories[memory].latency for memory, bits in loaded.items() if bits[0] or not read[0]]
    begin = machine.setup + max(waited, default=0)
    computing = -(-(layer.vector_ops // layer.repeat) // int(lanes_of([layer], machine)[0]))
    inside = int((read - inputs + every - parameters + written - outputs)[0])
    computing = max(computing, ceil(inside / machine.buffer_bits_per_cycle))
    moving = max(loading.get(homes[2], 0) + storing, *loading.values())
    end = begin + max(computing, moving)
    cycles = end + memories[homes[2]].latency * bool(outputs[0] or not written[0])
    one = np.zeros(1, np.int64)
    names = machine.memory_names
    loads = [
        Slices(
            names[memory],
            "weights" if memory != homes[0] else "inputs",
            True,
            one,
            one + machine.setup,
            one + begin + loading[memory],
            bits,
        )
        for memory, bits in loaded.items()
    ]
    stored = Slices(names[homes[2]], "outputs", False, one, one + end - storing, one + cycles, outputs)
    compute = Slices("", "", False, one, one + begin, one + begin + computing, one)
    return Timeline(cycles, machine.setup, compute, (*loads, stored))
