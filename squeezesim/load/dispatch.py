"""Built-in networks: read from their traced graphs, or built with other options or for another input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from squeezesim.cache import cached_names, installed_version
from squeezesim.errors import ModelError, UsageError, installed, nearest, pip_install
from squeezesim.escapes import apart
from squeezesim.frontends.hub_names import is_named
from squeezesim.load import files, python_file
from squeezesim.load.compression import split
from squeezesim.load.runnable import Asked, Made, Runnable, as_it_runs
from squeezesim.load.shapes import check_sizes, parse_arguments
from squeezesim.network import Network
from squeezesim.network.checks import show
from squeezesim.zoo.registry import Spec, build, catalogue, parse_spec

if TYPE_CHECKING:
    from torch import nn

    from squeezesim.frontends.torch.crosscheck import CrossCheck


def built_in_network(text: str, options: Mapping[str, object], asked: Asked, *, cache: bool) -> Network:
    """Return the network of the built-in *text*, such as ``squeezenext_23@width=1.5``.

    Raises:
        ModelError: an option is unknown, or the network does not accept the input.
        UsageError: a size is out of range.
    """
    spec = parse_spec(text, options)
    own = (1, *spec.input)
    if not spec.changes and not asked.kwargs and asked.of(str(spec), (spec.input,)) == (own,):
        return _shipped(spec.entry.graph)
    return _built_in_model(spec).network(asked, cache=cache)


@lru_cache(maxsize=128)
def _shipped(graph: Path) -> Network:
    """The network of a shipped graph, the same each time."""
    return Network.load(graph)


def built_in_runnable(text: str, options: Mapping[str, object]) -> Runnable:
    """Return the built-in *text* as a model to run.

    Raises:
        ModelError: an option is unknown.
    """
    return _built_in_model(parse_spec(text, options))


def _built_in_model(spec: Spec) -> Runnable:
    return Runnable(
        name=str(spec),
        make=lambda device: Made(module=build(spec, device=device), inputs=(spec.input,)),
        devices=("meta",),
        is_fixed=True,
        source="built-in",
        notes=spec.notes,
    )


LIBRARIES = ("torchvision", "timm", "pytorchcv")
"""In the order in which a bare name is looked up."""


def hub_runnable(library: str, text: str, options: Mapping[str, object]) -> Runnable:
    """Return ``NAME`` or ``NAME@argument=value,…`` of *library* as a model to run.

    Raises:
        ModelError: the library is not installed, or an argument is not written so.
    """
    name, arguments = parse_arguments(text, options)
    if not find_spec(library):
        raise ModelError(_missing([library]))

    def make(device: str) -> Made:
        from squeezesim.frontends.hubs import make_model

        module, inputs = make_model(library, name, arguments, device=device)
        return Made(module=module, inputs=inputs)

    given = ",".join(f"{key}={_text(value)}" for key, value in arguments.items())
    return Runnable(
        name=f"{library}:{name}@{given}" if given else f"{library}:{name}",
        make=make,
        devices=("meta", "cpu"),  # some can only be made with values
        is_fixed=True,
        versions={library: installed_version(library)},
        source=f"{library} {installed_version(library)}",
    )


def find(name: str) -> str:
    """Return the first installed library that has the model *name*, empty where none has."""
    return next((library for library in _installed() if is_named(library, name, _names(library))), "")


def hint(name: str, known: Iterable[str]) -> str:
    """Return the nearest of *known* names and of the installed libraries' models, or else where to look."""
    absent = [library for library in LIBRARIES if library not in _installed()]
    close = nearest(name, {*known, *(model for library in _installed() for model in _names(library))})
    return close or (f"; {_missing(absent)}" if absent else "; squeezesim models lists the built-in ones")


def _names(library: str) -> frozenset[str]:
    """Names of the models of an installed *library*; it is imported for them once for each of its versions."""

    def build() -> Iterable[str]:
        from squeezesim.frontends.hubs import model_names

        return model_names(library)

    # One that is imported may have got models of the user's own.
    return frozenset(build()) if library in sys.modules else cached_names(library, build)


def _installed() -> list[str]:
    return [library for library in LIBRARIES if find_spec(library)]


def _missing(libraries: list[str]) -> str:
    verb = "is" if len(libraries) == 1 else "are"
    return f"{', '.join(libraries)} {verb} not installed: {pip_install(*libraries)}"


def _text(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


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
            ``(1, 3, 227, 227)``, unless *batch* is given: then it excludes the batch too. Text that the model runs
            with only as it stands has the batch, which a note says.
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
        return built_in_network(text, options, asked, cache=cache)
    with _apart(model):
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
    with _apart(model):
        made = found.make("cpu")
    from squeezesim.frontends.torch.crosscheck import (
        cross_check as compare,  # torch: after what is wrong without it
    )

    def run(asked: Asked) -> list[CrossCheck]:
        return compare(made.module, asked.of(found.name, made.inputs))

    with _apart(model):
        return as_it_runs(asked, run, run)


@installed("torch")
def load_module(model: str | os.PathLike[str] | nn.Module, **options: object) -> tuple[nn.Module, str]:
    """Return the module of *model*, which is a name, ``file.py:factory`` or a module itself, and its name.

    Raises:
        ModelError: there is none.
    """
    found = _runnable(model, options)
    with _apart(model):
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


def _apart(model: object) -> AbstractContextManager[None]:
    """Where *model* is named, as on the command line, what its code prints goes to stderr; a module's is its user's."""
    return apart() if isinstance(model, (str, os.PathLike)) else nullcontext()


def _asked(
    input_shape: str | Sequence[int] | None,
    inputs: Sequence[Any] | Mapping[str, Any] | None,
    kwargs: Mapping[str, Any] | None,
    batch: int | None,
) -> Asked:
    if batch is not None and inputs is not None:
        raise UsageError("named inputs are literal, batch included: batch cannot be given with them")
    if batch is not None:
        check_sizes((batch,), "batch", least=1)
    return Asked(input_shape=input_shape, inputs=inputs, kwargs=kwargs, batch=batch)


def _runnable(model: str | os.PathLike[str] | nn.Module, options: Mapping[str, object]) -> Runnable:
    if not isinstance(model, (str, os.PathLike)):
        return _of_module(model, options)
    text = os.fspath(model)
    try:
        Path.cwd()
    except OSError as error:  # torch would end the process
        place = os.environ.get("PWD", ".")
        raise ModelError(f"cannot use the working directory {place!r}: {error.strerror}") from error
    if python_file.is_python(text):
        return python_file.runnable(text, options)
    library, _, rest = text.partition(":")
    if rest and library in LIBRARIES:
        return hub_runnable(library, rest, options)
    name = text.partition("@")[0]
    if name in catalogue():
        return built_in_runnable(text, options)
    files.refuse(text)
    if library := find(name):
        return hub_runnable(library, text, options)
    raise ModelError(f"unknown network {show(name)}{hint(name, catalogue())}")


def _of_module(module: nn.Module, options: Mapping[str, object]) -> Runnable:
    if "torch" not in sys.modules or not isinstance(module, sys.modules["torch"].nn.Module):
        raise ModelError(f"a model is a name, a path or a torch.nn.Module, found {type(module).__name__}")
    if options:
        raise UsageError(f"a module has no options, found {', '.join(options)}")
    return Runnable(name=type(module).__name__, make=lambda _: Made(module=module))
