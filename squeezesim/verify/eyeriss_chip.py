"""Eyeriss as published: its layers and figures, and what ours say of the same layers."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.dataflow.rs import mapping
from squeezesim.cost.dataflow.rs_layout import filter_parts, lay_rows
from squeezesim.cost.energy import LEVELS
from squeezesim.cost.evaluate import LOSSES, OPERANDS, evaluate
from squeezesim.cost.machine import Machine
from squeezesim.cost.pipeline import Points, play
from squeezesim.cost.tiling import ORDERS
from squeezesim.cost.workload import workload_of
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network.layer import Layer

JSSC = "Chen, Krishna, Emer, Sze: Eyeriss, JSSC 52(1), 2017"
ISCA = "Chen, Emer, Sze: Eyeriss, ISCA 2016"

Tile = tuple[int, int, int, int, int, int]
Figures = Mapping[str, float]


def figures(name: str) -> dict[str, Figures]:
    """Return the published numbers of a file in ``data/`` by layer.

    Example:
        >>> figures("eyeriss_alexnet")["CONV2"]["active_pes"]
        135.0
    """
    text = (files("squeezesim.verify") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    return {
        row["layer"]: {key: float(value) for key, value in row.items() if key != "layer"}
        for row in csv.DictReader(text.splitlines())
    }


def _layer(name: str, n: int, c: int, k: int, out: int, taps: int, stride: int = 1, groups: int = 1) -> Layer:
    """A layer as the papers define it: the padding is part of the input."""
    extent = (out - 1) * stride + taps
    return Layer.conv(
        name,
        n=n,
        c=c,
        k=k,
        oy=out,
        ox=out,
        fy=taps,
        fx=taps,
        stride=stride,
        groups=groups,
        padding=0,
        iy=extent,
        ix=extent,
    )


def alexnet(batch: int) -> list[Layer]:
    """The convolutions of AlexNet."""
    return [
        _layer("CONV1", batch, 3, 96, 55, 11, stride=4),
        _layer("CONV2", batch, 96, 256, 27, 5, groups=2),
        _layer("CONV3", batch, 256, 384, 13, 3),
        _layer("CONV4", batch, 384, 384, 13, 3, groups=2),
        _layer("CONV5", batch, 384, 256, 13, 3, groups=2),
    ]


def alexnet_fc(batch: int) -> list[Layer]:
    """The fully connected layers of AlexNet, the first as the convolution that it is."""
    return [
        _layer("FC1", batch, 256, 4096, 1, 6),
        _layer("FC2", batch, 4096, 4096, 1, 1),
        _layer("FC3", batch, 4096, 1000, 1, 1),
    ]


def vgg16(batch: int) -> list[Layer]:
    """The convolutions of VGG-16."""
    blocks = ((64, 224, 2), (128, 112, 2), (256, 56, 3), (512, 28, 3), (512, 14, 3))
    layers, c = [], 3
    for block, (k, out, count) in enumerate(blocks, start=1):
        for number in range(1, count + 1):
            layers.append(_layer(f"CONV{block}-{number}", batch, c, k, out, 3))
            c = k
    return layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What ours say of one layer."""

    layer: Layer
    processing_ms: float  # the array, without waiting for DRAM
    total_ms: float
    tile: Tile
    split: tuple[int, int, int, int, int]  # e, p, q, r, t
    active_pes: int
    dram_bytes: Figures  # by operand
    energy: Figures  # by level


def run(layers: Sequence[Layer], accelerator: Accelerator) -> list[Ran]:
    """Cost the layers, each with the tiling and mapping that the search finds."""
    costs, machine = evaluate(layers, [accelerator]), Machine.of(accelerator)
    waiting = [LOSSES.index(cause) for cause in ("dram", "startup", "setup")]
    results = []
    for number, layer in enumerate(layers):
        cycles = int(costs.cycles[0, number])
        waited = int(costs.losses[0, number, waiting].sum()) // machine.pes
        n, y, x, g, k, c = costs.tile[0, number].tolist()
        split, active = _mapped(layer, (n, y, x, g, k, c), machine)
        results.append(
            Ran(
                layer=layer,
                processing_ms=(cycles - waited) / machine.clock_hz * 1e3,
                total_ms=cycles / machine.clock_hz * 1e3,
                tile=(n, y, x, g, k, c),
                split=split,
                active_pes=active,
                dram_bytes=dict(zip(OPERANDS, costs.dram_bytes[0, number].tolist(), strict=True)),
                energy=dict(zip(LEVELS, costs.energy[0, number].tolist(), strict=True)),
            )
        )
    return results


def processing_ms(layer: Layer, tile: Tile, accelerator: Accelerator) -> float:
    """Time of the array for a layer that is cut into the given tiles."""
    machine = Machine.of(accelerator)
    points = Points(
        workload_of([layer], machine)[0], np.array([ORDERS.index("PKC")]), np.array(tile)[:, None]
    )
    timing = play(points, DATAFLOWS["rs"], machine)
    return float(timing.stream[0] + timing.fill[0]) / machine.clock_hz * 1e3


def _mapped(layer: Layer, tile: Tile, machine: Machine) -> tuple[tuple[int, int, int, int, int], int]:
    """(e, p, q, r, t) of a full tile, and the PEs that its passes use."""
    flow, problem = DATAFLOWS["rs"], workload_of([layer], machine)[0]
    n, y, x, g, k, c = (np.array([size]) for size in tile)
    pixel = flow.pixel_terms(problem, n, y, x, machine)
    channel = flow.channel_terms(problem, g, k, c, machine)
    chosen = mapping(problem, pixel, channel, machine)
    e = int(lay_rows(problem, n, y, x, machine).strip[0])
    p, q, r, t = (int(value[0]) for value in chosen[:4])
    return (e, p, q, r, t), int(filter_parts(problem, machine).rows.size[0]) * e * r * t
