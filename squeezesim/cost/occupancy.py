"""Occupancy: what of the buffer whole tensors and tiles take while each layer runs, and addresses for them.

The placement knows room as a sum. Addresses are given afterwards: each tensor, and the tiles of each layer in one
piece, take the lowest that is free as long as they live, in several orders; the first order in which all of them fit is
taken. Where there is none, they are stacked layer by layer, so that a tensor that ends moves those above it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf
from typing import NamedTuple

from squeezesim.cost.bounds import OptionSpace
from squeezesim.cost.costs import HOMED, HOMES, Costs
from squeezesim.cost.given import LayerHomes
from squeezesim.cost.layings import laying_in
from squeezesim.cost.lowering import as_run
from squeezesim.cost.machine import Machine
from squeezesim.cost.maps import OUTSIDE, Maps
from squeezesim.cost.mapspace import given_options
from squeezesim.cost.problem import workload_of
from squeezesim.cost.rates import Rates
from squeezesim.cost.residents import given_places, given_weights, homes_of, maps_on
from squeezesim.cost.traffic import room_for_maps
from squeezesim.errors import MappingError
from squeezesim.network.layer import Layer, recurrences


class Tensor(NamedTuple):
    """What a layer writes, an input of the network, or weights that stay, in the buffer or in a memory.

    Attributes:
        name: of the layer that writes it, or is the first with the weights of a recurrence; of the input; ``weights up
            to`` the last layer whose weights stay from one inference to the next.
        layer: index of that layer; 0 for an input.
        first, last: the layers while which it is there.
        bits: its size.
        is_weights: whether it is weights.
        is_both: whether it is in the buffer and in a memory.
        over: whether it is written over the tensor that ends in its first layer.
        under: whether another one is written over it in its last layer.
        addresses: its first bit while each of these layers runs.
    """

    name: str
    layer: int
    first: int
    last: int
    bits: int
    is_weights: bool = False
    is_both: bool = False
    over: bool = False
    under: bool = False
    addresses: tuple[int, ...] = ()

    @property
    def pieces(self) -> Iterator[tuple[float, float, int]]:
        """Yield where it begins and ends among the layers, and its address: one piece where that does not change.

        Layer i is from i − ½ to i + ½; tensors of one address share their layer.
        """
        number = self.first
        for address, group in groupby(self.addresses):
            count = len(list(group))
            begin = number - 0.5 + 0.5 * (self.over and number == self.first)
            number += count
            yield begin, number - 0.5 - 0.5 * (self.under and number > self.last), address


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What is in the buffer, and which activations are in a memory.

    Attributes:
        capacity: bits that tensors and tiles share.
        stays: tensors in the buffer, as they come.
        outside: tensors in a memory, those in both among them.
        tiles: bits of the tiles of each layer.
        tiles_at: their first bit.
        has_addresses: whether each tensor stays where it is in the buffer; else they are stacked.
    """

    capacity: int
    stays: Sequence[Tensor]
    outside: Sequence[Tensor]
    tiles: Sequence[int]
    tiles_at: Sequence[int]
    has_addresses: bool


def occupancy(
    layers: Sequence[Layer], inputs: Mapping[str, int], machine: Machine, costs: Costs
) -> Occupancy:
    """Return what *layers* leave in the buffer of *machine*, by the homes of *costs*; *inputs* have so many elements.

    Raises:
        MappingError: no placement has such homes.

    Example: a convolution whose outputs a second one reads in the buffer.

    >>> from squeezesim.cost.evaluate import evaluate
    >>> from squeezesim.hardware.accelerator import Accelerator
    >>> one = Layer.conv("a", c=4, k=4, oy=8, ox=8, fy=1, fx=1)
    >>> layers, on = [one, Layer.conv("b", c=4, k=4, oy=8, ox=8, fy=1, fx=1)], Accelerator.named("os_32x32")
    >>> from dataclasses import replace
    >>> layers[1] = replace(layers[1], inputs=("a",))
    >>> found = occupancy(layers, {}, Machine.of(on), evaluate(layers, [on]))
    >>> [(each.name, each.first, each.last, each.bits) for each in found.stays]
    [('a', 0, 1, 2048)]
    """
    room = int(room_for_maps(machine, Rates.of([machine]))[0])
    tiles = _tiles(layers, machine, costs)
    homes = homes_of(costs)
    maps = maps_on(layers, machine, given_weights(layers, machine, homes, room))
    held = _held(layers, machine, homes)
    is_both = costs.homes[0, :, HOMED.index("outputs")] == HOMES.index("both")
    stays = _stays(layers, maps, held, is_both.tolist())
    chains = _chains(maps, stays)
    of_tiles = [_Chain((), number, number, bits) for number, bits in enumerate(tiles) if bits]
    found = _packed([*chains, *of_tiles], room)
    addresses = found or _stacked([*chains, *of_tiles], len(layers))
    at = {layer: bit for address in addresses[len(chains) :] for layer, bit in address.items()}
    outside = _outside(layers, inputs, maps, stays, machine)
    alone = [_Chain((number,), each.first, each.last, each.bits) for number, each in enumerate(outside)]
    return Occupancy(
        room,
        _placed(stays, chains, addresses),
        _placed(outside, alone, _packed(alone, inf)),
        tiles,
        [at.get(number, 0) for number in range(len(layers))],
        has_addresses=bool(found) or not addresses,
    )


def _held(layers: Sequence[Layer], machine: Machine, homes: Mapping[int, LayerHomes]) -> list[frozenset[int]]:
    """The classes that are in the buffer while each layer runs; where no placement keeps so many bytes, the fewest."""
    try:
        found = given_places(layers, machine, homes)
    except MappingError:
        least = {number: replace(at, kept_bytes=None) for number, at in homes.items()}
        found = given_places(layers, machine, least)
    return [at.classes for at in found]


def _tiles(layers: Sequence[Layer], machine: Machine, costs: Costs) -> list[int]:
    """Bits of the buffer that the tiles of each layer take."""
    run = as_run(layers, machine, costs.cycles[0].tolist())
    mac = [number for number, layer in enumerate(run) if layer.kind == "mac" and costs.tile[0, number].all()]
    found = [0] * len(layers)
    if mac:
        of: dict[Machine, list[int]] = {}
        for number in mac:
            of.setdefault(laying_in(machine, costs, number), []).append(number)
        for laying, numbers in of.items():
            homes = [costs.homes_at(number) for number in numbers]
            work, rows = workload_of([run[number] for number in numbers], laying, homes)
            work = work.take(rows)
            space = OptionSpace(work, laying, given_options(work, laying, costs.tile[0, numbers].T))
            pixel, channel = space.pixels.offsets[:-1], space.channels.offsets[:-1]
            bits = space.residency.tile_bits(costs.mode[0, numbers], pixel, channel)
            for number, each in zip(numbers, bits.tolist(), strict=True):
                found[number] = int(each)
    return found


def _stays(
    layers: Sequence[Layer], maps: Maps, held: Sequence[frozenset[int]], is_both: Sequence[bool]
) -> list[Tensor]:
    """Tensors of the classes that are *held* while each layer runs, without addresses."""
    found = []
    for number, of in enumerate(maps.written):
        if of != OUTSIDE and of in held[number]:
            end = (
                maps.last[number] if maps.last[number] > number else len(held) - 1
            )  # to the end if nobody reads it
            last = number
            while last < end and of in held[last + 1]:
                last += 1
            name = layers[number].name
            found.append(Tensor(name, number, number, last, maps.bits[number], is_both=is_both[number]))
    for first, of in maps.begun.items():
        if of in held[first]:
            last = maps.classes[of].last
            found.append(
                Tensor(layers[first].name, first, first, last, maps.alive[first][of], is_weights=True)
            )
    if maps.lasting.bits:
        number, end = max(maps.lasting.layers), len(held) - 1
        name = f"weights up to {layers[number].name}"
        found.append(Tensor(name, number, 0, end, maps.lasting.bits, is_weights=True))
    return sorted(found, key=lambda stay: (stay.first, stay.is_weights))


def _outside(
    layers: Sequence[Layer],
    inputs: Mapping[str, int],
    maps: Maps,
    stays: Sequence[Tensor],
    machine: Machine,
) -> list[Tensor]:
    """Activations in a memory, without addresses; of a recurrence those of all steps where they are read after it."""
    found = []
    for name, elements in inputs.items():
        names, last = {name}, 0
        for number, layer in enumerate(layers):
            if not names.isdisjoint(layer.inputs):
                last = number
                names |= {layer.name} if layer.kind == "view" else set()
        found.append(Tensor(name, 0, 0, last, elements * machine.activation_bits))
    inside = {each.layer: each.is_both for each in stays if not each.is_weights}
    begin = 0
    for steps in recurrences(layers):
        end = begin + len(steps) - 1
        for number in range(begin, end + 1):
            layer, last = layers[number], maps.last[number]
            if "view" in (layer.kind, maps.layers[number].kind) or not inside.get(number, True):
                continue
            last = last if last > number or layer.carried else len(layers) - 1
            bits = maps.bits[number] * (layer.repeat if last > end else 1)
            first = begin if layer.repeat > 1 else number
            last = max(last, end) if layer.repeat > 1 else last
            found.append(Tensor(layer.name, number, first, last, bits, is_both=number in inside))
        begin = end + 1
    return found


class _Chain(NamedTuple):
    """Tensors of which each is written over the one before: *members* are their numbers; tiles have none."""

    members: tuple[int, ...]
    first: int
    last: int
    bits: int


def _chains(maps: Maps, stays: Sequence[Tensor]) -> list[_Chain]:
    """Every tensor in a chain, most of them alone."""
    chains: list[list[int]] = []
    chain_of: dict[int, list[int]] = {}
    for number, stay in enumerate(stays):
        over = () if stay.is_weights else maps.overwritten[stay.layer]
        before = [
            other
            for other, each in enumerate(stays[:number])
            if not each.is_weights
            and maps.written[each.layer] in over
            and each.bits == stay.bits
            and each.last == maps.last[each.layer] == stay.layer
        ]
        chain = chain_of[before[0]] if before else []
        if not before:
            chains.append(chain)
        chain.append(number)
        chain_of[number] = chain
    return [
        _Chain(tuple(chain), stays[chain[0]].first, stays[chain[-1]].last, stays[chain[0]].bits)
        for chain in chains
    ]


def _placed(
    tensors: Sequence[Tensor], chains: Sequence[_Chain], addresses: Sequence[Mapping[int, int]]
) -> list[Tensor]:
    """The *tensors* at the addresses of their *chains*, which come first among *addresses*."""
    found = list(tensors)
    for chain, address in zip(chains, addresses, strict=False):
        for number in chain.members:
            tensor = tensors[number]
            found[number] = tensor._replace(
                addresses=tuple(address[layer] for layer in range(tensor.first, tensor.last + 1)),
                over=number != chain.members[0],
                under=number != chain.members[-1],
            )
    return found


_ORDERS: tuple[Callable[[_Chain], tuple[int, ...]], ...] = (
    lambda chain: (chain.first, -chain.bits),
    lambda chain: (-chain.bits, chain.first),
    lambda chain: (-chain.bits * (chain.last - chain.first + 1), chain.first),
    lambda chain: (chain.first - chain.last, -chain.bits),
)
"""In which addresses are given: as they come, the largest, those of the most room, the longest first."""


_MOST_TRIED = 40
"""Orders that are tried from each of those, in which what found no room comes first."""

_MOST_COMPARED = 4_000_000  # pairs of tensors


def _packed(chains: Sequence[_Chain], capacity: float) -> list[dict[int, int]]:
    """The address of each chain while each layer runs, no end above *capacity*; nothing if no order has it."""
    beside = _beside(chains)
    for key in _ORDERS:
        order = [number for *_, number in sorted((*key(chain), n) for n, chain in enumerate(chains))]
        for _ in range(min(_MOST_TRIED, 1 + _MOST_COMPARED // (1 + len(chains) ** 2))):
            address: dict[int, int] = {}
            for place, number in enumerate(order):
                taken = [(address[n], address[n] + chains[n].bits) for n in beside[number] if n in address]
                low = _lowest(taken, chains[number].bits)
                if low + chains[number].bits > capacity:
                    order.insert(0, order.pop(place))
                    break
                address[number] = low
            if len(address) == len(chains):
                return [
                    dict.fromkeys(range(chain.first, chain.last + 1), address[number])
                    for number, chain in enumerate(chains)
                ]
    return []


def _beside(chains: Sequence[_Chain]) -> list[list[int]]:
    """The other chains that live while each one does."""
    found: list[list[int]] = [[] for _ in chains]
    alive: list[int] = []
    for number in sorted(range(len(chains)), key=lambda number: chains[number].first):
        alive = [other for other in alive if chains[other].last >= chains[number].first]
        for other in alive:
            found[other].append(number)
        found[number] += alive
        alive.append(number)
    return found


def _lowest(taken: list[tuple[int, int]], bits: int) -> int:
    """The lowest address at which so many *bits* are beside what is *taken*, from one address to another."""
    low = 0
    for start, end in sorted(taken):
        if low + bits <= start:
            break
        low = max(low, end)
    return low


def _stacked(chains: Sequence[_Chain], count: int) -> list[dict[int, int]]:
    """The same where those that are there are stacked, layer by layer."""
    found: list[dict[int, int]] = [{} for _ in chains]
    top = [0] * count
    for chain, address in sorted(zip(chains, found, strict=True), key=lambda pair: pair[0].first):
        for layer in range(chain.first, chain.last + 1):
            address[layer] = top[layer]
            top[layer] += chain.bits
    return found
