"""What the tests of figures share: reports, where texts stand, pictures as arrays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from squeezesim.network import Layer, Network
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.report.cases import accelerator

NEAR = 1
"""Pixels that something may be elsewhere in a picture that looks the same."""
ALIKE = 64
"""Of 255: what a pixel at the edge of a letter may be lighter or darker, and what a palette rounds."""


@cache
def chain(count: int, stage: int = 30) -> Report:
    """A report of *count* different layers, *stage* in each stage."""
    layers = [
        Layer.conv(
            f"stage{number // stage}.layer{number}",
            c=8 + number % 7,
            k=8 + (number + 1) % 7,
            oy=8,
            ox=8,
            fy=1 + 2 * (number % 2),
            fx=1,
            stage=f"stage{number // stage}",
            inputs=[f"stage{(number - 1) // stage}.layer{number - 1}"] if number else [],
        )
        for number in range(count)
    ]
    return simulate(Network.from_layers(layers, name="chain"), accelerator())


@cache
def toy(bandwidth: float | None = 32) -> Report:
    """Three layers without stages; the buffer's bandwidth is limited where it is given."""
    layers = [
        Layer.conv("conv1", c=3, k=16, oy=32, ox=32, fy=3, fx=3),
        Layer.conv("conv2", c=16, k=32, oy=16, ox=16, fy=3, fx=3, stride=2),
        Layer.matmul("fc", m=1, n=10, k=32 * 16 * 16),
    ]
    small = accelerator({"memory.global_buffer.bytes_per_cycle": bandwidth})
    return simulate(Network.from_layers(layers, name="toy"), small)


def settle(figure: Figure) -> Figure:
    """Lay out *figure* as if it were drawn, so that all texts have their places."""
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    return figure


def tick_labels(axes: Axes) -> Iterator[Text]:
    """The labels of ticks that are drawn."""
    box = axes.get_window_extent()
    for axis, low, high in ((axes.xaxis, box.x0, box.x1), (axes.yaxis, box.y0, box.y1)):
        if axis.get_visible():
            for tick in axis.get_major_ticks():
                if not np.size(tick.get_loc()):
                    continue  # not placed, for it is not drawn
                place = axes.transData.transform((tick.get_loc(), tick.get_loc()))[int(axis is axes.yaxis)]
                for label in (tick.label1, tick.label2):
                    if label.get_visible() and low - 1 <= place <= high + 1:
                        yield label


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every text that is read, level or upright, and where it stands."""
    found: list[Text] = []
    for axes in figure.axes:
        found += [*tick_labels(axes), *axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
        found += [axes._left_title]  # type: ignore[attr-defined]
        legend = axes.get_legend()
        found += legend.get_texts() if legend else []
    for legend in figure.legends:
        found += legend.get_texts()
    found += [figure._suptitle] if figure._suptitle else []  # type: ignore[attr-defined]
    upright = [text for text in found if text.get_text() and text.get_rotation() % 90 == 0]
    return [(text.get_text(), Text.get_window_extent(text)) for text in upright]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Texts that cover each other, or that the edge of the figure cuts."""
    placed = texts(settle(figure))
    width, height = figure.bbox.x1, figure.bbox.y1
    cut = [
        (text, "the edge")
        for text, box in placed
        if box.x0 < -0.5 or box.y0 < -0.5 or box.x1 > width + 0.5 or box.y1 > height + 0.5
    ]
    return cut + [
        (one[0], other[0]) for one, other in combinations(placed, 2) if one[1].padded(-0.6).overlaps(other[1])
    ]


@lru_cache(maxsize=32)
def pixels(data: bytes) -> NDArray[np.int16]:
    """A PNG as values from 0 to 255."""
    return np.rint(np.asarray(imread(io.BytesIO(data), format="png"))[..., :3] * 255).astype(np.int16)


def difference(one: bytes, other: bytes) -> float:
    """The part of the pixels of either PNG that the other has not within ``NEAR`` pixels; 1 where their sizes differ.

    So letters may be a little thicker or elsewhere by a pixel, as another library of fonts draws them, but what one
    picture has and the other has not counts.
    """
    left, right = pixels(one), pixels(other)
    if left.shape != right.shape:
        return 1.0
    return max(_missing(left, right), _missing(right, left))


def _missing(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    """The part of the pixels of *one* that have no like within ``NEAR`` pixels in *other*."""
    lacking = np.flatnonzero(
        (np.abs(one - other) > ALIKE).any(axis=-1)
    )  # in most pictures that are alike, few
    padded = np.pad(other, ((NEAR, NEAR), (NEAR, NEAR), (0, 0)), mode="edge")
    row, column = np.divmod(lacking, one.shape[1])
    left = one[row, column]
    for down in range(2 * NEAR + 1):
        for across in range(2 * NEAR + 1):
            there = padded[row + down, column + across]
            kept = (np.abs(left - there) > ALIKE).any(axis=-1)
            row, column, left = row[kept], column[kept], left[kept]
    return len(row) / (one.shape[0] * one.shape[1])
