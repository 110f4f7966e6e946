"""Arguments of a function that makes a model, written after its name: ``make@width=2,act=relu``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from squeezesim.errors import ModelError
from squeezesim.network.checks import show
from squeezesim.zoo.options import INTEGER, NUMBER

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
        arguments[key] = _value(value)
    return name, arguments | dict(given)


def _value(text: str) -> object:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if INTEGER.fullmatch(text):
        return int(text)
    if NUMBER.fullmatch(text):
        return float(text)
    if _INTEGERS.fullmatch(text):
        return tuple(map(int, text.split("-")))
    return text
