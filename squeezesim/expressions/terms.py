"""What the sides of a comparison and its truth are: functions of columns, with the unit of a side."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.expressions.units import SHARE, Unit

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]
Value = Callable[[Columns], Floats]
Masks = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""Where something is true, and where it is false; what depends on a number that is missing is neither."""
Truth = Callable[[Columns, Columns | None], Masks]
"""A function of the columns and of those of the baseline."""

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


@dataclass(frozen=True, slots=True)
class Side:
    """A side of a comparison, or a part of one.

    Attributes:
        at: where it starts in the text.
        unit: the unit of ``value``.
        value: a function of the columns.
        exact: its value where no name is in it.
        change: 0.02 of ``+2%``, which stands for 1.02 times what the other side is in the baseline.
    """

    at: int
    unit: Unit
    value: Value
    exact: Fraction | None = None
    change: Fraction | None = None

    @classmethod
    def number(cls, at: int, exact: Fraction, unit: Unit) -> Side:
        """Return a constant."""
        constant = np.float64(exact)
        return cls(at, unit, lambda _: np.asarray(constant), exact)

    def within(self, unit: Unit) -> Side:
        """Return the same quantity in *unit*."""
        factor = self.unit.scale / unit.scale
        if self.exact is not None:
            return self.number(self.at, self.exact * factor, unit)
        value, times = self.value, float(factor)
        return Side(self.at, unit, value if factor == 1 else lambda columns: value(columns) * times)


Part = Truth | Side


def compared(compare: Callable[[Any, Any], Any], one: Floats, other: Floats) -> Masks:
    """Return where a comparison is true and where it is false."""
    known = ~(np.isnan(one) | np.isnan(other))
    true = compare(one, other)
    return true & known, ~true & known


def both(one: Truth, other: Truth) -> Truth:
    """Return the truth of ``one and other``."""

    def truth(columns: Columns, baseline: Columns | None) -> Masks:
        (true, false), (too, nor) = one(columns, baseline), other(columns, baseline)
        return true & too, false | nor

    return truth


def negated(one: Truth) -> Truth:
    """Return the truth of ``not one``."""

    def truth(columns: Columns, baseline: Columns | None) -> Masks:
        true, false = one(columns, baseline)
        return false, true

    return truth


def combined(sign: str, one: Side, other: Side, unit: Unit) -> Side:
    """Return a sum, difference, product or quotient, which is in *unit*."""
    apply, left, right = _ARITHMETIC[sign], one.value, other.value
    return Side(one.at, unit, lambda columns: apply(left(columns), right(columns)))


def without_share(side: Side) -> Side:
    """Return a share as a factor, 0.5 for 50%, and anything else as it is."""
    return side.within(SHARE) if side.unit.is_share else side
