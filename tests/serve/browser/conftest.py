"""The server as a process of its own, and pages of it in headless Chromium: slow tests."""

from __future__ import annotations

import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page

from tests.serve import extra

extra.require()


class Served(NamedTuple):
    """A server that runs; ``said`` is what it has printed when it has ended."""

    process: subprocess.Popen[str]
    address: str

    @property
    def token(self) -> str:
        return self.address.partition("#token=")[2]

    @property
    def origin(self) -> str:
        return self.address.partition("/#")[0]

    def end(self) -> tuple[int, str]:
        """The exit code and all that it has printed after its address."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        out, error = self.process.communicate(timeout=20)
        return self.process.returncode, out + error


Serve = Callable[..., Served]
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start servers, each in a folder with nothing in it."""
    started: list[Served] = []

    def start(*words: str, folder: Path | None = None) -> Served:
        command = [sys.executable, "-m", "squeezesim", "serve", "--no-open", *words]
        process = subprocess.Popen(
            command,
            cwd=folder or tmp_path_factory.mktemp("served"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 60)
        assert ready, "the server does not begin"
        found = re.search(r"http://127\.0\.0\.1:\d+/#token=\S+", process.stdout.readline())
        assert found is not None
        made = Served(process, found[0])
        started.append(made)
        return made

    yield start
    for made in started:
        if made.process.poll() is None:
            made.process.kill()
        made.process.communicate()


@pytest.fixture
def said() -> list[str]:
    """What pages say on the console and in dialogs: nothing, when a test ends."""
    return []


@pytest.fixture
def visit(browser: Browser, said: list[str]) -> Iterator[Open]:
    """Open the page of a server and wait for its first numbers."""
    opened: list[Page] = []

    def open_page(served: Served, *, width: int = 1400, scheme: str = "light") -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        page.goto(served.address)
        opened.append(page)
        page.wait_for_selector("html[data-shown]")
        page.wait_for_selector("[data-chart=bars] .mark")
        return page

    yield open_page
    for page in opened:
        page.close()
    assert said == []
