"""Models of other libraries, which are imported when one of theirs is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec

from squeezesim.cache import cached_names, installed_version
from squeezesim.errors import ModelError, nearest, pip_install
from squeezesim.frontends.hub_names import is_named
from squeezesim.load.arguments import parse_arguments
from squeezesim.load.runnable import Made, Runnable

LIBRARIES = ("torchvision", "timm", "pytorchcv")
"""In the order in which a bare name is looked up."""


def runnable(library: str, text: str, options: Mapping[str, object]) -> Runnable:
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
