"""squeezesim sensitivity: how much each parameter of an accelerator matters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from squeezesim.cli import output
from squeezesim.cli import output as cli_output
from squeezesim.cli.inputs import Batch, Input, NoCache, OneAccelerator, load_network, only

SHORT = "Say how much each parameter of an accelerator matters to MODEL."
EXAMPLES = """\b
Examples:
  squeezesim sensitivity squeezenext_23 --hw squeezelerator_16x16
  squeezesim sensitivity squeezenext_23 squeezenet_1_0 mobilenet_v1 --hw os_32x32 --plot tornado.svg
  squeezesim sensitivity alexnet --hw my.yaml --change 0.25 --format csv
"""


def sensitivity(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL…", help="Networks, as in squeezesim profile; several are ranked."),
    ],
    hw: OneAccelerator,
    change: Annotated[
        float, typer.Option(metavar="SHARE", help="How far below and above its value a parameter is tried.")
    ] = 0.1,
    top: Annotated[
        int, typer.Option(min=1, metavar="N", help="Show N parameters of each network in tables.")
    ] = 12,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", parser=output.path, help="Write the tornado plot: .png or .svg."),
    ] = None,
    input_: Input = None,
    batch: Batch = None,
    format: output.Format = "table",
    no_cache: NoCache = False,
    debug: output.Debug = False,
) -> None:
    """Say by how many per cent latency and energy change for each per cent of a parameter, prices of accesses included.

    Also the bandwidth from which on something else than DRAM sets the pace of the most cycles, and, of several
    networks, how they rank by energy under each energy table.
    """
    del debug
    from squeezesim.explore.sensitivity import draw, sections, study
    from squeezesim.files import atomic_write
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.inputs import networks_of
    from squeezesim.report.files import csv_text
    from squeezesim.report.serialize import dump_json
    from squeezesim.report.text import plain, print_sections

    output.choice("--format", format, output.FORMATS)
    output.check_figure(plot)
    output.check_writable([plot] if plot else [], inputs=hw)
    accelerator = Accelerator.resolve(only("--hw", hw))
    networks = networks_of(load_network(model, input_ or (), batch, cache=not no_cache) for model in models)
    cli_output.status(f"changing parameters of {accelerator.name}")
    found = study(networks, accelerator, change)
    if plot:
        atomic_write(plot, draw(found, plot.suffix.lower()[1:]))
    if format != "table" and found.kept:
        cli_output.say(f"note: {found.kept}")
    if format == "csv":
        cli_output.write(csv_text(found.rows()))
    elif format == "json":
        from dataclasses import asdict

        cli_output.write(dump_json(asdict(found)) + "\n")
    else:
        console = output.console()
        if console.is_terminal:
            print_sections(sections(found, top), console)
        else:
            cli_output.tell_all(plain(sections(found, top)))
        if plot:
            cli_output.wrote([plot], after=True)
