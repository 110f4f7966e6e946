"""squeezesim calibrate: an accelerator beside a user's own measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from squeezesim.cli import options, output

SHORT = "Compare an accelerator with measured times, and fit values of its file."
EXAMPLES = """\b
Examples:
  squeezesim calibrate my.yaml --measured measured.csv
  squeezesim calibrate my.yaml --measured measured.csv --fit memory.dram.usable_fraction -o fitted.yaml
  squeezesim calibrate dpu_b4096 --measured measured.csv --fit control.layer_setup_cycles --format csv
"""


def calibrate(
    hw: Annotated[
        str, typer.Argument(metavar="HW", help="Accelerator, a YAML file or a name of squeezesim hw list.")
    ],
    measured: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            parser=output.path,
            help="Table of times: CSV with the columns model, layer where it is one layer, and latency_us, latency_ms, "
            "latency_s or cycles.",
        ),
    ],
    fit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH", help="A value to fit, as memory.dram.usable_fraction; may be given several times."
        ),
    ] = None,
    out: Annotated[
        Path | None, options.out_option("Write the accelerator with the fitted values to a YAML file.")
    ] = None,
    format: options.Format = "table",
    debug: options.Debug = False,
) -> None:
    """Compare simulated with measured times, list the unsourced values that they depend on, and fit some.

    Values from a paper or a data sheet are never changed. The left-out error of a row is that of a fit without it.
    """
    del debug
    from squeezesim.errors import UsageError
    from squeezesim.files import atomic_write

    output.choice("--format", format, output.FORMATS)
    if out and not fit:
        raise UsageError("-o writes fitted values; needed: --fit PATH")
    output.check_writable([out] if out else [], inputs=[hw, str(measured)])
    from squeezesim.explore.calibrate import calibrate as calibrated

    output.status(f"simulating what {measured.name} has")
    found = calibrated(hw, measured, fit or ())
    _print(found, format)
    if out:
        atomic_write(out, found.accelerator.to_yaml())
        if format == "table":
            output.wrote([out], after=True)


def _print(found: object, format: str) -> None:
    from squeezesim.explore.calibrate import Calibration, sections
    from squeezesim.files import json_line
    from squeezesim.report.files import csv_text
    from squeezesim.report.text import plain, print_sections

    assert isinstance(found, Calibration)
    if format == "csv":
        output.write(csv_text(found.data()))
    elif format == "json":
        from dataclasses import asdict

        depends = [asdict(each) for each in found.depends]
        values = {path: list(pair) for path, pair in found.values.items()}
        output.write(json_line({"rows": found.data(), "fitted": values, "depends": depends}) + "\n")
    else:
        console = output.console()
        if console.is_terminal:
            print_sections(sections(found), console)
        else:
            output.tell_all(plain(sections(found)))
