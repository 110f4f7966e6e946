"""The tables and figures of the SqueezeNext paper, ours beside the printed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.papers.squeezenext_networks import (
    ACCELERATORS,
    CYCLES,
    HEADLINES,
    SOURCE,
    UNIT,
    Run,
    Table3,
    families,
)
from squeezesim.report import units
from squeezesim.report.equal import equal_layers
from squeezesim.report.figures.charts import Unit, grouped_bars, shade_stages, stacked_bars
from squeezesim.report.figures.style import NORMAL, SMALL, Sheet, dot, draw_grid_lines, patch
from squeezesim.report.figures.tradeoff import Circle, Panel, draw_circles, finish_circles
from squeezesim.report.grid import Column, Grid
from squeezesim.report.text import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERSIONS = ("1.0-SqNxt-23", "1.0-SqNxt-23v2", "1.0-SqNxt-23v3", "1.0-SqNxt-23v4", "1.0-SqNxt-23v5")
"""The networks of figures 6 and 8."""

STAGES = ("stem", "stage1", "stage2", "stage3", "stage4", "head")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Equal layers of a stage, summed; a 3×1 and a 1×3 filter between the same channels count as equal."""

    stage: str
    name: str
    label: str
    layers: int
    macs: int
    cycles: int
    pes: int
    cycles_by_dataflow: dict[str, int]

    @property
    def efficiency(self) -> float:
        """Dense MACs / (PEs · cycles), above 1 where zeros are skipped."""
        return self.macs / (self.pes * self.cycles)


def version(title: str) -> str:
    """Return the name of a variant of 1.0-SqNxt-23 within the family.

    Example:
        >>> version("1.0-SqNxt-23"), version("1.0-SqNxt-23v5")
        ('v1', 'v5')
    """
    return title.removeprefix("1.0-SqNxt-23") or "v1"


def table3_rows(table: Table3) -> list[dict[str, Any]]:
    """Return a row for each accelerator and network: printed values, ours and the error."""
    return [_row(table, run) for run in table]


def layer_rows(table: Table3) -> list[dict[str, Any]]:
    """Return a row for each group of equal layers of v1 to v5 on each accelerator (figure 6)."""
    return [
        {
            "accelerator": run.accelerator.name,
            "network": run.title,
            "stage": group.stage,
            "layer": group.label,
            "layers": group.layers,
            "macs": group.macs,
            "cycles": group.cycles,
            "efficiency": group.efficiency,
            "dataflow": "+".join(group.cycles_by_dataflow),
        }
        for run in versions(table)
        for group in groups(run)
    ]


def stage_rows(table: Table3) -> list[dict[str, Any]]:
    """Return a row for each stage of v1 to v5 on each accelerator (figure 8)."""
    return [
        {
            "accelerator": run.accelerator.name,
            "network": run.title,
            "stage": stage,
            "cycles": cycles,
            "share": cycles / run.total_cycles,
        }
        for run in versions(table)
        for stage, cycles in stage_cycles(run).items()
    ]


def versions(table: Table3) -> Iterable[Run]:
    """Return the runs of v1 to v5 on each accelerator."""
    return (runs[title] for runs in table.runs.values() for title in VERSIONS)


def stage_cycles(run: Run) -> dict[str, int]:
    """Return the cycles of each stage."""
    cycles = dict.fromkeys(STAGES, 0)
    for layer, spent in zip(run.layers, run.cycles.tolist(), strict=True):
        cycles[layer.stage] += spent
    return cycles


def groups(run: Run) -> list[Group]:
    """Return the layers of *run* with equal ones of a stage summed, in the order of the first of each."""
    array = run.accelerator.array
    return [
        Group(
            stage=equal.stage,
            name=str(equal),
            label=equal.label,
            layers=len(equal.places),
            macs=sum(run.layers[place].macs for place in equal.places),
            cycles=int(run.cycles[list(equal.places)].sum()),
            pes=array.rows * array.cols,
            cycles_by_dataflow=_by_dataflow(run, equal.places),
        )
        for equal in equal_layers(run.layers)
    ]


def _by_dataflow(run: Run, places: Sequence[int]) -> dict[str, int]:
    cycles: dict[str, int] = {}
    for place in places:
        flow = run.dataflow[place]
        cycles[flow] = cycles.get(flow, 0) + int(run.cycles[place])
    return dict(sorted(cycles.items()))


def _row(table: Table3, run: Run) -> dict[str, Any]:
    name, printed = run.accelerator.name, run.printed
    time, energy = table.time(name, run.title), run.total_energy
    return {
        "accelerator": name,
        "network": run.title,
        "model": printed.model,
        "time_printed": printed.time[name],
        "time": time,
        "time_error": time / printed.time[name] - 1,
        "energy_printed": printed.energy[name],
        "energy": energy,
        "energy_error": energy / printed.energy[name] - 1,
        "cycles": run.total_cycles,
        "macs": sum(layer.macs for layer in run.layers),
        "weights": sum(layer.weight_elements for layer in run.layers),
        "dram_bytes": int(run.dram_bytes.sum()),
        "top1": printed.top1,
        "top5": printed.top5,
    }


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


_FLOWS = {"ws": "weight stationary", "os": "output stationary"}
_EFFICIENCY = "efficiency: dense MACs / (PEs · cycles), right axis"
_MOST_EFFICIENCY = 150  # per cent
_INCHES = 12.0
_INCHES_A_VERSION = 3.0


def drawings(table: Table3) -> dict[str, Callable[[], Figure]]:
    """Return what draws each figure, by the name of its file: layers (figure 6), stages (8), accuracy (7)."""
    layers: dict[str, Callable[[], Figure]] = {
        f"layers_{name}": partial(layers_figure, table, name) for name in ACCELERATORS
    }
    return layers | {
        "stages": partial(stages_figure, table),
        "accuracy": partial(accuracy_figure, table),
    }


def layers_figure(table: Table3, accelerator: str) -> Figure:
    """Return figure 6: cycles of equal layers, summed, and their efficiency; a panel for each of v1 to v5."""
    runs = [table.runs[accelerator][title] for title in VERSIONS]
    # The labels are as long on every panel: fixed margins are drawn in half the time of computed ones.
    size = (_INCHES, _INCHES_A_VERSION * len(runs))
    sheet = Sheet.open(None, "light", size, rows=len(runs), layout=None)
    sheet.figure.subplots_adjust(left=0.065, right=0.945, top=0.955, bottom=0.09, hspace=0.95)
    most = max(group.cycles for run in runs for group in groups(run))
    shown: dict[str, Any] = {}
    for axes, run in zip(sheet.panels, runs, strict=True):
        shown |= _layers_panel(sheet, axes, run, most)
    sheet.figure.legend(
        shown.values(), shown, loc="upper center", ncols=len(shown), fontsize=NORMAL, frameon=False
    )
    return sheet.figure


def stages_figure(table: Table3) -> Figure:
    """Return figure 8: cycles of each stage of v1 to v5; a panel for each accelerator."""
    from matplotlib.ticker import EngFormatter

    sheet = Sheet.open(None, "light", (11, 4.2), columns=len(table.runs))
    for axes, runs in zip(sheet.panels, table.runs.values(), strict=True):
        series = {title: list(stage_cycles(runs[title]).values()) for title in VERSIONS}
        grouped_bars(axes, STAGES, series, sheet.theme)
        axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
        axes.set_ylabel("cycles")
        axes.set_title(_on(runs[VERSIONS[0]]))
    sheet.legend({title: patch(colour) for title, colour in zip(VERSIONS, sheet.theme.series, strict=False)})
    return sheet.figure


def accuracy_figure(table: Table3) -> Figure:
    """Return figure 7: top-1 accuracy against time and energy; the area of a circle goes with √params."""
    sheet = Sheet.open(None, "light", (_INCHES, 9.5), rows=len(table.runs), columns=2)
    colours = dict(zip(families(), sheet.theme.series, strict=False))
    drawn = []
    for row, runs in enumerate(table.runs.values()):
        some = runs[VERSIONS[0]]
        quantities: tuple[tuple[str, Unit, Mapping[str, float]], ...] = (
            (
                "time",
                Unit(1e-3 / some.accelerator.clock_mhz, "ms"),
                {title: run.total_cycles for title, run in runs.items()},
            ),
            (
                "energy",
                Unit(1e-9, "10⁹ MAC-equivalents"),
                {title: run.total_energy for title, run in runs.items()},
            ),
        )
        for axes, (quantity, unit, values) in zip(sheet.panels[2 * row :], quantities, strict=False):
            circles = [
                Circle(
                    name=_short(title),
                    family=run.printed.family,
                    top1=run.printed.top1,
                    params=round(run.printed.params_millions * 1e6),
                    value=values[title] * unit.factor,
                )
                for title, run in runs.items()
            ]
            panel = Panel(axes, circles)
            draw_circles(sheet, panel, unit.label(f"{quantity} on {_on(some)}"), colours)
            drawn.append(panel)
    finish_circles(sheet, drawn, {family: dot(colour) for family, colour in colours.items()})
    return sheet.figure


def _layers_panel(sheet: Sheet, axes: Axes, run: Run, most: int) -> dict[str, Any]:
    from matplotlib.ticker import EngFormatter

    found = groups(run)
    colours = sheet.theme.colours(_FLOWS)
    cycles = {
        flow: np.array([group.cycles_by_dataflow.get(flow, 0) for group in found], np.float64)
        for flow in _FLOWS
    }
    stacked_bars(axes, cycles, colours)
    stages = [group.stage for group in found]
    headroom = shade_stages(axes, stages, (_INCHES * 0.88 / len(found), 1.1), sheet.theme, STAGES)
    axes.set_ylim(0, headroom * most)
    axes.set_xlim(-0.6, len(found) - 0.4)
    axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_ylabel("cycles", fontsize=NORMAL)
    draw_grid_lines(axes, sheet.theme)
    axes.set_xticks(range(len(found)), [group.name for group in found], rotation=90, fontsize=SMALL - 1)
    axes.set_title(
        f"{run.title} ({version(run.title)}) on {_on(run)}: {run.total_cycles / 1e6:.3f} M cycles",
        fontsize=NORMAL + 1,
    )
    second = sheet.twin(axes, "efficiency (%)")
    (points,) = second.plot(
        range(len(found)),
        [100 * group.efficiency for group in found],
        color=sheet.theme.ink,
        linewidth=0,
        marker="o",
        markersize=4,
        markerfacecolor=sheet.theme.paper,
    )
    second.set_ylim(0, headroom * _MOST_EFFICIENCY)
    second.set_yticks((0, 50, 100, 150))
    return {_FLOWS[flow]: patch(colour) for flow, colour in colours.items()} | {_EFFICIENCY: points}


def _short(title: str) -> str:
    """The name of a network within its family, whose colour says the rest.

    Example: ``v2`` for 1.0-SqNxt-23v2, ``v1.0`` for SqueezeNet v1.0, ``AlexNet`` for AlexNet.
    """
    family, _, variant = title.partition("SqNxt-23")
    return (variant or "v1") if family != title else title.removeprefix("SqueezeNet ")


def _on(run: Run) -> str:
    array, buffer = run.accelerator.array, run.accelerator.memory.global_buffer
    return f"{array.rows}×{array.cols} PEs, {buffer.size_kib:g} KiB"
