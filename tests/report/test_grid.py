from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from squeezesim.load import load
from squeezesim.report import units
from squeezesim.report.grid import INK, SHORTEST_NAME, Column, Grid, meter, shares, short_names, shorten
from squeezesim.report.text import show
from squeezesim.report.units import plural
from tests.report.cases import report

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


LENGTH = {block: place for place, block in enumerate(" ▏▎▍▌▋▊▉█")}
REPORT = report()


def printed(width: int, encoding: str = "utf-8", **options: str) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    show(REPORT, Console(file=stream, width=width, force_terminal=True, **options))  # type: ignore[arg-type]
    stream.seek(0)
    return stream.read()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def utilizations() -> Iterator[str]:
    yield from (units.share(row["utilization"]) for row in REPORT.rows() if row["macs"])


@given(st.floats(0, 1), st.integers(1, 12))
def test_a_bar_is_as_long_as_the_share(share: float, width: int) -> None:
    text = meter(share, width)
    bar, number = text[:width], text[width + 1 :]
    assert number.strip() == units.share(share)
    assert len(text) == width + 8
    eighths = sum(LENGTH[block] for block in bar)
    assert abs(eighths - share * width * 8) <= 0.5 or eighths == 1
    assert (eighths > 0) == (share > 0)
    assert re.fullmatch("█*[▏▎▍▌▋▊▉]? *", bar)


def test_no_share_has_no_bar() -> None:
    assert meter(None, 5) == meter(float("nan"), 5) == "–"


@pytest.mark.parametrize(("width", "length"), [(80, 3), (139, 3), (140, 10), (200, 10)])
def test_bars_stand_beside_utilization_and_adapt(width: int, length: int) -> None:
    lines = plain(printed(width)).splitlines()
    assert max(map(len, lines)) <= width
    for row in REPORT.rows():
        if row["macs"]:
            assert any(meter(row["utilization"], length) in line for line in lines)


def test_bars_cost_no_columns_at_80_characters() -> None:
    with_bars, without = plain(printed(80)), plain(printed(80, "ascii"))
    headers = [
        next(line for line in text.splitlines() if "cycles" in line).replace("|", " ").split()
        for text in (with_bars, without)
    ]
    assert headers[0] == headers[1]


def test_a_terminal_without_blocks_has_no_bars() -> None:
    text = printed(80, "ascii")
    assert "?" not in re.sub(r"[─…×µ–]", "", text).partition("stem.conv")[2][:60]
    assert not re.search(INK, text)
    assert all(share in text for share in utilizations())


def test_a_pipe_gets_no_bars() -> None:
    stream = io.StringIO()
    show(REPORT, Console(file=stream, width=80, force_terminal=False))
    assert not re.search(INK, stream.getvalue())


def test_no_color_leaves_the_bars_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = printed(80, color_system="standard")
    assert re.search(rf"\x1b\[36m{INK}", coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    bare = printed(80, color_system="standard")
    assert not re.search(r"\x1b\[(3|4|9)\d", bare)
    assert plain(bare) == plain(coloured)


parts = st.one_of(
    st.sampled_from(
        ["features", "denseblock1", "denseblock11", "layer1", "layer2", "conv", "f", "l1", "d11", ""]
    ),
    st.text("ab12", max_size=12),
)
paths = st.builds(str.join, st.sampled_from([".", "/"]), st.lists(parts, min_size=1, max_size=5))


@given(paths, st.integers(3, 40))
def test_a_shortened_name_keeps_both_ends(name: str, width: int) -> None:
    short = shorten(name, width)
    if len(name) <= width:
        assert short == name
    else:
        assert len(short) == width
        front, back = short.split("…")
        assert name.startswith(front)
        assert name.endswith(back)


@given(st.lists(paths, max_size=30), st.integers(8, 40))
def test_different_names_stay_different(names: list[str], width: int) -> None:
    short = short_names(names, width)
    assert len(set(short)) == len(set(names))
    assert len(set(zip(names, short, strict=True))) == len(set(names))
    assert all(len(text) <= width for text in short)
    assert all(text == name for name, text in zip(names, short, strict=True) if len(name) <= width)


@pytest.mark.parametrize("width", [8, 9, 16, 28])
@pytest.mark.parametrize("model", ["squeezenext_23", "densenet121"])
def test_layers_of_networks_stay_different(model: str, width: int) -> None:
    names = [layer.name for layer in load(model).layers]
    short = short_names(names, width)
    assert len(set(short)) == len(names)
    if width >= 16:
        assert not any("#" in text or "…" in text for text in short)


def test_first_parts_are_abbreviated_first() -> None:
    blocks = [f"features.denseblock{number}.denselayer1.conv2" for number in (1, 3, 4)]
    assert short_names(blocks, 24) == [
        "f.d1.denselayer1.conv2",
        "f.d3.denselayer1.conv2",
        "f.d4.denselayer1.conv2",
    ]
    assert short_names(blocks, 12) == ["f.d1.d1.con2", "f.d3.d1.con2", "f.d4.d1.con2"]


def test_an_abbreviation_is_not_another_name() -> None:
    names = ["features.convolution", "f.convolution", "fe.convolution", "features.c"]
    assert short_names(names, 16) == ["fea.convolution", "f.convolution", "fe.convolution", "features.c"]


def test_what_cannot_be_told_apart_has_its_place() -> None:
    names = [f"{'a' * 20}{letter}{'1' * 20}" for letter in "xy"]
    assert short_names(names, 10) == ["aaa…1111#1", "aaa…1111#2"]
    assert short_names([names[0], "fc", names[0]], 10) == ["aaaa…11111", "fc", "aaaa…11111"]


def test_names_of_any_depth_are_short_soon() -> None:
    names = [f"{'a.' * 20_000}{number}" for number in range(20)]
    short = short_names(names, 20)
    assert len(set(short)) == 20
    assert max(map(len, short)) == 20
