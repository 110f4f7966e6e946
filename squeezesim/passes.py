"""The passes of ``network.compress`` as functions of Python, whose network may be a name too."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from squeezesim.inputs import GivenNetwork, network_of
from squeezesim.network.compress import factorization, pruning
from squeezesim.network.compress import recipe as recipes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from squeezesim.network.compress.recipe import Recipe
    from squeezesim.network.compress.rules import Given
    from squeezesim.network.network import Network


def prune(
    network: GivenNetwork, density: Given, weights: Mapping[str, NDArray[Any]] | None = None
) -> Network:
    """Return *network* with weights set to zero: *density* is the share of each layer's weights that stays.

    A density is a number from 0 to 1, ``"2:4"`` (2 of every 4 weights stay) or ``"weights"`` (the share of non-zeros in
    *weights*, arrays by layer name); one for all layers, or several by pattern, of which the first that matches wins.
    A layer that was pruned before keeps that share of what it has: density' = density before · density.

    Raises:
        UsageError: a density is out of range, a pattern matches no layer with weights, or *weights* are missing.

    Example:
        >>> from squeezesim.network import Layer, Network
        >>> net = Network.from_layers([Layer.matmul("fc", m=1, n=1000, k=128)])
        >>> prune(net, {"fc": "2:4"}).layers[0].weight_density
        0.5
    """
    return pruning.prune(network_of(network), density, weights)


def prune_channels(network: GivenNetwork, share: Given) -> Network:
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
        >>> from squeezesim.network import Layer, Network
        >>> a = Layer.conv("a", c=3, k=64, oy=8, ox=8, fy=3, fx=3)
        >>> b = Layer.conv("b", c=64, k=10, oy=8, ox=8, fy=1, fx=1)
        >>> [(layer.k, layer.c) for layer in prune_channels(Network.from_layers([a, b]), 0.5).layers]
        [(32, 3), (10, 32)]
    """
    return pruning.prune_channels(network_of(network), share)


def low_rank(
    network: GivenNetwork, rank: Given, weights: Mapping[str, NDArray[Any]] | None = None
) -> Network:
    """Return *network* with each layer that *rank* names in two factors, if these have fewer weights than the layer.

    A rank is a share of the full rank min(C·FY, K·FX), as ``0.25``, rounded; ``"rank:16"``; or ``"energy:0.9"``: the
    smallest whose singular values hold that share of Σσ² of the layer's *weights* (arrays by layer name). One for all
    layers, or several by pattern, of which the first that matches wins.

    The second factor keeps the layer's name, the first is called ``NAME/low_rank``. Widths are kept; factors of pruned
    weights are dense.

    Raises:
        UsageError: a rank is out of range, a pattern matches no layer with weights, or *weights* are missing.

    Example:
        >>> from squeezesim.network import Layer, Network
        >>> net = Network.from_layers([Layer.matmul("fc", m=1, n=1000, k=500)])
        >>> [layer.params for layer in low_rank(net, "rank:10").layers]
        [5000, 10000]
    """
    return factorization.low_rank(network_of(network), rank, weights)


def quantize(network: GivenNetwork, widths: Given) -> Network:
    """Return *network* with the operand widths that *widths* says, such as ``"w8a8"``, ``"w4"`` or ``"w8a8acc32"``.

    ``w`` is a weight's bits, ``a`` an activation's (what a layer reads and what it writes), ``acc`` a partial sum's.
    One text for all layers, or several by pattern, of which the first that matches wins.

    Raises:
        UsageError: a width is out of range, or a pattern matches no layer.

    Example:
        >>> from squeezesim.network import Layer, Network
        >>> net = Network.from_layers([Layer.matmul("fc", m=1, n=1000, k=128)])
        >>> quantize(net, "w4a8").layers[0].weight_bits
        4
    """
    return recipes.quantize(network_of(network), widths)


def compress(
    network: GivenNetwork,
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
        >>> from squeezesim.network import Layer, Network
        >>> net = Network.from_layers([Layer.matmul("fc", m=1, n=1000, k=128)])
        >>> layer = compress(net, {"prune": 0.4, "quantize": {"fc": "w4a8"}}).layers[0]
        >>> layer.weight_density, layer.weight_bits
        (0.4, 4)
    """
    return recipes.compress(network_of(network), recipe, weights)
