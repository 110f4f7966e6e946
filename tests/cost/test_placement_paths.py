"""Placements as paths, with costs of layers that are drawn: the best of all, by each objective, and with addresses.

A layer costs less with larger tiles, and less for each operand in the buffer. So cases are cheap, and what is compared
is the graph of the states, the order in which its edges are searched and the addresses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from squeezesim.cost.addresses import Range, pack
from squeezesim.cost.contiguous import Contiguous
from squeezesim.cost.machine import Machine
from squeezesim.cost.placement import (
    Graph,
    Key,
    KeyCosts,
    Placement,
    Search,
    Value,
    best_placements,
    graph_of,
)
from squeezesim.cost.problem import Floats, Homes, Ints
from squeezesim.cost.product import least_product
from squeezesim.cost.residents import maps_on
from squeezesim.network.layer import Layer
from tests.cost.test_contiguous import Measured, Step, best_by_hand, choices, placements
from tests.cost.test_placement import Plain, networks, small, vector
from tests.draws import among

UNIT = 2 * 2 * 8
"""Bits of a channel of a map in drawn networks."""


NO_TILES: Mapping[str, int] = {}


class Drawn:
    """A network in a buffer of *room* bits, of which *tiles* are the largest channels that layers have a use for."""

    def __init__(self, layers: list[Layer], room: int, tiles: Mapping[str, int] = NO_TILES) -> None:
        self.room, self.tiles = room, tiles
        self.plain, self.maps = Plain(layers, of_small()), maps_on(layers, of_small())
        self.fixed = [layer.kind != "mac" for layer in self.maps.layers]
        self.seed = 0

    @cached_property
    def ways(self) -> int:
        """How many placements there are to try by hand."""
        return math.prod(len(choices(self.plain, group)) for group in self.plain.groups)

    @cached_property
    def graphs(self) -> list[Graph]:
        """Without addresses, and with them."""
        numbers = range(len(self.maps.layers))
        return [graph_of(self.maps, numbers, self.room, by_held=by_held) for by_held in (False, True)]

    def steps(self, layer: Layer, homes: Homes, loaded: int) -> list[Step]:
        """Sizes of tiles that fit beside whole tensors, the largest first, and cycles and energy with each."""
        random = Random(f"{self.seed} {layer.name}")
        waits = [(random.randint(1, 12), random.randint(1, 12)) for _ in range(4)]
        outside = [pair for pair, inside in zip(waits, homes[:4], strict=True) if not inside]
        cycles, energy = (float(sum(part)) for part in zip((0, 0), *outside, strict=True))
        if layer.kind != "mac":
            return [(0, (cycles + loaded / 4, energy + loaded))]
        most = self.tiles.get(layer.name, 12)
        sizes = sorted(random.sample(range(1, most + 1), min(most, 3)), reverse=True)
        sizes[:1] = [most]
        more = [(each, random.randint(0, 9)) for each in sorted(random.sample(range(10), len(sizes)))]
        return [
            (UNIT * size, (cycles + slower, energy + dearer))
            for size, (slower, dearer) in zip(sizes, more, strict=True)
            if UNIT * size <= self.room - homes.resident
        ]

    def by_hand(self) -> Measured:
        """What each layer costs in each of its places."""
        runs = {run for _, runs in placements(self.plain, self.room) for run in runs}
        return {run: self.steps(run[0], run[1], run[2].loaded) for run in runs}

    def step(self, key: Key, weights: Sequence[float] = (1.0, 0.0)) -> Step:
        """What a layer costs at least in a place, by cycles and energy as *weights* say; ties by energy."""
        layer = self.maps.layers[key.shape]
        if layer.kind == "view":
            return 0, (0.0, 0.0)
        steps = self.steps(layer, key.homes, key.loaded) or [(0, (math.inf, math.inf))]
        return min(steps, key=lambda step: (weights[0] * step[1][0] + weights[1] * step[1][1], step[1][1]))

    def search(self, weights: Sequence[float] = (1.0, 0.0)) -> Search:
        """Return what searches keys."""

        def search(keys: Sequence[Key]) -> list[Value]:
            found = []
            for key in keys:
                bits, (cycles, energy) = self.step(key, weights)
                first = weights[0] * cycles + weights[1] * energy if math.isfinite(cycles) else math.inf
                found.append(Value(*(np.array([each]) for each in (first, energy, float(self.room - bits)))))
            return found

        return search

    def best(self, graph: Graph, weights: Sequence[float] = (1.0, 0.0)) -> Placement | None:
        """Return the best placement without addresses."""
        return best_placements([[graph]], self.fixed, self.search(weights))[0]

    def sums(self, found: Placement, weights: Sequence[float] = (1.0, 0.0)) -> tuple[float, float]:
        """Cycles and energy of a placement."""
        every = [self.step(key, weights)[1] for key in found.keys]
        return sum(cycles for cycles, _ in every), sum(energy for _, energy in every)


@cache
def of_small() -> Machine:
    return Machine.of(small())


@st.composite
def branches(draw: st.DrawFn) -> list[Layer]:
    """Convolutions of maps of several sizes, each of which is read once, in any order; sums of two of a size."""
    waiting: dict[str, int] = {}
    layers: list[Layer] = []
    for number in range(draw(st.integers(5, 7))):
        name = f"l{number}"
        source = draw(st.sampled_from([*waiting, *(("x",) if number < 4 else ())]))
        read = waiting.pop(source, 4)
        alike = [each for each, channels in waiting.items() if channels == read]
        if alike and source != "x":
            waiting.pop(alike[0])
            layers.append(vector(name, "add", (source, alike[0]), 8 * read, 4 * read))
            waiting[name] = read
            continue
        waiting[name] = draw(among(1, 2, 3, 4))
        layer = Layer.conv(name, c=read, k=waiting[name], oy=2, ox=2, fy=1, fx=1)
        layers.append(replace(layer, inputs=(source,)))
    return layers


DRAWN = (branches() | networks(most=5), st.integers(0, 10**6), st.integers(6, 15))
FILTERED = [HealthCheck.filter_too_much]


def check_all(layers: list[Layer], seed: int, room: int, more: int) -> None:
    drawn, larger = (Drawn(layers, (room + each) * UNIT) for each in (0, more))
    drawn.seed = larger.seed = seed
    assume(drawn.ways <= 400)
    expected = best_by_hand(drawn.plain, drawn.by_hand(), drawn.room, UNIT, has_addresses=False)
    found, beside = (each.best(each.graphs[0]) for each in (drawn, larger))
    assert (expected is None) == (found is None)
    if expected is not None and found is not None:
        assert drawn.sums(found)[0] == found.cost == found.least == expected[0]
        assert beside is not None
        assert beside.cost <= found.cost


@settings(max_examples=200, deadline=None, suppress_health_check=FILTERED)
@given(*DRAWN, st.integers(1, 8))
def test_it_is_the_best_and_no_worse_with_more_room(
    layers: list[Layer], seed: int, room: int, more: int
) -> None:
    check_all(layers, seed, room, more)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=FILTERED)
@given(*DRAWN, st.integers(1, 8))
def test_it_is_the_best_and_no_worse_with_more_room_of_2000(
    layers: list[Layer], seed: int, room: int, more: int
) -> None:
    check_all(layers, seed, room, more)


def check_products(layers: list[Layer], seed: int, room: int) -> None:
    drawn = Drawn(layers, room * UNIT)
    drawn.seed = seed
    assume(drawn.ways <= 100)
    steps, least = drawn.by_hand(), math.inf
    for _, runs in placements(drawn.plain, drawn.room):
        points = np.zeros((1, 2))  # of every choice of a step for each layer
        for run in runs:
            own = np.array([cost for _, cost in steps[run]]).reshape(-1, 2)
            points = (points[:, None] + own).reshape(-1, 2)
        least = min(least, points.prod(axis=1).min(initial=math.inf))
    graph = drawn.graphs[0]

    def sums(machines: Ints, weights: Floats) -> Floats:
        del machines
        found = drawn.best(graph, weights[0].tolist())
        return np.array([(0.0, 0.0) if found is None else drawn.sums(found, weights[0].tolist())])

    product_of = float(np.prod(sums(np.arange(1), least_product(1, sums))))
    assert product_of == (pytest.approx(least) if math.isfinite(least) else 0.0)


@settings(max_examples=200, deadline=None, suppress_health_check=FILTERED)
@given(*DRAWN)
def test_by_edp_the_product_is_the_least_of_all(layers: list[Layer], seed: int, room: int) -> None:
    check_products(layers, seed, room)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=FILTERED)
@given(*DRAWN)
def test_by_edp_the_product_is_the_least_of_all_of_2000(layers: list[Layer], seed: int, room: int) -> None:
    check_products(layers, seed, room)


@cache
def hard(seed: int) -> Drawn:
    """A network whose maps and tiles have room as a sum, and no addresses."""
    random = Random(seed)
    while True:
        count = random.randint(5, 6)
        maps = [
            Range(first, min(count - 1, first + random.choice([1, 1, 2, 3, 4])), random.randint(1, 5))
            for first in range(count - 1)
        ]
        used = [sum(each.bits for each in maps if each.first <= at <= each.last) for at in range(count)]
        room = max(used) + random.randint(0, 1)
        tiles = [Range(at, at, room - bits) for at, bits in enumerate(used) if bits < room]
        found = pack(maps + tiles, room)
        if found.addresses is None and found.is_proven:
            break
    layers = []
    for number in range(count):
        inputs = [f"l{at}" for at, each in enumerate(maps) if each.last == number]
        k = maps[number].bits if number < count - 1 else 1
        c = sum(maps[int(name[1:])].bits for name in inputs) or 4
        layer = Layer.conv(f"l{number}", c=c, k=k, oy=2, ox=2, fy=1, fx=1)
        layers.append(replace(layer, inputs=tuple(inputs) or ("x",)))
    return Drawn(layers, room * UNIT, {f"l{each.first}": each.bits for each in tiles})


def check_addresses(which: int, seed: int) -> None:
    """Of networks in which everything together has none; a search that is cut bounds it."""
    drawn = hard(which)
    drawn.seed = seed
    graph, steps = drawn.graphs[1], drawn.by_hand()
    expected = best_by_hand(drawn.plain, steps, drawn.room, UNIT)
    costs = KeyCosts([graph], drawn.fixed, drawn.search())
    found = Contiguous([(graph, drawn.maps)], costs, 0, drawn.room).best()
    assert (expected is None) == (found is None)
    if expected is None or found is None:
        return
    assert drawn.sums(found)[0] == found.cost == found.least == expected[0]
    for place, key in zip(found.places, found.keys, strict=True):  # no worse in the piece that is left
        at = place.homes._replace(resident=place.homes.resident + place.homes.lost)
        assert at.resident <= drawn.room
        assert drawn.step(key._replace(homes=at))[1] == drawn.step(key)[1]
    if seed % 4 == 0:
        cut = Contiguous([(graph, drawn.maps)], costs, 0, drawn.room, most_paths=1).best()
        assert cut is not None
        assert cut.least <= expected[0] <= cut.cost
    without = best_by_hand(drawn.plain, steps, drawn.room, UNIT, has_addresses=False)
    event(f"addresses are in the way: {without != expected}")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 19), st.integers(0, 10**6))
def test_it_is_the_best_with_addresses(which: int, seed: int) -> None:
    check_addresses(which, seed)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(st.integers(0, 19), st.integers(0, 10**6))
def test_it_is_the_best_with_addresses_of_2000(which: int, seed: int) -> None:
    check_addresses(which, seed)
