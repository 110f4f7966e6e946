"""The simulators that need environments of their own, each run by its own Python."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.block import Block
from benchmarks.measure import ROOT
from benchmarks.onnx_file import write

NETWORK = "squeezenet_1_0"
"""What ZigZag runs, in a minute or two."""


def scalesim(python: str) -> list[Block]:
    """Run ``vs_scalesim`` with *python*."""
    return [_block(python, ["vs_scalesim", "--json"])]


def zigzag(python: str) -> list[Block]:
    """Run ``vs_zigzag`` with *python* on ``NETWORK``."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{NETWORK}.onnx"
        write(NETWORK, file)
        return [_block(python, ["vs_zigzag", str(file), "--json"])]


def _block(python: str, arguments: Sequence[str]) -> Block:
    module, *others = arguments
    done = subprocess.run(
        [python, "-m", f"benchmarks.{module}", *others],
        check=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        encoding="utf-8",
    )
    return Block.from_json(done.stdout.splitlines()[-1])
