from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from squeezesim.hardware import Accelerator, energy_costs, tables
from squeezesim.hardware.catalog import directory, named, names
from squeezesim.hardware.config import OVERRIDES, from_text, parameters, sections, to_dict
from squeezesim.hardware.display import Row, dram_text, ideals, key_table, rows, schema, setup_text
from squeezesim.yaml_tree import Source, parse, read_source
from tests.hardware.strategies import annotate, annotated_accelerators

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
    if set(node) == {"required"}:
        return isinstance(value, dict) and all(key in value for key in node["required"])
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
        ("array.units", {"conv": {"unroll": {"q": 4}}}),
        ("array.units", {"conv": {"stationary": "outputs"}}),
        ("memory.global_buffer.parts", {"a": {"size_kib": 4, "holds": ["maps"]}}),
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
        ("mapper.constraints", [{"layer": "a"}]),
        ("mapper.constraints", [{"op": "conv"}]),
        ("mapper.constraints", [{"stays": ["weight"]}]),
        ("mapper.constraints", [{"stays": []}]),
        ("mapper.constraints", [{"tile": {"k": 0}}]),
        ("mapper.constraints", [{"tile": {"k": {"most": 4}}}]),
        ("mapper.constraints", {"value": [], "provenance": "paper"}),
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
        *("mapper", "dma", "sparsity", "vector", "host", "energy"),
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


def test_the_constraints_on_the_page_are_those_of_an_accelerator() -> None:
    text = PAGE.partition("## Constraints on the mapper")[2].partition("```yaml\n")[2].partition("```")[0]
    read = yaml.safe_load(text)
    hw = Accelerator.named("hybrid_32x32").replace({"mapper.constraints": read["mapper"]["constraints"]})
    assert [row.value for row in rows(hw) if row.path.startswith("mapper.constraints[")] == [
        "layers stage1.*, op conv2d or depthwise: dataflow ws, order PKC or PCK, "
        "8 ≤ x ≤ 32, x a multiple of 8, k 16, c ≤ 64",
        "op linear: order KCP, stays weights",
    ]
    assert from_text(Source("f.yaml", hw.to_yaml()), Accelerator) == hw
    assert hash(hw) != hash(Accelerator.named("hybrid_32x32"))


HW = Accelerator.named("squeezelerator_8x8").replace({"energy.overrides": {}})


def test_a_row_for_every_parameter() -> None:
    assert [row.path for row in rows(HW)] == [path for path in parameters() if path != OVERRIDES]


def test_rows_have_what_a_unit_leaves_out() -> None:
    found = {row.path: row for row in rows(Accelerator.named("dpu_b4096"))}
    assert found["array.units.conv.stationary"].value == "outputs"
    assert found["array.units.conv.interval"][1:3] == ("1", "cycles")
    assert found["array.units.depthwise.output_words"][1:3] == ("null", "words/cycle")
    assert "array.units.conv.unroll.y" not in found


def test_rows_have_value_unit_and_provenance() -> None:
    by_path = {row.path: row for row in rows(HW)}
    assert by_path["array.ports"] == Row("array.ports", "null", "words/cycle", "", "")
    assert by_path["memory.dram.latency_ns"] == Row("memory.dram.latency_ns", "null", "ns", "", "")
    assert by_path["array.dataflows"].value == "[ws, os]"
    assert by_path["name"].value == "squeezelerator_8x8"
    assert by_path["memory.dram.usable_fraction"] == Row(
        "memory.dram.usable_fraction", "0.95", "1", "calibrated", "arXiv 1803.10615v2, times of Table 3"
    )


def test_overrides_are_rows_of_their_own() -> None:
    changed = HW.replace({"energy.overrides.dram": {"value": 99.5, "provenance": "paper", "source": "a"}})
    row = next(row for row in rows(changed) if row.path == "energy.overrides.dram")
    assert row == Row("energy.overrides.dram", "99.5", "the table's unit", "paper", "a")


def test_what_is_left_out_is_ideal_and_said() -> None:
    plain: dict[str, object] = HW.model_dump(exclude={"provenance"})
    plain["memory"] = {"global_buffer": {"size_kib": 64}, "dram": {"bandwidth_gb_s": 4}}
    plain["control"] = {}
    bare = Accelerator.from_dict(plain)
    assert list(ideals(bare)) == [
        "memory.dram.usable_fraction",
        "memory.dram.latency_ns",
        "control.layer_setup_cycles",
    ]
    assert (dram_text(bare), setup_text(bare)) == ("DRAM 4 GB/s × 100 %, no latency", "no set-up")


def test_what_is_given_is_not_ideal() -> None:
    given = Accelerator.named("os_32x32")
    assert not ideals(given)
    assert dram_text(given) == "DRAM 12.8 GB/s × 80 %, latency 100 ns"
    assert setup_text(given) == "set-up 1,000 cycles a layer"
    cycles = given.replace({"memory.dram.latency_ns": None, "memory.dram.latency_cycles": 7})
    assert dram_text(cycles).endswith("latency 7 cycles")
