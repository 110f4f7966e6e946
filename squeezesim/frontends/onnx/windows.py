"""Convolutions and pooling: the operators that slide a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from squeezesim.errors import ModelError
from squeezesim.frontends.aten import products
from squeezesim.frontends.aten.call import Call
from squeezesim.frontends.onnx.node import Node, Part, Rule
from squeezesim.network import ops
from squeezesim.network.checks import show
from squeezesim.network.layer import Layer

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Window:
    """Stride, dilation, and padding before and after, along each spatial axis."""

    stride: list[int]
    dilation: list[int]
    before: list[int]


def _window(node: Node, source: Shape, kernel: Sequence[int]) -> _Window:
    """The window of a convolution or pooling; ``SAME`` pads to ⌈in / stride⌉ outputs.

    Of an odd padding ``SAME_UPPER`` has the larger part after, ``SAME_LOWER`` before.
    """
    ones = [1] * len(kernel)
    stride, dilation = node.integers("strides", ones), node.integers("dilations", ones)
    if any(size < 1 for size in (*stride, *dilation)):
        raise ModelError(f"strides and dilations must be positive, found {show(stride)} and {show(dilation)}")
    automatic = node.text("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        before = []
        for size, taps, step, gap in zip(source[2:], kernel, stride, dilation, strict=True):
            total = max(0, (-(-size // step) - 1) * step + (taps - 1) * gap + 1 - size)
            before.append(total // 2 if automatic == "SAME_UPPER" else total - total // 2)
    elif automatic == "VALID":
        before = [0] * len(kernel)
    else:
        before = node.integers("pads", [0, 0] * len(kernel))[: len(kernel)]
    return _Window(stride, dilation, before)


def _convolution(source: int = 0, weight: int = 1, bias: int | None = 2) -> Rule:
    """A convolution whose operands are those inputs of the node."""

    def rule(node: Node) -> Layer:
        image, filters = node.operand(source), node.operand(weight)
        groups = _groups(node, image.shape, filters.shape, transposed=False)
        window = _window(node, image.shape, filters.shape[2:])
        arguments = {
            "input": image,
            "weight": filters,
            "bias": None if bias is None else node.optional(bias),
            "stride": window.stride,
            "padding": window.before,
            "dilation": window.dilation,
            "groups": groups,
        }
        return products.RULES["convolution"](Call("convolution", arguments, node.output))

    return rule


def _transposed_convolution(node: Node) -> Layer:
    image, filters = node.operand(0), node.operand(1)
    groups = _groups(node, image.shape, filters.shape, transposed=True)
    return ops.transposed_convolution(
        image.shape, filters.shape, node.output, groups=groups, bias=node.optional(2) is not None
    )


def _deformable_convolution(node: Node) -> list[Part]:
    """Each tap is sampled between pixels, weighed where there is a mask, and the samples are convolved."""
    image, filters, offsets = node.operand(0), node.operand(1), node.operand(2)
    groups = _groups(node, image.shape, filters.shape, transposed=False)
    pixels, taps = node.output[2:], prod(filters.shape[2:])
    sampled = (image.shape[0], image.shape[1] * taps, *pixels)
    parts = [Part(ops.elementwise("grid_sample", sampled, [image.shape, offsets.shape]), (0, 2))]
    if (mask := node.optional(4)) is not None:
        parts.append(Part(ops.elementwise("mul", sampled, [sampled, mask.shape]), (4,), (0,)))
    ones = [1] * len(pixels)
    layer = ops.convolution(
        sampled,
        (filters.shape[0], filters.shape[1] * taps, *ones),
        node.output,
        stride=ones,
        padding=[0] * len(pixels),
        dilation=ones,
        groups=groups,
        bias=node.optional(3) is not None,
    )
    return [*parts, Part(layer, (1, 3), (len(parts) - 1,))]


def _groups(node: Node, image: Shape, filters: Shape, *, transposed: bool) -> int:
    """The groups of a convolution of (N, C, …) with (K, C/G, …), or with (C, K/G, …) if it is *transposed*."""
    if not 3 <= len(filters) == len(image) <= 5:
        raise ModelError(f"a convolution of {show(image)} with {show(filters)} is not modelled")
    groups = node.integer("group", 1)
    channels = filters[0] if transposed else filters[1] * groups
    if groups < 1 or filters[0] % groups or image[1] != channels:
        raise ModelError(f"weights {show(filters)} in {groups} groups do not fit an input of {show(image)}")
    return groups


def _pool(op: str) -> Rule:
    def rule(node: Node) -> Layer:
        source = node.operand(0).shape
        kernel = node.integers("kernel_shape", [1] * (len(source) - 2))
        if not 1 <= len(kernel) <= 3 or any(size < 1 for size in kernel):
            raise ModelError(f"a window of {show(kernel)} over {show(source)} is not modelled")
        window = _window(node, source, kernel)
        return ops.pooling(
            op,
            source,
            node.output,
            kernel=kernel,
            stride=window.stride,
            padding=window.before,
            dilation=window.dilation,
        )

    return rule


def _global_pool(op: str) -> Rule:
    def rule(node: Node) -> Layer:
        source = node.operand(0).shape
        if len(source) < 3:
            raise ModelError(f"a global pooling needs (N, C, …), found {show(source)}")
        return ops.pooling(op, source, node.output, kernel=source[2:])

    return rule


RULES: dict[str, Rule] = {
    "AveragePool": _pool("avg_pool"),
    "Conv": _convolution(),
    "ConvInteger": _convolution(bias=None),
    "ConvTranspose": _transposed_convolution,
    "DeformConv": _deformable_convolution,
    "GlobalAveragePool": _global_pool("avg_pool"),
    "GlobalLpPool": _global_pool("lp_pool"),
    "GlobalMaxPool": _global_pool("max_pool"),
    "LpPool": _pool("lp_pool"),
    "MaxPool": _pool("max_pool"),
    "QLinearConv": _convolution(0, 3, 8),
}
