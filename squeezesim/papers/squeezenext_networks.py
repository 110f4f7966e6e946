"""The SqueezeNext paper: its printed figures, and its networks on its machines."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.evaluate import evaluate
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load

if TYPE_CHECKING:
    from squeezesim.network import Layer

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
    text = (files("squeezesim.papers") / "data" / "squeezenext_table3_hardware.csv").read_text(
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


Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Run:
    """One network on one accelerator, layer by layer, beside what the paper prints of it."""

    printed: Printed
    accelerator: Accelerator
    layers: tuple[Layer, ...]  # those with MACs: the paper counts no others
    cycles: Ints
    energy: Floats  # by level, in units of one MAC
    dram_bytes: Ints
    dataflow: tuple[str, ...]

    @property
    def title(self) -> str:
        """The network's name in the paper."""
        return self.printed.title

    @property
    def total_cycles(self) -> int:
        """Cycles of all layers."""
        return int(self.cycles.sum())

    @property
    def total_energy(self) -> float:
        """Energy of all layers, in units of one MAC."""
        return float(self.energy.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Table3:
    """All runs, by accelerator and title, and the names of the levels of their energy."""

    runs: Mapping[str, Mapping[str, Run]]
    levels: tuple[str, ...]

    def __iter__(self) -> Iterator[Run]:
        for runs in self.runs.values():
            yield from runs.values()

    def time(self, accelerator: str, title: str) -> float:
        """Return cycles relative to those of ``UNIT`` on the same accelerator."""
        runs = self.runs[accelerator]
        return runs[title].total_cycles / runs[UNIT].total_cycles


@cache
def networks() -> Mapping[str, tuple[Layer, ...]]:
    """Return the layers with MACs of the 13 networks, by their names in the paper."""
    return {
        title: tuple(
            layer
            for layer in load(printed.model, input_shape=printed.input_shape).fused.layers
            if layer.kind == "mac"
        )
        for title, printed in table3().items()
    }


def accelerators() -> tuple[Accelerator, ...]:
    """Return the two accelerators of the paper."""
    return tuple(map(Accelerator.named, ACCELERATORS))


def compute(hardware: Sequence[Accelerator] | None = None) -> Table3:
    """Return what the 13 networks cost on *hardware*, the paper's two accelerators by default.

    All layers are costed in one call, so that those of equal shape, within a network and across, are costed once.

    Raises:
        HardwareError: a layer does not fit the global buffer at its smallest tile.
    """
    chosen = accelerators() if hardware is None else tuple(hardware)
    layers = [layer for members in networks().values() for layer in members]
    costs = evaluate(layers, chosen)
    runs: dict[str, dict[str, Run]] = {}
    for number, accelerator in enumerate(chosen):
        start = 0
        for title, members in networks().items():
            part = slice(start, start + len(members))
            start = part.stop
            runs.setdefault(accelerator.name, {})[title] = Run(
                printed=table3()[title],
                accelerator=accelerator,
                layers=members,
                cycles=costs.cycles[number, part],
                energy=np.asarray(costs.energy[number, part], np.float64),
                dram_bytes=costs.dram_bytes[number, part].sum(axis=1),
                dataflow=tuple(costs.dataflows[flow] for flow in costs.dataflow[number, part]),
            )
    return Table3(runs, costs.levels)


def totals(table: Table3) -> tuple[Ints, Floats]:
    """Return cycles (accelerators, networks) and energy by level (accelerators, networks, levels)."""
    runs = [list(row.values()) for row in table.runs.values()]
    cycles = np.array([[run.total_cycles for run in row] for row in runs], np.int64)
    return cycles, np.array([[run.energy.sum(axis=0) for run in row] for row in runs]).reshape(
        *cycles.shape, len(table.levels)
    )
