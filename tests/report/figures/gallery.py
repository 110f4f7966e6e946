"""The commands of docs/figures.md, which draw its pictures."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "figures.md"


def commands() -> list[list[str]]:
    """Return the words of each command."""
    lines = re.findall(r"^squeezesim plot .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def target(words: list[str]) -> Path:
    """Return the file that a command writes."""
    return ROOT / words[words.index("-o") + 1]
