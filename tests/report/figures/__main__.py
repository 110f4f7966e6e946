"""Write the pictures of docs/figures.md, by the commands that stand there, and those that tests compare with."""

from __future__ import annotations

import os

from squeezesim.cli import main
from tests.report.figures.gallery import ROOT, commands
from tests.report.figures.references import FOLDER, NAMES, kept, picture

os.chdir(ROOT)
for words in commands():
    assert main(words[1:]) == 0, words
FOLDER.mkdir(exist_ok=True)
for name in NAMES:
    (FOLDER / f"{name}.png").write_bytes(kept(picture(name)))
