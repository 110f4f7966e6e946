"""Folds equal steps: runs of the same layers, again and again, each reading what the run before it made.

A run of layers folds with those after it if each layer does the same work with the same parameters in the same module,
reads the same layers of its own step and of the step before, and what it reads from outside is the same; the first step
may read, in place of the step before, whatever the recurrence begins with. A step must read something of the step
before it. A module that runs two or three times stays two or three layers: steps fold from four on, those without
parameters from eight on. What fuses, fuses as without folding.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from squeezesim.frontends.torch.recorder import Recorded
from squeezesim.network.transforms import producers, scales_of_products, without

_Numbers = set[int]

FEWEST = 4
"""Steps with parameters that fold."""
_FEWEST_FREE = 8

_CANDIDATES = 64
"""Lengths of a step that are tried from one layer on: as many as its work occurs in a step at most."""


def folded(recorded: Sequence[Recorded]) -> list[Recorded]:
    """Return *recorded* with equal steps as layers that repeat, in the order of the first step.

    Counts and costs are the same, fused and not. Before that, scales of products of activations are left out.
    """
    return _Fold(_unscaled(recorded)).run()


def _unscaled(recorded: Sequence[Recorded]) -> Sequence[Recorded]:
    scales = [number for number, item in enumerate(recorded) if item.is_scale]
    if not scales:
        return recorded
    reads = [item.reads for item in recorded]
    free = scales_of_products(
        [item.layer for item in recorded], reads, [item.carried for item in recorded], scales
    )
    renumbered = without(free, reads)
    return [
        replace(
            item,
            reads=renumbered(item.reads),
            carried=renumbered(item.carried),
            shared=renumbered(item.shared),
        )
        for number, item in enumerate(recorded)
        if number not in free
    ]


class _Fold:
    """The state of folding: the layers, the number of each one's work, and where each one went."""

    def __init__(self, recorded: Sequence[Recorded]) -> None:
        self._all = recorded
        self._owners = producers(
            [item.layer for item in recorded],
            [item.reads for item in recorded],
            [item.carried for item in recorded],
        )
        self._work = self._numbered()
        self._places: dict[int, list[int]] = {}
        for place, work in enumerate(self._work.tolist()):
            self._places.setdefault(work, []).append(place)
        self._went: list[int] = []  # of each layer so far, its number among those that are kept
        self._kept: list[Recorded] = []
        self._first: list[int] = []  # of each that is kept, its number

    def run(self) -> list[Recorded]:
        """Fold from the first layer on, each time the steps that save most layers."""
        start = 0
        while start < len(self._all):
            size, steps = self._longest(start)
            for _ in range(self._late(start, size, steps)):
                self._keep(start, 1, 1)
                start += 1
            self._keep(start, size, steps)
            start += size * steps
        return self._finish()

    def _numbered(self) -> NDArray[np.int64]:
        """A number for what each layer does, equal where it is the same, with how it is fused."""
        numbers: dict[object, int] = {}
        layers: dict[object, int] = {}  # records of equal layers are compared once, not each time
        parts: dict[int, list[int]] = {}  # of a layer, how far behind it those are that become part of it
        for place, owner in enumerate(self._owners):
            if owner != place:
                parts.setdefault(owner, []).append(place - owner)
        found = np.empty(len(self._all), np.int64)
        for place, item in enumerate(self._all):
            layer = item.work
            module = (item.call.path, item.call.kind) if item.call else None
            kind = layers.setdefault(layer, len(layers))
            # What repeats already is no step of another recurrence.
            alone = place if layer.repeat > 1 else -1
            fused = place - self._owners[place], tuple(parts.get(place, ()))
            key = kind, module, item.params, fused, alone
            found[place] = numbers.setdefault(key, len(numbers))
        return found

    def _longest(self, start: int) -> tuple[int, int]:
        """Layers of a step and steps of the recurrence that begins at *start*; (1, 1) where none does."""
        places = self._places[int(self._work[start])]
        first = bisect_right(places, start)
        best, saved = (1, 1), 0
        for place in places[first : first + _CANDIDATES]:
            size = place - start
            if start + 2 * size > len(self._all):
                break
            if not self._again(start, size):
                continue
            most = self._periods(start, size)
            if (most - 1) * size <= saved:
                continue  # as of twice a step that was found
            steps = self._steps(start, size, most)
            if (steps - 1) * size > saved:
                best, saved = (size, steps), (steps - 1) * size
        return best

    def _late(self, start: int, size: int, steps: int) -> int:
        """How many layers later as many steps begin, of which the last ends where the recurrence does.

        A first step that begins with nothing is unlike the others, so that a step seems to begin in its midst.
        """
        end, rest = start + size * steps, 0
        if steps > 1:
            while (
                rest < size - 1
                and end + rest < len(self._all)
                and self._work[end + rest] == self._work[start + rest]
            ):
                rest += 1
        return rest if rest and self._steps(start + rest, size, steps) == steps else 0

    def _again(self, start: int, size: int) -> bool:
        """Whether the *size* layers from *start* on do what the next ones do."""
        work = self._work
        if size > 1 and work[start + 1] != work[start + size + 1]:
            return False
        return bool((work[start : start + size] == work[start + size : start + 2 * size]).all())

    def _periods(self, start: int, size: int) -> int:
        """How often the work of *size* layers is done from *start* on."""
        work = self._work
        alike, length = 2, size
        while (
            True
        ):  # compare ever longer pieces: a long run in few steps, a short one without reading all layers
            begin = start + alike * size
            piece = work[begin : begin + length * alike]
            differ = np.flatnonzero(piece != work[begin - size : begin - size + len(piece)])
            equal = int(differ[0]) if len(differ) else len(piece)
            alike += equal // size
            if len(differ) or equal < size or begin + len(piece) >= len(work):
                return alike

    def _steps(self, start: int, size: int, most: int) -> int:
        """How many of *most* runs of equal work are steps of one recurrence."""
        step = range(start, start + size)
        if any(self._owners[place] < start or self._all[place].carried for place in step):
            return 1
        first = [self._read(start, size, place) for place in step]
        usual = [self._read(start, size, place + size) for place in step]
        if not any(before for _, before, _ in usual):
            return 1
        for (own, _, outside), (usually, _, others) in zip(first, usual, strict=True):
            if own != usually or not others <= outside:
                return 1
        steps = 2
        while steps < most and all(
            self._read(start, size, place + steps * size) == reads
            for place, reads in zip(step, usual, strict=True)
        ):
            steps += 1
        learnt = any(self._all[place].params for place in step)
        return steps if steps >= (FEWEST if learnt else _FEWEST_FREE) else 1

    def _read(self, start: int, size: int, place: int) -> tuple[_Numbers, _Numbers, _Numbers]:
        """What a layer of a step reads of its own step and of the step before, by place in it, and from outside."""
        step = (place - start) // size
        own, before, outside = set(), set(), set()
        for read in self._all[place].reads:
            of, at = divmod(read - start, size)
            if read < start:
                outside.add(self._number(read))
            elif of == step:
                own.add(at)
            else:
                before.add(at if of == step - 1 else -place)  # of an older step: no other layer reads so
        return own, before, outside

    def _number(self, read: int) -> int:
        """The number among those that are kept of what is read; of a layer that is to come, if it is kept alone."""
        if read < len(self._went):
            return read if read < 0 else self._went[read]
        return len(self._kept) + read - len(self._went)

    def _keep(self, start: int, size: int, steps: int) -> None:
        """Keep the first of *steps* steps, with what each carries to the next by number in all layers."""
        base = len(self._kept)
        for place in range(start, start + size):
            item = self._all[place]
            if steps > 1:
                _, before, _ = self._read(start, size, place + size)
                carried = tuple(start + at for at in sorted(before))
                item = replace(item, layer=item.layer.repeated(steps), carried=carried)
            reads = tuple(base + read - start if read >= start else self._number(read) for read in item.reads)
            self._kept.append(replace(item, reads=tuple(dict.fromkeys(reads))))
            self._first.append(place)
        self._went += [base + at for _ in range(steps) for at in range(size)]

    def _finish(self) -> list[Recorded]:
        """The layers that are kept, or all where others would fuse."""
        went = self._went
        kept = [
            replace(
                item,
                carried=tuple(went[place] for place in item.carried),
                shared=tuple(dict.fromkeys(went[place] for place in item.shared if went[place] != number)),
            )
            for number, item in enumerate(self._kept)
        ]
        owners = producers(
            [item.layer for item in kept], [item.reads for item in kept], [item.carried for item in kept]
        )
        alike = owners == [went[self._owners[place]] for place in self._first]
        return kept if alike else list(self._all)
