"""Windows over outputs in tiles: when each is finished, what is kept until then, and that it is enough."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import given_options
from squeezesim.cost.pipeline import Points, play
from squeezesim.cost.pooling import Windows, pooled_options
from squeezesim.cost.timeline import of_tiling
from squeezesim.cost.traffic import AXES, MODE_NUMBERS, MODES
from squeezesim.errors import ModelError
from squeezesim.network.layer import Layer, Pool
from squeezesim.reference.pipeline import Tiling
from tests.cost.cases import layers, machine, machines, machines_with_lanes, pools, problem_of
from tests.reference.cases import tiles


def covered(number: int, axis: tuple[int, ...]) -> set[int]:
    """Outputs of window *number*; the last has the end of the axis, too."""
    extent, count, size, stride, before = axis
    first = number * stride - before
    own = {place for place in range(first, first + size) if 0 <= place < extent}
    return own | {extent - 1} if number == count - 1 or not own else own


@given(st.integers(1, 12), st.data())
def test_windows_begin_and_finish_with_their_outputs(extent: int, data: st.DataObject) -> None:
    pool = data.draw(pools((extent, 1)).filter(bool))
    axis = (extent, pool[0], pool[2], pool[4], pool[6])
    windows = Windows(*(np.array(value) for value in axis))
    every = [covered(number, axis) for number in range(axis[1])]
    for end in range(1, extent + 1):
        done = {*range(end)}
        finished = sum(window <= done for window in every)
        assert windows.finished(np.array(end)) == finished
        assert windows.begun(np.array(end)) == sum(bool(window & done) for window in every)


@settings(max_examples=200)
@given(layers(largest=8), machines(), st.data())
def test_what_is_kept_is_enough_and_every_window_leaves_once(
    layer: Layer, machine: Machine, data: st.DataObject
) -> None:
    problem = problem_of(layer, machine)
    sizes = data.draw(tiles(problem))._asdict()
    space = given_options(problem, machine, np.array([[sizes[axis]] for axis in AXES]))
    if not problem.is_pooled:
        return
    option = pooled_options(problem, space.pixels).take(np.array([0]))
    axes = dict(zip("yx", _axes(problem), strict=True))
    every = [[covered(number, axes[axis]) for number in range(axes[axis][1])] for axis in "yx"]
    tiling = Tiling(problem, sizes, MODES[0], machine)
    done: set[tuple[int, int]] = set()
    most, left = 0, 0
    spans = [
        [range(at, min(at + sizes[axis], axes[axis][0])) for at in range(0, axes[axis][0], sizes[axis])]
        for axis in "yx"
    ]
    for number, (rows, columns) in enumerate(itertools.product(*spans)):
        done |= {*itertools.product(rows, columns)}
        pairs = [{*itertools.product(*pair)} for pair in itertools.product(*every)]
        begun, finished = sum(bool(pair & done) for pair in pairs), sum(pair <= done for pair in pairs)
        place = {axis: number // len(spans[1]) if axis == "y" else number % len(spans[1]) for axis in "yx"}
        place = dict.fromkeys("ngkc", 0) | place
        channels = tiling.tile(place)
        each = channels["n"] * channels["g"] * channels["k"]
        assert tiling.finished(place) == (finished - left) * each
        most, left = max(most, begun - finished), finished
    assert left == len(pairs) == axes["y"][1] * axes["x"][1]
    assert most * min(sizes["n"], layer.n) <= option.kept[0]


def _axes(problem: object) -> tuple[tuple[int, ...], tuple[int, ...]]:
    from squeezesim.cost.pooling import windows_of

    y, x = (tuple(int(column[0]) for column in axis) for axis in windows_of(problem))  # type: ignore[arg-type]
    return y, x


@settings(max_examples=100)
@given(layers(largest=12), machines_with_lanes(), st.data(), st.sampled_from(MODES))
def test_few_steps_stand_for_all(layer: Layer, machine: Machine, data: st.DataObject, mode: object) -> None:
    problem = problem_of(layer, machine)
    sizes = np.array([[data.draw(tiles(problem))._asdict()[axis]] for axis in AXES])
    points = Points(problem, np.array([MODE_NUMBERS[mode]]), sizes)  # type: ignore[index]
    flow = DATAFLOWS["ws"]
    assert of_tiling(points, flow, machine).cycles == play(points, flow, machine).cycles[0]


def test_hand_worked_layer() -> None:
    """1×1, 8 → 8 channels, 8 rows of 2, in tiles of 4 rows, pooled by 3×2 windows."""
    on = machine()
    layer = Layer(name="a", op="conv2d", kind="mac", k=8, c=8, oy=8, ox=2, iy=8, ix=2)
    pooled = Layer(**{**_fields(layer), "pool": Pool(4, 1, 3, 2, 2, 2, 0, 0)})
    sizes = {"n": 1, "y": 4, "x": 2, "g": 1, "k": 8, "c": 8}
    problem = problem_of(pooled, on)
    assert not problem.pointwise[0]
    points = Points(problem, np.array([0]), np.array([[sizes[axis]] for axis in AXES]))
    timing = play(points, DATAFLOWS["ws"], on)
    # Inputs 8 · 8 · 2 B = 32 cycles a tile, weights 32. Rows 0 to 3 finish 1 of 4 rows of windows, rows 4 to 7 three:
    # 3 · 8 · 2 B = 12 cycles are stored last, instead of 32. The array takes
    # 4 blocks of 8 pixels and the first preload.
    assert timing.cycles[0] == 11 + (32 + 32 + 12 + 3 * 7) + 36 + 36
    # 4 · 1 windows of 3 · 2 elements are 1.5 operations for each of 8 · 2 outputs, 96 in a tile.
    for lanes, cycles in (({"vector_lanes": 2}, 48), ({"vector_lanes": 2, "pool_lanes": 4}, 36)):
        slower = machine(post_ops=("pool",), **lanes)
        found = play(Points(problem_of(pooled, slower), points.mode, points.sizes), DATAFLOWS["ws"], slower)
        assert found.cycles[0] == timing.cycles[0] + 2 * (cycles - 36)
        assert found.stream[0] == timing.stream[0]
    tiling = Tiling(problem, sizes, MODES[0], on)
    assert tiling.kept() == 1 * 8 * 16  # a row of one window, of 8 channels
    assert tiling.footprint() == (2 * 64 + 64 + 2 * 64) * 16 + 8 * 16
    assert int((problem.g * problem.k * problem.pooled)[0]) == 32


def _fields(layer: Layer) -> dict[str, object]:
    return {name: getattr(layer, name) for name in layer.__slots__}


@pytest.mark.parametrize("pool", [(1, 2), (0, 1, 1, 1, 1, 1, 0, 0, 0), (1, 1, 1, 1, 1, 1, 0, 0, 2), "abc"])
def test_a_pool_is_checked(pool: object) -> None:
    with pytest.raises(ModelError, match="pool"):
        Layer(name="a", op="conv2d", kind="mac", pool=pool)  # type: ignore[arg-type]
