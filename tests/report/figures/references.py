"""The pictures that figures are compared with: small ones of a small report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from squeezesim.report.canvas import render
from squeezesim.report.figures.kinds import KINDS
from tests.report.cases import report
from tests.report.figures.drawn import toy

FOLDER = Path(__file__).parents[1] / "reference"
DPI = 40
NAMES = [f"{kind}-{theme}" for kind in KINDS for theme in ("light", "dark")]


def picture(name: str) -> bytes:
    """Return the picture *name* as it is drawn."""
    kind, theme = name.split("-")
    subject: Any = report({"energy.pj_per_unit": 2.5})
    options: dict[str, Any] = {"theme": theme}
    if KINDS[kind].several:
        subject = [subject, toy()]
    if kind == "tradeoff":
        options["top1"] = {"small": 61.5, "toy": 55}
    if kind == "utilization":
        options["equal"] = theme == "dark"
    return render(lambda: KINDS[kind].draw(subject, **options), "png", DPI)
