from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.catalog import directory
from squeezesim.hardware.display import rows, schema
from tests.cli.conftest import Run


def test_list_names_every_shipped_accelerator(run: Run) -> None:
    code, out, err = run("hw", "list")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["name", *Accelerator.names()]


def test_show_prints_every_parameter_and_the_sources(run: Run) -> None:
    code, out, err = run("hw", "show", "squeezelerator_16x16")
    assert (code, err) == (0, "")
    hardware = Accelerator.named("squeezelerator_16x16")
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    for row in rows(hardware):
        assert row.path in lines or f"{row.path}:" in lines
        if row.source:
            number = lines[row.path].rpartition("[")[2].removesuffix("]")
            assert f"[{number}] {row.source}\n" in out
            assert f" {row.provenance} [{number}]" in lines[row.path]


def test_check_says_what_is_right(run: Run) -> None:
    code, out, err = run("hw", "check", "small_8x8.yaml")
    assert (code, err) == (0, "")
    assert out.startswith("ok: small_8x8\n")


def test_check_points_at_a_mistake(run: Run) -> None:
    Path("wrong.yaml").write_text("name: wrong\nclock_mz: 100\n")
    code, out, err = run("hw", "check", "wrong.yaml")
    assert (code, out) == (2, "")
    assert err.startswith("error: wrong.yaml:2:1: unknown key 'clock_mz'; allowed: name, ")
    assert err.endswith("\n  clock_mz: 100\n  ^\n")


def test_schema_is_the_json_schema(run: Run) -> None:
    code, out, err = run("hw", "schema")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(json.dumps(schema()))


def test_control_characters_of_a_file_are_escaped(run: Run, tmp_path: Path) -> None:
    text = (directory() / "os_32x32.yaml").read_text(encoding="utf-8")
    file = tmp_path / "a.yaml"
    file.write_text(re.sub("description: .*", r'description: "\\e[31mred\\a"', text), encoding="utf-8")
    for command in ("show", "check"):
        code, out, _ = run("hw", command, str(file))
        assert code == 0
        assert r"\x1b[31mred\x07" in out
        assert out.replace("\n", "").isprintable()


def test_data_of_lists_and_parameters(run: Run) -> None:
    listed = json.loads(run("hw", "list", "--format", "json")[1])
    assert [(row["rows"], row["dram_gb_s"]) for row in listed if row["name"] == "os_32x32"] == [(32, 12.8)]
    rows = list(csv.DictReader(run("hw", "show", "os_32x32", "--format", "csv")[1].splitlines()))
    assert {row["path"]: row["value"] for row in rows}["memory.dram.usable_fraction"] == "0.8"
