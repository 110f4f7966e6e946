from __future__ import annotations

from itertools import product
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from squeezesim.report.axes import Axis


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=3), st.integers(1, 9))
def test_passes_are_those_of_the_tiles_one_by_one(sizes: list[tuple[int, int]], width: int) -> None:
    cuts = tuple((extent, min(tile, extent)) for extent, tile in sizes)
    tiles = [[min(tile, extent - start) for start in range(0, extent, tile)] for extent, tile in cuts]
    expected = sum(-(-prod(tile) // width) for tile in product(*tiles))
    axis = Axis("item{s}", cuts, width, "rows")
    assert axis.passes == expected
    assert axis.filled == axis.items / (expected * width) <= 1


def test_one_item_is_singular() -> None:
    assert str(Axis("item{s}", ((1, 1),), 4, "rows")) == "1 item fills 1 of 4 rows"
    assert str(Axis("item{s}", ((9, 9),), 8, "rows")) == "9 items fill 56.2 % of 8 rows in 2 passes"
