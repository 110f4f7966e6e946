"""Whether a network fits the memories beside DRAM that have a size.

Weights are there all the time, as compressed as the memory stores them. Activations are there from the layer that
writes them to the last that reads them, inputs of the network from the first layer on, outputs to the last. Of a
recurrence those of all steps are, where others read them, and else those of one, from its first layer to its last:
that is never too little. Maps that
live in the buffer have their place too, so that what fits does so wherever the placement puts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import isinf

from squeezesim.cost.machine import Machine, Store
from squeezesim.cost.maps import OUTSIDE, map_bits, sources_of
from squeezesim.cost.problem import operands_of, workload_of
from squeezesim.cost.weights import has_weights
from squeezesim.network.layer import Layer, recurrences


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
        if isinf(store.bits):
            continue
        if "outputs" in store.holds:
            number, bits = _alive(layers, machine)
            what = f"activations beside layer {layers[number].name}"
            if bits > store.bits:
                return _text(what, bits, store)
        if "weights" in store.holds and (bits := weights_bits(layers, machine)) > store.bits:
            return _text("weights", bits, store)
    return ""


def _text(what: str, bits: int, store: Store) -> str:
    return f"{what} take {-(-bits // 8):,} bytes of {store.name}, which has {int(store.bits / 8):,}"


def weights_bits(layers: Sequence[Layer], machine: Machine) -> int:
    """Return the bits of all weights of *layers*, and of what is read beside them."""
    owners = [layer for layer in layers if has_weights(layer)]
    others = [layer for layer in layers if layer.kind != "mac"]
    bits = sum(layer.weight_elements * operands_of(layer, machine).weight_bits for layer in others)
    if owners:
        work, rows = workload_of(owners, machine)
        bits += int((work.stored_weights + work.constants)[rows].sum())
    return bits


def alive_bits(layers: Sequence[Layer], machine: Machine) -> list[int]:
    """Return the bits of the activations that are there while each of *layers* runs."""
    change = [0] * (len(layers) + 1)
    for first, last, bits in lives(layers, machine):
        change[first] += bits
        change[last + 1] -= bits
    return list(accumulate(change[:-1]))


def _alive(layers: Sequence[Layer], machine: Machine) -> tuple[int, int]:
    """The layer beside which the most bits of activations are alive, and how many."""
    alive = alive_bits(layers, machine)
    most = max(range(len(layers)), key=alive.__getitem__)
    return most, alive[most]


def lives(layers: Sequence[Layer], machine: Machine) -> list[tuple[int, int, int]]:
    """Return the first and the last layer while which activations are there, and their bits; inputs are together."""
    run_of: list[int] = []
    begins: list[int] = []
    ends: list[int] = []
    for steps in recurrences(layers):
        begins.append(len(run_of))
        run_of += [len(ends)] * len(steps)
        ends.append(len(run_of) - 1)
    last = list(range(len(layers)))  # until when what a layer writes is
    inputs = (0, -1)  # bits of the network's inputs, and their last reader
    outside: dict[int, bool] = {}  # of layers that are read, whether it is from outside of their recurrence
    for number, (layer, sources) in enumerate(zip(layers, sources_of(layers), strict=True)):
        if layer.kind == "view":
            continue
        until = ends[run_of[number]] if layer.repeat > 1 else number
        for source in sources or (OUTSIDE,):  # a layer that stands alone reads inputs too
            if source == OUTSIDE:
                width = operands_of(layer, machine).activation_bits
                inputs = max(inputs[0], layer.input_elements * layer.repeat * width), until
                continue
            is_own = run_of[source] == run_of[number]
            outside[source] = outside.get(source, False) or not is_own
            last[source] = max(last[source], until)
    found = [(0, inputs[1], inputs[0])] if inputs[1] >= 0 else []
    for number, layer in enumerate(layers):
        if layer.kind != "view":
            bits = map_bits(layer, machine) * (layer.repeat if outside.get(number, True) else 1)
            first = begins[run_of[number]] if layer.repeat > 1 else number
            found.append((first, last[number] if number in outside else len(layers) - 1, bits))
    return found
