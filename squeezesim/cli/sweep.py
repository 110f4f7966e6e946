"""squeezesim sweep: networks on many accelerators."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import output
from squeezesim.cli import output as cli_output
from squeezesim.cli.inputs import Batch, Input, NoCache, OneAccelerator, load_network, only
from squeezesim.errors import ClusterError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from squeezesim.explore.sweep.execute import Progress, Store
    from squeezesim.explore.sweep.nsga import Search
    from squeezesim.explore.sweep.plan import Plan, Planned

SHORT = "Cost MODEL on every accelerator that parameters make."
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
    hw: OneAccelerator,
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
        typer.Option("--sample", metavar="N", help="Draw N designs instead of every combination."),
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
            help="What --search looks for, and what the front of --front is of.  [default: latency and energy]",
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
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.csv|FOLDER",
            parser=output.path,
            help="CSV of all rows, or the folder of Parquet files in which what is done is kept.  "
            "[default: a folder in sweeps/]",
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
    top: output.Top = None,
    input_: Input = None,
    batch: Batch = None,
    format: output.Format = "table",
    no_cache: NoCache = False,
    debug: output.Debug = False,
) -> None:
    """Cost MODEL on every accelerator that the values of parameters make, and keep the results as Parquet.

    Accelerators are costed together; every number is that of squeezesim profile on each. The folder grows by a file for
    at most 1,024 designs: an interrupted sweep goes on from there when the same command is given again.
    """
    del debug
    from squeezesim.explore.sweep.execute import Store, run
    from squeezesim.explore.sweep.render import best_rows, check_sort
    from squeezesim.explore.sweep.results import objectives_of
    from squeezesim.explore.sweep.sweep import costing, interest, plan, searched
    from squeezesim.files import atomic_write
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.display import fixed_widths
    from squeezesim.inputs import networks_of
    from squeezesim.report.files import csv_text

    _check_options(jobs, cluster, samples, search, method, seed, objectives, front=front)
    output.choice("--format", format, output.FORMATS)
    accelerator, values, conditions = Accelerator.resolve(only("--hw", hw)), _values(set_), where or ()
    names = None if objectives is None else [name.strip() for name in objectives.split(",")]
    aims = objectives_of(names, accelerator, values) if names or search or front else None
    file = _file(out)
    if file:
        output.check_writable([file], inputs=[*models, *hw])
    with _progress() as (status, progress):
        status("reading networks")
        networks = networks_of(
            load_network(model, input_ or (), batch, cache=not no_cache) for model in models
        )
        status("making designs")
        of = (networks, accelerator, values)
        planned: Plan | Search
        if search is None:
            latin = method != "random"
            planned = plan(*of, where=conditions, samples=samples, seed=seed or 0, latin=latin)
        else:
            planned = searched(*of, search, where=conditions, objectives=aims, seed=seed or 0)
        check_sort(sort, planned)
        store = Store(out if out and not file else _folder(planned), planned)
        status("costing designs")
        with _told(store):
            run(
                store, costing(store, planned, jobs or os.cpu_count() or 1, cluster), progress, cli_output.say
            )
        status("reading results")
        table = store.read()
    if format != "table" and (note := fixed_widths(accelerator, values)):
        cli_output.say(f"note: {note}")
    count = table.num_rows // len(models)
    found = interest(planned, table)
    if file:
        atomic_write(file, csv_text(best_rows(found, accelerator, sort).to_pylist()))
    _print(
        planned,
        found,
        count,
        format,
        sort=sort,
        top=top,
        objectives=aims if front else None,
    )
    if format == "table":
        made = f"{file}, from the parts in {store.path}" if file else f"the folder {store.path}"
        cli_output.wrote([made], after=True)


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
    output.choice("--method", method or "latin", ("latin", "random"))
    if cluster and jobs:
        raise UsageError("--jobs and --cluster both say where to run; allowed: one of them")
    if search is not None and samples is not None:
        raise UsageError("--sample and --search both choose designs; allowed: one of them")
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


def _values(texts: Sequence[str]) -> dict[str, str]:
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


def _kept(store: Store) -> str:
    """What of an interrupted sweep is there."""
    planned = store.plan
    done = sum(planned.size(number) for number in store.done())
    if not done:
        return "no part was done yet, and nothing is kept"
    total = sum(planned.size(number) for number in range(planned.chunks))
    return f"{done:,} of {total:,} rows are in {store.path}; the same command goes on from there"


@contextmanager
def _told(store: Store) -> Iterator[None]:
    """Where the block is interrupted, or the cluster goes away, say what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        cli_output.say(_kept(store))
        raise
    except ClusterError as error:
        raise ClusterError(f"{error}; {_kept(store)}") from error


@contextmanager
def _progress() -> Iterator[tuple[Callable[[str], None], Progress]]:
    """What is done, and a bar of the rows with rate and remaining time, on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None, lambda _done, _total: None
        return
    cli_output.end()
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
    objectives: Sequence[str] | None,
) -> None:
    from squeezesim.explore.sweep.render import best_rows, sections
    from squeezesim.report.files import csv_text
    from squeezesim.report.serialize import dump_json
    from squeezesim.report.text import plain, print_sections

    if format != "table":
        rows = best_rows(table, of.base, sort, objectives).slice(0, top).to_pylist()
        cli_output.write(csv_text(rows, table.column_names) if format == "csv" else dump_json(rows) + "\n")
        return
    console, most = output.console(), 10 if top is None else top
    width = console.width - 2 if console.is_terminal else None
    shown = sections(of, table, count, sort=sort, top=most, objectives=objectives, width=width)
    if console.is_terminal:
        print_sections(shown, console)
    else:
        cli_output.tell_all(plain(shown))
