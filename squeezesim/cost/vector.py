"""Layers without MACs that do work: pooling, additions, softmax, activations that nothing absorbs.

Operands stream through the buffer while the lanes work, so that the slower of the two is the bottleneck:

    cycles = setup + DRAM latency · 2 + max(⌈vector_ops / lanes⌉, ⌈input bytes / rate⌉ + ⌈output bytes / rate⌉)

Pooling, element-wise work and softmax may have lanes of their own. Where operands live in several memories, it is the
slowest of their ports. What lives in the buffer passes no port and waits for no latency, but for the buffer's
bandwidth.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.costs import Axes, bits_table, pe_slots, stack_columns
from squeezesim.cost.dataflow.base import Access
from squeezesim.cost.energy import leakage
from squeezesim.cost.machine import Machine
from squeezesim.cost.pipeline import transfer_cycles
from squeezesim.cost.problem import Ints, operands_of
from squeezesim.cost.rates import Rates
from squeezesim.hardware.parts import vector_kind
from squeezesim.network.layer import Layer


class Streams(NamedTuple):
    """What of a layer's operands passes the memories; the rest lives in the buffer."""

    loaded: int  # elements of inputs
    stored: bool  # whether outputs do
    parameters: bool = True  # whether those do; else they stay from one inference to the next


def moved_bits(
    layers: Sequence[Layer], machine: Machine, streams: Sequence[Streams] = ()
) -> tuple[Ints, Ints, Ints]:
    """Return the bits of inputs and of parameters that the DMA loads for each layer, and of outputs that it stores.

    *streams* are by default all operands.
    """
    widths = [operands_of(layer, machine) for layer in layers]
    moving = streams or [Streams(layer.input_elements, stored=True) for layer in layers]
    rows = [
        (
            loaded * width.activation_bits,
            layer.weight_elements * width.weight_bits * learnt,
            layer.output_elements * width.activation_bits * stored,
        )
        for layer, width, (loaded, stored, learnt) in zip(layers, widths, moving, strict=True)
    ]
    inputs, parameters, outputs = np.array(rows, np.int64).T
    return inputs, parameters, outputs


def lanes_of(layers: Sequence[Layer], rates: Machine | Rates) -> Any:
    """Operations a cycle of each of *layers*: those of the lanes for its kind of work."""
    kinds = np.array([vector_kind(layer.op) for layer in layers])
    lanes: Any = rates.vector_lanes + np.zeros(len(layers), np.int64)
    engines = (
        ("pool", rates.pool_lanes),
        ("elementwise", rates.elementwise_lanes),
        ("softmax", rates.softmax_lanes),
    )
    for kind, own in engines:
        lanes = np.where((kinds == kind) & (np.asarray(own) > 0), own, lanes)
    return lanes


def vector_costs(
    layers: Sequence[Layer], machine: Machine, rates: Rates, axes: Axes, streams: Sequence[Streams] = ()
) -> dict[str, Any]:
    """Costs of one step of vector layers on the machines of a family, (machines, layers, …), as columns of ``Costs``.

    They are 0 where a machine has no vector lanes. *streams* are as for ``moved_bits``.

    Example: 3,136 additions on 16 lanes take 196 cycles, their 18,816 bytes at 16 bytes a cycle 1,176.
    """
    bits = np.array([operands_of(layer, machine).activation_bits for layer in layers], np.int64)
    ops = np.array([layer.vector_ops // layer.repeat for layer in layers], np.int64)
    inputs, parameters, stored = moved_bits(layers, machine, streams)
    read, every, written = moved_bits(layers, machine)
    kept = read - inputs + every - parameters
    each = rates.take(np.arange(len(rates))[:, None])
    there = np.broadcast_to(each.vector_lanes > 0, (len(rates), len(layers)))
    computing = -(-ops // np.maximum(lanes_of(layers, each), 1))
    homes = [machine.home(operand) for operand in ("inputs", "weights", "outputs")]
    moving, of_memory = [], []
    for memory in range(len(machine.memories)):
        loaded = inputs * (homes[0] == memory) + parameters * (homes[1] == memory)
        leaving, rate = stored * (homes[2] == memory), each.bytes_per_cycle[..., memory]
        moving.append(transfer_cycles(loaded, rate) + transfer_cycles(leaving, rate))
        of_memory.append((loaded + leaving).astype(np.float64))
    longest, slowest = reduce(np.maximum, moving), np.argmax(moving, axis=0)
    nothing = np.zeros_like(computing)
    # A memory is waited for by layers that load or store some of what it holds.
    of_parameters = np.where(parameters > 0, each.latency[..., homes[1]], 0)
    loading = np.maximum(np.where((inputs > 0) | (read == 0), each.latency[..., homes[0]], 0), of_parameters)
    storing = np.where((stored > 0) | (written == 0), each.latency[..., homes[2]], 0)
    startup, setup = nothing + loading + storing, nothing + each.setup
    inside = np.ceil((kept + written - stored) / each.buffer_bits_per_cycle).astype(np.int64)
    working = np.maximum(computing, inside)
    steps = np.maximum(working, longest)
    cycles = setup + startup + steps
    by_memory, costs, prices = longest > working, each.energy, each.per_bit
    by_buffer, moved = ~by_memory & (inside > computing), np.sum(of_memory, axis=0)
    waits = {
        name: np.where(slowest == memory, steps - working, 0)
        for memory, name in enumerate(machine.memory_names)
    }
    losses = {
        "startup": startup,
        "setup": setup,
        "vector": computing,
        "buffer": working - computing,
        **waits,
    }
    time = {
        "startup": setup + startup,
        "vector": np.where(by_memory | by_buffer, 0, steps),
        "buffer": np.where(by_buffer, steps, 0),
        **{
            name: np.where(by_memory & (slowest == memory), steps, 0)
            for memory, name in enumerate(machine.memory_names)
        },
    }
    energy = {
        "mac": nothing * 0.0,
        "buffer": moved * (prices["buffer", "read"] + prices["buffer", "write"])
        + kept * prices["buffer", "read"]
        + (written - stored) * prices["buffer", "write"],
        "vector": ops * bits * costs.vector_op_per_bit,
        "leakage": leakage(cycles, each),
        **{
            name: of_memory[memory] * prices[name, "access"]
            for memory, name in enumerate(machine.memory_names)
        },
    }
    bits_moved: dict[Access, Any] = {}
    for operand, home, through, reads, writes in zip(
        ("inputs", "weights", "outputs"),
        homes,
        (inputs, parameters, stored),
        (read, every, stored),
        (inputs, parameters, written),
        strict=True,
    ):
        for level, direction, part in (
            ("buffer", "read", reads),
            ("buffer", "write", writes),
            (machine.memory_names[home], "access", through),
        ):
            bits_moved[Access(level, operand, direction)] = nothing + part
    dram = {"inputs": -(-inputs // 8), "weights": -(-parameters // 8), "outputs": -(-stored // 8)}
    columns = {
        "cycles": cycles,
        "losses": pe_slots(stack_columns(losses, axes.causes), machine.pes),
        "time": stack_columns(time, axes.bounds),
        "dram_bytes": stack_columns({name: nothing + part for name, part in dram.items()}, axes.operands),
        "buffer_bytes": nothing
        + ((read + inputs + every + parameters + stored + written) / 8).astype(np.int64),
        "bits": bits_table(bits_moved, axes),
        "energy": stack_columns(energy, axes.levels),
    }
    return {
        name: np.where(there.reshape(*there.shape, *[1] * (column.ndim - 2)), column, 0)
        for name, column in columns.items()
    }
