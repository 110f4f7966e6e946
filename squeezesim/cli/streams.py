"""Stdout and stderr: what happens where one of them is closed or full, or where nobody reads it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from squeezesim.errors import OutputError


def prepare() -> None:
    """Let both streams take any text: a terminal that has no µ gets a question mark.

    Raises:
        OutputError: stdout is closed.
    """
    if sys.stderr is None:  # it was closed, and print would take stdout instead
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  open for as long as the process
    if sys.stdout is None:
        raise OutputError("cannot write to stdout: it is closed")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def say(line: str) -> None:
    """Print *line* on stderr; where nobody can read it, the exit code still says what it must."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        abandon(sys.stderr)


def rewrite(line: str) -> None:
    """Write *line* over the one before it on stderr, where that is a terminal; an empty one ends with nothing there."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def abandon(stream: TextIO) -> None:
    """Send what *stream* still holds nowhere, or Python would complain at exit that it cannot be written."""
    with suppress(OSError):  # a stream of tests has no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
