from __future__ import annotations

from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.report.axes import Axis, axes
from squeezesim.report.report import Report
from tests.report.cases import few, reports


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


@few
@given(reports())
def test_what_is_not_filled_is_the_edge_loss(made: Report) -> None:
    """While the array multiplies, PEs without an item are those that the loss accounting calls edge."""
    for index, (layer, row) in enumerate(zip(made.network.layers, made.rows(), strict=True)):
        if not row["macs"]:
            continue
        tile, pointwise = made.costs.tile[0, index].tolist(), bool(made.costs.pointwise[0, index])
        laid = axes(layer, row["dataflow"], tile, pointwise, made.accelerator.array)
        if laid:
            expected = 1 - prod(axis.filled for axis in laid)
            busy = row["executed_macs"] + row["lost_zeros"]
            assert row["lost_edge"] / (busy + row["lost_edge"]) == pytest.approx(expected)
