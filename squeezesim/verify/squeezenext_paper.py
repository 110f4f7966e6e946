"""What the SqueezeNext paper prints: Table 3, cycles read from its figures, the ratios of its abstract."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

SOURCE = "Gholami et al., SqueezeNext: Hardware-Aware Neural Network Design, arXiv 1803.10615v2"

ACCELERATORS = ("squeezelerator_16x16", "squeezelerator_8x8")
"""The shipped accelerators that stand for the paper's two."""

UNIT = "1.0-SqNxt-23v5"
"""The network whose time is 1 in Table 3."""

CYCLES: Mapping[str, float] = MappingProxyType({"squeezelerator_16x16": 1.24e6, "squeezelerator_8x8": 3.38e6})
"""Cycles of ``UNIT``, the sum of its bars in the paper's figures."""

HEADLINES: tuple[tuple[str, str, float], ...] = (
    ("SqueezeNet v1.0", "time", 2.59),
    ("AlexNet", "time", 8.26),
    ("SqueezeNet v1.0", "energy", 2.25),
    ("AlexNet", "energy", 7.5),
)
"""What each takes of the time or energy of ``UNIT`` on 16×16 PEs."""

_COLUMNS = {"squeezelerator_16x16": "16x16_128KB", "squeezelerator_8x8": "8x8_32KB"}
# Title in Table 3 → family, built-in network, input where it is not the network's own.
_MODELS: dict[str, tuple[str, str, str | None]] = {
    "AlexNet": ("AlexNet", "alexnet", None),
    "SqueezeNet v1.0": ("SqueezeNet", "squeezenet_1_0", "3x227x227"),
    "SqueezeNet v1.1": ("SqueezeNet", "squeezenet_1_1", None),
    "Tiny Darknet": ("Tiny Darknet", "tiny_darknet", None),
    "1.0-SqNxt-23": ("1.0-SqueezeNext", "squeezenext_23", None),
    "1.0-SqNxt-23v2": ("1.0-SqueezeNext", "squeezenext_23_v2", None),
    "1.0-SqNxt-23v3": ("1.0-SqueezeNext", "squeezenext_23_v3", None),
    "1.0-SqNxt-23v4": ("1.0-SqueezeNext", "squeezenext_23_v4", None),
    "1.0-SqNxt-23v5": ("1.0-SqueezeNext", "squeezenext_23_v5", None),
    "MobileNet": ("MobileNet", "mobilenet_v1", None),
    "2.0-SqNxt-23": ("2.0-SqueezeNext", "squeezenext_23_2x", None),
    "2.0-SqNxt-23v4": ("2.0-SqueezeNext", "squeezenext_23_2x_v4", None),
    "2.0-SqNxt-23v5": ("2.0-SqueezeNext", "squeezenext_23_2x_v5", None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """One row of Table 3; ``time`` (1 for ``UNIT``) and ``energy`` (in MACs) are by accelerator."""

    title: str
    family: str
    model: str
    input_shape: str | None
    params_millions: float
    macs_millions: float
    top1: float
    top5: float
    time: Mapping[str, float]
    energy: Mapping[str, float]


@cache
def table3() -> Mapping[str, Printed]:
    """Return the rows of Table 3 by title, in the paper's order.

    Example:
        >>> table3()["AlexNet"].time["squeezelerator_16x16"]
        8.26
    """
    text = (files("squeezesim.verify") / "data" / "squeezenext_table3_hardware.csv").read_text(
        encoding="utf-8"
    )
    return MappingProxyType(
        {row["model"]: _printed(row["model"], row) for row in csv.DictReader(text.splitlines())}
    )


def families() -> tuple[str, ...]:
    """Return the families of networks, in the order of the table."""
    return tuple(dict.fromkeys(printed.family for printed in table3().values()))


def _printed(title: str, row: Mapping[str, str]) -> Printed:
    family, model, input_shape = _MODELS[title]
    return Printed(
        title=title,
        family=family,
        model=model,
        input_shape=input_shape,
        params_millions=float(row["params_M"]),
        macs_millions=float(row["mac_M"]),
        top1=float(row["top1"]),
        top5=float(row["top5"]),
        time={name: float(row[f"time_{column}"]) for name, column in _COLUMNS.items()},
        energy={name: float(row[f"energy_{column}"]) for name, column in _COLUMNS.items()},
    )
