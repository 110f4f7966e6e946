"""squeezesim hw: the shipped accelerators, one of them in full, a check of a file, the schema of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from squeezesim.cli import options, output

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator

app = typer.Typer(help="Accelerators: list, show, check, schema.", rich_markup_mode=None)

_HEADING = ("name", "description", "source")

Hardware = Annotated[str, typer.Argument(metavar="FILE|NAME", help="A YAML file or a shipped accelerator.")]


@app.command("list")
def list_(format: options.Format = "table", debug: options.Debug = False) -> None:
    """List the shipped accelerators."""
    del debug
    output.choice("--format", format, output.FORMATS)
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.report.grid import Column, Grid

    found = [_summary(Accelerator.named(name)) for name in Accelerator.names()]
    if format != "table":
        _print(found, format)
        return
    columns = [
        Column("name", left=True),
        Column("PEs"),
        Column("dataflows", left=True),
        Column("bits", rank=1),
        Column("MHz", rank=1),
        Column("buffer", rank=1),
        Column("DRAM", rank=1),
        Column("energy", rank=2, left=True),
        Column("description", rank=3, left=True),
    ]
    cells = [
        [
            row["name"],
            f"{row['rows']}×{row['cols']}",
            row["dataflows"],
            f"{row['weight_bits']}/{row['activation_bits']}/{row['accumulator_bits']}",
            f"{row['clock_mhz']:g}",
            f"{row['buffer_kib']:g} KiB",
            f"{row['dram_gb_s']:g} GB/s",
            row["energy_table"],
            row["description"],
        ]
        for row in found
    ]
    output.print_grid(Grid(columns, cells))


def _summary(hardware: Accelerator) -> dict[str, Any]:
    bits, memory = hardware.precision, hardware.memory
    return {
        "name": hardware.name,
        "rows": hardware.array.rows,
        "cols": hardware.array.cols,
        "dataflows": " ".join(hardware.array.dataflows),
        "weight_bits": bits.weight_bits,
        "activation_bits": bits.activation_bits,
        "accumulator_bits": bits.accumulator_bits,
        "clock_mhz": hardware.clock_mhz,
        "buffer_kib": memory.global_buffer.size_kib,
        "dram_gb_s": memory.dram.bandwidth_gb_s,
        "energy_table": hardware.energy.table,
        "description": hardware.description,
    }


def _print(rows: Sequence[Mapping[str, Any]], format: str) -> None:
    from squeezesim.files import json_line
    from squeezesim.report.files import csv_text

    output.write(csv_text(rows) if format == "csv" else json_line(rows) + "\n")


@app.command()
def show(hardware: Hardware, format: options.Format = "table", debug: options.Debug = False) -> None:
    """Print every parameter of an accelerator, and where its value comes from."""
    del debug
    output.choice("--format", format, output.FORMATS)
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.config import CONSTRAINTS
    from squeezesim.hardware.display import area_text, ideals, rows
    from squeezesim.report import units
    from squeezesim.report.grid import Column, Grid

    accelerator = Accelerator.resolve(hardware)
    if format != "table":
        _print([row._asdict() for row in rows(accelerator)], format)
        return
    every = [row for row in rows(accelerator) if row.path not in _HEADING]
    found = [row for row in every if not row.path.startswith(f"{CONSTRAINTS}[")]
    sources = list(dict.fromkeys(row.source for row in found if row.source))
    columns = [Column("parameter", left=True), Column("value", left=True), Column("unit", 1, left=True)]
    columns.append(Column("provenance", left=True))
    for key in _HEADING:
        output.tell(f"{key}: {getattr(accelerator, key) or units.EMPTY}")
    if area := area_text(accelerator):
        output.tell(f"area: {area}")
    ideal = ideals(accelerator)
    if ideal:
        output.tell(f"ideal: {', '.join(ideal.values())}")
    for row in every:
        if row not in found:  # sentences, too long for a column
            output.tell(f"{row.path}: {row.value}")
    for note in accelerator.notes:
        output.tell(f"note: {note}")
    output.tell()
    cells = [
        [
            row.path,
            row.value.strip("[]") or units.EMPTY,
            row.unit.removeprefix("1"),
            " ".join(
                [
                    *filter(None, [row.provenance]),
                    *([f"[{sources.index(row.source) + 1}]"] if row.source else []),
                    *(["ideal"] if row.path in ideal else []),
                ]
            ),
        ]
        for row in found
    ]
    output.print_grid(Grid(columns, cells))
    if sources:
        output.tell()
    for number, source in enumerate(sources, 1):
        output.tell(f"[{number}] {source}")


@app.command()
def check(file: Hardware, debug: options.Debug = False) -> None:
    """Check an accelerator file; a mistake is named with line and column, exit code 2."""
    del debug
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.catalog import check as check_file
    from squeezesim.hardware.display import ideals

    accelerator = check_file(file, Accelerator)
    output.tell_all(f"ok: {accelerator}")
    if ideal := ideals(accelerator):
        output.tell(f"  ideal     {', '.join(ideal.values())}: latencies here are a lower bound")
    for note in accelerator.notes:
        output.tell(f"  note      {note}")


@app.command()
def schema(debug: options.Debug = False) -> None:
    """Print the JSON schema of accelerator files, for editors."""
    del debug
    import json

    from squeezesim.hardware.display import schema as json_schema

    output.tell_all(json.dumps(json_schema(), indent=2, ensure_ascii=False))
