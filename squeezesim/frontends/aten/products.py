"""Convolutions and matrix products: the operators with MACs."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from squeezesim.frontends.aten.call import Call, Operand, Part, Rule, SplitRule
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


def _grouped_product(call: Call) -> list[Part]:
    """Rows of a matrix in E groups, each times its own of E matrices; or columns, or the reduced dimension in groups.

    (T, D) · (E, D, K) has T rows in groups, (E, M, D) · (D, T) T columns, (M, T) · (T, K) reduces T in groups; offsets
    say where each group ends. Groups of equal size are a layer with as many groups, one for each size there is, so
    that MACs and the matrices that are read are exact. Offsets that depend on the input are not known: then the T are
    spread over the E as evenly as they go, which a note says where more than one matrix can be hit, and every matrix
    may be.
    """
    left, right, bias = call["self"], call["mat2"], call.get("bias")
    if len(left.shape) == len(right.shape) == 3:
        return [Part(_batched(left, right, add=bias is not None))]
    total = right.shape[-1] if len(left.shape) == 3 else left.shape[-1 if len(right.shape) == 2 else 0]
    count = call["offs"].shape[0]
    sizes = _group_sizes(call["offs"].values, total)
    is_known = sizes is not None
    if sizes is None:
        sizes = [total // count + (group < total % count) for group in range(count)]
    groups: dict[int, list[int]] = {}
    for group, size in enumerate(sizes):
        if size:
            groups.setdefault(size, []).append(group)
    parts = []
    for size, members in groups.items():
        if len(left.shape) == 3:  # columns
            rows, reduced, columns = size, left.shape[2], left.shape[1]
        elif len(right.shape) == 3:
            rows, reduced, columns = size, left.shape[1], right.shape[2]
        else:
            rows, reduced, columns = left.shape[0], size, right.shape[1]
        learnt = not (left.is_activation and right.is_activation)
        layer = ops.matmul(len(members), rows, reduced, columns, learnt=learnt, add=bias is not None)
        if learnt:
            layer = replace(layer, name="linear", op="linear", fused=("bias",) if bias is not None else ())
        # A matrix that is not hit for certain may still be: it belongs to the layer.
        matrices = [name for name, operand in (("self", left), ("mat2", right)) if len(operand.shape) == 3]
        reads = dict.fromkeys(matrices, tuple(members)) if is_known or total >= count else {}
        parts.append(Part(layer, reads))
    if not is_known and parts and count > 1 and total > 1:
        parts[0] = replace(parts[0], assumes=_SPREAD)
    return parts


_SPREAD = "which rows go to which matrix of a grouped product depends on the input: they are spread evenly"


def _group_sizes(ends: tuple[int, ...] | None, total: int) -> list[int] | None:
    """Sizes of the groups that end at *ends*; None where these are not known or no ends of groups."""
    if ends is None:
        return None
    sizes = [end - start for start, end in zip((0, *ends), ends, strict=False)]
    return sizes if min(sizes, default=0) >= 0 and sum(sizes) <= total else None


def _packed(call: Call) -> Layer:
    """(…, F) with weights of narrow integers, packed as a kernel wants them, to (…, K)."""
    source = call["self"]
    return ops.linear(source.rows or source.shape, call.output[-1])


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
    "_int_mm": _mm,
    "_scaled_mm": _mm,
    "_scaled_mm_v2": _mm,
    "_trilinear": _bilinear,
    "_weight_int4pack_mm": _packed,
    "_weight_int4pack_mm_for_cpu": _packed,
    "_weight_int8pack_mm": _packed,
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

GROUPED: dict[str, SplitRule] = {
    "_grouped_mm": _grouped_product,
    "_scaled_grouped_mm": _grouped_product,
    "_scaled_grouped_mm_v2": _grouped_product,
}
"""Products of which each row has one of several matrices."""

ADDED: dict[str, tuple[str, ...]] = {"addmm": ("self",), "baddbmm": ("self",)}
"""Operands that are added to a product; others are what is multiplied, but for those in ``BESIDE``."""

BESIDE = frozenset({"bias", "offs", "scale_a", "scale_b", "scale_result", "scales", "qScaleAndZeros"})
"""Arguments of products that are neither of their factors."""
