"""Changes to the channels: those beyond a multiple of the array's columns are removed, wherever they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from squeezesim.errors import HardwareError, ModelError, UsageError
from squeezesim.explore.advise.proposal import RETRAINED, Proposal
from squeezesim.network.compress.channels import prune_channels
from squeezesim.network.compress.rules import learnt
from squeezesim.network.compress.spaces import Spaces, depthwise
from squeezesim.report import units
from squeezesim.report.columns import dataflows
from squeezesim.report.findings import called

if TYPE_CHECKING:
    from squeezesim.explore.advise.runs import Runs
    from squeezesim.report.report import Report

_ON_COLUMNS = ("ws", "scalesim_os", "scalesim_ws")


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
            who = called(first) + (
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
        if flow not in _ON_COLUMNS or len(made) != 1 or re.search(r"[*?[]", layer.name):
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
