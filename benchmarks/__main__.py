"""Measures speed and memory, prints the tables and writes docs/performance.md: ``python -m benchmarks``.

Takes about five minutes on an idle machine. Beside SCALE-Sim and ZigZag, in environments that ``vs_scalesim.py`` and
``vs_zigzag.py`` say how to make, and MAESTRO, from a checkout (``vs_maestro.py``):

    python -m benchmarks --scalesim-python /tmp/scalesim/bin/python --zigzag-python /tmp/zigzag/bin/python \
        --maestro /tmp/maestro

A peer that is not named stands in the page as not run.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import commands, exploring, growth, peers, serving, simulating
from benchmarks.block import Block
from benchmarks.machine import machine
from benchmarks.measure import ROOT
from benchmarks.page import page
from squeezesim.files import atomic_write

PAGE = ROOT / "docs" / "performance.md"
Part = Callable[[], list[Block]]
PARTS: dict[str, Part] = {
    "commands": commands.measure,
    "simulating": simulating.measure,
    "exploring": exploring.measure,
    "serving": serving.measure,
    "growth": growth.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="speed and memory, measured")
    parser.add_argument("--scalesim-python", metavar="PYTHON", help="Python of an environment with scalesim")
    parser.add_argument("--zigzag-python", metavar="PYTHON", help="Python of an environment with zigzag-dse")
    parser.add_argument("--maestro", metavar="FOLDER", help="a checkout of MAESTRO, which is built")
    parser.add_argument(
        "--only", nargs="+", choices=[*PARTS, *peers.PEERS], help="these parts; no page is written"
    )
    parser.add_argument("-o", "--output", type=Path, default=PAGE, help="the page  [docs/performance.md]")
    options = parser.parse_args()
    parts = dict(PARTS)
    for name, peer in peers.PEERS.items():
        given = getattr(options, peer.option.replace("-", "_"))
        parts[name] = partial(peer.run, given) if given else partial(peers.not_run, peer)
        if name in (options.only or ()) and not given:
            parser.error(f"--only {name} needs --{peer.option}")
    known = machine()
    found: list[Block] = []
    for name, part in parts.items():
        if options.only and name not in options.only:
            continue
        if sys.stderr.isatty():
            print(f"measuring: {name}", file=sys.stderr)
        blocks = part()
        found += blocks
        print("\n\n".join(block.text() for block in blocks), end="\n\n", flush=True)
    if not options.only:
        atomic_write(options.output, page(known, found))
        print(f"wrote {os.path.relpath(options.output)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
