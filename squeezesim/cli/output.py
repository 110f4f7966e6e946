"""What the command line prints and writes."""

from __future__ import annotations

import codecs
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from squeezesim.errors import OutputError, UsageError, nearest
from squeezesim.escapes import visible

if TYPE_CHECKING:
    from rich.console import Console

    from squeezesim.report.grid import Grid
    from squeezesim.report.html.page import Advice
    from squeezesim.report.report import Report

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
    "≈": "~",
    "±": "+/-",
    "√": "sqrt ",
    "²": "2",
    "³": "3",
    "⁵": "5",
    "⁶": "6",
    "⁹": "9",
    "½": "1/2",
    "’": "'",
    "─": "-",
}


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding has not: a spelling of ours, else a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_SPELLINGS.get(one, "?") for one in error.object[error.start : error.end]), error.end


codecs.register_error(_SPELLED, _spell_out)


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
        self._stream = sys.stderr  # whatever stands there while a model's own code runs
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
            print(f"\r\x1b[K{visible(line)[:most]}", end="", file=self._stream, flush=True)
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


def tell(line: str = "") -> None:
    """Print *line* on stdout, control characters of names and files of strangers escaped, newlines too."""
    end()
    print(visible(line))


def tell_all(text: str) -> None:
    """Print *text* of several lines, which are laid out by this program, on stdout."""
    end()
    print(visible(text, keep="\n"))


def wrote(files: Iterable[object], *, after: bool = False) -> None:
    """Say which *files* are written, each on a line of its own; *after* other output, below an empty line."""
    if after:
        tell()
    for number, file in enumerate(files):
        tell(f"{'      ' if number else 'wrote '}{file}")


def write(data: str) -> None:
    """Write CSV, JSON or Markdown to stdout: as it is, or on a terminal with control characters escaped."""
    end()
    sys.stdout.write(visible(data, keep="\n\t", in_json=True) if sys.stdout.isatty() else data)


def say(line: str, *, keep: str = "") -> None:
    """Print *line* on stderr; where nobody can read it, the exit code still says what it must.

    Control characters of it are escaped, but those in *keep*: the newlines of an error, which escapes all others.
    """
    for shown in _statuses:
        shown.clear()
    try:
        print(visible(line, keep), file=sys.stderr, flush=True)
    except OSError:
        abandon(sys.stderr)


@contextmanager
def before_files() -> Iterator[None]:
    """Where the block, after which the first file is written, is interrupted, say that none is."""
    try:
        yield
    except KeyboardInterrupt:
        say("nothing was written")
        raise


@contextmanager
def ahead_of_files(show: Callable[[], None]) -> Iterator[None]:
    """Print what *show* prints, then run the block, which makes files and may take long.

    What stdout refuses is no reason to write no files: it is raised after them.
    """
    refused: OSError | None = None
    try:
        with before_files():
            show()
            sys.stdout.flush()
    except OSError as error:
        refused = error
        abandon(sys.stdout)
    begin()
    yield
    if refused is not None:
        raise refused


def abandon(stream: TextIO) -> None:
    """Send what *stream* still holds nowhere, or Python would complain at exit that it cannot be written."""
    with suppress(OSError):  # a stream of tests has no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


FORMATS = ("table", "csv", "json")
FIGURES = (".png", ".svg")
PIPE = "widen the terminal or send it through a pipe"
"""Where the columns of a table are that does not fit a terminal, of commands that print no CSV."""


def path(text: str) -> Path:
    """Return *text* as the path of a file or folder to write.

    Raises:
        OutputError: it is empty or no UTF-8.
    """
    if not text:
        raise OutputError("cannot write to '': a path is not empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise OutputError(f"cannot write to {text!r}: a path is UTF-8 text") from None
    return Path(text)


def check_figure(plot: Path | None) -> None:
    """Check that a figure can be written to *plot*, by its suffix.

    Raises:
        UsageError: it ends in another one than those of ``FIGURES``.
    """
    if plot and plot.suffix.lower() not in FIGURES:
        raise UsageError(f"--plot {str(plot)!r}: a figure ends in {' or '.join(FIGURES)}")


def choice(option: str, value: str, allowed: Sequence[str]) -> str:
    """Return *value* of *option*.

    Raises:
        UsageError: it is none of *allowed*.
    """
    if value not in allowed:
        raise UsageError(f"{option} {value!r}; allowed: {', '.join(allowed)}{nearest(value, allowed)}")
    return value


def console() -> Console:
    """Return a console for stdout that prints texts as they are."""
    from rich.console import Console

    end()
    return Console(markup=False, highlight=False, emoji=False)


def print_grid(grid: Grid) -> None:
    """Print a table: as wide as the terminal, plain and with all columns in a pipe."""
    target = console()
    if target.is_terminal:
        grid.fit(target.width).print(target)
    else:
        tell_all(grid.plain())


def check_writable(paths: Iterable[Path], inputs: Iterable[str] = ()) -> None:
    """Check that files can be made at *paths*, each another one and none of *inputs*; leave nothing behind.

    Raises:
        OutputError: a path is named twice, is an input, a folder or a device, lies below a file, or its folder cannot
            be written.
    """
    read = {os.path.realpath(name) for text in inputs for name in (text, text.partition("+")[0])}
    named: dict[str, Path] = {}
    for path in paths:
        place = os.path.realpath(path)
        if place in read:
            raise OutputError(f"cannot write {str(path)!r}: it is an input of this command")
        if (other := named.setdefault(place, path)) is not path:
            same = (
                "it is named twice" if str(other) == str(path) else f"it is the same file as {str(other)!r}"
            )
            raise OutputError(f"cannot write {str(path)!r}: {same}")
        _check(path)


def _check(path: Path) -> None:
    try:
        if path.is_dir():
            raise OutputError(f"cannot write {str(path)!r}: it is a folder")
        if path.exists() and not path.is_file():
            raise OutputError(f"cannot write {str(path)!r}: it is no ordinary file")
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    from squeezesim.files import check_place

    check_place(path)


def page(reports: Sequence[Report], words: Sequence[str], *, advise: bool, cache: bool) -> str:
    """Return the page that the command of *words* writes.

    Where *advise* is set, proposals are simulated, for a single result: in a comparison the results are each
    other's proposals.
    """
    import shlex

    from squeezesim.report.html.page import page

    advice = _advice(reports[0], cache=cache) if advise and len(reports) == 1 else None
    return page(reports, command=shlex.join(["squeezesim", *words]), advice=advice)


def _advice(report: Report, *, cache: bool) -> Advice:
    from squeezesim.explore.advise import APART, NOTHING, advise
    from squeezesim.report.html.page import Advice, Proposed

    found = advise(report, cache=cache)
    rows = [Proposed(*proposal.cells()) for proposal in found]
    texts = [APART, *([str(found.together)] if found.together else [])]
    return Advice(" ".join(f"{text[0].upper()}{text[1:]}." for text in texts) if rows else NOTHING, rows)
