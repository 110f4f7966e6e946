"""(layers, accelerators) → Costs: arrays with one entry for each accelerator and layer, the best tiling chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.candidates import Tilings
from squeezesim.cost.constraints import Limits, constrained_problems
from squeezesim.cost.costs import OPERANDS, Axes, Costs, bits_table, pe_slots, stack_columns
from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.energy import add_bits, buffer_bits, layer_energy, level_bits, transfer_bits
from squeezesim.cost.given import LayerMapping, given_searches
from squeezesim.cost.lowering import as_run, joined
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import option_counts
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.cost.product import least_product
from squeezesim.cost.rates import EDP, Rates, clusters
from squeezesim.cost.search import Search
from squeezesim.cost.traffic import ORDERS, capacity, mode_of
from squeezesim.cost.vector import vector_costs
from squeezesim.cost.views import NEVER
from squeezesim.errors import HardwareError
from squeezesim.network.layer import Layer

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator

# Of all steps of a layer.
_SUMS = ("cycles", "executed", "losses", "time", "dram_bytes", "buffer_bytes", "bits", "energy")

Columns = dict[str, Any]

NO_MAPPINGS: Mapping[int, LayerMapping] = MappingProxyType({})
"""Of each layer the best tiling is searched."""

Advance = Callable[[float], None]
"""(accelerators that were costed since it was called last, of which a share of the layers is a share)"""


def ignore(_: float) -> None:
    """Do nothing: an ``Advance`` that nobody follows."""


# Problems and options that are searched together; more do not save time, and each takes memory.
_PROBLEMS, _OPTIONS = 48, 1 << 17


@cache
def _keep_freed_memory() -> None:
    """Make glibc keep the memory of arrays for the next ones, instead of mapping it anew, page by page.

    It does so once a block as large as this one was freed (mallopt(3), M_MMAP_THRESHOLD). The block is never written,
    so that it takes no memory itself.
    """
    np.empty(1 << 24, np.uint8)


def evaluate(
    layers: Sequence[Layer],
    accelerators: Sequence[Accelerator],
    mappings: Mapping[int, LayerMapping] = NO_MAPPINGS,
) -> Costs:
    """Cost every layer on every accelerator, each layer by itself with the best dataflow, tiling and loop order.

    Layers whose index has one of *mappings*, all with MACs, are costed in that instead.

    With the objective ``edp`` the layers are one network: (Σ cycles) · (Σ energy) of all of them is least. Layers that
    are equal in shape are costed once; accelerators that share their array, dataflows, widths and the like share all
    that follows from these. The result for an accelerator does not depend on the others. Memory grows with
    accelerators × layers.

    Raises:
        HardwareError: a layer does not fit the global buffer even at its smallest tile, or constraints leave it none.
        MappingError: a mapping does not fit its layer or an accelerator, or does not keep a constraint.
    """
    costs, misfits = evaluate_each(layers, accelerators, mappings=mappings)
    for misfit in misfits:
        if misfit is not None:
            raise HardwareError(misfit)
    return costs


def evaluate_each(
    layers: Sequence[Layer],
    accelerators: Sequence[Accelerator],
    advance: Advance = ignore,
    mappings: Mapping[int, LayerMapping] = NO_MAPPINGS,
) -> tuple[Costs, list[str | None]]:
    """Cost every layer on every accelerator, and say for each why the network does not fit it, or None.

    All costs of an accelerator that the network does not fit are 0. *advance* is told how far it is: of all
    accelerators that the network fits, in all, where it has a layer with MACs.
    """
    _keep_freed_memory()
    machines = [Machine.of(accelerator) for accelerator in accelerators]
    axes = Axes.of(machines)
    families: dict[Machine, list[int]] = {}
    for number, machine in enumerate(machines):
        priced = any(flow.mapping_depends_on_energy for flow in flows_of(machine).values())
        families.setdefault(machine.family(priced=priced), []).append(number)
    columns = _blank((len(machines), len(layers)), axes)
    repeats = np.array([layer.repeat for layer in layers], np.int64)
    misfits: list[str | None] = [None] * len(machines)
    mac, vector = (
        np.array(
            [number for number, layer in enumerate(layers) if layer.kind == kind and number not in mappings],
            np.int64,
        )
        for kind in ("mac", "vector")
    )
    given = np.array(sorted(mappings), np.int64)
    for family, members in families.items():
        additions = np.isin(vector, [*joined(layers, family)])
        on_lanes, run = vector[~additions], as_run(layers, family)
        index, rates = np.array(members), Rates.of([machines[number] for number in members])
        if len(on_lanes):
            values = vector_costs([layers[number] for number in on_lanes], family, rates, axes)
            _fill(columns, np.ix_(index, on_lanes), values)
        if len(given):
            chosen = [mappings[number] for number in given.tolist()]
            values = _given_costs([run[number] for number in given], chosen, family, rates, axes)
            _fill(columns, np.ix_(index, given), values)
        if len(mac):
            part, others = [run[number] for number in mac], np.concatenate([vector, given])
            cycles, energy = (columns[key][np.ix_(index, others)] for key in ("cycles", "energy"))
            sums = (
                (cycles * repeats[others]).sum(axis=-1),
                (energy.sum(axis=-1) * repeats[others]).sum(axis=-1),
            )
            beside = np.stack(sums, axis=-1)
            values, refused = _mac_costs(part, family, rates, beside, axes, advance)
            _fill(columns, np.ix_(index, mac), values)
            for member, (number, reason) in refused.items():
                accelerator = accelerators[members[member]]
                misfits[members[member]] = _misfit(part[number], reason, family, accelerator)
        for member, number in enumerate(members):
            own = {key: columns[key][number] for key in ("cycles", "dram_bytes")}
            slowest = rates.bytes_per_cycle[member].min()
            if misfits[number] is None and _overflows(own, repeats, family.pes, slowest):
                misfits[number] = (
                    f"{accelerators[number].name}: the network takes more than 2^62 PE-cycles, which are not counted"
                )
    for number, misfit in enumerate(misfits):
        if misfit is not None:
            _fill(columns, number, _blank((len(layers),), axes))
    for key in _SUMS:
        columns[key] *= repeats.reshape(-1, *[1] * (columns[key].ndim - 2))
    costs = Costs(
        pes=np.array([[machine.pes] for machine in machines]),
        clock_hz=np.array([[machine.clock_hz] for machine in machines]),
        **columns,
        **axes._asdict(),
    )
    return costs, misfits


def _overflows(costs: Columns, repeats: Ints, pes: int, bytes_per_cycle: float) -> bool:
    """Whether PEs · cycles of a network come near the end of 64-bit integers, or its cycles alone have passed it.

    Cycles of the array and the lanes are at most 2^50 for each layer; those of the DRAM may be any number.
    """
    moving = costs["dram_bytes"].sum(axis=-1, dtype=np.float64) / bytes_per_cycle
    cycles = np.maximum(costs["cycles"].astype(np.float64), moving) * repeats
    return bool(pe_slots(cycles.sum(), pes) > 2.0**62)


def _blank(shape: tuple[int, ...], axes: Axes) -> Columns:
    tables = {"losses": len(axes.causes), "time": len(axes.bounds), "tile": 6, "dram_bytes": len(OPERANDS)}
    columns: Columns = {key: np.zeros(shape, np.int64) for key in ("cycles", "executed", "buffer_bytes")}
    columns["mode"] = np.full(shape, mode_of(ORDERS[0]))
    columns |= {key: np.zeros((*shape, width), np.int64) for key, width in tables.items()}
    columns["dataflow"] = np.full(shape, -1, np.int64)
    columns["pointwise"] = np.zeros(shape, np.bool_)
    columns["energy"] = np.zeros((*shape, len(axes.levels)), np.float64)
    columns["bits"] = np.zeros((*shape, len(axes.accesses), len(OPERANDS)), np.float64)
    return columns


def _fill(columns: Columns, where: Any, values: Columns) -> None:
    for key, column in values.items():
        columns[key][where] = column


def _mac_costs(
    layers: Sequence[Layer], family: Machine, rates: Rates, beside: Floats, axes: Axes, advance: Advance
) -> tuple[Columns, dict[int, tuple[int, float | str]]]:
    """Costs of each layer on each machine; of machines that one does not fit, that layer and the bits that it needs.

    Instead of the bits it may be why the constraints leave the layer no tiling. *beside* are Σ cycles and Σ energy of
    the other layers, (machines, 2).
    """
    work, layer_rows, groups = constrained_problems(layers, family)
    columns, least = _blank((len(rates), len(work)), axes), np.zeros(len(work))
    refusals = [text for limits, rows in groups for text in limits.refusals(work.take(rows), family)]
    for number, row in enumerate(layer_rows.tolist()):
        if refusals[row]:
            nothing = {key: column[:, layer_rows] for key, column in columns.items()}
            return nothing, dict.fromkeys(range(len(rates)), (number, refusals[row]))
    room = capacity(family, rates)
    limited = [(limits, part) for limits, rows in groups for part in _parts(work, rows, family)]
    parts = [part for _, part in limited]
    searches: Iterable[Search] = (
        limits.search(work.take(part), family, room.max()) for limits, part in limited
    )
    if family.objective == EDP:
        counts = np.bincount(layer_rows, [layer.repeat for layer in layers], len(work)).astype(np.int64)
        searches = list(searches)
        rates = _weighted(searches, [counts[part] for part in parts], rates, beside)
    for part, search in zip(parts, searches, strict=True):
        least[part] = search.space.least_footprint
        fitting = np.flatnonzero(room >= least[part].max())
        if len(fitting):
            found = {key: column[:, part] for key, column in columns.items()}
            for cluster in _search(search, rates, fitting, axes, found):
                advance(len(cluster) * len(search.space.work) / len(work))
    least = least[layer_rows]
    misfits: dict[int, tuple[int, float | str]] = {
        machine: (int(number), float(least[number]))
        for machine in np.flatnonzero(room < least.max()).tolist()
        for number in np.flatnonzero(least > room[machine])[:1]
    }
    return {key: column[:, layer_rows] for key, column in columns.items()}, misfits


def _weighted(searches: Sequence[Search], counts: Sequence[Ints], rates: Rates, beside: Floats) -> Rates:
    """The machines with the weights under which the whole network's (Σ cycles) · (Σ energy) is least.

    Problem i of a search is there *counts* times; *beside* are the sums of the other layers.
    """
    room = capacity(searches[0].space.machine, rates)
    fitting = np.flatnonzero(room >= max(search.space.least_footprint.max() for search in searches))
    if len(fitting) == 0:
        return rates

    def sums(machines: Ints, weights: Floats) -> Floats:
        index = fitting[machines]
        weighted, found = rates.take(index).weighted(weights), beside[index].copy()
        for cluster in clusters(weighted):
            for search, several in zip(searches, counts, strict=True):
                found[cluster] += search.sums(weighted.take(cluster), several)
        return found

    weights = np.stack([rates.cycle_weight, rates.energy_weight], axis=-1)
    weights[fitting] = least_product(len(fitting), sums)
    return rates.weighted(weights)


def _parts(work: Workload, rows: slice, machine: Machine) -> Iterator[slice]:
    """Problems of *rows* that are searched together: each part has no more than so many and so many options."""
    options = option_counts(work.take(rows), machine)
    start, count = rows.start, 0
    for row, more in enumerate(options.tolist(), rows.start):
        if row > start and (row - start == _PROBLEMS or count + more > _OPTIONS):
            yield slice(start, row)
            start, count = row, 0
        count += more
    yield slice(start, rows.stop)


def _search(search: Search, rates: Rates, fitting: Ints, axes: Axes, columns: Columns) -> Iterator[Ints]:
    """Enter what the problems of *search* cost on machines *fitting* of *rates* into *columns*; yield those done."""
    for cluster in clusters(rates.take(fitting)):
        index = fitting[cluster]
        cluster_rates = rates.take(index)
        choice = search.choose(cluster_rates)
        for number in range(len(search.flows)):
            machine, row = np.nonzero(choice.flow == number)
            if len(machine):
                tilings = choice.tilings(machine, row)
                values = _chosen_costs(search, number, tilings, cluster_rates.take(machine), axes)
                _fill(columns, (index[machine], row), values)
        yield index


def _given_costs(
    layers: Sequence[Layer], mappings: Sequence[LayerMapping], family: Machine, rates: Rates, axes: Axes
) -> Columns:
    """Costs of each layer on each machine in the mapping that is given."""
    columns = _blank((len(rates), len(layers)), axes)
    for given in given_searches(layers, mappings, family, rates):
        for number in np.unique(given.flow).tolist():
            of_flow = np.flatnonzero(given.flow == number)
            machine, row = np.repeat(np.arange(len(rates)), len(of_flow)), np.tile(of_flow, len(rates))
            values = _chosen_costs(given.search, number, given.tilings.take(row), rates.take(machine), axes)
            _fill(columns, (machine, given.index[row]), values)
    return columns


def _chosen_costs(search: Search, number: int, tilings: Tilings, rates: Rates, axes: Axes) -> Columns:
    """Costs of *tilings* of dataflow *number*, each on its machine of *rates*."""
    space, flow, schedules, row = search.space, search.flows[number], search.caches[number], tilings.row
    timing = schedules.timing(tilings, rates)
    problem, executed = space.work.take(row), flow.executed[row]
    moved = space.residency.dram_bits(tilings.mode, tilings.pixel, tilings.channel)
    unpacked = space.residency.unpacked_weights(tilings.mode, tilings.pixel, tilings.channel)
    beside = space.second_bits[row], space.unpooled_bits[row]
    transfers = transfer_bits(space.machine, moved, unpacked, *beside)
    bits = add_bits(schedules.access_bits(tilings), transfers)
    levels = level_bits(bits)
    busy = timing.busy // problem.pixels * problem.valid  # every stored pixel keeps as many PEs busy
    pes, memories = space.machine.pes, space.machine.memory_names
    losses = {
        "edge": pe_slots(timing.stream, pes) - busy,
        "zeros": busy - executed,
        "fill": pe_slots(timing.fill, pes),
        "buffer": pe_slots(timing.buffer, pes),
        "startup": pe_slots(timing.startup, pes),
        "setup": pe_slots(timing.setup, pes),
        **dict(zip(memories, pe_slots(timing.memories, pes), strict=True)),
    }
    outside = timing.setup + timing.startup
    time = {
        "compute": timing.cycles - outside - timing.memory_bound.sum(axis=0) - timing.buffer_bound,
        "buffer": timing.buffer_bound,
        "startup": outside,
        **dict(zip(memories, timing.memory_bound, strict=True)),
    }
    energy = layer_energy(problem, levels, executed, timing.cycles, rates)
    return {
        "cycles": timing.cycles,
        "executed": executed,
        "losses": stack_columns(losses, axes.causes),
        "time": stack_columns(time, axes.bounds),
        "dataflow": axes.dataflows.index(flow.flow.name),
        "mode": tilings.mode,
        "tile": space.tile_sizes(tilings.pixel, tilings.channel).T,
        "pointwise": problem.pointwise,
        "dram_bytes": np.stack([-(-part // 8) for part in moved], axis=1),
        "buffer_bytes": (buffer_bits(levels) / 8).astype(np.int64),
        "bits": bits_table(bits, axes),
        "energy": stack_columns(energy, axes.levels),
    }


def _misfit(layer: Layer, reason: float | str, family: Machine, accelerator: Accelerator) -> str:
    """Why *layer* cannot be costed: the bits that it needs at least, or what its constraints do not leave."""
    buffer, limits = accelerator.memory.global_buffer, Limits.of(layer, family)
    who, under = f"{accelerator.name}: layer '{layer.name}'", f" by {limits.text}" if limits.text else ""
    if isinstance(reason, str):
        return f"{who}: {reason}{'' if limits.unrun else under}"
    size = f"{reason / 8192:,.4g} KiB" if reason < 1e4 * 8192 else f"{reason / 8192:,.0f} KiB"
    if buffer.parts:
        full = reason / (buffer.size_kib * 8192)
        size = f"{full:.2f} times what a part holds" if full < 1e4 else f"{full:,.0f} times what a part holds"
    parts = f"memory.global_buffer.weights_kib is {buffer.weights_kib:g}"
    room = f"memory.global_buffer.size_kib is {buffer.size_kib:g}"
    room = f"memory.global_buffer.parts are {'; '.join(buffer.texts())}" if buffer.parts else room
    if limits.stays:
        text = f"{who}: no mapping in which {' and '.join(limits.stays)} stay is left{under}"
        if reason < NEVER:
            return f"{text}, since the smallest needs {size}; {room}"
        order = "" if family.stays else "; mapper.residency is order"
        return f"{text}{order}; {parts}" if buffer.weights_kib else f"{text}{order}"
    if reason >= NEVER:
        return f"{who} has no tile{under} whose weights fit their part of the buffer; {parts}"
    return (
        f"{who} does not fit the global buffer even at the smallest tile that is "
        f"{'allowed' if under else 'tried'}{under}, which needs {size}; {room}"
    )
