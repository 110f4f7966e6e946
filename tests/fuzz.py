"""``python -m tests.fuzz MINUTES``: the property tests on fresh seeds, again and again, until the minutes are over.

Each failing case is printed once, as an ``@example`` to add to its test, with the command that fails again. The exit
code is 1 where there is one. Ctrl-C ends it early.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
_CASE = re.compile(r"(?:Falsifying example|Failing test case): *\w+\(")


# The plugin, inside each pytest process.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--found", help="where failing cases are written, one in a line, as they are found")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Another order with each seed, so that a run that is too short for all tests reaches others each time."""
    random.Random(int(config.getoption("--hypothesis-seed"))).shuffle(items)


def pytest_exception_interact(node: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    if not isinstance(node, pytest.Item) or call.excinfo is None:
        return
    error = call.excinfo.value
    given = set(getattr(node, "fixturenames", ()))
    cases = [example(note, given) for note in _notes(error) if _CASE.match(note)]
    found = {"test": node.nodeid, "error": f"{type(error).__name__}: {error}", "cases": cases}
    with Path(node.config.getoption("--found")).open("a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")


def _notes(error: BaseException) -> Iterator[str]:
    """What hypothesis adds to an error, or to each of several."""
    yield from getattr(error, "__notes__", ())
    for part in getattr(error, "exceptions", ()):
        yield from _notes(part)


def example(note: str, given: set[str]) -> str:
    """Return the decorator for the call in hypothesis's *note*, without arguments that are *given* by pytest.

    Example:
        >>> example("Falsifying example: test_a(\\n    text='0',\\n    tmp_path=Path(\\n     'a'),\\n)", {"tmp_path"})
        "@example(\\n    text='0',\\n)"
    """
    call = note[note.index("(") :].removesuffix(")")
    begin, *arguments = re.split(r"^    (?=\w+=)", call, flags=re.MULTILINE)
    kept = [f"    {text}" for text in arguments if text.partition("=")[0] not in given]
    return f"@example{begin}{''.join(kept)})"


# The command, which runs such processes.


class Found(NamedTuple):
    """A failing test."""

    test: str
    error: str
    cases: list[str]
    seed: int

    def __str__(self) -> str:
        again = f"pytest '{self.test}' --hypothesis-profile=fuzz --hypothesis-seed={self.seed}"
        return "\n".join(
            [self.test, *(f"    {case}" for case in self.cases), f"    {self.error}", f"    {again}"]
        )


class Round:
    """A pytest process that runs every property test once, but those that *failed* already."""

    def __init__(self, folder: Path, failed: set[str]) -> None:
        self.seed = secrets.randbelow(2**32)
        self.found = folder / f"{self.seed}.jsonl"
        self.output = folder / f"{self.seed}.txt"
        files = [
            file
            for file in (ROOT / "tests").rglob("test_*.py")
            if "@given" in file.read_text(encoding="utf-8")
        ]
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.fuzz",
            "-p",
            "no:cacheprovider",
            "-m",
            "hypothesis and not slow",
        ]
        command += ["--hypothesis-profile=fuzz", f"--hypothesis-seed={self.seed}", f"--found={self.found}"]
        command += [f"--deselect={test}" for test in sorted(failed)]
        with self.output.open("wb") as stream:
            self.process = subprocess.Popen(
                [*command, *map(str, sorted(files))],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def failures(self) -> list[Found]:
        """Return what was found until now."""
        if not self.found.exists():
            return []
        lines = self.found.read_text(encoding="utf-8").splitlines(keepends=True)
        return [Found(**json.loads(line), seed=self.seed) for line in lines if line.endswith("\n")]

    def broken(self) -> bool:
        """Whether it ended for another reason than that tests pass or fail."""
        return self.process.poll() not in (None, pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)

    def end(self) -> None:
        """End it with all that it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def fuzz(minutes: float, jobs: int) -> int:
    """Run *jobs* rounds at a time for *minutes*; print failing cases, and return how many tests fail."""
    end = time.monotonic() + 60 * minutes
    failed: set[str] = set()
    rounds: list[Round] = []
    complete = 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            while time.monotonic() < end:
                rounds += [Round(Path(folder), failed) for _ in range(jobs - len(rounds))]
                time.sleep(max(0.0, min(0.5, end - time.monotonic())))
                for each in rounds:
                    for found in each.failures():
                        if found.test not in failed:
                            failed.add(found.test)
                            print(found, end="\n\n", flush=True)
                    if each.broken():
                        print(each.output.read_text(encoding="utf-8", errors="replace")[-4000:])
                        return 1
                complete += sum(each.process.poll() is not None for each in rounds)
                rounds = [each for each in rounds if each.process.poll() is None]
        except KeyboardInterrupt:
            print("ended by Ctrl-C", flush=True)
        finally:
            for each in rounds:
                each.end()
    tests = f"{len(failed)} {'test' if len(failed) == 1 else 'tests'}"
    print(f"{tests} failed; {complete} whole rounds, and part of {len(rounds)}")
    return len(failed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("minutes", type=float)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    sys.exit(fuzz(options.minutes, options.jobs) > 0)
