"""Arguments of Python functions that had another name before: the earlier one still works as a keyword."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def formerly(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that takes an argument by its earlier name too; *names* are earlier → present ones.

    Example:
        >>> @formerly(hw="accelerator")
        ... def show(accelerator):
        ...     return accelerator
        >>> show(hw="os_32x32")
        'os_32x32'
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **given: P.kwargs) -> R:
            for earlier, present in names.items():
                if earlier in given and present in given:
                    raise TypeError(
                        f"{function.__name__}() got {present!r} and {earlier!r}, its earlier name"
                    )
                if earlier in given:
                    given[present] = given.pop(earlier)
            return function(*args, **given)

        return call

    return decorate
