"""Comparison: results side by side, aligned, each beside its baseline."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError, nearest
from squeezesim.report.metrics import METRICS, energy_column, metrics_of, total_names
from squeezesim.report.report import Report
from squeezesim.zoo.registry import catalogue

if TYPE_CHECKING:
    from squeezesim.network import Layer, Network

ALIGNED = ("stage", "layer")

Keys = list[Hashable]


@dataclass(frozen=True, slots=True)
class Aligned:
    """Names of rows, and for each row the place of it in every result, None where a result has no such row."""

    names: tuple[str, ...]
    places: tuple[tuple[int | None, ...], ...]


def align(reports: Sequence[Report], by: str) -> Aligned:
    """Return the stages or layers of *reports* side by side, in the order in which they run.

    Layers match by name and operator. Where a network shares no layer with those before it, but has the shapes of one
    of them, layer by layer, its layers match those in order.

    Raises:
        UsageError: *by* is neither.
    """
    if by not in ALIGNED:
        raise UsageError(f"rows are aligned by {' or '.join(ALIGNED)}, found {by!r}{nearest(by, ALIGNED)}")
    networks = [report.network for report in reports]
    keys = [_stages(network) for network in networks] if by == "stage" else _layers(networks)
    rows: Keys = []
    for own in keys:
        rows = merged(rows, own)
    index = [{key: place for place, key in enumerate(own)} for own in keys]
    names = tuple(str(row[0] if isinstance(row, tuple) else row) for row in rows)
    return Aligned(names, tuple(tuple(own.get(row) for own in index) for row in rows))


def merged(rows: Sequence[Hashable], own: Sequence[Hashable]) -> Keys:
    """Return *rows* with what only *own* has, each before what follows it there.

    Example:
        >>> merged(["stem", "stage1", "head"], ["stem", "stage1", "stage2", "head"])
        ['stem', 'stage1', 'stage2', 'head']
    """
    known = set(rows)
    waiting: Keys = []
    before: dict[Hashable, Keys] = {}
    for key in own:
        if key in known:
            before[key], waiting = waiting, []
        else:
            waiting.append(key)
    return [key for row in rows for key in (*before.get(row, ()), row)] + waiting


def _stages(network: Network) -> Keys:
    return list(dict.fromkeys(layer.stage for layer in network.layers))


def _layers(networks: Sequence[Network]) -> list[Keys]:
    """For each network the keys of its layers; those of an earlier one where only the shapes are alike."""
    keys: list[Keys] = []
    known: set[Hashable] = set()
    for number, network in enumerate(networks):
        own: Keys = [(layer.name, layer.op) for layer in network.layers]
        if known.isdisjoint(own):
            shapes = [_shape(layer) for layer in network.layers]
            alike = (
                place
                for place, other in enumerate(networks[:number])
                if shapes == [_shape(layer) for layer in other.layers]
            )
            own = next((keys[place] for place in alike), own)
        keys.append(own)
        known.update(own)
    return keys


def _shape(layer: Layer) -> tuple[object, ...]:
    sizes = (layer.n, layer.g, layer.k, layer.c, layer.oy, layer.ox, layer.fy, layer.fx)
    return layer.kind, *sizes, layer.stride, layer.dilation, layer.repeat


@dataclass(frozen=True, slots=True)
class Result:
    """What one network costs on one accelerator.

    Attributes:
        network: the network's name, told apart from others on an accelerator of the same name.
        top1_percent: accuracy on ImageNet, None where it is not known.
        origin: the file that the report was read from, empty where it was computed.
    """

    network: str
    report: Report
    top1_percent: float | None = None
    origin: str = ""

    @property
    def accelerator(self) -> str:
        """The accelerator's name."""
        return self.report.accelerator.name

    def __str__(self) -> str:
        return f"{self.network} on {self.accelerator}"


def saved(path: str | PathLike[str]) -> Result:
    """Return the result in the file *path*.

    Raises:
        ReportError: the file is missing, unreadable, malformed or of another version.
    """
    return of_report(Report.load(path), fspath(path))


def of_report(report: Report, origin: str = "") -> Result:
    """Return *report* as a result, with the published accuracy of its network."""
    return Result(report.network.name, report, published_top1(report.network), origin)


def published_top1(network: Network) -> float | None:
    """Return the top-1 accuracy in per cent that was published of *network*.

    It is known of a built-in network that is as it was published: its own input, no other options, nothing compressed.

    Example:
        >>> from squeezesim.load import load
        >>> published_top1(load("squeezenext_23")), published_top1(load("squeezenext_23", width=2))
        (59.05, None)
    """
    entry = catalogue().get(network.name)
    if entry is None or not network.inputs:
        return None
    (_, shape), *_ = network.inputs
    facts = entry.facts
    counts = (facts.params, facts.macs * shape[0])
    if shape[1:] != entry.input or (network.params, network.macs) != counts:
        return None
    compressed = any(
        layer.weight_density is not None or layer.weight_bits is not None for layer in network.layers
    )
    return None if compressed else facts.top1


def told_apart(results: Iterable[Result]) -> tuple[Result, ...]:
    """Return *results* with names that differ on every accelerator: by their files, else ``#2``, ``#3`` …"""
    found = list(results)
    shared = Counter((result.network, result.accelerator) for result in found)
    named = [
        replace(result, network=f"{result.network} ({result.origin})")
        if result.origin and shared[result.network, result.accelerator] > 1
        else result
        for result in found
    ]
    seen: Counter[tuple[str, str]] = Counter()
    apart = []
    for result in named:
        key = (result.network, result.accelerator)
        seen[key] += 1
        again = seen[key] > 1
        apart.append(replace(result, network=f"{result.network}#{seen[key]}") if again else result)
    return tuple(apart)


def with_top1(results: Sequence[Result], given: Mapping[str, float]) -> list[Result]:
    """Return *results* with the accuracies in per cent that are *given* by the networks' names.

    Raises:
        UsageError: there is no network of a name, or an accuracy is no percentage.
    """
    names = list(dict.fromkeys(result.network for result in results))
    for name, value in given.items():
        if name not in names:
            raise UsageError(
                f"top-1 of {name!r}, which is not compared; allowed: {', '.join(names)}{nearest(name, names)}"
            )
        if not (math.isfinite(value) and 0 <= value <= 100):
            raise UsageError(f"top-1 of {name!r} is {value:g}; allowed: per cent, from 0 to 100")
    return [
        replace(result, top1_percent=float(given.get(result.network, math.nan)))
        if result.network in given
        else result
        for result in results
    ]


Places = tuple[int | None, ...]
"""For each result the place of its baseline, None where it has none."""


def named(results: Sequence[Result], name: str | None) -> Places:
    """Return the baselines that *name* means: by default the first result for all.

    ``NETWORK on ACCELERATOR`` is one result for all. A network's name is the result of that network on the same
    accelerator, and an accelerator's name that of the same network on it; where there is only one result of that name,
    it is the baseline of all.

    Raises:
        UsageError: nothing is called *name*.
    """
    if name is None:
        return (0,) * len(results)
    for place, result in enumerate(results):
        if str(result) == name:
            return (place,) * len(results)
    networks = dict.fromkeys(result.network for result in results)
    accelerators = dict.fromkeys(result.accelerator for result in results)
    if name in networks:
        return _matched(results, lambda one: one.network == name, lambda one: one.accelerator)
    if name in accelerators:
        return _matched(results, lambda one: one.accelerator == name, lambda one: one.report.network.name)
    known = [*networks, *accelerators]
    raise UsageError(f"baseline {name!r} is not compared; allowed: {', '.join(known)}{nearest(name, known)}")


def against(results: Sequence[Result], saved: int) -> Places:
    """Return the baselines where the first *saved* results are those of saved reports.

    A result is compared with the saved one of the same network and accelerator, by their names; where only one is
    saved, with that one.

    Raises:
        UsageError: several are saved, and none of them is of a result's network and accelerator.
    """
    if saved == 1:
        return (0,) * len(results)
    places: list[int | None] = list(range(saved))
    for result in results[saved:]:
        same = [place for place in range(saved) if _name(results[place]) == _name(result)]
        if not same:
            known = ", ".join(" on ".join(_name(other)) for other in results[:saved])
            raise UsageError(f"none of the saved reports is of {result}; they are of {known}")
        places.append(same[0])
    return tuple(places)


def _name(result: Result) -> tuple[str, str]:
    return result.report.network.name, result.accelerator


def _matched(
    results: Sequence[Result], is_one: Callable[[Result], bool], key: Callable[[Result], str]
) -> Places:
    """For each result the first that *is_one* and has the same *key*; the only one where it is alone."""
    ones = [place for place, result in enumerate(results) if is_one(result)]
    if len(ones) == 1:
        return (ones[0],) * len(results)
    return tuple(
        next((place for place in ones if key(results[place]) == key(result)), None) for result in results
    )


BY = ("result", *ALIGNED)

Row = dict[str, Any]

_OWN = {"stage": ("layers",), "layer": ("stage", "op", "dataflow")}


def number_names() -> list[str]:
    """Return the columns of results that hold numbers, of which conditions may speak."""
    return ["top1_percent", *total_names(), *_ratios(), "energy_relative"]


def names_of_empty() -> list[str]:
    """Return the columns of numbers that may be empty from top to bottom."""
    found = [name for name, metric in METRICS.items() if metric.can_be_empty and metric.kind == "number"]
    return [*found, *_ratios(), "energy_relative"]


def _ratios() -> dict[str, str]:
    """Columns that are quotients by the baseline's, and what they are quotients of."""
    return {metric.ratio: name for name, metric in METRICS.items() if metric.ratio}


@dataclass(frozen=True)
class Comparison:
    """Results side by side.

    Attributes:
        baselines: for each result the place of the one that it is compared with.
        saved: how many of the results, from the first, are saved reports that others are compared with.
    """

    results: tuple[Result, ...]
    baselines: Places
    saved: int = 0

    def baseline(self, place: int) -> Result | None:
        """Return what the result at *place* is compared with."""
        other = self.baselines[place]
        return None if other is None else self.results[other]

    @cached_property
    def totals(self) -> tuple[Row, ...]:
        """The numbers of each result as a whole."""
        return tuple({"top1_percent": result.top1_percent, **result.report.totals} for result in self.results)

    def rows(self, by: str = "result") -> list[Row]:
        """Return one row for each result, or for each stage or layer of each result.

        A quantity divided by that of the baseline is ``…_relative``, None where there is none or where energies are in
        other units. Stages and layers have ``difference_us`` too, latency − that of the baseline, in which what one of
        them does not have takes no time: it adds up to the difference of the whole.

        Raises:
            UsageError: *by* is none of the three.
        """
        if by not in BY:
            raise UsageError(f"rows are by {', '.join(BY)}, found {by!r}{nearest(by, BY)}")
        return self._results() if by == "result" else self._aligned(by)

    def aligned(self, by: str) -> Aligned:
        """Return which stages or layers of the results stand side by side."""
        return align([result.report for result in self.results], by)

    def _results(self) -> list[Row]:
        rows = []
        for place, result in enumerate(self.results):
            other = self.baselines[place]
            heading = {"network": result.network, "accelerator": result.accelerator}
            reference = {"baseline": "" if other is None else str(self.results[other])}
            before = None if other is None else self.totals[other]
            relative = self._relative(place, self.totals[place], before)
            rows.append(heading | self.totals[place] | reference | relative)
        return rows

    def _aligned(self, by: str) -> list[Row]:
        tables = [result.report.rows(by) for result in self.results]
        aligned = self.aligned(by)
        names = (*_OWN[by], *(metric.name for metric in metrics_of("comparison")))
        rows = []
        for name, places in zip(aligned.names, aligned.places, strict=True):
            parts = [None if at is None else table[at] for table, at in zip(tables, places, strict=True)]
            for place, (result, part) in enumerate(zip(self.results, parts, strict=True)):
                other = self.baselines[place]
                before = None if other is None else parts[other]
                row: Row = {by: name, "network": result.network, "accelerator": result.accelerator}
                row |= {key: None if part is None else part[key] for key in names}
                row |= {"baseline": "" if other is None else str(self.results[other])}
                row |= {"difference_us": None if other is None else _latency(part) - _latency(before)}
                rows.append(row | self._relative(place, row, before))
        return rows

    def _relative(self, place: int, row: Mapping[str, Any], before: Mapping[str, Any] | None) -> Row:
        columns = _ratios()
        if before is None:
            return dict.fromkeys((*columns, "energy_relative"))
        ratios = {name: _ratio(row[column], before[column]) for name, column in columns.items()}
        other = self.baseline(place)
        energy = None if other is None else energy_column(self.results[place].report, other.report)
        ratios["energy_relative"] = None if energy is None else _ratio(row[energy], before[energy])
        return ratios


def _ratio(value: float | None, before: float | None) -> float | None:
    return None if value is None or not before else value / before


def _latency(part: Mapping[str, Any] | None) -> float:
    return 0.0 if part is None else float(part["latency_us"])
