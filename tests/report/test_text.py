from __future__ import annotations

import dataclasses
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from squeezesim.errors import UsageError
from squeezesim.report.files import made as made_files
from squeezesim.report.metrics import quantity
from squeezesim.report.report import Report
from squeezesim.report.selection import select
from squeezesim.report.text import grid, show, text
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, few, network, report, reports

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
    assert "the 2 shapes of layers that take longest" in text(REPORT, top=2)
    assert "the 1 shape of layers that takes longest" in text(REPORT, top=1)
    assert "layers by energy_mac_equiv" in text(REPORT, sort="energy_mac_equiv", top=2)


def test_a_wrong_column_prints_nothing() -> None:
    stream = io.StringIO()
    with pytest.raises(UsageError):
        show(REPORT, Console(file=stream, force_terminal=True), sort="nothing")
    assert stream.getvalue() == ""


def test_energy_is_said_in_joules_too_where_they_are_known() -> None:
    absolute = report({"energy.pj_per_unit": 2.0})
    assert re.search(r"energy       [\d.]+ µJ, [\d.]+ [kM] MAC-equivalents", text(absolute))
    assert re.search(r"energy       [\d.]+ [kM] MAC-equivalents", text(REPORT))


ROWS = REPORT.rows()


def headers(width: int | None) -> list[str]:
    return [column.header for column in grid(REPORT, ROWS, "layer", width).columns]


def test_at_80_characters_the_six_columns() -> None:
    assert headers(80) == ["layer", "MACs", "cycles", "utilization", "bound", "energy (MACs)"]


def test_columns_come_in_a_fixed_order_as_the_width_grows() -> None:
    everything = headers(None)
    shown: list[str] = []
    for width in range(40, 300):
        wider = headers(width)
        assert set(shown) <= set(wider)
        assert wider == [header for header in everything if header in wider]
        shown = wider
    assert shown == everything


def test_energy_is_in_joules_where_the_table_knows_them() -> None:
    absolute = report({"energy.pj_per_unit": 1.5})
    assert "energy µJ" in [column.header for column in grid(absolute, absolute.rows(), "layer", None).columns]
    assert "energy (MACs)" in headers(None)


@few
@given(reports(), st.sampled_from(["cycles", "utilization", "name", "energy_uj", "macs"]), st.integers(1, 8))
def test_rows_are_sorted_and_cut(made: Report, sort: str, top: int) -> None:
    rows = select(made, sort=sort, top=top)
    assert len(rows) == min(top, len(made.network.layers))
    values = [row[sort] for row in select(made, sort=sort)]
    known = [value for value in values if value is not None]
    assert values[: len(known)] == sorted(known, reverse=sort != "name")
    assert [row["name"] for row in rows] == [row["name"] for row in select(made, sort=sort)][:top]


def test_the_top_rows_are_the_slowest() -> None:
    slowest = sorted(ROWS, key=lambda row: -row["cycles"])[:3]
    assert select(REPORT, top=3) == slowest


def test_without_a_wish_rows_come_as_they_run() -> None:
    assert select(REPORT) == ROWS


def test_an_empty_column_is_no_column() -> None:
    with pytest.raises(UsageError, match=r"^there is no column ''; allowed: name, "):
        select(REPORT, sort="")


def test_an_unknown_column_names_the_nearest() -> None:
    with pytest.raises(
        UsageError, match=r"^there is no column 'cycle'; allowed: stage, .*; did you mean 'cycles'\?$"
    ):
        select(REPORT, "stage", sort="cycle")


def test_filters_and_strides_are_written_short() -> None:
    table = grid(REPORT, ROWS, "layer", None)
    place = [column.header for column in table.columns].index("filter")
    assert {row[0]: row[place] for row in table.cells} == {
        "stem.conv": "3×3/2",
        "stage1.depthwise": "3×3",
        "stage1.a_branch_with_a_long_name.expand": "1×1",
        "stage1.b": "1×3",
        "stage1.add": "1×1",
        "stage1.concat": "1×1",
        "head.pool": "16×16/16",
        "head.fc": "1×1",
    }


def test_a_report_says_what_staying_would_save() -> None:
    other = simulate(network(), accelerator({"memory.global_buffer.keeps": ["activations"]}))
    totals, line = other.totals, next(line for line in text(REPORT).splitlines() if "compulsory" in line)
    said = [quantity(name, totals[name]) for name in ("dram_bytes", "latency_us", "energy_mac_equiv")]
    assert line.endswith(f"; with memory.global_buffer.keeps [activations] {', '.join(said)}")
    assert totals["dram_bytes"] < (REPORT.totals["dram_bytes"] or 0)
    assert "keeps" not in text(other).partition("total")[2].partition("notes")[0]
    assert "keeps" not in text(simulate(network(), accelerator({"memory.placement": "layer"})))


def test_saving_files_of_numbers_simulates_nothing_again() -> None:
    made = report()
    for suffix in (".csv", ".json", ".parquet"):
        dict(made_files([(made, f"r{suffix}")]))
    assert "where_maps_stay" not in made.__dict__
