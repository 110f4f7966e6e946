"""How the numbers of the page come about again: commands, versions, and the accelerators as they were."""

from __future__ import annotations

import platform
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NamedTuple

from squeezesim._version import __version__
from squeezesim.load import load
from squeezesim.report.html.comparison import accelerators
from squeezesim.zoo.registry import catalogue, folder_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from squeezesim.report.report import Report

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


def reproduction(names: Sequence[str], reports: Sequence[Report], command: str | None) -> Reproduction:
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


def snippet(reports: Sequence[Report]) -> str:
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


def _models(reports: Sequence[Report]) -> list[str]:
    """What ``load`` takes for each network: the name of a built-in one, neither compressed nor changed, else a file."""
    networks = list(dict.fromkeys(report.network for report in reports))
    own = [network.name in catalogue() and load(network.name).fused == network for network in networks]
    files = _files([network.name for network in networks], ".graph.json")
    found = {
        network: network.name if built_in else file
        for network, built_in, file in zip(networks, own, files, strict=True)
    }
    return [found[report.network] for report in reports]


def _hardware(reports: Sequence[Report]) -> list[str]:
    return _files([accelerator.name for _, accelerator in accelerators(reports)], ".yaml")


def _files(names: Sequence[str], suffix: str) -> list[str]:
    """Names of files that any system allows, the second of a name with a number."""
    seen: Counter[str] = Counter()
    files = []
    for name in map(folder_name, names):
        seen[name] += 1
        files.append(f"{name}{suffix}" if seen[name] == 1 else f"{name}-{seen[name]}{suffix}")
    return files


def _origin(report: Report) -> str:
    network = report.network
    inputs = [f"{name} {'×'.join(map(str, shape))}" for name, shape in network.inputs]
    return ", ".join([network.source or "–", *inputs])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
