"""Quantisation: how many bits a layer's weights, activations and partial sums have."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from squeezesim.errors import UsageError
from squeezesim.network.checks import show
from squeezesim.network.compress.rules import Given, Value, chosen, compressed, learnt
from squeezesim.network.graph import Network
from squeezesim.network.layer import Layer

_WIDTHS = re.compile(r"(?=.)(?:w(\d{1,2}))?(?:a(\d{1,2}))?(?:acc(\d{1,2}))?")
MOST_BITS = 64


@dataclass(frozen=True, slots=True)
class Widths:
    """Bits of a layer's operands; None leaves what the layer has, or else the accelerator's."""

    weights: int | None
    activations: int | None
    accumulators: int | None


def quantize(network: Network, widths: Given) -> Network:
    """Return *network* with the operand widths that *widths* says, such as ``"w8a8"``, ``"w4"`` or ``"w8a8acc32"``.

    ``w`` is a weight's bits, ``a`` an activation's (what a layer reads and what it writes), ``acc`` a partial sum's.
    One text for all layers, or several by pattern, of which the first that matches wins.

    Raises:
        UsageError: a width is out of range, or a pattern matches no layer.

    Example:
        >>> from squeezesim.network import Layer
        >>> net = Network.from_layers([Layer.matmul("fc", m=1, n=1000, k=128)])
        >>> quantize(net, "w4a8").layers[0].weight_bits
        4
    """
    choices = chosen(network, widths, _widths, lambda layer: layer.kind != "view", "quantised")
    layers = tuple(
        _quantized(layer, choices[layer.name].value) if layer.name in choices else layer
        for layer in network.layers
    )
    return compressed(network, layers, "quantize", widths)


def _quantized(layer: Layer, widths: Widths) -> Layer:
    has_weights = learnt(layer) or (layer.kind == "vector" and layer.weight_elements > 0)
    weights = widths.weights if has_weights else None
    sums = widths.accumulators if layer.kind == "mac" else None
    return replace(
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
