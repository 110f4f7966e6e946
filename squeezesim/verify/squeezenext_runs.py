"""Table 3 of the SqueezeNext paper, computed: 13 networks on two accelerators, beside the printed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.energy import LEVELS
from squeezesim.cost.evaluate import evaluate
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network.passes import fuse
from squeezesim.verify.squeezenext_paper import ACCELERATORS, UNIT, Printed, table3

if TYPE_CHECKING:
    from squeezesim.network.layer import Layer

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_FLOWS = tuple(DATAFLOWS)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Run:
    """One network on one accelerator, layer by layer, beside what the paper prints of it."""

    printed: Printed
    accelerator: Accelerator
    layers: tuple[Layer, ...]  # those with MACs: the paper counts no others
    cycles: Ints
    energy: Floats  # by LEVELS, in units of one MAC
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
    """All runs, by accelerator and title."""

    runs: Mapping[str, Mapping[str, Run]]

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
            for layer in fuse(load(printed.model, input_shape=printed.input_shape)).layers
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
                dataflow=tuple(_FLOWS[flow] for flow in costs.dataflow[number, part]),
            )
    return Table3(runs)


def totals(table: Table3) -> tuple[Ints, Floats]:
    """Return cycles (accelerators, networks) and energy by level (accelerators, networks, levels)."""
    runs = [list(row.values()) for row in table.runs.values()]
    cycles = np.array([[run.total_cycles for run in row] for row in runs], np.int64)
    return cycles, np.array([[run.energy.sum(axis=0) for run in row] for row in runs]).reshape(
        *cycles.shape, len(LEVELS)
    )
