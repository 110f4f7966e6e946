from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.errors import UsageError
from squeezesim.explore.allocate.allocations import Space, parse_range

RANGES = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 4)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    min_size=1,
    max_size=4,
)


def listed(ranges: list[tuple[int, int]], blocks: int | None) -> list[tuple[int, ...]]:
    """Every allocation, by trying all."""
    every = product(*(range(low, high + 1) for low, high in ranges))
    return [depth for depth in every if blocks is None or sum(depth) == blocks]


@given(ranges=RANGES, data=st.data())
def test_allocations_are_those_of_trying_all(ranges: list[tuple[int, int]], data: st.DataObject) -> None:
    least, most = sum(low for low, _ in ranges), sum(high for _, high in ranges)
    blocks = data.draw(st.none() | st.integers(least, most))
    space = Space.of(tuple(low for low, _ in ranges), low=1, high=9, blocks=blocks, stages=ranges)
    expected = listed(ranges, blocks)
    assert [tuple(row) for row in space.depths().tolist()] == expected
    assert space.count() == len(expected)
    assert space.least == tuple(map(min, zip(*expected, strict=True)))
    assert space.greatest == tuple(map(max, zip(*expected, strict=True)))
    assert all(depth in space for depth in expected)
    outside = data.draw(st.tuples(*(st.integers(0, 10) for _ in ranges)))
    assert (outside in space) == (outside in expected)


def test_the_total_is_that_of_the_network_unless_ranges_are_given() -> None:
    assert Space.of((6, 6, 8, 1), low=1, high=200) == Space.of((6, 6, 8, 1), low=1, high=200, blocks=21)
    assert Space.of((6, 6, 8, 1), low=1, high=200).count() == 1140  # 20 choose 3
    free = Space.of((6, 6, 8, 1), low=1, high=200, stages=[(1, 2), (3, 3), (1, 9), (2, 4)])
    assert (free.blocks, free.count(), free.ranges) == (None, 54, ["1-2", "3", "1-9", "2-4"])


def test_counting_lists_nothing() -> None:
    assert Space.of((1,) * 7, low=1, high=200, stages=[(1, 200)] * 7).count() == 200**7


def test_allocations_are_in_the_order_of_their_numbers() -> None:
    depths = Space.of((2, 4, 14, 1), low=1, high=200).depths()
    assert depths[0].tolist() == [1, 1, 1, 18]
    assert np.array_equal(depths, depths[np.lexsort(depths.T[::-1])])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": [(2, 6)]}, "the network has 4 stages: give as many ranges, one for each, found 1"),
        (
            {"stages": [(6, 2), (1, 1), (1, 1), (1, 1)]},
            "the range of stage 1 is empty, 6-2; allowed: the smaller number first",
        ),
        ({"stages": [(1, 1), (0, 2), (1, 1), (1, 1)]}, "stage 2 has from 1 to 200 blocks, found 0-2"),
        ({"stages": [(1, 1), (2, 201), (1, 1), (1, 1)]}, "stage 2 has from 1 to 200 blocks, found 2-201"),
        (
            {"blocks": 3},
            "3 blocks cannot be spread over 4 stages of 1-200, 1-200, 1-200, 1-200; allowed: from 4 to 800",
        ),
        (
            {"blocks": 20, "stages": [(1, 2), (1, 2), (3, 3), (1, 9)]},
            "20 blocks cannot be spread over 4 stages of 1-2, 1-2, 3-3, 1-9; allowed: from 6 to 16",
        ),
    ],
)
def test_what_is_no_space_is_said_in_a_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        Space.of((6, 6, 8, 1), low=1, high=200, **options)  # type: ignore[arg-type]
    assert str(error.value) == message


@pytest.mark.parametrize("text", ["", "-", "2-", "-2", "2-3-4", "a", "1.5", "2–6", " 3", "1" * 10, "٣"])
def test_a_range_is_written_plainly(text: str) -> None:
    with pytest.raises(UsageError, match="the blocks of a stage are written 2-6 or 3, found "):
        parse_range(text)
