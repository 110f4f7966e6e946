"""Layers of one shape in a stage, which cost the same, as one row with their sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.report import metrics
from squeezesim.report.diagnosis import alike

if TYPE_CHECKING:
    from squeezesim.report.data import ReportData


def rows(report: ReportData) -> list[dict[str, Any]]:
    """Return a row for the layers of each shape in a stage, by the first of them: ``layers`` of them, and their sums.

    Ratios are of the sums; what else differs between them, as where an operand lives, is None.
    """
    groups = _groups(report)
    firsts = [members[0] for members in groups]
    index = np.empty(len(report.network.layers), np.int64)
    for number, members in enumerate(groups):
        index[members] = number
    tally = report.tally.grouped(index, len(groups))
    found: metrics.Columns = {"layers": [len(members) for members in groups]}
    for metric in metrics.metrics_of_layers(report):
        if metric.of:
            found[metric.name] = metric.of(tally, report.scale)
        elif (column := metric.column(report)) is not None:
            values = column.tolist() if isinstance(column, np.ndarray) else column
            found[metric.name] = [_common([values[place] for place in members]) for members in groups]
    found["name"] = [report.network.layers[place].name for place in firsts]
    return metrics.to_rows(found)


def _groups(report: ReportData) -> list[list[int]]:
    """The places of layers of one shape and stage, by the first of each."""
    found: list[list[int]] = []
    for members in alike(report):
        stages: dict[str, list[int]] = {}
        for place in members:
            stages.setdefault(report.network.layers[place].stage, []).append(place)
        found += stages.values()
    return sorted(found)


def _common(values: list[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else None
