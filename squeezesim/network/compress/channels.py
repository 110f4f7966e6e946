"""Structured pruning: filters are removed, and with them the channels that others read; shapes change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from squeezesim.errors import ModelError, UsageError
from squeezesim.network.checks import MAX_TEXT
from squeezesim.network.compress.rules import Chosen, Given, Value, chosen, compressed, learnt, number
from squeezesim.network.compress.spaces import Layout, Spaces, depthwise
from squeezesim.network.graph import Network
from squeezesim.network.layer import Layer

_LISTED = 5


def prune_channels(network: Network, share: Given) -> Network:
    """Return *network* with a *share* of the filters of each layer kept, and the channels of all who read them.

    kept = ⌊share · filters + ½⌋, at least one, in steps of the groups that they form. What is added must keep the same
    channels, so that a share said of one summand holds for the others that no pattern matches; a depthwise layer
    follows what it reads. Outputs of the network and filters whose channels are read in a way that cannot be followed
    (a part of them, attention) stay, and a note on the network says so.

    Args:
        network: the network.
        share: a number above 0 and up to 1 for all layers, or several by pattern, of which the first that matches wins.

    Raises:
        UsageError: a share is out of range, a pattern matches no layer with filters, or two shares contradict.
        ModelError: the filters of a layer that is named in full cannot be removed, or none at all can; says why.

    Example:
        >>> from squeezesim.network import Layer
        >>> a = Layer.conv("a", c=3, k=64, oy=8, ox=8, fy=3, fx=3)
        >>> b = Layer.conv("b", c=64, k=10, oy=8, ox=8, fy=1, fx=1)
        >>> [(layer.k, layer.c) for layer in prune_channels(Network.from_layers([a, b]), 0.5).layers]
        [(32, 3), (10, 32)]
    """
    choices = chosen(
        network, share, _share, lambda layer: learnt(layer) and not depthwise(layer), "pruned by filters"
    )
    spaces = Spaces(network)
    kept, refused = _kept(network, spaces, choices)
    layers = tuple(_Cut(spaces, kept, layer).layer() for layer in network.layers)
    notes = network.notes + ((_note(refused),) if refused else ())
    return compressed(replace(network, notes=notes), layers, "prune_channels", share)


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
        cut = replace(
            layer,
            g=groups,
            c=c,
            k=k,
            input_elements=layer.input_elements * reads // had,
            weight_elements=weights,
            output_elements=layer.output_elements * makes // gave,
            vector_ops=layer.vector_ops * makes // gave,
            params=0,
            weight_params=None,
        )
        return cut.owning(others + own, own)

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
        return replace(
            layer,
            c=layer.c if last else left,
            k=layer.k if last else left,
            ox=left if last else layer.ox,
            ix=left if last else layer.ix,
            input_elements=fixed + (layer.input_elements - fixed) * left // had,
            weight_elements=_learnt(layer.weight_elements, left, had),
            output_elements=layer.output_elements * left // had,
            params=_learnt(layer.params, left, had),
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
