"""squeezesim sensitivity: how much each parameter of an accelerator matters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import options, output

if TYPE_CHECKING:
    from squeezesim.explore.sensitivity import Study

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
    hw: options.OneAccelerator,
    change: Annotated[
        float, typer.Option(metavar="SHARE", help="How far below and above its value a parameter is tried.")
    ] = 0.1,
    top: Annotated[
        int, typer.Option(min=1, metavar="N", help="Show N parameters of each network in tables.")
    ] = 12,
    plot: Annotated[
        Path | None,
        options.plot_option("Write the tornado plot: .png or .svg."),
    ] = None,
    input_: options.Input = None,
    batch: options.Batch = None,
    format: options.Format = "table",
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Say by how many per cent latency and energy change for each per cent of a parameter, prices of accesses included.

    Also the bandwidth from which on DRAM is not the bottleneck of the most cycles, and, of several
    networks, how they rank by energy under each energy table.
    """
    del debug
    from squeezesim.explore.sensitivity import draw, study
    from squeezesim.files import atomic_write
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.inputs import networks_of

    output.choice("--format", format, output.FORMATS)
    output.check_figure(plot)
    output.check_writable([plot] if plot else [], inputs=hw)
    accelerator = Accelerator.resolve(options.only("--hw", hw))
    request = options.Request(inputs=input_, batch=batch, cache=not no_cache)
    networks = networks_of(map(request.load, models))
    output.status(f"changing parameters of {accelerator.name}")
    found = study(networks, accelerator, change)
    with output.ahead_of_files(lambda: _print(found, format, top)):
        if plot:
            atomic_write(plot, draw(found, plot.suffix.lower()[1:]))
    if plot and format == "table":
        output.wrote([plot], after=True)


def _print(found: Study, format: str, top: int) -> None:
    from squeezesim.explore.sensitivity import sections
    from squeezesim.files import json_line
    from squeezesim.report.files import csv_text
    from squeezesim.report.text import plain, print_sections

    if format != "table" and found.kept:
        output.say(f"note: {found.kept}")
    if format == "csv":
        output.write(csv_text(found.rows()))
    elif format == "json":
        from dataclasses import asdict

        output.write(json_line(asdict(found)) + "\n")
    else:
        console = output.console()
        if console.is_terminal:
            print_sections(sections(found, top), console)
        else:
            output.tell_all(plain(sections(found, top)))
