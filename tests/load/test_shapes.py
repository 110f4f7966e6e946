"""Shapes as text."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.errors import UsageError
from squeezesim.load.shapes import MAX_ELEMENTS, MAX_SIZE, parse_named_shapes, parse_shape


def test_shapes_as_text() -> None:
    assert parse_shape("3X227x1") == (3, 227, 1)
    assert parse_named_shapes(["x=1x3x8x8", "y=5"]) == {"x": (1, 3, 8, 8), "y": (5,)}
    for text in ("", "x", "3x", "3*4", "3x2.5", "٣x4", "9999999999", "3 x 4"):
        with pytest.raises(UsageError):
            parse_shape(text)
    for texts in (["1x3"], ["x=1", "x=2"], ["=3"], ["x="]):
        with pytest.raises(UsageError):
            parse_named_shapes(texts)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_what_is_written_is_read(sizes: list[int]) -> None:
    assert parse_shape("x".join(map(str, sizes))) == tuple(sizes)


@given(st.text(st.sampled_from("0123456789xX-+._ e\x00٣"), max_size=30))
def test_any_text_is_in_range_or_refused(text: str) -> None:
    try:
        shape, message = parse_shape(text), ""
    except UsageError as error:
        shape, message = (1,), str(error)
    assert "\n" not in message
    assert all(1 <= size <= MAX_SIZE for size in shape)
    assert prod(shape) <= MAX_ELEMENTS
