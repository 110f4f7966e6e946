"""The simulators that need environments of their own, each run by its own Python."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

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


def maestro(checkout: str) -> list[Block]:
    """Run ``vs_maestro`` on a *checkout* of MAESTRO."""
    return [_block(sys.executable, ["vs_maestro", str(Path(checkout).resolve()), "--json"])]


class Peer(NamedTuple):
    """A simulator that may be measured: what it is called, the option that names it, and how it is run."""

    label: str
    option: str
    run: Callable[[str], list[Block]]


PEERS = {
    "scalesim": Peer("SCALE-Sim", "scalesim-python", scalesim),
    "zigzag": Peer("ZigZag", "zigzag-python", zigzag),
    "maestro": Peer("MAESTRO", "maestro", maestro),
}


def not_run(peer: Peer) -> list[Block]:
    """What stands for a *peer* that is not there."""
    how = f"`python -m benchmarks --{peer.option}` measures it."
    return [Block.of(f"Beside {peer.label}", ("simulator", "time"), [[peer.label, "not run here"]], how)]


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
