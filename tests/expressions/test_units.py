from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.errors import UsageError
from squeezesim.expressions import LITERALS, parse, quantity, unit_of

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
    assert quantity(text, column) == exact
    assert parse(f"{column} == {text}", [column]).holds({column: exact})
    assert not parse(f"{text} < {column}", [column]).holds({column: exact})


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
