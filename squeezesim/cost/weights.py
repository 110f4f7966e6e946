"""Weights: what those of a layer take of the chip, and which of them stay from one inference to the next.

``memory.stays`` is a memory of its own on the chip, for weights alone. It is filled layer by layer, whole, in the order
of the network, until those of a layer do not fit: the layers before have theirs there from then on. Costs are those of
the steady state, of the second and later inferences, in which they are not loaded:

    layers 0 … n − 1 have their weights there, n the greatest with Σ bits of layers before n ≤ bits of the memory

So what stays in a smaller one stays in a larger one too. Weights are held as the buffer holds them, not compressed, and
read at its price; they need no tile of the buffer. Where the buffer itself keeps weights, those of further layers in
order take room of it beside feature maps and tiles; how many do is a choice of the placement.

Hand-worked: 30, 50 and 10 KiB of weights in 64 KiB. The first layer's stay, the second's do not fit, and those of the
third are loaded too.

Source: Google, "Edge TPU Compiler", parameter data caching: https://coral.ai/docs/edgetpu/compiler.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Homes, operands_of
from squeezesim.network.layer import Layer


def has_weights(layer: Layer) -> bool:
    """Whether *layer* multiplies by weights, which are the same in every step."""
    return layer.kind == "mac" and not layer.weights_are_activations


def weight_bits(layer: Layer, machine: Machine) -> int:
    """Return the bits of the buffer, whole bytes, that all weights of *layer* take, and what is read beside them.

    Example: 64 weights of 8 bits and 8 biases of 32.

        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> layer = Layer.matmul("h", m=1, n=8, k=8, bias=True)
        >>> weight_bits(layer, Machine.of(Accelerator.named("os_32x32").replace({"precision.weight_bits": 8})))
        768
    """
    operands = operands_of(layer, machine)
    if layer.kind != "mac":
        return -(-layer.weight_elements * operands.weight_bits // 8) * 8
    weights = layer.g * layer.k * layer.c * layer.fy * layer.fx
    bits = weights * operands.weight_bits + layer.constants * operands.accumulator_bits
    return -(-bits // 8) * 8


def own_bits(layers: Sequence[Layer], machine: Machine) -> dict[int, int]:
    """Return of each layer with weights that can stay, by number, the bits that they take beside those before.

    Weights that layers before own are there already. A layer that reads a part of its table, as an embedding does, has
    none that can stay.
    """
    numbers = {layer.name: number for number, layer in enumerate(layers)}
    found: dict[int, int] = {}
    for number, layer in enumerate(layers):
        if has_weights(layer) or 0 < layer.params <= layer.weight_elements:
            owners = {numbers.get(name) for name in layer.shared}
            is_there = bool(owners) and owners <= found.keys() and not layer.params
            found[number] = 0 if is_there else weight_bits(layer, machine)
    return found


class Lasting(NamedTuple):
    """Weights that stay from one inference to the next.

    Attributes:
        layers: whose they are, by number.
        bits: of the buffer that they take, without those in ``memory.stays``.
        apart: whether they are in another part of the buffer than feature maps.
    """

    layers: frozenset[int]
    bits: int = 0
    apart: bool = False

    @property
    def resident(self) -> int:
        """Bits of the room that feature maps have."""
        return 0 if self.apart else self.bits


def lasting(layers: Sequence[Layer], machine: Machine) -> Lasting:
    """Return the weights that stay in ``memory.stays``.

    Example:
        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> on = Accelerator.named("os_32x32").replace({"precision.weight_bits": 8, "memory.stays.size_kib": 64})
        >>> layers = [Layer.matmul(f"fc{n}", m=1, n=n, k=1024) for n in (30, 50, 10)]
        >>> lasting(layers, Machine.of(on))
        Lasting(layers=frozenset({0}), bits=0, apart=False)
    """
    return next(splits(layers, machine))


def splits(layers: Sequence[Layer], machine: Machine, room: float = 0.0) -> Iterator[Lasting]:
    """Yield what may stay: what ``memory.stays`` holds; and where the buffer keeps weights, those of further layers.

    They follow in the order of the network, a layer at a time, as far as they fit *room*, bits of the buffer, or the
    part of it that holds weights and no inputs.
    """
    room, is_apart = machine.apart_bits or room, machine.apart_bits > 0
    sizes = own_bits(layers, machine) if machine.lasting_bits or machine.keeps_weights else {}
    found, elsewhere, bits = set[int](), 0, 0
    numbers = iter(sizes.items())
    further = next(numbers, None)
    while further and elsewhere + further[1] <= machine.lasting_bits:
        elsewhere += further[1]
        found.add(further[0])
        further = next(numbers, None)
    yield Lasting(frozenset(found))
    while further and machine.keeps_weights and bits + further[1] <= room:
        bits += further[1]
        found.add(further[0])
        further = next(numbers, None)
        yield Lasting(frozenset(found), bits, is_apart)


def load_once(layer: Layer, homes: Homes) -> bool:
    """Whether the weights of *layer* are loaded before its first step, for the others to find them in the buffer."""
    return has_weights(layer) and homes.weights and not homes.lasting
