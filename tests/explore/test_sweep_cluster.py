from __future__ import annotations

import platform
import socket
from typing import Any

import pytest

from squeezesim import __version__
from squeezesim.cost.evaluate import ignore
from squeezesim.errors import UsageError
from squeezesim.explore.sweep import execute
from tests.explore.test_sweep import small

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
        execute._check(Workers(package, python), "tcp://host:8786")
    execute._check(Workers(__version__, PYTHON), "tcp://host:8786")


def test_a_worker_that_came_later_with_something_else() -> None:
    with pytest.raises(ImportError, match=f"squeezesim {__version__}"):
        execute._received(b"", "9.9.9")


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
