from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import squeezesim as sq
from squeezesim.explore.compare.compare import comparison
from squeezesim.explore.compare.comparison import of_report
from squeezesim.explore.compare.render import sections, to_json, to_markdown
from squeezesim.report.files import csv_text
from squeezesim.report.text import plain
from tests.cli.conftest import Run
from tests.report.cases import accelerator, report

SMALL = ("compare", "small.graph.json", "--hw", "small_8x8.yaml")


@pytest.fixture(autouse=True)
def _files(run: Run) -> None:
    """A second accelerator, and a saved report, in the folder of the command."""
    del run  # it has changed into the folder
    Path("wide.yaml").write_text(wide().to_yaml(), encoding="utf-8")
    report().save("saved.json")


def wide() -> sq.Accelerator:
    return accelerator({"name": "wide", "array.cols": 16})


def two() -> list[sq.Report]:
    return [report(), report({"name": "wide", "array.cols": 16})]


def test_it_prints_what_the_library_says(run: Run) -> None:
    code, out, err = run(*SMALL, "--hw", "wide.yaml")
    expected = comparison([of_report(item) for item in two()])
    assert (code, err) == (0, "")
    assert out == plain(sections(expected)) + "\n"
    for by in ("result", "stage", "layer"):
        rows = expected.rows(by)
        assert run(*SMALL, "--hw", "wide.yaml", "--by", by, "--format", "csv") == (0, csv_text(rows), "")
    for name, text in (("json", to_json(expected)), ("markdown", to_markdown(expected))):
        assert run(*SMALL, "--hw", "wide.yaml", "--format", name) == (0, text, "")


def test_the_csv_is_the_data_frame(run: Run) -> None:
    _, out, _ = run(*SMALL, "--hw", "wide.yaml", "--format", "csv")
    table = sq.compare("small.graph.json", ["small_8x8.yaml", "wide.yaml"])
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == list(table.columns)
    assert [float(row["latency_us"]) for row in rows] == pytest.approx(table.latency_us.tolist())


def test_files_hold_what_is_printed(run: Run) -> None:
    names = ["a/t.csv", "a/t.json", "t.md", "t.png", "t.svg"]
    outputs = [word for name in names[:4] for word in ("-o", name)]
    code, out, _ = run(
        *SMALL, "--hw", "wide.yaml", "--top1", "small=60", "--by", "stage", *outputs, "--plot", names[4]
    )
    assert code == 0
    assert out.endswith("\n\nwrote " + "\n      ".join(names) + "\n")
    for name, format in zip(names[:3], ("csv", "json", "markdown"), strict=True):
        printed = run(
            *SMALL, "--hw", "wide.yaml", "--top1", "small=60", "--by", "stage", "--format", format
        ).out
        assert Path(name).read_text(encoding="utf-8") == printed
    assert Path(names[3]).read_bytes().startswith(b"\x89PNG")
    assert Path(names[4]).read_bytes().startswith(b"<?xml")


def test_a_change_that_makes_it_slower_fails(run: Run) -> None:
    arguments = ("compare", "small.graph.json", "--hw", "slow.yaml", "--against", "saved.json")
    condition = ("--fail-if", "latency_us > +2%")
    Path("slow.yaml").write_text(accelerator().to_yaml(), encoding="utf-8")
    code, out, err = run(*arguments, *condition)
    assert (code, err) == (0, "")
    slow = accelerator({"control.layer_setup_cycles": 1000})
    Path("slow.yaml").write_text(slow.to_yaml(), encoding="utf-8")
    code, out, err = run(
        *arguments, *condition, "--format", "markdown", "-o", "summary.md", "-o", "data.json"
    )
    assert (code, err) == (1, "")
    assert out == Path("summary.md").read_text(encoding="utf-8")
    (verdict,) = json.loads(Path("data.json").read_text(encoding="utf-8"))["conditions"]
    assert (verdict["has_failed"], len(verdict["failures"])) == (True, 1)
    assert run(*arguments, "--fail-if", "params > 1M").code == 0
    assert run(*arguments, "--fail-if", "params > 1M", *condition).code == 1


def test_saved_reports_need_no_accelerator(run: Run) -> None:
    two()[1].save("wide.json")
    code, out, _ = run("compare", "saved.json", "wide.json")
    assert code == 0
    assert out == plain(sections(comparison([of_report(item) for item in two()]))) + "\n"


def test_a_network_beside_its_compressed_selves(run: Run) -> None:
    words = [
        "small.graph.json",
        "small.graph.json+prune=0.4",
        "small.graph.json+quantize=w4a4+prune=stem*=0.5",
    ]
    code, out, _ = run("compare", *words, "--hw", "small_8x8.yaml", "--format", "csv")
    given = report().network
    compressed = [sq.prune(given, 0.4), sq.compress(given, {"prune": {"stem*": 0.5}, "quantize": "w4a4"})]
    table = sq.compare([given, *compressed], accelerator())
    rows = list(csv.DictReader(io.StringIO(out)))
    names = ["small", "small+prune=0.4", "small+prune=stem*=0.5+quantize=w4a4"]
    assert (code, [row["network"] for row in rows], table.network.tolist()) == (0, names, names)
    assert [int(row["weights_bytes"]) for row in rows] == table.weights_bytes.tolist()
    assert table.weights_bytes.is_monotonic_decreasing
    assert table.dram_relative.iloc[2] < 1


def test_options_compress_every_network(run: Run) -> None:
    _, out, _ = run(*SMALL, "small.graph.json+prune=0.4", "--quantize", "w4a4", "--format", "csv")
    names = [row["network"] for row in csv.DictReader(io.StringIO(out))]
    assert names == ["small+quantize=w4a4", "small+prune=0.4+quantize=w4a4"]


def test_an_unmodelled_operator_with_strict(run: Run) -> None:
    assert run(*SMALL, "--strict").code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["small.graph.json"], "network 'small.graph.json' needs an accelerator: --hw FILE or NAME; allowed without: "),
        ([*SMALL[1:], "--baseline", "smal"], "baseline 'smal' is not compared; allowed: small, small_8x8; did you"),
        ([*SMALL[1:], "--by", "stages"], "--by 'stages'; allowed: result, stage, layer; did you mean 'stage'?"),
        ([*SMALL[1:], "--top", "3"], "--top is of stages or layers: give --by stage or --by layer"),
        ([*SMALL[1:], "--format", "markdwn"], "--format 'markdwn'; allowed: table, csv, json, markdown; did you mean"),
        ([*SMALL[1:], "-o", "x.cvs"], "cannot write 'x.cvs': files end in .csv, .json, .md, .png, .svg, found .cvs"),
        ([*SMALL[1:], "-o", "x"], "cannot write 'x': files end in .csv, .json, .md, .png, .svg, found no suffix"),
        ([*SMALL[1:], "--plot", "x.csv"], "--plot 'x.csv': a figure ends in .png or .svg"),
        ([*SMALL[1:], "--plot", "x.png"], "a figure of accuracy needs one, and none is known of small; allowed: "),
        ([*SMALL[1:], "--top1", "small"], "--top1 'small'; allowed: NETWORK=PERCENT, such as my_net=70.5"),
        ([*SMALL[1:], "--top1", "small=x"], "--top1 'small=x'; allowed: NETWORK=PERCENT, such as my_net=70.5"),
        ([*SMALL[1:], "--top1", "small=101"], "top-1 of 'small' is 101; allowed: per cent, from 0 to 100"),
        ([*SMALL[1:], "--against", "none.json"], "cannot read 'none.json': No such file or directory"),
        (["none.json"], "cannot read 'none.json': No such file or directory"),
        ([*SMALL[1:], "--against", "saved.json", "--baseline", "x"], "--baseline and --against both say what to"),
        ([*SMALL[1:], "--fail-if", "latency_us > +2%"], "'latency_us > +2%' compares with a baseline, and there is"),
        ([*SMALL[1:], "--fail-if", "energy_uj > 1"], "'energy_uj > 1': energy_uj of small on small_8x8 is not known: "),
        (["saved.json", "--batch", "2"], "--batch is for networks; 'saved.json' is a saved report, which is not sim"),
        (["saved.json", "--hw", "slow.yaml"], "--hw is for networks; 'saved.json' is a saved report, which is not sim"),
        (["saved.json", "-o", "saved.json"], "cannot write 'saved.json': it is an input of this command"),
        (["small.graph.json+prun=0.4", *SMALL[2:]], "unknown pass 'prun' in model 'small.graph.json+prun=0.4'; "),
        ([*SMALL[1:], "--prune", "1.5"], "a density, if neither N:M nor 'weights', must be a number from 0 to 1, "),
        (["small.graph.json+prune=0.4", *SMALL[2:], "-o", "small.graph.json"], "cannot write 'small.graph.json': it "),
        (["small_8x8.yaml", *SMALL[2:]], "'small_8x8.yaml' is no model that can be read; a model is "),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_writes_nothing(run: Run, arguments: list[str], message: str) -> None:
    before = sorted(Path().iterdir())
    code, out, err = run("compare", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert sorted(Path().iterdir()) == before


def test_a_mistake_in_a_condition_is_pointed_at_before_anything_runs(run: Run) -> None:
    code, out, err = run("compare", "no_such_network", "--hw", "none", "--fail-if", "latency > +2%")
    first, line, caret = err.splitlines()
    assert (code, out) == (2, "")
    assert first.startswith(
        "error: in a condition, at character 1: unknown name 'latency'; allowed: top1_percent, "
    )
    assert first.endswith("; did you mean 'latency_us' or 'latency_relative'?")
    assert (line, caret) == ("  latency > +2%", "  ^")
