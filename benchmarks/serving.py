"""Moves of the sliders of ``squeezesim serve``: from what the page sends to what it is answered."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from benchmarks.block import Block, duration
from benchmarks.measure import ROOT, timed

NETWORK = "squeezenext_23"
ACCELERATORS = ("squeezelerator_16x16", "os_32x32")
COLUMNS = (
    *("accelerator", "sliders", "moves", "median", "95th percentile", "most"),
    *("computing, median", "95th percentile"),
)
HOW = """\
A move is a request to the server and its whole answer, over HTTP on the same machine, one after the other. Each slider
goes over all its positions while the others stand at the file's values, {moves} moves of them drawn at random where
there are more. *Computing* is CPU time of the process that answers. The first move of the blocks, which imports torch
and traces the deepest network, is a row of its own. Drawing in the browser comes on top.
"""


class Served(NamedTuple):
    """A server that runs."""

    port: int
    token: str
    pid: int

    def ask(self, what: str, asked: object = None) -> Any:
        """Return what the server answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        body = json.dumps({"tab": "benchmark", "asked": asked})
        connection.request("POST", f"/{what}", body, {"Authorization": f"Bearer {self.token}"})
        found = json.loads(connection.getresponse().read())
        connection.close()
        if "kind" in found:
            raise RuntimeError(found["says"])
        return found

    def computed(self) -> float:
        """Return the CPU seconds of the process that answers."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="utf-8") as file:  # noqa: PTH123
            children = file.read().split()
        return sum(map(_cpu_seconds, children))


def _cpu_seconds(pid: str) -> float:
    with open(f"/proc/{pid}/schedstat", encoding="utf-8") as file:  # noqa: PTH123
        return int(file.read().split()[0]) / 1e9


@contextmanager
def serving() -> Iterator[Served]:
    """Serve the page for the length of the block."""
    command = [sys.executable, "-m", "squeezesim", "serve", "--no-open"]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, text=True, env=_environment(folder)
        )
        assert process.stdout is not None
        found = re.search(r":(\d+)/#token=(\S+)", process.stdout.readline())
        assert found is not None
        try:
            yield Served(int(found[1]), found[2], process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def _environment(folder: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": folder}


def measure(moves: int = 200) -> list[Block]:
    """Measure *moves* of the accelerator's sliders on each of ``ACCELERATORS``, then of the blocks of the network."""
    cells = []
    with serving() as served:
        for accelerator in ACCELERATORS:
            cells += _rows(served, accelerator, moves)
    return [Block.of(f"Sliders of squeezesim serve, {NETWORK}", COLUMNS, cells, HOW.format(moves=moves))]


def _rows(served: Served, accelerator: str, moves: int) -> list[list[str]]:
    asked = {"network": NETWORK, "options": {}, "accelerator": accelerator, "changes": {}}
    controls = served.ask("describe", asked)["controls"]
    blocks = [each for each in controls if each["path"].startswith("depth.")]
    own = [each for each in controls if each["group"] != "Network"]
    served.ask("result", asked)
    rows = [_row(accelerator, "accelerator", _moved(served, asked, "changes", own, moves))]
    if accelerator == ACCELERATORS[0]:
        seconds, _ = timed(lambda: served.ask("result", {**asked, "options": {"depth.1": 2}}))
        rows.append([accelerator, "blocks, first", "1", *[duration(seconds)] * 3, "–", "–"])
    rows.append(_row(accelerator, "blocks", _moved(served, asked, "options", blocks, moves)))
    return rows


def _moved(
    served: Served, asked: Mapping[str, Any], which: str, controls: list[Any], moves: int
) -> list[tuple[float, float]]:
    """Seconds and CPU seconds of each move."""
    every = [(each["path"], value) for each in controls for value in each["values"] if value != each["value"]]
    found = []
    for path, value in random.Random(0).sample(every, min(moves, len(every))):
        before, start = served.computed(), time.perf_counter()
        served.ask("result", {**asked, which: {path: value}})
        found.append((time.perf_counter() - start, served.computed() - before))
    return found


def _row(accelerator: str, sliders: str, found: list[tuple[float, float]]) -> list[str]:
    seconds, computing = np.array(found).T
    measured = [np.median(seconds), np.percentile(seconds, 95), seconds.max()]
    measured += [np.median(computing), np.percentile(computing, 95)]
    return [accelerator, sliders, str(len(found)), *(duration(float(each)) for each in measured)]
