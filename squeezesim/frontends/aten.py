"""How PyTorch's operators become layers: a table from the operator's name to a small pure function.

To teach the tracer an operator, write a function of a ``Call`` that returns a layer and enter it in
``HANDLES``; one that works element by element only needs its name in ``ELEMENTWISE``, one that moves data
without computing in ``FREE``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from squeezesim.network import ops
from squeezesim.network.layer import Layer

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that an operator reads: its shape, and whether it depends on the network's input."""

    shape: Shape
    is_activation: bool = True
    rows: Shape | None = None  # its shape before its leading dimensions were flattened, as ``linear`` does


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator: its arguments by the names of its schema, tensors as operands."""

    name: str
    arguments: Mapping[str, Any]
    output: Shape

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def get(self, argument: str, default: Any = None) -> Any:
        """Return the argument, or *default* where the operator has none or it is None."""
        value = self.arguments.get(argument)
        return default if value is None else value

    @property
    def operands(self) -> list[Operand]:
        """All tensors among the arguments, those in lists included."""
        found: list[Operand] = []
        for value in self.arguments.values():
            items = value if isinstance(value, (list, tuple)) else (value,)
            found.extend(item for item in items if isinstance(item, Operand))
        return found

    @property
    def activations(self) -> list[Shape]:
        """Shapes of the operands that depend on the network's input, of all operands if none does."""
        operands = self.operands
        return [item.shape for item in operands if item.is_activation] or [item.shape for item in operands]


Handle = Callable[[Call], Layer]


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
    return _product(call["self"], call["mat2"], add=False, learnt_add=False)


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


def _vector_product(call: Call) -> Layer:
    left, right = call["self"], call.get("vec") or call["tensor"]
    rows = left.shape[0] if len(left.shape) > 1 else 1
    reduced = left.shape[-1]
    if left.is_activation and right.is_activation:
        return ops.matmul(1, rows, reduced, 1)
    if left.is_activation:
        return ops.linear((rows, reduced), 1)
    return ops.linear((1, reduced), rows)


def _pool(op: str) -> Handle:
    def handle(call: Call) -> Layer:
        source = call["self"].shape
        kernel = call["kernel_size"]
        dimensions = int(call.name.split("pool")[1][0])
        return ops.pooling(
            op,
            source,
            call.output,
            kernel=_each(kernel, dimensions),
            stride=_each(call.get("stride") or kernel, dimensions),
            padding=_each(call.get("padding", 0), dimensions),
            dilation=_each(call.get("dilation", 1), dimensions),
        )

    return handle


def _adaptive_pool(op: str) -> Handle:
    def handle(call: Call) -> Layer:
        dimensions = int(call.name.split("pool")[1][0])
        return ops.adaptive_pooling(op, call["self"].shape, call.output, dimensions)

    return handle


def _each(value: int | Sequence[int], dimensions: int) -> Sequence[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * dimensions if len(values) == 1 else values


def _reduce(op: str) -> Handle:
    def handle(call: Call) -> Layer:
        source = call["self"].shape
        rank = len(source)
        dims = call.get("dim", ())
        over = sorted(dim % rank for dim in ([dims] if isinstance(dims, int) else dims)) if rank else []
        if op == "mean" and rank == 4 and over == [2, 3]:
            pooled = (*source[:2], 1, 1)
            return ops.pooling("avg_pool", source, pooled, kernel=source[2:])
        return ops.reduction(op, source, call.output)

    return handle


def _batch_norm(call: Call) -> Layer:
    # With statistics of the input itself the result cannot be folded into the layer before it.
    own = call.get("training", False)
    return _elementwise("instance_norm" if own else "batch_norm")(call)


def _lookup(call: Call) -> Layer:
    layer = ops.elementwise("embedding", call.output, [call["indices"].shape])
    return replace(layer, weight_elements=prod(call.output))


def _elementwise(op: str) -> Handle:
    def handle(call: Call) -> Layer:
        return ops.elementwise(op, call.output, call.activations)

    return handle


def _add(call: Call) -> Layer:
    learnt = [item for item in call.operands if not item.is_activation]
    is_bias = any(len(item.shape) == 1 and item.shape[0] == call.output[-1] for item in learnt if call.output)
    return ops.elementwise("bias" if is_bias else "add", call.output, call.activations)


def _hardtanh(call: Call) -> Layer:
    op = "relu6" if (call["min_val"], call["max_val"]) == (0, 6) else "hardtanh"
    return ops.elementwise(op, call.output, call.activations)


def _join(op: str) -> Handle:
    def handle(call: Call) -> Layer:
        return ops.view(op, call.output, call.activations)

    return handle


ELEMENTWISE = {
    "_log_softmax": "log_softmax",
    "_safe_softmax": "softmax",
    "_softmax": "softmax",
    "abs": "abs",
    "acos": "acos",
    "addcdiv": "addcdiv",
    "addcmul": "addcmul",
    "asin": "asin",
    "atan": "atan",
    "atan2": "atan2",
    "bitwise_and": "and",
    "bitwise_not": "not",
    "bitwise_or": "or",
    "bitwise_xor": "xor",
    "ceil": "ceil",
    "celu": "celu",
    "clamp": "clamp",
    "clamp_max": "clamp",
    "clamp_min": "clamp",
    "cos": "cos",
    "cumsum": "cumsum",
    "cumprod": "cumprod",
    "div": "div",
    "elu": "elu",
    "eq": "eq",
    "erf": "erf",
    "exp": "exp",
    "expm1": "expm1",
    "floor": "floor",
    "floor_divide": "floor_divide",
    "fmod": "fmod",
    "gather": "gather",
    "ge": "ge",
    "gelu": "gelu",
    "glu": "glu",
    "grid_sampler_2d": "grid_sample",
    "gt": "gt",
    "hardsigmoid": "hardsigmoid",
    "hardswish": "hardswish",
    "index": "index",
    "index_put": "index_put",
    "index_select": "index_select",
    "isnan": "isnan",
    "le": "le",
    "leaky_relu": "leaky_relu",
    "lerp": "lerp",
    "log": "log",
    "log1p": "log1p",
    "log2": "log2",
    "log_sigmoid_forward": "log_sigmoid",
    "logical_and": "and",
    "logical_not": "not",
    "logical_or": "or",
    "logit": "logit",
    "lt": "lt",
    "masked_fill": "masked_fill",
    "maximum": "maximum",
    "minimum": "minimum",
    "mish": "mish",
    "mul": "mul",
    "native_group_norm": "group_norm",
    "native_layer_norm": "layer_norm",
    "_fused_rms_norm": "rms_norm",
    "ne": "ne",
    "neg": "neg",
    "pow": "pow",
    "_prelu_kernel": "prelu",
    "reciprocal": "reciprocal",
    "relu": "relu",
    "remainder": "remainder",
    "round": "round",
    "rrelu_with_noise": "leaky_relu",
    "rsqrt": "rsqrt",
    "rsub": "sub",
    "scatter": "scatter",
    "scatter_add": "scatter_add",
    "selu": "selu",
    "sgn": "sign",
    "sigmoid": "sigmoid",
    "sign": "sign",
    "silu": "silu",
    "sin": "sin",
    "softplus": "softplus",
    "sqrt": "sqrt",
    "square": "square",
    "sub": "sub",
    "take": "take",
    "tanh": "tanh",
    "threshold": "threshold",
    "tril": "tril",
    "triu": "triu",
    "trunc": "trunc",
    "upsample_bicubic2d": "upsample",
    "upsample_bilinear2d": "upsample",
    "_upsample_bicubic2d_aa": "upsample",
    "_upsample_bilinear2d_aa": "upsample",
    "upsample_linear1d": "upsample",
    "upsample_nearest1d": "upsample",
    "upsample_nearest2d": "upsample",
    "upsample_nearest3d": "upsample",
    "_upsample_nearest_exact1d": "upsample",
    "_upsample_nearest_exact2d": "upsample",
    "upsample_trilinear3d": "upsample",
    "where": "where",
    "xlogy": "xlogy",
}
"""One vector operation for each output element: PyTorch's name → the name in reports."""

REDUCTIONS = {
    "all": "all",
    "amax": "max",
    "amin": "min",
    "any": "any",
    "argmax": "argmax",
    "argmin": "argmin",
    "linalg_vector_norm": "norm",
    "logsumexp": "logsumexp",
    "max": "max",
    "mean": "mean",
    "min": "min",
    "norm": "norm",
    "prod": "prod",
    "std": "std",
    "sum": "sum",
    "var": "var",
    "var_mean": "var",
}
"""One vector operation for each input element."""

HANDLES: dict[str, Handle] = {
    **{name: _elementwise(op) for name, op in ELEMENTWISE.items()},
    **{name: _reduce(op) for name, op in REDUCTIONS.items()},
    "_adaptive_avg_pool2d": _adaptive_pool("avg_pool"),
    "_adaptive_avg_pool3d": _adaptive_pool("avg_pool"),
    "_convolution": _convolution,
    "_native_batch_norm_legit": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "adaptive_avg_pool1d": _adaptive_pool("avg_pool"),
    "adaptive_max_pool2d": _adaptive_pool("max_pool"),
    "adaptive_max_pool3d": _adaptive_pool("max_pool"),
    "add": _add,
    "addmm": _addmm,
    "avg_pool1d": _pool("avg_pool"),
    "avg_pool2d": _pool("avg_pool"),
    "avg_pool3d": _pool("avg_pool"),
    "baddbmm": _baddbmm,
    "bmm": _bmm,
    "cat": _join("concat"),
    "convolution": _convolution,
    "convolution_overrideable": _convolution,
    "dot": _vector_product,
    "embedding": _lookup,
    "hardtanh": _hardtanh,
    "max_pool2d_with_indices": _pool("max_pool"),
    "max_pool3d_with_indices": _pool("max_pool"),
    "mm": _mm,
    "mv": _vector_product,
    "native_batch_norm": _batch_norm,
    "stack": _join("concat"),
}

FREE = frozenset(
    {
        "_conj",
        "_reshape_copy",
        "_to_copy",
        "_unsafe_view",
        "alias",
        "as_strided_copy",
        "bernoulli",
        "channel_shuffle",
        "clone",
        "constant_pad_nd",
        "contiguous",
        "copy",
        "detach",
        "empty_like",
        "expand_copy",
        "fill",
        "flip",
        "full_like",
        "im2col",
        "lift_fresh",
        "lift_fresh_copy",
        "native_channel_shuffle",
        "native_dropout",
        "new_empty",
        "new_full",
        "new_ones",
        "new_zeros",
        "normal",
        "ones_like",
        "pixel_shuffle",
        "pixel_unshuffle",
        "rand_like",
        "randn_like",
        "reflection_pad1d",
        "reflection_pad2d",
        "repeat",
        "replication_pad1d",
        "replication_pad2d",
        "replication_pad3d",
        "resize",
        "roll",
        "slice_scatter",
        "split_with_sizes_copy",
        "uniform",
        "unfold_copy",
        "unsafe_chunk",
        "unsafe_split",
        "unsafe_split_with_sizes",
        "zero",
        "zeros_like",
    }
)
"""Operators that lay data out anew, or make it from nothing: no layer, readers see through them."""
