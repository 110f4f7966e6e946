"""Explanations: where a network's time goes, and for the layers that take most of it why, in sentences with numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from squeezesim.cost.energy import LEVELS
from squeezesim.cost.evaluate import BOUNDS, LOSSES, OPERANDS, evaluate
from squeezesim.errors import HardwareError, UsageError, nearest
from squeezesim.network import Network
from squeezesim.network.checks import show
from squeezesim.report import metrics, units
from squeezesim.report.data import ReportData
from squeezesim.report.diagnosis import Case, alike, display_names, main_cause, reason
from squeezesim.report.figures.charts import LEVELS as LEVEL_WORDS
from squeezesim.report.figures.charts import OPERANDS as OPERAND_WORDS
from squeezesim.report.metrics import groups, tilings

if TYPE_CHECKING:
    from squeezesim.cost.problem import Floats

MOST = 5
"""Shapes of layers that are explained."""

_NAMED = 0.05  # of a layer's PE-cycles: smaller losses are not worth a sentence
_LISTED = 0.01  # of the network's PE-cycles or time: smaller parts are not listed
_WORTH = 1.05  # times as much: the reason for less is not worth a clause
_PLACES = {
    "edge": "find no work",
    "zeros": "are spent on zero weights",
    "fill": "fill and drain the array",
    "dram": "wait for DRAM",
    "buffer": "wait for the buffer",
    "startup": "wait for first loads and last stores",
    "setup": "pass while layers are set up",
    "vector": "pass while the vector lanes work",
}
_PACES = {
    "compute": "the array",
    "dram": "DRAM",
    "buffer": "the buffer",
    "startup": "set-up, first loads and last stores",
    "vector": "the vector lanes",
}
_GAINS = {
    "latency": ("as fast as", "faster than"),
    "energy": ("for as much energy as", "less energy than"),
    "edp": ("for as much energy · time as", "less energy · time than"),
}


@dataclass(frozen=True, slots=True)
class Explained:
    """Layers of one shape: how long they take together, and why.

    Attributes:
        layers: their names, in the order in which they run.
        cycles: of all of them.
        share: their part of the network's cycles.
        sentences: each complete without its full stop.
    """

    layers: tuple[str, ...]
    cycles: int
    share: float
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.sentences)


def summary(report: ReportData) -> list[str]:
    """Return sentences on the whole network: its time, its losses, its stages, what sets the pace."""
    totals, tally = metrics.totals(report), report.tally.total()
    cycles = int(tally.cycles[0])
    lost = tally.losses[0] / (report.scale.pes * cycles)
    names, stages = groups(report, "stage")
    paced = [_PACES[bound] for bound in BOUNDS]
    lines = [
        f"it takes {units.count(cycles)} cycles ({units.decimal(totals['latency_us'])} µs), layer after layer, at "
        f"{units.share(totals['utilization'])} utilization",
        "of its PE-cycles " + _list_shares([_PLACES[cause] for cause in LOSSES], lost, "{share} {name}"),
        "by stage: "
        + _list_shares([name or "none" for name in names], stages.cycles / cycles, "{name} {share}"),
        "by what sets the pace: " + _list_shares(paced, tally.time[0] / cycles, "{name} {share}", "; "),
    ]
    return [line for line in lines if not line.endswith(" ")]


def explain(report: ReportData, layer: str | None = None, most: int = MOST) -> list[Explained]:
    """Return the *most* shapes of layers that take longest, worst first; or the shape of *layer* alone, in more detail.

    Factors between dataflows are those of costing the layer with each dataflow of the array by itself.

    Raises:
        UsageError: there is no layer of this name.

    Example: "stem.conv takes 21.9 % of the time … os was chosen, 3.00× faster than the best tiling of ws, where its 3
    input channels fill 3 of 16 rows …".
    """
    shapes = alike(report.network.layers)
    cycles = report.tally.cycles
    if layer is not None:
        names = [each.name for each in report.network.layers]
        if layer not in names:
            raise UsageError(
                f"network {report.network.name!r} has no layer {show(layer)}; allowed: a name that squeezesim profile "
                f"prints{nearest(layer, names)}"
            )
        first = names.index(layer)
        members = next(members for members in shapes if first in members)
        return [_explain_layer(report, first, members, detailed=True)]
    longest = sorted(shapes, key=lambda members: -int(cycles[members].sum()))
    return [_explain_layer(report, members[0], members) for members in longest[:most] if cycles[members[0]]]


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
        return Explained((who,), 0, 0.0, (f"{who} {verb} no time on this accelerator",))
    busy = float(report.tally.utilization(report.scale)[index])
    at = f"at {units.share(busy)} utilization" if case.layer.macs else "without a MAC"
    time = f"{units.count(cycles)} cycles, {units.decimal(cycles / report.accelerator.clock_mhz)} µs"
    sentences = [f"{who} {verb} {units.share(share)} of the time ({time}) {at}"]
    if case.layer.macs:
        sentences += _choice(case)
        sentences += [reason(case, cause) for cause in _causes(case)]
    else:
        sentences.append(reason(case, main_cause(case)))
    if detailed:
        sentences += _details(case)
    return Explained(tuple(layers[number].name for number in members), cycles, share, tuple(sentences))


def _causes(case: Case) -> list[str]:
    """Causes that take at least 5 % of the layer's PE-cycles, the largest first."""
    return sorted(
        (cause for cause in LOSSES if case.lost_share(cause) >= _NAMED), key=case.lost, reverse=True
    )


def _choice(case: Case) -> list[str]:
    """A sentence for each dataflow of the array that was not chosen."""
    objective = case.report.accelerator.mapper.objective
    others = [name for name in case.report.accelerator.array.dataflows if name != case.dataflow]
    sentences = []
    for name in others:
        try:
            other = alone(case, name)
        except HardwareError:
            continue
        own = value(case, objective)
        factor = value(other, objective) / own if own else 1.0  # an energy table may say 0 everywhere
        alike, better = _GAINS[objective]
        gain = f"{factor:.2f}× {better}" if f"{factor:.2f}" != "1.00" else alike
        text = f"{case.dataflow} was chosen, {gain} the best tiling of {name}"
        cause = main_cause(other)
        if factor >= _WORTH and (cause == "edge" or cause != main_cause(case)):
            text += f", where {reason(other, cause)}"
        sentences.append(text)
    return sentences


def alone(case: Case, dataflow: str) -> Case:
    """Return the layer of *case* with *dataflow*, in the tiling that is the best for that.

    Raises:
        HardwareError: it does not fit the buffer so.
    """
    accelerator = case.report.accelerator.replace({"array.dataflows": [dataflow]})
    network = Network.from_layers([replace(case.layer, inputs=(), carried=(), shared=())])
    return Case(ReportData(network, accelerator, evaluate(network.layers, [accelerator])), 0, case.many)


def value(case: Case, objective: str) -> float:
    """Return what the mapper minimises, for one layer: cycles, energy, or their product."""
    energy = float(case.report.tally.energy[case.index].sum())
    return {"latency": float(case.cycles), "energy": energy, "edp": energy * case.cycles}[objective]


def _details(case: Case) -> list[str]:
    """How the layer is cut, what it moves, where its energy goes."""
    report, index, many = case.report, case.index, case.many
    moved, energy = report.tally.dram[index], report.tally.energy[index]
    lines = []
    if tiling := tilings(report.network.layers, report.costs)[index]:
        lines.append(f"{case.its} tiles are {tiling}")
    if moved.sum():
        operands = [OPERAND_WORDS[operand] for operand in OPERANDS]
        parts = _list_shares(operands, moved / moved.sum(), "{share} {name}")
        lines.append(f"{case.it} moves {units.size(int(moved.sum()))} between DRAM and buffer: {parts}")
    if energy.sum():
        levels = [LEVEL_WORDS[level] for level in LEVELS]
        whole = f"{units.count(float(report.tally.energy_mac_equiv(report.scale)[index].sum()))} MACs' worth"
        if report.scale.pj_per_unit is not None:
            whole = f"{units.decimal(float(report.tally.energy_uj(report.scale)[index].sum()))} µJ"
        parts = _list_shares(levels, energy / energy.sum(), "{share} {name}")
        own = "the energy of each" if many else "its energy"
        lines.append(f"{own} is {whole}: {parts}")
    return lines


def _list_shares(names: list[str], shares: Floats, form: str, between: str = ", ") -> str:
    """Parts of at least 1 %, the largest first."""
    order = [index for index in np.argsort(-shares, kind="stable").tolist() if shares[index] >= _LISTED]
    return between.join(
        form.format(name=names[index], share=units.share(float(shares[index]))) for index in order
    )
