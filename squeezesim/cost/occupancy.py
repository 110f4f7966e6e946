"""Occupancy: what of the buffer whole tensors and tiles take while each layer runs, and addresses for them.

The placement knows room as a sum, unless the layout is contiguous. Addresses are given afterwards (``addresses``): each
tensor, and the tiles of each layer, in one piece. Where none are found, they are stacked layer by layer, so that a
tensor that ends moves those above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

from squeezesim.cost.addresses import Packing, Range, Stay, are_apart, first_over, pack, stacked, stays_of
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
from squeezesim.cost.residents import addressed, given_places, given_weights, homes_of, maps_on
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
    whole = stays_of(maps, held)
    stays = _tensors(layers, whole, is_both.tolist())
    at = [number for number, bits in enumerate(tiles) if bits]
    ranges = [*(stay.range for stay in whole), *(Range(number, number, tiles[number]) for number in at)]
    found = pack(ranges, room)
    if found.addresses is None and machine.contiguous:
        found = _searched(layers, machine, ranges, at, room)
    addresses = (
        stacked(ranges, len(layers)) if found.addresses is None else _constant(ranges, found.addresses)
    )
    over = first_over(ranges) if found.addresses is None else found.over
    own = dict(zip(at, addresses[len(whole) :], strict=True))
    outside = _outside(layers, inputs, maps, stays, machine)
    alone = [Range(each.first, each.last, each.bits) for each in outside]
    return Occupancy(
        room,
        _placed(stays, addresses, over),
        _placed(outside, _constant(alone, pack(alone, sum(each.bits for each in alone)).addresses or ()), ()),
        tiles,
        [own[number][number] if number in own else 0 for number in range(len(layers))],
        has_addresses=found.addresses is not None,
    )


def _searched(
    layers: Sequence[Layer], machine: Machine, ranges: Sequence[Range], tiles: Sequence[int], room: int
) -> Packing:
    """The addresses that the search for the placement found, of layers *tiles* in the room that it left them."""
    made = addressed(tuple(layers), machine)
    if made is None:
        return Packing()
    whole = len(made.addresses) - len(layers)
    own = (*made.addresses[:whole], *(made.addresses[whole + number] for number in tiles))
    found = Packing(own, (*made.over, *range(whole, len(own))))
    return found if are_apart(ranges, found, room) else Packing()


def _constant(ranges: Sequence[Range], addresses: Sequence[int]) -> list[dict[int, int]]:
    """The same address of each of *ranges* while each layer runs."""
    return [
        dict.fromkeys(range(each.first, each.last + 1), address)
        for each, address in zip(ranges, addresses, strict=True)
    ]


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


def _tensors(layers: Sequence[Layer], stays: Sequence[Stay], is_both: Sequence[bool]) -> list[Tensor]:
    """What is in the buffer whole, without addresses."""
    return [
        Tensor(
            layers[stay.layer].name if stay.home != OUTSIDE else f"weights up to {layers[stay.layer].name}",
            stay.layer,
            stay.range.first,
            stay.range.last,
            stay.range.bits,
            stay.is_weights,
            is_both=is_both[stay.layer] and not stay.is_weights,
        )
        for stay in stays
    ]


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


def _placed(
    tensors: Sequence[Tensor], addresses: Sequence[Mapping[int, int]], over: Sequence[int]
) -> list[Tensor]:
    """The *tensors* at *addresses*, *over* being that which each is written over, or itself."""
    below = {other for number, other in enumerate(over[: len(tensors)]) if other != number}
    return [
        tensor._replace(
            addresses=tuple(address[layer] for layer in range(tensor.first, tensor.last + 1)),
            over=bool(over) and over[number] != number,
            under=number in below,
        )
        for number, (tensor, address) in enumerate(zip(tensors, addresses, strict=False))
    ]
