"""What is wrong with the data of an accelerator, as a sentence and a place in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic_core import ErrorDetails

from squeezesim.errors import nearest
from squeezesim.hardware.paths import allowed_text, choices, is_leaf, unknown_key
from squeezesim.hardware.yaml_tree import Position, Tree

Location = tuple[str | int, ...]
_ANNOTATION = ("value", "provenance", "source")


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake at a location (keys and list indices from the top of the file)."""

    location: Location
    message: str

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
            return Mistake(location, f"{path} is missing; allowed: {allowed_text(path)}")
        case "extra_forbidden" | "invalid_key":
            return Mistake(location, unknown_key(str(location[-1]), _dotted(location[:-1])))
        case "value_error":
            return Mistake(location, f"{path} {detail['msg'].removeprefix('Value error, ')}")
    hint = nearest(found, choices(path)) if isinstance(found, str) else ""
    if detail["type"] == "string_type" and not isinstance(found, Mapping | list | tuple):
        hint = "; quotes make it a text"
    where = path or "the file"
    return Mistake(location, f"{where} is {shown(found)}; allowed: {allowed_text(path)}{hint}")


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
    if isinstance(value, list | tuple):
        text = f"[{', '.join(shown(item) for item in value[:10])}]"
    else:
        text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


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
