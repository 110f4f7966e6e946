"""Quantised operands: the widths of the integers that a layer multiplies, from the types around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onnx import NodeProto, TensorProto

from squeezesim.frontends.onnx.values import Value
from squeezesim.network.layer import Layer

QUANTISED: dict[int, int] = {
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.INT16: 16,
    TensorProto.UINT16: 16,
    TensorProto.FLOAT8E4M3FN: 8,
    TensorProto.FLOAT8E5M2: 8,
}
"""Widths in bits of the types that values are quantised to."""


def carried_bits(node: NodeProto, inputs: Sequence[Value | None]) -> int | None:
    """Return the width of what a node that moves data hands on."""
    source = inputs[0] if inputs else None
    if source is None:
        return None
    return QUANTISED.get(source.element) if node.op_type == "DequantizeLinear" else source.bits


def quantised(layer: Layer, sources: Sequence[Value]) -> Layer:
    """Return *layer* with the widths that its operands were quantised to, where they were."""

    def width(value: Value) -> int | None:
        return value.bits or QUANTISED.get(value.element)

    activations = [width(value) for value in sources if value.layers]
    weights = [width(value) for value in sources if not value.layers and value.params][:1]
    if layer.weights_are_activations:
        activations, weights = activations[:1], activations[1:]
    known = [bits for bits in activations if bits is not None]
    if known and len(known) == len(activations):
        layer = replace(layer, activation_bits=max(known))
    if layer.kind == "mac" and weights and weights[0] is not None:
        layer = replace(layer, weight_bits=weights[0])
    return layer
