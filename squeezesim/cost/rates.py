"""Rates: the numbers in which machines of one family differ, an entry for each machine; groups of such machines.

Machines whose ``Machine.family`` is equal share every tiling, its steps, its traffic and its accesses. What a tiling
costs them then follows from these numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The prices of ``hardware.energy.EnergyCosts`` beside those of accesses, an entry for each machine."""

    multiply_per_bit2: Floats
    add_per_bit: Floats
    vector_op_per_bit: Floats
    leakage_mw: Floats

    def mac(self, weight_bits: Any, activation_bits: Any, accumulator_bits: Any) -> Floats:
        """Energy of a MAC, multiply_per_bit2 · weight bits · activation bits + add_per_bit · sum bits."""
        products = self.multiply_per_bit2 * weight_bits * activation_bits
        return np.asarray(products + self.add_per_bit * accumulator_bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Numbers of machines of one family; names and units are those of ``Machine``."""

    levels: tuple[str, ...]
    memories: tuple[str, ...]
    buffer_bits: Ints
    buffer_bits_per_cycle: Floats
    bytes_per_cycle: Floats  # (machines, memories), of the ports of ``Machine.memories``
    latency: Ints  # (machines, memories)
    setup: Ints
    slack: Floats
    cycle_weight: Floats  # of the objective, cycle_weight · cycles + energy_weight · energy
    energy_weight: Floats
    vector_lanes: Ints
    pool_lanes: Ints
    elementwise_lanes: Ints
    softmax_lanes: Ints
    clock_hz: Floats
    energy: Prices
    per_bit: Mapping[tuple[str, str], Floats]  # energy by level and direction

    def __len__(self) -> int:
        return len(self.setup)

    @property
    def dram_bytes_per_cycle(self) -> Floats:
        """Of the first memory."""
        return np.asarray(self.bytes_per_cycle[..., 0])

    @property
    def dram_latency(self) -> Ints:
        """Of the first memory."""
        return np.asarray(self.latency[..., 0])

    @property
    def prices(self) -> tuple[float, ...]:
        """Prices of MACs and accesses on all machines, to compare."""
        columns = (self.energy.multiply_per_bit2, self.energy.add_per_bit, *self.per_bit.values())
        return tuple(np.concatenate(columns).tolist())

    @classmethod
    def of(cls, machines: Sequence[Machine]) -> Rates:
        """Read the numbers of *machines*."""
        prices = {
            name: np.array([getattr(machine.energy, name) for machine in machines], np.float64)
            for name in _PRICES
        }
        numbers = {name: np.array([getattr(machine, name) for machine in machines]) for name in _NUMBERS}
        of = [machine.per_bit for machine in machines]
        weights = np.array([WEIGHTS[machine.objective] for machine in machines])
        return cls(
            levels=machines[0].levels,
            memories=machines[0].memory_names,
            energy=Prices(**prices),
            bytes_per_cycle=np.array([[port.bytes_per_cycle for port in each.memories] for each in machines]),
            latency=np.array([[port.latency for port in each.memories] for each in machines]),
            per_bit={key: np.array([each[key] for each in of], np.float64) for key in of[0]},
            cycle_weight=weights[:, 0],
            energy_weight=weights[:, 1],
            **numbers,
        )

    def take(self, index: Any) -> Rates:
        """Return the machines *index*, with the shape of *index*."""
        return self._each(lambda column: column[index])

    def weighted(self, weights: Floats) -> Rates:
        """Return the machines with other *weights* of cycles and energy, (machines, 2)."""
        return replace(self, cycle_weight=weights[:, 0], energy_weight=weights[:, 1])

    def without_slack(self) -> Rates:
        """Return the machines without slack."""
        return replace(self, slack=np.zeros_like(self.slack))

    def value(self, cycles: Any, energy: Any) -> Floats:
        """What the mapper minimises: cycle_weight · cycles + energy_weight · energy."""
        return np.asarray(self.cycle_weight * cycles + self.energy_weight * energy)

    def optimistic(self) -> Rates:
        """The element-wise best of all machines as one machine: what is a lower bound on it is one on each."""
        better = self._each(lambda column: column.min(axis=0, keepdims=True))
        larger = self._each(lambda column: column.max(axis=0, keepdims=True))
        more = ("buffer_bits", "buffer_bits_per_cycle", "bytes_per_cycle", "slack", "clock_hz")
        return replace(better, **{name: getattr(larger, name) for name in more})

    def distinct(self) -> tuple[Ints, Ints]:
        """Machines that all others cost the same as one of, and which of them each machine is the same as.

        The clock counts where there is leakage: all else is in cycles.
        """
        columns = [getattr(self, name) for name in (*_NUMBERS, *_ARRAYS) if name != "clock_hz"]
        columns += [np.where(self.energy.leakage_mw > 0, self.clock_hz, 0.0), *self.per_bit.values()]
        columns += [getattr(self.energy, name) for name in _PRICES]
        table = np.concatenate([column.reshape(len(self), -1) for column in columns], axis=1)
        seen: dict[bytes, int] = {}
        number = [seen.setdefault(row.tobytes(), len(seen)) for row in table.astype(np.float64)]
        first = np.full(len(seen), len(self))
        np.minimum.at(first, number, np.arange(len(self)))
        return first, np.array(number, np.int64)

    def _each(self, change: Any) -> Rates:
        prices = {name: change(getattr(self.energy, name)) for name in _PRICES}
        numbers = {name: change(getattr(self, name)) for name in (*_NUMBERS, *_ARRAYS)}
        per_bit = {key: change(column) for key, column in self.per_bit.items()}
        return Rates(
            levels=self.levels, memories=self.memories, energy=Prices(**prices), per_bit=per_bit, **numbers
        )


LATENCY, ENERGY, EDP = "latency", "energy", "edp"

WEIGHTS = {LATENCY: (1.0, 0.0), ENERGY: (0.0, 1.0), EDP: (1.0, 1.0)}
"""Weights of cycles and energy by objective; those of ``edp`` follow from the network (``product``)."""

_ARRAYS = ("bytes_per_cycle", "latency", "cycle_weight", "energy_weight")
_PRICES = tuple(field.name for field in fields(Prices))
_LANES = ("vector_lanes", "pool_lanes", "elementwise_lanes", "softmax_lanes")
_NUMBERS = ("buffer_bits", "buffer_bits_per_cycle", "setup", "slack", *_LANES, "clock_hz")


_MOST = 128  # machines of a cluster
_TOGETHER = 64  # machines that are searched before progress is told, and Ctrl-C heard
_SPREAD = 1.0  # largest ratio of numbers in a cluster, as a power of two


def clusters(rates: Rates) -> Iterator[Ints]:
    """Group machines of a family whose buffer size, bandwidths and latencies differ by at most 2×: indices of each.

    One matrix of bounds serves a group. How machines are grouped changes how long the search takes, not what it finds.
    """
    logarithms = np.log2(
        [
            rates.buffer_bits.astype(np.float64),
            np.nan_to_num(rates.buffer_bits_per_cycle, posinf=1.0),
            *rates.bytes_per_cycle.T,
            *(1.0 + rates.setup + 3.0 * latency for latency in rates.latency.T),
            (1e-6 + rates.energy_weight) / (1e-6 + rates.cycle_weight),
        ]
    )
    yield from _halved(np.arange(len(rates)), logarithms)


def in_order(rates: Rates) -> Iterator[Ints]:
    """Group machines of a family, by buffer, then bandwidth: the best tiling on one is often that on the next."""
    order = np.lexsort((*rates.latency.T, *rates.bytes_per_cycle.T, rates.buffer_bits))
    for start in range(0, len(order), _TOGETHER):
        yield order[start : start + _TOGETHER]


def _halved(index: Ints, logarithms: Floats) -> Iterator[Ints]:
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
    yield from _halved(ranked[:cut], logarithms)
    yield from _halved(ranked[cut:], logarithms)
