from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from squeezesim.explore.compare.comparison import align, merged
from squeezesim.report.report import Report
from tests.report.cases import few, reports

names = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(names, names)
def test_every_name_is_there_once_and_the_rows_keep_their_order(rows: list[str], own: list[str]) -> None:
    both = merged(rows, own)
    assert sorted(map(str, both)) == sorted({*rows, *own})
    assert [name for name in both if name in rows] == rows


@given(names, st.data())
def test_networks_of_one_order_keep_it(order: list[str], data: st.DataObject) -> None:
    def some() -> list[str]:
        kept = data.draw(st.sets(st.sampled_from(order))) if order else set()
        return [name for name in order if name in kept]

    rows, own = some(), some()
    both = merged(rows, own)
    assert [name for name in both if name in own] == own


def test_a_stage_more_stands_before_what_follows_it() -> None:
    assert merged(["stem", "stage1", "head"], ["stem", "stage1", "stage2", "head"]) == [
        "stem",
        "stage1",
        "stage2",
        "head",
    ]
    assert merged(["a", "b", "z"], ["a", "x", "z", "y"]) == ["a", "b", "x", "z", "y"]


@few
@given(st.lists(reports(), min_size=1, max_size=3), st.sampled_from(["stage", "layer"]))
def test_each_row_of_a_result_is_there_once(some: list[Report], by: str) -> None:
    aligned = align(some, by)
    for place, item in enumerate(some):
        rows = [places[place] for places in aligned.places if places[place] is not None]
        assert sorted(row for row in rows if row is not None) == list(range(len(item.rows(by))))
        for name, places in zip(aligned.names, aligned.places, strict=True):
            at = places[place]
            if by == "stage" and at is not None:
                assert item.rows(by)[at]["stage"] == name
