"""Weights of a recurrence that stay in the buffer from step to step.

Layers that stand in a row and repeat as often, T times, are one recurrence: their steps take turns. Its weights, with
what is read beside them, are loaded in every step, or once before the first one; then they live in the buffer, whole
and not compressed, while any of its layers runs:

    each step loads them    cycles = T · step
    they stay               cycles = load + T · kept        load = latency + ⌈bytes in memory / bytes a cycle⌉

*kept* is a step that loads no weights and has what they leave of the buffer for its other tiles; it is searched like
any other (``problem.Homes``). Nothing overlaps the load. All weights of a recurrence stay, or none do.

Hand-worked: 64 KiB of weights, 100 steps, 16 bytes a cycle, a latency of 50 cycles. The load of weights that stay is
64 KiB in 4,146 cycles; in every step they are 6,400 KiB in at least 409,600 cycles.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.costs import Axes, bits_table, pe_slots, stack_columns
from squeezesim.cost.dataflow.base import Access
from squeezesim.cost.energy import buffer_bits, layer_energy, level_bits
from squeezesim.cost.machine import Machine
from squeezesim.cost.pipeline import transfer_cycles
from squeezesim.cost.problem import workload_of
from squeezesim.cost.rates import Rates
from squeezesim.cost.weights import has_weights, weight_bits
from squeezesim.network.layer import Layer, recurrences


class Staying(NamedTuple):
    """A recurrence whose weights may stay.

    Attributes:
        steps: its layers, by number.
        owners: those of them with weights.
        bits: of the buffer that tiles share, which the weights take; none of a part for weights alone.
    """

    steps: range
    owners: tuple[int, ...]
    bits: int


def staying(layers: Sequence[Layer], machine: Machine, elsewhere: Container[int] = ()) -> Iterator[Staying]:
    """Yield the recurrences of *layers* whose weights may stay on *machine*, if there is room beside their tiles.

    Where a part of the buffer is for weights alone, they have to fit that; a second operand that is no weight would
    pass it too, so that beside one they do not stay. Those of layers *elsewhere* stay from one inference to the next.
    """
    begin = 0
    for steps in recurrences(layers):
        numbers = range(begin, begin + len(steps))
        begin += len(steps)
        owners = tuple(
            number for number in numbers if has_weights(layers[number]) and number not in elsewhere
        )
        if not machine.stays or steps[0].repeat == 1 or not owners:
            continue
        bits = sum(weight_bits(layers[number], machine) for number in owners)
        if not machine.weights_bits:
            yield Staying(numbers, owners, bits)
        elif bits <= machine.weights_bits and not any(layer.weights_are_activations for layer in steps):
            yield Staying(numbers, owners, 0)


def first_loads(layers: Sequence[Layer], family: Machine, rates: Rates, axes: Axes) -> dict[str, Any]:
    """Costs of loading all weights of each of *layers* once, (machines, layers, …), as columns of ``Costs``."""
    work, rows = workload_of(layers, family)
    work, each = work.take(rows), rates.take(np.arange(len(rates))[:, None])
    memory = family.home("weights")
    moved = np.broadcast_to(work.stored_weights + work.constants, (len(rates), len(work)))
    written = work.weights * work.factor_bits + work.constants + 0 * moved
    cycles = transfer_cycles(moved, each.bytes_per_cycle[..., memory]) + each.latency[..., memory]
    bits = {
        Access(family.memory_names[memory], "weights"): moved * 1.0,
        Access("buffer", "weights", "write"): written * 1.0,
    }
    levels = level_bits(bits)
    waiting = np.asarray(pe_slots(cycles, family.pes, work.macs_at_once, work.cycles_at_once), np.int64)
    return {
        "cycles": cycles,
        "losses": stack_columns({"startup": waiting}, axes.causes),
        "time": stack_columns({"startup": cycles}, axes.bounds),
        "dram_bytes": stack_columns({"weights": -(-moved // 8)}, axes.operands),
        "buffer_bytes": (buffer_bits(levels) / 8).astype(np.int64),
        "bits": bits_table(bits, axes),
        "energy": stack_columns(layer_energy(work, levels, 0.0 * moved, cycles, each), axes.levels),
    }
