"""Schedule: what the array and the DMA do in the steps of tilings, and the cycles of that at any machine's rates.

    compute = max(array, ⌈buffer bits / buffer bits a cycle⌉)
    step    = max(compute, Σ transfers beside it) + Σ (transfers after it + latency)
    cycles  = setup + first load + Σ weight · step + last store

Steps in which the same happens are one row with a weight. Sums are exact: all numbers are integers below 2⁵³.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.machine import Machine
from squeezesim.cost.rates import Rates
from squeezesim.cost.workload import Floats, Ints

_ROWS = 1 << 17  # rows that are settled together, about what stays in cache


class Timing(NamedTuple):
    """Cycles of each point by where they go; those from ``setup`` to ``dram`` sum to ``cycles``."""

    cycles: Ints
    setup: Ints
    startup: Ints  # first load and last store
    stream: Ints  # the array multiplies
    fill: Ints  # preload, drain, skew
    buffer: Ints  # waiting for the buffer's bandwidth
    dram: Ints  # waiting for the DMA
    busy: Ints  # PE-cycles of the stream in which a PE holds work
    dram_bound: Ints  # cycles of the steps in which the DMA is the slowest
    buffer_bound: Ints  # cycles of the steps in which the buffer's bandwidth is


_MOST_CYCLES = 2.0**60  # ``evaluate`` refuses networks that take as many; a sum of some still fits 64 bits


def transfer_cycles(bits: Any, machine: Machine | Rates) -> Ints:
    """Cycles of one transfer between DRAM and buffer: ⌈⌈bits / 8⌉ / bytes a cycle⌉.

    Example: 1,000 words of 16 bits at 16 bytes a cycle take 125 cycles.
    """
    cycles = _transferred(-(-bits // 8), machine.dram_bytes_per_cycle)
    return np.minimum(cycles, _MOST_CYCLES).astype(np.int64)


def _transferred(volume: Any, bytes_per_cycle: Any) -> Floats:
    # Binary rounding must not make 126 of them: 1,900 bytes at 15.2 bytes a cycle are 125.
    return np.asarray(np.ceil(volume / bytes_per_cycle * (1 - 1e-12)))


class _Pace(NamedTuple):
    """How fast the machine of each row moves data."""

    dram_bytes_per_cycle: Floats
    dram_latency: Any
    buffer_bits_per_cycle: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Rows of steps, those of point i at ``offsets[i] : offsets[i + 1]``; volumes are in bytes."""

    offsets: Ints
    weight: Floats  # how many steps a row stands for
    array: Floats  # cycles of the array where the buffer is never too slow
    buffer_bits: Floats | None  # between buffer and array; None where the buffer is never too slow
    beside: tuple[Floats, ...]  # transfers that the computing overlaps
    after: tuple[Floats, ...]  # transfers that the array waits for
    ends: tuple[Floats, ...]  # for each point, the first loads and the last store
    stream: Ints  # for each point, Σ over its steps; so are the next two
    fill: Ints
    busy: Ints

    def __len__(self) -> int:
        return len(self.stream)

    def merged(self) -> Schedule:
        """Return the same with as few rows as a hash finds to be alike."""
        columns = [self.array, *self.beside, *self.after]
        columns += [] if self.buffer_bits is None else [self.buffer_bits]
        point = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        mixed = np.zeros(len(point), np.uint64)
        for column in columns:
            mixed = (mixed ^ column.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        order = np.argsort((point.astype(np.uint64) << np.uint64(36)) | (mixed >> np.uint64(28)))
        # Rows are compared whole, so that a hash that two different ones share costs a row and changes nothing.
        begins = np.ones(len(order), np.bool_)
        begins[1:] = point[order[1:]] != point[order[:-1]]
        for column in columns:
            begins[1:] |= column[order[1:]] != column[order[:-1]]
        starts = np.flatnonzero(begins)
        first = order[starts]
        return Schedule(
            offsets=np.searchsorted(point[first], np.arange(len(self) + 1)),
            weight=np.add.reduceat(self.weight[order], starts),
            array=self.array[first],
            buffer_bits=None if self.buffer_bits is None else self.buffer_bits[first],
            beside=tuple(column[first] for column in self.beside),
            after=tuple(column[first] for column in self.after),
            ends=self.ends,
            stream=self.stream,
            fill=self.fill,
            busy=self.busy,
        )

    def cycles(self, point: Ints, rates: Rates) -> Ints:
        """Cycles of point ``point[i]`` on machine i of *rates*."""
        result = self._startup(point, rates) + rates.setup
        for part, rows, starts, of in self._parts(point, rates):
            _, step, _ = self._steps(rows, of)
            result[part] += np.add.reduceat(step * self.weight[rows], starts)
        return result.astype(np.int64)

    def timing(self, point: Ints, rates: Rates) -> Timing:
        """Return where the cycles of point ``point[i]`` on machine i of *rates* go."""
        startup, setup = self._startup(point, rates).astype(np.int64), rates.setup.astype(np.int64)
        steps, waiting, dram_bound, buffer_bound = np.zeros((4, len(point)), np.int64)
        for part, rows, starts, of in self._parts(point, rates):
            weight, array = self.weight[rows], self.array[rows]
            compute, step, moved = self._steps(rows, of)
            by_dram = moved > compute
            for total, values in (
                (steps, step),
                (waiting, compute - array),
                (dram_bound, np.where(by_dram, step, 0)),
                (buffer_bound, np.where(~by_dram & (compute > array), step, 0)),
            ):
                total[part] = np.add.reduceat(values * weight, starts)
        stream, fill = self.stream[point], self.fill[point]
        return Timing(
            cycles=setup + startup + steps,
            setup=setup,
            startup=startup,
            stream=stream,
            fill=fill,
            buffer=waiting,
            dram=steps - stream - fill - waiting,
            busy=self.busy[point],
            dram_bound=dram_bound,
            buffer_bound=buffer_bound,
        )

    def _startup(self, point: Ints, rates: Rates) -> Floats:
        """First loads and last store, none of which anything overlaps."""
        moving = sum(_transferred(volume[point], rates.dram_bytes_per_cycle) for volume in self.ends)
        return np.asarray(moving + len(self.ends) * rates.dram_latency)

    def _parts(self, point: Ints, rates: Rates) -> Iterator[tuple[slice, Ints, Ints, _Pace]]:
        """The points in parts of a bounded number of rows: (part, its rows, where each point begins, pace of rows)."""
        counts = self.offsets[point + 1] - self.offsets[point]
        ends = np.cumsum(counts)
        bounds = np.searchsorted(ends, np.arange(_ROWS, ends[-1], _ROWS)).tolist() if len(ends) else []
        for start, stop in zip([0, *bounds], [*bounds, len(point)], strict=True):
            if stop > start:
                part, count = slice(start, stop), counts[start:stop]
                starts = np.cumsum(count) - count
                rows = np.arange(count.sum()) + np.repeat(self.offsets[point[part]] - starts, count)
                pace = _Pace(
                    np.repeat(rates.dram_bytes_per_cycle[part], count),
                    np.repeat(rates.dram_latency[part], count) if self.after else None,
                    None if self.buffer_bits is None else np.repeat(rates.buffer_bits_per_cycle[part], count),
                )
                yield part, rows, starts, pace

    def _steps(self, rows: Ints, pace: _Pace) -> tuple[Floats, Floats, Floats]:
        """Of each row the cycles of the array, those of the step, and those of the DMA."""
        compute = self.array[rows]
        if self.buffer_bits is not None:
            compute = np.maximum(compute, np.ceil(self.buffer_bits[rows] / pace.buffer_bits_per_cycle))
        moved = np.zeros(len(rows))
        for volume in self.beside:
            moved += _transferred(volume[rows], pace.dram_bytes_per_cycle)
        step = np.maximum(compute, moved)
        for volume in self.after:
            waited = _transferred(volume[rows], pace.dram_bytes_per_cycle)
            waited += pace.dram_latency * (waited > 0)
            moved += waited
            step += waited
        return compute, step, moved


def joined(one: Schedule, other: Schedule) -> Schedule:
    """Return the points of *one*, then those of *other*; both of machines of one family."""

    def both(first: Any, second: Any) -> Any:
        if first is None:
            return None
        if isinstance(first, tuple):
            return tuple(both(*pair) for pair in zip(first, second, strict=True))
        return np.concatenate([first, second])

    columns = {
        field.name: both(getattr(one, field.name), getattr(other, field.name))
        for field in fields(Schedule)
        if field.name != "offsets"
    }
    return Schedule(offsets=np.concatenate([one.offsets, other.offsets[1:] + one.offsets[-1]]), **columns)
