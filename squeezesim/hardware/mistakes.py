"""What is wrong with the data of an accelerator, as a sentence and a place in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic_core import ErrorDetails

from squeezesim.errors import nearest
from squeezesim.hardware.paths import allowed_text, choices, is_leaf, parameters, unknown_key
from squeezesim.yaml_tree import Position, Tree, plain_scalar

Location = tuple[str | int, ...]
_ANNOTATION = ("value", "provenance", "source")


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake at a location (keys and list indices from the top of the file)."""

    location: Location
    message: str
    kind: Literal["value", "missing", "unknown"] = "value"

    def position(self, tree: Tree) -> Position:
        """Return where the mistake stands: the value, the unknown key, or the section that lacks a key."""
        position, path = Position(1, 1), ""
        for depth, step in enumerate(self.location):
            if isinstance(step, str):
                path = f"{path}.{step}" if path else step
            tree = _annotated(tree, step)
            if isinstance(tree.value, dict) and isinstance(step, str) and step in tree.value:
                position = tree.keys[step]
                tree = tree.value[step]
            elif isinstance(tree.value, list) and isinstance(step, int):
                tree = tree.value[step]
                position = tree.position
            else:
                return position
            if depth == len(self.location) - 1 and is_leaf(path):
                position = _annotated(tree, "").position
        return position


def explain(detail: ErrorDetails) -> Mistake:
    """Return pydantic's error as a mistake: what was found, what is allowed, the nearest valid word."""
    location, found = detail["loc"], detail["input"]
    if location[:1] == ("provenance",):
        return _in_annotation(location, detail)
    if location[-1:] == ("[key]",):
        location = location[:-1]
        return Mistake(location, unknown_key(str(location[-1]), _dotted(location[:-1])))
    path = _dotted(location)
    match detail["type"]:
        case "missing":
            return Mistake(location, f"{path} is missing; allowed: {allowed_text(path)}", "missing")
        case "extra_forbidden" | "invalid_key":
            return Mistake(location, unknown_key(str(location[-1]), _dotted(location[:-1])), "unknown")
        case "value_error":
            return Mistake(location, f"{path} {detail['msg'].removeprefix('Value error, ')}")
    where, allowed = path or "the file", allowed_text(path) + _hint(path, detail)
    return Mistake(location, f"{where} is {shown(found)}; allowed: {allowed}")


def without_renamed(mistakes: list[Mistake]) -> list[Mistake]:
    """Leave out each missing key that its section has under a similar, unknown name: that is one mistake."""
    unknown = [mistake.location for mistake in mistakes if mistake.kind == "unknown"]

    def renamed(mistake: Mistake) -> bool:
        if mistake.kind != "missing":
            return False
        above, key = mistake.location[:-1], mistake.location[-1]
        siblings = [str(location[-1]) for location in unknown if location[:-1] == above]
        return bool(nearest(str(key), siblings))

    return [mistake for mistake in mistakes if not renamed(mistake)]


def section_mistake(path: str, found: object) -> str:
    """Return the message for a section that is no mapping."""
    return f"{path} is {shown(found)}; allowed: {allowed_text(path)}"


def shown(value: object) -> str:
    """Return a value as a user of YAML knows it, on one short line.

    Example:
        >>> shown(None), shown(True), shown("fast"), shown([1, 2])
        ('null', 'true', "'fast'", '[1, 2]')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, int) and value.bit_length() > 1000:
        return "an integer of more than 300 digits"
    if isinstance(value, list | tuple):
        text = f"[{', '.join(shown(item) for item in value[:10])}]"
    else:
        text = f"{value:.10g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _hint(path: str, detail: ErrorDetails) -> str:
    """How the value that was found could be meant."""
    found = detail["input"]
    if isinstance(found, str):
        if found in choices(path):
            return f"; did you mean [{found}]?"
        if isinstance(plain_scalar(found), int | float) and path in parameters():
            return "; without quotes it is a number"
        return nearest(found, choices(path))
    if isinstance(found, Mapping) and is_leaf(path):
        return " or {value: …, provenance: …}"
    return (
        "; quotes make it a text"
        if detail["type"] == "string_type" and isinstance(found, int | float)
        else ""
    )


def _in_annotation(location: Location, detail: ErrorDetails) -> Mistake:
    """A mistake in ``provenance`` or ``source`` beside a value."""
    path, keys = str(location[1]), location[2:]
    at = (*path.split("."), *keys)
    key = str(keys[-1]) if keys else "provenance"
    if detail["type"] == "extra_forbidden":
        return Mistake(
            at, f"unknown key {key!r} in {path}; allowed: {', '.join(_ANNOTATION)}{nearest(key, _ANNOTATION)}"
        )
    kinds = choices("provenance")
    allowed = "text" if key == "source" else f"one of {', '.join(kinds)}"
    if detail["type"] == "missing":
        return Mistake(at, f"{path} has a value without provenance; allowed: {allowed}")
    found = detail["input"]
    hint = nearest(found, kinds) if isinstance(found, str) else ""
    return Mistake(at, f"{key} of {path} is {shown(found)}; allowed: {allowed}{hint}")


def _annotated(tree: Tree, step: str | int) -> Tree:
    """The value inside ``{value: …}``, unless *step* is a key of the mapping itself."""
    if isinstance(tree.value, dict) and step not in tree.value and "value" in tree.value:
        return tree.value["value"]
    return tree


def _dotted(location: Location) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
