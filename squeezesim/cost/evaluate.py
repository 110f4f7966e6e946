"""(layers, accelerators) → Costs: arrays with one entry for each accelerator and layer, the best tiling chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.bounds import Space
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.energy import LEVELS, buffer_bits, layer_energy
from squeezesim.cost.machine import Machine
from squeezesim.cost.search import Choice, Search, dram_bits
from squeezesim.cost.vector import vector_costs
from squeezesim.cost.workload import Bools, Floats, Ints, workload_of
from squeezesim.errors import HardwareError
from squeezesim.network.layer import Layer

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator

LOSSES = ("edge", "zeros", "fill", "dram", "buffer", "startup", "setup", "vector")
BOUNDS = ("compute", "dram", "buffer", "startup", "vector")
OPERANDS = ("inputs", "weights", "outputs", "psums")
_FLOW_NUMBERS = {name: number for number, name in enumerate(DATAFLOWS)}

Columns = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What each layer costs on each accelerator; every array is (accelerators, layers, …).

    Losses are PE-cycles: PEs · cycles = executed MACs + Σ losses, to the last one. Views and, where the accelerator has
    no vector lanes, vector layers cost nothing.
    """

    pes: Ints  # (accelerators, 1)
    clock_hz: Floats  # (accelerators, 1)
    cycles: Ints
    executed: Ints  # MACs that are done: without those of zero weights where they are skipped
    losses: Ints  # PE-cycles by LOSSES
    time: Ints  # cycles by BOUNDS: set by what was the slowest then
    dataflow: Ints  # index into DATAFLOWS, −1 for layers without MACs
    order: Ints  # index into tiling.ORDERS
    tile: Ints  # tile sizes along pipeline.AXES; 0 for layers without MACs
    pointwise: Bools  # pixels of the tile stand in x alone
    dram_bytes: Ints  # by OPERANDS
    buffer_bytes: Ints  # read and written
    energy: Floats  # by energy.LEVELS, in the unit of the accelerator's table

    @property
    def bound(self) -> Ints:
        """Index into ``BOUNDS`` of what would have to get faster: what set the pace for most of the cycles."""
        return np.asarray(self.time.argmax(axis=-1), np.int64)


def evaluate(layers: Sequence[Layer], accelerators: Sequence[Accelerator]) -> Costs:
    """Cost every layer on every accelerator, each layer by itself with the best dataflow, tiling and loop order.

    Layers that are equal in shape are costed once.

    Raises:
        HardwareError: a layer does not fit the global buffer even at its smallest tile.
    """
    machines = [Machine.of(accelerator) for accelerator in accelerators]
    results = [
        _layer_costs(layers, machine, accelerator.name)
        for accelerator, machine in zip(accelerators, machines, strict=True)
    ]
    return Costs(
        pes=np.array([[machine.pes] for machine in machines]),
        clock_hz=np.array([[machine.clock_hz] for machine in machines]),
        **{key: np.stack([result[key] for result in results]) for key in results[0]},
    )


def _layer_costs(layers: Sequence[Layer], machine: Machine, name: str) -> Columns:
    columns = _blank(len(layers))
    parts: tuple[tuple[str, Callable[[list[Layer]], Columns]], ...] = (
        ("mac", lambda part: _mac_costs(part, machine, name)),
        ("vector", lambda part: vector_costs(part, machine)),
    )
    for kind, costs in parts:
        index = [number for number, layer in enumerate(layers) if layer.kind == kind]
        if index:
            _fill(columns, np.array(index), costs([layers[number] for number in index]))
    return columns


def _blank(count: int) -> Columns:
    integers = {"cycles": (), "executed": (), "order": (), "buffer_bytes": ()}
    tables = {"losses": len(LOSSES), "time": len(BOUNDS), "tile": 6, "dram_bytes": len(OPERANDS)}
    columns: Columns = {key: np.zeros((count, *shape), np.int64) for key, shape in integers.items()}
    columns |= {key: np.zeros((count, width), np.int64) for key, width in tables.items()}
    columns["dataflow"] = np.full(count, -1, np.int64)
    columns["pointwise"] = np.zeros(count, np.bool_)
    columns["energy"] = np.zeros((count, len(LEVELS)), np.float64)
    return columns


def _fill(columns: Columns, rows: Ints, values: Columns) -> None:
    for key, column in values.items():
        columns[key][rows] = column


def _mac_costs(layers: Sequence[Layer], machine: Machine, name: str) -> Columns:
    work, layer_rows = workload_of(layers, machine)
    space = Space(work, machine)
    searches = [Search(space, DATAFLOWS[flow]) for flow in machine.dataflows]
    limit = _reached(searches) * (1 + machine.slack)
    if not np.all(np.isfinite(limit)):
        number = int(np.flatnonzero(~np.isfinite(limit[layer_rows]))[0])
        raise HardwareError(
            _does_not_fit(
                layers[number], float(space.footprint(int(layer_rows[number])).min()), machine, name
            )
        )
    # A dataflow is settled only where it can still beat the others' choices, which are within the slack of their best.
    choices = []
    for search in searches:
        choices.append(search.choose(limit))
        limit = np.minimum(limit, choices[-1].value)
    owner = np.argmin([choice.value for choice in choices], axis=0)
    columns = _blank(len(work))
    for number, (search, choice) in enumerate(zip(searches, choices, strict=True)):
        rows = np.flatnonzero(owner == number)
        if len(rows):
            _fill(columns, rows, _chosen_costs(search, rows, choice))
    return {key: column[layer_rows] for key, column in columns.items()}


def _reached(searches: Sequence[Search]) -> Floats:
    """A value that some dataflow reaches for each problem; dataflows that can never come near it are left alone."""
    floors = np.array([search.floor() for search in searches])
    first = floors.argmin(axis=0)
    reached = np.min(
        [search.bound(np.flatnonzero(first == number)) for number, search in enumerate(searches)], axis=0
    )
    slack = searches[0].machine.slack
    for number, (search, floor) in enumerate(zip(searches, floors, strict=True)):
        others = np.flatnonzero((first != number) & (floor <= reached * (1 + slack)))
        reached = np.minimum(reached, search.bound(others))
    return np.asarray(reached)


def _chosen_costs(search: Search, rows: Ints, choice: Choice) -> Columns:
    """Costs of the problems *rows* with the tilings that were chosen for them."""
    space, machine = search.space, search.space.machine
    order, pixel, channel = choice.order[rows], choice.pixel[rows], choice.channel[rows]
    problem = space.work.take(rows)
    timing = search.timing(rows, order, pixel, channel)
    executed = search.executed[rows]
    bits = dram_bits(space, rows, order, pixel, channel)
    inputs, weights, outputs, psums = bits
    loaded, stored = inputs + weights + psums // 2, outputs + psums // 2
    accesses = search.accesses(rows, pixel, channel)
    read, written = buffer_bits(problem, accesses)
    idle = (timing.fill, timing.dram, timing.buffer, timing.startup, timing.setup)
    nothing = np.zeros_like(timing.cycles)
    busy = timing.busy // problem.pixels * problem.valid  # every stored pixel keeps as many PEs busy
    losses = (
        machine.pes * timing.stream - busy,
        busy - executed,
        *(machine.pes * cycles for cycles in idle),
        nothing,
    )
    outside = timing.setup + timing.startup
    computing = timing.cycles - outside - timing.dram_bound - timing.buffer_bound
    return {
        "cycles": timing.cycles,
        "executed": executed,
        "losses": np.stack(losses, axis=1),
        "time": np.stack([computing, timing.dram_bound, timing.buffer_bound, outside, nothing], axis=1),
        "dataflow": _FLOW_NUMBERS[search.flow.name],
        "order": order,
        "tile": np.stack(search.tile_sizes(pixel, channel), axis=1),
        "pointwise": problem.pointwise,
        "dram_bytes": np.stack([-(-part // 8) for part in bits], axis=1),
        "buffer_bytes": ((read + written + loaded + stored) / 8).astype(np.int64),
        "energy": np.stack(
            layer_energy(problem, accesses, executed, loaded, stored, timing.cycles, machine), axis=1
        ),
    }


def _does_not_fit(layer: Layer, least_bits: float, machine: Machine, name: str) -> str:
    return (
        f"{name}: layer '{layer.name}' does not fit the global buffer even at the smallest tile that is tried, "
        f"which needs {least_bits / 8192:,.4g} KiB; "
        f"memory.global_buffer.size_kib is {machine.buffer_bits / 8192:g}"
    )
