"""Feature maps, and weights of recurrences: which layers write and read them, and from when to when they live.

A map is what one layer writes. Views hold nothing: who reads a concat reads its parts. Maps that a view joins have one
home, a *class*; each takes room from the layer that writes it to the last that reads it. What a layer writes and nobody
reads is an output of the network, which has to be in a memory in the end.

A map may stay in the buffer unless it is an input of the network, part of a recurrence, or joined to such a map. The
weights of a recurrence (``recurrence``) are a class that lives from its first layer to its last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import operands_of, stored_row
from squeezesim.cost.recurrence import staying
from squeezesim.cost.weights import Lasting
from squeezesim.hardware.parts import vector_kind
from squeezesim.network.layer import Layer


@dataclass(frozen=True, slots=True)
class MapClass:
    """Maps that have one home, or the weights of a recurrence."""

    first: int  # layer that writes the first of them, or is the first with the weights beside it
    last: int  # layer that reads one of them last
    is_output: bool  # one of them is an output of the network
    is_read: bool
    readers: int  # layers that read them


class Reads(NamedTuple):
    """What a layer reads of a class: its operand, one of ``costs.HOMED``, and elements."""

    home: int
    operand: str
    elements: int


NOTHING: Mapping[int, int] = {}
NONE = Lasting(frozenset())

OUTSIDE = -1
"""The class of what stays in a memory whatever is placed."""


@dataclass(frozen=True, slots=True)
class Maps:
    """What of a network may live in the buffer of a machine, by layer: indices are those of ``layers``.

    Attributes:
        layers: as they are run (``lowering.as_run``).
        classes: maps with one home, then weights.
        written: of each layer the class of what it writes; ``OUTSIDE`` where that cannot stay, or it writes nothing.
        reads: of each layer what it reads.
        alive: of each layer the bits of each class that are there while it runs, those that it writes among them.
        overwritten: of each layer the classes of which one may be written over by its outputs, being as large.
        begun: of the first layer of each recurrence the class of its weights.
        bits: of what each layer writes.
        last: the last layer that reads what each layer writes; itself where none does.
        apart: classes of weights that are in another part of the buffer than feature maps.
        lasting: weights that stay from one inference to the next, the same while every layer runs (``weights``).
    """

    layers: Sequence[Layer]
    classes: Sequence[MapClass]
    written: Sequence[int]
    reads: Sequence[tuple[Reads, ...]]
    alive: Sequence[Mapping[int, int]]
    overwritten: Sequence[tuple[int, ...]]
    begun: Mapping[int, int]
    bits: Sequence[int]
    last: Sequence[int]
    lasting: Lasting = NONE
    apart: frozenset[int] = frozenset()


def maps_of(
    layers: Sequence[Layer],
    run: Sequence[Layer],
    joined: Mapping[int, int],
    machine: Machine,
    weights: Lasting = NONE,
) -> Maps:
    """Return what may stay of *layers*, which *machine* runs as *run*; *joined* as ``lowering.joined``.

    *weights* are those that stay from one inference to the next.

    Example: two convolutions whose outputs a concat joins.

    >>> from squeezesim.hardware.accelerator import Accelerator
    >>> sizes = {"k": 4, "c": 4, "oy": 2, "ox": 2, "input_elements": 16, "output_elements": 16}
    >>> one, two = (Layer(name=name, op="conv2d", kind="mac", inputs=("x",), **sizes) for name in "ab")
    >>> both = Layer(name="ab", op="concat", kind="view", inputs=("a", "b"))
    >>> last = Layer(name="c", op="relu", kind="vector", inputs=("ab",), input_elements=32, output_elements=32)
    >>> layers = [one, two, both, last]
    >>> keeps = {"memory.global_buffer.keeps": ["activations"]}
    >>> found = maps_of(layers, layers, {}, Machine.of(Accelerator.named("os_32x32").replace(keeps)))
    >>> found.written, [dict(alive) for alive in found.alive]
    ([0, 0, -1, 1], [{0: 128}, {0: 256}, {0: 256}, {0: 256, 1: 256}])
    """
    sources = sources_of(layers, joined)
    home, movable = _classes(layers, sources, joined) if machine.keeps_maps else ([], set())
    numbers = {root: number for number, root in enumerate(dict.fromkeys(home[i] for i in sorted(movable)))}
    of = [
        numbers.get(home[number], OUTSIDE) if number in movable else OUTSIDE for number in range(len(layers))
    ]
    readers: dict[int, set[int]] = {}
    reads = []
    for number, layer in enumerate(layers):
        reads.append(_reads(layer, run[number], number, sources, layers, joined, of))
        for source, _ in reads[-1]:
            readers.setdefault(source, set()).add(number)
    written = {maker: layers[number] for number, maker in joined.items()}  # by the last that joins
    bits = [
        map_bits(layer, machine, written.get(number, layer).output_elements)
        for number, layer in enumerate(layers)
    ]
    last = [max(readers.get(number, {number})) for number in range(len(layers))]
    classes = []
    for number in range(len(numbers)):
        members = [each for each in range(len(layers)) if of[each] == number]
        every = set().union(*(readers.get(each, set()) for each in members))
        unread = any(not readers.get(each) for each in members)
        first, end = min(members), len(layers) if unread else max(last[each] for each in members)
        classes.append(MapClass(first, end, unread, bool(every), len(every)))
    alive: list[dict[int, int]] = [{} for _ in layers]
    for member, number in enumerate(of):
        if number != OUTSIDE:
            stop = len(layers) - 1 if not readers.get(member) else last[member]
            for each in range(member, stop + 1):
                alive[each][number] = alive[each].get(number, 0) + bits[member]
    over = [
        _overwritten(*each, of, bits, last) for each in zip(range(len(layers)), layers, reads, strict=True)
    ]
    read_of = [tuple(read for _, read in found) for found in reads]
    begun = {}
    for stays in staying(run, machine, weights.layers):
        begun[stays.steps.start] = number = len(classes)
        classes.append(MapClass(stays.steps.start, stays.steps[-1], False, True, len(stays.owners)))
        for each in stays.steps:
            alive[each][number] = stays.bits
        for owner in stays.owners:
            read_of[owner] += (Reads(number, "weights", 0),)
    apart = frozenset(begun.values() if machine.apart_bits else ())
    return Maps(run, classes, of, read_of, alive, over, begun, bits, last, weights, apart)


def sources_of(layers: Sequence[Layer], joined: Mapping[int, int] = NOTHING) -> list[tuple[int, ...]]:
    """Return of each layer the layers whose outputs it reads, through views; −1 is an input of the network.

    What *joined* says of layers that join others is as in ``lowering.joined``.
    """
    place = {layer.name: number for number, layer in enumerate(layers)}
    found: list[tuple[int, ...]] = []
    through: dict[int, tuple[int, ...]] = {}
    for number, layer in enumerate(layers):
        every: dict[int, None] = {}
        for name in (*layer.inputs, *layer.carried):
            source = place.get(name, OUTSIDE)
            for each in through.get(source, (source,)):
                every[joined.get(each, each)] = None
        found.append(tuple(every))
        if layer.kind == "view":
            through[number] = tuple(every)
    return found


def _classes(
    layers: Sequence[Layer], sources: Sequence[tuple[int, ...]], joined: Mapping[int, int]
) -> tuple[list[int], set[int]]:
    """The root of the class of what each layer writes, and the layers whose outputs may stay in the buffer."""
    root = list(range(len(layers)))

    def find(number: int) -> int:
        while root[number] != number:
            root[number] = root[root[number]]
            number = root[number]
        return number

    fixed = set()
    for number, layer in enumerate(layers):
        if layer.repeat > 1 or layer.carried:
            fixed |= {number, *sources[number]}
        if layer.kind == "view":
            parts = [source for source in sources[number] if source != OUTSIDE]
            for one, other in pairwise(parts):
                root[find(one)] = find(other)
            if OUTSIDE in sources[number]:
                fixed |= {*parts}
    home = [find(number) for number in range(len(layers))]
    bound = {home[number] for number in fixed if number != OUTSIDE}
    writes = {number for number, layer in enumerate(layers) if layer.kind != "view" and number not in joined}
    return home, {number for number in writes if home[number] not in bound}


def _reads(
    layer: Layer,
    run: Layer,
    number: int,
    sources: Sequence[tuple[int, ...]],
    layers: Sequence[Layer],
    joined: Mapping[int, int],
    of: Sequence[int],
) -> list[tuple[int, Reads]]:
    """What a layer reads of which layers; for an addition that joins it, that layer reads."""
    if layer.kind == "view" or number in joined:
        return []
    own = sources[number]
    if layer.kind == "mac":
        operands = ["inputs"] * len(own)
        if layer.weights_are_activations and len(own) == 2:
            operands = ["inputs", "weights"]
        found = [
            (source, Reads(_home(of, source), operand, 0))
            for source, operand in zip(own, operands, strict=True)
        ]
        if layer.weights_are_activations and len(own) != 2:
            found += [(source, Reads(_home(of, source), "weights", 0)) for source in own]
        for add in (add for add, maker in joined.items() if maker == number):
            others = [source for source in sources[add] if source != number]
            found += [(source, Reads(_home(of, source), "second", run.second_elements)) for source in others]
        return found
    sizes = [layers[source].output_elements if source != OUTSIDE else 0 for source in own]
    shares = _shares(layer.input_elements, sizes, own)
    return [
        (source, Reads(_home(of, source), "inputs", share)) for source, share in zip(own, shares, strict=True)
    ]


def _shares(elements: int, sizes: Sequence[int], sources: Sequence[int]) -> list[int]:
    """What a layer that reads *elements* in all reads of each map: of parts of maps, in proportion to their sizes.

    Inputs of the network are what is left.
    """
    known = sum(sizes)
    if not sources:
        return []
    if known > elements or (known < elements and OUTSIDE not in sources):
        shares = [elements * size // known for size in sizes] if known else [0 for _ in sizes]
    else:
        shares = list(sizes)
    rest = sources.index(OUTSIDE) if OUTSIDE in sources else 0
    shares[rest] += elements - sum(shares)
    return shares


def _home(of: Sequence[int], source: int) -> int:
    return OUTSIDE if source == OUTSIDE else of[source]


def map_bits(layer: Layer, machine: Machine, elements: int | None = None) -> int:
    """Return the bits of what *layer* writes, by default its outputs, with what pads the rows of convolutions."""
    elements = layer.output_elements if elements is None else elements
    if elements == layer.output_elements and layer.kind == "mac" and machine.row_words > 1:
        rows = layer.n * layer.g * layer.k * layer.oy
        elements = rows * stored_row(-(-elements // rows), machine.row_words)
    return elements * operands_of(layer, machine).activation_bits


def _overwritten(
    number: int,
    layer: Layer,
    reads: Sequence[tuple[int, Reads]],
    of: Sequence[int],
    bits: Sequence[int],
    last: Sequence[int],
) -> tuple[int, ...]:
    """The classes that the outputs of an element-wise layer, or of one that adds, may be written over one of."""
    in_place = layer.kind == "vector" and vector_kind(layer.op) == "elementwise"
    found = []
    for source, read in reads:
        may = read.operand == "second" or (in_place and read.operand == "inputs")
        apart = read.home not in (OUTSIDE, of[number])
        if may and apart and last[source] == number and bits[source] == bits[number]:
            found.append(read.home)
    return tuple(found)
