"""Copies of a model to run a forward pass on, and a forward pass that leaves nothing behind."""

from __future__ import annotations

import contextlib
import copy
import os
import random
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

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
