from __future__ import annotations

import csv
import io
import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from squeezesim.errors import UsageError
from squeezesim.escapes import csv_cell, from_csv_cell, visible
from squeezesim.markup import escaped
from squeezesim.network.checks import show
from squeezesim.report.files import csv_text
from squeezesim.report.grid import Column, Grid
from squeezesim.report.text import Section, plain

TURNS = {"AL", "R", "LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
texts = st.text(st.characters(codec=None), max_size=20)
signs = st.sampled_from([*"=+-@\t\r'", "\x1b", "\x9b", "\u202e", "\u2066", "\ud800", "\u2028", "\n", "\x7f"])
mixed = st.lists(texts | signs, max_size=6).map("".join)


def is_control(sign: str) -> bool:
    kind = unicodedata.category(sign)
    turns = kind == "Cf" and unicodedata.bidirectional(sign) in TURNS
    return kind in ("Cc", "Cs", "Zl", "Zp") or turns


@given(mixed)
def test_nothing_that_controls_is_shown_and_all_that_prints_stays(text: str) -> None:
    shown = visible(text)
    assert not any(map(is_control, shown))
    assert visible(shown) == shown
    assert [sign for sign in text if sign.isprintable()] == [
        sign for sign in text if sign in visible(sign) and sign.isprintable()
    ]
    assert shown == "".join(map(visible, text))
    shown.encode()


@given(mixed)
def test_json_reads_back(text: str) -> None:
    written = json.dumps({"name": text}, ensure_ascii=False)
    assert json.loads(visible(written, in_json=True)) == {"name": text}


@given(mixed)
def test_a_message_has_one_style_of_escapes(text: str) -> None:
    controls = "".join(filter(is_control, text))
    assert visible(controls) == repr(controls)[1:-1]
    for name in (show(controls[:5]), f"{controls[:5]!r}"):
        assert str(UsageError(f"{name}: {controls[:5]}")) == f"{name}: {name[1:-1]}"


@given(mixed)
def test_every_writer_of_text_escapes(text: str) -> None:
    table = Grid([Column(f"name{text}", left=True)], [[text]])
    for made in (
        plain([Section(text, table), Section("b", [text])]),
        escaped(text),
        str(UsageError(text)),
    ):
        assert not any(is_control(sign) for sign in made.replace("\n", ""))


@given(mixed)
def test_cells_are_no_formulas_and_read_back(text: str) -> None:
    cell = csv_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert from_csv_cell(cell) == text


@given(st.lists(st.tuples(mixed, st.integers(), st.floats(allow_nan=False)), min_size=1, max_size=5))
@example([("", 0, 1.7976931345e308)])
def test_a_csv_reads_back(rows: list[tuple[str, int, float]]) -> None:
    written = csv_text([{"-name": name, "cycles": count, "x": number} for name, count, number in rows])
    header, *lines = csv.reader(io.StringIO(written, newline=""))
    assert [*map(from_csv_cell, header)] == ["-name", "cycles", "x"]
    assert [(from_csv_cell(name), int(count)) for name, count, _ in lines] == [row[:2] for row in rows]
    assert [float(number) for *_, number in lines] == pytest.approx([row[2] for row in rows])


def test_other_programs_cells_stay() -> None:
    assert from_csv_cell("'conv1'") == "'conv1'"
