from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.mapspace import Window, input_extent, tile_sizes
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Layer
from squeezesim.reference.pipeline import touched


@given(st.integers(1, 4000), st.integers(1, 64))
def test_sizes_are_ceilings_and_their_multiples(extent: int, multiple: int) -> None:
    ceilings = {-(-extent // i) for i in range(1, extent + 1)}
    rounded = {min(-(-size // multiple) * multiple, extent) for size in ceilings}
    assert tile_sizes(extent, (multiple,)).tolist() == sorted(ceilings | rounded)


@pytest.mark.parametrize("extent", [65_537, 1_000_000, 2**31])
def test_long_axes_offer_few_sizes(extent: int) -> None:
    coarse, sizes = tile_sizes(extent, (16,), has_halo=True), tile_sizes(extent, (16,))
    assert len(sizes) <= 1024 + 2 * 16
    assert -(-extent // coarse[0]) <= 65_536
    assert coarse[-1] == extent
    assert set(coarse.tolist()) <= set(sizes.tolist())
    small = sizes[sizes < coarse[0]].tolist()
    assert {size for size in small if size % 16} == {1 << i for i in range(4) if 1 << i < coarse[0]}
    assert all(below < above <= 2 * below for below, above in pairwise([*small, int(coarse[0])]))
    assert sizes[0] == 1


def test_a_product_of_very_many_rows_has_tiles_that_fit() -> None:
    rows = 2**31
    layer = Layer.matmul("long", m=rows, n=64, k=64)
    for name in ("squeezelerator_8x8", "squeezelerator_16x16", "os_32x32"):
        machine = Accelerator.named(name)
        costs = evaluate([layer], [machine])
        bits = machine.precision.activation_bits
        assert costs.dram_bytes[0, 0].tolist()[0] >= rows * 64 * bits // 8
        assert costs.cycles[0, 0] <= 4 * layer.macs / machine.array.pes


@given(
    start=st.integers(0, 6),
    size=st.integers(1, 6),
    window=st.tuples(
        st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(0, 4), st.integers(1, 30)
    ),
    skip=st.booleans(),
)
def test_input_extent_counts_positions(start: int, size: int, window: tuple[int, ...], skip: bool) -> None:
    stride, taps, dilation, padding, available = window
    columns = Window(*(np.array([value]) for value in window))
    counted = len(touched(start, size, (stride, taps, dilation, padding, available), skip))
    assert input_extent(np.array([start]), np.array([size]), columns, skip)[0] == counted
