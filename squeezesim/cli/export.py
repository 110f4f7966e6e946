"""squeezesim export: a network as the input of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import output
from squeezesim.cli import output as cli_output
from squeezesim.cli.inputs import Batch, Input, Model, NoCache, load_network

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
    model: Model,
    to: Annotated[str, typer.Option(metavar="|".join(_TOOLS), help="The tool that reads it.")],
    input: Input = None,
    batch: Batch = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            parser=output.path,
            help="Write it to a file instead of stdout.",
        ),
    ] = None,
    gemm: Annotated[
        bool,
        typer.Option("--gemm", help="Every layer as a matrix product: a topology for SCALE-Sim's -i gemm."),
    ] = False,
    no_cache: NoCache = False,
    debug: output.Debug = False,
) -> None:
    """Write the layers of MODEL for another tool, and say on stderr what the tool cannot be told."""
    del debug
    output.choice("--to", to, _TOOLS)
    if out is not None:
        output.check_writable([out], inputs=[model])

    from squeezesim.frontends.scalesim import export as to_topology

    topology = to_topology(load_network(model, input or (), batch, cache=not no_cache), gemm=gemm)
    if out is None:
        cli_output.write(topology.text)
    else:
        from squeezesim.files import atomic_write

        atomic_write(out, topology.text)
        cli_output.wrote([out])
    _report(topology)


def _report(topology: Topology) -> None:
    from squeezesim.report.units import plural

    if topology.products:
        cli_output.say(
            f"as matrix products: {plural(len(topology.products), 'layer')} ({_some(topology.products)})"
        )
    if topology.repeated:
        cli_output.say(
            f"a row for each group: {plural(len(topology.repeated), 'layer')} ({_some(topology.repeated)})"
        )
    if topology.left_out:
        counted = ", ".join(f"{op} ×{count}" for op, count in topology.left_out)
        cli_output.say(
            f"left out: {plural(sum(count for _, count in topology.left_out), 'vector layer')} ({counted})"
        )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]}, … {names[-1]}"
