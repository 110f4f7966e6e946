from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.dataflow.base import slice_cycles
from squeezesim.cost.machine import Machine
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, machine, machines, problem_of
from tests.cost.dataflow.arrays import tile_terms, whole

OS = DATAFLOWS["os"]


def dealt(slices: int, taps: int, nonzeros: int) -> list[int]:
    """Non-zero weights of each slice, dealt one after the other."""
    counts = [0] * slices
    for weight in range(nonzeros):
        counts[weight % slices] += 1
    assert max(counts, default=0) <= taps
    return counts


def by_blocks(layer: Layer, on: Machine) -> tuple[int, int, int]:
    """(stream, fill, busy) with every block, chunk and slice gone through one by one."""
    pointwise = bool(problem_of(layer, on).pointwise[0])
    if pointwise:
        pixels = layer.n * layer.oy * layer.ox
        blocks = []
        for start in range(0, pixels, on.pes):
            held = min(on.pes, pixels - start)
            blocks.append([min(on.cols, held - used) for used in range(0, held, on.cols)])
    else:
        blocks = [
            [min(on.cols, layer.ox - x)] * min(on.rows, layer.oy - y)
            for _ in range(layer.n)
            for y in range(0, layer.oy, on.rows)
            for x in range(0, layer.ox, on.cols)
        ]
    taps = layer.fy * layer.fx
    slices = layer.g * layer.k * layer.c
    nonzeros = round_half_up(on.weight_density * slices * taps) if "os" in on.skips_zeros else slices * taps
    costs = [max(1, count) for count in dealt(slices, taps, nonzeros)]
    stream = preload = drain = busy = last = 0
    for block in blocks:
        lines = sum(-(-columns // on.ports) for columns in block)
        stream += sum(costs)
        busy += sum(block) * sum(costs)
        for _ in range(layer.g):
            for k in range(0, layer.k, on.psum_words):
                last = lines * min(on.psum_words, layer.k - k)
                preload += lines * layer.c
                drain += last
    fill = max(stream + preload, drain) - stream + last
    if on.systolic:
        used = max(len(block) for block in blocks)
        fill += used + max(max(block) for block in blocks) - 2
    return stream, fill, busy


def round_half_up(value: float) -> int:
    return int(np.floor(value + 0.5))


@settings(max_examples=300, deadline=None)
@given(layers(), machines())
def test_equals_blocks_one_by_one(layer: Layer, on: Machine) -> None:
    work = OS.work(problem_of(layer, on), *whole(OS, layer, on), on)
    assert (int(work.stream[0]), int(work.fill[0]), int(work.busy[0])) == by_blocks(layer, on)


def test_hand_worked_convolution() -> None:
    on = machine(rows=16, cols=16, ports=16, psum_words=64)
    layer = Layer(
        name="a", op="conv2d", kind="mac", k=16, c=8, oy=28, ox=28, fy=3, fx=3, iy=28, ix=28, padding=(1, 1)
    )
    work = OS.work(problem_of(layer, on), *whole(OS, layer, on), on)
    assert work.stream == 4 * 16 * 8 * 9
    assert work.cycles == 4608 + 448 + 12 * 16


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
    problem, pixel, channel = tile_terms(OS, layer, on, data)
    work = OS.work(problem, pixel, channel, on)
    assert 0 < work.busy[0] <= on.pes * work.stream[0]
    assert work.fill[0] >= 0


@given(layers(), machines(skips_zeros=()))
def test_accesses_of_a_whole_layer(layer: Layer, on: Machine) -> None:
    problem = problem_of(layer, on)
    pixel, channel = whole(OS, layer, on)
    outputs = float(layer.n * layer.g * layer.k * layer.oy * layer.ox)
    used = OS.accesses(problem, [*pixel], [*channel], np.array([outputs]), on)
    assert used.register_psums == 2 * layer.macs
    assert used.buffer_psums_written == outputs
    assert used.buffer_psums_read == 0
    assert used.buffer_weights == pixel[0] * layer.g * layer.k * layer.c * layer.fy * layer.fx
    # Every pixel holds an input for each channel and chunk; a 1×1 filter moves none between PEs.
    chunks = -(-layer.k // on.psum_words)
    assert used.buffer_inputs >= layer.n * layer.oy * layer.ox * layer.g * layer.c * chunks
    assert (used.inter_pe_inputs == 0) == (layer.fy * layer.fx == 1)
