from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.report import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1.000 k"),
        (1234, "1.234 k"),
        (12_345, "12.35 k"),
        (999_949, "999.9 k"),
        (999_950, "1.000 M"),
        (277_999_808, "278.0 M"),
        (10**22, "10000 E"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_counts_have_four_digits_and_a_prefix(value: float | None, text: str) -> None:
    assert units.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (411_648, "402.0 KiB"),
        (2**20 - 1, "1.0 MiB"),
        (None, "–"),
    ],
)
def test_sizes_have_iec_prefixes(value: float | None, text: str) -> None:
    assert units.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.00012345, "0.0001234"), (12.3456, "12.35"), (1234567.8, "1,234,568"), (None, "–")],
)
def test_decimals_have_four_digits_and_keep_whole_ones(value: float | None, text: str) -> None:
    assert units.decimal(value) == text


def test_shares_and_plurals() -> None:
    assert [units.share(value) for value in (0.1234, 1, None)] == ["12.3 %", "100.0 %", "–"]
    assert [units.plural(number, "row") for number in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]


@given(st.integers(0, 10**20))
def test_a_count_is_within_half_of_its_last_digit(value: int) -> None:
    number, _, prefix = units.count(value).partition(" ")
    scale = 1000 ** ["", "k", "M", "G", "T", "P", "E"].index(prefix)
    digits = len(number.partition(".")[2])
    assert abs(float(number) * scale - value) <= 0.51 * scale / 10**digits


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0412, "+4.1 %"), (-0.5, "−50.0 %"), (2, "+200.0 %"), (0, "±0.0 %"), (-0.0004, "±0.0 %"), (None, "–")],
)
def test_changes_have_their_sign(value: float | None, text: str) -> None:
    assert units.change(value) == text
