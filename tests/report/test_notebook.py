from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.report.notebook import MOST, WIDTH
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, few, network, report, reports

HOSTILE = '<script>alert("x")</script>&<img src=x onerror=y>'


class Reader(HTMLParser):
    """Tags, texts and the widths of the spans in each bar."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.bars: list[list[float]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        style = dict(attrs).get("style") or ""
        if tag == "div" and "height:12px" in style:
            self.bars.append([])
        elif tag == "span" and "height:100%" in style:
            width = re.search(r"width:([\d.]+)px;background", style)
            assert width is not None
            self.bars[-1].append(float(width[1]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def layers_alone(count: int) -> Report:
    layers = [Layer.matmul(f"layer{number}", m=8, n=8, k=8 + number) for number in range(count)]
    return simulate(Network.from_layers(layers), accelerator())


@few
@given(reports())
def test_a_screen_is_80_by_24(made: Report) -> None:
    lines = repr(made).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].startswith("random on small_8x8: ")


@pytest.mark.parametrize("name", ["squeezenext_23", "densenet121", "mobilenet_v1"])
def test_a_screen_of_a_large_network(name: str) -> None:
    made = simulate(load(name), Accelerator.named("os_32x32"))
    for text in (repr(made), repr(made.network), repr(made.accelerator)):
        assert len(text.splitlines()) <= 24
    assert max(map(len, repr(made).splitlines())) <= WIDTH
    assert all(stage in repr(made) for stage in made.network.stages)


def test_many_stages_are_counted() -> None:
    layers = [Layer.matmul(f"layer{n}", m=1, n=8, k=8, stage=f"stage{n}") for n in range(40)]
    many = Network.from_layers(layers)
    assert len(repr(many).splitlines()) == 18
    assert repr(many).endswith("  … 25 more")
    assert "… 24 more stages" in many._repr_html_()


def test_layers_where_there_are_no_stages_the_slowest_of_many() -> None:
    few_layers, many_layers = layers_alone(3), layers_alone(30)
    assert all(f"layer{number} " in repr(few_layers) for number in range(3))
    assert f"and {30 - MOST} layers that take less" in repr(many_layers)
    slowest = max(many_layers.rows(), key=lambda row: row["cycles"])["name"]
    assert slowest in repr(many_layers)


def test_html_has_the_numbers_of_the_stages() -> None:
    made = report()
    page = Reader(made._repr_html_())
    for row in made.rows("stage"):
        assert row["stage"] in page.text
    assert {"table", "tr", "td"} <= set(page.tags)
    assert not {"script", "img", "link"} & set(page.tags)
    assert str(made.bottlenecks(1)[0]) in page.text


@few
@given(reports())
def test_bars_are_as_long_as_the_cycles(made: Report) -> None:
    page = Reader(made._repr_html_())
    cycles = made.tally.cycles
    by_stage = len({layer.stage for layer in made.network.layers}) > 1
    rows = [row["cycles"] for row in made.rows("stage" if by_stage else "layer") if row["cycles"]]
    assert cycles.sum() == sum(rows)
    assert len(page.bars) == len(rows)
    for bar, value in zip(page.bars, rows, strict=True):
        assert sum(bar) == pytest.approx(160 * value / max(rows), abs=0.05 * len(bar) + 0.01)


def test_names_are_text() -> None:
    layers = [dataclasses.replace(layer, stage=HOSTILE + layer.stage) for layer in network().layers]
    hostile = dataclasses.replace(network(), name=HOSTILE, layers=tuple(layers), notes=(HOSTILE,))
    made = simulate(hostile, accelerator({"description": HOSTILE}))
    for shown in (made, made.network, made.accelerator):
        page = Reader(shown._repr_html_())
        assert not {"script", "img"} & set(page.tags)
        assert "<script>" in page.text


def test_a_network_s_bars_are_parts_of_the_whole() -> None:
    page = Reader(network()._repr_html_())
    assert sum(sum(bar) for bar in page.bars[::2]) == pytest.approx(100, abs=0.3)
    assert sum(sum(bar) for bar in page.bars[1::2]) == pytest.approx(100, abs=0.3)
    assert "not modelled: fft ×2" in page.text


def test_an_accelerator_s_parts() -> None:
    page = Reader(accelerator()._repr_html_())
    assert "8×8 PEs, ws or os, 500 MHz" in page.text
    assert "16 KiB" in page.text


def test_figures_where_an_expression_ends_in_them_are_a_line_with_their_names() -> None:
    made = report()
    assert repr(made.plot).startswith("<Plots of small on small_8x8: utilization, stages, ")
    assert "\n" not in repr(made.plot)
    assert all(
        hasattr(made.plot, name) for name in repr(made.plot).rpartition(": ")[2].rstrip(">").split(", ")
    )
