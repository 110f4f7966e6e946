"""Recipes: several passes at once, from a mapping or a YAML file, in an order that is always the same."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError, nearest
from squeezesim.network.checks import show
from squeezesim.network.compress.rules import Given
from squeezesim.network.graph import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

Recipe = Mapping[str, Given]
"""Pass → its value, or its values by pattern."""

PASSES = ("prune_channels", "low_rank", "prune", "quantize")
"""The passes of a recipe in the order in which they run: shapes first, then what the new layers hold."""


def compress(
    network: Network,
    recipe: Recipe | str | PathLike[str],
    weights: Mapping[str, NDArray[Any]] | None = None,
) -> Network:
    """Return *network* after the passes of *recipe*: a mapping, or the path of a YAML file that holds one.

    The keys are ``prune_channels``, ``low_rank``, ``prune`` and ``quantize``, which run in this order; each has one
    value for all layers, or values by pattern, as the pass of that name takes them. Patterns of later passes see the
    layers that earlier ones made. *weights* are real weights by layer name, for the values that ask for them.

    Raises:
        UsageError: the recipe is neither, a key or value is none of these (in a file with line and column), or a pass
            rejects its values.
        ModelError: filters that a pattern names in full cannot be removed.

    Example:
        >>> from squeezesim.network import Layer
        >>> net = Network.from_layers([Layer.matmul("fc", m=1, n=1000, k=128)])
        >>> layer = compress(net, {"prune": 0.4, "quantize": {"fc": "w4a8"}}).layers[0]
        >>> layer.weight_density, layer.weight_bits
        (0.4, 4)
    """
    from squeezesim.network.compress.channels import prune_channels
    from squeezesim.network.compress.factorization import low_rank
    from squeezesim.network.compress.pruning import prune
    from squeezesim.network.compress.quantization import quantize

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
