from __future__ import annotations

import json
from pathlib import Path

import pytest

from squeezesim.mapping import Mapping
from squeezesim.report.report import Report
from tests.cli.conftest import Run

ON = ("small.graph.json", "--hw", "small_8x8.yaml")


def test_profile_writes_a_mapping_and_costs_it_again(run: Run) -> None:
    assert run("profile", *ON, "-o", "a.mapping.json", "-o", "a.json", "-o", "a.csv").code == 0
    code, _, err = run("profile", *ON, "--mapping", "a.mapping.json", "-o", "b.json", "-o", "b.csv")
    assert (code, err) == (0, "")
    assert Path("b.csv").read_bytes() == Path("a.csv").read_bytes()
    one, other = Report.load("a.json"), Report.load("b.json")
    assert one == other
    assert other.mapped == tuple(Mapping.load("a.mapping.json").layers)
    assert other.made_by.command == ("profile", *ON, "--mapping", "a.mapping.json")


@pytest.mark.parametrize(
    "command",
    [("profile", "--no-files"), ("explain",), ("report", "-o", "page.html"), ("profile", "-o", "page.html")],
)
def test_what_was_given_is_said(run: Run, command: tuple[str, ...]) -> None:
    run("profile", *ON, "-o", "a.mapping.json")
    mapping = json.loads(Path("a.mapping.json").read_text(encoding="utf-8"))
    mapping["layers"] = mapping["layers"][:1]
    Path("a.mapping.json").write_text(json.dumps(mapping), encoding="utf-8")
    code, out, err = run(command[0], *ON, "--mapping", "a.mapping.json", *command[1:])
    assert (code, err) == (0, "")
    text = Path("page.html").read_text(encoding="utf-8") if "page.html" in command else out
    assert "the mapping of 1 layer was given, that of " in text


def test_default_files_are_those_of_the_mapping(run: Run) -> None:
    run("profile", *ON, "-o", "a.mapping.json")
    run("profile", *ON, "--mapping", "a.mapping.json")
    assert [path.name for path in Path("reports").iterdir()] == ["small__small_8x8__mapping-a"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--mapping", "none.mapping.json"), "cannot read 'none.mapping.json': No such file or directory"),
        (("--mapping", "bad.mapping.json"), "'bad.mapping.json': a mapping is not JSON: "),
        (("--mapping", "bad.mapping.json", "-o", "bad.mapping.json"), "'bad.mapping.json'"),
        (("--mapping", "a", "--mapping", "b"), "--mapping is given 2 times, as a, b; allowed: once"),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    Path("bad.mapping.json").write_text("{", encoding="utf-8")
    code, out, err = run("profile", *ON, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert Path("bad.mapping.json").read_text(encoding="utf-8") == "{"
