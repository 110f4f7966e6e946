"""Networks as JSON text, one layer a line; all that is read is checked, for it may be a stranger's."""

from __future__ import annotations

import json
from dataclasses import fields
from os import PathLike, fspath
from typing import Any, NoReturn

from squeezesim.errors import ModelError, nearest
from squeezesim.files import read_bytes
from squeezesim.network.checks import show
from squeezesim.network.graph import Network, Unmodelled
from squeezesim.network.layer import Layer

FORMAT = "squeezesim.network"
VERSION = 2
_READ = (
    1,
    2,
)  # version 1 had no recurrences, each of their steps was a layer, and said nothing of what layers share
MAX_BYTES = 256 * 2**20
"""Largest file that is read; a network of 100,000 layers takes about 30 MB."""

# A layer's ``module`` is left out where it equals the name, ``inputs`` where it reads just the layer before.
_DEFAULTS = {field.name: field.default for field in fields(Layer) if field.name not in ("name", "op", "kind")}
_KEYS = frozenset(_DEFAULTS) | {"name", "op", "kind"}
_TUPLES = ("inputs", "fused", "carried", "shared", "stride", "dilation", "padding")
_HEADER = ("format", "version", "name", "source", "inputs", "unread_params", "unmodelled", "notes", "layers")


def encode(network: Network) -> str:
    """Return *network* as JSON, defaults left out; equal networks give the same text."""
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "name": network.name,
        "source": network.source,
        "inputs": {name: list(shape) for name, shape in network.inputs},
        "unread_params": network.unread_params,
        "unmodelled": [[item.op, item.count, item.module] for item in network.unmodelled],
        "notes": list(network.notes),
    }
    lines = [f"{json.dumps(key)}: {_dump(value)}," for key, value in header.items()]
    previous = _first_input(network.inputs)
    rows: list[str] = []
    for layer in network.layers:
        rows.append(_dump(_encode_layer(layer, previous)))
        previous = (layer.name,)
    return "{\n" + "\n".join(lines) + '\n"layers": [\n' + ",\n".join(rows) + "\n]\n}\n"


def decode(text: str | bytes) -> Network:
    """Return the network that *text* describes.

    Raises:
        ModelError: one line that says what is wrong.
    """
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ModelError("a network file is nested too deeply") from None
    except ValueError as error:  # bad JSON, bad UTF-8, an integer of thousands of digits
        raise ModelError(f"a network file is not JSON: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelError(f'no network file: it must be an object with "format": "{FORMAT}"')
    if document.get("version") not in _READ:
        read = " and ".join(map(str, _READ))
        raise ModelError(
            f"a network file of version {show(document.get('version'))}; this program reads {read}"
        )
    _no_unknown_keys("the network file", document, _HEADER)
    inputs = _mapping(document, "inputs")
    shapes = tuple(
        (name, tuple(_list(shape, f"the shape of input {show(name)}"))) for name, shape in inputs.items()
    )
    layers: list[Layer] = []
    previous = _first_input(shapes)
    for number, record in enumerate(_list(document.get("layers"), "layers"), 1):
        layer = _decode_layer(record, number, previous)
        layers.append(layer)
        previous = (layer.name,)
    return Network(
        name=document.get("name", ""),
        layers=tuple(layers),
        inputs=shapes,
        unmodelled=tuple(_unmodelled(item) for item in _list(document.get("unmodelled", []), "unmodelled")),
        unread_params=document.get("unread_params", 0),
        notes=tuple(_list(document.get("notes", []), "notes")),
        source=document.get("source", ""),
    )


def read(path: str | PathLike[str]) -> Network:
    """Return the network in the file *path*.

    Raises:
        ModelError: the file is missing, unreadable, larger than 256 MiB or malformed.
    """
    content = read_bytes(path, MAX_BYTES, "network file", ModelError)
    try:
        return decode(content)
    except ModelError as error:
        raise ModelError(f"{fspath(path)!r}: {error}") from None


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _first_input(inputs: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[str, ...]:
    return (inputs[0][0],) if inputs else ()


def _encode_layer(layer: Layer, previous: tuple[str, ...]) -> dict[str, Any]:
    record: dict[str, Any] = {"name": layer.name, "op": layer.op, "kind": layer.kind}
    implied = _DEFAULTS | {"module": layer.name, "inputs": previous}
    for key, default in implied.items():
        value = getattr(layer, key)
        if value != default:
            record[key] = value
    return record


def _decode_layer(record: Any, number: int, previous: tuple[str, ...]) -> Layer:
    if not isinstance(record, dict):
        raise ModelError(f"layer {number} must be an object, found {show(record)}")
    _no_unknown_keys(f"layer {number}", record, _KEYS)
    for key in ("name", "op", "kind"):
        if key not in record:
            raise ModelError(f"layer {number} has no {key!r}")
    values = {"module": record["name"], "inputs": previous} | record
    for key in _TUPLES:
        if type(values.get(key)) is list:
            values[key] = tuple(values[key])
    return Layer(**values)


def _unmodelled(item: Any) -> Unmodelled:
    if not isinstance(item, list) or len(item) != 3:
        raise ModelError(f"an unmodelled operator must be [op, count, module], found {show(item)}")
    return Unmodelled(*item)


def _mapping(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise ModelError(f"{key} must be an object, found {show(value)}")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ModelError(f"{what} must be a list, found {show(value)}")
    return value


def _no_unknown_keys(where: str, record: dict[str, Any], known: frozenset[str] | tuple[str, ...]) -> None:
    if unknown := record.keys() - set(known):
        key = min(unknown)
        raise ModelError(f"{where} has the unknown key {show(key)}{nearest(key, known)}")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number here")
