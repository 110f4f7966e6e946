"""Figures as bytes: matplotlib without a window, its own style, nothing that changes from run to run."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from warnings import catch_warnings, filterwarnings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 110
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}
FORMATS = tuple(_METADATA)


def render(draw: Callable[[], Figure], file_format: str) -> bytes:
    """Return what *draw* makes as ``png`` or ``svg``: equal bytes for equal figures and one version of matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    stream = io.BytesIO()
    with _own_style(), catch_warnings():
        filterwarnings("ignore", message="Glyph")  # a name may have signs that the font has not
        FigureCanvasAgg(draw()).print_figure(
            stream, format=file_format, dpi=_DPI, metadata=_METADATA[file_format]
        )
    return stream.getvalue()


@contextmanager
def _own_style() -> Iterator[None]:
    """Matplotlib's defaults, whatever the user's configuration, so that the bytes are the same everywhere."""
    from matplotlib import rc_context
    from matplotlib.style import context

    with context("default"), rc_context({"svg.hashsalt": "squeezesim"}):
        yield
