"""Metrics: the columns of a report, named with their units, and what each one means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.dataflow.scalesim import SCALESIM, printed
from squeezesim.cost.energy import LEVELS
from squeezesim.cost.evaluate import BOUNDS, LOSSES, OPERANDS
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import ORDERS
from squeezesim.cost.problem import operands_of, workload_of
from squeezesim.errors import UsageError, nearest
from squeezesim.markup import Markdown, code, markdown_table
from squeezesim.network.compress.rules import learnt

if TYPE_CHECKING:
    from squeezesim.cost.evaluate import Costs
    from squeezesim.network import Layer
    from squeezesim.report.data import ReportData
    from squeezesim.report.tally import Scale, Tally

Columns = dict[str, Any]
"""Column name → one entry for each row: a list, in which None is no value, or an array, in which NaN is none."""

GROUPS = ("layer", "stage", "op")

TOTALS = (
    *("params", "macs", "vector_ops", "cycles", "latency_us", "utilization", "efficiency"),
    *("energy_uj", "energy_mac_equiv", "dram_bytes", "weights_bytes", "weights_values_bytes"),
)
"""Names of what ``Report.totals`` holds."""

_NAMES = tuple(DATAFLOWS)


def columns(report: ReportData, by: str = "layer") -> Columns:
    """Return the columns of the table of layers, stages or ops.

    Raises:
        UsageError: *by* is none of the three.
    """
    if by == "layer":
        return layer_columns(report)
    if by in GROUPS:
        return group_columns(report, by)
    raise UsageError(f"rows are by {', '.join(GROUPS)}, found {by!r}{nearest(by, GROUPS)}")


def rows(report: ReportData, by: str = "layer") -> list[dict[str, Any]]:
    """Return one dictionary for each layer, stage or op; None where there is no number.

    Raises:
        UsageError: *by* is none of the three.
    """
    return to_rows(columns(report, by))


def layer_columns(report: ReportData) -> Columns:
    """Return the columns of ``Report.layers``: what a layer is, what it costs, how it is tiled."""
    layers, tally, scale = report.network.layers, report.tally, report.scale
    costs = _cost_columns(tally, scale)
    return {
        "name": [layer.name for layer in layers],
        "op": [layer.op for layer in layers],
        "stage": [layer.stage for layer in layers],
        "dataflow": dataflows(report.costs),
        "groups": _sizes(layers, "g"),
        "k": _sizes(layers, "k"),
        "c": _sizes(layers, "c"),
        "oy": _sizes(layers, "oy"),
        "ox": _sizes(layers, "ox"),
        "fy": _sizes(layers, "fy"),
        "fx": _sizes(layers, "fx"),
        "stride": ["x".join(map(str, layer.stride)) for layer in layers],
        **{name: costs.pop(name) for name in ("params", "macs", "vector_ops", "cycles", "latency_us")},
        **{name: costs.pop(name) for name in ("utilization", "efficiency", "bound", "energy_uj")},
        **{name: costs.pop(name) for name in ("dram_bytes", "buffer_bytes")},
        "tiling": tilings(layers, report.costs),
        "energy_mac_equiv": costs.pop("energy_mac_equiv"),
        **{name: costs.pop(name) for name in ("weights_bytes", "weights_values_bytes")},
        **_operand_columns(report),
        "share": tally.cycles / tally.cycles.sum(),
        "n": _sizes(layers, "n"),
        "module": [layer.module for layer in layers],
        "fused": [" ".join(layer.fused) for layer in layers],
        "executed_macs": tally.executed,
        **{f"dram_{operand}_bytes": tally.dram[:, i] for i, operand in enumerate(OPERANDS)},
        **{f"lost_{cause}": tally.losses[:, i] for i, cause in enumerate(LOSSES)},
        "repeat": _sizes(layers, "repeat"),
        **_scalesim_columns(report),
    }


def group_columns(report: ReportData, by: str) -> Columns:
    """Return the sums over the layers of each stage or operator, in the order in which these appear."""
    names, tally = groups(report, by)
    costs = _cost_columns(tally, report.scale)
    return {by: names, "layers": tally.layers, **costs, "share": tally.cycles / report.tally.cycles.sum()}


def loss_columns(report: ReportData) -> Columns:
    """Return where each layer's PE-cycles go: ``pe_cycles`` = ``executed_macs`` + Σ of the columns after it."""
    tally = report.tally
    return {
        **_heading(report),
        "pe_cycles": tally.pe_cycles(report.scale),
        "executed_macs": tally.executed,
        **{cause: tally.losses[:, i] for i, cause in enumerate(LOSSES)},
    }


def energy_columns(report: ReportData) -> Columns:
    """Return each layer's energy by level, in µJ (empty where the table is relative) and in units of one MAC."""
    absolute, relative = report.tally.energy_uj(report.scale), report.tally.energy_mac_equiv(report.scale)
    return {
        **_heading(report),
        "energy_uj": absolute.sum(axis=1),
        "energy_mac_equiv": relative.sum(axis=1),
        **{f"{level}_uj": absolute[:, i] for i, level in enumerate(LEVELS)},
        **{f"{level}_mac_equiv": relative[:, i] for i, level in enumerate(LEVELS)},
    }


def totals(report: ReportData) -> dict[str, int | float | None]:
    """Return the sums over all layers; ``params`` counts those that no layer reads, too."""
    (row,) = to_rows(total_columns(report.tally.total(), report.scale))
    row["params"] = report.network.params
    return row


def total_columns(tally: Tally, scale: Scale) -> Columns:
    """Return the columns of ``Report.totals`` for each row of *tally*, a whole network."""
    columns = _cost_columns(tally, scale)
    return {name: columns[name] for name in TOTALS}


def groups(report: ReportData, by: str) -> tuple[list[str], Tally]:
    """Return the names of the stages or operators, and the sums over the layers of each."""
    keys = [getattr(layer, by) for layer in report.network.layers]
    names = list(dict.fromkeys(keys))
    index = {name: number for number, name in enumerate(names)}
    return names, report.tally.grouped(np.array([index[key] for key in keys], np.int64), len(names))


def to_rows(columns: Columns) -> list[dict[str, Any]]:
    """Return one dictionary for each row, with ``None`` where there is no number."""
    lists = [_plain(column) for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def dataflows(costs: Costs) -> list[str]:
    """Return the name of each layer's dataflow, empty where it has none."""
    return [_NAMES[index] if index >= 0 else "" for index in costs.dataflow[0].tolist()]


def bounds(tally: Tally) -> list[str]:
    """Return what set the pace of the most cycles of each row, empty where there are none."""
    index = tally.time.argmax(axis=1).tolist()
    return [BOUNDS[i] if cycles else "" for i, cycles in zip(index, tally.cycles.tolist(), strict=True)]


def tilings(layers: Iterable[Layer], costs: Costs) -> list[str]:
    """Return each layer's loop order and tile sizes, empty where it is not tiled.

    The order is that of ``cost.tiling``: P pixels, K output channels, C input channels. Images (n) and groups (g) are
    named where the layer has several; the pixels of a matrix product are all in x.

    Example: ``PKC y14 x14 k32 c64``.
    """
    rows = zip(
        layers, costs.order[0].tolist(), costs.tile[0].tolist(), costs.pointwise[0].tolist(), strict=True
    )
    return [_tiling(layer, order, tile, pointwise) for layer, order, tile, pointwise in rows]


def _tiling(layer: Layer, order: int, tile: Sequence[int], pointwise: bool) -> str:
    n, y, x, g, k, c = tile
    if x == 0:
        return ""
    parts = [("n", n, layer.n > 1 and not pointwise), ("y", y, not pointwise), ("x", x, True)]
    parts += [("g", g, layer.g > 1), ("k", k, True), ("c", c, True)]
    return " ".join([ORDERS[order], *(f"{axis}{size}" for axis, size, shown in parts if shown)])


def _cost_columns(tally: Tally, scale: Scale) -> Columns:
    return {
        "params": tally.params,
        "macs": tally.macs,
        "vector_ops": tally.vector_ops,
        "cycles": tally.cycles,
        "latency_us": tally.latency_us(scale),
        "utilization": tally.utilization(scale),
        "efficiency": tally.efficiency(scale),
        "bound": bounds(tally),
        "energy_uj": tally.energy_uj(scale).sum(axis=1),
        "dram_bytes": tally.dram_bytes,
        "buffer_bytes": tally.buffer_bytes,
        "energy_mac_equiv": tally.energy_mac_equiv(scale).sum(axis=1),
        "weights_bytes": tally.weights[:, 0],
        "weights_values_bytes": tally.weights[:, 1],
    }


def _operand_columns(report: ReportData) -> Columns:
    """Widths and density with which each layer runs; empty where it has no such operand."""
    machine = Machine.of(report.accelerator)
    rows = [(layer, operands_of(layer, machine)) for layer in report.network.layers]
    return {
        "weight_bits": [bits.weight_bits if layer.weight_elements else None for layer, bits in rows],
        "activation_bits": [bits.activation_bits if layer.kind != "view" else None for layer, bits in rows],
        "weight_density": [bits.weight_density if learnt(layer) else None for layer, bits in rows],
    }


def _scalesim_columns(report: ReportData) -> Columns:
    """What SCALE-Sim prints without stalls of the layers that run one of its dataflows; no columns where none does."""
    names = dataflows(report.costs)
    if not SCALESIM.keys() & set(names):
        return {}
    layers = report.network.layers
    machine = replace(Machine.of(report.accelerator), row_words=1)  # SCALE-Sim pads no rows
    total, efficiency = np.full((2, len(layers)), np.nan)
    for name, flow in SCALESIM.items():
        index = [number for number, chosen in enumerate(names) if chosen == name]
        if index:
            work, rows = workload_of([layers[number] for number in index], machine)
            shown = printed(flow, work, machine)
            repeats = [layers[number].repeat for number in index]
            total[index] = shown.total_cycles[rows] * repeats
            efficiency[index] = shown.mapping_efficiency[rows]
    cycles = [int(value) if np.isfinite(value) else None for value in total.tolist()]
    return {"scalesim_total_cycles": cycles, "scalesim_mapping_efficiency": efficiency}


def _heading(report: ReportData) -> Columns:
    layers = report.network.layers
    return {
        "name": [layer.name for layer in layers],
        "stage": [layer.stage for layer in layers],
        "dataflow": dataflows(report.costs),
        "cycles": report.tally.cycles,
    }


def _sizes(layers: Iterable[Layer], field: str) -> Any:
    return np.array([getattr(layer, field) for layer in layers], np.int64)


def _plain(column: Any) -> list[Any]:
    values = column.tolist() if isinstance(column, np.ndarray) else column
    return [None if value != value else value for value in values]  # noqa: PLR0124  NaN differs from itself


Kind = Literal["text", "integer", "number"]

_OPERANDS = {"inputs": "inputs", "weights": "weights", "outputs": "finished outputs", "psums": "partial sums"}
_LOSSES = {
    "edge": "find no work",
    "zeros": "are spent on zero weights",
    "fill": "preload and drain the array",
    "dram": "wait for DRAM",
    "buffer": "wait for the buffer's bandwidth",
    "startup": "wait for the first load and the last store",
    "setup": "set the layer up",
    "vector": "pass while vector lanes work",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A column: integers have 64 bits, numbers are doubles; where it *can be empty* there may be no value.

    *meaning* is Markdown.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    can_be_empty: bool = False


COLUMNS = (
    Entry("name", "text", "", "the layer's name, unique in the network"),
    Entry("op", "text", "", "operator"),
    Entry("stage", "text", "", "`stem`, `stage1` … `head`; empty where the network has none"),
    Entry(
        "dataflow",
        "text",
        "",
        f"that was chosen: {', '.join(f'`{name}`' for name in DATAFLOWS)}; empty without MACs",
    ),
    Entry("groups", "integer", "", "groups G"),
    Entry("k", "integer", "", "output channels K of a group"),
    Entry("c", "integer", "", "input channels C of a group"),
    Entry("oy", "integer", "", "output rows"),
    Entry("ox", "integer", "", "output columns"),
    Entry("fy", "integer", "", "filter rows"),
    Entry("fx", "integer", "", "filter columns"),
    Entry("stride", "text", "", "vertical x horizontal"),
    Entry("params", "integer", "", "learnable values, with those of fused operators"),
    Entry("macs", "integer", "MACs", "dense multiply–accumulates"),
    Entry("vector_ops", "integer", "ops", "operations on single elements, with those of fused operators"),
    Entry("cycles", "integer", "cycles", "of the accelerator's clock"),
    Entry("latency_us", "number", "µs", "cycles / clock"),
    Entry("utilization", "number", "1", "executed MACs / (PEs · cycles)", True),
    Entry("efficiency", "number", "1", "dense MACs / (PEs · cycles)", True),
    Entry(
        "bound",
        "text",
        "",
        f"what set the pace of the most cycles: {', '.join(f'`{name}`' for name in BOUNDS)}; empty without cycles",
    ),
    Entry("energy_uj", "number", "µJ", "energy; empty where the energy table is relative", True),
    Entry("dram_bytes", "integer", "bytes", "moved between DRAM and buffer"),
    Entry("buffer_bytes", "integer", "bytes", "read from and written to the buffer"),
    Entry("tiling", "text", "", "loop order and tile sizes; empty without MACs"),
    Entry("energy_mac_equiv", "number", "MACs", "energy in units of one MAC", True),
    Entry("weights_bytes", "integer", "bytes", "of learnt values in the smallest compressed form"),
    Entry("weights_values_bytes", "integer", "bytes", "the same without what finds the non-zeros"),
    Entry("weight_bits", "integer", "bits", "of a weight; empty where there is none", True),
    Entry("activation_bits", "integer", "bits", "of an activation; empty for a view", True),
    Entry(
        "weight_density",
        "number",
        "1",
        "part of the weights that is not zero; empty where none are learnt",
        True,
    ),
    Entry("share", "number", "1", "part of the network's cycles"),
    Entry("n", "integer", "", "images N"),
    Entry("module", "text", "", "module that ran"),
    Entry("fused", "text", "", "operators that are part of the layer, separated by blanks"),
    Entry(
        "executed_macs",
        "integer",
        "MACs",
        "multiply–accumulates that were done: without zero weights that were skipped",
    ),
    *(
        Entry(f"dram_{name}_bytes", "integer", "bytes", f"of {_OPERANDS[name]} in `dram_bytes`")
        for name in OPERANDS
    ),
    *(Entry(f"lost_{name}", "integer", "PE-cycles", f"that {_LOSSES[name]}") for name in LOSSES),
    Entry(
        "repeat",
        "integer",
        "",
        "equal steps of a recurrence: counts and costs are of all of them, sizes of one",
    ),
)
"""Columns of every report."""

SCALESIM_COLUMNS = (
    Entry("scalesim_total_cycles", "integer", "cycles", "that SCALE-Sim prints without stalls", True),
    Entry("scalesim_mapping_efficiency", "number", "1", "that SCALE-Sim prints", True),
)
"""Columns of reports in which a layer runs one of SCALE-Sim's dataflows."""


def column_table() -> str:
    """Return a Markdown table of every column."""
    return markdown_table(
        ("column", "type", "unit", "meaning"),
        (
            (code(entry.name), entry.kind, entry.unit or "–", Markdown(entry.meaning))
            for entry in (*COLUMNS, *SCALESIM_COLUMNS)
        ),
        left=range(4),
    )


def energy_unit(report: ReportData) -> tuple[object, ...]:
    """Return what the energies of *report* are in: µJ, or MACs of one table at one precision."""
    return ("µJ",) if report.scale.pj_per_unit is not None else mac_unit(report)


def mac_unit(report: ReportData) -> tuple[object, ...]:
    """Return what one MAC of ``energy_mac_equiv`` is: of which table, and how much in it at the PEs' precision."""
    energy = report.accelerator.energy
    return energy.table, energy.overrides.get("mac"), report.scale.mac_energy


def energy_column(*reports: ReportData) -> str | None:
    """Return the column in which all *reports* have energies of one unit, None where there is none."""
    units = {energy_unit(report) for report in reports}
    if len(units) > 1:
        return None
    return "energy_uj" if units == {("µJ",)} else "energy_mac_equiv"


@dataclass(frozen=True, slots=True)
class Equals:
    """Equal layers of a stage; *places* are theirs among all layers."""

    stage: str
    label: str
    places: tuple[int, ...]

    def __str__(self) -> str:
        count = len(self.places)
        return f"{count} × ({self.label})" if count > 1 else self.label


def equal_layers(layers: Iterable[Layer]) -> list[Equals]:
    """Return *layers* with equal ones of a stage together, in the order of the first of each.

    Equal are those between as many channels, with filters and strides of the same size: a 3×1 and a 1×3 filter are.
    """
    members: dict[tuple[str, str], list[int]] = {}
    for place, layer in enumerate(layers):
        members.setdefault((layer.stage, _label(layer)), []).append(place)
    return [Equals(stage, label, tuple(places)) for (stage, label), places in members.items()]


def _label(layer: Layer) -> str:
    """What makes layers of a stage equal, as ``64→32 1×1/2`` or ``add 64``."""
    if layer.kind != "mac":
        return f"{layer.op} {layer.g * layer.k}"
    short, long = sorted((layer.fy, layer.fx))
    stride = "" if layer.stride == (1, 1) else f"/{layer.stride[0]}"
    depthwise = " depthwise" if layer.g > 1 and layer.c == 1 else ""
    return f"{layer.g * layer.c}→{layer.g * layer.k} {long}×{short}{stride}{depthwise}"
