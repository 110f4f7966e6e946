"""Element-wise work, normalisation, lookups and reductions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from squeezesim.frontends.onnx.node import Node, Part, Rule
from squeezesim.frontends.torch import operators
from squeezesim.frontends.torch.operators import Call, Operand
from squeezesim.network import Layer, ops

Shape = tuple[int, ...]

ELEMENTWISE = {
    "Abs": "abs",
    "Acos": "acos",
    "Acosh": "acosh",
    "And": "and",
    "Asin": "asin",
    "Asinh": "asinh",
    "Atan": "atan",
    "Atanh": "atanh",
    "BitShift": "shift",
    "BitwiseAnd": "and",
    "BitwiseNot": "not",
    "BitwiseOr": "or",
    "BitwiseXor": "xor",
    "Ceil": "ceil",
    "Celu": "celu",
    "Cos": "cos",
    "Cosh": "cosh",
    "Div": "div",
    "Elu": "elu",
    "Equal": "eq",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "Gelu": "gelu",
    "Greater": "gt",
    "GreaterOrEqual": "ge",
    "GridSample": "grid_sample",
    "HardSigmoid": "hardsigmoid",
    "HardSwish": "hardswish",
    "Hardmax": "hardmax",
    "IsInf": "isinf",
    "IsNaN": "isnan",
    "LeakyRelu": "leaky_relu",
    "Less": "lt",
    "LessOrEqual": "le",
    "Log": "log",
    "LogSoftmax": "log_softmax",
    "Mish": "mish",
    "Mod": "remainder",
    "Mul": "mul",
    "Neg": "neg",
    "Not": "not",
    "Or": "or",
    "PRelu": "prelu",
    "Pow": "pow",
    "Reciprocal": "reciprocal",
    "Relu": "relu",
    "Round": "round",
    "ScatterElements": "scatter",
    "ScatterND": "index_put",
    "Selu": "selu",
    "Shrink": "shrink",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Sinh": "sinh",
    "Softmax": "softmax",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Sqrt": "sqrt",
    "Sub": "sub",
    "Swish": "silu",
    "Tan": "tan",
    "Tanh": "tanh",
    "ThresholdedRelu": "threshold",
    "Where": "where",
    "Xor": "xor",
}
"""One vector operation for each output element: ONNX's name → the name in reports."""

OF_FIRST = {
    "CumProd": "cumprod",
    "CumSum": "cumsum",
    "DynamicQuantizeLinear": "quantize",
    "GroupNormalization": "group_norm",
    "InstanceNormalization": "instance_norm",
    "LRN": "lrn",
    "LayerNormalization": "layer_norm",
    "LpNormalization": "norm",
    "MeanVarianceNormalization": "norm",
    "RMSNormalization": "rms_norm",
    "Resize": "upsample",
    "RotaryEmbedding": "rotary_embedding",
    "Trilu": "tril",
    "Upsample": "upsample",
}
"""The same for operators whose further inputs are scales or settings."""

FOLDED = {"Max": "maximum", "Mean": "mean", "Min": "minimum", "Sum": "add"}
"""Operators of two operands that take any number of them: one operation for each output element and operand but one."""

REDUCTIONS = {
    "ArgMax": "argmax",
    "ArgMin": "argmin",
    "ReduceL1": "norm",
    "ReduceL2": "norm",
    "ReduceLogSum": "logsumexp",
    "ReduceLogSumExp": "logsumexp",
    "ReduceMax": "amax",
    "ReduceMean": "mean",
    "ReduceMin": "amin",
    "ReduceProd": "prod",
    "ReduceSum": "sum",
    "ReduceSumSquare": "norm",
}
"""One vector operation for each input element: ONNX's name → PyTorch's."""


def of_elements(op: str) -> Rule:
    """Return the rule of an operator of single elements."""

    def rule(node: Node) -> Layer:
        return ops.elementwise(op, node.output, _sources(node))

    return rule


def folded(op: str) -> Rule:
    """Return the rule of an operator of two operands, applied from the first to the last of any number of them."""

    def rule(node: Node) -> Layer:
        layer = ops.elementwise(op, node.output, _sources(node))
        return replace(layer, vector_ops=layer.vector_ops * max(1, len(node.inputs) - 1))

    return rule


def _sources(node: Node) -> list[Shape]:
    """Shapes of the operands that depend on the network's input, of all operands if none does."""
    operands = [operand for operand in node.inputs if operand is not None]
    return [item.shape for item in operands if item.is_activation] or [item.shape for item in operands]


def first(op: str) -> Rule:
    """Return the rule of an operator of one tensor; what else it reads are settings or scales."""

    def rule(node: Node) -> Layer:
        return ops.elementwise(op, node.output, [node.operand(0).shape])

    return rule


def _add(node: Node) -> Layer:
    operands = {"self": node.operand(0), "other": node.operand(1)}
    return operators.ELEMENTWISE_RULES["add"](Call("add", operands, node.output))


def _concat(node: Node) -> Layer:
    tensors = [operand for operand in node.inputs if operand is not None and 0 not in operand.shape]
    return operators.MOVEMENT_RULES["cat"](Call("cat", {"tensors": tensors}, node.output))


def _batch_norm(node: Node) -> Layer:
    arguments = {"input": node.operand(0), "training": bool(node.integer("training_mode", 0))}
    return operators.ELEMENTWISE_RULES["native_batch_norm"](Call("native_batch_norm", arguments, node.output))


def _clip(node: Node) -> Layer:
    limits = [node.attributes.get("min"), node.attributes.get("max")]
    for index in (1, 2):
        values = node.constant(index)
        if values is not None and values.size == 1:
            limits[index - 1] = float(values.reshape(-1)[0])
    return ops.elementwise("relu6" if limits == [0, 6] else "clamp", node.output, [node.operand(0).shape])


def look_up(table: Operand, indices: Operand, output: Shape) -> Layer:
    """Return the layer that reads the rows of *table* that *indices* say."""
    arguments = {"weight": table, "indices": indices}
    return operators.ELEMENTWISE_RULES["embedding"](Call("embedding", arguments, output))


def _gather(node: Node) -> Layer | list[Part]:
    data, indices = node.operand(0), node.operand(1)
    if not data.is_activation:
        return look_up(data, indices, node.output)
    if not indices.is_activation and len(indices.shape) == 0:
        return []  # one slice of the data
    return _select("index_select")(node)


def _select(name: str) -> Callable[[Node], Layer]:
    def rule(node: Node) -> Layer:
        arguments = {"self": node.operand(0), "index": node.operand(1)}
        return operators.ELEMENTWISE_RULES[name](Call(name, arguments, node.output))

    return rule


def _reduce(name: str) -> Rule:
    def rule(node: Node) -> Layer:
        source = node.operand(0)
        dims = _axes(node) or range(len(source.shape))
        return operators.REDUCTION_RULES[name](Call(name, {"self": source, "dim": list(dims)}, node.output))

    return rule


def _axes(node: Node) -> list[int]:
    """The dimensions that a reduction names; none stands for all of them."""
    if node.op.startswith("Arg"):
        return [node.integer("axis", 0)]
    values = node.constant(1)
    return node.sizes("axes") if values is None else [int(axis) for axis in values.reshape(-1)]


ELEMENTWISE_RULES: dict[str, Rule] = {
    **{name: of_elements(op) for name, op in ELEMENTWISE.items()},
    **{name: first(op) for name, op in OF_FIRST.items()},
    **{name: folded(op) for name, op in FOLDED.items()},
    **{name: _reduce(op) for name, op in REDUCTIONS.items()},
    "Add": _add,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": _concat,
    "Gather": _gather,
    "GatherElements": _select("gather"),
    "GatherND": _select("index"),
}
