"""The figure of a study: for each accelerator a map of two stages, latency beside params, and the best one's stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from squeezesim.explore.allocate.panels import best_by_stage, key, mapped, stage_map, tradeoff
from squeezesim.report.canvas import render
from squeezesim.report.figures.sheet import NORMAL, Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.explore.allocate.study import Study

_PANEL = (5.0, 5.0)
"""Inches of a panel."""


def picture(study: Study, file_format: str) -> bytes:
    """Return the figure as ``png`` or ``svg``, the same bytes for equal studies and one version of matplotlib."""
    return render(lambda: figure(study), file_format)


def figure(study: Study) -> Figure:
    """Return the figure, a row of panels for each accelerator that has allocations within the budgets.

    There is no map where the blocks of only one stage vary.
    """
    shown = [result for result in study.results if len(result.candidates)]
    draws = [stage_map] if any(mapped(study, result) for result in shown) else []
    draws += [tradeoff, best_by_stage]
    size = _PANEL[0] * len(draws), _PANEL[1] * len(shown)
    sheet = Sheet.open(None, "light", size, len(shown), len(draws))
    for result, panels in zip(shown, _rows(sheet.panels, len(draws)), strict=True):
        for axes, draw in zip(panels, draws, strict=True):
            draw(axes, study, result)
        title = f"{study.model} on {result.accelerator.name}"
        panels[0].set_title(title, loc="left", fontsize=NORMAL, parse_math=False)
    sheet.legend(key(shown[0]))
    return sheet.figure


def _rows(panels: Sequence[Axes], columns: int) -> list[Sequence[Axes]]:
    return [panels[start : start + columns] for start in range(0, len(panels), columns)]
