"""(layers, accelerators) → Costs: arrays with one entry for each accelerator and layer, the best tiling chosen."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from squeezesim.cost.alternatives import Alternatives
from squeezesim.cost.candidates import Tilings
from squeezesim.cost.constraints import Limits, constrained_problems, searched_together
from squeezesim.cost.costs import HOMED, HOMES, OPERANDS, Axes, Costs, bits_table, pe_slots, stack_columns
from squeezesim.cost.dataflow import family_of
from squeezesim.cost.energy import add_bits, buffer_bits, layer_energy, level_bits, transfer_bits
from squeezesim.cost.given import LayerMapping, given_searches
from squeezesim.cost.joining import UNFIT, Joining
from squeezesim.cost.layings import LAID_BY
from squeezesim.cost.lowering import as_run, joined
from squeezesim.cost.machine import Machine
from squeezesim.cost.placement import Place
from squeezesim.cost.prefetch import load_ahead
from squeezesim.cost.problem import IN_MEMORY, Bools, Floats, Homes, Ints
from squeezesim.cost.product import least_product
from squeezesim.cost.rates import EDP, ENERGY, LATENCY, Rates
from squeezesim.cost.recurrence import first_loads, staying
from squeezesim.cost.residents import residents_of
from squeezesim.cost.search import Search, totals
from squeezesim.cost.stores import overfull
from squeezesim.cost.traffic import ORDERS, capacity, mode_of
from squeezesim.cost.vector import Streams, vector_costs
from squeezesim.cost.views import NEVER
from squeezesim.cost.weights import has_weights, lasting, load_once
from squeezesim.errors import HardwareError, MappingError
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
    homes: Sequence[Homes] = (),
    places: Sequence[Place] = (),
) -> Costs:
    """Cost every layer on every accelerator, with the best dataflow, tiling and loop order.

    Where the buffer may keep feature maps, or weights of a recurrence, those live in it with which the network costs
    least (``placement``), unless the *homes* of each layer are given, or the whole *places*; then all joins that can
    join the layer before. Layers whose index has one of *mappings*, all with MACs, are costed in that instead; then
    nothing else is kept.

    With the objective ``edp`` the layers are one network: (Σ cycles) · (Σ energy) of all of them is least. Layers that
    are equal in shape are costed once; accelerators that share their array, dataflows, widths and the like share all
    that follows from these. The result for an accelerator does not depend on the others. Memory grows with
    accelerators × layers.

    Raises:
        HardwareError: a layer does not fit the global buffer even at its smallest tile, or constraints leave it none.
        MappingError: a mapping does not fit its layer or an accelerator, or does not keep a constraint.
    """
    if homes:
        places = [
            Place(at, layer.input_elements * (not at.inputs), not at.outputs)
            for layer, at in zip(layers, homes, strict=True)
        ]
    costs, misfits = evaluate_each(layers, accelerators, mappings=mappings, places=places)
    for misfit in misfits:
        if misfit is not None:
            raise HardwareError(misfit)
    return costs


def evaluate_each(
    layers: Sequence[Layer],
    accelerators: Sequence[Accelerator],
    advance: Advance = ignore,
    mappings: Mapping[int, LayerMapping] = NO_MAPPINGS,
    places: Sequence[Place] = (),
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
        families.setdefault(family_of(machine), []).append(number)
    columns = _blank((len(machines), len(layers)), axes)
    repeats = np.array([layer.repeat for layer in layers], np.int64)
    owners = [n for n, layer in enumerate(layers) if has_weights(layer) and (places or layer.repeat > 1)]
    once = _blank((len(machines), len(owners)), axes)  # before the first step
    wrapping = {number for family in families if _may_overflow(layers, family) for number in families[family]}
    misfits: list[str | None] = [
        f"{accelerator.name}: {_MAY_WRAP}" if number in wrapping else None
        for number, accelerator in enumerate(accelerators)
    ]
    families = {family: members for family, members in families.items() if not {*members} <= wrapping}
    for family, members in families.items():
        index, rates = np.array(members), Rates.of([machines[number] for number in members])
        first, alike = rates.distinct()
        several = rates.take(first)

        def advance_all(part: float, each: float = len(alike) / len(first)) -> None:
            advance(part * each)

        found, refused = _family_costs(layers, mappings, family, several, axes, advance_all, places)
        if family.loads_ahead:
            found = load_ahead(layers, found, family, several, axes)
        for key, column in found.items():
            columns[key][index] = column[alike]
        for key, column in _loaded_once(layers, owners, found, family, several, axes).items():
            once[key][index] = column[alike]
        for number, which in zip(members, alike.tolist(), strict=True):
            if which in refused:
                misfits[number] = _misfit(*refused[which], family, accelerators[number])
        for member, number in enumerate(members):
            own = {key: columns[key][number] for key in ("cycles", "dram_bytes")}
            slowest = rates.bytes_per_cycle[member].min()
            slots, before = family.pes * family.most_macs, float(once["cycles"][number].sum())
            reason = overfull(layers, machines[number])
            if not reason and _overflows(own, repeats, slots, slowest, before):
                reason = _TOO_LONG
            if misfits[number] is None and reason:
                misfits[number] = f"{accelerators[number].name}: {reason}"
    for number, misfit in enumerate(misfits):
        if misfit is not None:
            _fill(columns, number, _blank((len(layers),), axes))
            _fill(once, number, _blank((len(owners),), axes))
    return _costs(columns, machines, repeats, axes, owners, once), misfits


def _loaded_once(
    layers: Sequence[Layer], owners: Sequence[int], found: Columns, family: Machine, rates: Rates, axes: Axes
) -> Columns:
    """Costs of loading the weights of layers *owners* before the first step, where they stay in the buffer."""
    stay = found["homes"][:, owners, HOMED.index("weights")] == HOMES.index("buffer")
    if not stay.any():
        return {}
    loads = first_loads([layers[number] for number in owners], family, rates, axes)
    return {
        key: loads[key] * stay.reshape(*stay.shape, *[1] * (loads[key].ndim - 2))
        for key in _SUMS
        if key in loads
    }


def evaluate_placed(
    layers: Sequence[Layer], accelerator: Accelerator, numbers: Sequence[int], places: Sequence[Place]
) -> Costs:
    """Cost layer ``numbers[i]`` of the network *layers* in ``places[i]``, in which it has to fit, as one row.

    By ``edp`` each is a network of its own. None of them repeats: loads of weights before a first step are not counted.
    """
    machine = Machine.of(accelerator)
    axes, rates = Axes.of([machine]), Rates.of([machine])
    family = family_of(machine)
    run, joins = as_run(layers, family), joined(layers, family)
    own = [layers[number] for number in numbers]
    absorbed = {index for index, number in enumerate(numbers) if number in joins}
    items, placed = [run[number] for number in numbers], [(np.arange(1), places)]
    columns, _ = _placed_costs(own, items, absorbed, {}, family, rates, axes, ignore, placed, weighted=True)
    return _costs(columns, [machine], np.array([layer.repeat for layer in own], np.int64), axes)


def _costs(
    columns: Columns,
    machines: Sequence[Machine],
    repeats: Ints,
    axes: Axes,
    owners: Sequence[int] = (),
    once: Columns | None = None,
) -> Costs:
    """Costs of all steps of layers from the *columns* of one step of each, and those that come *once* of *owners*."""
    for key in _SUMS:
        columns[key] *= repeats.reshape(-1, *[1] * (columns[key].ndim - 2))
        if once is not None:
            columns[key][:, owners] += once[key]
    return Costs(
        pes=np.array([[machine.pes] for machine in machines]),
        clock_hz=np.array([[machine.clock_hz] for machine in machines]),
        **columns,
        **axes._asdict(),
    )


_TOO_LONG = "the network takes more than 2^62 PE-cycles, which are not counted"
_MAY_WRAP = "swaps, intervals or latencies could take more than 2^62 cycles of a layer, which are not counted"


def _may_overflow(layers: Sequence[Layer], family: Machine) -> bool:
    """Whether cycles that come with each block, step or tile pass 2^62 in some layer, if each does a MAC."""
    of_units = (max(unit.interval, unit.preload, unit.latency) for unit in family.units)
    longest = max(family.weight_swap, *of_units, 1)
    macs = max((layer.macs // layer.repeat for layer in layers), default=0)
    return longest * macs > 1 << 62


def _overflows(costs: Columns, repeats: Ints, pes: int, bytes_per_cycle: float, before: float) -> bool:
    """Whether PEs · cycles of a network come near the end of 64-bit integers, or its cycles alone have passed it.

    Cycles of the array and the lanes are at most 2^50 for each layer; those of the DRAM may be any number. *before* are
    those of loads before first steps.
    """
    moving = costs["dram_bytes"].sum(axis=-1, dtype=np.float64) / bytes_per_cycle
    cycles = np.maximum(costs["cycles"].astype(np.float64), moving) * repeats
    return bool(pe_slots(cycles.sum() + before, pes) > 2.0**62)


def _blank(shape: tuple[int, ...], axes: Axes) -> Columns:
    tables = {"losses": len(axes.causes), "time": len(axes.bounds), "tile": 6, "dram_bytes": len(OPERANDS)}
    columns: Columns = {key: np.zeros(shape, np.int64) for key in ("cycles", "executed", "buffer_bytes")}
    columns["mode"] = np.full(shape, mode_of(ORDERS[0]))
    columns |= {key: np.zeros((*shape, width), np.int64) for key, width in tables.items()}
    columns["dataflow"] = np.full(shape, -1, np.int64)
    columns["pointwise"] = np.zeros(shape, np.bool_)
    columns["laid_by"] = np.zeros(shape, np.int64)
    columns["energy"] = np.zeros((*shape, len(axes.levels)), np.float64)
    columns["bits"] = np.zeros((*shape, len(axes.accesses), len(OPERANDS)), np.float64)
    columns |= {"homes": np.zeros((*shape, len(HOMED)), np.int64), "kept_bytes": np.zeros(shape, np.int64)}
    columns["ahead_bytes"] = np.zeros(shape, np.int64)
    return columns


def _fill(columns: Columns, where: Any, values: Columns) -> None:
    for key, column in values.items():
        columns[key][where] = column


Refused = dict[int, tuple[Layer, float | str]]
"""Of machines that a layer does not fit: it, and the bits that it needs or why constraints leave it no tiling."""


class _Run(NamedTuple):
    """A network on a family: its layers and what joins them, *items*, with the costs of each on each machine."""

    items: Sequence[Layer]
    joining: Joining
    family: Machine
    rates: Rates
    axes: Axes
    columns: Columns  # (machines, items, …)
    there: Bools  # (machines, items): it fits
    homes: Sequence[Homes] = ()  # of each item; none: in memories

    def homes_of(self, items: Iterable[int]) -> list[Homes]:
        """Those of *items*; none where all are in memories."""
        return [self.homes[number] for number in items] if self.homes else []

    @property
    def values(self) -> tuple[Floats, Floats]:
        """Cycles and energy of each item on each machine."""
        energy = self.columns["energy"].sum(axis=-1)
        return np.where(self.there, self.columns["cycles"] * 1.0, UNFIT), np.where(self.there, energy, UNFIT)


def _family_costs(
    layers: Sequence[Layer],
    mappings: Mapping[int, LayerMapping],
    family: Machine,
    rates: Rates,
    axes: Axes,
    advance: Advance,
    places: Sequence[Place] = (),
) -> tuple[Columns, Refused]:
    """Costs of one step of each layer on each machine of a family, with what joins it there."""
    placed: Iterable[tuple[Ints, Sequence[Place]]] = [(np.arange(len(rates)), places)]
    keeps = family.keeps_maps or family.keeps_weights
    if keeps and not mappings and not places:
        residents = residents_of(layers, family, rates, axes)
        placed, rates = residents.alike(layers), residents.rates
    if places or (keeps and not mappings):
        run = as_run(layers, family), {*joined(layers, family)}
        weighted = not places
        return _placed_costs(layers, *run, mappings, family, rates, axes, advance, placed, weighted=weighted)
    if mappings or not any(staying(layers, family)):
        last = lasting(layers, family).layers
        if not last:
            return _joined_costs(layers, mappings, family, rates, axes, advance)
        at = [IN_MEMORY._replace(weights=n in last, lasting=n in last) for n in range(len(layers))]
        found, refused = _joined_costs(layers, mappings, family, rates, axes, advance, at)
        _enter_places(
            found,
            layers,
            [Place(home, layer.input_elements, stored=True) for home, layer in zip(at, layers, strict=True)],
        )
        return found, refused
    columns, refused = _blank((len(rates), len(layers)), axes), Refused()
    for index, same in _places_of_steps(layers, family, rates, axes):
        at = [place.homes for place in same]
        found, misfits = _joined_costs(layers, {}, family, rates.take(index), axes, advance, at)
        _enter_places(found, layers, same)
        _fill(columns, index, found)
        refused |= {int(index[member]): reason for member, reason in misfits.items()}
    return columns, refused


def _places_of_steps(
    layers: Sequence[Layer], family: Machine, rates: Rates, axes: Axes
) -> Iterator[tuple[Ints, Sequence[Place]]]:
    """Machines on which the same weights of recurrences stay, and the place of each layer there.

    They stay where the steps cost less so. Those of one recurrence do not depend on the rest of a network, but by
    ``edp``; there what can join a layer does.
    """
    if family.objective != EDP and not family.lasting_bits:
        layers = [
            each if each.repeat > 1 else Layer(name=each.name, op="apart", kind="view") for each in layers
        ]
    yield from residents_of(layers, family, rates, axes).alike(layers)


def _enter_places(columns: Columns, layers: Sequence[Layer], places: Sequence[Place]) -> None:
    """Enter where the operands of each layer live."""
    columns["homes"][:] = [place.home_of(layer) for layer, place in zip(layers, places, strict=True)]
    columns["kept_bytes"][:] = [place.homes.kept // 8 for place in places]


def _joined_costs(
    layers: Sequence[Layer],
    mappings: Mapping[int, LayerMapping],
    family: Machine,
    rates: Rates,
    axes: Axes,
    advance: Advance,
    homes: Sequence[Homes] = (),
) -> tuple[Columns, Refused]:
    """The same without feature maps that stay, where what can join a layer does if that is better.

    *homes* are those of each layer; none: in memories.
    """
    joining = Joining(layers, family)
    always = {*joined(layers, family)} if family.joins_always else {*()}
    own = as_run(layers, family) if always else layers
    items = [*own, *(variant.joint.runs(layers, variant.joined) for variant in joining.variants)]
    shape = len(rates), len(items)
    at = [*homes, *(homes[each.joint.maker] for each in joining.variants)] if homes else ()
    network = _Run(items, joining, family, rates, axes, _blank(shape, axes), np.ones(shape, np.bool_), at)
    vector = [
        number for number, layer in enumerate(layers) if layer.kind == "vector" and number not in always
    ]
    if vector:
        places = [Place(homes[n], layers[n].input_elements, stored=True) for n in vector] if homes else []
        values = vector_costs([layers[n] for n in vector], family, rates, axes, [*map(_streams, places)])
        _fill(network.columns, (slice(None), vector), values)
    given = {number: mappings[number] for number in sorted(mappings)}
    given |= {
        each.item: mappings[each.joint.maker] for each in joining.variants if each.joint.maker in mappings
    }
    if given:
        _enter_given(network, given)
    mac = [number for number, layer in enumerate(items) if layer.kind == "mac" and number not in given]
    others = [number for number in (*vector, *given) if number not in joining.items]
    refused: Refused = {}
    if mac:
        refused, rates = _enter_searched(network, mac, others, advance)
    if joining.joints:
        _join(network._replace(rates=rates))
    return {key: column[:, : len(layers)] for key, column in network.columns.items()}, refused


def _placed_costs(
    layers: Sequence[Layer],
    items: Sequence[Layer],
    joins: Container[int],
    mappings: Mapping[int, LayerMapping],
    family: Machine,
    rates: Rates,
    axes: Axes,
    advance: Advance,
    placed: Iterable[tuple[Ints, Sequence[Place]]],
    *,
    weighted: bool,
) -> tuple[Columns, Refused]:
    """The same on groups of machines on which each layer has the same place.

    *items* are the layers as they are run, with those of *joins* in the ones before. *weighted*: the weights of *rates*
    are those of the network.
    """
    columns, refused = _blank((len(rates), len(layers)), axes), Refused()
    vector = [number for number, layer in enumerate(layers) if layer.kind == "vector" and number not in joins]
    mac = [number for number, layer in enumerate(layers) if layer.kind == "mac" and number not in mappings]
    for index, places in placed:
        own, homes = rates.take(index), [place.homes for place in places]
        shape = len(index), len(items)
        there = np.ones(shape, np.bool_)
        run = _Run(items, Joining([], family), family, own, axes, _blank(shape, axes), there, homes)
        if vector:
            streams = [_streams(places[number]) for number in vector]
            values = vector_costs([layers[number] for number in vector], family, own, axes, streams)
            _fill(run.columns, (slice(None), vector), values)
        if mappings:
            _enter_given(run, mappings)
        if mac:
            misfits, _ = _enter_searched(run, mac, [*vector, *mappings], advance, weighted=weighted)
            refused |= {int(index[member]): reason for member, reason in misfits.items()}
        _enter_places(run.columns, layers, places)
        _fill(columns, index, run.columns)
    return columns, refused


def _streams(place: Place) -> Streams:
    """What of the operands of a layer without MACs passes the memories."""
    return Streams(place.loaded, place.stored, not place.homes.weights)


def _join(run: _Run) -> None:
    """Enter for each layer that others can join what it costs with those that do, which cost nothing then."""
    joining, columns = run.joining, run.columns
    nothing = _blank((1, 1), run.axes)
    taken = joining.choose(*run.values, run.rates)
    for joint, options, option in zip(joining.joints, joining.options, taken, strict=True):
        for number, items in enumerate(options[:-1]):  # the last is that none joins
            machines = np.flatnonzero(option == number)
            for column in columns.values():
                column[machines, joint.maker] = column[machines, items[0]]
            for post in joint.post_ops[: len(joint.post_ops) - number]:
                _fill(columns, (machines, post), {key: column[0, 0] for key, column in nothing.items()})


def _enter_given(run: _Run, given: Mapping[int, LayerMapping]) -> None:
    """Enter what layers cost in the mappings that are given.

    Raises:
        MappingError: a mapping does not fit, neither with what can join the layer nor without.
    """
    joining, errors = run.joining, dict[int, MappingError]()
    several = [number for number in given if number in joining.items]
    alone = [number for number in given if number not in joining.items]
    for group in [*([alone] if alone else []), *([number] for number in several)]:
        layers, chosen = [run.items[number] for number in group], [given[number] for number in group]
        try:
            _fill(
                run.columns,
                (slice(None), group),
                _given_costs(layers, chosen, run.family, run.rates, run.axes, run.homes_of(group)),
            )
        except MappingError as error:
            if group is alone:
                raise
            errors[group[0]], run.there[:, group] = error, False
    for joint in joining.joints:
        ways = {joint.maker, *(each.item for each in joining.variants if each.joint is joint)}
        if ways <= errors.keys():
            raise errors[joint.maker]


class _Problems:
    """The distinct problems of items *numbers*; where they are *optional*, one that does not fit stands alone."""

    def __init__(self, run: _Run, numbers: Sequence[int], *, optional: bool) -> None:
        self.numbers, self._family, self._optional = numbers, run.family, optional
        self.room = capacity(run.family, run.rates)
        self.work, self.rows, self._groups = constrained_problems(
            [run.items[n] for n in numbers], run.family, run.homes_of(numbers)
        )
        self.refusals = [
            text
            for limits, rows in self._groups
            for text in limits.refusals(self.work.take(rows), run.family)
        ]
        self.least = np.array([NEVER if text else 0.0 for text in self.refusals])

    def searches(self) -> Iterator[tuple[slice, Alternatives]]:
        """Yield parts of the problems, each with the search for it, whose ``least`` bits are known then."""
        for limits, rows in self._groups:
            for part in searched_together(self.work, rows, self._family):
                if not any(self.refusals[part]):
                    search = self._searched(limits, part)
                    if not self._optional or self.least[part].max() <= self.room.min():
                        yield part, search
                        continue
                for row in range(part.start, part.stop):
                    if not self.refusals[row]:
                        yield slice(row, row + 1), self._searched(limits, slice(row, row + 1))

    def _searched(self, limits: Limits, part: slice) -> Alternatives:
        search = limits.search(self.work.take(part), self._family, self.room.max())
        self.least[part] = search.least_footprint
        return search

    def fitting(self, part: slice) -> Ints:
        """Machines that all problems of a part fit."""
        return np.flatnonzero(self.room >= self.least[part].max())

    @property
    def fits(self) -> Bools:
        """Whether each item fits each machine, (machines, items)."""
        return np.asarray(self.room[:, None] >= self.least[self.rows])


class _Searched(NamedTuple):
    """A part of some problems, and the search for it."""

    problems: _Problems
    part: slice
    search: Alternatives


def _enter_searched(
    run: _Run, mac: Sequence[int], others: Sequence[int], advance: Advance, *, weighted: bool = False
) -> tuple[Refused, Rates]:
    """Enter what items *mac* cost in their best tilings; return the layers that machines cannot run.

    And the machines with the weights that tilings were compared by. What others joined need not fit: it is not *there*
    then. *others* are the layers that no choice is left of. *weighted*: the machines have these weights already.
    """
    rates, own = run.rates, len(run.items) - len(run.joining.variants)
    plain, variants = [n for n in mac if n < own], [n for n in mac if n >= own]
    every = [_Problems(run, plain, optional=False)]
    for number, row in zip(plain, every[0].rows.tolist(), strict=True):
        if every[0].refusals[row]:
            return dict.fromkeys(range(len(rates)), (run.items[number], every[0].refusals[row])), rates
    if variants:
        every.append(_Problems(run, variants, optional=True))
        run.there[:, variants] = every[1].least[every[1].rows] < NEVER
    searches: Iterable[_Searched] = (
        _Searched(problems, *search) for problems in every for search in problems.searches()
    )
    if run.family.objective == EDP and not weighted:
        searches = list(searches)
        rates = _weighted(run, every, searches, others)
    count = sum(len(problems.work) for problems in every)
    found = {id(problems): _blank((len(rates), len(problems.work)), run.axes) for problems in every}
    for problems, part, search in searches:
        fitting = problems.fitting(part)
        if len(fitting):
            columns = {key: column[:, part] for key, column in found[id(problems)].items()}
            for cluster in _search(search, rates, fitting, run.axes, run.family.pes, columns):
                advance(len(cluster) * search.count / count)
    for problems in every:
        values = {key: column[:, problems.rows] for key, column in found[id(problems)].items()}
        _fill(run.columns, (slice(None), problems.numbers), values)
        run.there[:, problems.numbers] = problems.fits
    refused: Refused = {}
    for machine, fits in enumerate(every[0].fits):
        for place in np.flatnonzero(~fits)[:1].tolist():
            refused[machine] = run.items[plain[place]], float(every[0].least[every[0].rows[place]])
    return refused, rates


def _weighted(
    run: _Run,
    every: Sequence[_Problems],
    searches: Sequence[_Searched],
    others: Sequence[int],
) -> Rates:
    """The machines with the weights under which the whole network's (Σ cycles) · (Σ energy) is least.

    *others* are layers that no choice is left of.
    """
    rates, joining = run.rates, run.joining
    fitting = np.flatnonzero(every[0].fits.all(axis=1))
    if len(fitting) == 0:
        return rates
    repeats = np.array([run.items[number].repeat for number in others], np.int64)
    cycles, energy = (run.columns[key][:, others] for key in ("cycles", "energy"))
    beside = np.stack(
        [(cycles * repeats).sum(axis=-1), (energy.sum(axis=-1) * repeats).sum(axis=-1)], axis=-1
    )
    stay = [layer for layer, at in zip(run.items, run.homes, strict=False) if load_once(layer, at)]
    if stay:
        loads = first_loads(stay, run.family, rates, run.axes)
        beside += np.stack([loads["cycles"].sum(axis=-1), loads["energy"].sum(axis=(-1, -2))], axis=-1)
    counts: dict[int, Ints] = {}
    chosen: dict[int, tuple[Ints, Ints]] = {}  # items that there is a choice of, and their rows
    for problems in every:
        free = [0 if n in joining.items else run.items[n].repeat for n in problems.numbers]
        counts[id(problems)] = np.bincount(problems.rows, free, len(problems.work)).astype(np.int64)
        some = np.isin(problems.numbers, joining.items)
        chosen[id(problems)] = np.array(problems.numbers)[some], problems.rows[some]

    def sums(machines: Ints, weights: Floats) -> Floats:
        index = fitting[machines]
        weighted, found = rates.take(index).weighted(weights), beside[index].copy()
        cycles, energy = (part[index] for part in run.values)
        for problems, part, search in searches:
            fits = np.isin(index, problems.fitting(part))
            several = counts[id(problems)][part]
            numbers, rows = (each[_within(chosen[id(problems)][1], part)] for each in chosen[id(problems)])
            cycles[np.ix_(~fits, numbers)] = energy[np.ix_(~fits, numbers)] = UNFIT
            for cluster in search.groups(weighted.take(np.flatnonzero(fits))):
                where = np.flatnonzero(fits)[cluster]
                measures = search.choose(weighted.take(where)).measures
                found[where] += totals(measures, several)
                cycles[np.ix_(where, numbers)] = measures[LATENCY][:, rows - part.start]
                energy[np.ix_(where, numbers)] = measures[ENERGY][:, rows - part.start]
        return np.asarray(found + joining.sums(cycles, energy, weighted)) if joining.joints else found

    weights = np.stack([rates.cycle_weight, rates.energy_weight], axis=-1)
    weights[fitting] = least_product(len(fitting), sums)
    return rates.weighted(weights)


def _within(rows: Ints, part: slice) -> Bools:
    """Which of *rows* are in a part."""
    return np.asarray((rows >= part.start) & (rows < part.stop))


def _search(
    searches: Alternatives, rates: Rates, fitting: Ints, axes: Axes, pes: int, columns: Columns
) -> Iterator[Ints]:
    """Enter what the problems of *searches* cost on machines *fitting* of *rates* into *columns*; yield those done."""
    for cluster in searches.groups(rates.take(fitting)):
        index = fitting[cluster]
        cluster_rates = rates.take(index)
        taken = searches.choose(cluster_rates)
        for search, flow, machine, row, tilings in searches.tilings(taken):
            values = _chosen_costs(search, flow, tilings, cluster_rates.take(machine), axes, pes)
            _fill(columns, (index[machine], row), values)
        yield index


def _given_costs(
    layers: Sequence[Layer],
    mappings: Sequence[LayerMapping],
    family: Machine,
    rates: Rates,
    axes: Axes,
    homes: Sequence[Homes] = (),
) -> Columns:
    """Costs of each layer on each machine in the mapping that is given."""
    columns = _blank((len(rates), len(layers)), axes)
    for given in given_searches(layers, mappings, family, rates, homes):
        for number in np.unique(given.flow).tolist():
            of_flow = np.flatnonzero(given.flow == number)
            machine, row = np.repeat(np.arange(len(rates)), len(of_flow)), np.tile(of_flow, len(rates))
            tilings = given.tilings.take(row)
            values = _chosen_costs(given.search, number, tilings, rates.take(machine), axes, family.pes)
            _fill(columns, (machine, given.index[row]), values)
    return columns


def _chosen_costs(
    search: Search, number: int, tilings: Tilings, rates: Rates, axes: Axes, pes: int
) -> Columns:
    """Costs of *tilings* of dataflow *number*, each on its machine of *rates*, which have so many *pes*."""
    space, flow, schedules, row = search.space, search.flows[number], search.caches[number], tilings.row
    timing = schedules.timing(tilings, rates)
    problem, executed = space.work.take(row), flow.executed[row]
    moved = space.residency.dram_bits(tilings.mode, tilings.pixel, tilings.channel)
    unpacked = space.residency.unpacked_weights(tilings.mode, tilings.pixel, tilings.channel)
    beside = space.added_bits[row], space.unpooled_bits[row]
    transfers = transfer_bits(space.machine, moved, unpacked, *beside)
    bits = add_bits(schedules.access_bits(tilings), transfers)
    levels = level_bits(bits)
    busy = timing.busy // problem.pixels * problem.valid  # every stored pixel keeps as many PEs busy
    memories = space.machine.memory_names

    def slots(cycles: Ints) -> Ints:
        return np.asarray(pe_slots(cycles, pes, problem.macs_at_once, problem.cycles_at_once), np.int64)

    waits = {
        "fill": slots(timing.fill),
        "buffer": slots(timing.buffer),
        "startup": slots(timing.startup),
        "setup": slots(timing.setup),
        **dict(zip(memories, slots(timing.memories), strict=True)),
    }
    # What is left also has the parts of slots that the others leave.
    edge = slots(timing.cycles) - busy - sum(waits.values())
    losses = {"edge": edge, "zeros": busy - executed, **waits}
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
        "laid_by": LAID_BY.index(space.machine.laid_by),
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
