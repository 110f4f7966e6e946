"""The tiles of a layer played event by event: a DMA with its queue, buffer slots, and the array.

There are resources and rules, and no formula for a step:

- A double-buffered operand has two slots, another one has one. A slot is taken when a transfer into it begins, or
  a step that starts new outputs; it is free again when the last step that reads it is computed, or its store has ended.
- When a step begins, the loads of the next one are requested. When its outputs are done, their store is.
- The DMA serves one transfer at a time, the oldest request first of those whose slot is free.
- A step begins when the array is idle, its operands are there, it has a slot for its outputs, and no store that was
  requested before the step before began is left.
- A transfer takes ⌈bytes / bytes a cycle⌉ cycles, and the DRAM latency before it where nothing prefetches it: in the
  first load, in the last store, and for operands with one slot.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from squeezesim.cost.machine import Machine
from squeezesim.verify.tiles import Step, Transfer


@dataclass(slots=True)
class Played:
    """What happened: cycles in all, cycles in which the array was busy, DRAM bits by kind."""

    cycles: int = 0
    array: int = 0
    bits: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("inputs", "weights", "outputs", "psums"), 0)
    )


@dataclass(slots=True)
class _Request:
    transfer: Transfer
    step: int  # the one that loads, or whose outputs are stored
    load: bool
    exposed: bool  # pays the latency


class _Pipeline:
    def __init__(self, steps: Sequence[Step], array_cycles: Callable[[Step], int], machine: Machine) -> None:
        self.steps, self.array_cycles, self.machine = steps, array_cycles, machine
        self.rate = Fraction(machine.dram_bytes_per_cycle).limit_denominator(10**6)
        self.free = {
            "inputs": 1 + machine.double_inputs,
            "weights": 1 + machine.double_weights,
            "outputs": 1 + machine.double_outputs,
        }
        self.single = {operand for operand, slots in self.free.items() if slots == 1}
        self.queue: list[_Request] = []
        self.moving: _Request | None = None
        self.missing = [0] * len(steps)  # loads that have not ended, by step
        self.storing: set[int] = set()  # steps whose stores have not ended
        self.computing = False
        self.next = 0  # step that begins next
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.numbers = itertools.count()
        self.now = 0
        self.played = Played()

    def run(self) -> Played:
        self._at(self.machine.setup, lambda: self._request_loads(0))
        while self.events:
            self.now = self.events[0][0]
            while self.events and self.events[0][0] == self.now:
                heapq.heappop(self.events)[2]()
            self._begin_what_can()
        assert self.next == len(self.steps), "the pipeline is stuck"
        assert not self.queue, "a transfer was never served"
        self.played.cycles = self.now
        return self.played

    def _at(self, time: int, what: Callable[[], None]) -> None:
        heapq.heappush(self.events, (time, next(self.numbers), what))

    def _begin_what_can(self) -> None:
        # What one begins can let the other begin in the same cycle.
        while self._begin_step() or self._begin_transfer():
            pass

    def _request_loads(self, number: int) -> None:
        if number == len(self.steps):
            return
        for transfer in self.steps[number].loads:
            if transfer.bits or number == 0:
                exposed = number == 0 or transfer.operand in self.single
                self.queue.append(_Request(transfer, number, True, exposed))
                self.missing[number] += 1
            else:
                self._take(transfer.operand)

    def _take(self, operand: str) -> None:
        self.free[operand] -= 1

    def _begin_transfer(self) -> bool:
        if self.moving is not None:
            return False
        for request in self.queue:
            if request.load and not self.free[request.transfer.operand]:
                continue
            self.queue.remove(request)
            self.moving = request
            if request.load:
                self._take(request.transfer.operand)
            size = math.ceil(math.ceil(request.transfer.bits / 8) / self.rate)
            self._at(self.now + size + request.exposed * self.machine.dram_latency, self._end_transfer)
            return True
        return False

    def _end_transfer(self) -> None:
        request, self.moving = self.moving, None
        assert request is not None
        self.played.bits[request.transfer.kind] += request.transfer.bits
        if request.load:
            self.missing[request.step] -= 1
        else:
            self.storing.remove(request.step)
            self.free[request.transfer.operand] += 1

    def _begin_step(self) -> bool:
        number = self.next
        if self.computing or number == len(self.steps) or self.now < self.machine.setup:
            return False
        step = self.steps[number]
        loaded = {transfer.operand for transfer in step.loads}
        takes_slot = step.fresh_outputs and "outputs" not in loaded
        if self.missing[number] or (takes_slot and not self.free["outputs"]):
            return False
        if any(stored < number - 1 for stored in self.storing):
            return False
        if takes_slot:
            self._take("outputs")
        self.next, self.computing = number + 1, True
        cycles = self.array_cycles(step)
        self.played.array += cycles
        self._at(self.now + cycles, lambda: self._end_step(number))
        self._request_loads(number + 1)
        return True

    def _end_step(self, number: int) -> None:
        self.computing = False
        last = number + 1 == len(self.steps)
        coming = set() if last else {transfer.operand for transfer in self.steps[number + 1].loads}
        for operand in ("inputs", "weights"):
            if operand in coming:
                self.free[operand] += 1
        store = self.steps[number].store
        if store is not None:
            self.storing.add(number)
            self.queue.append(_Request(store, number, False, last or "outputs" in self.single))


def play_events(steps: Sequence[Step], array_cycles: Callable[[Step], int], machine: Machine) -> Played:
    """Play the steps of a layer and return what happened; *array_cycles* says how long the array takes for a step.

    Example: the layer worked by hand in docs/timing.md takes 136 cycles.
    """
    return _Pipeline(steps, array_cycles, machine).run()
