"""Tally: what a report adds up, and the ratios that follow from the sums, for a layer, a stage or the whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import operands_of
from squeezesim.hardware.energy import energy_costs
from squeezesim.network.compress.storage import layer_sizes

if TYPE_CHECKING:
    from squeezesim.cost.evaluate import Costs
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Layer


def stored_bytes(layers: Iterable[Layer], accelerator: Accelerator) -> NDArray[np.int64]:
    """Return what each layer's learnt values take, (layers, 2): in the smallest form, and without an index."""
    machine = Machine.of(accelerator)
    rows = []
    for layer in layers:
        bits = operands_of(layer, machine)
        sizes = layer_sizes(layer, bits.weight_bits, bits.accumulator_bits, bits.weight_density)
        rows.append([-(-size // 8) for size in (sizes.least, sizes.values)])
    return np.array(rows, np.int64).reshape(len(rows), 2)


Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What turns sums into ratios and units, for one accelerator."""

    pes: int
    clock_mhz: float
    mac_energy: float  # of one MAC at the accelerator's precision, in the unit of the table
    pj_per_unit: float | None  # None: the table is relative

    @classmethod
    def of(cls, accelerator: Accelerator) -> Scale:
        """Read the numbers from a validated accelerator."""
        bits, costs = accelerator.precision, energy_costs(accelerator)
        return cls(
            pes=accelerator.array.rows * accelerator.array.cols,
            clock_mhz=accelerator.clock_mhz,
            mac_energy=costs.mac(bits.weight_bits, bits.activation_bits, bits.accumulator_bits),
            pj_per_unit=costs.pj_per_unit,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Sums, one row for each layer or group of layers; the last axis of the tables is as named in ``cost.evaluate``."""

    layers: Ints  # how many
    params: Ints
    macs: Ints
    vector_ops: Ints
    cycles: Ints
    executed: Ints  # MACs
    losses: Ints  # PE-cycles by LOSSES
    time: Ints  # cycles by BOUNDS
    dram: Ints  # bytes by OPERANDS
    buffer_bytes: Ints
    energy: Floats  # by level, in the unit of the table
    weights: Ints  # bytes of what was learnt: with what finds the non-zeros, and without

    @classmethod
    def of(cls, layers: Sequence[Layer], costs: Costs, accelerator: Accelerator) -> Tally:
        """Return one row for each layer, of the first accelerator of *costs*, which is *accelerator*."""
        counts = np.array([(1, layer.params, layer.macs, layer.vector_ops) for layer in layers], np.int64)
        return cls(
            layers=counts[:, 0],
            params=counts[:, 1],
            macs=counts[:, 2],
            vector_ops=counts[:, 3],
            cycles=costs.cycles[0],
            executed=costs.executed[0],
            losses=costs.losses[0],
            time=costs.time[0],
            dram=costs.dram_bytes[0],
            buffer_bytes=costs.buffer_bytes[0],
            energy=costs.energy[0],
            weights=stored_bytes(layers, accelerator),
        )

    def grouped(self, groups: Ints, count: int) -> Tally:
        """Return the sums over the rows of each of *count* groups; ``groups[i]`` is the group of row i."""

        def add(column: NDArray[np.generic]) -> NDArray[np.generic]:
            sums = np.zeros((count, *column.shape[1:]), column.dtype)
            np.add.at(sums, groups, column)  # in order, so that floating-point sums are always the same
            return sums

        columns = {field.name: add(getattr(self, field.name)) for field in fields(self)}
        return Tally(**columns)  # type: ignore[arg-type]

    def take(self, rows: NDArray[np.integer[Any]]) -> Tally:
        """Return the rows *rows*."""
        return Tally(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def total(self) -> Tally:
        """Return one row: the sum over all rows."""
        return self.grouped(np.zeros(len(self.cycles), np.int64), 1)

    def pe_cycles(self, scale: Scale) -> Ints:
        """PEs · cycles, all that the array could have done."""
        return np.asarray(self.cycles * scale.pes, np.int64)

    def utilization(self, scale: Scale) -> Floats:
        """Executed MACs / (PEs · cycles); not a number where there are no cycles."""
        return _ratio(self.executed, self.pe_cycles(scale))

    def efficiency(self, scale: Scale) -> Floats:
        """Dense MACs / (PEs · cycles), above 1 where zeros are skipped; not a number where there are no cycles."""
        return _ratio(self.macs, self.pe_cycles(scale))

    def latency_us(self, scale: Scale) -> Floats:
        """Cycles / clock in MHz."""
        return np.asarray(self.cycles / scale.clock_mhz)

    def energy_uj(self, scale: Scale) -> Floats:
        """Energy by level in µJ; not a number where the table is relative."""
        factor = np.nan if scale.pj_per_unit is None else scale.pj_per_unit * 1e-6
        return np.asarray(self.energy * factor)

    def energy_mac_equiv(self, scale: Scale) -> Floats:
        """Energy by level in MACs at the accelerator's precision; not a number where a MAC costs nothing."""
        return _ratio(self.energy, np.full_like(self.energy, scale.mac_energy))

    @property
    def dram_bytes(self) -> Ints:
        """Bytes between DRAM and buffer, of all operands."""
        return np.asarray(self.dram.sum(axis=-1))


def _ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Floats:
    quotient = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=quotient, where=whole != 0)
    return quotient
