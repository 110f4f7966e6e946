from __future__ import annotations

import platform
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest

import squeezesim
from tests.cli.conftest import Run

COMMAND = [sys.executable, "-m", "squeezesim"]


def test_version_names_squeezesim_torch_and_python(run: Run) -> None:
    expected = (
        f"squeezesim {squeezesim.__version__}, torch {version('torch')}, Python {platform.python_version()}\n"
    )
    assert run("--version") == (0, expected, "")


def test_help_names_every_command(run: Run) -> None:
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    names = [
        line.split()[0] for line in out.partition("Commands:\n")[2].splitlines() if line.startswith("  ")
    ]
    assert {"profile", "layers", "models", "reproduce", "validate", "hw"} <= set(names)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frob"],
        ["hw"],
        ["hw", "frob"],
        ["profile"],
        ["profile", "alexnet"],
        ["profile", "alexnet", "--hw"],
        ["profile", "alexnet", "--hw", "os_32x32", "--frob"],
        ["profile", "alexnet", "--hw", "os_32x32", "--top", "0"],
        ["profile", "alexnet", "--hw", "os_32x32", "--batch", "two"],
        ["models", "more"],
    ],
)
def test_wrong_usage_is_one_line_and_two(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.endswith("; see squeezesim --help\n")
    assert err.count("\n") == 1


def test_debug_shows_where_a_mistake_was_found(run: Run) -> None:
    code, _, err = run("profile", "small.graph.json", "--hw", "none", "--debug")
    assert code == 2
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.splitlines()[-1].startswith("error: no accelerator 'none'")


def test_a_bug_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("squeezesim.zoo.registry.catalogue", broken)
    with pytest.raises(ZeroDivisionError):
        run("models")


def test_an_interruption_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("squeezesim.zoo.registry.catalogue", interrupted)
    assert run("models") == (130, "", "error: interrupted\n")


def test_ctrl_c_is_one_line() -> None:
    code = (
        "import os, signal, sys, squeezesim.cli, squeezesim.zoo.registry as r\n"
        "r.catalogue = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(squeezesim.cli.main(['models']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: interrupted\n")


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="no pipes of this kind")
@pytest.mark.parametrize("arguments", [["models"], ["layers", "squeezenext_44", "--format", "json"]])
def test_a_reader_that_has_gone_is_no_mistake(arguments: list[str]) -> None:
    """Little output breaks the pipe when it is flushed at the end, much output on the way."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_a_terminal_without_the_signs_gets_others() -> None:
    done = subprocess.run(
        [*COMMAND, "hw", "list"],
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
    )
    assert b"32?32" in done.stdout
    assert done.stderr == b""
