"""Copies of a model to run a forward pass on, and a forward pass that leaves nothing behind."""

from __future__ import annotations

import contextlib
import copy
import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel


def weightless_copy(module: nn.Module) -> nn.Module:
    """Return a copy of *module* on the meta device: its structure, tied tensors still tied, no values."""
    memo: dict[int, Any] = {}
    for tensor in _tensors(module):
        meta = torch.empty_like(tensor, device="meta", requires_grad=False)
        if isinstance(tensor, nn.Parameter):
            meta = nn.Parameter(meta, requires_grad=tensor.requires_grad)
        memo[id(tensor)] = meta
    return copy.deepcopy(module, memo).eval()


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
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
    """Give *module* in eval mode; its training flags and buffers are as before when the context ends."""
    flags = [(part, part.training) for part in module.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    try:
        yield module.eval()
    finally:
        for part, training in flags:
            part.training = training
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A context for a forward pass: no gradients, no warnings, and the random states are as before when it ends."""
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002 - a model draws from the global state
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(random.setstate, python_state)
        stack.callback(np.random.set_state, numpy_state)
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.no_grad())
        yield


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
