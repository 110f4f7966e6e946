"""The JSON schema of an accelerator file, for editors, and the table of its keys, for the documentation."""

from __future__ import annotations

from typing import Any

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.mistakes import shown
from squeezesim.hardware.paths import OVERRIDES, Parameter, parameters
from squeezesim.markup import Markdown, code, markdown_table


def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of an accelerator file.

    Each parameter may be its value or ``{value: …, provenance: …, source: …}``.
    """
    whole = Accelerator.model_json_schema()
    definitions = whole["$defs"]
    annotation = definitions.pop("Provenance")
    del whole["properties"]["provenance"]
    for section in (whole, *definitions.values()):
        properties = section["properties"]
        for key, node in properties.items():
            if "$ref" not in node and not (section is definitions.get("Energy") and key == "overrides"):
                properties[key] = _annotatable(node, annotation)
    energy = definitions["Energy"]["properties"]
    energy["overrides"]["additionalProperties"] = _annotatable(
        energy["overrides"]["additionalProperties"], annotation
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


def key_table() -> str:
    """Return a Markdown table of every key: what it may be, its unit, its default and its meaning."""
    rows = []
    for parameter in parameters().values():
        unit = "–" if parameter.unit in ("", "1") else parameter.unit
        allowed = parameter.allowed.removesuffix(f" ({parameter.unit})")
        description = Markdown(parameter.description)
        rows.append((code(parameter.path), allowed, unit, _default(parameter), description))
    return markdown_table(("key", "allowed", "unit", "default", "meaning"), rows, left=range(5))


def _annotatable(node: dict[str, Any], annotation: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that may be given plainly or with its provenance."""
    outer: dict[str, Any] = {
        key: node[key] for key in ("title", "description", "default", "unit") if key in node
    }
    inner = {key: item for key, item in node.items() if key not in outer and key != "allowed"}
    properties = {"value": inner, **annotation["properties"]}
    annotated = {
        "type": "object",
        "properties": properties,
        "required": ["value", "provenance"],
        "additionalProperties": False,
    }
    return {**outer, "anyOf": [inner, annotated]}


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    if parameter.path == OVERRIDES:
        return code("{}")
    if parameter.default == "":
        return "empty"
    if isinstance(parameter.default, list):
        return code(f"[{', '.join(parameter.default)}]")
    if isinstance(parameter.default, float):
        return code(f"{parameter.default:g}")
    return code(parameter.default if isinstance(parameter.default, str) else shown(parameter.default))
