"""Allocations and designs a second, beside simulating each by itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import squeezesim as sq
from benchmarks.block import Block, duration, times
from benchmarks.measure import command, repeated, timed
from squeezesim.explore.allocate.candidates import OBJECTIVES, Candidates
from squeezesim.explore.allocate.study import study
from squeezesim.explore.sweep.sweep import plan

HARDWARE = "squeezelerator_16x16"
GRID = {
    "array.rows": "8:64:x2",
    "array.cols": "8:64:x2",
    "memory.global_buffer.size_kib": "16:1024:x2",
    "memory.dram.bandwidth_gb_s": "4,8,12,16,24,32,40,48,64",
    "clock_mhz": "200,250,300,400,500,600,700,800,900,1000",
}
"""10,080 designs: 16 arrays × 7 buffers × 9 bandwidths × 10 clocks."""
Row = tuple[str, int, float, float | None]
"""Label, how many, seconds, MiB."""
COLUMNS = ("what", "how many", "time", "a second", "to one by one", "peak memory")
ALLOCATIONS = """\
`squeezenext_23_v5` on `squeezelerator_16x16`, 1 to 18 blocks in each of its four stages. *One by one* is
`sq.simulate` of the network, traced before. The others are in the same process, after each different layer was
costed once: all columns of every allocation; then the order of merit and the Pareto front of
{objectives}.
"""
DESIGNS = """\
`squeezenext_23` on accelerators that differ from `squeezelerator_16x16` in rows and columns of the array, buffer,
bandwidth and clock (16 × 7 × 9 × 10 values). *One by one* is `sq.simulate` on {sampled} designs spread over the
grid, built before. The others are the command `squeezesim sweep` from its start to its end, results written, once
each. Memory is the largest resident set of a process: with two there are two of about that size, and the one that
started them.
"""


def measure(sampled: int = 40) -> list[Block]:
    """Measure allocations, then designs of ``GRID`` beside *sampled* of them one by one."""
    return [allocations(), designs(sampled)]


def allocations() -> Block:
    """Measure summing up and ranking allocations of costed layers."""
    network, accelerator = sq.load("squeezenext_23_v5"), sq.Accelerator.named(HARDWARE)
    alone = repeated(lambda: sq.simulate(network, accelerator)).median
    done = study("squeezenext_23_v5", [accelerator], stages=[(1, 18)] * 4)
    sums, depths = done.results[0].sums, done.space.depths()

    def listed() -> Candidates:
        return Candidates.of(accelerator, done.bases, sums, depths)

    unranked = listed()
    summed = repeated(listed).median
    ranked = repeated(lambda: unranked.ranked("latency_us").with_front(OBJECTIVES)).median
    rows: list[Row] = [
        ("one by one", 1, alone, None),
        ("summed up", len(depths), summed, None),
        ("summed up, ranked, with the front", len(depths), summed + ranked, None),
    ]
    how = ALLOCATIONS.format(objectives=", ".join(f"`{name}`" for name in OBJECTIVES))
    return Block.of("Allocations a second", COLUMNS[:-1], _cells(rows), how)


def designs(sampled: int) -> Block:
    """Measure the command that sweeps ``GRID`` in one process and in two."""
    network = sq.load("squeezenext_23").fused
    columns = plan([network], sq.Accelerator.named(HARDWARE), GRID).designs
    count = len(columns)
    each = [columns.part(start, start + 1).accelerators()[0] for start in range(0, count, count // sampled)]
    accelerators = [design for design in each if isinstance(design, sq.Accelerator)]
    alone, _ = timed(lambda: [sq.simulate(network, accelerator) for accelerator in accelerators])
    rows: list[Row] = [("one by one", len(accelerators), alone, None)]
    for jobs, label in (("1", "one process"), ("2", "two processes")):
        with tempfile.TemporaryDirectory() as folder:
            run = command(["-m", "squeezesim", "sweep", *arguments(), "--jobs", jobs], Path(folder))
        rows.append((label, count, *run))
    return Block.of(f"{count:,} designs", COLUMNS, _cells(rows), DESIGNS.format(sampled=len(accelerators)))


def arguments() -> list[str]:
    """Return what the command sweeps."""
    given = [word for path, values in GRID.items() for word in ("--set", f"{path}={values}")]
    return ["squeezenext_23", "--hw", HARDWARE, *given, "--format", "csv", "--top", "1"]


def _cells(rows: list[Row]) -> list[list[str]]:
    """Cells of (label, how many, seconds, MiB), relative to the first row; without memory where no row has it."""
    first = rows[0][2] / rows[0][1]
    cells = []
    for label, count, seconds, mib in rows:
        rate = count / seconds
        memory = "–" if mib is None else f"{mib:.0f} MiB"
        cells.append([label, f"{count:,}", duration(seconds), f"{rate:,.0f}", times(first * rate), memory])
    return cells if any(row[3] for row in rows) else [row[:-1] for row in cells]
