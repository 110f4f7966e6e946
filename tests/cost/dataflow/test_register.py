"""A dataflow from outside: a declaration and a function."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from squeezesim.cost.dataflow import DATAFLOWS, Access, Dataflow, Tile, TileCost, register
from squeezesim.cost.dataflow.base import NO_BOUNDS, buffer_words, ceil_div
from squeezesim.cost.machine import Machine
from squeezesim.cost.pipeline import Points, play
from squeezesim.cost.problem import Workload, workload_of
from squeezesim.cost.traffic import AXES, MODES
from squeezesim.errors import HardwareError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.config import parameters
from squeezesim.hardware.dataflows import DECLARED, Declaration, SpatialMap
from squeezesim.network import Layer, Network
from squeezesim.simulate import simulate

LAYER = Layer.conv("a", c=4, k=6, oy=5, ox=5, fy=3, fx=3)


def line_cost(problem: Workload, tile: Tile, machine: Machine) -> TileCost:
    """One row of multipliers: its columns are output channels, everything else runs in time."""
    pixels, weights = tile.n * tile.y * tile.x, tile.g * tile.k * tile.c * problem.taps
    folds = tile.g * tile.c * problem.taps * ceil_div(tile.k, machine.cols)

    def accesses() -> dict[Access, object]:
        macs = pixels * weights * 1.0
        sums = pixels * tile.g * tile.k * 1.0
        return {
            Access("register_file", "weights"): macs,
            **buffer_words(inputs=pixels * folds * 1.0, weights=macs, psums=sums),
        }

    return TileCost(pixels * folds, np.full_like(pixels, machine.rows), pixels * weights, accesses)


@pytest.fixture
def line() -> Iterator[Dataflow]:
    yield register(Declaration("line", SpatialMap((), ("K",)), "weights"), line_cost)
    del DATAFLOWS["line"], DECLARED["line"]


@pytest.fixture
def hw(line: Dataflow) -> Accelerator:
    return Accelerator.named("os_32x32").replace(
        {"array.dataflows": [line.name], "array.rows": 1, "array.cols": 4, "memory.global_buffer.size_kib": 1}
    )


def test_an_accelerator_can_name_it(line: Dataflow) -> None:
    assert line.name in parameters()["array.dataflows"].choices
    with pytest.raises(HardwareError, match=r", line; did you mean 'line'\?"):
        Accelerator.named("os_32x32").replace({"array.dataflows": ["lime"]})


def test_a_name_is_given_once(line: Dataflow) -> None:
    with pytest.raises(ValueError, match="there is a dataflow 'line' already"):
        register(line.declared, line_cost)


def test_a_layer_takes_its_best_tiling(line: Dataflow, hw: Accelerator) -> None:
    assert line.bounds is NO_BOUNDS
    on = Machine.of(hw.replace({"mapper.latency_slack": 0}))
    problem, _ = workload_of([LAYER], on)
    axes = [range(1, int(getattr(problem, axis)[0]) + 1) for axis in AXES]
    sizes = np.array(list(itertools.product(*axes))).T
    every = []
    for mode in range(len(MODES)):
        points = Points(problem.take(np.zeros(sizes.shape[1], int)), np.full(sizes.shape[1], mode), sizes)
        every.append(play(points, line, on).cycles)
    footprint = tile_bits(sizes, on)
    fits = footprint <= on.buffer_bits
    made = simulate(Network.from_layers([LAYER]), hw.replace({"mapper.latency_slack": 0}))
    assert fits.any()
    assert not fits.all()
    assert made.costs.cycles[0, 0] == np.min(every, axis=0)[fits].min()


def tile_bits(sizes: np.ndarray, on: Machine) -> np.ndarray:
    """Bits of the tiles of ``LAYER``, with two slots for operands of which several tiles pass."""
    n, y, x, g, k, c = sizes
    # The largest window of a tile, cut at the borders of the input, which has a padding of 1.
    rows, columns = (largest_window(size) for size in (y, x))
    cut = {axis: size < whole for axis, size, whole in zip("yxkc", (y, x, k, c), (5, 5, 6, 4), strict=True)}
    pixels = cut["y"] | cut["x"]
    inputs = rows * columns * c * on.activation_bits * (1 + (pixels | cut["c"]))
    weights = k * c * 9 * on.weight_bits * (1 + (cut["k"] | cut["c"]))
    outputs = y * x * k * on.accumulator_bits * (1 + (pixels | cut["k"]))
    return np.asarray(n * g * (inputs + weights + outputs))


def largest_window(sizes: np.ndarray) -> np.ndarray:
    def window(size: int) -> int:
        starts = range(0, 5, size)
        return max(
            min(start + size + 1, 5) - max(start - 1, 0) if start + size <= 5 else 0 for start in starts
        )

    return np.array([window(int(size)) for size in sizes])


def test_its_costs_add_up(hw: Accelerator) -> None:
    layers = [
        LAYER,
        Layer.conv("b", c=6, k=6, oy=3, ox=3, fy=3, fx=3, groups=6, stride=2),
        Layer.conv("c", c=6, k=9, oy=3, ox=3, fy=1, fx=1, n=2),
        Layer.matmul("d", m=3, n=10, k=9),
    ]
    made = simulate(Network.from_layers(layers), hw)
    costs, macs = made.costs, [layer.macs for layer in layers]
    assert [row["dataflow"] for row in made.rows()] == ["line"] * 4
    assert costs.executed[0].tolist() == macs
    assert (4 * costs.cycles[0]).tolist() == (macs + costs.losses[0].sum(axis=1)).tolist()
    registers = costs.bits[0, :, costs.accesses.index("register_file")]
    assert registers.sum(axis=1).tolist() == [8 * each for each in macs]


@pytest.mark.parametrize("name", ["", "best", "a b", "a,b", "1d", "<b>", "ä"])
def test_a_name_fits_files_and_options(name: str) -> None:
    with pytest.raises(ValueError, match=r"^name is .*; allowed: letters, digits and _"):
        Declaration(name, SpatialMap((), ("K",)), "weights")


def test_loops_are_those_of_a_layer() -> None:
    with pytest.raises(ValueError, match=r"^spatial has the loop 'Q'; allowed: G, K, C, N, Y, X, FY, FX, P$"):
        Declaration("line", SpatialMap(("C", "Q"), ("K",)), "weights")
