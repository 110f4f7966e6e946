from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console

from squeezesim.explore.advise import ALIKE, APART, NOTHING, advise, document, sections
from squeezesim.network import Layer, Network
from squeezesim.report import units
from squeezesim.report.explain import explain
from squeezesim.report.names import display_name
from squeezesim.report.text import markdown, plain
from tests.cli.conftest import Run
from tests.report.cases import accelerator, report

SMALL = ("explain", "small.graph.json", "--hw", "small_8x8.yaml")


def test_a_pipe_gets_every_sentence_on_a_line(run: Run) -> None:
    made = report()
    code, out, err = run(*SMALL)
    assert (code, err) == (0, "")
    assert out == plain(sections(made, explain(made), advise(made))) + "\n"
    lines = [line.strip() for line in out.splitlines()]
    for part in explain(made):
        name, why = display_name(part.layers[0]), "; ".join(part.sentences[1:])
        assert any(line.endswith(f". {name}: {why}") for line in lines)
        (row,) = [line for line in lines if line.startswith(part.layers[0])]
        assert units.share(part.share) in row
    for proposal in advise(made):
        (row,) = [line for line in lines if line.startswith(proposal.change)]
        marks = row.split()[-1]
        assert units.share(proposal.saved_cycles / made.totals["cycles"]) in row
        assert f"{marks}  {proposal.assumption}" in lines


def test_json_has_the_sentences_with_their_numbers(run: Run) -> None:
    made = report()
    code, out, err = run(*SMALL, "--format", "json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["format"], found["version"]) == ("squeezesim.explanation", 1)
    assert (found["network"], found["accelerator"]) == ("small", "small_8x8")
    assert found["totals"]["cycles"] == made.totals["cycles"]
    assert [part["layers"] for part in found["layers"]] == [list(part.layers) for part in explain(made)]
    assert [part["sentences"] for part in found["layers"]] == [list(part.sentences) for part in explain(made)]
    for row, proposal in zip(found["proposals"], advise(made), strict=True):
        assert row["change"] == proposal.change
        assert row["assumption"] == proposal.assumption
        assert (
            row["saved_cycles"] == row["before"]["cycles"] - row["after"]["cycles"] == proposal.saved_cycles
        )
    assert ALIKE in found["assumptions"]
    assert found["unmodelled"] == [{"op": "fft", "count": 2, "module": "stage1"}]


def test_markdown(run: Run) -> None:
    made = report()
    out = run(*SMALL, "--format", "markdown").out
    assert out == markdown(sections(made, explain(made), advise(made)))


def test_files_are_written_by_their_suffix(run: Run) -> None:
    made = report()
    found = made, explain(made), advise(made)
    code, out, _ = run(*SMALL, "-o", "a/why.json", "-o", "why.md", "-o", "why.TXT")
    assert code == 0
    assert out == Path("why.TXT").read_text()
    assert Path("a/why.json").read_text() == document(*found)
    assert Path("why.md").read_text() == markdown(sections(*found))


def test_one_layer(run: Run) -> None:
    code, out, err = run(*SMALL, "--layer", "stage1.depthwise", "--format", "json")
    assert (code, err) == (0, "")
    assert [part["layers"] for part in json.loads(out)["layers"]] == [["stage1.depthwise"]]


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_wraps_sentences_below_their_numbers(run: Run, width: int) -> None:

    def console() -> Console:
        return Console(file=sys.stdout, width=width, force_terminal=True, color_system=None)

    with mock.patch("squeezesim.cli.output.console", console):
        out = run(*SMALL).out
    lines = out.splitlines()
    assert max(map(len, lines)) <= width
    first = next(index for index, line in enumerate(lines) if line.startswith("  1. "))
    assert lines[first + 1].startswith("     " if width == 80 else "  2. ")


def test_a_saved_report_is_explained_as_what_it_is_of(run: Run) -> None:
    changes = ("--objective", "energy", "--quantize", "w8a8")
    run("profile", *SMALL[1:], *changes, "-o", "report.json")
    assert run("explain", "report.json") == run(*SMALL, *changes)
    assert run("explain", "report.json", "--layer", "stem.conv").code == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (("--quantize", "w8a8"), "small+quantize=w8a8 on small_8x8\n"),
        (("--prune", "0.5"), "small+prune=0.5 on small_8x8\n"),
        (("--prune-channels", "stem.conv=0.5"), "small+prune_channels=stem.conv=0.5 on small_8x8\n"),
        (("--dataflow", "ws"), "array.dataflows ws → ws or os "),
        (("--objective", "edp"), "less energy · time of the network than "),
    ],
)
def test_the_options_of_profile_change_what_is_explained(
    run: Run, changes: tuple[str, ...], words: str
) -> None:
    code, out, err = run(*SMALL, *changes)
    assert (code, err) == (0, "")
    assert words in out
    assert out != run(*SMALL).out


def test_where_nothing_helps(run: Run) -> None:
    layer = Layer.matmul("a", m=1, n=8, k=8)
    Network.from_layers([layer], name="tiny").save("tiny.graph.json")
    slow = accelerator({"control.layer_setup_cycles": 10**6, "array.dataflows": ["ws", "os"]})
    Path("slow.yaml").write_text(slow.to_yaml(), encoding="utf-8")
    code, out, _ = run("explain", "tiny.graph.json", "--hw", "slow.yaml")
    assert code == 0
    assert f"proposals\n  {NOTHING}\n" in out
    assert ALIKE in out
    assert APART not in out


def test_strict_fails_where_an_operator_is_not_modelled(run: Run) -> None:
    assert run(*SMALL, "--strict").code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [*SMALL, "--layer", "stem.con"],
            "network 'small' has no layer 'stem.con'; allowed: a name that squeezesim",
        ),
        ([*SMALL, "--format", "html"], "--format 'html'; allowed: text, json, markdown"),
        (
            [*SMALL, "-o", "why.html"],
            "cannot write 'why.html': explanations end in .txt, .json, .md, found .html",
        ),
        ([*SMALL, "--hw", "b.yaml"], "--hw is given 2 times, as small_8x8.yaml, b.yaml; allowed: once"),
        ([*SMALL, "-o", "why"], "cannot write 'why': explanations end in .txt, .json, .md, found no suffix"),
        ([*SMALL, "-o", ""], "cannot write to '': a path is not empty"),
        ([*SMALL, "-o", "a.md", "-o", "a.md"], "cannot write 'a.md': it is named twice"),
        (["explain", "alexnet@conv1=3", "--hw", "os_32x32"], "'alexnet' has no option 'conv1'"),
        (
            ["explain", "small.graph.json", "--hw", "os_32x3"],
            "no accelerator 'os_32x3', neither a file nor a name",
        ),
        (
            ["explain", "small.graph.json"],
            "network 'small.graph.json' needs an accelerator: --hw FILE or NAME; allowed without: saved reports",
        ),
        (
            ["explain", "saved.json", "--hw", "os_32x32"],
            "--hw is for networks; 'saved.json' is a saved report",
        ),
        (
            ["explain", "saved.json", "--quantize", "w8a8"],
            "--quantize is for networks; 'saved.json' is a saved",
        ),
        (["explain", "saved.json"], "cannot read 'saved.json': No such file or directory"),
        ([*SMALL, "--dataflow", "rs"], "--dataflow 'rs'; allowed for small_8x8: ws, os, best"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(run: Run, arguments: list[str], message: str) -> None:
    before = sorted(Path().rglob("*"))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before
