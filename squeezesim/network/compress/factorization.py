"""Low rank: a layer becomes two, with fewer weights between fewer channels.

The weights of a group, W[k, c, y, x], are laid out as a matrix of C·FY rows and K·FX columns. Its best approximation
of rank r is a product of a (C·FY)×r and an r×(K·FX) matrix (singular value decomposition): a convolution with FY×1
filters to r channels, then one with 1×FX filters to K channels. Where FX is 1, as in matrix products, the second is
1×1.

    weights before  G · C · K · FY · FX
    weights after   G · r · (C · FY + K · FX)

Sources: Denton et al., arXiv 1404.0736 (products); Jaderberg et al., arXiv 1405.3866, and Tai et al., arXiv 1511.06067
(FY×1 and 1×FX filters).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from squeezesim.errors import UsageError
from squeezesim.network.checks import show
from squeezesim.network.compress.rules import Chosen, Given, Value, learnt, match_rules, number, with_layers
from squeezesim.network.layer import Layer
from squeezesim.network.network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RANK = re.compile(r"rank:0*(\d{1,9})")
SUFFIX = "/low_rank"


@dataclass(frozen=True, slots=True)
class Rank:
    """How a rank is found: a share of the full one, itself, or a share of the weights' energy."""

    by: Literal["share", "rank", "energy"]
    value: float


def low_rank(network: Network, rank: Given, weights: Mapping[str, NDArray[Any]] | None = None) -> Network:
    """Return *network* with layers in two factors; see ``squeezesim.passes.low_rank``."""
    choices = match_rules(network, rank, _rank, learnt, "factorised")
    if weights is None and any(choice.value.by == "energy" for choice in choices.values()):
        raise UsageError("a rank by energy is that of a model's real weights, and none are given")
    taken = {layer.name for layer in network.layers}
    renamed: dict[str, str] = {}  # of a layer in two factors, the first
    layers: list[Layer] = []
    for layer in network.layers:
        channels = _channels(layer, choices.get(layer.name), weights or {})
        if channels is None or not _saves(layer, channels):
            layers.append(layer)
            continue
        name = layer.name + SUFFIX
        while name in taken:
            name += SUFFIX
        taken.add(name)
        layers.extend(_factors(layer, channels, name, renamed))
        renamed[layer.name] = name
    return with_layers(network, tuple(layers), "low_rank", rank)


def full_rank(layer: Layer) -> int:
    """Return the most that the rank of a group's weights can be: min(C·FY, K·FX)."""
    return min(_sizes(layer))


def _sizes(layer: Layer) -> tuple[int, int]:
    """Rows and columns of the matrix of a group's weights; those of a transposed convolution are C and K·FY·FX."""
    if not _is_transposed(layer):
        return layer.c * layer.fy, layer.k * layer.fx
    channels = _channels_in(layer)
    return channels, layer.weight_elements // (layer.g * channels)


def _is_transposed(layer: Layer) -> bool:
    return layer.op.startswith("conv_transpose")


def _channels_in(layer: Layer) -> int:
    """Input channels of a group of the tensor, which the loops of a transposed convolution may have otherwise."""
    return layer.input_elements // (layer.n * layer.g * layer.iy * layer.ix)


def energy_rank(layer: Layer, weights: NDArray[Any], share: float) -> int:
    """Return the smallest rank whose singular values hold *share* of Σσ², the largest over the layer's groups.

    Raises:
        UsageError: a weight is infinite or not a number.

    Example:
        >>> import numpy as np
        >>> layer = Layer.matmul("fc", m=1, n=3, k=3)
        >>> energy_rank(layer, np.diag([3.0, 1.0, 0.0]), 0.9), energy_rank(layer, np.diag([3.0, 1.0, 0.0]), 0.95)
        (1, 2)
    """
    import numpy as np

    if not np.isfinite(weights).all():
        raise UsageError(f"the weights of layer {layer.name!r} must be finite for a rank by energy")
    ranks = []
    for matrix in _matrices(layer, weights):
        small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        energies = np.maximum(np.linalg.eigvalsh(small)[::-1], 0.0)  # σ², largest first
        held = np.cumsum(energies)
        ranks.append(int(np.searchsorted(held, share * held[-1] * (1 - 1e-12))) + 1)
    return max(ranks)


def _matrices(layer: Layer, weights: NDArray[Any]) -> NDArray[Any]:
    """The matrices of C·FY rows and K·FX columns of each group."""
    import numpy as np

    values = np.asarray(weights, np.float64)
    if _is_transposed(layer):  # (C, K/G, …), already a product
        return values.reshape(layer.g, *_sizes(layer))
    parts = values.reshape(layer.g, layer.k, layer.c, layer.fy, layer.fx).transpose(0, 2, 3, 1, 4)
    return parts.reshape(layer.g, layer.c * layer.fy, layer.k * layer.fx)


def _channels(layer: Layer, choice: Chosen[Rank] | None, weights: Mapping[str, NDArray[Any]]) -> int | None:
    """The channels of each group between the factors, or None where the layer stays."""
    if choice is None:
        return None
    match choice.value:
        case Rank("rank", value):
            return int(value)
        case Rank("share", value):
            return max(1, math.floor(value * full_rank(layer) + 0.5))
    if layer.name in weights:
        return energy_rank(layer, weights[layer.name], choice.value.value)
    if choice.pattern == layer.name:
        raise UsageError(f"the weights of layer {layer.name!r} are not among those given")
    return None


def _saves(layer: Layer, rank: int) -> bool:
    rows, columns = _sizes(layer)
    if _is_transposed(layer) and layer.c * rank % rows:
        return False  # its loops have no such number of channels
    return rank * (rows + columns) < rows * columns


def _factors(layer: Layer, rank: int, name: str, renamed: Mapping[str, str]) -> tuple[Layer, Layer]:
    (rows, columns), transposed = _sizes(layer), _is_transposed(layer)
    # Which factor does what is spatial along y and x; where the filter is one wide, the first does all.
    first_does = (False, False) if transposed else (True, layer.fx == 1)
    iy, ix = (
        made if does else read
        for does, made, read in zip(first_does, (layer.oy, layer.ox), (layer.iy, layer.ix), strict=True)
    )
    between = layer.n * layer.g * rank * iy * ix
    first_weights, second_weights = layer.g * rank * rows, layer.g * rank * columns
    own = layer.owned_weights  # others are counted in another layer
    first_own, second_own = (
        own * weights // layer.weight_elements for weights in (first_weights, second_weights)
    )
    first_held, second_held = (
        layer.fixed_weights * weights // layer.weight_elements for weights in (first_weights, second_weights)
    )
    density = None if layer.weight_density is None else 1.0
    first = replace(
        layer,
        name=name,
        op=layer.op.replace("conv_transpose", "conv"),
        k=rank,
        c=rows if transposed else layer.c,
        oy=iy,
        ox=ix,
        **_spatial(layer, first_does),
        weight_elements=first_weights,
        output_elements=between,
        params=0,
        weight_params=None,
        fixed_weights=first_held,
        shared=tuple(renamed.get(owner, owner) for owner in layer.shared),
        vector_ops=0,
        fused=(),
        weight_density=density,
        weight_pattern="",
    )
    second = replace(
        layer,
        inputs=(name,),
        carried=(),
        c=layer.c * rank // rows if transposed else rank,
        iy=iy,
        ix=ix,
        **_spatial(layer, tuple(not does for does in first_does)),
        input_elements=between,
        weight_elements=second_weights,
        params=0,
        weight_params=None,
        fixed_weights=second_held,
        weight_density=density,
        weight_pattern="",
    )
    first, second = (
        first.owning(first_own, first_own),
        second.owning(layer.params - own + second_own, second_own),
    )
    return first.reading(0), second.reading(layer.constants)


def _spatial(layer: Layer, does: Sequence[bool]) -> dict[str, Any]:
    """The window of a factor, which along each axis is the layer's or none."""

    def along(own: Sequence[int], none: int) -> tuple[int, int]:
        y, x = (size if has else none for size, has in zip(own, does, strict=True))
        return y, x

    fy, fx = along((layer.fy, layer.fx), 1)
    window = {"stride": along(layer.stride, 1), "dilation": along(layer.dilation, 1)}
    return {"fy": fy, "fx": fx, **window, "padding": along(layer.padding, 0)}


def _rank(value: Value) -> Rank:
    if isinstance(value, str):
        if match := _RANK.fullmatch(value):
            if int(match[1]) < 1:
                raise UsageError(f"a rank must be at least 1, found {show(value)}")
            return Rank("rank", int(match[1]))
        if value.startswith("rank:"):
            raise UsageError(f"a rank must be an integer from 1 to 999999999, found {show(value)}")
        kind, colon, share = value.partition(":")
        if colon and kind == "energy":
            return Rank("energy", number(share, "a share of the energy"))
    return Rank("share", number(value, "a rank, if neither rank:N nor energy:SHARE,"))
