"""Results of operators on tensors without values, which follow from shapes: made once for equal arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from squeezesim.frontends.torch.operators import Operand
from squeezesim.frontends.torch.origins import storage_key

_empty = torch.ops.aten.empty_strided.default


class Results:
    """What operators return in one forward pass."""

    def __init__(self) -> None:
        self._fresh: dict[Any, int] = {}
        self._known: dict[Any, list[tuple[tuple[int, ...], tuple[int, ...], torch.dtype]]] = {}

    def of(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run *func*; where its results have no values and follow from shapes alone, only the first time.

        PyTorch takes batch-norm without values apart, in Python, into some twenty operators.
        """
        fresh = self._fresh.get(func)
        if fresh is None:
            fresh = self._fresh[func] = _made_anew(func)
        key = (func, _signed(args), _signed(tuple(kwargs.items()))) if fresh else None
        if key is None or None in key:
            return func(*args, **kwargs)
        known = self._known.get(key)
        if known is not None:
            made = tuple(_empty(*each, dtype=dtype, device="meta") for *each, dtype in known)
            return made[0] if fresh == 1 else made
        result = func(*args, **kwargs)
        made = (result,) if fresh == 1 else result
        alone = len({storage_key(tensor) for tensor in made if _is_plain(tensor)}) == fresh
        if alone and not any(tensor.storage_offset() for tensor in made):
            self._known[key] = [(tuple(tensor.shape), tensor.stride(), tensor.dtype) for tensor in made]
        return result


def _made_anew(func: Any) -> int:
    """How many tensors *func* makes that share no memory, and are always the same of the same; 0: others."""
    schema = func._schema
    tensors = all(str(item.type) == "Tensor" for item in schema.returns)
    drawn = torch.Tag.nondeterministic_seeded in func.tags
    shared = any(item.alias_info for item in (*schema.arguments, *schema.returns))
    return len(schema.returns) if tensors and not drawn and not shared else 0


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether shape, strides and type are all that there is to *tensor*."""
    strided = type(tensor) is torch.Tensor and tensor.is_meta and tensor.layout is torch.strided
    return strided and not (tensor.is_conj() or tensor.is_neg() or tensor.requires_grad)


def _signed(value: Any) -> Any:
    """What the shape of a result can depend on, to look it up by; None where that is more than can be said."""
    if isinstance(value, torch.Tensor):
        plain = (
            type(value) in (torch.Tensor, nn.Parameter) and value.is_meta and value.layout is torch.strided
        )
        if not plain or value.is_conj() or value.is_neg():
            return None
        return tuple(value.shape), value.stride(), value.dtype
    if isinstance(value, (list, tuple)):
        parts = tuple(map(_signed, value))
        return None if None in parts else parts
    return frozen(value)


def frozen(value: Any) -> Any:
    """Return *value*, the argument of a call, to look it up by."""
    if isinstance(value, (list, tuple)):
        return tuple(map(frozen, value))
    return (
        value if isinstance(value, Operand) else (type(value), value)
    )  # True is not 1, nor 1 the same as 1.0
