from __future__ import annotations

import asyncio
import threading

from squeezesim.serve.desk import BUSY, CANCELLED, MOST_WAITING, SUPERSEDED, Desk
from squeezesim.serve.worker import ENDED, OK, Answer


class Slow:
    """Answers a question when it is let go, or ends when it is begun anew."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.restarts = 0
        self._free, self._ended = threading.Event(), False

    def ask(self, what: str, asked: object = None) -> Answer:
        self.asked.append(asked)
        assert self._free.wait(10)
        self._free.clear()
        if self._ended:
            self._ended = False
            return Answer(ENDED, "")
        return Answer(OK, f"{what} {asked}")

    def free(self) -> None:
        self._free.set()

    def restart(self) -> None:
        self.restarts += 1
        self._ended = True
        self._free.set()


async def begun(worker: Slow, count: int) -> None:
    while len(worker.asked) < count:
        await asyncio.sleep(0.001)


def test_of_questions_that_wait_the_last_one_of_each_tab_is_answered() -> None:
    async def run() -> None:
        worker = Slow()
        desk = Desk(worker, stale=60)
        first = asyncio.ensure_future(desk.ask("a", "result", 1))
        await begun(worker, 1)
        others = [asyncio.ensure_future(desk.ask("a", "result", number)) for number in (2, 3, 4)]
        beside = asyncio.ensure_future(desk.ask("b", "result", 5))
        await asyncio.sleep(0)
        assert await others[0] == await others[1] == SUPERSEDED
        for number in (2, 3):
            worker.free()
            await begun(worker, number)
        worker.free()
        assert [(await one).text for one in (first, others[2], beside)] == [
            "result 1",
            "result 4",
            "result 5",
        ]
        assert worker.asked == [1, 4, 5]
        assert worker.restarts == 0

    asyncio.run(run())


def test_what_takes_long_is_stopped_for_a_later_question_of_its_tab() -> None:
    async def run() -> None:
        worker = Slow()
        desk = Desk(worker, stale=0.05)
        first = asyncio.ensure_future(desk.ask("a", "result", 1))
        await begun(worker, 1)
        other = asyncio.ensure_future(desk.ask("b", "result", 2))
        await asyncio.sleep(0.1)
        assert worker.restarts == 0  # another tab waits for its turn
        later = asyncio.ensure_future(desk.ask("a", "result", 3))
        assert await first == SUPERSEDED
        assert worker.restarts == 1
        for count in (2, 3):
            await begun(worker, count)
            worker.free()
        assert (await other).text == "result 2"
        assert (await later).text == "result 3"

    asyncio.run(run())


def test_a_tab_cancels_its_own() -> None:
    async def run() -> None:
        worker = Slow()
        desk = Desk(worker, stale=60)
        running = asyncio.ensure_future(desk.ask("a", "result", 1))
        await begun(worker, 1)
        waiting = asyncio.ensure_future(desk.ask("a", "result", 2))
        other = asyncio.ensure_future(desk.ask("b", "result", 3))
        await asyncio.sleep(0)
        desk.cancel("c")
        assert worker.restarts == 0
        desk.cancel("a")
        assert await running == await waiting == CANCELLED
        await begun(worker, 2)
        worker.free()
        assert (await other).text == "result 3"
        assert worker.asked == [1, 3]

    asyncio.run(run())


def test_so_many_tabs_wait_and_no_more() -> None:
    async def run() -> None:
        worker = Slow()
        desk = Desk(worker, stale=60)
        all_of = [asyncio.ensure_future(desk.ask("0", "result", 0))]
        await begun(worker, 1)
        all_of += [
            asyncio.ensure_future(desk.ask(str(tab), "result", tab)) for tab in range(1, MOST_WAITING + 1)
        ]
        await asyncio.sleep(0)
        assert await desk.ask("another", "result", -1) == BUSY
        for number in range(MOST_WAITING + 1):
            await begun(worker, number + 1)
            worker.free()
        assert [(await one).text for one in all_of] == [f"result {tab}" for tab in range(MOST_WAITING + 1)]

    asyncio.run(run())
