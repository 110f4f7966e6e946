"""Values of one parameter, as texts such as ``8,16,32``, ``32:1024:x2`` or ``array.cols`` say them."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction

from squeezesim.errors import HardwareError, UsageError, nearest
from squeezesim.hardware.config import is_leaf, parameters, sections, unknown_path
from squeezesim.yaml_tree import plain_scalar

Value = object
"""What a parameter may hold: a number, a text, a list, or None."""

MOST = 100_000
"""Values of one parameter."""

_PATH = re.compile(r"[a-z_]+(\.[a-z_]+)+", re.IGNORECASE)
_FORMS = "allowed: from:to:step, from:to:xFACTOR, or from:to and from:to:log where designs are sampled"


@dataclass(frozen=True, slots=True)
class Axis:
    """The values that one parameter takes: some, all between two, or those of another parameter.

    Attributes:
        path: the parameter.
        values: in the order in which they were given; none of an interval and of a link.
        interval: least and greatest of all values between.
        is_log: values between are even on a logarithmic scale.
        link: the parameter whose values it takes.
    """

    path: str
    values: tuple[Value, ...] = ()
    interval: tuple[float, float] | None = None
    is_log: bool = False
    link: str | None = None

    def at(self, share: float) -> Value:
        """Return the value that *share*, from 0 to below 1, of the way through is.

        Example:
            >>> Axis("array.rows", (8, 16, 32)).at(0.5), Axis("array.rows", interval=(8, 64)).at(0.5)
            (16, 36)
        """
        if self.interval is None:
            return self.values[int(share * len(self.values))]
        low, high = self.interval
        if is_whole(self.path):
            low, high = math.ceil(low), math.floor(high)
            if self.is_log:
                return max(low, min(int(low * ((high + 1) / low) ** share), high))
            return max(low, min(int(low + math.floor(share * (high + 1 - low))), high))
        value = low * (high / low) ** share if self.is_log else low + share * (high - low)
        return max(low, min(value, high))  # rounding leads past an end


def parse_axis(path: str, given: str | Sequence[Value]) -> Axis:
    """Return the values that *given* means for the parameter *path*.

    Raises:
        HardwareError: there is no such parameter, or none that it takes the value of, with the nearest ones.
        UsageError: there is no value in *given*, or it is not written so.

    Example:
        >>> parse_axis("memory.global_buffer.size_kib", "32:128:x2").values
        (32, 64, 128)
    """
    if not is_leaf(path):
        raise HardwareError(unknown_path(path))
    if not isinstance(given, str):
        values = tuple(given)
    elif is_leaf(given):
        return Axis(path, link=given)
    else:
        if _is_like_a_path(given):
            raise HardwareError(f"{path}={given}: {unknown_path(given)}")
        pieces = [piece.strip() for piece in given.split(",")]
        if len(pieces) == 1 and (between := _between(path, pieces[0])):
            return between
        values = tuple(value for piece in pieces for value in _values(path, piece))
    if not values:
        raise UsageError(f"{path} has no values; allowed: one or more")
    distinct: dict[object, Value] = {}
    for value in values:
        distinct.setdefault(_key(value), value)
    return Axis(path, tuple(distinct.values()))


def is_whole(path: str) -> bool:
    """Return whether the parameter *path* takes integers alone."""
    return path in parameters() and parameters()[path].allowed.startswith("an integer")


def _key(value: Value) -> object:
    """What is the same for values of which one is enough, as 8 and 8.0."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)


def _is_like_a_path(given: str) -> bool:
    """Whether *given*, no parameter, is meant as one: words with dots between, the first almost a section's."""
    return bool(_PATH.fullmatch(given) and nearest(given.partition(".")[0], sections()[""]))


def _between(path: str, piece: str) -> Axis | None:
    """The axis of all values between two, if *piece* says one."""
    parts = piece.split(":")
    is_log = parts[2:] == ["log"]
    if len(parts) != 2 and not is_log:
        return None
    low, high = (_number(path, piece, part) for part in parts[:2])
    if low > high:
        raise UsageError(f"{path}: range {piece!r} is empty; {_FORMS}, from below to")
    if is_log and low <= 0:
        raise UsageError(f"{path}: range {piece!r} has no logarithm; allowed: from above 0")
    if is_whole(path) and math.ceil(low) > math.floor(high):
        raise UsageError(f"{path}: range {piece!r} holds no integer; allowed: {parameters()[path].allowed}")
    return Axis(path, interval=(float(low), float(high)), is_log=is_log)


def _values(path: str, piece: str) -> Iterator[Value]:
    parts = piece.split(":")
    if len(parts) == 1:
        yield _scalar(path, piece)
        return
    if len(parts) != 3:
        raise UsageError(f"{path}: {piece!r} is no range; {_FORMS}")
    low, high = _number(path, piece, parts[0]), _number(path, piece, parts[1])
    is_factor = parts[2].startswith("x")
    step = _number(path, piece, parts[2].removeprefix("x"))
    if step <= is_factor or (is_factor and low <= 0):
        raise UsageError(f"{path}: range {piece!r} never ends; allowed: a step above 0, a factor above 1")
    if low > high:
        raise UsageError(f"{path}: range {piece!r} is empty; {_FORMS}, from below to")
    factors: float | Fraction
    if is_factor:
        # Of logarithms the difference: the quotient of two numbers may be larger than any float.
        factors = (math.log(high) - math.log(low)) / max(math.log1p(step - 1), sys.float_info.min)
    else:
        factors = (high - low) / step
    if factors > MOST:
        raise UsageError(f"{path}: range {piece!r} has more than {MOST:,} values; allowed: at most that")
    for value in _multiples(low, high, step, int(factors) + 2) if is_factor else _steps(low, high, step):
        yield int(value) if value == int(value) else float(value)


def _steps(low: Fraction, high: Fraction, step: Fraction) -> Iterator[Fraction]:
    return (low + number * step for number in range(int((high - low) / step) + 1))


def _multiples(low: Fraction, high: Fraction, factor: Fraction, most: int) -> Iterator[Decimal]:
    """At most *most* values, each *factor* times the one before; with 60 digits, since a fraction's would never end."""
    with localcontext(Context(prec=60, Emin=-9999, Emax=9999)):
        value, last, times = (Decimal(n.numerator) / Decimal(n.denominator) for n in (low, high, factor))
        for _ in range(most):
            if value > last:
                return
            yield value
            value *= times


def _number(path: str, piece: str, text: str) -> Fraction:
    value = plain_scalar(text.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{path}: {text!r} in {piece!r} is no number; {_FORMS}")
    return Fraction(repr(value))


def _scalar(path: str, piece: str) -> Value:
    if not piece:
        raise UsageError(f"{path} has an empty value; allowed: values with commas between")
    known = parameters().get(path)
    if known is not None and known.allowed.startswith("a list"):
        return [] if piece == "none" else piece.split("+")
    return plain_scalar(piece)
