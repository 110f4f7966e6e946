"""What commands share in writing: choices, tables on the terminal or in a pipe, files that can be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import streams
from squeezesim.errors import OutputError, UsageError, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from squeezesim.report.grid import Grid

FORMATS = ("table", "csv", "json")
FIGURES = (".png", ".svg")
PIPE = "widen the terminal or send it through a pipe"
"""Where the columns of a table are that does not fit a terminal, of commands that print no CSV."""

Debug = Annotated[bool, typer.Option("--debug", help="On a mistake, print Python's traceback.")]
Format = Annotated[
    str, typer.Option("--format", metavar="|".join(FORMATS), help="Print a table, or only data.")
]
Top = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Show N rows; by default 10 in tables and all in CSV and JSON."),
]


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


Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", parser=path, help="Write the figure: .png or .svg.")
]


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

    streams.end()
    return Console(markup=False, highlight=False, emoji=False)


def print_grid(grid: Grid) -> None:
    """Print a table: as wide as the terminal, plain and with all columns in a pipe."""
    target = console()
    if target.is_terminal:
        grid.fit(target.width).print(target)
    else:
        streams.tell(grid.plain())


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
    folder = path
    try:
        if path.is_dir():
            raise OutputError(f"cannot write {str(path)!r}: it is a folder")
        if path.exists() and not path.is_file():
            raise OutputError(f"cannot write {str(path)!r}: it is no ordinary file")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or os.strerror(error.errno or 0)
        where = "" if folder is path else f": {str(folder)!r}"
        raise OutputError(f"cannot write {str(path)!r}: {reason}{where}") from error
