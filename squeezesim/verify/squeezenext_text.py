"""The paper's Table 3 and its figure 8 beside ours, as sections of text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from squeezesim.report import units
from squeezesim.report.grid import Column, Grid
from squeezesim.report.text import Section
from squeezesim.verify.squeezenext_paper import CYCLES, HEADLINES, SOURCE, UNIT
from squeezesim.verify.squeezenext_runs import Run, Table3
from squeezesim.verify.squeezenext_tables import STAGES, VERSIONS, stage_cycles

_ELSEWHERE = "widen the terminal or use --format json"


def sections(table: Table3, width: int | None = None) -> list[Section]:
    """Return Table 3, the cycles by stage and the ratios of the abstract, tables at most *width* wide."""
    times = _beside(
        table,
        lambda run: f"{run.printed.time[run.accelerator.name]:.2f}",
        lambda run: f"{table.time(run.accelerator.name, run.title):.3f}",
        lambda run: table.time(run.accelerator.name, run.title) / run.printed.time[run.accelerator.name] - 1,
    )
    energies = _beside(
        table,
        lambda run: f"{run.printed.energy[run.accelerator.name] / 1e9:.1f}",
        lambda run: f"{run.total_energy / 1e9:.2f}",
        lambda run: run.total_energy / run.printed.energy[run.accelerator.name] - 1,
    )
    cycles = [
        f"{UNIT} takes {units.count(table.runs[name][UNIT].total_cycles)} cycles on {name}, "
        f"in the paper about {units.count(printed)}"
        for name, printed in CYCLES.items()
    ]
    return [
        Section(SOURCE, ()),
        Section(f"Table 3, time relative to {UNIT}", _fitted(times, width)),
        Section("Table 3, energy in 10⁹ MACs", _fitted(energies, width)),
        Section("cycles", cycles),
        Section(f"{UNIT} on 16×16 PEs", _headlines(table)),
        *(
            Section(f"figure 8, cycles by stage on {name}", _fitted(_stages(table, name), width))
            for name in table.runs
        ),
    ]


def _beside(
    table: Table3,
    printed: Callable[[Run], str],
    ours: Callable[[Run], str],
    error: Callable[[Run], float],
) -> Grid:
    """A row for each network; printed, ours and error for each accelerator."""
    columns = [Column("network", left=True)]
    for runs in table.runs.values():
        array = runs[UNIT].accelerator.array
        columns += [Column(f"{array.rows}×{array.cols} paper"), Column("ours"), Column("error")]
    cells = [
        [title]
        + [
            text
            for runs in table.runs.values()
            for text in (printed(runs[title]), ours(runs[title]), units.change(error(runs[title])))
        ]
        for title in next(iter(table.runs.values()))
    ]
    return Grid(columns, cells)


def _headlines(table: Table3) -> list[str]:
    runs = table.runs["squeezelerator_16x16"]
    lines = []
    for title, quantity, printed in HEADLINES:
        time = quantity == "time"
        first, second = (run.total_cycles if time else run.total_energy for run in (runs[title], runs[UNIT]))
        what = "is {:.2f}× faster than" if time else "takes {:.2f}× less energy than"
        lines.append(f"{what.format(first / second)} {title}, in the paper {printed:.2f}×")
    return lines


def _stages(table: Table3, accelerator: str) -> Grid:
    columns = [Column("network", left=True), *(Column(stage) for stage in STAGES), Column("total")]
    runs = [table.runs[accelerator][title] for title in VERSIONS]
    cells = [
        [run.title, *map(units.count, stage_cycles(run).values()), units.count(run.total_cycles)]
        for run in runs
    ]
    return Grid(columns, cells)


def _fitted(grid: Grid, width: int | None) -> Grid:
    return grid if width is None else replace(grid, elsewhere=_ELSEWHERE).fit(width)
