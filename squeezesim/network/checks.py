"""What a layer and a network may say: types, ranges and edges, for they may come from a stranger's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from squeezesim.errors import ModelError

if TYPE_CHECKING:
    pass

MAX_SIZE = 2**31
"""Largest loop size."""

MAX_COUNT = 2**50
"""Largest product of loop sizes and largest count of elements: bits and cycles still fit 64-bit integers."""


MAX_TEXT = 1000
"""Longest name."""


def show(value: object) -> str:
    """Return *value* for an error message, on one line and never long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list nested without end
        return f"a {type(value).__name__}"
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_text(where: str, value: Any, *, empty: bool = True) -> None:
    """Check that *value* is text that can be printed on one line.

    Raises:
        ModelError: it is not; *where* says what it is for.
    """
    if type(value) is not str or len(value) > MAX_TEXT or not value.isprintable() or not (value or empty):
        limits = f"{'' if empty else 'non-empty '}printable text of at most {MAX_TEXT} characters"
        raise ModelError(f"{where} must be {limits}, found {show(value)}")
