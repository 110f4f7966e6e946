"""Result: a report under a name of its own, with the accuracy of its network; what text and objects mean as results."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from typing import TYPE_CHECKING

from squeezesim.errors import UsageError, nearest
from squeezesim.report.report import Report
from squeezesim.zoo.registry import catalogue

if TYPE_CHECKING:
    from squeezesim.network import Network


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


def is_report(text: str | PathLike[str]) -> bool:
    """Return whether *text* is the path of a saved report: it ends in ``.json``, and not in ``.graph.json``."""
    name = fspath(text).lower()
    return name.endswith(".json") and not name.endswith(".graph.json")


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
