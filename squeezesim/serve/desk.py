"""Who is answered next: of each tab the last question, and none that nobody waits for any more."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

from squeezesim.serve.worker import Answer

STALE = 1.5
"""Seconds after which a question that a later one of its tab follows is stopped: to begin anew is faster."""
MOST_WAITING = 32
SUPERSEDED = Answer("superseded", "a later question took its place")
CANCELLED = Answer("cancelled", "cancelled")
BUSY = Answer("busy", f"more than {MOST_WAITING} tabs wait")


class Answering(Protocol):
    """What answers one question at a time, in a thread, and can be begun anew from another one."""

    def ask(self, what: str, asked: object = None) -> Answer:
        """Return the answer."""

    def restart(self) -> None:
        """Stop what runs."""


class _Asked(NamedTuple):
    tab: str
    what: str
    asked: object
    answer: asyncio.Future[Answer]


class Desk:
    """One worker for all tabs, in the order in which they came."""

    def __init__(self, worker: Answering, *, stale: float = STALE) -> None:
        self._worker, self._stale = worker, stale
        self._thread = ThreadPoolExecutor(1)  # of its own: an event loop waits for its threads before it ends
        self._waiting: dict[tuple[str, str], _Asked] = {}
        self._running: _Asked | None = None
        self._began = 0.0
        self._runs: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, tab: str, what: str, asked: object) -> Answer:
        """Return the answer to a question of *tab*; one that waited in its place is superseded."""
        loop = asyncio.get_running_loop()
        key = tab, what
        if key in self._waiting:
            self._settle(self._waiting.pop(key), SUPERSEDED)
        elif len(self._waiting) >= MOST_WAITING:
            return BUSY
        one = _Asked(tab, what, asked, loop.create_future())
        self._waiting[key] = one
        self._end_stale()
        if self._runs is None or self._runs.done():
            self._runs = loop.create_task(self._run())
        return await one.answer

    def cancel(self, tab: str) -> None:
        """Answer nothing more of what *tab* has asked."""
        for key in [key for key in self._waiting if key[0] == tab]:
            self._settle(self._waiting.pop(key), CANCELLED)
        if self._running is not None and self._running.tab == tab:
            self._stop(CANCELLED)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            key = next(iter(self._waiting))
            one = self._running = self._waiting.pop(key)
            self._began = loop.time()
            answer = await loop.run_in_executor(self._thread, self._worker.ask, one.what, one.asked)
            self._running = None
            self._settle(one, answer)

    def _end_stale(self) -> None:
        """Stop what runs, now or when it has taken long, where a later question of its tab waits."""
        one = self._running
        if one is None or (one.tab, one.what) not in self._waiting:
            return
        loop = asyncio.get_running_loop()
        left = self._began + self._stale - loop.time()
        if left <= 0:
            self._stop(SUPERSEDED)
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(left, self._end_stale)

    def _stop(self, answer: Answer) -> None:
        assert self._running is not None
        self._settle(self._running, answer)
        self._running = None
        self._worker.restart()

    @staticmethod
    def _settle(one: _Asked, answer: Answer) -> None:
        if not one.answer.done():
            one.answer.set_result(answer)
