"""Layers of one shape in a stage as one row: sums of their rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.report import shapes
from squeezesim.report.report import Report
from squeezesim.report.text import text
from squeezesim.simulate import simulate
from tests.report.cases import few, reports

SUMS = ("cycles", "macs", "params", "dram_bytes", "vector_ops", "lost_edge")


@few
@given(reports())
def test_rows_are_sums_of_the_layers(made: Report) -> None:
    rows = shapes.rows(made)
    each = made.rows()
    assert sum(row["layers"] for row in rows) == len(each)
    for name in SUMS:
        assert sum(row[name] for row in rows) == sum(row[name] for row in each)
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    by_name = {row["name"]: row for row in each}
    for row in rows:
        if row["layers"] == 1:
            first = by_name[row["name"]]
            assert {name: row[name] for name in first} == pytest.approx(first)


def test_equal_layers_of_a_stage_are_one_row_and_those_of_another_stage_are_not() -> None:
    layer = Layer.conv("a", c=8, k=8, oy=8, ox=8, fy=3, fx=3, stage="one")
    layers = [
        layer,
        replace(layer, name="b"),
        replace(layer, name="c"),
        replace(layer, name="d", stage="two"),
    ]
    made = simulate(
        Network.from_layers([*layers, Layer.matmul("fc", m=1, n=10, k=512, stage="two")]),
        "squeezelerator_16x16",
    )
    rows = shapes.rows(made)
    assert [(row["name"], row["layers"], row["stage"]) for row in rows] == [
        ("a", 3, "one"),
        ("d", 1, "two"),
        ("fc", 1, "two"),
    ]
    a, b, c, *_ = made.rows()
    assert rows[0]["cycles"] == a["cycles"] + b["cycles"] + c["cycles"]
    assert rows[0]["utilization"] == pytest.approx(
        sum(row["executed_macs"] for row in (a, b, c)) / (256 * rows[0]["cycles"])
    )
    assert "  a ×3 " in text(made)
    each = text(made, by="layer").splitlines()
    assert sum(line.startswith(("  a ", "  b ", "  c ")) for line in each) == 3


def test_what_differs_in_a_row_is_none() -> None:
    made = simulate(load("squeezenext_23"), "os_32x32")
    for row in shapes.rows(made):
        members = [each for each in made.rows() if each["stage"] == row["stage"] and each["op"] == row["op"]]
        assert row["tiling"] in {each["tiling"] for each in members}
        assert row["output_in"] in {None, *(each["output_in"] for each in members)}
    assert len(shapes.rows(made)) == 42
