"""Addresses: ranges of the buffer for whole tensors and tiles, each in one piece as long as it is there.

Ranges that are there while the same layer runs do not overlap. What may be written over others is written over one of
those that are there, at the same address, and goes on from there: together they are one range of the sum of their
times. Several greedy orders are tried first. Where none fits, an exact search gives addresses in ascending order:
pushed down as far as it goes, every range lies at 0 or on another one, so that the next range to be placed is always on
top of those that are there. It gives up after ``MOST_NODES`` steps, and is not tried for more than ``MOST_RANGES`` that
are there together.

Hand-worked: 8 bits for a of 4 in layers 0–1, b of 4 in layers 1–2, c of 8 in layer 3. a lies at 0, b at 4, c at 0. With
d of 4 in layers 2–3 beside c there is no room in layer 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from typing import NamedTuple

from squeezesim.cost.maps import OUTSIDE, Maps

MOST_NODES = 6_000
"""Ranges that one exact search places before it gives up."""

MOST_RANGES = 32
"""Ranges that are there together of which more are not searched exactly."""

_MOST_TRIED = 40
"""Greedy orders that are tried from each of the first ones, in which what found no room comes first; of few ranges,
which are searched exactly then, ``_FEW_TRIED``."""

_FEW_TRIED = 4

_MOST_COMPARED = 4_000_000  # pairs of ranges
_MOST_CHAINS = 64  # ways to write over ranges


class Range(NamedTuple):
    """What takes *bits* of the buffer in one piece from layer *first* to layer *last*.

    Attributes:
        over: numbers of the ranges that end in its first layer, over one of which it is written; none: it has a place
            of its own.
        is_free: whether it may have that although there are some.
    """

    first: int
    last: int
    bits: int
    over: tuple[int, ...] = ()
    is_free: bool = False


class Stay(NamedTuple):
    """A whole tensor in the buffer, as a range.

    Attributes:
        layer: that writes it, or is the first with the weights of a recurrence; the last whose weights stay from one
            inference to the next.
        home: its class in ``Maps.classes``; ``OUTSIDE`` for weights that stay from one inference to the next.
        is_weights: whether it is weights.
        range: its time and its size; ``over`` are places among the stays of a network.
    """

    layer: int
    home: int
    is_weights: bool
    range: Range


def stays_of(maps: Maps, held: Sequence[frozenset[int]]) -> list[Stay]:
    """Return what is in the buffer whole, by the classes that are *held* while each layer runs, as they come."""
    found: list[Stay] = []
    end = len(held) - 1
    for number, of in enumerate(maps.written):
        if of != OUTSIDE and of in held[number]:
            stop = maps.last[number] if maps.last[number] > number else end  # to the end if nobody reads it
            last = number
            while last < stop and of in held[last + 1]:
                last += 1
            found.append(Stay(number, of, is_weights=False, range=Range(number, last, maps.bits[number])))
    for first, of in maps.begun.items():
        if of in held[first] and of not in maps.apart:
            bits = maps.alive[first][of]
            found.append(Stay(first, of, is_weights=True, range=Range(first, maps.classes[of].last, bits)))
    if maps.lasting.resident:
        bits, layer = maps.lasting.bits, max(maps.lasting.layers)
        found.append(Stay(layer, OUTSIDE, is_weights=True, range=Range(0, end, bits)))
    found.sort(key=lambda stay: (stay.range.first, stay.is_weights))
    return [
        stay._replace(range=stay.range._replace(over=_over(maps, found, number)))
        for number, stay in enumerate(found)
    ]


def _over(maps: Maps, stays: Sequence[Stay], number: int) -> tuple[int, ...]:
    """The stays that one is written over one of."""
    own = stays[number]
    if own.is_weights or own.range.first != own.layer:
        return ()
    homes = maps.overwritten[own.layer]
    return tuple(
        other
        for other, stay in enumerate(stays[:number])
        if not stay.is_weights
        and stay.home in homes
        and stay.range.bits == own.range.bits
        and stay.range.last == maps.last[stay.layer] == own.layer
    )


class Packing(NamedTuple):
    """Addresses of ranges, or that there are none.

    Attributes:
        addresses: the first bit of each range; None where none were found.
        over: of each the range that it is written over; its own number: none.
        is_proven: whether there are some, or none, for certain.
    """

    addresses: tuple[int, ...] | None = None
    over: tuple[int, ...] = ()
    is_proven: bool = True


def pack(ranges: Sequence[Range], capacity: int, most_nodes: int = MOST_NODES) -> Packing:
    """Return addresses for *ranges* in *capacity* bits; with *most_nodes* 0 greedy ones alone.

    Example:
        >>> pack([Range(0, 1, 4), Range(1, 2, 4), Range(3, 3, 8)], 8).addresses
        (0, 4, 0)
        >>> pack([Range(0, 1, 4), Range(1, 2, 4), Range(3, 3, 8), Range(2, 3, 4)], 8)
        Packing(addresses=None, over=(), is_proven=True)
    """
    if _overfull(ranges, capacity):
        return Packing()
    groups = [*_together(ranges)]
    if len(groups) == 1:
        return _packed(ranges, capacity, most_nodes)
    over, merged, of = next(_chained(ranges))
    if (greedy := _greedy(merged, capacity)) is not None:
        return Packing(tuple(greedy[each] for each in of), over)
    addresses, at, is_proven = [0] * len(ranges), [0] * len(ranges), True
    for numbers in groups:
        place = {number: index for index, number in enumerate(numbers)}
        some = [
            ranges[number]._replace(over=tuple(place[each] for each in ranges[number].over))
            for number in numbers
        ]
        found = _packed(some, capacity, most_nodes)
        if found.addresses is None:
            if found.is_proven:
                return found
            is_proven = False
            continue
        for number, address, below in zip(numbers, found.addresses, found.over, strict=True):
            addresses[number], at[number] = address, numbers[below]
    return Packing(tuple(addresses), tuple(at)) if is_proven else Packing(is_proven=False)


def _together(ranges: Sequence[Range]) -> Iterator[list[int]]:
    """Yield ranges that are there together, or linked by others."""
    group: list[int] = []
    end = -1
    for number in sorted(range(len(ranges)), key=lambda each: ranges[each].first):
        if group and ranges[number].first > end:
            yield group
            group = []
        group.append(number)
        end = max(end, ranges[number].last)
    if group:
        yield group


def _packed(ranges: Sequence[Range], capacity: int, most_nodes: int) -> Packing:
    """Addresses for some ranges that are there together."""
    every = list(islice(_chained(ranges), _MOST_CHAINS + 1))
    is_proven = len(every) <= _MOST_CHAINS
    chains = every[: _MOST_CHAINS if len(ranges) <= MOST_RANGES else 1]
    for over, merged, of in chains:
        if (greedy := _greedy(merged, capacity)) is not None:
            return Packing(tuple(greedy[each] for each in of), over)
    if len(ranges) > MOST_RANGES:
        return Packing(is_proven=False)
    for over, merged, of in chains:
        try:
            exact = _Exact(merged, capacity, most_nodes // len(chains)).addresses()
        except _GivenUpError:
            is_proven = False
            continue
        if exact is not None:
            return Packing(tuple(exact[each] for each in of), over)
    return Packing(is_proven=is_proven)


def _overfull(ranges: Sequence[Range], capacity: int) -> bool:
    """Whether some layer has more bits than there are, wherever they lie."""
    change: dict[int, int] = {}
    for each in ranges:
        change[each.first] = change.get(each.first, 0) + each.bits * (not each.over)
        change[each.last + 1] = change.get(each.last + 1, 0) - each.bits
        if each.over:  # counted from the layer after that in which both are in one place
            change[each.first + 1] = change.get(each.first + 1, 0) + each.bits
    bits = 0
    for layer in sorted(change):
        bits += change[layer]
        if bits > capacity:
            return True
    return False


def _chained(
    ranges: Sequence[Range],
) -> Iterator[tuple[tuple[int, ...], list[Range], list[int]]]:
    """Yield each way to write over ranges: over which, what is one range then, and which of these each is in."""
    choices = [
        (*each.over, *((own,) if each.is_free or not each.over else ())) for own, each in enumerate(ranges)
    ]
    for over in product(*choices):
        taken = [other for own, other in enumerate(over) if other != own]
        if len({*taken}) < len(taken):
            continue
        merged: list[Range] = []
        of: list[int] = [-1] * len(ranges)
        for own in sorted(range(len(ranges)), key=lambda each: ranges[each].first):
            each = ranges[own]
            if over[own] == own or of[over[own]] < 0:
                of[own] = len(merged)
                merged.append(Range(each.first, each.last, each.bits))
            else:
                of[own] = of[over[own]]
                merged[of[own]] = merged[of[own]]._replace(last=each.last)
        yield over, merged, of


_ORDERS: tuple[Callable[[Range], tuple[int, ...]], ...] = (
    lambda each: (each.first, -each.bits),
    lambda each: (-each.bits, each.first),
    lambda each: (-each.bits * (each.last - each.first + 1), each.first),
    lambda each: (each.first - each.last, -each.bits),
)
"""In which addresses are given: as they come, the largest, those of the most room, the longest first."""


def _greedy(ranges: Sequence[Range], capacity: float) -> list[int] | None:
    """The lowest address that is free for each range in turn, in the first order in which all of them fit."""
    beside = _beside(ranges)
    for key in _ORDERS:
        order = [number for *_, number in sorted((*key(each), n) for n, each in enumerate(ranges))]
        tried = _MOST_TRIED if len(ranges) > MOST_RANGES else _FEW_TRIED
        for _ in range(min(tried, 1 + _MOST_COMPARED // (1 + len(ranges) ** 2))):
            address: dict[int, int] = {}
            for place, number in enumerate(order):
                taken = [(address[n], address[n] + ranges[n].bits) for n in beside[number] if n in address]
                low = _lowest(taken, ranges[number].bits)
                if low + ranges[number].bits > capacity:
                    order.insert(0, order.pop(place))
                    break
                address[number] = low
            if len(address) == len(ranges):
                return [address[number] for number in range(len(ranges))]
    return None


def _beside(ranges: Sequence[Range]) -> list[list[int]]:
    """The other ranges that are there while each one is."""
    found: list[list[int]] = [[] for _ in ranges]
    alive: list[int] = []
    for number in sorted(range(len(ranges)), key=lambda number: ranges[number].first):
        alive = [other for other in alive if ranges[other].last >= ranges[number].first]
        for other in alive:
            found[other].append(number)
        found[number] += alive
        alive.append(number)
    return found


def _lowest(taken: Sequence[tuple[int, int]], bits: int) -> int:
    """The lowest address at which so many *bits* are beside what is *taken*, from one address to another."""
    low = 0
    for start, end in sorted(taken):
        if low + bits <= start:
            break
        low = max(low, end)
    return low


class _GivenUpError(Exception):
    """The exact search took too many steps."""


class _Exact:
    """Addresses in ascending order, each range on top of those that are there."""

    def __init__(self, ranges: Sequence[Range], capacity: int, most_nodes: int) -> None:
        # Only layers in which a range begins can have more bits than the others.
        layers = sorted({each.first for each in ranges})
        self._ranges, self._capacity, self._left = ranges, capacity, most_nodes
        self._layers = [
            [place for place, layer in enumerate(layers) if each.first <= layer <= each.last]
            for each in ranges
        ]
        self._bits = [each.bits for each in ranges]
        self._count = len(layers)
        self._failed: set[tuple[int, int, tuple[int, ...]]] = set()

    def addresses(self) -> list[int] | None:
        """Return the address of each range; None where there are none."""
        rest = [0] * self._count
        for layers, bits in zip(self._layers, self._bits, strict=True):
            for layer in layers:
                rest[layer] += bits
        if any(bits > self._capacity for bits in rest):
            return None
        found = [0] * len(self._bits)
        every = (1 << len(self._bits)) - 1
        return found if self._place(every, 0, (0,) * self._count, tuple(rest), found) else None

    def _place(
        self, missing: int, last: int, levels: tuple[int, ...], rest: tuple[int, ...], found: list[int]
    ) -> bool:
        if not missing:
            return True
        state = missing, last, levels
        if state in self._failed:
            return False
        if self._left <= 0:
            raise _GivenUpError
        self._left -= 1
        options = []
        for number in range(len(self._bits)):
            if missing >> number & 1:
                address = max([levels[layer] for layer in self._layers[number]])
                if address >= last:
                    options.append((address, -self._bits[number], number))
        for address, _, number in sorted(options):
            bits = self._bits[number]
            above, without = list(levels), list(rest)
            for layer in self._layers[number]:
                above[layer] = address + bits
                without[layer] -= bits
            # No range that is missing lies below this one.
            if any(
                more and max(level, address) + more > self._capacity
                for level, more in zip(above, without, strict=True)
            ):
                continue
            found[number] = address
            if self._place(missing & ~(1 << number), address, tuple(above), tuple(without), found):
                return True
        self._failed.add(state)
        return False


def are_apart(ranges: Sequence[Range], packing: Packing, capacity: int) -> bool:
    """Whether *packing* gives all *ranges* places of their own, but for those that are written over others."""
    if packing.addresses is None or len(packing.addresses) != len(ranges):
        return False
    placed = [*zip(ranges, packing.addresses, packing.over, strict=True)]
    if any(at < 0 or at + each.bits > capacity for each, at, _ in placed):
        return False
    for number, (one, low, over) in enumerate(placed):
        for other, (two, high, below) in enumerate(placed[:number]):
            together = one.first <= two.last and two.first <= one.last
            joined = number == below or other == over
            if joined and low != high:
                return False
            if together and not joined and low < high + two.bits and high < low + one.bits:
                return False
    return True


def first_over(ranges: Sequence[Range]) -> tuple[int, ...]:
    """Return over which range each is written, the first of those over which it may be; its own number: none."""
    return next(_chained(ranges))[0]


def stacked(ranges: Sequence[Range], count: int) -> list[dict[int, int]]:
    """Return an address of each range while each of *count* layers runs, those that are there on top of each other.

    What ends moves those above it; what is written over another one lies in its place.
    """
    _, merged, of = next(_chained(ranges))
    found: list[dict[int, int]] = [{} for _ in merged]
    top = [0] * count
    for each, address in sorted(zip(merged, found, strict=True), key=lambda pair: pair[0].first):
        for layer in range(each.first, each.last + 1):
            address[layer] = top[layer]
            top[layer] += each.bits
    return [found[number] for number in of]
