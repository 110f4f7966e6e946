"""Results as DataFrames: what a notebook shows of them, and that they are plain ones otherwise."""

from __future__ import annotations

import pickle
from typing import Any

import pandas as pd
import pytest

import squeezesim as sq
from squeezesim.report.frame import MOST, results
from tests.report.test_notebook import Reader


def shown(table: Any) -> str:
    return Reader(table._repr_html_()).text


def test_a_comparison_has_units_and_ratios() -> None:
    table = sq.compare(["squeezenext_23", "squeezenext_23_v5"], "squeezelerator_16x16")
    text = shown(table)
    assert "latency µs" in text
    assert f"{table.latency_us[1]:,.0f}" in text
    assert f"{table.latency_relative[1]:.2f}" in text
    assert "more columns: vector_ops, " in text
    assert "energy µJ" not in text  # its table is relative: no row has joules


def test_a_sweep_has_its_parameters_and_problems() -> None:
    table = sq.sweep(
        "alexnet", "os_32x32", {"array.rows": [8, 32], "memory.global_buffer.size_kib": [0.25, 256]}
    )
    text = shown(table)
    assert "4 designs on the base of os_32x32" in text
    assert "size_kib" in text
    assert table.problem[0] in text
    assert f"{table.latency_us[3]:,.0f}" in text


@pytest.mark.torch
def test_allocations_are_cut_and_counted() -> None:
    table = sq.allocate("squeezenext_23", "squeezelerator_16x16", blocks=21)
    text = shown(table)
    assert f"{MOST} of 1,140 rows" in text
    assert "-".join(map(str, table.depth[0])) in text


def test_sensitivity_has_changes_with_their_signs() -> None:
    table = sq.sensitivity("alexnet", "os_32x32")
    text = shown(table)
    assert f"{table.latency_elasticity[0]:.2f}".replace("-", "−") in text
    assert "nan" not in text.lower()


def test_every_table_of_results_shows_itself() -> None:
    assert "sizes of the buffer of os_32x32" in shown(sq.buffer_sizes("alexnet", "os_32x32", [64, 128]))


def test_texts_are_escaped_and_other_values_are_written_as_they_are() -> None:
    frame = pd.DataFrame({"network": ["<b>"], "pareto": [True], "x.y": [0.5], "bound": [""], "none": [None]})
    page = Reader(results(frame, "<i>")._repr_html_())  # type: ignore[operator]
    assert "b" not in [tag for tag in page.tags if tag != "b"]
    assert "<b>" in page.text
    assert "<i>" in page.text
    assert "yes" in page.text
    assert "more columns: none" in page.text


@pytest.mark.parametrize(
    "copied", [lambda t: pickle.loads(pickle.dumps(t)), lambda t: t.copy(), lambda t: t[:]]
)
def test_what_is_made_of_results_is_a_plain_frame(copied: Any) -> None:
    table = sq.compare("alexnet", "os_32x32")
    other = copied(table)
    assert type(other) is pd.DataFrame
    assert isinstance(table, pd.DataFrame)
    assert other.attrs["title"] == "results side by side"
    pd.testing.assert_frame_equal(other, pd.DataFrame(table))
