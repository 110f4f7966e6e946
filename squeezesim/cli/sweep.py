"""squeezesim sweep: networks on many accelerators."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import options, output
from squeezesim.errors import ClusterError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from squeezesim.explore.sweep.execute import Progress, Store
    from squeezesim.explore.sweep.plan import Planned

SHORT = "Evaluate MODEL over a design space."
EXAMPLES = """\b
Examples:
  squeezesim sweep squeezenext_23 --hw os_32x32 --set array.rows=8,16,32,64 --set array.cols=array.rows
  squeezesim sweep squeezenext_23 alexnet --hw my.yaml --set memory.global_buffer.size_kib=32:1024:x2 --front
  squeezesim sweep squeezenext_23 --hw os_32x32 --set array.rows=8:64:8 --set array.cols=8:64:8 \\
    --set memory.dram.bandwidth_gb_s=4:64:log --sample 1000 --seed 7 --where "array.pes <= 1024" -o designs.csv
"""


def sweep(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL…", help="Networks, as in squeezesim profile; may be several."),
    ],
    hw: options.OneAccelerator,
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="PATH=VALUES",
            help="Values of a parameter: 8,16,32, or from:to:step, from:to:xFACTOR, another parameter's path; with "
            "--sample and --search also from:to and from:to:log. Every combination is costed.",
        ),
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help='Keep rows that meet it, such as "array.pes <= 1024".'),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples", "--sample", metavar="N", help="Draw N designs instead of every combination."
        ),
    ] = None,
    search: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Cost N designs on the way to the Pareto front of --objectives; needs Optuna."
        ),
    ] = None,
    objectives: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN,…",
            help="Objectives of --search, and of the front of --front and --plot.  [default: latency and energy]",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**32 - 1, metavar="S", help="Seed of the samples or of the search.  [default: 0]"
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="latin|random",
            help="How --sample draws: a Latin hypercube, or each value by itself.  [default: latin]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        options.out_option(
            "CSV of all rows, or the folder of Parquet files in which what is done is kept.  "
            "[default: a folder in sweeps/]",
            metavar="FILE.csv|FOLDER",
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Processes.  [default: one for each CPU]")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Workers of the Dask scheduler at tcp://host:8786 instead of processes here.",
        ),
    ] = None,
    front: Annotated[
        bool,
        typer.Option(
            "--front", help="Show the Pareto front of latency and energy, or of --objectives, only."
        ),
    ] = False,
    sort: Annotated[
        str, typer.Option(metavar="COLUMN", help="Sort by a column, the best first.")
    ] = "latency_us",
    top: options.Top = None,
    plot: Annotated[
        Path | None,
        options.plot_option(
            "Scatter plot of latency and energy, or of two --objectives such as array.pes,latency_us, with the Pareto "
            "front, and a heatmap of --sort over the two parameters with the largest effect."
        ),
    ] = None,
    input_: options.Input = None,
    batch: options.Batch = None,
    format: options.Format = "table",
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Evaluate MODEL over a design space, and keep the results as Parquet.

    Accelerators are costed together; every number is that of squeezesim profile on each. The folder grows by a file for
    at most 1,024 designs: an interrupted sweep goes on from there when the same command is given again.
    """
    del debug
    from squeezesim.explore.sweep.execute import Store
    from squeezesim.explore.sweep.figure import check_drawable, draw
    from squeezesim.explore.sweep.plan import resolve_objectives
    from squeezesim.explore.sweep.render import best_rows, check_sort, left_out
    from squeezesim.explore.sweep.sweep import filter_feasible, run_sweep
    from squeezesim.files import atomic_write
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.display import fixed_widths
    from squeezesim.report.files import csv_text

    _check_options(jobs, cluster, samples, search, method, seed, objectives, front=front or plot is not None)
    output.check_figure(plot)
    output.choice("--format", format, output.FORMATS)
    accelerator, values = Accelerator.resolve(options.only("--hw", hw)), _parse_settings(set_)
    names = None if objectives is None else [name.strip() for name in objectives.split(",")]
    aims = resolve_objectives(names, accelerator, values) if names or search or front or plot else None
    if plot:
        check_drawable(aims or ())
    file = _file(out)
    written = [path for path in (file, plot) if path]
    if written:
        output.check_writable(written, inputs=[*models, *hw])
    request = options.Request(inputs=input_, batch=batch, cache=not no_cache)
    kept: list[Store] = []

    def place(of: Planned) -> Path:
        check_sort(sort, of)
        kept.append(Store(out if out and not file else _folder(of), of))
        return kept[0].path

    with _progress() as (status, progress), _report_kept(kept):
        planned, table = run_sweep(
            map(request.load, models),
            accelerator,
            values,
            where=where or (),
            samples=samples,
            search=search,
            objectives=aims if search else None,
            seed=seed or 0,
            latin=method != "random",
            jobs=jobs or os.cpu_count() or 1,
            address=cluster,
            place=place,
            status=status,
            progress=progress,
            say=output.say,
        )
    if format != "table" and (note := fixed_widths(accelerator, values)):
        output.say(f"note: {note}")
    count = table.num_rows // len(models)
    found = filter_feasible(planned, table)
    if format != "table" and front and (note := left_out(found, accelerator, aims or ())):
        output.say(f"note: {note}")
    if file:
        atomic_write(file, csv_text(best_rows(found, accelerator, sort).to_pylist()))
    if plot:
        atomic_write(plot, draw(planned, found, aims or (), sort, plot.suffix.lower().removeprefix(".")))
    _print(
        planned,
        found,
        count,
        format,
        sort=sort,
        top=top,
        aims=aims or () if search or front else (),
        objectives=aims if front else None,
    )
    if format == "table":
        made = f"{file}, from the parts in {kept[0].path}" if file else f"the folder {kept[0].path}"
        output.wrote([made, *([plot] if plot else [])], after=True)


def _check_options(
    jobs: int | None,
    cluster: str | None,
    samples: int | None,
    search: int | None,
    method: str | None,
    seed: int | None,
    objectives: str | None,
    *,
    front: bool,
) -> None:
    """Refuse options that contradict each other, or that nothing would ask."""
    from squeezesim.explore.sweep.sweep import check_choice

    output.choice("--method", method or "latin", ("latin", "random"))
    if cluster and jobs:
        raise UsageError("--jobs and --cluster both say where to run; allowed: one of them")
    check_choice(samples, search)
    if search is not None and (jobs or cluster):
        raise UsageError(
            "--search costs a generation after the other in this process; allowed: no --jobs, no --cluster"
        )
    if method and samples is None:
        raise UsageError("--method says how --sample draws; allowed: with --sample")
    if seed is not None and samples is None and search is None:
        raise UsageError("--seed is that of samples or of a search; allowed: with --sample or --search")
    if objectives is not None and search is None and not front:
        raise UsageError(
            "--objectives say what a search is for and what a front is of; allowed: with --search or --front"
        )


def _parse_settings(texts: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in texts:
        path, sign, given = text.partition("=")
        if not sign:
            raise UsageError(f"--set {text!r}; allowed: PATH=VALUES, as array.rows=8,16,32")
        if path.strip() in values:
            raise UsageError(f"--set {path.strip()} is given twice; allowed: once, with all its values")
        values[path.strip()] = given.strip()
    return values


_FOREIGN = (
    *(".json", ".jsonl", ".ndjson", ".yaml", ".yml", ".toml", ".xml", ".md", ".html", ".htm", ".txt", ".log"),
    *(".tsv", ".xls", ".xlsx", ".ods", ".png", ".svg", ".pdf", ".jpg", ".jpeg", ".feather", ".arrow", ".pkl"),
    *(
        ".npy",
        ".npz",
        ".h5",
        ".hdf5",
        ".db",
        ".sqlite",
        ".duckdb",
        ".zip",
        ".gz",
        ".onnx",
        ".pt",
        ".pt2",
        ".py",
    ),
)
"""Suffixes of files that a sweep does not write, and that nobody means a folder by."""


def _file(out: Path | None) -> Path | None:
    """Return *out* where it is a CSV, None where it is a folder: one that is there is one, whatever its name.

    Raises:
        UsageError: it names a file of another format.
    """
    if out is None or out.is_dir():
        return None
    suffix = out.suffix.lower()
    if suffix in _FOREIGN and not out.exists():
        printed = "; --format json prints JSON" if suffix == ".json" else ""
        raise UsageError(
            f"-o {str(out)!r}: a sweep writes no {suffix}; allowed: FILE.csv, or a folder of Parquet files, as FOLDER "
            f"or FOLDER.parquet{printed}"
        )
    return out if suffix == ".csv" else None


def _folder(plan: Planned) -> Path:
    """A folder whose name is another for every sweep."""
    from squeezesim.zoo.registry import folder_name

    networks = "+".join(folder_name(name) for name in plan.about["networks"])
    return Path(
        "sweeps", f"{networks[:100]}__{plan.about['accelerator']}__{plan.about['digest'][:8]}.parquet"
    )


def _describe_kept(store: Store) -> str:
    """Describe how far an interrupted sweep came."""
    planned = store.plan
    done = sum(planned.size(number) for number in store.done())
    if not done:
        return "no part was done yet, and nothing is kept"
    total = sum(planned.size(number) for number in range(planned.chunks))
    return f"{done:,} of {total:,} rows are in {store.path}; the same command goes on from there"


@contextmanager
def _report_kept(stores: Sequence[Store]) -> Iterator[None]:
    """Where the block is interrupted, or the cluster goes away, say what is in *stores*."""
    try:
        yield
    except KeyboardInterrupt:
        for store in stores:
            output.say(_describe_kept(store))
        raise
    except ClusterError as error:
        raise ClusterError("; ".join([str(error), *map(_describe_kept, stores)])) from error


@contextmanager
def _progress() -> Iterator[tuple[Callable[[str], None], Progress]]:
    """What is done, and a bar of the rows with rate and remaining time, on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None, lambda _done, _total: None
        return
    output.end()
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("", total=None, shown="")

    def update(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)
        left, speed = bar.tasks[task].time_remaining, bar.tasks[task].speed
        rate = f", {speed:,.0f} a second, {left:,.0f} s left" if speed and left is not None else ""
        bar.update(task, shown=f"{done:,} of {total:,} rows{rate}")

    with bar:
        yield lambda what: bar.update(task, description=what), update


def _print(
    of: Planned,
    table: pa.Table,
    count: int,
    format: str,
    *,
    sort: str,
    top: int | None,
    aims: Sequence[str],
    objectives: Sequence[str] | None,
) -> None:
    from squeezesim.explore.sweep.render import best_rows, sections
    from squeezesim.files import json_line
    from squeezesim.report.files import csv_text
    from squeezesim.report.text import plain, print_sections

    if format != "table":
        rows = best_rows(table, of.base, sort, objectives).slice(0, top).to_pylist()
        output.write(csv_text(rows, table.column_names) if format == "csv" else json_line(rows) + "\n")
        return
    console, most = output.console(), 10 if top is None else top
    width = console.width - 2 if console.is_terminal else None
    shown = sections(of, table, count, sort=sort, top=most, aims=aims, objectives=objectives, width=width)
    if console.is_terminal:
        print_sections(shown, console)
    else:
        output.tell_all(plain(shown))
