"""Recipes: passes in a file, values for layers by pattern, and the widths of operands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError, nearest
from squeezesim.network.checks import derive, show
from squeezesim.network.compress.rules import Given, Value, learnt, match_rules, with_layers
from squeezesim.network.layer import Layer
from squeezesim.network.network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTHS = re.compile(r"(?=.)(?:w(\d{1,2}))?(?:a(\d{1,2}))?(?:acc(\d{1,2}))?")
MOST_BITS = 64


@dataclass(frozen=True, slots=True)
class Widths:
    """Bits of a layer's operands; None leaves what the layer has, or else the accelerator's."""

    weights: int | None
    activations: int | None
    accumulators: int | None


def quantize(network: Network, widths: Given) -> Network:
    """Return *network* with the operand widths that *widths* says; see ``squeezesim.passes.quantize``."""
    choices = match_rules(network, widths, _widths, lambda layer: layer.kind != "view", "quantised")
    layers = tuple(
        _quantized(layer, choices[layer.name].value) if layer.name in choices else layer
        for layer in network.layers
    )
    return with_layers(network, layers, "quantize", widths)


def _quantized(layer: Layer, widths: Widths) -> Layer:
    has_weights = learnt(layer) or (layer.kind == "vector" and layer.weight_elements > 0)
    weights = widths.weights if has_weights else None
    sums = widths.accumulators if layer.kind == "mac" else None
    return derive(
        layer,
        weight_bits=weights or layer.weight_bits,
        activation_bits=widths.activations or layer.activation_bits,
        accumulator_bits=sums or layer.accumulator_bits,
    )


def _widths(value: Value) -> Widths:
    match = _WIDTHS.fullmatch(value.lower()) if isinstance(value, str) else None
    if match is None:
        raise UsageError(f"widths are written as w8a8, w4a8 or w8a8acc32, found {show(value)}")
    bits = [None if group is None else int(group) for group in match.groups()]
    if any(width is not None and not 1 <= width <= MOST_BITS for width in bits):
        raise UsageError(f"widths must be 1 to {MOST_BITS} bits, found {show(value)}")
    return Widths(*bits)


Recipe = Mapping[str, Given]
"""Pass → its value, or its values by pattern."""

PASSES = ("prune_channels", "low_rank", "prune", "quantize")
"""The passes of a recipe in the order in which they run: shapes first, then what the new layers hold."""


def compress(
    network: Network,
    recipe: Recipe | str | PathLike[str],
    weights: Mapping[str, NDArray[Any]] | None = None,
) -> Network:
    """Return *network* after the passes of *recipe*; see ``squeezesim.passes.compress``."""
    from squeezesim.network.compress.factorization import low_rank
    from squeezesim.network.compress.pruning import prune, prune_channels

    if not isinstance(recipe, (Mapping, str, PathLike)):
        raise UsageError(f"a recipe is a mapping or the path of a YAML file, found {show(recipe)}")
    steps = dict(recipe) if isinstance(recipe, Mapping) else read_recipe(recipe)
    for key in steps:
        if key not in PASSES:
            raise UsageError(_unknown(key))
    if "prune_channels" in steps:
        network = prune_channels(network, steps["prune_channels"])
    if "low_rank" in steps:
        network = low_rank(network, steps["low_rank"], _still(network, weights))
    if "prune" in steps:
        network = prune(network, steps["prune"], _still(network, weights))
    if "quantize" in steps:
        network = quantize(network, steps["quantize"])
    return network


def read_recipe(path: str | PathLike[str]) -> Recipe:
    """Return the recipe in a YAML file.

    Raises:
        UsageError: the file is missing or unreadable, or holds something else; with line and column.
    """
    from squeezesim.yaml_tree import Tree, parse, read_source

    source = read_source(path, noun="a recipe", mistake=UsageError)
    tree = parse(source)

    def value(item: Tree, key: str) -> float | str:
        if isinstance(item.value, bool) or not isinstance(item.value, (int, float, str)):
            raise source.error(f"{key} must be a number or a text, found {show(item.plain())}", item.position)
        return item.value

    if not isinstance(tree.value, dict):
        raise source.error(f"a recipe is a mapping; allowed keys: {', '.join(PASSES)}", tree.position)
    recipe: dict[str, Given] = {}
    for key, item in tree.value.items():
        if key not in PASSES:
            raise source.error(_unknown(key), tree.keys[key])
        if isinstance(item.value, dict):
            recipe[key] = {
                pattern: value(inner, f"{key} of {pattern!r}") for pattern, inner in item.value.items()
            }
        else:
            recipe[key] = value(item, key)
    return recipe


def _still(network: Network, weights: Mapping[str, NDArray[Any]] | None) -> Mapping[str, NDArray[Any]] | None:
    """The real weights of layers that have as many as they had."""
    if weights is None:
        return None
    sizes = {layer.name: layer.weight_elements for layer in network.layers}
    return {name: values for name, values in weights.items() if values.size == sizes.get(name)}


def _unknown(key: str) -> str:
    return f"unknown pass {show(key)}; allowed: {', '.join(PASSES)}{nearest(key, PASSES)}"
