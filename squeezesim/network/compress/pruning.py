"""Unstructured and N:M pruning: what share of a layer's weights is left; shapes stay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError
from squeezesim.network.checks import show
from squeezesim.network.compress.rules import Given, Value, chosen, compressed, learnt, number
from squeezesim.network.graph import Network
from squeezesim.network.layer import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = re.compile(r"(\d{1,4}):(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Density:
    """Share of the weights that stay; ``of_weights`` says that the real weights decide."""

    share: float = 1.0
    of_weights: bool = False


def prune(network: Network, density: Given, weights: Mapping[str, NDArray[Any]] | None = None) -> Network:
    """Return *network* with weights set to zero: *density* is the share of each layer's weights that stays.

    A density is a number from 0 to 1, ``"2:4"`` (2 of every 4 weights stay) or ``"weights"`` (the share of non-zeros in
    *weights*, arrays by layer name); one for all layers, or several by pattern, of which the first that matches wins.
    A layer that was pruned before keeps that share of what it has: density' = density before · density.

    Raises:
        UsageError: a density is out of range, a pattern matches no layer with weights, or *weights* are missing.

    Example:
        >>> from squeezesim.network import Layer
        >>> net = Network.from_layers([Layer.matmul("fc", m=1, n=1000, k=128)])
        >>> prune(net, {"fc": "2:4"}).layers[0].weight_density
        0.5
    """
    choices = chosen(network, density, _density, learnt, "pruned")
    if weights is None and any(choice.value.of_weights for choice in choices.values()):
        raise UsageError("the density 'weights' is that of a model's real weights, and none are given")
    layers = []
    for layer in network.layers:
        share = None
        if layer.name in choices:
            value = choices[layer.name].value
            share = _measured(layer, weights or {}) if value.of_weights else value.share
        kept = (
            layer if share is None else replace(layer, weight_density=(layer.weight_density or 1.0) * share)
        )
        layers.append(kept)
    return compressed(network, tuple(layers), "prune", density)


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
        return Density(kept / size)
    return Density(number(value, "a density, if neither N:M nor 'weights',", "from 0"))
