"""The commands on PAGES with their outputs; ``python -m tests.readme`` writes these again.

A block of a page that starts with ```` ```console ```` holds commands after ``$`` and what they print; a line ``…``
stands for any number of lines left out. A block whose first line is the comment ``# NAME.SUFFIX`` is a file that the
commands read.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
PAGES = (README, COMMANDS, TUTORIAL)
GAP = "…"
# A terminal of 100 columns without colours.
TERMINAL = {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100", "LINES": "50"}


@dataclass(frozen=True)
class Example:
    """A command, and what a page says that it prints."""

    command: str
    output: tuple[str, ...]

    @property
    def segments(self) -> list[list[str]]:
        """Runs of lines between gaps."""
        found: list[list[str]] = [[]]
        for line in self.output:
            if line == GAP:
                found.append([])
            else:
                found[-1].append(line)
        return found

    def check(self, printed: list[str]) -> None:
        """Fail where *printed* is not what the page says."""
        position = 0
        for number, segment in enumerate(self.segments):
            starts = range(position, len(printed) - len(segment) + 1) if number else [0]
            found = next((i for i in starts if printed[i : i + len(segment)] == segment), None)
            assert found is not None, (segment, printed)
            position = found + len(segment)
        assert position == len(printed) or not self.segments[-1]


def blocks(text: str, language: str) -> list[str]:
    """Contents of the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def examples(text: str) -> Iterator[Example]:
    """Commands of the console blocks, in order."""
    for block in blocks(text, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *output = part.rstrip("\n").split("\n")
            yield Example(command, tuple(output))


def files(text: str) -> dict[str, str]:
    """Files that a page shows, by name."""
    named = [(re.match(r"# (\w+\.\w+)\n", block), block) for block in blocks(text, r"\w+")]
    return {name[1]: block for name, block in named if name}


def programs(text: str) -> list[tuple[str, str]]:
    """The Python of a page before a block of text, each with that: what the page says that it prints."""
    pairs = r"^```python\n((?:(?!```).*\n)*)```\n\n```text\n((?:(?!```).*\n)*)```$"
    return re.findall(pairs, text, re.MULTILINE)


def marked(text: str, name: str) -> str:
    """The command after ``<!-- command: NAME -->``."""
    (command,) = re.findall(rf"^<!-- command: {name} -->\n```sh\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)
    return str(command)


def run(arguments: list[str], folder: Path) -> tuple[int, list[str]]:
    """Exit code and lines of a Python command (``-m squeezesim …``) in *folder*, where hwconfigs/ is."""
    link = folder / "hwconfigs"
    if not link.exists():
        link.symlink_to(ROOT / "hwconfigs")
    environment = {**os.environ, **TERMINAL, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, [line.rstrip() for line in done.stdout.rstrip("\n").split("\n")]


def again(example: Example, printed: list[str]) -> list[str]:
    """What stands on the page, from what is printed: as many lines from the start, from the end and in between.

    A run of lines in between starts where it started before: at the same line, or else at one with the same first word.
    """
    first, *middle = example.segments
    if not middle:
        return printed
    last = middle.pop()
    lines = printed[: len(first)]
    for segment in middle:
        word = segment[0].split(maxsplit=1)[0]
        alike = [i for i, line in enumerate(printed) if line.split(maxsplit=1)[:1] == [word]]
        start = printed.index(segment[0]) if segment[0] in printed else alike[0]
        lines += [GAP, *printed[start : start + len(segment)]]
    return [*lines, GAP, *(printed[-len(last) :] if last else ())]


def main() -> None:
    """Write the outputs on all pages again."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file, content in files(text).items():
                (folder / file).write_text(content, encoding="utf-8")
            for example in examples(text):
                _, printed = run(["-m", *shlex.split(example.command)], folder)
                old = "\n".join([f"$ {example.command}", *example.output])
                text = text.replace(old, "\n".join([f"$ {example.command}", *again(example, printed)]), 1)
            for code, output in programs(text):
                _, printed = run(["-c", code], folder)
                text = text.replace(f"```text\n{output}", "\n".join(["```text", *printed, ""]))
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
