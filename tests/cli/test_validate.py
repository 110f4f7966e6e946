from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from squeezesim import validate
from squeezesim.reference.record import Bound, Check, Row
from squeezesim.validate import Options
from tests.cli.conftest import Run

GOOD = Check(
    name="good",
    title="What is right",
    source="a book",
    method="By counting.",
    rows=(Row("one", "count", 1, 1),),
    bounds=(Bound("counts that differ", 0, 0),),
)
BAD = replace(GOOD, name="bad", title="What is not", bounds=(Bound("largest error", 0.05, 0.03),))


SOURCES = dict(validate.SOURCES)


@pytest.fixture(autouse=True)
def _two_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(options: Options) -> Check:
        options.progress("half way")
        return replace(BAD, title="quick" if options.quick else BAD.title)

    monkeypatch.setattr(validate, "SOURCES", {"good": lambda _: GOOD, "bad": bad})


def test_what_holds_is_zero(run: Run) -> None:
    code, out, err = run("validate", "good")
    assert (code, err) == (0, "")
    assert out.startswith("good: What is right\n\nsource\n  a book\n\nmethod\n  By counting.\n")
    assert out.endswith(
        "bounds\n"
        "  bound               value  limit\n"
        "  counts that differ      0      0  ok\n"
        "\n"
        "good: 1 of 1 bound hold\n"
    )


def test_a_broken_bound_is_one_and_named(run: Run) -> None:
    code, out, err = run("validate")
    assert (code, err) == (1, "")
    assert "\n  largest error  5.0 %  3.0 %  BROKEN\n" in out
    assert out.endswith(
        "good: 1 of 1 bound hold\nbad: 0 of 1 bound hold; BROKEN: largest error 5.0 %, limit 3.0 %\n"
    )


def test_sources_run_once_in_the_order_given(run: Run) -> None:
    code, out, _ = run("validate", "bad", "good", "bad", "--format", "json")
    assert code == 1
    assert [check["name"] for check in json.loads(out)] == ["bad", "good"]


def test_data_alone_is_printed_and_what_is_broken_goes_to_stderr(run: Run) -> None:
    code, out, err = run("validate", "--format", "json")
    assert [check["holds"] for check in json.loads(out)] == [True, False]
    assert (code, err) == (1, "bad: 0 of 1 bound hold; BROKEN: largest error 5.0 %, limit 3.0 %\n")


def test_quick_is_passed_on(run: Run) -> None:
    assert "bad: quick\n" in run("validate", "bad", "--quick").out
    assert "bad: What is not\n" in run("validate", "bad").out


def test_a_page_goes_to_a_file(run: Run) -> None:
    code, out, err = run("validate", "--format", "markdown", "-o", "docs/page.md")
    assert (code, err) == (1, "")
    assert out.startswith("wrote docs/page.md\ngood: 1 of 1 bound hold\n")
    assert Path("docs/page.md").read_text(encoding="utf-8") == run("validate", "--format", "markdown").out


def test_progress_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("validate", "bad").err == ""
    told: list[str] = []
    monkeypatch.setattr("squeezesim.cli.output.status", told.append)
    run("validate", "bad")
    assert told == ["bad: computing", "bad: half way", ""]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bda"], "there is no source 'bda'; allowed: good, bad; did you mean 'bad'?"),
        (
            ["--format", "markdwn"],
            "--format 'markdwn'; allowed: table, markdown, json; did you mean 'markdown'?",
        ),
        (["-o", "small_8x8.yaml/x"], "cannot write 'small_8x8.yaml/x': "),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run("validate", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_a_real_source_as_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "SOURCES", SOURCES)
    code, out, err = run("validate", "array", "--quick", "--format", "json")
    assert (code, err) == (0, "")
    assert [check["name"] for check in json.loads(out)] == ["array"]
