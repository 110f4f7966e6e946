"""Dotted paths of an accelerator's parameters, and what each one may hold in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from squeezesim.errors import nearest
from squeezesim.hardware.energy_levels import LEVELS

OVERRIDES = "energy.overrides"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One key of an accelerator file: its dotted path, unit, default, meaning, and what it may hold."""

    path: str
    unit: str
    allowed: str
    choices: tuple[str, ...]
    default: object
    required: bool
    description: str


@cache
def parameters() -> dict[str, Parameter]:
    """Return every parameter by its dotted path, in the order of the schema.

    Example:
        >>> parameters()["array.rows"].allowed
        'an integer from 1 to 4096 (PEs)'
    """
    from squeezesim.hardware.accelerator import Accelerator

    schema = Accelerator.model_json_schema()
    found: dict[str, Parameter] = {}
    _walk(schema, schema["$defs"], "", found)
    return found


@cache
def sections() -> dict[str, tuple[str, ...]]:
    """Return the keys of every section by its dotted path; the whole file is ``""``.

    Example:
        >>> sections()["memory"]
        ('global_buffer', 'dram')
    """
    keys: dict[str, dict[str, None]] = {}
    for path in parameters():
        parts = path.split(".")
        for depth, key in enumerate(parts):
            keys.setdefault(".".join(parts[:depth]), {})[key] = None
    return {path: tuple(names) for path, names in keys.items()} | {OVERRIDES: LEVELS}


def is_leaf(path: str) -> bool:
    """Return whether *path* names a single value: a parameter, or one level of ``energy.overrides``."""
    from squeezesim.hardware.accelerator import Accelerator

    if path in ("provenance", OVERRIDES):
        return False
    part: Any = (
        Accelerator  # the schema, from which ``parameters`` come, takes longer to make than a file to read
    )
    for key in path.split("."):
        fields = getattr(part, "model_fields", {})
        if key not in fields:
            return path.rpartition(".")[0] == OVERRIDES
        part = fields[key].annotation
    return not hasattr(part, "model_fields")


def is_path(path: str) -> bool:
    """Return whether *path* names a parameter or a section."""
    return bool(path) and (is_leaf(path) or path in sections())


def choices(path: str) -> tuple[str, ...]:
    """Return the words that the value at *path* (or an item of its list) may be; () where it is no choice."""
    if path == "provenance":
        return ("paper", "datasheet", "calibrated")
    parameter = parameters().get(_without_index(path))
    return parameter.choices if parameter else ()


def allowed_text(path: str) -> str:
    """Return in words what the value at *path* may be; for a section, its keys."""
    path, item = _without_index(path), path.endswith("]")
    if path.startswith(f"{OVERRIDES}."):
        return "a number from 0 to 1e9"
    if item:
        words = choices(path)
        return f"one of {', '.join(words)}" if len(words) > 1 else words[0]
    if path in parameters():
        return parameters()[path].allowed
    return f"a mapping with the keys {', '.join(sections()[path])}"


def unknown_key(key: str, section: str) -> str:
    """Return the message for a key that *section* does not have, with the nearest key here or elsewhere."""
    known = sections().get(section, ())
    hint = nearest(key, known) or _elsewhere(key)
    return f"unknown key {key!r}{f' in {section}' if section else ''}; allowed: {', '.join(known)}{hint}"


def unknown_path(path: str) -> str:
    """Return the message for a dotted path that no accelerator has, with the nearest ones."""
    above, _, key = path.rpartition(".")
    siblings = [name for name in sections().get(above, ()) if nearest(key, [name])]
    known = [*parameters(), *(name for name in sections() if name)]
    hint = _did_you_mean([f"{above}.{name}" if above else name for name in siblings])
    hint = hint or _elsewhere(key) or nearest(path, known)
    return f"unknown parameter {path!r}; allowed: dotted paths such as 'array.rows'{hint}"


def _elsewhere(key: str) -> str:
    """A hint at the paths that end in *key*."""
    known = dict.fromkeys((*sections(), *parameters()))
    return _did_you_mean([path for path in known if key and path.rpartition(".")[2] == key])


def _did_you_mean(paths: list[str]) -> str:
    return f"; did you mean {' or '.join(map(repr, paths))}?" if paths else ""


def _without_index(path: str) -> str:
    return re.sub(r"\[\d+\]$", "", path)


def _walk(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], above: str, found: dict[str, Parameter]
) -> None:
    for key, node in schema["properties"].items():
        path = f"{above}{key}"
        target = definitions.get(node.get("$ref", "").rpartition("/")[2])
        if target is not None:
            _walk(target, definitions, f"{path}.", found)
        elif path != "provenance":
            unit = node.get("unit", "")
            found[path] = Parameter(
                path=path,
                unit=unit,
                allowed=_words(node) + (f" ({unit})" if unit not in ("", "1") else ""),
                choices=_choices(node),
                default=node.get("default"),
                required=key in schema.get("required", ()),
                description=node["description"],
            )


def _choices(node: Mapping[str, Any]) -> tuple[str, ...]:
    word = node.get("items", node)
    return (word["const"],) if "const" in word else tuple(word.get("enum", ()))


def _words(node: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    match node:
        case {"allowed": words}:
            text = str(words)
        case {"anyOf": alternatives}:
            text = " or ".join(_words(alternative) for alternative in alternatives)
        case {"enum": words}:
            text = f"one of {', '.join(words)}"
        case {"type": "array"}:
            text = (
                f"a list of {'one or more' if node.get('minItems') else 'any'} of {', '.join(_choices(node))}"
            )
        case {"type": "object"}:
            text = f"a mapping with any of {', '.join(LEVELS)}"
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
