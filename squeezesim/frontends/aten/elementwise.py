"""Element-wise work, normalisation and lookups: a vector operation for each output element."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from squeezesim.frontends.aten.call import Call, Rule
from squeezesim.network import ops
from squeezesim.network.layer import Layer

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


def _lookup(call: Call) -> Layer:
    layer = ops.elementwise("embedding", call.output, [call["indices"].shape])
    return replace(layer, weight_elements=prod(call.output))


def _bag(call: Call) -> Layer:
    (indices,) = call["indices"].shape
    layer = ops.elementwise("embedding_bag", call.output, [(indices,)])
    return replace(layer, weight_elements=indices * call.output[-1], vector_ops=indices * call.output[-1])


def _select(op: str) -> Rule:
    """Elements that are picked by place: what is not made of the input is a table of which a layer reads its rows."""

    def rule(call: Call) -> Layer:
        layer = _elementwise(op)(call)
        return layer if call["self"].is_activation else replace(layer, weight_elements=prod(call.output))

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


RULES: dict[str, Rule] = {
    **{name: _elementwise(op) for name, op in ELEMENTWISE.items()},
    **{name: _select(name) for name in ("gather", "index", "index_select", "take")},
    "_embedding_bag": _bag,
    "_native_batch_norm_legit": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "add": _add,
    "embedding": _lookup,
    "hardtanh": _hardtanh,
    "native_batch_norm": _batch_norm,
}
