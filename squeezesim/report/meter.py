"""Meters: shares as bars of block characters, for terminals."""

from __future__ import annotations

from squeezesim.report import units

_EIGHTHS = " ▏▎▍▌▋▊▉"
_WHOLE = "█"
INK = f"[{_EIGHTHS[1:]}{_WHOLE}]+"
"""What a bar is made of, as a regular expression."""


def meter(share: float | None, width: int) -> str:
    """Return *share* as a bar of *width* characters and in per cent; a share above 0 has a bar.

    Example:
        >>> meter(0.6, 3), meter(0.001, 3), meter(None, 3)
        ('█▊   60.0 %', '▏     0.1 %', '–')
    """
    text = units.share(share)
    if share is None or text == units.EMPTY:
        return text
    eighths = min(max(round(share * width * 8), int(share > 0)), width * 8)
    bar = _WHOLE * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
    return f"{bar:<{width}} {text:>7}"
