"""Book: the schedules of a dataflow's tilings that were asked for, each made once for all machines of the family."""

from __future__ import annotations

import numpy as np

from squeezesim.cost.candidates import Candidates, Flow, Tilings
from squeezesim.cost.energy import LevelBits, layer_energy, level_bits
from squeezesim.cost.pipeline import Points, schedule_of
from squeezesim.cost.rates import Rates
from squeezesim.cost.schedule import Schedule, Timing, joined
from squeezesim.cost.workload import Floats, Ints


class Book:
    """Schedules by tiling, and the exact value of the objective that follows from them."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        pixels, channels = np.diff(flow.space.pixels.offsets), np.diff(flow.space.channels.offsets)
        self._begins = np.cumsum(3 * pixels * channels) - 3 * pixels * channels
        self._keys = np.empty(0, np.int64)  # ascending
        self._slots = np.empty(0, np.int64)
        self.schedule: Schedule | None = None
        self._levels: LevelBits | None = None

    def slots(self, tilings: Tilings) -> Ints:
        """Points of ``schedule`` that *tilings* are."""
        keys, first, inverse = np.unique(self._key(tilings), return_index=True, return_inverse=True)
        missing = np.append(self._keys, -1)[np.searchsorted(self._keys, keys)] != keys
        if missing.any():
            added = keys[missing]
            slots = np.arange(len(added)) + len(self._keys)
            self._add(tilings.take(first[missing]), several=len(inverse) > 2 * len(keys))
            merged = np.concatenate([self._keys, added])
            order = np.argsort(merged)
            self._keys, self._slots = merged[order], np.concatenate([self._slots, slots])[order]
        return self._slots[np.searchsorted(self._keys, keys)][inverse]

    def values(self, candidates: Candidates, which: Ints, rates: Rates) -> Floats:
        """The objective of candidate ``which[i]`` on machine i of *rates*."""
        tilings = candidates.tilings.take(which)
        slots = self.slots(tilings)
        assert self.schedule is not None
        cycles = self.schedule.cycles(slots, rates)
        if self._levels is None:
            return cycles.astype(np.float64)
        energy = layer_energy(
            self.flow.space.work.take(tilings.row),
            LevelBits(*(bits[slots] for bits in self._levels)),
            self.flow.executed[tilings.row],
            candidates.loaded[which],
            candidates.stored[which],
            cycles,
            rates,
        ).total
        return energy * cycles if self.flow.objective == "edp" else energy

    def timing(self, tilings: Tilings, rates: Rates) -> Timing:
        """Where the cycles of tiling i on machine i of *rates* go."""
        slots = self.slots(tilings)
        assert self.schedule is not None
        return self.schedule.timing(slots, rates)

    def levels(self, tilings: Tilings) -> LevelBits:
        """Bits that the array moves at each level in whole layers."""
        if self._levels is not None:
            return LevelBits(*(bits[self.slots(tilings)] for bits in self._levels))
        _, first, inverse = np.unique(self._key(tilings), return_index=True, return_inverse=True)
        return LevelBits(*(bits[inverse] for bits in self._level_bits(tilings.take(first))))

    def _add(self, tilings: Tilings, *, several: bool) -> None:
        """Make the schedules of *tilings*; those for *several* machines with as few rows as can be."""
        space = self.flow.space
        pixel, channel = tilings.pixel, tilings.channel
        points = Points(space.work.take(tilings.row), tilings.order, space.tile_sizes(pixel, channel))
        schedule = schedule_of(points, self.flow.flow, space.machine)
        schedule = schedule.merged() if several else schedule
        self.schedule = schedule if self.schedule is None else joined(self.schedule, schedule)
        if self.flow.objective != "latency":
            bits = self._level_bits(tilings)
            old = self._levels
            self._levels = (
                bits
                if old is None
                else LevelBits(*(np.concatenate(pair) for pair in zip(old, bits, strict=True)))
            )

    def _key(self, tilings: Tilings) -> Ints:
        """A number for each tiling, over all problems."""
        return np.asarray(self._begins[tilings.row] + tilings.number)

    def _level_bits(self, tilings: Tilings) -> LevelBits:
        accesses = self.flow.accesses(tilings.pixel, tilings.channel)
        return level_bits(self.flow.space.work.take(tilings.row), accesses)
