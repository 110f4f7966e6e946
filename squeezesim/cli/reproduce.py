"""squeezesim reproduce: the tables and figures of a paper, from its networks and its accelerators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import options, output
from squeezesim.errors import UsageError, nearest

if TYPE_CHECKING:
    from squeezesim.papers.squeezenext_networks import Table3

PAPERS = ("squeezenext",)
_TABLES = ("table3.csv", "layers.csv", "stages.csv")
_FIGURES = ("layers_squeezelerator_16x16", "layers_squeezelerator_8x8", "stages", "accuracy")
_IMAGES = ("png", "svg")

SHORT = "Recompute the tables and figures of PAPER."
EXAMPLES = """\b
Examples:
  squeezesim reproduce squeezenext
  squeezesim reproduce squeezenext --format csv
"""


def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help=f"One of: {', '.join(PAPERS)}.")],
    out: Annotated[
        Path | None,
        options.out_option("Folder for tables and figures.  [default: reports/PAPER]", metavar="DIR"),
    ] = None,
    format: options.Format = "table",
    debug: options.Debug = False,
) -> None:
    """Recompute the tables and figures of PAPER, next to the printed values.

    Writes tables as CSV and figures as PNG and SVG; with --format csv (Table 3) or json (all tables) only where -o
    says so.
    """
    del debug
    output.choice("--format", format, output.FORMATS)
    if paper not in PAPERS:
        raise UsageError(f"there is no paper {paper!r}; allowed: {', '.join(PAPERS)}{nearest(paper, PAPERS)}")
    folder = out or (Path("reports", paper) if format == "table" else None)
    if folder is not None:
        output.check_writable(folder / name for name in file_names())

    from squeezesim.papers.squeezenext_networks import compute

    output.status(f"computing the tables of {paper}")
    table = compute()
    output.status("drawing")
    written = [] if folder is None else _write(table, folder)
    if format == "csv":
        output.write(_tables(table)["table3.csv"])
    elif format == "json":
        _print_json(table)
    else:
        _print_tables(table, written)


def file_names() -> list[str]:
    """Return the names of the files that are written."""
    return [*_TABLES, *(f"{figure}.{image}" for figure in _FIGURES for image in _IMAGES)]


def _tables(table: Table3) -> dict[str, str]:
    from squeezesim.papers.squeezenext_tables import layer_rows, stage_rows, table3_rows
    from squeezesim.report.files import csv_text

    rows = (table3_rows(table), layer_rows(table), stage_rows(table))
    return dict(zip(_TABLES, map(csv_text, rows), strict=True))


def _write(table: Table3, folder: Path) -> list[Path]:
    from squeezesim.files import atomic_write
    from squeezesim.papers.squeezenext_tables import drawings
    from squeezesim.report.figures.style import render

    drawn = drawings(table)
    contents: dict[str, str | bytes] = dict(_tables(table))
    contents |= {
        f"{figure}.{image}": render(drawn[figure], image) for figure in _FIGURES for image in _IMAGES
    }
    for name in file_names():
        atomic_write(folder / name, contents[name])
    return [folder / name for name in file_names()]


def _print_json(table: Table3) -> None:
    from squeezesim.files import json_page
    from squeezesim.papers.squeezenext_tables import layer_rows, stage_rows, table3_rows

    document = {"table3": table3_rows(table), "layers": layer_rows(table), "stages": stage_rows(table)}
    output.tell_all(json_page(document).rstrip())


def _print_tables(table: Table3, written: Sequence[Path]) -> None:
    from squeezesim.papers.squeezenext_tables import sections
    from squeezesim.report.text import plain, print_sections

    console = output.console()
    if console.is_terminal:
        print_sections(sections(table, console.width - 2), console)
    else:
        output.tell_all(plain(sections(table)))
    output.wrote(written, after=True)
