"""Metrics: the one table of what a report says, how each column is computed, called, written and judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from squeezesim.cost.costs import BOUNDS, CAUSES, OPERANDS, cause_named, label_of
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.dataflow.scalesim import SCALESIM, printed
from squeezesim.cost.machine import LEVELS
from squeezesim.cost.problem import workload_of
from squeezesim.cost.traffic import MODES, Mode
from squeezesim.errors import UsageError, nearest
from squeezesim.markup import Markdown, code, markdown_table
from squeezesim.network.compress.rules import learnt
from squeezesim.report import units
from squeezesim.report.stays import homes_in, kept_bytes

if TYPE_CHECKING:
    from squeezesim.cost.costs import Costs
    from squeezesim.cost.problem import Ints, Operands
    from squeezesim.network import Layer
    from squeezesim.report.data import ReportData
    from squeezesim.report.tally import Scale, Tally

Columns = dict[str, Any]
"""Column name → one entry for each row: a list, in which None is no value, or an array, in which NaN is none."""

Kind = Literal["text", "integer", "number"]
"""Integers have 64 bits, numbers are doubles."""
ARROW: Mapping[Kind, Literal["string", "int64", "float64"]] = {
    "text": "string",
    "integer": "int64",
    "number": "float64",
}
"""The type of a column of each kind in Parquet."""

Table = Literal["layer", "group", "network", "comparison"]
"""Of layers; of stages or operators; of networks, as totals and sweeps are; of several reports' stages or layers."""

_FORMATS = {
    "µs": units.decimal,
    "µJ": units.decimal,
    "bytes": units.size,
    "1": units.share,
    "%": units.per_cent,
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A column: what it is, how it is computed, what it is called, how its values are written and judged.

    Attributes:
        unit: ``1`` for a ratio; empty for texts, sizes and plain counts.
        meaning: Markdown.
        of: computes it from sums, which have a row for each layer, stage, operator or network.
        of_layers: computes what layers alone have. What has neither is computed elsewhere, but called and written here.
        header: what stands above the column where people read it; by default the name.
        format: writes a value for people; by default as the unit asks for.
        suffix: follows the value in a sentence, where the unit is not part of what *format* writes.
        better: which values are better; where none is said to be, a Pareto front takes less.
        can_be_empty: there may be no value.
        is_optional: a column of some reports alone; of the others ``of_layers`` is None.
        axis: the field of ``Costs``, or of a report, with the names of what there is such a column of in a report.
        tables: those that it is a column of, where it is computed.
        beside: the metric that it follows in tables of networks and comparisons, where that is not the one before it.
        short: what the header in an HTML page says of it; by default *meaning*.
        ratio: the column of a comparison with its quotient by the baseline's; none where empty.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    of: Callable[[Tally, Scale], Any] | None = None
    of_layers: Callable[[ReportData], Any] | None = None
    _: KW_ONLY
    header: str = ""
    format: Callable[[Any], str] | None = None
    suffix: str = ""
    better: Literal["less", "more"] | None = None
    can_be_empty: bool = False
    is_optional: bool = False
    axis: Literal["causes", "operands", "memories"] | None = None
    tables: tuple[Table, ...] = ("layer", "group", "network", "comparison")
    beside: str = ""
    short: str = ""
    ratio: str = ""

    def column(self, report: ReportData) -> Any:
        """Return an entry for each layer of *report*; None where there is no such column."""
        if self.of_layers:
            return self.of_layers(report)
        return self.of(report.tally, report.scale) if self.of else None

    def is_in(self, table: Table) -> bool:
        """Return whether it is a column of *table*."""
        if self.of is None:
            return table == "layer" and self.of_layers is not None
        return table in self.tables


def _of_layer(
    name: str, kind: Kind, meaning: str, value: Callable[[Layer], Any] | None = None, **more: Any
) -> Metric:
    """What a layer is; by default its field of this name."""
    read = value or attrgetter(name)

    def column(report: ReportData) -> Any:
        values = [read(layer) for layer in report.network.layers]
        return np.array(values, np.int64) if kind == "integer" else values

    return Metric(name, kind, "", meaning, of_layers=column, **more)


def _of_operands(
    name: str, kind: Kind, unit: str, meaning: str, value: Callable[[Layer, Operands], Any]
) -> Metric:
    """What a layer's operands are as it runs, its own or the accelerator's."""
    return Metric(
        *(name, kind, unit, meaning),
        of_layers=lambda report: list(map(value, report.network.layers, report.operands)),
        can_be_empty=True,
    )


def _units(report: ReportData) -> list[str] | None:
    """The unit of each layer, empty where none is."""
    own = report.accelerator.array.units
    if not own:
        return None
    return [flow if flow in own else "" for flow in dataflows(report.costs)]


def _stationary() -> Iterator[str]:
    """What stays in the PEs, dataflow by dataflow; the names of SCALE-Sim's say it."""
    return (
        f"{flow.name} {flow.declared.stationary}" for flow in DATAFLOWS.values() if flow.name not in SCALESIM
    )


def _paces(report: ReportData) -> list[float | None] | None:
    """MACs that a PE does in a cycle of each layer; none where the accelerator gives no rates."""
    machine = report.machine
    if not machine.paces:
        return None
    found = (machine.pace(each.weight_bits, each.activation_bits) for each in report.operands)
    layers = report.network.layers
    return [
        macs / cycles if layer.kind == "mac" else None
        for layer, (macs, cycles) in zip(layers, found, strict=True)
    ]


def _lost(cause: str) -> Metric:
    """PE-cycles that are lost to *cause*, whether or not there is a word for it."""
    return Metric(
        *(f"lost_{cause}", "integer", "PE-cycles", f"that {cause_named(cause).phrase}"),
        lambda tally, _: tally.part("losses", cause),
        tables=("layer",),
        axis="causes",
    )


def _moved(operand: str) -> Metric:
    """Bytes of *operand* between DRAM and buffer."""
    label = "finished outputs" if operand == "outputs" else label_of(operand, OPERANDS)
    return Metric(
        *(f"dram_{operand}_bytes", "integer", "bytes", f"of {label} in `dram_bytes`"),
        lambda tally, _: tally.part("dram", operand),
        tables=("layer",),
        axis="operands",
    )


def _passed(memory: str) -> Metric:
    """Bytes that pass the port of *memory*, where there are several memories."""

    def column(report: ReportData) -> Ints | None:
        if len(report.memories) == 1:
            return None
        parts = (report.tally.part("dram", operand) for operand in report.memories.get(memory, ()))
        return np.asarray(sum(parts, np.zeros(len(report.network.layers), np.int64)))

    return Metric(
        *(f"memory_{memory}_bytes", "integer", "bytes"),
        f"of `dram_bytes` between {label_of(memory, LEVELS)} and the buffer; there where there are several memories",
        of_layers=column,
        is_optional=True,
        axis="memories",
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _of_layer(
            *("name", "text", "the layer's name, unique in the network"),
            header="layer",
            short="in the order in which they run",
        ),
        _of_layer("op", "text", "operator"),
        _of_layer(
            *("stage", "text", "`stem`, `stage1` … `head`; empty where the network has none"),
            short="part of the network",
        ),
        Metric(
            *("dataflow", "text", ""),
            f"that was chosen: {', '.join(f'`{name}`' for name in DATAFLOWS)}; empty without MACs",
            of_layers=lambda report: dataflows(report.costs),
            format=units.word,
            short=f"what stays in the PEs: {', '.join(_stationary())}",
        ),
        Metric(
            *("unit", "text", ""),
            "of the array that runs it, one of `array.units`; empty where a dataflow of shared rows and columns does",
            of_layers=_units,
            format=units.word,
            is_optional=True,
        ),
        Metric(
            *("macs_per_pe", "number", "MACs/cycle"),
            "that a PE does in a cycle with the layer's widths, by `precision.rates`; empty without MACs",
            of_layers=_paces,
            can_be_empty=True,
            is_optional=True,
        ),
        _of_layer("groups", "integer", "groups G", attrgetter("g")),
        _of_layer("k", "integer", "output channels K of a group"),
        _of_layer("c", "integer", "input channels C of a group"),
        _of_layer("oy", "integer", "output rows"),
        _of_layer("ox", "integer", "output columns"),
        _of_layer("fy", "integer", "filter rows"),
        _of_layer("fx", "integer", "filter columns"),
        _of_layer("stride", "text", "vertical x horizontal", lambda layer: "x".join(map(str, layer.stride))),
        Metric(
            *("layers", "integer", "", "how many there are of it", lambda tally, _: tally.layers),
            format=str,
            tables=("group",),
        ),
        Metric(
            *("params", "integer", "", "learnable values, with those of fused operators"),
            lambda tally, _: tally.params,
            short="learnable values",
            ratio="params_relative",
        ),
        Metric(
            *("macs", "integer", "MACs", "dense multiply–accumulates", lambda tally, _: tally.macs),
            header="MACs",
            short="multiply–accumulates",
            ratio="macs_relative",
        ),
        Metric(
            *("vector_ops", "integer", "ops"),
            "operations on single elements, with those of fused operators",
            lambda tally, _: tally.vector_ops,
            header="vector ops",
        ),
        Metric(
            *("cycles", "integer", "cycles", "of the accelerator's clock", lambda tally, _: tally.cycles),
            short="of the accelerator’s clock",
            ratio="cycles_relative",
        ),
        Metric(
            *("latency_us", "number", "µs", "cycles / clock"),
            lambda tally, scale: tally.latency_us(scale),
            header="latency µs",
            suffix="µs",
            better="less",
            ratio="latency_relative",
        ),
        Metric(
            *("utilization", "number", "1", "executed MACs / (PEs · cycles · MACs of a PE in a cycle)"),
            lambda tally, scale: tally.utilization(scale),
            better="more",
            can_be_empty=True,
            short="executed MACs / (PEs × cycles)",
        ),
        Metric(
            *("efficiency", "number", "1", "dense MACs / (PEs · cycles · MACs of a PE in a cycle)"),
            lambda tally, scale: tally.efficiency(scale),
            better="more",
            can_be_empty=True,
            short="dense MACs / (PEs × cycles), above 100 % where zeros are skipped",
        ),
        Metric(
            *("bound", "text", ""),
            f"the bottleneck of the most cycles: {', '.join(f'`{name}`' for name in BOUNDS)}; empty without cycles",
            lambda tally, _: bounds(tally),
            format=units.word,
            short="the bottleneck of the most cycles",
        ),
        Metric(
            *("energy_uj", "number", "µJ", "energy; empty where the energy table is relative"),
            lambda tally, scale: tally.energy_uj(scale).sum(axis=-1),
            header="energy µJ",
            suffix="µJ",
            better="less",
            can_be_empty=True,
            short="all levels",
        ),
        Metric(
            *("dram_bytes", "integer", "bytes", "moved between DRAM and buffer"),
            lambda tally, _: tally.dram_bytes,
            header="DRAM",
            better="less",
            short="bytes between DRAM and buffer",
            ratio="dram_relative",
        ),
        Metric(
            *("buffer_bytes", "integer", "bytes", "read from and written to the buffer"),
            lambda tally, _: tally.buffer_bytes,
            tables=("layer", "group", "comparison"),
        ),
        Metric(
            *("tiling", "text", "", "loop order and tile sizes; empty without MACs"),
            of_layers=lambda report: tilings(report.network.layers, report.costs),
            short="loop order, and tile sizes of pixels (y, x) and of output (k) and input channels (c)",
        ),
        *(
            Metric(
                *(f"{operand}_in", "text", "", meaning),
                of_layers=partial(homes_in, operand=key),
                header=f"{operand} in",
                format=units.word,
                is_optional=True,
            )
            for operand, key, meaning in (
                (
                    "inputs",
                    "inputs",
                    "where it reads its inputs: `memory`, `buffer`, or `both`, a part in each; empty without cycles",
                ),
                (
                    "output",
                    "outputs",
                    "where its outputs live until they have been read: `memory`, `buffer`, or `both`; empty "
                    "without cycles",
                ),
                (
                    "weights",
                    "weights",
                    "where its weights live: `memory`, `buffer`, or `stays`, in `memory.stays`; empty without weights",
                ),
            )
        ),
        Metric(
            *("kept_bytes", "integer", "bytes"),
            "of the buffer that whole feature maps, and weights that stay, take while it runs",
            of_layers=kept_bytes,
            header="kept",
            is_optional=True,
        ),
        Metric(
            *(
                "ahead_bytes",
                "integer",
                "bytes",
                "of its weights, loaded beside the layer before (`memory.prefetch`)",
            ),
            of_layers=lambda report: report.costs.ahead_bytes[0] if report.machine.loads_ahead else None,
            header="ahead",
            is_optional=True,
        ),
        Metric(
            *("energy_mac_equiv", "number", "MACs", "energy in units of one MAC"),
            lambda tally, scale: tally.energy_mac_equiv(scale).sum(axis=-1),
            header="energy (MACs)",
            suffix="MAC-equivalents",
            better="less",
            can_be_empty=True,
            beside="energy_uj",
            short="all levels, in units of one MAC",
        ),
        Metric(
            *("area_mm2", "number", "mm²", "area of the buffer; empty where the energy table has none"),
            lambda tally, scale: np.broadcast_to(scale.area_mm2, tally.cycles.shape),
            header="buffer area mm²",
            format=units.decimal,
            suffix="mm²",
            better="less",
            can_be_empty=True,
            tables=("network",),
        ),
        Metric(
            *("weights_bytes", "integer", "bytes", "of learnt values in the smallest compressed form"),
            lambda tally, _: tally.weights[..., 0],
            header="weights",
            tables=("layer", "group", "network"),
        ),
        Metric(
            *("weights_values_bytes", "integer", "bytes", "the same without what finds the non-zeros"),
            lambda tally, _: tally.weights[..., 1],
            header="weights, values",
            tables=("layer", "group", "network"),
        ),
        _of_operands(
            *("weight_bits", "integer", "bits", "of a weight; empty where there is none"),
            lambda layer, bits: bits.weight_bits if layer.weight_elements else None,
        ),
        _of_operands(
            *("activation_bits", "integer", "bits", "of an activation; empty for a view"),
            lambda layer, bits: bits.activation_bits if layer.kind != "view" else None,
        ),
        _of_operands(
            *("weight_density", "number", "1"),
            "part of the weights that is not zero; empty where none are learnt",
            lambda layer, bits: bits.weight_density if learnt(layer) else None,
        ),
        Metric(
            *("share", "number", "1", "part of the network's cycles"),
            lambda tally, _: tally.cycles / tally.cycles.sum(axis=-1, keepdims=True),
            header="time",
            tables=("layer", "group", "comparison"),
            beside="latency_us",
            short="part of the network’s cycles",
        ),
        _of_layer("n", "integer", "images N"),
        _of_layer("module", "text", "module that ran"),
        _of_layer(
            *("fused", "text", "operators that are part of the layer, separated by blanks"),
            lambda layer: " ".join(layer.fused),
        ),
        Metric(
            *("executed_macs", "integer", "MACs"),
            "multiply–accumulates that were done: without zero weights that were skipped",
            lambda tally, _: tally.executed,
            tables=("layer",),
        ),
        *map(_moved, OPERANDS),
        _passed("dram"),
        *map(_lost, CAUSES),
        _of_layer(
            *("repeat", "integer"),
            "equal steps of a recurrence: counts and costs are of all of them, sizes of one",
            format=str,
            short="equal steps of a recurrence; the counts are of all of them",
        ),
        Metric(
            *("scalesim_total_cycles", "integer", "cycles", "that SCALE-Sim prints without stalls"),
            of_layers=lambda report: _scalesim(report, "total_cycles", repeats=True),
            can_be_empty=True,
            is_optional=True,
        ),
        Metric(
            *("scalesim_mapping_efficiency", "number", "1", "that SCALE-Sim prints"),
            of_layers=lambda report: _scalesim(report, "mapping_efficiency"),
            can_be_empty=True,
            is_optional=True,
        ),
        # Computed elsewhere: from several columns of a table, from stages, from what was published, from parameters.
        Metric("outputs", "integer", "", "output channels × rows × columns", header="output"),
        Metric("taps", "integer", "", "filter rows × columns, /stride", header="filter"),
        Metric(
            *("late_share", "number", "1", "share of the last half of the stages in the params of all"),
            header="late params",
            better="more",
            can_be_empty=True,
        ),
        Metric(
            *("top1_percent", "number", "%", "accuracy on ImageNet"),
            header="top-1 %",
            suffix="%",
            better="more",
            can_be_empty=True,
        ),
        Metric(
            *(
                "array.pes",
                "integer",
                "",
                "rows · columns of the array, or PEs of its largest unit if these are more",
            ),
            header="PEs",
            format="{:,.0f}".format,
        ),
    )
}
"""Every metric by its name, in the order of a report's columns.

An entry says all there is to say of it: it is then a column of reports and their files, of comparisons and sweeps, and
a name in conditions, objectives and orders.
"""


_FURTHER: dict[str, Callable[[str], Metric]] = {
    r"lost_(\w+)": _lost,
    r"dram_(\w+)_bytes": _moved,
    r"memory_(\w+)_bytes": _passed,
}


def find_metric(name: str) -> Metric | None:
    """Return the metric *name*, of a cause or an operand that no table knows, too; None where it is no metric.

    Example:
        >>> find_metric("lost_bank_conflict").unit, find_metric("array.rows")
        ('PE-cycles', None)
    """
    if name in METRICS:
        return METRICS[name]
    found = ((make, re.fullmatch(form, name, re.ASCII)) for form, make in _FURTHER.items())
    return next((make(match[1]) for make, match in found if match), None)


def metrics_of_layers(report: ReportData) -> list[Metric]:
    """Return the columns of the layers of *report*, with those of the causes, operands and memories that it has."""
    found: list[Metric] = []
    for axis, metrics in groupby(metrics_of("layer"), key=attrgetter("axis")):
        makers = {"causes": _lost, "operands": _moved, "memories": _passed}
        names = report.memories if axis == "memories" else getattr(report.costs, axis or "causes")
        found += map(makers[axis], names) if axis else metrics
    return found


def metrics_of(table: Table) -> list[Metric]:
    """Return the columns of *table* in their order; in that of networks texts come after all numbers."""
    found = [metric for metric in METRICS.values() if metric.is_in(table)]
    if table in ("layer", "group"):
        return found
    place = {name: number for number, name in enumerate(METRICS)}
    found.sort(key=lambda metric: (place[metric.beside or metric.name], place[metric.name]))
    return sorted(found, key=lambda metric: table == "network" and metric.kind == "text")


def total_names() -> list[str]:
    """Return the names of what ``Report.totals`` holds, the numbers of a network."""
    return [metric.name for metric in metrics_of("network") if metric.kind != "text"]


def units_by_name() -> dict[str, str]:
    """Return the unit of each metric, for conditions."""
    return {metric.name: metric.unit for metric in METRICS.values()}


def is_more_better(name: str) -> bool:
    """Return whether more is better of the column *name*; of a parameter less is."""
    return name in METRICS and METRICS[name].better == "more"


def split_by_better(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return those of *names* of which less is better, and those of which more is."""
    found = list(names)
    return [name for name in found if not is_more_better(name)], [*filter(is_more_better, found)]


def header(name: str) -> str:
    """Return what stands above the column *name*, a metric or the path of a parameter.

    Example:
        >>> header("latency_us"), header("memory.global_buffer.size_kib")
        ('latency µs', 'size_kib')
    """
    metric = find_metric(name)
    return metric.header or name if metric else name.rpartition(".")[2]


def words(name: str) -> str:
    """Return what the column *name* is called in a sentence: its header without a unit."""
    if name not in METRICS:
        return header(name)
    return header(name).removesuffix(f" {METRICS[name].suffix}").removesuffix(f" ({METRICS[name].unit})")


def format_value(name: str, value: Any) -> str:
    """Return a value of the column *name* as people read it; one of a parameter as it is given.

    Example:
        >>> format_value("latency_us", 1234.56), format_value("dram_bytes", 411_648), format_value("macs", None)
        ('1,235', '402.0 KiB', '–')
    """
    metric = find_metric(name)
    if metric:
        default = str if metric.kind == "text" else _FORMATS.get(metric.unit, units.count)
        return (metric.format or default)(value)
    if value is None:
        return "null"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def quantity(name: str, value: Any) -> str:
    """Return a value of the metric *name* as a sentence says it.

    Example:
        >>> quantity("latency_us", 1234.56), quantity("dram_bytes", 411_648), quantity("energy_mac_equiv", 12_000_000)
        ('1,235 µs', '402.0 KiB', '12.00 M MAC-equivalents')
    """
    return f"{format_value(name, value)} {METRICS[name].suffix}".rstrip()


def column_table() -> str:
    """Return a Markdown table of every column of a report."""
    return markdown_table(
        ("column", "type", "unit", "meaning"),
        (
            (code(metric.name), metric.kind, metric.unit or "–", Markdown(metric.meaning))
            for metric in metrics_of("layer")
        ),
        left=range(4),
    )


GROUPS = ("layer", "stage", "op")


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
    found = {metric.name: metric.column(report) for metric in metrics_of_layers(report)}
    return {name: column for name, column in found.items() if column is not None}


def group_columns(report: ReportData, by: str) -> Columns:
    """Return the sums over the layers of each stage or operator, in the order in which these appear."""
    names, tally = groups(report, by)
    return {by: names, **_sums(metrics_of("group"), tally, report.scale)}


def loss_columns(report: ReportData) -> Columns:
    """Return where each layer's PE-cycles go: ``pe_cycles`` = ``executed_macs`` + Σ of the columns after it."""
    tally = report.tally
    return {
        **_heading(report),
        "pe_cycles": tally.slots,
        "executed_macs": tally.executed,
        **{cause: tally.losses[:, i] for i, cause in enumerate(tally.causes)},
    }


def energy_columns(report: ReportData) -> Columns:
    """Return each layer's energy by level, in µJ (empty where the table is relative) and in units of one MAC."""
    levels = report.tally.levels
    absolute, relative = report.tally.energy_uj(report.scale), report.tally.energy_mac_equiv(report.scale)
    return {
        **_heading(report),
        "energy_uj": absolute.sum(axis=1),
        "energy_mac_equiv": relative.sum(axis=1),
        **{f"{level}_uj": absolute[:, i] for i, level in enumerate(levels)},
        **{f"{level}_mac_equiv": relative[:, i] for i, level in enumerate(levels)},
    }


def totals(report: ReportData) -> dict[str, int | float | None]:
    """Return the sums over all layers; ``params`` counts those that no layer reads, too."""
    (row,) = to_rows(total_columns(report.tally.total(), report.scale))
    row["params"] = report.network.params
    return row


def total_columns(tally: Tally, scale: Scale) -> Columns:
    """Return the columns of ``Report.totals`` for each row of *tally*, a whole network."""
    return _sums(map(METRICS.__getitem__, total_names()), tally, scale)


def network_columns(tally: Tally, scale: Scale) -> Columns:
    """Return the columns of ``Report.totals`` and texts for each row of *tally*, a whole network."""
    return _sums(metrics_of("network"), tally, scale)


def _sums(metrics: Iterable[Metric], tally: Tally, scale: Scale) -> Columns:
    return {metric.name: metric.of(tally, scale) for metric in metrics if metric.of}


def groups(report: ReportData, by: str, tally: Tally | None = None) -> tuple[list[str], Tally]:
    """Return the names of the stages or operators, and the sums over the layers of each, by default of the report's."""
    keys = [getattr(layer, by) for layer in report.network.layers]
    names = list(dict.fromkeys(keys))
    index = {name: number for number, name in enumerate(names)}
    rows = report.tally if tally is None else tally
    return names, rows.grouped(np.array([index[key] for key in keys], np.int64), len(names))


def to_rows(columns: Columns) -> list[dict[str, Any]]:
    """Return one dictionary for each row, with ``None`` where there is no number."""
    lists = [_plain(column) for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def dataflows(costs: Costs) -> list[str]:
    """Return the name of each layer's dataflow, empty where it has none."""
    return [costs.dataflows[index] if index >= 0 else "" for index in costs.dataflow[0].tolist()]


def bounds(tally: Tally) -> list[str]:
    """Return the bottleneck of the most cycles of each row, empty where there are none."""
    names = np.array([*tally.bounds, ""])
    found: list[str] = names[np.where(tally.cycles > 0, tally.time.argmax(axis=-1), -1)].tolist()
    return found


def tilings(layers: Iterable[Layer], costs: Costs) -> list[str]:
    """Return each layer's loop order, tile sizes and what stays in the buffer, empty where it is not tiled.

    The order is that of ``cost.traffic``: P pixels, K output channels, C input channels. Images (n) and groups (g) are
    named where the layer has several; the pixels of a matrix product are all in x. Operands that have one slot, though
    they could have two, are named too.

    Example: ``PKC y14 x14 k32 c64 stay:weights``.
    """
    rows = zip(
        layers, costs.mode[0].tolist(), costs.tile[0].tolist(), costs.pointwise[0].tolist(), strict=True
    )
    return [_tiling(layer, MODES[mode], tile, pointwise) for layer, mode, tile, pointwise in rows]


def _tiling(layer: Layer, mode: Mode, tile: Sequence[int], pointwise: bool) -> str:
    n, y, x, g, k, c = tile
    if x == 0:
        return ""
    parts = [("n", n, layer.n > 1 and not pointwise), ("y", y, not pointwise), ("x", x, True)]
    parts += [("g", g, layer.g > 1), ("k", k, True), ("c", c, True)]
    held = [
        f"{how}:{'+'.join(operands)}"
        for how, operands in (("stay", mode.stays), ("single", mode.single))
        if operands
    ]
    return " ".join([mode.order, *(f"{axis}{size}" for axis, size, shown in parts if shown), *held])


def _scalesim(report: ReportData, column: str, *, repeats: bool = False) -> list[int | float | None] | None:
    """What SCALE-Sim prints without stalls of each layer that runs one of its dataflows; None where none does.

    It is that of one step of a recurrence, or of all of them where it *repeats*.
    """
    names = dataflows(report.costs)
    if not SCALESIM.keys() & set(names):
        return None
    layers = report.network.layers
    machine = replace(report.machine, row_words=1)  # SCALE-Sim pads no rows
    found: list[int | float | None] = [None] * len(layers)
    for name, flow in SCALESIM.items():
        index = [number for number, chosen in enumerate(names) if chosen == name]
        if index:
            work, rows = workload_of([report.ran[number] for number in index], machine)
            values = getattr(printed(flow, work, machine), column)[rows].tolist()
            for number, value in zip(index, values, strict=True):
                found[number] = value * layers[number].repeat if repeats else value
    return found


def _heading(report: ReportData) -> Columns:
    return {name: METRICS[name].column(report) for name in ("name", "stage", "dataflow", "cycles")}


def _plain(column: Any) -> list[Any]:
    values = column.tolist() if isinstance(column, np.ndarray) else column
    return [None if value != value else value for value in values]  # noqa: PLR0124  NaN differs from itself


def energy_unit(report: ReportData) -> tuple[object, ...]:
    """Return what the energies of *report* are in: µJ, or MACs of one table at one precision."""
    return ("µJ",) if report.scale.has_joules else mac_unit(report)


def mac_unit(report: ReportData) -> tuple[object, ...]:
    """Return what one MAC of ``energy_mac_equiv`` is: of which table, and how much in it at the PEs' precision."""
    energy = report.accelerator.energy
    return energy.table, energy.overrides.get("mac"), float(report.scale.mac_energy[0])


def energy_column(*reports: ReportData) -> str | None:
    """Return the column in which all *reports* have energies of one unit, None where there is none."""
    return shown_energy(*reports) if len({energy_unit(report) for report in reports}) == 1 else None


def shown_energy(*reports: ReportData) -> str:
    """Return the column of energies that all *reports* have: in µJ where none of their tables is relative."""
    absolute = all(report.scale.has_joules for report in reports)
    return "energy_uj" if absolute else "energy_mac_equiv"
