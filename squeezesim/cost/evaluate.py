"""(layers, accelerators) → Costs: arrays with one entry for each accelerator and layer, the best tiling chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.bounds import Space
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.energy import LEVELS, layer_energy
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import option_counts
from squeezesim.cost.problem import Bools, Floats, Ints, Workload, workload_of
from squeezesim.cost.rates import Rates, clusters
from squeezesim.cost.search import Choice, Search
from squeezesim.cost.vector import vector_costs
from squeezesim.errors import HardwareError
from squeezesim.network.layer import Layer

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator

LOSSES = ("edge", "zeros", "fill", "dram", "buffer", "startup", "setup", "vector")
BOUNDS = ("compute", "dram", "buffer", "startup", "vector")
OPERANDS = ("inputs", "weights", "outputs", "psums")
# Of all steps of a layer.
_SUMS = ("cycles", "executed", "losses", "time", "dram_bytes", "buffer_bytes", "energy")
_FLOW_NUMBERS = {name: number for number, name in enumerate(DATAFLOWS)}

Columns = dict[str, Any]

Advance = Callable[[float], None]
"""(accelerators that were costed since it was called last, of which a share of the layers is a share)"""


def ignore(_: float) -> None:
    """Do nothing: an ``Advance`` that nobody follows."""


# Problems and options that are searched together; more do not save time, and each takes memory.
_PROBLEMS, _OPTIONS = 48, 1 << 17
_MOST_MAPPED = 1 << 22
"""Most tilings of a problem where a mapping is searched for each tile, as by `rs`; of more a selection is tried."""

# glibc gives the memory of arrays back to the system and maps it anew, page by page, for the next ones, until a block
# as large as this was freed (mallopt(3), M_MMAP_THRESHOLD). It is never written, so that it takes no memory itself.
np.empty(1 << 24, np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What each layer costs on each accelerator; every array is (accelerators, layers, …).

    Losses are PE-cycles: PEs · cycles = executed MACs + Σ losses, to the last one. Views and, where the accelerator has
    no vector lanes, vector layers cost nothing. A layer that repeats costs its steps, one after the other, each the
    same; its tile is that of a step.
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
        """Index into ``BOUNDS`` of what would have to get faster: what set the pace of the most cycles."""
        return np.asarray(self.time.argmax(axis=-1), np.int64)


def evaluate(layers: Sequence[Layer], accelerators: Sequence[Accelerator]) -> Costs:
    """Cost every layer on every accelerator, each layer by itself with the best dataflow, tiling and loop order.

    Layers that are equal in shape are costed once; accelerators that share their array, dataflows, widths and the like
    share all that follows from these. The result for an accelerator does not depend on the others. Memory grows with
    accelerators × layers.

    Raises:
        HardwareError: a layer does not fit the global buffer even at its smallest tile.
    """
    costs, misfits = evaluate_each(layers, accelerators)
    for misfit in misfits:
        if misfit is not None:
            raise HardwareError(misfit)
    return costs


def evaluate_each(
    layers: Sequence[Layer], accelerators: Sequence[Accelerator], advance: Advance = ignore
) -> tuple[Costs, list[str | None]]:
    """Cost every layer on every accelerator, and say for each why the network does not fit it, or None.

    All costs of an accelerator that the network does not fit are 0. *advance* is told how far it is: of all
    accelerators that the network fits, in all, where it has a layer with MACs.
    """
    machines = [Machine.of(accelerator) for accelerator in accelerators]
    families: dict[Machine, list[int]] = {}
    for number, machine in enumerate(machines):
        priced = any(DATAFLOWS[flow].priced for flow in machine.dataflows)
        families.setdefault(machine.family(priced=priced), []).append(number)
    columns = _blank((len(machines), len(layers)))
    repeats = np.array([layer.repeat for layer in layers], np.int64)
    misfits: list[str | None] = [None] * len(machines)
    mac, vector = (
        np.array([number for number, layer in enumerate(layers) if layer.kind == kind], np.int64)
        for kind in ("mac", "vector")
    )
    for family, members in families.items():
        index, rates = np.array(members), Rates.of([machines[number] for number in members])
        if len(mac):
            part = [layers[number] for number in mac]
            values, least = _mac_costs(part, family, rates, advance)
            _fill(columns, np.ix_(index, mac), values)
            for member, (number, bits) in least.items():
                misfits[members[member]] = _does_not_fit(part[number], bits, accelerators[members[member]])
        if len(vector):
            values = vector_costs([layers[number] for number in vector], family, rates)
            _fill(columns, np.ix_(index, vector), values)
        for member, number in enumerate(members):
            own = {key: columns[key][number] for key in ("cycles", "dram_bytes")}
            if misfits[number] is None and _overflows(
                own, repeats, family.pes, rates.dram_bytes_per_cycle[member]
            ):
                misfits[number] = (
                    f"{accelerators[number].name}: the network takes more than 2^62 PE-cycles, which are not counted"
                )
    for number, misfit in enumerate(misfits):
        if misfit is not None:
            _fill(columns, number, _blank((len(layers),)))
    for key in _SUMS:
        columns[key] *= repeats.reshape(-1, *[1] * (columns[key].ndim - 2))
    costs = Costs(
        pes=np.array([[machine.pes] for machine in machines]),
        clock_hz=np.array([[machine.clock_hz] for machine in machines]),
        **columns,
    )
    return costs, misfits


def _overflows(costs: Columns, repeats: Ints, pes: int, dram_bytes_per_cycle: float) -> bool:
    """Whether PEs · cycles of a network come near the end of 64-bit integers, or its cycles alone have passed it.

    Cycles of the array and the lanes are at most 2^50 for each layer; those of the DRAM may be any number.
    """
    moving = costs["dram_bytes"].sum(axis=-1, dtype=np.float64) / dram_bytes_per_cycle
    cycles = np.maximum(costs["cycles"].astype(np.float64), moving) * repeats
    return bool(cycles.sum() * pes > 2.0**62)


def _blank(shape: tuple[int, ...]) -> Columns:
    tables = {"losses": len(LOSSES), "time": len(BOUNDS), "tile": 6, "dram_bytes": len(OPERANDS)}
    columns: Columns = {
        key: np.zeros(shape, np.int64) for key in ("cycles", "executed", "order", "buffer_bytes")
    }
    columns |= {key: np.zeros((*shape, width), np.int64) for key, width in tables.items()}
    columns["dataflow"] = np.full(shape, -1, np.int64)
    columns["pointwise"] = np.zeros(shape, np.bool_)
    columns["energy"] = np.zeros((*shape, len(LEVELS)), np.float64)
    return columns


def _fill(columns: Columns, where: Any, values: Columns) -> None:
    for key, column in values.items():
        columns[key][where] = column


def _mac_costs(
    layers: Sequence[Layer], family: Machine, rates: Rates, advance: Advance
) -> tuple[Columns, dict[int, tuple[int, float]]]:
    """Costs of each layer on each machine; of machines that one does not fit, that layer and the bits it needs."""
    work, layer_rows = workload_of(layers, family)
    columns, least = _blank((len(rates), len(work))), np.zeros(len(work))
    room = rates.buffer_bits - family.weights_bits
    mapped = any(DATAFLOWS[flow].least_accesses is not None for flow in family.dataflows)
    most = _MOST_MAPPED if mapped else np.inf
    for part in _parts(work, family):
        space = Space(work.take(part), family, room.max(), most)
        least[part] = space.least_footprint
        fitting = np.flatnonzero(room >= least[part].max())
        if len(fitting):
            for cluster in _search(
                space, rates, fitting, {key: column[:, part] for key, column in columns.items()}
            ):
                advance(len(cluster) * len(space.work) / len(work))
    least = least[layer_rows]
    misfits = {
        machine: (int(number), float(least[number]))
        for machine in np.flatnonzero(room < least.max()).tolist()
        for number in np.flatnonzero(least > room[machine])[:1]
    }
    return {key: column[:, layer_rows] for key, column in columns.items()}, misfits


def _parts(work: Workload, machine: Machine) -> Iterator[slice]:
    """Problems that are searched together, of which each part has no more than so many and so many options."""
    options = option_counts(work, machine)
    start, count = 0, 0
    for row, more in enumerate(options.tolist()):
        if row > start and (row - start == _PROBLEMS or count + more > _OPTIONS):
            yield slice(start, row)
            start, count = row, 0
        count += more
    yield slice(start, len(work))


def _search(space: Space, rates: Rates, fitting: Ints, columns: Columns) -> Iterator[Ints]:
    """Enter what the problems of *space* cost on machines *fitting* of *rates* into *columns*; yield those done."""
    search = Search(space, [DATAFLOWS[flow] for flow in space.machine.dataflows])
    for cluster in clusters(rates.take(fitting)):
        index = fitting[cluster]
        of = rates.take(index)
        choice = search.choose(of)
        for number in range(len(search.flows)):
            machine, row = np.nonzero(choice.flow == number)
            if len(machine):
                values = _chosen_costs(search, number, row, choice, machine, of.take(machine))
                _fill(columns, (index[machine], row), values)
        yield index


def _chosen_costs(
    search: Search, number: int, row: Ints, choice: Choice, machine: Ints, rates: Rates
) -> Columns:
    """Costs of problems *row* on *machine*, with *rates*, under the tilings of dataflow *number* chosen for them."""
    space, flow, book = search.space, search.flows[number], search.books[number]
    tilings = choice.tilings(machine, row)
    timing = book.timing(tilings, rates)
    problem, executed = space.work.take(row), flow.executed[row]
    bits = space.dram_bits(tilings.order, tilings.pixel, tilings.channel)
    inputs, weights, outputs, psums = bits
    loaded, stored = inputs + weights + psums // 2, outputs + psums // 2
    moved = book.levels(tilings)
    idle = (timing.fill, timing.dram, timing.buffer, timing.startup, timing.setup)
    nothing = np.zeros_like(timing.cycles)
    busy = timing.busy // problem.pixels * problem.valid  # every stored pixel keeps as many PEs busy
    pes = space.machine.pes
    losses = (pes * timing.stream - busy, busy - executed, *(pes * cycles for cycles in idle), nothing)
    outside = timing.setup + timing.startup
    computing = timing.cycles - outside - timing.dram_bound - timing.buffer_bound
    energy = layer_energy(problem, moved, executed, loaded, stored, timing.cycles, rates)
    return {
        "cycles": timing.cycles,
        "executed": executed,
        "losses": np.stack(losses, axis=1),
        "time": np.stack([computing, timing.dram_bound, timing.buffer_bound, outside, nothing], axis=1),
        "dataflow": _FLOW_NUMBERS[flow.flow.name],
        "order": tilings.order,
        "tile": space.tile_sizes(tilings.pixel, tilings.channel).T,
        "pointwise": problem.pointwise,
        "dram_bytes": np.stack([-(-part // 8) for part in bits], axis=1),
        "buffer_bytes": ((moved.between + loaded + stored) / 8).astype(np.int64),
        "energy": np.stack(energy, axis=1),
    }


def _does_not_fit(layer: Layer, least_bits: float, accelerator: Accelerator) -> str:
    return (
        f"{accelerator.name}: layer '{layer.name}' does not fit the global buffer even at the smallest tile that is "
        f"tried, which needs {least_bits / 8192:,.4g} KiB; "
        f"memory.global_buffer.size_kib is {accelerator.memory.global_buffer.size_kib:g}"
    )
