"""Execution of a sweep: chunks in this process, in several or on a cluster, kept in a folder.

The scheduler and its workers run what whoever reaches them sends: they belong in a network of people who trust each
other, or behind TLS (``tls://``).

A file holds a digest of itself, taken where the digest's own place holds zeros, so that each bit of it is checked.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import pickle
import platform
import re
import signal
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, MutableSequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from queue import Empty, SimpleQueue
from socket import create_connection
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from squeezesim._version import __version__
from squeezesim.cost.evaluate import Advance
from squeezesim.errors import ClusterError, OutputError, UsageError, pip_install
from squeezesim.explore.sweep.plan import KEY, Plan, Planned
from squeezesim.files import atomic_write, check_place, read_bytes, temporary_folder
from squeezesim.hardware.dataflows import names

if TYPE_CHECKING:
    import pyarrow as pa

MAX_BYTES = 2**30
"""Largest part that is read."""

_PART = re.compile(r"part-(\d+)\.parquet")
_DIGEST = "squeezesim.digest"
_PLACE = _DIGEST.encode() + b"\x18@"  # and 64 digits: a value of 64 bytes after its key, as Thrift writes it
_ZEROS = b"0" * 64


def encode(table: pa.Table) -> bytes:
    """Return *table* as a Parquet file with a digest of itself."""
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    marks = {**(table.schema.metadata or {}), _DIGEST: _ZEROS.decode()}
    pq.write_table(table.replace_schema_metadata(marks), stream)
    content = stream.getvalue()
    before, place, after = content.rpartition(_PLACE)
    assert after.startswith(_ZEROS)
    return before + place + hashlib.sha256(content).hexdigest().encode() + after[len(_ZEROS) :]


def _is_whole(content: bytes) -> bool:
    """Whether *content* is what ``encode`` made, to the last bit."""
    before, place, after = content.rpartition(_PLACE)
    digest = after[: len(_ZEROS)]
    return hashlib.sha256(before + place + _ZEROS + after[len(_ZEROS) :]).hexdigest().encode() == digest


@dataclass(frozen=True, slots=True)
class Store:
    """The results of *plan* in the folder *path*, which ``pandas.read_parquet`` reads as one table."""

    path: Path
    plan: Planned

    def done(self) -> set[int]:
        """Return the chunks that are there; see ``survey``."""
        return self.survey()[0]

    def survey(self) -> tuple[set[int], dict[str, str]]:
        """Return the chunks that are there, and the files that are to be costed again with the reason for it.

        These are files that were changed, and those of the same sweep by a version that gave them no digest or that
        costs it differently.

        Raises:
            OutputError: there is something else in the folder, or results of another sweep.
        """
        found: set[int] = set()
        again: dict[str, str] = {}
        for name in self._files():
            match = _PART.fullmatch(name)
            if match is None:
                raise OutputError(
                    f"cannot write {str(self.path)!r}: {name!r} in it is no result of a sweep; allowed: a folder "
                    "of this sweep's results, or none"
                )
            reason = self._reason(self.path / name, int(match[1]))
            if reason:
                again[name] = reason
            else:
                found.add(int(match[1]))
        return found, again

    def write(self, number: int, content: bytes) -> str:
        """Write chunk *number*; return the name of its file.

        Raises:
            OutputError: it cannot be written.
        """
        file = self._file(number)
        atomic_write(file, content)
        return file.name

    def remove(self, name: str) -> None:
        """Remove the file *name*, which is no result any more.

        Raises:
            OutputError: it cannot be removed.
        """
        file = self.path / name
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {str(file)!r}: {error.strerror or error}") from error

    def read(self) -> pa.Table:
        """Return all rows that are there."""
        import pyarrow as pa

        return pa.concat_tables([self.part(number) for number in sorted(self.done())])

    def part(self, number: int) -> pa.Table:
        """Return the rows of chunk *number*, which is there.

        Raises:
            OutputError: it is not, or it was changed in the meantime.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = self._file(number)
        content = read_bytes(file, MAX_BYTES, "part of a sweep", OutputError)
        if not _is_whole(content):
            raise OutputError(f"cannot read {str(file)!r}: it was changed; the same command costs it again")
        try:
            # pyarrow's threads may outlive the interpreter, which then aborts at its exit.
            return pq.read_table(pa.BufferReader(content), use_threads=False, pre_buffer=False)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise OutputError(f"cannot read {str(file)!r}: {' '.join(str(error).split())}") from error

    def _files(self) -> list[str]:
        """What is in the folder, but for what an interruption left half-written."""
        try:
            if self.path.exists() and not self.path.is_dir():
                raise OutputError(
                    f"cannot write {str(self.path)!r}: it is a file; allowed: the folder of this sweep's results, or "
                    "none"
                )
            names = [file.name for file in self.path.iterdir()] if self.path.exists() else []
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"cannot write {str(self.path)!r}: {reason}") from error
        return sorted(name for name in names if not name.startswith("."))

    def _file(self, number: int) -> Path:
        return self.path / f"part-{number:05}.parquet"

    def _reason(self, file: Path, number: int) -> str:
        """Why *file* is not taken as chunk *number*, empty if it is.

        Raises:
            OutputError: it is no file of this sweep.
        """
        content = read_bytes(file, MAX_BYTES, "part of a sweep", OutputError)
        about = _read_metadata(content)
        if not _is_whole(content):
            is_old = "networks" in about and _PLACE not in content
            is_foreign = about == {} and b"squeezesim" not in content
            if is_foreign or (is_old and not self._is_alike(about)):
                raise self._other_sweep(about)
            return "has no checksum" if is_old else "was changed"
        if about.get("digest") != self.plan.about["digest"]:
            if about.get("version") != __version__ and self._is_alike(about):
                return f"is of version {about.get('version')}"
            raise self._other_sweep(about)
        if about.get("chunk") != number:
            raise OutputError(f"cannot write {str(self.path)!r}: {file.name!r} is another chunk, renamed")
        return ""

    def _is_alike(self, about: Mapping[str, Any]) -> bool:
        """Whether a file that another version wrote is of this sweep: versions say the same in other words."""
        mine = self.plan.about
        return all(
            about.get(key) == mine[key] for key in ("networks", "accelerator", "parameters", "designs")
        )

    def _other_sweep(self, about: Mapping[str, Any]) -> OutputError:
        return OutputError(
            f"cannot write {str(self.path)!r}: it holds another sweep{_describe_other(about)}; allowed: another path"
        )


def recosting_note(path: Path, again: Mapping[str, str]) -> str:
    """Return a line on the files *again* of the folder *path*, which ``Store.survey`` found.

    Example:
        >>> recosting_note(Path("a"), {"part-00000.parquet": "was changed"})
        "costed again: 'part-00000.parquet' in a was changed"
    """
    parts = []
    for reason in dict.fromkeys(again.values()):
        names = [name for name, why in again.items() if why == reason]
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        parts.append(f"{names[0]!r}{more} in {path} {reason}")
    return f"costed again: {'; '.join(parts)}"


def _read_metadata(content: bytes) -> Mapping[str, Any]:
    """Return the sweep's metadata in a Parquet file: empty if it has none, its error if it is broken."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(io.BytesIO(content)).metadata or {}
        about = json.loads(metadata.get(KEY.encode(), b"{}"))
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
        return {"error": str(error)}
    return about if isinstance(about, dict) else {}


def _describe_other(about: Mapping[str, Any]) -> str:
    """Describe the other sweep, as far as its file does."""
    try:
        networks, parameters = about["networks"], about.get("parameters", [])
        return (
            f", of {', '.join(map(str, networks))} on {about.get('accelerator')} "
            f"with {', '.join(map(str, parameters))}"
        )
    except (KeyError, TypeError):
        return ""


Chunks = Generator[tuple[int, bytes], None, None]
"""Finished chunks, each a number and a Parquet file; closing it stops the others."""

Cost = Callable[[list[int], Advance], Chunks]
"""Costs the chunks of these numbers; reports rows as they are costed, before their chunk is finished."""

Progress = Callable[[int, int], None]
"""(rows done, rows in all)"""

_Future = Future[tuple[int, bytes]]
_Rows = MutableSequence[float]
_LOOK = 0.2  # seconds between two looks at what the processes have costed
_TRIES = 3  # pools in a row that break without a chunk
_ENVIRONMENT = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONSAFEPATH")


def run(
    store: Store,
    cost: Cost,
    progress: Progress,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Write the chunks that are not in *store*, each as soon as *cost* has done it; nothing if all are there.

    An interruption ends at once, and loses the chunks that are being costed. The next run goes on from what is there.
    *progress* is told of rows that are costed, of chunks that are not done too; *say* which files are there and costed
    again.

    Raises:
        OutputError: *store* has something else in it, or cannot be written: nothing is costed then.
    """
    plan = store.plan
    there, again = store.survey()
    if again:
        say(recosting_note(store.path, again))
    total = sum(plan.size(number) for number in range(plan.chunks))
    done = sum(plan.size(number) for number in there)
    reached = float(done)

    def advance(rows: float) -> None:
        nonlocal reached
        reached += rows
        progress(max(done, min(int(reached), total)), total)

    progress(done, total)
    missing = [number for number in range(plan.chunks) if number not in there]
    if missing:
        check_place(store.path)
    with closing(cost(missing, advance)) as costed:
        for number, content in costed:
            again.pop(store.write(number, content), None)
            done += plan.size(number)
            advance(0.0)
    for name in again:  # of more chunks than there are now
        store.remove(name)


def local(plan: Plan, jobs: int) -> Cost:
    """Return what costs chunks of *plan* in *jobs* processes of this computer; a single one is this process."""

    def cost(numbers: list[int], advance: Advance) -> Chunks:
        workers = min(jobs, len(numbers))
        if workers <= 1:
            yield from ((number, encode(plan.table(number, advance))) for number in numbers)
            return
        yield from _in_processes(plan, numbers, workers, advance)

    return cost


def _in_processes(plan: Plan, numbers: list[int], workers: int, advance: Advance) -> Chunks:
    """Cost chunks in a pool of processes; where one dies, a new pool costs what is missing."""
    left, tries = set(numbers), _TRIES
    # Each chunk has a place of its own: without a lock, which a process that dies would hold for ever.
    rows, told = RawArray("d", plan.chunks), 0.0

    def look() -> None:
        nonlocal told
        costed = sum(rows)
        advance(max(costed - told, 0.0))  # less where a process died
        told = max(costed, told)

    with temporary_folder() as folder:
        # Not an argument of the processes: one that ends before it has read it would leave this one waiting.
        file = folder / "plan"
        atomic_write(file, pickle.dumps((plan, names())))
        while left:
            try:
                with closing(_pool(file, sorted(left), workers, rows, look)) as costed:
                    for number, content in costed:
                        left.remove(number)
                        tries = _TRIES
                        yield number, content
            except BrokenProcessPool as error:
                tries -= 1
                if not tries:
                    raise UsageError(
                        f"processes that cost designs died {_TRIES} times; allowed: fewer of them where memory is "
                        "short, and scripts that start them below if __name__ == '__main__'"
                    ) from error


def _pool(file: Path, numbers: list[int], workers: int, rows: _Rows, look: Callable[[], None]) -> Chunks:
    # The pool itself starts a process, Python's tracker of resources.
    with _one_thread_each(), _without_working_directory():
        pool = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(file, rows)
        )
    try:
        with _defer_sigint(), _one_thread_each(), _without_working_directory(), _block_sigint_in_children():
            futures: list[_Future] = [pool.submit(_cost_chunk, number) for number in numbers]
        ended: SimpleQueue[_Future] = SimpleQueue()
        for future in futures:
            future.add_done_callback(ended.put)
        with _kill_on_sigint(pool):
            for _ in futures:
                yield _wait_for_chunk(ended, look).result()
    finally:
        with _defer_sigint():
            _kill(pool)
            pool.shutdown(wait=True, cancel_futures=True)


def _wait_for_chunk(ended: SimpleQueue[_Future], look: Callable[[], None]) -> _Future:
    """Wait for a finished chunk; call *look* meanwhile, for the progress of the others."""
    while True:
        try:
            return ended.get(timeout=_LOOK)
        except Empty:
            look()


def _kill(pool: ProcessPoolExecutor) -> None:
    """End the processes of *pool*, as its ``kill_workers`` of Python 3.14 does.

    A chunk that is being costed may take seconds, and an interrupted wait for it would go on at the exit of Python.
    """
    for worker in list((pool._processes or {}).values()):
        worker.kill()


@contextmanager
def _kill_on_sigint(pool: ProcessPoolExecutor) -> Iterator[None]:
    """The first SIGINT in the block kills the processes of *pool* and raises; later ones are ignored."""
    if not _is_interruptible():
        yield
        return

    def end(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _kill(pool)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _defer_sigint() -> Iterator[None]:
    """Defer SIGINT until the block ends; several in it are raised as one."""
    if not _is_interruptible():
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _is_interruptible() -> bool:
    """Whether Ctrl-C raises KeyboardInterrupt in this thread."""
    return current_thread() is main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler


@contextmanager
def _block_sigint_in_children() -> Iterator[None]:
    """Block SIGINT in processes that start in the block, from their first instruction: their parent handles it."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows; see ``_start_worker``
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start in the block use one thread each, so as not to compete for the cores, and have a safe path:
    Python adds no working directory to theirs.
    """
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(dict.fromkeys(_ENVIRONMENT, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _without_working_directory() -> Iterator[None]:
    """Take the working directory off ``sys.path``, which processes that start in the block inherit.

    It stays where it holds squeezesim itself or the script that started, since the processes import both.
    """
    main = getattr(sys.modules["__main__"], "__file__", None)
    needed = {os.path.realpath(Path(__file__).parents[3]), main and os.path.realpath(Path(main).parent)}
    before = sys.path[:]
    try:
        here = os.path.realpath(Path.cwd())
        sys.path[:] = [folder for folder in before if os.path.realpath(folder) != here or here in needed]
    except OSError:  # it was deleted
        sys.path[:] = [folder for folder in before if folder]
    try:
        yield
    finally:
        sys.path[:] = before


class _Worker:
    """What a process of the pool keeps between chunks."""

    plan: Plan | None = None
    rows: _Rows | None = None
    dataflows: tuple[str, ...] = ()


def _start_worker(file: Path, rows: _Rows) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked as the process started
    Thread(target=_exit_with_parent, daemon=True).start()
    _Worker.plan, _Worker.dataflows = pickle.loads(file.read_bytes())
    _Worker.rows = rows


def _exit_with_parent() -> None:
    """Exit when the parent does, which may be killed without notice."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def check_known(dataflows: Iterable[str]) -> None:
    """Check that this process knows *dataflows*, those of the process that started it.

    Raises:
        UsageError: one is registered there alone.
    """
    missing = [name for name in dataflows if name not in names()]
    if missing:
        raise UsageError(
            f"processes that cost designs do not know the dataflow {missing[0]!r}; allowed: registering it in a "
            "module, or in a script above if __name__ == '__main__', or one job"
        )


def _cost_chunk(number: int) -> tuple[int, bytes]:
    plan, rows = _Worker.plan, _Worker.rows
    assert plan is not None
    assert rows is not None
    check_known(_Worker.dataflows)
    rows[number] = 0.0

    def advance(more: float) -> None:
        rows[number] += more

    return number, encode(plan.table(number, advance))


_ADDRESS = re.compile(r"(tcp|tls)://\S+:\d+")
_REACH, _WAIT, _LEAVE = (
    10,
    60,
    5,
)  # seconds: for the scheduler to answer, for a worker where there is none, to take leave
_RETRIES = 3


def cluster(plan: Plan, address: str) -> Cost:
    """Return what costs chunks of *plan* on the workers of the scheduler at *address*, as in ``tcp://host:8786``.

    The workers need this version of squeezesim and no files. A chunk whose worker dies goes to another one.

    Raises:
        UsageError: Dask is not installed, there is no scheduler, it has no workers, or they have another squeezesim.
    """
    if not _ADDRESS.fullmatch(address):
        raise UsageError(f"--cluster {address!r} is no address; allowed: as tcp://host:8786")

    def cost(numbers: list[int], _advance: Advance) -> Chunks:
        if not numbers:
            return
        try:
            from distributed import Client
        except ImportError as error:
            raise UsageError(f"--cluster needs Dask: {pip_install('distributed')}") from error
        try:
            _check_greeting(address)
            client = Client(address, timeout=_REACH, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--cluster {address!r}: no scheduler of Dask there; allowed: as tcp://host:8786"
            ) from error
        with _report_lost_scheduler(client, address):
            _await_workers(client, address)
            _check_workers(client, address)
            yield from _gather_chunks(client, plan, numbers, address)

    return cost


@contextmanager
def _report_lost_scheduler(client: Any, address: str) -> Iterator[None]:
    """Report a scheduler that dies in the block in one line, and silence Dask's logs."""
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


def _check_greeting(address: str) -> None:
    """Check that the server sends the first byte, as Dask's scheduler does: Dask's client waits for it without end."""
    parts = urlsplit(address)
    with create_connection((parts.hostname or "", parts.port or 0), timeout=_REACH) as connection:
        if parts.scheme == "tcp" and not connection.recv(1):
            raise OSError("no greeting")


def _gather_chunks(client: Any, plan: Plan, numbers: list[int], address: str) -> Chunks:
    from distributed import wait

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        # A task of its own, not data: Dask makes it again where the worker that had it dies.
        shared = client.submit(_receive_plan, pickle.dumps(plan), __version__, pure=False)
        left = set(client.map(_cost_cluster_chunk, numbers, plan=shared, retries=_RETRIES, pure=False))
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


def _check_workers(client: Any, address: str) -> None:
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


def _receive_plan(plan: bytes, sent_by: str) -> Plan:
    """Unpickle the plan on a worker, which may have joined after the versions were checked."""
    if sent_by != __version__:
        raise ImportError(f"squeezesim {__version__}")
    found: Plan = pickle.loads(plan)
    return found


def _cost_cluster_chunk(number: int, plan: Plan) -> tuple[int, bytes]:
    return number, encode(plan.table(number))
