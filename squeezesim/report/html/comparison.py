"""Several reports beside each other: their totals, the best of each, and in what their accelerators differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from squeezesim.hardware.display import rows as parameters_of
from squeezesim.report import metrics, units
from squeezesim.report.figures.stages import titles
from squeezesim.report.metrics import METRICS, energy_unit, format_value, header, shown_energy

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.report.data import ReportData

Value = int | float | None


class ComparedTotal(NamedTuple):
    """A total of each report.

    ``better`` is 1 where more is better, −1 where less is, and 0 where neither is. ``best`` are the places of the best
    value, none where no value is better than another. Values with the same number in ``units`` may be compared.
    """

    key: str
    label: str
    better: int
    values: Sequence[Value]
    units: Sequence[int]
    texts: Sequence[str]
    best: Sequence[int]


class Parameter(NamedTuple):
    """A parameter of the accelerators whose values differ."""

    path: str
    unit: str
    values: Sequence[str]


class Comparison(NamedTuple):
    """Everything of the page that is about more than one report."""

    names: Sequence[str]
    metrics: Sequence[ComparedTotal]
    accelerators: Sequence[str]
    differences: Sequence[Parameter]
    same: int  # parameters that are equal in all accelerators

    @property
    def judged(self) -> str:
        """The totals of which one can be the best, in words."""
        judged = [metric for metric in self.metrics if metric.better and len(set(metric.units)) == 1]
        *others, last = [metric.label.partition(" ")[0] for metric in judged]
        return f"{', '.join(others)} and {last}"

    @property
    def comparable(self) -> bool:
        """Whether the energies of all results are of one unit."""
        return all(len(set(metric.units)) == 1 for metric in self.metrics)


def compare(reports: Sequence[ReportData]) -> Comparison:
    """Return *reports* side by side, in the order given."""
    hardware = accelerators(reports)
    differences, same = _differences([accelerator for _, accelerator in hardware])
    return Comparison(titles(reports), _totals(reports), [name for name, _ in hardware], differences, same)


def accelerators(reports: Sequence[ReportData]) -> list[tuple[str, Accelerator]]:
    """Return the distinct accelerators of *reports* by name; a second one of the same name gets ``#2``."""
    found: list[tuple[str, Accelerator]] = []
    for accelerator in (report.accelerator for report in reports):
        if any(accelerator == known for _, known in found):
            continue
        number = 1 + sum(known.name == accelerator.name for _, known in found)
        found.append((accelerator.name if number == 1 else f"{accelerator.name} #{number}", accelerator))
    return found


def _totals(reports: Sequence[ReportData]) -> list[ComparedTotal]:
    """Energies are shown in one column, and compared only where they are of one unit."""
    totals = [metrics.totals(report) for report in reports]
    shown = shown_energy(*reports)
    found = [energy_unit(report) for report in reports]
    apart, alike = list(dict.fromkeys(found)), [0] * len(reports)
    compared = []
    for name in (
        "latency_us",
        "cycles",
        "utilization",
        shown,
        "dram_bytes",
        "macs",
        "params",
        "weights_bytes",
    ):
        values, key, of_units = [total[name] for total in totals], name, alike
        texts = [format_value(name, value) for value in values]
        if name == shown:
            key, of_units = "energy", [apart.index(unit) for unit in found]
            values = [total[shown_energy(report)] for report, total in zip(reports, totals, strict=True)]
        better = {"more": 1, "less": -1, None: 0}[METRICS[name].better]
        best = _best(values, better) if len(set(of_units)) == 1 else []
        compared.append(ComparedTotal(key, header(name), better, values, of_units, texts, best))
    return compared


def _best(values: Sequence[Value], better: int) -> list[int]:
    known = {place: better * value for place, value in enumerate(values) if value is not None}
    if better == 0 or len(set(known.values())) < 2:
        return []
    return [place for place, value in known.items() if value == max(known.values())]


def _differences(hardware: Sequence[Accelerator]) -> tuple[list[Parameter], int]:
    """Return the parameters that differ, and the number of those that do not."""
    tables = [{row.path: row for row in parameters_of(accelerator)} for accelerator in hardware]
    paths = list(dict.fromkeys(path for table in tables for path in table))
    found = []
    for path in paths:
        rows = [table.get(path) for table in tables]
        values = [row.value if row else units.EMPTY for row in rows]
        if len(set(values)) > 1:
            found.append(Parameter(path, next(row.unit for row in rows if row), values))
    return found, len(paths) - len(found)


def payload(reports: Sequence[ReportData], comparison: Comparison) -> dict[str, Any]:
    """Return what the comparison's charts and changes are made from."""
    return {
        "names": comparison.names,
        "metrics": {
            metric.key: {"values": metric.values, "units": metric.units, "better": metric.better}
            for metric in comparison.metrics
        },
        "comparable": comparison.comparable,
        "networks": [report.network.name for report in reports],
    }
