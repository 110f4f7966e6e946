"""README.md and docs/commands.md say what happens: commands exist and print what stands there, and the Python runs."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

import squeezesim as sq
from squeezesim.cli import app
from tests.readme import (
    COMMANDS,
    GAP,
    PAGES,
    README,
    ROOT,
    TUTORIAL,
    Example,
    again,
    blocks,
    examples,
    files,
    marked,
    programs,
    run,
)

TEXT = README.read_text(encoding="utf-8")
SHOWN = {page: list(examples(page.read_text(encoding="utf-8"))) for page in PAGES}
# Those of the tutorial build on each other: tests/test_tutorial.py.
EXAMPLES = [example for page in PAGES if page != TUTORIAL for example in SHOWN[page]]
FILES = files(COMMANDS.read_text(encoding="utf-8"))
ALL_PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def commands() -> list[str]:
    """Every command line that starts with squeezesim, in the code of all pages."""
    found = []
    for page in ALL_PAGES:
        text = page.read_text(encoding="utf-8")
        fenced = "\n".join(blocks(text, r"\w+")).replace("\\\n", " ")
        code = [*re.findall(r"`([^`\n]+)`", text), *fenced.splitlines()]
        parts = [
            part.strip().removeprefix("$ ").removeprefix(".venv/bin/")
            for line in code
            for part in line.split("&&")
        ]
        found += [part.partition("#")[0] for part in parts if part.startswith("squeezesim ")]
    return sorted(set(found))


@cache
def root() -> Any:
    return typer.main.get_command(app)


@pytest.mark.parametrize("command", commands())
def test_commands_and_options_exist(command: str) -> None:
    node = root()
    for word in shlex.split(command)[1:]:
        if word.startswith("-"):
            assert word in {option for parameter in node.params for option in parameter.opts} | {
                "--help",
                "-h",
            }
        elif getattr(node, "commands", None) and "|" not in word:
            node = node.commands[word]


def test_files_that_pages_name_exist() -> None:
    tops = "|".join(("squeezesim", "tests", "docs", "hwconfigs", "benchmarks", "examples"))
    for page in ALL_PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(rf"`((?:{tops})/[^`\s:]*)`", text):
            assert list(ROOT.glob(re.sub("NAME|FAMILY", "*", name))), (page.name, name)


def test_every_command_is_shown() -> None:
    lines = [f"{example.command} " for shown in SHOWN.values() for example in shown]
    for name, command in root().commands.items():
        if name == "serve":  # goes on until it is ended, and is at another address each time
            continue
        for inner in getattr(command, "commands", {"": None}):
            start = f"squeezesim {name} {inner}".rstrip() + " "
            assert any(line.startswith(start) for line in lines), start


def test_the_two_commands_differ_in_what_they_install_and_run() -> None:
    start = "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt -e "
    assert marked(TEXT, "main") == (
        f"{start}. && .venv/bin/squeezesim profile squeezenext_23 --hw hwconfigs/os_32x32.yaml"
    )
    assert marked(TEXT, "test") == f"{start}'.[dev]' && .venv/bin/pytest -n auto"


def test_outputs_are_rewritten_with_their_gaps() -> None:
    example = Example("x", ("a 1", GAP, "m 1", "n 1", GAP, "z 1"))
    printed = ["a 2", "b", "m 2", "n 2", "o", "z 2"]
    assert again(example, printed) == ["a 2", GAP, "m 2", "n 2", GAP, "z 2"]
    assert again(Example("x", ("a 1", GAP, "n 2", GAP)), ["a", "n 1", *printed]) == ["a", GAP, "n 2", GAP]
    assert again(Example("x", ("a",)), printed) == printed
    assert again(Example("x", ("a", GAP)), printed) == ["a 2", GAP]


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.command)
def test_commands_print_what_stands_there(example: Example, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    code, printed = run(["-m", *shlex.split(example.command)], tmp_path)
    assert code == (2 if example.output[0].startswith("error:") else 0), printed
    example.check(printed)


@pytest.mark.slow
def test_the_python_prints_what_stands_there(tmp_path: Path) -> None:
    ((code, output),) = programs(TEXT)
    assert run(["-W", "error", "-c", code], tmp_path) == (0, output.rstrip("\n").split("\n"))


def test_the_numbers_of_maps_that_stay() -> None:
    """The sentence with the latency and the traffic of the main command where no map stays."""
    option, value, latency, traffic = re.findall(
        r"`--set (\S+)=(\S+)` sends every map through DRAM: ([\d,]+) µs and ([\d.]+) MiB",
        COMMANDS.read_text(encoding="utf-8"),
    )[0]
    apart = sq.simulate("squeezenext_23", sq.Accelerator.named("os_32x32").replace({option: value})).totals
    assert (f"{apart['latency_us']:,.0f}", f"{apart['dram_bytes'] / 2**20:.1f}") == (latency, traffic)


def section(text: str, title: str) -> str:
    """What stands below a heading of the second level."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_errors_are_those_of_the_validation_page() -> None:
    """Each error in the table stands in the section that its row, or the last row with a link, points to."""
    text = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    by_anchor = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-"): section(text, title)
        for title in re.findall(r"^## (.*)$", text, re.MULTILINE)
    }
    anchor, compared = "", 0
    for row in re.findall(r"^\| .* \|$", section(TEXT, "Why trust it"), re.MULTILINE):
        anchor = (re.findall(r"validation\.md#([\w-]+)", row) or [anchor])[0]
        for error in re.findall(r"\d+\.\d %", row):
            assert re.search(rf"(?<![\d.]){re.escape(error)}", by_anchor[anchor]), (row, error)
            compared += 1
    assert compared


def test_the_times_are_those_of_the_performance_page() -> None:
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    least, most, zigzag, ours = re.findall(
        r"(\d+) to (\d+) times as long.*?([\d.]+ s) for squeezenet_1_0, ([\d.]+ ms) here", TEXT, re.DOTALL
    )[0]
    ratios = [int(number) for number in re.findall(r"(\d+)× \|", section(text, "Beside SCALE-Sim"))]
    assert (int(least), int(most)) == (min(ratios), max(ratios))
    assert f"| {zigzag} | {ours} |" in section(text, "Beside ZigZag")
