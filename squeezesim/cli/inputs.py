"""Networks and accelerators that the command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from squeezesim.cli import output
from squeezesim.cli import output as cli_output
from squeezesim.cli.command import Given
from squeezesim.errors import UsageError, installed, nearest
from squeezesim.network.checks import show

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.load.compression import Compression
    from squeezesim.network import Network
    from squeezesim.report.report import Report

MODEL_HELP = (
    "A built-in name, torchvision:, timm: or pytorchcv: with a name, my.py:factory (which is run), "
    "net.onnx, net.pt2, net.graph.json or topology.csv; +prune=0.4 at its end compresses."
)
Model = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)]
Accelerators = Annotated[
    list[str],
    typer.Option(
        metavar="FILE|NAME",
        help="Accelerator, a YAML file or a name of squeezesim hw list; may be given several times.",
    ),
]
# A list, of which ``only`` takes the one: of several values of an option that has one, click keeps the last.
OneAccelerator = Annotated[
    list[str],
    typer.Option(metavar="FILE|NAME", help="Accelerator, a YAML file or a name of squeezesim hw list."),
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="SHAPE",
        help="Without the batch, as 3x227x227; or literally by name, as input_ids=1x128:int64, once for each input; "
        "sr=+16000 gives a value.",
    ),
]
Stages = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN|resolution",
        help="Stages: modules that PATTERN matches, as 'blocks.*' or 'early=blocks.[0-3]', once for each; or where the "
        "resolution falls.  [default: as modules are named, else the children of the model]",
    ),
]
Batch = Annotated[int | None, typer.Option(metavar="N", help="Images at once, 1 by default.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit code 1 if an operator of the network is not modelled.")
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor keep traced networks.")]

Dataflow = Annotated[
    str,
    typer.Option(
        metavar="NAME|best", help="One of the array's dataflows, such as ws, or for each layer the best."
    ),
]
OBJECTIVES = ("latency", "energy", "edp")
Objective = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(OBJECTIVES),
        help="What the best tiling and dataflow are least in; edp is energy × latency.  [default: as in FILE]",
    ),
]

_DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")


def only(option: str, values: Sequence[str]) -> str:
    """Return the value of *option*, which a command takes once.

    Raises:
        UsageError: it is given several times.
    """
    if len(values) > 1:
        raise UsageError(f"{option} is given {len(values)} times, as {', '.join(values)}; allowed: once")
    return values[0]


def load_network(
    model: str,
    inputs: Sequence[str],
    batch: int | None,
    *,
    compression: Compression | None = None,
    stages: Sequence[str] | None = None,
    cache: bool = True,
) -> Network:
    """Return the network that the options mean, after what they and *model* itself ask to compress.

    Raises:
        ModelError: there is no such network, or it does not accept the input.
        UsageError: the options contradict each other, or a stage has no layer.
    """
    from squeezesim.load import load, trained_module

    cli_output.status(f"tracing {model}")
    network = load(model, **asked_inputs(inputs), batch=batch, cache=cache)
    if stages:
        network = network.with_stages(*stages)
    return compression.applied(network, lambda: trained_module(model)) if compression else network


def resolved(text: str, dataflow: str, objective: str | None) -> Accelerator:
    """Return the accelerator that *text* means, with the dataflow and the objective of the options.

    Raises:
        HardwareError: there is no such accelerator.
        UsageError: it has no such dataflow, or there is no such objective.
    """
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.parts import DATAFLOWS

    output.choice("--dataflow", dataflow, (*DATAFLOWS, "best"))
    accelerator = Accelerator.resolve(text)
    changes: dict[str, object] = {}
    if dataflow != "best":
        offered = accelerator.array.dataflows
        if dataflow not in offered:
            allowed = ", ".join((*offered, "best"))
            raise UsageError(f"--dataflow {dataflow!r}; allowed for {accelerator.name}: {allowed}")
        changes["array.dataflows"] = [dataflow]
    if objective is not None:
        changes["mapper.objective"] = output.choice("--objective", objective, OBJECTIVES)
    return accelerator.replace(changes) if changes else accelerator


def fail_if_unmodelled(network: Network, strict: bool) -> None:
    """End the command with exit code 1 if *strict* and an operator of *network* has no rule."""
    if strict and network.unmodelled:
        raise typer.Exit(1)


def asked_inputs(inputs: Sequence[str]) -> dict[str, Any]:
    """Return what *inputs* says as arguments of ``load``: one shape, or inputs by name.

    Raises:
        UsageError: there are several without a name, or one is not written so.
    """
    if any("=" in text for text in inputs):
        return {"inputs": _named(inputs)}
    if len(inputs) > 1:
        raise UsageError(
            f"several inputs need names, such as --input image=1x3x224x224, found {', '.join(inputs)}"
        )
    return {"input_shape": inputs[0] if inputs else None}


def _named(texts: Sequence[str]) -> dict[str, Any]:
    """Shapes by name, as tensors where they bring a type, and values."""
    from squeezesim.load.shapes import WRITTEN, Values, parse_named

    named: dict[str, Any] = {}
    for text in texts:
        name, value, dtype = parse_named(text)
        if name in named:
            raise UsageError(f"named inputs are written {WRITTEN}, each name once, found {show(text)}")
        if dtype and dtype not in _DTYPES:
            raise UsageError(
                f"input {name!r}: unknown type {dtype!r}; allowed: {', '.join(_DTYPES)}{nearest(dtype, _DTYPES)}"
            )
        if isinstance(value, Values):
            named[name] = Values(value.array.astype(dtype)) if dtype and dtype != "bfloat16" else value
        elif dtype:
            with installed("torch"):
                import torch

            named[name] = torch.zeros((), dtype=getattr(torch, dtype)).expand(value)
        else:
            named[name] = value
    return named


def check_options(models: Sequence[str], given: Given) -> None:
    """Check that networks come with an accelerator, and saved reports alone without options that change results.

    Raises:
        UsageError: they do not.
        ReportError: what would be a saved report cannot be read.
    """
    saved = _saved(models)
    networks = [text for text in models if text not in saved]
    if networks and not given["--hw"]:
        raise UsageError(
            f"network {networks[0]!r} needs an accelerator: --hw FILE or NAME; allowed without: saved reports, .json"
        )
    idle = [option for option, values in given.items() if values and not networks]
    if idle:
        from squeezesim.report.report import Report

        if Path(saved[0]).is_file():
            Report.load(saved[0])  # or it is none, and says why
        raise UsageError(
            f"{idle[0]} is for networks; {saved[0]!r} is a saved report, which is not simulated again"
        )


def accuracies(texts: Sequence[str]) -> dict[str, float]:
    """Return the accuracies by network that ``NETWORK=PERCENT``, the values of ``--top1``, say.

    Raises:
        UsageError: one is not written so.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            equals = ""
        if not (name and equals):
            raise UsageError(f"--top1 {text!r}; allowed: NETWORK=PERCENT, such as my_net=70.5")
        found[name] = number
    return found


def results(
    models: Sequence[str],
    accelerators: Sequence[Accelerator],
    inputs: Sequence[str],
    batch: int | None,
    compression: Compression,
    *,
    stages: Sequence[str] | None = None,
    cache: bool,
) -> list[Report]:
    """Return the saved reports among *models*, and the others on each of *accelerators*, in their order."""
    from squeezesim.report.report import Report
    from squeezesim.simulate import simulate

    saved = _saved(models)
    reports: list[Report] = []
    for text in models:
        if text in saved:
            reports.append(Report.load(text))
            continue
        network = load_network(text, inputs, batch, compression=compression, stages=stages, cache=cache)
        for accelerator in accelerators:
            output.status(f"simulating {network.name} on {accelerator.name}")
            reports.append(simulate(network, accelerator))
    return reports


def is_report(text: str) -> bool:
    """Return whether *text* is the path of a saved report."""
    from squeezesim.explore.compare.comparison import is_report

    return is_report(text)


def _saved(models: Sequence[str]) -> list[str]:
    return [text for text in models if is_report(text)]
