"""Attention of PyTorch as one operator, however it is called."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class Attention(TorchFunctionMode):
    """While it is active, a dispatch mode sees attention as the operator that it is, not what it falls apart into.

    Operators that are made of others fall apart in autograd's part of the dispatcher, before a dispatch mode sees them;
    inference mode leaves that part out: https://docs.pytorch.org/docs/stable/notes/extending.html. Multi-head attention
    is Python, and runs where all function modes are off, so that what it calls attention is handed to it.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run *func*; attention as one operator."""
        del types
        name, named = str(getattr(func, "__name__", "")).removesuffix(".default"), dict(kwargs or {})
        if func is functional.multi_head_attention_forward:
            return _multi_head(*args, **named)
        return (_whole(func) if name == "scaled_dot_product_attention" else func)(*args, **named)


def _whole(attention: Any) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode():
            result = attention(*args, **kwargs)
        return result.clone()  # which may be written to outside of inference mode

    return run


def _own_multi_head() -> Any:
    """PyTorch's multi-head attention with attention as one operator in it, where no function mode is active."""
    given = functional.multi_head_attention_forward
    names = {
        **vars(functional),
        "scaled_dot_product_attention": _whole(functional.scaled_dot_product_attention),
    }
    own = FunctionType(given.__code__, names, given.__name__, given.__defaults__, given.__closure__)
    own.__kwdefaults__ = given.__kwdefaults__
    names[given.__name__] = own  # what it hands to the other modes
    return own


_multi_head = _own_multi_head()
