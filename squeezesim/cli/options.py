"""Options that commands share, and what those on networks and accelerators ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from squeezesim.cli import output
from squeezesim.errors import HardwareError, UsageError, installed, nearest

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.load.compression import Compression
    from squeezesim.mapping import Mapping as LayerMappings
    from squeezesim.network import Network
    from squeezesim.report.report import Report


def hw_option(help: str) -> Any:
    """Return the option ``--hw`` with a command's own *help*."""
    return typer.Option(metavar="FILE|NAME", help=help)


def out_option(help: str, metavar: str = "FILE") -> Any:
    """Return the option ``-o`` with a command's own *help*."""
    return typer.Option("--output", "-o", metavar=metavar, parser=output.path, help=help)


def plot_option(help: str) -> Any:
    """Return the option ``--plot`` with a command's own *help*."""
    return typer.Option(metavar="FILE", parser=output.path, help=help)


def format_option(formats: Sequence[str], help: str) -> Any:
    """Return the option ``--format`` of a command with *formats* of its own."""
    return typer.Option("--format", metavar="|".join(formats), help=help)


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
        help="Stages by module, as 'blocks.*' or 'early=blocks.[0-3]', once for each; resolution: a stage ends where "
        "feature maps shrink.  [default: as modules are named, else the children of the model]",
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
        help="What the mapper minimises; edp is energy × latency of the network.  [default: as in FILE]",
    ),
]

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="A parameter of the accelerator in place of the file's, as array.rows=16 or array.dataflows=ws+os; may be "
        "given several times.",
    ),
]

MappingFile = Annotated[
    list[str] | None,
    typer.Option(
        "--mapping",
        metavar="FILE",
        help="Dataflow, loop order and tile sizes of layers, as -o NAME.mapping.json writes them; others are searched.",
    ),
]

_EACH = "for layers that match PATTERN, the first that matches wins; may be given several times."

Prune = Annotated[
    list[str] | None,
    typer.Option(
        "--prune",
        metavar="[PATTERN=]DENSITY",
        help=f"Share of the weights that stays, as 0.4, 2:4, or weights, those of my.py:factory; {_EACH}",
    ),
]
PruneChannels = Annotated[
    list[str] | None,
    typer.Option(
        "--prune-channels",
        metavar="[PATTERN=]SHARE",
        help=f"Share of the filters that stays, as 0.5; layers that read them lose those channels too; {_EACH}",
    ),
]
LowRank = Annotated[
    list[str] | None,
    typer.Option(
        "--low-rank",
        metavar="[PATTERN=]RANK",
        help=f"Two factors in place of a layer: a share of the full rank, rank:16 or energy:0.9; {_EACH}",
    ),
]
Quantize = Annotated[
    list[str] | None,
    typer.Option(
        "--quantize",
        metavar="[PATTERN=]WIDTHS",
        help=f"Bits of weights, activations and partial sums, as w8a8 or w4a8acc32; {_EACH}",
    ),
]
Compress = Annotated[
    Path | None,
    typer.Option(
        "--compress",
        metavar="FILE",
        parser=output.path,
        help="A compression recipe in YAML; options override it.",
    ),
]

Debug = Annotated[bool, typer.Option("--debug", help="On a mistake, print Python's traceback.")]
Format = Annotated[
    str, typer.Option("--format", metavar="|".join(output.FORMATS), help="Print a table, or only data.")
]
Top = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Show N rows; by default 10 in tables and all in CSV and JSON."),
]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", parser=output.path, help="Write the figure: .png or .svg.")
]

_DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")


Given = Mapping[str, Sequence[str]]
"""Values by option; an option without a value was not given."""


@dataclass(frozen=True)
class Request:
    """What the options of a command ask for: networks from which inputs, compressed how, on which accelerators."""

    hw: Sequence[str] | None = None
    inputs: Sequence[str] | None = None
    batch: int | None = None
    prune: Sequence[str] | None = None
    prune_channels: Sequence[str] | None = None
    low_rank: Sequence[str] | None = None
    quantize: Sequence[str] | None = None
    compress: Path | None = None
    dataflow: str = "best"
    objective: str | None = None
    settings: Sequence[str] | None = None
    mapping: Sequence[str] | None = None
    stages: Sequence[str] | None = None
    cache: bool = True

    @property
    def given(self) -> Given:
        """The options that change a result, in the order in which messages name them."""
        return {
            "--hw": self.hw or (),
            "--input": self.inputs or (),
            "--batch": [str(self.batch)] if self.batch is not None else (),
            "--prune": self.prune or (),
            "--prune-channels": self.prune_channels or (),
            "--low-rank": self.low_rank or (),
            "--quantize": self.quantize or (),
            "--compress": [str(self.compress)] if self.compress else (),
            "--dataflow": [self.dataflow] if self.dataflow != "best" else (),
            "--objective": [self.objective] if self.objective else (),
            "--set": self.settings or (),
            "--mapping": self.mapping or (),
            "--stages": self.stages or (),
        }

    @cached_property
    def compression(self) -> Compression:
        """How networks are compressed.

        Raises:
            UsageError: an option has no value, or a pattern stands twice.
        """
        from squeezesim.load.compression import Compression

        names = ("prune_channels", "low_rank", "prune", "quantize")
        rules = {name: getattr(self, name) for name in names}
        return Compression.read(rules, str(self.compress) if self.compress else "")

    @cached_property
    def accelerators(self) -> list[Accelerator]:
        """The accelerators, with the settings, the dataflow and the objective of the options.

        Raises:
            HardwareError: there is no such accelerator, or it cannot have a setting.
            UsageError: a setting is no PATH=VALUE, or it has no such dataflow, or there is no such objective.
        """
        return [self._resolve(text) for text in self.hw or ()]

    def _resolve(self, text: str) -> Accelerator:
        from squeezesim.hardware.accelerator import Accelerator
        from squeezesim.hardware.dataflows import names

        accelerator = Accelerator.resolve(text)
        if self.settings:
            accelerator = _changed(accelerator, self.settings)
        if not accelerator.array.units:
            output.choice("--dataflow", self.dataflow, (*names(), "best"))
        changes: dict[str, object] = {}
        if self.dataflow != "best":
            offered = accelerator.array.flows
            if self.dataflow not in offered:
                allowed = ", ".join((*offered, "best"))
                near = nearest(self.dataflow, (*offered, "best"))
                raise UsageError(
                    f"--dataflow {self.dataflow!r}; allowed for {accelerator.name}: {allowed}{near}"
                )
            changes |= accelerator.array.only(self.dataflow)
        if self.objective is not None:
            changes["mapper.objective"] = output.choice("--objective", self.objective, OBJECTIVES)
        return accelerator.replace(changes) if changes else accelerator

    @property
    def files(self) -> list[str]:
        """Files, or what may be names, that the command reads beside its models."""
        return [*(self.hw or ()), *self.compression.files, *(self.mapping or ())]

    @cached_property
    def given_mapping(self) -> LayerMappings | None:
        """The mapping in the file, if there is one.

        Raises:
            MappingError: the file cannot be read.
            UsageError: there are several.
        """
        from squeezesim.mapping import Mapping

        return Mapping.load(only("--mapping", self.mapping)) if self.mapping else None

    def check(self, models: Sequence[str]) -> None:
        """Check that networks come with an accelerator, and saved reports alone without options that change results.

        Raises:
            UsageError: they do not.
            ReportError: what would be a saved report cannot be read.
        """
        saved = _saved_reports(models)
        networks = [text for text in models if text not in saved]
        if networks and not self.given["--hw"]:
            raise UsageError(
                f"network {networks[0]!r} needs an accelerator: --hw FILE or NAME; allowed without: saved reports, "
                ".json"
            )
        idle = [option for option, values in self.given.items() if values and not networks]
        if idle:
            raise for_networks(idle[0], saved[0], "not simulated again")

    def load(self, model: str) -> Network:
        """Return the network, after what the options and *model* itself ask to compress.

        Raises:
            ModelError: there is no such network, or it does not accept the input.
            UsageError: the options contradict each other, or a stage has no layer.
        """
        from squeezesim.load import load, trained_module

        output.status(f"tracing {model}")
        network = load(model, **parse_inputs(self.inputs or ()), batch=self.batch, cache=self.cache)
        if self.stages:
            network = network.with_stages(*self.stages)
        if not self.compression:
            return network
        return self.compression.applied(network, lambda: trained_module(model))

    def reports(self, models: Sequence[str]) -> list[Report]:
        """Return the saved reports among *models*, and the others on each of the accelerators, in their order."""
        from squeezesim.report.report import Report
        from squeezesim.simulate import simulate

        accelerators, mapping = (
            self.accelerators,
            self.given_mapping,
        )  # mistakes are found before a network is traced
        saved = _saved_reports(models)
        reports: list[Report] = []
        for text in models:
            if text in saved:
                reports.append(Report.load(text))
                continue
            network = self.load(text)
            for accelerator in accelerators:
                output.status(f"simulating {network.name} on {accelerator.name}")
                with self.pointing():
                    reports.append(simulate(network, accelerator, mapping=mapping))
        return reports

    @contextmanager
    def pointing(self) -> Iterator[None]:
        """Say where in the file of an accelerator its units stand, where none of them runs a layer."""
        from squeezesim.cost.constraints import UNRUN
        from squeezesim.hardware import config

        try:
            yield
        except HardwareError as error:
            for text, accelerator in zip(self.hw or (), self.accelerators, strict=True):
                of_accelerator, _, message = str(error).partition(": ")
                is_file = Path(text).suffix in (".yaml", ".yml") and Path(text).is_file()
                if of_accelerator == accelerator.name and message.endswith(UNRUN) and is_file:
                    names = [*accelerator.array.units]
                    of_one = (names[0], "runs") if len(names) == 1 else ()
                    raise config.pointing(text, ("array", "units", *of_one), message) from None
            raise


def _changed(accelerator: Accelerator, settings: Sequence[str]) -> Accelerator:
    """The accelerator with *settings*, which its name says too."""
    from squeezesim.hardware.config import changed_name, parsed_settings

    changes = parsed_settings(settings)
    return accelerator.replace({"name": changed_name(accelerator.name, changes), **changes})


def words(
    name: str, models: Iterable[str], given: Given, files: Iterable[tuple[str, Path]] = ()
) -> list[str]:
    """Return the words of the command *name*; *files* are those that it writes, each with its option.

    Example:
        >>> words("profile", ["alexnet"], {"--hw": ["os_32x32"], "--batch": []}, [("-o", Path("a.csv"))])
        ['profile', 'alexnet', '--hw', 'os_32x32', '-o', 'a.csv']
    """
    pairs = [(option, value) for option, values in given.items() for value in values]
    written = [(option, str(path)) for option, path in files]
    return [name, *models, *(word for pair in (*pairs, *written) for word in pair)]


def only(option: str, values: Sequence[str]) -> str:
    """Return the value of *option*, which a command takes once.

    Raises:
        UsageError: it is given several times.
    """
    if len(values) > 1:
        raise UsageError(f"{option} is given {len(values)} times, as {', '.join(values)}; allowed: once")
    return values[0]


def fail_if_unmodelled(network: Network, strict: bool) -> None:
    """End the command with exit code 1 if *strict* and an operator of *network* has no rule."""
    if strict and network.unmodelled:
        raise typer.Exit(1)


def parse_inputs(inputs: Sequence[str]) -> dict[str, Any]:
    """Return what *inputs* says as arguments of ``load``: one shape, or inputs by name.

    Raises:
        UsageError: there are several without a name, or one is not written so.
    """
    if any("=" in text for text in inputs):
        return {"inputs": _parse_named_inputs(inputs)}
    if len(inputs) > 1:
        raise UsageError(
            f"several inputs need names, such as --input image=1x3x224x224, found {', '.join(inputs)}"
        )
    return {"input_shape": inputs[0] if inputs else None}


def _parse_named_inputs(texts: Sequence[str]) -> dict[str, Any]:
    """Shapes by name, as tensors where they bring a type, and values."""
    from squeezesim.load.shapes import WRITTEN, Values, parse_named

    named: dict[str, Any] = {}
    for text in texts:
        name, value, dtype = parse_named(text)
        if name in named:
            from squeezesim.network.checks import show

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


def parse_accuracies(texts: Sequence[str]) -> dict[str, float]:
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


def is_report(text: str) -> bool:
    """Return whether *text* is the path of a saved report."""
    from squeezesim.report.files import is_report

    return is_report(text)


def for_networks(option: str, path: str, fate: str) -> UsageError:
    """Return the mistake of an *option* that does nothing for the saved report *path*, which is its *fate*.

    Raises:
        ReportError: there is a *path* that is no saved report.
    """
    from squeezesim.report.report import Report

    is_there = Path(path).exists()
    if is_there:
        Report.load(path)
    called = "is a saved report" if is_there else "is a saved report by its suffix"
    return UsageError(f"{option} is for networks; {path!r} {called}, which is {fate}")


def _saved_reports(models: Sequence[str]) -> list[str]:
    return [text for text in models if is_report(text)]
