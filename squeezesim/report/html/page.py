"""The page: its parts, put into the template as escaped text and as JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from squeezesim.hardware.show import ideals
from squeezesim.hardware.show import rows as parameters_of
from squeezesim.report import text
from squeezesim.report.explain import explain, summary
from squeezesim.report.figures.scales import Energies
from squeezesim.report.figures.stages import titles
from squeezesim.report.findings import called
from squeezesim.report.html import assets, comparison
from squeezesim.report.html.cells import Table, table, told
from squeezesim.report.html.payload import legends, payload
from squeezesim.report.html.reproduce import reproduction
from squeezesim.report.html.tiles import Tile, tiles
from squeezesim.report.table import grid

if TYPE_CHECKING:
    from jinja2 import Template

    from squeezesim.report.grid import Grid
    from squeezesim.report.report import Report

_UNIT = re.compile(r"(?<=\d) (?=%|µs|µJ|[kMGT]\b|[KMG]iB)")
_TEMPLATES = Path(__file__).with_name("templates")


class Found(NamedTuple):
    """Why layers of one shape take their time: the first of them, what is said after its name, further sentences."""

    layer: int
    name: str
    rest: str
    reasons: Sequence[str]


class Result(NamedTuple):
    """What the template says of one report."""

    name: str
    report: Report
    subject: Sequence[str]
    tiles: Sequence[Tile]
    sentences: Sequence[str]
    findings: Sequence[Found]
    table: Table
    resting: str  # layers that take no time
    stages: Grid
    shares: Sequence[float]


def page(reports: Sequence[Report], *, command: str | None = None, advice: Sequence[str] = ()) -> str:
    """Return *reports*, at least one, as one HTML page: charts, tables, findings, hardware, how to reproduce.

    Several are compared, in the order given. *command* is what a reader types to get the page again; without it, and of
    reports that were read from files and do not hold their command, the page has the lines of Python. *advice* is what
    would save time, a sentence each. The page loads nothing, and runs nothing but its own scripts, whatever names are
    in it.

    Example:
        >>> import squeezesim as sq
        >>> report = sq.simulate(sq.load("alexnet"), sq.Accelerator.named("squeezelerator_8x8"))
        >>> page([report]).splitlines()[0]
        '<!doctype html>'
    """
    energies = Energies(reports)
    names = titles(reports)
    compared = comparison.compare(reports) if len(reports) > 1 else None
    data: dict[str, Any] = {
        "legends": legends(),
        "results": [payload(report, energies) for report in reports],
    }
    if compared:
        data["comparison"] = comparison.payload(reports, compared)
    return _template().render(
        assets=assets,
        title=_title(reports, compared),
        results=[_result(name, report) for name, report in zip(names, reports, strict=True)],
        comparison=compared,
        absolute=energies.absolute,
        hardware=[
            {
                "name": name,
                "accelerator": accelerator,
                "rows": parameters_of(accelerator),
                "ideal": ideals(accelerator),
            }
            for name, accelerator in comparison.accelerators(reports)
        ],
        advice=[_sentence(text) for text in advice],
        again=reproduction(names, reports, command),
        data=data,
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "ensure_ascii": False,
        "separators": (",", ":"),
        "allow_nan": False,
    }
    return environment.get_template("page.html.j2")


def _title(reports: Sequence[Report], compared: comparison.Comparison | None) -> str:
    if compared is None:
        return f"{reports[0].network.name} on {reports[0].accelerator.name}"
    return f"{len(reports)} results compared"


def _result(name: str, report: Report) -> Result:
    rows = told(report, "stage")
    return Result(
        name=name,
        report=report,
        subject=text.subject(report),
        tiles=tiles(report),
        sentences=[_sentence(text) for text in summary(report)],
        findings=_findings(report),
        table=table(report),
        resting=text.resting(report.rows()),
        stages=grid(report, rows, "stage", None),
        shares=[row["share"] for row in rows],
    )


def _findings(report: Report) -> list[Found]:
    place = {layer.name: number for number, layer in enumerate(report.network.layers)}
    found = []
    for part in explain(report):
        name = called(part.layers[0])
        first, *reasons = part.sentences
        rest = _kept(first.removeprefix(name))
        found.append(
            Found(
                place[part.layers[0]], name, f"{rest}:" if reasons else f"{rest}.", list(map(_kept, reasons))
            )
        )
    return found


def _sentence(text: str) -> str:
    return f"{_kept(text)}."


def _kept(text: str) -> str:
    """Keep units together with their numbers at the end of a line."""
    return _UNIT.sub("\u00a0", text)
