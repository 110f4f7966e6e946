"""The site of docs/ has every page, every command and every public name; ``mkdocs build --strict`` checks its links."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import typer

import squeezesim
from squeezesim.cli import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_every_page_is_in_the_navigation_once() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = Counter(re.findall(r"[\w-]+\.md$", navigation, re.MULTILINE))
    assert listed == Counter(page.name for page in DOCS.glob("*.md"))


def test_every_command_has_a_section() -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    commands = getattr(typer.main.get_command(app), "commands", {})
    assert set(sections) == set(commands)
    for name, section in sections.items():
        assert re.search(rf"^(\$ )?squeezesim {name}\b", section, re.MULTILINE), name


def test_every_public_name_is_on_the_page_of_the_python_api_once() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    paths = [path.rpartition(".") for path in re.findall(r"^::: (\S+)$", text, re.MULTILINE)]
    assert sorted(name for _, _, name in paths) == sorted(squeezesim.__all__)
    for module, _, name in paths:
        assert getattr(import_module(module), name) is getattr(squeezesim, name)
