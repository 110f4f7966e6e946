"""The commands in README.md with their outputs; ``python -m tests.readme`` writes the outputs again.

A block of README.md that starts with ```` ```console ```` holds commands after ``$`` and what they print; a line ``…``
stands for any number of lines left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GAP = "…"
# A terminal of 100 columns without colours.
TERMINAL = {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100", "LINES": "50"}


@dataclass(frozen=True)
class Example:
    """A command, and what README.md says that it prints."""

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


def blocks(text: str, language: str) -> list[str]:
    """Contents of the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def examples(text: str) -> Iterator[Example]:
    """Commands of the console blocks, in order."""
    for block in blocks(text, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *output = part.rstrip("\n").split("\n")
            yield Example(command, tuple(output))


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
    """What stands in README.md, from what is printed: as many lines from the start, from the end and in between.

    A run of lines in between starts where it started before: at the line with the same first word.
    """
    first, *middle = example.segments
    if not middle:
        return printed
    last = middle.pop()
    lines = printed[: len(first)]
    for segment in middle:
        word = segment[0].split(maxsplit=1)[0]
        start = next(i for i, line in enumerate(printed) if line.split(maxsplit=1)[:1] == [word])
        lines += [GAP, *printed[start : start + len(segment)]]
    return [*lines, GAP, *(printed[-len(last) :] if last else ())]


def main() -> None:
    """Write the outputs in README.md again."""
    text = README.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for example in examples(text):
            _, printed = run(["-m", *example.command.split()], Path(folder))
            old = "\n".join([f"$ {example.command}", *example.output])
            text = text.replace(old, "\n".join([f"$ {example.command}", *again(example, printed)]), 1)
        (code,), (output,) = blocks(text, "python"), blocks(text, "text")
        _, printed = run(["-c", code], Path(folder))
        text = text.replace(f"```text\n{output}", "\n".join(["```text", *printed, ""]))
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
