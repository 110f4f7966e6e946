"""Stdout and stderr: what happens where one of them is closed or full, or where nobody reads it."""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from squeezesim.errors import OutputError
from squeezesim.escapes import visible

_SPELLED = "squeezesim.spelled"
_SPELLINGS = {
    "µ": "u",
    "×": "x",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "·": "*",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
}


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding has not: a spelling of ours, else a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_SPELLINGS.get(one, "?") for one in error.object[error.start : error.end]), error.end


codecs.register_error(_SPELLED, _spelled)


def prepare() -> None:
    """Let both streams take any text: one that has no µ gets a u.

    Raises:
        OutputError: stdout is closed.
    """
    if sys.stderr is None:  # it was closed, and print would take stdout instead
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  open for as long as the process
    if sys.stdout is None:
        raise OutputError("cannot write to stdout: it is closed")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_SPELLED)


def tell(text: str = "") -> None:
    """Print *text* on stdout, control characters of names and files of strangers escaped."""
    print(visible(text, keep="\n"))


def write(data: str) -> None:
    """Write CSV, JSON or Markdown to stdout: as it is, or on a terminal with control characters escaped."""
    sys.stdout.write(visible(data, keep="\n\t") if sys.stdout.isatty() else data)


def say(line: str) -> None:
    """Print *line* on stderr; where nobody can read it, the exit code still says what it must."""
    try:
        print(visible(line, keep="\n"), file=sys.stderr, flush=True)
    except OSError:
        abandon(sys.stderr)


def rewrite(line: str) -> None:
    """Write *line* over the one before it on stderr, where that is a terminal; an empty one ends with nothing there."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{visible(line)}", end="", file=sys.stderr, flush=True)


def abandon(stream: TextIO) -> None:
    """Send what *stream* still holds nowhere, or Python would complain at exit that it cannot be written."""
    with suppress(OSError):  # a stream of tests has no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
