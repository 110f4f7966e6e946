"""squeezesim export: a network as the input of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import options, output

if TYPE_CHECKING:
    from squeezesim.frontends.scalesim import Topology

_TOOLS = ("scalesim",)

SHORT = "Write the layers of MODEL for another tool."
EXAMPLES = """\b
Examples:
  squeezesim export squeezenet_1_1 --to scalesim -o squeezenet.csv
  squeezesim export alexnet --to scalesim --gemm --batch 4
"""


def export(
    model: options.Model,
    to: Annotated[str, typer.Option(metavar="|".join(_TOOLS), help="The tool that reads it.")],
    input: options.Input = None,
    batch: options.Batch = None,
    out: Annotated[
        Path | None,
        options.out_option("Write it to a file instead of stdout."),
    ] = None,
    gemm: Annotated[
        bool,
        typer.Option("--gemm", help="Every layer as a matrix product: a topology for SCALE-Sim's -i gemm."),
    ] = False,
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Export the layers of MODEL for another tool; what it cannot represent is listed on stderr."""
    del debug
    output.choice("--to", to, _TOOLS)
    if out is not None:
        output.check_writable([out], inputs=[model])

    from squeezesim.frontends.scalesim import export as to_topology

    topology = to_topology(
        options.Request(inputs=input, batch=batch, cache=not no_cache).load(model), gemm=gemm
    )
    if out is None:
        output.write(topology.text)
    else:
        from squeezesim.files import atomic_write

        atomic_write(out, topology.text)
        output.wrote([out])
    _report(topology)


def _report(topology: Topology) -> None:
    from squeezesim.report.units import plural

    if topology.products:
        output.say(
            f"as matrix products: {plural(len(topology.products), 'layer')} ({_some(topology.products)})"
        )
    if topology.repeated:
        output.say(
            f"a row for each group: {plural(len(topology.repeated), 'layer')} ({_some(topology.repeated)})"
        )
    if topology.left_out:
        counted = ", ".join(f"{op} ×{count}" for op, count in topology.left_out)
        output.say(
            f"left out: {plural(sum(count for _, count in topology.left_out), 'vector layer')} ({counted})"
        )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]}, … {names[-1]}"
