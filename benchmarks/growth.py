"""How time and memory grow with layers, tilings, allocations and designs: exponents, and what they are fitted from."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import cycle, product
from typing import Any, NamedTuple

import squeezesim as sq
from benchmarks.block import Block, duration
from benchmarks.exploring import GRID, HARDWARE
from benchmarks.measure import exponent, peak_mib, repeated
from benchmarks.simulating import tilings
from squeezesim.explore.allocate.candidates import Candidates
from squeezesim.explore.allocate.study import study
from squeezesim.explore.sweep.sweep import plan

ONE_ARRAY = GRID | {"array.rows": "16", "array.cols": "16"}
ANY_ARRAY = {
    "array.rows": "8:64",
    "array.cols": "8:64",
    "memory.global_buffer.size_kib": "16:1024:log",
    "memory.dram.bandwidth_gb_s": "4:64:log",
    "clock_mhz": "200:1000",
}
SHAPES = random.Random(1).sample(list(product(range(64, 192, 8), repeat=2)), 256)
"""Input and output channels of layers that differ and are of about one size, in no order."""
SIDES = (8, 16, 32, 64, 128, 256)
"""Channels, rows and columns of a layer of ever more tilings."""
FITTED = ("growth with", "n from", "to", "p of time", "p of memory")
POINTS = ("growth with", "n", "time", "for each", "peak memory")
HOW = """\
Time and memory ∝ nᵖ. p is fitted to the points below by least squares on logarithms: 1 is in proportion, and less
is where what is added shares work with what is there.

- *layers, all different*: `sq.simulate` of n 3×3 convolutions of 28×28 pixels and 64 to 184 channels, on
  `os_32x32`.
- *layers, 8 shapes*: the same where the first 8 of them repeat.
- *tilings of a layer*: `sq.simulate` of one 3×3 convolution of ever more channels and pixels; n tilings fit the
  buffer.
- *allocations*: all columns of n allocations of `squeezenext_23_v5`, layers costed before.
- *designs of one array*: n designs drawn from those of 16×16 PEs in the grid, `squeezenext_23`, in one chunk.
- *designs, each another array*: the same where rows, columns and all else are drawn.
"""
HOW_POINTS = """\
Times are medians of at least 3 runs in a second or more, memory is the most that Python and NumPy hold at once for
the work (`tracemalloc`), without what they held before.
"""


class Series(NamedTuple):
    """Work of several sizes."""

    label: str
    jobs: Mapping[int, Callable[[], Any]]


class Point(NamedTuple):
    """What work of a size takes."""

    size: int
    seconds: float
    mib: float


def measure() -> list[Block]:
    """Measure every series."""
    series = (layers(different=True), layers(different=False), layer(), allocations(), *designs())
    return blocks({each.label: points(each) for each in series})


def points(series: Series) -> list[Point]:
    """Measure the work of each size."""
    return [
        Point(size, repeated(job, least=3).median, peak_mib(job)) for size, job in sorted(series.jobs.items())
    ]


def blocks(found: dict[str, list[Point]]) -> list[Block]:
    """Return the fitted exponents, and the points."""
    fitted, listed = [], []
    for label, each in found.items():
        sizes, seconds, memory = zip(*each, strict=True)
        powers = [f"{exponent(sizes, values):.2f}" for values in (seconds, memory)]
        fitted.append([label, f"{sizes[0]:,}", f"{sizes[-1]:,}", *powers])
        for point in each:
            one = duration(point.seconds / point.size)
            listed.append([label, f"{point.size:,}", duration(point.seconds), one, f"{point.mib:.2f} MiB"])
    return [
        Block.of("Growth", FITTED, fitted, HOW),
        Block.of("What growth is fitted from", POINTS, listed, HOW_POINTS),
    ]


def layers(*, different: bool) -> Series:
    """Networks of ever more layers, all of another shape or of 8."""
    accelerator = sq.Accelerator.named("os_32x32")

    def job(count: int) -> Callable[[], Any]:
        shapes = SHAPES[: count if different else 8]
        network = sq.Network.from_layers(
            [
                sq.Layer.conv(f"layer{index}", c=c, k=k, oy=28, ox=28, fy=3, fx=3)
                for index, (c, k) in zip(range(count), cycle(shapes), strict=False)
            ]
        )
        return lambda: sq.simulate(network, accelerator)

    label = "layers, all different" if different else "layers, 8 shapes"
    return Series(label, {count: job(count) for count in (8, 16, 32, 64, 128, 256)})


def layer(sides: Sequence[int] = SIDES) -> Series:
    """One layer of ever more tilings."""
    accelerator = sq.Accelerator.named("os_32x32")
    layers = [sq.Layer.conv("layer", c=n, k=n, oy=n, ox=n, fy=3, fx=3) for n in sides]
    networks = [sq.Network.from_layers([each]) for each in layers]
    return Series(
        "tilings of a layer",
        {tilings(each, accelerator): partial(sq.simulate, each, accelerator) for each in networks},
    )


def allocations() -> Series:
    """Ever more allocations of costed layers."""
    accelerator = sq.Accelerator.named(HARDWARE)
    done = study("squeezenext_23_v5", [accelerator], stages=[(1, 18)] * 4)
    sums, depths = done.results[0].sums, done.space.depths()

    def job(count: int) -> Callable[[], Any]:
        return lambda: Candidates.of(accelerator, done.bases, sums, depths[:count])

    return Series("allocations", {count: job(count) for count in (100, 1_000, 10_000, 100_000)})


def designs() -> Sequence[Series]:
    """Ever more designs that share their array, and ever more that do not."""
    network, accelerator = sq.load("squeezenext_23"), sq.Accelerator.named(HARDWARE)

    def job(values: dict[str, str], count: int) -> Callable[[], Any]:
        planned = plan([network], accelerator, values, samples=count, chunk=count)
        return lambda: planned.table(0)

    shared = {count: job(ONE_ARRAY, count) for count in (8, 32, 128, 512)}
    apart = {count: job(ANY_ARRAY, count) for count in (4, 8, 16, 32)}
    return Series("designs of one array", shared), Series("designs, each another array", apart)
