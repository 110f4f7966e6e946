"""Numbers as people read them: counts with SI prefixes, bytes with IEC prefixes, shares in per cent."""

from __future__ import annotations

import math
from collections.abc import Sequence

_SI = ("", "k", "M", "G", "T", "P", "E")
IEC = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
"""Units of bytes, each 1,024 of the one before."""
EMPTY = "–"
"""What stands where there is no number."""


def count(value: float | None) -> str:
    """Return a count with four significant digits and an SI prefix.

    Example:
        >>> count(277_999_808), count(512), count(None)
        ('278.0 M', '512', '–')
    """
    if value is None or math.isnan(value):
        return EMPTY
    return _prefixed(value, 1000, _SI).rstrip()


def size(value: float | None) -> str:
    """Return bytes with an IEC prefix.

    Example:
        >>> size(411_648), size(100)
        ('402.0 KiB', '100 B')
    """
    if value is None or math.isnan(value):
        return EMPTY
    return _prefixed(value, 1024, IEC)


def share(value: float | None) -> str:
    """Return a ratio in per cent, with one decimal place.

    Example:
        >>> share(0.1234), share(1)
        ('12.3 %', '100.0 %')
    """
    return EMPTY if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def per_cent(value: float | None) -> str:
    """Return a percentage with two decimal places."""
    return EMPTY if value is None else f"{value:.2f}"


def word(value: str | None) -> str:
    """Return a text, or what stands where there is none."""
    return value or EMPTY


def change(value: float | None) -> str:
    """Return a relative change in per cent, with its sign and one decimal place.

    Example:
        >>> change(0.0412), change(-0.09), change(0)
        ('+4.1 %', '−9.0 %', '±0.0 %')
    """
    if value is None or math.isnan(value):
        return EMPTY
    text = f"{100 * abs(value):.1f} %"
    sign = "±" if text == "0.0 %" else "+" if value > 0 else "−"
    return f"{sign}{text}"


def signed(share: float) -> str:
    """Return a share in per cent with its sign and one decimal place, without the unit.

    Example:
        >>> signed(0.021), signed(-0.0167), signed(-0.0)
        ('+2.1', '−1.7', '+0.0')
    """
    return f"{round(100 * share, 1) + 0.0:+.1f}".replace("-", "−")  # + 0.0: no −0.0


def decimal(value: float | None) -> str:
    """Return a quantity with four significant digits, whole digits never rounded away.

    Example:
        >>> decimal(1234567.8), decimal(12.3456), decimal(-0.00012345)
        ('1,234,568', '12.35', '−0.0001234')
    """
    if value is None or math.isnan(value):
        return EMPTY
    if value == 0:
        return "0"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}".replace("-", "−")


def plural(number: int, noun: str) -> str:
    """Return ``1 row`` or ``3 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _prefixed(value: float, base: int, prefixes: Sequence[str]) -> str:
    power = 0
    while power + 1 < len(prefixes) and round(value / base**power, 1) >= base:
        power += 1
    if power == 0:
        return f"{value:.0f} {prefixes[0]}"
    scaled = value / base**power
    digits = max(0, 3 - math.floor(math.log10(max(scaled, 1)))) if base == 1000 else 1
    return f"{scaled:.{digits}f} {prefixes[power]}"


def part(shown: int, whole: int, noun: str) -> str:
    """Return ``10 of 37 rows``, or nothing where all are shown."""
    return f"{shown:,} of {plural(whole, noun)}" if shown < whole else ""
