"""What a layer and a network may say: types, ranges and edges, for they may come from a stranger's file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from squeezesim.errors import ModelError
from squeezesim.escapes import visible

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

MAX_SIZE = 2**31
"""Largest loop size."""

MAX_COUNT = 2**50
"""Largest product of loop sizes and largest count of elements: bits and cycles still fit 64-bit integers."""


MAX_TEXT = 1000
"""Longest name."""


def derive(record: Record, **changes: Any) -> Record:
    """Return *record*, a frozen dataclass that was checked, with *changes* of its fields, and check nothing again.

    It is for values that are in range because those of checked records are: a part of a name, a smaller size, fewer
    params. What a user, a file or a traced model says, and sums and products, go through the constructor or
    ``dataclasses.replace``, which check, or through the check of that field.
    """
    made = object.__new__(type(record))
    for name in _field_names(type(record)):
        object.__setattr__(made, name, changes.pop(name) if name in changes else getattr(record, name))
    if changes:
        raise TypeError(f"{type(record).__name__} has no field {', '.join(changes)}")
    return made


@cache
def _field_names(record: type[DataclassInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record))


def show(value: object) -> str:
    """Return *value* for an error message, on one line and never long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list nested without end
        return f"a {type(value).__name__}"
    text = visible(text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def shape_text(sizes: Sequence[int | None], times: str = "x") -> str:
    """Return how a shape is written, a size that is not known as ``?``: ``1x3x224x224``, ``?x64``, ``scalar``."""
    return times.join("?" if size is None else str(size) for size in sizes) or "scalar"


def check_text(where: str, value: Any, *, empty: bool = True) -> None:
    """Check that *value* is text that can be printed on one line.

    Raises:
        ModelError: it is not; *where* says what it is for.
    """
    if type(value) is not str or len(value) > MAX_TEXT or not value.isprintable() or not (value or empty):
        limits = f"{'' if empty else 'non-empty '}printable text of at most {MAX_TEXT} characters"
        raise ModelError(f"{where} must be {limits}, found {show(value)}")
