"""(layers, accelerators) → Costs: arrays with one entry for each accelerator and layer, the best tiling chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.bounds import Space
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.energy import Energy, buffer_bits, layer_energy
from squeezesim.cost.machine import Machine
from squeezesim.cost.search import Search, dram_bits
from squeezesim.cost.tiling import ORDERS
from squeezesim.cost.vector import vector_costs
from squeezesim.cost.workload import Floats, Ints, workload_of
from squeezesim.errors import HardwareError
from squeezesim.network.layer import Layer

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator

LOSSES = ("edge", "zeros", "fill", "dram", "buffer", "startup", "setup", "vector")
BOUNDS = ("compute", "dram", "buffer", "startup", "vector")
OPERANDS = ("inputs", "weights", "outputs", "psums")


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What each layer costs on each accelerator; every array is (accelerators, layers, …).

    ``losses`` are PE-cycles by ``LOSSES``: PEs · cycles = executed MACs + Σ losses, exactly. ``time`` are cycles by
    ``BOUNDS``; the largest names the layer's bound. ``dram_bytes`` is by ``OPERANDS``.
    """

    pes: Ints  # (accelerators, 1)
    clock_hz: Floats  # (accelerators, 1)
    cycles: Ints
    executed: Ints
    losses: Ints
    time: Ints
    dataflow: Ints  # index into DATAFLOWS, −1 for layers without MACs
    order: Ints  # index into ORDERS
    tile: Ints  # tile sizes along (n, y, x, g, k, c); 0 for layers without MACs
    pointwise: Any  # pixels of the tile stand in x alone
    dram_bytes: Ints
    buffer_bytes: Ints
    energy: Floats  # by level, the fields of ``Energy``

    @property
    def bound(self) -> Ints:
        """Index into ``BOUNDS`` of what would have to get faster."""
        return np.asarray(self.time.argmax(axis=-1), np.int64)


def _bytes(bits: Any) -> Any:
    return -(-bits // 8)


def _mac_costs(layers: Sequence[Layer], machine: Machine, name: str) -> dict[str, Any]:
    """Costs of MAC layers, arrays over the layers."""
    work, layer_rows = workload_of(layers, machine)
    space = Space.of(work, machine)
    everything = np.arange(len(work))
    searches = {flow: Search(space, DATAFLOWS[flow], machine) for flow in machine.dataflows}
    # A dataflow is settled only where it can still beat the others' choices, which are within the slack of their best.
    limit = np.min([search.bound() for search in searches.values()], axis=0) * (1 + machine.slack)
    value = np.full(len(work), np.inf)
    taken: dict[str, Any] = {}
    for flow, search in searches.items():
        choice = search.choose(np.minimum(limit, value))
        better = choice.value < value
        value = np.where(better, choice.value, value)
        taken[flow] = (choice, better)
    owner = np.full(len(work), -1)
    for number, flow in enumerate(searches):
        owner[taken[flow][1]] = number
    if np.any(owner < 0):
        layer = layers[int(np.flatnonzero(owner[layer_rows] < 0)[0])]
        raise HardwareError(_does_not_fit(layer, space, int(layer_rows[layers.index(layer)]), machine, name))

    columns: dict[str, Any] = {}

    def put(key: str, rows: Ints, values: Any) -> None:
        values = np.asarray(values)
        if key not in columns:
            columns[key] = np.zeros((len(work), *values.shape[1:]), values.dtype)
        columns[key][rows] = values

    for number, (flow, search) in enumerate(searches.items()):
        rows = everything[owner == number]
        if len(rows) == 0:
            continue
        choice = taken[flow][0]
        order, pixel, channel = choice.order[rows], choice.pixel[rows], choice.channel[rows]
        problem = work.take(rows)
        timing = search.timing(rows, order, pixel, channel)
        bits = dram_bits(space, rows, order, pixel, channel)
        inputs, weights, outputs, psums = bits
        accesses = search.accesses(rows, pixel, channel)
        executed = search.executed[rows]
        loaded, stored = inputs + weights + psums // 2, outputs + psums // 2
        energy = layer_energy(problem, accesses, executed.astype(np.float64), loaded, stored, timing.cycles, machine)
        read, written = buffer_bits(problem, accesses)
        edge = machine.pes * timing.stream - timing.busy
        zeros = timing.busy - executed
        idle = [timing.fill, timing.dram, timing.buffer, timing.startup, timing.setup, 0 * timing.setup]
        put("cycles", rows, timing.cycles)
        put("executed", rows, executed)
        put("losses", rows, np.stack([edge, zeros, *(machine.pes * cycles for cycles in idle)], axis=1))
        waiting = timing.dram_bound + timing.buffer_bound
        steps = timing.cycles - timing.setup - timing.startup
        put(
            "time",
            rows,
            np.stack(
                [
                    steps - waiting,
                    timing.dram_bound,
                    timing.buffer_bound,
                    timing.setup + timing.startup,
                    0 * timing.setup,
                ],
                axis=1,
            ),
        )
        put("dataflow", rows, np.full(len(rows), list(DATAFLOWS).index(flow)))
        put("order", rows, order)
        put(
            "tile",
            rows,
            np.stack(
                [a[pixel] for a in space.pixels.sizes] + [a[channel] for a in space.channels.sizes], axis=1
            ),
        )
        put("pointwise", rows, problem.pointwise)
        put("dram_bytes", rows, np.stack([_bytes(part) for part in bits], axis=1))
        put("buffer_bytes", rows, ((read + written + loaded + stored) / 8).astype(np.int64))
        put("energy", rows, np.stack(energy, axis=1))
    return {key: column[layer_rows] for key, column in columns.items()}


def _does_not_fit(layer: Layer, space: Space, row: int, machine: Machine, name: str) -> str:
    from squeezesim.cost.bounds import Problem

    problem = Problem.of(space, row)
    least = (
        problem.inputs_largest.min() * problem.input_channels.min() * (1 + machine.double_inputs)
        + problem.tile_weights.min() * (1 + machine.double_weights)
        + problem.pixel_size.min() * problem.accumulator_bits * (1 + machine.double_outputs)
    )
    return (
        f"{name}: layer '{layer.name}' fits the global buffer not even at its smallest tile: about {least / 8192:,.1f} "
        f"KiB are needed, memory.global_buffer.size_kib is {machine.buffer_bits / 8192:g}"
    )


def evaluate(layers: Sequence[Layer], accelerators: Sequence[Accelerator]) -> Costs:
    """Cost every layer on every accelerator, each layer by itself with the best dataflow, tiling and loop order.

    Layers that are equal in shape are costed once.

    Raises:
        HardwareError: a layer does not fit the global buffer at its smallest tile.
    """
    machines = [Machine.of(accelerator) for accelerator in accelerators]
    results = []
    for accelerator, machine in zip(accelerators, machines, strict=True):
        results.append(_costs(layers, machine, accelerator.name))
    stacked = {key: np.stack([result[key] for result in results]) for key in results[0]}
    return Costs(
        pes=np.array([[machine.pes] for machine in machines]),
        clock_hz=np.array([[machine.clock_hz] for machine in machines]),
        **stacked,
    )


def _empty(count: int) -> dict[str, Any]:
    return {
        "cycles": np.zeros(count, np.int64),
        "executed": np.zeros(count, np.int64),
        "losses": np.zeros((count, len(LOSSES)), np.int64),
        "time": np.zeros((count, len(BOUNDS)), np.int64),
        "dataflow": np.full(count, -1, np.int64),
        "order": np.zeros(count, np.int64),
        "tile": np.zeros((count, 6), np.int64),
        "pointwise": np.zeros(count, np.bool_),
        "dram_bytes": np.zeros((count, len(OPERANDS)), np.int64),
        "buffer_bytes": np.zeros(count, np.int64),
        "energy": np.zeros((count, len(fields_of_energy())), np.float64),
    }


def fields_of_energy() -> tuple[str, ...]:
    """Names of the energy levels, in the order of ``Costs.energy``."""
    return Energy._fields


def _costs(layers: Sequence[Layer], machine: Machine, name: str) -> dict[str, Any]:
    columns = _empty(len(layers))
    for kind, cost in (("mac", lambda part: _mac_costs(part, machine, name)), ("vector", lambda part: vector_costs(part, machine))):
        index = [number for number, layer in enumerate(layers) if layer.kind == kind]
        if index:
            for key, values in cost([layers[number] for number in index]).items():
                columns[key][index] = values
    return columns
