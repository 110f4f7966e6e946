"""The front beside its definition, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

import squeezesim as sq
from squeezesim.errors import UsageError
from squeezesim.explore import pareto as module
from squeezesim.explore.pareto import pareto


def by_definition(points: NDArray[np.float64]) -> list[bool]:
    """Whether no other row is at most as large everywhere and smaller somewhere; rows with NaN are out."""
    known = np.asarray(~np.isnan(points).any(axis=1))
    return [
        bool(is_known)
        and not any((other <= point).all() and (other < point).any() for other in points[known])
        for point, is_known in zip(points, known, strict=True)
    ]


@st.composite
def tables(draw: st.DrawFn, most: int = 40) -> NDArray[np.float64]:
    """Points on a coarse lattice, so that many are equal in a coordinate, or random ones."""
    rows, dimensions = draw(st.integers(0, most)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.booleans()):
        return rng.integers(-3, draw(st.integers(-2, 9)), (rows, dimensions)).astype(np.float64)
    return rng.dirichlet(np.ones(dimensions + 1), rows)[:, :dimensions]


def columns(points: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return {str(place): column for place, column in enumerate(points.T)}


@given(tables(), st.sampled_from([1, 2, 5, 256]))
def test_it_is_the_definition(points: NDArray[np.float64], few: int) -> None:
    table = columns(points)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FEW", few)  # below this many points there is no recursion
        assert pareto(table, list(table)).tolist() == by_definition(points)
        assert pareto(table, (), list(table)).tolist() == by_definition(-points)
        first, *others = table
        signs = np.array([-1.0] + [1.0] * len(others))
        assert pareto(table, others, [first]).tolist() == by_definition(points * signs)


@given(tables(20), st.integers(0, 19))
def test_a_row_without_a_number_is_out_and_hides_none(points: NDArray[np.float64], place: int) -> None:
    assume(len(points) != 1)  # a column of no numbers at all
    if len(points):
        points[place % len(points), 0] = np.nan
    table = columns(points)
    assert pareto(table, list(table)).tolist() == by_definition(points)


def test_equal_rows_are_on_the_front_together() -> None:
    table = {"latency_us": [1, 1, 2], "energy_uj": [5, 5, 5]}
    assert pareto(table, ["latency_us", "energy_uj"]).tolist() == [True, True, False]
    assert pareto({"a": [3, 3, 3]}, ["a"]).tolist() == [True] * 3


def test_many_rows_beside_a_plain_sweep() -> None:
    rng = np.random.default_rng(7)
    points = rng.integers(0, 400, (20_000, 4)).astype(np.float64)
    order = np.lexsort(points.T[::-1])
    front = np.zeros((0, 4))
    for point in points[order]:  # what beats a point is before it in lexicographic order, and on the front
        if not ((front <= point).all(axis=1) & (front < point).any(axis=1)).any():
            front = np.vstack([front, point])
    expected = {tuple(point) for point in front}
    mask = pareto(columns(points), list("0123"))
    assert [tuple(point) in expected for point in points] == mask.tolist()


def test_all_of_fifty_thousand_points_on_a_front() -> None:
    points = np.random.default_rng(3).dirichlet(np.ones(4), 50_000)
    points[:, 3] = 3 - points[:, :3].sum(axis=1)  # in floating point, too, more of one is less of another
    before = points[pareto(columns(points), list("0123"))]
    assert len(before) > 49_990
    worse = columns(np.vstack([points, points[:1000] + 1e-9]))
    assert not pareto(worse, list("0123"))[50_000:].any()


def test_infinite_values_and_large_counts_keep_their_order() -> None:
    table: dict[str, list[float]] = {"a": [np.inf, 1.0, -np.inf], "b": [0, 2**53, 2**60]}
    assert pareto(table, ["a", "b"]).tolist() == [True, True, True]
    assert pareto(table, ["a"]).tolist() == [False, False, True]
    assert pareto({"a": [2**53 + 2, 2**53]}, ["a"]).tolist() == [False, True]


def test_tables_of_any_kind() -> None:
    frame = pd.DataFrame({"name": ["x", "y"], "a": [1, 2], "b": [None, 3.0]}, index=[7, 9])
    assert sq.pareto(frame, minimise=["a"]).tolist() == [True, False]
    assert sq.pareto(frame, maximise=["b"]).tolist() == [False, True]
    assert sq.pareto({"a": [], "b": []}, ["a", "b"]).tolist() == []


@pytest.mark.parametrize(
    ("minimise", "maximise", "message"),
    [
        ([], [], "a Pareto front needs an objective; allowed: names of columns in minimise or maximise"),
        (
            ["latencyus"],
            [],
            "there is no column 'latencyus'; allowed: latency_us, name, energy_uj, top1; did you mean 'latency_us'?",
        ),
        (["name"], [], "column 'name' has no numbers; an objective is a column of numbers"),
        (
            ["latency_us"],
            ["latency_us"],
            "objective 'latency_us' is named twice; allowed: once",
        ),
        (
            ["latency_us", "energy_uj"],
            [],
            "column 'energy_uj' has no number in any row; an objective has values to compare",
        ),
        ([], ["top1"], "column 'top1' has no number in any row; an objective has values to compare"),
    ],
)
def test_mistakes(minimise: list[str], maximise: list[str], message: str) -> None:
    table: dict[str, list[Any]] = {
        "latency_us": [1, 2],
        "name": ["x", "y"],
        "energy_uj": [np.nan, np.nan],
        "top1": [None, None],
    }
    with pytest.raises(UsageError) as caught:
        pareto(table, minimise, maximise)
    assert str(caught.value) == message
