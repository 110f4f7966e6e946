"""squeezesim report: one HTML file that shows and explains results, and compares them where there are several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from squeezesim.cli import options, output
from squeezesim.errors import UsageError, nearest

_SUFFIX = ".html"

SHORT = "Write an HTML report, of several results a comparison."
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
        options.out_option("The page to write: .html."),
    ],
    hw: Annotated[
        list[str] | None,
        options.hw_option("Accelerator on which every network runs; may be given several times."),
    ] = None,
    input: options.Input = None,
    batch: options.Batch = None,
    prune: options.Prune = None,
    prune_channels: options.PruneChannels = None,
    low_rank: options.LowRank = None,
    quantize: options.Quantize = None,
    compress: options.Compress = None,
    dataflow: options.Dataflow = "best",
    objective: options.Objective = None,
    settings: options.Settings = None,
    mapping: options.MappingFile = None,
    no_advice: Annotated[
        bool,
        typer.Option(
            "--no-advice",
            help="Leave out the proposals, which a page of one network on one accelerator has.",
        ),
    ] = False,
    stages: options.Stages = None,
    no_cache: options.NoCache = False,
    strict: options.Strict = False,
    debug: options.Debug = False,
) -> None:
    """Write one HTML file that opens from disk, offline: where the time and the energy go, and why.

    Several networks, accelerators or saved reports are compared. Saved reports are not simulated again.
    """
    del debug
    _check_suffix(out)
    request = options.Request(
        hw=hw,
        inputs=input,
        batch=batch,
        prune=prune,
        prune_channels=prune_channels,
        low_rank=low_rank,
        quantize=quantize,
        compress=compress,
        dataflow=dataflow,
        objective=objective,
        settings=settings,
        mapping=mapping,
        stages=stages,
        cache=not no_cache,
    )
    request.check(models)
    output.check_writable([out], inputs=[*models, *request.files])

    from squeezesim.cli.output import page
    from squeezesim.files import atomic_write

    reports = request.reports(models)
    written = [*(["--no-advice"] if no_advice else []), "-o", str(out)]
    words = [*options.words("report", models, request.given), *written]
    advise = bool(hw) and not no_advice
    output.status("simulating proposals" if advise and len(reports) == 1 else "writing the page")
    atomic_write(out, page(reports, words, advise=advise, cache=not no_cache))
    output.wrote([out])
    for made in reports:
        options.fail_if_unmodelled(made.network, strict)


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() != _SUFFIX:
        raise UsageError(
            f"cannot write {str(path)!r}: a page ends in {_SUFFIX}, found {path.suffix or 'no suffix'}"
            f"{nearest(path.suffix, [_SUFFIX])}"
        )
