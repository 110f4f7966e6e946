"""The tornado plot: for each parameter how far latency and energy move when it is a little less or more.

Integers move by more than others, and some parameters to one side alone: the values stand beside the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from squeezesim.explore.sensitivity.study import Study
from squeezesim.report.canvas import new_figure, render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 16  # parameters that are drawn


def draw(study: Study, file_format: str) -> bytes:
    """Return the figure as ``png`` or ``svg``: a panel for latency and one for energy, a row for each network."""
    return render(lambda: tornado(study), file_format)


def tornado(study: Study) -> Figure:
    """Return bars from the change at the lower value to the change at the upper one, the longest on top."""
    names = list(study.break_even_gb_s)
    figure = new_figure((11, 1.2 + 0.3 * _MOST * len(names)), "white", "constrained")
    panels = figure.subplots(len(names), 2, squeeze=False)
    for row, name in zip(panels, names, strict=True):
        entries = [entry for entry in study.elasticities if entry.network == name]
        for axes, measure in zip(row, ("latency", "energy"), strict=True):
            ends = [
                (
                    f"{entry.parameter}  {entry.lower:g} … {entry.upper:g}",
                    100 * (getattr(entry, f"{measure}_lower") or 0.0),
                    100 * (getattr(entry, f"{measure}_upper") or 0.0),
                )
                for entry in entries
            ]
            moved = sorted(
                (end for end in ends if end[1] or end[2]), key=lambda end: max(abs(end[1]), abs(end[2]))
            )
            shown = moved[-_MOST:]
            places = range(len(shown))
            axes.barh(places, [end[1] for end in shown], color="#d95f02", label="at the lower value")
            axes.barh(
                places,
                [end[2] for end in shown],
                color="#1b9e77",
                label="at the upper value",
                height=0.5,
            )
            axes.set_yticks(list(places), [end[0] for end in shown], fontsize=8)
            axes.axvline(0, color="0.3", linewidth=0.8)
            axes.set_title(f"{name} on {study.accelerator}", fontsize=9)
            axes.set_xlabel(f"change of {measure}, %", fontsize=9)
    figure.legend(
        *axes.get_legend_handles_labels(), fontsize=9, frameon=False, loc="outside upper center", ncols=2
    )
    return figure
