"""YAML and nested mappings ⇄ Accelerator: dotted paths, and what a mistake is told as."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, lru_cache
from os import PathLike
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from squeezesim.errors import HardwareError, SqueezesimError, UsageError, nearest
from squeezesim.hardware import buffer_part, constraint, rate, shipped, store, unit
from squeezesim.hardware.dataflows import DECLARED
from squeezesim.hardware.named import allowed_words, choices_of
from squeezesim.hardware.part import FrozenDict
from squeezesim.hardware.parts import LEVELS, Specification
from squeezesim.yaml_tree import Position, Source, Tree, parse, plain_scalar, read_source

Record = TypeVar("Record", bound=Specification)
"""The class that readers make: ``Accelerator``, which they do not know."""

OVERRIDES = "energy.overrides"
CONSTRAINTS, RATES = "mapper.constraints", "precision.rates"
LISTED: dict[str, Any] = {CONSTRAINTS: constraint, RATES: rate}
"""Lists of mappings, and what knows the keys of one."""
UNITS, PARTS, STORES = "array.units", "memory.global_buffer.parts", "memory.stores"
NAMED: dict[str, Any] = {UNITS: unit, PARTS: buffer_part.PARTS, STORES: store.STORES}
"""Sections whose keys are names that the file gives, and what knows the parameters below a name."""

_OF_ROWS = ("array.rows", "array.cols")
LIKE, CHANGES = "like", "set"
_HEADING = ("name", "description", "source", "notes")
_BESIDE = (
    "provenance",
    "notes",
    LIKE,
    CHANGES,
    CONSTRAINTS,
    *NAMED,
)  # what a file says beside its parameters


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


def parameters() -> dict[str, Parameter]:
    """Return every parameter by its dotted path, in the order of the schema.

    Example:
        >>> parameters()["array.rows"].allowed
        'an integer from 1 to 4096 (PEs)'
    """
    return _parameters(tuple(DECLARED))


@cache
def _parameters(_dataflows: tuple[str, ...]) -> dict[str, Parameter]:
    schema = Specification.model_json_schema()
    found: dict[str, Parameter] = {}
    _walk(schema, schema["$defs"], "", found)
    return found


@cache
def sections() -> dict[str, tuple[str, ...]]:
    """Return the keys of every section by its dotted path; the whole file is ``""``.

    Example:
        >>> sections()["memory"]
        ('global_buffer', 'dram', 'stays', 'placement', 'prefetch', 'row_words')
    """
    keys: dict[str, dict[str, None]] = {}
    for path in parameters():
        parts = path.split(".")
        for depth, key in enumerate(parts):
            keys.setdefault(".".join(parts[:depth]), {})[key] = None
    return {path: tuple(names) for path, names in keys.items()} | {OVERRIDES: LEVELS}


def is_leaf(path: str) -> bool:
    """Return whether *path* names a single value: a parameter, or one level of ``energy.overrides``."""
    if path in (*_BESIDE, OVERRIDES):
        return False
    if named := _named(path):
        return bool(NAMED[named].is_leaf(_below(named, path)))
    part: Any = (
        Specification  # the schema, from which ``parameters`` come, takes longer to make than a file to read
    )
    for key in path.split("."):
        fields = getattr(part, "model_fields", {})
        if key not in fields:
            return path.rpartition(".")[0] == OVERRIDES
        part = fields[key].annotation
    return not hasattr(part, "model_fields")


def is_path(path: str) -> bool:
    """Return whether *path* names a parameter or a section."""
    if named := _named(path):
        return bool(NAMED[named].is_path(_below(named, path)))
    return bool(path) and (is_leaf(path) or path in sections() or path in (CONSTRAINTS, *NAMED))


def _named(path: str) -> str:
    """Which of ``NAMED`` *path* is below; empty where it is below none."""
    return next((section for section in NAMED if path.startswith(f"{section}.")), "")


def _below(section: str, path: str) -> str:
    """The part of *path* after *section*."""
    return path.removeprefix(f"{section}.")


def choices(path: str) -> tuple[str, ...]:
    """Return the words that the value at *path* (or an item of its list) may be; () where it is no choice."""
    if path == "provenance":
        return ("paper", "datasheet", "calibrated", "guess")
    if named := _named(path):
        return tuple(NAMED[named].choices(_below(named, path)))
    parameter = parameters().get(_without_index(path))
    return parameter.choices if parameter else ()


def allowed_text(path: str) -> str:
    """Return in words what the value at *path* may be; for a section, its keys."""
    if listed := _listed(path):
        return str(LISTED[listed].allowed_text(_in_item(path)))
    if named := _named(path):
        return str(NAMED[named].allowed_text(_below(named, path)))
    path, item = _without_index(path), path.endswith("]")
    beside = {
        CONSTRAINTS: f"a list of up to 100 mappings with the keys {', '.join(constraint.keys_of(''))}",
        UNITS: "a mapping of up to 16 names of units, each with any of " + ", ".join(unit.keys_of("one")),
        PARTS: "a mapping of up to 8 names of parts, each with any of "
        + ", ".join(buffer_part.PARTS.paths()),
        STORES: "a mapping of up to 8 names of stores, each with any of " + ", ".join(store.STORES.paths()),
        LIKE: "the name of a shipped accelerator",
        CHANGES: "a mapping of dotted paths such as 'array.rows'",
        "notes": "a text of up to 1000 characters" if item else "texts of up to 1000 characters",
    }
    if path in beside or path.startswith(f"{OVERRIDES}."):
        return beside.get(path, "a number from 0 to 1e9")
    if item:
        words = choices(path)
        return f"one of {', '.join(words)}" if len(words) > 1 else words[0]
    if path in parameters():
        return parameters()[path].allowed
    return f"a mapping with the keys {', '.join(_keys_of(path))}"


def _keys_of(section: str) -> tuple[str, ...]:
    """The keys of a section at a dotted path, what stands beside the parameters among them."""
    if listed := _listed(section):
        return tuple(LISTED[listed].keys_of(_in_item(section)))
    if named := _named(section):
        return tuple(NAMED[named].keys_of(_below(named, section)))
    beside = (key for above, _, key in (path.rpartition(".") for path in _BESIDE[1:]) if above == section)
    return (*sections().get(section, ()), *beside)


def _listed(path: str) -> str:
    """Which of ``LISTED`` *path* is an item of, or stands in one: ``mapper.constraints[0].tile``; empty: none."""
    return next((section for section in LISTED if path.startswith(f"{section}[")), "")


def _in_item(path: str) -> str:
    """The part of a path below its item of a list."""
    return path.partition("]")[2].lstrip(".")


def unknown_key(key: str, section: str) -> str:
    """Return the message for a key that *section* does not have, with the nearest key here or elsewhere."""
    known = _keys_of(section)
    hint = nearest(key, known) or _elsewhere(key)
    return f"unknown key {key!r}{f' in {section}' if section else ''}; allowed: {', '.join(known)}{hint}"


def unknown_path(path: str) -> str:
    """Return the message for a dotted path that no accelerator has, with the nearest ones."""
    if path == CONSTRAINTS or path.startswith(f"{CONSTRAINTS}."):
        return f"{CONSTRAINTS} are those of the file; allowed: dotted paths such as 'array.rows'"
    if named := _named(path):
        keys = ", ".join(NAMED[named].paths())
        return f"unknown parameter {path!r}; allowed: {named}.NAME.KEY, KEY one of {keys}"
    above, _, key = path.rpartition(".")
    siblings = [name for name in sections().get(above, ()) if nearest(key, [name])]
    known = [*parameters(), *(name for name in sections() if name)]
    hint = _did_you_mean([f"{above}.{name}" if above else name for name in siblings])
    hint = hint or _elsewhere(key) or nearest(path, known)
    return f"unknown parameter {path!r}; allowed: dotted paths such as 'array.rows'{hint}"


def _elsewhere(key: str) -> str:
    """A hint at the paths that end in *key*."""
    known = dict.fromkeys((*sections(), *parameters(), CONSTRAINTS))
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
        elif path not in _BESIDE:
            unit = node.get("unit", "")
            found[path] = Parameter(
                path=path,
                unit=unit,
                allowed=allowed_words(node) + (f" ({unit})" if unit not in ("", "1") else ""),
                choices=choices_of(node),
                default=node.get("default"),
                required=key in schema.get("required", ()),
                description=node["description"],
            )


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
            is_value = is_leaf(path) or (path.startswith(tuple(LISTED)) and self.kind != "unknown")
            if depth == len(self.location) - 1 and is_value:
                position = _annotated(tree, "").position
        return position


def explain(detail: ErrorDetails) -> Mistake:
    """Return pydantic's error as a mistake: what was found, what is allowed, the nearest valid word."""
    location, found = detail["loc"], detail["input"]
    if location[:1] == ("provenance",):
        return _in_annotation(location, detail)
    if location[-1:] == ("[key]",):
        location = location[:-1]
        section, is_ours = _dotted(location[:-1]), detail["type"] == "value_error"
        text = f"{section} {_said(detail)}" if is_ours else unknown_key(str(location[-1]), section)
        return Mistake(location, text, "unknown" if is_ours else "value")
    path = _dotted(location)
    match detail["type"]:
        case "missing":
            return Mistake(location, f"{path} is missing; allowed: {allowed_text(path)}", "missing")
        case "extra_forbidden" | "invalid_key":
            return Mistake(location, unknown_key(str(location[-1]), _dotted(location[:-1])), "unknown")
        case "value_error":
            return Mistake(location, f"{path} {_said(detail)}")
    where, allowed = path or "the file", allowed_text(path) + _hint(path, detail)
    return Mistake(location, f"{where} is {shown(found)}; allowed: {allowed}")


def _said(detail: ErrorDetails) -> str:
    """What a check of ours says."""
    return detail["msg"].removeprefix("Value error, ")


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
        return "a mapping" if value else "an empty mapping"
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


def _dotted(location: Sequence[str | int]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def load(path: str | PathLike[str], kind: type[Record]) -> Record:
    """Read the accelerator in a YAML file; HardwareError with all mistakes, each with its line and a caret."""
    return from_text(read_source(path), kind)


def load_shipped(name: str, kind: type[Record]) -> Record:
    """Read the shipped accelerator *name*; the same record while its file has the same text."""
    found: Record = _from_shipped(read_source(shipped.directory() / f"{name}.yaml"), kind)
    return found


@lru_cache(maxsize=64)
def _from_shipped(source: Source, kind: type[Record]) -> Record:
    return from_text(source, kind)


def pointing(path: str | PathLike[str], location: Location, message: str) -> SqueezesimError:
    """Return the error *message* about what stands at *location* in a YAML file that was read, with line and caret."""
    source = read_source(path)
    return source.error(message, Mistake(location, message).position(parse(source)))


def from_text(source: Source, kind: type[Record]) -> Record:
    """Build the accelerator that a YAML text describes; HardwareError with all mistakes."""
    tree = parse(source)
    built = _build(tree.plain(), kind)
    if not isinstance(built, list):
        return built
    # What stands in the file goes before what is missing: it is more often the cause.
    built.sort(key=lambda mistake: (mistake.kind == "missing", mistake.position(tree)))
    texts = [str(source.error(each.message, each.position(tree))) for each in built[:_SHOWN]]
    raise HardwareError(*texts, *_others(len(built)))


def from_dict(data: Mapping[str, object], kind: type[Record]) -> Record:
    """Build the accelerator that nested mappings describe; HardwareError with all mistakes."""
    built = _build(data, kind)
    if not isinstance(built, list):
        return built
    built.sort(key=lambda mistake: mistake.kind == "missing")
    raise HardwareError(*(each.message for each in built[:_SHOWN]), *_others(len(built)))


def replace(accelerator: Record, changes: Mapping[str, object]) -> Record:
    """Return a validated copy with the values at dotted paths changed; see Accelerator.replace."""
    old = to_dict(accelerator)
    new = deepcopy(old)
    for path, value in changes.items():
        if not is_path(path):
            raise HardwareError(unknown_path(path))
        plain = value.model_dump() if isinstance(value, BaseModel) else deepcopy(value)
        if not is_leaf(path) and path != CONSTRAINTS and not isinstance(plain, dict):
            raise HardwareError(section_mistake(path, plain))
        if path in _OF_ROWS and not accelerator.array.dataflows and "array.dataflows" not in changes:
            raise HardwareError(
                f"{path}: {accelerator.name} has units alone; allowed: parameters of {UNITS}, or array.rows, "
                "array.cols and array.dataflows together"
            )
        if named := _named(path):
            found: Any = _get(old, named) or ()
            known = tuple(found)
            name = _below(named, path).partition(".")[0]
            if name not in known:
                raise HardwareError(f"{path}: {NAMED[named].unknown(name, known)}")
        *above, key = path.split(".")
        section = new
        for name in above:
            section = section.setdefault(name, {})
        section[key] = plain
    changed = from_dict(new, type(accelerator))
    after = to_dict(changed)
    kept = {
        path: origin
        for path, origin in accelerator.provenance.items()
        if _get(after, path) == _get(old, path)
    }
    return changed.model_copy(update={"provenance": FrozenDict({**kept, **changed.provenance})})


def parsed_settings(texts: Sequence[str]) -> dict[str, object]:
    """Return the values at dotted paths that ``PATH=VALUE`` say; words of a list have + between, ``none`` is empty.

    A list may be written as in YAML, too.

    Raises:
        HardwareError: there is no such parameter, with the nearest ones.
        UsageError: a text is no ``PATH=VALUE``, or a path stands twice.

    Example:
        >>> parsed_settings(["array.rows=16", "array.dataflows=ws+os", "array.post_ops=[add, pool]"])
        {'array.rows': 16, 'array.dataflows': ['ws', 'os'], 'array.post_ops': ['add', 'pool']}
    """
    found: dict[str, object] = {}
    for text in texts:
        path, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not value:
            raise UsageError(f"--set {text!r}; allowed: PATH=VALUE, as array.rows=16")
        if not is_leaf(path):
            raise HardwareError(unknown_path(path))
        if path in found:
            raise UsageError(f"--set {path} is given twice; allowed: once")
        listed = value[1:-1].replace(",", "+") if value[0] + value[-1] == "[]" else value
        words = [] if listed.strip() in ("", "none") else [word.strip() for word in listed.split("+")]
        found[path] = words if allowed_text(path).startswith("a list") else plain_scalar(value)
    return found


def settings(changes: Mapping[str, object]) -> list[str]:
    """Return *changes* as the texts that ``parsed_settings`` reads.

    Example:
        >>> settings({"array.rows": 16, "array.dataflows": ["ws", "os"], "array.ports": None})
        ['array.rows=16', 'array.dataflows=ws+os', 'array.ports=null']
    """
    return [f"{path}={_setting(value)}" for path, value in changes.items()]


def _setting(value: object) -> str:
    if isinstance(value, list | tuple):
        return "+".join(map(str, value)) or "none"
    return "null" if value is None else str(value)


def changed_name(name: str, changes: Mapping[str, object]) -> str:
    """Return what an accelerator called *name* is called after *changes*.

    Example:
        >>> changed_name("os_32x32", {"array.rows": 16, "memory.dram.bandwidth_gb_s": 6.4})
        'os_32x32+rows-16+bandwidth-gb-s-6.4'
    """
    brief = (f"{path.rpartition('.')[2]}-{value}" for path, value in changes.items())
    return "+".join([name, *(re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-") for text in brief)])[:100]


def to_dict(accelerator: Specification) -> dict[str, Any]:
    """Return the parameters as nested dictionaries, without provenance."""
    data = accelerator.model_dump(exclude={"provenance"})
    memory = accelerator.memory  # whose keys files leave out where they say nothing
    data["memory"] = {"prefetch": memory.prefetch, "stays": memory.stays.model_dump(), **data["memory"]}
    buffer = data["memory"]["global_buffer"]
    data["memory"]["global_buffer"] = {"layout": memory.global_buffer.layout, **buffer}
    return data


def to_yaml(accelerator: Specification) -> str:
    """Return YAML text that reads back as an equal accelerator, in schema order, nulls left out."""
    data = accelerator.model_dump(exclude={"provenance"})
    for path in accelerator.provenance:  # a default with a source is written
        *above, key = path.split(".")
        section = data
        for name in above:
            section = section.setdefault(name, {})
        if path in parameters():
            section.setdefault(key, parameters()[path].default)
    written = _written(data, "", accelerator)
    return yaml.dump(written, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)


def to_changes_yaml(name: str, base: str, changes: Mapping[str, object]) -> str:
    """Return YAML text of an accelerator called *name*: the shipped one *base* with *changes*."""
    written = {"name": name, LIKE: base, **({CHANGES: dict(changes)} if changes else {})}
    return yaml.dump(written, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)


def _build(data: object, kind: type[Record]) -> Record | list[Mistake]:
    """The accelerator, or what is wrong with its data."""
    if isinstance(data, Mapping) and (LIKE in data or CHANGES in data):
        return _build_like(data, kind)
    provenance: dict[str, object] = {}
    values = _unwrap(data, "", provenance)
    misplaced = isinstance(values, dict) and "provenance" in values
    if isinstance(values, dict):
        values = {**values, "provenance": provenance}
    mistakes = []
    if misplaced:
        message = "provenance is no section; allowed: {value: …, provenance: …} at a parameter"
        mistakes.append(Mistake(("provenance",), message))
    validated = _validated(values, kind)
    if isinstance(validated, list):
        return without_renamed([*mistakes, *validated])
    return mistakes or validated


def _validated(values: object, kind: type[Record]) -> Record | list[Mistake]:
    """The accelerator of plain values with their ``provenance``, or what is wrong with them."""
    try:
        accelerator = kind.model_validate(values)
    except ValidationError as error:
        return [explain(detail) for detail in error.errors(include_url=False)]
    return [*_absent_dataflows(accelerator)] or accelerator


def _build_like(data: Mapping[str, object], kind: type[Record]) -> Record | list[Mistake]:
    """The shipped accelerator that ``like`` names with the parameters of ``set`` in place of its own."""
    mistakes = [_key_beside_like(key) for key in data if key not in (*_HEADING, LIKE, CHANGES)]
    name, given = data.get(LIKE), data.get(CHANGES, {})
    if name not in shipped.names():
        known = ", ".join(shipped.names())
        hint = nearest(name, shipped.names()) if isinstance(name, str) else ""
        mistakes.append(Mistake((LIKE,), f"{LIKE} is {shown(name)}; allowed: {known}{hint}"))
    if not isinstance(given, Mapping):
        text = f"{CHANGES} is {shown(given)}; allowed: a mapping of dotted paths such as 'array.rows'"
        return [*mistakes, Mistake((CHANGES,), text)]
    mistakes += [
        Mistake((CHANGES, path), unknown_path(path))
        for path in given
        if not is_path(path) or (not is_leaf(path) and path != CONSTRAINTS)
    ]
    if mistakes:
        return mistakes
    base = load_shipped(str(name), kind)
    values = {**to_dict(base), **dict.fromkeys(_HEADING[:3], ""), **{key: data[key] for key in data}}
    provenance: dict[str, object] = {key: each.model_dump() for key, each in base.provenance.items()}
    for path, item in given.items():
        provenance.pop(path, None)
        *above, key = path.split(".")
        section = values
        for step in above:
            section = section.setdefault(step, {})
        section[key] = _unwrap(item, path, provenance)
    del values[LIKE]
    values.pop(CHANGES, None)
    if "name" not in data:
        del values["name"]
    validated = _validated({**values, "provenance": provenance}, kind)
    return [_in_changes(each, given) for each in validated] if isinstance(validated, list) else validated


def _key_beside_like(key: str) -> Mistake:
    known = (*_HEADING, LIKE, CHANGES)
    text = f"key {key!r} stands beside {LIKE}; allowed: {', '.join(known)}, and dotted paths in {CHANGES}"
    return Mistake((key,), text)


def _at(mistake: Mistake, location: Location) -> Mistake:
    return Mistake(location, mistake.message, mistake.kind)


def _in_changes(mistake: Mistake, given: Mapping[str, object]) -> Mistake:
    """A mistake of the whole accelerator where it stands in the file: at the path in ``set`` that it is about."""
    about = _dotted(mistake.location)
    for path in given:
        if about == path or about.startswith((f"{path}.", f"{path}[")):
            rest = mistake.location[path.count(".") + 1 :]
            return _at(mistake, (CHANGES, path, *rest))
    below = next((path for path in given if path.startswith(f"{about}.")), None)
    return mistake if below is None else _at(mistake, (CHANGES, below))


def _absent_dataflows(accelerator: Specification) -> Iterator[Mistake]:
    """Constraints that name no dataflow, or allow none of the array's dataflows and units."""
    own = accelerator.array.flows
    known = (*DECLARED, *accelerator.array.units)
    for number, each in enumerate(accelerator.mapper.constraints):
        where: Location = (*CONSTRAINTS.split("."), number, "dataflow")
        unknown = [name for name in each.dataflow or () if name not in known]
        if unknown:
            several = "has" if len(each.dataflow or ()) > 1 else "is"
            text = f"{_dotted(where)} {several} {unknown[0]!r}; allowed: one or more of {', '.join(known)}"
            yield Mistake(where, text + nearest(unknown[0], known))
        elif each.dataflow and not set(each.dataflow) & set(own):
            message = (
                f"{_dotted(where)} allows {' or '.join(each.dataflow)}, the array has {' and '.join(own)}"
            )
            yield Mistake(where, f"{message}; allowed: one or more of array.dataflows or array.units")


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


_SHOWN = 20  # mistakes of a file


def _others(count: int) -> list[str]:
    """What says how many mistakes are not shown."""
    return [f"and {count - _SHOWN} more"] * (count > _SHOWN)


def _written(data: Mapping[str, Any], above: str, accelerator: Specification) -> dict[str, object]:
    written: dict[str, object] = {}
    for key, value in data.items():
        path = f"{above}{key}"
        origin = accelerator.provenance.get(path)
        if isinstance(value, Mapping):
            if section := _written(value, f"{path}.", accelerator):
                written[key] = section
        elif path == CONSTRAINTS:
            written[key] = [_Flow(each) for each in value]
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
