from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from squeezesim.network import Layer, Network
from squeezesim.report.grid import Column, Grid
from squeezesim.report.markdown import escaped, markdown, report_markdown
from squeezesim.report.text import Section
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, report

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def read(text: str) -> list[tuple[str, str]]:
    """What a reader of Markdown makes of it: kinds of blocks with their plain text."""
    found = []
    tokens = READER.parse(text)
    for before, token in pairwise(tokens):
        if token.type == "inline":
            kinds = {child.type for child in token.children or []}
            assert kinds <= {"text", "text_special"}, (token.content, kinds)
            found.append((before.type, "".join(child.content for child in token.children or [])))
    return found


texts = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], codec="utf-8"), min_size=1, max_size=30)


@given(texts.filter(str.strip))
def test_text_stays_text_in_every_place(text: str) -> None:
    plain = " ".join(text.split())
    grid = Grid([Column("name", left=True), Column("cycles")], [[text, "1"]])
    parts = [Section(text, [text, "x"]), Section("b", grid)]
    cells = [
        content
        for kind, content in read(markdown(parts))
        if kind in ("td_open", "heading_open", "paragraph_open")
    ]
    assert cells == [plain, plain, "x", "b", plain, "1"]


@pytest.mark.parametrize(
    "text", ["<script>", "a|b", "*a*", "_a_", "[a](b)", "`a`", "# a", "1. a", "- a", "~~a~~", "&lt;", "a\\"]
)
def test_markup_is_escaped(text: str) -> None:
    assert read(escaped(text)) == [("paragraph_open", text)]


def test_names_stay_readable() -> None:
    assert escaped("stage1.block2/add_3 1×1") == "stage1.block2/add_3 1×1"


def test_a_report_has_all_its_rows_and_totals() -> None:
    made = report()
    blocks = [content for _, content in read(report_markdown(made))]
    assert blocks[0] == "small on small_8x8"
    for row in made.rows():
        assert (row["name"] in blocks) == bool(row["cycles"])
    assert {"params", "MACs", "latency", "energy"} <= set(blocks)
    assert "differs from smaller in depth" in blocks
    assert any(re.match(r"fft ×2", block) for block in blocks)


def test_worst_layers_are_a_numbered_list() -> None:
    kinds = [token.type for token in READER.parse(report_markdown(report()))]
    assert kinds.count("ordered_list_open") == 1


def test_a_hostile_layer_name_is_a_cell() -> None:
    name = "<img src=x onerror=alert(1)>|`"
    made = simulate(Network.from_layers([Layer.conv(name, c=3, k=4, oy=5, ox=5, fy=3, fx=3)]), accelerator())
    assert ("td_open", name) in read(report_markdown(made))
