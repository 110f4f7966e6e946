"""Diagnosis: why a layer takes the cycles that it takes, in sentences, from the loss accounting."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from squeezesim.cost.constraints import idle
from squeezesim.cost.costs import ALONE, BOUNDS, OPERANDS, cause_named, label_of
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.layings import laying_in
from squeezesim.cost.lowering import POST_OPS, joined, obstacles
from squeezesim.cost.machine import LEVELS, Machine
from squeezesim.cost.problem import workload_of
from squeezesim.cost.search import WITHIN_SLACK
from squeezesim.cost.traffic import AXES
from squeezesim.escapes import visible
from squeezesim.hardware.unit import FLAT, LOOPS
from squeezesim.network.checks import derive
from squeezesim.network.compress.rules import learnt
from squeezesim.network.compress.storage import nonzeros
from squeezesim.report import stays, units
from squeezesim.report.metrics import bounds, dataflows
from squeezesim.report.names import display_name, display_names

if TYPE_CHECKING:
    from squeezesim.cost.costs import Cause
    from squeezesim.cost.problem import Workload
    from squeezesim.hardware.parts import Array
    from squeezesim.hardware.unit import Unit
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


_NOUNS = {
    **{"G": "group{s}", "K": "output channel{s}", "C": "input channel{s}", "N": "image{s}"},
    **{"Y": "output row{s}", "X": "output column{s}", "P": "output pixel{s}"},
    **{"FY": "filter row{s}", "FX": "filter column{s}"},
}
"""What an item of a loop is; of several loops one after the other it is all of them, but for a weight of a filter."""


def axes(work: Workload, dataflow: str, tile: Sequence[int], array: Array) -> list[Axis]:
    """Return what lies along rows and columns, for one problem in tiles (n, y, x, g, k, c); nothing where it varies.

    It follows from the loops that the dataflow runs in space. Pixels are those of rows as they are stored, padding
    included; of input channels whose weights are packed each tile lays out those that the pattern keeps.

    Example: 9 input channels of a layer fill 56.2 % of 8 rows in 2 passes with ``ws``.
    """
    if dataflow in array.units:
        return list(_unrolled(work, array.units[dataflow], tile))
    if dataflow not in DATAFLOWS:
        return []
    declared = DATAFLOWS[dataflow].declared
    loops = declared.spatial
    n, y, x, g, k, c = tile
    images, groups, filters, channels, rows, row, fy, fx = (
        int(column[0]) for column in (work.n, work.g, work.k, work.c, work.y, work.x, work.fy, work.fx)
    )
    pixels = ((images, n), (rows, y), (row, x))
    cuts = {
        **{"G": ((groups, g),), "K": ((filters, k),), "C": ((channels, c),), "N": pixels[:1]},
        **{"Y": pixels[1:2], "X": pixels[2:], "P": pixels, "FY": ((fy, fy),), "FX": ((fx, fx),)},
    }
    each = " of a group" if groups > 1 else ""
    nouns = {**_NOUNS, "K": f"output channel{{s}}{each}", "C": f"input channel{{s}}{each}"}
    if declared.packs and work.block_kept[0] < work.block_size[0]:
        kept, rest = (int(work.packed(np.array([part]))[0]) for part in (c, channels % c))
        cuts["C"] = ((channels // c * kept + rest, kept),)
        nouns["C"] = (
            f"of {channels:,} input channels{each} that {work.block_kept[0]}:{work.block_size[0]} keeps"
        )
    if work.pointwise[0] and "Y" in loops.rows + loops.cols:  # its pixels stand in x alone
        whole = loops.rows + loops.cols == ("Y", "X")
        return [Axis(_NOUNS["P"], pixels, array.rows * array.cols, "PEs")] if whole else []

    def laid(names: Sequence[str], width: int, what: str) -> Axis:
        noun = (
            "weight{s} of a filter"
            if set(names) == {"FY", "FX", "C"}
            else " × ".join(nouns[name] for name in names)
        )
        return Axis(noun, tuple(cut for name in names for cut in cuts[name]), width, what)

    if "FY" in loops.rows and "FX" not in loops.rows:
        # Sets of filter rows stand one above the other and side by side: what matters is the room of each.
        high = array.rows // max(array.rows // fy, 1)
        wide = array.cols // max(array.cols // y, 1)
        return [laid(("FY",), high, "rows"), laid(("Y",), wide, "columns")]
    sides = (loops.rows, array.rows, "rows"), (loops.cols, array.cols, "columns")
    return [laid(names, width, what) for names, width, what in sides if names]


def _unrolled(work: Workload, unit: Unit, tile: Sequence[int]) -> Iterator[Axis]:
    """The loops that *unit* runs in space, each with the places that it has."""
    extents = {loop: int(getattr(work, loop)[0]) for loop in (*AXES, "fy", "fx")}
    sizes = extents | dict(zip(AXES, tile, strict=True))
    for loop, places in unit.unroll.items():
        cuts = tuple((extents[part], sizes[part]) for part in FLAT.get(loop, (loop,)))
        yield Axis(LOOPS[loop], cuts, places, f"places along {loop}")


@dataclass(frozen=True, slots=True)
class Finding:
    """A layer that loses PE-cycles, with those of its shape, and why.

    Attributes:
        layer: its name, that of the first of several.
        cause: the loss that the sentence is about, one of ``Costs.causes``: the one that takes most of its PE-cycles
            or, of a layer without MACs, that its bound names.
        share: their part of the network's cycles.
        lost: the part of their PE-cycles that ``cause`` takes.
        text: the sentence.
        layers: the names of all, in the order in which they run.
        bound: the bottleneck of most of their cycles, one of ``Costs.bounds``.
        bound_share: the part of their cycles in which it is that.
        axes: what lies along rows and columns of the array; empty without MACs.
    """

    layer: str
    cause: str
    share: float
    lost: float
    text: str
    layers: tuple[str, ...] = ()
    bound: str = ""
    bound_share: float = 0.0
    axes: tuple[Axis, ...] = ()

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
    def ran(self) -> Layer:
        """The layer with what joined it."""
        return self.report.ran[self.index]

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
        """Bottleneck of the most cycles, one of ``Costs.bounds``."""
        return bounds(self.report.tally)[self.index]

    @property
    def laying(self) -> Machine:
        """The machine as the dataflow of a layer with MACs sees it."""
        return laying_in(self.report.machine, self.report.costs, self.index)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What lies along rows and columns of the array; empty for a layer without MACs."""
        if not self.layer.macs:
            return ()
        work, _ = workload_of([self.ran], self.laying)
        tile = self.report.costs.tile[0, self.index].tolist()
        return tuple(axes(work, self.dataflow, tile, self.report.accelerator.array))

    def bound_share(self, bound: str) -> float:
        """Part of the layer's cycles in which *bound* is the bottleneck."""
        return int(self.report.tally.part("time", bound)[self.index]) / self.cycles

    def lost(self, cause: str) -> int:
        """PE-cycles lost to *cause*."""
        return int(self.report.tally.part("losses", cause)[self.index])

    def lost_share(self, cause: str) -> float:
        """Part of the layer's PE-cycles that is lost to *cause*."""
        return float(self.lost(cause) / self.slots)

    @property
    def slots(self) -> int:
        """PE slots of the layer."""
        return int(self.report.tally.slots[self.index])


def findings(report: ReportData, n: int) -> list[Finding]:
    """Return the *n* shapes of layers with the most lost PE-cycles, worst first; what takes no time is left out."""
    lost = report.tally.losses.sum(axis=1)
    sums = [(int(lost[members].sum()), members) for members in alike(report)]
    worst = sorted(sums, key=lambda item: -item[0])[: max(n, 0)]
    return [_finding(report, members) for total, members in worst if total > 0]


def alike(report: ReportData) -> list[list[int]]:
    """Return the places of layers of one shape and mapping together, which cost the same, by the first of each."""
    costs, shapes = report.costs, dict[tuple[object, ...], list[int]]()
    for place, layer in enumerate(report.ran):
        runs = costs.cycles[0, place] > 0  # what joins another layer does not
        mapping = costs.dataflow[0, place], costs.mode[0, place], *costs.tile[0, place].tolist(), runs
        shapes.setdefault((shape_of(layer), *mapping), []).append(place)
    return list(shapes.values())


def shape_of(layer: Layer) -> Layer:
    """Return *layer* without its place in the network: layers of one shape cost the same."""
    return derive(layer, name="layer", module="", stage="", inputs=(), carried=(), shared=())


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
    bound = case.bound
    return Finding(
        *(case.layer.name, cause, share, case.lost_share(cause), text, names),
        *(bound, case.bound_share(bound), case.axes),
    )


def main_cause(case: Case) -> str:
    """Return the loss that takes most of the PE-cycles of a layer or, of one without MACs, that its bound names."""
    causes = case.report.costs.causes
    if not case.layer.macs:
        causes = tuple(name for name in causes if cause_named(name).bound == case.bound) or causes
    return max(causes, key=case.lost)


def reason(case: Case, cause: str) -> str:
    """Return why the layer of *case* loses PE-cycles to *cause*, and the bottleneck beside it, if there is one."""
    known = cause_named(cause)
    if cause in _REASONS:
        text = _REASONS[cause](case)
    else:
        text = _memory(case, cause) if cause in case.report.memories else _unknown(case, known)
    # Losses within the time of computing: where something slower runs beside that, to mend them saves no time.
    if known.bound == "compute" and case.bound not in ("compute", *ALONE):
        share = units.share(case.bound_share(case.bound))
        text += f", but the bottleneck of {share} of {case.its} cycles is {label_of(case.bound, BOUNDS)}"
    return text


def _edge(case: Case) -> str:
    empty = units.share(case.lost_share("edge"))
    layer = case.layer
    work, _ = workload_of([case.ran], case.laying)
    partly = list(
        map(str, sorted((axis for axis in case.axes if axis.filled < 1), key=lambda axis: axis.filled))
    )
    if work.pixels > work.valid:
        stored = int(work.pixels[0]) // (layer.n * layer.oy)
        partly.append(f"rows of {layer.ox:,} pixels are padded to {stored:,}")
    array = case.report.accelerator.array
    if case.dataflow in array.units and (pes := array.units[case.dataflow].pes) < array.pes:
        own_unit = f"unit {case.dataflow} has {pes:,} of the array's {array.pes:,} PEs"
        return f"{own_unit}, leaving {empty} of {case.its} PE-cycles idle"
    reason = (
        _listed([f"{case.its} {text}" for text in partly])
        if partly
        else f"{case.it} fills the array only in part"
    )
    if not partly and (limits := _limits(case)):
        reason = f"{limits}, and {case.its} blocks are smaller than it"
    return f"{reason}, leaving {empty} of {case.its} PE-cycles idle"


def _zeros(case: Case) -> str:
    spent = units.share(case.lost_share("zeros"))
    return (
        f"{spent} of {case.its} PE-cycles are spent on zero weights, which are spread evenly and skipped only in "
        "part: a filter takes at least one cycle for each input channel, even where it has only zeros there, and each "
        "tile rounds up to whole cycles"
    )


def _fill(case: Case) -> str:
    text = f"filling and draining the array takes {units.share(case.lost_share('fill'))} of {case.its} cycles"
    work, _ = workload_of([case.ran], case.report.machine)
    passing = int(work.passed(work.g * work.k * work.pixels)[0])
    if passing > (1 - case.lost_share("fill")) * case.cycles:
        return f"{text}, since what joins {case.it} occupies the vector lanes for {passing:,} cycles"
    return f"{text}: {limits}" if (limits := _limits(case)) else text


def _limits(case: Case) -> str:
    """What blocks of a layer's unit wait for; nothing where that never limits."""
    unit = case.report.accelerator.array.units.get(case.dataflow)
    if unit is None:
        return ""
    words = {"port": unit.ports, "output word": unit.output_words}
    limits = [f"{units.plural(count, noun)} a cycle" for noun, count in words.items() if count]
    limits += [f"preloads of {unit.preload_cycles:,} cycles at least"] * bool(unit.preload_cycles)
    return f"unit {case.dataflow} has {' and '.join(limits)}" if limits else ""


def _memory(case: Case, name: str) -> str:
    """Of DRAM or a memory beside it."""
    held = case.report.memories[name]
    moved = [int(case.report.tally.part("dram", operand)[case.index]) for operand in held]
    most = moved.index(max(moved))
    (rate,) = (each.bytes_per_cycle for each in case.report.machine.memories if each.name == name)
    part = f"{units.share(moved[most] / sum(moved))} {label_of(held[most], OPERANDS)}"
    what = f"moving {units.size(sum(moved))} ({part}) at a steady {rate:.4g} bytes a cycle"
    if case.layer.macs:
        waits = f"{case.it} waits for {label_of(name, LEVELS)}"
        return f"{waits} for {units.share(case.lost_share(name))} of its cycles, {what}"
    return (
        f"{what} takes {units.share(case.bound_share(name))} of {case.its} cycles; in parallel, {case.its} "
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
    return f"exposed {ends} take {spent} of {case.its} cycles"


def _setup(case: Case) -> str:
    cycles = case.lost("setup") * case.cycles // case.slots
    return f"setting {case.it} up takes {cycles:,} of its {case.cycles:,} cycles"


def _vector(case: Case) -> str:
    return f"{units.share(case.lost_share('vector'))} of {case.its} cycles are {_on_lanes(case)}"


def _on_lanes(case: Case) -> str:
    lanes = case.report.accelerator.lanes_for(case.layer.op)
    where = f"each of {lanes:,} lanes" if lanes > 1 else "one lane"
    return f"{units.count(case.layer.vector_ops)} vector operations (one a cycle on {where})"


def _unknown(case: Case, cause: Cause) -> str:
    """Of a cause without a sentence of its own."""
    return f"{units.share(case.lost_share(cause.name))} of {case.its} PE-cycles {cause.phrase}"


_REASONS: dict[str, Callable[[Case], str]] = {
    "edge": _edge,
    "zeros": _zeros,
    "fill": _fill,
    "buffer": _buffer,
    "startup": _startup,
    "setup": _setup,
    "vector": _vector,
}


def notes(report: ReportData) -> tuple[str, ...]:
    """Return what a reader must know: of the network, the accelerator, and of compression that it makes no use of."""
    return (
        *report.network.notes,
        *map(visible, report.accelerator.notes),
        *_memories(report),
        *_given_mappings(report),
        *stays.notes(report),
        *_paced(report),
        *unused(report),
    )


def _memories(report: ReportData) -> Iterable[str]:
    """Where operands live, where DRAM is not the only memory: columns of DRAM count the traffic of all of them."""
    if len(report.memories) > 1:
        held = ", ".join(
            f"{', '.join(operands)} in {label_of(name, LEVELS)}"
            for name, operands in report.memories.items()
            if operands
        )
        yield f"operands live in several memories: {held}; columns of DRAM count what passes any of them"


def _given_mappings(report: ReportData) -> Iterable[str]:
    layers, given = sum(layer.kind == "mac" for layer in report.network.layers), len(report.mapped)
    if given:
        rest = "none" if given == layers else f"that of {layers - given:,} more"
        yield f"the mapping of {units.plural(given, 'layer')} was given, {rest} was searched"


def unused(report: ReportData) -> tuple[str, ...]:
    """Return a sentence for each way in which the accelerator makes no use of what a network brings."""
    return (
        *_idle_zeros(report),
        *_widths(report),
        *_idle_rows(report),
        *_idle_vector(report),
        *_post_ops(report),
        *_idle_ports(report),
        *_idle_slack(report),
        *(
            f"{name} is about no layer with MACs here"
            for name in idle(report.network.layers, report.machine.constraints)
        ),
    )


def _idle_zeros(report: ReportData) -> Iterable[str]:
    able = report.machine.skips_zeros
    skipping = {name for name, flow in DATAFLOWS.items() if flow.skips_zeros and name in able}
    pruned = [
        (layer, flow)
        for layer, flow in zip(report.network.layers, dataflows(report.costs), strict=True)
        if learnt(layer) and _left(layer) < layer.weight_elements
    ]
    work, rows = workload_of([layer for layer, _ in pruned], report.machine)
    packing = {name for name, flow in DATAFLOWS.items() if flow.declared.packs}
    slow = [
        (layer, flow)
        for (layer, flow), fewer in zip(pruned, (work.held < work.weights)[rows].tolist(), strict=True)
        if flow not in skipping and not (fewer and flow in packing)
    ]
    if slow:
        flows = sorted({flow for _, flow in slow})
        left = sum(_left(layer) for layer, _ in slow) / sum(layer.weight_elements for layer, _ in slow)
        yield (
            f"weights of {units.plural(len(slow), 'layer')} are {units.share(left)} dense, but "
            f"{' and '.join(flows)} {'skips' if len(flows) == 1 else 'skip'} no zeros here: dense time"
        )
    if pruned and not report.machine.compresses_weights:
        yield "zero weights are loaded from DRAM like others; weights_bytes is what a compressed file takes"
    elif pruned:
        whole = int((work.stored_weights == work.weights * work.weight_bits)[rows].sum())
        if whole:
            yield (
                f"zero weights of {units.plural(whole, 'pruned layer')} are loaded like others: "
                f"sparsity.form {report.machine.weight_form} takes no fewer bits"
            )


def _left(layer: Layer) -> int:
    density = 1.0 if layer.weight_density is None else layer.weight_density
    return nonzeros(layer.weight_elements, density)


def _idle_ports(report: ReportData) -> Iterable[str]:
    """Ports that are given and that no dataflow of the array can use."""
    array = report.accelerator.array
    usable = {"none": 0.0, "pes": float(array.rows * array.cols), "any": math.inf}
    most = max((usable[DATAFLOWS[name].declared.ports] for name in array.dataflows), default=0.0)
    if array.ports is not None and array.ports > most:
        flows = " and ".join(array.dataflows) or "units"
        yield f"array.ports {array.ports}: {flows} can use {f'{most:,.0f} at most' if most else 'none'}"


def _idle_slack(report: ReportData) -> Iterable[str]:
    """A slack of the latency where something else is minimised."""
    mapper = report.accelerator.mapper
    if mapper.latency_slack and mapper.objective not in WITHIN_SLACK:
        allowed = " and ".join(WITHIN_SLACK)
        yield (
            f"mapper.latency_slack {mapper.latency_slack:g} has no effect by {mapper.objective}: "
            f"it belongs to the objective {allowed}"
        )


def _idle_rows(report: ReportData) -> Iterable[str]:
    """What is said of rows and columns, or of dataflows, where there are units alone."""
    array, sparsity = report.accelerator.array, report.accelerator.sparsity
    if array.dataflows:
        return
    given = {
        "array.interconnect": array.interconnect != "broadcast",
        "array.ports": array.ports is not None,
        "array.weight_swap_cycles": array.weight_swap_cycles > 0,
        "sparsity.skipped_by": bool(sparsity.skipped_by),
        "sparsity.structured": bool(sparsity.structured),
    }
    if idle_keys := [key for key, is_given in given.items() if is_given]:
        yield f"{', '.join(idle_keys)}: of dataflows on rows and columns, which this array has not; units know none"


_JOINING = {"add": "addition", "pool": "pooling"}
"""What can join a layer."""

_NAMED = 3  # layers that a note has the names of


def _post_ops(report: ReportData) -> Iterable[str]:
    """Which layers join the layer before them, and why others do not."""
    layers, machine = report.network.layers, report.machine
    able, apart = joined(layers, machine), obstacles(layers, machine)
    for name, noun in _JOINING.items():
        can, cannot = (
            [number for number in some if POST_OPS[layers[number].op] == name] for some in (able, apart)
        )
        done = sum(number in report.joined for number in can)
        if done:
            count = units.part(done, len(can) + len(cannot), noun) or units.plural(done, noun)
            yield f"{count} {'join' if done > 1 else 'joins'} the layer before (array.post_ops {name})"
        if done < len(can):
            objective = report.accelerator.mapper.objective
            one = "it costs" if len(can) - done == 1 else "they cost"
            yield (
                f"{units.plural(len(can) - done, noun)} could join another layer, but by {objective} {one} less alone"
            )
        for why in dict.fromkeys(apart[number] for number in cannot):
            some = [display_name(layers[number].name) for number in cannot if apart[number] == why]
            words = ("they", "them", "are", "do") if len(some) > 1 else ("it", "it", "is", "does")
            reason = why.format(**dict(zip(("it", "them", "is", "do"), words, strict=True)))
            yield f"{_several(some, noun)} cannot join another layer: {reason}"


def _several(names: Sequence[str], noun: str) -> str:
    """Name some layers, or the first of many and the number of the others."""
    if len(names) > _NAMED:
        return _listed([*names[: _NAMED - 1], f"{units.plural(len(names) - _NAMED + 1, noun)} more"])
    return _listed(names)


def _listed(texts: Sequence[str]) -> str:
    """Join texts by commas, the last two by an and."""
    *before, last = texts
    return f"{', '.join(before)} and {last}" if before else last


def _idle_vector(report: ReportData) -> Iterable[str]:
    ops = Counter(layer.op for layer in report.network.layers if layer.kind == "vector")
    if ops and report.accelerator.vector.model == "none":
        counted = ", ".join(f"{count} {op}" for op, count in ops.most_common())
        yield f"not modelled on this accelerator (vector.model is none): {counted}, which are free"


def _widths(report: ReportData) -> Iterable[str]:
    precision, machine = report.accelerator.precision, report.machine
    has = f"w{precision.weight_bits}a{precision.activation_bits}"
    wider = narrower = 0
    for layer, operands in zip(report.network.layers, report.operands, strict=True):
        if layer.kind != "mac":
            continue
        own = (layer.weight_bits, precision.weight_bits), (layer.activation_bits, precision.activation_bits)
        macs, cycles = machine.pace(operands.weight_bits, operands.activation_bits)
        wider += cycles == 1 and any(bits is not None and bits > theirs for bits, theirs in own)
        narrower += macs == 1 and any(bits is not None and bits < theirs for bits, theirs in own)
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
    pairs = _pairs(report)
    idle_rates = [str(rate) for rate in precision.rates if rate.pair not in pairs]
    if idle_rates:
        yield f"precision.rates {', '.join(idle_rates)}: no layer with MACs has operands of such widths here"


def _pairs(report: ReportData) -> Counter[tuple[int, int]]:
    """Layers with MACs by the widths of weights and activations."""
    return Counter(
        (operands.weight_bits, operands.activation_bits)
        for layer, operands in zip(report.network.layers, report.operands, strict=True)
        if layer.kind == "mac"
    )


def _paced(report: ReportData) -> Iterable[str]:
    """What the rates of the PEs make of the layers' widths."""
    pairs = _pairs(report)
    for rate in report.accelerator.precision.rates:
        count, (macs, cycles) = pairs[rate.pair], rate.pace
        if count and macs != cycles:
            done = f"{macs} MACs a cycle" if cycles == 1 else f"one MAC in {cycles} cycles"
            yield (
                f"operands of {units.plural(count, 'layer')} are w{rate.weights}a{rate.activations}: {done} in each PE"
            )
