"""Shapes as text."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.errors import UsageError
from squeezesim.load.shapes import (
    MAX_ELEMENTS,
    MAX_SIZE,
    Values,
    parse_named,
    parse_named_shapes,
    parse_shape,
)


def test_a_size_that_is_too_large_is_called_so() -> None:
    with pytest.raises(
        UsageError, match=r"input 'x': sizes must be .* to 2147483648, found \(99999999999, 64\)"
    ):
        parse_named("x=99999999999x64")


@pytest.mark.parametrize("text", ["sr=abc", "sr=", "sr=1e", "sr=1*2"])
def test_what_is_neither_a_shape_nor_a_value(text: str) -> None:
    with pytest.raises(UsageError, match=r"with a value as name=\+16000"):
        parse_named(text)


def test_shapes_as_text() -> None:
    assert parse_shape("3X227x1") == (3, 227, 1)
    assert parse_named_shapes(["x=1x3x8x8", "y=5"]) == {"x": (1, 3, 8, 8), "y": (5,)}
    for text in ("", "x", "3x", "3*4", "3x2.5", "٣x4", "9999999999", "2147483649", "3 x 4"):
        with pytest.raises(UsageError):
            parse_shape(text)
    for texts in (["1x3"], ["x=1", "x=2"], ["=3"], ["x="]):
        with pytest.raises(UsageError):
            parse_named_shapes(texts)


@pytest.mark.parametrize(
    ("text", "name", "shape", "dtype"),
    [
        ("images:0=2x3x32x32", "images:0", (2, 3, 32, 32), ""),
        ("images:0=2x3:int64", "images:0", (2, 3), "int64"),
        ("a=b:c =5", "a=b:c ", (5,), ""),
        ("x=2147483648", "x", (2**31,), ""),
        ("e=0x8", "e", (0, 8), ""),
        ("pk=1x2x0x8:float16", "pk", (1, 2, 0, 8), "float16"),
    ],
)
def test_names_hold_any_character(text: str, name: str, shape: tuple[int, ...], dtype: str) -> None:
    assert parse_named(text) == (name, shape, dtype)


@pytest.mark.parametrize(
    ("text", "value"),
    [("+16000", 16000), ("-3", -3), ("0.5", 0.5), ("true", True), ("false", False), ("[1,2]", [1, 2])],
)
def test_values_of_inputs(text: str, value: object) -> None:
    found = parse_named(f"sr={text}")[1]
    assert isinstance(found, Values)
    assert found.array.tolist() == value
    assert found.array.dtype == np.asarray(value).dtype


@pytest.mark.parametrize(
    "text", ["x=[1,", "x=[[1],2]", 'x=["a"]', "x=[]", "x=1x2:", "x=+", "x=+1x2", f"x=[{'1,' * 1024}1]"]
)
def test_mistakes_of_named_inputs(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_named(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


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
    assert all(0 <= size <= MAX_SIZE for size in shape)
    assert prod(shape) <= MAX_ELEMENTS
