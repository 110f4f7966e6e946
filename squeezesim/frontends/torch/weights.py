"""Real weights of a model, by the names of the layers that a trace gave."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from squeezesim.errors import ModelError, UsageError
from squeezesim.network import Layer, Network
from squeezesim.network.checks import show
from squeezesim.network.compress.pruning import measured_density
from squeezesim.network.compress.rules import learnt


def weights(network: Network, module: nn.Module) -> dict[str, NDArray[Any]]:
    """Return the weights that each layer of *network* multiplies by, in *module*, of which it is a trace.

    They are the ``weight`` of the layer's module as its forward sees it (masks of ``torch.nn.utils.prune`` and
    parametrizations applied), or else the only parameter of that size below the module, where one layer alone owns as
    many weights there. Layers whose weights are not found so, such as those computed in a forward and parts of a packed
    parameter, are left out.

    Raises:
        UsageError: *network* is no Network.
        ModelError: a layer's module is not in *module*, or a weight has no values.

    Example:
        >>> from squeezesim.frontends.torch.trace import trace
        >>> module = nn.Linear(4, 2)
        >>> [values.shape for values in weights(trace(module, (1, 4)), module).values()]
        [(2, 4)]
    """
    if not isinstance(network, Network):
        raise UsageError(f"network {show(network)}; allowed: a Network, a trace of the module")
    found: dict[str, NDArray[Any]] = {}
    for layer in network.layers:
        if not learnt(layer):
            continue
        try:
            weight = _weight(module, layer, network)
        except AttributeError:
            raise ModelError(
                f"layer {layer.name!r} ran in {layer.module!r}, which the given module does not have"
            ) from None
        if weight is None:
            continue
        if weight.is_meta:
            raise ModelError(
                f"the weights of layer {layer.name!r} have no values: they are on the meta device"
            )
        found[layer.name] = _array(weight)
    return found


def densities(network: Network, module: nn.Module) -> dict[str, float]:
    """Return the share of non-zero weights of each layer of *network*, a trace of *module*, for ``prune``.

    Raises:
        UsageError, ModelError: as for ``weights``.

    Example:
        >>> from squeezesim.frontends.torch.trace import trace
        >>> module = nn.Linear(4, 2)
        >>> _ = module.weight.data[0].zero_()
        >>> list(densities(trace(module, (1, 4)), module).values())
        [0.5]
    """
    return {name: measured_density(values) for name, values in weights(network, module).items()}


def _weight(module: nn.Module, layer: Layer, network: Network) -> torch.Tensor | None:
    """The weight of *layer* in the module where it ran, or in a layer and direction of a recurrence there."""
    path, size = layer.module, layer.weight_elements
    owner, suffix = None, ""
    if part := _PART.fullmatch(path):
        owner, suffix = (
            module.get_submodule(part[1] or ""),
            f"_{part[2]}{'_reverse' * (part[3] == 'reverse')}",
        )
    if not isinstance(owner, nn.RNNBase):
        owner, suffix = module.get_submodule(path), ""
    parameters = [parameter for name, parameter in owner.named_parameters() if name.endswith(suffix)]
    own = getattr(owner, "weight", None)
    if isinstance(own, torch.Tensor) and own.numel() == size:
        return own
    fitting = [parameter for parameter in parameters if parameter.dim() > 1 and parameter.numel() == size]
    return fitting[0] if len(fitting) == 1 and _owns_alone(layer, network) else None


_PART = re.compile(r"(?:(.+)\.)?(l\d+)(?:\.(forward|reverse))?")


def _owns_alone(layer: Layer, network: Network) -> bool:
    """Whether no other layer at or below the module of *layer* owns as many weights, one of which it could be."""
    below = f"{layer.module}." if layer.module else ""
    return not any(
        other.owned_weights == layer.weight_elements and f"{other.module}.".startswith(below)
        for other in network.layers
        if other.name != layer.name and layer.name not in other.shared and other.name not in layer.shared
    )


def _array(weight: torch.Tensor) -> NDArray[Any]:
    values = weight.detach().cpu()
    if values.dtype == torch.bfloat16:  # numpy has none
        values = values.float()
    return np.asarray(values.numpy())
