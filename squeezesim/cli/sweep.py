"""squeezesim sweep: networks on many accelerators."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import output, streams
from squeezesim.cli.inputs import Batch, Input, NoCache, load_network
from squeezesim.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from squeezesim.explore.sweep.plan import Plan
    from squeezesim.explore.sweep.run import Progress

SHORT = "Cost MODEL on every accelerator that parameters make."
EXAMPLES = """\b
Examples:
  squeezesim sweep squeezenext_23 --hw os_32x32 --set array.rows=8,16,32,64 --set array.cols=array.rows
  squeezesim sweep squeezenext_23 alexnet --hw my.yaml --set memory.global_buffer.size_kib=32:1024:x2 --front
  squeezesim sweep squeezenext_23 --hw os_32x32 --set array.rows=8:64:8 --set array.cols=8:64:8 \\
    --set memory.dram.bandwidth_gb_s=4:64:log --sample 1000 --seed 7 --where "array.pes <= 1024" -o designs.parquet
"""


def sweep(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL…", help="Networks, as in squeezesim profile; may be several."),
    ],
    hw: Annotated[
        str,
        typer.Option(metavar="FILE|NAME", help="Accelerator that all other parameters are taken from."),
    ],
    set_: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="PATH=VALUES",
            help="Values of a parameter: 8,16,32, or from:to:step, from:to:xFACTOR, another parameter's path; with "
            "--sample also from:to and from:to:log. Every combination is costed.",
        ),
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help='Keep designs that meet it, such as "array.pes <= 1024".'),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", help="Draw N designs instead of every combination."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="Seed of the samples.")] = 0,
    method: Annotated[
        str,
        typer.Option(metavar="latin|random", help="Draw a Latin hypercube, or each value by itself."),
    ] = "latin",
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            parser=output.path,
            help="Folder of Parquet files; what is there of the same sweep is kept.  [default: in sweeps/]",
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
        bool, typer.Option("--front", help="Show the Pareto front of latency and energy only.")
    ] = False,
    sort: Annotated[
        str, typer.Option(metavar="COLUMN", help="Sort by a column, the best first.")
    ] = "latency_us",
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Show N rows; by default 10 in tables and all in CSV and JSON."
        ),
    ] = None,
    input_: Input = None,
    batch: Batch = None,
    format: output.Format = "table",
    no_cache: NoCache = False,
    debug: output.Debug = False,
) -> None:
    """Cost MODEL on every accelerator that the values of parameters make, and keep the results as Parquet.

    Accelerators are costed together; every number is that of squeezesim profile on each. The folder grows by a file for
    each 1,024 designs: an interrupted sweep goes on from there when the same command is given again.
    """
    del debug
    from squeezesim.explore.sweep.api import plan
    from squeezesim.explore.sweep.cluster import cluster as on_cluster
    from squeezesim.explore.sweep.run import local, run
    from squeezesim.explore.sweep.store import Store
    from squeezesim.hardware.accelerator import Accelerator

    output.choice("--format", format, output.FORMATS)
    output.choice("--method", method, ("latin", "random"))
    if cluster and jobs:
        raise UsageError("--jobs and --cluster both say where to run; allowed: one of them")
    accelerator = Accelerator.resolve(hw)
    planned = plan(
        [load_network(model, input_ or (), batch, cache=not no_cache) for model in models],
        accelerator,
        _values(set_),
        where=where or (),
        samples=samples,
        seed=seed,
        latin=method == "latin",
    )
    store = Store(out or _folder(planned), planned)
    store.done()
    try:
        with _progress() as progress:
            cost = on_cluster(cluster) if cluster else local(jobs or os.cpu_count() or 1)
            run(store, cost, progress)
    except KeyboardInterrupt:
        done = sum(planned.size(number) for number in store.done())
        streams.say(f"{done:,} rows are in {store.path}; the same command goes on from there")
        raise
    _print(planned, store.read(), format, sort=sort, top=top, front=front)
    if format == "table":
        print(f"\nwrote {store.path}")


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


def _folder(plan: Plan) -> Path:
    """A folder whose name is another for every sweep."""
    from squeezesim.zoo.registry import folder_name

    networks = "+".join(folder_name(name) for name in plan.about["networks"])
    return Path(
        "sweeps", f"{networks[:100]}__{plan.about['accelerator']}__{plan.about['digest'][:8]}.parquet"
    )


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar with rate and remaining time on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("", rate="")

    def update(done: int, total: int) -> None:
        speed = bar.tasks[task].speed
        bar.update(task, completed=done, total=total, rate=f"{speed:,.0f} a second" if speed else "")

    with bar:
        yield update


def _print(plan: Plan, table: pa.Table, format: str, *, sort: str, top: int | None, front: bool) -> None:
    from squeezesim.explore.sweep.text import best_rows, sections
    from squeezesim.report.document import dumped
    from squeezesim.report.files import csv_text
    from squeezesim.report.text import plain, print_sections

    if format != "table":
        rows = best_rows(table, sort, top, front=front)
        sys.stdout.write(csv_text(rows) if format == "csv" else dumped(rows) + "\n")
        return
    console, count = output.console(), 10 if top is None else top
    if console.is_terminal:
        shown = sections(plan, table, sort=sort, top=count, front=front, width=console.width - 2)
        print_sections(shown, console)
    else:
        print(plain(sections(plan, table, sort=sort, top=count, front=front)))
