"""The placement of a network on the machines of a family: what each layer costs in each place, searched on demand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.alternatives import Alternatives
from squeezesim.cost.constraints import constrained_problems, searched_together
from squeezesim.cost.contiguous import Contiguous
from squeezesim.cost.costs import HOMED, HOMES, Axes, Costs
from squeezesim.cost.dataflow import family_of
from squeezesim.cost.given import LayerHomes
from squeezesim.cost.lowering import as_run, joined
from squeezesim.cost.machine import Machine
from squeezesim.cost.maps import NONE, Maps, maps_of
from squeezesim.cost.placement import (
    MOST_DROPPED,
    Key,
    KeyCosts,
    Passage,
    Place,
    Placement,
    State,
    Value,
    best_placements,
    graph_of,
    passages_of,
    places_after,
)
from squeezesim.cost.problem import IN_MEMORY, Bools, Floats, Homes, Ints, operands_of
from squeezesim.cost.product import least_product
from squeezesim.cost.rates import EDP, ENERGY, LATENCY, Rates, clusters
from squeezesim.cost.recurrence import first_loads
from squeezesim.cost.traffic import capacity, room_for_maps
from squeezesim.cost.vector import Streams, vector_costs
from squeezesim.cost.weights import Lasting, lasting, load_once, splits
from squeezesim.errors import MappingError, UsageError
from squeezesim.network.layer import Layer

_IN_MEMORIES = LayerHomes((HOMES[0],) * len(HOMED))
_WEIGHTS, _STAYS = HOMED.index("weights"), "stays"
_MOST_KEPT = 8  # searches: each has the options of its layers
_MOST_GIVEN = 10  # maps that may be dropped before a layer in all combinations, where homes are given


@dataclass(frozen=True, slots=True)
class Residents:
    """The best placements of a network on machines of a family.

    Attributes:
        placements: of each machine; None where the network does not fit it.
        rates: the machines, with the weights of cycles and energy that the objective has.
    """

    placements: Sequence[Placement | None]
    rates: Rates

    def alike(self, layers: Sequence[Layer]) -> Iterator[tuple[Ints, Sequence[Place]]]:
        """Machines with the same place of each of *layers*, and that; in memories where there is no placement."""
        of: dict[tuple[Place, ...], list[int]] = {}
        for machine, found in enumerate(self.placements):
            places = (
                (Place(IN_MEMORY, layer.input_elements, stored=True) for layer in layers)
                if found is None
                else found.places
            )
            of.setdefault(tuple(places), []).append(machine)
        for same, machines in of.items():
            yield np.array(machines), same


def residents_of(layers: Sequence[Layer], family: Machine, rates: Rates, axes: Axes) -> Residents:
    """Place what may stay of *layers* in the buffers of machines of a family, by its objective.

    Machines are those of *rates*; slack is not used up here.
    """
    room = room_for_maps(family, rates)
    ways = [maps_on(layers, family, weights) for weights in splits(layers, family, room.max())]
    maps = ways[0]
    shapes, examples = _shapes(maps, family)
    graphs = {
        bits: [
            graph_of(way, shapes, bits, _ample(way, family, rates, bits), by_held=family.contiguous)
            for way in ways
            if way.lasting.resident <= bits
        ]
        for bits in dict.fromkeys(room.tolist())
    }
    of = [graphs[bits] for bits in room.tolist()]

    searches = _Searches(family)

    def placed(machines: Ints, weighted: Rates) -> tuple[list[Placement | None], Floats]:
        values = _Values(maps, examples, searches, weighted.without_slack(), axes)
        fixed = [maps.layers[example].kind != "mac" for example in examples]
        own = [of[machine] for machine in machines.tolist()]
        if family.contiguous:
            costs = KeyCosts([graph for some in own for graph in some], fixed, values.search)
            found = [
                Contiguous([*zip(some, ways, strict=False)], costs, number, int(room[machine])).best()
                for number, (machine, some) in enumerate(zip(machines.tolist(), own, strict=True))
            ]
        else:
            found = best_placements(own, fixed, values.search)
        if family.objective != EDP:  # which alone looks at them
            return found, np.zeros((len(found), 2))
        sums = [values.sums(number, path) for number, path in enumerate(found)]
        return found, np.array(sums).reshape(-1, 2)

    every = np.arange(len(rates))
    if family.objective == EDP:
        weights = least_product(
            len(rates), lambda machines, weights: placed(machines, rates.take(machines).weighted(weights))[1]
        )
        rates = rates.weighted(weights)
    return Residents(placed(every, rates)[0], rates)


def ways_through(
    layers: Sequence[Layer], parts: Sequence[range], family: Machine, rates: Rates, axes: Axes
) -> list[dict[tuple[int, int], Passage]]:
    """Return the best placements of each of *parts* of the layers, which stand one after the other, on one machine.

    Keys are how the map that is alive before a part, and that after it, are in the buffer: 0 not, 1 alone, 2 in a
    memory too. The cheapest network of such parts is a path through them, whichever of them it leaves out.

    Raises:
        UsageError: several maps are alive between two parts, or maps need addresses.
    """
    if family.contiguous:
        raise UsageError(
            "blocks are added up, which addresses of their feature maps are not; allowed: memory.global_buffer.layout "
            "paged, or memory.placement layer"
        )
    maps = maps_on(layers, family, lasting(layers, family))
    shapes, examples = _shapes(maps, family)
    room = int(room_for_maps(family, rates)[0])
    # Of a map between two parts every home has to be there, since other parts may stand before and after it.
    between = {home for part in parts for home in maps.alive[part[-1]] if maps.classes[home].last > part[-1]}
    graph = graph_of(maps, shapes, room, _ample(maps, family, rates, room) - between)
    values = _Values(maps, examples, _Searches(family), rates.without_slack(), axes)
    fixed = [maps.layers[example].kind != "mac" for example in examples]
    found = []
    for part, ways in zip(parts, passages_of(graph, parts, fixed, values.search), strict=True):
        before = graph.states[part.start - 1] if part.start else ((),)
        seams = [
            [sum(how for _, how in state) for state in states] for states in (before, graph.states[part[-1]])
        ]
        if any(len(state) > 1 for states in (before, graph.states[part[-1]]) for state in states):
            name = layers[part[-1]].name
            raise UsageError(f"several feature maps are alive before or after the part that ends in {name!r}")
        found.append({(seams[0][one], seams[1][other]): way for (one, other), way in ways.items()})
    return found


@lru_cache(maxsize=8)
def addressed(layers: tuple[Layer, ...], machine: Machine) -> Placement | None:
    """Return the placement of *layers* on a *machine* whose layout is contiguous, with its addresses."""
    return residents_of(layers, family_of(machine), Rates.of([machine]), Axes.of([machine])).placements[0]


class LeftOut(NamedTuple):
    """The first layers at which some placements were left out of the search; None where none was.

    Attributes:
        states: after it there are more states of the buffer than are followed.
        drops: before it more maps are in both than are dropped in all combinations.
        share: by the objective, how much less than the placement that was taken one with addresses could cost at most;
            0: none is better.
    """

    states: int | None = None
    drops: int | None = None
    share: float = 0.0


def left_out(layers: Sequence[Layer], machine: Machine) -> LeftOut:
    """Return where the search for the best placement of *layers* left something out."""
    share = 0.0
    if machine.contiguous and (found := addressed(tuple(layers), machine)) is not None:
        share = found.share
    maps = maps_on(layers, machine, lasting(layers, machine))
    if max((len(alive) for alive in maps.alive), default=0) <= MOST_DROPPED:  # 3 ** 4 states at most
        return LeftOut(share=share)
    rates = Rates.of([machine])
    room = int(room_for_maps(machine, rates)[0])
    graph = graph_of(maps, range(len(layers)), room, _ample(maps, machine, rates, room))
    return LeftOut(graph.cut, graph.undropped, share)


def maps_on(layers: Sequence[Layer], machine: Machine, weights: Lasting = NONE) -> Maps:
    """Return what may stay of *layers* beside *weights* that do between inferences.

    Layers that join the one before cost nothing by themselves.
    """
    joins = joined(layers, machine)
    run = [
        Layer(name=layer.name, op=layer.op, kind="view") if number in joins else layer
        for number, layer in enumerate(as_run(layers, machine))
    ]
    return maps_of(layers, run, joins, machine, weights)


class Held(NamedTuple):
    """Where the operands of a layer live, and the classes of maps and weights that are in the buffer meanwhile."""

    place: Place
    classes: frozenset[int]


def given_places(layers: Sequence[Layer], machine: Machine, homes: Mapping[int, LayerHomes]) -> list[Held]:
    """Return the place of each of *layers* where operands live as *homes* say; of others in memories.

    Of several placements the one that takes the least of the buffer, layer by layer, is returned.

    Raises:
        MappingError: there is no such placement.
    """
    room = int(room_for_maps(machine, Rates.of([machine]))[0])
    maps = maps_on(layers, machine, given_weights(layers, machine, homes, room))
    ways: dict[State, tuple[Held, ...]] = {(): ()}
    for number, layer in enumerate(layers):
        wanted = homes.get(number, _IN_MEMORIES)
        after: dict[State, tuple[Held, ...]] = {}
        least = dict[State, int]()
        for state, path in ways.items():
            for left, place, held in places_after(maps, number, state, room, most_dropped=_MOST_GIVEN):
                own = [HOMES[home] for home in place.home_of(layer)]
                if number in maps.lasting.layers:  # whether the mapping says so or not
                    own[_WEIGHTS] = wanted.homes[_WEIGHTS]
                found = LayerHomes(
                    tuple(own),
                    None if wanted.kept_bytes is None else place.homes.kept // 8,
                )
                resident = place.homes.kept
                if found == wanted and (left not in least or resident < least[left]):
                    least[left], after[left] = resident, (*path, Held(place, frozenset(held)))
        if not after:
            named = ", ".join(
                f"{operand} in {home}" for operand, home in zip(HOMED, wanted.homes, strict=False)
            )
            beside = "" if wanted.kept_bytes is None else f", {wanted.kept_bytes:,} bytes kept"
            raise MappingError(
                f"layer {layer.name!r}: {named}{beside}; allowed here: in the buffer what the layers before left "
                "there, and outputs that may stay and fit; in memory what they wrote there"
            )
        ways = after
    return list(next(iter(ways.values())))


def homes_of(costs: Costs) -> dict[int, LayerHomes]:
    """Return the homes of operands that are not all in memories, by layer, on the first accelerator of *costs*."""
    rows = zip(costs.homes[0].tolist(), costs.kept_bytes[0].tolist(), strict=True)
    return {
        number: LayerHomes(tuple(HOMES[home] for home in of), kept)
        for number, (of, kept) in enumerate(rows)
        if kept or any(of)
    }


def homes_at(layers: Sequence[Layer], machine: Machine, costs: Costs, index: int) -> Homes:
    """Return the homes of the operands of layer *index*, and what each part of the buffer has of whole tensors.

    Raises:
        MappingError: no placement has the homes of *costs*.
    """
    found = costs.homes_at(index)
    if machine.parts and found.resident:
        return given_places(layers, machine, homes_of(costs))[index].place.homes
    return found


def given_weights(
    layers: Sequence[Layer], machine: Machine, homes: Mapping[int, LayerHomes], room: float
) -> Lasting:
    """The weights that stay from one inference to the next as *homes* say; those in ``memory.stays`` do anyway."""
    given = {number for number, at in homes.items() if at.homes[_WEIGHTS] == _STAYS}
    every = [*splits(layers, machine, room)]
    for found in every:
        if given <= found.layers:
            return found
    most = every[-1].layers
    last = f"those of the layers up to {layers[max(most)].name!r}" if most else "none"
    who = layers[min(given - most)].name
    raise MappingError(f"layer {who!r}: weights in stays; allowed here: memory, since {last} can be there")


def _ample(maps: Maps, family: Machine, rates: Rates, capacity: float) -> frozenset[int]:
    """Classes that stay in the buffer in some best placement by latency: there is room for them and for any tile.

    A tile takes no more than two slots for all of each operand. Where the port of the buffer may be the bottleneck, or
    its words cost more energy than a memory's, staying is no gain for certain.
    """
    buffer = np.maximum(rates.per_bit["buffer", "read"], rates.per_bit["buffer", "write"])
    memory = np.minimum.reduce([rates.per_bit[name, "access"] for name in rates.memories])
    if (
        family.objective != LATENCY
        or family.contiguous
        or np.isfinite(rates.buffer_bits_per_cycle).any()
        or (buffer > memory).any()
    ):
        return frozenset()
    full = set[int]()
    for run, alive in zip(maps.layers, maps.alive, strict=True):
        operands = operands_of(run, family)
        read = (run.input_elements + run.second_elements) * operands.activation_bits
        weights = run.g * run.k * run.c * run.fy * run.fx * operands.weight_bits
        outputs = run.n * run.g * run.k * run.oy * run.ox
        tile = 2 * (read + weights + (outputs + run.output_elements) * operands.accumulator_bits)
        if maps.lasting.resident + sum(alive.values()) + tile * (run.kind == "mac") > capacity:
            full |= alive.keys()
    return frozenset(range(len(maps.classes))) - full - {*maps.begun.values()}


def _shapes(maps: Maps, family: Machine) -> tuple[list[int], list[int]]:
    """A number for each layer that says what it costs, and a layer of each number."""
    mac = [number for number, layer in enumerate(maps.layers) if layer.kind == "mac"]
    shapes = [-1] * len(maps.layers)
    examples: list[int] = []
    if mac:
        _, rows, _ = constrained_problems([maps.layers[number] for number in mac], family)
        first: dict[tuple[int, int], int] = {}
        for number, row in zip(mac, rows.tolist(), strict=True):
            same = row, maps.layers[number].repeat
            if same not in first:
                first[same] = len(examples)
                examples.append(number)
            shapes[number] = first[same]
    for number, shape in enumerate(shapes):
        if shape < 0:
            shapes[number] = len(examples)
            examples.append(number)
    return shapes, examples


class _Search(NamedTuple):
    """A search of problems *rows*, which all *machines* have room for."""

    of: Alternatives
    machines: Ints
    rows: Ints


class _Searches:
    """Searches of layers in places on machines of a family; the last are kept by ``edp``, which weighs them anew."""

    def __init__(self, family: Machine) -> None:
        self.family = family
        self._kept: OrderedDict[tuple[Any, ...], tuple[Ints, int, list[_Search]]] = OrderedDict()

    def of(
        self, layers: Sequence[Layer], homes: Sequence[Homes], room: Ints
    ) -> tuple[Ints, int, list[_Search]]:
        """Return the problem of each of *layers*, how many problems there are, and their searches in *room*."""
        if self.family.objective != EDP:
            return self._made(layers, homes, room)
        key = (*map(id, layers), *homes, room.tobytes())
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            self._kept[key] = self._made(layers, homes, room)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _made(
        self, layers: Sequence[Layer], homes: Sequence[Homes], room: Ints
    ) -> tuple[Ints, int, list[_Search]]:
        work, rows, groups = constrained_problems(layers, self.family, homes)
        found = []
        for limits, of_limits in groups:
            if any(limits.refusals(work.take(of_limits), self.family)):
                continue
            for part in searched_together(work, of_limits, self.family):
                search = limits.search(work.take(part), self.family, room.max())
                fits = room[:, None] >= search.least_footprint
                for machines, some in _alike(fits):
                    own = search
                    if len(some) < search.count:
                        own = limits.search(work.take(some + part.start), self.family, room.max())
                    found.append(_Search(own, machines, some + part.start))
        return rows, len(work), found


class _Measured(NamedTuple):
    """What a layer costs in a place on each machine, and the bits of its tiles beside maps and beside weights."""

    cycles: Floats
    energy: Floats
    tile: Floats
    apart: Floats


class _Values:
    """What layers cost in places, on each machine of *rates*."""

    def __init__(
        self, maps: Maps, examples: Sequence[int], searches: _Searches, rates: Rates, axes: Axes
    ) -> None:
        self.maps, self.examples, self.searches, self.rates, self.axes = maps, examples, searches, rates, axes
        self.family = searches.family
        self.room = capacity(self.family, rates)
        self._room = room_for_maps(self.family, rates)
        self._measured: dict[Key, _Measured] = {}

    def search(self, keys: Sequence[Key]) -> list[Value]:
        """Values of *keys* by the objective of the family."""
        layers = [self.maps.layers[self.examples[key.shape]] for key in keys]
        mac = [number for number, layer in enumerate(layers) if layer.kind == "mac"]
        vector = [number for number, layer in enumerate(layers) if layer.kind == "vector"]
        shape = (len(self.rates), len(keys))
        cycles, energy, tile, apart = (np.zeros(shape) for _ in range(4))
        if vector:
            self._on_lanes([layers[number] for number in vector], keys, vector, cycles, energy)
        if mac:
            self._on_the_array([layers[number] for number in mac], keys, mac, (cycles, energy, tile, apart))
        repeat = np.array([layer.repeat for layer in layers])
        cycles, energy = cycles * repeat, energy * repeat
        stay = [number for number in mac if load_once(layers[number], keys[number].homes)]
        if stay:
            loads = first_loads([layers[number] for number in stay], self.family, self.rates, self.axes)
            cycles[:, stay] += loads["cycles"]
            energy[:, stay] += loads["energy"].sum(axis=-1)
        for number, key in enumerate(keys):
            self._measured[key] = _Measured(*(each[:, number] for each in (cycles, energy, tile, apart)))
        first, second = {
            LATENCY: (cycles, energy),
            ENERGY: (energy, cycles),
            EDP: (self._weighted(cycles, energy), cycles),
        }[self.family.objective]
        most, beside = room_for_maps(self.family, self.rates)[:, None] - tile, self.family.apart_bits - apart
        of_weights = beside if self.family.apart_bits else np.full(shape, np.inf)
        every = (first, second, most, of_weights)
        return [Value(*(each[:, number] for each in every)) for number in range(len(keys))]

    def sums(self, machine: int, found: Placement | None) -> tuple[float, float]:
        """Σ cycles and Σ energy of a placement; of a network that does not fit nothing is spent."""
        if found is None:
            return 0.0, 0.0
        cycles = energy = 0.0
        for key in found.keys:
            taken, spent = self._of(key, machine)
            cycles, energy = cycles + taken, energy + spent
        return cycles, energy

    def _of(self, key: Key, machine: int) -> tuple[float, float]:
        """Cycles and energy in a place: as searched, or beside less, in the tiling that was found and fits here too."""
        if key not in self._measured:
            alike = [
                each
                for each, measured in self._measured.items()
                if each._replace(homes=key.homes) == key
                and each.homes._replace(resident=0, beside=0) == key.homes._replace(resident=0, beside=0)
                and each.homes.resident <= key.homes.resident
                and each.homes.beside <= key.homes.beside
                and self._holds(measured, key.homes, machine)
            ]
            key = max(alike, key=lambda each: each.homes.kept)
        found = self._measured[key]
        return float(found.cycles[machine]), float(found.energy[machine])

    def _holds(self, measured: _Measured, homes: Homes, machine: int) -> bool:
        """Whether a tiling fits beside whole tensors."""
        beside = (
            not self.family.apart_bits or homes.beside + measured.apart[machine] <= self.family.apart_bits
        )
        return bool(beside and homes.resident + measured.tile[machine] <= self._room[machine])

    def _weighted(self, cycles: Floats, energy: Floats) -> Floats:
        columns = self.rates.take(np.arange(len(self.rates))[:, None])
        with np.errstate(invalid="ignore"):  # nothing times infinite
            return np.where(np.isinf(cycles), np.inf, columns.value(cycles, energy))

    def _on_lanes(
        self,
        layers: Sequence[Layer],
        keys: Sequence[Key],
        which: Sequence[int],
        cycles: Floats,
        energy: Floats,
    ) -> None:
        own = [keys[number] for number in which]
        streams = [Streams(key.loaded, not key.homes.outputs, not key.homes.weights) for key in own]
        found = vector_costs(layers, self.family, self.rates, self.axes, streams)
        cycles[:, which], energy[:, which] = found["cycles"], found["energy"].sum(axis=-1)

    def _on_the_array(
        self,
        layers: Sequence[Layer],
        keys: Sequence[Key],
        which: Sequence[int],
        measured: Sequence[Floats],
    ) -> None:
        homes = [keys[number].homes for number in which]
        rows, count, searches = self.searches.of(layers, homes, self.room)
        found = np.full((len(measured), len(self.rates), count), np.inf)
        for search in searches:
            self._choose(*search, found)
        for values, by_row in zip(measured, found, strict=True):
            values[:, which] = by_row[:, rows]

    def _choose(self, searches: Alternatives, machines: Ints, rows: Ints, found: Floats) -> None:
        """Enter cycles, energy and bits of tiles of problems *rows*, which all *machines* have room for."""
        for cluster in clusters(self.rates.take(machines)):
            index = machines[cluster]
            taken = searches.choose(self.rates.take(index))
            bits, apart = np.full(taken.part.shape, np.inf), np.zeros(taken.part.shape)
            for search, _, machine, row, tilings in searches.tilings(taken):
                residency, which = search.space.residency, (tilings.mode, tilings.pixel, tilings.channel)
                bits[machine, row] = residency.tile_bits(*which)
                if self.family.apart_bits:
                    apart[machine, row] = residency.weight_tile_bits(*which)
            measured = taken.measures[LATENCY], taken.measures[ENERGY], bits, apart
            for values, each in zip(found, measured, strict=True):
                values[np.ix_(index, rows)] = each


def _alike(fits: Bools) -> Iterator[tuple[Ints, Ints]]:
    """Machines, and problems that fit the same machines, from what fits, (machines, problems)."""
    of: dict[tuple[bool, ...], list[int]] = {}
    for number, pattern in enumerate(fits.T.tolist()):
        of.setdefault(tuple(pattern), []).append(number)
    for pattern, numbers in of.items():
        if any(pattern):
            yield np.flatnonzero(pattern), np.array(numbers)
