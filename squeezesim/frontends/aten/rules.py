"""Every operator that has a rule, and how a rule is added.

To teach the tracer an operator of PyTorch, write a function of a ``Call`` that returns a layer and enter it in the
``RULES`` of its kind; one that works element by element only needs its name in ``ELEMENTWISE``, one that moves data
without computing in ``FREE``.
"""

from __future__ import annotations

import traceback
from pathlib import Path

from squeezesim.errors import ModelError, UsageError
from squeezesim.frontends.aten import elementwise, movement, pooling, products, reductions
from squeezesim.frontends.aten.call import Call, Rule
from squeezesim.network.checks import show
from squeezesim.network.layer import Layer

_BUILT_IN: dict[str, Rule] = {
    **products.RULES,
    **pooling.RULES,
    **reductions.RULES,
    **elementwise.RULES,
    **movement.RULES,
}
_registered: dict[str, Rule] = {}


class RuleError(ModelError):
    """A mistake in a rule of the user's, not in the model."""


def rule_for(operator: str) -> Rule | None:
    """Return the rule of *operator*, as ``relu`` or ``library.operator``; None where it has none."""
    return _registered.get(operator) or _BUILT_IN.get(operator)


def is_free(operator: str) -> bool:
    """Return whether *operator* only moves data, so that readers see through it."""
    return operator in movement.FREE and operator not in _registered


def register_operator(operator: str, rule: Rule) -> None:
    """Let every later trace turn *operator* into the layer that *rule* returns, in place of any rule it has.

    Args:
        operator: its name as "not modelled" lists it, such as ``sort`` or ``mylib.fft``, or as PyTorch does,
            ``aten::sort``.
        rule: a function of the call. ``call["name"]`` is an argument of the operator's schema, a tensor being an
            operand with a ``shape``; ``call.output`` is the shape of the result. Name, module, edges and params of
            the layer are the tracer's.

    A rule for a name that no operator has is never asked.

    Raises:
        UsageError: *operator* is no name or *rule* no function.

    Example:
        >>> from squeezesim import Layer
        >>> register_operator("mylib::double", lambda call: Layer.vector("double", elements=prod(call.output)))
    """
    name = operator.removeprefix("aten::").replace("::", ".") if isinstance(operator, str) else ""
    if not name or not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"an operator is named as 'sort' or 'library.operator', found {show(operator)}")
    if not callable(rule):
        raise UsageError(f"the rule of {name} must be a function of a call, found {type(rule).__name__}")
    _registered[name] = rule


def registered_layer(operator: str, rule: Rule, call: Call) -> Layer:
    """Return what a *rule* that was registered for *operator* makes of *call*.

    Raises:
        RuleError: the rule raises, named with its file and line, or returns no layer.
    """
    try:
        layer = rule(call)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        has = f"; the call has {', '.join(call.arguments)}" if isinstance(error, KeyError) else ""
        raise RuleError(
            f"the rule of {operator} raised {type(error).__name__}: {said}, {_place(error)}{has}"
        ) from error
    if not isinstance(layer, Layer):
        raise RuleError(f"the rule of {operator} must return a Layer, found {type(layer).__name__}")
    return layer


def is_registered(operator: str) -> bool:
    """Return whether *operator* has a rule of the user's."""
    return operator in _registered


def _place(error: Exception) -> str:
    """``file:line`` of the last of the user's lines that *error* came through."""
    package = str(Path(__file__).parents[2])
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if not frame.filename.startswith(package)] or frames
    return f"{users[-1].filename}:{users[-1].lineno}"


def has_registered() -> bool:
    """Return whether a rule was added, which makes traces differ from those of other runs."""
    return bool(_registered)
