from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import fuzz
from tests.fuzz import Round, example

FAILING = """
import pytest
from hypothesis import given, strategies as st

@pytest.mark.parametrize("size", [1])
@given(text=st.text(), number=st.integers(0, 500))
def test_small(size, text, number):
    assert number < 100

@given(st.integers())
def test_right(number):
    pass
"""


def test_arguments_of_pytest_are_left_out() -> None:
    note = "Falsifying example: test_a(\n    text='0',\n    folder=Path(\n     'a'),\n    n=1,  # or more\n)"
    assert example(note, {"folder"}) == "@example(\n    text='0',\n    n=1,  # or more\n)"


@pytest.mark.slow
def test_a_failing_case_is_an_example_to_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_drawn.py").write_text(FAILING, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        (Path(__file__).parent / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(fuzz.ROOT))
    monkeypatch.setattr(fuzz, "ROOT", tmp_path)
    running = Round(tmp_path, set())
    assert running.process.wait(timeout=120) == pytest.ExitCode.TESTS_FAILED
    (found,) = running.failures()
    assert (found.test, found.seed) == ("tests/test_drawn.py::test_small[1]", running.seed)
    (case,) = found.cases
    assert case.startswith("@example(\n    text='',")
    assert "number=100," in case
    assert "size" not in case
    assert str(found).endswith(f"--hypothesis-profile=fuzz --hypothesis-seed={running.seed}")
    again = Round(tmp_path, {found.test})
    assert again.process.wait(timeout=120) == pytest.ExitCode.OK


def test_it_ends_when_the_time_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    begin = time.monotonic()
    assert fuzz.fuzz(0.02, jobs=1) == 0
    assert time.monotonic() - begin < 30
    assert capsys.readouterr().out == "0 tests failed; 0 whole rounds, and part of 1\n"
