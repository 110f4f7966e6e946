"""How the numbers of the page come about again: commands, versions, and the accelerators as they were."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from squeezesim.load import load
from squeezesim.zoo.registry import catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from squeezesim.network import Network
    from squeezesim.report.report import Report

_PACKAGES = ("numpy", "torch")


def versions() -> list[tuple[str, str]]:
    """Return the versions of what the numbers depend on, without importing it."""
    from squeezesim import __version__

    return [
        ("squeezesim", __version__),
        ("Python", platform.python_version()),
        *((package, _version(package)) for package in _PACKAGES),
    ]


def snippet(reports: Sequence[Report]) -> str:
    """Return the lines of Python that give the page of *reports* again, where no command is known.

    Accelerators are files, and so are networks that a name alone does not give: ``report.network.save`` writes them.
    """
    calls = [
        f"sq.simulate(sq.load({_model(report.network)!r}), "
        f"sq.Accelerator.from_yaml('{report.accelerator.name}.yaml'))"
        for report in reports
    ]
    if len(calls) == 1:
        return f"import squeezesim as sq\n\nreport = {calls[0]}\nreport.save('report.html')"
    listed = "".join(f"    {call},\n" for call in calls)
    return (
        "from pathlib import Path\n\nimport squeezesim as sq\nfrom squeezesim.report.html.page import page\n\n"
        f"reports = [\n{listed}]\nPath('report.html').write_text(page(reports), encoding='utf-8')"
    )


def _model(network: Network) -> str:
    """What ``load`` takes for *network*: its name if it is a built-in one, neither compressed nor changed."""
    built_in = network.name in catalogue() and load(network.name).fused == network
    return network.name if built_in else f"{network.name}.graph.json"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
