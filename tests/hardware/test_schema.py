from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from squeezesim.hardware import Accelerator, energy_costs, tables
from squeezesim.hardware.catalog import directory, named, names
from squeezesim.hardware.config import OVERRIDES, from_text, parameters, sections, to_dict
from squeezesim.hardware.display import key_table, schema
from squeezesim.yaml_tree import Source, parse, read_source

from .strategies import annotate, annotated_accelerators

SCHEMA = schema()
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def valid(value: Any, node: dict[str, Any]) -> bool:
    """The part of JSON schema that SCHEMA uses, as an editor would apply it."""
    if "$ref" in node:
        return valid(value, SCHEMA["$defs"][node["$ref"].rpartition("/")[2]])
    checks = [any(valid(value, choice) for choice in node["anyOf"])] if "anyOf" in node else []
    if "type" in node:
        checks.append(isinstance(value, TYPES[node["type"]]) and not isinstance(value, bool))
    if "enum" in node:
        checks.append(value in node["enum"])
    if isinstance(value, dict):
        known, other = node.get("properties", {}), node.get("additionalProperties", {})
        words = node.get("propertyNames", {}).get("enum", value)
        checks += [key in words for key in value]
        checks += [other is not False and valid(value[key], other) for key in value.keys() - known.keys()]
        checks += [valid(value[key], known[key]) for key in value.keys() & known.keys()]
        checks += [key in value for key in node.get("required", ())]
    elif isinstance(value, list):
        checks += [
            len(value) >= node.get("minItems", 0),
            *(valid(item, node.get("items", {})) for item in value),
        ]
    elif isinstance(value, int | float):
        checks += [node.get("minimum", value) <= value, value <= node.get("maximum", value)]
        checks += [
            node.get("exclusiveMinimum", value - 1) < value,
            value < node.get("exclusiveMaximum", value + 1),
        ]
    return all(checks)


@pytest.mark.parametrize("name", names())
def test_shipped_files_are_valid(name: str) -> None:
    assert valid(parse(read_source(directory() / f"{name}.yaml")).plain(), SCHEMA)


@given(annotated_accelerators())
@settings(deadline=None, max_examples=50)
def test_accelerators_are_valid(data: dict[str, Any]) -> None:
    assert valid(data, SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("array.rows", 0),
        ("array.rows", 2.5),
        ("array.rowz", 3),
        ("array.dataflows", []),
        ("array.dataflows", ["xs"]),
        ("array.ports", 0),
        ("memory.dram.usable_fraction", 1.5),
        ("sparsity.weights", 1),
        ("energy.table", "none"),
        ("energy.overrides", {"drm": 3}),
        ("energy.overrides", {"dram": -3}),
        ("energy.pj_per_unit", 0),
        ("clock_mhz", {"value": 0, "provenance": "paper"}),
        ("clock_mhz", {"value": 1, "provenance": "hearsay"}),
        ("clock_mhz", {"value": 1}),
    ],
)
def test_mistakes_are_invalid(path: str, value: object) -> None:
    data = json.loads(json.dumps(to_dict(named("os_32x32", Accelerator))))
    assert valid(data, SCHEMA)
    *above, key = path.split(".")
    section = data
    for name in above:
        section = section[name]
    section[key] = value
    assert not valid(data, SCHEMA)


def test_every_parameter_takes_its_provenance() -> None:
    data = json.loads(json.dumps(to_dict(named("os_32x32", Accelerator))))
    for path in parameters():
        if path != OVERRIDES:
            changed = deepcopy(data)
            annotate(changed, path, "paper", "a source")
            assert valid(changed, SCHEMA), path


def test_every_key_is_described() -> None:
    for definition in (SCHEMA, *SCHEMA["$defs"].values()):
        assert definition["description"]
        for key, node in definition["properties"].items():
            assert node["description"], key
    assert all(parameter.description for parameter in parameters().values())
    assert sections()[""] == (
        *("name", "description", "source", "clock_mhz", "array", "precision", "memory", "control"),
        *("mapper", "dma", "sparsity", "vector", "energy"),
    )


PAGE = (Path(__file__).parents[2] / "docs" / "hardware.md").read_text(encoding="utf-8")


def test_the_page_has_the_table_of_the_schema() -> None:
    assert key_table() in PAGE


def test_the_example_on_the_page_is_an_accelerator() -> None:
    example = PAGE.partition("```yaml\n")[2].partition("```")[0]
    accelerator = from_text(Source("edge_16x16.yaml", example), Accelerator)
    assert accelerator.dram_bytes_per_cycle == pytest.approx(12.8)
    assert accelerator.dram_latency_cycles == 80
    assert energy_costs(accelerator).area_mm2 is not None


def test_the_energies_on_the_page_are_those_of_the_tables() -> None:
    for name in tables():
        paths = {"energy.table": name, "energy.overrides": {}, "memory.global_buffer.size_kib": 32}
        costs = energy_costs(named("squeezelerator_8x8", Accelerator).replace(paths))
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
        mac, register_file, inter_pe, _, dram = (cell.strip() for cell in row.split("|")[3:8])
        shown = [*map(float, mac.split("/")), float(register_file), float(inter_pe), float(dram)]
        word = (costs.register_file_per_bit, costs.inter_pe_per_bit, costs.dram_per_bit)
        expected = [costs.mac(8, 8, 32), costs.mac(16, 16, 32), *(16 * energy for energy in word)]
        assert shown == pytest.approx(expected, abs=5.1e-4)
