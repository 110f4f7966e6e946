"""Explanations: where a network's time goes, and for the layers that take most of it why, in sentences with numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from squeezesim.cost.constraints import Limits, matches, runs
from squeezesim.cost.costs import OPERANDS, cause_named, label_of, spaced
from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.given import LayerMapping
from squeezesim.cost.machine import LEVELS, Machine
from squeezesim.cost.problem import Homes, workload_of
from squeezesim.cost.product import least_product
from squeezesim.cost.rates import EDP, Rates
from squeezesim.cost.recurrence import first_loads
from squeezesim.cost.residents import homes_at
from squeezesim.cost.traffic import capacity
from squeezesim.cost.weights import load_once
from squeezesim.errors import HardwareError, UsageError, nearest
from squeezesim.hardware.config import CONSTRAINTS
from squeezesim.markup import Html, block, cell, table
from squeezesim.network import Network
from squeezesim.network.checks import derive, show
from squeezesim.report import metrics, units
from squeezesim.report.data import ReportData
from squeezesim.report.diagnosis import Case, alike, main_cause, reason
from squeezesim.report.metrics import METRICS, groups, quantity, shown_energy, tilings
from squeezesim.report.names import display_name, display_names

if TYPE_CHECKING:
    from squeezesim.cost.problem import Floats, Ints
    from squeezesim.hardware import Accelerator

MOST = 5
"""Shapes of layers that are explained."""

_NAMED = 0.05  # of a layer's PE-cycles: smaller losses are not worth a sentence
_LISTED = 0.01  # of the network's PE-cycles or time: smaller parts are not listed
_WORTH = 1.05  # times as much: the reason for less is not worth a clause
_GAINS = {
    "latency": ("as fast as", "faster than"),
    "energy": ("for as much energy as", "less energy than"),
    "edp": ("for as much energy · time of the network as", "less energy · time of the network than"),
}


@dataclass(frozen=True, slots=True)
class Explained:
    """Layers of one shape: how long they take together, and why.

    Attributes:
        layers: their names, in the order in which they run.
        cycles: of all of them.
        share: their part of the network's cycles.
        sentences: each complete without its full stop.
        losses: cause → the part of their PE-cycles that it takes, for each cause that a sentence is about.
        dataflow: the one that was chosen, empty without MACs.
        ratios: each other dataflow of the array → what the mapper minimises with it, over what it is as it was chosen.
    """

    layers: tuple[str, ...]
    cycles: int
    share: float
    sentences: tuple[str, ...]
    losses: Mapping[str, float] = field(default_factory=dict)
    dataflow: str = ""
    ratios: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join(self.sentences)


class Explanations(list[Explained]):
    """Explanations that a notebook shows as a table: what takes the time, and why."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        rows = [
            (
                part.layers[0] + (f" ×{len(part.layers)}" if len(part.layers) > 1 else ""),
                units.share(part.share),
                units.count(part.cycles),
                part.dataflow or units.EMPTY,
                Html("<br>".join(map(cell, part.sentences[1:])) or units.EMPTY),
            )
            for part in self
        ]
        columns = ("layers", "time", "cycles", "dataflow", "why")
        return block("what takes the time", table(columns, rows, left=(0, 4)))


def summary(report: ReportData) -> list[str]:
    """Return sentences on the whole network: its time, its losses, its stages, its bottlenecks."""
    totals, tally = metrics.totals(report), report.tally.total()
    cycles = int(tally.cycles[0])
    lost = tally.losses[0] / int(tally.slots[0])
    names, stages = groups(report, "stage")
    causes = [cause_named(name) for name in tally.causes]
    lines = [
        f"latency {quantity('latency_us', totals['latency_us'])} ({units.count(cycles)} cycles) at "
        f"{units.share(totals['utilization'])} utilization",
        "lost PE-cycles: " + _list_shares([cause.summary or spaced(cause.name) for cause in causes], lost),
        "time by stage: " + _list_shares([name or "none" for name in names], stages.cycles / cycles),
        "time by bottleneck: "
        + _list_shares([_bound(name) for name in tally.bounds], tally.time[0] / cycles),
    ]
    return [line for line in lines if not line.endswith(" ")]


def explain(report: ReportData, layer: str | None = None, most: int = MOST) -> list[Explained]:
    """Return the *most* shapes of layers that take longest, worst first; or the shape of *layer* alone, in more detail.

    Factors between dataflows are those of costing the layer with each dataflow of the array by itself. A notebook shows
    the list as a table.

    Raises:
        UsageError: there is no layer of this name, or *report* is no Report.

    Example:
        >>> import squeezesim as sq
        >>> sq.explain(sq.simulate("squeezenext_23", "os_32x32"))[0].sentences[0]
        'stem.conv takes 12.7 % of the time (178.2 k cycles, 222.7 µs) at 63.5 % utilization'
    """
    if not isinstance(report, ReportData):
        raise UsageError(f"report {show(report)}; allowed: a Report, as simulate returns it")
    shapes = alike(report)
    cycles = report.tally.cycles
    if layer is not None:
        names = [each.name for each in report.network.layers]
        if layer not in names:
            raise UsageError(
                f"network {report.network.name!r} has no layer {show(layer)}; allowed: a name that squeezesim profile "
                f"--by layer prints{nearest(layer, names)}"
            )
        first = names.index(layer)
        members = next(members for members in shapes if first in members)
        return Explanations([_explain_layer(report, first, members, detailed=True)])
    longest = sorted(shapes, key=lambda members: -int(cycles[members].sum()))
    shown = [members for members in longest[:most] if cycles[members[0]]]
    return Explanations(_explain_layer(report, members[0], members) for members in shown)


def _explain_layer(
    report: ReportData, index: int, members: list[int], *, detailed: bool = False
) -> Explained:
    layers = report.network.layers
    case = Case(report, index, many=len(members) > 1)
    cycles = int(report.tally.cycles[members].sum())
    share = cycles / int(report.tally.cycles.sum())
    who = display_names(layers[index].name, len(members))
    verb = "take" if case.many else "takes"
    if not case.cycles:
        maker = report.joined.get(index)
        why = "" if maker is None or case.many else f": it joins {display_name(layers[maker].name)}"
        return Explained((who,), 0, 0.0, (f"{who} {verb} no time on this accelerator{why}",))
    busy = float(report.tally.utilization(report.scale)[index])
    at = f"at {units.share(busy)} utilization" if case.layer.macs else "without a MAC"
    time = f"{units.count(cycles)} cycles, {quantity('latency_us', cycles / report.accelerator.clock_mhz)}"
    sentences = [f"{who} {verb} {units.share(share)} of the time ({time}) {at}"]
    posts = [display_name(layers[number].name) for number, maker in report.joined.items() if maker == index]
    if posts and not case.many:
        sentences.append(f"its outputs pass {' and '.join(posts)} on their way out (array.post_ops)")
    others = _others(case) if case.layer.macs else {}
    objective = report.accelerator.mapper.objective
    ratios = {name: ratio(case, other, objective) for name, other in others.items()}
    if case.layer.name in report.mapped:
        sentences.append(f"{case.its} mapping was given, not searched")
    else:
        sentences += [_choice(case, name, other, ratios[name]) for name, other in others.items()]
    causes = _causes(case) if case.layer.macs else [main_cause(case)]
    sentences += [reason(case, cause) for cause in causes]
    if detailed:
        sentences += _details(case)
    losses = {cause: case.lost_share(cause) for cause in causes}
    names = tuple(layers[number].name for number in members)
    return Explained(names, cycles, share, tuple(sentences), losses, case.dataflow, ratios)


def _causes(case: Case) -> list[str]:
    """Causes that take at least 5 % of the layer's PE-cycles, the largest first."""
    return sorted(
        (cause for cause in case.report.costs.causes if case.lost_share(cause) >= _NAMED),
        key=case.lost,
        reverse=True,
    )


def _others(case: Case) -> dict[str, Case]:
    """The layer with each dataflow of the array that was not chosen, is allowed and fits the buffer."""
    found = {}
    for name in runs(case.layer, case.report.machine):
        if name != case.dataflow:
            with suppress(HardwareError):
                found[name] = alone(case, name)
    return found


def _choice(case: Case, name: str, other: Case, factor: float) -> str:
    """Why the dataflow of *case* was chosen and *name*, which *other* has, was not."""
    alike, better = _GAINS[case.report.accelerator.mapper.objective]
    gain = f"{factor:.2f}× {better}" if f"{factor:.2f}" != "1.00" else alike
    text = f"{case.dataflow} was chosen, {gain} the best tiling of {name}"
    cause = main_cause(other)
    if factor >= _WORTH and (cause == "edge" or cause != main_cause(case)):
        text += f", where {reason(other, cause)}"
    return text


def alone(case: Case, dataflow: str) -> Case:
    """Return the layer of *case* with *dataflow*, in the tiling that is the best for that, by ``edp`` in its network.

    Raises:
        HardwareError: it does not fit the buffer so, or constraints allow no such tiling.
    """
    changes = case.report.accelerator.array.only(dataflow)
    # Constraints of other layers may need another dataflow.
    if constraints := case.report.accelerator.mapper.constraints:
        changes[CONSTRAINTS] = [each for each in constraints if matches(each, case.layer)]
    accelerator = case.report.accelerator.replace(changes)
    layer = case.ran
    network = Network.from_layers([derive(layer, inputs=(), carried=(), shared=())])
    mappings = _beside(case, accelerator) if accelerator.mapper.objective == EDP else {}
    memory = accelerator.memory
    placed = memory.global_buffer.keeps or memory.stays.size_kib or layer.repeat > 1
    homes = [_homes(case)] if placed else []
    costs = evaluate(network.layers, [accelerator], mappings, homes)
    return Case(ReportData(network, accelerator, costs), 0, case.many)


def _homes(case: Case) -> Homes:
    return homes_at(case.report.network.layers, case.report.machine, case.report.costs, case.index)


def _beside(case: Case, accelerator: Accelerator) -> dict[int, LayerMapping]:
    """The tiling of the layer, as the first of a network, that is best by edp beside all others as they are.

    Nothing where none fits the buffer or is allowed.
    """
    machine, tally = Machine.of(accelerator), case.report.tally
    rates = Rates.of([machine])
    room = capacity(machine, rates)[0]
    layer, homes = case.ran, [_homes(case)]
    work, limits = workload_of([layer], machine, homes)[0], Limits.of(layer, machine)
    if any(limits.refusals(work, machine)):
        return {}
    search = limits.search(work, machine, room)
    if search.least_footprint[0] > room:
        return {}
    own = case.cycles, tally.energy[case.index].sum()
    rest = np.array([[tally.cycles.sum() - own[0], tally.energy.sum() - own[1]]])
    if load_once(layer, homes[0]):
        load = first_loads([layer], machine, rates, case.report.costs.axes)
        rest += [[load["cycles"].sum(), load["energy"].sum()]]

    def sums(_: Ints, weights: Floats) -> Floats:
        return np.asarray(rest + search.sums(rates.weighted(weights), case.layer.repeat))

    (found,) = search.tilings(search.choose(rates.weighted(least_product(1, sums))))
    return {0: LayerMapping.of(found.search, found.flow, found.tilings)}


def ratio(case: Case, other: Case, objective: str) -> float:
    """Return what the mapper minimises with *other* for a layer over what it is with *case*.

    Cycles or energy of the layer, or their product for the whole network; 1 where an energy table says 0 everywhere.
    """
    (cycles, energy), (other_cycles, other_energy) = (
        (float(part.cycles), float(part.report.tally.energy[part.index].sum())) for part in (case, other)
    )
    tally = case.report.tally
    all_cycles, all_energy = float(tally.cycles.sum()), float(tally.energy.sum())
    own, changed = {
        "latency": (cycles, other_cycles),
        "energy": (energy, other_energy),
        "edp": (
            all_cycles * all_energy,
            (all_cycles - cycles + other_cycles) * (all_energy - energy + other_energy),
        ),
    }[objective]
    return changed / own if own else 1.0


def _details(case: Case) -> list[str]:
    """How the layer is cut, what it moves, where its energy goes."""
    report, index, many = case.report, case.index, case.many
    moved, energy = report.tally.dram[index], report.tally.energy[index]
    lines = []
    if tiling := tilings(report.network.layers, report.costs)[index]:
        lines.append(f"{case.its} tiles are {tiling}")
    if moved.sum():
        operands = [label_of(name, OPERANDS) for name in report.costs.operands]
        parts = _list_shares(operands, moved / moved.sum(), "{share} {name}")
        lines.append(f"{case.it} moves {units.size(int(moved.sum()))} between DRAM and buffer: {parts}")
    if energy.sum():
        levels = [label_of(name, LEVELS) for name in report.costs.levels]
        column = shown_energy(report)
        whole = quantity(column, float(METRICS[column].column(report)[index]))
        parts = _list_shares(levels, energy / energy.sum(), "{share} {name}")
        own = "the energy of each" if many else "its energy"
        lines.append(f"{own} is {whole}: {parts}")
    return lines


def _bound(name: str) -> str:
    """A bottleneck as the attribute of time: ``DRAM-bound``."""
    if name == "startup":  # what nothing bounds but the layer's own beginning and end
        return "prologue, epilogue and set-up"
    return "DRAM-bound" if name == "dram" else f"{spaced(name)}-bound"


def _list_shares(names: list[str], shares: Floats, form: str = "{name} {share}") -> str:
    """Parts of at least 1 %, the largest first."""
    order = [index for index in np.argsort(-shares, kind="stable").tolist() if shares[index] >= _LISTED]
    return ", ".join(
        form.format(name=names[index], share=units.share(float(shares[index]))) for index in order
    )
