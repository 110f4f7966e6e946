"""Units: those that a number may be written with, and the one that a column's name carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction


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
_SHARES = ("utilization", "efficiency", "share", "late_share")


def unit_of(column: str) -> Unit:
    """Return the unit that the name of a column, or the path of a parameter, carries.

    Example:
        >>> str(unit_of("memory.global_buffer.size_kib")), str(unit_of("params"))
        ('a size in bytes', 'a count')
    """
    if column in _SHARES:
        return SHARE
    return next((unit for suffix, unit in _SUFFIXES.items() if column.endswith(suffix)), PLAIN)
