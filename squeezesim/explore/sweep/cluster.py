"""Cluster: the chunks of a sweep on the workers of a Dask.distributed scheduler.

The scheduler and its workers run what whoever reaches them sends: they belong in a network of people who trust each
other, or behind TLS (``tls://``).
"""

from __future__ import annotations

import logging
import pickle
import platform
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

from squeezesim._version import __version__
from squeezesim.errors import ClusterError, UsageError, pip_install
from squeezesim.explore.sweep.plan import Plan
from squeezesim.explore.sweep.run import Costed
from squeezesim.explore.sweep.store import encode

_ADDRESS = re.compile(r"(tcp|tls)://\S+:\d+")
_REACH, _WAIT, _LEAVE = (
    10,
    60,
    5,
)  # seconds: for the scheduler to answer, for a worker where there is none, to take leave
_RETRIES = 3


def cluster(plan: Plan, address: str) -> Callable[[list[int]], Costed]:
    """Return what costs chunks of *plan* on the workers of the scheduler at *address*, as in ``tcp://host:8786``.

    The workers need this version of squeezesim and no files. A chunk whose worker dies goes to another one.

    Raises:
        UsageError: Dask is not installed, there is no scheduler, it has no workers, or they have another squeezesim.
    """
    if not _ADDRESS.fullmatch(address):
        raise UsageError(f"--cluster {address!r} is no address; allowed: as tcp://host:8786")

    def cost(numbers: list[int]) -> Costed:
        if not numbers:
            return
        try:
            from distributed import Client
        except ImportError as error:
            raise UsageError(f"--cluster needs Dask: {pip_install('distributed')}") from error
        try:
            _greeted(address)
            client = Client(address, timeout=_REACH, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--cluster {address!r}: no scheduler of Dask there; allowed: as tcp://host:8786"
            ) from error
        with _reported(client, address):
            _await_workers(client, address)
            _check(client, address)
            yield from _results(client, plan, numbers, address)

    return cost


@contextmanager
def _reported(client: Any, address: str) -> Iterator[None]:
    """The scheduler's death in the block is a line, whatever Dask's threads and logs make of it."""
    from distributed import CancelledError

    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # each of Dask's loggers has a level of its own
    try:
        yield
    except (CancelledError, OSError) as error:
        raise ClusterError(f"--cluster {address!r}: the scheduler is gone") from error
    finally:
        with suppress(Exception):  # of a scheduler that is gone there is nothing to take leave of
            client.close(timeout=_LEAVE)
        logging.disable(before)


def _greeted(address: str) -> None:
    """Check that a scheduler speaks first, as Dask's does: its client waits without end for a web server's word."""
    parts = urlsplit(address)
    with create_connection((parts.hostname or "", parts.port or 0), timeout=_REACH) as connection:
        if parts.scheme == "tcp" and not connection.recv(1):
            raise OSError("no greeting")


def _results(client: Any, plan: Plan, numbers: list[int], address: str) -> Costed:
    from distributed import wait

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        # A task of its own, not data: Dask makes it again where the worker that had it dies.
        shared = client.submit(_received, pickle.dumps(plan), __version__, pure=False)
        left = set(client.map(_chunk, numbers, plan=shared, retries=_RETRIES, pure=False))
    while left:
        try:
            with client.as_current():
                done = wait(left, timeout=_WAIT, return_when="FIRST_COMPLETED").done
        except TimeoutError:  # a chunk may take longer than that, but not without a worker
            _await_workers(client, address)
            continue
        for future in done:
            try:
                yield future.result()
            except ImportError as error:
                raise UsageError(f"--cluster {address!r}: on a worker: {error}; {_ALLOWED}") from error
        left -= done


_ALLOWED = f"allowed: squeezesim {__version__} with its dependencies on every worker"


def _await_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_WAIT)
    except TimeoutError as error:
        raise UsageError(
            f"--cluster {address!r}: the scheduler has had no worker for {_WAIT} s; allowed: one or more, as "
            f"dask worker {address}"
        ) from error


def _check(client: Any, address: str) -> None:
    """Refuse workers on which this version is not installed, or under another Python."""
    python = platform.python_version_tuple()[:2]
    for worker, found in client.run(version, "squeezesim", on_error="return").items():
        if found != __version__:
            there = f"squeezesim {found}" if isinstance(found, str) else "no squeezesim"
            raise UsageError(f"--cluster {address!r}: worker {worker} has {there}; {_ALLOWED}")
    for worker, found in client.run(platform.python_version_tuple, on_error="return").items():
        if tuple(found[:2]) != python:
            raise UsageError(
                f"--cluster {address!r}: worker {worker} runs Python {'.'.join(found)}; allowed: {'.'.join(python)}"
            )


def _received(plan: bytes, sent_by: str) -> Plan:
    """The plan, on a worker, which may have come after the others were asked for their version."""
    if sent_by != __version__:
        raise ImportError(f"squeezesim {__version__}")
    found: Plan = pickle.loads(plan)
    return found


def _chunk(number: int, plan: Plan) -> tuple[int, bytes]:
    return number, encode(plan.table(number))
