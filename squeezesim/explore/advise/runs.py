"""Runs: reports of several networks on one accelerator, each shape of layer costed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from squeezesim.cost.evaluate import Costs, evaluate
from squeezesim.report.findings import shape_of
from squeezesim.report.report import Report

if TYPE_CHECKING:
    from squeezesim.network import Layer, Network

# Of each layer; the others are of the accelerator.
_COLUMNS = [field.name for field in fields(Costs) if field.name not in ("pes", "clock_hz")]


class Runs:
    """Reports on the accelerator of *report*, whose layers are not costed again.

    A layer is costed by itself, so that ``report`` returns what ``simulate`` does.
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
        shapes = [shape_of(layer) for layer in fused.layers]
        missing = list(dict.fromkeys(shape for shape in shapes if shape not in self._rows))
        if missing:
            count = self._costs.cycles.shape[1]
            self._costs = _joined(self._costs, evaluate(missing, [self._accelerator]))
            self._rows |= {shape: count + number for number, shape in enumerate(missing)}
        return Report(fused, self._accelerator, _taken(self._costs, [self._rows[shape] for shape in shapes]))


def _joined(one: Costs, other: Costs) -> Costs:
    """The costs of the layers of both."""
    columns = {name: [getattr(costs, name) for costs in (one, other)] for name in _COLUMNS}
    return replace(one, **{name: np.concatenate(pair, axis=1) for name, pair in columns.items()})


def _taken(costs: Costs, rows: Sequence[int]) -> Costs:
    return replace(costs, **{name: getattr(costs, name)[:, rows] for name in _COLUMNS})
