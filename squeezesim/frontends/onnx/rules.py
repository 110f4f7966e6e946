"""Every operator of ONNX that has a rule; which of its inputs are data, and which operators are no layer.

Operators that PyTorch has too are handed to the rules of ``aten``, so that both ways in count alike. To teach the
reader an operator, write a function of a ``Node`` that returns a layer and enter it in the
``RULES`` of its kind; one
that works element by element only needs its name in ``ELEMENTWISE``, one that moves data without computing in ``FREE``.
"""

from __future__ import annotations

from collections.abc import Callable

from squeezesim.frontends.aten.call import Call
from squeezesim.frontends.aten.rules import registered_layer
from squeezesim.frontends.onnx import contractions, elementwise, products, recurrent, windows
from squeezesim.frontends.onnx.node import Node, Part, Rule
from squeezesim.network.layer import Layer

OPERANDS: dict[str, tuple[int, ...]] = {
    "BatchNormalization": (0, 1, 2),
    "Clip": (0,),
    "ConvInteger": (0, 1),
    "CumProd": (0,),
    "CumSum": (0,),
    "DequantizeLinear": (0,),
    "Dropout": (0,),
    "DynamicQuantizeLinear": (0,),
    "Expand": (0,),
    "MatMulInteger": (0, 1),
    "Pad": (0,),
    "QLinearConv": (0, 3, 8),
    "QLinearMatMul": (0, 3),
    "QuantizeLinear": (0,),
    "Resize": (0,),
    "Tile": (0,),
    "Trilu": (0,),
    "Upsample": (0,),
}
"""Which inputs are data or learnt; others are sizes, limits, statistics, scales and zero points. Default: all."""

ARITHMETIC = frozenset({"Add", "Div", "Max", "Min", "Mod", "Mul", "Pow", "Sub", "Sum", "Where"})
"""Operators whose constants of one element are factors and offsets, as exporters write them, and not learnt."""

FREE = frozenset(
    {
        "Bernoulli",
        "Cast",
        "CastLike",
        "CenterCropPad",
        "Col2Im",
        "Constant",
        "ConstantOfShape",
        "DepthToSpace",
        "DequantizeLinear",
        "Dropout",
        "Expand",
        "EyeLike",
        "Flatten",
        "Identity",
        "Pad",
        "QuantizeLinear",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Range",
        "Reshape",
        "ReverseSequence",
        "Shape",
        "Size",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators that lay data out anew, make it from nothing, or say its width: no layer, readers see through them."""


def moves(node: Node) -> list[Part]:
    """The rule of operators that compute nothing: no layer."""
    del node
    return []


_RULES: dict[str, Rule] = {
    **dict.fromkeys(FREE, moves),
    **windows.RULES,
    **products.RULES,
    **contractions.RULES,
    **recurrent.RULES,
    **elementwise.RULES,
}


def rule_for(operator: str) -> Rule | None:
    """Return the rule of *operator*; None where it has none."""
    return _RULES.get(operator)


def user_rule(operator: str, rule: Callable[[Call], Layer]) -> Rule:
    """Return what ``register_operator`` was given, for a node: attributes by name, all its tensors as ``inputs``.

    Raises:
        RuleError: when it runs: it raises, or returns no layer.
    """

    def on_node(node: Node) -> Layer:
        arguments = {"inputs": [operand for operand in node.inputs if operand is not None], **node.attributes}
        return registered_layer(operator, rule, Call(operator, arguments, node.output))

    return on_node
