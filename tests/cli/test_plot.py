from __future__ import annotations

from pathlib import Path

import pytest

from squeezesim.report.figures.registry import KINDS, figure
from squeezesim.report.report import Report
from tests.cli.conftest import Run
from tests.report.cases import report

SMALL = ("small.graph.json", "--hw", "small_8x8.yaml")
TOP1 = ("--top1", "small=61.5")


def options(kind: str) -> tuple[str, ...]:
    return TOP1 if kind == "tradeoff" else ()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_a_saved_report(run: Run, kind: str) -> None:
    report().save("report.json")
    result = run("plot", kind, "report.json", "-o", "out/x.png", *options(kind))
    assert result == (0, "wrote out/x.png\n", "")
    top1 = {"top1": {"small": 61.5}} if kind == "tradeoff" else {}
    assert Path("out/x.png").read_bytes() == figure(kind, [Report.load("report.json")], "png", **top1)


def test_a_network_on_an_accelerator_in_several_formats(run: Run) -> None:
    result = run("plot", "losses", *SMALL, "-o", "a.svg", "-o", "b.PDF", "--theme", "dark")
    assert result == (0, "wrote a.svg\n      b.PDF\n", "")
    assert Path("a.svg").read_bytes() == figure("losses", [report()], "svg", theme="dark")
    assert Path("b.PDF").read_bytes().startswith(b"%PDF")


def test_reports_and_networks_together(run: Run) -> None:
    report({"clock_mhz": 250}).save("slow.json")
    assert run("plot", "stages", "slow.json", *SMALL, "-o", "x.svg").code == 0
    svg = Path("x.svg").read_text(encoding="utf-8")
    assert "small #2" in svg


def test_a_network_on_each_accelerator(run: Run) -> None:
    arguments = ("plot", "tradeoff", *SMALL, "--hw", "os_32x32", *TOP1, "-o", "x.svg")
    assert run(*arguments).code == 0
    svg = Path("x.svg").read_text(encoding="utf-8")
    assert "latency on small_8x8" in svg
    assert "latency on os_32x32" in svg


def test_options_of_kinds(run: Run) -> None:
    assert (
        run("plot", "timeline", *SMALL, "--layer", "stem.conv", "--layer", "head.fc", "-o", "x.svg").code == 0
    )
    svg = Path("x.svg").read_text(encoding="utf-8")
    assert "stem.conv: " in svg
    assert "stage1.add" not in svg
    assert run("plot", "utilization", *SMALL, "--equal", "-o", "x.svg").code == 0
    assert "3→16 3×3/2" in Path("x.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("rofline", "r.json", "-o", "x.png"),
            f"there is no figure 'rofline'; allowed: {', '.join(KINDS)}; did you mean 'roofline'?",
        ),
        (
            ("losses", "alexnet", "-o", "x.png"),
            "network 'alexnet' needs an accelerator: --hw FILE or NAME; allowed without: saved reports, .json",
        ),
        (("losses", "r.json", "-o", "x.png"), "cannot read 'r.json': No such file or directory"),
        (
            ("losses", "small.graph.json", "-o", "x.png"),
            "network 'small.graph.json' needs an accelerator: --hw FILE or NAME; allowed without: saved reports, .json",
        ),
        (
            ("losses", *SMALL, "-o", "x.jpg"),
            "cannot write 'x.jpg': figures end in .png, .svg, .pdf, found .jpg; did you mean '.png'?",
        ),
        (("losses", *SMALL, "-o", "x"), "cannot write 'x': figures end in .png, .svg, .pdf, found no suffix"),
        (
            ("losses", *SMALL, "--theme", "drak", "-o", "x.png"),
            "there is no theme 'drak'; allowed: light, dark",
        ),
        (
            ("losses", *SMALL, "--equal", "-o", "x.png"),
            "--equal is for the figure 'utilization', found 'losses'",
        ),
        (
            ("losses", *SMALL, "--layer", "a", "-o", "x.png"),
            "--layer is for the figure 'timeline', found 'losses'",
        ),
        (("losses", *SMALL, *TOP1, "-o", "x.png"), "--top1 is for the figure 'tradeoff', found 'losses'"),
        (
            ("losses", "a.json", "b.json", "-o", "x.png"),
            "the figure 'losses' is of one report, found 2",
        ),
        (("tradeoff", *SMALL, "--top1", "61", "-o", "x.png"), "--top1 '61'; allowed: NETWORK=PERCENT"),
        (
            ("tradeoff", *SMALL, "--top1", "small=a", "-o", "x.png"),
            "--top1 'small=a'; allowed: NETWORK=PERCENT",
        ),
        (
            ("tradeoff", *SMALL, "-o", "x.png"),
            "no top-1 accuracy of 'small' is known; give one, as small=70.5",
        ),
        (("timeline", *SMALL, "--layer", "stem.cov", "-o", "x.png"), "there is no layer 'stem.cov' in small"),
        (("losses", *SMALL, "-o", "x.png", "-o", "x.png"), "cannot write 'x.png': it is named twice"),
        (("losses", *SMALL), "Missing option '--output' / '-o'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    run: Run, arguments: tuple[str, ...], message: str
) -> None:
    result = run("plot", *arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith(f"error: {message}")
    assert result.err.count("\n") == 1
    assert sorted(path.name for path in Path().iterdir()) == ["small.graph.json", "small_8x8.yaml"]


def test_a_report_is_not_overwritten(run: Run) -> None:
    Path("r.svg").write_text("mine", encoding="utf-8")
    result = run("plot", "losses", "r.svg", "--hw", "os_32x32", "-o", "r.svg")
    assert result == (2, "", "error: cannot write 'r.svg': it is an input of this command\n")
    assert Path("r.svg").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("content", ["", "{}", "[1, 2", '{"format": "squeezesim.report", "version": 99}'])
def test_a_strangers_file_is_refused(run: Run, content: str) -> None:
    Path("r.json").write_text(content, encoding="utf-8")
    result = run("plot", "losses", "r.json", "-o", "x.png")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert not Path("x.png").exists()


def test_help_names_every_kind(run: Run) -> None:
    text = run("plot", "--help").out
    assert all(f"{kind}: " in " ".join(text.split()) for kind in KINDS)
