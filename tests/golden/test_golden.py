from __future__ import annotations

import pytest

from tests.golden.outputs import FOLDER, OUTPUTS, output


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_output_is_exactly_this(name: str) -> None:
    expected = (FOLDER / name).read_bytes().decode()
    assert output(name) == expected


def test_nothing_else_lies_there() -> None:
    files = {path.name for path in FOLDER.iterdir() if path.suffix in (".txt", ".csv", ".json")}
    assert files == set(OUTPUTS)
