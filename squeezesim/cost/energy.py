"""Energy: accesses at each level × energy per access, in the unit of the accelerator's table.

    E = executed MACs · e_mac + Σ over levels and operands of words · bits · e_level per bit + leakage · time

A word that the DMA loads is read from DRAM and written to the buffer; one that it stores is read from the buffer and
written to DRAM.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from squeezesim.cost.dataflow.base import Accesses
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Workload
from squeezesim.cost.rates import Rates


class Energy(NamedTuple):
    """Energy by level; ``leakage`` is 0 where the table has none."""

    mac: Floats
    register_file: Floats
    inter_pe: Floats
    buffer: Floats
    dram: Floats
    vector: Floats
    leakage: Floats

    @property
    def total(self) -> Floats:
        """Sum of the parts."""
        return (
            self.mac
            + self.register_file
            + self.inter_pe
            + self.buffer
            + self.dram
            + self.vector
            + self.leakage
        )


LEVELS = Energy._fields


def buffer_bits(work: Workload, accesses: Accesses) -> tuple[Any, Any]:
    """Bits that the array reads from the buffer, and bits that it writes to it."""
    read = (
        accesses.buffer_inputs * work.activation_bits
        + accesses.buffer_weights * work.weight_bits
        + accesses.buffer_psums_read * work.accumulator_bits
    )
    return read, accesses.buffer_psums_written * work.accumulator_bits


class LevelBits(NamedTuple):
    """Bits that the array moves at each level."""

    register_file: Any
    inter_pe: Any
    read: Any  # from the buffer
    written: Any  # to it

    @property
    def between(self) -> Any:
        """Bits between buffer and array."""
        return self.read + self.written


def level_bits(work: Workload, accesses: Accesses) -> LevelBits:
    """Bits of *accesses* at the widths of their operands."""
    registers = (
        accesses.register_inputs * work.activation_bits
        + accesses.register_weights * work.weight_bits
        + accesses.register_psums * work.accumulator_bits
    )
    between = (
        accesses.inter_pe_inputs * work.activation_bits
        + accesses.inter_pe_weights * work.weight_bits
        + accesses.inter_pe_psums * work.accumulator_bits
    )
    return LevelBits(registers, between, *buffer_bits(work, accesses))


def layer_energy(
    work: Workload,
    bits: LevelBits,
    executed: Any,
    loaded: Any,
    stored: Any,
    cycles: Any,
    machine: Machine | Rates,
) -> Energy:
    """Energy of MAC layers; *loaded* and *stored* are bits between DRAM and buffer, *executed* the MACs done.

    All arguments broadcast, so that the same formula serves chosen tilings and whole matrices of candidates.
    """
    costs: Any = machine.energy
    return Energy(
        mac=executed * costs.mac(work.weight_bits, work.activation_bits, work.accumulator_bits),
        register_file=bits.register_file * costs.register_file_per_bit,
        inter_pe=bits.inter_pe * costs.inter_pe_per_bit,
        buffer=(bits.read + stored) * costs.buffer_read_per_bit
        + (bits.written + loaded) * costs.buffer_write_per_bit,
        dram=(loaded + stored) * costs.dram_per_bit,
        vector=0.0 * executed,
        leakage=leakage(cycles, machine),
    )


def leakage(cycles: Any, machine: Machine | Rates) -> Any:
    """Leakage energy in pJ: mW × cycles / clock; 1 mW over 1 µs is 1,000 pJ."""
    return cycles * (machine.energy.leakage_mw * 1e9 / machine.clock_hz)
