"""Register accesses of AlexNet's convolutions as the simulated array counts them, on layers that are small enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from squeezesim.cost.machine import Machine
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network.layer import Layer
from squeezesim.verify.array_case import Case, closed_form, simulated, whole
from squeezesim.verify.eyeriss_chip import alexnet

_IMAGES, _FILTERS, _CHANNELS, _ROWS, _COLUMNS = 2, 16, 1, 3, 27


class Counted(NamedTuple):
    """Register accesses for each MAC, and whether every number of the simulated array is that of the closed forms."""

    name: str
    accesses: float
    agrees: bool


def scaled_down(layer: Layer) -> Layer:
    """A part of a layer with its filter, its stride and, up to 27, its columns: the filters of one PE, few rows.

    Example:
        >>> scaled_down(alexnet(16)[2]).macs
        33696
    """
    rows, columns = min(layer.oy, _ROWS), min(layer.ox, _COLUMNS)
    return replace(
        layer,
        n=_IMAGES,
        g=1,
        k=_FILTERS,
        c=_CHANNELS,
        oy=rows,
        ox=columns,
        iy=(rows - 1) * layer.stride[0] + layer.fy,
        ix=(columns - 1) * layer.stride[1] + layer.fx,
    )


def counted(accelerator: Accelerator) -> Iterator[Counted]:
    """What the simulated array counts for each convolution, scaled down, under the mapping that is found for it."""
    machine = Machine.of(accelerator)
    for layer in map(scaled_down, alexnet(16)):
        case = Case(layer, whole(layer, machine), machine, "rs", resumed=False, seed=0)
        right, counts = simulated(case)
        accesses = counts.register_inputs + counts.register_weights + counts.register_psums
        formed = closed_form(case)
        agrees = right and all(getattr(counts, name) == value for name, value in formed.items())
        yield Counted(layer.name, accesses / layer.macs, agrees)
