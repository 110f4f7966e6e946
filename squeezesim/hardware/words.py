"""What a JSON schema allows, in the words of messages and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
