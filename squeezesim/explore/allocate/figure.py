"""The figure of a study: for each accelerator a map of two stages, latency beside params, and the best one's stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from squeezesim.explore.allocate.panels import best_by_stage, key, mapped, stage_map, tradeoff
from squeezesim.report.canvas import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeezesim.explore.allocate.study import Study

_PANEL = (5.0, 4.6)
"""Inches of a panel."""
_ACROSS = 4


def picture(study: Study, file_format: str) -> bytes:
    """Return the figure as ``png`` or ``svg``, the same bytes for equal studies and one version of matplotlib."""
    return render(lambda: figure(study), file_format)


def figure(study: Study) -> Figure:
    """Return the figure, a row of panels for each accelerator that has allocations within the budgets.

    There is no map where the blocks of only one stage vary.
    """
    from matplotlib.figure import Figure

    shown = [result for result in study.results if len(result.candidates)]
    draws = [stage_map] if any(mapped(study, result) for result in shown) else []
    draws += [tradeoff, best_by_stage]
    size = _PANEL[0] * len(draws), _PANEL[1] * len(shown)
    drawn = Figure(figsize=size, layout="constrained")
    rows: Any = drawn.subplots(len(shown), len(draws), squeeze=False)
    for panels, result in zip(rows, shown, strict=True):
        for axes, draw in zip(panels, draws, strict=True):
            draw(axes, study, result)
        title = f"{study.model} on {result.accelerator.name}"
        panels[0].set_title(title, loc="left", fontsize=10, parse_math=False)
    drawn.legend(*key(shown[0]), loc="outside lower center", ncols=_ACROSS, fontsize=9, frameon=False)
    return drawn
