"""squeezesim sensitivity: how much each parameter of an accelerator matters, and what the buffer's size does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from squeezesim.cli import options, output
from squeezesim.errors import UsageError

if TYPE_CHECKING:
    from squeezesim.explore.sensitivity import Study
    from squeezesim.explore.sizes import Sizes
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network
    from squeezesim.report.text import Section

SHORT = "Rank an accelerator's parameters by their effect on MODEL."
EXAMPLES = """\b
Examples:
  squeezesim sensitivity squeezenext_23 --hw squeezelerator_16x16
  squeezesim sensitivity squeezenext_23 squeezenet_1_0 mobilenet_v1 --hw os_32x32 --plot tornado.svg
  squeezesim sensitivity alexnet --hw my.yaml --change 0.25 --format csv
  squeezesim sensitivity squeezenext_23 --hw os_32x32 --sizes auto --plot sizes.svg
  squeezesim sensitivity squeezenext_23 --hw os_32x32 --sizes 64:4096:x2 --format csv
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
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="KIB",
            help="Instead: latency and DRAM traffic over sizes of the buffer, and the feature maps that begin to stay "
            "at each: auto, or sizes as in sweep --set, 64:4096:x2.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        options.plot_option("Write the tornado plot, or the curves over sizes: .png or .svg."),
    ] = None,
    input_: options.Input = None,
    batch: options.Batch = None,
    format: options.Format = "table",
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Rank an accelerator's parameters, access energies included, by their effect on latency and energy.

    An elasticity is the change of latency or energy in per cent for one per cent more of the parameter.

    Also printed: the DRAM bandwidth below which the network is DRAM-bound and, for several networks, their ranks by
    energy under each energy table.
    """
    del debug
    from squeezesim.files import atomic_write
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.inputs import networks_of

    output.choice("--format", format, output.FORMATS)
    output.check_figure(plot)
    output.check_writable([plot] if plot else [], inputs=hw)
    accelerator = Accelerator.resolve(options.only("--hw", hw))
    wanted = _sizes(sizes)
    request = options.Request(inputs=input_, batch=batch, cache=not no_cache)
    networks = networks_of(map(request.load, models))
    found = (
        _elasticities(networks, accelerator, change, top)
        if sizes is None
        else _over(networks, accelerator, wanted)
    )
    with output.ahead_of_files(lambda: _print(found, format)):
        if plot:
            atomic_write(plot, found.draw(plot.suffix.lower()[1:]))
    if plot and format == "table":
        output.wrote([plot], after=True)


class _Found(NamedTuple):
    """A study, and what is printed of it; of tables *notes* are a part."""

    study: Study | Sizes
    notes: Sequence[str]
    sections: Callable[[], list[Section]]
    draw: Callable[[str], bytes]


def _elasticities(networks: Sequence[Network], accelerator: Accelerator, change: float, top: int) -> _Found:
    from squeezesim.explore.sensitivity import draw, sections, study

    output.status(f"changing parameters of {accelerator.name}")
    found = study(networks, accelerator, change)
    return _Found(
        found,
        [found.kept] if found.kept else [],
        lambda: sections(found, top),
        lambda form: draw(found, form),
    )


def _over(networks: Sequence[Network], accelerator: Accelerator, sizes: list[float] | None) -> _Found:
    from squeezesim.explore.sizes import draw, sections, sizes_study

    output.status(f"changing the buffer of {accelerator.name}")
    found = sizes_study(networks, accelerator, sizes)
    return _Found(found, found.notes, lambda: sections(found), lambda form: draw(found, form))


def _sizes(given: str | None) -> list[float] | None:
    """The sizes that are *given* in KiB; None: those of the accelerator."""
    if given in (None, "auto"):
        return None
    from squeezesim.explore.sweep.design_space import parse_axis

    axis = parse_axis("memory.global_buffer.size_kib", str(given))
    if not axis.values or not all(isinstance(value, int | float) for value in axis.values):
        raise UsageError(
            f"--sizes {given!r}; allowed: auto, numbers in KiB as 64,128 or from:to:step, from:to:xFACTOR"
        )
    return [float(str(value)) for value in axis.values]


def _print(found: _Found, format: str) -> None:
    from squeezesim.files import json_line
    from squeezesim.report.files import csv_text
    from squeezesim.report.text import plain, print_sections

    if format != "table":
        for note in found.notes:
            output.say(f"note: {note}")
    if format == "csv":
        output.write(csv_text(found.study.rows()))
    elif format == "json":
        from dataclasses import asdict

        output.write(json_line(asdict(found.study)) + "\n")
    else:
        console = output.console()
        if console.is_terminal:
            print_sections(found.sections(), console)
        else:
            output.tell_all(plain(found.sections()))
