from __future__ import annotations

import io
import re
import sys
import time

import pytest

import squeezesim.load  # noqa: F401  its function is replaced
from squeezesim.cli import main, output
from tests.cli.conftest import Run

CLEAR = "\r\x1b[K"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def wait_for(self, pattern: str) -> None:
        end = time.monotonic() + 5
        while not re.search(pattern, self.getvalue()):
            assert time.monotonic() < end, self.getvalue()
            time.sleep(0.01)


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Stderr as a terminal; in the test itself, since pytest sets its own between a fixture and the test."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setattr(output, "_DELAY", 0.01)
    monkeypatch.setattr(output, "_PERIOD", 0.01)
    return found


def last(terminal: Terminal) -> str:
    """What stands in the line of the status."""
    return terminal.getvalue().rpartition(CLEAR)[2]


def test_what_takes_long_says_so_and_moves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = on_terminal(monkeypatch)
    output.begin()
    output.status("tracing a\x1b[2J")
    terminal.wait_for(r"tracing a\\x1b\[2J")
    terminal.wait_for("tracing .*, 1 s")
    output.say("a warning")
    assert terminal.getvalue().partition("a warning")[0].endswith(CLEAR)
    output.status("simulating b")
    terminal.wait_for("simulating b")
    output.tell("result")
    assert last(terminal) == ""
    before = terminal.getvalue()
    time.sleep(0.05)
    assert terminal.getvalue() == before
    assert capsys.readouterr().out == "result\n"


def test_an_interruption_leaves_a_clean_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)

    def interrupted(*_: object, **__: object) -> None:
        terminal.wait_for("tracing alexnet")
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["squeezesim.load"], "load", interrupted)
    assert main(["profile", "alexnet", "--hw", "os_32x32", "--no-files"]) == 130
    assert last(terminal) == "nothing was written\nerror: interrupted\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["profile", "small.graph.json", "--hw", "small_8x8.yaml", "--no-files"], "simulating small"),
        (["compare", "small.graph.json", "--hw", "small_8x8.yaml"], "simulating small.graph.json"),
        (
            ["explain", "small.graph.json", "--hw", "small_8x8.yaml"],
            "simulating changes to small and small_8x8",
        ),
        (["sensitivity", "small.graph.json", "--hw", "small_8x8.yaml"], "changing parameters of small_8x8"),
        (["layers", "small.graph.json"], "tracing small.graph.json"),
        (
            ["report", "small.graph.json", "--hw", "small_8x8.yaml", "-o", "a.html"],
            "simulating proposals",
        ),
    ],
)
def test_commands_say_what_they_do(
    run: Run, words: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("squeezesim.cli.output.status", said.append)
    assert run(*words).code == 0
    assert told in said


def test_nothing_is_shown_in_a_pipe(run: Run) -> None:
    assert run("profile", "small.graph.json", "--hw", "small_8x8.yaml", "--no-files").err == ""
