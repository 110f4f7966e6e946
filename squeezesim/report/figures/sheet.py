"""Sheet: the axes that a figure is drawn on, its own or the caller's, in the colours of a theme."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from squeezesim.errors import UsageError
from squeezesim.report.canvas import new_figure, quiet
from squeezesim.report.figures.theme import Theme, theme_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

SMALL = 8
NORMAL = 9
_TITLE = 10.5
_INCHES_OF_LABELS = 1.5  # left and right of a panel
_INCHES_A_LETTER = 0.083  # of a title, on average
_INCHES_A_NAME = 0.066  # of a legend, beside its letters


@dataclass(frozen=True, slots=True)
class Sheet:
    """A figure, its panels row by row, and whether they are the figure's own or were given by the caller."""

    figure: Figure
    panels: list[Axes]
    theme: Theme
    own: bool

    @classmethod
    def open(
        cls,
        ax: Any,
        theme: str,
        size: tuple[float, float],
        rows: int = 1,
        columns: int = 1,
        layout: Literal["constrained"] | None = "constrained",
    ) -> Sheet:
        """Return *rows* × *columns* panels of a figure of *size* inches, or those of *ax*, as many, where it is given.

        Raises:
            UsageError: *ax* are more or fewer panels, or there is no such theme.
        """
        colours = theme_named(theme)
        own = ax is None
        if own:
            figure = new_figure(size, colours.paper, layout)
            panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
        else:
            panels = list(np.ravel(ax))
            if len(panels) != rows * columns:
                raise UsageError(
                    f"this figure has {rows * columns} panels, found {len(panels)} axes to draw on"
                )
            figure = panels[0].get_figure(root=True)
        for axes in panels:
            dress(axes, colours)
        return cls(figure, panels, colours, own)

    @property
    def inches(self) -> float:
        """Width of the first panel, roughly, where it is alone in its row."""
        if self.own:
            return float(self.figure.get_size_inches()[0]) - _INCHES_OF_LABELS
        return float(self.panels[0].get_window_extent().width / self.figure.dpi)

    def title(self, text: str) -> None:
        """Write *text* above the figure, or above the first panel of the caller, on as many lines as it needs."""
        width = self.figure.get_size_inches()[0] if self.own else self.inches
        lines = textwrap.fill(text, max(int(width / _INCHES_A_LETTER), 20), break_on_hyphens=False)
        style: dict[str, Any] = {"fontsize": _TITLE, "color": self.theme.ink, "parse_math": False}
        if self.own:
            self.figure.suptitle(lines, **style)
        else:
            self.panels[0].set_title(lines, **style)

    def twin(self, axes: Axes, label: str) -> Axes:
        """Return a second y axis of *axes*, at its right."""
        second = axes.twinx()
        dress(second, self.theme)
        second.set_ylabel(label, color=self.theme.ink, fontsize=NORMAL)
        return second

    def legend(self, handles: Mapping[str, Any]) -> None:
        """Name *handles* below the figure, or below the last panel of the caller, in as many columns as fit."""
        longest = max(map(len, handles)) * _INCHES_A_NAME + 0.55
        width = self.figure.get_size_inches()[0] if self.own else self.inches
        columns = int(np.clip(width / longest, 1, len(handles)))
        columns = -(-len(handles) // -(-len(handles) // columns))  # rows of equal length
        style: dict[str, Any] = {"ncols": columns, "fontsize": NORMAL, "frameon": False}
        style |= {"labelcolor": self.theme.ink}
        if self.own:
            self.figure.legend(handles.values(), handles, loc="outside lower center", **style)
        else:
            axes = self.panels[-1]
            place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": _below(axes)}
            axes.legend(handles.values(), handles, **style | place)

    def legend_above(self, axes: Axes, handles: Mapping[str, Any], columns: int) -> None:
        """Name *handles* above *axes*, in *columns*."""
        axes.legend(
            handles.values(),
            handles,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=columns,
            fontsize=NORMAL,
            frameon=False,
            labelcolor=self.theme.ink,
        )


def _below(axes: Axes) -> Transform:
    """Return where (0.5, 0) is the middle below the labels of *axes*, however large these become."""
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure(root=True)
    assert figure is not None
    with quiet():
        label = axes.xaxis.get_tightbbox()
    depth = 0 if label is None else axes.get_window_extent().y0 - label.y0
    return axes.transAxes + ScaledTranslation(0, -depth / figure.dpi, figure.dpi_scale_trans)


def dress(axes: Axes, theme: Theme) -> None:
    """Give *axes* the colours of *theme*, whatever the user's settings are."""
    axes.set_facecolor(theme.paper)
    axes.tick_params(which="both", colors=theme.ink, labelsize=NORMAL)
    for spine in axes.spines.values():
        spine.set_color(theme.faint)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(theme.ink)
        label.set_fontsize(NORMAL)
    axes.set_axisbelow(True)


def ruled(axes: Axes, theme: Theme, axis: str = "y") -> None:
    """Draw faint lines at the ticks of *axis*: ``x``, ``y`` or ``both``."""
    axes.grid(axis=axis, color=theme.grid, linewidth=0.6, zorder=0)  # type: ignore[arg-type]


def patch(colour: str) -> Any:
    """Return what a legend shows of a bar of *colour*."""
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, linewidth=0)


def dot(colour: str, size: float = 8, edge: str | None = None) -> Any:
    """Return what a legend shows of a circle of *colour*, *size* points across."""
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], linewidth=0, marker="o", markersize=size, color=colour, markeredgecolor=edge or colour
    )
