"""Energy: accesses at each level × energy per access, in the unit of the accelerator's table.

    E = executed MACs · e_mac + Σ over levels and operands of words · bits · e_level per bit + leakage · time

A word that is loaded into the buffer is read from its store and written to the buffer; one that is stored is read from
the buffer and written to its store. A level is an entry in ``Machine.per_bit``, which says its prices by direction;
energies come by the names of ``Machine.levels``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from squeezesim.cost.dataflow.base import Access, Accesses
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Workload
from squeezesim.cost.rates import Rates

AccessBits = Mapping[Access, Any]
"""Bits moved by level, operand and direction."""

Bits = Mapping[tuple[str, str], Any]
"""Bits moved by (level, direction), of all operands."""


def access_bits(work: Workload, accesses: Accesses, started: Any) -> AccessBits:
    """Bits of *accesses* at the widths of their operands.

    *started* are outputs whose sums begin, so that their partial sums are not read from the buffer.
    """
    resumed = Access("buffer", "psums", "read")
    return {
        access: (words - started if access == resumed else words) * work.bits(access.operand)
        for access, words in accesses.items()
    }


def transfer_bits(
    machine: Machine, moved: Sequence[Any], unpacked: Any = None, second: Any = 0.0, unpooled: Any = 0.0
) -> AccessBits:
    """Bits that the DMA moves; *moved* are those of inputs, weights, outputs and partial sums.

    Partial sums are stored and loaded, half each, in the memory of the outputs. Weights may be compressed in theirs;
    what is written into the buffer are *unpacked* bits, by default as many. Of the inputs *second* are what is added to
    outputs, which is read from the buffer then. Outputs that are pooled are read from the buffer, *unpooled* bits, and
    what they become is written there before it leaves.
    """
    inputs, weights, outputs, psums = (part * 1.0 for part in moved)
    homes = [machine.memory_names[machine.home(operand)] for operand in ("inputs", "weights", "outputs")]
    return {
        Access("buffer", "outputs", "read"): outputs + unpooled,
        Access("buffer", "outputs", "write"): outputs * (np.asarray(unpooled) > 0),
        Access("buffer", "inputs", "read"): inputs * 0.0 + second,
        Access("buffer", "psums", "read"): psums / 2,
        Access("buffer", "inputs", "write"): inputs,
        Access("buffer", "weights", "write"): weights if unpacked is None else unpacked * 1.0,
        Access("buffer", "psums", "write"): psums / 2,
        Access(homes[0], "inputs"): inputs,
        Access(homes[1], "weights"): weights,
        Access(homes[2], "outputs"): outputs,
        Access(homes[2], "psums"): psums,
    }


def level_bits(bits: AccessBits) -> Bits:
    """Sum over the operands."""
    sums: dict[tuple[str, str], Any] = {}
    for (level, _, direction), part in bits.items():
        key = level, direction
        sums[key] = sums[key] + part if key in sums else part
    return sums


def buffer_bits(bits: Bits) -> Any:
    """Bits between buffer and array."""
    return bits.get(("buffer", "read"), 0.0) + bits.get(("buffer", "write"), 0.0)


def add_bits(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> dict[Any, Any]:
    """Sum of both, access by access."""
    return {key: one.get(key, 0.0) + other.get(key, 0.0) for key in {**one, **other}}


def layer_energy(
    work: Workload, bits: Bits, executed: Any, cycles: Any, machine: Machine | Rates
) -> dict[str, Any]:
    """Energy of MAC layers by level; *bits* are those of the array and of the DMA, *executed* the MACs done.

    All arguments broadcast, so that the same formula serves chosen tilings and whole matrices of candidates.
    """
    costs: Any = machine.energy
    energy = dict.fromkeys(machine.levels, 0.0 * executed)
    energy["mac"] = executed * costs.mac(work.weight_bits, work.activation_bits, work.accumulator_bits)
    for (level, direction), price in machine.per_bit.items():
        energy[level] = energy[level] + bits.get((level, direction), 0.0) * price
    energy["leakage"] = leakage(cycles, machine)
    return energy


def total(energy: Mapping[str, Any]) -> Any:
    """Sum over the levels, in their order."""
    return sum(energy.values())


def leakage(cycles: Any, machine: Machine | Rates) -> Any:
    """Leakage energy in pJ: mW × cycles / clock; 1 mW over 1 µs is 1,000 pJ."""
    return cycles * (machine.energy.leakage_mw * 1e9 / machine.clock_hz)
