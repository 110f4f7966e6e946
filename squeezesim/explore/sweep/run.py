"""Run: the chunks of a sweep that are still to do, in this process or in several."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread, current_thread, main_thread

from squeezesim.errors import UsageError
from squeezesim.explore.sweep.plan import Plan
from squeezesim.explore.sweep.store import Store, costed_again, encode
from squeezesim.files import atomic_write, temporary_folder

Costed = Generator[tuple[int, bytes], None, None]
"""Chunks as they are done: number, Parquet file; to close it ends what costs the others."""

Progress = Callable[[int, int], None]
"""(rows done, rows in all)"""

_TRIES = 3  # pools in a row that break without a chunk
_ENVIRONMENT = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONSAFEPATH")


def run(
    store: Store,
    cost: Callable[[list[int]], Costed],
    progress: Progress,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Write the chunks that are not in *store*, each as soon as *cost* has done it; nothing if all are there.

    An interruption ends at once, and loses the chunks that are being costed. The next run goes on from what is there.
    *say* is told which files are there and costed again.
    """
    plan = store.plan
    there, again = store.survey()
    if again:
        say(costed_again(store.path, again))
    total = sum(plan.size(number) for number in range(plan.chunks))
    done = sum(plan.size(number) for number in there)
    progress(done, total)
    with closing(cost([number for number in range(plan.chunks) if number not in there])) as costed:
        for number, content in costed:
            again.pop(store.write(number, content), None)
            done += plan.size(number)
            progress(done, total)
    for name in again:  # of more chunks than there are now
        store.remove(name)


def local(plan: Plan, jobs: int) -> Callable[[list[int]], Costed]:
    """Return what costs chunks of *plan* in *jobs* processes of this computer; a single one is this process."""

    def cost(numbers: list[int]) -> Costed:
        workers = min(jobs, len(numbers))
        if workers <= 1:
            yield from ((number, encode(plan.table(number))) for number in numbers)
            return
        yield from _in_processes(plan, numbers, workers)

    return cost


def _in_processes(plan: Plan, numbers: list[int], workers: int) -> Costed:
    """Chunks from a pool of processes; those of one that died, with what it had begun, from another pool."""
    left, tries = set(numbers), _TRIES
    with temporary_folder() as folder:
        # Not an argument of the processes: one that ends before it has read it would leave this one waiting.
        file = folder / "plan"
        atomic_write(file, pickle.dumps(plan))
        while left:
            try:
                with closing(_pool(file, sorted(left), workers)) as costed:
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


def _pool(file: Path, numbers: Iterable[int], workers: int) -> Costed:
    with _environment(), _path_elsewhere():  # the pool itself starts a process, Python's tracker of resources
        pool = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(file,)
        )
    try:
        with _uninterrupted(), _environment(), _path_elsewhere(), _deaf_processes():
            futures: list[Future[tuple[int, bytes]]] = [pool.submit(_chunk, number) for number in numbers]
        with _killed_by_interruption(pool):
            for future in as_completed(futures):
                yield future.result()
    finally:
        with _uninterrupted():
            _kill(pool)
            pool.shutdown(wait=True, cancel_futures=True)


def _kill(pool: ProcessPoolExecutor) -> None:
    """End the processes of *pool*, as its ``kill_workers`` of Python 3.14 does.

    A chunk that is being costed may take seconds, and an interrupted wait for it would go on at the exit of Python.
    """
    for worker in list((pool._processes or {}).values()):
        worker.kill()


@contextmanager
def _killed_by_interruption(pool: ProcessPoolExecutor) -> Iterator[None]:
    """An interruption ends the processes of *pool* before anything else; those after it in the block do nothing."""
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
def _uninterrupted() -> Iterator[None]:
    """An interruption comes after the block, one for all that came in it."""
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
def _deaf_processes() -> Iterator[None]:
    """Processes that start here never see an interruption, not even as they start: it is their parent's to handle."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows; see ``_begin``
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment() -> Iterator[None]:
    """Processes that start here use one thread each, so that they do not wait for each other's, and import nothing
    from the working directory as they start.
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
def _path_elsewhere() -> Iterator[None]:
    """Processes that start here have no working directory among the folders that modules are imported from.

    It stays where it has squeezesim itself, or the script that started: they import that again.
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


def _begin(file: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where the processes could not be started deaf to it
    Thread(target=_follow, daemon=True).start()
    _Worker.plan = pickle.loads(file.read_bytes())


def _follow() -> None:
    """End with the parent, which may be killed without a chance to say so."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _chunk(number: int) -> tuple[int, bytes]:
    assert _Worker.plan is not None
    return number, encode(_Worker.plan.table(number))
