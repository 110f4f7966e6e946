"""Figures as bytes: matplotlib without a window, its own style, nothing that changes from run to run."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Literal
from warnings import catch_warnings, filterwarnings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 110
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
FORMATS = tuple(_METADATA)
"""File formats of figures."""


def render(draw: Callable[[], Figure], file_format: str, dpi: float = _DPI) -> bytes:
    """Return what *draw* makes in one of ``FORMATS``: equal bytes for equal figures and one version of matplotlib."""
    with _own_style():
        return encode(draw(), file_format, dpi)


def encode(figure: Figure, file_format: str, dpi: float = _DPI) -> bytes:
    """Return *figure* in one of ``FORMATS``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    with quiet():
        FigureCanvasAgg(figure).print_figure(
            stream, format=file_format, dpi=dpi, metadata=_METADATA[file_format]
        )
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
