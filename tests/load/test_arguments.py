"""Arguments of factories as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.errors import ModelError
from squeezesim.load.shapes import parse_arguments


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("-2", -2),
        ("1.5", 1.5),
        (".5e-3", 0.0005),
        ("2-4-14-1", (2, 4, 14, 1)),
        ("true", True),
        ("False", False),
        ("none", None),
        ("relu", "relu"),
        ("", ""),
        ("1_0", "1_0"),
        ("٣", "٣"),
        ("inf", "inf"),
        ("9" * 30, "9" * 30),
        ("2-", "2-"),
        ("a=b", "a=b"),
    ],
)
def test_values(text: str, value: object) -> None:
    name, arguments = parse_arguments(f"make@x={text}", {"y": 1})
    assert (name, arguments) == ("make", {"x": value, "y": 1})
    assert type(arguments["x"]) is type(value)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        name, arguments = parse_arguments(text, {})
        message = ""
    except ModelError as error:
        name, arguments, message = "", {}, str(error)
    assert "\n" not in message
    assert text.startswith(name)
    assert all(key.isidentifier() for key in arguments)
