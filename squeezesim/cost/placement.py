"""Placement: what lives in the buffer, feature maps and weights of recurrences, and when; the best of all, proven.

A map is in a memory, in the buffer, or in both: stored when it is written, and kept until it is dropped. The weights of
a recurrence are in the buffer from its first layer to its last, or in a memory. What a layer
costs depends on where its own operands live and on what the maps that are there leave of the buffer for its tiles. So
the cost of a network is that of a path through states, a state being the homes of all maps that are alive, and the best
placement is the shortest path, for every objective that is a sum over layers.

Edges are searched only where they can be on that path. What a layer costs beside small maps bounds what it costs beside
larger ones, so that a path of bounds is found first; its edges are searched, and so on until all of them are known:
then no other path is shorter. A tiling that was found beside small maps holds beside all larger ones that leave room
for it.

Source of the order in which edges are searched: Dellin and Srinivasa, "A Unifying Formalism for Shortest Path Problems
with Expensive Edge Evaluations via Lazy Best-First Search", ICAPS 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heapreplace
from itertools import compress, product
from typing import NamedTuple

import numpy as np

from squeezesim.cost.maps import OUTSIDE, Maps
from squeezesim.cost.problem import IN_MEMORY, Floats, Homes
from squeezesim.network.layer import Layer

MOST_STATES = 512
"""States after a layer of which more are not followed: those with the most maps in the buffer are, and alone."""

MOST_DROPPED = 4
"""Maps in both that may be dropped before a layer in all combinations; of more, one of them or all are."""

_NONE: frozenset[int] = frozenset()
_KEPT, _BOTH = 1, 2  # how a class is in the buffer: alone, or in a memory too

State = tuple[tuple[int, int], ...]
"""Classes that are in the buffer, ascending, and how."""


class Place(NamedTuple):
    """Where the operands of a layer live.

    Attributes:
        homes: those in the buffer, and the bits that whole maps take of it.
        loaded: elements of inputs that come from a memory, for a layer without MACs.
        stored: whether outputs go to a memory.
        is_both: whether they are kept in the buffer too.
    """

    homes: Homes
    loaded: int
    stored: bool
    is_both: bool = False

    def home_of(self, layer: Layer) -> tuple[int, ...]:
        """Where each of ``costs.HOMED`` operands of *layer* lives, as an index into ``costs.HOMES``."""
        inputs, weights, second, outputs, _, lasting, *_ = self.homes
        in_part = layer.kind == "vector" and 0 < self.loaded < layer.input_elements
        return (
            int(inputs) + 2 * in_part,
            int(weights) + 2 * lasting,
            int(second),
            int(outputs) + 2 * self.is_both,
        )


class Key(NamedTuple):
    """What a layer costs in a place: equal for all layers of a shape."""

    shape: int
    homes: Homes
    loaded: int


class Edge(NamedTuple):
    """A layer run in a place, from a state before it to one after it, and what is in the buffer meanwhile if asked."""

    source: int
    target: int
    key: int
    place: Place
    held: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Graph:
    """States between the layers of a network, of which the first one is empty, and edges."""

    edges: Sequence[Sequence[Edge]]  # of each layer
    states: Sequence[Sequence[State]]  # after each layer
    keys: Sequence[Key]
    cut: int | None  # the first layer after which some states were left out
    undropped: int | None  # the first layer before which some combinations of maps in both are not dropped


def graph_of(
    maps: Maps,
    shapes: Sequence[int],
    capacity: int,
    ample: Container[int] = frozenset(),
    *,
    by_held: bool = False,
) -> Graph:
    """Return every placement of *maps* in a buffer with *capacity* bits for them and tiles as a graph.

    *shapes* number the layers by what they cost. Classes of *ample* stay in the buffer, since nothing is better. With
    *by_held* edges are apart that differ in what is in the buffer alone.
    """
    keys: dict[Key, int] = {}
    before: dict[State, int] = {(): 0}
    edges, states, cut, undropped = [], [], None, None
    for number in range(len(maps.layers)):
        after: dict[State, int] = {}
        own: dict[tuple[int, int, int, frozenset[int]], Edge] = {}
        for state, source in before.items():
            if undropped is None and len(_droppable(state, ample)) > MOST_DROPPED:
                undropped = number
            for left, place, held in places_after(maps, number, state, capacity, ample):
                key = keys.setdefault(Key(shapes[number], place.homes, place.loaded), len(keys))
                target = after.setdefault(left, len(after))
                inside = frozenset(held) if by_held else _NONE
                own.setdefault((source, target, key, inside), Edge(source, target, key, place, inside))
        if len(after) > MOST_STATES:
            cut = number if cut is None else cut
            kept = sorted(after, key=_fullness)[:MOST_STATES]
            kept += [()] * (() in after and () not in kept)
            renumbered = {after[state]: place for place, state in enumerate(kept)}
            own = {
                which: edge._replace(target=renumbered[edge.target])
                for which, edge in own.items()
                if edge.target in renumbered
            }
            after = {state: place for place, state in enumerate(kept)}
        edges.append([*own.values()])
        states.append([*after])
        before = after
    return Graph(edges, states, [*keys], cut, undropped)


def _fullness(state: State) -> tuple[int, int]:
    return -len(state), sum(how for _, how in state)


def places_after(
    maps: Maps,
    number: int,
    state: State,
    capacity: int,
    ample: Container[int] = frozenset(),
    most_dropped: int = MOST_DROPPED,
) -> Iterator[tuple[State, Place, Mapping[int, int]]]:
    """Yield each way to run layer *number* after *state*.

    That is what it leaves in the buffer, where its operands live, and what is in the buffer meanwhile, and how.
    """
    alive, written = maps.alive[number], maps.written[number]
    begins = written != OUTSIDE and maps.classes[written].first == number
    weights: list[dict[int, int]] = [{maps.begun[number]: _KEPT}, {}] if number in maps.begun else [{}]
    for stay, gone in product(weights, _dropped(_droppable(state, ample), most_dropped)):
        kept = {home: how for home, how in state if home not in gone} | stay
        for how in _ways(maps, written, ample) if begins else (kept.get(written, 0),):
            held = {**kept, written: how} if how and begins else kept
            every = sum(alive.get(home, 0) for home in held)
            beside = sum(alive.get(home, 0) for home in held if home in maps.apart)
            resident = maps.lasting.resident + every - beside
            beside += maps.lasting.bits - maps.lasting.resident
            if how and any(home in held for home in maps.overwritten[number]):
                resident -= maps.bits[number]
            if resident > capacity:
                continue
            left = sorted(pair for pair in held.items() if maps.classes[pair[0]].last > number)
            yield tuple(left), _place(maps, number, held, how, resident, beside), held


def _droppable(state: State, ample: Container[int]) -> list[int]:
    """Classes that are in both, and could be dropped."""
    return [home for home, how in state if how == _BOTH and home not in ample]


def _dropped(both: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """Yield which of the classes that are in both may be dropped together, of more than *most* not all of those."""
    if len(both) <= most:
        yield from (tuple(compress(both, drops)) for drops in product((False, True), repeat=len(both)))
    else:
        yield from ((), *((each,) for each in both), tuple(both))


def _ways(maps: Maps, written: int, ample: Container[int]) -> tuple[int, ...]:
    """How a class that begins can be in the buffer."""
    of = maps.classes[written]
    if not of.is_read:
        return (0,)
    if written in ample:
        return (_BOTH if of.is_output else _KEPT,)
    if of.is_output:
        return (0, _BOTH)
    return (0, _KEPT, _BOTH) if of.readers > 1 else (0, _KEPT)


def _place(maps: Maps, number: int, held: Mapping[int, int], how: int, resident: int, beside: int) -> Place:
    layer, reads = maps.layers[number], maps.reads[number]
    if layer.kind == "view":
        return Place(IN_MEMORY, 0, stored=True)

    def inside(operand: str) -> bool:
        own = [read.home in held for read in reads if read.operand == operand]
        return bool(own) and all(own)

    stay = number in maps.lasting.layers
    homes = Homes(
        inside("inputs"), inside("weights") or stay, inside("second"), how == _KEPT, resident, stay, beside
    )
    if layer.kind == "mac":
        return Place(homes, 0, how != _KEPT, how == _BOTH)
    loaded = sum(read.elements for read in reads if read.home not in held)
    loaded += layer.input_elements * (not reads)
    homes = homes._replace(inputs=homes.inputs and not loaded)
    return Place(homes, loaded, how != _KEPT, how == _BOTH)


class Value(NamedTuple):
    """What a layer costs on each machine, by the objective and by what breaks its ties; the most beside it.

    Attributes:
        most: bits of maps beside which it costs no more.
        apart: the same of weights in a part of the buffer apart from that of maps; None: any.
    """

    first: Floats
    second: Floats
    most: Floats
    apart: Floats | None = None


Search = Callable[[Sequence[Key]], Sequence[Value]]
"""Values of keys; infinite where a layer does not fit."""


@dataclass(slots=True)
class _Beside:
    """Values beside some bits of weights in a part of their own, by the bits of maps, ascending."""

    resident: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)


@dataclass(slots=True)
class _Known:
    """Values found so far of a shape with given operands in the buffer, by the bits of weights apart from maps."""

    beside: dict[int, _Beside] = field(default_factory=dict)

    def enter(self, homes: Homes, value: Value) -> None:
        of = self.beside.setdefault(homes.beside, _Beside())
        place = int(np.searchsorted(of.resident, homes.resident))
        of.resident.insert(place, homes.resident)
        of.values.insert(place, value)

    def at(self, homes: Homes, machine: int) -> tuple[Value, bool]:
        """What is no more than it costs in *homes*, the most of what is known, and whether it costs that."""
        best: Value | None = None
        for beside, of in self.beside.items():
            place = int(np.searchsorted(of.resident, homes.resident, side="right")) - 1
            if beside > homes.beside or place < 0:
                continue
            value = of.values[place]
            fits = of.resident[place] == homes.resident or homes.resident <= value.most[machine]
            is_alike = beside == homes.beside or value.apart is None or homes.beside <= value.apart[machine]
            if fits and is_alike:
                return value, True
            if best is None or _pair(value, machine) > _pair(best, machine):
                best = value
        if best is None:
            raise KeyError(homes)
        return best, False


def _pair(value: Value, machine: int) -> tuple[float, float]:
    return float(value.first[machine]), float(value.second[machine])


@dataclass(frozen=True, slots=True)
class Placement:
    """The best placement on a machine.

    Attributes:
        places: of each layer.
        keys: what each layer costs there.
        cost: of all layers, by the objective.
        least: what no placement costs less than.
        over: of the tensors in the buffer those that they are written over (``addresses.Packing``), if they have
            addresses.
        addresses: of these tensors, then of the room that tiles have beside each layer.
    """

    places: Sequence[Place]
    keys: Sequence[Key]
    cost: float
    least: float
    over: Sequence[int] = ()
    addresses: Sequence[int] = ()

    @property
    def share(self) -> float:
        """How much less another placement could cost at most."""
        return 1 - self.least / self.cost if self.cost > 0 else 0.0


class KeyCosts:
    """What keys cost, as far as that was searched; beside maps of other sizes it is bounded."""

    def __init__(self, graphs: Iterable[Graph], fixed: Sequence[bool], search: Search) -> None:
        self._fixed, self._search = fixed, search
        self._known: dict[Key, _Known] = {}
        least: dict[
            Key, Key
        ] = {}  # of keys that differ in bits of maps and weights alone, that of the fewest
        for graph in {id(graph): graph for graph in graphs}.values():
            for key in graph.keys:
                homes = least.setdefault(_alike(key), key).homes
                if key.homes.resident < homes.resident or key.homes.beside < homes.beside:
                    fewest = min(key.homes.resident, homes.resident), min(key.homes.beside, homes.beside)
                    homes = key.homes._replace(resident=fewest[0], beside=fewest[1])
                    least[_alike(key)] = key._replace(homes=homes)
        self.search([*dict.fromkeys(least.values())])

    def search(self, keys: Sequence[Key]) -> None:
        """Search *keys*, of which there are some."""
        for key, value in zip(keys, self._search(keys) if keys else (), strict=True):
            self._known.setdefault(_alike(key), _Known()).enter(key.homes, value)

    def most(self, key: Key, machine: int) -> float:
        """Bits of maps beside which the tiling holds that *key* has."""
        return float(self._known[_alike(key)].at(key.homes, machine)[0].most[machine])

    def bounds(self, graph: Graph, machine: int) -> list[tuple[tuple[float, float], bool]]:
        """What each key of a graph costs on a machine at least, and whether it costs that."""
        found = []
        for key in graph.keys:
            value, is_known = self._known[_alike(key)].at(key.homes, machine)
            found.append((_pair(value, machine), is_known or self._fixed[key.shape]))
        return found


def best_placements(
    graphs: Sequence[Sequence[Graph]], fixed: Sequence[bool], search: Search
) -> list[Placement | None]:
    """Return the shortest path of each machine through any of its graphs; None where the network fits in no placement.

    *fixed* says of each shape whether its cost does not depend on the bits of maps, as without MACs.
    """
    costs = KeyCosts([graph for own in graphs for graph in own], fixed, search)
    found: list[Placement | None] = [None] * len(graphs)
    # Bounds of the paths through each graph only grow, so that the least of old ones is looked at again first.
    heaps = [[((-np.inf, -np.inf), number) for number in range(len(own))] for own in graphs]
    left = list(range(len(graphs)))
    while left:
        wanted: dict[Key, None] = {}
        still = []
        for machine in left:
            heap = heaps[machine]
            while heap:
                bound, number = heap[0]
                graph = graphs[machine][number]
                bounds = costs.bounds(graph, machine)
                reached, arrived = reach(graph, range(len(graph.edges)), 0, bounds)
                if (
                    not reached
                    or (end := min(range(len(reached)), key=reached.__getitem__)) not in arrived[-1]
                ):
                    heappop(heap)
                    continue
                if reached[end] > bound:
                    heapreplace(heap, (reached[end], number))
                    if heap[0][1] != number:
                        continue
                path = path_to(arrived, end)
                inexact = inexact_on(graph, path, bounds)
                wanted |= dict.fromkeys(inexact)
                if inexact:
                    still.append(machine)
                else:
                    keys = [graph.keys[edge.key] for edge in path]
                    found[machine] = Placement(
                        [edge.place for edge in path], keys, reached[end][0], reached[end][0]
                    )
                break
        costs.search([*wanted])
        left = still
    return found


class Passage(NamedTuple):
    """The best way through some layers, from a state before to one after: by the objective, by what breaks ties."""

    first: float
    second: float
    places: tuple[Place, ...]


def passages_of(
    graph: Graph, parts: Sequence[range], fixed: Sequence[bool], search: Search
) -> list[dict[tuple[int, int], Passage]]:
    """Return the best way through each of *parts* of the layers, for one machine, by the states before and after.

    Numbers of states are those of *graph*; *fixed* is as in ``best_placements``.
    """
    costs = KeyCosts([graph], fixed, search)
    while True:
        bounds = costs.bounds(graph, 0)
        found, wanted = [], dict[Key, None]()
        for part in parts:
            ways: dict[tuple[int, int], Passage] = {}
            for start in range(len(graph.states[part.start - 1]) if part.start else 1):
                reached, arrived = reach(graph, part, start, bounds)
                for end in arrived[-1]:
                    path = path_to(arrived, end)
                    wanted |= dict.fromkeys(inexact_on(graph, path, bounds))
                    ways[start, end] = Passage(*reached[end], tuple(edge.place for edge in path))
            found.append(ways)
        if not wanted:
            return found
        costs.search([*wanted])


def _alike(key: Key) -> Key:
    return key._replace(homes=key.homes._replace(resident=0, beside=0))


Bounded = Sequence[tuple[tuple[float, float], bool]]
"""Of each key of a graph a bound, and whether it is what the key costs."""


def reach(
    graph: Graph, part: range, start: int, bounds: Bounded
) -> tuple[list[tuple[float, float]], list[dict[int, Edge]]]:
    """Return lengths of the shortest paths through layers from state *start*, and by which edge states are reached."""
    nothing = (np.inf, np.inf)
    reached = [nothing] * start + [(0.0, 0.0)]
    reached += [nothing] * ((len(graph.states[part.start - 1]) if part.start else 1) - len(reached))
    arrived: list[dict[int, Edge]] = []
    for number in part:
        best, by = [nothing] * len(graph.states[number]), dict[int, Edge]()
        for edge in graph.edges[number]:
            first, second = reached[edge.source]
            (one, other), _ = bounds[edge.key]
            total = first + one, second + other
            if total < best[edge.target]:
                best[edge.target], by[edge.target] = total, edge
        reached = best
        arrived.append(by)
    return reached, arrived


def path_to(arrived: Sequence[Mapping[int, Edge]], end: int) -> list[Edge]:
    """Return the shortest path to state *end*."""
    path: list[Edge] = []
    for by in reversed(arrived):
        path.append(by[end])
        end = path[-1].source
    return path[::-1]


def inexact_on(graph: Graph, path: Sequence[Edge], bounds: Bounded) -> list[Key]:
    """Return the keys on a path that are only bounded."""
    return [graph.keys[edge.key] for edge in path if not bounds[edge.key][1]]
