"""Rates: what machines of one family differ in, as arrays, and groups of machines that one bound serves.

Rates: the numbers in which machines of one family differ, as arrays with an entry for each machine.

Machines whose ``Machine.family`` is equal share every tiling, its steps, its traffic and its accesses. What a tiling
costs them then follows from these numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The prices of ``hardware.energy.EnergyCosts``, an entry for each machine."""

    multiply_per_bit2: Floats
    add_per_bit: Floats
    register_file_per_bit: Floats
    inter_pe_per_bit: Floats
    buffer_read_per_bit: Floats
    buffer_write_per_bit: Floats
    dram_per_bit: Floats
    vector_op_per_bit: Floats
    leakage_mw: Floats

    def mac(self, weight_bits: Any, activation_bits: Any, accumulator_bits: Any) -> Floats:
        """Energy of a MAC, multiply_per_bit2 · weight bits · activation bits + add_per_bit · sum bits."""
        products = self.multiply_per_bit2 * weight_bits * activation_bits
        return np.asarray(products + self.add_per_bit * accumulator_bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Numbers of machines of one family; names and units are those of ``Machine``."""

    buffer_bits: Ints
    buffer_bits_per_cycle: Floats
    dram_bytes_per_cycle: Floats
    dram_latency: Ints
    setup: Ints
    slack: Floats
    vector_lanes: Ints
    clock_hz: Floats
    energy: Prices

    def __len__(self) -> int:
        return len(self.setup)

    @classmethod
    def of(cls, machines: Sequence[Machine]) -> Rates:
        """Read the numbers of *machines*."""
        costs = [machine.energy for machine in machines]
        prices = {name: np.array([getattr(cost, name) for cost in costs], np.float64) for name in _PRICES}
        numbers = {name: np.array([getattr(machine, name) for machine in machines]) for name in _NUMBERS}
        return cls(energy=Prices(**prices), **numbers)

    def take(self, index: Any) -> Rates:
        """Return the machines *index*, with the shape of *index*."""
        return self._each(lambda column: column[index])

    def best(self) -> Rates:
        """Return one machine that no other of these is better than in any number; for lower bounds."""
        better = self._each(lambda column: column.min(keepdims=True))
        large = ("buffer_bits", "buffer_bits_per_cycle", "dram_bytes_per_cycle", "slack", "clock_hz")
        columns = {field.name: getattr(better, field.name) for field in fields(self)}
        return Rates(**(columns | {name: getattr(self, name).max(keepdims=True) for name in large}))

    def _each(self, change: Any) -> Rates:
        prices = {name: change(getattr(self.energy, name)) for name in _PRICES}
        numbers = {name: change(getattr(self, name)) for name in _NUMBERS}
        return Rates(energy=Prices(**prices), **numbers)


_PRICES = tuple(field.name for field in fields(Prices))
_NUMBERS = tuple(field.name for field in fields(Rates) if field.name != "energy")


_MOST = 128  # machines of a cluster
_SPREAD = 1.0  # largest ratio of numbers in a cluster, as a power of two


def clusters(rates: Rates) -> Iterator[Ints]:
    """Part the machines of a family by buffer size, bandwidths and latency: indices of each cluster.

    What a cluster is made of changes how long the search takes and nothing that it finds.
    """
    logarithms = np.log2(
        [
            rates.buffer_bits.astype(np.float64),
            rates.dram_bytes_per_cycle,
            1.0 + rates.setup + 3.0 * rates.dram_latency,
            np.nan_to_num(rates.buffer_bits_per_cycle, posinf=1.0),
        ]
    )
    yield from _parted(np.arange(len(rates)), logarithms)


def _parted(index: Ints, logarithms: Floats) -> Iterator[Ints]:
    """Halve along the number that spreads the most until what is left is alike and not too many."""
    if len(index) == 0:
        return
    numbers = logarithms[:, index]
    spread = np.ptp(numbers, axis=1)
    widest = int(spread.argmax())
    if len(index) == 1 or (len(index) <= _MOST and spread[widest] <= _SPREAD) or spread[widest] == 0:
        for start in range(0, len(index), _MOST):
            yield index[start : start + _MOST]
        return
    ranked = index[np.argsort(numbers[widest], kind="stable")]
    values = logarithms[widest, ranked]
    middle = values[len(values) // 2]
    cut = int(np.searchsorted(values, middle)) or int(np.searchsorted(values, middle, side="right"))
    yield from _parted(ranked[:cut], logarithms)
    yield from _parted(ranked[cut:], logarithms)
