from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from squeezesim.report.grid import SHORTEST_NAME, Column, Grid, shares
from squeezesim.report.units import plural

COLUMNS = [Column("layer", left=True), Column("cycles"), Column("bound", 2, left=True), Column("tiling", 1)]
CELLS = [["stage1.conv", "1,234", "dram", "PKC"], ["fc", "5", "–", ""]]


def test_plain_text_is_aligned_without_lines() -> None:
    assert Grid(COLUMNS, CELLS).plain() == (
        "layer        cycles  bound  tiling\nstage1.conv   1,234  dram      PKC\nfc                5  –"
    )


@pytest.mark.parametrize(
    ("width", "headers"),
    [
        (34, ["layer", "cycles", "bound", "tiling"]),
        (33, ["layer", "cycles", "tiling"]),
        (27, ["layer", "cycles", "tiling"]),
        (26, ["layer", "cycles"]),
        (16, ["layer", "cycles"]),
        (15, ["layer"]),
    ],
)
def test_columns_of_the_highest_rank_go_first(width: int, headers: list[str]) -> None:
    assert [column.header for column in Grid(COLUMNS, CELLS).fit(width).columns] == headers


def test_names_are_shortened() -> None:
    assert [row[0] for row in Grid(COLUMNS, CELLS).fit(17).cells] == ["s1.conv", "fc"]
    others = [["stage1.depthwise", "5", "", ""], ["stage1.pointwise", "5", "", ""]]
    assert [row[0] for row in Grid(COLUMNS, others).fit(17).cells] == ["s1.depthw", "s1.pointw"]


words = st.text("abcdef.1234", max_size=30)


@given(st.lists(st.tuples(words, words, words, words), min_size=1, max_size=4), st.integers(1, 120))
def test_numbers_are_never_cropped(cells: list[tuple[str, ...]], width: int) -> None:
    whole = Grid(COLUMNS, cells)
    fitted = whole.fit(width)
    places = [whole.columns.index(column) for column in fitted.columns]
    assert [[row[place] for place in places[1:]] for row in cells] == [list(row[1:]) for row in fitted.cells]
    narrow = max(width, SHORTEST_NAME)
    assert sum(fitted.widths) + 2 * (len(places) - 1) <= narrow

    stream = io.StringIO()
    fitted.print(Console(file=stream, width=width, force_terminal=True, color_system=None))
    lines = stream.getvalue().splitlines()
    table, told = lines[: 2 + len(cells)], lines[2 + len(cells) :]
    hidden = len(COLUMNS) - len(places)
    assert " ".join(" ".join(told).split()) == " ".join(fitted.notes)
    assert fitted.notes == ([f"{plural(hidden, 'column')} hidden; {whole.elsewhere}"] if hidden else [])
    for row, line in zip(fitted.cells, table[2:], strict=True):
        assert line.split() == " ".join(row).split()


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(0, 60))
def test_groups_share_rows(counts: list[int], most: int) -> None:
    given_rows = shares(counts, most)
    assert sum(given_rows) == min(most, sum(counts))
    assert all(0 <= rows <= count for rows, count in zip(given_rows, counts, strict=True))
    short = [rows for rows, count in zip(given_rows, counts, strict=True) if rows < count]
    assert not short or max(given_rows) - min(short) <= 1


def test_rows_that_are_left_out_are_counted_everywhere() -> None:
    some = Grid(COLUMNS, CELLS, part="2 of 37 layers")
    assert some.plain().splitlines()[-2:] == ["", "2 of 37 layers"]
    assert some.fit(16).notes == ["2 of 37 layers", f"2 columns hidden; {some.elsewhere}"]
