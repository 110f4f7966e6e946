from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.dataflow.base import slice_cycles
from squeezesim.cost.machine import Machine
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, machine, machines, macs_at_most, problem_of
from tests.cost.dataflow.arrays import Words, drawn_tile, whole

OS = DATAFLOWS["os"]


def test_hand_worked_convolution() -> None:
    on = machine(rows=16, cols=16, ports=16, psum_words=64)
    layer = Layer(
        name="a", op="conv2d", kind="mac", k=16, c=8, oy=28, ox=28, fy=3, fx=3, iy=28, ix=28, padding=(1, 1)
    )
    work = whole(OS, layer, on)
    assert work.stream == 4 * 16 * 8 * 9
    # Windows of 18×18, 18×14, 14×18 and 14×14 words through 16 ports; the last block drains 12 rows for 16 channels.
    assert work.cycles == 4608 + (21 + 16 + 16 + 13) * 8 + 12 * 16


def test_hand_worked_drain_that_is_waited_for() -> None:
    on = machine(rows=16, cols=16, ports=16, psum_words=8)
    layer = Layer(name="a", op="conv2d", kind="mac", k=16, c=1, oy=16, ox=16, iy=16, ix=16)
    work = whole(OS, layer, on)
    # Two chunks of 8 channels: 16 + 8 cycles of work each, 8 · 16 of drain; the second waits 128 − 24 for the first.
    assert work.stream == 16
    assert work.cycles == 24 + 128 + 128


@pytest.mark.parametrize(
    ("slices", "nonzeros", "cycles"),
    [
        (12, 60, 12 * 5),  # dealt evenly
        (12, 61, 12 * 5 + 1),
        (12, 0, 12),  # a slice of zeros still costs a cycle
        (12, 5, 12),
        (12, 13, 13),
    ],
)
def test_cycles_of_slices(slices: int, nonzeros: int, cycles: int) -> None:
    on = machine(weight_density=nonzeros / (12 * 9), skips_zeros=("os",))
    layer = Layer(name="a", op="conv2d", kind="mac", k=4, c=3, fy=3, fx=3, iy=3, ix=3)
    problem = problem_of(layer, on)
    assert slice_cycles(np.array([slices]), problem, skipping=True) == cycles
    assert slice_cycles(np.array([slices]), problem, skipping=False) == slices * 9


@given(layers(), machines(skips_zeros=("os",)), st.integers(1, 5))
def test_the_share_of_a_tile_is_rounded_up(layer: Layer, on: Machine, parts: int) -> None:
    problem = problem_of(layer, on)
    all_slices = int(problem.slices[0])
    together = int(slice_cycles(np.array([all_slices]), problem, skipping=True)[0])
    tiles = [part for part in np.diff(np.linspace(0, all_slices, parts + 1).astype(int)) if part]
    apart = int(slice_cycles(np.array(tiles), problem.take(np.zeros(len(tiles), int)), skipping=True).sum())
    assert together <= apart < together + len(tiles)


@given(layers(), machines(), st.data())
def test_busy_never_exceeds_the_array(layer: Layer, on: Machine, data: st.DataObject) -> None:
    problem = problem_of(layer, on)
    work = OS.tile_cost(problem, drawn_tile(problem, data), on)
    assert 0 < work.busy[0] <= macs_at_most(problem, on, work.stream[0])
    assert work.fill[0] >= 0


@given(layers(), machines(skips_zeros=()))
def test_accesses_of_a_whole_layer(layer: Layer, on: Machine) -> None:
    problem = problem_of(layer, on)
    outputs = layer.n * layer.g * layer.k * layer.oy * layer.ox
    words = Words(whole(OS, layer, on))
    assert words("register_file", "psums") == 2 * layer.macs
    assert words("buffer", "psums", "write") == outputs
    columns = on.rows * on.cols if problem.pointwise[0] else on.cols
    blocks = int(problem.n[0]) * -(-int(problem.x[0]) // columns)
    blocks *= 1 if problem.pointwise[0] else -(-int(problem.y[0]) // on.rows)
    assert words("buffer", "weights", "read") == blocks * layer.g * layer.k * layer.c * layer.fy * layer.fx
    # Every pixel of a matrix product holds an input for each channel and chunk; a 1×1 filter moves none between PEs.
    chunks = -(-layer.k // on.psum_words)
    if problem.pointwise[0]:
        inputs = words("buffer", "inputs", "read")
        assert inputs == layer.n * layer.oy * layer.ox * layer.g * layer.c * chunks
    shifted = words("inter_pe", "inputs")
    if layer.fy * layer.fx == 1:
        assert shifted == 0
    if layer.stride == (1, 1):
        taps = layer.fy * (layer.fx - 1) * layer.dilation[1] + (layer.fy - 1) * layer.dilation[0]
        assert shifted == layer.macs // (layer.fy * layer.fx) * taps
