"""squeezesim plot: figures of saved reports, or of networks on accelerators."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from squeezesim.cli import options, output
from squeezesim.errors import UsageError, nearest

SHORT = "Draw a figure of reports."
EXAMPLES = """\b
Examples:
  squeezesim plot utilization report.json -o utilization.png
  squeezesim plot timeline squeezenext_23 --hw os_32x32 --layer stem.conv -o timeline.svg --theme dark
  squeezesim plot stages squeezenext_23 squeezenext_23_v5 --hw squeezelerator_16x16 -o stages.pdf
  squeezesim plot tradeoff alexnet my.py:make --hw my.yaml --top1 make=61.2 -o tradeoff.png
"""
# Options of single kinds of figures: how they are written, and the name that the function has for them.
_OPTIONS = {"equal": "--equal", "layers": "--layer", "top1": "--top1"}


def plot(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="utilization, stages, losses, roofline, energy, memory, tradeoff or timeline.",
        ),
    ],
    subjects: Annotated[
        list[str],
        typer.Argument(
            metavar="REPORT|MODEL...",
            help="Reports, .json; with --hw also networks. stages and tradeoff take several.",
        ),
    ],
    out: Annotated[
        list[Path],
        options.out_option("Write the figure: .png, .svg or .pdf; may be given several times."),
    ],
    hw: Annotated[
        list[str] | None,
        options.hw_option("Accelerator of a MODEL; may be given several times."),
    ] = None,
    input: options.Input = None,
    batch: options.Batch = None,
    theme: Annotated[
        str, typer.Option(metavar="light|dark", help="Colours for a light or a dark background.")
    ] = "light",
    equal: Annotated[
        bool, typer.Option("--equal", help="utilization: sum layers with equal channels and filters.")
    ] = False,
    layer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="timeline: a layer, by default the three slowest; several times."),
    ] = None,
    top1: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK=PERCENT",
            help="tradeoff: top-1 accuracy of a network that is not built in; several times.",
        ),
    ] = None,
    stages: options.Stages = None,
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Draw the figure KIND of reports that profile wrote, or of a MODEL on an accelerator.

    utilization: cycles of the layers of each shape by cause, beside their utilization. stages: time and energy by
    stage, networks side by side. losses: from the cycles of the MACs alone to all cycles. roofline: layers below the
    ceilings of array, DRAM and buffer. energy: by level, that of DRAM by operand. memory: tensors in the buffer and in
    DRAM, or what is live. tradeoff: accuracy against latency and energy. timeline: load, compute and store of tiles.
    """
    del debug
    from squeezesim.report.figures.colours import theme_named
    from squeezesim.report.figures.registry import KINDS, check, figure, kind_named

    chosen = kind_named(kind)
    theme_named(theme)
    own: dict[str, Any] = {
        "equal": equal,
        "layers": layer or [],
        "top1": options.parse_accuracies(top1 or []),
    }
    for name, value in own.items():
        if value and name not in chosen.options:
            (owner,) = (other for other, figures in KINDS.items() if name in figures.options)
            raise UsageError(f"{_OPTIONS[name]} is for the figure {owner!r}, found {kind!r}")
    formats = [_format(path) for path in out]
    request = options.Request(hw, input, batch, stages=stages, cache=not no_cache)
    request.check(subjects)
    check(kind, sum(1 if options.is_report(subject) else len(hw or []) for subject in subjects))
    output.check_writable(out, inputs=[*subjects, *request.files])

    from squeezesim.files import atomic_write

    reports = request.reports(subjects)
    taken = {name: own[name] for name in chosen.options}
    output.status("drawing")
    made = [figure(kind, reports, suffix, theme=theme, **taken) for suffix in formats]
    for path, content in zip(out, made, strict=True):
        atomic_write(path, content)
    output.wrote(out)


def _format(path: Path) -> str:
    """The format that the suffix of *path* means."""
    from squeezesim.report.figures.style import FORMATS

    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in FORMATS:
        allowed = ", ".join(f".{known}" for known in FORMATS)
        raise UsageError(
            f"cannot write {str(path)!r}: figures end in {allowed}, found {path.suffix or 'no suffix'}"
            f"{nearest(path.suffix, allowed.split(', '))}"
        )
    return suffix
