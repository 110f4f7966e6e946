"""From a name, a path or a module to a Network."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from squeezesim.cache import cached
from squeezesim.errors import ModelError, UsageError, nearest
from squeezesim.network import Network
from squeezesim.network.checks import show
from squeezesim.zoo.registry import Spec, build, catalogue, models, parse_spec

if TYPE_CHECKING:
    from torch import nn

    from squeezesim.frontends.crosscheck import CrossCheck

__all__ = ["cross_check", "load", "load_module", "models", "parse_named_shapes", "parse_shape"]

Shape = tuple[int, ...]

MAX_SIZE = 2**16
MAX_ELEMENTS = 2**31
_GRAPH = ".graph.json"
_TOPOLOGY = ".csv"


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
        model: the name of a built-in network, with or without ``@option=value,…``; a ``.graph.json`` file; a
            ``.csv`` topology of SCALE-Sim; ``file.py:factory``, a function without required arguments that returns a
            module; or a module.
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
    if batch is not None and inputs is not None:
        raise UsageError("named inputs are literal, batch included: batch cannot be given with them")
    if batch is not None:
        _check_sizes((batch,), "batch")
    text = os.fspath(model) if isinstance(model, (str, os.PathLike)) else ""
    if what := _listed(text):
        if options or kwargs or any(given is not None for given in (input_shape, inputs, batch)):
            raise UsageError(f"{text!r} is a {what}: its input and options are fixed")
        return _load_listed(text)
    if text and not _is_python(text):
        spec = _built_in(text, options)
        shape = None if inputs is not None else _shape(input_shape, batch, spec.entry.input)
        return _load_built_in(spec, shape, inputs, kwargs, cache=cache)
    module, name = load_module(model, **options)
    shape = None if inputs is not None else _shape(input_shape, batch, None)
    return _trace(module, name, shape, inputs, kwargs)


def cross_check(
    model: str | os.PathLike[str] | nn.Module,
    *,
    input_shape: str | Sequence[int] | None = None,
    batch: int | None = None,
    **options: object,
) -> list[CrossCheck]:
    """Return our and fvcore's MACs of every module of *model*, given as to ``load``.

    Raises:
        ModelError: there is no such model, it has no module to run, or it rejects the input.
        UsageError: there is no input.
    """
    from squeezesim.frontends.crosscheck import cross_check as compare

    if isinstance(model, (str, os.PathLike)) and (what := _listed(os.fspath(model))):
        raise ModelError(f"{os.fspath(model)!r} is a {what}: there is no module to count again")
    module, name = load_module(model, **options)
    entry = catalogue().get(name.partition("@")[0])
    shape = _shape(input_shape, batch, entry.input if entry else None)
    if shape is None:
        raise UsageError(f"{name} needs its input: give input_shape, such as 3x224x224")
    return compare(module, shape)


def load_module(model: str | os.PathLike[str] | nn.Module, **options: object) -> tuple[nn.Module, str]:
    """Return the module of *model* (a built-in network, ``file.py:factory`` or a module itself) and its name.

    Raises:
        ModelError: there is none.
    """
    if isinstance(model, (str, os.PathLike)):
        text = os.fspath(model)
        if _is_python(text):
            return _from_file(text, options), text
        spec = _built_in(text, options)
        return build(spec), str(spec)
    if "torch" not in sys.modules or not isinstance(model, sys.modules["torch"].nn.Module):
        raise ModelError(f"a model is a name, a path or a torch.nn.Module, found {type(model).__name__}")
    if options:
        raise UsageError(f"a module has no options, found {', '.join(options)}")
    return model, type(model).__name__


def parse_shape(text: str) -> Shape:
    """Return the sizes of ``3x227x227``.

    Raises:
        UsageError: it is not sizes joined by ``x``, or a size is out of range.

    Example:
        >>> parse_shape("3x227x227")
        (3, 227, 227)
    """
    parts = text.lower().split("x")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise UsageError(f"a shape is written as sizes joined by 'x', such as 3x227x227, found {show(text)}")
    shape = tuple(map(int, parts))
    _check_sizes(shape, "input")
    return shape


def parse_named_shapes(texts: Sequence[str]) -> dict[str, Shape]:
    """Return the shapes of ``name=1x3x224x224``, by name; they are literal, batch included.

    Raises:
        UsageError: one has no name, or two have the same.
    """
    shapes: dict[str, Shape] = {}
    for text in texts:
        name, equals, shape = text.partition("=")
        if not equals or not name or name in shapes:
            raise UsageError(f"named inputs are written name=1x3x224x224, each name once, found {show(text)}")
        shapes[name] = parse_shape(shape)
    return shapes


def _listed(text: str) -> str:
    """What kind of file that lists layers a path ends like, empty for none."""
    return "traced network" if text.endswith(_GRAPH) else "topology" if text.endswith(_TOPOLOGY) else ""


def _load_listed(path: str) -> Network:
    if path.endswith(_GRAPH):
        return Network.load(path)
    from squeezesim.frontends.scalesim import read

    return read(path)


def _is_python(text: str) -> bool:
    return ".py:" in text or text.endswith(".py")


def _built_in(text: str, options: Mapping[str, object]) -> Spec:
    name = text.partition("@")[0]
    if name not in catalogue() and (Path(text).suffix or os.sep in text):
        kinds = f"a {_GRAPH} file, a {_TOPOLOGY} topology of SCALE-Sim or file.py:factory"
        raise ModelError(
            f"cannot load {show(text)}: a model is a built-in name, {kinds}{nearest(name, catalogue())}"
        )
    return parse_spec(text, options)


def _load_built_in(
    spec: Spec,
    shape: Shape | None,
    inputs: Sequence[Any] | Mapping[str, Any] | None,
    kwargs: Mapping[str, Any] | None,
    *,
    cache: bool,
) -> Network:
    def trace() -> Network:
        network = _trace(build(spec, device="meta"), str(spec), shape, inputs, kwargs)
        return replace(network, source="built-in", notes=spec.notes)

    if inputs is not None or kwargs:
        return trace()
    if not spec.changes and shape == (1, *spec.entry.input):
        return Network.load(spec.entry.graph)
    return cached({"model": str(spec), "input": shape}, trace) if cache else trace()


def _trace(
    module: nn.Module,
    name: str,
    shape: Shape | None,
    inputs: Sequence[Any] | Mapping[str, Any] | None,
    kwargs: Mapping[str, Any] | None,
) -> Network:
    from squeezesim.frontends.trace import trace

    if shape is None and inputs is None:
        raise UsageError(f"{name} needs its input: give input_shape, such as 3x224x224, or inputs")
    for label, value in inputs.items() if isinstance(inputs, Mapping) else ():
        if isinstance(value, (tuple, list)) and all(isinstance(size, int) for size in value):
            _check_sizes(value, f"input {label!r}")
    return trace(module, input_shape=shape, inputs=inputs, kwargs=kwargs, name=name)


def _shape(given: str | Sequence[int] | None, batch: int | None, default: Shape | None) -> Shape | None:
    """The literal shape; *default* is without the batch and, where there is one, tells the rank."""
    if given is None:
        return None if default is None else (batch or 1, *default)
    sizes = parse_shape(given) if isinstance(given, str) else tuple(given)
    without_batch = (
        isinstance(given, str) or batch is not None or (default is not None and len(sizes) == len(default))
    )
    if batch is not None and default is not None and len(sizes) > len(default):
        raise UsageError(
            f"input_shape {show(given)} says the batch already: batch = {batch} cannot be given with it"
        )
    shape = (batch or 1, *sizes) if without_batch else sizes
    _check_sizes(shape, "input")
    return shape


def _check_sizes(sizes: Sequence[int], what: str) -> None:
    if any(type(size) is not int or not 1 <= size <= MAX_SIZE for size in sizes) or not sizes:
        raise UsageError(f"{what}: sizes must be integers from 1 to {MAX_SIZE}, found {show(tuple(sizes))}")
    if prod(sizes) > MAX_ELEMENTS:
        raise UsageError(f"{what}: {show(tuple(sizes))} has more than {MAX_ELEMENTS} elements")


def _from_file(text: str, options: Mapping[str, object]) -> nn.Module:
    """The module that ``file.py:factory`` makes: runs the file, as Python's own ``import`` would."""
    path, _, factory = text.rpartition(":")
    if not path.endswith(".py") or not factory.isidentifier():
        raise ModelError(f"a factory in a file is written file.py:factory, found {show(text)}")
    file = Path(path).resolve()
    if not file.is_file():
        raise ModelError(f"there is no file {path!r}")
    import torch

    with _importable(file.parent):
        spec = importlib.util.spec_from_file_location(f"_squeezesim_model_{file.stem}", file)
        assert spec is not None
        assert spec.loader is not None
        namespace = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = namespace  # dataclasses and pickling of the user's classes look it up there
        try:
            spec.loader.exec_module(namespace)
        except Exception as error:
            raise ModelError(f"{path}: {_one_line(error)}") from error
        made = getattr(namespace, factory, None)
        if made is None:
            raise ModelError(f"{path} has no {factory!r}{nearest(factory, vars(namespace))}")
        if not isinstance(made, torch.nn.Module):
            if not callable(made):
                raise ModelError(f"{text} must be a function that returns a torch.nn.Module, or one")
            try:
                made = made(**options)
            except ModelError:
                raise
            except Exception as error:
                raise ModelError(f"{text}: {_one_line(error)}") from error
    if not isinstance(made, torch.nn.Module):
        raise ModelError(f"{text} must return a torch.nn.Module, found {type(made).__name__}")
    return made


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the file import its neighbours, as a script does."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
