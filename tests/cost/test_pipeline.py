from __future__ import annotations

import numpy as np

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.pipeline import Points, play
from squeezesim.cost.traffic import AXES
from squeezesim.network.layer import Layer
from tests.cost.cases import machine, problem_of


def test_hand_worked_layer() -> None:
    """The layer of docs/timing.md: 1×1, 8 → 8 channels, 8 pixels in two tiles, on 4×4 PEs at 4 bytes a cycle."""
    on = machine()
    layer = Layer(name="a", op="conv2d", kind="mac", k=8, c=8, oy=1, ox=8, iy=1, ix=8)
    sizes = {"n": 1, "y": 1, "x": 4, "g": 1, "k": 8, "c": 8}
    points = Points(problem_of(layer, on), np.array([0]), np.array([[sizes[axis]] for axis in AXES]))
    timing = play(points, DATAFLOWS["ws"], on)
    # Array: 4 blocks of 4 pixels, the first block's preload of 4 cycles exposed: 20 cycles a tile.
    # DMA: inputs 64 B = 16 cycles a tile, weights 128 B = 32, outputs 64 B = 16 a tile.
    # First load 16 + 32, step 1 max(20, 16), step 2 max(20, 16), last store 16; latency 3 · 7, setup 11.
    assert timing.cycles[0] == 11 + (16 + 32 + 16 + 3 * 7) + 20 + 20
    assert timing.fill[0] == 8
    assert timing.stream[0] == 32
    assert timing.busy[0] == 8 * 8 * 8
    assert timing.dram[0] == 0
