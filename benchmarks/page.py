"""The page docs/performance.md: what was measured last, and on which machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmarks.block import Block
from squeezesim.report.grid import Column, Grid
from squeezesim.report.text import Section, markdown

INTRODUCTION = """\
# Performance

How long squeezesim takes, how much memory it needs, and how both grow. `make bench` measures all of it again in one
run, prints the tables and writes this page; ratios are of numbers of that run, and hold on other machines better
than times do.
"""


def page(machine: Mapping[str, str], blocks: Iterable[Block]) -> str:
    """Return the page of *blocks*, measured on *machine*."""
    labels = Grid(
        [Column("", left=True), Column("measured on", left=True)], [list(item) for item in machine.items()]
    )
    table = markdown([Section("", labels)]).partition("\n\n")[2]
    return "\n".join([INTRODUCTION, table, *(block.markdown() for block in blocks)])
