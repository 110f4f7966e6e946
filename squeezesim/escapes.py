"""Texts of strangers where they are shown: no control character reaches a terminal, no cell of a CSV is a formula."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from typing import Any, TextIO

# C0 and C1 (with DEL), line and paragraph separators, marks that turn the direction of text, halves of surrogate pairs.
_CONTROL = "\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_ONE = re.compile(f"[{_CONTROL}]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def visible(text: str, keep: str = "", *, in_json: bool = False) -> str:
    """Return *text* with control characters as ``repr`` writes them, those of *keep* aside; what is printable stays.

    *in_json* they are ``\\uXXXX``, which reads back as *text* where such characters stand in strings alone.

    Example:
        >>> visible("\\x1b[2J\\u202e·µ"), visible("a\\nb", keep="\\n"), visible("\\x7f", in_json=True)
        ('\\\\x1b[2J\\\\u202e·µ', 'a\\nb', '\\\\u007f')
    """
    return _ONE.sub(partial(_escaped, keep, in_json), text) if _ONE.search(text) else text


class _Apart(io.TextIOBase):
    """A stream that writes to *target* what others print, control characters escaped."""

    def __init__(self, target: TextIO) -> None:
        self._target = target
        # A line that a terminal shows may be one that says what is done, which ends in no newline.
        self._start = "\r\x1b[K" if target.isatty() else ""
        self._starts = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def write(self, text: str) -> int:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").splitlines(keepends=True)
        for line in lines:
            self._target.write((self._start if self._starts else "") + visible(line, keep="\n\t"))
            self._starts = line.endswith("\n")
        return len(text)

    def flush(self) -> None:
        self._target.flush()

    def isatty(self) -> bool:
        return self._target.isatty()

    def fileno(self) -> int:
        return self._target.fileno()


@contextmanager
def apart() -> Iterator[None]:
    """Send what code of a stranger prints and warns of to stderr, control characters escaped: stdout holds results."""
    if isinstance(sys.stderr, _Apart):
        yield
        return
    stream = _Apart(sys.stderr)
    with redirect_stdout(stream), redirect_stderr(stream):
        yield


def _escaped(keep: str, in_json: bool, found: re.Match[str]) -> str:
    if found[0] in keep:
        return found[0]
    return f"\\u{ord(found[0]):04x}" if in_json else repr(found[0])[1:-1]


def csv_cell(text: str) -> str:
    """Return *text* as the cell of a CSV, with a ``'`` before it where a spreadsheet would take it for a formula.

    That is a text that begins with ``= + - @``, a tab or a return; one that begins with ``'`` gets one more, so that
    ``from_csv_cell`` gives *text* again.

    Example:
        >>> csv_cell("=cmd"), csv_cell("'a"), csv_cell("conv1")
        ("'=cmd", "''a", 'conv1')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def from_csv_cell(cell: str) -> str:
    """Return the text whose ``csv_cell`` is *cell*; another program's cell stays as it is.

    Example:
        >>> from_csv_cell("'=cmd"), from_csv_cell("'conv1'")
        ('=cmd', "'conv1'")
    """
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
