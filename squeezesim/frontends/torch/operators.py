"""What PyTorch's operators become: a rule turns a call into a layer.

To teach the tracer an operator of PyTorch, write a function of a ``Call`` that returns a layer and enter it in the
``RULES`` of its kind; one that works element by element only needs its name in ``ELEMENTWISE``, one that moves data
without computing in ``FREE``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from squeezesim.network import Layer, ops

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A top-k: of each of *rows*, *count* different places out of *size*."""

    rows: int
    count: int
    size: int

    def is_even(self, total: int, groups: int) -> bool:
        """Return whether *total* rows, one for each place, are as many in each of *groups* that is hit.

        They are where one row chooses, whose places all differ, or where each row chooses all places.
        """
        whole = self.size == groups and self.rows * self.count == total
        return whole and (self.rows == 1 or self.count == groups)


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that an operator reads: its shape, and whether it depends on the network's input."""

    shape: Shape
    is_activation: bool = True
    rows: Shape | None = None  # its shape before its leading dimensions were flattened, as ``linear`` does
    values: tuple[int, ...] | None = None  # of a small constant of integers, where they are known
    chosen: Chosen | None = None  # the top-k whose places alone it is made of
    distinct: Shape | None = None  # along each dimension, how many slices differ, where it repeats some


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


@dataclass(frozen=True, slots=True)
class Part:
    """One of the layers of an operator that is several.

    Attributes:
        layer: the layer.
        reads: of an argument, which slices along its first dimension the layer reads; all of the others.
        assumes: what was assumed, as a note of the network.
        arguments: the arguments that the layer reads; None: all.
        after: the parts before that the layer reads, by number.
    """

    layer: Layer
    reads: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    assumes: str = ""
    arguments: tuple[str, ...] | None = None
    after: tuple[int, ...] = ()


Rule = Callable[[Call], Layer]
"""What an operator becomes. The tracer adds name, module, edges and params to the layer."""

SplitRule = Callable[[Call], list[Part]]
"""What an operator becomes that is several layers."""


ELEMENTWISE = {
    "abs": "abs",
    "acos": "acos",
    "acosh": "acosh",
    "addcdiv": "addcdiv",
    "addcmul": "addcmul",
    "angle": "angle",
    "asin": "asin",
    "asinh": "asinh",
    "atan": "atan",
    "atan2": "atan2",
    "atanh": "atanh",
    "bitwise_and": "and",
    "bitwise_left_shift": "shift",
    "bitwise_not": "not",
    "bitwise_or": "or",
    "bitwise_right_shift": "shift",
    "bitwise_xor": "xor",
    "bucketize": "bucketize",
    "ceil": "ceil",
    "celu": "celu",
    "clamp": "clamp",
    "clamp_max": "clamp",
    "clamp_min": "clamp",
    "complex": "complex",
    "copysign": "copysign",
    "cos": "cos",
    "cosh": "cosh",
    "cummax": "cummax",
    "cummin": "cummin",
    "cumprod": "cumprod",
    "cumsum": "cumsum",
    "digamma": "digamma",
    "div": "div",
    "elu": "elu",
    "eq": "eq",
    "erf": "erf",
    "erfc": "erfc",
    "erfinv": "erfinv",
    "exp": "exp",
    "exp2": "exp2",
    "expm1": "expm1",
    "floor": "floor",
    "floor_divide": "floor_divide",
    "fmax": "fmax",
    "fmin": "fmin",
    "fmod": "fmod",
    "frac": "frac",
    "_fused_rms_norm": "rms_norm",
    "gather": "gather",
    "ge": "ge",
    "gelu": "gelu",
    "glu": "glu",
    "grid_sampler_2d": "grid_sample",
    "grid_sampler_3d": "grid_sample",
    "gt": "gt",
    "hardshrink": "hardshrink",
    "hardsigmoid": "hardsigmoid",
    "hardswish": "hardswish",
    "heaviside": "heaviside",
    "hypot": "hypot",
    "index": "index",
    "index_add": "index_add",
    "index_copy": "index_copy",
    "index_fill": "index_fill",
    "index_put": "index_put",
    "index_select": "index_select",
    "isinf": "isinf",
    "isnan": "isnan",
    "isneginf": "isneginf",
    "isposinf": "isposinf",
    "le": "le",
    "leaky_relu": "leaky_relu",
    "lerp": "lerp",
    "lgamma": "lgamma",
    "log": "log",
    "log10": "log10",
    "log1p": "log1p",
    "log2": "log2",
    "log_sigmoid_forward": "log_sigmoid",
    "_log_softmax": "log_softmax",
    "logaddexp": "logaddexp",
    "logaddexp2": "logaddexp2",
    "logcumsumexp": "logcumsumexp",
    "logical_and": "and",
    "logical_not": "not",
    "logical_or": "or",
    "logical_xor": "xor",
    "logit": "logit",
    "__lshift__": "shift",
    "lt": "lt",
    "masked_fill": "masked_fill",
    "masked_scatter": "masked_scatter",
    "max_unpool2d": "max_unpool",
    "max_unpool3d": "max_unpool",
    "maximum": "maximum",
    "minimum": "minimum",
    "mish": "mish",
    "mul": "mul",
    "nan_to_num": "nan_to_num",
    "native_group_norm": "group_norm",
    "native_layer_norm": "layer_norm",
    "ne": "ne",
    "neg": "neg",
    "polar": "polar",
    "pow": "pow",
    "_prelu_kernel": "prelu",
    "reciprocal": "reciprocal",
    "relu": "relu",
    "remainder": "remainder",
    "round": "round",
    "rrelu_with_noise": "leaky_relu",
    "__rshift__": "shift",
    "rsqrt": "rsqrt",
    "rsub": "sub",
    "_safe_softmax": "softmax",
    "scatter": "scatter",
    "scatter_add": "scatter_add",
    "scatter_reduce": "scatter_reduce",
    "selu": "selu",
    "sgn": "sign",
    "sigmoid": "sigmoid",
    "sign": "sign",
    "signbit": "signbit",
    "silu": "silu",
    "sin": "sin",
    "sinc": "sinc",
    "sinh": "sinh",
    "_softmax": "softmax",
    "softplus": "softplus",
    "softshrink": "softshrink",
    "sqrt": "sqrt",
    "square": "square",
    "sub": "sub",
    "take": "take",
    "tan": "tan",
    "tanh": "tanh",
    "threshold": "threshold",
    "tril": "tril",
    "triu": "triu",
    "trunc": "trunc",
    "upsample_bicubic2d": "upsample",
    "_upsample_bicubic2d_aa": "upsample",
    "upsample_bilinear2d": "upsample",
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


def _batch_norm(call: Call) -> Layer:
    # With statistics of the input itself the result cannot be folded into the layer before it.
    own = call.get("training", False)
    return _elementwise("instance_norm" if own else "batch_norm")(call)


def _bag(call: Call) -> Layer:
    (indices,) = call["indices"].shape
    layer = ops.elementwise("embedding_bag", call.output, [(indices,)])
    return replace(layer, weight_elements=indices * call.output[-1], vector_ops=indices * call.output[-1])


def _select(op: str, table: str = "self") -> Rule:
    """Elements that are picked by place, each read as often as it is picked: of weights, or of activations."""

    def rule(call: Call) -> Layer:
        layer, picked, source = _elementwise(op)(call), prod(call.output), call[table]
        places = [item for item in call.operands if item is not source and item.is_activation]
        read = sum(prod(item.distinct or item.shape) for item in places)
        if source.is_activation:
            return replace(layer, input_elements=read + picked)
        return replace(layer, input_elements=read, weight_elements=picked)

    return rule


def _elementwise(op: str) -> Rule:
    def rule(call: Call) -> Layer:
        return ops.elementwise(op, call.output, call.activations)

    return rule


def _add(call: Call) -> Layer:
    learnt = [item for item in call.operands if not item.is_activation]
    is_bias = any(len(item.shape) == 1 and item.shape[0] == call.output[-1] for item in learnt if call.output)
    return ops.elementwise("bias" if is_bias else "add", call.output, call.activations)


def _hardtanh(call: Call) -> Layer:
    op = "relu6" if (call["min_val"], call["max_val"]) == (0, 6) else "hardtanh"
    return ops.elementwise(op, call.output, call.activations)


ELEMENTWISE_RULES: dict[str, Rule] = {
    **{name: _elementwise(op) for name, op in ELEMENTWISE.items()},
    **{name: _select(name) for name in ("gather", "index", "index_select", "take")},
    "_embedding_bag": _bag,
    "_native_batch_norm_legit": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "add": _add,
    "embedding": _select("embedding", "weight"),
    "hardtanh": _hardtanh,
    "native_batch_norm": _batch_norm,
}


REDUCTIONS = {
    "all": "all",
    "amax": "max",
    "amin": "min",
    "aminmax": "aminmax",
    "any": "any",
    "argmax": "argmax",
    "argmin": "argmin",
    "count_nonzero": "count_nonzero",
    "linalg_vector_norm": "norm",
    "logsumexp": "logsumexp",
    "max": "max",
    "mean": "mean",
    "median": "median",
    "min": "min",
    "nanmedian": "median",
    "nansum": "sum",
    "norm": "norm",
    "prod": "prod",
    "std": "std",
    "sum": "sum",
    "var": "var",
    "var_mean": "var",
}
"""One vector operation for each input element."""


def _reduce(op: str) -> Rule:
    def rule(call: Call) -> Layer:
        source = call["self"].shape
        rank = len(source)
        dims = call.get("dim", ())
        over = sorted(dim % rank for dim in ([dims] if isinstance(dims, int) else dims)) if rank else []
        if op == "mean" and rank == 4 and over == [2, 3]:
            pooled = (*source[:2], 1, 1)
            return ops.pooling("avg_pool", source, pooled, kernel=source[2:])
        return ops.reduction(op, source, call.output)

    return rule


def _fold(call: Call) -> Layer:
    return ops.reduction("fold", call["self"].shape, call.output)


REDUCTION_RULES: dict[str, Rule] = {**{name: _reduce(op) for name, op in REDUCTIONS.items()}, "col2im": _fold}


def _pool(op: str) -> Rule:
    def rule(call: Call) -> Layer:
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

    return rule


def _adaptive_pool(op: str) -> Rule:
    def rule(call: Call) -> Layer:
        dimensions = int(call.name.split("pool")[1][0])
        return ops.adaptive_pooling(op, call["self"].shape, call.output, dimensions)

    return rule


def _each(value: int | Sequence[int], dimensions: int) -> Sequence[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * dimensions if len(values) == 1 else values


POOLING_RULES: dict[str, Rule] = {
    "_adaptive_avg_pool2d": _adaptive_pool("avg_pool"),
    "_adaptive_avg_pool3d": _adaptive_pool("avg_pool"),
    "adaptive_avg_pool1d": _adaptive_pool("avg_pool"),
    "adaptive_max_pool2d": _adaptive_pool("max_pool"),
    "adaptive_max_pool3d": _adaptive_pool("max_pool"),
    "avg_pool1d": _pool("avg_pool"),
    "avg_pool2d": _pool("avg_pool"),
    "avg_pool3d": _pool("avg_pool"),
    "max_pool2d_with_indices": _pool("max_pool"),
    "max_pool3d_with_indices": _pool("max_pool"),
}


def _convolution(call: Call) -> Layer:
    source, weight = call["input"].shape, call["weight"].shape
    groups, bias = call["groups"], call["bias"] is not None
    if call.get("transposed", False):
        return ops.transposed_convolution(
            source,
            weight,
            call.output,
            stride=call["stride"],
            dilation=call["dilation"],
            groups=groups,
            bias=bias,
        )
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
    """A product for each of a batch; matrices of activations that are repeated over it are read once.

    The rows of all products with the same second matrix are those of one product: of B·H products of T×D by D×T, where
    H/G heads share a second matrix, B·G products of (H/G·T)×D by D×T are left.
    """
    batch, rows, reduced = left.shape
    columns = right.shape[2]
    if right.is_activation and not left.is_activation:
        return ops.matmul(batch, columns, reduced, rows, learnt=True, add=add)
    if not right.is_activation:
        return ops.matmul(batch, rows, reduced, columns, learnt=True, add=add)
    first, second = (batch if item.distinct is None else item.distinct[0] for item in (left, right))
    if first < second:  # the transposed product
        return ops.matmul(first, columns * (batch // first), reduced, rows, add=add)
    return ops.matmul(second, rows * (batch // second), reduced, columns, add=add)


def attention(
    query: Operand, key: Operand, value: Operand, added: Sequence[Shape] = (), more: int = 0
) -> tuple[Layer, Layer, Layer]:
    """Return attention of (…, T, D) to keys of (…, S, D) and values of (…, S, E): scores, softmax, product with values.

    Scores are Q·Kᵀ, T·S·D MACs a head; the result is their softmax times V, T·S·E MACs. K and V are second operands,
    as they are: a pair of them that several heads or images share is read once, and these are the rows of one product.
    The softmax takes the scale on its way, and reads what is *added* to the scores, such as a mask, once and as it is.

    Args:
        query: the queries; its leading dimensions are those of the result, or are broadcast to them.
        key: the keys; leading dimensions may be fewer, as in grouped queries.
        value: the values, as the keys.
        added: the shapes of what is added to the scores, a vector operation for each score and addition.
        more: further vector operations for each score, such as a cap.
    """
    (*heads, rows, size), (*_, keys, _) = query.shape, key.shape
    width, pairs = value.shape[-1], prod(heads)
    stacks = [prod((item.distinct or item.shape)[:-2]) for item in (key, value)]
    pairs = max(pairs, *stacks)
    each = [count if pairs % count == 0 else pairs for count in stacks]
    scores = (*heads, rows, keys) if prod(heads) == pairs else (pairs, rows, keys)
    softmax = ops.elementwise("softmax", scores, [scores])
    softmax = replace(
        softmax,
        input_elements=softmax.input_elements + sum(map(prod, added)),
        vector_ops=softmax.vector_ops * (1 + len(added) + more),
    )
    folded = [rows * (pairs // stack) for stack in each]
    return (
        _batched(
            Operand((each[0], folded[0], size), query.is_activation),
            Operand((each[0], size, keys), key.is_activation),
            add=False,
        ),
        softmax,
        _batched(
            Operand((each[1], folded[1], keys)),
            Operand((each[1], keys, width), value.is_activation),
            add=False,
        ),
    )


def _attention(call: Call) -> list[Part]:
    mask = call.get("attn_mask") or call.get("attn_bias")
    added = [] if mask is None else [mask.distinct or mask.shape]
    own = [shape for shape in added if mask is not None and mask.is_activation]
    scores, softmax, values = attention(call["query"], call["key"], call["value"], own, len(added) - len(own))
    return [
        Part(scores, arguments=("query", "key")),
        Part(softmax, arguments=("attn_mask", "attn_bias"), after=(0,)),
        Part(values, arguments=("value",), after=(1,)),
    ]


def _grouped_product(call: Call) -> list[Part]:
    """Rows of a matrix in E groups, each times its own of E matrices; or columns, or the reduced dimension in groups.

    (T, D) · (E, D, K) has T rows in groups, (E, M, D) · (D, T) T columns, (M, T) · (T, K) reduces T in groups; offsets
    say where each group ends. Groups of equal size are a layer with as many groups, one for each size there is, so
    that MACs and the matrices that are read are exact. Offsets that depend on the input are not known: then the T are
    spread over the E as evenly as they go, and every matrix may be hit. A note says so where another split is possible:
    not for one matrix or row, nor where offsets come from a top-k of one row, which hits as many matrices as it
    chooses, or of all E.
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
    chosen = call["offs"].chosen
    is_even = chosen is not None and chosen.is_even(total, count)
    if not is_known and not is_even and parts and count > 1 and total > 1:
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


PRODUCT_RULES: dict[str, Rule] = {
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

ATTENTION: dict[str, SplitRule] = {
    "_scaled_dot_product_cudnn_attention": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "scaled_dot_product_attention": _attention,
}
"""Attention as one operator, which reads queries, keys and values as they are."""

ADDED: dict[str, tuple[str, ...]] = {"addmm": ("self",), "baddbmm": ("self",)}
"""Operands that are added to a product; others are what is multiplied, but for those in ``BESIDE``."""

BESIDE = frozenset({"bias", "offs", "scale_a", "scale_b", "scale_result", "scales", "qScaleAndZeros"})
"""Arguments of products that are neither of their factors."""

NO_WEIGHTS = frozenset({"condition", "index", "indices", "mask", "offsets", "running_mean", "running_var"})
"""Arguments that say which values are meant, or what was measured: no weights where they are buffers."""


FREE = frozenset(
    {
        "alias",
        "alias_copy",
        "as_strided",
        "as_strided_copy",
        "as_strided_scatter",
        "bernoulli",
        "channel_shuffle",
        "clone",
        "_conj",
        "constant_pad_nd",
        "contiguous",
        "copy",
        "detach",
        "diag_embed",
        "diagonal_copy",
        "diagonal_scatter",
        "empty_like",
        "expand_copy",
        "fill",
        "flip",
        "full_like",
        "im2col",
        "lift_fresh",
        "lift_fresh_copy",
        "narrow_copy",
        "native_channel_shuffle",
        "native_dropout",
        "new_empty",
        "new_empty_strided",
        "new_full",
        "new_ones",
        "new_zeros",
        "normal",
        "ones_like",
        "permute_copy",
        "pixel_shuffle",
        "pixel_unshuffle",
        "rand_like",
        "randint_like",
        "randn_like",
        "reflection_pad1d",
        "reflection_pad2d",
        "reflection_pad3d",
        "repeat",
        "replication_pad1d",
        "replication_pad2d",
        "replication_pad3d",
        "_reshape_alias_copy",
        "_reshape_copy",
        "resize",
        "resize_as",
        "roll",
        "rot90",
        "select_copy",
        "select_scatter",
        "set",
        "slice_copy",
        "slice_scatter",
        "split_copy",
        "split_with_sizes_copy",
        "squeeze",
        "squeeze_copy",
        "t",
        "t_copy",
        "_to_copy",
        "transpose",
        "transpose_copy",
        "unbind_copy",
        "unfold_copy",
        "uniform",
        "unsafe_chunk",
        "unsafe_split",
        "unsafe_split_with_sizes",
        "_unsafe_view",
        "unsqueeze",
        "unsqueeze_copy",
        "view_as_complex_copy",
        "view_as_real_copy",
        "view_copy",
        "zero",
        "zeros_like",
    }
)
"""Operators that lay data out anew, or make it from nothing: no layer, readers see through them."""


def _join(op: str) -> Rule:
    def rule(call: Call) -> Layer:
        return ops.view(op, call.output, call.activations)

    return rule


MOVEMENT_RULES: dict[str, Rule] = {"cat": _join("concat"), "stack": _join("concat")}
