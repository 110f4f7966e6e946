"""The words of a condition with their places, and mistakes that point at one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from squeezesim.errors import UsageError

LONGEST = 1000
"""Characters of a condition."""

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)|(?P<word>[^\W\d][\w.]*)"
    r"|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/()<>=!&|%])|(?P<end>\Z)"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number or a sign, which starts at character *at* of the text."""

    kind: str
    text: str
    at: int


def tokens(text: str) -> Iterator[Token]:
    """Yield the words of *text*; the last one is of kind ``end``.

    Raises:
        UsageError: it is too long, or there is a character that no condition has.
    """
    if len(text) > LONGEST:
        raise UsageError(f"a condition has {len(text):,} characters; allowed: at most {LONGEST:,}")
    at = 0
    while True:
        at += len(text[at:]) - len(text[at:].lstrip())
        match = _TOKEN.match(text, at)
        if match is None:
            raise mistake(text, f"unexpected {text[at]!r}", at)
        kind = str(match.lastgroup)
        yield Token(kind, match[0], at)
        if kind == "end":
            return
        at = match.end()


def mistake(text: str, message: str, at: int) -> UsageError:
    """Return an error that shows *text* with a caret below its character *at*."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return UsageError(f"in a condition, at character {at + 1}: {message}\n  {line}\n  {' ' * at}^")
