"""Convolutions and matrix products: the operators with MACs."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from squeezesim.frontends.aten.call import Call, Operand, Rule
from squeezesim.network import ops
from squeezesim.network.layer import Layer


def _convolution(call: Call) -> Layer:
    source, weight = call["input"].shape, call["weight"].shape
    groups, bias = call["groups"], call["bias"] is not None
    if call.get("transposed", False):
        return ops.transposed_convolution(source, weight, call.output, groups=groups, bias=bias)
    return ops.convolution(
        source,
        weight,
        call.output,
        stride=call["stride"],
        padding=call["padding"],
        dilation=call["dilation"],
        groups=groups,
        bias=bias,
    )


def _product(left: Operand, right: Operand, *, add: bool, learnt_add: bool) -> Layer:
    """A product of two matrices: linear where one of them is learnt, that one being the weights."""
    rows, reduced = left.shape
    columns = right.shape[1]
    if left.is_activation and right.is_activation:
        return ops.matmul(1, rows, reduced, columns, add=add)
    if left.is_activation or not right.is_activation:
        layer = ops.linear(left.rows or left.shape, columns, bias=add)
    else:
        layer = ops.linear((columns, reduced), rows, bias=add)
    return layer if learnt_add or not add else replace(layer, fused=("add",))


def _mm(call: Call) -> Layer:
    bias = call.get("bias")  # of products of 8-bit floats
    return _product(
        call["self"],
        call["mat2"],
        add=bias is not None,
        learnt_add=bias is not None and not bias.is_activation,
    )


def _addmm(call: Call) -> Layer:
    added = call["beta"] != 0
    return _product(call["mat1"], call["mat2"], add=added, learnt_add=not call["self"].is_activation)


def _bmm(call: Call) -> Layer:
    left, right = call.get("self"), call["mat2"]
    return _batched(left, right, add=False)


def _baddbmm(call: Call) -> Layer:
    return _batched(call["batch1"], call["batch2"], add=call["beta"] != 0)


def _batched(left: Operand, right: Operand, *, add: bool) -> Layer:
    batch, rows, reduced = left.shape
    columns = right.shape[2]
    if right.is_activation and not left.is_activation:
        return ops.matmul(batch, columns, reduced, rows, learnt=True, add=add)
    return ops.matmul(batch, rows, reduced, columns, learnt=not right.is_activation, add=add)


def _grouped_product(call: Call) -> Layer:
    """(T, D) with (E, D, K) to (T, K), each row by one of E matrices; or E products of their own."""
    left, right = call["self"], call["mat2"]
    if len(left.shape) == len(right.shape) == 3:
        return _batched(left, right, add=False)
    experts, reduced, columns = right.shape
    layer = ops.linear((left.shape[0], reduced), columns, bias=call["bias"] is not None)
    return replace(layer, weight_elements=experts * reduced * columns)


def _vector_product(call: Call) -> Layer:
    left, right = call["self"], call.get("vec") or call.get("other") or call["tensor"]
    rows = left.shape[0] if len(left.shape) > 1 else 1
    reduced = left.shape[-1]
    if left.is_activation and right.is_activation:
        return ops.matmul(1, rows, reduced, 1)
    if left.is_activation:
        return ops.linear((rows, reduced), 1)
    return ops.linear((1, reduced), rows)


def _bilinear(call: Call) -> Layer:
    """(B, I) and (B, J) with (O, I, J) to (B, O): the outer product of both inputs, then a linear layer on I·J."""
    weight = call["i2"].shape
    rows, features = prod(call.output) // weight[0], weight[1] * weight[2]
    layer = ops.linear((rows, features), weight[0])
    return replace(layer, vector_ops=rows * features, input_elements=rows * (weight[1] + weight[2]))


RULES: dict[str, Rule] = {
    "_convolution": _convolution,
    "_grouped_mm": _grouped_product,
    "_int_mm": _mm,
    "_scaled_mm": _mm,
    "_trilinear": _bilinear,
    "addmm": _addmm,
    "baddbmm": _baddbmm,
    "bmm": _bmm,
    "convolution": _convolution,
    "convolution_overrideable": _convolution,
    "dot": _vector_product,
    "mm": _mm,
    "mv": _vector_product,
    "vdot": _vector_product,
}
