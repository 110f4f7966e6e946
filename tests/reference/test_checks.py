from __future__ import annotations

import pytest

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.reference import array_case
from squeezesim.reference.checks import check


def test_nothing_differs() -> None:
    result = check()
    assert result.holds
    assert [bound.value for bound in result.bounds] == [0, 0]
    assert {row.subject: row.error for row in result.rows} == dict.fromkeys(
        [*DATAFLOWS, "unit", "pipeline"], 0
    )
    assert all(row.ours > 1000 for row in result.rows)


def test_is_the_same_when_run_again() -> None:
    assert check(cases=8) == check(cases=8)
    assert check(cases=8) != check(cases=8, seed=2)


def test_a_difference_breaks_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    real = array_case.closed_form
    monkeypatch.setattr(array_case, "closed_form", lambda case: real(case) | {"busy": -1})
    result = check(cases=8)
    assert not result.holds
    assert [bound.value for bound in result.bounds] == [4, 0]
