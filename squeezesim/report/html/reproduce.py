"""How the numbers of the page come about again: commands, versions, and the accelerators as they were."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """Return the lines of Python that simulate *reports* again, where no command is known."""
    lines = ["import squeezesim as sq", ""]
    for report in reports:
        network, accelerator = report.network.name, f"{report.accelerator.name}.yaml"
        lines.append(f"report = sq.simulate(sq.load({network!r}), sq.Accelerator.from_yaml({accelerator!r}))")
    return "\n".join([*lines, "report.save('report.html')"])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
