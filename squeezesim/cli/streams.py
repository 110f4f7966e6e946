"""Stdout and stderr: what happens where one of them is closed or full, or where nobody reads it."""

from __future__ import annotations

import codecs
import os
import shutil
import sys
import threading
import time
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


class _Status:
    """A line on stderr that says what is done and for how many seconds, until there is something to print.

    A thread writes it anew, for whatever takes long does not come back to do so.
    """

    def __init__(self) -> None:
        self.text, self.is_shown = "working", False
        self._began, self._end, self._lock = time.monotonic(), threading.Event(), threading.Lock()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        wait = _DELAY
        while not self._end.wait(wait):
            self.show()
            wait = _PERIOD

    def show(self) -> None:
        """Write the line anew."""
        with self._lock:
            if not self._end.is_set():
                seconds = int(time.monotonic() - self._began)
                self._write(f"{self.text}, {seconds} s" if seconds else self.text)

    def clear(self) -> None:
        """Leave nothing in the line, until it is shown again."""
        with self._lock:
            if self.is_shown:
                self._write("")

    def end(self) -> None:
        """Leave nothing in the line from now on."""
        self._end.set()
        self.clear()

    def _write(self, line: str) -> None:
        with suppress(OSError, ValueError):  # nobody reads it, or it is closed
            most = shutil.get_terminal_size().columns - 1  # a longer line could not be written over
            print(f"\r\x1b[K{visible(line)[:most]}", end="", file=sys.stderr, flush=True)
        self.is_shown = bool(line)


_DELAY, _PERIOD = 0.3, 0.5  # seconds until the status is shown, and until it is shown anew
_statuses: list[_Status] = []  # that of the command that runs, if any


def begin() -> None:
    """Show from now on that the command works, where stderr is a terminal; ``end``, or what is printed, ends it."""
    end()
    if sys.stderr.isatty():
        _statuses.append(_Status())


def end() -> None:
    """Show no status any more."""
    while _statuses:
        _statuses.pop().end()


def status(text: str) -> None:
    """Say what the command does, as ``tracing alexnet``, until the next such text or what is printed."""
    for shown in _statuses:
        shown.text = text or "working"


def tell(text: str = "") -> None:
    """Print *text* on stdout, control characters of names and files of strangers escaped."""
    end()
    print(visible(text, keep="\n"))


def write(data: str) -> None:
    """Write CSV, JSON or Markdown to stdout: as it is, or on a terminal with control characters escaped."""
    end()
    sys.stdout.write(visible(data, keep="\n\t") if sys.stdout.isatty() else data)


def say(line: str) -> None:
    """Print *line* on stderr; where nobody can read it, the exit code still says what it must."""
    for shown in _statuses:
        shown.clear()
    try:
        print(visible(line, keep="\n"), file=sys.stderr, flush=True)
    except OSError:
        abandon(sys.stderr)


def abandon(stream: TextIO) -> None:
    """Send what *stream* still holds nowhere, or Python would complain at exit that it cannot be written."""
    with suppress(OSError):  # a stream of tests has no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
