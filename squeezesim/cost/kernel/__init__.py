"""The compiled core: found, checked and loaded where one was built; NumPy computes where there is none.

The core is the C11 of this folder. ``hatch_build.py`` compiles it into the package ``squeezesim_kernel`` beside this
one, and passes ``digest()`` to the compiler. A library of other sources, as after an update of a checkout, is not used.
This module imports nothing of squeezesim, since the build reads it before anything is installed, and ctypes alone on
first use.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ctypes import CDLL

ABI = 9
"""The version of the exported functions that Python calls, ``SQUEEZESIM_ABI`` of kernel.h."""

PACKAGE, LIBRARY = "squeezesim_kernel", "libsqueezesim.so"
"""The installed package that has the library, and the library's file in it."""

VARIABLE, CHOICES = "SQUEEZESIM_KERNEL", ("none", "system", "zig")
"""The environment variable that decides by hand: by which compiler at build time, and ``none`` at run time too."""


class KernelWarning(RuntimeWarning):
    """The compiled core that is installed is not used."""


class _Found(NamedTuple):
    """The library, or why there is none; *is_wrong*, if one is there that should be another."""

    core: CDLL | None
    reason: str = ""
    is_wrong: bool = False


def sources() -> list[Path]:
    """The C sources and headers of the core, in the order of their names."""
    return sorted(file for file in Path(__file__).parent.iterdir() if file.suffix in (".c", ".h"))


def digest() -> str:
    """The SHA-256 of the names and contents of ``sources()``, in hexadecimal digits."""
    whole = hashlib.sha256()
    for file in sources():
        content = file.read_bytes()
        whole.update(f"{file.name} {len(content)}\n".encode())
        whole.update(content)
    return whole.hexdigest()


def core() -> CDLL | None:
    """The compiled core, or None where NumPy computes; warns once if an installed core is not used."""
    found = _find()
    if found.is_wrong:
        _warn(found.reason)
    return found.core


def status() -> str:
    """What computes, and why, in one short sentence without a full stop."""
    found = _find()
    return "compiled core" if found.core is not None else f"NumPy, since {found.reason}"


@cache
def _find() -> _Found:
    choice = os.environ.get(VARIABLE, "")
    if choice == "none":
        return _Found(None, f"{VARIABLE}=none")
    if choice not in ("", *CHOICES):
        return _Found(
            None, f"{VARIABLE} is {choice!r}; it can be {', '.join(CHOICES)} or not set", is_wrong=True
        )
    package = PathFinder.find_spec(PACKAGE)
    if package is None or package.origin is None:
        return _Found(None, "no compiled core was built")
    try:
        import ctypes

        loaded = ctypes.CDLL(str(Path(package.origin).with_name(LIBRARY)))
        loaded.squeezesim_abi.argtypes, loaded.squeezesim_abi.restype = (), ctypes.c_int
        loaded.squeezesim_source.argtypes, loaded.squeezesim_source.restype = (), ctypes.c_char_p
        made_of = (loaded.squeezesim_abi(), loaded.squeezesim_source())
        here = (ABI, digest().encode())
    except (ImportError, OSError, AttributeError):  # no ctypes, or no file, or one of another system
        return _Found(None, "the compiled core does not load; install again", is_wrong=True)
    if made_of != here:
        return _Found(None, "the compiled core is of another source; install again", is_wrong=True)
    return _Found(loaded)


@cache
def _warn(reason: str) -> None:
    # A place without source makes it one line.
    text = f"NumPy computes, since {reason}"
    warnings.warn_explicit(text, KernelWarning, "squeezesim", 1, module=__name__)
