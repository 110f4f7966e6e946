"""squeezesim allocate: every way to spread a network's blocks over its stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import options, output

if TYPE_CHECKING:
    from squeezesim.explore.allocate.study import Budget, Study

SHORT = "Evaluate every way to distribute MODEL's blocks over stages."
EXAMPLES = """\b
Examples:
  squeezesim allocate squeezenext_23_v5 --hw squeezelerator_16x16
  squeezesim allocate squeezenext_23_v5 --hw squeezelerator_16x16 --hw squeezelerator_8x8 --max-params 1M --front
  squeezesim allocate resnet34 --hw os_32x32 --stage 2-4 --stage 2-6 --stage 4-8 --stage 1-4 --where "macs <= +0%"
  squeezesim allocate squeezenext_23 --hw my.yaml --set conv1=5,7 --set width=0.75,1 -o all.csv --plot all.png
"""


def allocate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A built-in network with a depth, such as squeezenext_23_v5 or resnet18@width=0.5.",
        ),
    ],
    hw: options.Accelerators,
    blocks: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Blocks in all stages together; without --stage, by default those of MODEL.",
        ),
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(metavar="LEAST-MOST", help="Blocks of a stage, as 2-6 or 3; once for each stage."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="OPTION=VALUE,…",
            help="Values of another option, such as conv1=5,7 or resolution=192,224; every combination is tried.",
        ),
    ] = None,
    max_params: Annotated[str | None, typer.Option(metavar="LIMIT", help="Most params, as 1M.")] = None,
    max_macs: Annotated[str | None, typer.Option(metavar="LIMIT", help="Most MACs, as 300M.")] = None,
    max_latency: Annotated[
        str | None, typer.Option(metavar="LIMIT", help="Longest latency, as 1.3ms.")
    ] = None,
    max_energy: Annotated[
        str | None, typer.Option(metavar="LIMIT", help="Most energy, as 500uJ, or 2G in units of one MAC.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help='Further budgets on columns, such as "dram_bytes <= 12MiB and stage4 <= 2", or "params <= +5%" of '
            "MODEL's own.",
        ),
    ] = None,
    objectives: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,…",
            help="Columns of the Pareto front.  [default: latency_us,energy_mac_equiv,params,macs,late_share]",
        ),
    ] = None,
    front: Annotated[bool, typer.Option("--front", help="Show the Pareto front only.")] = False,
    sort: Annotated[
        str, typer.Option(metavar="COLUMN", help="Sort by a column of the CSV, the best first.")
    ] = "latency_us",
    top: options.Top = None,
    out: Annotated[
        list[Path] | None,
        options.out_option(
            "Write every allocation within the budgets, whatever --top and --front show: .csv or .json; .md is "
            "what is printed. May be given several times."
        ),
    ] = None,
    plot: options.Plot = None,
    format: options.Format = "table",
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Evaluate every way to distribute the blocks of MODEL over its stages.

    Each layer is costed once; an allocation is a sum of layers, exact but for the rounding of energy. Allocations
    within the budgets are ranked, with their Pareto front. Published networks of the family are listed beside them, and
    the moves of a block from one stage to another that gain the most.
    """
    del debug
    from squeezesim.explore.allocate.additive import parse_choices
    from squeezesim.explore.allocate.allocations import parse_range
    from squeezesim.explore.allocate.study import LIMITS, study
    from squeezesim.files import atomic_write
    from squeezesim.hardware.accelerator import Accelerator

    output.choice("--format", format, output.FORMATS)
    files = list(out or ())
    _check_files(files, plot, inputs=hw)
    limits = dict(zip(LIMITS, (max_params, max_macs, max_latency, max_energy), strict=True))
    try:
        with output.before_files():
            done = study(
                model,
                [Accelerator.resolve(text) for text in hw],
                blocks=blocks,
                stages=[parse_range(text) for text in stage] if stage else None,
                choices=parse_choices(set_ or ()),
                budgets=lambda stages: _budgets(
                    {name: text for name, text in limits.items() if text is not None}, where or (), stages
                ),
                objectives=None if objectives is None else [name.strip() for name in objectives.split(",")],
                sort=sort,
                cache=not no_cache,
                progress=output.status,
            )
    finally:
        output.status("")
    with output.ahead_of_files(lambda: _print(done, format, top=top, front=front)):
        with output.before_files():
            made = _made(done, files, plot, top=top, front=front)
        for path, content in made:
            atomic_write(path, content)
    if made and format == "table":
        output.wrote([path for path, _ in made], after=True)


def _budgets(limits: dict[str, str], conditions: Sequence[str], stages: int) -> list[Budget]:
    from squeezesim.explore.allocate.study import at_most, budget_where

    return [
        *(at_most(option, text) for option, text in limits.items()),
        *(budget_where(text, stages) for text in conditions),
    ]


def _check_files(files: Sequence[Path], plot: Path | None, inputs: Sequence[str]) -> None:
    from squeezesim.explore.allocate.render import file_format

    for path in files:
        file_format(path)
    output.check_figure(plot)
    output.check_writable([*files, *([plot] if plot else [])], inputs=inputs)


def _made(
    study: Study, files: Sequence[Path], plot: Path | None, *, top: int | None, front: bool
) -> list[tuple[Path, str | bytes]]:
    """All files, which are written after all are made: an interruption of that leaves none."""
    from squeezesim.explore.allocate.render import file_of

    made: list[tuple[Path, str | bytes]] = [
        (path, file_of(study, path.suffix.lower(), top=top, front=front)) for path in files
    ]
    if plot:
        from squeezesim.explore.allocate.figure import picture

        made.append((plot, picture(study, plot.suffix.lower()[1:])))
    return made


def _print(study: Study, format: str, *, top: int | None, front: bool) -> None:
    from squeezesim.explore.allocate.render import TOP, sections
    from squeezesim.report.text import plain, print_sections

    if format != "table":
        from squeezesim.explore.allocate.render import text_of

        for result in study.results:
            if result.misfits:
                output.say(f"note: {result.misfits}")
        output.write(text_of(study, f".{format}", top=top, front=front))
        return
    console = output.console()
    count = TOP if top is None else top
    if console.is_terminal:
        print_sections(sections(study, top=count, front=front, width=console.width - 2), console)
    else:
        output.tell_all(plain(sections(study, top=count, front=front)))
