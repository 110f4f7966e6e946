"""The JSON schema of ``report.json``."""

from __future__ import annotations

from typing import Any

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.energy import LEVELS
from squeezesim.cost.evaluate import BOUNDS
from squeezesim.cost.steps import AXES
from squeezesim.cost.tiling import ORDERS
from squeezesim.report.columns import TOTALS
from squeezesim.report.dictionary import COLUMNS, SCALESIM_COLUMNS, Entry
from squeezesim.report.document import FORMAT, VERSION

_TYPES = {"text": "string", "integer": "integer", "number": "number"}

Schema = dict[str, Any]


def report_schema() -> Schema:
    """Return the JSON schema (draft 2020-12) of the reports that this version writes.

    Of the network and the accelerator it says only what they are: a ``.graph.json`` and an accelerator with all its
    defaults.
    """
    entries = {entry.name: entry for entry in (*COLUMNS, *SCALESIM_COLUMNS)}
    exact = {
        "order": {"enum": list(ORDERS)},
        "tile": _sizes(AXES, "integer"),
        "pointwise": {"type": "boolean"},
        "time_cycles": _sizes(BOUNDS, "integer"),
        "energy": _sizes(LEVELS, "number"),
    }
    layer = {name: _column(entry) for name, entry in entries.items()} | exact
    layer["dataflow"] = {"enum": ["", *DATAFLOWS]}
    layer["bound"] = {"enum": ["", *BOUNDS]}
    required = [*(entry.name for entry in COLUMNS), *exact]
    document = {
        "format": {"const": FORMAT},
        "version": {"const": VERSION},
        "made_by": _object(
            {"squeezesim": {"type": "string"}, "command": {"type": "array", "items": {"type": "string"}}},
            ["squeezesim"],
        ),
        "totals": _object({name: _column(entries[name]) for name in TOTALS}),
        "accelerator": {"type": "object", "required": ["name", "clock_mhz", "array", "memory"]},
        "network": {"type": "object", "required": ["format", "version", "name", "layers"]},
        "layers": {"type": "array", "items": _object(layer, required)},
    }
    written = [key for key in document if key != "made_by"]  # one that was read without it is written so
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Report",
        **_object(document, written),
    }


def _column(entry: Entry) -> Schema:
    kind = _TYPES[entry.kind]
    schema: Schema = {"type": [kind, "null"] if entry.can_be_empty else kind}
    if entry.kind != "text":
        schema["minimum"] = 0
    if entry.unit:
        schema["unit"] = entry.unit
    return schema | {"description": entry.meaning}


def _sizes(names: tuple[str, ...], kind: str) -> Schema:
    return _object({name: {"type": kind, "minimum": 0} for name in names})


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }
