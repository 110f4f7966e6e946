"""Comparison: results with their baselines, as rows of plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from squeezesim.errors import UsageError, nearest
from squeezesim.explore.compare.align import ALIGNED, Aligned, align
from squeezesim.explore.compare.baseline import Places
from squeezesim.explore.compare.result import Result
from squeezesim.report.columns import TOTALS
from squeezesim.report.energies import energy_column

BY = ("result", *ALIGNED)

Row = dict[str, Any]

_RATIOS = {
    "params_relative": "params",
    "macs_relative": "macs",
    "cycles_relative": "cycles",
    "latency_relative": "latency_us",
    "dram_relative": "dram_bytes",
}
NUMBERS = ("top1_percent", *TOTALS, *_RATIOS, "energy_relative")
"""Columns of results that hold numbers, of which conditions may speak."""
EMPTY_AT_TIMES = ("top1_percent", "energy_uj", "energy_mac_equiv", *_RATIOS, "energy_relative")
"""Columns of numbers that may be empty from top to bottom."""
_PARTS = (
    "params",
    "macs",
    "vector_ops",
    "cycles",
    "latency_us",
    "share",
    "utilization",
    "efficiency",
    "bound",
    "energy_uj",
    "energy_mac_equiv",
    "dram_bytes",
    "buffer_bytes",
)
_OWN = {"stage": ("layers",), "layer": ("stage", "op", "dataflow")}


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
        rows = []
        for result in self.results:
            totals = result.report.totals
            rows.append({"top1_percent": result.top1_percent} | {name: totals[name] for name in TOTALS})
        return tuple(rows)

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
        names = (*_OWN[by], *_PARTS)
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
        if before is None:
            return dict.fromkeys((*_RATIOS, "energy_relative"))
        ratios = {name: _ratio(row[column], before[column]) for name, column in _RATIOS.items()}
        other = self.baseline(place)
        energy = None if other is None else energy_column(self.results[place].report, other.report)
        ratios["energy_relative"] = None if energy is None else _ratio(row[energy], before[energy])
        return ratios


def _ratio(value: float | None, before: float | None) -> float | None:
    return None if value is None or not before else value / before


def _latency(part: Mapping[str, Any] | None) -> float:
    return 0.0 if part is None else float(part["latency_us"])
