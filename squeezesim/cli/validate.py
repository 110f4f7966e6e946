"""squeezesim validate: the model beside sources that do not share its code; exit code 1 where a bound is broken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import options, output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from squeezesim.reference.record import Check

_FORMATS = ("table", "markdown", "json")

SHORT = "Compare the model with published results and simulators."
EXAMPLES = """\b
Examples:
  squeezesim validate
  squeezesim validate array --quick
  squeezesim validate --format markdown -o validation.md
"""


def validate(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE", help="What to check against; by default every source."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Skip the slow checks.")] = False,
    format: Annotated[str, options.format_option(_FORMATS, "Print tables, a page, or only data.")] = "table",
    out: Annotated[
        Path | None,
        options.out_option("Write it to a file instead of stdout."),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Compare the model with published results and with simulations of every cycle.

    Exit code 1 where a stated bound is broken.
    """
    del debug
    from squeezesim.validate import SOURCES, known

    output.choice("--format", format, _FORMATS)
    names = list(dict.fromkeys(map(known, sources or SOURCES)))
    if out is not None:
        output.check_writable([out])
    checks = _run(names, quick)
    if out is None:
        _print(checks, format)
    else:
        from squeezesim.files import atomic_write

        atomic_write(out, _text(checks, format))
        output.wrote([out])
    _conclude(checks, aloud=out is not None or format == "table")


def _run(names: Sequence[str], quick: bool) -> list[Check]:
    from squeezesim.validate import Options, run

    checks = []
    for name in names:
        _progress(name)("computing")
        checks.append(run(name, Options(quick=quick, progress=_progress(name))))
        _progress(name)("")
    return checks


def _progress(name: str) -> Callable[[str], None]:
    """Return what says on a terminal how far *name* is."""
    return lambda text: output.status(f"{name}: {text}" if text else "")


def _print(checks: Sequence[Check], format: str) -> None:
    console = output.console()
    if format != "table" or not console.is_terminal:
        output.write(_text(checks, format))
        return
    from squeezesim.report.text import print_sections
    from squeezesim.validate import sections

    for check in checks:
        print_sections(sections(check, console.width - 2), console)
        output.tell()


def _text(checks: Sequence[Check], format: str) -> str:
    from squeezesim.report.text import plain
    from squeezesim.validate import markdown, sections, to_json

    if format == "markdown":
        return markdown(checks)
    if format == "json":
        return to_json(checks)
    return "".join(f"{plain(sections(check))}\n\n" for check in checks)


def _conclude(checks: Sequence[Check], *, aloud: bool) -> None:
    from squeezesim.validate import verdict

    for check in checks:
        if aloud:
            output.tell(verdict(check))
        elif not check.holds:
            output.say(verdict(check))
    if not all(check.holds for check in checks):
        raise typer.Exit(1)
