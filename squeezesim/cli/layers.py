"""squeezesim layers: what runs, without an accelerator; with --cross-check, counted again by fvcore and torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from squeezesim.cli import options, output
from squeezesim.errors import UsageError

if TYPE_CHECKING:
    from squeezesim.network import Layer, Network

SHORT = "List the layers of MODEL with loop sizes and counts."
EXAMPLES = """\b
Examples:
  squeezesim layers squeezenext_23
  squeezesim layers squeezenext_23 --batch 4 --format csv
  squeezesim layers my.py:make --input input_ids=1x128:int64
  squeezesim layers mobilenet_v1 --cross-check
"""


def layers(
    model: options.Model,
    input: options.Input = None,
    batch: options.Batch = None,
    prune: options.Prune = None,
    prune_channels: options.PruneChannels = None,
    low_rank: options.LowRank = None,
    quantize: options.Quantize = None,
    compress: options.Compress = None,
    cross_check: Annotated[
        bool,
        typer.Option(
            "--cross-check",
            help="Compare with the MACs of fvcore and torch; exit code 1 where a difference has no known reason.",
        ),
    ] = False,
    stages: options.Stages = None,
    strict: options.Strict = False,
    format: options.Format = "table",
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """List the layers of MODEL: loop sizes, params, MACs and vector operations.

    Loop sizes: k output and c input channels of a group, oy × ox output pixels, fy × fx filter. The table abbreviates
    counts (k, M, G are SI); --format csv and json have whole numbers.
    """
    del debug
    output.choice("--format", format, output.FORMATS)
    request = options.Request(
        inputs=input,
        batch=batch,
        prune=prune,
        prune_channels=prune_channels,
        low_rank=low_rank,
        quantize=quantize,
        compress=compress,
        stages=stages,
        cache=not no_cache,
    )
    compressed = request.compression
    if cross_check:
        if format != "table":
            raise UsageError("--cross-check prints a table; --format cannot be given with it")
        if compressed:
            raise UsageError("a cross-check counts the model as it is; it cannot be compressed")
        explained = _cross_check(model, {**options.parse_inputs(input or ()), "batch": batch})
        network = replace(request, stages=None).load(model)
        for item in network.unmodelled:
            output.tell(f"  not modelled: {item.op} ×{item.count}, first in {item.module or 'the network'}")
        options.fail_if_unmodelled(network, strict)
        if not explained:
            raise typer.Exit(1)
        return
    network = request.load(model)
    if format == "json":
        output.write(network.to_json())
    elif format == "csv":
        from squeezesim.report.files import csv_text

        output.write(csv_text(_rows(network), _CELLS))
    else:
        from squeezesim.load.compression import split

        _print_table(network)
        if compressed or split(model)[1]:
            _print_sizes(network)
    options.fail_if_unmodelled(network, strict)


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
    output.tell()
    output.tell_all(str(network).rstrip())


def _print_sizes(network: Network) -> None:
    """Print what the learnt values of *network* take, stored in each form."""
    from squeezesim.network.compress.storage import network_sizes
    from squeezesim.report import units
    from squeezesim.report.grid import Column, Grid

    sizes, least = network_sizes(network.layers)
    forms = {
        "dense": sizes.dense,
        "non-zeros alone": sizes.values,
        "bitmap": sizes.bitmap,
        "relative index, 4 bits": sizes.relative4,
        "relative index, 5 bits": sizes.relative5,
        "csr": sizes.csr,
        "smallest of each layer": least,
    }
    cells = [[form, units.size(-(-bits // 8)), f"{-(-bits // 8):,}"] for form, bits in forms.items()]
    output.tell()
    columns = [Column("weights stored", left=True), Column("size"), Column("bytes")]
    output.print_grid(Grid(columns, cells, elsewhere=output.PIPE))


def _cross_check(model: str, asked: Mapping[str, Any]) -> bool:
    """Print the counts side by side; whether every difference has a known reason."""
    from squeezesim.load import cross_check
    from squeezesim.report.grid import Column, Grid
    from squeezesim.report.units import plural

    output.status(f"counting {model} with fvcore and torch")
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
    output.tell()
    output.tell(f"{plural(len(rows), 'module')} with MACs, {said} by fvcore or torch")
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.why or not row.agrees:
            reasons.setdefault(row.why or "no reason known", []).append(row.module or "(itself)")
    for reason, modules in reasons.items():
        output.tell(f"  {reason}: {plural(len(modules), 'module')}, such as {modules[0]}")
    return all(row.why for row in differing)
