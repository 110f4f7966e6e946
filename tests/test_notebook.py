"""The notebook in examples/ runs, and its texts are those that it is stored with."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.notebook import NOTEBOOK, executed, stored, texts


def test_the_notebook_is_valid_and_small() -> None:
    nbformat.validate(stored())
    assert NOTEBOOK.stat().st_size < 300_000


@pytest.mark.slow
def test_the_notebook_prints_what_is_stored(tmp_path: Path) -> None:
    assert texts(executed(tmp_path)) == texts(stored())
