from __future__ import annotations

import os
import platform
import shlex
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer

import squeezesim
from squeezesim.cli import app
from squeezesim.cost import kernel
from squeezesim.errors import OutputError
from squeezesim.files import temporary_folder
from tests.cli.conftest import Run

COMMAND = [sys.executable, "-m", "squeezesim"]


@pytest.mark.torch
def test_version_names_squeezesim_torch_and_python_and_what_computes(run: Run) -> None:
    expected = (
        f"squeezesim {squeezesim.__version__}, torch {version('torch')}, Python {platform.python_version()}\n"
        f"cost model: {kernel.status()}\n"
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
    "words", [("--help",), ("-h",), ("hw", "--help"), ("profile", "--help"), ("hw", "list")]
)
def test_what_is_built_of_the_application_says_what_all_of_it_does(
    run: Run, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = run(*words)
    assert part.code == 0
    monkeypatch.setattr("squeezesim.cli._app_of", lambda _: app)
    assert run(*words) == part


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("", ["frob"]),
        ("hw", ["frob"]),
        ("profile", []),
        ("", ["profile", "alexnet", "--hw"]),
        ("profile", ["alexnet", "--hw", "os_32x32", "--frob"]),
        ("profile", ["alexnet", "--hw", "os_32x32", "--top", "0"]),
        ("profile", ["alexnet", "--hw", "os_32x32", "--batch", "two"]),
        ("models", ["more"]),
    ],
)
def test_wrong_usage_is_one_line_and_two(run: Run, command: str, arguments: list[str]) -> None:
    words = command.split()
    code, out, err = run(*words, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.endswith(f"; see {' '.join(['squeezesim', *words, '--help'])}\n")
    assert err.count("\n") == 1


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_every_example_of_the_help_has_options_that_exist() -> None:
    shown = []
    for name, command in commands().items():
        lines = [line.strip() for line in (command.epilog or "").replace("\\\n", " ").splitlines()]
        for line in (line for line in lines if line.startswith("squeezesim ")):
            words = shlex.split(line)
            assert words[1] == name
            assert {word for word in words if word.startswith("-")} <= options(command)
            shown.append(name)
    assert set(shown) >= {"profile", "layers", "export", "reproduce", "validate"}


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def test_every_option_and_argument_is_explained() -> None:
    found = [parameter for command in commands().values() for parameter in command.params]
    found += [
        parameter
        for command in commands().values()
        for inner in getattr(command, "commands", {}).values()
        for parameter in inner.params
    ]
    assert len(found) > 30
    assert [parameter.name for parameter in found if not parameter.help] == []


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
@pytest.mark.parametrize(
    "arguments",
    [["models"], ["layers", "squeezenext_44", "--format", "json"], ["--help"], ["profile", "--help"]],
)
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


FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")


@needs_full
@pytest.mark.parametrize(
    "arguments",
    [
        ["models"],
        ["--help"],
        ["--version"],
        ["layers", "squeezenext_44", "--format", "json"],
        ["profile", "squeezenext_23", "--hw", "os_32x32", "--format", "csv"],
        ["profile", "squeezenext_23", "--hw", "os_32x32", "--no-files"],
    ],
)
def test_a_full_disk_is_one_line_and_two(arguments: list[str]) -> None:
    with FULL.open("w") as stdout:
        done = subprocess.run(
            [*COMMAND, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "error: cannot write to stdout: No space left on device\n")


@needs_full
def test_a_full_stderr_keeps_the_exit_code() -> None:
    with FULL.open("w") as stderr:
        done = subprocess.run([*COMMAND, "frob"], stdout=subprocess.PIPE, stderr=stderr, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.skipif(os.name != "posix", reason="closes streams in the way of a shell")
@pytest.mark.parametrize(
    ("closed", "expected"),
    [(">&-", (2, "", "error: cannot write to stdout: it is closed\n")), ("2>&-", (2, "", ""))],
)
def test_a_closed_stream_is_no_bug(closed: str, expected: tuple[int, str, str]) -> None:
    line = f"{shlex.join([*COMMAND, 'hw', 'show', 'none'])} {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == expected


def test_an_error_that_nobody_foresaw_says_what_failed_and_where(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file its name, of anything else the function; never stdout, which is in order."""
    errors = [
        (FileNotFoundError(2, "No such file or directory", "graph"), "No such file or directory: 'graph'"),
        (OSError(28, "No space left on device"), "No space left on device, in fail of test_main.py; --debug"),
        (OSError("no such thing"), "no such thing, in fail of test_main.py; --debug says more"),
    ]
    for error, said in errors:

        def fail(error: OSError = error) -> None:
            raise error

        monkeypatch.setattr("squeezesim.zoo.registry.catalogue", fail)
        code, out, err = run("models")
        assert (code, out) == (2, "")
        assert err.startswith(f"error: {said}")
        assert "Traceback" in run("models", "--debug").err


def test_a_working_directory_that_is_gone_is_named(run: Run, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    before = Path.cwd()
    os.chdir(gone)
    try:
        gone.rmdir()
        for words in (
            ["profile", str(before / "small.graph.json"), "--hw", "os_32x32"],
            ["plot", "losses", "x.json", "-o", "x.png"],
        ):
            code, out, err = run(*words)
            assert (code, out, len(err.splitlines())) == (2, "", 1)
            assert "stdout" not in err
            assert "cannot" in err
        one = ["sweep", str(before / "small.graph.json"), "--hw", "os_32x32", "--set", "clock_mhz=1,2"]
        assert run(*one).err.startswith("error: cannot write 'sweeps/small")
    finally:
        os.chdir(before)


def test_a_temporary_folder_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    with (
        pytest.raises(OutputError, match=r"^cannot make a temporary folder in '.*none': No such file"),
        temporary_folder(),
    ):
        pass


def test_a_terminal_without_the_signs_gets_others() -> None:
    done = subprocess.run(
        [*COMMAND, "hw", "list"],
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
    )
    assert b"32x32" in done.stdout
    assert done.stderr == b""


@pytest.mark.parametrize(
    "command",
    [
        ["profile", "small.graph.json", "--hw", "pipe.yaml"],
        ["profile", "small.graph.json", "--hw", "pipe.cfg"],
        ["profile", "small.graph.json", "--hw", "small_8x8.yaml", "--compress", "pipe.yaml"],
        ["compare", "small.graph.json", "--hw", "small_8x8.yaml", "--against", "pipe.json"],
        ["explain", "pipe.json"],
        *(["layers", f"pipe{suffix}"] for suffix in (".graph.json", ".csv", ".onnx", ".pt2", ".py:make")),
        ["hw", "check", "endless.yaml"],
    ],
    ids=" ".join,
)
def test_what_could_be_waited_for_without_end_is_refused(run: Run, command: list[str]) -> None:
    for suffix in (".yaml", ".cfg", ".json", ".graph.json", ".csv", ".onnx", ".pt2", ".py"):
        os.mkfifo(f"pipe{suffix}")
    Path("endless.yaml").symlink_to("/dev/zero")
    code, out, err = run(*command)
    name = next(word.partition(":")[0] for word in reversed(command) if word.startswith(("pipe", "endless")))
    assert (code, out) == (2, "")
    assert err in {f"error: '{name}' is no regular file\n", f"error: {name!r}: is no regular file\n"}


def test_a_path_that_is_no_text_is_refused(run: Run, tmp_path: Path) -> None:
    code, out, err = run("profile", "squeezenet_1_1", "--hw", "os_32x32", "-o", f"{tmp_path}/b\udcff.html")
    assert (code, out) == (2, "")
    assert err.endswith("a path is UTF-8 text\n")


def test_names_begin_no_line_and_clear_no_screen(run: Run) -> None:
    code, _, err = run("profile", "a\x1b[2J\nerror: b\u202e", "--hw", "os_32x32")
    assert code == 2
    assert err.removesuffix("\n").isprintable()


@pytest.mark.parametrize("words", [(), ("hw",)])
def test_no_command_prints_the_help(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words) == run(*words, "--help")
    assert run(*words).code == 0


def test_shells_complete_commands_and_options(tmp_path: Path) -> None:
    def completed(words: str) -> list[str]:
        about = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        environment = {**os.environ, **about, "_SQUEEZESIM_COMPLETE": "complete_bash"}
        done = subprocess.run(COMMAND, capture_output=True, check=True, env=environment, text=True)
        return done.stdout.split()

    assert completed("squeezesim pro") == ["profile"]
    assert completed("squeezesim profile a --obj") == ["--objective"]
    # The shell is named: a test run may have none above it that could be detected.
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    environment = {**os.environ, **named, "HOME": str(tmp_path)}
    for option in ("--show-completion", "--install-completion"):
        done = subprocess.run([*COMMAND, option, "bash"], capture_output=True, check=True, env=environment)
        assert b"ompletion" in done.stdout
    assert (tmp_path / ".bash_completions" / "squeezesim.sh").read_text()
    nowhere = {**environment, "HOME": "/proc/1/nope"}
    done = subprocess.run(
        [*COMMAND, "--install-completion", "bash"], check=False, capture_output=True, env=nowhere
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: cannot install completion: ")
