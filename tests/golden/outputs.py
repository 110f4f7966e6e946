"""What the golden files hold: the command's output for each of them."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

from rich.console import Console

from squeezesim.cli import main
from tests.report.cases import accelerator, network

FOLDER = Path(__file__).parent

PROFILE = ["profile", "small.graph.json", "--hw", "small_8x8.yaml"]
EXPLAIN = ["explain", *PROFILE[1:]]
COMPARE = ["compare", *PROFILE[1:], "--hw", "wide_8x16.yaml"]
SWEEP = ["sweep", *PROFILE[1:], "--jobs", "1", "--set", "array.rows=4,8,16", "--set", "array.cols=8,16"]
OUTPUTS: dict[str, tuple[int | None, list[str]]] = {
    "profile-80.txt": (80, [*PROFILE, "--no-files"]),
    "profile-200.txt": (200, [*PROFILE, "--no-files"]),
    "profile-piped.txt": (None, [*PROFILE, "--no-files"]),
    "profile-files-80.txt": (
        80,
        [*PROFILE, "--by", "op", "--sort", "macs", "--top", "2", "-o", "out/op.csv"],
    ),
    "profile.csv": (None, [*PROFILE, "--format", "csv"]),
    "profile-stages.csv": (None, [*PROFILE, "--format", "csv", "--by", "stage"]),
    "report.json": (None, [*PROFILE, "--format", "json"]),
    "explain-80.txt": (80, EXPLAIN),
    "explain-200.txt": (200, EXPLAIN),
    "explain-layer-piped.txt": (None, [*EXPLAIN, "--layer", "stem.conv"]),
    "explain.json": (None, [*EXPLAIN, "--format", "json"]),
    "layers-80.txt": (80, ["layers", "small.graph.json"]),
    "layers-piped.txt": (None, ["layers", "small.graph.json"]),
    "hw-show-80.txt": (80, ["hw", "show", "small_8x8.yaml"]),
    "hw-check-80.txt": (80, ["hw", "check", "small_8x8.yaml"]),
    "compare-80.txt": (80, [*COMPARE, "--fail-if", "latency_us > +50%"]),
    "compare-layers-piped.txt": (None, [*COMPARE, "--by", "layer", "--top", "3"]),
    "compare.json": (None, [*COMPARE, "--by", "stage", "--format", "json"]),
    "sensitivity-80.txt": (80, ["sensitivity", *PROFILE[1:]]),
    "sweep-80.txt": (80, [*SWEEP, "--front", "--where", "latency_us <= 80", "-o", "designs.parquet"]),
    "sweep.csv": (None, [*SWEEP, "--top", "2", "--format", "csv", "-o", "designs.csv"]),
    "export-scalesim.csv": (None, ["export", "small.graph.json", "--to", "scalesim"]),
    "models-80.txt": (80, ["models"]),
}
"""File → width of the terminal (None: a pipe) and arguments."""


def output(name: str) -> str:
    """Return what the command prints for the golden file *name*."""
    width, arguments = OUTPUTS[name]

    def console() -> Console:
        if width is None:
            return Console(file=sys.stdout, force_terminal=False)
        return Console(file=sys.stdout, width=width, force_terminal=True, color_system=None)

    before, stream = Path.cwd(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, mock.patch("squeezesim.cli.output.console", console):
        os.chdir(folder)
        try:
            network().save("small.graph.json")
            for made in (accelerator(), accelerator({"name": "wide_8x16", "array.cols": 16})):
                Path(f"{made.name}.yaml").write_text(made.to_yaml(), encoding="utf-8")
            with contextlib.redirect_stdout(stream):
                code = main(arguments)
        finally:
            os.chdir(before)
    assert code == 0
    return stream.getvalue()
