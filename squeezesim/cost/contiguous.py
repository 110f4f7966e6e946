"""The best placement whose maps, weights and tiles each have a range of addresses in one piece.

Room as a sum bounds it from below. So paths through the states of the buffer are taken in the order of their lengths,
and the first one that has addresses is the best. Of a path that has none a *conflict* is found: whole tensors and tiles
of a few layers for which there are no addresses, and for which there are once any of them is left out. Every placement
that has addresses lacks one of the tensors in the last of these layers, or has a smaller tile in one of them; each of
these ways is a set of paths that is searched further, from that of the shortest on.

    tiles t₁ … tₙ of a conflict, d the most for which tiles of tᵢ − d + 1 have no addresses: some tᵢ is tᵢ − d or less

More than ``MOST_PATHS`` paths are not taken, nor more than a few for which nothing was found. Then
 from the shortest that is left one conflict after the other is
resolved in the way that costs least, and no placement is better than that shortest path; nor than a path for which
neither addresses nor a conflict were found.

Hand-worked: 8 bits, two layers, maps of 3 bits in the first and of 3 other ones in the second, and one of 2 in both.
Tiles of 3 bits fit beside them in each. With the one of 2 at 0 or 6 all is in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from squeezesim.cost.addresses import Packing, Range, Stay, pack, stays_of
from squeezesim.cost.maps import OUTSIDE, Maps
from squeezesim.cost.placement import (
    Edge,
    Graph,
    Key,
    KeyCosts,
    Placement,
    inexact_on,
    path_to,
    reach,
)

MOST_PATHS = 300
"""Paths whose addresses are looked for."""

_MOST_LEFT_OUT = 3  # tensors of a conflict that is not proven, of which one is left out

_MOST_GIVEN_UP = 2  # paths without addresses and without a conflict that is proven

_WIDTHS = (2, 3, 4, 6, 8, 12)  # layers in which conflicts are looked for
_NODES = 500  # of an exact search for a conflict

Length = tuple[float, float]


class _Paths(NamedTuple):
    """Paths through a graph on which some classes are not in the buffer and some tiles are small.

    Attributes:
        graph: number of the graph.
        barred: layers, and a class that is not in the buffer while each runs.
        limits: layers, and the bits that the tile of each has at most.
    """

    graph: int
    barred: frozenset[tuple[int, int]] = frozenset()
    limits: frozenset[tuple[int, int]] = frozenset()


class _Path(NamedTuple):
    """The shortest of some paths: its length, its layers, and the bits of their tiles."""

    length: Length
    edges: Sequence[Edge]
    keys: Sequence[Key]
    tiles: Sequence[int]


class Contiguous:
    """Paths through *ways*, graphs with their maps, on machine number *machine* with *room* bits for maps and tiles."""

    def __init__(
        self,
        ways: Sequence[tuple[Graph, Maps]],
        costs: KeyCosts,
        machine: int,
        room: int,
        most_paths: int = MOST_PATHS,
    ) -> None:
        self._ways, self._costs, self._machine, self._room = ways, costs, machine, room
        self._most_paths = most_paths
        self._solved: dict[_Paths, _Path | None] = {}
        self._packed: dict[tuple[Range, ...], Packing] = {}

    def best(self) -> Placement | None:
        """Return the best placement that has addresses; None where the network fits in no placement."""
        order = count()
        heap: list[tuple[Length, int, _Paths]] = []

        def push(paths: _Paths) -> None:
            if paths not in self._solved and (found := self._shortest(paths)) is not None:
                heappush(heap, (found.length, next(order), paths))

        for number in range(len(self._ways)):
            push(_Paths(number))
        least, taken, given_up = float("inf"), 0, 0  # no path that was given up is shorter
        while heap:
            length, _, paths = heappop(heap)
            taken += 1
            path = self._found(paths)
            if (found := self._addressed(paths, path)) is not None:
                return replace(found, least=min(least, length[0]))
            is_proven, branches = self._branches(paths, path)
            least = least if is_proven else min(least, length[0])
            given_up += not is_proven
            if taken > self._most_paths or given_up > _MOST_GIVEN_UP:
                return replace(self._dive(branches), least=min(least, length[0]))
            for each in branches:
                push(each)
        return None

    def _dive(self, branches: Sequence[_Paths]) -> Placement:
        """A placement with addresses on one of *branches*, the shortest first, then on those of it."""
        stack = self._ranked(branches)
        while True:
            paths = stack.pop()
            path = self._found(paths)
            if (found := self._addressed(paths, path)) is not None:
                return found
            is_proven, branches = self._branches(paths, path)
            without = [each for each in branches if each.barred != paths.barred]
            if not is_proven and without:  # one of the largest tensors less
                branches = without[:_MOST_LEFT_OUT]
            stack += self._ranked(branches)

    def _ranked(self, branches: Sequence[_Paths]) -> list[_Paths]:
        """Those that have a path, the shortest last."""
        fitting = [each for each in dict.fromkeys(branches) if self._shortest(each) is not None]
        return sorted(fitting, key=lambda each: self._found(each).length, reverse=True)

    def _found(self, paths: _Paths) -> _Path:
        found = self._shortest(paths)
        if found is None:
            raise ValueError("no such path")
        return found

    def _shortest(self, paths: _Paths) -> _Path | None:
        """The shortest of *paths*; None where no network fits."""
        if paths not in self._solved:
            self._solved[paths] = self._solve(self._within(paths))
        return self._solved[paths]

    def _solve(self, graph: Graph) -> _Path | None:
        while True:
            bounds = self._costs.bounds(graph, self._machine)
            reached, arrived = reach(graph, range(len(graph.edges)), 0, bounds)
            ends = [end for end in range(len(reached)) if arrived and end in arrived[-1]]
            end = min(ends, key=reached.__getitem__, default=-1)
            if end < 0 or reached[end][0] == float("inf"):
                return None
            edges = path_to(arrived, end)
            if inexact := inexact_on(graph, edges, bounds):
                self._costs.search([*dict.fromkeys(inexact)])
                continue
            keys = [graph.keys[edge.key] for edge in edges]
            tiles = [self._room - int(self._costs.most(key, self._machine)) for key in keys]
            return _Path(reached[end], edges, keys, tiles)

    def _within(self, paths: _Paths) -> Graph:
        """The graph of *paths* alone."""
        graph, _ = self._ways[paths.graph]
        if not paths.barred and not paths.limits:
            return graph
        edges, keys = [*graph.edges], [*graph.keys]
        numbers = dict[Key, int]()
        barred: dict[int, set[int]] = {}
        for layer, home in paths.barred:
            barred.setdefault(layer, set()).add(home)
        for layer, homes in barred.items():
            edges[layer] = [edge for edge in edges[layer] if homes.isdisjoint(edge.held)]
        for layer, bits in paths.limits:
            limited = []
            for edge in edges[layer]:
                key = graph.keys[edge.key]
                resident = max(key.homes.resident, self._room - bits)
                key = key._replace(homes=key.homes._replace(resident=resident))
                if key not in numbers:
                    numbers[key] = len(keys)
                    keys.append(key)
                limited.append(edge._replace(key=numbers[key]))
            edges[layer] = limited
        return replace(graph, edges=edges, keys=keys)

    def _addressed(self, paths: _Paths, path: _Path) -> Placement | None:
        """The placement that a path is, with what its tiles cannot have; None where no addresses were found."""
        stays, ranges = self._ranges(paths, path)
        found = pack([*ranges.values()], self._room)
        if found.addresses is None:
            return None
        at = dict(zip(ranges, zip(found.addresses, ranges.values(), strict=True), strict=True))
        places, addresses = [], list(found.addresses[: len(stays)])
        for layer, edge in enumerate(path.edges):
            homes, (below, above) = edge.place.homes, (0, 0)
            lost = 0
            if ("tile", layer) in at:
                below, above = _gap(at["tile", layer], layer, [*at.values()], self._room)
                lost = max(self._room - homes.resident - (above - below), 0)
            places.append(edge.place._replace(homes=homes._replace(lost=lost)))
            addresses.append(below)
        cost = path.length[0]
        return Placement(places, path.keys, cost, cost, found.over[: len(stays)], addresses)

    def _ranges(self, paths: _Paths, path: _Path) -> tuple[list[Stay], dict[tuple[str, int], Range]]:
        """What is in the buffer whole, and the ranges of it and of tiles, by number and by layer."""
        _, maps = self._ways[paths.graph]
        stays = stays_of(maps, [edge.held for edge in path.edges])
        found = {("stay", number): stay.range for number, stay in enumerate(stays)}
        tiles = {
            ("tile", layer): Range(layer, layer, bits) for layer, bits in enumerate(path.tiles) if bits > 0
        }
        return stays, found | tiles

    def _branches(self, paths: _Paths, path: _Path) -> tuple[bool, list[_Paths]]:
        """The sets of paths in which a conflict of *path* is resolved, and whether all with addresses are in them."""
        stays, ranges = self._ranges(paths, path)
        is_proven, last, conflict = self._conflict(ranges, len(path.tiles))
        found = []
        for kind, number in sorted(conflict, key=lambda each: -conflict[each].bits):
            if kind == "stay" and stays[number].home != OUTSIDE:
                stay = stays[number]
                barred = min(stay.range.last, last), stay.home
                found.append(paths._replace(barred=paths.barred | {barred}))
        tiles = [key for key in conflict if key[0] == "tile"]
        less = self._least_cut(conflict, tiles, is_proven=is_proven) if tiles else 0
        for key in tiles:
            bits = conflict[key].bits - less
            if bits > 0:
                others = {each for each in paths.limits if each[0] != key[1]}
                found.append(paths._replace(limits=frozenset(others | {(key[1], bits)})))
        return is_proven, found

    def _conflict(
        self, ranges: dict[tuple[str, int], Range], layers: int
    ) -> tuple[bool, int, dict[tuple[str, int], Range]]:
        """Ranges without addresses in a few layers, whether there are none for certain, and the last of the layers."""
        unproven: tuple[int, dict[tuple[str, int], Range]] | None = None
        for width in (*(width for width in _WIDTHS if width < layers), layers):
            for first in range(layers - width + 1):
                last = first + width - 1
                clipped = dict(_clipped(ranges, first, last))
                found = self._pack(clipped)
                if found.addresses is not None:
                    continue
                if found.is_proven:
                    return True, last, self._minimal(clipped)
                unproven = unproven or (last, clipped)
        if unproven is None:  # found together, as it is not by parts
            unproven = layers - 1, ranges
        return False, *unproven

    def _minimal(self, conflict: dict[tuple[str, int], Range]) -> dict[tuple[str, int], Range]:
        """Those ranges of a conflict that it needs."""
        for key in sorted(conflict, key=lambda each: (conflict[each].bits, each)):
            fewer = _without(conflict, key)
            found = self._pack(fewer)
            if found.addresses is None and found.is_proven:
                conflict = fewer
        return conflict

    def _least_cut(
        self, conflict: dict[tuple[str, int], Range], tiles: Sequence[tuple[str, int]], *, is_proven: bool
    ) -> int:
        """The bits d for which some tile of the conflict has to be d smaller than it is."""
        low, high = 1, max(conflict[key].bits for key in tiles)
        while low < high:  # tiles that are low − 1 smaller have no addresses
            middle = (low + high) // 2
            smaller = conflict | {
                key: conflict[key]._replace(bits=max(conflict[key].bits - middle, 0)) for key in tiles
            }
            found = self._pack(smaller)
            if found.addresses is None and (found.is_proven or not is_proven):
                low = middle + 1
            else:
                high = middle
        return low

    def _pack(self, ranges: dict[tuple[str, int], Range]) -> Packing:
        numbers = {key: number for number, key in enumerate(ranges)}
        first = min((each.first for each in ranges.values()), default=0)
        shifted = tuple(
            each._replace(
                first=each.first - first,
                last=each.last - first,
                over=tuple(numbers["stay", other] for other in each.over),
            )
            for each in ranges.values()
        )
        if shifted not in self._packed:
            self._packed[shifted] = pack(shifted, self._room, _NODES)
        return self._packed[shifted]


def _gap(
    own: tuple[int, Range], layer: int, every: Sequence[tuple[int, Range]], room: int
) -> tuple[int, int]:
    """Where the free piece that a tile lies in while *layer* runs begins and ends."""
    address, tile = own
    below, above = 0, room
    for at, each in every:
        if each is not tile and each.first <= layer <= each.last:
            if at + each.bits <= address:
                below = max(below, at + each.bits)
            elif at >= address + tile.bits:
                above = min(above, at)
    return below, above


def _clipped(
    ranges: dict[tuple[str, int], Range], first: int, last: int
) -> Iterator[tuple[tuple[str, int], Range]]:
    """Yield what is there from layer *first* to layer *last*."""
    for key, each in ranges.items():
        if each.first <= last and each.last >= first:
            over = each.over if each.first >= first else ()
            yield key, each._replace(first=max(each.first, first), last=min(each.last, last), over=over)


def _without(ranges: dict[tuple[str, int], Range], key: tuple[str, int]) -> dict[tuple[str, int], Range]:
    """The *ranges* but that of *key*; what could be written over it may have a place of its own."""
    found = {}
    for other, each in ranges.items():
        if other == key:
            continue
        over = tuple(number for number in each.over if key != ("stay", number))
        found[other] = each._replace(over=over, is_free=each.is_free or over != each.over)
    return found
