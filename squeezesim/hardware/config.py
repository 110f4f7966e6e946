"""YAML and nested mappings ⇄ Accelerator; the mistakes in them are explained by ``hardware.mistakes``."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from os import PathLike
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from squeezesim.errors import HardwareError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.frozen import FrozenDict
from squeezesim.hardware.mistakes import Mistake, explain, section_mistake, without_renamed
from squeezesim.hardware.paths import is_leaf, is_path, unknown_path
from squeezesim.yaml_tree import Source, parse, plain_scalar, read_source


def load(path: str | PathLike[str]) -> Accelerator:
    """Read the accelerator in a YAML file; HardwareError with the first mistake and the number of others."""
    return from_text(read_source(path))


def from_text(source: Source) -> Accelerator:
    """Build the accelerator that a YAML text describes; HardwareError with the first mistake."""
    tree = parse(source)
    built = _build(tree.plain())
    if isinstance(built, Accelerator):
        return built
    # What stands in the file goes before what is missing: it is more often the cause.
    mistake = min(built, key=lambda mistake: (mistake.kind == "missing", mistake.position(tree)))
    raise source.error(mistake.message + _others(len(built)), mistake.position(tree))


def from_dict(data: Mapping[str, object]) -> Accelerator:
    """Build the accelerator that nested mappings describe; HardwareError with the first mistake."""
    built = _build(data)
    if isinstance(built, Accelerator):
        return built
    first = min(built, key=lambda mistake: mistake.kind == "missing")
    raise HardwareError(first.message + _others(len(built)))


def replace(accelerator: Accelerator, changes: Mapping[str, object]) -> Accelerator:
    """Return a validated copy with the values at dotted paths changed; see Accelerator.replace."""
    old = to_dict(accelerator)
    new = deepcopy(old)
    for path, value in changes.items():
        if not is_path(path):
            raise HardwareError(unknown_path(path))
        plain = value.model_dump() if isinstance(value, BaseModel) else deepcopy(value)
        if not is_leaf(path) and not isinstance(plain, dict):
            raise HardwareError(section_mistake(path, plain))
        *above, key = path.split(".")
        section = new
        for name in above:
            section = section.setdefault(name, {})
        section[key] = plain
    changed = from_dict(new)
    after = to_dict(changed)
    kept = {
        path: origin
        for path, origin in accelerator.provenance.items()
        if _get(after, path) == _get(old, path)
    }
    return changed.model_copy(update={"provenance": FrozenDict({**kept, **changed.provenance})})


def to_dict(accelerator: Accelerator) -> dict[str, Any]:
    """Return the parameters as nested dictionaries, without provenance."""
    return accelerator.model_dump(exclude={"provenance"})


def to_yaml(accelerator: Accelerator) -> str:
    """Return YAML text that reads back as an equal accelerator, in schema order, nulls left out."""
    written = _written(to_dict(accelerator), "", accelerator)
    return yaml.dump(written, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)


def _build(data: object) -> Accelerator | list[Mistake]:
    """The accelerator, or what is wrong with its data."""
    provenance: dict[str, object] = {}
    values = _unwrap(data, "", provenance)
    misplaced = isinstance(values, dict) and "provenance" in values
    if isinstance(values, dict):
        values = {**values, "provenance": provenance}
    mistakes = []
    if misplaced:
        message = "provenance is no section; allowed: {value: …, provenance: …} at a parameter"
        mistakes.append(Mistake(("provenance",), message))
    try:
        accelerator = Accelerator.model_validate(values)
    except ValidationError as error:
        mistakes += [explain(detail) for detail in error.errors(include_url=False)]
        return without_renamed(mistakes)
    return mistakes or accelerator


def _unwrap(data: object, path: str, provenance: dict[str, object]) -> object:
    """The data, each ``{value: …, provenance: …}`` replaced by its value and noted in *provenance*."""
    if not isinstance(data, Mapping):
        return data
    if path and is_leaf(path):
        if "value" not in data:
            return data
        provenance[path] = {key: item for key, item in data.items() if key != "value"}
        return data["value"]
    above = f"{path}." if path else ""
    return {key: _unwrap(item, f"{above}{key}", provenance) for key, item in data.items()}


def _get(data: Mapping[str, Any], path: str) -> object:
    value: Any = data
    for key in path.split("."):
        value = value.get(key)
        if value is None:
            return None
    return value


def _others(count: int) -> str:
    return "" if count == 1 else f" (and {count - 1} more mistake{'s' if count > 2 else ''})"


def _written(data: Mapping[str, Any], above: str, accelerator: Accelerator) -> dict[str, object]:
    written: dict[str, object] = {}
    for key, value in data.items():
        path = f"{above}{key}"
        origin = accelerator.provenance.get(path)
        if isinstance(value, Mapping):
            if section := _written(value, f"{path}.", accelerator):
                written[key] = section
        elif origin is not None:
            written[key] = _Flow(value=value, **origin.model_dump())
        elif value is not None:
            written[key] = value
    return written


class _Flow(dict[str, object]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes lists and annotated values on one line; quotes each text that would not read back as text."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    plain = text.isprintable() and plain_scalar(text) == text
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _float(dumper: _Dumper, value: float) -> yaml.Node:
    if value.is_integer() and value < 1e15:
        return dumper.represent_int(int(value))
    return dumper.represent_float(value)


def _tuple(dumper: _Dumper, items: tuple[object, ...]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)


def _flow(dumper: _Dumper, data: _Flow) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _float)
_Dumper.add_representer(tuple, _tuple)
_Dumper.add_representer(_Flow, _flow)
