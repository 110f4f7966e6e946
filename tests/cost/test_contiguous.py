"""Placements with addresses against every placement of small networks with every size of tiles at every address."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from squeezesim.cost.addresses import Range, pack
from squeezesim.cost.costs import Axes
from squeezesim.cost.evaluate import evaluate_each
from squeezesim.cost.machine import Machine
from squeezesim.cost.occupancy import occupancy
from squeezesim.cost.rates import Rates
from squeezesim.cost.residents import ways_through
from squeezesim.cost.traffic import room_for_maps
from squeezesim.errors import HardwareError, UsageError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Network
from squeezesim.network.layer import Layer
from squeezesim.simulate import simulate
from tests.cost.test_occupancy import check
from tests.cost.test_placement import Plain, Run, costs_of, networks, small
from tests.draws import among

Piece = tuple[int, int, int]
"""The first and the last layer of what lies in one piece, and its bits."""


@st.composite
def ranges(draw: st.DrawFn) -> list[Range]:
    """Ranges of few layers; what begins when another of its size ends may be written over it."""
    found: list[Range] = []
    for first in sorted(draw(st.lists(st.integers(0, 4), min_size=1, max_size=7))):
        last = min(first + draw(among(0, 0, 1, 1, 2, 3)), 4)
        ends = [number for number, each in enumerate(found) if each.first < first == each.last]
        is_first = all(each.first < first for each in found)
        if ends and is_first and draw(st.booleans()):
            bits = found[ends[0]].bits
            over = tuple(number for number in ends if found[number].bits == bits)
            found.append(Range(first, last, bits, over, is_free=draw(st.booleans())))
        else:
            found.append(Range(first, last, draw(st.integers(1, 6))))
    return found


def fits(pieces: list[Piece], capacity: int, unit: int = 1) -> bool:
    """Whether pieces fit, each at every multiple of *unit*, as all sizes are, in their order in time."""
    room = capacity // unit
    ordered = sorted((first, -bits // unit, last) for first, last, bits in pieces)
    end = max((last for _, last, _ in pieces), default=0) + 1
    failed = set()

    def place(number: int, taken: tuple[int, ...]) -> bool:
        if number == len(ordered):
            return True
        first, negative, last = ordered[number]
        state = number, taken[first:]
        if state in failed:
            return False
        for at in range(room + negative + 1):
            mask = (1 << at - negative) - (1 << at)
            if not any(each & mask for each in taken[first : last + 1]):
                inside = tuple(each | mask for each in taken[first : last + 1])
                if place(number + 1, taken[:first] + inside + taken[last + 1 :]):
                    return True
        failed.add(state)
        return False

    return place(0, (0,) * end)


def joined_pieces(found: list[Range]) -> Iterator[list[Piece]]:
    """Every way to write over ranges, each of which gives pieces."""
    ways = [(*each.over, *((-1,) if each.is_free or not each.over else ())) for each in found]
    for over in itertools.product(*ways):
        pieces: dict[int, Piece] = {}
        root = list(range(len(found)))
        for number, (each, below) in enumerate(zip(found, over, strict=True)):
            if below >= 0:
                root[number] = root[below]
                first, _, bits = pieces[root[number]]
                pieces[root[number]] = first, each.last, bits
            else:
                pieces[number] = each.first, each.last, each.bits
        yield [*pieces.values()]


@settings(max_examples=400, deadline=None)
@given(ranges(), st.integers(4, 14))
def test_addresses_are_found_where_there_are_some(found: list[Range], capacity: int) -> None:
    packing = pack(found, capacity)
    assert packing.is_proven
    assert (packing.addresses is not None) == any(fits(each, capacity) for each in joined_pieces(found))
    if packing.addresses is None:
        return
    at = list(zip(packing.addresses, found, packing.over, strict=True))
    for (number, (low, one, over)), (other, (high, two, above)) in itertools.combinations(enumerate(at), 2):
        together = one.first <= two.last and two.first <= one.last
        if above == number or over == other:
            assert low == high
        elif together and not (
            (over != number or above != other) and low == high  # both of a chain
        ):
            assert low + one.bits <= high or high + two.bits <= low
    assert all(low + each.bits <= capacity for low, each, _ in at)


def test_the_case_worked_by_hand() -> None:
    beside = [Range(0, 0, 3), Range(1, 1, 3), Range(0, 1, 2)]
    tiles = [Range(0, 0, 3), Range(1, 1, 3)]
    assert pack(beside + tiles, 8).addresses is not None
    assert pack(beside + tiles, 7).addresses is None


def lives(plain: Plain, chosen: tuple[tuple[str, int], ...]) -> list[Range]:
    """What of a network is in the buffer in a placement, from when to when."""
    end = len(plain.layers) - 1
    held: dict[str, tuple[int, int]] = {}
    for group, (how, stop) in zip(plain.groups, chosen, strict=True):
        for name in group:
            first, last = plain.born[name], min(plain.dies[name], stop - 1, end)
            if how != "memory" and first <= last:
                held[name] = first, last
    names = sorted(held, key=lambda name: held[name])
    found = []
    for name in names:
        first, last = held[name]
        layer = plain.of[name]
        may = plain.reads[first] if layer.op in ("relu", "add") else plain.added.get(name, set())
        group = next(group for group in plain.groups if name in group)
        over = tuple(
            names.index(other)
            for other in may
            if other in held
            and other not in group
            and held[other][1] == plain.dies[other] == first
            and plain.size[other] == plain.size[name]
        )
        found.append(Range(first, last, plain.size[name], over))
    return found


Step = tuple[int, tuple[float, float]]
"""The least bits of tiles with which a layer costs what it does, and that."""


def steps_of(runs: list[Run], on: Accelerator, room: int) -> dict[Run, list[Step]]:
    """What layers cost by the room of their tiles: where it falls, by halving."""

    def at(pairs: set[tuple[Run, int]]) -> dict[tuple[Run, int], tuple[float, float]]:
        of = {(run, bits): (run[0], run[1]._replace(resident=room - bits), run[2]) for run, bits in pairs}
        costs = costs_of({*of.values()}, on)
        return {pair: costs[run] for pair, run in of.items()}

    known = at({(run, bits) for run in runs for bits in (0, room - run[1].resident)})
    open_ends = {(run, 0, room - run[1].resident) for run in runs}
    found: dict[Run, list[Step]] = {run: [] for run in runs}
    while open_ends:
        split = {each for each in open_ends if known[each[0], each[1]] != known[each[0], each[2]]}
        for run, low, high in {each for each in split if each[2] - each[1] == 8}:
            found[run].append((high, known[run, high]))
            split.discard((run, low, high))
        middle = {(run, low, high): (low + high) // 16 * 8 for run, low, high in split}
        known |= at({(run, bits) for (run, _, _), bits in middle.items()} - known.keys()) if middle else {}
        open_ends = {(run, low, bits) for (run, low, _), bits in middle.items()}
        open_ends |= {(run, bits, high) for (run, _, high), bits in middle.items()}
    return {run: sorted(steps, reverse=True) for run, steps in found.items()}


Measured = dict[Run, list[Step]]


def best_by_hand(
    plain: Plain, steps: Measured, room: int, unit: int, *, has_addresses: bool = True
) -> tuple[float, ...] | None:
    """The least cost of all placements and sizes of tiles, with addresses unless these are of no matter."""
    number = {layer.name: place for place, layer in enumerate(plain.layers)}
    heap: list[tuple[tuple[float, ...], int, Any, list[Run], tuple[int, ...]]] = []
    order = itertools.count()

    def enter(chosen: Any, runs: list[Run], sizes: tuple[int, ...]) -> None:
        costs = [steps[run][size][1] for run, size in zip(runs, sizes, strict=True)]
        total = tuple(map(math.fsum, zip(*costs, strict=True)))
        heapq.heappush(heap, (total, next(order), chosen, runs, sizes))

    for chosen, runs in placements(plain, room):
        if all(steps[run] for run in runs):
            enter(chosen, runs, (0,) * len(runs))
    seen = set()
    while heap:
        total, _, chosen, runs, sizes = heapq.heappop(heap)
        if (chosen, sizes) in seen:
            continue
        seen.add((chosen, sizes))
        tiles = [
            (number[run[0].name], number[run[0].name], steps[run][size][0])
            for run, size in zip(runs, sizes, strict=True)
            if steps[run][size][0]
        ]
        if not has_addresses or any(
            summed(each + tiles, room) and fits(each + tiles, room, unit)
            for each in joined_pieces(lives(plain, chosen))
        ):
            return total
        for place, (run, size) in enumerate(zip(runs, sizes, strict=True)):
            if size + 1 < len(steps[run]):
                enter(chosen, runs, (*sizes[:place], size + 1, *sizes[place + 1 :]))
    return None


def choices(plain: Plain, group: set[str]) -> list[tuple[str, int]]:
    """Those that can be better than others: what is read once is no better in both, what nobody reads in memory."""
    every = [plain.readers[name] for name in group]
    if not any(every):
        return [("memory", 0)]
    is_read_once = len({reader for readers in every for reader in readers}) == 1
    return plain.choices(group)[: 2 if is_read_once and all(every) else None]


def placements(plain: Plain, room: int) -> list[tuple[tuple[tuple[str, int], ...], list[Run]]]:
    """Every placement whose sums fit, and where the operands of each layer are."""
    ways = [choices(plain, group) for group in plain.groups]
    every = [(chosen, plain.runs(chosen)) for chosen in itertools.product(*ways)]
    return [(chosen, runs) for chosen, runs in every if all(homes.resident <= room for _, homes, _ in runs)]


def summed(pieces: list[Piece], room: int) -> bool:
    """Whether they fit as sums."""
    return all(
        sum(bits for first, last, bits in pieces if first <= at <= last) <= room for at, _, _ in pieces
    )


@st.composite
def designs(draw: st.DrawFn) -> Accelerator:
    """Small buffers with addresses."""
    return small(
        **{
            "memory.global_buffer.size_kib": draw(among(0.1875, 0.25, 0.3125, 0.375, 0.5)),
            "memory.global_buffer.layout": "contiguous",
            "memory.dram.bandwidth_gb_s": draw(among(0.25, 1.0, 8.0)),
            "mapper.objective": draw(among("latency", "latency", "energy")),
            "array.post_ops": [*draw(among((), ("add",)))],
            "mapper.residency": draw(among("best", "order")),
        }
    )


def check_against_every_address(layers: list[Layer], on: Accelerator) -> None:
    plain, room = Plain(layers, Machine.of(on)), room_of(on)
    assume(math.prod(len(choices(plain, group)) for group in plain.groups) <= 30)
    runs = {run for _, runs in placements(plain, room) for run in runs}
    steps = steps_of([run for run in runs if run[0].kind == "mac"], on, room)
    lanes = costs_of({run for run in runs if run[0].kind == "vector"}, on)
    steps |= {run: [(0, cost)] for run, cost in lanes.items()}
    is_swapped = on.mapper.objective == "energy"
    if is_swapped:
        steps = {run: [(bits, cost[::-1]) for bits, cost in of] for run, of in steps.items()}
    expected = best_by_hand(plain, steps, room, 8)
    costs, (misfit,) = evaluate_each(layers, [on])
    assert (expected is None) == (misfit is not None)
    if expected is None:
        return
    measured = float(costs.cycles.sum()), float(costs.energy.sum())
    assert measured[:: -1 if is_swapped else 1] == pytest.approx(expected, rel=1e-9)
    found = occupancy(layers, {"x": 32}, Machine.of(on), costs)
    assert found.has_addresses
    check(found, costs)


def room_of(on: Accelerator) -> int:
    return int(room_for_maps(Machine.of(on), Rates.of([Machine.of(on)]))[0])


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(networks(most=5), designs())
def test_the_placement_is_the_best_of_all_with_addresses(layers: list[Layer], on: Accelerator) -> None:
    check_against_every_address(layers, on)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(networks(most=5), designs())
def test_the_placement_is_the_best_of_all_with_addresses_of_200_networks(
    layers: list[Layer], on: Accelerator
) -> None:
    check_against_every_address(layers, on)


def test_blocks_and_loads_ahead_need_pages() -> None:
    on = small(**{"memory.global_buffer.layout": "contiguous"})
    with pytest.raises(HardwareError, match="allowed: prefetch none, or layout paged"):
        on.replace({"memory.prefetch": "weights"})
    with pytest.raises(UsageError, match="blocks are added up"):
        ways_through([], [], Machine.of(on), Rates.of([Machine.of(on)]), Axes.of([Machine.of(on)]))


def test_a_mapping_keeps_what_has_addresses() -> None:
    """A mapping of a paged buffer, whose maps happen to have some."""
    layers = [
        replace(Layer.conv(f"l{n}", c=4, k=4, oy=2, ox=2, fy=1, fx=1), inputs=(f"l{n - 1}" if n else "x",))
        for n in range(4)
    ]
    values = {"memory.global_buffer.size_kib": 0.5}
    network = Network(name="n", layers=tuple(layers), inputs=(("x", (4, 2, 2)),))
    paged = simulate(network, small(**values))
    contiguous = small(**values | {"memory.global_buffer.layout": "contiguous"})
    again = simulate(network, contiguous, mapping=paged.mapping)
    assert again.occupancy is not None
    assert again.occupancy.has_addresses
    assert np.array_equal(again.costs.cycles, paged.costs.cycles)
