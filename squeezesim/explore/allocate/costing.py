"""Costing: every distinct layer of several networks once, and the totals of whole networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.evaluate import Costs, evaluate
from squeezesim.explore.allocate.sums import late_share
from squeezesim.report.report import Report

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network

_OF_ACCELERATORS = ("pes", "clock_hz")


def costs_of(networks: Sequence[Network], accelerator: Accelerator) -> list[Costs]:
    """Return the costs of each of *networks*, which are fused; layers equal in shape are costed once for all.

    Raises:
        HardwareError: a layer does not fit the global buffer at its smallest tile.
    """
    layers = [layer for network in networks for layer in network.layers]
    costs = evaluate(layers, [accelerator])
    ends = np.cumsum([len(network.layers) for network in networks]).tolist()
    return [_part(costs, slice(start, end)) for start, end in zip([0, *ends], ends, strict=False)]


def totals_of(network: Network, costs: Costs, accelerator: Accelerator, stages: int) -> dict[str, Any]:
    """Return the totals of *network*, whose layers have *costs*, with its ``late_share``."""
    params = [
        sum(layer.params for layer in network.layers if layer.stage == f"stage{number}")
        for number in range(1, stages + 1)
    ]
    share = float(late_share(np.array(params, np.int64)))
    totals = Report(network=network, accelerator=accelerator, costs=costs).totals
    return {**totals, "late_share": None if np.isnan(share) else share}


def _part(costs: Costs, layers: slice) -> Costs:
    columns = {field.name: getattr(costs, field.name) for field in fields(Costs)}
    return Costs(
        **{
            name: column if name in _OF_ACCELERATORS else column[:, layers]
            for name, column in columns.items()
        }
    )
