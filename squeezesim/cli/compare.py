"""squeezesim compare: networks on accelerators side by side; conditions on which a change fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import options, output
from squeezesim.errors import UsageError, nearest

if TYPE_CHECKING:
    from squeezesim.explore.compare.comparison import Comparison, Result
    from squeezesim.explore.compare.gate import Verdict

_BY = ("result", "stage", "layer")
_FORMATS = ("table", "csv", "json", "markdown")
_SUFFIXES = {".csv": "csv", ".json": "json", ".md": "markdown", ".png": "png", ".svg": "svg"}

SHORT = "Compare networks, accelerators and saved reports."
EXAMPLES = """\b
Examples:
  squeezesim compare squeezenext_23 squeezenext_23_v5 --hw squeezelerator_16x16
  squeezesim compare squeezenext_23 alexnet --hw os_32x32 --hw ws_32x32 --by stage --plot networks.png
  squeezesim compare squeezenext_23_v2 squeezenext_23_v5 --hw os_32x32 --by layer --top 10
  squeezesim compare squeezenet_1_0 squeezenet_1_0+prune=0.4 squeezenet_1_0+quantize=w8a8 --hw os_32x32
  squeezesim compare my.py:make --input 3x64x64 --hw my.yaml --against main.json --fail-if "latency_us > +2%"
"""


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL",
            help="Networks, as for profile, compressed ones as MODEL+prune=0.4, and saved reports, which end in .json.",
        ),
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
    settings: options.Settings = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A network, an accelerator or 'NETWORK on ACCELERATOR'.  [default: the first result]",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REPORT",
            help="A saved report.json as the baseline; of several, the one of the same network and accelerator.",
        ),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="CONDITION",
            help="Exit code 1 if it holds of a result, such as 'latency_us > +2%' or 'params > 1M'; may be given "
            "several times.",
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="|".join(_BY), help="Compare the networks alone, or stage by stage or layer by layer too."
        ),
    ] = "result",
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Of the stages or layers, the N whose latency differs most, in tables."
        ),
    ] = None,
    top1: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK=PERCENT",
            help="Accuracy of a network, beside the published ones of built-in networks.",
        ),
    ] = None,
    out: Annotated[
        list[Path] | None,
        options.out_option("Write a file: .csv, .json, .md, .png or .svg; may be given several times."),
    ] = None,
    plot: Annotated[
        Path | None,
        options.plot_option("Write a figure of accuracy against latency and energy: .png or .svg."),
    ] = None,
    format: Annotated[str, options.format_option(_FORMATS, "Print a table, or only data.")] = "table",
    stages: options.Stages = None,
    no_cache: options.NoCache = False,
    strict: options.Strict = False,
    debug: options.Debug = False,
) -> None:
    """Compare networks × accelerators: params, MACs, latency, utilization, energy, DRAM bytes, top-1 where it is known.

    Relative columns are ratios to the baseline. With --by stage or layer, rows of the same name stand side by side,
    each result under its number; --format csv then has a row for each of them and each result.

    Options that compress are for every network, those written into MODEL for that one: MODEL+prune=0.4+quantize=w8a8.

    A condition is of the columns of the CSV; +2% and -5% are changes from the baseline. Exit code 1 if one holds.
    """
    del debug
    output.choice("--by", by, _BY)
    output.choice("--format", format, _FORMATS)
    if top is not None and by == "result":
        raise UsageError("--top is of stages or layers: give --by stage or --by layer")
    if baseline is not None and against:
        raise UsageError("--baseline and --against both say what to compare with; allowed: one of them")
    files = _files(out or (), plot)
    request = options.Request(
        hw=hw,
        inputs=input,
        batch=batch,
        prune=prune,
        prune_channels=prune_channels,
        low_rank=low_rank,
        quantize=quantize,
        compress=compress,
        settings=settings,
        stages=stages,
        cache=not no_cache,
    )
    request.check(models)
    output.check_writable(files, inputs=[*models, *request.files, *(against or ())])

    from squeezesim.explore.compare.compare import comparison
    from squeezesim.explore.compare.comparison import saved
    from squeezesim.explore.compare.gate import conditions, judge
    from squeezesim.explore.compare.render import check_drawable

    wanted = conditions(fail_if or ())
    accuracy = options.parse_accuracies(top1 or ())
    before = [saved(path) for path in against or ()]
    with request.pointing():
        found = _results(models, request)
    compared = comparison(found, baseline=baseline, against=before, top1=accuracy)
    verdicts = judge(compared, wanted)
    if any(path.suffix.lower() in output.FIGURES for path in files):
        check_drawable(compared)
    with output.ahead_of_files(lambda: _print(compared, format, by, verdicts, top)):
        _write(compared, files, by, verdicts, top)
    if format == "table" and files:
        output.wrote(files, after=True)
    unmodelled = any(result.report.unmodelled for result in compared.results)
    if any(verdict.has_failed for verdict in verdicts) or (strict and unmodelled):
        raise typer.Exit(1)


def _files(out: Sequence[Path], plot: Path | None) -> list[Path]:
    """The files to write, whose suffixes must be known."""
    for path in out:
        suffix = path.suffix.lower()
        if suffix not in _SUFFIXES:
            known = ", ".join(_SUFFIXES)
            raise UsageError(
                f"cannot write {str(path)!r}: files end in {known}, found {suffix or 'no suffix'}"
                f"{nearest(suffix, _SUFFIXES)}"
            )
    output.check_figure(plot)
    return [*out, *([plot] if plot else [])]


def _results(models: Sequence[str], request: options.Request) -> list[Result]:
    from squeezesim.explore.compare.compare import results_of

    accelerators = request.accelerators
    found: list[Result] = []
    for text in models:
        item = text if options.is_report(text) else request.load(text)
        output.status(f"simulating {text}")
        found += results_of(item, accelerators)
    return found


def _write(
    compared: Comparison, files: Sequence[Path], by: str, verdicts: Sequence[Verdict], top: int | None
) -> None:
    from squeezesim.files import atomic_write

    made = [_content(compared, _SUFFIXES[path.suffix.lower()], by, verdicts, top) for path in files]
    for path, content in zip(files, made, strict=True):
        atomic_write(path, content)


def _content(
    compared: Comparison, format: str, by: str, verdicts: Sequence[Verdict], top: int | None
) -> str | bytes:
    if f".{format}" in output.FIGURES:
        from squeezesim.explore.compare.render import draw

        return draw(compared, format, verdicts)
    return _text(compared, format, by, verdicts, top)


def _text(compared: Comparison, format: str, by: str, verdicts: Sequence[Verdict], top: int | None) -> str:
    if format == "csv":
        from squeezesim.report.files import csv_text

        return csv_text(compared.rows(by))
    from squeezesim.explore.compare.render import to_json, to_markdown

    if format == "json":
        return to_json(compared, by, verdicts)
    return to_markdown(compared, by, verdicts, top=top)


def _print(compared: Comparison, format: str, by: str, verdicts: Sequence[Verdict], top: int | None) -> None:
    if format != "table":
        output.write(_text(compared, format, by, verdicts, top))
        return
    from squeezesim.explore.compare.render import sections
    from squeezesim.report.text import plain, print_sections

    console = output.console()
    if console.is_terminal:
        print_sections(sections(compared, by, verdicts, top=top, width=console.width - 2), console)
    else:
        output.tell_all(plain(sections(compared, by, verdicts, top=top)))
