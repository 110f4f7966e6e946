"""Pruning: single weights and whole channels; channels that only shrink together form a space.

A **space** is a set of channels that can only shrink as one: the filters of a convolution, and those of all layers
whose outputs are added to its own. A tensor's **layout** is the spaces that make up its channels, in order: one after a
convolution, several after a concat; each with how often a channel repeats, which a flattened image or a depthwise
convolution with a multiplier does. Where a concat is added to something else, the other's space is split to match. What
reads a tensor in a way that cannot be followed holds its spaces in place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from squeezesim.errors import ModelError, UsageError
from squeezesim.network.checks import MAX_TEXT, derive, show
from squeezesim.network.compress.rules import Chosen, Given, Value, learnt, match_rules, number, with_layers
from squeezesim.network.layer import Layer
from squeezesim.network.network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = re.compile(r"(\d{1,4}):(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Density:
    """Share of the weights that stay; ``of_weights`` says that the real weights decide, ``pattern`` where they lie."""

    share: float = 1.0
    of_weights: bool = False
    pattern: str = ""


def prune(network: Network, density: Given, weights: Mapping[str, NDArray[Any]] | None = None) -> Network:
    """Return *network* with weights set to zero; see ``squeezesim.passes.prune``."""
    choices = match_rules(network, density, _density, learnt, "pruned")
    if weights is None and any(choice.value.of_weights for choice in choices.values()):
        raise UsageError("the density 'weights' is that of a model's real weights, and none are given")
    layers = []
    for layer in network.layers:
        share, pattern = None, layer.weight_pattern
        if layer.name in choices:
            value = choices[layer.name].value
            share = _measured(layer, weights or {}) if value.of_weights else value.share
            pattern = value.pattern or pattern
        if share is not None:
            left = (layer.weight_density or 1.0) * share
            layer = derive(layer, weight_density=left, weight_pattern=pattern)  # noqa: PLW2901
        layers.append(layer)
    return with_layers(network, tuple(layers), "prune", density)


def measured_density(values: NDArray[Any]) -> float:
    """Return the share of *values* that is not zero.

    Example:
        >>> import numpy as np
        >>> measured_density(np.array([0.0, -1.0, 2.0, 0.0]))
        0.5
    """
    import numpy as np

    return float(np.count_nonzero(values)) / values.size


def _measured(layer: Layer, weights: Mapping[str, NDArray[Any]]) -> float | None:
    return measured_density(weights[layer.name]) if layer.name in weights else None


def _density(value: Value) -> Density:
    if value == "weights":
        return Density(of_weights=True)
    if isinstance(value, str) and (block := _BLOCK.fullmatch(value)):
        kept, size = int(block[1]), int(block[2])
        if not 1 <= kept <= size:
            raise UsageError(f"a density N:M keeps 1 to M of M weights, found {show(value)}")
        return Density(kept / size, pattern=f"{kept}:{size}" if kept < size else "")
    return Density(number(value, "a density, if neither N:M nor 'weights',", "from 0"))


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
        if seen is None and layer.op.startswith("conv_transpose"):
            self._hold(sources, f"{layer.name} reads them in phases that differ, or only a part of them")
        elif seen is None:
            self._hold(sources, f"{layer.name} reads only a part of them, or lays them out anew")
        elif depthwise(layer):
            return self._tied(
                layer, Reading((seen,), tuple((index, times * layer.k) for index, times in seen))
            )
        elif layer.g > 1:
            self._in_groups(seen, layer)
        if layer.op.startswith("conv_transpose"):  # its phases are part of k, which then tells no channels
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
        if (
            layer.op in ("conv3d", "conv_transpose3d") and channels % size == 0
        ):  # planes of the filter are part of c
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


_LISTED = 5


def prune_channels(network: Network, share: Given) -> Network:
    """Return *network* with a *share* of the filters of each layer; see ``squeezesim.passes.prune_channels``."""
    choices = match_rules(
        network, share, _share, lambda layer: learnt(layer) and not depthwise(layer), "pruned by filters"
    )
    spaces = Spaces(network)
    kept, refused = _kept(network, spaces, choices)
    layers = tuple(_Cut(spaces, kept, layer).layer() for layer in network.layers)
    notes = network.notes + ((_note(refused),) if refused else ())
    return with_layers(derive(network, notes=notes), layers, "prune_channels", share)


def _kept(
    network: Network, spaces: Spaces, choices: Mapping[str, Chosen[float]]
) -> tuple[dict[int, int], dict[str, str]]:
    """The channels that stay of each space, and the layers whose filters all stay against what was asked."""
    kept: dict[int, int] = {}
    asked: dict[int, tuple[str, float]] = {}
    refused: dict[str, str] = {}
    for layer in network.layers:
        if layer.name not in choices:
            continue
        choice = choices[layer.name]
        made = spaces.made_by(layer)
        reason = next((held for index in made if (held := spaces.of(index).held)), "")
        if not made:
            reason = "its outputs are not told apart by channel"
        if reason and choice.value < 1:
            if choice.pattern == layer.name:
                raise ModelError(f"the filters of layer {layer.name!r} cannot be removed: {reason}")
            refused[layer.name] = reason
        for index in () if reason else made:
            other, value = asked.setdefault(index, (layer.name, choice.value))
            if value != choice.value:
                raise UsageError(
                    f"layers {other!r} and {layer.name!r} must keep the same channels, since their outputs meet; "
                    f"found {value:g} and {choice.value:g}"
                )
            space = spaces.of(index)
            steps = math.floor(choice.value * space.size / space.unit + 0.5)
            kept[index] = max(steps, 1) * space.unit
    if refused and not kept:
        name, reason = next(iter(refused.items()))
        raise ModelError(
            f"no filters of network {network.name!r} can be removed: those of {name!r}: {reason}"
        )
    return kept, refused


class _Cut:
    """One layer with the channels that stay."""

    def __init__(self, spaces: Spaces, kept: Mapping[int, int], layer: Layer) -> None:
        self._spaces, self._kept, self._layer = spaces, kept, layer
        reading = spaces.readings[layer.name]
        self._inputs, self._output = reading.inputs, reading.output

    def layer(self) -> Layer:
        """Return the layer, itself where nothing of it changes."""
        changed = [layout for layout in (*self._inputs, self._output) if layout is not None]
        if all(self._left(layout) == self._spaces.total(layout) for layout in changed):
            return self._layer
        return self._mac() if self._layer.kind == "mac" else self._elements()

    def _left(self, layout: Layout) -> int:
        parts = self._spaces.resolved(layout)
        return sum(self._kept.get(index, self._spaces.of(index).size) * times for index, times in parts)

    def _mac(self) -> Layer:
        layer, seen, made = self._layer, self._inputs[0], self._output
        had, gave = layer.g * layer.c, layer.g * layer.k
        reads = had if seen is None else self._left(seen)
        makes = gave if made is None else self._left(made)
        groups = reads if depthwise(layer) else layer.g
        c, k = reads // groups, makes // groups
        weights = layer.weight_elements * (groups * k * c) // (layer.g * layer.k * layer.c)
        before = layer.owned_weights
        own = before * (groups * k * c) // (layer.g * layer.k * layer.c)
        others = _learnt(layer.params - before, makes, gave)
        params = others + own
        cut = derive(
            layer,
            g=groups,
            c=c,
            k=k,
            input_elements=layer.input_elements * reads // had,
            weight_elements=weights,
            output_elements=layer.output_elements * makes // gave,
            vector_ops=layer.vector_ops * makes // gave,
            params=params,
            fixed_weights=layer.fixed_weights * (groups * k * c) // (layer.g * layer.k * layer.c),
            constant_elements=(
                None if layer.constant_elements is None else _learnt(layer.constant_elements, makes, gave)
            ),
            weight_pattern=layer.weight_pattern if c == layer.c else "",  # of channels as they were
        )
        return derive(cut, weight_params=cut.weight_params_of(params, own))

    def _elements(self) -> Layer:
        layer = self._layer
        assert self._output is not None
        left, had = self._left(self._output), self._spaces.total(self._output)
        # What is read with one channel, and spread over the others, stays.
        fixed = sum(
            self._spaces.elements(source)
            for source, layout in zip(layer.inputs, self._inputs, strict=True)
            if layout is None
        )
        last = had != layer.k  # channels last
        return derive(
            layer,
            c=layer.c if last else left,
            k=layer.k if last else left,
            ox=left if last else layer.ox,
            ix=left if last else layer.ix,
            input_elements=fixed + (layer.input_elements - fixed) * left // had,
            weight_elements=_learnt(layer.weight_elements, left, had),
            output_elements=layer.output_elements * left // had,
            params=_learnt(layer.params, left, had),
            fixed_weights=_learnt(layer.fixed_weights, left, had),
            vector_ops=layer.vector_ops * left // had,
        )


def _learnt(count: int, left: int, channels: int) -> int:
    """Learnt values beside the weights, of which each channel has as many; where it has none of its own, they stay."""
    return count if count % channels else count // channels * left


def _note(refused: Mapping[str, str]) -> str:
    names = [f"{name} ({reason})" for name, reason in refused.items()]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"filters that cannot be removed stay: {'; '.join(names[:_LISTED])}{more}"[:MAX_TEXT]


def _share(value: Value) -> float:
    return number(value, "a share of the filters")
