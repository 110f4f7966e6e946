"""What holds for every kind of figure."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import matplotlib as mpl
import matplotlib.figure
import pytest

from squeezesim.errors import UsageError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.report import units
from squeezesim.report.figures.accessor import Plots
from squeezesim.report.figures.colours import theme_named
from squeezesim.report.figures.registry import KINDS, figure
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, network, report
from tests.report.figures.drawn import chain, overlaps, settle, texts, toy

REPORT = report()
PANELS = dict.fromkeys(KINDS, 1) | {"stages": 2, "energy": 2, "memory": 2, "tradeoff": 2, "timeline": 3}
kinds = pytest.mark.parametrize("kind", KINDS)


def options(kind: str, made: Report) -> dict[str, Any]:
    return {"top1": {made.network.name: 60.0}} if kind == "tradeoff" else {}


def draw(kind: str, made: Report, **more: Any) -> matplotlib.figure.Figure:
    return getattr(made.plot, kind)(**options(kind, made), **more)


@kinds
def test_report_plot_draws_it_and_no_text_covers_another(kind: str) -> None:
    drawn = draw(kind, REPORT)
    assert isinstance(drawn, matplotlib.figure.Figure)
    assert drawn._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    assert overlaps(drawn) == []
    assert {name for name in vars(Plots) if not name.startswith("_")} == {*KINDS, "report"}


@kinds
@pytest.mark.parametrize("case", ["toy", pytest.param(20, marks=pytest.mark.slow)])
def test_no_text_covers_another(kind: str, case: str | int) -> None:
    made = toy() if isinstance(case, str) else chain(case, 6)
    assert overlaps(draw(kind, made)) == []


@pytest.mark.parametrize("name", ["squeezenext_23", "resnet50"])
def test_no_text_covers_another_among_tensors(name: str) -> None:
    assert overlaps(draw("memory", simulate(load(name), Accelerator.named("os_32x32")))) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "utilization"])
def test_no_text_covers_another_at_300_layers(kind: str) -> None:
    assert overlaps(draw(kind, chain(300))) == []


@pytest.mark.slow
@kinds
@pytest.mark.parametrize(
    ("name", "hardware"),
    [
        ("squeezenext_23", "squeezelerator_16x16"),
        ("squeezenext_23", "hybrid_32x32"),
        ("mobilenet_v1", "squeezelerator_16x16"),
        ("densenet121", "hybrid_32x32"),
    ],
)
def test_no_text_covers_another_in_real_networks(kind: str, name: str, hardware: str) -> None:
    assert overlaps(draw(kind, simulate(load(name), Accelerator.named(hardware)))) == []


@pytest.mark.parametrize(("kind", "file_format"), [("losses", "png"), ("tradeoff", "pdf")])
def test_the_bytes_are_the_same_again(kind: str, file_format: str) -> None:
    one = figure(kind, [REPORT], file_format, **options(kind, REPORT))
    assert one == figure(kind, [REPORT], file_format, **options(kind, REPORT))
    assert b"CreationDate" not in one


@kinds
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_has_the_colours_of_its_theme_whatever_the_user_s_are(kind: str, theme: str) -> None:
    colours = theme_named(theme)
    mine = {"axes.facecolor": "red", "text.color": "red", "xtick.color": "red", "ytick.color": "red"}
    with mpl.rc_context(mine):
        drawn = draw(kind, REPORT, theme=theme)
        drawn.draw_without_rendering()
        labels = [
            label for axes in drawn.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())
        ]
    assert mpl.colors.to_hex(drawn.get_facecolor()).upper() == colours.paper
    assert {label.get_color() for label in labels} == {colours.ink}
    assert {mpl.colors.to_hex(axes.get_facecolor()).upper() for axes in drawn.axes} == {colours.paper}
    written = [text for axes in drawn.axes for text in axes.texts]
    assert {text.get_color() for text in written} <= {colours.ink}


def on_axes(kind: str, made: Report, size: tuple[float, float], layout: Any) -> matplotlib.figure.Figure:
    """The figure on axes of the caller, one above the other where that is how the kind has them."""
    mine = matplotlib.figure.Figure(figsize=size, layout=layout)
    above = kind in ("memory", "timeline")
    axes = list(mine.subplots(*((PANELS[kind], 1) if above else (1, PANELS[kind])), squeeze=False).ravel())
    assert draw(kind, made, ax=axes if len(axes) > 1 else axes[0]) is mine
    return mine


@kinds
@pytest.mark.parametrize(
    ("size", "layout"),
    [((5, 4), None), pytest.param((9, 5), "constrained", marks=pytest.mark.slow)],
)
def test_it_draws_on_axes_of_the_caller_and_no_text_covers_another(
    kind: str, size: tuple[float, float], layout: str | None
) -> None:
    mine = on_axes(kind, REPORT, size, layout)
    axes = mine.axes[: PANELS[kind]]
    assert all(panel.has_data() or panel.collections for panel in axes)
    assert all(panel.get_xlabel() or panel.get_ylabel() or panel.get_title(loc="left") for panel in axes)
    assert overlaps(mine) == []


@pytest.mark.slow
@kinds
@pytest.mark.parametrize("name", ["squeezenext_23", "mobilenet_v1", "densenet121"])
def test_no_text_covers_another_of_real_networks_on_axes_of_the_caller(kind: str, name: str) -> None:
    made = simulate(load(name), Accelerator.named("squeezelerator_16x16"))
    for size in ((7, 5), (12, 7)):
        assert overlaps(on_axes(kind, made, size, None)) == []


def test_several_kinds_share_a_figure_of_the_caller() -> None:
    mine = matplotlib.figure.Figure(figsize=(14, 5))
    left, right = mine.subplots(1, 2)
    draw("losses", REPORT, ax=left)
    draw("roofline", REPORT, ax=right)
    assert overlaps(mine) == []


def test_margins_of_the_caller_are_kept() -> None:
    mine = matplotlib.figure.Figure(figsize=(9, 5))
    axes = mine.subplots()
    mine.subplots_adjust(left=0.4, right=0.9)
    before = axes.get_position().bounds
    draw("losses", REPORT, ax=axes)
    assert axes.get_position().bounds == before


@kinds
def test_another_number_of_axes_is_refused(kind: str) -> None:
    axes = list(matplotlib.figure.Figure().subplots(5, 1))
    with pytest.raises(UsageError, match=f"has {units.plural(PANELS[kind], 'panel')}, found 5 axes"):
        draw(kind, REPORT, ax=axes)
    with pytest.raises(
        UsageError, match="ax is a matplotlib axes, or several, to draw on, found Report; other"
    ):
        draw(kind, REPORT, ax=REPORT)


@kinds
def test_names_are_drawn_as_they_are_and_quietly(kind: str) -> None:
    layers = [dataclasses.replace(layer, stage="$x^2$ \\frac 網") for layer in network().layers]
    strange = dataclasses.replace(network(), name="網絡 $\\alpha$", layers=tuple(layers))
    made = simulate(strange, accelerator())
    drawn = draw(kind, made)
    assert drawn._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    written = [text for text, _ in texts(drawn)]
    assert any("$x^2$" in text or "$\\alpha$" in text for text in written)
    assert not any("網" in text for text in written)  # the font has no such sign
    assert any("\\u7db2" in text for text in written)


def test_names_of_narrow_stages_stand_off_the_edges() -> None:
    layers = [
        Layer.conv(f"layer{number}", c=8, k=8, oy=4, ox=4, fy=1, fx=1, stage=stage)
        for number, stage in enumerate(["stem", *["body"] * 398, "head"])
    ]
    drawn = settle(simulate(Network.from_layers(layers), accelerator()).plot.memory())
    for axes in drawn.axes:
        frame = axes.get_window_extent()
        assert [text.get_text() for text in axes.texts] == ["stem", "body", "head"]
        for text in axes.texts:
            box = text.get_window_extent()
            assert frame.x0 < box.x0 < box.x1 < frame.x1


@pytest.mark.parametrize("kind", ["roofline", "utilization", "memory", "timeline"])
def test_different_layers_have_different_names(kind: str) -> None:
    names = [
        f"features.denseblock{block}.denselayer{layer}.conv2" for block in (1, 3, 4) for layer in range(1, 6)
    ]
    layers = [
        Layer.conv(name, c=8 + number, k=8, oy=8, ox=8, fy=3, fx=3) for number, name in enumerate(names)
    ]
    made = simulate(Network.from_layers(layers), accelerator())
    drawn = settle(draw(kind, made))
    first, last = drawn.axes[0], drawn.axes[-1]
    ticks = first.get_yticklabels() if kind == "utilization" else last.get_xticklabels()
    found = [label.get_text() for label in ticks]
    found += [text.get_text() for axes in drawn.axes for text in axes.texts]
    found += [axes.get_title(loc="left").partition(":")[0] for axes in drawn.axes]
    shown = [text for text in found if "conv2" in text]
    assert len(shown) >= 3
    assert len(set(shown)) == len(shown)


def test_one_report_is_one_report() -> None:
    with pytest.raises(UsageError, match="the figure 'losses' is of one report, found 2"):
        figure("losses", [REPORT, REPORT], "png")
    with pytest.raises(UsageError, match="did you mean 'roofline'"):
        figure("rofline", [REPORT], "png")


def test_matplotlib_is_imported_where_a_figure_is_drawn() -> None:
    code = (
        "import sys, squeezesim.cli, squeezesim.report.figures.registry\n"
        "from squeezesim.report.figures.accessor import Plots\n"
        "assert not {'matplotlib', 'pandas', 'torch'} & set(sys.modules), sorted(sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[pytest.mark.slow] * (kind not in ("losses", "memory"))) for kind in KINDS],
)
def test_a_saved_report_gives_the_same_bytes(kind: str, tmp_path: Any) -> None:
    REPORT.save(tmp_path / "report.json")
    again = Report.load(tmp_path / "report.json")
    one = figure(kind, [REPORT], "svg", **options(kind, REPORT))
    assert figure(kind, [again], "svg", **options(kind, again)) == one
    assert b"dc:date" not in one
