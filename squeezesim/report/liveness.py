"""What must be kept while each layer runs: its inputs and outputs, what later layers read, its weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from squeezesim.network.layer import recurrences

if TYPE_CHECKING:
    from squeezesim.cost.problem import Operands
    from squeezesim.network import Layer, Network

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Live:
    """Bytes while each layer runs; the sum of the first three are the live activations."""

    read: Ints  # outputs of other layers, and inputs of the network, that the layer reads
    written: Ints  # its outputs
    kept: Ints  # of layers before it, for layers after it
    weights: Ints

    @property
    def activations(self) -> Ints:
        """Bytes of all activations that are live."""
        return self.read + self.written + self.kept


_FARTHEST = 8
"""Steps back from which a layer reads at most; who reads through chains of views from farther counts as this far."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What a step reads of a tensor: that of *back* steps before; with *whole* all but those of the last *back* steps.

    The first *since* steps read nothing of it.
    """

    tensor: str
    back: int
    whole: bool
    since: int


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """Where the steps of a recurrence of *size* layers stand in time, from *begin* on; what runs once is one step.

    Only the first and the last *edge* steps have times: those that differ, and one more at each end. From one step to
    the next of the others, these two among them, what is live changes by the same amount, so that it is largest in a
    step that has a time.
    """

    begin: int
    size: int
    repeat: int
    edge: int

    @property
    def steps(self) -> list[int]:
        """The steps that have times."""
        late = max(self.edge, self.repeat - self.edge)
        return [*range(min(self.edge, self.repeat)), *range(late, self.repeat)]

    @property
    def end(self) -> int:
        """The time after the last step."""
        return self.begin + min(self.repeat, 2 * self.edge) * self.size

    def between(self, step: int) -> bool:
        """Whether *step* has no time."""
        return self.edge <= step < self.repeat - self.edge

    def start(self, step: int, at: int) -> int:
        """When layer *at* of *step* begins; where that has no time, when the next step begins that has."""
        if step < self.edge:
            return self.begin + step * self.size + at
        if self.between(step):
            return self.begin + self.edge * self.size
        return self.end - (self.repeat - step) * self.size + at

    def stop(self, step: int, at: int) -> int:
        """When layer *at* of *step* has ended."""
        return self.start(step, at) + (not self.between(step))


def liveness(network: Network, operands: Sequence[Operands], input_bits: int) -> Live:
    """Return what is live while each layer of *network* runs, in bytes.

    *operands* are those with which each layer runs; a value of an input of the network has *input_bits*.

    A tensor is live from the layer that writes it, an input of the network from the first layer on, to the last layer
    that reads it, and to the end where none does. Views such as a concat hold no values of their own: who reads one
    reads what it joins. Of a layer that repeats it is what is live in the step in which that is most, in the network
    where each step is layers, ``Network.unrolled()``.

    Example: of a chain of layers, each has only its inputs and its outputs live.
    """
    layers = network.layers
    places: dict[str, tuple[_Run, int]] = {name: (_Run(0, 1, 1, 1), 0) for name, _ in network.inputs}
    size = {name: -(-prod(shape) * input_bits // 8) for name, shape in network.inputs}
    places |= _placed(layers, 1)
    reads = _reads(layers, places)
    farthest = max((read.back for found in reads.values() for read in found), default=0)
    places |= _placed(layers, 2 + farthest)
    readers: dict[str, list[tuple[_Read, _Run, int]]] = {}
    for layer, bits in zip(layers, operands, strict=True):
        if layer.kind != "view":
            size[layer.name] = -(-layer.output_elements * bits.activation_bits // 8)
            for read in reads[layer.name]:
                readers.setdefault(read.tensor, []).append((read, *places[layer.name]))
    last = places[layers[-1].name][0].end if layers else 0
    change = [0] * (last + 1)
    for tensor, bytes_of in size.items():
        run, at = places[tensor]
        for step, times in _alike(run.repeat, run.edge, farthest):
            change[run.start(step, at)] += times * bytes_of
            change[_last_read(step, run, readers.get(tensor, ()), last)] -= times * bytes_of
    whole = list(accumulate(change))
    taken, written, kept = [], [], []
    for layer in layers:
        run, at = places[layer.name]
        step = max(run.steps, key=lambda step: whole[run.start(step, at)])
        taken.append(0 if layer.kind == "view" else _bytes_read(step, reads[layer.name], places, size))
        written.append(size.get(layer.name, 0))
        kept.append(whole[run.start(step, at)] - taken[-1] - written[-1])
    weights = list(_weights(layers, operands))
    return Live(*(np.array(values, np.int64) for values in (taken, written, kept, weights)))


def _placed(layers: Sequence[Layer], edge: int) -> dict[str, tuple[_Run, int]]:
    """The recurrence of each layer, and its place in a step."""
    places, begin = {}, 0
    for steps in recurrences(layers):
        run = _Run(begin, len(steps), steps[0].repeat, edge)
        places.update({layer.name: (run, at) for at, layer in enumerate(steps)})
        begin = run.end
    return places


def _reads(layers: Sequence[Layer], places: Mapping[str, tuple[_Run, int]]) -> dict[str, list[_Read]]:
    """The tensors that each layer reads, through views, with those of the step before."""
    views = [layer for layer in layers if layer.kind == "view"]
    found: dict[str, list[_Read]] = {layer.name: [] for layer in views}
    is_view = set(found)

    def through(layer: Layer) -> list[_Read]:
        run, _ = places[layer.name]
        reads: dict[_Read, None] = {}
        for back, sources in enumerate((layer.inputs, layer.carried)):
            for source in sources:
                other, _ = places[source]
                whole = other is not run and other.repeat != run.repeat
                if source not in is_view:
                    reads[_Read(source, back, whole, back)] = None
                    continue
                for read in found[source]:
                    behind = read.back if read.whole else min(read.back + back, _FARTHEST)
                    since = 0 if whole else min(read.since + back, _FARTHEST)
                    reads[_Read(read.tensor, behind, read.whole or whole, since)] = None
        return list(reads)

    for _ in range(
        2 if any(layer.carried for layer in layers) else 1
    ):  # a view may carry one that is to come
        for view in views:
            found[view.name] = through(view)
    found.update((layer.name, through(layer)) for layer in layers if layer.name not in is_view)
    return found


def _alike(repeat: int, edge: int, farthest: int) -> Iterator[tuple[int, int]]:
    """Steps whose outputs begin and end at times of their own, and how many others are like each."""
    late = max(edge, repeat - edge - farthest)
    for step in (*range(min(edge, repeat)), *range(late, repeat)):
        yield step, 1
    if late > edge:
        yield edge, late - edge


def _last_read(step: int, run: _Run, readers: Iterable[tuple[_Read, _Run, int]], end: int) -> int:
    """When what a layer of *run* wrote in *step* has been read the last time; *end* where nobody reads it."""
    stops = []
    for read, reader, at in readers:
        if read.whole and step < run.repeat - read.back:
            stops.append(reader.stop(reader.repeat - 1, at))
        elif not read.whole and step + read.back < reader.repeat:
            stops.append(reader.stop(step + read.back, at))
    return max(stops, default=end)


def _bytes_read(
    step: int, reads: Iterable[_Read], places: Mapping[str, tuple[_Run, int]], size: Mapping[str, int]
) -> int:
    """Bytes that a layer reads in *step*."""
    all_but: dict[str, int] = {}
    single: dict[str, set[int]] = {}
    for read in reads:
        if step < read.since:
            continue
        repeat = places[read.tensor][0].repeat
        if read.whole:
            all_but[read.tensor] = max(all_but.get(read.tensor, 0), repeat - read.back)
        else:
            single.setdefault(read.tensor, set()).add(step - read.back)
    total = 0
    for tensor in all_but.keys() | single.keys():
        steps = all_but.get(tensor, 0)
        total += (steps + sum(one >= steps for one in single.get(tensor, ()))) * size[tensor]
    return total


def _weights(layers: Sequence[Layer], operands: Sequence[Operands]) -> Iterator[int]:
    """Bytes of learnt operands; the second one of a product of activations is read, not learnt."""
    for layer, bits in zip(layers, operands, strict=True):
        learnt = 0 if layer.weights_are_activations else layer.weight_elements
        yield -(-learnt * bits.weight_bits // 8)
