"""The command line: one short file for each command; mistakes are one line on stderr and exit code 2."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from squeezesim.cli import (
    allocate,
    calibrate,
    compare,
    explain,
    export,
    hw,
    layers,
    models,
    output,
    plot,
    profile,
    report,
    reproduce,
    sensitivity,
    serve,
    sweep,
    validate,
)
from squeezesim.errors import ArgumentError, SqueezesimError

if TYPE_CHECKING:
    from typer.models import CommandInfo, TyperInfo

_COMPLETING = "_SQUEEZESIM_COMPLETE"  # set by the script that --install-completion installs
_SPELLED = {"samples": "sample"}  # options that are not called as the argument of the function
_PRINTERS = {"rich", "click", "typer"}  # libraries that write to stdout for the commands
OK, FAILED, BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


app = typer.Typer(
    name="squeezesim",
    help="Latency, utilization and energy of neural networks on PE-array accelerators, layer by layer.",
    epilog="Exit codes: 0 ok, 1 a check failed, 2 bad input or an output that cannot be written, 130 interrupted.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command("profile", short_help=profile.SHORT, epilog=profile.EXAMPLES)(profile.profile)
app.command("compare", short_help=compare.SHORT, epilog=compare.EXAMPLES)(compare.compare)
app.command("explain", short_help=explain.SHORT, epilog=explain.EXAMPLES)(explain.explain)
app.command("plot", short_help=plot.SHORT, epilog=plot.EXAMPLES)(plot.plot)
app.command("report", short_help=report.SHORT, epilog=report.EXAMPLES)(report.report)
app.command("layers", short_help=layers.SHORT, epilog=layers.EXAMPLES)(layers.layers)
app.command("models", epilog=models.EXAMPLES)(models.models)
app.command("export", short_help=export.SHORT, epilog=export.EXAMPLES)(export.export)
app.command("allocate", short_help=allocate.SHORT, epilog=allocate.EXAMPLES)(allocate.allocate)
app.command("sweep", short_help=sweep.SHORT, epilog=sweep.EXAMPLES)(sweep.sweep)
app.command("sensitivity", short_help=sensitivity.SHORT, epilog=sensitivity.EXAMPLES)(sensitivity.sensitivity)
app.command("serve", short_help=serve.SHORT, epilog=serve.EXAMPLES)(serve.serve)
app.command("calibrate", short_help=calibrate.SHORT, epilog=calibrate.EXAMPLES)(calibrate.calibrate)
app.command("reproduce", short_help=reproduce.SHORT, epilog=reproduce.EXAMPLES)(reproduce.reproduce)
app.command("validate", short_help=validate.SHORT, epilog=validate.EXAMPLES)(validate.validate)
app.add_typer(hw.app, name="hw")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* (those of the process by default) name; return the exit code.

    0 ok, 1 a check failed, 2 bad input or an output that cannot be written, 130 interrupted, 141 nobody reads stdout.
    Bugs raise.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        _shorten_startup()
        _show_notes()
        _complete(words)
    try:
        output.prepare()
        output.begin()
        code = _run([*words])  # click empties the list that it is given
        sys.stdout.flush()
    except SqueezesimError as error:
        if "--debug" in words:
            output.say(traceback.format_exc().rstrip(), keep="\n")
        return _print_error(error.named(_option) if isinstance(error, ArgumentError) else str(error))
    except KeyboardInterrupt:
        if arguments is None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more would only spoil the way out
        output.say("error: interrupted")
        return INTERRUPTED
    except OSError as error:
        if "--debug" in words:
            output.say(traceback.format_exc().rstrip(), keep="\n")
        if "--install-completion" in words:
            return _print_error(f"cannot install completion: {_describe_system_error(error)}")
        return _report_system_error(error)
    except Exception as error:
        # Mistakes in options are exceptions of click, of which typer may bring a copy of its own.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        context = getattr(error, "ctx", None)
        line = " ".join(str(message()).split()).rstrip(".")
        return _print_error(f"{line}; see {context.command_path if context else 'squeezesim'} --help")
    finally:
        output.end()
    return code


def _report_system_error(error: OSError) -> int:
    """Say what the system refused: stdout, or what nothing nearer to it has told; return the exit code."""
    if not _is_of_stdout(error):
        return _print_error(_describe_system_error(error))
    output.abandon(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    return _print_error(f"cannot write to stdout: {error.strerror or error}")


def _is_of_stdout(error: OSError) -> bool:
    """Whether *error* came up where something is printed: commands do nothing else with files themselves."""
    last = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    ours = Path(__file__).parent
    prints = last.parent in (ours, ours.with_name("report")) or not _PRINTERS.isdisjoint(last.parts)
    return error.filename is None and prints


def _describe_system_error(error: OSError) -> str:
    """What failed, and where, of an error of the system that nothing nearer to it has told."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{reason}: {str(error.filename)!r}"
    try:
        Path.cwd()
    except OSError as gone:
        return f"cannot use the working directory {os.environ.get('PWD', '.')!r}: {gone.strerror or gone}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{reason}, in {frames[-1].name} of {Path(frames[-1].filename).name}; --debug says more"


def _shorten_startup() -> None:
    """Save time of a short run, most of which is to import and to build what is imported."""
    gc.set_threshold(250_000)  # what is imported stays: it is no use to look through it for garbage
    atexit.register(gc.freeze)  # and so does what is there at the end
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # sought in all that is installed
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices are small: threads take longer to start


def _show_notes() -> None:
    """Let what the package itself warns of be a note, as commands say them."""
    others = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if category.__module__.startswith("squeezesim."):
            output.say(f"note: {message}")
        else:
            others(message, category, filename, lineno, file, line)

    warnings.showwarning = show


def _complete(words: list[str]) -> None:
    """Where a shell asks what a line may go on with, print that and exit."""
    if _COMPLETING in os.environ:
        typer.main.get_command(app).main(words, prog_name="squeezesim")


def _run(words: list[str]) -> int:
    """Run the command without click's own ways to end one, which leave stdout half-written and say so on two lines."""
    if words in ([], ["hw"]):
        words = [*words, "--help"]
    command = typer.main.get_command(_app_of(words))
    try:
        with command.make_context("squeezesim", words) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:  # of --install-completion and --show-completion
        return end.code if isinstance(end.code, int) else FAILED
    return OK


def _app_of(words: list[str]) -> typer.Typer:
    """The application with what *words* need of it, since to build the options of all commands takes time."""
    if words in (["--help"], ["-h"]):
        return _outline(app)
    commands = [command for command in app.registered_commands if words[:1] == [command.name]]
    groups = [group for group in app.registered_groups if words[:1] == [group.name]]
    return _part(app, commands, groups) if commands or groups else app


def _part(whole: typer.Typer, commands: list[CommandInfo], groups: list[TyperInfo]) -> typer.Typer:
    part = copy(whole)
    part.registered_commands, part.registered_groups = commands, groups
    return part


def _outline(whole: typer.Typer) -> typer.Typer:
    """The application with commands that have no options, of which its help shows none."""
    commands, groups = list(map(copy, whole.registered_commands)), list(map(copy, whole.registered_groups))
    for command in commands:
        assert command.callback is not None
        command.callback = _without_options(command.callback)
    for group in groups:
        if group.typer_instance is not None:
            group.typer_instance = _outline(group.typer_instance)
    return _part(whole, commands, groups)


def _without_options(callback: Callable[..., Any]) -> Callable[[], None]:
    """A function that takes nothing, with the name and the docstring of *callback*."""

    def outline() -> None:
        pass

    outline.__name__, outline.__doc__ = callback.__name__, callback.__doc__
    return outline


def _option(argument: str) -> str:
    """The option that gives an *argument* of a function, which may have an article before it."""
    name = argument.rsplit(maxsplit=1)[-1]
    return f"--{_SPELLED.get(name, name).replace('_', '-')}"


def _print_error(message: str) -> int:
    output.say(f"error: {message}", keep="\n")  # the line of a file and the caret below it
    return BAD_INPUT


def _version(wanted: bool) -> None:
    if wanted:
        import platform
        from importlib.metadata import PackageNotFoundError, version

        from squeezesim._version import __version__
        from squeezesim.cost import kernel

        try:
            torch = version("torch")  # importing it would take a second
        except PackageNotFoundError:
            torch = "not installed"
        output.tell(f"squeezesim {__version__}, torch {torch}, Python {platform.python_version()}")
        output.tell(f"cost model: {kernel.status()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print versions and exit."),
    ] = False,
) -> None:
    del version
