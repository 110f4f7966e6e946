"""Which layer gets what: values are given for shell-style patterns of layer names, and the first that matches wins."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import translate
from typing import Generic, TypeVar

from squeezesim.errors import UsageError, nearest
from squeezesim.network.checks import MAX_TEXT, show
from squeezesim.network.layer import Layer
from squeezesim.network.network import Network

Value = float | str
Given = Value | Mapping[str, Value]
"""One value for all layers, or values by pattern, in the order in which they are tried."""

T = TypeVar("T")

_NAMED = 3  # values of a pass in a network's name


@dataclass(frozen=True, slots=True)
class Chosen(Generic[T]):
    """What a layer gets, and the pattern that said so."""

    value: T
    pattern: str


def match_rules(
    network: Network,
    given: Given,
    read: Callable[[Value], T],
    eligible: Callable[[Layer], bool],
    what: str,
) -> dict[str, Chosen[T]]:
    """Return what each of the *eligible* layers gets, by name; a layer that no pattern matches gets nothing.

    In a pattern ``*`` is any text, dots included, ``?`` one character, ``[ab]`` one of these.

    Raises:
        UsageError: a pattern matches no layer that can be *what*, or *read* rejects a value.
    """
    rules = list(given.items()) if isinstance(given, Mapping) else [("*", given)]
    names = [layer.name for layer in network.layers if eligible(layer)]
    if not names:
        raise UsageError(f"network {network.name!r} has no layer that can be {what}")
    found: dict[str, Chosen[T]] = {}
    for pattern, value in rules:
        choice = Chosen(read(value), pattern)
        matched = _matched(pattern, names)
        if not matched:
            raise UsageError(_unmatched(network, pattern, names, what))
        for name in matched:
            found.setdefault(name, choice)
    return found


def with_layers(network: Network, layers: tuple[Layer, ...], name: str, given: Given) -> Network:
    """Return *network* with the *layers* that pass *name* made, and a name that says so, as ``load`` takes it.

    ``+prune=0.4`` is added to the name, unless no layer changes; of many values by pattern the first ones, and ``…``
    for the others.
    """
    if layers == network.layers:
        return network
    texts = rule_texts(given if isinstance(given, Mapping) else {"*": given})
    shown = texts if len(texts) <= _NAMED else [*texts[:_NAMED], "…"]
    return replace(
        network, layers=layers, name=(network.name + "".join(f"+{name}={text}" for text in shown))[:MAX_TEXT]
    )


def rule_texts(rules: Mapping[str, Value]) -> list[str]:
    """Return *rules* as they are written for a command: ``PATTERN=VALUE``, or a value alone where it is for all."""
    values = {pattern: value if isinstance(value, str) else f"{value:g}" for pattern, value in rules.items()}
    return [value if pattern == "*" else f"{pattern}={value}" for pattern, value in values.items()]


def learnt(layer: Layer) -> bool:
    """Whether *layer* multiplies by weights, not by activations as attention does."""
    return layer.kind == "mac" and not layer.weights_are_activations


def number(value: Value, what: str, low: str = "above 0") -> float:
    """Return *value* as a number above 0, or from 0 where *low* says so, and up to 1.

    Raises:
        UsageError: it is none.
    """
    try:
        result = float(value)
    except (TypeError, ValueError):
        result = -1.0
    if isinstance(value, bool) or not (0 < result <= 1 or (result == 0 and low == "from 0")):
        raise UsageError(f"{what} must be a number {low} to 1, found {show(value)}")
    if result == 0 and isinstance(value, str) and re.search("[1-9]", value.lower().partition("e")[0]):
        raise UsageError(f"{what} must be 0 or at least {sys.float_info.min:.1e}, found {show(value)}")
    return result


def _matched(pattern: str, names: Iterable[str]) -> list[str]:
    if not re.search(r"[*?[]", pattern):
        return [pattern] if pattern in set(names) else []
    matches = re.compile(translate(pattern)).match
    return [name for name in names if name == pattern or matches(name)]


def _unmatched(network: Network, pattern: str, names: Iterable[str], what: str) -> str:
    if _matched(pattern, [layer.name for layer in network.layers]):
        return f"pattern {show(pattern)} matches only layers that cannot be {what}"
    # A pattern often means a part of the path, so that beginnings and components are as near as whole names.
    parts = dict.fromkeys(
        part for name in names for part in (name, *re.split(r"[./]", name), *_beginnings(name))
    )
    hint = nearest(pattern.strip("*?.") or pattern, parts)
    return f"pattern {show(pattern)} matches no layer of network {network.name!r}{hint}"


def _beginnings(name: str) -> list[str]:
    return [name[: dot.start()] for dot in re.finditer(r"[./]", name)]
