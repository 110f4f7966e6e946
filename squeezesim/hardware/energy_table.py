"""An energy table: energy per access of each level, as data with a source for every value."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import Field, TypeAdapter

from squeezesim.errors import HardwareError, nearest
from squeezesim.hardware.energy_levels import TABLE_DIRECTORY, tables
from squeezesim.hardware.values import Part, Real
from squeezesim.yaml_tree import parse, read_source


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
