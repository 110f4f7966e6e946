"""The command line: one short file for each command; mistakes are one line on stderr and exit code 2."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from squeezesim.cli import export, hw, layers, models, profile, reproduce, validate
from squeezesim.errors import SqueezesimError

OK, FAILED, BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


class _EndedError(Exception):
    """The user or the reader of stdout ended the command; click has its own ideas of both, which this passes by."""

    def __init__(self, code: int) -> None:
        self.code = code


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _EndedError(INTERRUPTED) from None
        except BrokenPipeError:
            raise _EndedError(BROKEN_PIPE) from None


app = typer.Typer(
    name="squeezesim",
    cls=_Group,
    help="Latency, utilization and energy of neural networks on PE-array accelerators, layer by layer.",
    epilog="Exit codes: 0 ok, 1 a check failed, 2 bad input.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command("profile")(profile.profile)
app.command("layers")(layers.layers)
app.command("models")(models.models)
app.command("export")(export.export)
app.command("reproduce")(reproduce.reproduce)
app.command("validate")(validate.validate)
app.add_typer(hw.app, name="hw")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* (those of the process by default) name; return the exit code.

    0 ok, 1 a check failed, 2 bad input, 130 interrupted. Bugs raise.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that has no µ gets a question mark
    try:
        code = app(words, prog_name="squeezesim", standalone_mode=False)
        sys.stdout.flush()
    except SqueezesimError as error:
        if "--debug" in words:
            traceback.print_exc()
        return _refuse(str(error))
    except (_EndedError, BrokenPipeError, KeyboardInterrupt) as error:
        return _end(error)
    except Exception as error:
        # Mistakes in options are exceptions of click, of which typer may bring a copy of its own.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        line = " ".join(str(message()).split()).rstrip(".")
        return _refuse(f"{line}; see squeezesim --help")
    return code if isinstance(code, int) else OK


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return BAD_INPUT


def _end(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt) or (isinstance(error, _EndedError) and error.code == INTERRUPTED):
        print("error: interrupted", file=sys.stderr)
        return INTERRUPTED
    # What is still buffered goes nowhere, or Python would complain at exit that the reader has gone.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _version(wanted: bool) -> None:
    if wanted:
        import platform
        from importlib.metadata import PackageNotFoundError, version

        from squeezesim import __version__

        try:
            torch = version("torch")  # importing it would take a second
        except PackageNotFoundError:
            torch = "not installed"
        print(f"squeezesim {__version__}, torch {torch}, Python {platform.python_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print versions and exit."),
    ] = False,
) -> None:
    del version
