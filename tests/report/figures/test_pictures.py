"""Figures beside the pictures that were looked at when they were drawn; ``make figures`` draws them again."""

from __future__ import annotations

from pathlib import Path

import pytest

from squeezesim.cli import main
from squeezesim.report.figures.kinds import KINDS
from tests.report.figures.drawn import difference
from tests.report.figures.gallery import PAGE, ROOT, commands, target
from tests.report.figures.references import FOLDER, NAMES, picture

TOLERANCE = 8.0
"""Of 255: letters may be drawn a little differently by another library of fonts."""


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_looks_as_it_did(name: str) -> None:
    assert difference(picture(name), (FOLDER / f"{name}.png").read_bytes()) < TOLERANCE


def test_no_two_references_are_alike_within_the_tolerance() -> None:
    kept = [(FOLDER / f"{name}.png").read_bytes() for name in NAMES]
    assert len(kept) == 2 * len(KINDS)
    for place, one in enumerate(kept):
        assert all(difference(one, other) > TOLERANCE for other in kept[place + 1 :])
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(NAMES)


def test_the_gallery_shows_every_kind_and_its_command() -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = {words[2] for words in commands()}
    assert shown == set(KINDS)
    for words in commands():
        assert f"({target(words).relative_to(PAGE.parent)})" in page
        assert target(words).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("words", commands(), ids=lambda words: words[2])
def test_the_gallery_is_what_its_commands_draw(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "figure.png"
    changed = [str(file) if word == str(target(words).relative_to(ROOT)) else word for word in words]
    assert main(changed[1:]) == 0
    assert difference(file.read_bytes(), target(words).read_bytes()) < TOLERANCE
