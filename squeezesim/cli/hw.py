"""squeezesim hw: the shipped accelerators, one of them in full, a new file, a check of one, the schema of all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from squeezesim.cli import options, output

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator

app = typer.Typer(help="Accelerators: list, show, new, check, schema.", rich_markup_mode=None)

_HEADING = ("name", "description", "source")

Hardware = Annotated[str, typer.Argument(metavar="FILE|NAME", help="A YAML file or a shipped accelerator.")]


@app.command("list")
def list_(format: options.Format = "table", debug: options.Debug = False) -> None:
    """List the shipped accelerators."""
    del debug
    output.choice("--format", format, output.FORMATS)
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.shipped import GROUPS, group
    from squeezesim.report.grid import Column, Grid

    order = sorted(Accelerator.names(), key=lambda name: (list(GROUPS).index(group(name)), _by_number(name)))
    found = [_summary(Accelerator.named(name)) for name in order]
    if format != "table":
        _print(found, format)
        return
    columns = [
        Column("name", left=True),
        Column("group", left=True),
        Column("PEs"),
        Column("mean error", left=True),
        Column("dataflows", rank=1, left=True),
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
            row["group"],
            f"{row['rows']}×{row['cols']}" if row["rows"] else f"{row['pes']:,}",
            row["error"],
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


def _by_number(name: str) -> tuple[str, int]:
    """A name and the number at its end, so that ``dpu_b512`` stands before ``dpu_b1024``."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)


def _summary(hardware: Accelerator) -> dict[str, Any]:
    from squeezesim.hardware.shipped import group
    from squeezesim.papers.devices.errors import text

    bits, memory = hardware.precision, hardware.memory
    return {
        "name": hardware.name,
        "group": group(hardware.name),
        "error": text(hardware.name),
        "rows": hardware.array.rows if hardware.array.dataflows else None,
        "cols": hardware.array.cols if hardware.array.dataflows else None,
        "pes": hardware.array.pes,
        "dataflows": " ".join(hardware.array.flows),
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
    from squeezesim.hardware.display import area_text, derived_rows, ideals, rows
    from squeezesim.report import units
    from squeezesim.report.grid import Column, Grid

    accelerator = Accelerator.resolve(hardware)
    if format != "table":
        _print([row._asdict() for row in (*rows(accelerator), *derived_rows(accelerator))], format)
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


_NEW = """Examples:

\b
  squeezesim hw new mine.yaml --pes 16x16 --sram 256KiB --dram 4GB/s --bits 8
  squeezesim hw new dpu.yaml --unit conv=c:16,k:16,x:8 --unit depthwise=g:16,x:4 --clock 300MHz
  squeezesim hw new mine.yaml --like os_32x32"""


@app.command(epilog=_NEW)
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=output.path, help="The YAML file to write.")],
    pes: Annotated[
        str | None, typer.Option(metavar="ROWSxCOLS", help="Rows and columns of PEs, as 16x16.")
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOOP:COUNT,…", help="Loops that a unit runs in space; once for each unit."
        ),
    ] = None,
    sram: Annotated[str | None, typer.Option(metavar="SIZE", help="Buffer.  [default: 256KiB]")] = None,
    dram: Annotated[str | None, typer.Option(metavar="RATE", help="DRAM.  [default: 12.8GB/s]")] = None,
    clock: Annotated[str | None, typer.Option(metavar="CLOCK", help="Clock.  [default: 800MHz]")] = None,
    bits: Annotated[
        int | None, typer.Option(metavar="N", help="Of weights and activations.  [default: 8]")
    ] = None,
    dataflows: Annotated[
        str | None,
        typer.Option(metavar="NAME+NAME", help="Dataflows of rows and columns.  [default: ws+os]"),
    ] = None,
    like: Annotated[
        str | None, typer.Option(metavar="NAME", help="Copy a shipped accelerator, comments included.")
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Write a commented accelerator file, from a few numbers or like a shipped one; a file that exists is kept."""
    del debug
    from squeezesim.errors import OutputError, UsageError
    from squeezesim.files import atomic_write
    from squeezesim.hardware import template

    given = {
        "pes": pes,
        "units": unit,
        "sram": sram,
        "dram": dram,
        "clock": clock,
        "bits": bits,
        "dataflows": dataflows,
    }
    numbers = {key: value for key, value in given.items() if value is not None}
    if like is not None and numbers:
        option = "unit" if "units" in numbers else next(iter(numbers))
        raise UsageError(f"--like copies the whole file; allowed: without --{option}, or edit the copy")
    if file.suffix.lower() not in (".yaml", ".yml"):
        raise UsageError(f"{file.name!r} is no name of a YAML file; allowed: .yaml, .yml")
    if file.exists():
        raise OutputError(f"{file} exists and is kept; allowed: another name")
    name = re.sub(r"[^A-Za-z0-9._+-]", "_", file.stem)
    text = template.like(like, name) if like is not None else template.Numbers(**numbers).text(name)  # type: ignore[arg-type]
    template.check(text, str(file))
    output.check_writable([file])
    atomic_write(file, text)
    output.tell(f"wrote {file}; squeezesim hw check {file} reads it")


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
