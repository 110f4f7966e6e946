"""One forward pass of a module, on a copy without values where that can run, the module left as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves, tree_map

from squeezesim.errors import ModelError
from squeezesim.frontends.aten.rules import RuleError
from squeezesim.frontends.isolate import (
    decomposed,
    evaluating,
    too_large_to_run,
    undisturbed,
    weightless_copy,
)

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Result = TypeVar("Result")

# What PyTorch says of things that cannot be traced, and what it means.
_REASONS = {
    "Cannot access storage of Sparse": "sparse tensors are not supported: they have no storage by which to follow them",
    "aten::_to_sparse": "sparse tensors are not supported: their shapes depend on values",
    "NestedTensorImpl": "nested tensors are not supported: they have no shape",
    "Couldn't load custom C++ ops": "an operator of torchvision that only exists compiled is missing: install the "
    "torchvision that is built for this torch and device",
}


def forward(
    module: nn.Module, args: Args, kwargs: Kwargs, name: str, run: Callable[[nn.Module, Args, Kwargs], Result]
) -> Result:
    """Return what *run* returns for a copy of *module* with its arguments, which it calls once in eval mode.

    The copy has no weights and is on the meta device; where the forward needs the value of a tensor, it has weights
    and is on the CPU. The module's modes, buffers, hooks and the random states are as before afterwards.

    Raises:
        ModelError: *run* fails, the module is one of TorchScript or has lazy parameters, or it is too large to be run
            with values.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            f"{name} is a TorchScript module, which is compiled and cannot be traced: "
            "give the torch.nn.Module that it was made from"
        )
    if any(is_lazy(parameter) for parameter in module.parameters()):
        raise ModelError(f"{name} has lazy parameters without a shape: run it once before it is traced")
    with undisturbed(), decomposed():
        try:
            # Tensors that a forward makes without naming a device have to join the others there.
            with torch.device("meta"):
                return run(weightless_copy(module), *_moved(args, kwargs, "meta"))
        except RuleError:
            raise
        except Exception as error:
            if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
                if not needs_values(error):
                    raise
                raise ModelError(
                    f"{error}: a value is needed, which a model made under torch.device('meta') does not have"
                ) from error
            if too_large := too_large_to_run(module, tensors_of(args, kwargs)):
                raise ModelError(f"{error}; {too_large}") from error
            return _on_cpu(module, args, kwargs, run)


def _on_cpu(
    module: nn.Module, args: Args, kwargs: Kwargs, run: Callable[[nn.Module, Args, Kwargs], Result]
) -> Result:
    try:
        duplicate = copy.deepcopy(module).cpu()
    except Exception:  # a module that cannot be copied can still be run and restored
        duplicate = module
    with evaluating(duplicate):
        return run(duplicate, *_moved(args, kwargs, "cpu"))


def arguments(
    module: nn.Module,
    input_shape: Sequence[int] | None,
    inputs: Sequence[Any] | Mapping[str, Any] | None,
    kwargs: Mapping[str, Any] | None,
) -> tuple[Args, Kwargs]:
    """Return the arguments of a forward: tensors in place of shapes, of the type of the module's parameters.

    In *inputs*, tuples and lists of integers are shapes, at any depth of dicts, tuples and lists.

    Raises:
        ModelError: both or neither of *input_shape* and *inputs* are given, or *inputs* is one shape.
    """
    if (input_shape is None) == (inputs is None):
        raise ModelError("to trace a module, give either input_shape or inputs")
    if is_shape(inputs):
        raise ModelError(f"inputs={inputs!r} is the shape of one input: meant input_shape={inputs!r}?")
    dtypes = (parameter.dtype for parameter in module.parameters() if parameter.is_floating_point())
    dtype = next(dtypes, torch.float32)

    def tensor(value: Any) -> Any:
        if is_shape(value):
            return torch.zeros((), dtype=dtype).expand(tuple(value))
        if type(value) is dict:
            return {key: tensor(item) for key, item in value.items()}
        return type(value)(map(tensor, value)) if type(value) in (tuple, list) else value

    if inputs is None:
        assert input_shape is not None
        return (tensor(tuple(input_shape)),), dict(kwargs or {})
    if isinstance(inputs, Mapping):
        return (), {key: tensor(value) for key, value in inputs.items()} | dict(kwargs or {})
    if isinstance(inputs, torch.Tensor):
        return (inputs,), dict(kwargs or {})
    return tuple(tensor(value) for value in inputs), dict(kwargs or {})


def said(error: BaseException) -> str:
    """Return what an error of a model says, in one line; of an exit that it is one."""
    for sign, reason in _REASONS.items():
        if sign in str(error):
            return reason
    text = " ".join(str(error).split())[:300]
    if isinstance(error, SystemExit):
        return f"SystemExit: {text}" if text else "SystemExit"
    return text or type(error).__name__


def needs_values(error: BaseException) -> bool:
    """Return whether *error* came from asking a tensor on the meta device for its values."""
    return any(text in str(error) for text in ("meta tensor", "meta device type", "register_meta"))


def is_shape(value: Any) -> bool:
    """Return whether *value* is sizes, in place of a tensor."""
    return isinstance(value, (tuple, list)) and bool(value) and all(type(size) is int for size in value)


def tensors_of(*values: Any) -> list[torch.Tensor]:
    """Return the tensors in any nesting of tuples, lists and dicts."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def _moved(args: Args, kwargs: Kwargs, device: str) -> tuple[Args, Kwargs]:
    def on_device(leaf: Any) -> Any:
        return torch.empty_like(leaf, device=device).copy_(leaf) if isinstance(leaf, torch.Tensor) else leaf

    moved: tuple[Args, Kwargs] = tree_map(on_device, (args, kwargs))
    return moved
