"""Diagnosis: why a layer takes the cycles that it takes, in sentences, from the loss accounting."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.evaluate import BOUNDS, LOSSES, OPERANDS
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import workload_of
from squeezesim.network.checks import show
from squeezesim.network.compress.rules import learnt
from squeezesim.network.compress.storage import nonzeros
from squeezesim.report import units
from squeezesim.report.figures.charts import OPERANDS as OPERAND_WORDS
from squeezesim.report.metrics import bounds, dataflows

if TYPE_CHECKING:
    from squeezesim.cost.problem import Workload
    from squeezesim.hardware.parts import Array
    from squeezesim.network import Layer
    from squeezesim.report.data import ReportData


@dataclass(frozen=True, slots=True)
class Axis:
    """Items laid on *width* rows, columns or PEs (*what*) at a time, each tile of them by itself.

    Attributes:
        noun: what an item is, with ``{s}`` where the plural has an s.
        cuts: (extent, tile size) of each loop whose product the items are.
    """

    noun: str
    cuts: tuple[tuple[int, int], ...]
    width: int
    what: str

    @property
    def items(self) -> int:
        """Items in all."""
        return prod(extent for extent, _ in self.cuts)

    @property
    def passes(self) -> int:
        """How often rows, columns or PEs are laid out to hold every item once."""
        parts = [((tile, extent // tile), (extent % tile, 1)) for extent, tile in self.cuts]
        return sum(
            prod(count for _, count in tile) * -(-prod(size for size, _ in tile) // self.width)
            for tile in product(*parts)
        )

    @property
    def filled(self) -> float:
        """Part of the rows, columns or PEs that holds an item, over all passes."""
        return self.items / (self.passes * self.width)

    def __str__(self) -> str:
        items = f"{self.items:,} {self.noun.format(s='' if self.items == 1 else 's')}"
        verb = "fills" if self.items == 1 else "fill"
        if self.passes == 1:
            return f"{items} {verb} {self.items:,} of {self.width:,} {self.what}"
        return f"{items} {verb} {units.share(self.filled)} of {self.width:,} {self.what} in {self.passes:,} passes"


def axes(work: Workload, dataflow: str, tile: Sequence[int], array: Array) -> list[Axis]:
    """Return what lies along rows and columns, for one problem in tiles (n, y, x, g, k, c); nothing where it varies.

    Pixels are those of rows as they are stored, padding included.

    Example: 9 input channels of a layer fill 56.2 % of 8 rows in 2 passes with ``ws``.
    """
    n, y, x, _, k, c = tile
    images, groups, filters, channels, rows, row, fy, fx = (
        int(column[0]) for column in (work.n, work.g, work.k, work.c, work.y, work.x, work.fy, work.fx)
    )
    each = " of a group" if groups > 1 else ""
    taps = fy * fx
    pixels = ((images, n), (rows, y), (row, x))

    def on_rows(noun: str, *cuts: tuple[int, int]) -> Axis:
        return Axis(noun, cuts, array.rows, "rows")

    def on_columns(noun: str, *cuts: tuple[int, int]) -> Axis:
        return Axis(noun, cuts, array.cols, "columns")

    outputs = on_columns(f"output channel{{s}}{each}", (filters, k))
    weights = on_rows("weight{s} of a filter", (taps * channels, taps * c))
    laid = {
        "ws": [on_rows(f"input channel{{s}}{each}", (channels, c)), outputs],
        "os": [on_rows("output row{s}", (rows, y)), on_columns("output column{s}", (row, x))],
        "scalesim_os": [on_rows("output pixel{s}", *pixels), outputs],
        "scalesim_ws": [weights, outputs],
        "scalesim_is": [weights, on_columns("output pixel{s}", *pixels)],
    }
    if work.pointwise[0]:
        laid["os"] = [Axis("output pixel{s}", pixels, array.rows * array.cols, "PEs")]
    else:
        # Sets of PEs stand one above the other and side by side: what matters is the room of each.
        high = array.rows // max(array.rows // fy, 1)
        wide = array.cols // max(array.cols // y, 1)
        laid["rs"] = [
            Axis("filter row{s}", ((fy, fy),), high, "rows"),
            Axis("output row{s}", ((rows, y),), wide, "columns"),
        ]
    return laid.get(dataflow, [])


@dataclass(frozen=True, slots=True)
class Finding:
    """A layer that loses PE-cycles, with those of its shape, and why.

    Attributes:
        layer: its name, that of the first of several.
        cause: the loss that the sentence is about, one of ``cost.evaluate.LOSSES``: the one that takes most of its
            PE-cycles or, of a layer without MACs, that its bound names.
        share: their part of the network's cycles.
        lost: the part of their PE-cycles that ``cause`` takes.
        text: the sentence.
        layers: the names of all, in the order in which they run.
    """

    layer: str
    cause: str
    share: float
    lost: float
    text: str
    layers: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Case:
    """One layer of a report, with the numbers that sentences are made of; one of several alike where it is ``many``."""

    report: ReportData
    index: int
    many: bool = False

    @property
    def it(self) -> str:
        """What a sentence calls the layer: each one of several alike."""
        return "each" if self.many else "it"

    @property
    def its(self) -> str:
        """What a sentence calls the layer's own."""
        return "their" if self.many else "its"

    @property
    def layer(self) -> Layer:
        """The layer."""
        return self.report.network.layers[self.index]

    @property
    def cycles(self) -> int:
        """Cycles of the layer."""
        return int(self.report.tally.cycles[self.index])

    @property
    def dataflow(self) -> str:
        """Name of the dataflow that was chosen, empty for a layer without MACs."""
        return dataflows(self.report.costs)[self.index]

    @property
    def bound(self) -> str:
        """What set the pace of the most cycles, one of ``cost.evaluate.BOUNDS``."""
        return bounds(self.report.tally)[self.index]

    def paced_share(self, bound: str) -> float:
        """Part of the layer's cycles in which *bound* set the pace."""
        return int(self.report.tally.time[self.index, BOUNDS.index(bound)]) / self.cycles

    def lost(self, cause: str) -> int:
        """PE-cycles lost to *cause*."""
        return int(self.report.tally.losses[self.index, LOSSES.index(cause)])

    def lost_share(self, cause: str) -> float:
        """Part of the layer's PE-cycles that is lost to *cause*."""
        return self.lost(cause) / (self.report.scale.pes * self.cycles)


def display_name(name: str) -> str:
    """Return *name* as a sentence says it: as it is where that reads like a name, else as a layer's.

    Example:
        >>> called("stage1.conv"), called("5"), called("a b")
        ('stage1.conv', 'layer 5', "layer 'a b'")
    """
    if re.fullmatch(r"[\w./:-]+", name):
        return f"layer {name}" if re.fullmatch(r"[\W\d_]+", name) else name
    return f"layer {show(name)}"


def findings(report: ReportData, n: int) -> list[Finding]:
    """Return the *n* shapes of layers with the most lost PE-cycles, worst first; what takes no time is left out."""
    lost = report.tally.losses.sum(axis=1)
    sums = [(int(lost[members].sum()), members) for members in alike(report.network.layers)]
    worst = sorted(sums, key=lambda item: -item[0])[: max(n, 0)]
    return [_finding(report, members) for total, members in worst if total > 0]


def alike(layers: Sequence[Layer]) -> list[list[int]]:
    """Return the places of layers of one shape together, which cost the same, in the order of the first of each."""
    shapes: dict[Layer, list[int]] = {}
    for place, layer in enumerate(layers):
        shapes.setdefault(shape_of(layer), []).append(place)
    return list(shapes.values())


def shape_of(layer: Layer) -> Layer:
    """Return *layer* without its place in the network: layers of one shape cost the same."""
    return replace(layer, name="layer", module="", stage="", inputs=(), carried=(), shared=())


def display_names(name: str, count: int) -> str:
    """Return what a sentence calls *count* layers of one shape: one by its name, the others by their number."""
    return display_name(name) + (f" and {units.plural(count - 1, 'layer')} of its shape" if count > 1 else "")


def _finding(report: ReportData, members: list[int]) -> Finding:
    index, many = members[0], len(members) > 1
    case = Case(report, index, many)
    cause = main_cause(case)
    share = int(report.tally.cycles[members].sum()) / int(report.tally.cycles.sum())
    busy = float(report.tally.utilization(report.scale)[index])
    at = f"at {units.share(busy)} utilization" if case.layer.macs else "without a MAC"
    who = f"{display_names(case.layer.name, len(members))} {'take' if many else 'takes'}"
    text = f"{who} {units.share(share)} of the time {at}: {reason(case, cause)}"
    names = tuple(report.network.layers[place].name for place in members)
    return Finding(case.layer.name, cause, share, case.lost_share(cause), text, names)


def main_cause(case: Case) -> str:
    """Return the loss that takes most of the PE-cycles of a layer or, of one without MACs, that its bound names."""
    return max(LOSSES if case.layer.macs else _CAUSES[case.bound], key=case.lost)


def reason(case: Case, cause: str) -> str:
    """Return why the layer of *case* loses PE-cycles to *cause*, and what sets the pace instead, if something does."""
    text = _REASONS[cause](case)
    if cause in _HIDDEN and case.bound in _PACES:
        paced = units.share(case.paced_share(case.bound))
        text += f", but {_PACES[case.bound]} sets the pace in {paced} of {case.its} cycles"
    return text


def _edge(case: Case) -> str:
    empty = units.share(case.lost_share("edge"))
    accelerator, layer = case.report.accelerator, case.layer
    work, _ = workload_of([layer], Machine.of(accelerator))
    laid = axes(work, case.dataflow, case.report.costs.tile[0, case.index].tolist(), accelerator.array)
    partly = list(map(str, sorted((axis for axis in laid if axis.filled < 1), key=lambda axis: axis.filled)))
    if work.pixels > work.valid:
        stored = int(work.pixels[0]) // (layer.n * layer.oy)
        partly.append(f"rows of {layer.ox:,} pixels are padded to {stored:,}")
    own = f" and {case.its} "
    reason = f"{case.its} {own.join(partly)}" if partly else f"{case.it} fills the array only in part"
    return f"{reason}, so that {empty} of {case.its} PE-cycles find no work"


def _zeros(case: Case) -> str:
    spent = units.share(case.lost_share("zeros"))
    return (
        f"{spent} of {case.its} PE-cycles are spent on zero weights, which are spread evenly and skipped only in "
        "part: a filter takes at least one cycle for each input channel, even where it has only zeros there, and each "
        "tile rounds up to whole cycles"
    )


def _fill(case: Case) -> str:
    return f"filling and draining the array takes {units.share(case.lost_share('fill'))} of {case.its} cycles"


def _dram(case: Case) -> str:
    moved = case.report.tally.dram[case.index]
    most = int(moved.argmax())
    rate = case.report.accelerator.dram_bytes_per_cycle
    part = f"{units.share(moved[most] / moved.sum())} {OPERAND_WORDS[OPERANDS[most]]}"
    what = f"moving {units.size(int(moved.sum()))} ({part}) at a steady {rate:.4g} bytes a cycle"
    if case.layer.macs:
        return f"{case.it} waits for DRAM for {units.share(case.lost_share('dram'))} of its cycles, {what}"
    return (
        f"{what} takes {units.share(case.paced_share('dram'))} of {case.its} cycles, beside which {case.its} "
        f"{_on_lanes(case)} take "
        f"{units.share(case.lost_share('vector'))}"
    )


def _buffer(case: Case) -> str:
    rate = case.report.accelerator.memory.global_buffer.bytes_per_cycle
    return (
        f"{case.it} waits for the buffer for {units.share(case.lost_share('buffer'))} of its cycles, moving "
        f"{units.size(int(case.report.tally.buffer_bytes[case.index]))} at a steady {rate or 0:.4g} bytes a cycle"
    )


def _startup(case: Case) -> str:
    spent = units.share(case.lost_share("startup"))
    ends = "first loads and last stores" if case.many else "first load and last store"
    return f"{case.its} {ends}, which no other layer hides, take {spent} of {case.its} cycles"


def _setup(case: Case) -> str:
    cycles = case.lost("setup") // case.report.scale.pes
    return f"setting {case.it} up takes {cycles:,} of its {case.cycles:,} cycles"


def _vector(case: Case) -> str:
    return f"{units.share(case.lost_share('vector'))} of {case.its} cycles are {_on_lanes(case)}"


def _on_lanes(case: Case) -> str:
    lanes = case.report.accelerator.vector_lanes
    where = f"each of {lanes:,} lanes" if lanes > 1 else "one lane"
    return f"{units.count(case.layer.vector_ops)} vector operations (one a cycle on {where})"


# What a layer without MACs loses its cycles to, by its bound.
_CAUSES = {"dram": ("dram",), "vector": ("vector",), "startup": ("startup", "setup")}
# Losses within the time of computing: where something slower runs beside that, to mend them saves no time.
_HIDDEN = ("edge", "zeros", "fill")
_PACES = {"dram": "DRAM", "buffer": "the buffer"}
_REASONS: dict[str, Callable[[Case], str]] = {
    "edge": _edge,
    "zeros": _zeros,
    "fill": _fill,
    "dram": _dram,
    "buffer": _buffer,
    "startup": _startup,
    "setup": _setup,
    "vector": _vector,
}


def notes(report: ReportData) -> tuple[str, ...]:
    """Return what a reader must know: of the network, and of compression that the accelerator makes no use of."""
    return (*report.network.notes, *unused(report))


def unused(report: ReportData) -> tuple[str, ...]:
    """Return a sentence for each way in which the accelerator makes no use of what a network brings."""
    return (*_idle_zeros(report), *_widths(report), *_idle_vector(report))


def _idle_zeros(report: ReportData) -> Iterable[str]:
    machine = Machine.of(report.accelerator)
    skipping = {name for name, flow in DATAFLOWS.items() if flow.skips_zeros and name in machine.skips_zeros}
    pruned = [
        (layer, flow)
        for layer, flow in zip(report.network.layers, dataflows(report.costs), strict=True)
        if learnt(layer) and _left(layer) < layer.weight_elements
    ]
    slow = [(layer, flow) for layer, flow in pruned if flow not in skipping]
    if slow:
        flows = sorted({flow for _, flow in slow})
        left = sum(_left(layer) for layer, _ in slow) / sum(layer.weight_elements for layer, _ in slow)
        yield (
            f"weights of {units.plural(len(slow), 'layer')} are {units.share(left)} dense, but "
            f"{' and '.join(flows)} {'skips' if len(flows) == 1 else 'skip'} no zeros here: dense time"
        )
    if pruned:
        yield "zero weights are loaded from DRAM like others; weights_bytes is what a compressed file takes"


def _left(layer: Layer) -> int:
    density = 1.0 if layer.weight_density is None else layer.weight_density
    return nonzeros(layer.weight_elements, density)


def _idle_vector(report: ReportData) -> Iterable[str]:
    ops = Counter(layer.op for layer in report.network.layers if layer.kind == "vector")
    if ops and report.accelerator.vector.model == "none":
        counted = ", ".join(f"{count} {op}" for op, count in ops.most_common())
        yield f"vector.model is none here, so that {counted} cost nothing"


def _widths(report: ReportData) -> Iterable[str]:
    precision = report.accelerator.precision
    has = f"w{precision.weight_bits}a{precision.activation_bits}"
    wider = narrower = 0
    for layer in report.network.layers:
        if layer.kind != "mac":
            continue
        own = (layer.weight_bits, precision.weight_bits), (layer.activation_bits, precision.activation_bits)
        wider += any(bits is not None and bits > theirs for bits, theirs in own)
        narrower += any(bits is not None and bits < theirs for bits, theirs in own)
    if wider:
        yield (
            f"operands of {units.plural(wider, 'layer')} are wider than {has} of the PEs, "
            "which is counted in traffic and energy, not in cycles"
        )
    if narrower:
        yield (
            f"operands of {units.plural(narrower, 'layer')} are narrower than {has} of the PEs: "
            "less traffic and energy, but still one MAC a cycle in each PE"
        )
