from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.errors import UsageError
from squeezesim.report.report import Report
from squeezesim.report.text import grid, select
from tests.report.cases import few, report, reports

REPORT = report()
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
