"""Conditions beside Python's own reading of the same text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from squeezesim.errors import UsageError
from squeezesim.expressions import parse

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
