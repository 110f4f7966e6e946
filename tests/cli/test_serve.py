from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from squeezesim import cli
from squeezesim.cli import options
from squeezesim.cli.serve import _given, _has_display


def mistake(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The line that the command ends with."""
    assert cli.main(["serve", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.strip()


@pytest.fixture
def _without_uvicorn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delitem(sys.modules, "squeezesim.serve.app", raising=False)
    monkeypatch.delattr("squeezesim.serve.app", raising=False)
    for name in ("starlette", "uvicorn"):
        monkeypatch.setitem(sys.modules, name, None)
    yield
    sys.modules.pop("squeezesim.serve.app", None)


@pytest.mark.usefixtures("_without_uvicorn")
def test_what_is_not_installed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert mistake(capsys) == "error: serve needs uvicorn: pip install starlette uvicorn"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--batch", "2"], "--batch is for a network, and none is given"),
        (["--set", "array.rows=8"], "options of an accelerator are given, and no accelerator"),
        (["--hw", "os_32x32", "--hw", "ws_32x32"], "--hw is given 2 times"),
        (["--hw", "os_32x33"], "no accelerator 'os_32x33'"),
        (["squeezenext_32"], "squeezenext_23"),
        (["--port", "65536"], "'--port'"),
    ],
)
def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    from tests.serve import extra

    extra.require()
    assert says in mistake(capsys, *words)


def test_names_alone_give_nothing_of_their_own() -> None:
    given = _given("squeezenext_23@width=1.5", options.Request(hw=["os_32x32"]))
    assert (given.model, given.hw) == ("squeezenext_23@width=1.5", "os_32x32")
    assert given.network is given.accelerator is None


@pytest.mark.torch
def test_options_and_files_are_what_the_command_line_says(tmp_path: Path) -> None:
    from squeezesim.hardware.accelerator import Accelerator

    file = tmp_path / "mine.yaml"
    file.write_text(Accelerator.named("os_32x32").to_yaml(), encoding="utf-8")
    request = options.Request(
        hw=[str(file)], batch=2, settings=["array.rows=8"], objective="energy", quantize=["w4a8"]
    )
    given = _given("alexnet", request)
    assert given.network is not None
    assert given.network.layers[0].n == 2
    assert given.options == ["--batch", "2", "--quantize", "w4a8"]
    assert given.accelerator is not None
    assert given.accelerator.array.rows == 8
    assert given.hw_options == ["--objective", "energy"]
    assert given.changes == {"array.rows": 8}


def test_a_browser_is_opened_where_there_is_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not _has_display()
    monkeypatch.setenv("DISPLAY", "")
    assert not _has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert _has_display()
