"""docs/tutorial.md, followed from its first command to its last, prints what stands there."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.readme import TUTORIAL, examples, files, programs, run


@pytest.mark.slow
def test_the_tutorial_prints_what_stands_there(tmp_path: Path) -> None:
    text = TUTORIAL.read_text(encoding="utf-8")
    for name, content in files(text).items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    for example in examples(text):
        code, printed = run(["-m", *shlex.split(example.command)], tmp_path)
        assert code == 0, printed
        example.check(printed)
    ((source, output),) = programs(text)
    assert run(["-W", "error", "-c", source], tmp_path) == (0, output.rstrip("\n").split("\n"))
