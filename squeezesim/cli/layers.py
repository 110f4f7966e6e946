"""squeezesim layers: what runs, without an accelerator; with --cross-check, counted again by fvcore and torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from squeezesim.cli import command, output
from squeezesim.cli import output as cli_output
from squeezesim.cli.inputs import (
    Batch,
    Input,
    Model,
    NoCache,
    Stages,
    Strict,
    asked_inputs,
    fail_if_unmodelled,
    load_network,
)
from squeezesim.errors import UsageError

if TYPE_CHECKING:
    from squeezesim.network import Layer, Network

EXAMPLES = """\b
Examples:
  squeezesim layers squeezenext_23
  squeezesim layers squeezenext_23 --batch 4 --format csv
  squeezesim layers my.py:make --input input_ids=1x128:int64
  squeezesim layers mobilenet_v1 --cross-check
"""


def layers(
    model: Model,
    input: Input = None,
    batch: Batch = None,
    prune: command.Prune = None,
    prune_channels: command.PruneChannels = None,
    low_rank: command.LowRank = None,
    quantize: command.Quantize = None,
    compress: command.Compress = None,
    cross_check: Annotated[
        bool,
        typer.Option(
            "--cross-check",
            help="Compare with the MACs of fvcore and torch; exit code 1 where a difference has no known reason.",
        ),
    ] = False,
    stages: Stages = None,
    strict: Strict = False,
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
    compressed = command.asked(prune, prune_channels, low_rank, quantize, compress)
    if cross_check:
        if format != "table":
            raise UsageError("--cross-check prints a table; --format cannot be given with it")
        if compressed:
            raise UsageError("a cross-check counts the model as it is; it cannot be compressed")
        explained = _cross_check(model, {**asked_inputs(input or ()), "batch": batch})
        network = load_network(model, input or (), batch, cache=not no_cache)
        for item in network.unmodelled:
            cli_output.tell(
                f"  not modelled: {item.op} ×{item.count}, first in {item.module or 'the network'}"
            )
        fail_if_unmodelled(network, strict)
        if not explained:
            raise typer.Exit(1)
        return
    network = load_network(
        model, input or (), batch, compression=compressed, stages=stages, cache=not no_cache
    )
    if format == "json":
        cli_output.write(network.to_json())
    elif format == "csv":
        from squeezesim.report.files import csv_text

        cli_output.write(csv_text(_rows(network), _CELLS))
    else:
        from squeezesim.load.compression import split

        _print_table(network)
        if compressed or split(model)[1]:
            command.print_sizes(network)
    fail_if_unmodelled(network, strict)


_CELLS: dict[str, Callable[[Layer], Any]] = {
    "name": lambda layer: layer.name,
    "op": lambda layer: layer.op,
    "stage": lambda layer: layer.stage,
    "n": lambda layer: layer.n,
    "groups": lambda layer: layer.g,
    "k": lambda layer: layer.k,
    "c": lambda layer: layer.c,
    "oy": lambda layer: layer.oy,
    "ox": lambda layer: layer.ox,
    "fy": lambda layer: layer.fy,
    "fx": lambda layer: layer.fx,
    "stride": lambda layer: "x".join(map(str, layer.stride)),
    "params": lambda layer: layer.params,
    "macs": lambda layer: layer.macs,
    "vector_ops": lambda layer: layer.vector_ops,
    "weight_bits": lambda layer: layer.weight_bits,
    "activation_bits": lambda layer: layer.activation_bits,
    "accumulator_bits": lambda layer: layer.accumulator_bits,
    "weight_density": lambda layer: layer.weight_density,
    "inputs": lambda layer: " ".join(layer.inputs),
    "repeat": lambda layer: layer.repeat,
    "shared": lambda layer: " ".join(layer.shared),
}
"""The columns of ``--format csv``."""


def _rows(network: Network) -> list[dict[str, Any]]:
    return [{name: cell(layer) for name, cell in _CELLS.items()} for layer in network.layers]


def _print_table(network: Network) -> None:
    from squeezesim.report import units
    from squeezesim.report.grid import Column, Grid

    names: tuple[str, ...] = ("op", "stage", "groups", "k", "c", "oy", "ox", "fy", "fx", "stride")
    counts = {"params": "params", "macs": "MACs", "vector_ops": "vector ops"}
    ranks = {"op": 1, "stage": 4, "groups": 3, "stride": 3, "repeat": 0}
    rows = _rows(network)
    if any(row["repeat"] > 1 for row in rows):
        names = (*names, "repeat")
    columns = [
        Column("layer", left=True),
        *(Column(name, rank=ranks.get(name, 2), left=name in ("op", "stage")) for name in names),
        *(Column(header) for header in counts.values()),
    ]
    cells = [
        [row["name"], *(str(row[name]) for name in names), *(units.count(row[name]) for name in counts)]
        for row in rows
    ]
    output.print_grid(Grid(columns, cells))
    cli_output.tell()
    cli_output.tell_all(str(network).rstrip())


def _cross_check(model: str, asked: Mapping[str, Any]) -> bool:
    """Print the counts side by side; whether every difference has a known reason."""
    from squeezesim.load import cross_check
    from squeezesim.report.grid import Column, Grid
    from squeezesim.report.units import plural

    cli_output.status(f"counting {model} with fvcore and torch")
    rows = cross_check(model, **asked)
    columns = [
        Column("module", left=True),
        *(Column(name) for name in ("MACs", "fvcore", "torch")),
        Column("", left=True),
    ]
    cells = [
        [
            row.module or "(itself)",
            f"{row.macs:,}",
            "–" if row.fvcore_macs is None else f"{row.fvcore_macs:,}",
            f"{row.torch_macs:,}",
            "" if row.agrees else "differ",
        ]
        for row in rows
    ]
    output.print_grid(Grid(columns, cells, elsewhere=output.PIPE))
    differing = [row for row in rows if not row.agrees]
    said = "none counted differently" if not differing else f"{len(differing)} counted differently"
    cli_output.tell()
    cli_output.tell(f"{plural(len(rows), 'module')} with MACs, {said} by fvcore or torch")
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.why or not row.agrees:
            reasons.setdefault(row.why or "no reason known", []).append(row.module or "(itself)")
    for reason, modules in reasons.items():
        cli_output.tell(f"  {reason}: {plural(len(modules), 'module')}, such as {modules[0]}")
    return all(row.why for row in differing)
