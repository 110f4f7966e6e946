from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.errors import UsageError
from squeezesim.expressions import parse, quantity

NAMES = ("params", "latency_us")

MISTAKES = [
    ("", 1, "unexpected the end; allowed: a name, a number or ("),
    ("latncy_us > 2", 1, "unknown name 'latncy_us'; allowed: params, latency_us; did you mean 'latency_us'?"),
    ("params = 3", 8, "unexpected '='; allowed: =="),
    ("params > 1 && params < 3", 12, "unexpected '&&'; allowed: and"),
    ("params > 1 || params < 3", 12, "unexpected '||'; allowed: or"),
    ("! params > 1", 1, "unexpected '!'; allowed: not"),
    ("params > 3 4", 12, "unexpected '4'; allowed: and, or, an operator or the end"),
    ("(params > 3", 12, "unexpected the end; allowed: an operator or )"),
    ("params > 3)", 11, "unexpected ')'; allowed: and, or, an operator or the end"),
    ("params $ 3", 8, "unexpected '$'"),
    ("params > and", 10, "unexpected 'and'; allowed: a name, a number or ("),
    ("params ** 2 > 1", 9, "unexpected '*'; allowed: a name, a number or ("),
    ("params", 1, "a number where a comparison belongs, such as latency_us <= 1.3ms"),
    ("not params", 1, "a number where a comparison belongs, such as latency_us <= 1.3ms"),
    ("params > 1 and 2", 12, "a number where a comparison belongs, such as latency_us <= 1.3ms"),
    ("(params > 1) + 1 > 2", 14, "a comparison where a number belongs"),
    ("(params > 1) > 2", 14, "a comparison where a number belongs"),
    ("1 < 2", 3, "two numbers are compared; allowed: a name on one side"),
    ("2 > +3%", 3, "a change is of a name on the other side, as in latency_us > +2%"),
    ("+3% > +2%", 5, "a change is of a name on the other side, as in latency_us > +2%"),
    ("latency_us > 1 + +2%", 18, "a change stands alone on its side, as in latency_us > +2%"),
    ("latency_us > 2 * (-5%)", 19, "a change stands alone on its side, as in latency_us > +2%"),
    ("params > 1 / 0", 14, "a division by zero"),
    ("params > 1e100", 10, "a number of this size; allowed: 30 digits, exponents up to 99"),
    (
        "params < 1e000000000000000000000000000000999999999",
        10,
        "a number of this size; allowed: 30 digits, exponents up to 99",
    ),
    (f"params < 1e-{'9' * 400}", 10, "a number of this size; allowed: 30 digits, exponents up to 99"),
    (f"params > {'9' * 31}", 10, "a number of this size; allowed: 30 digits, exponents up to 99"),
    ("(" * 33 + "params > 1", 33, "nested deeper than 32 levels"),
    ("-" * 33 + "params > 1", 33, "nested deeper than 32 levels"),
    ("not " * 33 + "params > 1", 129, "nested deeper than 32 levels"),
]


@pytest.mark.parametrize(("text", "at", "message"), MISTAKES, ids=[text[:20] for text, *_ in MISTAKES])
def test_a_caret_points_at_the_mistake(text: str, at: int, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, NAMES)
    assert str(caught.value) == f"in a condition, at character {at}: {message}\n  {text}\n  {' ' * (at - 1)}^"


def test_zeros_before_an_exponent_do_not_count() -> None:
    zeros = "0" * 100
    assert quantity(f"1e{zeros}3", "params") == quantity(f"1e+{zeros}3", "params") == 1000
    assert quantity(f"1e-{zeros}3", "latency_us") == 0.001


def test_an_unknown_unit_has_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        parse("latency_us > 3 mss", NAMES)
    first, line, caret = str(caught.value).splitlines()
    assert first.startswith("in a condition, at character 16: unknown unit 'mss'; allowed: k, M, G, T, Ki, ")
    assert first.endswith("; did you mean 'ms'?")
    assert (line, caret) == ("  latency_us > 3 mss", "                 ^")


def test_what_is_not_printable_is_not_printed() -> None:
    with pytest.raises(UsageError) as caught:
        parse("params >\x1b[31m 1", NAMES)
    assert str(caught.value).splitlines() == [
        r"in a condition, at character 9: unexpected '\x1b'",
        "  params > [31m 1",
        "          ^",
    ]


def test_a_text_of_any_length_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"^a condition has 1,000,000 characters; allowed: at most 1,000$"):
        parse("(" * 10**6, NAMES)


PIECES = st.sampled_from(
    [
        *NAMES,
        "and",
        "or",
        "not",
        "(",
        ")",
        "<",
        ">=",
        "==",
        "=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "2",
        "1.5",
        "ms",
        "M",
        "e9",
    ]
)


@given(st.text() | st.lists(PIECES, max_size=12).map(" ".join) | st.lists(PIECES, max_size=12).map("".join))
def test_any_text_is_a_condition_or_a_mistake(text: str) -> None:
    with contextlib.suppress(UsageError):
        condition = parse(text, NAMES)
        values: dict[str, float | None] = {"params": 1.5, "latency_us": 2.0}
        assert condition.holds(values, values) in (True, False)
    with contextlib.suppress(UsageError):
        assert isinstance(quantity(text, "latency_us"), float)
