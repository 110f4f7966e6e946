from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.catalog import directory
from squeezesim.hardware.display import rows, schema
from squeezesim.hardware.shipped import GROUPS
from tests.cli.conftest import Run


def test_list_names_every_shipped_accelerator(run: Run) -> None:
    code, out, err = run("hw", "list")
    assert (code, err) == (0, "")
    listed = [line.split()[0] for line in out.splitlines() if line and not line[0].isdigit()]
    assert listed[0] == "name"
    assert sorted(listed[1:]) == [*Accelerator.names()]


def test_list_has_groups_and_errors(run: Run) -> None:
    found = json.loads(run("hw", "list", "--format", "json").out)
    assert [*dict.fromkeys(row["group"] for row in found)] == [*GROUPS]
    by_name = {row["name"]: row for row in found}
    assert by_name["os_32x32"]["error"] == by_name["dpu_b512"]["error"] == "not validated"
    assert re.fullmatch(r"\d+\.\d % of 5 networks, \d+\.\d % of 25 layers", by_name["dpu_b4096"]["error"])
    dpus = [row["name"] for row in found if row["name"].startswith("dpu")]
    assert dpus[:3] == ["dpu_b512", "dpu_b800", "dpu_b1024"]


def test_list_has_the_pes_of_units(run: Run) -> None:
    line = next(line for line in run("hw", "list").out.splitlines() if line.startswith("dpu_b4096"))
    assert line.split()[1:3] == ["device", "2,048"]
    rows_found = {row["name"]: row for row in json.loads(run("hw", "list", "--format", "json").out)}
    assert [rows_found["dpu_b4096"][key] for key in ("rows", "cols", "pes")] == [None, None, 2048]
    assert [rows_found["os_32x32"][key] for key in ("rows", "cols", "pes")] == [32, 32, 1024]


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
    assert "\n  clock_mz: 100\n  ^\n" in err
    assert err.count(" is missing; allowed: ") == 2  # the rest of the file, each with its line and caret


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


def test_data_of_an_accelerator_ends_with_what_is_derived(run: Run) -> None:
    """The buffer's area, beside the parameters; CACTI at 45 nm, 512 KiB of 256-bit words. Relative tables have none."""
    row = ["memory.global_buffer.area_mm2", "1.7977", "mm²", "derived", "energy table cacti_45nm"]
    found = json.loads(run("hw", "show", "os_32x32", "--format", "json").out)
    assert [*found[-1].values()] == row
    assert len(found) == len(rows(Accelerator.named("os_32x32"))) + 1
    lines = [*csv.reader(run("hw", "show", "os_32x32", "--format", "csv").out.splitlines())]
    assert (lines[-1], len(lines)) == (row, len(found) + 1)
    eyeriss = json.loads(run("hw", "show", "eyeriss", "--format", "json").out)
    assert [each["path"] for each in eyeriss] == [each.path for each in rows(Accelerator.named("eyeriss"))]


def test_a_new_file_is_an_accelerator_that_runs(run: Run) -> None:
    words = ("--pes", "16x8", "--sram", "0.5MiB", "--dram", "4GB/s", "--clock", "1GHz", "--bits", "4")
    code, out, err = run("hw", "new", "mine.yaml", *words)
    assert (code, out, err) == (0, "wrote mine.yaml; squeezesim hw check mine.yaml reads it\n", "")
    made = Accelerator.from_yaml("mine.yaml")
    assert (made.name, made.array.rows, made.array.cols, made.array.dataflows) == (
        "mine",
        16,
        8,
        ("ws", "os"),
    )
    assert (made.clock_mhz, made.memory.global_buffer.size_kib, made.precision.weight_bits) == (1000, 512, 4)
    assert made.dram_bytes_per_cycle == 3.2
    assert run("profile", "small.graph.json", "--hw", "mine.yaml", "--format", "csv").code == 0


def test_a_new_file_of_units(run: Run) -> None:
    code, _, _ = run("hw", "new", "dpu.yml", "--unit", "conv=c:16,k:16,x:8", "--unit", "depthwise=g:16, x:4")
    assert code == 0
    made = Accelerator.from_yaml("dpu.yml")
    assert made.array.flows == ("conv", "depthwise")
    assert made.array.units["depthwise"].unroll == {"g": 16, "x": 4}
    assert "null: one for each output of a unit's step" in Path("dpu.yml").read_text(encoding="utf-8")


def test_a_new_file_like_a_shipped_one_keeps_its_comments(run: Run) -> None:
    assert run("hw", "new", "mine.yaml", "--like", "os_32x32").code == 0
    text = Path("mine.yaml").read_text(encoding="utf-8")
    assert "# refresh, row misses" in text
    shipped = Accelerator.named("os_32x32")
    assert Accelerator.from_yaml("mine.yaml") == shipped.model_copy(update={"name": "mine"})


def test_what_a_new_file_cannot_be_is_one_line_and_no_file(run: Run) -> None:
    Path("old.yaml").write_text("mine", encoding="utf-8")
    for words, text in (
        (("old.yaml", "--pes", "4x4"), "old.yaml exists and is kept; allowed: another name"),
        (("a.txt", "--pes", "4x4"), "'a.txt' is no name of a YAML file; allowed: .yaml, .yml"),
        (("a.yaml",), "no array; allowed: --pes ROWSxCOLS, --unit NAME=LOOP:COUNT,… or --like NAME"),
        (("a.yaml", "--pes", "16"), "--pes '16'; allowed: ROWSxCOLS, as 16x16"),
        (
            ("a.yaml", "--pes", "4x4", "--sram", "1 acre"),
            "--sram '1 acre'; allowed: a number with a unit, as 256KiB",
        ),
        (("a.yaml", "--unit", "conv"), "--unit 'conv'; allowed: NAME=LOOP:COUNT,…, as conv=c:16,k:16,x:8"),
        (
            ("a.yaml", "--like", "os_32x32", "--bits", "8"),
            "--like copies the whole file; allowed: without --bits, or edit the copy",
        ),
        (
            ("a.yaml", "--unit", "conv=cc:16"),
            "--unit 'conv=cc:16' unrolls 'cc'; allowed: n, g, k, c, y, x, fy, fx, t, p; did you mean 'c'?",
        ),
    ):
        code, out, err = run("hw", "new", *words)
        assert (code, out, err) == (2, "", f"error: {text}\n")
    assert Path("old.yaml").read_text(encoding="utf-8") == "mine"
    assert not Path("a.yaml").exists()


def test_every_mistake_in_a_unit_of_a_new_file_names_its_option(run: Run) -> None:
    mistakes = {
        "ws=c:4": "is named 'ws', a dataflow's name; allowed: another one",
        "9=c:4": "is named '9', no name of a unit; allowed: up to 50 letters, digits and _, the first a letter",
        "a=c:0": ": unroll.c is 0; allowed: an integer from 1 to 65536",
        "b=c:4,k:2,c:8": "unrolls 'c' twice; allowed: once",
        "c=c:65536,k:65536": ": unrolls 4,294,967,296 iterations; allowed: up to 16,777,216 in all",
        "d=t:4,fy:3": ": unrolls t and fy; allowed: t, which is fy · fx, or these",
    }
    loops = "unrolls {!r}; allowed: n, g, k, c, y, x, fy, fx, t, p"
    several = [f"--unit 'z=z:1,q:2' {loops.format(loop)}" for loop in "zq"]
    options = [word for text in (*mistakes, "z=z:1,q:2", "e=k:4") for word in ("--unit", text)]
    code, _, err = run("hw", "new", "a.yaml", *options)
    lines = [f"--unit {text!r} {mistake}".replace("' :", "':") for text, mistake in mistakes.items()]
    assert (code, err) == (2, "error: " + "\n".join([*lines, *several]) + "\n")
    code, _, err = run("hw", "new", "a.yaml", "--unit", "e=k:4", "--unit", "e=k:8")
    assert (code, err) == (2, "error: --unit 'e=k:8' is the second one named 'e'; allowed: another name\n")
    assert not Path("a.yaml").exists()


def test_units_that_run_no_layer_are_shown_in_their_file(run: Run) -> None:
    Path("dw.yaml").write_text(
        "name: dw\nclock_mhz: 300\narray:\n  units:\n    narrow: {unroll: {g: 16}, runs: [depthwise]}\n"
        "memory: {global_buffer: {size_kib: 256}, dram: {bandwidth_gb_s: 4}}\n"
    )
    message = "layer 'stem.conv1': unit narrow runs no conv; allowed: one whose array.units.NAME.runs has it"
    line = "      narrow: {unroll: {g: 16}, runs: [depthwise]}\n"
    for command in ("profile", "explain", "compare"):
        code, out, err = run(command, "squeezenet_1_1", "--hw", "dw.yaml")
        assert (code, out) == (2, "")
        assert err == f"error: dw.yaml:5:37: {message}\n{line}{' ' * line.index('[')}^\n"


def test_a_size_out_of_range_is_shown_in_the_new_file(run: Run) -> None:
    code, _, err = run("hw", "new", "a.yaml", "--pes", "0x4")
    assert (code, err.splitlines()[0]) == (
        2,
        "error: a.yaml:9:9: array.rows is 0; allowed: an integer from 1 to 4096 (PEs)",
    )
    assert not Path("a.yaml").exists()
