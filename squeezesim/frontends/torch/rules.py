"""Every operator that has a rule, and how a rule is added.

To teach the tracer an operator of PyTorch, write a function of a ``Call`` that returns a layer and enter it in the
``RULES`` of its kind; one that works element by element only needs its name in ``ELEMENTWISE``, one that moves data
without computing in ``FREE``.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from squeezesim.errors import ModelError, UsageError
from squeezesim.frontends.torch.operators import (
    ATTENTION,
    ELEMENTWISE_RULES,
    FREE,
    GROUPED,
    MOVEMENT_RULES,
    POOLING_RULES,
    PRODUCT_RULES,
    REDUCTION_RULES,
    Call,
    Part,
    Rule,
    SplitRule,
)
from squeezesim.network import Layer
from squeezesim.network.checks import MAX_COUNT, MAX_SIZE, shape_text, show

_BUILT_IN: dict[str, Rule | SplitRule] = {
    **PRODUCT_RULES,
    **GROUPED,
    **ATTENTION,
    **POOLING_RULES,
    **REDUCTION_RULES,
    **ELEMENTWISE_RULES,
    **MOVEMENT_RULES,
}


UserRule = Callable[[Call], "Layer | tuple[Layer, Sequence[int]]"]


ShapeRule = Callable[[Call], Sequence[int]]


_registered: dict[str, UserRule] = {}


_shapes: dict[str, ShapeRule] = {}


class RuleError(ModelError):
    """A mistake in a rule of the user's, not in the model."""


def has_rule(operator: str) -> bool:
    """Return whether *operator*, as ``relu`` or ``library.operator``, has a rule."""
    return operator in _registered or operator in _BUILT_IN


def parts_of(operator: str, call: Call) -> list[Part]:
    """Return the layers that the rule of *operator* makes of *call*, nearly always one.

    Raises:
        RuleError: it is a rule of the user's, which raises or returns no layer.
    """
    if rule := _registered.get(operator):
        return [Part(registered_layer(operator, rule, call))]
    made = _BUILT_IN[operator](call)
    return [Part(made)] if isinstance(made, Layer) else made


def registered_rule(operator: str) -> UserRule | None:
    """Return the rule of the user's for *operator*, None where there is none."""
    return _registered.get(operator)


def is_free(operator: str) -> bool:
    """Return whether *operator* only moves data, so that readers see through it."""
    return operator in FREE and operator not in _registered


def register_operator(operator: str, rule: UserRule, shape: ShapeRule | None = None) -> None:
    """Let every later trace turn *operator* into the layer that *rule* returns, in place of any rule it has.

    Args:
        operator: its name as "not modelled" lists it, such as ``sort`` or ``mylib.fft``, or as PyTorch does,
            ``aten::sort``.
        rule: a function of the call. ``call["name"]`` is an argument of the operator's schema, a tensor being an
            operand with a ``shape``; ``call.output`` is the shape of the result. Name, module, edges and params of
            the layer are the tracer's. It may return the layer with the shape of the result, ``(layer, shape)``, which
            must be the model's.
        shape: a function of the call that returns the shape of the result, for operators in ONNX files that state none;
            what follows is counted then. ``call["inputs"]`` are the node's tensors there, and attributes have names.

    A rule for a name that no operator has is never asked.

    Raises:
        UsageError: *operator* is no name or *rule* no function.

    Example:
        >>> from squeezesim import Layer
        >>> register_operator("mylib::double", lambda call: Layer.vector("double", op="double", k=prod(call.output)))
    """
    name = operator.removeprefix("aten::").replace("::", ".") if isinstance(operator, str) else ""
    if not name or not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"an operator is named as 'sort' or 'library.operator', found {show(operator)}")
    if not callable(rule):
        raise UsageError(f"the rule of {name} must be a function of a call, found {type(rule).__name__}")
    if shape is not None and not callable(shape):
        raise UsageError(f"the shape of {name} must be a function of a call, found {type(shape).__name__}")
    _registered[name] = rule
    _shapes.pop(name, None)
    if shape is not None:
        _shapes[name] = shape


def registered_layer(operator: str, rule: UserRule, call: Call) -> Layer:
    """Return the layer that a *rule* that was registered for *operator* makes of *call*, as ``registered_result``."""
    return registered_result(operator, rule, call)[0]


def registered_result(operator: str, rule: UserRule, call: Call) -> tuple[Layer, tuple[int, ...] | None]:
    """Return what a *rule* that was registered for *operator* makes of *call*: a layer, and the shape if it says one.

    Raises:
        RuleError: the rule raises, named with its file and line, returns no layer, or another shape than the call's.
    """
    made = _asked(operator, rule, call)
    layer, shape = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(layer, Layer):
        found = f"found {type(layer).__name__}{_defined(rule)}"
        raise RuleError(f"the rule of {operator} must return a Layer, {found}")
    if shape is None:
        return layer, None
    said = _checked_shape(operator, rule, shape)
    if call.output is not None:  # as of nodes of ONNX files that state none
        check_agrees(operator, said, call.output)
    return layer, said


def check_agrees(operator: str, said: tuple[int, ...], sizes: Sequence[int | None]) -> None:
    """Check that the shape that a rule of *operator* has *said* is the model's, of *sizes* as far as these are known.

    Raises:
        RuleError: it is not; both are named.
    """
    if len(said) == len(sizes) and all(size in (None, own) for size, own in zip(sizes, said, strict=True)):
        return
    rule = _shapes.get(operator) or _registered[operator]
    raise RuleError(
        f"the rule of {operator} says that the result is {shape_text(said)}, "
        f"the model that it is {shape_text(sizes)}{_defined(rule)}"
    )


def registered_shape(operator: str) -> Callable[[Call], tuple[int, ...]] | None:
    """Return the function that was registered for the shape of what *operator* makes, None where there is none.

    It raises a RuleError where the function raises or returns no shape.
    """
    shape = _shapes.get(operator)
    return (
        None if shape is None else lambda call: _checked_shape(operator, shape, _asked(operator, shape, call))
    )


def _asked(operator: str, rule: Callable[[Call], Any], call: Call) -> Any:
    try:
        return rule(call)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        has = f"; the call has {', '.join(call.arguments)}" if isinstance(error, KeyError) else ""
        raise RuleError(
            f"the rule of {operator} raised {type(error).__name__}: {said}, {_place(error)}{has}"
        ) from error


def _checked_shape(operator: str, rule: Callable[[Call], Any], shape: Any) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (None,)
    sizes = tuple(int(size) if isinstance(size, np.integer) else size for size in sizes)
    if any(type(size) is not int or not 0 <= size <= MAX_SIZE for size in sizes) or prod(sizes) > MAX_COUNT:
        raise RuleError(
            f"the rule of {operator} must say a shape as a tuple of sizes from 0 to {MAX_SIZE}, of at most "
            f"{MAX_COUNT} elements, found {show(shape)}{_defined(rule)}"
        )
    return sizes


def _defined(rule: Callable[[Call], Any]) -> str:
    """``, file:line`` of where *rule* is defined, where that is known."""
    code = getattr(rule, "__code__", None)
    return "" if code is None else f", {code.co_filename}:{code.co_firstlineno}"


def _place(error: Exception) -> str:
    """``file:line`` of the last of the user's lines that *error* came through."""
    package = str(Path(__file__).parents[2])
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if not frame.filename.startswith(package)] or frames
    return f"{users[-1].filename}:{users[-1].lineno}"


def has_registered() -> bool:
    """Return whether a rule was added, which makes traces differ from those of other runs."""
    return bool(_registered)
