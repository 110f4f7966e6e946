from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from squeezesim import __version__
from squeezesim.cost.evaluate import ignore
from squeezesim.errors import UsageError
from squeezesim.explore.sweep import execute
from squeezesim.explore.sweep.execute import check_known
from squeezesim.hardware.dataflows import names
from tests.explore.sweep.test_sweep import small

PYTHON = platform.python_version_tuple()


@pytest.mark.parametrize(
    "address", ["host", "host:8786", "http://host:8786", "tcp://host", "tcp://host:8786/x y"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="is no address; allowed: as tcp://host:8786"):
        execute.cluster(small(), address)


@pytest.mark.parametrize("speaks", [True, False])
def test_what_is_no_scheduler(speaks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing, as one of web pages, and an address at which there is none."""
    pytest.importorskip("distributed", exc_type=ImportError)
    monkeypatch.setattr(execute, "_REACH", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        if not speaks:
            server.close()
        with pytest.raises(UsageError, match="no scheduler of Dask there; allowed: as tcp://host:8786"):
            list(execute.cluster(small(), address)([0], ignore))


class Workers:
    """A client of two workers, of which the second has *versions*."""

    def __init__(self, package: Any, python: tuple[str, ...]) -> None:
        self.answers = {"version": (__version__, package), "python_version_tuple": (PYTHON, python)}

    def run(self, function: Any, *_: str, on_error: str) -> dict[str, Any]:
        assert on_error == "return"
        return dict(zip(("tcp://a:1", "tcp://b:2"), self.answers[function.__name__], strict=True))


@pytest.mark.parametrize(
    ("package", "python", "message"),
    [
        ("9.9.9", PYTHON, f"worker tcp://b:2 has squeezesim 9.9.9; allowed: squeezesim {__version__} with"),
        (ImportError("none"), PYTHON, "worker tcp://b:2 has no squeezesim; allowed: squeezesim "),
        (__version__, ("3", "7", "1"), "worker tcp://b:2 runs Python 3.7.1; allowed: "),
    ],
)
def test_workers_with_something_else(package: Any, python: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace(".", r"\.")):
        execute._check_workers(Workers(package, python), "tcp://host:8786")
    execute._check_workers(Workers(__version__, PYTHON), "tcp://host:8786")


def test_a_worker_that_came_later_with_something_else() -> None:
    with pytest.raises(ImportError, match=f"squeezesim {__version__}"):
        execute._receive_plan(b"", "9.9.9")


@pytest.mark.slow
def test_a_scheduler_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", exc_type=ImportError)
    monkeypatch.setattr(execute, "_WAIT", 1)
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, host="127.0.0.1", protocol="tcp", dashboard_address=None
        ) as local,
        pytest.raises(
            UsageError, match="the scheduler has had no worker for 1 s; allowed: one or more, as dask"
        ),
    ):
        list(execute.cluster(small(), local.scheduler_address)([0], ignore))


@pytest.mark.slow
def test_a_scheduler_that_dies(tmp_path: Path) -> None:
    """One line says so, and what is done is kept."""
    pytest.importorskip("distributed", exc_type=ImportError)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"

    def start(*words: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        out = subprocess.PIPE if words[0] == "squeezesim" else subprocess.DEVNULL
        return subprocess.Popen(
            [sys.executable, "-m", *words], cwd=tmp_path, env=environment, stdout=out, stderr=out, text=True
        )

    scheduler = start(
        "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"
    )
    worker = start("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
    processes, end = [scheduler, worker], time.monotonic() + 120
    try:
        while True:
            assert time.monotonic() < end
            try:
                socket.create_connection(("127.0.0.1", int(port)), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        values = ["--set", "array.rows=8:64:1", "--set", "memory.dram.bandwidth_gb_s=4:20:1"]
        words = ["squeezenext_23", "--hw", "squeezelerator_16x16", *values, "--cluster", address, "-o", "a"]
        client = start("squeezesim", "sweep", *words)
        processes.append(client)
        while not list((tmp_path / "a").glob("part-*")):
            assert client.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        scheduler.kill()
        _, said = client.communicate(timeout=100)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert client.returncode == 2
    assert said.startswith(f"error: --cluster {address!r}: the scheduler is gone; ")
    assert "of 969 rows are in a; the same command goes on from there" in said
    assert said.count("\n") == 1


def test_processes_know_the_dataflows_of_the_one_that_started_them() -> None:
    check_known(names())
    with pytest.raises(UsageError, match="do not know the dataflow 'line'"):
        check_known((*names(), "line"))
