"""Inputs whose file leaves sizes open: the user says them, and they must fit the others."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from math import prod

from squeezesim.errors import ModelError, nearest
from squeezesim.network.checks import MAX_COUNT, MAX_SIZE, show

Shape = tuple[int, ...]

_LONGEST_EXAMPLE = 60


def check_names(given: Iterable[str], names: Sequence[str]) -> None:
    """Check that every given shape is of an input.

    Raises:
        ModelError: one is not.
    """
    for name in given:
        if name not in names:
            raise ModelError(f"has no input {show(name)}; it has {', '.join(names)}{nearest(name, names)}")


def filled(
    name: str,
    sizes: Sequence[int | None],
    labels: Mapping[int, str],
    given: Sequence[int] | None,
    batch: int | None,
) -> Shape:
    """Return the shape of the input *name*: its *sizes*, None being open, as *given*, or *batch* for the first.

    Raises:
        ModelError: a size is open and not given, or what is given does not fit; names the input and the dimension,
            which *labels* may have a word for.
    """
    written = "x".join(labels.get(i, "?") if size is None else str(size) for i, size in enumerate(sizes))
    if given is not None:
        shape = tuple(given)
        check_shape(f"input {show(name)}", shape)
        if len(shape) != len(sizes) or any(a not in (None, b) for a, b in zip(sizes, shape, strict=True)):
            found = "x".join(map(str, shape)) or "a value without a shape"
            raise ModelError(f"input {show(name)} is {written or 'a scalar'}; {found} does not fit")
        return shape
    shape = ()
    for index, size in enumerate(sizes):
        known = batch if index == 0 and batch is not None else size
        if known is None:
            label = show(labels.get(index, "?"))
            raise ModelError(
                f"input {show(name)} is {written}: dimension {index}, {label}, is open; give its shape"
                f"{_example(name, sizes)}"
            )
        if size not in (None, known):
            raise ModelError(f"input {show(name)} is {written}; a batch of {known} does not fit")
        shape = (*shape, known)
    check_shape(f"input {show(name)}", shape)
    return shape


def _example(name: str, sizes: Sequence[int | None]) -> str:
    """How a shape is given on the command line, with a batch of 1 and 128 for any other size that is open."""
    if not name.isprintable() or len(name) > _LONGEST_EXAMPLE:
        return ""
    filled_in = [(128 if index else 1) if size is None else size for index, size in enumerate(sizes)]
    return f", such as --input {shlex.quote(name)}={'x'.join(map(str, filled_in))}"


def check_shape(what: str, shape: Sequence[int]) -> None:
    """Check that a tensor can be counted.

    Raises:
        ModelError: a size is negative or too large, or there are too many elements.
    """
    if any(type(size) is not int or not 0 <= size <= MAX_SIZE for size in shape):
        raise ModelError(f"{what}: sizes must be from 0 to {MAX_SIZE}, found {show(tuple(shape))}")
    if prod(shape) > MAX_COUNT:
        raise ModelError(f"{what}: {show(tuple(shape))} has more than {MAX_COUNT} elements")
