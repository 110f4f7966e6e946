"""Advise: changes of a network or an accelerator that save time, each a pair of reports."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice, permutations
from operator import gt
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.costs import Costs, cause_named, label_of
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.machine import LEVELS
from squeezesim.errors import HardwareError, ModelError, UsageError
from squeezesim.explore.allocate.additive import Base, Pieces, Sums, cut, depth_of, option_of
from squeezesim.explore.allocate.placed import Paths
from squeezesim.explore.buffers import best_share, sizes_that_keep
from squeezesim.explore.changes import AS_IN_THE_TABLE, changes_of
from squeezesim.explore.passing import Passing, passing_of
from squeezesim.files import json_page, round_floats
from squeezesim.load import load
from squeezesim.markup import block as titled
from squeezesim.markup import table
from squeezesim.network import Network
from squeezesim.network.checks import show
from squeezesim.network.compress.pruning import Spaces, depthwise, prune_channels
from squeezesim.network.compress.rules import learnt
from squeezesim.report import units
from squeezesim.report.diagnosis import shape_of
from squeezesim.report.explain import MOST, explain, summary
from squeezesim.report.grid import Column, Grid
from squeezesim.report.metrics import dataflows, header, quantity, shown_energy, words
from squeezesim.report.names import display_name
from squeezesim.report.report import Report
from squeezesim.report.text import Section, caveats
from squeezesim.simulate import simulate
from squeezesim.zoo.registry import Spec, catalogue, parse_spec

if TYPE_CHECKING:
    from squeezesim.explore.allocate.allocations import Depth
    from squeezesim.network import Layer, Network
    from squeezesim.report.explain import Explained


class Runs:
    """Reports on the accelerator of *report*, whose layers are not costed again.

    A layer is costed by itself, so that ``report`` returns what ``simulate`` does; with the objective ``edp``, where
    the buffer may keep feature maps or weights of recurrences, and with constraints, which are by layers' names, the
    whole network is.
    """

    def __init__(self, report: Report) -> None:
        self._accelerator = report.accelerator
        self._costs = report.costs
        self._rows: dict[Layer, int] = {}
        for index, layer in enumerate(report.network.layers):
            self._rows.setdefault(shape_of(layer), index)

    def report(self, network: Network) -> Report:
        """Return what *network*, fused, costs.

        Raises:
            HardwareError: a layer does not fit the global buffer at its smallest tile.
        """
        fused = network.fused
        mapper, memory = self._accelerator.mapper, self._accelerator.memory
        keeps = bool(memory.global_buffer.keeps or memory.stays.size_kib or memory.prefetch != "none")
        keeps |= any(layer.repeat > 1 for layer in fused.layers)
        if mapper.objective == "edp" or mapper.constraints or keeps:
            return Report(fused, self._accelerator, evaluate(fused.layers, [self._accelerator]))
        shapes = [shape_of(layer) for layer in fused.layers]
        missing = list(dict.fromkeys(shape for shape in shapes if shape not in self._rows))
        if missing:
            count = self._costs.cycles.shape[1]
            self._costs = Costs.concat([self._costs, evaluate(missing, [self._accelerator])])
            self._rows |= {shape: count + number for number, shape in enumerate(missing)}
        return Report(fused, self._accelerator, self._costs.take([self._rows[shape] for shape in shapes]))


KINDS = (
    "mapping",
    "dataflow",
    "array",
    "unit",
    "post_ops",
    "lanes",
    "keeps",
    "prefetch",
    "buffer",
    "size",
    "share",
    "bandwidth",
    "channels",
    "kernel",
    "blocks",
)

RETRAINED = "needs retraining; accuracy not modelled"
"""What every change to a network comes with."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that saves cycles: ``before`` and ``after`` are what ``simulate`` returns without and with it.

    Attributes:
        kind: one of ``KINDS``.
        change: what is changed, from what to what.
        assumption: what the numbers assume.
        before: the report as it is.
        after: the report of the changed network or accelerator.
        layer: the layer that was asked for, empty where none was.
        values: what is changed in the accelerator, by dotted path.
    """

    kind: str
    change: str
    assumption: str
    before: Report
    after: Report
    layer: str = ""
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def saved_cycles(self) -> int:
        """Cycles of the network that are saved."""
        return int(self.before.tally.cycles.sum() - self.after.tally.cycles.sum())

    @property
    def saved_layer_cycles(self) -> int | None:
        """Cycles of ``layer`` that are saved; None where no layer was asked for."""
        if not self.layer:
            return None
        return _cycles_text(self.before, self.layer) - _cycles_text(self.after, self.layer)

    def is_same(self, other: Proposal) -> bool:
        """Whether *other* changes the same in other words."""
        mine, others = self.after, other.after
        return mine.accelerator == others.accelerator and mine.network == others.network

    def saved(self, total: str) -> float | None:
        """Return how much less *total*, a key of ``Report.totals``, is; None where it has no number."""
        before, after = self.before.totals[total], self.after.totals[total]
        return None if before is None or after is None else before - after

    def row(self) -> dict[str, Any]:
        """Return the proposal as one row of data."""
        before, after = self.before.totals, self.after.totals
        names = ("cycles", "latency_us", "energy_uj", "energy_mac_equiv", "params", "macs")
        return {
            "kind": self.kind,
            "change": self.change,
            "assumption": self.assumption,
            "saved_cycles": self.saved_cycles,
            "saved_latency_us": self.saved("latency_us"),
            "saved_energy_uj": self.saved("energy_uj"),
            "saved_energy_mac_equiv": self.saved("energy_mac_equiv"),
            "saved_layer_cycles": self.saved_layer_cycles,
            "before": {name: before[name] for name in names},
            "after": {name: after[name] for name in names},
        }

    def __str__(self) -> str:
        text = f"{self.change}: {self._saving()}"
        if (cycles := self.saved_layer_cycles) is not None:
            text += f" of the network, {self._of_layer(cycles)}"
        return f"{text}; {', '.join(map(' '.join, self.others().items()))}; {self.assumption}"

    def _repr_html_(self) -> str:
        return Proposals([self])._repr_html_()

    def __repr__(self) -> str:
        return f"<Proposal {self.kind}: {self.change}: {self._saving()}>"

    def cells(self) -> tuple[str, str, str, str]:
        """Return a row of the table of proposals: the change, what it saves, its energy, and what it assumes."""
        share = self.saved_cycles / int(self.before.tally.cycles.sum())
        latency = self.saved("latency_us") or 0.0
        minus = "−" if share < 0 else ""
        saves = f"{minus}{units.share(abs(share))}, {minus}{quantity('latency_us', abs(latency))}"
        others = self.others()
        energy = others.pop(words(shown_energy(self.before, self.after)), units.EMPTY)
        caveats = [self.assumption, *(f"{name} {amount}" for name, amount in others.items()), self.layer_text]
        return self.change, saves, energy, "; ".join(filter(None, caveats))

    @property
    def layer_text(self) -> str:
        """What becomes of the layer that was asked for, empty where none was."""
        cycles = self.saved_layer_cycles
        return (
            ""
            if cycles is None
            else self._of_layer(cycles).replace(" of them in ", " of the saved cycles in ")
        )

    def _saving(self) -> str:
        """What becomes of the cycles of the network."""
        cycles, latency = self.saved_cycles, self.saved("latency_us") or 0.0
        share = cycles / int(self.before.tally.cycles.sum())
        return (
            f"{'costs' if cycles < 0 else 'saves'} {units.count(abs(cycles))} cycles ({units.share(abs(share))}, "
            f"{quantity('latency_us', abs(latency))})"
        )

    def _of_layer(self, saved: int) -> str:
        """What becomes of the layer that was asked for."""
        name, count = display_name(self.layer), units.count(abs(saved))
        if saved < 0:
            return f"{name} takes {count} cycles more"
        if saved <= self.saved_cycles:
            return f"{count if saved else 'none'} of them in {name}"
        return f"{name} saves {count}"

    def others(self) -> dict[str, str]:
        """Return by how much the energy grows and, where the network changes, params and MACs, as texts."""
        energy = shown_energy(self.before, self.after)
        is_network_changed = self.before.accelerator == self.after.accelerator and self.kind != "mapping"
        names = (energy, "params", "macs") if is_network_changed else (energy,)
        return {
            words(name): _amount(name, saved, self.before.totals[name] or 0)
            for name in names
            if (saved := self.saved(name)) is not None
        }


class Proposals(list[Proposal]):
    """Proposals that a notebook shows as a table; ``together`` is what the function of that name makes of them."""

    __slots__ = ("together",)

    def __init__(self, found: Iterable[Proposal] = (), together: Proposal | None = None) -> None:
        super().__init__(found)
        self.together = together

    def _repr_html_(self) -> str:
        if not self:
            return titled("proposals", NOTHING)
        columns = ("change", "saves", "energy", "caveat")
        return titled("proposals", table(columns, [each.cells() for each in self], left=(0, 3)), APART)


def _cycles_text(report: Report, name: str) -> int:
    cycles = zip(report.network.layers, report.tally.cycles.tolist(), strict=True)
    return sum(count for layer, count in cycles if layer.name == name)


def _amount(name: str, saved: float, before: float) -> str:
    """The change of a metric with its sign, which is that of an amount that grows; a trace of it is none."""
    if abs(saved) <= _TRACE * before:
        return "unchanged"
    return f"{'−' if saved > 0 else '+'}{quantity(name, abs(saved))}"


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A report's network as the built-in one that it is, with the literal shape of its input."""

    spec: Spec
    shape: tuple[int, ...]

    @classmethod
    def of(cls, report: Report, *, cache: bool) -> BuiltIn | None:
        """Return what the network of *report* is called, where it is that; None where it is none, or was changed."""
        network = report.network
        if network.source != "built-in" or len(network.inputs) != 1:
            return None
        shape = network.inputs[0][1]
        with suppress(ModelError):
            found = cls(parse_spec(network.name), shape)
            if found.network(cache=cache).layers == network.layers:
                return found
        return None

    def network(self, *, cache: bool, **changes: Any) -> Network:
        """Return the fused network with *changes* to its options.

        Raises:
            ModelError: a value is not allowed, or the network does not accept the input.
        """
        options: dict[str, Any] = {**self.spec.changes, **changes}
        return load(self.spec.entry.name, input_shape=self.shape, cache=cache, **options).fused


def kernels(report: Report, runs: Runs, own: BuiltIn, layer: str = "", *, cache: bool) -> Iterator[Proposal]:
    """Yield a first filter two smaller in height and width, where that is an option of the network."""
    size = own.spec.options.get("conv1")
    if not isinstance(size, int) or size < 3:
        return
    with suppress(HardwareError, ModelError):
        after = runs.report(own.network(cache=cache, conv1=size - 2))
        change = f"option conv1 {size} → {size - 2}: the first filter {size}×{size} → {size - 2}×{size - 2}"
        yield Proposal("kernel", change, RETRAINED, report, after, layer)


def blocks(report: Report, runs: Runs, own: BuiltIn, *, cache: bool) -> Iterator[Proposal]:
    """Yield the best of all ways to take a block from one stage and give it to another.

    The costs of all are sums over blocks; the best is then simulated whole.
    """
    with suppress(HardwareError, ModelError):  # no stages, or blocks that depend on how many there are
        option, depth = option_of(own.spec.entry), depth_of(own.spec)
        moves = _moves(depth, int(option.low), int(option.high))
        if not moves or own.shape != (1, *own.spec.input):
            return
        pieces = _pieces(report.network, own.spec, depth, cache=cache)
        sums: Sums | Paths
        if report.machine.keeps_maps and report.machine.objective != "edp":
            sums = Paths.of(pieces, report.accelerator)
        else:
            sums = Sums.of(pieces, runs.report(pieces.network).costs, report.accelerator)
        best = moves[int(sums.tally(np.array(moves, np.int64)).cycles.argmin())]
        spec = _at(own.spec, best)
        after = runs.report(pieces.assembled(best, str(spec), spec.notes))
        change = f"option depth {option.format(depth)} → {option.format(best)}, {_words(depth, best)}"
        yield Proposal("blocks", change, RETRAINED, report, after)


def _pieces(network: Network, spec: Spec, depth: Depth, *, cache: bool) -> Pieces:
    """The pieces of a network with at least a block more in each stage: a published one, or one that is traced."""
    base = Base(spec, None, {})
    published = [
        (entry, depth_of(Spec(entry, {}))) for entry in catalogue().values() if base.is_like(Spec(entry, {}))
    ]
    deeper = [(entry, blocks) for entry, blocks in published if all(map(gt, blocks, depth))]
    if deeper:
        entry, blocks = min(deeper, key=lambda pair: sum(pair[1]))
        return cut(Network.load(entry.graph).fused, blocks, network, depth)
    more = tuple(number + 1 for number in depth)
    return cut(base.network(more, cache=cache), more, network, depth)


def _moves(depth: Depth, low: int, high: int) -> list[Depth]:
    return [
        tuple(number + (stage == given) - (stage == taken) for stage, number in enumerate(depth))
        for taken, given in permutations(range(len(depth)), 2)
        if depth[taken] > low and depth[given] < high
    ]


def _at(spec: Spec, depth: Depth) -> Spec:
    value = depth if option_of(spec.entry).length else depth[0]
    changes = {**spec.changes, "depth": value}
    return Spec(spec.entry, {key: kept for key, kept in changes.items() if kept != spec.entry.defaults[key]})


def _words(depth: Depth, best: Depth) -> str:
    changed = [
        (stage, after - before) for stage, (before, after) in enumerate(zip(depth, best, strict=True), 1)
    ]
    taken, given = (next(stage for stage, change in changed if change == sign) for sign in (-1, 1))
    return f"a block of stage {taken} moved to stage {given}"


def channels(report: Report, runs: Runs, longest: Collection[str], layer: str = "") -> Iterator[Proposal]:
    """Yield a proposal for the filters of each layer of *longest*, and one for all layers together.

    Only those count whose dataflow lays output channels along the columns. Channels that can only shrink as one, as
    those that meet in an addition, are removed together.
    """
    rounded = _rounded(report)
    columns = report.accelerator.array.cols
    for shares, size, left in rounded:
        if not shares.keys().isdisjoint(longest):
            first, *others = shares
            who = display_name(first) + (
                f" and {units.plural(len(others), 'layer')} that share them" if others else ""
            )
            change = f"output channels of {who} {size:,} → {left:,}, a multiple of the {columns:,} columns"
            yield from _proposed(report, runs, shares, change, layer)
    if len(rounded) > 1:
        together = {name: share for shares, _, _ in rounded for name, share in shares.items()}
        count = units.plural(len(together), "layer")
        change = f"output channels of {count} down to multiples of the {columns:,} columns"
        yield from _proposed(report, runs, together, change, layer)


def _rounded(report: Report) -> list[tuple[dict[str, float], int, int]]:
    """Layers that share their channels, with the share that is kept; how many channels there are, and how many stay."""
    spaces = Spaces(report.network)
    columns = report.accelerator.array.cols
    found: dict[int, tuple[dict[str, float], int, int]] = {}
    for layer, flow in zip(report.network.layers, dataflows(report.costs), strict=True):
        made = spaces.made_by(layer) if learnt(layer) and not depthwise(layer) else ()
        spatial = DATAFLOWS[flow].declared.spatial if flow in DATAFLOWS else None
        if spatial is None or "K" not in spatial.cols or len(made) != 1 or re.search(r"[*?[]", layer.name):
            continue
        space = spaces.of(made[0])
        step = math.lcm(columns * layer.g, space.unit)
        left = space.size // step * step
        if space.held or not 0 < left < space.size:
            continue
        shares, _, _ = found.setdefault(made[0], ({}, space.size, left))
        shares[layer.name] = found[made[0]][2] / space.size
    return list(found.values())


def _proposed(
    report: Report, runs: Runs, shares: Mapping[str, float], change: str, layer: str
) -> Iterator[Proposal]:
    with suppress(HardwareError, ModelError, UsageError):  # what cannot be removed after all
        after = runs.report(prune_channels(report.network, shares))
        yield Proposal("channels", change, RETRAINED, report, after, layer)


def mappings(report: Report, layer: str = "") -> Iterator[Proposal]:
    """Yield the tilings that the search finds instead of mappings that were given."""
    if report.mapped:
        change = f"mapping of {units.plural(len(report.mapped), 'layer')}, given → searched"
        after = simulate(report.network, report.accelerator)
        yield Proposal(
            "mapping", change, "assumes a compiler that can choose any tiling", report, after, layer
        )


def accelerators(report: Report, layer: str = "") -> Iterator[Proposal]:
    """Yield the proposals that change the accelerator of *report*, whether or not they save anything."""
    for kind, values, text, assumption in changes_of(report):
        with suppress(HardwareError):  # a value beyond what an accelerator or its energy table can have
            changed = report.accelerator.replace(values)
            after = simulate(report.network, changed)
            yield Proposal(kind, text, assumption, report, after, layer, values)


def buffers(report: Report, passing: Sequence[Passing], layer: str = "") -> Iterator[Proposal]:
    """Yield buffers that keep the maps of *passing* that move most, and another share of one of the same size."""
    for change in islice(sizes_that_keep(report, passing), _EACH):
        after = simulate(report.network, report.accelerator.replace(change.values))
        yield Proposal("size", change.text, AS_IN_THE_TABLE, report, after, layer, change.values)
    if share := best_share(report):
        after = simulate(report.network, report.accelerator.replace(share.values))
        assumption = "assumes the same size in all; energy per access as in the table"
        yield Proposal("share", share.text, assumption, report, after, layer, share.values)


LEAST = 0.001
"""Part of the cycles, of the network or of the layer asked for, that a proposal saves at least."""

_EACH = 2  # of each kind
_TRACE = 1e-5  # of a total: changes up to it are not worth a number


def advise(report: Report, layer: str | None = None, most: int = 8, *, cache: bool = True) -> Proposals:
    """Return the *most* changes that save most cycles of the network, or of *layer* and some of it, the best first.

    Tried are another dataflow beside the array's own, as many PEs in another shape, additions and poolings on the way
    out of the array, twice the vector lanes, feature maps that stay in the buffer, twice the buffer or
    each part of it, the sizes that keep feature maps which do not stay, another share of a buffer in parts, twice
    the bandwidth of each memory, twice the ports and output words of units; channels down to a multiple of the
    array's columns; and, of a built-in network, a first filter that is smaller by two, where its size is an option,
    and a block moved between two stages. Where mappings were given, searching them is all that is tried. Of each
    kind at most two are returned, the same change once, and none that saves less than 0.1 %. Each is simulated: what
    it saves is the difference of two reports.

    Args:
        report: what ``simulate`` returned.
        layer: a layer whose cycles are to be saved.
        most: how many proposals.
        cache: keep and read traced networks on disk.

    Raises:
        UsageError: there is no such layer, or *report* is no Report.

    Example:
        >>> import squeezesim as sq
        >>> report = sq.simulate(sq.load("squeezenet_1_0"), sq.Accelerator.named("squeezelerator_16x16"))
        >>> advise(report)[0].kind
        'kernel'
    """
    if not isinstance(report, Report):
        raise UsageError(f"report {show(report)}; allowed: a Report, as simulate returns it")
    return proposals_of(report, layer, passing_of(report), most, cache=cache)


def proposals_of(
    report: Report, layer: str | None, passing: Sequence[Passing], most: int = 8, *, cache: bool = True
) -> Proposals:
    """Return what ``advise`` does, of a report whose maps that pass a memory are known."""
    explained = explain(report, layer)  # raises where there is no such layer
    longest = {name for part in explained[:MOST] for name in part.layers}
    best: list[Proposal] = []
    tried = _tried(report, longest, layer or "", passing, cache=cache)
    found = [each for each in tried if each.saved_cycles > 0 and _gain(each) > 0]
    # A size that keeps a map says more than that it is twice as much.
    for each in sorted(found, key=lambda each: (_gain(each), each.kind == "size"), reverse=True):
        of_kind = sum(other.kind == each.kind for other in best)
        if of_kind < _EACH and _gain(each) >= LEAST * _cycles(each) and not any(map(each.is_same, best)):
            best.append(each)
    return Proposals(best[:most], together(best[:most]))


_TOGETHER = 3


def together(proposals: Sequence[Proposal]) -> Proposal | None:
    """Return the best three of *proposals* that go together as one, simulated; None of fewer than two.

    Two changes of one parameter, or of the network, do not go together: the first counts.
    """
    if not proposals:
        return None
    first = proposals[0]
    network, values, used = first.before.network, dict[str, object](), list[int]()
    for number, each in enumerate(proposals, 1):
        is_free = values.keys().isdisjoint(each.values) if each.values else network == first.before.network
        if is_free and each.kind != "mapping" and len(used) < _TOGETHER:
            values |= each.values
            network = network if each.values else each.after.network
            used.append(number)
    if len(used) < 2:
        return None
    with suppress(HardwareError):  # values that each can have, and not all of them
        after = simulate(network, first.before.accelerator.replace(values))
        which = f"{', '.join(map(str, used[:-1]))} and {used[-1]}"
        assumption = "assumes what each of them does"
        return Proposal(
            "together", f"proposals {which} together", assumption, first.before, after, first.layer
        )
    return None


def _tried(
    report: Report, longest: set[str], layer: str, passing: Sequence[Passing], *, cache: bool
) -> Iterator[Proposal]:
    if report.mapped:  # other changes are searched, so that they would not be what saves
        yield from mappings(report, layer)
        return
    runs = Runs(report)
    yield from accelerators(report, layer)
    yield from buffers(report, passing, layer)
    yield from channels(report, runs, longest, layer)
    if own := BuiltIn.of(report, cache=cache):
        if any(each.name in longest for each in report.network.layers if each.stage == "stem"):
            yield from kernels(report, runs, own, layer, cache=cache)
        if not layer:
            yield from blocks(report, runs, own, cache=cache)


def _gain(proposal: Proposal) -> int:
    saved = proposal.saved_layer_cycles
    return proposal.saved_cycles if saved is None else saved


def _cycles(proposal: Proposal) -> int:
    whole = zip(proposal.before.network.layers, proposal.before.tally.cycles.tolist(), strict=True)
    return sum(cycles for layer, cycles in whole if proposal.layer in ("", layer.name))


FORMAT = "squeezesim.explanation"
VERSION = 1
ALIKE = "dataflows of a layer are compared each in its best tiling, on the array as it is"
APART = "each proposal is simulated by itself: what two of them save together is not the sum of both"
_LAYERS = "layers run one after the other, and each reads from {memory} and writes to it"
_KEPT = "layers run one after the other; feature maps that stay in the buffer cause no {memory} traffic"
NOTHING = "none of the changes that are tried saves 0.1 % of the cycles"


MOST_PASSING = 5
"""Feature maps that the text is about; JSON has all."""


def sections(
    report: Report,
    explained: Sequence[Explained],
    proposals: Proposals,
    passing: Sequence[Passing] = (),
    width: int | None = None,
) -> list[Section]:
    """Return the parts of the text in their order, tables of at most *width* characters."""
    reasons = [
        f"{place}. {display_name(part.layers[0])}: {'; '.join(part.sentences[1:])}"
        for place, part in enumerate(explained, 1)
        if len(part.sentences) > 1
    ]
    timed = [part for part in explained if part.cycles]
    proposed = _proposed_table(proposals, width) if proposals else []
    return [
        Section(f"{report.network.name} on {report.accelerator.name}", summary(report)),
        Section("what takes the time", _time_table(report, timed, width) if timed else _numbered(explained)),
        *([Section("why", reasons)] if timed and reasons else []),
        *(
            [Section("feature maps that go through DRAM", _numbered(passing[:MOST_PASSING]))]
            if passing
            else []
        ),
        *(proposed or [Section("proposals", [NOTHING])]),
        *([Section("together", [str(proposals.together)])] if proposals.together else []),
        Section("assumptions", assumptions(report, proposals)),
        *caveats(report),
    ]


def _time_table(report: Report, explained: Sequence[Explained], width: int | None) -> Grid:
    """The shapes of layers that take longest, a row each."""
    columns = [
        Column("layers", left=True),
        *map(Column, ("time", "latency", "utilization")),
        Column("dataflow", 1, left=True),
        Column("largest loss", 2, left=True),
    ]
    places = {layer.name: place for place, layer in enumerate(report.network.layers)}
    busy = report.tally.utilization(report.scale)
    cells = []
    for part in explained:
        name = part.layers[0] + (f" ×{len(part.layers)}" if len(part.layers) > 1 else "")
        place = places[part.layers[0]]
        cause, lost = max(part.losses.items(), key=lambda loss: loss[1], default=("", 0.0))
        loss = f"{cause_named(cause).summary or cause} {units.share(lost)}" if cause else units.EMPTY
        cells.append(
            [
                name,
                units.share(part.share),
                quantity("latency_us", part.cycles / report.accelerator.clock_mhz),
                units.share(float(busy[place]) if report.network.layers[place].macs else None),
                part.dataflow or units.EMPTY,
                loss,
            ]
        )
    return _fitted(Grid(columns, cells), width)


def _proposed_table(proposals: Sequence[Proposal], width: int | None) -> list[Section]:
    """The proposals, a row each, and below them what their letters mean."""
    energy = shown_energy(*(report for each in proposals for report in (each.before, each.after)))
    others = [proposal.others() for proposal in proposals]
    kept = [name for name in ("params", "macs") if any(words(name) in row for row in others)]
    columns = [
        Column("change", left=True),
        *map(Column, ("saves", "latency", header(energy))),
        *(Column(words(name), 1) for name in kept),
        Column("caveats", left=True),
    ]
    letters: dict[str, str] = {}
    cells = []
    for proposal, amounts in zip(proposals, others, strict=True):
        change, rest = re.fullmatch(r"(.*?)(?:[:,] (.*))?", proposal.change).groups()  # type: ignore[union-attr]
        notes = [rest, proposal.assumption, proposal.layer_text]
        marks = [letters.setdefault(text, chr(ord("a") + len(letters) % 26)) for text in notes if text]
        share, _, latency = proposal.cells()[1].partition(", ")
        changed = [amounts.get(words(name), units.EMPTY) for name in (energy, *kept)]
        changed[0] = re.sub(r" (MAC-equivalents|µJ)$", "", changed[0])
        cells.append([change, share, latency, *changed, " ".join(marks)])
    meanings = [f"{letter}  {text}" for text, letter in letters.items()]
    return [Section("proposals", _fitted(Grid(columns, cells), width)), Section("caveats", meanings)]


def _fitted(grid: Grid, width: int | None) -> Grid:
    return grid if width is None else replace(grid, elsewhere="widen the terminal").fit(width)


def assumptions(report: Report, proposals: Sequence[Proposal]) -> list[str]:
    """Return what the numbers assume, beside what single proposals do."""
    several, machine = len(report.accelerator.array.dataflows) > 1, report.machine
    memory = label_of(machine.memory_names[machine.home("outputs")], LEVELS)
    return [
        *([ALIKE] if several else []),
        *([APART] if len(proposals) > 1 else []),
        (_KEPT if machine.keeps_maps else _LAYERS).format(memory=memory),
    ]


def document(
    report: Report,
    explained: Sequence[Explained],
    proposals: Proposals,
    passing: Sequence[Passing] = (),
) -> str:
    """Return the same as JSON; floats have ten significant digits."""
    data = {
        "format": FORMAT,
        "version": VERSION,
        "network": report.network.name,
        "accelerator": report.accelerator.name,
        "totals": report.totals,
        "summary": summary(report),
        "layers": [
            {
                "layers": part.layers,
                "cycles": part.cycles,
                "share": part.share,
                "dataflow": part.dataflow,
                "ratios": part.ratios,
                "losses": part.losses,
                "sentences": part.sentences,
            }
            for part in explained
        ],
        "passing": [each.row() for each in passing],
        "proposals": [proposal.row() for proposal in proposals],
        "together": proposals.together and proposals.together.row(),
        "assumptions": assumptions(report, proposals),
        "unmodelled": [
            {"op": item.op, "count": item.count, "module": item.module} for item in report.unmodelled
        ],
        "notes": report.notes,
    }
    return json_page(round_floats(data))


def _numbered(items: Sequence[object]) -> list[str]:
    return [f"{place}. {item}" for place, item in enumerate(items, 1)]
