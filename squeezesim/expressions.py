"""Units: those that a number may be written with, and the one that a column's name carries.

Conditions on columns, such as ``latency_us > +2%`` or ``params < 1M and dram_bytes <= 4MiB``; nothing is evaluated.

Grammar, loosest first::

    condition   and · or · not, comparisons, parentheses
    comparison  side (< <= > >= == !=) side …     0 < x <= 5 is 0 < x and x <= 5
    side        +2% or -5%: a change from the baseline of what stands on the other side; else a sum
    sum         numbers, names and parentheses with + - * /
    number      1300, 1.3e3, 1M, 4Ki, 1.3ms, 4MiB, 60%

A number without a unit is in the unit of the column that it meets, one with a unit is converted to it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NoReturn, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from squeezesim.errors import UsageError, nearest


@dataclass(frozen=True, slots=True)
class Unit:
    """A product of powers of base units (s, J, B; ``%`` for shares of a whole) and its size in those.

    Example:
        >>> unit_of("latency_us").scale
        Fraction(1, 1000000)
    """

    scale: Fraction = Fraction(1)
    seconds: int = 0
    joules: int = 0
    bytes: int = 0
    is_share: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether this is no unit, so that a number takes the one of the column that it meets."""
        return self.dimension == Unit().dimension

    @property
    def dimension(self) -> tuple[int, int, int, bool]:
        """What two quantities must have in common to be compared."""
        return self.seconds, self.joules, self.bytes, self.is_share

    def times(self, other: Unit, power: int = 1) -> Unit:
        """Return the unit of a product, or, for *power* -1, of a quotient."""
        return Unit(
            self.scale * other.scale**power,
            self.seconds + power * other.seconds,
            self.joules + power * other.joules,
            self.bytes + power * other.bytes,
        )

    def __str__(self) -> str:
        return _NAMES.get(self.dimension, "another quantity")


PLAIN = Unit()
SHARE = Unit(is_share=True)
_TIME, _ENERGY, _SIZE, _RATE = Unit(seconds=1), Unit(joules=1), Unit(bytes=1), Unit(seconds=-1)
_NAMES = {
    PLAIN.dimension: "a count",
    SHARE.dimension: "a share",
    _TIME.dimension: "a time",
    _ENERGY.dimension: "an energy",
    _SIZE.dimension: "a size in bytes",
    _RATE.dimension: "a rate",
}

_SI = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_IEC = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_PARTS = {"": 0, "m": 3, "u": 6, "µ": 6, "n": 9, "p": 12}


def _scaled(unit: Unit, factor: int | Fraction) -> Unit:
    return replace(unit, scale=unit.scale * factor)


def _literals() -> Mapping[str, tuple[Fraction, Unit]]:
    """What a number is multiplied by, and the unit that it then has."""
    one = Fraction(1)
    found = {prefix: (Fraction(value), PLAIN) for prefix, value in (_SI | _IEC).items()}
    found["%"] = (one, _scaled(SHARE, Fraction(1, 100)))
    for prefix, places in _PARTS.items():
        part = Fraction(1, 10**places)
        found[f"{prefix}s"] = (one, _scaled(_TIME, part))
        found[f"{prefix}J"] = (one, _scaled(_ENERGY, part))
    for prefix, value in ({"": 1} | _SI | _IEC).items():
        found[f"{prefix}B"] = (one, _scaled(_SIZE, value))
    for prefix, value in _SI.items():
        found[f"{prefix}Hz"] = (one, _scaled(_RATE, value))
    return found


LITERALS = _literals()
"""Suffix of a number → what multiplies it, and its unit."""

_SUFFIXES = {
    "_ns": LITERALS["ns"][1],
    "_us": LITERALS["us"][1],
    "_ms": LITERALS["ms"][1],
    "_uj": LITERALS["uJ"][1],
    "_bytes": _SIZE,
    "_kib": LITERALS["KiB"][1],
    "_gb_s": _scaled(_SIZE, 10**9).times(_TIME, -1),
    "_mhz": LITERALS["MHz"][1],
    "_percent": LITERALS["%"][1],
    "_relative": SHARE,
}
_WORDS_OF_UNITS = {"1": SHARE, "bytes": _SIZE}
NO_UNITS: Mapping[str, str] = {}
"""Columns whose names carry their units."""


def unit_of(column: str, units: Mapping[str, str] = NO_UNITS) -> Unit:
    """Return the unit that *units* says a column is in, else the one that its name, or a parameter's path, carries.

    Example:
        >>> str(unit_of("memory.global_buffer.size_kib")), str(unit_of("params"))
        ('a size in bytes', 'a count')
        >>> str(unit_of("utilization", {"utilization": "1"}))
        'a share'
    """
    written = units.get(column, "")
    if written in _WORDS_OF_UNITS:
        return _WORDS_OF_UNITS[written]
    if written in LITERALS:
        return LITERALS[written][1]
    return next((unit for suffix, unit in _SUFFIXES.items() if column.endswith(suffix)), PLAIN)


LONGEST = 1000
"""Characters of a condition."""

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)|(?P<word>[^\W\d][\w.]*)"
    r"|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/()<>=!&|%])|(?P<end>\Z)"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number or a sign, which starts at character *at* of the text."""

    kind: str
    text: str
    at: int


def tokens(text: str) -> Iterator[Token]:
    """Yield the words of *text*; the last one is of kind ``end``.

    Raises:
        UsageError: it is too long, or there is a character that no condition has.
    """
    if len(text) > LONGEST:
        raise UsageError(f"a condition has {len(text):,} characters; allowed: at most {LONGEST:,}")
    at = 0
    while True:
        at += len(text[at:]) - len(text[at:].lstrip())
        match = _TOKEN.match(text, at)
        if match is None:
            raise mistake(text, f"unexpected {text[at]!r}", at)
        kind = str(match.lastgroup)
        yield Token(kind, match[0], at)
        if kind == "end":
            return
        at = match.end()


def mistake(text: str, message: str, at: int) -> UsageError:
    """Return an error that shows *text* with a caret below its character *at*."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return UsageError(f"in a condition, at character {at + 1}: {message}\n  {line}\n  {' ' * at}^")


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


_NO_NUMBER = "not a number; allowed: one such as 1300, 1M, 1.3ms or 4MiB"
_DEEPEST = 32
_DIGITS, _EXPONENT = 30, 99
_INSTEAD = {"=": "==", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not"}
_WORDS = ("and", "or", "not")


def parse(text: str, names: Iterable[str], units: Mapping[str, str] = NO_UNITS) -> Condition:
    """Return the condition that *text* says of *names*; *units* are those that names do not carry, ``1`` of a share.

    Raises:
        UsageError: it is none; the line is followed by the condition and a caret at the mistake.

    Example:
        >>> parse("latency_us <= 1.3ms and params < 1M", ["latency_us", "params"]).names
        ('latency_us', 'params')
    """
    return _Parser(text, tuple(names), units).condition()


def quantity(text: str, name: str, units: Mapping[str, str] = NO_UNITS) -> float:
    """Return the number that *text*, such as ``1.3ms`` or ``1M``, means for the column *name*; see ``parse``.

    Raises:
        UsageError: it is no number, or one of another unit.

    Example:
        >>> quantity("1.3ms", "latency_us"), quantity("1M", "params")
        (1300.0, 1000000.0)
    """
    return _Parser(text, (), units).quantity(name)


class _Parser:
    """Reads one condition from left to right, a method for each line of the grammar."""

    def __init__(self, text: str, names: tuple[str, ...], units: Mapping[str, str]) -> None:
        self.text, self.allowed, self.units = text, names, units
        self.found: dict[str, None] = {}
        self.is_relative = False
        self.depth = 0
        self.tokens = list(tokens(text))
        self.next = 0

    def condition(self) -> Condition:
        truth = self._or()
        if self._peek().kind != "end":
            self._fail("and, or, an operator or the end")
        return Condition(self.text, tuple(self.found), self.is_relative, self._truth_of(truth, 0))

    def quantity(self, name: str) -> float:
        if all(token.kind != "number" for token in self.tokens):
            self._error(_NO_NUMBER, 0)
        number = self._side_of(self._signed(), 0)
        if self._peek().kind != "end" or number.exact is None or number.change is not None:
            self._error(_NO_NUMBER, 0)
        unit = unit_of(name, self.units)
        if not number.unit.is_plain:
            self._check_alike(Side(0, unit, number.value), number)
            number = number.within(unit)
        assert number.exact is not None
        return float(number.exact)

    def _or(self) -> Part:
        left = self._and()
        while self._peek().text == "or":
            at = self._take().at
            one, other = self._truth_of(left, at), self._truth_of(self._and(), at)
            left = negated(both(negated(one), negated(other)))
        return left

    def _and(self) -> Part:
        left = self._not()
        while self._peek().text == "and":
            at = self._take().at
            left = both(self._truth_of(left, at), self._truth_of(self._not(), at))
        return left

    def _not(self) -> Part:
        if self._peek().text != "not":
            return self._comparison()
        token = self._take()
        with self._deeper(token):
            return negated(self._truth_of(self._not(), token.at))

    def _comparison(self) -> Part:
        left = self._sum()
        truth: Truth | None = None
        while self._peek().text in COMPARISONS:
            sign = self._take()
            right = self._side_of(self._sum(), sign.at)
            pair = self._pair(self._side_of(left, sign.at), right, sign)
            truth = pair if truth is None else both(truth, pair)
            left = right
        return left if truth is None else truth

    def _pair(self, left: Side, right: Side, sign: Token) -> Truth:
        compare = COMPARISONS[sign.text]
        if right.change is not None:
            return self._relative(left, right.change, sign, compare)
        if left.change is not None:
            return self._relative(right, left.change, sign, lambda a, b: compare(b, a))
        if left.exact is not None and right.exact is not None:
            self._error("two numbers are compared; allowed: a name on one side", sign.at)
        left, right = self._alike(left, right)
        one, other = left.value, right.value
        return lambda columns, _: compared(compare, one(columns), other(columns))

    def _relative(
        self, side: Side, change: Fraction, sign: Token, compare: Callable[[Any, Any], Any]
    ) -> Truth:
        if side.exact is not None or side.change is not None:
            self._error("a change is of a name on the other side, as in latency_us > +2%", sign.at)
        self.is_relative = True
        value, factor = side.value, float(1 + change)

        def truth(columns: Columns, baseline: Columns | None) -> Masks:
            assert baseline is not None
            return compared(compare, value(columns), value(baseline) * factor)

        return truth

    def _sum(self) -> Part:
        left = self._product()
        while self._peek().text in ("+", "-"):
            sign = self._take()
            one, other = self._alike(*self._operands(left, self._product(), sign))
            left = combined(sign.text, one, other, other.unit if one.unit.is_plain else one.unit)
        return left

    def _product(self) -> Part:
        left = self._signed()
        while self._peek().text in ("*", "/"):
            sign = self._take()
            one, other = map(without_share, self._operands(left, self._signed(), sign))
            if sign.text == "/" and other.exact == 0:
                self._error("a division by zero", other.at)
            unit = one.unit.times(other.unit, 1 if sign.text == "*" else -1)
            left = combined(sign.text, one, other, unit)
            if unit.is_plain:
                left = left.within(PLAIN)
        return left

    def _signed(self) -> Part:
        token = self._peek()
        if token.text not in ("+", "-"):
            return self._primary()
        self._take()
        sign, is_change = Fraction(f"{token.text}1"), self._peek().kind == "number"
        with self._deeper(token):
            inside = self._side_of(self._signed(), token.at)
        if is_change and inside.unit.is_share and inside.exact is not None:
            return replace(inside, at=token.at, change=sign * inside.exact * inside.unit.scale)
        if inside.exact is not None:
            return Side.number(token.at, sign * inside.exact, inside.unit)
        value, times = inside.value, float(sign)
        return replace(inside, at=token.at, value=lambda columns: value(columns) * times)

    def _primary(self) -> Part:
        token = self._peek()
        if token.kind == "number":
            return self._number()
        if token.kind == "word" and token.text not in _WORDS:
            return self._name()
        if token.text != "(":
            self._fail("a name, a number or (")
        self._take()
        with self._deeper(token):
            inside = self._or()
        if self._peek().text != ")":
            self._fail("an operator or )")
        self._take()
        return inside

    def _number(self) -> Side:
        token = self._take()
        mantissa, _, exponent = token.text.lower().partition("e")
        power = exponent.lstrip("+-").lstrip("0")
        # The length first: to turn many digits into a number takes time, and a power of it no end.
        if len(mantissa) > _DIGITS or len(power) > _DIGITS or int(power or 0) > _EXPONENT:
            self._error(
                f"a number of this size; allowed: {_DIGITS} digits, exponents up to {_EXPONENT}", token.at
            )
        after = self._peek()
        if after.text != "%" and (after.kind != "word" or after.text in _WORDS):
            return Side.number(token.at, Fraction(token.text), PLAIN)
        self._take()
        name = after.text.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}")
        if name not in LITERALS:
            near = nearest(after.text, LITERALS)
            self._error(f"unknown unit {after.text!r}; allowed: {', '.join(LITERALS)}{near}", after.at)
        factor, unit = LITERALS[name]
        return Side.number(token.at, Fraction(token.text) * factor, unit)

    def _name(self) -> Side:
        token = self._take()
        name = token.text
        if name not in self.allowed:
            near = nearest(name, self.allowed)
            self._error(f"unknown name {name!r}; allowed: {', '.join(self.allowed)}{near}", token.at)
        self.found[name] = None
        return Side(token.at, unit_of(name, self.units), lambda columns: columns[name])

    def _alike(self, left: Side, right: Side) -> tuple[Side, Side]:
        """Both in one unit: that of the one which is no literal."""
        self._check_alike(left, right)
        if left.unit.is_plain or right.unit.is_plain:
            return left, right
        if left.exact is not None:
            return left.within(right.unit), right
        return left, right.within(left.unit)

    def _check_alike(self, left: Side, right: Side) -> None:
        one, other = (right, left) if left.exact is not None else (left, right)
        if one.unit.dimension == other.unit.dimension or other.unit.is_plain:
            return
        if one.unit.is_plain and other.exact is None and not other.unit.is_share:
            return
        hint = "; a change from the baseline has a sign, as +2%" if other.unit.is_share else ""
        self._error(f"{other.unit} beside {one.unit}{hint}", other.at)

    def _operands(self, left: Part, right: Part, sign: Token) -> tuple[Side, Side]:
        one, other = self._side_of(left, sign.at), self._side_of(right, sign.at)
        for side in (one, other):
            if side.change is not None:
                self._error("a change stands alone on its side, as in latency_us > +2%", side.at)
        return one, other

    def _side_of(self, part: Part, at: int) -> Side:
        if not isinstance(part, Side):
            self._error("a comparison where a number belongs", at)
        return part

    def _truth_of(self, part: Part, at: int) -> Truth:
        if isinstance(part, Side):
            self._error("a number where a comparison belongs, such as latency_us <= 1.3ms", at)
        return part

    @contextmanager
    def _deeper(self, token: Token) -> Iterator[None]:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._error(f"nested deeper than {_DEEPEST} levels", token.at)
        yield
        self.depth -= 1

    def _peek(self) -> Token:
        return self.tokens[self.next]

    def _take(self) -> Token:
        self.next += 1
        return self.tokens[self.next - 1]

    def _fail(self, wanted: str) -> NoReturn:
        token = self._peek()
        if token.text in _INSTEAD:
            self._error(f"unexpected {token.text!r}; allowed: {_INSTEAD[token.text]}", token.at)
        found = "the end" if token.kind == "end" else repr(token.text)
        self._error(f"unexpected {found}; allowed: {wanted}", token.at)

    def _error(self, message: str, at: int) -> NoReturn:
        raise mistake(self.text, message, at)


@dataclass(frozen=True)
class Condition:
    """A condition that ``parse`` read.

    Attributes:
        text: as it was written.
        names: the names in it, in the order in which they appear.
        is_relative: it compares with a baseline.
        truth: what it says of columns and of those of the baseline.
    """

    text: str
    names: tuple[str, ...]
    is_relative: bool
    truth: Truth

    @overload
    def holds(
        self, values: Mapping[str, float | None], baseline: Mapping[str, float | None] | None = None
    ) -> bool: ...

    @overload
    def holds(
        self, values: Mapping[str, NDArray[Any]], baseline: Mapping[str, ArrayLike | None] | None = None
    ) -> NDArray[np.bool_]: ...

    def holds(
        self,
        values: Mapping[str, Any],
        baseline: Mapping[str, Any] | None = None,
    ) -> bool | NDArray[np.bool_]:
        """Return whether the condition is true: of numbers a bool, of arrays an array.

        It is not where that depends on a number that is missing (None or not a number), negated or not.

        Args:
            values: a number or an array for each of ``names``; more do not matter.
            baseline: the same of what relative conditions compare with.

        Raises:
            UsageError: the condition is relative and there is no baseline.

        Example:
            >>> slower = parse("latency_us > +2%", ["latency_us"])
            >>> slower.holds({"latency_us": 103.0}, {"latency_us": 100.0})
            True
        """
        if self.is_relative and baseline is None:
            raise UsageError(
                f"{self.text!r} compares with a baseline, and there is none; allowed: numbers, as 1.3ms"
            )
        before = None if baseline is None or not self.is_relative else self._columns(baseline)
        with np.errstate(all="ignore"):
            true, _ = self.truth(self._columns(values), before)
        return true if true.ndim else bool(true)

    def _columns(self, values: Mapping[str, Any]) -> Columns:
        return {name: np.asarray(values[name], np.float64) for name in self.names}


__all__ = ["Condition", "parse", "quantity"]
