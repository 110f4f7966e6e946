"""Pages in headless Chromium: slow tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from squeezesim.report.html.page import Advice
from squeezesim.report.html.page import page as html
from squeezesim.report.report import Report

Open = Callable[..., Page]


@pytest.fixture
def said() -> list[str]:
    """What pages say on the console, in dialogs and to the network: nothing, when a test ends."""
    return []


@pytest.fixture
def show(browser: Browser, tmp_path: Path, said: list[str]) -> Iterator[Open]:
    """Write reports as a page and open it from disk."""
    opened: list[Page] = []

    def open_page(
        reports: Sequence[Report], *, width: int = 1400, scheme: str = "light", advice: Advice | None = None
    ) -> Page:
        file = tmp_path / "report.html"
        file.write_text(html(reports, advice=advice), encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: said.append(request.url) if request.url != file.as_uri() else None)
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready=true]")
        page.wait_for_selector(".result:not([hidden]) .mark")
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        page.close()
    assert said == []
