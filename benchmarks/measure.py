"""Measuring: times of repeated work, peaks of memory, commands as processes, and how numbers grow."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.block import duration

ROOT = Path(__file__).parents[1]


class Times(NamedTuple):
    """Seconds of repeated work."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        """Return the median and the range of *seconds*."""
        return cls(statistics.median(seconds), min(seconds), max(seconds))

    def __str__(self) -> str:
        return duration(self.median)

    @property
    def range(self) -> str:
        """From the least to the most."""
        return f"{duration(self.least)} – {duration(self.most)}"


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of the job, and its result."""
    start = time.perf_counter()
    result = job()
    return time.perf_counter() - start, result


def repeated(job: Callable[[], Any], seconds: float = 1.0, least: int = 5) -> Times:
    """Return the times of the job, done for about *seconds* and at least *least* times, after once to warm up."""
    job()
    found: list[float] = []
    while len(found) < least or sum(found) < seconds:
        found.append(timed(job)[0])
    return Times.of(found)


def peak_mib(job: Callable[[], Any]) -> float:
    """Return the most memory, in MiB, that Python and NumPy hold for the job beyond what they held before."""
    tracemalloc.start()
    try:
        job()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return p of the least-squares fit value = a · size^p, on logarithms.

    Example:
        >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
        2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def yardstick() -> float:
    """Return the seconds of 200 multiplications of 100,000 float32, the median of some."""
    numbers = np.ones(100_000, np.float32)
    out = np.empty_like(numbers)

    def multiply() -> None:
        for _ in range(200):
            np.multiply(numbers, numbers, out=out)

    return repeated(multiply).median


class Run(NamedTuple):
    """A command that has ended."""

    seconds: float
    mib: float


def command(arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Run:
    """Run Python with *arguments* in *folder*, whose ``cache`` holds traced networks.

    Memory is the maximum resident set of the largest process, of ``getrusage``.

    Raises:
        CalledProcessError: the command fails.
    """
    child = [sys.executable, "-I", str(Path(__file__).with_name("child.py"))]
    own = {"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*child, sys.executable, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        cwd=folder,
        env=os.environ | own | dict(environment or {}),
    )
    return Run(**json.loads(done.stdout))
