"""Findings: the layers that lose the most, each with the reason in a sentence computed from the loss accounting."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from squeezesim.cost.evaluate import BOUNDS, LOSSES, OPERANDS
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import workload_of
from squeezesim.network.checks import show
from squeezesim.report import units
from squeezesim.report.axes import axes
from squeezesim.report.columns import bounds, dataflows
from squeezesim.report.figures.words import OPERANDS as OPERAND_WORDS

if TYPE_CHECKING:
    from squeezesim.network import Layer
    from squeezesim.report.report import Report


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

    report: Report
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


def called(name: str) -> str:
    """Return *name* as a sentence says it: as it is where that reads like a name, else as a layer's.

    Example:
        >>> called("stage1.conv"), called("5"), called("a b")
        ('stage1.conv', 'layer 5', "layer 'a b'")
    """
    if re.fullmatch(r"[\w./:-]+", name):
        return f"layer {name}" if re.fullmatch(r"[\W\d_]+", name) else name
    return f"layer {show(name)}"


def findings(report: Report, n: int) -> list[Finding]:
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


def all_called(name: str, count: int) -> str:
    """Return what a sentence calls *count* layers of one shape: one by its name, the others by their number."""
    return called(name) + (f" and {units.plural(count - 1, 'layer')} of its shape" if count > 1 else "")


def _finding(report: Report, members: list[int]) -> Finding:
    index, many = members[0], len(members) > 1
    case = Case(report, index, many)
    cause = main_cause(case)
    share = int(report.tally.cycles[members].sum()) / int(report.tally.cycles.sum())
    busy = float(report.tally.utilization(report.scale)[index])
    at = f"at {units.share(busy)} utilization" if case.layer.macs else "without a MAC"
    who = f"{all_called(case.layer.name, len(members))} {'take' if many else 'takes'}"
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
