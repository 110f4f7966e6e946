"""Names as the letters of a font can show them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from squeezesim.report.names import short_names


def legible(text: str) -> str:
    """Return *text* with what no font of the figure has, or what is no letter, written as its number.

    The fonts are those of matplotlib's ``font.family``, so that a user who adds one sees its letters.

    Example:
        >>> legible("conv 網")
        'conv \\\\u7db2'
    """
    if text.isascii() and text.isprintable():
        return text
    known = _letters(tuple(_families()))
    return "".join(
        sign if sign.isprintable() and ord(sign) in known else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def labels(names: Iterable[str], width: int) -> list[str]:
    """Return *names* in at most *width* legible characters each, different ones for different names."""
    return short_names(map(legible, names), width)


def _families() -> list[str]:
    from matplotlib.font_manager import FontProperties

    return FontProperties().get_family()


@cache
def _letters(families: tuple[str, ...]) -> frozenset[int]:
    """Return the numbers of all signs that the fonts *families* have."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known: set[int] = set()
    for family in families:
        known |= get_font(findfont(FontProperties(family=[family]))).get_charmap().keys()
    return frozenset(known)
