"""Designs a second: `pytest benchmarks/test_sweep.py --benchmark-only`.

What matters is kept in `extra_info`: designs a second, milliseconds of processor time for a design, peak memory of
what Python and NumPy allocate, and how time grows with the number of designs, as a fitted exponent: 1 is in
proportion, less where designs share what they have in common.
"""

from __future__ import annotations

import time
import tracemalloc
from functools import cache

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import squeezesim as sq
from squeezesim.explore.sweep.api import plan
from squeezesim.explore.sweep.plan import CHUNK, Plan

ARRAYS = {"array.rows": "8:64:x2", "array.cols": "8:64:x2"}
RATES = {
    "memory.global_buffer.size_kib": "16:1024:x2",
    "memory.dram.bandwidth_gb_s": "4,8,12,16,24,32,40,48,64",
    "clock_mhz": "200,250,300,400,500,600,700,800,900,1000",
}
"""With the arrays, 10,080 designs."""
ANY = {
    "array.rows": "8:64",
    "array.cols": "8:64",
    "memory.global_buffer.size_kib": "16:1024:log",
    "memory.dram.bandwidth_gb_s": "4:64:log",
    "clock_mhz": "200:1000",
}


@cache
def network() -> sq.Network:
    return sq.load("squeezenext_23")


def planned(name: str, count: int, chunk: int) -> Plan:
    hw = sq.Accelerator.named("squeezelerator_16x16")
    if name == "grid":
        return plan([network()], hw, ARRAYS | RATES, chunk=chunk)
    values = ANY if name == "every array another" else RATES | {"array.rows": "16"}
    return plan([network()], hw, values, samples=count, chunk=chunk)


def seconds(of: Plan, chunks: range) -> float:
    start = time.process_time()
    for number in chunks:
        of.table(number)
    return time.process_time() - start


@pytest.mark.parametrize("name", ["grid", "one array", "every array another"])
def test_designs_a_second(benchmark: BenchmarkFixture, name: str) -> None:
    """A chunk in one process; the grid has 10,080 designs, of which two chunks in the middle are costed."""
    count = 100 if name == "every array another" else CHUNK
    of = planned(name, count, count)
    first = of.chunks // 2
    chunks = range(first, min(first + 2, of.chunks))
    of.table(first)
    spent: list[float] = []
    benchmark.pedantic(lambda: spent.append(seconds(of, chunks)), rounds=3, iterations=1)
    designs = sum(of.size(number) for number in chunks)
    benchmark.extra_info["designs a second"] = round(designs / min(spent))
    benchmark.extra_info["ms of processor time a design"] = round(1e3 * min(spent) / designs, 2)


def test_memory_of_a_chunk(benchmark: BenchmarkFixture) -> None:
    of = planned("grid", 0, CHUNK)
    of.table(0)

    def peak() -> float:
        tracemalloc.start()
        of.table(3)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most / 2**20

    benchmark.extra_info["peak MiB"] = round(benchmark.pedantic(peak, rounds=1, iterations=1))


def test_growth_with_designs(benchmark: BenchmarkFixture) -> None:
    """Of one array, so that more designs share more."""
    counts = (8, 32, 128, 512)
    plans = [planned("one array", count, count) for count in counts]
    plans[0].table(0)

    def grow() -> list[float]:
        return [min(seconds(of, range(1)) for _ in range(2)) for of in plans]

    times = benchmark.pedantic(grow, rounds=1, iterations=1)
    exponent = np.polyfit(np.log(counts), np.log(times), 1)[0]
    benchmark.extra_info["exponent in designs"] = round(float(exponent), 2)
    benchmark.extra_info["ms by designs"] = {
        count: round(1e3 * spent) for count, spent in zip(counts, times, strict=True)
    }
