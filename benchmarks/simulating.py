"""simulate(network, accelerator): its time, and how many tilings it chooses from."""

from __future__ import annotations

import numpy as np

import squeezesim as sq
from benchmarks.block import Block, times
from benchmarks.measure import repeated, yardstick
from squeezesim.cost.bounds import Space
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import workload_of

NETWORKS = ("squeezenext_23", "squeezenet_1_0", "mobilenet_v1", "resnet50", "alexnet")
ACCELERATORS = ("os_32x32", "squeezelerator_16x16", "squeezelerator_8x8")
COLUMNS = ("network on accelerator", "layers", "time", "range", "to the yardstick", "tilings", "a second")
HOW = """\
`sq.simulate` in one process, network and accelerator loaded before. Medians of at least 5 runs in a second or more.
The yardstick is 200 multiplications of 100,000 float32 in NumPy, {unit} in this run. *Layers* are those that
multiply. *Tilings* are those that fit the buffer, for each mode that differs and each dataflow, over layers
of different shape: what the best one is chosen from. Bounds exclude most of them without playing them.
"""


def tilings(network: sq.Network, accelerator: sq.Accelerator) -> int:
    """Return how many tilings fit the buffer, for each dataflow, over the different shapes of the network."""
    machine = Machine.of(accelerator)
    work, _ = workload_of([layer for layer in network.fused.layers if layer.kind == "mac"], machine)
    space = Space(work, machine)
    room = machine.buffer_bits - machine.weights_bits
    count = 0
    for row in range(len(work)):
        pixels, channels = (np.arange(part.start, part.stop) for part in space.part(row))
        for pixel in pixels.tolist():
            beside = np.full(len(channels), pixel)
            count += len(space.residency.modes(beside, channels, -np.inf, room).mode)
    return len(machine.dataflows) * count


def measure() -> list[Block]:
    """Measure ``NETWORKS`` on ``ACCELERATORS``."""
    unit = yardstick()
    cells = []
    for name in NETWORKS:
        network = sq.load(name)
        layers = sum(layer.kind == "mac" for layer in network.layers)
        for hardware in ACCELERATORS:
            accelerator = sq.Accelerator.named(hardware)
            spent = repeated(lambda: sq.simulate(network, accelerator))  # noqa: B023
            count = tilings(network, accelerator)
            ratio, rate = times(spent.median / unit), f"{count / spent.median / 1e6:.1f} M"
            cells.append(
                [f"{name} on {hardware}", str(layers), str(spent), spent.range, ratio, f"{count:,}", rate]
            )
    return [Block.of("Simulating a network", COLUMNS, cells, HOW.format(unit=f"{1e3 * unit:.2f} ms"))]
