"""The pictures that figures are compared with: of a small report, and of one with many layers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from squeezesim.report.figures.registry import KINDS
from squeezesim.report.figures.style import render
from tests.report.cases import report
from tests.report.figures.drawn import chain, toy

FOLDER = Path(__file__).parents[1] / "reference"
DPI = 72
COLOURS = 200
"""Of a kept picture: enough for colours and the edges of letters, and half of the bytes."""
MANY = ("utilization", "memory", "roofline")
NAMES = [
    *(f"{kind}-{theme}" for kind in KINDS for theme in ("light", "dark")),
    *(f"{kind}-many" for kind in MANY),
]


def drawn(name: str) -> Figure:
    """Return the figure *name*."""
    kind, variant = name.split("-")
    if variant == "many":
        return KINDS[kind].draw(chain(130))
    subject: Any = report({"energy.pj_per_unit": 2.5})
    options: dict[str, Any] = {"theme": variant}
    if KINDS[kind].several:
        subject = [subject, toy()]
    if kind == "tradeoff":
        options["top1"] = {"small": 61.5, "toy": 55}
    if kind == "utilization":
        options["equal"] = variant == "dark"
    return KINDS[kind].draw(subject, **options)


def picture(name: str) -> bytes:
    """Return the picture *name* as it is drawn."""
    return render(lambda: drawn(name), "png", DPI)


def kept(data: bytes) -> bytes:
    """Return a picture in few colours, which is what is kept of it."""
    stream = io.BytesIO()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    few = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(stream, "png", optimize=True)
    return stream.getvalue()
