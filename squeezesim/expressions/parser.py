"""Text → Condition, by recursive descent: a method for each line of the grammar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any, NoReturn

from squeezesim.errors import nearest
from squeezesim.expressions.condition import Condition
from squeezesim.expressions.terms import (
    COMPARISONS,
    Columns,
    Masks,
    Part,
    Side,
    Truth,
    both,
    combined,
    compared,
    negated,
    without_share,
)
from squeezesim.expressions.tokens import Token, mistake, tokens
from squeezesim.expressions.units import LITERALS, PLAIN, unit_of

_NO_NUMBER = "not a number; allowed: one such as 1300, 1M, 1.3ms or 4MiB"
_DEEPEST = 32
_DIGITS, _EXPONENT = 30, 99
_INSTEAD = {"=": "==", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not"}
_WORDS = ("and", "or", "not")


def parse(text: str, names: Iterable[str]) -> Condition:
    """Return the condition that *text* says of *names*.

    Raises:
        UsageError: it is none; the line is followed by the condition and a caret at the mistake.

    Example:
        >>> parse("latency_us <= 1.3ms and params < 1M", ["latency_us", "params"]).names
        ('latency_us', 'params')
    """
    return _Parser(text, tuple(names)).condition()


def quantity(text: str, name: str) -> float:
    """Return the number that *text*, such as ``1.3ms`` or ``1M``, means for the column *name*.

    Raises:
        UsageError: it is no number, or one of another unit.

    Example:
        >>> quantity("1.3ms", "latency_us"), quantity("1M", "params")
        (1300.0, 1000000.0)
    """
    return _Parser(text, ()).quantity(name)


class _Parser:
    """Reads one condition from left to right, a method for each line of the grammar."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self.text, self.allowed = text, names
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
        unit = unit_of(name)
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
        return Side(token.at, unit_of(name), lambda columns: columns[name])

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
