from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from squeezesim.serve.session import Given, Question
from squeezesim.serve.worker import BUG, ENDED, MISTAKE, OK, Worker, _answered

ASKED = {"network": "alexnet", "options": {}, "accelerator": "squeezelerator_8x8", "changes": {}}


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker(Given())
    yield made
    made.stop()


@pytest.mark.torch
def test_a_process_answers_is_stopped_and_is_there_again(worker: Worker) -> None:
    kind, text = worker.ask("result", ASKED)
    assert kind == OK
    cycles = json.loads(text)["numbers"]["cycles"]
    assert worker.ask("result", {**ASKED, "network": "nowhere"}).kind == MISTAKE
    found = []
    deep = {**ASKED, "network": "densenet121", "options": {"depth.1": 200}}  # takes seconds
    thread = threading.Thread(target=lambda: found.append(worker.ask("result", deep)))
    thread.start()
    time.sleep(0.3)
    worker.restart()
    thread.join(5)
    assert [answer.kind for answer in found] == [ENDED]
    assert json.loads(worker.ask("result", ASKED).text)["numbers"]["cycles"] == cycles


@pytest.mark.slow
def test_a_process_that_others_end_is_there_again(worker: Worker) -> None:
    pid = worker._process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert worker.ask("result", ASKED).kind == ENDED
    assert worker.ask("result", ASKED).kind == OK


def test_a_bug_is_told_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def text(self, asked: Question) -> str:
            raise ZeroDivisionError(asked.network)

    kind, text = _answered(Broken(), "result", ASKED)
    assert kind == BUG
    assert "alexnet" not in text
    assert "ZeroDivisionError: alexnet" in capsys.readouterr().err
    assert _answered(Broken(), "files", ASKED).kind == MISTAKE
