from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.cost.mapspace import Window, input_extent, tile_sizes
from squeezesim.reference.pipeline import touched


@given(st.integers(1, 4000), st.integers(1, 64))
def test_sizes_are_ceilings_and_their_multiples(extent: int, multiple: int) -> None:
    ceilings = {-(-extent // i) for i in range(1, extent + 1)}
    rounded = {min(-(-size // multiple) * multiple, extent) for size in ceilings}
    assert tile_sizes(extent, multiple).tolist() == sorted(ceilings | rounded)


@pytest.mark.parametrize("extent", [65_537, 1_000_000, 2**31])
def test_long_axes_offer_few_sizes(extent: int) -> None:
    sizes = tile_sizes(extent, 16)
    assert len(sizes) <= 1024
    assert -(-extent // sizes[0]) <= 65_536
    assert sizes[-1] == extent


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
    counted = touched(start, size, (stride, taps, dilation, padding, available), skip)
    assert input_extent(np.array([start]), np.array([size]), columns, skip)[0] == counted
