"""Whether a network fits the memories beside DRAM that have a size.

Weights are there all the time, as compressed as the memory stores them. Activations are there from the layer that
writes them to the last that reads them, inputs of the network from the first layer on, outputs to the last. Maps that
live in the buffer have their place too, so that what fits does so wherever the placement puts them.
"""

from __future__ import annotations

from collections.abc import Sequence

from squeezesim.cost.machine import Machine, Store
from squeezesim.cost.maps import OUTSIDE, map_bits, sources_of
from squeezesim.cost.problem import operands_of, workload_of
from squeezesim.cost.recurrence import has_weights
from squeezesim.network.layer import Layer


def overfull(layers: Sequence[Layer], machine: Machine) -> str:
    """Say which memory of *machine* is too small for the network *layers*; nothing where all hold it.

    Example:
        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> sram = {"size_kib": 0.5, "bandwidth_gb_s": 4.0, "holds": ["activations"]}
        >>> on = Accelerator.named("os_32x32").replace({"memory.stores": {"sram": sram}})
        >>> overfull([Layer.conv("conv", c=4, k=8, oy=8, ox=8, fy=1, fx=1)], Machine.of(on))
        'activations beside layer conv take 768 bytes of sram, which has 512'
    """
    for store in machine.stores:
        if "outputs" in store.holds:
            number, bits = _alive(layers, machine)
            what = f"activations beside layer {layers[number].name}"
            if bits > store.bits:
                return _text(what, bits, store)
        if "weights" in store.holds and (bits := _weights(layers, machine)) > store.bits:
            return _text("weights", bits, store)
    return ""


def _text(what: str, bits: int, store: Store) -> str:
    return f"{what} take {-(-bits // 8):,} bytes of {store.name}, which has {int(store.bits / 8):,}"


def _weights(layers: Sequence[Layer], machine: Machine) -> int:
    """Bits of all weights, and of what is read beside them."""
    owners = [layer for layer in layers if has_weights(layer)]
    others = [layer for layer in layers if layer.kind != "mac"]
    bits = sum(layer.weight_elements * operands_of(layer, machine).weight_bits for layer in others)
    if owners:
        work, rows = workload_of(owners, machine)
        bits += int((work.stored_weights + work.constants)[rows].sum())
    return bits


def _alive(layers: Sequence[Layer], machine: Machine) -> tuple[int, int]:
    """The layer beside which the most bits of activations are alive, and how many."""
    sources = sources_of(layers)
    bits = [0 if layer.kind == "view" else map_bits(layer, machine) for layer in layers]
    last = list(range(len(layers)))
    read, inputs = set(), (0, -1)  # bits of the network's inputs, and their last reader
    for number, layer in enumerate(layers):
        if layer.kind == "view":
            continue
        for source in sources[number] or (OUTSIDE,):  # a layer that stands alone reads inputs too
            if source == OUTSIDE:
                of_input = layer.input_elements * operands_of(layer, machine).activation_bits
                inputs = max(inputs[0], of_input), number
            else:
                last[source] = number
                read.add(source)
    alive = [inputs[0] if number <= inputs[1] else 0 for number in range(len(layers))]
    for number, size in enumerate(bits):
        until = last[number] if number in read else len(layers) - 1
        for each in range(number, until + 1):
            alive[each] += size
    most = max(range(len(layers)), key=alive.__getitem__)
    return most, alive[most]
