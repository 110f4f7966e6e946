"""Style of figures: lettering, and the sheet that a figure is drawn on."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from warnings import catch_warnings, filterwarnings

import numpy as np

from squeezesim.errors import UsageError
from squeezesim.report import units
from squeezesim.report.figures.colours import Theme, theme_named
from squeezesim.report.grid import short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform


_DPI = 200
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
FORMATS = tuple(_METADATA)
"""File formats of figures."""


_PNG: dict[str, Any] = {
    "compress_level": 3
}  # of zlib; its default of 6 takes longer, and more bytes for many bars


def render(draw: Callable[[], Figure], file_format: str, dpi: float = _DPI) -> bytes:
    """Return what *draw* makes in one of ``FORMATS``: equal bytes for equal figures and one version of matplotlib."""
    with _own_style():
        figure = draw()
        _fix_absent_labels(figure)
        return encode(figure, file_format, dpi)


def _fix_absent_labels(figure: Figure) -> None:
    """Give labels without text a place: else matplotlib seeks one, beside all ticks, in each layout and drawing."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0, 0)


def encode(figure: Figure, file_format: str, dpi: float = _DPI) -> bytes:
    """Return *figure* in one of ``FORMATS``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream, canvas, metadata = io.BytesIO(), FigureCanvasAgg(figure), _METADATA[file_format]
    with quiet():
        if file_format == "png":
            # print_figure draws twice, to lay out and to print; a figure lays itself out when it is drawn.
            own, figure.dpi = figure.dpi, dpi
            try:
                canvas.print_png(  # type: ignore[no-untyped-call]
                    stream, metadata=metadata, pil_kwargs=dict(_PNG)
                )
            finally:
                figure.dpi = own
        else:
            canvas.print_figure(stream, format=file_format, dpi=dpi, metadata=metadata)
    return stream.getvalue()


@contextmanager
def quiet() -> Iterator[None]:
    """Say nothing of names with signs that the font has not."""
    with catch_warnings():
        filterwarnings("ignore", message="Glyph")
        yield


def new_figure(size: tuple[float, float], paper: str, layout: Literal["constrained"] | None) -> Figure:
    """Return an empty figure of *size* inches that notebooks show without pyplot."""
    return _figure_class()(figsize=size, layout=layout, facecolor=paper)


@cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure

    class Shown(Figure):
        """A figure that is its own picture in a notebook."""

        def _repr_png_(self) -> bytes:
            return encode(self, "png")

    return Shown


@contextmanager
def _own_style() -> Iterator[None]:
    """Matplotlib's defaults, whatever the user's configuration, so that the bytes are the same everywhere."""
    from matplotlib import rc_context
    from matplotlib.style import context

    with context("default"), rc_context({"svg.hashsalt": "squeezesim"}):
        yield


def legible(text: str) -> str:
    """Return *text* with what no font of the figure has, or what is no letter, written as its number.

    The fonts are those of matplotlib's ``font.family``, so that a user who adds one sees its letters.

    Example:
        >>> legible("conv 網")
        'conv \\\\u7db2'
    """
    if text.isascii() and text.isprintable():
        return text
    known = _letters(tuple(_families()))
    return "".join(
        sign if sign.isprintable() and ord(sign) in known else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def labels(names: Iterable[str], width: int) -> list[str]:
    """Return *names* in at most *width* legible characters each, different ones for different names."""
    return short_names(map(legible, names), width)


def _families() -> list[str]:
    from matplotlib.font_manager import FontProperties

    return FontProperties().get_family()


@cache
def _letters(families: tuple[str, ...]) -> frozenset[int]:
    """Return the numbers of all signs that the fonts *families* have."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known: set[int] = set()
    for family in families:
        known |= get_font(findfont(FontProperties(family=[family]))).get_charmap().keys()
    return frozenset(known)


SMALL = 8
NORMAL = 9
_TITLE = 10.5
_INCHES_OF_LABELS = 1.5  # left and right of a panel
_INCHES_A_LETTER = 0.093  # of a title, on average
_INCHES_A_LABEL_LETTER = 0.075
_INCHES_A_NAME = 0.066  # of a letter in a legend
_INCHES_OF_HANDLE = 0.55  # beside a name in a legend
_LEFT = 0.4
_SHORTEST_LINE = 16


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
            UsageError: *ax* are more or fewer panels, or no axes, or there is no such theme.
        """
        colours = theme_named(theme)
        own = ax is None
        if own:
            figure = new_figure(size, colours.paper, layout)
            panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
        else:
            panels = _given(ax, rows * columns)
            found = panels[0].get_figure(root=True)
            assert found is not None
            figure = found
        for axes in panels:
            dress(axes, colours)
        return cls(figure, panels, colours, own)

    @property
    def inches(self) -> float:
        """Width of the first panel, roughly, where it is alone in its row."""
        if self.own:
            return float(self.figure.get_size_inches()[0]) - _INCHES_OF_LABELS
        return float(self.panels[0].get_window_extent().width / self.figure.dpi)

    @property
    def inches_high(self) -> float:
        """Height of the first panel of the caller."""
        return float(self.panels[0].get_window_extent().height / self.figure.dpi)

    def high(self, inches: float) -> float:
        """Height of a panel: *inches* of the figure's own, or what labels and legend leave of the caller's, roughly."""
        return inches if self.own else min(inches, _LEFT * self.inches_high)

    @property
    def _width(self) -> float:
        """Inches of a title and a legend."""
        return float(self.figure.get_size_inches()[0]) if self.own else self.inches

    def title(self, text: str) -> None:
        """Write *text* above the figure, or above the first panel of the caller, on as many lines as it needs."""
        lines = _filled(legible(text), self._width / _INCHES_A_LETTER)
        style: dict[str, Any] = {"fontsize": _TITLE, "color": self.theme.ink, "parse_math": False}
        if self.own:
            self.figure.suptitle(lines, **style)
        else:
            self.panels[0].set_title(lines, **style)

    def _break_labels(self) -> None:
        """Break the title and the labels of axes of the caller where a panel ends."""
        for axes in self.panels:
            extent = axes.get_window_extent()
            title = " ".join(axes.get_title().split())
            axes.title.set_text(_filled(title, extent.width / self.figure.dpi / _INCHES_A_LETTER))
            for label, pixels in ((axes.xaxis.label, extent.width), (axes.yaxis.label, extent.height)):
                label.set_text(_filled(label.get_text(), pixels / self.figure.dpi / _INCHES_A_LABEL_LETTER))

    def settle(self) -> None:
        """Lay out the figure, so that its panels are where they will be drawn.

        A figure of the caller without a layout, whose margins are matplotlib's, gets the constrained one, or labels
        would be cut.
        """
        if not self.own and self.figure.get_layout_engine() is None and _has_default_margins(self.figure):
            self.figure.set_layout_engine("constrained")
        engine = self.figure.get_layout_engine()
        if engine is not None:
            with quiet():
                engine.execute(self.figure)

    def finish(self) -> None:
        """Settle a figure of the caller; matplotlib does so with one of its own when that is drawn."""
        if not self.own:
            self._break_labels()
            self.settle()

    def twin(self, axes: Axes, label: str) -> Axes:
        """Return a second y axis of *axes*, at its right."""
        second = axes.twinx()
        dress(second, self.theme)
        second.set_ylabel(label, color=self.theme.ink, fontsize=NORMAL)
        return second

    def legend(self, handles: Mapping[str, Any]) -> None:
        """Name *handles* below the figure, or below the last panel of the caller, in as many columns as fit."""
        longest = max(map(len, handles)) * _INCHES_A_NAME + _INCHES_OF_HANDLE
        width = self.figure.get_size_inches()[0] if self.own else self.inches
        columns = int(np.clip(width / longest, 1, len(handles)))
        columns = -(-len(handles) // -(-len(handles) // columns))  # rows of equal length
        style: dict[str, Any] = {"ncols": columns, "fontsize": NORMAL, "frameon": False}
        style |= {"labelcolor": self.theme.ink}
        if self.own:
            self.figure.legend(handles.values(), handles, loc="outside lower center", **style)
        else:
            self._break_labels()
            axes = self.panels[-1]
            place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": _below(axes)}
            axes.legend(handles.values(), handles, **style | place)

    def legend_above(self, axes: Axes, handles: Mapping[str, Any], columns: int) -> None:
        """Name *handles* above *axes*, in *columns*, or fewer where the axes of the caller are narrow."""
        if not handles:
            return
        if not self.own:
            width = axes.get_window_extent().width / self.figure.dpi
            longest = max(map(len, handles)) * _INCHES_A_NAME + _INCHES_OF_HANDLE
            columns = int(np.clip(width / longest, 1, columns))
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


def _given(ax: Any, count: int) -> list[Axes]:
    """Return the *count* axes *ax* of the caller."""
    from matplotlib.axes import Axes

    panels = list(np.ravel(np.asarray(ax, dtype=object)))
    for panel in panels:
        if not isinstance(panel, Axes):
            raise UsageError(
                f"ax is a matplotlib axes, or several, to draw on, found {type(panel).__name__}; "
                "other reports are given as others=[…] where a figure takes several"
            )
    if len(panels) != count:
        raise UsageError(
            f"this figure has {units.plural(count, 'panel')}, found {len(panels)} axes to draw on"
        )
    return panels


def _has_default_margins(figure: Figure) -> bool:
    from matplotlib.figure import Figure as Plain

    return vars(figure.subplotpars) == vars(Plain().subplotpars)


def _filled(text: str, letters: float) -> str:
    """Return *text* on lines of *letters*."""
    return textwrap.fill(text, max(int(letters), _SHORTEST_LINE), break_on_hyphens=False)


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


def draw_grid_lines(axes: Axes, theme: Theme, axis: str = "y") -> None:
    """Draw faint lines at the ticks of *axis*: ``x``, ``y`` or ``both``."""
    axes.grid(axis=axis, color=theme.grid, linewidth=0.6, zorder=0)  # type: ignore[arg-type]


def patch(colour: str) -> Any:
    """Return what a legend shows of a bar of *colour*."""
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, linewidth=0)


def dot(colour: str, size: float = 8, edge: str | None = None, shape: str = "o") -> Any:
    """Return what a legend shows of a circle of *colour*, *size* points across, or of another shape as wide."""
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"markersize": size, "markeredgecolor": edge or colour, "markeredgewidth": 0.6}
    return Line2D([], [], linewidth=0, marker=shape, color=colour, **style)
