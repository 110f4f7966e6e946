"""Every operator of ONNX that has a rule; which of its inputs are data, and which operators are no layer.

Operators that PyTorch has too are handed to the rules of ``aten``, so that both ways in count alike. To teach the
reader an operator, write a function of a ``Node`` that returns a layer and enter it in the
``RULES`` of its kind; one
that works element by element only needs its name in ``ELEMENTWISE``, one that moves data without computing in ``FREE``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from squeezesim.frontends.onnx import contrib, elementwise, operators
from squeezesim.frontends.onnx.node import Node, Part, Rule, Stated
from squeezesim.frontends.torch.operators import Call
from squeezesim.frontends.torch.rules import RuleError, registered_result, registered_shape
from squeezesim.frontends.torch.rules import UserRule as Registered
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
    "GRU": (0, 1, 2, 3),
    "LSTM": (0, 1, 2, 3, 7),
    "MatMulInteger": (0, 1),
    "Pad": (0,),
    "QLinearConv": (0, 3, 8),
    "QLinearMatMul": (0, 3),
    "QuantizeLinear": (0,),
    "RNN": (0, 1, 2, 3),
    "Resize": (0,),
    "RotaryEmbedding": (0,),
    "Tile": (0,),
    "Trilu": (0,),
    "Upsample": (0,),
    **contrib.OPERANDS,
}
"""Which inputs are data or learnt; others are sizes, limits, statistics, scales and zero points. Default: all."""

ADDED: dict[str, tuple[int, ...]] = {
    "Conv": (2,),
    "ConvTranspose": (2,),
    "DeformConv": (3,),
    "GRU": (3,),
    "Gemm": (2,),
    "LSTM": (3, 7),
    "QLinearConv": (8,),
    "RNN": (3,),
    **contrib.ADDED,
}
"""Which learnt inputs of a product are no factors of it: biases and peepholes."""

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
    **operators.WINDOW_RULES,
    **operators.PRODUCT_RULES,
    **operators.CONTRACTION_RULES,
    **operators.RECURRENT_RULES,
    **elementwise.ELEMENTWISE_RULES,
    **operators.RULES,
    **contrib.RULES,
    **dict.fromkeys(contrib.FREE, moves),
}


def rule_for(operator: str) -> Rule | None:
    """Return the rule of *operator*; None where it has none."""
    return _RULES.get(operator)


def shapes_of(operator: str) -> Callable[[Node], Stated] | None:
    """Return what says the shapes of an *operator* that onnx does not define; None where nothing does.

    A shape that was registered comes before one of ours.
    """
    shape = registered_shape(operator)
    if shape is None:
        return contrib.SHAPES.get(operator)

    def stated(node: Node) -> Stated:
        return [(shape(_call(operator, node)), 0)]

    return stated


class UserRule:
    """What ``register_operator`` was given, for a node: attributes by name, all its tensors as ``inputs``."""

    def __init__(self, operator: str, rule: Registered):
        self._operator, self._rule = operator, rule

    def __call__(self, node: Node) -> Layer:
        """Return the layer of a node.

        Raises:
            RuleError: the rule raises, or returns no layer.
        """
        return registered_result(self._operator, self._rule, _call(self._operator, node))[0]

    def of_unknown_shape(self, node: Node) -> tuple[Layer, tuple[int, ...] | None] | None:
        """Return the layer of a node whose output has no known shape, and the shape that the rule states.

        None where the rule needs the shape of the output.

        Raises:
            RuleError: the rule raises for another reason, or returns no layer or no shape.
        """
        given = _call(self._operator, node)
        call = _Open(given.name, given.arguments, given.output)
        try:
            return registered_result(self._operator, self._rule, call)
        except RuleError as error:
            if error.__cause__ is None or not call.asked:
                raise
            return None


@dataclass(frozen=True)
class _Open(Call):
    """A call whose output has no known shape; *asked* is filled where a rule asks for it."""

    asked: list[str] = field(default_factory=list)

    def __getattribute__(self, name: str) -> Any:
        if name == "output":
            object.__getattribute__(self, "asked").append(name)
        return object.__getattribute__(self, name)


def _call(operator: str, node: Node) -> Call:
    """What a registered rule is given; it has no output where its shape is not known."""
    arguments = {"inputs": [operand for operand in node.inputs if operand is not None], **node.attributes}
    return Call(operator, arguments, node.outputs[0] if node.outputs else None)  # type: ignore[arg-type]
