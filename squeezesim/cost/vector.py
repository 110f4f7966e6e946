"""Layers without MACs that do work: pooling, additions, softmax, activations that nothing absorbs.

Operands stream through the buffer while the lanes work, so that the slower of the two sets the pace:

    cycles = setup + DRAM latency · 2 + max(⌈vector_ops / lanes⌉, ⌈input bytes / rate⌉ + ⌈output bytes / rate⌉)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from squeezesim.cost.energy import leakage
from squeezesim.cost.machine import Machine
from squeezesim.cost.pipeline import transfer_cycles
from squeezesim.cost.problem import Ints, operands_of
from squeezesim.cost.rates import Rates
from squeezesim.network.layer import Layer


def moved_bits(layers: Sequence[Layer], machine: Machine) -> tuple[Ints, Ints, Ints]:
    """Return the bits of inputs and of parameters that the DMA loads for each layer, and of outputs that it stores."""
    widths = [operands_of(layer, machine) for layer in layers]
    rows = [
        (
            layer.input_elements * width.activation_bits,
            layer.weight_elements * width.weight_bits,
            layer.output_elements * width.activation_bits,
        )
        for layer, width in zip(layers, widths, strict=True)
    ]
    inputs, parameters, outputs = np.array(rows, np.int64).T
    return inputs, parameters, outputs


def vector_costs(layers: Sequence[Layer], machine: Machine, rates: Rates) -> dict[str, Any]:
    """Costs of one step of vector layers on the machines of a family, (machines, layers, …), as columns of ``Costs``.

    They are 0 where a machine has no vector lanes.

    Example: 3,136 additions on 16 lanes take 196 cycles, their 18,816 bytes at 16 bytes a cycle 1,176.
    """
    bits = np.array([operands_of(layer, machine).activation_bits for layer in layers], np.int64)
    ops = np.array([layer.vector_ops // layer.repeat for layer in layers], np.int64)
    inputs, parameters, stored = moved_bits(layers, machine)
    loaded = inputs + parameters
    each = rates.take(np.arange(len(rates))[:, None])
    there = each.vector_lanes > 0
    computing = -(-ops // np.maximum(each.vector_lanes, 1))
    moving = transfer_cycles(loaded, each) + transfer_cycles(stored, each)
    nothing = np.zeros_like(computing)
    startup, setup = nothing + 2 * each.dram_latency, nothing + each.setup
    steps = np.maximum(computing, moving)
    cycles = setup + startup + steps
    by_dram = moving > computing
    costs = each.energy
    moved = (loaded + stored).astype(np.float64)
    none = nothing.astype(np.float64)
    losses = [nothing, nothing, nothing, steps - computing, nothing, startup, setup, computing]
    time = [nothing, np.where(by_dram, steps, 0), nothing, setup + startup, np.where(by_dram, 0, steps)]
    dram = [nothing + -(-inputs // 8), nothing + -(-parameters // 8), nothing + -(-stored // 8), nothing]
    energy = [
        *(none, none, none),
        moved * (costs.buffer_read_per_bit + costs.buffer_write_per_bit),
        moved * costs.dram_per_bit,
        ops * bits * costs.vector_op_per_bit,
        leakage(cycles, each) + none,
    ]
    columns = {
        "cycles": cycles,
        "losses": machine.pes * np.stack(losses, axis=-1),
        "time": np.stack(time, axis=-1),
        "dram_bytes": np.stack(dram, axis=-1),
        "buffer_bytes": nothing + ((loaded + stored) * 2 / 8).astype(np.int64),
        "energy": np.stack(energy, axis=-1),
    }
    return {
        name: np.where(there if column.ndim == 2 else there[..., None], column, 0)
        for name, column in columns.items()
    }
