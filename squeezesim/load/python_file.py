"""``file.py:factory``: a function in a Python file that returns a module. The file is run."""

from __future__ import annotations

import importlib.util
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from squeezesim.errors import ModelError, nearest
from squeezesim.load.files import existing
from squeezesim.load.runnable import Made, Runnable
from squeezesim.load.shapes import parse_arguments
from squeezesim.network.checks import show

if TYPE_CHECKING:
    from torch import nn


def is_python(text: str) -> bool:
    """Return whether *text* names a Python file, with or without a factory."""
    return ".py:" in text or text.endswith(".py")


def runnable(text: str, options: Mapping[str, object]) -> Runnable:
    """Return ``file.py:factory`` or ``file.py:factory@argument=value,…`` as a model to run.

    Raises:
        ModelError: it is not written so, or there is no such file.
    """
    head, dot, tail = text.rpartition(".py:")
    factory, arguments = parse_arguments(tail, options)
    if not dot or not factory.isidentifier():
        raise ModelError(f"a factory in a file is written file.py:factory, found {show(text)}")
    file = existing(f"{head}.py")
    return Runnable(
        name=text,
        make=lambda device: Made(module=_module(file, factory, arguments, device)),
        devices=("meta", "cpu"),  # with values only where it needs them: they may be larger than the memory
    )


def _module(file: Path, factory: str, arguments: Mapping[str, object], device: str) -> nn.Module:
    """The module that the factory makes on *device*: runs the file, as Python's own ``import`` would."""
    import torch

    from squeezesim.frontends.torch.run import seeded

    path = file.resolve()
    where = f"{file}:{factory}"
    # Seeded, so that what random weights decide is the same in each run.
    with _importable(path.parent), seeded(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torch\.")  # as on weights without elements
        spec = importlib.util.spec_from_file_location(f"_squeezesim_model_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        namespace = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = namespace  # dataclasses and pickling of the user's classes look it up there
        with _errors_of(file):
            _run(partial(spec.loader.exec_module, namespace))
        made = getattr(namespace, factory, None)
        if made is None:
            raise ModelError(f"{file} has no {factory!r}{nearest(factory, vars(namespace))}")
        if not isinstance(made, torch.nn.Module):
            if not callable(made):
                raise ModelError(f"{where} must be a function that returns a torch.nn.Module, or one")
            on_device = torch.device("meta") if device == "meta" else nullcontext()
            with _errors_of(file), on_device:
                made = _run(partial(made, **arguments))
        elif arguments:
            raise ModelError(f"{where} is a module: it has no arguments, found {', '.join(arguments)}")
    if not isinstance(made, torch.nn.Module):
        raise ModelError(f"{where} must return a torch.nn.Module, found {type(made).__name__}")
    return made


def _run(code: Callable[[], Any]) -> Any:
    """Run the user's code, a second time where it imports a torchvision that has to be mended first."""
    from squeezesim.frontends.hubs import import_torchvision, lacks_operators

    try:
        return code()
    except Exception as error:
        if not lacks_operators(error):
            raise
    import_torchvision()
    return code()


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the file import its neighbours, as a script does."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


@contextmanager
def _errors_of(file: Path) -> Iterator[None]:
    """Turn what the user's code raises, an exit too, into one line that starts with the line that raised it."""
    try:
        yield
    except ModelError:
        raise
    except (Exception, SystemExit) as error:
        message = " ".join(str(error).split())[:300]
        kind = type(error).__name__
        raise ModelError(
            f"{_place(file, error)}: {kind}{': ' if message else ''}{message}{_way_out(error)}"
        ) from error


def _way_out(error: BaseException) -> str:
    """What helps against *error*, where that is known."""
    from squeezesim.frontends.torch.run import needs_values

    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return "; a model too large for the memory is made without values under torch.device('meta')"
    if needs_values(error):
        return (
            "; under torch.device('meta') tensors have no values: make those needed under torch.device('cpu')"
        )
    return ""


def _place(file: Path, error: BaseException) -> str:
    """``file:line`` of the user's code that *error* came from, of its syntax error too."""
    if isinstance(error, SyntaxError) and error.lineno:
        return _spelled(file, error.filename, error.lineno)
    folder = str(file.resolve().parent)
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(folder)
    ]
    return _spelled(file, frames[-1].filename, frames[-1].lineno) if frames else str(file)


def _spelled(file: Path, name: str | None, line: int | None) -> str:
    """The place with the path as the user wrote it, where it is the user's file."""
    return f"{file if name == str(file.resolve()) else name}:{line}"
