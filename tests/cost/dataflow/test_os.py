from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.dataflow import DATAFLOWS, Tile, os
from squeezesim.cost.dataflow.base import slice_cycles
from squeezesim.cost.dataflow.os_blocks import Used
from squeezesim.cost.dataflow.os_use import take
from squeezesim.cost.machine import Machine, Unit
from squeezesim.cost.problem import Workload
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, machine, machines, macs_at_most, problem_of
from tests.cost.dataflow.arrays import Words, drawn_tile, untiled, whole
from tests.draws import among
from tests.reference.cases import at_least

OS = DATAFLOWS["os"]


def test_hand_worked_convolution() -> None:
    on = machine(rows=16, cols=16, ports=16, psum_words=64)
    layer = Layer(
        name="a", op="conv2d", kind="mac", k=16, c=8, oy=28, ox=28, fy=3, fx=3, iy=28, ix=28, padding=(1, 1)
    )
    work = whole(OS, layer, replace(on, whole_blocks=True))
    assert work.stream == 4 * 16 * 8 * 9
    # Windows of 18×18, 18×14, 14×18 and 14×14 words through 16 ports; the last block drains 12 rows for 16 channels.
    assert work.cycles == 4608 + (21 + 16 + 16 + 13) * 8 + 12 * 16
    # Columns of 14: twice 18×16 and 14×16 words.
    assert whole(OS, layer, on).cycles == 4608 + (18 + 18 + 14 + 14) * 8 + 12 * 16
    # They are as many blocks, which move as many words.
    for frugal in (replace(on, objective="energy"), replace(on, buffer_bits_per_cycle=1e9)):
        assert whole(OS, layer, frugal).cycles == whole(OS, layer, on).cycles


def test_hand_worked_drain_that_is_waited_for() -> None:
    on = machine(rows=16, cols=16, ports=16, psum_words=8)
    layer = Layer(name="a", op="conv2d", kind="mac", k=16, c=1, oy=16, ox=16, iy=16, ix=16)
    work = whole(OS, layer, replace(on, whole_blocks=True))
    # Two chunks of 8 channels: 16 + 8 cycles of work each, 8 · 16 of drain; the second waits 128 − 24 for the first.
    assert work.stream == 16
    assert work.cycles == 24 + 128 + 128
    # Two lines of 16 and two channels at a time: all drains follow 2 + 2 cycles of work.
    assert whole(OS, layer, on).cycles == 4 + 256
    # As many blocks and chunks as of the whole array: eight lines of two do not drain faster.
    assert whole(OS, layer, replace(on, objective="energy")).cycles == work.cycles


@pytest.mark.parametrize("systolic", [False, True])
def test_a_unit_beside_it_does_not_change_the_array(systolic: bool) -> None:
    """A tile of more pixels than the array has PEs, beside a unit that has them."""
    on = machine(rows=1, cols=2, ports=4, psum_words=1, systolic=systolic)
    layer = Layer.matmul("a", m=8, k=3, n=2)
    beside = replace(on, units=(Unit("unit", (("p", 24),)),))
    assert beside.pes == 24
    assert whole(OS, layer, beside).cycles == whole(OS, layer, on).cycles


@st.composite
def small_tiles(draw: st.DrawFn) -> tuple[Machine, Workload, Tile]:
    """A tile of few input channels, so that drains matter, on a small array."""
    taps = draw(among((1, 1), (1, 1), (1, 3), (3, 1), (2, 2), (3, 3)))
    oy, ox, groups = draw(st.integers(1, 9)), draw(st.integers(1, 12)), draw(among(1, 1, 2))
    layer = Layer.conv(
        "a",
        n=draw(st.integers(1, 2)),
        groups=groups,
        c=groups * draw(among(1, 1, 2, 3, 16)),
        k=groups * draw(st.integers(1, 12)),
        oy=oy,
        ox=ox,
        fy=taps[0],
        fx=taps[1],
        stride=draw(st.integers(1, 2)),
    )
    on = machine(
        rows=draw(st.integers(1, 6)),
        cols=draw(st.integers(1, 6)),
        ports=draw(st.integers(1, 8)),
        psum_words=draw(st.integers(1, 8)),
        systolic=draw(st.booleans()),
        objective=draw(among("latency", "latency", "energy")),
        weight_density=draw(among(1.0, 0.6, 0.1)),
        skips_zeros=draw(among((), ("os",))),
        paces=draw(among((), (), (((16, 16), (2, 1)),), (((16, 16), (1, 2)),))),
    )
    problem = problem_of(layer, on)
    return on, problem, untiled(problem)


def cost_of_every_use(on: Machine, problem: Workload, tile: Tile) -> list[tuple[int, int]]:
    """Words and cycles with all rows and columns, or pixels and lines, and chunks that there are."""
    y, x, k = int(tile.y[0]), int(tile.x[0]), int(tile.k[0])
    if problem.pointwise[0]:
        blocks = [
            (-(-pixels // cols), cols, pixels)
            for pixels in range(1, min(x, on.pes) + 1)
            for cols in range(-(-pixels // on.rows), min(pixels, on.cols) + 1)
        ]
    else:
        sizes = itertools.product(range(1, min(y, on.rows) + 1), range(1, min(x, on.cols) + 1))
        blocks = [(rows, cols, rows * cols) for rows, cols in sizes]
    chunks = range(1, min(k, on.psum_words) + 1)
    uses = [(*block, words) for block, words in itertools.product(blocks, chunks)]
    every = np.zeros(len(uses), np.int64)
    use = Used(*np.array(uses).T)
    cycles, words = os.cost_of_use(problem.take(every), take(tile, every), use, on)
    return list(zip(words.tolist(), cycles.tolist(), strict=True))


def check_uses(count: int) -> None:
    better = 0

    @settings(max_examples=count, deadline=None)
    @given(small_tiles())
    def check(case: tuple[Machine, Workload, Tile]) -> None:
        nonlocal better
        on, problem, tile = case
        found = int(OS.tile_cost(problem, tile, on).cycles[0])
        words, least = min(
            (words * (on.objective == "energy"), cycles)
            for words, cycles in cost_of_every_use(on, problem, tile)
        )
        assert found == least
        if words:
            moved = Words(OS.tile_cost(problem, tile, on))
            assert moved("buffer", "inputs", "read") + moved("buffer", "weights", "read") == words
        in_whole = OS.tile_cost(problem, tile, replace(on, whole_blocks=True)).cycles[0]
        better += found < in_whole
        assert found <= in_whole
        pixel = OS.bounds.pixel_terms(problem, tile.n, tile.y, tile.x, on)
        channel = OS.bounds.channel_terms(problem, tile.g, tile.k, tile.c, on)
        for alternative in OS.bounds.cycles(pixel, channel):
            assert sum(float((a * b)[0]) for a, b in alternative) <= least * (1 + 1e-9)
        assert OS.bounds.tile is not None
        assert OS.bounds.tile(problem, tile, on)[0] <= least * (1 + 1e-9)

    check()
    assert better > count / 10


def test_no_other_use_is_faster_nor_below_the_bounds() -> None:
    check_uses(at_least(100))


@pytest.mark.slow
def test_no_other_use_is_faster_nor_below_the_bounds_of_3000_tiles(drawn: Callable[[int], int]) -> None:
    check_uses(drawn(at_least(3000)))


def check_larger(count: int) -> None:
    @settings(max_examples=count, deadline=None)
    @given(
        layers(largest=20),
        machines(buffer_bits_per_cycle=float("inf")),
        st.sampled_from(["rows", "cols", "ports", "psum_words"]),
        st.sampled_from([1, 2, 5, 20]),
        st.data(),
    )
    def check(layer: Layer, on: Machine, axis: str, more: int, data: st.DataObject) -> None:
        problem = problem_of(layer, on)
        tile = drawn_tile(problem, data)
        larger = replace(on, **{axis: getattr(on, axis) + more})
        assert OS.tile_cost(problem, tile, larger).cycles[0] <= OS.tile_cost(problem, tile, on).cycles[0]

    check()


def test_a_better_array_is_never_slower() -> None:
    check_larger(at_least(100))


@pytest.mark.slow
def test_a_better_array_is_never_slower_on_3000_tiles(drawn: Callable[[int], int]) -> None:
    check_larger(drawn(at_least(3000)))


@settings(max_examples=30, deadline=None)
@given(st.lists(small_tiles(), min_size=2, max_size=6))
def test_tiles_cost_what_each_does_alone(cases: list[tuple[Machine, Workload, Tile]]) -> None:
    (on, problem, tile), *_ = cases
    sizes = [
        Tile(*(np.minimum(*sides) for sides in zip(tile.sizes, other.sizes, strict=True)))
        for _, _, other in cases
    ]
    together = OS.tile_cost(
        problem.take(np.zeros(len(sizes), np.int64)),
        Tile(*(np.concatenate(axis) for axis in zip(*(size.sizes for size in sizes), strict=True))),
        on,
    )
    alone = [OS.tile_cost(problem, size, on) for size in sizes]
    assert together.cycles.tolist() == [int(each.cycles[0]) for each in alone]
    assert together.busy.tolist() == [int(each.busy[0]) for each in alone]
    for access, words in together.accesses().items():
        assert words.tolist() == [float(each.accesses()[access][0]) for each in alone]


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


@given(layers(), machines(skips_zeros=(), whole_blocks=True))
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
