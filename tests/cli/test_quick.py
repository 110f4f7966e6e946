"""Which modules a quick command loads: what its time depends on."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "pandas", "matplotlib"}


def modules_after(*arguments: str) -> set[str]:
    """Top-level modules that are loaded after the command has run."""
    code = (
        "import sys, squeezesim.cli as cli; code = cli.main(sys.argv[1:]); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["profile", "squeezenext_23", "--hw", "os_32x32", "--format", "csv"],
        ["profile", "squeezenext_23", "--hw", "os_32x32", "--format", "json"],
        ["profile", "squeezenext_23", "--hw", "os_32x32", "--no-files"],
        ["layers", "squeezenext_23"],
        ["models"],
        ["hw", "list"],
        ["hw", "schema"],
    ],
)
def test_built_in_networks_need_no_torch_pandas_or_matplotlib(arguments: list[str]) -> None:
    loaded = modules_after(*arguments)
    assert "squeezesim" in loaded
    assert not HEAVY & loaded


@pytest.mark.parametrize("arguments", [["--help"], ["profile", "--help"], ["--version"]])
def test_help_loads_nothing_that_computes(arguments: list[str]) -> None:
    assert not (HEAVY | {"numpy", "yaml", "rich"}) & modules_after(*arguments)
