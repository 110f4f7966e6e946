"""squeezesim layers: what runs, without an accelerator; with --cross-check, counted a second time by fvcore."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from squeezesim.cli import output
from squeezesim.cli.inputs import Batch, Input, Model, NoCache, load_network, one_shape
from squeezesim.errors import UsageError

if TYPE_CHECKING:
    from squeezesim.network import Network

EXAMPLES = """\b
Examples:
  squeezesim layers squeezenext_23
  squeezesim layers squeezenext_23 --batch 4 --format csv
  squeezesim layers my.py:make --input tokens=1x128:int64
  squeezesim layers mobilenet_v1 --cross-check
"""


def layers(
    model: Model,
    input: Input = None,
    batch: Batch = None,
    cross_check: Annotated[
        bool,
        typer.Option(
            "--cross-check",
            help="Compare with fvcore's MACs, of one input without a name; exit code 1 where they differ.",
        ),
    ] = False,
    format: output.Format = "table",
    no_cache: NoCache = False,
    debug: output.Debug = False,
) -> None:
    """List the layers of MODEL: loop sizes, params, MACs and vector operations.

    Loop sizes: k output and c input channels of a group, oy × ox output pixels, fy × fx filter. The table abbreviates
    counts (k, M, G are SI); --format csv and json have whole numbers.
    """
    del debug
    output.choice("--format", format, output.FORMATS)
    if cross_check:
        if format != "table":
            raise UsageError("--cross-check prints a table; --format cannot be given with it")
        if named := [text for text in input or () if "=" in text]:
            raise UsageError(
                f"--cross-check runs one input without a name, such as 3x224x224, found {', '.join(named)}"
            )
        _cross_check(model, one_shape(input or ()), batch)
        return
    network = load_network(model, input or (), batch, cache=not no_cache)
    if format == "json":
        sys.stdout.write(network.to_json())
    elif format == "csv":
        from squeezesim.report.files import csv_text

        sys.stdout.write(csv_text(_rows(network)))
    else:
        _print_table(network)


def _rows(network: Network) -> list[dict[str, Any]]:
    return [
        {
            "name": layer.name,
            "op": layer.op,
            "stage": layer.stage,
            "n": layer.n,
            "groups": layer.g,
            "k": layer.k,
            "c": layer.c,
            "oy": layer.oy,
            "ox": layer.ox,
            "fy": layer.fy,
            "fx": layer.fx,
            "stride": "x".join(map(str, layer.stride)),
            "params": layer.params,
            "macs": layer.macs,
            "vector_ops": layer.vector_ops,
            "inputs": " ".join(layer.inputs),
        }
        for layer in network.layers
    ]


def _print_table(network: Network) -> None:
    from squeezesim.report import units
    from squeezesim.report.grid import Column, Grid

    names = ("op", "stage", "groups", "k", "c", "oy", "ox", "fy", "fx", "stride")
    counts = {"params": "params", "macs": "MACs", "vector_ops": "vector ops"}
    ranks = {"op": 1, "stage": 4, "groups": 3, "stride": 3}
    columns = [
        Column("layer", left=True),
        *(Column(name, rank=ranks.get(name, 2), left=name in ("op", "stage")) for name in names),
        *(Column(header) for header in counts.values()),
    ]
    cells = [
        [row["name"], *(str(row[name]) for name in names), *(units.count(row[name]) for name in counts)]
        for row in _rows(network)
    ]
    output.print_grid(Grid(columns, cells))
    print(f"\n{str(network).rstrip()}")


def _cross_check(model: str, shape: str | None, batch: int | None) -> None:
    from squeezesim.load import cross_check
    from squeezesim.report.grid import Column, Grid
    from squeezesim.report.units import plural

    rows = cross_check(model, input_shape=shape, batch=batch)
    columns = [Column("module", left=True), Column("MACs"), Column("fvcore"), Column("", left=True)]
    cells = [
        [row.module or "(itself)", f"{row.macs:,}", f"{row.fvcore_macs:,}", "" if row.agrees else "differ"]
        for row in rows
    ]
    output.print_grid(Grid(columns, cells))
    differing = sum(not row.agrees for row in rows)
    print(f"\n{plural(len(rows), 'module')} with MACs, {differing or 'none'} counted differently by fvcore")
    if differing:
        raise typer.Exit(1)
