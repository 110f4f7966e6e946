"""The columns of a report: one entry for each layer, stage or operator, named with their units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.dataflow.scalesim import SCALESIM, printed
from squeezesim.cost.energy import LEVELS
from squeezesim.cost.evaluate import BOUNDS, LOSSES, OPERANDS
from squeezesim.cost.machine import Machine
from squeezesim.cost.operands import operands_of
from squeezesim.cost.tiling import ORDERS
from squeezesim.cost.workload import workload_of
from squeezesim.network.compress.rules import learnt

if TYPE_CHECKING:
    from squeezesim.cost.evaluate import Costs
    from squeezesim.network import Layer
    from squeezesim.report.report import Report
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


def layer_columns(report: Report) -> Columns:
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


def group_columns(report: Report, by: str) -> Columns:
    """Return the sums over the layers of each stage or operator, in the order in which these appear."""
    names, tally = groups(report, by)
    costs = _cost_columns(tally, report.scale)
    return {by: names, "layers": tally.layers, **costs, "share": tally.cycles / report.tally.cycles.sum()}


def loss_columns(report: Report) -> Columns:
    """Return where each layer's PE-cycles go: ``pe_cycles`` = ``executed_macs`` + Σ of the columns after it."""
    tally = report.tally
    return {
        **_heading(report),
        "pe_cycles": tally.pe_cycles(report.scale),
        "executed_macs": tally.executed,
        **{cause: tally.losses[:, i] for i, cause in enumerate(LOSSES)},
    }


def energy_columns(report: Report) -> Columns:
    """Return each layer's energy by level, in µJ (empty where the table is relative) and in units of one MAC."""
    absolute, relative = report.tally.energy_uj(report.scale), report.tally.energy_mac_equiv(report.scale)
    return {
        **_heading(report),
        "energy_uj": absolute.sum(axis=1),
        "energy_mac_equiv": relative.sum(axis=1),
        **{f"{level}_uj": absolute[:, i] for i, level in enumerate(LEVELS)},
        **{f"{level}_mac_equiv": relative[:, i] for i, level in enumerate(LEVELS)},
    }


def totals(report: Report) -> dict[str, int | float | None]:
    """Return the sums over all layers; ``params`` counts those that no layer reads, too."""
    (row,) = to_rows(total_columns(report.tally.total(), report.scale))
    row["params"] = report.network.params
    return row


def total_columns(tally: Tally, scale: Scale) -> Columns:
    """Return the columns of ``Report.totals`` for each row of *tally*, a whole network."""
    columns = _cost_columns(tally, scale)
    return {name: columns[name] for name in TOTALS}


def groups(report: Report, by: str) -> tuple[list[str], Tally]:
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


def _operand_columns(report: Report) -> Columns:
    """Widths and density with which each layer runs; empty where it has no such operand."""
    machine = Machine.of(report.accelerator)
    rows = [(layer, operands_of(layer, machine)) for layer in report.network.layers]
    return {
        "weight_bits": [bits.weight_bits if layer.weight_elements else None for layer, bits in rows],
        "activation_bits": [bits.activation_bits if layer.kind != "view" else None for layer, bits in rows],
        "weight_density": [bits.weight_density if learnt(layer) else None for layer, bits in rows],
    }


def _scalesim_columns(report: Report) -> Columns:
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


def _heading(report: Report) -> Columns:
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
