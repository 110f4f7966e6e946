"""One HTML page of reports: charts, tables, findings, hardware, and how to reproduce them."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from squeezesim._version import __version__
from squeezesim.hardware.display import ideals
from squeezesim.hardware.display import rows as parameters_of
from squeezesim.load import load
from squeezesim.report import metrics, text
from squeezesim.report.explain import explain, summary
from squeezesim.report.figures.charts import Energies
from squeezesim.report.figures.stages import titles
from squeezesim.report.html import assets, comparison
from squeezesim.report.html.comparison import accelerators
from squeezesim.report.html.data import Table, Tile, legends, names_of, payload, table, table_rows, tiles
from squeezesim.report.names import display_name
from squeezesim.report.text import grid
from squeezesim.zoo.registry import catalogue, folder_name

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

    from squeezesim.report.data import ReportData
    from squeezesim.report.grid import Grid

_PACKAGES = ("numpy", "torch")


class Saved(NamedTuple):
    """A report that was read from a file: whose it is, and what made it."""

    name: str
    version: str  # empty where the file does not say it
    command: str  # empty where none is known


class Reproduction(NamedTuple):
    """What the page says on how to get its numbers again.

    Attributes:
        command: what is typed to get the page.
        saved: the results that were read from files.
        snippet: lines of Python for the results of which no command is known; empty where there are none.
        versions: of what made the numbers here, and the page.
        networks: name, source and inputs of each network, once.
        files: the name of each accelerator's file, with its text.
    """

    command: str
    saved: Sequence[Saved]
    snippet: str
    versions: Sequence[tuple[str, str]]
    networks: Sequence[tuple[str, str]]
    files: Sequence[tuple[str, str]]


def reproduction(names: Sequence[str], reports: Sequence[ReportData], command: str | None) -> Reproduction:
    """Return how to get the page of *reports*, which it calls *names*, and their numbers again."""
    saved = [
        Saved(name, report.made_by.version, str(report.made_by))
        for name, report in zip(names, reports, strict=True)
        if report.made_by.saved
    ]
    silent = [
        report for report in reports if not (report.made_by.command or (command and not report.made_by.saved))
    ]
    networks = [(report.network.name, _origin(report)) for report in reports]
    return Reproduction(
        command=command or "",
        saved=saved,
        snippet=snippet(silent) if silent else "",
        versions=versions(here=len(saved) < len(reports)),
        networks=list(dict.fromkeys(networks)),
        files=[
            (file, made.to_yaml())
            for file, (_, made) in zip(_hardware(reports), accelerators(reports), strict=True)
        ],
    )


def versions(*, here: bool) -> list[tuple[str, str]]:
    """Return the version that writes the page and, of numbers made *here*, those of what they depend on."""
    own = [("squeezesim", __version__)]
    if not here:
        return own
    return [*own, ("Python", platform.python_version()), *((name, _version(name)) for name in _PACKAGES)]


def snippet(reports: Sequence[ReportData]) -> str:
    """Return the lines of Python that give the page of *reports* again, where no command is known.

    Accelerators are files, and so are networks that a name alone does not give: ``report.network.save`` writes them.
    """
    known = [accelerator for _, accelerator in accelerators(reports)]
    files = _hardware(reports)
    calls = [
        f"sq.simulate(sq.load({model!r}), sq.Accelerator.from_yaml({files[known.index(report.accelerator)]!r}))"
        for model, report in zip(_models(reports), reports, strict=True)
    ]
    if len(calls) == 1:
        return f"import squeezesim as sq\n\nreport = {calls[0]}\nreport.save('report.html')"
    listed = "".join(f"    {call},\n" for call in calls)
    return (
        "from pathlib import Path\n\nimport squeezesim as sq\nfrom squeezesim.report.html.page import page\n\n"
        f"reports = [\n{listed}]\nPath('report.html').write_text(page(reports), encoding='utf-8')"
    )


def _models(reports: Sequence[ReportData]) -> list[str]:
    """What ``load`` takes for each network: the name of a built-in one, neither compressed nor changed, else a file."""
    networks = list(dict.fromkeys(report.network for report in reports))
    own = [network.name in catalogue() and load(network.name).fused == network for network in networks]
    files = _files([network.name for network in networks], ".graph.json")
    found = {
        network: network.name if built_in else file
        for network, built_in, file in zip(networks, own, files, strict=True)
    }
    return [found[report.network] for report in reports]


def _hardware(reports: Sequence[ReportData]) -> list[str]:
    return _files([accelerator.name for _, accelerator in accelerators(reports)], ".yaml")


def _files(names: Sequence[str], suffix: str) -> list[str]:
    """Names of files that any system allows, the second of a name with a number."""
    seen: Counter[str] = Counter()
    files = []
    for name in map(folder_name, names):
        seen[name] += 1
        files.append(f"{name}{suffix}" if seen[name] == 1 else f"{name}-{seen[name]}{suffix}")
    return files


def _origin(report: ReportData) -> str:
    network = report.network
    return ", ".join([network.source or "–", *network.input_texts("×")])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


_UNIT = re.compile(r"(?<=\d) (?=%|µs|µJ|[kMGT]\b|[KMG]iB)")
_TEMPLATES = Path(__file__).with_name("templates")


class Found(NamedTuple):
    """Why layers of one shape take their time: the first of them, what is said after its name, further sentences."""

    layer: int
    name: str
    rest: str
    reasons: Sequence[str]


class Piece(NamedTuple):
    """A part of a stage's bar: what its time is spent on, from where on, and its share of the network's."""

    cause: str
    start: float
    share: float


class Result(NamedTuple):
    """What the template says of one report."""

    name: str
    report: ReportData
    subject: Sequence[str]
    tiles: Sequence[Tile]
    sentences: Sequence[str]
    findings: Sequence[Found]
    table: Table
    resting: str  # layers that take no time
    stages: Grid
    meters: Sequence[Sequence[Piece]]


class Proposed(NamedTuple):
    """A row of the table of proposals, as texts."""

    change: str
    saves: str
    energy: str
    caveat: str


class Advice(NamedTuple):
    """What would save time: a sentence on all rows, or on why there are none."""

    note: str
    rows: Sequence[Proposed] = ()


def page(reports: Sequence[ReportData], *, command: str | None = None, advice: Advice | None = None) -> str:
    """Return *reports*, at least one, as one HTML page: charts, tables, findings, hardware, how to reproduce.

    Several are compared, in the order given. *command* is what a reader types to get the page again; without it, and of
    reports that were read from files and do not hold their command, the page has the lines of Python. *advice* is what
    would save time. The page loads nothing, and runs nothing but its own scripts, whatever names are in it.

    Example:
        >>> import squeezesim as sq
        >>> report = sq.simulate(sq.load("alexnet"), sq.Accelerator.named("squeezelerator_8x8"))
        >>> page([report]).splitlines()[0]
        '<!doctype html>'
    """
    energies, known = Energies(reports), names_of(reports)
    names = titles(reports)
    compared = comparison.compare(reports) if len(reports) > 1 else None
    data: dict[str, Any] = {
        "legends": legends(known),
        "results": [payload(report, energies, known) for report in reports],
    }
    if compared:
        data["comparison"] = comparison.payload(reports, compared)
    return template("page.html.j2").render(
        assets=assets,
        style=assets.style(known),
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
        advice=advice and Advice(advice.note, [Proposed(*map(_kept, row)) for row in advice.rows]),
        dotted=_dotted,
        again=reproduction(names, reports, command),
        data=data,
    )


@cache
def template(name: str, own: Path = _TEMPLATES) -> Template:
    """Return the template *name*, from the folder of a page's *own* templates or from those that pages share."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([own, _TEMPLATES]),
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
    return environment.get_template(name)


def _title(reports: Sequence[ReportData], compared: comparison.Comparison | None) -> str:
    if compared is None:
        return f"{reports[0].network.name} on {reports[0].accelerator.name}"
    return f"{len(reports)} results compared"


def _result(name: str, report: ReportData) -> Result:
    rows = table_rows(report, "stage")
    return Result(
        name=name,
        report=report,
        subject=text.subject(report),
        tiles=tiles(report),
        sentences=[_sentence(text) for text in summary(report)],
        findings=_findings(report),
        table=table(report),
        resting=text.zero_cost_ops(metrics.rows(report)),
        stages=grid(report, rows, "stage", None),
        meters=_meters(report),
    )


def _findings(report: ReportData) -> list[Found]:
    place = {layer.name: number for number, layer in enumerate(report.network.layers)}
    found = []
    for part in explain(report):
        name = display_name(part.layers[0])
        first, *reasons = part.sentences
        rest = _kept(first.removeprefix(name))
        found.append(
            Found(
                place[part.layers[0]], name, f"{rest}:" if reasons else f"{rest}.", list(map(_kept, reasons))
            )
        )
    return found


def _meters(report: ReportData) -> list[list[Piece]]:
    """The bars of the stages: executed MACs and losses as shares of all PE-cycles."""
    _, stages = metrics.groups(report, "stage", report.tally.in_pe_cycles(report.scale))
    spent = np.column_stack([stages.executed, stages.losses])
    shares = spent / max(spent.sum(), 1)
    starts = shares.cumsum(axis=1) - shares
    causes = ("executed", *stages.causes)
    return [
        [Piece(*piece) for piece in zip(causes, at.tolist(), row.tolist(), strict=True) if piece[2]]
        for at, row in zip(starts, shares, strict=True)
    ]


def _dotted(name: str) -> Markup:
    """Return *name* as markup that may be broken after a slash or a dot, but in no number."""
    from markupsafe import Markup

    return Markup("<wbr>").join(re.split(r"(?<=/)|(?<=\.)(?!\d)", name))


def _sentence(text: str) -> str:
    return f"{_kept(text)}."


def _kept(text: str) -> str:
    """Keep units together with their numbers at the end of a line."""
    return _UNIT.sub("\u00a0", text)
