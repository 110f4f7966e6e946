"""Shapes of inputs: their text, their limits, and whether they have the batch."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from squeezesim.errors import UsageError
from squeezesim.network.checks import show

Shape = tuple[int, ...]

MAX_SIZE = 2**16
MAX_ELEMENTS = 2**31


def parse_shape(text: str) -> Shape:
    """Return the sizes of ``3x227x227``.

    Raises:
        UsageError: it is not sizes joined by ``x``, or a size is out of range.

    Example:
        >>> parse_shape("3x227x227")
        (3, 227, 227)
    """
    parts = text.lower().split("x")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise UsageError(f"a shape is written as sizes joined by 'x', such as 3x227x227, found {show(text)}")
    shape = tuple(map(int, parts))
    check_sizes(shape, "input")
    return shape


def parse_named_shapes(texts: Sequence[str]) -> dict[str, Shape]:
    """Return the shapes of ``name=1x3x224x224``, by name; they are literal, batch included.

    Raises:
        UsageError: one has no name, or two have the same.
    """
    shapes: dict[str, Shape] = {}
    for text in texts:
        name, equals, shape = text.partition("=")
        if not equals or not name or name in shapes:
            raise UsageError(f"named inputs are written name=1x3x224x224, each name once, found {show(text)}")
        shapes[name] = parse_shape(shape)
    return shapes


def literal_shape(
    given: str | Sequence[int] | None, batch: int | None, default: Shape | None
) -> Shape | None:
    """Return the shape with the batch; *default* is without it and, where there is one, tells the rank.

    Raises:
        UsageError: a size is out of range, or *given* has the batch already.
    """
    if given is None:
        return None if default is None else (batch or 1, *default)
    sizes = parse_shape(given) if isinstance(given, str) else tuple(given)
    without_batch = (
        isinstance(given, str) or batch is not None or (default is not None and len(sizes) == len(default))
    )
    if batch is not None and default is not None and len(sizes) > len(default):
        raise UsageError(
            f"input_shape {show(given)} says the batch already: batch = {batch} cannot be given with it"
        )
    shape = (batch or 1, *sizes) if without_batch else sizes
    check_sizes(shape, "input")
    return shape


def check_sizes(sizes: Sequence[int], what: str) -> None:
    """Check that every size is an integer in range, and that the tensor is not larger than any real one.

    Raises:
        UsageError: it is not; *what* names it.
    """
    if any(type(size) is not int or not 1 <= size <= MAX_SIZE for size in sizes) or not sizes:
        raise UsageError(f"{what}: sizes must be integers from 1 to {MAX_SIZE}, found {show(tuple(sizes))}")
    if prod(sizes) > MAX_ELEMENTS:
        raise UsageError(f"{what}: {show(tuple(sizes))} has more than {MAX_ELEMENTS} elements")
