"""Every operator that has a rule, and how a rule is added.

To teach the tracer an operator of PyTorch, write a function of a ``Call`` that returns a layer and enter it in the
``RULES`` of its kind; one that works element by element only needs its name in ``ELEMENTWISE``, one that moves data
without computing in ``FREE``.
"""

from __future__ import annotations

from squeezesim.errors import UsageError
from squeezesim.frontends.aten import elementwise, movement, pooling, products, reductions
from squeezesim.frontends.aten.call import Rule
from squeezesim.network.checks import show

_BUILT_IN: dict[str, Rule] = {
    **products.RULES,
    **pooling.RULES,
    **reductions.RULES,
    **elementwise.RULES,
    **movement.RULES,
}
_registered: dict[str, Rule] = {}


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


def has_registered() -> bool:
    """Return whether a rule was added, which makes traces differ from those of other runs."""
    return bool(_registered)
