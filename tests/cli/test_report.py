from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SMALL = ("small.graph.json", "--hw", "small_8x8.yaml")


def test_a_network_on_an_accelerator_is_one_file(run: Run) -> None:
    result = run("report", *SMALL, "-o", "report.html")
    assert result == (0, "wrote report.html\n", "")
    text = Path("report.html").read_text(encoding="utf-8")
    assert "<h1><bdi>small</bdi> on <bdi>small_8x8</bdi></h1>" in text
    assert "squeezesim report small.graph.json --hw small_8x8.yaml -o report.html" in text
    assert "Table of proposals" in text
    assert sorted(path.name for path in Path().iterdir()) == [
        "report.html",
        "small.graph.json",
        "small_8x8.yaml",
    ]


def test_again_is_the_same_bytes(run: Run) -> None:
    run("report", *SMALL, "-o", "report.html")
    first = Path("report.html").read_bytes()
    run("report", *SMALL, "-o", "report.html")
    assert Path("report.html").read_bytes() == first


def test_a_saved_report_is_shown_without_being_simulated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("profile", *SMALL, "-o", "report.json")

    def never(*_: object) -> None:
        raise AssertionError

    # The package's own attribute of this name is the function.
    monkeypatch.setattr(sys.modules["squeezesim.simulate"], "simulate", never)
    assert run("report", "report.json", "-o", "report.html").code == 0
    assert "Table of proposals" not in Path("report.html").read_text(encoding="utf-8")


def test_the_page_of_a_saved_report_has_the_command_that_made_the_report(run: Run) -> None:
    changes = ("--quantize", "w8a8", "--objective", "energy")
    run("profile", *SMALL, *changes, "-o", "report.json", "-o", "layers.csv")
    assert run("report", "report.json", "-o", "report.html").code == 0
    text = Path("report.html").read_text(encoding="utf-8")
    assert "squeezesim report report.json -o report.html" in text
    typed = "squeezesim profile small.graph.json --hw small_8x8.yaml --quantize w8a8 --objective energy"
    assert f"<code>{typed}</code>" in text
    run(*typed.split()[1:], "-o", "again.json")
    assert Path("again.json").read_bytes() == Path("report.json").read_bytes()


def test_networks_times_accelerators_and_saved_reports_are_compared(run: Run) -> None:
    run("profile", *SMALL, "-o", "report.json")
    hardware = ("--hw", "small_8x8.yaml", "--hw", "os_32x32")
    assert run("report", "report.json", "small.graph.json", *hardware, "-o", "all.html").code == 0
    text = Path("all.html").read_text(encoding="utf-8")
    assert "<h1>3 results compared</h1>" in text
    assert text.count('<div class="result"') == 3


def test_options_change_the_result_and_stand_in_the_command(run: Run) -> None:
    changes = ("--dataflow", "ws", "--objective", "energy", "--quantize", "w8a8", "--no-advice")
    assert run("report", *SMALL, *changes, "-o", "report.html").code == 0
    text = Path("report.html").read_text(encoding="utf-8")
    command = "--hw small_8x8.yaml --quantize w8a8 --dataflow ws --objective energy --no-advice"
    assert f"squeezesim report small.graph.json {command} -o report.html" in text
    assert "small+quantize=w8a8" in text
    assert "array.dataflows</th><td>[ws]" in text
    assert "Table of proposals" not in text


def test_strict_fails_after_the_page_is_written(run: Run) -> None:
    assert run("report", *SMALL, "--strict", "-o", "report.html").code == 1
    assert Path("report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("small.graph.json", "-o", "x.html"), "network 'small.graph.json' needs an accelerator: --hw"),
        ((*SMALL, "-o", "x.pdf"), "cannot write 'x.pdf': a page ends in .html, found .pdf"),
        ((*SMALL, "-o", "x"), "found no suffix"),
        ((*SMALL, "-o", ""), "a path is not empty"),
        ((*SMALL,), "Missing option '--output' / '-o'"),
        (("saved.json", "-o", "x.html"), "cannot read 'saved.json': No such file or directory"),
        (
            ("saved.json", "--hw", "os_32x32", "-o", "x.html"),
            "--hw is for networks; 'saved.json' is a saved report",
        ),
        (("saved.json", "--dataflow", "ws", "-o", "x.html"), "--dataflow is for networks"),
        (("small.graph.json", "--hw", "os_32", "-o", "x.html"), "did you mean 'os_32x32'"),
        (("small_8x8.yaml", "--hw", "os_32x32", "-o", "small_8x8.yaml.html/x.html"), "small_8x8.yaml"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(run: Run, arguments: tuple[str, ...], message: str) -> None:
    result = run("report", *arguments)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert result.out == ""
    assert sorted(path.name for path in Path().iterdir()) == ["small.graph.json", "small_8x8.yaml"]


def test_a_report_that_is_broken_leaves_the_old_page(run: Run) -> None:
    Path("broken.json").write_text('{"format": "squeezesim.report"', encoding="utf-8")
    Path("old.html").write_text("old", encoding="utf-8")
    result = run("report", "broken.json", "-o", "old.html")
    assert result.code == 2
    assert "'broken.json': a report is not JSON" in result.err
    assert Path("old.html").read_text(encoding="utf-8") == "old"
