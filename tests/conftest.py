from __future__ import annotations

import gc
import importlib.util
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Tests run beside each other: threads of torch that wait for one another take longer than the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The default run draws the same cases each time and needs no deadline: the first example of a test may import torch,
# on a machine that others use too.
settings.register_profile("squeezesim", deadline=None, derandomize=True)
# --hypothesis-profile=thorough: 100,000 tiles on the simulated array and in the event simulator (tests/reference), and
# of tests with a number of cases of their own five times as many.
settings.register_profile("thorough", deadline=None, max_examples=50_000)
MORE = 5
# make fuzz: fresh cases; nothing is kept, so that each run of a seed is the same.
settings.register_profile(
    "fuzz", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
# .ci/lowest, .ci/without_torch: whether the code runs with other versions; the arithmetic is tested with one of each.
FEW = 10
settings.register_profile("few", settings.get_profile("squeezesim"), max_examples=FEW)
# .ci/run, of what is slow: a quarter of the cases, and no more than 150, beside those that the default run draws.
MOST = 150
settings.register_profile("quarter", settings.get_profile("squeezesim"))
settings.load_profile("squeezesim")
DRAWN: dict[str, Callable[[int], int]] = {
    "thorough": lambda cases: MORE * cases,
    "few": lambda cases: min(cases, FEW),
    "quarter": lambda cases: min(max(cases // 4, min(cases, FEW)), MOST),
}
"""How many cases a test draws that asks for a number of its own, by profile."""


# Without torch, the tests of what needs it are left out and counted: files that import it, and tests marked ``torch``.
# Where torch is there they all run.
WITHOUT_TORCH = importlib.util.find_spec("torch") is None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    if WITHOUT_TORCH and report.failed and "No module named 'torch'" in str(report.longrepr):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, "Skipped: imports torch")
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    profile = config.getoption("--hypothesis-profile")
    if profile in DRAWN:
        change_draws(items, DRAWN[profile])
    if WITHOUT_TORCH:
        for item in items:
            if item.get_closest_marker("torch"):
                item.add_marker(pytest.mark.skip(reason="needs torch"))


def change_draws(items: list[pytest.Item], drawn: Callable[[int], int]) -> None:
    """Change the number of cases of tests that have one of their own, which no profile changes."""
    functions = {getattr(item, "function", None) for item in items}
    for test in (function for function in functions if hasattr(function, "is_hypothesis_test")):
        own = test._hypothesis_internal_use_settings or settings()
        test._hypothesis_internal_use_settings = settings(own, max_examples=drawn(own.max_examples))


@pytest.fixture
def drawn(pytestconfig: pytest.Config) -> Callable[[int], int]:
    """How many of so many cases a property inside a test draws, which no profile reaches."""
    return DRAWN.get(pytestconfig.getoption("--hypothesis-profile"), lambda cases: cases)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected stays until the end: the garbage collector need not look at it with each test.

    Nor need it look for cycles after each 700 new objects, a few per cent of the time of a test.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


@pytest.fixture(autouse=True)
def _own_draws() -> None:
    """What a test draws beside hypothesis does not depend on the tests before it."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.manual_seed(0)  # no device's generator but that of the CPU


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache of traced networks."""
    folder: Path = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setattr("squeezesim.cache.cache_folder", lambda: folder)


# Their subject is the search itself.
SEARCHING = {"cost", "reference"}


@pytest.fixture(autouse=True)
def _same_costs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests of other parts cost again and again is searched once."""
    if not SEARCHING & {*request.node.nodeid.split("/")}:
        from tests.costed import costed_once

        monkeypatch.setattr("squeezesim.cost.evaluate._family_costs", costed_once)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window, one for all tests. In CI a missing one is a failure, elsewhere a skip that says so."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium")
    if executable is None:
        message = "chromium is not installed: apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sync_playwright() as playwright:
        # Without the sandbox, since containers run the tests as root; the pages are the tests' own.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()
