"""Shapes of inputs and arguments of factories as text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from squeezesim.errors import ModelError, UsageError
from squeezesim.network.checks import MAX_COUNT, MAX_SIZE, show
from squeezesim.zoo.options import INTEGER, NUMBER

Shape = tuple[int, ...]
Array = np.ndarray[Any, np.dtype[Any]]

MAX_ELEMENTS = MAX_COUNT
"""Most elements of an input; it has no values, so that its size takes no memory."""

MAX_VALUES = 1024
"""Most values of an input that has values."""

WRITTEN = "name=1x3x224x224, with a type as name=1x128:int64, or with a value as name=+16000 or name=[1,2]"
"""How an input with a name is written."""


@dataclass(frozen=True, slots=True)
class Values:
    """An input whose values are given: what follows from it, as sizes and branches, is then known."""

    array: Array


def parse_shape(text: str, what: str = "input") -> Shape:
    """Return the sizes of ``3x227x227``, of *what* a message says it is.

    Raises:
        UsageError: it is not sizes joined by ``x``, or a size is out of range.

    Example:
        >>> parse_shape("3x227x227")
        (3, 227, 227)
    """
    parts = text.lower().split("x")
    if not all(part.isascii() and part.isdigit() for part in parts):
        named = "; with a type it has a name, such as input_ids=1x128:int64" if ":" in text else ""
        raise UsageError(
            f"a shape is written as sizes joined by 'x', such as 3x227x227, found {show(text)}{named}"
        )
    if max(map(len, parts)) > _LONGEST:
        raise UsageError(f"{what}: sizes must be integers from 0 to {MAX_SIZE}, found {show(text)}")
    shape = tuple(map(int, parts))
    check_sizes(shape, what)
    return shape


_LONGEST = 1000  # digits of a size, which Python makes an integer of


def parse_named_shapes(texts: Sequence[str]) -> dict[str, Shape]:
    """Return the shapes of ``name=1x3x224x224``, by name; they are literal, batch included.

    Raises:
        UsageError: one has no name, or two have the same.
    """
    shapes: dict[str, Shape] = {}
    for text in texts:
        name, value, dtype = parse_named(text)
        if name in shapes or isinstance(value, Values) or dtype:
            raise UsageError(f"named inputs are written name=1x3x224x224, each name once, found {show(text)}")
        shapes[name] = value
    return shapes


def parse_named(text: str) -> tuple[str, Shape | Values, str]:
    """Return the name, the shape or value, and the type, empty where it says none, of an input with a name.

    A name may hold any character, as TensorFlow's ``images:0``: what follows its last ``=`` is the rest. That is a
    shape, ``1x128``, or a value: a number with a sign or a point, ``true``, ``false``, or numbers in brackets.

    Raises:
        UsageError: it is not written so.

    Example:
        >>> parse_named("images:0=2x3x32x32:float16")
        ('images:0', (2, 3, 32, 32), 'float16')
    """
    name, equals, rest = text.rpartition("=")
    written, colon, dtype = rest.partition(":")
    if not equals or not name or (colon and not dtype):
        raise UsageError(f"named inputs are written {WRITTEN}, each name once, found {show(text)}")
    value = _value(written)
    if value is None and not _SIZES.fullmatch(written):
        raise UsageError(f"input {show(name)} is written {WRITTEN}, found {show(written)}")
    return name, parse_shape(written, f"input {show(name)}") if value is None else value, dtype


_SIZES = re.compile(r"\d+(x\d+)*", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"[+-]\d{1,18}|[+-]?\d{1,18}\.\d{0,18}([eE][+-]?\d{1,3})?", re.ASCII)


def _value(text: str) -> Values | None:
    """What *text* says as a value, None where it is a shape."""
    if _NUMBER.fullmatch(text):
        return Values(np.asarray(float(text) if "." in text else int(text)))
    if text in ("true", "false"):
        return Values(np.asarray(text == "true"))
    if not text.startswith("["):
        return None
    try:
        found = np.asarray(json.loads(text))
    except (ValueError, RecursionError):
        found = np.asarray(None)
    if found.dtype.kind not in "bif" or not 1 <= found.size <= MAX_VALUES:
        raise UsageError(
            f"values are written as 1 to {MAX_VALUES} numbers in brackets, such as [1,2], found {show(text)}"
        )
    return Values(found)


def literal_shape(
    given: str | Sequence[int] | None, batch: int | None, default: Shape | None
) -> Shape | None:
    """Return the shape with the batch; *default* is without it and, where there is one, tells the rank.

    Raises:
        UsageError: a size is out of range, or *given* has the batch already.
    """
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
    check_sizes(shape, "input")
    return shape


def check_sizes(sizes: Sequence[int], what: str, least: int = 0) -> None:
    """Check that every size is an integer in range, from *least* on, and that the elements can be counted.

    Raises:
        UsageError: it is not; *what* names it.
    """
    if any(type(size) is not int or not least <= size <= MAX_SIZE for size in sizes) or not sizes:
        raise UsageError(
            f"{what}: sizes must be integers from {least} to {MAX_SIZE}, found {show(tuple(sizes))}"
        )
    if prod(sizes) > MAX_ELEMENTS:
        raise UsageError(f"{what}: {show(tuple(sizes))} has more than {MAX_ELEMENTS} elements")


_WORDS = {"true": True, "false": False, "none": None}
_INTEGERS = re.compile(r"[0-9]{1,18}(-[0-9]{1,18})+")


def parse_arguments(text: str, given: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """Return the name in ``name@key=value,key=value`` and its arguments, *given* added.

    A value is an integer, a number, ``true``, ``false``, ``none``, integers joined by ``-`` (a tuple), or else text.

    Raises:
        ModelError: an argument is not written so, or is given twice.

    Example:
        >>> parse_arguments("make@width=2,depth=1-2,act=relu", {})
        ('make', {'width': 2, 'depth': (1, 2), 'act': 'relu'})
    """
    name, at, listed = text.partition("@")
    arguments: dict[str, object] = {}
    for item in listed.split(",") if at else ():
        key, equals, value = item.partition("=")
        if not equals or not key.isidentifier():
            raise ModelError(
                f"arguments of {show(name)} are written name=value,name=value, found {show(item)}"
            )
        if key in arguments or key in given:
            raise ModelError(f"argument {key!r} of {show(name)} is given twice")
        arguments[key] = _argument(value)
    return name, arguments | dict(given)


def _argument(text: str) -> object:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if INTEGER.fullmatch(text):
        return int(text)
    if NUMBER.fullmatch(text):
        return float(text)
    if _INTEGERS.fullmatch(text):
        return tuple(map(int, text.split("-")))
    return text
