"""Energy, area and leakage of an SRAM by its size, interpolated between tabulated sizes, in banks beyond them."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from squeezesim.errors import HardwareError, nearest
from squeezesim.hardware.part import Part, Real
from squeezesim.hardware.parts import TABLE_DIRECTORY, Level, tables
from squeezesim.yaml_tree import parse, read_source

if TYPE_CHECKING:
    from squeezesim.hardware.parts import Specification
    from squeezesim.hardware.store import Store

Floats = NDArray[np.float64]

BUFFER_SIZE = "memory.global_buffer.size_kib"


@dataclass(frozen=True, slots=True, eq=False)
class Sram:
    """Tabulated SRAMs of one word width: size (KiB) → energy of an access (pJ), area (mm²), leakage (mW).

    Beyond the largest size B, where *wire_pj* is known, a memory is N = size / B banks of that size behind an H-tree:

        energy of an access = that of a bank + wire_pj · (√N − 1)        area, leakage = N · a bank's

    An H-tree of N equal banks, each of area A, is √(N·A) − √A long from its root to a bank. N is not rounded, so that
    everything is continuous and grows with the size.
    """

    word_bits: float
    size_kib: Floats
    read_pj: Floats
    write_pj: Floats
    area_mm2: Floats | None = None
    leakage_mw: Floats | None = None
    wire_pj: float | None = None  # of an access, over the side √A of the largest memory

    def covers(self, size_kib: float) -> bool:
        """Return whether *size_kib* lies between the tabulated sizes, or beyond them where banks are known."""
        return bool(
            self.size_kib[0] <= size_kib and (self.wire_pj is not None or size_kib <= self.size_kib[-1])
        )

    def banks(self, size_kib: float) -> float:
        """Return N: 1 up to the largest tabulated size, then how many of that size *size_kib* is."""
        return max(1.0, size_kib / float(self.size_kib[-1]))

    def access_pj(self, size_kib: float, values: Floats) -> float:
        """Return the energy of an access whose tabulated *values* are reads or writes, the H-tree's included."""
        bank = interpolate(min(size_kib, float(self.size_kib[-1])), self.size_kib, values)
        return bank + (self.wire_pj or 0.0) * (math.sqrt(self.banks(size_kib)) - 1)

    def summed(self, size_kib: float, values: Floats) -> float:
        """Return what adds up over banks: *values* are areas or leakages."""
        bank = interpolate(min(size_kib, float(self.size_kib[-1])), self.size_kib, values)
        return self.banks(size_kib) * bank


def interpolate(size: float, sizes: Floats, values: Floats) -> float:
    """Return the value at *size* on straight lines through (log size, log value); exact at the given sizes.

    *size* has to lie within *sizes*, which ascend; values are positive.

    Example:
        >>> round(interpolate(16, np.array([8.0, 32.0]), np.array([10.0, 20.0])), 6)  # 10 · √2
        14.142136
    """
    at = int(np.searchsorted(sizes, size))
    if sizes[at] == size:
        return float(values[at])
    return float(np.exp(np.interp(np.log(size), np.log(sizes), np.log(values))))


@cache
def cacti(node_nm: int) -> tuple[Sram, ...]:
    """Return the SRAMs that CACTI 7 gives at a technology node, one for each word width, narrowest first.

    The energy of their wires is from CACTI's memory of two banks of the largest size: (read − a bank's) / (√2 − 1).
    """
    table, banked = _rows("cacti_sram", node_nm), _rows("cacti_banks", node_nm)
    two = {int(row["width_bits"]): float(row["read_pJ"]) for row in banked if row["banks"] == "2"}
    found = []
    for width in sorted({int(row["width_bits"]) for row in table}):
        rows = sorted(
            (row for row in table if int(row["width_bits"]) == width), key=lambda row: float(row["size_KiB"])
        )
        columns = {
            name: np.array([float(row[column]) for row in rows])
            for name, column in (
                ("size_kib", "size_KiB"),
                ("read_pj", "read_pJ"),
                ("write_pj", "write_pJ"),
                ("area_mm2", "area_mm2"),
                ("leakage_mw", "leak_mW"),
            )
        }
        wire_pj = (two[width] - float(columns["read_pj"][-1])) / (math.sqrt(2) - 1)
        found.append(Sram(float(width), **columns, wire_pj=wire_pj))
    return tuple(found)


def _rows(name: str, node_nm: int) -> list[dict[str, str]]:
    with (TABLE_DIRECTORY / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if int(row["tech_nm"]) == node_nm]


def choose(
    srams: tuple[Sram, ...], size_kib: float, access_bits: float, table: str, where: str = BUFFER_SIZE
) -> Sram:
    """Return the widest of *srams* that holds *size_kib* and whose word is not wider than an access.

    Where each word is wider than an access, it is the narrowest.

    Errors:
        HardwareError: no table holds *size_kib*; an energy outside of the tabulated sizes would be a guess.
    """
    covering = [sram for sram in srams if sram.covers(size_kib)]
    if not covering:
        low, high = min(sram.size_kib[0] for sram in srams), max(sram.size_kib[-1] for sram in srams)
        banked = any(sram.wire_pj is not None for sram in srams)
        allowed = f"at least {low:g} KiB" if banked else f"{low:g} to {high:g} KiB"
        raise HardwareError(
            f"{where} is {size_kib:g}, outside of energy table {table!r}; allowed with it: {allowed}"
        )
    fitting = [sram for sram in covering if sram.word_bits <= access_bits]
    return fitting[-1] if fitting else covering[0]


class Entry(Part):
    """An energy as its source prints it: ``value`` for ``per_bits`` bits, times a technology factor."""

    value: Real = Field(ge=0)
    per_bits: Real = Field(gt=0)
    scale: Real = Field(1.0, gt=0)
    source: str

    @property
    def per_bit(self) -> float:
        """Energy of one bit: value · scale / bits (for ``multiply``, bits is the product of the widths)."""
        return self.value * self.scale / self.per_bits


class FixedBuffer(Part):
    """A buffer whose energy does not depend on its size."""

    read: Entry
    write: Entry


class SizedBuffer(Part):
    """A buffer with the energy of an access at some sizes."""

    access_bits: Real = Field(gt=0)
    size_kib: tuple[Real, ...]
    read: tuple[Real, ...]
    write: tuple[Real, ...]
    source: str


class CactiBuffer(Part):
    """A buffer whose energy, area and leakage come from the CACTI sweep at one technology node."""

    cacti_nm: int


class EnergyTable(Part):
    """Energy per access of each level in one unit: ``pJ``, or ``MAC`` for energies relative to one MAC."""

    description: str
    unit: Literal["pJ", "MAC"]
    source: str
    multiply: Entry
    add: Entry
    register_file: Entry
    inter_pe: Entry
    dram: Entry
    vector_op: Entry
    buffer: FixedBuffer | SizedBuffer | CactiBuffer

    @property
    def has_area(self) -> bool:
        """Whether it says how large a buffer is on the chip."""
        return isinstance(self.buffer, CactiBuffer)


@cache
def energy_table(name: str) -> EnergyTable:
    """Return the energy table *name*; HardwareError with the nearest names where there is none.

    Example:
        >>> energy_table("eyeriss_relative").dram.value
        200.0
    """
    if name not in tables():
        raise HardwareError(
            f"unknown energy table {name!r}; allowed: {', '.join(tables())}{nearest(name, tables())}"
        )
    tree = parse(read_source(TABLE_DIRECTORY / f"{name}.yaml"))
    return TypeAdapter(EnergyTable).validate_python(tree.plain())


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
def energy_costs(accelerator: Specification) -> EnergyCosts:
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


def store_per_bit(accelerator: Specification, name: str, store: Store) -> float:
    """Return the energy of a bit between a memory beside DRAM and the buffer, in the unit of the table.

    What the file says, else that of a buffer of the memory's size, reads and writes alike, else DRAM's.

    Errors:
        HardwareError: the table does not reach that size.
    """
    if store.access is not None:
        return store.access / WORD_BITS
    if store.size_kib is None:
        return energy_costs(accelerator).dram_per_bit
    access_bits = accelerator.array.port_words * accelerator.precision.activation_bits
    table, where = accelerator.energy.table, f"memory.stores.{name}.size_kib"
    sram = _buffer(energy_table(table), table, store.size_kib, access_bits, where)
    return (sram.read_per_bit + sram.write_per_bit) / 2


@dataclass(frozen=True, slots=True)
class _Buffer:
    read_per_bit: float
    write_per_bit: float
    leakage_mw: float = 0.0
    area_mm2: float | None = None


def _buffer(
    table: EnergyTable, name: str, size_kib: float, access_bits: int, where: str = BUFFER_SIZE
) -> _Buffer:
    """The costs of a buffer of this size, which is that of the parameter *where*."""
    match table.buffer:
        case FixedBuffer(read=read, write=write):
            return _Buffer(read.per_bit, write.per_bit)
        case SizedBuffer() as sized:
            sizes, reads, writes = (np.array(column) for column in (sized.size_kib, sized.read, sized.write))
            srams: tuple[Sram, ...] = (Sram(sized.access_bits, sizes, reads, writes),)
        case CactiBuffer(cacti_nm=node):
            srams = cacti(node)
    sram = choose(srams, size_kib, access_bits, name, where)
    return _Buffer(
        sram.access_pj(size_kib, sram.read_pj) / sram.word_bits,
        sram.access_pj(size_kib, sram.write_pj) / sram.word_bits,
        0.0 if sram.leakage_mw is None else sram.summed(size_kib, sram.leakage_mw),
        None if sram.area_mm2 is None else sram.summed(size_kib, sram.area_mm2),
    )


def _or_override(level: Level, per_bit: float, overrides: Mapping[Level, float]) -> float:
    return overrides[level] / WORD_BITS if level in overrides else per_bit
