"""Which way in a text means: load, load_module and cross_check."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from squeezesim.errors import ModelError, UsageError, installed
from squeezesim.load import built_in, files, hub, python_file
from squeezesim.load.compression import split
from squeezesim.load.runnable import Asked, Made, Runnable
from squeezesim.load.shapes import check_sizes
from squeezesim.network import Network
from squeezesim.network.checks import show
from squeezesim.zoo.registry import catalogue

if TYPE_CHECKING:
    from torch import nn

    from squeezesim.frontends.crosscheck import CrossCheck


@installed("torch")
def load(
    model: str | os.PathLike[str] | nn.Module,
    *,
    input_shape: str | Sequence[int] | None = None,
    inputs: Sequence[Any] | Mapping[str, Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    batch: int | None = None,
    cache: bool = True,
    **options: object,
) -> Network:
    """Return the network of *model*.

    Args:
        model: the name of a built-in network, with or without ``@option=value,…``; ``torchvision:NAME``,
            ``timm:NAME`` or ``pytorchcv:NAME``; an ``.onnx``, ``.pt2`` or ``.graph.json`` file; a ``.csv`` topology of
            SCALE-Sim; ``file.py:factory``, a function that returns a module, with or without
            ``@argument=value,…``; or a module. A name or path may end in what compresses the network, as
            ``+prune=0.4+quantize=w8a8``.
        input_shape: the shape of the input. Text as ``3x227x227`` excludes the batch, a tuple is literal,
            ``(1, 3, 227, 227)``, unless *batch* is given: then it excludes the batch too.
        inputs: several inputs, or inputs by name: tensors or literal shapes, batch included.
        kwargs: further arguments of the module's forward.
        batch: the first dimension of the input, 1 by default.
        cache: keep and read traced networks on disk. Files of modules and modules are always traced.
        options: options of a built-in network, such as ``depth=(2, 4, 14, 1)``, or arguments of a factory.

    Raises:
        ModelError: there is no such network, or it does not accept the input.
        UsageError: what is asked contradicts itself.

    Example:
        >>> load("squeezenext_23").params
        717280
    """
    asked = _asked(input_shape, inputs, kwargs, batch)
    text, compression = split(os.fspath(model)) if isinstance(model, (str, os.PathLike)) else ("", None)
    if compression:
        network = load(
            text, input_shape=input_shape, inputs=inputs, kwargs=kwargs, batch=batch, cache=cache, **options
        )
        return compression.applied(network, partial(trained_module, text, **options))
    if files.kind_of(text):
        return files.read(text, asked, options)
    if text.partition("@")[0] in catalogue():
        return built_in.network(text, options, asked, cache=cache)
    return _runnable(model, options).network(asked, cache=cache)


@installed("torch")
def cross_check(
    model: str | os.PathLike[str] | nn.Module,
    *,
    input_shape: str | Sequence[int] | None = None,
    inputs: Sequence[Any] | Mapping[str, Any] | None = None,
    batch: int | None = None,
    **options: object,
) -> list[CrossCheck]:
    """Return our, fvcore's and PyTorch's MACs of every module of *model*, given as to ``load``.

    Raises:
        ModelError: there is no such model, it has no module to run, or it rejects the input.
        UsageError: there is no input.
    """
    asked = _asked(input_shape, inputs, None, batch)
    if isinstance(model, (str, os.PathLike)):
        text, compression = split(os.fspath(model))
        if compression:
            raise UsageError("a cross-check counts the model as it is; it cannot be compressed")
        if what := files.kind_of(text):
            raise ModelError(f"{text!r} is a {what}: there is no module to count again")
    found = _runnable(model, options)
    made = found.make("cpu")
    from squeezesim.frontends.crosscheck import (
        cross_check as compare,
    )  # torch: after what is wrong without it

    return compare(made.module, asked.of(found.name, made.inputs))


@installed("torch")
def load_module(model: str | os.PathLike[str] | nn.Module, **options: object) -> tuple[nn.Module, str]:
    """Return the module of *model*, which is a name, ``file.py:factory`` or a module itself, and its name.

    Raises:
        ModelError: there is none.
    """
    found = _runnable(model, options)
    return found.make("cpu").module, found.name


def trained_module(model: str, **options: object) -> nn.Module:
    """Return the module whose weights are those of *model*, whatever compresses it.

    Raises:
        UsageError: *model* is no ``file.py:factory``: all other models have random weights or none.
        ModelError: there is no such file or factory.
    """
    text, _ = split(model)
    if not python_file.is_python(text):
        raise UsageError(
            f"'weights' and 'energy:' are of a trained module, as my.py:factory gives it, found {text!r}"
        )
    return load_module(text, **options)[0]


def _asked(
    input_shape: str | Sequence[int] | None,
    inputs: Sequence[Any] | Mapping[str, Any] | None,
    kwargs: Mapping[str, Any] | None,
    batch: int | None,
) -> Asked:
    if batch is not None and inputs is not None:
        raise UsageError("named inputs are literal, batch included: batch cannot be given with them")
    if batch is not None:
        check_sizes((batch,), "batch")
    return Asked(input_shape=input_shape, inputs=inputs, kwargs=kwargs, batch=batch)


def _runnable(model: str | os.PathLike[str] | nn.Module, options: Mapping[str, object]) -> Runnable:
    if not isinstance(model, (str, os.PathLike)):
        return _of_module(model, options)
    text = os.fspath(model)
    if python_file.is_python(text):
        return python_file.runnable(text, options)
    library, _, rest = text.partition(":")
    if rest and library in hub.LIBRARIES:
        return hub.runnable(library, rest, options)
    name = text.partition("@")[0]
    if name in catalogue():
        return built_in.runnable(text, options)
    files.refuse(text)
    if library := hub.find(name):
        return hub.runnable(library, text, options)
    raise ModelError(f"unknown network {show(name)}{hub.hint(name, catalogue())}")


def _of_module(module: nn.Module, options: Mapping[str, object]) -> Runnable:
    if "torch" not in sys.modules or not isinstance(module, sys.modules["torch"].nn.Module):
        raise ModelError(f"a model is a name, a path or a torch.nn.Module, found {type(module).__name__}")
    if options:
        raise UsageError(f"a module has no options, found {', '.join(options)}")
    return Runnable(name=type(module).__name__, make=lambda _: Made(module=module))
