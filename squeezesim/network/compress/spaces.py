"""Which channels of a network belong together: those that one filter's removal would remove everywhere.

A **space** is a set of channels that can only shrink as one: the filters of a convolution, and those of all layers
whose outputs are added to its own. A tensor's **layout** is the spaces that make up its channels, in order: one after a
convolution, several after a concat; each with how often a channel repeats, which a flattened image or a depthwise
convolution with a multiplier does. Where a concat is added to something else, the other's space is split to match. What
reads a tensor in a way that cannot be followed holds its spaces in place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from squeezesim.network.compress.rules import learnt
from squeezesim.network.graph import Network
from squeezesim.network.layer import Layer

Layout = tuple[tuple[int, int], ...]  # (space, repeats) of each part
_APART = (-1, 0)
_MOST_PARTS = (
    256  # parts of one layout; sizes that share no divisor could split into as many as there are channels
)


@dataclass(slots=True)
class Space:
    """Channels that shrink as one: in steps of ``unit``, or not at all for the reason ``held``."""

    size: int
    unit: int = 1
    held: str = ""
    makers: list[str] = field(default_factory=list)  # layers whose filters they are


@dataclass(frozen=True, slots=True)
class Reading:
    """How a layer is laid out: the channels that it reads from each input, and those that it makes."""

    inputs: tuple[Layout | None, ...]  # None: nothing of it can change
    output: Layout | None


class Spaces:
    """The spaces of a network, and every layer's layouts in them."""

    def __init__(self, network: Network) -> None:
        self._parents: list[int] = []  # of spaces that became one
        self._parts: dict[int, Layout] = {}  # of a space that was split
        self._spaces: list[Space] = []
        self._layouts: dict[str, Layout | None] = {}
        self._makers = {layer.name: layer for layer in network.layers}
        self._shared: dict[str, tuple[Layout | None, Layout | None]] = {}
        self.readings: dict[str, Reading] = {}
        for name, shape in network.inputs:
            size = shape[1] if len(shape) >= 4 else shape[-1] if shape else 1
            held = "they are an input of the network"
            self._layouts[name] = ((self._new(Space(max(size, 1), held=held)), 1),)
        for layer in network.layers:
            reading = self._read(layer)
            self.readings[layer.name] = reading
            self._layouts[layer.name] = reading.output
        read = {source for layer in network.layers for source in layer.inputs}
        for layer in network.layers:
            if layer.name not in read:
                self._hold([self._layouts[layer.name]], "they are an output of the network")

    def of(self, index: int) -> Space:
        """Return the space that ``resolved`` gave this number."""
        return self._spaces[index]

    def resolved(self, layout: Layout) -> Layout:
        """Return *layout* in the spaces as they are: united ones under one number, split ones in their parts."""
        parts: list[tuple[int, int]] = []
        for index, times in layout:
            root = index
            while self._parents[root] != root:
                root = self._parents[root]
            inner = self.resolved(self._parts[root]) if root in self._parts else ((root, 1),)
            parts += [(part, times) for part, _ in inner]
        return tuple(parts)

    def made_by(self, layer: Layer) -> tuple[int, ...]:
        """Return the numbers of the spaces that the filters of *layer* make; none where they make none of their own."""
        layout = self.resolved(self.readings[layer.name].output or ())
        return tuple(index for index, _ in layout if layer.name in self.of(index).makers)

    def total(self, layout: Layout) -> int:
        """Return how many channels a layout has."""
        return sum(self.of(index).size * times for index, times in self.resolved(layout))

    def _new(self, space: Space) -> int:
        self._spaces.append(space)
        self._parents.append(len(self._parents))
        return len(self._parents) - 1

    def _read(self, layer: Layer) -> Reading:
        if layer.repeat > 1:
            self._hold(
                [self._layouts[name] for name in layer.inputs], f"{layer.name} is a step of a recurrence"
            )
            return Reading((None,) * len(layer.inputs), None)
        if layer.kind == "mac":
            return self._read_mac(layer)
        if layer.op == "concat":
            return self._read_concat(layer)
        return self._read_elements(layer)

    def _read_mac(self, layer: Layer) -> Reading:
        sources = [self._layouts[name] for name in layer.inputs]
        channels = layer.g * layer.c
        if not learnt(layer) or len(sources) != 1:
            self._hold(sources, f"{layer.name} multiplies activations by activations")
            return Reading((None,) * len(sources), None)
        seen = self._seen(layer, layer.inputs[0], channels)
        if seen is None:
            self._hold(sources, f"{layer.name} reads only a part of them, or lays them out anew")
        elif depthwise(layer):
            return self._tied(
                layer, Reading((seen,), tuple((index, times * layer.k) for index, times in seen))
            )
        elif layer.g > 1:
            self._in_groups(seen, layer)
        if layer.op.startswith("conv_transpose"):  # its filter is part of k, which then tells no channels
            return self._tied(layer, Reading((seen,), None))
        made = self._new(Space(layer.g * layer.k, unit=layer.g, makers=[layer.name]))
        return self._tied(layer, Reading((seen,), ((made, 1),)))

    def _read_concat(self, layer: Layer) -> Reading:
        sources = [self._layouts[name] for name in layer.inputs]
        known = [layout for layout in sources if layout is not None]
        if len(known) == len(sources):
            if layer.input_elements == sum(self.elements(name) for name in layer.inputs):
                for parts in (known, [self._flat(layer, name) for name in layer.inputs]):
                    joined = tuple(part for layout in parts if layout is not None for part in layout)
                    if None not in parts and self.total(joined) == layer.k:
                        return Reading(tuple(parts), joined)
            if all(self.total(layout) == layer.k for layout in known):
                return Reading(tuple(known), self._united(known, layer))
        self._hold(sources, f"{layer.name} joins them in a way that cannot be followed")
        return Reading((None,) * len(sources), None)

    def _read_elements(self, layer: Layer) -> Reading:
        sources = [self._layouts[name] for name in layer.inputs]
        if layer.op == "group_norm":
            self._hold(sources, f"{layer.name} normalises groups of them")
        if layer.c != layer.k:
            self._hold(sources, f"{layer.name} changes their number")
            return Reading((None,) * len(sources), None)
        # Work on (N, Y, X, C), channels last, is told by PyTorch's order of dimensions: its channels stand in x.
        axes = (layer.k, layer.ox) if layer.fy == layer.fx == 1 and layer.ox == layer.ix else (layer.k,)
        for channels in axes:
            seen = [self._seen(layer, name, channels) for name in layer.inputs]
            whole = [layout for layout in seen if layout is not None]
            if whole:
                break
        else:
            self._hold(sources, f"{layer.name} lays them out anew")
            return Reading(tuple(seen), None)
        for layout, source in zip(seen, sources, strict=True):
            if layout is None and (source is None or self.total(source) != 1):
                self._hold([*whole, source], f"{layer.name} lays them out anew")
        return Reading(tuple(seen), self._united(whole, layer))

    def _seen(self, layer: Layer, source: str, channels: int) -> Layout | None:
        """The layout of *source* as *layer* reads it, in *channels*; None where that cannot be followed."""
        layout = self._layouts[source]
        if layout is None:
            return None
        size = self.total(layout)
        if size == channels:
            return layout
        if layer.op == "conv3d" and channels % size == 0:  # the planes of its filter are part of c
            return tuple((index, times * (channels // size)) for index, times in layout)
        flat = self._flat(layer, source)
        return flat if flat is not None and self.total(flat) == channels else None

    def _flat(self, layer: Layer, source: str) -> Layout | None:
        """The layout of *source* when all that it holds of an image is one row of channels."""
        layout = self._layouts[source]
        elements, size = self.elements(source), self.total(layout) if layout else 0
        if layout is None or layer.iy * layer.ix > 1 or elements % (layer.n * size):
            return None
        return tuple((index, times * (elements // (layer.n * size))) for index, times in layout)

    def elements(self, source: str) -> int:
        """Return how many elements the layer *source* makes in all its steps, 0 for an input of the network."""
        maker = self._makers.get(source)
        return maker.output_elements * maker.repeat if maker else 0

    def _in_groups(self, layout: Layout, layer: Layer) -> None:
        for index, _ in self.resolved(layout):
            space = self.of(index)
            space.unit = math.lcm(space.unit, layer.g)
            if space.size % space.unit:
                self._hold([layout], f"{layer.name} splits them in {layer.g} groups")

    def _tied(self, layer: Layer, reading: Reading) -> Reading:
        """Tie the channels of a module's calls: they share its filters."""
        if layer.owned_weights >= layer.weight_elements:
            self._shared.setdefault(layer.module, (reading.inputs[0], reading.output))
            return reading
        first = self._shared.get(layer.module, (None, None))
        for layout, other in zip((reading.inputs[0], reading.output), first, strict=True):
            pair = [part for part in (layout, other) if part is not None]
            if len(pair) == 2:
                self._united(pair, layer)
            else:
                self._hold(pair, f"{layer.name} has weights that are not its own")
        return reading

    def _united(self, layouts: Sequence[Layout], layer: Layer) -> Layout:
        """Make all *layouts* shrink as one, part by part, or none of them where that cannot be."""
        first = layouts[0]
        for layout in layouts[1:]:
            while cut := self._first_difference(first, layout):
                if cut == _APART or len(self.resolved(first)) > _MOST_PARTS:
                    self._hold(layouts, f"{layer.name} combines channels that do not match")
                    return first
                self._split(*cut)
            for (one, _), (other, _) in zip(self.resolved(first), self.resolved(layout), strict=True):
                self._unite(one, other)
        return first

    def _first_difference(self, one: Layout, other: Layout) -> tuple[int, int] | None:
        """The space to split and the size of its first part, so that two layouts have equal parts; None: they have."""
        if self.total(one) != self.total(other):
            return _APART
        for (a, times), (b, others) in zip(self.resolved(one), self.resolved(other), strict=False):
            if times != others:
                return _APART
            sizes = self.of(a).size, self.of(b).size
            if sizes[0] != sizes[1]:
                return (a, sizes[1]) if sizes[0] > sizes[1] else (b, sizes[0])
        return None

    def _split(self, index: int, size: int) -> None:
        whole = self.of(index)
        parts = [
            self._new(Space(part, whole.unit, whole.held, list(whole.makers)))
            for part in (size, whole.size - size)
        ]
        self._parts[index] = tuple((part, 1) for part in parts)
        for part in parts:
            self._check_unit(self.of(part))

    def _unite(self, one: int, other: int) -> None:
        # A split further on in the same layouts may have made them one already.
        (one, _), (other, _) = (*self.resolved(((one, 1),)), *self.resolved(((other, 1),)))
        if one == other:
            return
        kept, gone = self._spaces[one], self._spaces[other]
        self._parents[other] = one
        kept.unit = math.lcm(kept.unit, gone.unit)
        kept.held = kept.held or gone.held
        kept.makers += [name for name in gone.makers if name not in kept.makers]
        self._check_unit(kept)

    def _check_unit(self, space: Space) -> None:
        if space.size % space.unit:
            space.held = space.held or f"the groups of {', '.join(space.makers)} do not divide them"

    def _hold(self, layouts: Sequence[Layout | None], reason: str) -> None:
        for layout in layouts:
            for index, _ in self.resolved(layout or ()):
                space = self.of(index)
                space.held = space.held or reason


def depthwise(layer: Layer) -> bool:
    """Whether each filter of *layer* reads one channel, so that the two go together."""
    return layer.g > 1 and layer.c == 1
