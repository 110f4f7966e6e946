"""Energy, area and leakage of an SRAM by its size, interpolated between tabulated sizes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from squeezesim.errors import HardwareError
from squeezesim.hardware.energy_levels import TABLE_DIRECTORY

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sram:
    """Tabulated SRAMs of one word width: size (KiB) → energy of an access (pJ), area (mm²), leakage (mW)."""

    word_bits: float
    size_kib: Floats
    read_pj: Floats
    write_pj: Floats
    area_mm2: Floats | None = None
    leakage_mw: Floats | None = None

    def covers(self, size_kib: float) -> bool:
        """Return whether *size_kib* lies between the smallest and the largest tabulated size."""
        return bool(self.size_kib[0] <= size_kib <= self.size_kib[-1])


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
    """Return the SRAMs that CACTI 7 gives at a technology node, one for each word width, narrowest first."""
    with (TABLE_DIRECTORY / "cacti_sram.csv").open(encoding="utf-8", newline="") as file:
        table = [row for row in csv.DictReader(file) if int(row["tech_nm"]) == node_nm]
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
        found.append(Sram(float(width), **columns))
    return tuple(found)


def choose(srams: tuple[Sram, ...], size_kib: float, access_bits: float, table: str) -> Sram:
    """Return the widest of *srams* that holds *size_kib* and whose word is not wider than an access.

    Where each word is wider than an access, it is the narrowest.

    Errors:
        HardwareError: no table holds *size_kib*; an energy outside of the tabulated sizes would be a guess.
    """
    covering = [sram for sram in srams if sram.covers(size_kib)]
    if not covering:
        low, high = min(sram.size_kib[0] for sram in srams), max(sram.size_kib[-1] for sram in srams)
        raise HardwareError(
            f"memory.global_buffer.size_kib is {size_kib:g}, outside of energy table {table!r}; "
            f"allowed with it: {low:g} to {high:g} KiB"
        )
    fitting = [sram for sram in covering if sram.word_bits <= access_bits]
    return fitting[-1] if fitting else covering[0]
