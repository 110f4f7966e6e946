from __future__ import annotations

import json

import pytest

from squeezesim import validate
from squeezesim.errors import UsageError
from squeezesim.reference.record import Bound, Check, Row, Table
from squeezesim.report.text import plain
from squeezesim.validate import SOURCES, Options, markdown, number, run, sections, to_json, verdict

CHECK = Check(
    name="chip",
    title="A chip",
    source="a paper",
    method="By simulation.",
    rows=(
        Row("conv1", "cycles", 1000, 1030),
        Row("conv2", "time", 2.5, 2.4567, "ms"),
        Row("conv3", "cycles", 0, 5),
    ),
    bounds=(Bound("times, largest error", 0.031, 0.03), Bound("cases that differ", 0, 0)),
    notes=("The paper misprints a|b.",),
    tables=(Table("errors without x", ("without", "max"), (("x", "9 %"),), "One at a time."),),
)


def test_text_has_everything() -> None:
    assert plain(sections(CHECK)) == (
        "chip: A chip\n\n"
        "source\n  a paper\n\n"
        "method\n  By simulation.\n\n"
        "reference and ours\n"
        "         quantity  reference   ours   error  unit\n"
        "  conv1  cycles        1,000  1,030  +3.0 %\n"
        "  conv2  time          2.500  2.457  −1.7 %  ms\n"
        "  conv3  cycles            0      5       ∞\n\n"
        "errors without x\n"
        "  without  max\n"
        "  x        9 %\n\n"
        "how\n  One at a time.\n\n"
        "notes\n  1. The paper misprints a|b.\n\n"
        "bounds\n"
        "  bound                 value  limit\n"
        "  times, largest error  3.1 %  3.0 %  BROKEN\n"
        "  cases that differ         0      0  ok"
    )


def test_markdown_is_a_page() -> None:
    page = markdown([CHECK])
    assert page.startswith("# Validation\n")
    assert "\n## A chip\n\n`squeezesim validate chip` · a paper\n\nBy simulation.\n" in page
    assert "| times, largest error | 3.1 % | 3.0 % | BROKEN |\n" in page
    assert "| conv2 | time | 2.500 | 2.457 | −1.7 % | ms |\n" in page
    assert "### Errors without x\n\nOne at a time.\n\n| without | max |\n| :-- | --: |\n| x | 9 % |\n" in page
    assert page.endswith("- The paper misprints a\\|b.\n")


def test_a_bar_in_a_cell_is_no_column() -> None:
    odd = Check("n", "t", "s", "m", rows=(Row("a|b", "q", 1, 1),))
    assert "| a\\|b | q | 1 | 1 | 0 |\n" in markdown([odd])


def test_json_reads_back() -> None:
    (document,) = json.loads(to_json([CHECK]))
    assert document["holds"] is False
    assert document["bounds"][0] == {
        "text": "times, largest error",
        "value": 0.031,
        "limit": 0.03,
        "holds": False,
    }
    assert [row["error"] for row in document["rows"]] == [
        pytest.approx(0.03),
        pytest.approx(2.4567 / 2.5 - 1),
        None,
    ]
    assert document["tables"][0]["rows"] == [{"without": "x", "max": "9 %"}]


def test_a_verdict_names_what_is_broken() -> None:
    assert verdict(CHECK) == ("chip: 1 of 2 bounds hold; BROKEN: times, largest error 3.1 %, limit 3.0 %")
    assert verdict(Check("n", "t", "s", "m", (), (Bound("b", 1, 2),))) == "n: 1 of 1 bound hold"


@pytest.mark.parametrize(
    ("value", "pair", "text"),
    [
        (12_345_678, (12_345_678, 12_345_679), "12,345,678"),
        (4.5e9, (4.5e9, 4.7e9), "4.500 G"),
        (16.5, (16.5, 16.0), "16.50"),
        (16.0, (16.5, 16.0), "16.00"),
        (0, (0, 0), "0"),
        (float("inf"), (1, float("inf")), "∞"),
    ],
)
def test_numbers(value: float, pair: tuple[float, float], text: str) -> None:
    assert number(value, pair) == text


def test_errors_and_bounds() -> None:
    assert Row("s", "q", 2.0, 2.5).error == 0.25
    assert Row("s", "q", 0, 0).error == 0
    assert Row("s", "q", 0, 1).error == float("inf")
    assert Bound("b", 0.03, 0.03).holds
    assert not Bound("b", 0.0301, 0.03).holds
    assert not CHECK.holds
    assert Check("n", "t", "s", "m", ()).holds


def test_every_source_is_a_check_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Options] = []

    def load(options: Options) -> Check:
        seen.append(options)
        return CHECK

    monkeypatch.setitem(validate.SOURCES, "chip", load)
    assert run("chip") is CHECK
    assert run("chip", Options(quick=True)) is CHECK
    assert [options.quick for options in seen] == [False, True]


def test_an_unknown_source_is_one_line_with_the_nearest() -> None:
    with pytest.raises(
        UsageError, match=r"^there is no source 'squeezenex'; allowed: .*; did you mean "
    ) as error:
        run("squeezenex")
    assert all(name in str(error.value) for name in SOURCES)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenext", "array"])
def test_sources_hold_where_they_are_quick(name: str) -> None:
    """The others are the same; the page in docs/ holds all of them as they are, tests/papers/ what they find."""
    check = run(name, Options(quick=True))
    assert check.name == name
    assert verdict(check).count("BROKEN") == 0
    assert check.bounds
