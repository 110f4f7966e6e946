"""Speed of the main job: `pytest benchmarks --benchmark-only`.

Times are printed by pytest-benchmark; what matters is kept in `extra_info`: tilings bounded a second, and the time as a
ratio to a fixed piece of NumPy work of the same run, which makes figures of different machines comparable.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import squeezesim as sq
from squeezesim.cost.bounds import Space
from squeezesim.cost.machine import Machine
from squeezesim.cost.tiling import ORDERS
from squeezesim.cost.workload import workload_of
from squeezesim.network.passes import fuse

NETWORKS = ("squeezenext_23", "squeezenet_1_0", "mobilenet_v1", "alexnet")


def yardstick() -> float:
    """Seconds for 200 multiplications of 100,000 float32, the median of five."""
    numbers = np.ones(100_000, np.float32)
    out = np.empty_like(numbers)

    def once() -> float:
        start = time.perf_counter()
        for _ in range(200):
            np.multiply(numbers, numbers, out=out)
        return time.perf_counter() - start

    return statistics.median(once() for _ in range(5))


def valid_tilings(network: sq.Network, hw: sq.Accelerator) -> int:
    """Distinct tilings that fit the buffer, for each dataflow, over the distinct shapes of the network."""
    machine = Machine.of(hw)
    work, _ = workload_of([layer for layer in fuse(network).layers if layer.kind == "mac"], machine)
    space = Space(work, machine)
    room = machine.buffer_bits - machine.weights_bits
    count = 0
    for row in range(len(work)):
        pixel, channel = np.nonzero(space.volumes(row).footprint <= room)
        pixels, channels = space.part(row)
        for order in range(len(ORDERS)):
            allowed = space.allowed(
                np.full(len(pixel), order), pixel + pixels.start, channel + channels.start
            )
            count += int(allowed.sum())
    return len(machine.dataflows) * count


def record(benchmark: BenchmarkFixture, run: Callable[[], Any]) -> None:
    unit = yardstick()
    benchmark.pedantic(run, rounds=15, iterations=1, warmup_rounds=2)
    benchmark.extra_info["ratio to the yardstick"] = round(benchmark.stats.stats.median / unit, 1)


@pytest.mark.parametrize("hardware", ["squeezelerator_16x16", "squeezelerator_8x8", "os_32x32"])
@pytest.mark.parametrize("name", NETWORKS)
def test_simulate(benchmark: BenchmarkFixture, name: str, hardware: str) -> None:
    network, hw = sq.load(name), sq.Accelerator.named(hardware)
    record(benchmark, lambda: sq.simulate(network, hw))
    tilings = valid_tilings(network, hw)
    benchmark.extra_info["tilings"] = tilings
    benchmark.extra_info["million tilings a second"] = round(tilings / benchmark.stats.stats.median / 1e6, 1)


def test_load_built_in(benchmark: BenchmarkFixture) -> None:
    record(benchmark, lambda: sq.load("squeezenext_23"))


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["profile", "squeezenext_23", "--hw", "os_32x32", "--format", "csv"]],
    ids=["help", "profile"],
)
def test_command(benchmark: BenchmarkFixture, arguments: list[str]) -> None:
    def run() -> None:
        subprocess.run([sys.executable, "-m", "squeezesim", *arguments], check=True, capture_output=True)

    def python() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import numpy"], check=True)
        return time.perf_counter() - start

    unit = statistics.median(python() for _ in range(5))
    benchmark.pedantic(run, rounds=7, iterations=1, warmup_rounds=1)
    benchmark.extra_info["ratio to python importing numpy"] = round(benchmark.stats.stats.median / unit, 1)
