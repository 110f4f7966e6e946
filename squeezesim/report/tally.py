"""Tally: what a report adds up, and the ratios that follow from the sums, for a layer, a stage or a network.

The same sums serve the layers of one report and the networks of a sweep, a row for each accelerator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Operands, operands_of
from squeezesim.hardware.energy import energy_costs
from squeezesim.network.compress.storage import layer_sizes

if TYPE_CHECKING:
    from squeezesim.cost.costs import Costs
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Layer


Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def layer_operands(
    layers: Sequence[Layer], accelerators: Sequence[Accelerator]
) -> list[tuple[Operands, ...]]:
    """Return the operands of *layers* on each of *accelerators*; those of equal precision and zeros share theirs."""
    known: dict[object, tuple[Operands, ...]] = {}
    keys = [(accelerator.precision, accelerator.sparsity) for accelerator in accelerators]
    for key, accelerator in zip(keys, accelerators, strict=True):
        if key not in known:
            machine = Machine.of(accelerator)
            known[key] = tuple(operands_of(layer, machine) for layer in layers)
    return [known[key] for key in keys]


def stored_bytes(layers: Iterable[Layer], operands: Iterable[Operands]) -> Ints:
    """Return what each layer's learnt values take, (layers, 2): in the smallest form, and without an index."""
    rows = []
    for layer, bits in zip(layers, operands, strict=True):
        sizes = layer_sizes(layer, bits.weight_bits, bits.accumulator_bits, bits.weight_density)
        rows.append([-(-size // 8) for size in (sizes.least, sizes.values)])
    return np.array(rows, np.int64).reshape(len(rows), 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What turns sums into ratios and units, one entry for each accelerator."""

    pes: Ints
    clock_mhz: Floats
    mac_energy: Floats  # of one MAC at the accelerator's precision, in the unit of the table
    pj_per_unit: Floats  # not a number: the table is relative
    area_mm2: Floats  # of the buffer; not a number: the table has none

    @classmethod
    def of(cls, accelerators: Sequence[Accelerator]) -> Scale:
        """Read the numbers from validated accelerators."""
        rows = []
        for accelerator in accelerators:
            bits, costs = accelerator.precision, energy_costs(accelerator)
            mac_energy = costs.mac(bits.weight_bits, bits.activation_bits, bits.accumulator_bits)
            pj_per_unit = np.nan if costs.pj_per_unit is None else costs.pj_per_unit
            area_mm2 = np.nan if costs.area_mm2 is None else costs.area_mm2
            rows.append((accelerator.clock_mhz, mac_energy, pj_per_unit, area_mm2))
        clock_mhz, mac_energies, pj_per_units, areas = np.array(rows, np.float64).reshape(-1, 4).T
        arrays = [accelerator.array for accelerator in accelerators]
        return cls(
            pes=np.array([array.pes for array in arrays], np.int64),
            clock_mhz=clock_mhz,
            mac_energy=mac_energies,
            pj_per_unit=pj_per_units,
            area_mm2=areas,
        )

    @property
    def has_joules(self) -> bool:
        """Whether the energy tables of all accelerators are in joules."""
        return not np.isnan(self.pj_per_unit).any()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Sums, one row for each layer, group of layers or network; the last axis of tables is named as that of ``Costs``.

    With a ``Scale``, whose entries broadcast against the rows: a scale of one accelerator goes with all rows, one of
    several with one row for each.
    """

    layers: Ints  # how many
    params: Ints
    macs: Ints
    vector_ops: Ints
    cycles: Ints
    executed: Ints  # MACs
    losses: Ints  # PE slots by ``causes``
    time: Ints  # cycles by ``bounds``
    dram: Ints  # bytes by ``operands``
    buffer_bytes: Ints
    energy: Floats  # by ``levels``, in the unit of the table
    weights: Ints  # bytes of what was learnt: with what finds the non-zeros, and without

    causes: tuple[str, ...]
    bounds: tuple[str, ...]
    operands: tuple[str, ...]
    levels: tuple[str, ...]

    @classmethod
    def of(cls, layers: Sequence[Layer], costs: Costs, operands: Sequence[Sequence[Operands]]) -> Tally:
        """Return arrays of shape (accelerators, layers, …) from *costs* and the *operands* on each accelerator."""
        counts = np.array([(1, layer.params, layer.macs, layer.vector_ops) for layer in layers], np.int64)
        number, params, macs, vector_ops = (
            np.broadcast_to(column, costs.cycles.shape) for column in counts.reshape(-1, 4).T
        )
        distinct = {id(each): each for each in operands}
        weights = {key: stored_bytes(layers, each) for key, each in distinct.items()}
        return cls(
            layers=number,
            params=params,
            macs=macs,
            vector_ops=vector_ops,
            cycles=costs.cycles,
            executed=costs.executed,
            losses=costs.losses,
            time=costs.time,
            dram=costs.dram_bytes,
            buffer_bytes=costs.buffer_bytes,
            energy=np.asarray(costs.energy, np.float64),
            weights=np.stack([weights[id(each)] for each in operands]),
            **{names: getattr(costs, names) for names in _NAMES.values()},
        )

    def map(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Tally:
        """Return what *change* makes of each array."""
        columns: dict[str, Any] = {name: change(getattr(self, name)) for name in ARRAYS}
        return replace(self, **columns)

    def part(self, table: str, name: str) -> NDArray[Any]:
        """Return what *table* has of the cause, bound, operand or level *name*; 0 where it has none.

        Example: ``tally.part("losses", "edge")``.
        """
        values, names = getattr(self, table), getattr(self, _NAMES[table])
        column: NDArray[Any] = (
            values[..., names.index(name)] if name in names else np.zeros(values.shape[:-1], values.dtype)
        )
        return column

    def take(self, index: int | slice | NDArray[np.integer[Any]]) -> Tally:
        """Return what is at *index* of the first axis: rows, or the layers of one accelerator."""
        return self.map(lambda column: column[index])

    def grouped(self, groups: Ints, count: int) -> Tally:
        """Return the sums over the rows of each of *count* groups; ``groups[i]`` is the group of row i."""

        def add(column: NDArray[Any]) -> NDArray[Any]:
            sums = np.zeros((count, *column.shape[1:]), column.dtype)
            np.add.at(sums, groups, column)  # in order, so that floating-point sums are always the same
            return sums

        return self.map(add)

    def total(self) -> Tally:
        """Return the sums over the layers: a row for each accelerator, or a single one of the rows of one."""
        axis = self.cycles.ndim - 1

        def add(column: NDArray[Any]) -> NDArray[Any]:
            if column.dtype == np.int64:
                sums = column.sum(axis=axis)
            else:  # in order, as in ``grouped``: so numpy adds along the slowest axis
                sums = np.ascontiguousarray(np.moveaxis(column, axis, 0)).sum(axis=0)
            return np.asarray(sums).reshape(-1, *column.shape[axis + 1 :])

        return self.map(add)

    @property
    def slots(self) -> Ints:
        """PE slots, MACs that the array could have done: Σ over layers of cycles · PEs · MACs of a PE in a cycle."""
        return np.asarray(self.executed + self.losses.sum(axis=-1), np.int64)

    def slots_in_a_cycle(self, scale: Scale) -> Floats:
        """PE slots / cycles; the PEs where there are no cycles."""
        return np.where(self.cycles > 0, self.slots / np.maximum(self.cycles, 1), scale.pes)

    def in_pe_cycles(self, scale: Scale) -> Tally:
        """Return it with MACs and losses in PE-cycles; executed MACs and losses add up to PEs · cycles.

        They are PE slots over the MACs that a PE does in a cycle of each row; ``precision.rates`` say these.
        """
        rate = self.slots_in_a_cycle(scale) / scale.pes
        if (rate == 1).all():
            return self
        parts: dict[str, Any] = {name: getattr(self, name) / rate for name in ("macs", "executed")}
        return replace(self, **parts | {"losses": self.losses / rate[..., None]})

    def utilization(self, scale: Scale) -> Floats:
        """Executed MACs / PE slots, never above 1; not a number where there are no cycles."""
        del scale
        return ratio(self.executed, self.slots)

    def efficiency(self, scale: Scale) -> Floats:
        """Dense MACs / PE slots, above 1 where zeros are skipped; not a number where there are no cycles."""
        del scale
        return ratio(self.macs, self.slots)

    def latency_us(self, scale: Scale) -> Floats:
        """Cycles / clock in MHz."""
        return np.asarray(self.cycles / scale.clock_mhz)

    def energy_uj(self, scale: Scale) -> Floats:
        """Energy by level in µJ; not a number where the table is relative."""
        return np.asarray(self.energy * (scale.pj_per_unit * 1e-6)[:, None])

    def energy_mac_equiv(self, scale: Scale) -> Floats:
        """Energy by level in MACs at the accelerator's precision; not a number where a MAC costs nothing."""
        return ratio(self.energy, np.broadcast_to(scale.mac_energy[:, None], self.energy.shape))

    @property
    def dram_bytes(self) -> Ints:
        """Bytes between DRAM and buffer, of all operands."""
        return np.asarray(self.dram.sum(axis=-1))


_NAMES = {"losses": "causes", "time": "bounds", "dram": "operands", "energy": "levels"}
"""Tables, and the fields that name the entries of their last axes."""

ARRAYS = tuple(field.name for field in fields(Tally) if field.name not in _NAMES.values())
"""Fields of ``Tally`` that are arrays."""


def ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Floats:
    """Return part / whole, not a number where the whole is 0."""
    quotient = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=quotient, where=whole != 0)
    return quotient
