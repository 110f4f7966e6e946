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
from squeezesim.cost.operands import operands_of
from squeezesim.cost.pipeline import transfer_cycles
from squeezesim.cost.workload import Ints
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


def vector_costs(layers: Sequence[Layer], machine: Machine) -> dict[str, Any]:
    """Costs of vector layers as columns of ``Costs``; nothing where the accelerator has no vector lanes.

    Example: 3,136 additions on 16 lanes take 196 cycles, their 18,816 bytes at 16 bytes a cycle 1,176.
    """
    if machine.vector_lanes == 0:
        return {}
    bits = np.array([operands_of(layer, machine).activation_bits for layer in layers], np.int64)
    ops = np.array([layer.vector_ops for layer in layers], np.int64)
    inputs, parameters, stored = moved_bits(layers, machine)
    loaded = inputs + parameters
    computing = -(-ops // machine.vector_lanes)
    moving = transfer_cycles(loaded, machine) + transfer_cycles(stored, machine)
    startup = np.full_like(computing, 2 * machine.dram_latency)
    setup = np.full_like(computing, machine.setup)
    steps = np.maximum(computing, moving)
    cycles = setup + startup + steps
    nothing = np.zeros_like(cycles)
    by_dram = moving > computing
    costs = machine.energy
    moved = (loaded + stored).astype(np.float64)
    none = nothing.astype(np.float64)
    return {
        "cycles": cycles,
        "executed": nothing,
        "losses": machine.pes
        * np.stack(
            [nothing, nothing, nothing, steps - computing, nothing, startup, setup, computing], axis=1
        ),
        "time": np.stack(
            [nothing, np.where(by_dram, steps, 0), nothing, setup + startup, np.where(by_dram, 0, steps)],
            axis=1,
        ),
        "dram_bytes": np.stack([-(-inputs // 8), -(-parameters // 8), -(-stored // 8), nothing], axis=1),
        "buffer_bytes": ((loaded + stored) * 2 / 8).astype(np.int64),
        "energy": np.stack(
            [
                none,
                none,
                none,
                moved * (costs.buffer_read_per_bit + costs.buffer_write_per_bit),
                moved * costs.dram_per_bit,
                ops * bits * costs.vector_op_per_bit,
                leakage(cycles, machine) + none,
            ],
            axis=1,
        ),
    }
