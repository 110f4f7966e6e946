"""The figure ``stages``: time and energy of each stage, networks side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.errors import UsageError
from squeezesim.report import units
from squeezesim.report.figures.charts import Energies, Unit, grouped_bars, time_unit
from squeezesim.report.figures.style import NORMAL, Sheet, labels, legible, patch
from squeezesim.report.metrics import energy_unit, groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData

MOST = 9
"""Reports that are told apart by their colours."""
_INCHES = (8.0, 16.0)
_INCHES_A_BAR = 0.14
_HEIGHT = 4.4
_INCHES_A_LETTER = 0.085
_LONGEST = 18

_SHARE = Unit(1, "% of each one's own: units differ")
_Values = dict[str, list[float]]


def stages(reports: Sequence[ReportData], ax: Any = None, *, theme: str = "light") -> Figure:
    """Draw time and energy of each stage, a bar for each report, as in figure 8 of the SqueezeNext paper.

    Where energies are of different units, each report's are drawn in per cent of its own.

    Raises:
        UsageError: there are more reports than colours, or there is no such theme.
    """
    if len(reports) > MOST:
        raise UsageError(f"stages compares at most {MOST} reports, found {len(reports)}")
    names = titles(reports)
    tallies = [groups(report, "stage") for report in reports]
    known = _merged(stage for stage, _ in tallies)
    width = float(np.clip(3 + 2 * _INCHES_A_BAR * len(known) * (len(reports) + 1.5), *_INCHES))
    sheet = Sheet.open(ax, theme, (width, _HEIGHT), columns=2)
    energies = Energies(reports)
    are_alike = len({energy_unit(report) for report in reports}) == 1
    times, spent = {}, {}
    for name, report, (found, tally) in zip(names, reports, tallies, strict=True):
        times[name] = _by_stage(known, found, tally.latency_us(report.scale))
        values = energies.of(report, tally).sum(axis=1)
        spent[name] = _by_stage(known, found, values if are_alike else 100 * values / (values.sum() or 1))
    of_energy = energies.unit(max(map(max, spent.values()))) if are_alike else _SHARE
    parts = (
        ("time", times, time_unit(max(map(max, times.values())))),
        ("energy", spent, of_energy),
    )
    texts = [text or units.EMPTY for text in labels(known, _LONGEST)]
    room = width / 2 - 1.2 if sheet.own else sheet.inches
    upright = sum(map(len, texts)) * _INCHES_A_LETTER < room
    for axes, (quantity, values, unit) in zip(sheet.panels, parts, strict=True):
        grouped_bars(axes, texts, _scaled(values, unit), sheet.theme)
        axes.tick_params(axis="x", rotation=0 if upright else 90)
        axes.set_ylabel(unit.label(quantity), fontsize=NORMAL)
    sheet.title(_title(reports))
    shown = zip(map(legible, names), sheet.theme.series, strict=False)
    sheet.legend({name: patch(colour) for name, colour in shown})
    sheet.finish()
    return sheet.figure


def titles(reports: Sequence[ReportData]) -> list[str]:
    """Return a name for each report: its network, and its accelerator where they differ; the second gets ``#2``."""
    several = len({report.accelerator.name for report in reports}) > 1
    names = [
        f"{report.network.name} on {report.accelerator.name}" if several else report.network.name
        for report in reports
    ]
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return unique


def _title(reports: Sequence[ReportData]) -> str:
    hardware = {report.accelerator.name for report in reports}
    subject = reports[0].network.name if len(reports) == 1 else units.plural(len(reports), "network")
    if len(hardware) == 1:
        return f"Time and energy by stage: {subject} on {hardware.pop()}"
    return "Time and energy by stage"


def _merged(lists: Iterable[Sequence[str]]) -> list[str]:
    """All stages; one that only some networks have stands after the one that it follows there."""
    known: list[str] = []
    for names in lists:
        place = 0
        for name in names:
            if name not in known:
                known.insert(place, name)
            place = known.index(name) + 1
    return known


def _by_stage(known: Sequence[str], names: Sequence[str], values: Any) -> list[float]:
    found = dict(zip(names, values.tolist(), strict=True))
    return [found.get(stage, 0.0) for stage in known]


def _scaled(values: _Values, unit: Unit) -> _Values:
    return {name: [value * unit.factor for value in row] for name, row in values.items()}
