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
            Path("small_8x8.yaml").write_text(accelerator().to_yaml(), encoding="utf-8")
            with contextlib.redirect_stdout(stream):
                code = main(arguments)
        finally:
            os.chdir(before)
    assert code == 0
    return stream.getvalue()
