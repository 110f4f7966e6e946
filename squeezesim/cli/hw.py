"""squeezesim hw: the shipped accelerators, one of them in full, a check of a file, the schema of all."""

from __future__ import annotations

from typing import Annotated

import typer

from squeezesim.cli import output

app = typer.Typer(help="Accelerators: list, show, check, schema.", rich_markup_mode=None)

_HEADING = ("name", "description", "source")

Hardware = Annotated[str, typer.Argument(metavar="FILE|NAME", help="A YAML file or a shipped accelerator.")]


@app.command("list")
def list_(debug: output.Debug = False) -> None:
    """List the shipped accelerators."""
    del debug
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.report.grid import Column, Grid

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
    cells = []
    for hardware in map(Accelerator.named, Accelerator.names()):
        bits, memory = hardware.precision, hardware.memory
        cells.append(
            [
                hardware.name,
                f"{hardware.array.rows}×{hardware.array.cols}",
                " ".join(hardware.array.dataflows),
                f"{bits.weight_bits}/{bits.activation_bits}/{bits.accumulator_bits}",
                f"{hardware.clock_mhz:g}",
                f"{memory.global_buffer.size_kib:g} KiB",
                f"{memory.dram.bandwidth_gb_s:g} GB/s",
                hardware.energy.table,
                hardware.description,
            ]
        )
    output.print_grid(Grid(columns, cells))


@app.command()
def show(hardware: Hardware, debug: output.Debug = False) -> None:
    """Print every parameter of an accelerator, and where its value comes from."""
    del debug
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.show import rows
    from squeezesim.report import units
    from squeezesim.report.grid import Column, Grid

    accelerator = Accelerator.resolve(hardware)
    found = [row for row in rows(accelerator) if row.path not in _HEADING]
    sources = list(dict.fromkeys(row.source for row in found if row.source))
    columns = [Column("parameter", left=True), Column("value", left=True), Column("unit", 1, left=True)]
    columns.append(Column("provenance", left=True))
    for key in _HEADING:
        print(f"{key}: {getattr(accelerator, key) or units.EMPTY}")
    print()
    cells = [
        [
            row.path,
            row.value.strip("[]") or units.EMPTY,
            row.unit.removeprefix("1"),
            row.provenance + (f" [{sources.index(row.source) + 1}]" if row.source else ""),
        ]
        for row in found
    ]
    output.print_grid(Grid(columns, cells))
    if sources:
        print()
    for number, source in enumerate(sources, 1):
        print(f"[{number}] {source}")


@app.command()
def check(file: Hardware, debug: output.Debug = False) -> None:
    """Check an accelerator file; a mistake is named with line and column, exit code 2."""
    del debug
    from squeezesim.hardware.shipped import check as check_file

    print(f"ok: {check_file(file)}")


@app.command()
def schema(debug: output.Debug = False) -> None:
    """Print the JSON schema of accelerator files, for editors."""
    del debug
    import json

    from squeezesim.hardware.schema import schema as json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
