"""squeezesim explain: why a network takes as long as it does on an accelerator, and what would change that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import options, output
from squeezesim.errors import UsageError, nearest

if TYPE_CHECKING:
    from squeezesim.report.text import Section

_FORMATS = ("text", "json", "markdown")
_SUFFIXES = {".txt": "text", ".json": "json", ".md": "markdown"}

SHORT = "Explain where MODEL loses time on an accelerator, and propose changes."
EXAMPLES = """\b
Examples:
  squeezesim explain squeezenext_23 --hw squeezelerator_16x16
  squeezesim explain squeezenext_23 --hw my.yaml --layer stem.conv
  squeezesim explain my.py:make --input 3x64x64 --hw os_32x32 --quantize w8a8 -o why.md
  squeezesim explain reports/squeezenext_23__os_32x32/report.json
"""


def explain(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A network, as for profile, or a saved report, which ends in .json."
        ),
    ],
    hw: Annotated[
        list[str] | None,
        options.hw_option(
            "Accelerator, a YAML file or a name of squeezesim hw list; not for a saved report."
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Explain this layer, with proposals that make it faster."),
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
    out: Annotated[
        list[Path] | None,
        options.out_option("Write the explanation: .txt, .json or .md; may be given several times."),
    ] = None,
    format: Annotated[str, options.format_option(_FORMATS, "How it is printed.")] = "text",
    stages: options.Stages = None,
    no_cache: options.NoCache = False,
    strict: options.Strict = False,
    debug: options.Debug = False,
) -> None:
    """Explain where MODEL loses time on an accelerator, and propose changes that save some.

    The layers that take longest are explained from the loss accounting. Changes to the accelerator and to the network
    are proposed only after they were simulated: what one saves is the difference of two simulations. The first call
    for a built-in network traces its variants, which takes seconds; later ones read them from the cache.
    """
    del debug
    output.choice("--format", format, _FORMATS)
    for path in out or ():
        _format_of(path)
    request = options.Request(
        hw=[options.only("--hw", hw)] if hw else [],
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
    request.check([model])
    output.check_writable(out or (), inputs=[model, *request.files])

    from squeezesim.explore.advise import document, proposals_of, sections
    from squeezesim.explore.passing import passing_of
    from squeezesim.files import atomic_write
    from squeezesim.report.explain import explain as explained

    (report,) = request.reports([model])
    output.status(f"simulating changes to {report.network.name} and {report.accelerator.name}")
    passing = passing_of(report)
    proposals = proposals_of(report, layer, passing, cache=not no_cache)
    shown = [each for each in passing if layer in (None, each.layer)]
    found = report, explained(report, layer), proposals, shown
    parts = sections(*found)
    console = output.console()
    texts = {"json": document(*found)} if "json" in (format, *map(_format_of, out or ())) else {}
    for path in out or ():
        atomic_write(path, texts.get(_format_of(path)) or _text(parts, _format_of(path)))
    if format == "text":
        _show(sections(*found, width=console.width - 2) if console.is_terminal else parts)
    else:
        output.write(texts.get(format) or _text(parts, format))
    options.fail_if_unmodelled(report.network, strict)


def _format_of(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"cannot write {str(path)!r}: explanations end in {', '.join(_SUFFIXES)}, found {suffix or 'no suffix'}"
            f"{nearest(suffix, _SUFFIXES)}"
        )
    return _SUFFIXES[suffix]


def _text(parts: list[Section], format: str) -> str:
    from squeezesim.report.text import markdown, plain

    return markdown(parts) if format == "markdown" else plain(parts) + "\n"


def _show(parts: list[Section]) -> None:
    from squeezesim.report.text import print_sections

    console = output.console()
    if console.is_terminal:
        print_sections(parts, console)
    else:
        output.write(_text(parts, "text"))
