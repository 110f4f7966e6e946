from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from squeezesim.report import units
from squeezesim.report.grid import INK, meter
from squeezesim.report.text import show
from tests.report.cases import report

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
