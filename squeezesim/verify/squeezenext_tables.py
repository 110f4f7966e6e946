"""The paper's Table 3 and its figures 6 to 8 as rows of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from squeezesim.report.equal import equal_layers
from squeezesim.verify.squeezenext_runs import Run, Table3

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
