from __future__ import annotations

import dataclasses
import io
import re

import pytest
from rich.console import Console

from squeezesim.errors import UsageError
from squeezesim.report.text import show, text
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, network, report

REPORT = report()


def shown(width: int, **options: str | int | None) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None)
    show(REPORT, console, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def test_a_pipe_gets_all_columns_and_no_signs_of_a_terminal() -> None:
    stream = io.StringIO()
    show(REPORT, Console(file=stream, width=40, force_terminal=False))
    assert stream.getvalue() == text(REPORT) + "\n"
    assert not re.search("[\x1b─│━┃╭]", stream.getvalue())
    assert "tiling" in stream.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_a_terminal_s_lines_are_no_longer_than_it(width: int) -> None:
    assert max(map(len, shown(width).splitlines())) <= width


@pytest.mark.parametrize("width", [80, 200])
def test_every_layer_that_takes_time_is_there_with_its_cycles(width: int) -> None:
    from squeezesim.report import units

    lines = shown(width).splitlines()
    for row in REPORT.rows():
        own = row["name"].rpartition(".")[2]  # the parts before it may be abbreviated
        found = [
            line
            for line in lines
            if f"{line} ".partition(f".{own} ")[1] and units.count(row["cycles"]) in line
        ]
        assert bool(found) == (row["cycles"] > 0)


def test_what_takes_no_time_is_counted() -> None:
    assert "not shown, for they take no time: 1 concat" in text(REPORT)
    assert "not shown" not in text(REPORT, by="op")


def test_what_is_missing_is_said() -> None:
    assert "not modelled, and not in any number above\n  fft ×2, first in stage1\n" in text(REPORT)
    assert text(REPORT).endswith("notes\n  differs from smaller in depth")


def test_what_is_not_there_is_not_mentioned() -> None:
    plain = simulate(dataclasses.replace(network(), unmodelled=(), notes=()), accelerator())
    assert "not modelled" not in text(plain)
    assert "notes" not in text(plain)


def test_names_are_printed_as_they_are() -> None:
    """No markup, no emoji, no highlighting: names are a stranger's."""
    tricky = dataclasses.replace(network(), name="[red]:smile:[/red] 0x10")
    stream = io.StringIO()
    show(
        simulate(tricky, accelerator()),
        Console(file=stream, width=80, force_terminal=True, color_system=None),
    )
    assert stream.getvalue().startswith("[red]:smile:[/red] 0x10 on small_8x8\n")


def test_rows_by_operator() -> None:
    lines = text(REPORT, by="op").splitlines()
    start = lines.index("ops")
    assert [line.split()[0] for line in lines[start + 2 : start + 7]] == [
        "conv2d",
        "add",
        "concat",
        "avg_pool",
        "matmul",
    ]


def test_top_names_what_it_shows() -> None:
    assert "the 2 layers that take longest" in text(REPORT, top=2)
    assert "the 1 layer that takes longest" in text(REPORT, top=1)
    assert "layers by energy_mac_equiv" in text(REPORT, sort="energy_mac_equiv", top=2)


def test_a_wrong_column_prints_nothing() -> None:
    stream = io.StringIO()
    with pytest.raises(UsageError):
        show(REPORT, Console(file=stream, force_terminal=True), sort="nothing")
    assert stream.getvalue() == ""


def test_energy_is_said_in_joules_too_where_they_are_known() -> None:
    absolute = report({"energy.pj_per_unit": 2.0})
    assert re.search(r"energy       [\d.]+ µJ, [\d.]+ [kM] MACs' worth", text(absolute))
    assert re.search(r"energy       [\d.]+ [kM] MACs' worth", text(REPORT))
