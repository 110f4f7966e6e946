"""Conditions beside Python's own reading of the same text."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from squeezesim.errors import UsageError
from squeezesim.expressions import LITERALS, parse, quantity, unit_of
from squeezesim.report.metrics import units_by_name

NAMES = ("params", "macs", "cycles")
VALUES = st.fixed_dictionaries({name: st.integers(-4, 4).map(float) for name in NAMES})

names = st.sampled_from(NAMES)
numbers = st.sampled_from(["4", "1", "2.5", "3.", ".5", "1e1"])


def joined(operators: list[str], inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda a, sign, b: f"{a} {sign} {b}", inner, st.sampled_from(operators), inner)


def in_brackets(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return inner.map(lambda text: f"({text})")


sums = st.recursive(
    names | numbers | numbers.map(lambda text: f"-{text}"),
    lambda inner: joined(["+", "-", "*", "/"], inner) | in_brackets(inner) | names.map(lambda n: f"-{n}"),
    max_leaves=5,
)
signs = ["<", "<=", ">", ">=", "==", "!="]
comparisons = st.builds(
    # A name on the left of each sign, since two numbers are not compared.
    lambda name, pairs: " ".join([name, *(f"{sign} {name} + {side}" for sign, side in pairs)]),
    names,
    st.lists(st.tuples(st.sampled_from(signs), sums), min_size=1, max_size=3),
)
conditions = st.recursive(
    comparisons,
    lambda inner: joined(["and", "or"], inner) | in_brackets(inner) | inner.map(lambda text: f"not ({text})"),
    max_leaves=4,
)


def python(text: str, values: dict[str, float]) -> bool:
    try:
        return bool(eval(text, {"__builtins__": {}}, values))
    except ZeroDivisionError:
        assume(False)
        raise


@given(conditions, VALUES)
def test_a_condition_means_what_it_means_in_python(text: str, values: dict[str, float]) -> None:
    expected = python(text, values)
    assert parse(text, NAMES).holds(values) is expected


@given(conditions, st.lists(VALUES, min_size=1, max_size=5))
def test_of_arrays_it_says_what_it_says_of_each_entry(text: str, rows: list[dict[str, float]]) -> None:
    condition = parse(text, NAMES)
    columns = {name: np.array([row[name] for row in rows]) for name in NAMES}
    assert condition.holds(columns).tolist() == [condition.holds(row) for row in rows]


@given(conditions)
def test_blanks_do_not_matter(text: str) -> None:
    condition = parse(text, NAMES)
    for other in (f"  {text} ", text.replace(" + ", "+").replace("(", "( "), text.replace(" ", "\n\t ")):
        again = parse(other, NAMES)
        assert again.names == condition.names
        for number in range(-3, 4):
            values = {name: float(number + place) for place, name in enumerate(NAMES)}
            assert again.holds(values) == condition.holds(values)


@pytest.mark.parametrize(
    ("text", "unknown", "expected"),
    [
        ("params > 1", "params", False),
        ("not params > 1", "params", False),
        ("params != 1", "params", False),
        ("params > 1 or macs > 1", "params", True),
        ("params > 1 and macs > 1", "params", False),
        ("not (params > 1 and macs < 1)", "params", True),
        ("not (params > 1 or macs < 1)", "params", False),
        ("params + macs > 1", "params", False),
        ("macs > 1", "params", True),
    ],
)
@pytest.mark.parametrize("missing", [None, float("nan")])
def test_what_depends_on_a_missing_number_does_not_hold(
    text: str, unknown: str, missing: float | None, expected: bool
) -> None:
    assert parse(text, NAMES).holds({"params": 9, "macs": 9, unknown: missing}) is expected


@given(
    st.integers(1, 10**9),
    st.integers(1, 10**9),
    st.sampled_from([-100, -5, 0, 2, 250]),
    st.sampled_from(signs),
)
def test_a_change_is_relative_to_the_baseline(now: int, before: int, percent: int, sign: str) -> None:
    condition = parse(f"cycles {sign} {percent:+d}%", NAMES)
    assert condition.is_relative
    exact = {"<": now * 100 < before * (100 + percent), ">": now * 100 > before * (100 + percent)}
    equal = now * 100 == before * (100 + percent)
    assume(abs(now * 100 - before * (100 + percent)) > 1e-6 * now or (equal and percent == 0))
    expected = {
        "<": exact["<"],
        ">": exact[">"],
        "<=": exact["<"] or equal,
        ">=": exact[">"] or equal,
        "==": equal,
        "!=": not equal,
    }[sign]
    assert condition.holds({"cycles": now}, {"cycles": before}) is expected


@pytest.mark.parametrize(
    ("text", "now", "expected"),
    [
        ("-5% < cycles < +5%", 104, True),
        ("-5% < cycles < +5%", 105, False),
        ("-5% < cycles < +5%", 94, False),
        ("+5% <= cycles", 105, True),
        ("cycles * 2 > + 2 %", 103, True),
        ("cycles / params > +2%", 103, True),
        ("cycles > +2% and cycles > 200", 103, False),
        ("(cycles) > (+2%)", 103, True),
    ],
)
def test_changes_stand_on_either_side(text: str, now: float, expected: bool) -> None:
    values: dict[str, float | None] = {"cycles": now, "params": 7}
    assert parse(text, NAMES).holds(values, {"cycles": 100, "params": 7}) is expected


def test_a_baseline_of_arrays() -> None:
    condition = parse("cycles > +10%", NAMES)
    now, before = np.array([12, 12, 12]), np.array([10.0, 11, np.nan])
    assert condition.holds({"cycles": now}, {"cycles": before}).tolist() == [True, False, False]
    assert condition.holds({"cycles": now}, {"cycles": 11}).tolist() == [False] * 3


def test_a_change_needs_a_baseline() -> None:
    with pytest.raises(UsageError, match=r"^'cycles > \+2%' compares with a baseline, and there is none"):
        parse("cycles > +2%", NAMES).holds({"cycles": 1})
    assert not parse("cycles > 2", NAMES).is_relative


def test_names_are_those_in_the_text() -> None:
    condition = parse("macs > 1 or params < macs", NAMES)
    assert (condition.names, condition.text) == (("macs", "params"), "macs > 1 or params < macs")
    everything: dict[str, Any] = {"macs": 2, "params": 1, "network": "text", "unused": None}
    assert condition.holds(everything)


def test_whole_numbers_beyond_64_bits_do_not_wrap() -> None:
    large = {"macs": np.array([2**62]), "params": np.array([2**62])}
    assert parse("macs * params > 1", NAMES).holds(large).tolist() == [True]


def test_division_by_zero_is_no_error() -> None:
    columns = {"macs": np.array([1, 0]), "cycles": np.array([0, 0])}
    assert parse("macs / cycles > 5", NAMES).holds(columns).tolist() == [True, False]


# Column, unit, and what one of that unit is in the column's own.
UNITS = [
    ("latency_us", "", 1),
    ("latency_us", "ns", Fraction(1, 1000)),
    ("latency_us", "us", 1),
    ("latency_us", "µs", 1),
    ("latency_us", "\N{GREEK SMALL LETTER MU}s", 1),
    ("latency_us", "ms", 1000),
    ("latency_us", "s", 10**6),
    ("memory.dram.latency_ns", "us", 1000),
    ("energy_uj", "pJ", Fraction(1, 10**6)),
    ("energy_uj", "mJ", 1000),
    ("energy_uj", "J", 10**6),
    ("dram_bytes", "B", 1),
    ("dram_bytes", "kB", 1000),
    ("dram_bytes", "MB", 10**6),
    ("dram_bytes", "KiB", 1024),
    ("dram_bytes", "MiB", 2**20),
    ("dram_bytes", "GiB", 2**30),
    ("dram_bytes", "M", 10**6),
    ("memory.global_buffer.size_kib", "MiB", 1024),
    ("memory.global_buffer.size_kib", "B", Fraction(1, 1024)),
    ("clock_mhz", "GHz", 1000),
    ("params", "k", 1000),
    ("params", "M", 10**6),
    ("macs", "G", 10**9),
    ("macs", "T", 10**12),
    ("array.rows", "Ki", 1024),
    ("array.rows", "Mi", 2**20),
    ("utilization", "", 1),
    ("utilization", "%", Fraction(1, 100)),
    ("latency_relative", "%", Fraction(1, 100)),
    ("top1_percent", "", 1),
    ("top1_percent", "%", 1),
]


@pytest.mark.parametrize(("column", "unit", "factor"), UNITS)
@settings(max_examples=10)
@given(st.decimals(0, 1000, places=3), st.sampled_from(["", " "]))
def test_a_number_is_converted_exactly(
    column: str, unit: str, factor: Fraction, number: object, blank: str
) -> None:
    text = f"{number}{blank}{unit}"
    exact = float(Fraction(str(number)) * factor)
    units = units_by_name()
    assert quantity(text, column, units) == exact
    assert parse(f"{column} == {text}", [column], units).holds({column: exact})
    assert not parse(f"{text} < {column}", [column], units).holds({column: exact})


def test_the_examples_of_budgets() -> None:
    assert quantity("1.3ms", "latency_us") == 1300
    assert quantity("-1.5 k", "params") == -1500
    assert parse("latency_us<=1300", ["latency_us"]).holds({"latency_us": 1300})
    assert not parse("params<1M", ["params"]).holds({"params": 10**6})


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("macs / latency_us > 100", {"macs": 1001, "latency_us": 10}, True),
        ("cycles / clock_mhz <= 1ms", {"cycles": 1000, "clock_mhz": 1}, True),
        ("cycles / clock_mhz <= 1ms", {"cycles": 1001, "clock_mhz": 1}, False),
        ("dram_bytes / latency_us > 12GB / 1s", {"dram_bytes": 12001, "latency_us": 1}, True),
        ("dram_bytes / latency_us > 12GB / 1s", {"dram_bytes": 11999, "latency_us": 1}, False),
        ("latency_us / 1ms > 2", {"latency_us": 2001}, True),
        ("latency_us / 1ms > 2", {"latency_us": 1999}, False),
        ("latency_us - 1ms > 500us", {"latency_us": 1501}, True),
        ("1ms + latency_us > 500", {"latency_us": 1}, True),
        ("buffer_bytes > 50% * dram_bytes", {"buffer_bytes": 51, "dram_bytes": 100}, True),
        ("buffer_bytes > 50% * dram_bytes", {"buffer_bytes": 50, "dram_bytes": 100}, False),
        ("size_kib < buffer_bytes", {"size_kib": 1, "buffer_bytes": 1025}, True),
        ("size_kib < buffer_bytes", {"size_kib": 1, "buffer_bytes": 1024}, False),
        ("energy_uj * latency_us < 2000", {"energy_uj": 20, "latency_us": 99}, True),
        ("-latency_us < -1ms", {"latency_us": 1001}, True),
    ],
)
def test_units_go_through_arithmetic(text: str, values: dict[str, float], expected: bool) -> None:
    assert parse(text, values).holds(values) is expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("latency_us > 4MiB", "a size in bytes beside a time"),
        ("dram_bytes > 1ms", "a time beside a size in bytes"),
        ("params > 1ms", "a time beside a count"),
        ("1J < latency_us", "an energy beside a time"),
        ("latency_us + energy_uj > 1", "an energy beside a time"),
        ("latency_us > dram_bytes", "a size in bytes beside a time"),
        ("latency_us > 5%", "a share beside a time; a change from the baseline has a sign, as +2%"),
        ("params > 5%", "a share beside a count; a change from the baseline has a sign, as +2%"),
        ("latency_us * energy_uj > 1ms", "a time beside another quantity"),
    ],
)
def test_quantities_that_cannot_be_compared(text: str, found: str) -> None:
    names = ["latency_us", "dram_bytes", "params", "energy_uj"]
    with pytest.raises(UsageError) as caught:
        parse(text, names)
    assert str(caught.value).splitlines()[0].partition(": ")[2] == found


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "", "-", "params", "+2%", "1 < 2", "1 + params"])
def test_what_is_no_number_is_said(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        quantity(text, "params")
    first = str(caught.value).splitlines()[0]
    assert first.endswith(": not a number; allowed: one such as 1300, 1M, 1.3ms or 4MiB")


@pytest.mark.parametrize(
    ("text", "column"), [("4MiB", "latency_us"), ("+2%", "params"), ("x", "params"), ("", "params")]
)
def test_a_quantity_is_a_number_of_the_columns_kind(text: str, column: str) -> None:
    with pytest.raises(UsageError, match=r"^in a condition, at character 1: "):
        quantity(text, column)


def test_every_suffix_is_a_unit() -> None:
    for name, (factor, unit) in LITERALS.items():
        assert parse(f"params > 3 {name}", ["params"]) if unit.is_plain else factor == 1
    assert unit_of("bandwidth_gb_s").dimension == (-1, 0, 1, False)


KNOWN = ("params", "latency_us")

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
        parse(text, KNOWN)
    assert str(caught.value) == f"in a condition, at character {at}: {message}\n  {text}\n  {' ' * (at - 1)}^"


def test_zeros_before_an_exponent_do_not_count() -> None:
    zeros = "0" * 100
    assert quantity(f"1e{zeros}3", "params") == quantity(f"1e+{zeros}3", "params") == 1000
    assert quantity(f"1e-{zeros}3", "latency_us") == 0.001


def test_an_unknown_unit_has_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        parse("latency_us > 3 mss", KNOWN)
    first, line, caret = str(caught.value).splitlines()
    assert first.startswith("in a condition, at character 16: unknown unit 'mss'; allowed: k, M, G, T, Ki, ")
    assert first.endswith("; did you mean 'ms'?")
    assert (line, caret) == ("  latency_us > 3 mss", "                 ^")


def test_what_is_not_printable_is_not_printed() -> None:
    with pytest.raises(UsageError) as caught:
        parse("params >\x1b[31m 1", KNOWN)
    assert str(caught.value).splitlines() == [
        r"in a condition, at character 9: unexpected '\x1b'",
        "  params > [31m 1",
        "          ^",
    ]


def test_a_text_of_any_length_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"^a condition has 1,000,000 characters; allowed: at most 1,000$"):
        parse("(" * 10**6, KNOWN)


PIECES = st.sampled_from(
    [
        *KNOWN,
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
        condition = parse(text, KNOWN)
        values: dict[str, float | None] = {"params": 1.5, "latency_us": 2.0}
        assert condition.holds(values, values) in (True, False)
    with contextlib.suppress(UsageError):
        assert isinstance(quantity(text, "latency_us"), float)
