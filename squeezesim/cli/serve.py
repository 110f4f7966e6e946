"""squeezesim serve: a local page on which a network and an accelerator are changed while the costs follow."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import options, output
from squeezesim.errors import UsageError, pip_install

if TYPE_CHECKING:
    from collections.abc import Sequence

    from squeezesim.serve.session import Given

SHORT = "Serve a page on this machine: sliders for the accelerator and the network, and what follows."
EXAMPLES = """\b
Examples:
  squeezesim serve
  squeezesim serve squeezenext_23_v5 --hw os_32x32
  squeezesim serve my.py:make --input 3x64x64 --hw my.yaml --set memory.dram.bandwidth_gb_s=6.4
"""


def serve(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help=f"{options.MODEL_HELP}  [default: squeezenext_23]"),
    ] = None,
    hw: Annotated[
        list[str] | None,
        options.hw_option(
            "Accelerator to begin with, a YAML file or a name of squeezesim hw list.  [default: squeezelerator_16x16]"
        ),
    ] = None,
    input: options.Input = None,
    batch: options.Batch = None,
    prune: options.Prune = None,
    prune_channels: options.PruneChannels = None,
    low_rank: options.LowRank = None,
    quantize: options.Quantize = None,
    compress: options.Compress = None,
    dataflow: options.Dataflow = "best",
    objective: options.Objective = None,
    settings: options.Settings = None,
    stages: options.Stages = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 is one that is free.")
    ] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser.")] = False,
    no_cache: options.NoCache = False,
    debug: options.Debug = False,
) -> None:
    """Serve a page on 127.0.0.1, for this machine alone, until Ctrl-C.

    The address that is printed has a token, without which the page is not answered.
    """
    del debug
    request = options.Request(
        hw=[options.only("--hw", hw)] if hw else None,
        inputs=input,
        batch=batch,
        prune=prune,
        prune_channels=prune_channels,
        low_rank=low_rank,
        quantize=quantize,
        compress=compress,
        dataflow=dataflow,
        objective=objective,
        settings=settings,
        stages=stages,
        cache=not no_cache,
    )
    try:
        from squeezesim.serve import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "anyio", "h11"):
            raise
        raise UsageError(f"serve needs {error.name}: {pip_install('starlette', 'uvicorn')}") from None
    given = _given(model, request)

    def began(address: str) -> None:
        output.tell(f"serving on {address}")
        output.tell("Ctrl-C ends it")
        sys.stdout.flush()
        if not no_open and _has_display():
            import webbrowser

            webbrowser.open(address)

    app.serve(given, port, began, cache=not no_cache)


def _given(model: str | None, request: options.Request) -> Given:
    """What is there beside the built-in networks and the shipped accelerators."""
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.config import parsed_settings
    from squeezesim.network.network import check_multiplies
    from squeezesim.serve.session import ACCELERATOR, Given
    from squeezesim.zoo.registry import catalogue

    of_hardware = ("--hw", "--dataflow", "--objective", "--set")
    idle = [option for option, values in request.given.items() if values and option not in of_hardware]
    if model is None and idle:
        raise UsageError(f"{idle[0]} is for a network, and none is given; allowed: MODEL before it")
    text = (request.hw or [ACCELERATOR])[0]
    changed = any(request.given[option] for option in of_hardware[1:])
    if not request.hw and changed:
        raise UsageError(
            "options of an accelerator are given, and no accelerator; allowed: --hw FILE or NAME"
        )
    own = None
    if changed or text not in Accelerator.names():
        (own,) = request.accelerators
    network = None
    if model is not None and (idle or model.partition("@")[0] not in catalogue()):
        network = request.load(model).fused
        check_multiplies(network)

    def words(names: Sequence[str]) -> list[str]:
        return [word for name in names for value in request.given[name] for word in (name, value)]

    return Given(
        model=model or "",
        network=network,
        options=words(idle),
        hw=text,
        accelerator=own,
        hw_options=words(["--dataflow", "--objective"]),
        changes=parsed_settings(request.settings or ()),
    )


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
