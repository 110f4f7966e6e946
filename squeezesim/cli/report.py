"""squeezesim report: one HTML file that shows and explains results, and compares them where there are several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from squeezesim.cli import command, output
from squeezesim.cli import command as cli_command
from squeezesim.cli import output as cli_output
from squeezesim.cli.inputs import (
    Batch,
    Dataflow,
    Input,
    NoCache,
    Objective,
    Stages,
    Strict,
    check_options,
    fail_if_unmodelled,
    resolved,
    results,
)
from squeezesim.errors import UsageError, nearest

_SUFFIX = ".html"

SHORT = "Write one HTML file with charts, tables and reasons; of several results, a comparison."
EXAMPLES = """\b
Examples:
  squeezesim report squeezenext_23 --hw os_32x32 -o report.html
  squeezesim report reports/squeezenext_23__os_32x32/report.json -o report.html
  squeezesim report squeezenext_23 mobilenet_v1 --hw os_32x32 --hw squeezelerator_16x16 -o compared.html
  squeezesim report my.py:make --input 3x64x64 --hw my.yaml --quantize w8a8 -o report.html
"""


def report(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="Networks, as for profile, and saved reports, which end in .json."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", parser=output.path, help="The page to write: .html."),
    ],
    hw: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|NAME", help="Accelerator on which every network runs; may be given several times."
        ),
    ] = None,
    input: Input = None,
    batch: Batch = None,
    prune: cli_command.Prune = None,
    prune_channels: cli_command.PruneChannels = None,
    low_rank: cli_command.LowRank = None,
    quantize: cli_command.Quantize = None,
    compress: cli_command.Compress = None,
    dataflow: Dataflow = "best",
    objective: Objective = None,
    no_advice: Annotated[
        bool,
        typer.Option(
            "--no-advice",
            help="Do not simulate what could be changed; it is tried for one network on one accelerator.",
        ),
    ] = False,
    stages: Stages = None,
    no_cache: NoCache = False,
    strict: Strict = False,
    debug: output.Debug = False,
) -> None:
    """Write one HTML file that opens from disk, offline: where the time and the energy go, and why.

    Several networks, accelerators or saved reports are compared. Saved reports are not simulated again.
    """
    del debug
    _check_suffix(out)
    given = command.options(
        hw, input, batch, prune, prune_channels, low_rank, quantize, compress, dataflow, objective, stages
    )
    check_options(models, given)
    compressed = cli_command.asked(prune, prune_channels, low_rank, quantize, compress)
    accelerators = [resolved(text, dataflow, objective) for text in hw or ()]
    output.check_writable([out], inputs=[*models, *given["--hw"], *compressed.files])

    from squeezesim.cli.output import page
    from squeezesim.files import atomic_write

    reports = results(models, accelerators, input or (), batch, compressed, stages=stages, cache=not no_cache)
    written = [*(["--no-advice"] if no_advice else []), "-o", str(out)]
    words = [*command.words("report", models, given), *written]
    advise = bool(accelerators) and not no_advice
    cli_output.status(
        "simulating what would save time" if advise and len(reports) == 1 else "writing the page"
    )
    atomic_write(out, page(reports, words, advise=advise, cache=not no_cache))
    cli_output.wrote([out])
    for made in reports:
        fail_if_unmodelled(made.network, strict)


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() != _SUFFIX:
        raise UsageError(
            f"cannot write {str(path)!r}: a page ends in {_SUFFIX}, found {path.suffix or 'no suffix'}"
            f"{nearest(path.suffix, [_SUFFIX])}"
        )
