"""Which modules a quick command loads: what its time depends on."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {"torch", "pandas", "matplotlib", "starlette", "uvicorn"}


# Commands in one process, one after the other: what is not loaded after the last was loaded by none.
CODE = """
import json, sys, squeezesim.cli as cli
for arguments in json.loads(sys.argv[1]):
    code = cli.main(arguments)
    print(end=chr(0), flush=True)
    print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr, flush=True)
"""


def loaded_by(commands: list[list[str]]) -> list[tuple[str, int, set[str]]]:
    """Each command with its exit code and the modules that are loaded after it and those before it."""
    command = [sys.executable, "-c", CODE, json.dumps(commands)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *printed, rest = done.stdout.split(chr(0))
    assert [bool(text.strip()) for text in printed] == [True] * len(commands)
    assert rest == ""
    told = [json.loads(line) for line in done.stderr.splitlines()]
    return [
        (" ".join(command), code, set(modules))
        for command, (code, modules) in zip(commands, told, strict=True)
    ]


def test_a_table_for_programs_loads_nothing_that_lays_out_reads_or_compares() -> None:
    numpy = "import json, sys, numpy; print(json.dumps(sorted(sys.modules)))"
    own = set(
        json.loads(subprocess.run([sys.executable, "-c", numpy], capture_output=True, check=True).stdout)
    )
    ((_, code, loaded),) = loaded_by([["profile", "squeezenext_23", "--hw", "os_32x32", "--format", "csv"]])
    assert code == 0
    assert "squeezesim.report.metrics" in loaded
    parts = {f"squeezesim.report.{name}" for name in ("diagnosis", "figures", "grid", "serialize", "text")}
    assert not loaded & {*HEAVY, *parts, "rich", "squeezesim.explore", "squeezesim.frontends.torch"}
    assert not (loaded - own) & {"numpy.ma", "numpy.random"}


def test_built_in_networks_need_no_torch_pandas_or_matplotlib() -> None:
    profile = ["profile", "squeezenext_23", "--hw", "os_32x32"]
    commands = [
        [*profile, "--format", "csv"],
        [*profile, "--format", "json"],
        [*profile, "--no-files"],
        ["layers", "squeezenext_23"],
        ["models"],
        ["hw", "list"],
        ["hw", "schema"],
    ]
    for command, code, loaded in loaded_by(commands):
        assert code == 0, command
        assert "squeezesim" in loaded, command
        assert not HEAVY & loaded, command


def test_help_loads_nothing_that_computes() -> None:
    for command, code, loaded in loaded_by(
        [["--help"], ["profile", "--help"], ["serve", "--help"], ["--version"]]
    ):
        assert code == 0, command
        assert not (HEAVY | {"numpy", "yaml", "rich"}) & loaded, command
