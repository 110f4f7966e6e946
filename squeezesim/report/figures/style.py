"""Style of figures: colours of a theme, lettering, and the sheet that a figure is drawn on."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Literal
from warnings import catch_warnings, filterwarnings

import numpy as np
from numpy.typing import NDArray

from squeezesim.errors import UsageError, nearest
from squeezesim.report import units
from squeezesim.report.grid import short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import LayoutEngine
    from matplotlib.text import Text
    from matplotlib.transforms import Transform


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours by what they stand for; ``series`` are nine for what has no colour of its own."""

    name: str
    paper: str
    ink: str
    faint: str  # lines that lead to names
    grid: str
    band: str  # every second stage
    series: tuple[str, ...]

    def causes(self, names: Iterable[str]) -> dict[str, str]:
        """Return the colours of executed MACs and of the losses to *names*."""
        return self._colours(_CAUSES, ("executed", *names))

    def levels(self, names: Iterable[str]) -> dict[str, str]:
        """Return the colours of levels of energy; those of DRAM, buffer and vector unit are those of their losses."""
        return self._colours(_LEVELS, names)

    def operands(self, names: Iterable[str]) -> dict[str, str]:
        """Return the colours of what moves between DRAM and buffer."""
        return self._colours(_OPERANDS, names)

    def dataflows(self, names: Iterable[str]) -> dict[str, str]:
        """Return the colours of dataflows."""
        return self._colours(_DATAFLOWS, names)

    def _colours(self, places: Mapping[str, int], names: Iterable[str]) -> dict[str, str]:
        """Colours of *names*, of which those without a place in the series get others, in their order."""
        found = dict.fromkeys(names, "")
        further = iter(further_colours(self, sum(name not in places for name in found)))
        return {name: self.series[places[name]] if name in places else next(further) for name in found}


# Places in the series of what has a colour of its own.
_CAUSES = {
    **{"executed": 0, "edge": 1, "zeros": 2, "fill": 3},
    **{"dram": 4, "buffer": 5, "startup": 6, "setup": 7, "vector": 8},
}
_LEVELS = {"mac": 0, "register_file": 3, "inter_pe": 1, "buffer": 5, "dram": 4, "vector": 8, "leakage": 2}
_OPERANDS = {"inputs": 6, "weights": 8, "outputs": 3, "psums": 7}
_DATAFLOWS = {"ws": 4, "os": 0, "rs": 1, "scalesim_os": 3, "scalesim_ws": 5, "scalesim_is": 7}

_GRID = np.linspace(0, 1, 9)  # of each part of further colours
_PALEST = 40.0  # of the distance to the paper
_BRIGHTEST = 65.0  # of the distance to grey, so that none shouts
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = np.array([0.95047, 1, 1.08883])


@cache
def further_colours(theme: Theme, count: int) -> tuple[str, ...]:
    """Return *count* colours beside the series, each as far as can be from the paper, the series and those before it.

    Distances are those of CIE L*a*b*. From some hundred on they begin again.

    Example:
        >>> further_colours(theme_named("light"), 2)
        ('#000000', '#804000')
    """
    rgb = np.stack(np.meshgrid(_GRID, _GRID, _GRID), axis=-1).reshape(-1, 3)
    rgb = np.round(rgb * 255) / 255
    seen = _lab(rgb)
    taken = _lab(np.array([_rgb(colour) for colour in (theme.paper, *theme.series)]))
    apart = np.linalg.norm(seen[:, np.newaxis] - taken, axis=-1)
    free = (apart[:, 0] > _PALEST) & (np.hypot(seen[:, 1], seen[:, 2]) < _BRIGHTEST)
    nearest = apart.min(axis=1)
    found: list[str] = []
    for _ in range(min(count, int(free.sum()))):
        place = int(np.where(free, nearest, -1).argmax())
        found.append("#" + "".join(f"{round(part * 255):02X}" for part in rgb[place].tolist()))
        free[place] = False
        nearest = np.minimum(nearest, np.linalg.norm(seen - seen[place], axis=-1))
    return tuple(islice(cycle(found), count))


def _rgb(colour: str) -> list[float]:
    return [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def _lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours in CIE L*a*b*, from sRGB between 0 and 1."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _XYZ.T / _WHITE
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


# Paul Tol's "muted" scheme, https://personal.sron.nl/~pault/ (SRON/EPS/TN/09-002), and for dark paper that of Okabe and
# Ito, https://jfly.uni-koeln.de/color/ (Color Universal Design), with grey and white for its black.
_LIGHT = Theme(
    name="light",
    paper="#FFFFFF",
    ink="#1A1A1A",
    faint="#808080",
    grid="#D9D9D9",
    band="#F2F2F2",
    series=(
        "#332288",
        "#CC6677",
        "#999933",
        "#DDCC77",
        "#88CCEE",
        "#117733",
        "#44AA99",
        "#AA4499",
        "#882255",
    ),
)
_DARK = Theme(
    name="dark",
    paper="#16181D",
    ink="#E8E8E8",
    faint="#8C929C",
    grid="#3A3F48",
    band="#22262D",
    series=(
        "#56B4E9",
        "#D55E00",
        "#666666",
        "#F0E442",
        "#0072B2",
        "#009E73",
        "#E69F00",
        "#CC79A7",
        "#FFFFFF",
    ),
)
THEMES: Mapping[str, Theme] = {theme.name: theme for theme in (_LIGHT, _DARK)}


def theme_named(name: str) -> Theme:
    """Return the theme *name*.

    Raises:
        UsageError: it is neither ``light`` nor ``dark``.

    Example:
        >>> theme_named("dark").paper
        '#16181D'
    """
    if name not in THEMES:
        raise UsageError(f"there is no theme {name!r}; allowed: {', '.join(THEMES)}{nearest(name, THEMES)}")
    return THEMES[name]


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
_INCHES_A_LETTER = 0.083  # of a title, on average
_INCHES_A_NAME = 0.066  # of a letter in a legend
_INCHES_OF_HANDLE = 0.55  # beside a name in a legend
_PAD = 7.0  # points below a title
_LEFT = 0.4
_SHORTEST_LINE = 20
_TIGHT = 1.08  # letters are a little wider at some resolutions
_BELOW = "below"


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

    def title(self, text: str) -> None:
        """Write *text* above the figure, or above the first panel of the caller, on as many lines as it needs."""
        width = self.figure.get_size_inches()[0] if self.own else self.inches
        lines = _filled(legible(text), width / _INCHES_A_LETTER)
        if self.own:
            self.figure.suptitle(lines, **self._style)
        else:
            self.panels[0].set_title(lines, **self._style)

    @property
    def _style(self) -> dict[str, Any]:
        """Of the title."""
        return {"fontsize": _TITLE, "color": self.theme.ink, "parse_math": False}

    def settle(self) -> None:
        """Lay out the figure, so that its panels are where they will be drawn.

        A figure of the caller without a layout, whose margins are matplotlib's, is laid out this once, or labels would
        be cut; then texts are fitted to their panels.
        """
        engine = self.figure.get_layout_engine()
        if engine is None and not self.own and _has_default_margins(self.figure):
            from matplotlib.layout_engine import ConstrainedLayoutEngine

            engine = ConstrainedLayoutEngine()
        self._lay_out(engine)
        if not self.own:
            for axes in self.panels:
                _fit_labels(axes)
            self._lay_out(engine)
            if self.panels[0].get_title():
                self._fit_title()
                self._lay_out(engine)
                self._place_title()

    def finish(self) -> None:
        """Settle a figure of the caller; matplotlib does so with one of its own when that is drawn."""
        if not self.own:
            self.settle()

    def _lay_out(self, engine: LayoutEngine | None) -> None:
        if engine is not None:
            with quiet():
                engine.execute(self.figure)

    def _fit_title(self) -> None:
        """Break the title where the panel with its labels ends, so that there is room for its lines."""
        with quiet():
            outer = self.panels[0].get_tightbbox(for_layout_only=True)
        assert outer is not None
        _fit(self.panels[0].title, outer.width)
        self._place_title()

    def _place_title(self) -> None:
        """Write the title above the middle of the panel with its labels, and above a legend that stands there."""
        axes = self.panels[0]
        with quiet():
            inner, outer = axes.get_window_extent(), axes.get_tightbbox(for_layout_only=True)
            legend = axes.get_legend()
            top = inner.y1 if legend is None else max(inner.y1, legend.get_window_extent().y1)
        assert outer is not None
        middle = ((outer.x0 + outer.x1) / 2 - inner.x0) / inner.width
        pad = _PAD + (top - inner.y1) * 72 / self.figure.dpi
        axes.set_title(axes.get_title(), x=middle, pad=pad, **self._style)

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
            axes = self.panels[-1]
            place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": _below(axes)}
            axes.legend(handles.values(), handles, **style | place).set_gid(_BELOW)

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


def _fit_labels(axes: Axes) -> None:
    """Break the labels of *axes* where these end, and keep a legend below them."""
    with quiet():
        inner, outer = axes.get_window_extent(), axes.get_tightbbox(for_layout_only=True)
    assert outer is not None
    beside = max(min(inner.x0 - outer.x0, outer.x1 - inner.x1), 0)
    _fit(axes.xaxis.label, inner.width + 2 * beside)
    _fit(axes.yaxis.label, inner.height)
    legend = axes.get_legend()
    if legend is not None and legend.get_gid() == _BELOW:
        legend.set_bbox_to_anchor((0.5, 0), _below(axes))


def _fit(text: Text, room: float) -> None:
    """Break *text* so that no line is longer than *room* pixels, as far as its words allow."""
    words = " ".join(text.get_text().splitlines())
    for letters in range(len(words), 0, -1):
        text.set_text(textwrap.fill(words, letters, break_long_words=False, break_on_hyphens=False))
        with quiet():
            extent = text.get_window_extent()
        if max(extent.width, extent.height) * _TIGHT <= room or letters <= max(map(len, words.split())):
            break


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
