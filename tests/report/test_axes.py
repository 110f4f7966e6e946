from __future__ import annotations

from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import workload_of
from squeezesim.report.diagnosis import Axis, axes
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
    machine = Machine.of(made.accelerator)
    for index, (layer, row) in enumerate(zip(made.network.layers, made.rows(), strict=True)):
        if row["macs"]:
            work, _ = workload_of([layer], machine)
            laid = axes(work, row["dataflow"], made.costs.tile[0, index].tolist(), made.accelerator.array)
            busy = row["executed_macs"] + row["lost_zeros"]
            padded = work.valid[0] / work.pixels[0]
            expected = 1 - padded * prod(axis.filled for axis in laid)
            assert laid
            assert row["lost_edge"] / (busy + row["lost_edge"]) == pytest.approx(expected)
