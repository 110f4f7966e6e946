"""The figure of a comparison: accuracy against latency and energy, with the Pareto front on each accelerator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.errors import UsageError
from squeezesim.explore.compare.comparison import Comparison
from squeezesim.explore.pareto import pareto
from squeezesim.report.canvas import render
from squeezesim.report.figures.tradeoff import tradeoff

_MOST_NAMES = 24  # of a panel; where there are more circles, those on the front have names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(comparison: Comparison, file_format: str) -> bytes:
    """Return the figure as ``png`` or ``svg``; results whose accuracy is not known are not in it.

    Raises:
        UsageError: no accuracy is known.
    """
    check_drawable(comparison)
    return render(lambda: accuracy_figure(comparison), file_format)


def check_drawable(comparison: Comparison) -> None:
    """Check that an accuracy is known.

    Raises:
        UsageError: none is.
    """
    if all(result.top1_percent is None for result in comparison.results):
        names = ", ".join(dict.fromkeys(result.network for result in comparison.results))
        raise UsageError(
            f"a figure of accuracy needs one, and none is known of {names}; allowed: --top1 NETWORK=70.5"
        )


def accuracy_figure(comparison: Comparison) -> Figure:
    """Return a row of panels for each accelerator; steps join the results that none beats in both quantities."""
    known = {
        result.report.network.name: result.top1_percent
        for result in comparison.results
        if result.top1_percent is not None
    }
    reports = [result.report for result in comparison.results if result.report.network.name in known]
    figure = tradeoff(reports, top1=known)
    for axes in figure.axes:
        _name(axes, _front(axes))
    figure.axes[0].legend(fontsize=9, frameon=False)
    return figure


def _front(axes: Axes) -> set[tuple[float, float]]:
    """Draw what no circle of *axes* beats, whose x is to be small and whose y is to be large; return those circles."""
    spots = np.concatenate([np.asarray(circles.get_offsets()) for circles in axes.collections])
    on_front = spots[pareto({"x": spots[:, 0], "y": spots[:, 1]}, ["x"], ["y"])]
    steps = on_front[np.argsort(on_front[:, 0], kind="stable")]
    below, right = (steps[0, 0], axes.get_ylim()[0]), (axes.get_xlim()[1], steps[-1, 1])
    steps = np.vstack([below, steps, right])
    style: dict[str, Any] = {"color": "0.4", "linewidth": 1, "linestyle": "--", "zorder": 1}
    axes.step(steps[:, 0], steps[:, 1], where="post", label="Pareto front", **style)
    return {(float(x), float(y)) for x, y in on_front}


def _name(axes: Axes, front: set[tuple[float, float]]) -> None:
    """Let the front pass behind names, and leave out names of other circles where there are too many."""
    from matplotlib.patheffects import withStroke
    from matplotlib.text import Annotation

    are_many = len(axes.collections) > _MOST_NAMES
    for text in [item for item in axes.texts if isinstance(item, Annotation)]:
        if are_many and tuple(map(float, text.xy)) not in front:
            text.remove()
        else:
            text.set_path_effects([withStroke(linewidth=2.5, foreground=axes.get_facecolor())])
