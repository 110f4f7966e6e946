"""Energy per operation and per bit moved, for one accelerator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from squeezesim.errors import HardwareError
from squeezesim.hardware.energy_levels import Level, tables
from squeezesim.hardware.energy_table import CactiBuffer, EnergyTable, FixedBuffer, SizedBuffer, energy_table
from squeezesim.hardware.sram import Sram, cacti, choose, interpolate

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator

__all__ = ["EnergyCosts", "energy_costs", "tables"]

WORD_BITS = 16  # the word that overrides are given for
_MAC_BITS = (16, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyCosts:
    """Energy of each operation and bit moved, in the unit of the table (pJ, or one MAC for relative tables).

    ``area_mm2`` and ``leakage_mw`` are the global buffer's: None and 0 where the table does not have them.
    ``pj_per_unit`` turns the unit into pJ: 1 for tables in pJ, None for a relative one without a given unit.
    """

    multiply_per_bit2: float  # × weight bits × activation bits
    add_per_bit: float  # × accumulator bits
    register_file_per_bit: float
    inter_pe_per_bit: float
    buffer_read_per_bit: float
    buffer_write_per_bit: float
    dram_per_bit: float
    vector_op_per_bit: float  # × activation bits
    leakage_mw: float
    area_mm2: float | None
    pj_per_unit: float | None
    source: str

    @overload
    def mac(self, weight_bits: float, activation_bits: float, accumulator_bits: float) -> float: ...

    @overload
    def mac(
        self,
        weight_bits: NDArray[np.generic],
        activation_bits: NDArray[np.generic],
        accumulator_bits: NDArray[np.generic],
    ) -> NDArray[np.float64]: ...

    def mac(
        self,
        weight_bits: float | NDArray[np.generic],
        activation_bits: float | NDArray[np.generic],
        accumulator_bits: float | NDArray[np.generic],
    ) -> float | NDArray[np.float64]:
        """Energy of a MAC, multiply_per_bit2 · weight bits · activation bits + add_per_bit · sum bits.

        Example:
            >>> from squeezesim.hardware import Accelerator
            >>> energy_costs(Accelerator.named("squeezelerator_8x8")).mac(8, 8, 32)
            0.25
        """
        return self.multiply_per_bit2 * weight_bits * activation_bits + self.add_per_bit * accumulator_bits  # type: ignore[operator]


@lru_cache(maxsize=1024)
def energy_costs(accelerator: Accelerator) -> EnergyCosts:
    """Return the energy per operation and bit of *accelerator*, overrides applied.

    Errors:
        HardwareError: the table does not reach the buffer's size, or ``pj_per_unit`` comes with a pJ table.
    """
    energy = accelerator.energy
    table = energy_table(energy.table)
    if table.unit == "pJ" and energy.pj_per_unit is not None:
        raise HardwareError(
            f"energy.pj_per_unit is {energy.pj_per_unit:g}, but energy table {energy.table!r} is in pJ; "
            "allowed: null, or a relative table"
        )
    access_bits = accelerator.array.port_words * accelerator.precision.activation_bits
    buffer = _buffer(table, energy.table, accelerator.memory.global_buffer.size_kib, access_bits)
    given = energy.overrides
    mac = 1.0
    if "mac" in given:
        weight, activation, accumulator = _MAC_BITS
        mac = given["mac"] / (table.multiply.per_bit * weight * activation + table.add.per_bit * accumulator)
    return EnergyCosts(
        multiply_per_bit2=table.multiply.per_bit * mac,
        add_per_bit=table.add.per_bit * mac,
        register_file_per_bit=_or_override("register_file", table.register_file.per_bit, given),
        inter_pe_per_bit=_or_override("inter_pe", table.inter_pe.per_bit, given),
        buffer_read_per_bit=_or_override("buffer", buffer.read_per_bit, given),
        buffer_write_per_bit=_or_override("buffer", buffer.write_per_bit, given),
        dram_per_bit=_or_override("dram", table.dram.per_bit, given),
        vector_op_per_bit=_or_override("vector_op", table.vector_op.per_bit, given),
        leakage_mw=buffer.leakage_mw,
        area_mm2=buffer.area_mm2,
        pj_per_unit=1.0 if table.unit == "pJ" else energy.pj_per_unit,
        source=table.source,
    )


@dataclass(frozen=True, slots=True)
class _Buffer:
    read_per_bit: float
    write_per_bit: float
    leakage_mw: float = 0.0
    area_mm2: float | None = None


def _buffer(table: EnergyTable, name: str, size_kib: float, access_bits: int) -> _Buffer:
    """The global buffer's costs at its size."""
    match table.buffer:
        case FixedBuffer(read=read, write=write):
            return _Buffer(read.per_bit, write.per_bit)
        case SizedBuffer() as sized:
            columns = (np.array(column) for column in (sized.size_kib, sized.read, sized.write))
            srams: tuple[Sram, ...] = (Sram(sized.access_bits, *columns),)
        case CactiBuffer(cacti_nm=node):
            srams = cacti(node)
    sram = choose(srams, size_kib, access_bits, name)
    return _Buffer(
        interpolate(size_kib, sram.size_kib, sram.read_pj) / sram.word_bits,
        interpolate(size_kib, sram.size_kib, sram.write_pj) / sram.word_bits,
        0.0 if sram.leakage_mw is None else interpolate(size_kib, sram.size_kib, sram.leakage_mw),
        None if sram.area_mm2 is None else interpolate(size_kib, sram.size_kib, sram.area_mm2),
    )


def _or_override(level: Level, per_bit: float, overrides: Mapping[Level, float]) -> float:
    return overrides[level] / WORD_BITS if level in overrides else per_bit
