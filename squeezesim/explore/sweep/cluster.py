"""Cluster: the chunks of a sweep on the workers of a Dask.distributed scheduler."""

from __future__ import annotations

import pickle
from collections.abc import Callable

from squeezesim.errors import UsageError
from squeezesim.explore.sweep.plan import Plan
from squeezesim.explore.sweep.run import Costed
from squeezesim.explore.sweep.store import encode

_SECONDS = 20  # to reach the scheduler
_RETRIES = 3


def cluster(plan: Plan, address: str) -> Callable[[list[int]], Costed]:
    """Return what costs chunks of *plan* on the workers of the scheduler at *address*, as in ``tcp://host:8786``.

    The workers need this version of squeezesim and no files. A chunk whose worker dies goes to another one.

    Raises:
        UsageError: Dask is not installed, or there is no scheduler.
    """

    def cost(numbers: list[int]) -> Costed:
        if not numbers:
            return
        try:
            from distributed import Client, as_completed
        except ImportError as error:
            raise UsageError("--cluster needs Dask: pip install 'squeezesim[cluster]'") from error
        try:
            client = Client(address, timeout=_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--cluster {address!r}: no scheduler of Dask there; allowed: as tcp://host:8786"
            ) from error
        with client:
            # A task of its own, not data: Dask makes it again where the worker that had it dies.
            shared = client.submit(pickle.loads, pickle.dumps(plan), pure=False)
            futures = client.map(_chunk, numbers, plan=shared, retries=_RETRIES, pure=False)
            for future, result in as_completed(futures, loop=client.loop, with_results=True):
                yield result
                future.release()

    return cost


def _chunk(number: int, plan: Plan) -> tuple[int, bytes]:
    return number, encode(plan.table(number))
