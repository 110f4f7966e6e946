"""What must be kept while each layer runs: its inputs and outputs, what later layers read, its weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.machine import Machine
from squeezesim.cost.operands import operands_of

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Layer, Network

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Live:
    """Bytes while each layer runs; the sum of the first three are the live activations."""

    read: Ints  # outputs of other layers, and inputs of the network, that the layer reads
    written: Ints  # its outputs
    kept: Ints  # of layers before it, for layers after it
    weights: Ints

    @property
    def activations(self) -> Ints:
        """Bytes of all activations that are live."""
        return self.read + self.written + self.kept


def liveness(network: Network, accelerator: Accelerator) -> Live:
    """Return what is live while each layer of *network* runs, in bytes at the widths with which it runs.

    A tensor is live from the layer that writes it, an input of the network from the first layer on, to the last layer
    that reads it, and to the end where none does. Views such as a concat hold no values of their own: who reads one
    reads what it joins.

    Example: of a chain of layers, each has only its inputs and its outputs live.
    """
    machine = Machine.of(accelerator)
    layers = network.layers
    count = len(layers)
    sources: dict[str, tuple[str, ...]] = {}  # of each name, the tensors that reading it reads
    bits: dict[str, int] = {}
    born: dict[str, int] = {}
    for name, shape in network.inputs:
        sources[name], born[name] = (name,), 0
        bits[name] = prod(shape) * machine.activation_bits
    last: dict[str, int] = {}
    readers: list[tuple[str, ...]] = []
    for place, layer in enumerate(layers):
        tensors = tuple(dict.fromkeys(tensor for name in layer.inputs for tensor in sources[name]))
        readers.append(() if layer.kind == "view" else tensors)
        if layer.kind == "view":
            sources[layer.name] = tensors
            continue
        sources[layer.name], born[layer.name] = (layer.name,), place
        bits[layer.name] = layer.output_elements * operands_of(layer, machine).activation_bits
        last |= dict.fromkeys(tensors, place)
    live = np.zeros(count + 1, np.int64)
    for tensor, begin in born.items():
        live[begin] += -(-bits[tensor] // 8)
        live[last.get(tensor, count - 1) + 1] -= -(-bits[tensor] // 8)
    whole = np.cumsum(live)[:-1]
    read = np.array([sum(-(-bits[name] // 8) for name in names) for names in readers], np.int64)
    written = np.array([-(-bits.get(layer.name, 0) // 8) for layer in layers], np.int64)
    return Live(read, written, whole - read - written, np.array(list(_weights(layers, machine)), np.int64))


def _weights(layers: tuple[Layer, ...], machine: Machine) -> Iterator[int]:
    """Bytes of learnt operands; the second one of a product of activations is read, not learnt."""
    for layer in layers:
        learnt = 0 if layer.weights_are_activations else layer.weight_elements
        yield -(-learnt * operands_of(layer, machine).weight_bits // 8)
