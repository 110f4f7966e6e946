"""What all sections of an accelerator file are made of: a frozen record, whole numbers, names that stand once."""

from __future__ import annotations

import math
from typing import Annotated, NoReturn, TypeVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A ``dict`` whose changing methods raise TypeError, so that an Accelerator stays hashable and constant.

    Example:
        >>> hash(FrozenDict({"dram": 100.0})) == hash(FrozenDict({"dram": 100.0}))
        True
    """

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[FrozenDict[K, V]], tuple[dict[K, V]]]:
        return type(self), (dict(self),)

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("an accelerator is frozen; use Accelerator.replace for a changed copy")

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = setdefault = pop = popitem = clear = _refuse


class Part(BaseModel):
    """A section of an accelerator: frozen, and without room for unknown keys."""

    # A validator is built when it is used: most parts are only ever validated as a part of an accelerator.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)


def number(value: object) -> object:
    """Return *value*, a number of numpy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def integer(value: object) -> object:
    """Return *value*; a whole float counts as an integer (``1e3``, a column of a DataFrame), a boolean does not."""
    value = number(value)
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value


WHOLE = BeforeValidator(integer)
FINITE = BeforeValidator(number)
Real = Annotated[float, Field(strict=True, allow_inf_nan=False), FINITE]
Integer = Annotated[int, Field(strict=True), WHOLE]


def unique(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return *values*.

    Raises:
        ValueError: one of them stands twice.
    """
    if len(set(values)) < len(values):
        repeated = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"names {repeated!r} twice; allowed: each name once")
    return values
