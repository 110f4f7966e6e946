"""What a key may hold, in words; the keys below names that a file gives: ``sram.size_kib`` of ``memory.stores``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from squeezesim.errors import nearest
from squeezesim.hardware.part import Part


def choices_of(node: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words that a JSON schema, or an item of its list, allows; () where it allows others."""
    word = node.get("items", node)
    return (word["const"],) if "const" in word else tuple(word.get("enum", ()))


def allowed_words(node: Mapping[str, Any]) -> str:
    """Return what a JSON schema allows, in words.

    Example:
        >>> allowed_words({"type": "integer", "minimum": 1, "maximum": 8})
        'an integer from 1 to 8'
    """
    match node:
        case {"allowed": words}:
            text = str(words)
        case {"anyOf": alternatives}:
            text = " or ".join(allowed_words(alternative) for alternative in alternatives)
        case {"enum": words}:
            text = f"one of {', '.join(map(str, words))}"
        case {"type": "array"}:
            text = f"a list of {'one or more' if node.get('minItems') else 'any'} of {', '.join(choices_of(node))}"
        case {"type": "integer" | "number" as kind}:
            text = f"{'an integer' if kind == 'integer' else 'a number'} {_range(node)}"
        case {"type": kind}:
            text = "text" if kind == "string" else str(kind)
    return text


def _range(node: Mapping[str, Any]) -> str:
    low = f"from {node['minimum']:g}" if "minimum" in node else f"above {node['exclusiveMinimum']:g}"
    high = f"to {_number(node['maximum'])}" if "maximum" in node else f"to below {node['exclusiveMaximum']:g}"
    return f"{low} {high}"


def _number(value: float) -> str:
    return f"{value:.10g}" if value < 1e7 else f"{value:g}".replace("e+0", "e")


NAME = r"[A-Za-z]\w{0,49}"


def misnamed(name: str, what: str) -> str:
    """Say why a *what* cannot be called *name*; nothing where it can."""
    if re.fullmatch(NAME, name, re.ASCII):
        return ""
    return f"has a {what} {name!r}; allowed: up to 50 letters, digits and _, the first a letter"


@dataclass(frozen=True)
class Named:
    """Entries of one kind, each a *model*, at dotted paths below their section: ``NAME`` and ``NAME.KEY``.

    Attributes:
        model: what an entry is.
        what: what one is called in messages.
    """

    model: type[Part]
    what: str

    @cached_property
    def _nodes(self) -> Mapping[str, Any]:
        nodes: Mapping[str, Any] = self.model.model_json_schema()["properties"]
        return nodes

    def keys_of(self, path: str) -> tuple[str, ...]:
        """Return the keys of the section at *path*; () where there is no section."""
        return () if "." in path else self.paths()

    def is_leaf(self, path: str) -> bool:
        """Whether *path* names a single value."""
        return path.count(".") == 1

    def is_path(self, path: str) -> bool:
        """Whether *path* names something that an entry has."""
        _, *below = path.split(".")
        return not below or (len(below) == 1 and below[0] in self.model.model_fields)

    def choices(self, path: str) -> tuple[str, ...]:
        """Return the words that the value at *path*, or an item of its list, may be; () where it is no choice."""
        return choices_of(self._nodes.get(_key(path), {}))

    def allowed_text(self, path: str) -> str:
        """Return in words what the value at *path* may be."""
        if "." not in path:
            return f"a mapping with any of {', '.join(self.paths())}"
        node = self._nodes.get(_key(path))
        if node is None:
            return ""
        return f"one of {', '.join(choices_of(node))}" if path.endswith("]") else allowed_words(node)

    def paths(self) -> tuple[str, ...]:
        """Return what an entry has."""
        return tuple(self.model.model_fields)

    def unknown(self, name: str, known: tuple[str, ...]) -> str:
        """The message for an entry that there is not, with the nearest one."""
        return f"no {self.what} {name!r}; allowed: {', '.join(known) or 'none here'}{nearest(name, known)}"


def _key(path: str) -> str:
    return re.sub(r"\[\d+\]$", "", path.partition(".")[2])
