"""The figure of all devices: measured times and ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from squeezesim.papers.devices.check import Compared
from squeezesim.report.figures.charts import log_axes
from squeezesim.report.figures.style import NORMAL, SMALL, Sheet, draw_grid_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = (7.2, 6.4)
_BAND = 0.1
_AROUND = 1.6  # of the shortest and the longest time
_MARKERS = "osD^vP"


def figure(found: Iterable[Compared], *, theme: str = "light") -> Figure:
    """Draw simulated over measured times, a mark for each layer and network, and the band of ±10 %.

    Both axes are times in µs; frames a second count as the time of one, cycles as that at the device's clock.
    """
    import numpy as np

    sheet = Sheet.open(None, theme, _SIZE)
    (axes,) = sheet.panels
    marks = {
        each.device.title: [
            times for one in each.ran if one.item.groups and (times := one.times_us) is not None
        ]
        for each in found
    }
    every = np.array([times for each in marks.values() for times in each])
    limits = float(every.min() / _AROUND), float(every.max() * _AROUND)
    line = np.array(limits)
    axes.fill_between(
        line, line * (1 - _BAND), line * (1 + _BAND), color=sheet.theme.grid, linewidth=0, label="±10 %"
    )
    axes.plot(line, line, color=sheet.theme.faint, linewidth=0.8)
    for (title, each), marker, colour in zip(marks.items(), _MARKERS, sheet.theme.series, strict=False):
        measured, ours = np.array(each).T
        axes.scatter(
            measured,
            ours,
            s=26,
            marker=marker,
            color=colour,
            alpha=0.8,
            linewidth=0.4,
            edgecolor=sheet.theme.paper,
            label=title,
            zorder=3,
        )
    log_axes(axes, limits, limits)
    draw_grid_lines(axes, sheet.theme, "both")
    axes.set_xlabel("measured (µs)", fontsize=NORMAL)
    axes.set_ylabel("simulated (µs)", fontsize=NORMAL)
    axes.legend(fontsize=SMALL, loc="upper left", frameon=False, labelcolor=sheet.theme.ink)
    sheet.title("Layers and networks on devices, measured and simulated")
    sheet.finish()
    return sheet.figure
