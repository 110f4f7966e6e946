"""squeezesim profile: a network on accelerators, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from squeezesim.cli import options, output
from squeezesim.errors import UsageError

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.report.report import Report

_DEFAULT_FILES = ("layers.csv", "report.json", "utilization.png")
_BY = ("shape", "layer", "stage", "op")

SHORT = "Simulate MODEL on an accelerator, layer by layer."
EXAMPLES = """\b
Examples:
  squeezesim profile squeezenext_23 --hw os_32x32
  squeezesim profile squeezenext_23@depth=2-4-14-1 --hw my.yaml --by stage --no-files
  squeezesim profile my.py:make --input 3x64x64 --hw my.yaml -o layers.csv --plot layers.svg
  squeezesim profile alexnet --hw os_32x32 --hw ws_32x32 --sort dram_bytes --top 5 --format csv
  squeezesim profile alexnet --hw eyeriss --mapping alexnet.mapping.json --no-files
  squeezesim profile reports/squeezenext_23__os_32x32/report.json --by stage
"""


def profile(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help=f"{options.MODEL_HELP} Or a saved report.json, which is printed."
        ),
    ],
    hw: Annotated[
        list[str] | None,
        options.hw_option(
            "Accelerator, a YAML file or a name of squeezesim hw list; may be given several times; not for a "
            "saved report."
        ),
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
        options.out_option(
            "Write a report: .csv, .html, .json, .mapping.json, .md, .parquet, .png, .svg or .trace.json; "
            "may be given several times."
        ),
    ] = None,
    plot: options.Plot = None,
    top: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Show N rows; without --sort, the slowest.")
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Sort by a column of the CSV, such as cycles or energy_uj; numbers descending.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(_BY),
            help="Rows; shape: the layers of one shape in a stage together.  [default: shape in tables, layer in CSV]",
        ),
    ] = None,
    format: options.Format = "table",
    stages: options.Stages = None,
    no_files: Annotated[bool, typer.Option("--no-files", help="Write no files.")] = False,
    no_cache: options.NoCache = False,
    strict: options.Strict = False,
    debug: options.Debug = False,
) -> None:
    """Simulate MODEL on an accelerator: latency, utilization, energy and DRAM traffic of each layer.

    Cycles are of the accelerator's clock, latency is in µs, energy in µJ or, where the energy table is relative, in
    units of one MAC, DRAM traffic in bytes. The table abbreviates (k, M, G are SI, KiB and MiB IEC); --format csv and
    json do not.

    Unless files are named, --no-files is given or --format is csv or json, writes layers.csv, report.json and
    utilization.png to reports/MODEL__HW/.
    """
    del debug
    output.choice("--format", format, output.FORMATS)
    by = output.choice("--by", by or ("shape" if format == "table" else "layer"), _BY)
    if format == "json" and (sort is not None or top is not None or by != "layer"):
        raise UsageError("--sort, --top and --by are for tables and CSV; --format json is the whole report")
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
    request.check([model])
    saved = options.is_report(model)
    _check_saved_report(model, saved, {"--no-files": no_files, "--no-cache": no_cache})
    accelerators, _ = request.accelerators, request.given_mapping
    named = [*(out or ()), *([plot] if plot else [])]
    default = not named and format == "table" and not no_files and not saved
    targets = (
        _targets(accelerators, model, _settings(request))
        if default
        else [_check_named_files(named, plot, accelerators)]
    )
    output.check_writable((path for paths in targets for path in paths), inputs=[model, *request.files])

    from squeezesim.cli.output import page
    from squeezesim.files import atomic_write
    from squeezesim.report.files import made
    from squeezesim.report.selection import select

    with output.before_files():
        reports = _reports(model, saved, request)
        rows = [select(report, by, sort, top) for report in reports]

    def show() -> None:
        if format == "csv":
            _print_csv(reports, rows)
        elif format == "json":
            _print_json(reports)
        else:
            _print_tables(reports, by=by, sort=sort, top=top)

    with output.ahead_of_files(show):
        with output.before_files():
            output.status("writing files")
            files = [*(("-o", path) for path in out or ()), *([("--plot", plot)] if plot else [])]
            words = options.words("profile", [model], request.given, files)
            contents = made(
                [(report, path) for report, paths in zip(reports, targets, strict=False) for path in paths],
                html=lambda report: page([report], words, advise=not saved, cache=not no_cache),
            )
        for path, content in contents:
            atomic_write(path, content)
    if contents and format == "table":
        output.wrote([path for path, _ in contents], after=True)
    options.fail_if_unmodelled(reports[0].network, strict)


def _check_saved_report(model: str, saved: bool, given: Mapping[str, bool]) -> None:
    """Check that no option is given that does nothing for a saved report."""
    idle = [option for option, is_given in given.items() if is_given]
    if saved and idle:
        raise options.for_networks(idle[0], model, "only printed")


def _reports(model: str, saved: bool, request: options.Request) -> list[Report]:
    """The saved report, or one on each accelerator with the command that makes it alone."""
    from squeezesim.report.data import Maker
    from squeezesim.report.report import Report
    from squeezesim.simulate import simulate

    if saved:
        return [Report.load(model)]
    network = request.load(model)
    output.status(f"simulating {network.name}")
    with request.pointing():
        return [
            replace(
                simulate(network, accelerator, mapping=request.given_mapping),
                made_by=Maker.of(options.words("profile", [model], {**request.given, "--hw": [text]})),
            )
            for text, accelerator in zip(request.given["--hw"], request.accelerators, strict=True)
        ]


def _settings(request: options.Request) -> list[str]:
    """What sets this run apart from the default one, as parts of a folder's name."""
    return [
        *(f"input-{text}" for text in request.inputs or ()),
        *([f"batch-{request.batch}"] if request.batch not in (None, 1) else []),
        *([request.dataflow] if request.dataflow != "best" else []),
        *([request.objective] if request.objective else []),
        *(
            f"mapping-{Path(file).name.removesuffix('.json').removesuffix('.mapping')}"
            for file in request.mapping or ()
        ),
        *(f"stages-{text}" for text in request.stages or ()),
        *(
            f"{name}-{value}" if pattern == "*" else f"{name}-{pattern}-{value}"
            for name, rules in request.compression.rules.items()
            for pattern, value in rules.items()
        ),
        *(f"compress-{Path(file).stem}" for file in request.compression.files),
    ]


def _targets(accelerators: Sequence[Accelerator], model: str, settings: Sequence[str]) -> list[list[Path]]:
    """The default files of each accelerator's report."""
    from squeezesim.zoo.registry import folder_name

    names = [accelerator.name for accelerator in accelerators]
    if len(set(names)) < len(names):
        raise UsageError(f"two accelerators share a name, and so a folder: {', '.join(names)}")
    parts = [folder_name(setting) for setting in settings]
    folders = [Path("reports", "__".join([folder_name(model), name, *parts])) for name in names]
    return [[folder / file for file in _DEFAULT_FILES] for folder in folders]


def _check_named_files(
    paths: Sequence[Path], plot: Path | None, accelerators: Sequence[Accelerator]
) -> list[Path]:
    """The files that the user named, whose suffixes must be known."""
    from squeezesim.report.files import file_format

    if paths and len(accelerators) > 1:
        raise UsageError(
            f"{str(paths[0])!r} would hold one report, but there are {len(accelerators)} accelerators"
        )
    output.check_figure(plot)
    for path in paths:
        file_format(path)
    return list(paths)


def _print_csv(reports: Sequence[Report], tables: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    from squeezesim.report.files import csv_text

    if len(reports) == 1:
        output.write(csv_text(tables[0]))
        return
    pairs = zip(reports, tables, strict=True)
    rows = [{"accelerator": report.accelerator.name, **row} for report, table in pairs for row in table]
    output.write(csv_text(rows))


def _print_json(reports: Sequence[Report]) -> None:
    from squeezesim.report.serialize import encode

    texts = [encode(report) for report in reports]
    output.write(texts[0] if len(texts) == 1 else f"[\n{','.join(texts)}]\n")


def _print_tables(reports: Sequence[Report], *, by: str, sort: str | None, top: int | None) -> None:
    from squeezesim.report.text import show

    console = output.console()
    for number, report in enumerate(reports):
        if number:
            output.tell()
        show(report, console, by=by, sort=sort, top=top)
