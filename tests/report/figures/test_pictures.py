"""Figures beside the pictures that were looked at when they were drawn; ``make figures`` draws them again."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageChops

from squeezesim.cli import main
from squeezesim.report.figures.registry import KINDS
from squeezesim.report.figures.style import new_figure, render
from tests.report.figures.drawn import difference
from tests.report.figures.gallery import PAGE, ROOT, commands, target
from tests.report.figures.references import DPI, FOLDER, MANY, NAMES, drawn, picture

Pixels = NDArray[np.uint8]
TOLERANCE = 1e-4
"""Part of the pixels: fewer than those of one short word."""


def pixels(data: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(data)))


class Counted(NamedTuple):
    """A picture, and how often matplotlib drew it."""

    data: bytes
    draws: int


@cache
def counted(name: str) -> Counted:
    calls: list[Figure] = []
    of_figures = type(new_figure((1, 1), "white", None))
    draw = of_figures.draw

    def one(figure: Figure, *arguments: Any) -> None:
        calls.append(figure)
        draw(figure, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_figures, "draw", one)
        return Counted(picture(name), len(calls))


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_looks_as_it_did_and_is_drawn_once(name: str) -> None:
    made = counted(name)
    assert difference(made.data, (FOLDER / f"{name}.png").read_bytes()) < TOLERANCE
    assert made.draws == 1


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in ("stages-dark", "utilization-many")))
        for name in NAMES
    ],
)
def test_a_figure_is_what_matplotlib_saves(name: str) -> None:
    """Matplotlib draws twice, once to lay out; neither that nor places of labels without text change a pixel."""
    saved = io.BytesIO()
    with mpl.style.context("default"):
        drawn(name).savefig(saved, format="png", dpi=DPI)
    assert np.array_equal(pixels(counted(name).data), pixels(saved.getvalue()))


def without(name: str, part: str) -> Figure:
    """The figure *name* without the letters of a part of it, which nothing else shows."""
    figure = drawn(name)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    paper = figure.get_facecolor()
    for axes in figure.axes:
        if part in ("x", "y"):
            axes.tick_params(axis=part, labelcolor=paper)  # type: ignore[arg-type]
    legends = [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]
    wiped = {
        "title": [figure._suptitle],  # type: ignore[attr-defined]
        "legend": [text for legend in legends for text in legend.get_texts()],
        "one name": [axes.texts[0] for axes in figure.axes[:1] if axes.texts],
    }
    for text in wiped.get(part, []):
        text.set_color(paper)
    return figure


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *((f"{kind}-light", "y") for kind in ("losses", "memory")),
        *(pytest.param(f"{kind}-light", "y", marks=pytest.mark.slow) for kind in KINDS),
        ("memory-many", "y"),
        ("memory-dark", "x"),
        ("losses-dark", "title"),
        ("stages-dark", "legend"),
        ("roofline-many", "one name"),
        pytest.param("tradeoff-light", "legend", marks=pytest.mark.slow),
        pytest.param("utilization-light", "one name", marks=pytest.mark.slow),
    ],
)
def test_letters_that_are_missing_are_seen(name: str, part: str) -> None:
    wiped = render(lambda: without(name, part), "png", DPI)
    assert difference(wiped, (FOLDER / f"{name}.png").read_bytes()) > TOLERANCE


def test_what_is_elsewhere_by_a_pixel_looks_the_same() -> None:
    picture = Image.open(FOLDER / "losses-light.png").convert("RGB")
    moved = [ImageChops.offset(picture, right, down) for right, down in ((0, 0), (1, 0), (0, 1), (3, 0))]
    written = []
    for image in moved:
        stream = io.BytesIO()
        image.save(stream, "png")
        written.append(stream.getvalue())
    assert difference(written[0], written[0]) == 0
    assert max(difference(written[0], written[place]) for place in (1, 2)) < 10 * TOLERANCE
    assert difference(written[0], written[3]) > 100 * TOLERANCE


def test_no_two_references_are_alike_within_the_tolerance() -> None:
    kept = [(FOLDER / f"{name}.png").read_bytes() for name in NAMES]
    assert len(kept) == 2 * len(KINDS) + len(MANY)
    assert sum(map(len, kept)) < 500_000
    for place, one in enumerate(kept):
        assert all(difference(one, other) > TOLERANCE for other in kept[place + 1 :])
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(NAMES)


def test_the_gallery_shows_every_kind_and_its_command() -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = {words[2] for words in commands()}
    assert shown == set(KINDS)
    for words in commands():
        assert f"({target(words).relative_to(PAGE.parent)})" in page
        assert target(words).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("words", commands(), ids=lambda words: words[2])
def test_the_gallery_is_what_its_commands_draw(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "figure.png"
    changed = [str(file) if word == str(target(words).relative_to(ROOT)) else word for word in words]
    assert main(changed[1:]) == 0
    assert difference(file.read_bytes(), target(words).read_bytes()) < TOLERANCE
