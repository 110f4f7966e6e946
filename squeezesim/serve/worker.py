"""The process that answers: it can be stopped at any time, and another one takes its place."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from squeezesim.errors import SqueezesimError, UsageError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from squeezesim.serve.session import Given

OK, MISTAKE, BUG, ENDED = "ok", "mistake", "bug", "ended"


class Answer(NamedTuple):
    """What came of a question: JSON where it is ``ok``, else a line that says what is wrong."""

    kind: str
    text: str


class Worker:
    """A process with a session of its own. One question at a time; ``stop`` may come from another thread."""

    def __init__(self, given: Given, *, cache: bool = True) -> None:
        self._given, self._cache = given, cache
        self._changes = threading.Lock()  # of the process
        self._start()

    def ask(self, what: str, asked: object = None) -> Answer:
        """Return the answer to ``opening``, ``describe`` or ``result`` of *asked*; ``ended`` where it was stopped."""
        pipe = self._pipe
        try:
            pipe.send((what, asked))
            kind, text = pipe.recv()
        except (EOFError, OSError):
            self._begin_after(pipe)
            return Answer(ENDED, "the process that computes has ended; another one has begun")
        return Answer(kind, text)

    def restart(self) -> None:
        """Stop what runs, and begin with a new process."""
        self._begin_after(self._pipe)

    def _begin_after(self, pipe: Connection) -> None:
        """Begin with a new process, unless one has taken the place of that at the other end of *pipe*."""
        with self._changes:
            if pipe is self._pipe:
                self.stop()
                self._start()

    def stop(self) -> None:
        """End the process, whatever it does; who waits for its answer is told."""
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        # Not forked: the server has threads.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(theirs, self._given, self._cache), daemon=True
        )
        self._process.start()
        theirs.close()


def _serve(pipe: Connection, given: Given, cache: bool) -> None:
    """Answer what comes through *pipe* until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the server, whose end ends this process
    from squeezesim.serve.session import Session

    session = Session(given, cache=cache)
    with suppress(EOFError, OSError):
        while True:
            what, asked = pipe.recv()
            pipe.send(_answered(session, what, asked))


def _answered(session: Any, what: str, asked: object) -> Answer:
    from squeezesim.files import json_line
    from squeezesim.serve.session import Question

    try:
        match what:
            case "opening":
                return Answer(OK, json_line(session.opening()))
            case "describe":
                return Answer(OK, json_line(session.describe(Question.of(asked))))
            case "result":
                return Answer(OK, session.text(Question.of(asked)))
        raise UsageError(f"there is no question {what!r}")
    except SqueezesimError as error:
        return Answer(MISTAKE, str(error))
    except Exception:
        traceback.print_exc(file=sys.stderr)
        return Answer(BUG, "a bug: the terminal of squeezesim serve has the traceback")
