from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from squeezesim.markup import Markdown, code, escaped, markdown_table
from squeezesim.network import Layer, Network
from squeezesim.reference.record import Bound, Check, Row, Table
from squeezesim.report.grid import Column, Grid
from squeezesim.report.text import Section, markdown, report_markdown
from squeezesim.simulate import simulate
from squeezesim.validate import markdown as page_of_checks
from tests.report.cases import accelerator, report

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def read(text: str, *, with_code: bool = False) -> list[tuple[str, str]]:
    """What a reader of Markdown makes of it: kinds of blocks with their plain text."""
    allowed = {"text", "text_special", *(["code_inline"] if with_code else [])}
    found = []
    tokens = READER.parse(text)
    for before, token in pairwise(tokens):
        assert token.type not in ("fence", "code_block", "html_block", "hr"), token.content
        if token.type == "inline":
            kinds = {child.type for child in token.children or []}
            assert kinds <= allowed, (token.content, kinds)
            found.append((before.type, "".join(child.content for child in token.children or [])))
    return found


letters = st.characters(categories=["L", "N", "P", "S", "Zs"], codec="utf-8")
signs = st.sampled_from(
    "_*`#+-=.)|~<>&[]()!\\\"':$@^ 0a"
)  # markup is made of few signs, often the same ones in a row
texts = (st.text(letters, max_size=30) | st.text(signs, max_size=12)).filter(str.strip)


@given(texts)
@example("__0__")
@example("a #")
@example("1.")
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
    assert read(escaped(text)) == [("paragraph_open", plain)]


@given(texts)
def test_texts_of_a_check_stay_text(text: str) -> None:
    plain = " ".join(text.split())
    check = Check(
        "name",
        text,
        text,
        text,
        rows=(Row(text, text, 1, 1, text),),
        bounds=(Bound(text, 0, 0),),
        notes=(text,),
        tables=(Table(plain, (text,), ((text,),), text),),
    )
    page = "## " + page_of_checks([check]).partition("## ")[2]
    blocks = [content for _, content in read(page, with_code=True)]
    title = plain[0].upper() + plain[1:]
    bounds = ["bound", "value", "limit", "", plain, "0", "0", "ok"]
    rows = ["", "quantity", "reference", "ours", "error", "unit", plain, plain, "1", "1", "0", plain]
    assert blocks == [
        *(plain, f"squeezesim validate name · {plain}", plain, *bounds, "Reference and ours", *rows),
        *(title, plain, plain, plain, "Notes", plain),
    ]


@given(texts.filter(lambda text: "\\|" not in text))
def test_code_is_code_in_a_line_and_in_a_cell(text: str) -> None:
    plain = " ".join(text.split())
    for page in (code(text), markdown_table(["a"], [[code(text)]])):
        inline = [token for token in READER.parse(page) if token.type == "inline"][-1]
        assert [(child.type, child.content) for child in inline.children or []] == [("code_inline", plain)]


def test_what_is_markdown_already_is_kept() -> None:
    assert markdown_table(["n"], [[Markdown("`a` *b*")]], left=()) == "| n |\n| --: |\n| `a` *b* |\n"


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
