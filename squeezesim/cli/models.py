"""squeezesim models: the built-in networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from squeezesim.cli import options, output

if TYPE_CHECKING:
    from squeezesim.zoo.records import Entry

EXAMPLES = """\b
Examples:
  squeezesim models
  squeezesim models --sort macs
  squeezesim models --sort top1_percent --format csv
"""


def models(
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Sort by a column of the CSV, such as macs or top1_percent; numbers descending.",
        ),
    ] = None,
    format: options.Format = "table",
    debug: options.Debug = False,
) -> None:
    """List the built-in networks, with their published facts.

    Params and MACs are exact counts at the input, channels × rows × columns; accuracies are on ImageNet, in per cent,
    as published. The table abbreviates counts (k, M, G are SI) and names options; --format csv and json have whole
    numbers, the values of options and where accuracies are printed.
    """
    del debug
    output.choice("--format", format, output.FORMATS)
    from squeezesim.report.selection import sort_rows
    from squeezesim.zoo.registry import catalogue

    rows = [_row(entry) for entry in catalogue().values()]
    if sort is not None:
        rows = sort_rows(rows, sort)
    if format == "json":
        import json

        output.tell_all(json.dumps(rows, indent=2, ensure_ascii=False))
    elif format == "csv":
        from squeezesim.report.files import csv_text

        output.write(csv_text(rows))
    else:
        _print_table(rows)


def _row(entry: Entry) -> dict[str, Any]:
    options = (
        f"{option.name}={option.format(entry.defaults[option.name])}" for option in entry.family.options
    )
    return {
        "name": entry.name,
        "published_as": entry.published_as,
        "input": "x".join(map(str, entry.input)),
        "params": entry.facts.params,
        "macs": entry.facts.macs,
        "top1_percent": entry.facts.top1,
        "top5_percent": entry.facts.top5,
        "printed_in": entry.facts.printed_in,
        "year": entry.family.year,
        "source": entry.family.source,
        "options": ",".join(options),
    }


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    from squeezesim.report import units
    from squeezesim.report.grid import Column, Grid

    def per_cent(value: float | None) -> str:
        return units.EMPTY if value is None else f"{value:.2f}"

    columns = [
        Column("name", left=True),
        Column("input", rank=2),
        *(Column(header, rank=1) for header in ("params", "MACs", "top-1 %", "top-5 %", "year")),
        Column("source", rank=3, left=True),
        Column("options", rank=4, left=True),
    ]
    cells = [
        [
            row["name"],
            row["input"],
            units.count(row["params"]),
            units.count(row["macs"]),
            per_cent(row["top1_percent"]),
            per_cent(row["top5_percent"]),
            str(row["year"]),
            row["source"],
            ", ".join(option.partition("=")[0] for option in row["options"].split(",")) or units.EMPTY,
        ]
        for row in rows
    ]
    output.print_grid(Grid(columns, cells))
