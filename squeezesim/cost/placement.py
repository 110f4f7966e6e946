"""Placement: which feature maps live in the buffer, and from when to when; the best of all, proven.

A map is in a memory, in the buffer, or in both: stored when it is written, and kept until it is dropped. What a layer
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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np

from squeezesim.cost.maps import OUTSIDE, Maps
from squeezesim.cost.problem import IN_MEMORY, Floats, Homes
from squeezesim.network.layer import Layer

MOST_STATES = 4096
"""States after a layer of which more are not followed: those with the most maps in the buffer are."""

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
        inputs, weights, second, outputs, _ = self.homes
        in_part = layer.kind == "vector" and 0 < self.loaded < layer.input_elements
        return int(inputs) + 2 * in_part, int(weights), int(second), int(outputs) + 2 * self.is_both


class Key(NamedTuple):
    """What a layer costs in a place: equal for all layers of a shape."""

    shape: int
    homes: Homes
    loaded: int


class Edge(NamedTuple):
    """A layer run in a place, from a state before it to one after it."""

    source: int
    target: int
    key: int
    place: Place


@dataclass(frozen=True, slots=True)
class Graph:
    """States between the layers of a network, of which the first one is empty, and edges."""

    edges: Sequence[Sequence[Edge]]  # of each layer
    states: Sequence[int]  # how many there are after each layer
    keys: Sequence[Key]


def graph_of(maps: Maps, shapes: Sequence[int], capacity: int) -> Graph:
    """Return every placement of *maps* in a buffer with *capacity* bits for maps and tiles as a graph.

    *shapes* number the layers by what they cost.
    """
    keys: dict[Key, int] = {}
    before: dict[State, int] = {(): 0}
    edges, counts = [], []
    for number in range(len(maps.layers)):
        after: dict[State, int] = {}
        own: dict[tuple[int, int, int], Edge] = {}
        for state, source in before.items():
            for during, place in _places(maps, number, state, capacity):
                left = tuple(pair for pair in during if maps.classes[pair[0]].last > number)
                key = keys.setdefault(Key(shapes[number], place.homes, place.loaded), len(keys))
                target = after.setdefault(left, len(after))
                own.setdefault((source, target, key), Edge(source, target, key, place))
        if len(after) > MOST_STATES:
            kept = sorted(after, key=lambda state: -sum(how for _, how in state))[:MOST_STATES]
            kept += [()] * (() in after and () not in kept)
            renumbered = {after[state]: place for place, state in enumerate(kept)}
            own = {
                triple: edge._replace(target=renumbered[edge.target])
                for triple, edge in own.items()
                if edge.target in renumbered
            }
            after = {state: place for place, state in enumerate(kept)}
        edges.append([*own.values()])
        counts.append(len(after))
        before = after
    return Graph(edges, counts, [*keys])


def _places(maps: Maps, number: int, state: State, capacity: int) -> Iterator[tuple[State, Place]]:
    """Each state in which a layer can run after *state*, and where its operands live then."""
    alive, written = maps.alive[number], maps.written[number]
    droppable = [home for home, how in state if how == _BOTH]
    begins = written != OUTSIDE and maps.classes[written].first == number
    for dropped in product((False, True), repeat=len(droppable)):
        gone = {home for home, drop in zip(droppable, dropped, strict=True) if drop}
        kept = {home: how for home, how in state if home not in gone}
        for how in _ways(maps, written) if begins else (kept.get(written, 0),):
            held = {**kept, written: how} if how and begins else kept
            resident = sum(alive.get(home, 0) for home in held)
            over = maps.overwritten[number]
            if over is not None and over[0] in held and how:
                resident -= over[1]
            if resident > capacity:
                continue
            yield tuple(sorted(held.items())), _place(maps, number, held, how, resident)


def _ways(maps: Maps, written: int) -> tuple[int, ...]:
    """How a class that begins can be in the buffer."""
    of = maps.classes[written]
    if not of.is_read:
        return (0,)
    if of.is_output:
        return (0, _BOTH)
    return (0, _KEPT, _BOTH) if of.readers > 1 else (0, _KEPT)


def _place(maps: Maps, number: int, held: Mapping[int, int], how: int, resident: int) -> Place:
    layer, reads = maps.layers[number], maps.reads[number]
    if layer.kind == "view":
        return Place(IN_MEMORY, 0, stored=True)

    def inside(operand: str) -> bool:
        own = [read.home in held for read in reads if read.operand == operand]
        return bool(own) and all(own)

    homes = Homes(inside("inputs"), inside("weights"), inside("second"), how == _KEPT, resident)
    if layer.kind == "mac":
        return Place(homes, 0, how != _KEPT, how == _BOTH)
    loaded = sum(read.elements for read in reads if read.home not in held)
    loaded += layer.input_elements * (not reads)
    homes = homes._replace(inputs=homes.inputs and not loaded)
    return Place(homes, loaded, how != _KEPT, how == _BOTH)


class Value(NamedTuple):
    """What a layer costs on each machine, by the objective and by what breaks its ties; the largest maps beside it."""

    first: Floats
    second: Floats
    most: Floats  # bits of maps beside which it costs no more


Search = Callable[[Sequence[Key]], Sequence[Value]]
"""Values of keys; infinite where a layer does not fit."""


@dataclass(slots=True)
class _Known:
    """Values found so far of a shape with given operands in the buffer, by the bits of maps, ascending."""

    resident: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def enter(self, resident: int, value: Value) -> None:
        place = int(np.searchsorted(self.resident, resident))
        self.resident.insert(place, resident)
        self.values.insert(place, value)

    def bound(self, resident: int, machine: int) -> tuple[tuple[float, float], bool]:
        """What it costs at least beside maps of *resident* bits, and whether it costs that."""
        place = int(np.searchsorted(self.resident, resident, side="right")) - 1
        value = self.values[place]
        pair = float(value.first[machine]), float(value.second[machine])
        return pair, self.resident[place] == resident or resident <= value.most[machine]


@dataclass(frozen=True, slots=True)
class Placement:
    """The best placement on a machine: the place of each layer."""

    places: Sequence[Place]


def best_placements(graphs: Sequence[Graph], fixed: Sequence[bool], search: Search) -> list[Placement | None]:
    """Return the shortest path of each machine through its graph; None where the network fits in no placement.

    *fixed* says of each shape whether its cost does not depend on the bits of maps, as without MACs.
    """
    known: dict[Key, _Known] = {}
    least: dict[Key, Key] = {}  # of keys that differ in the bits of maps alone, that of the fewest
    for graph in {id(graph): graph for graph in graphs}.values():
        for key in graph.keys:
            fewest = least.setdefault(_alike(key), key)
            if key.homes.resident < fewest.homes.resident:
                least[_alike(key)] = key
    wanted = dict.fromkeys(least.values())
    found: list[Placement | None] = [None] * len(graphs)
    open_machines = list(range(len(graphs)))
    while wanted:
        for key, value in zip(wanted, search([*wanted]), strict=True):
            known.setdefault(_alike(key), _Known()).enter(key.homes.resident, value)
        wanted = {}
        still = []
        for machine in open_machines:
            path, inexact = _shortest(graphs[machine], machine, known, fixed)
            wanted |= dict.fromkeys(inexact)
            if inexact:
                still.append(machine)
            elif path:
                found[machine] = Placement([edge.place for edge in path])
        open_machines = still
    return found


def _alike(key: Key) -> Key:
    return key._replace(homes=key.homes._replace(resident=0))


def _shortest(
    graph: Graph, machine: int, known: Mapping[Key, _Known], fixed: Sequence[bool]
) -> tuple[list[Edge], list[Key]]:
    """The shortest path by what is known, and the keys on it that are only bounded; nothing where there is no path."""
    bounds = [
        ((known[_alike(key)].bound(key.homes.resident, machine)[0]), True)
        if fixed[key.shape]
        else known[_alike(key)].bound(key.homes.resident, machine)
        for key in graph.keys
    ]
    nothing = (np.inf, np.inf)
    reached: list[tuple[float, float]] = [(0.0, 0.0)]
    arrived: list[list[Edge | None]] = []
    for edges, count in zip(graph.edges, graph.states, strict=True):
        best: list[tuple[float, float]] = [nothing] * count
        by: list[Edge | None] = [None] * count
        for edge in edges:
            first, second = reached[edge.source]
            (one, other), _ = bounds[edge.key]
            total = first + one, second + other
            if total < best[edge.target]:
                best[edge.target], by[edge.target] = total, edge
        reached = best
        arrived.append(by)
    path: list[Edge] = []
    state = min(range(len(reached)), key=reached.__getitem__, default=0)
    for by in reversed(arrived):
        taken = by[state] if by else None
        if taken is None:
            return [], []
        path.append(taken)
        state = taken.source
    path.reverse()
    inexact = [graph.keys[edge.key] for edge in path if not bounds[edge.key][1]]
    return path, [*dict.fromkeys(inexact)]
