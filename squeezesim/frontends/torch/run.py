"""One forward pass of a model apart from everything else: its arguments, its values, what it fails with."""

from __future__ import annotations

import contextlib
import copy
import os
import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass
from torch.utils._pytree import tree_leaves, tree_map

from squeezesim.errors import ModelError
from squeezesim.frontends.torch.rules import RuleError

MAX_VALUES = 1024
"""Most values of a constant that are kept."""

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool)
_VALUE = "_squeezesim_value"


def weightless_copy(module: nn.Module) -> nn.Module:
    """Return a copy of *module* on the meta device: its structure, tied tensors still tied, no values."""
    memo: dict[int, Any] = {}
    for tensor in tensors_in(module):
        meta = _weightless(tensor)
        if is_small(tensor) and not tensor.is_meta:
            meta.__dict__[_VALUE] = tensor.detach().cpu()
        if isinstance(tensor, nn.Parameter):
            meta = nn.Parameter(meta, requires_grad=tensor.requires_grad)
        memo[id(tensor)] = meta
    return copy.deepcopy(module, memo).eval()


def is_small(tensor: torch.Tensor) -> bool:
    """Return whether *tensor* holds few integers, whose values are kept: ends of groups, indices."""
    return tensor.dtype in _INTEGERS and tensor.numel() <= MAX_VALUES and type(tensor) is torch.Tensor


def value_before(tensor: torch.Tensor) -> torch.Tensor | None:
    """Return the values that a tensor of a weightless copy had, where they are few integers."""
    value: torch.Tensor | None = getattr(tensor, "__dict__", {}).get(_VALUE)
    return value


def inner_tensors(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the tensors that one of a subclass is made of, such as integers and scales; none for a plain one."""
    if type(tensor) in (torch.Tensor, nn.Parameter):
        return {}
    if is_traceable_wrapper_subclass(tensor):
        return {name: getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]}
    own = getattr(tensor, "__dict__", {})
    return {name: value for name, value in own.items() if isinstance(value, torch.Tensor) and name != "grad"}


def _weightless(tensor: torch.Tensor) -> torch.Tensor:
    if not is_traceable_wrapper_subclass(tensor):
        is_plain = type(tensor) in (torch.Tensor, nn.Parameter) and tensor.layout is torch.strided
        if is_plain and tensor.is_contiguous():  # on meta, empty_like runs in Python
            return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
        return torch.empty_like(tensor, device="meta", requires_grad=False)
    inner, context = tensor.__tensor_flatten__()
    parts = {name: _weightless(getattr(tensor, name)) for name in inner}
    made: torch.Tensor = type(tensor).__tensor_unflatten__(parts, context, tensor.shape, tensor.stride())
    return made


def too_large_to_run(module: nn.Module, inputs: Iterable[torch.Tensor]) -> str:
    """Return in words that a forward pass with values would take more than half of the memory, else nothing.

    It takes at least the weights, and activations of about sixteen times the input.
    """
    needed = sum(map(_bytes, (*module.parameters(), *module.buffers()))) + 16 * sum(map(_bytes, inputs))
    try:
        limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):  # no such system call here
        return ""
    return f"with values it would take about {needed / 2**30:,.0f} GiB" if needed > limit else ""


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def tensors_in(module: nn.Module) -> Iterator[torch.Tensor]:
    """Parameters, buffers, and tensors that modules keep as plain attributes."""
    yield from module.parameters()
    yield from module.buffers()
    for part in module.modules():
        for value in vars(part).values():
            items = value.values() if isinstance(value, dict) else value
            for item in items if isinstance(value, (list, tuple, dict)) else (value,):
                if isinstance(item, torch.Tensor):
                    yield item


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Give *module* in eval mode; modes, buffers and what is learnt are as before when the context ends."""
    flags = [(part, part.training) for part in module.modules()]
    learnt = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    try:
        yield module.eval()
    finally:
        for part, training in flags:
            part.training = training
        for parameter, requires_grad in learnt:
            parameter.requires_grad = requires_grad
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A context for a forward pass: no gradients, no warnings, and random numbers as in ``seeded``."""
    with seeded(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """A context in which random numbers are the same each time; the random states are as before when it ends."""
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002 - a model draws from the global state
    with torch.random.fork_rng(devices=[]):
        try:
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002
            torch.default_generator.manual_seed(0)  # no device's generator but that of the CPU
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


@contextlib.contextmanager
def decomposed(*, onednn: bool = False) -> Iterator[None]:
    """A context in which attention runs as its products, and no layer as one of *onednn*'s unless that is wanted."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=onednn):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


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
            duplicate = weightless_copy(module)
            # Tensors that a forward makes without naming a device have to join the others there.
            with torch.device("meta"):
                return run(duplicate, *_moved(args, kwargs, "meta"))
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
