"""SCALE-Sim as a check: what version 3.0.0 printed for layers on arrays of many shapes, beside ours."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import isclose

from squeezesim.cost.dataflow.scalesim import SCALESIM, printed
from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import workload_of
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Layer
from squeezesim.reference.record import Bound, Check, Row

_QUANTITIES = {
    "total cycles": "total_cycles",
    "mapping efficiency": "mapping_eff_pct",
    "SRAM reads of inputs": "sram_ifmap_reads",
    "SRAM reads of filters": "sram_filter_reads",
    "SRAM writes of outputs": "sram_ofmap_writes",
}
_TOLERANCE = (
    1e-12  # SCALE-Sim's mapping efficiency is a mean over folds, ours one quotient: they round differently
)
_METHOD = (
    "Total cycles, mapping efficiency and SRAM accesses are the closed forms of the whole layer, as in the column "
    "scalesim_total_cycles of a report. Each run is also costed as any layer is, tiled and pipelined, on an "
    "accelerator whose buffer holds every layer and whose DRAM nothing waits for: its cycles without first load and "
    "last store must be SCALE-Sim's, and one more."
)
_NOTES = (
    "SCALE-Sim prints the number of the last cycle, counted from 0, as Total Cycles: one less than the cycles that "
    "pass. Reports have the true count in cycles and SCALE-Sim's in scalesim_total_cycles. Its overall utilization "
    "divides by the smaller number and can exceed 100 %.",
    "SCALE-Sim's output-stationary array counts writes of outputs twice for each fold: their number, and then the rows "
    "plus the columns of the array. What is compared is the printed number less R + S for each fold; ours is M·N, each "
    "output once.",
    "SCALE-Sim has no batch and no padding, and of groups only depthwise layers, which are not among these runs.",
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of SCALE-Sim: a layer on an array, and what it printed."""

    layer: Layer
    rows: int
    cols: int
    dataflow: str
    printed: Mapping[str, float]

    @property
    def expected(self) -> dict[str, float]:
        """The printed numbers by quantity, without what `scalesim_os` counts twice."""
        numbers = {quantity: self.printed[column] for quantity, column in _QUANTITIES.items()}
        if self.dataflow == "scalesim_os":
            pixels, filters = self.layer.oy * self.layer.ox, self.layer.k
            folds = -(-pixels // self.rows) * -(-filters // self.cols)
            numbers["SRAM writes of outputs"] -= folds * (self.rows + self.cols)
        return numbers

    @property
    def accelerator(self) -> Accelerator:
        """The array with memories that nothing waits for."""
        return Accelerator.from_dict(
            {
                "name": "ample",
                "clock_mhz": 1,
                "array": {"rows": self.rows, "cols": self.cols, "dataflows": [self.dataflow]},
                "memory": {"global_buffer": {"size_kib": 2**22}, "dram": {"bandwidth_gb_s": 1e6}},
            }
        )


def runs() -> list[Run]:
    """Return the runs in ``data/scalesim_cycles.csv``.

    Example:
        >>> runs()[0].expected["total cycles"]
        1.0
    """
    text = (files("squeezesim.papers") / "data" / "scalesim_cycles.csv").read_text(encoding="utf-8")
    return [_run(row) for row in csv.DictReader(text.splitlines())]


def check() -> Check:
    """Return how many runs agree, by dataflow and quantity."""
    found = runs()
    agree = [(run, {**_closed(run), "cycles, costed": _costed(run)}) for run in found]
    quantities = (*_QUANTITIES, "cycles, costed")
    return Check(
        name="scalesim",
        title="SCALE-Sim's systolic array, run by run",
        source="SCALE-Sim 3.0.0 (package scalesim), what it printed for GEMM and convolution layers without stalls",
        method=f"{len(found)} runs: arrays of 1×1 to 128×128 PEs, three dataflows. {_METHOD}",
        rows=tuple(
            Row(flow, f"runs with equal {quantity}", float(len(mine)), float(_count(mine, quantity)), "runs")
            for flow in SCALESIM
            for mine in [[equal for run, equal in agree if run.dataflow == flow]]
            for quantity in quantities
        ),
        bounds=tuple(
            Bound(
                f"runs that differ in {quantity}",
                len(agree) - _count([equal for _, equal in agree], quantity),
                0,
            )
            for quantity in quantities
        ),
        notes=_NOTES,
    )


def _count(agree: Sequence[Mapping[str, bool]], quantity: str) -> int:
    return sum(equal[quantity] for equal in agree)


def _run(row: Mapping[str, str]) -> Run:
    numbers = {key: float(row[key]) for key in _QUANTITIES.values()}
    size = {key: int(value) for key, value in row.items() if value.isdigit()}
    return Run(
        layer=_layer(row["name"], size),
        rows=size["array_rows"],
        cols=size["array_cols"],
        dataflow=f"scalesim_{row['dataflow']}",
        printed=numbers,
    )


def _layer(name: str, size: Mapping[str, int]) -> Layer:
    if size["gemm"]:
        return Layer.matmul(name, m=size["gemm_M"], n=size["gemm_N"], k=size["gemm_K"])
    stride, height, width = size["stride"], size["ifmap_h"], size["ifmap_w"]
    return Layer.conv(
        name,
        c=size["channels"],
        k=size["num_filters"],
        oy=-(-(height - size["filter_h"] + stride) // stride),
        ox=-(-(width - size["filter_w"] + stride) // stride),
        fy=size["filter_h"],
        fx=size["filter_w"],
        stride=stride,
        padding=0,
        iy=height,
        ix=width,
    )


def _closed(run: Run) -> dict[str, bool]:
    """Whether each quantity of the closed forms is the printed one."""
    machine = Machine.of(run.accelerator)
    ours = printed(SCALESIM[run.dataflow], workload_of([run.layer], machine)[0], machine)
    numbers = (
        ours.total_cycles,
        ours.mapping_efficiency * 100,
        ours.ifmap_reads,
        ours.filter_reads,
        ours.ofmap_writes,
    )
    return {
        quantity: isclose(number[0], run.expected[quantity], rel_tol=_TOLERANCE)
        for quantity, number in zip(_QUANTITIES, numbers, strict=True)
    }


def _costed(run: Run) -> bool:
    """Whether the layer, tiled and pipelined, takes SCALE-Sim's cycles and one more."""
    accelerator = run.accelerator
    costs = evaluate([run.layer], [accelerator])
    waiting = int(costs.losses[0, 0, costs.causes.index("startup")]) // accelerator.array.pes
    return int(costs.cycles[0, 0]) - waiting == run.expected["total cycles"] + 1
