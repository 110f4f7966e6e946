from __future__ import annotations

import csv
import importlib
import io
import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console

import squeezesim as sq
from squeezesim.cli import main
from squeezesim.report.metrics import total_names
from tests.cli.conftest import Run

pytestmark = pytest.mark.torch  # networks of other depths are traced

MODEL = ("allocate", "squeezenext_23_v5", "--hw", "squeezelerator_16x16")
NARROW = ("--stage", "1-3", "--stage", "2-4", "--stage", "6-8", "--stage", "1-2")
RANGES = [(1, 3), (2, 4), (6, 8), (1, 2)]
BOTH = ("--hw", "squeezelerator_8x8")
HW = sq.Accelerator.named("squeezelerator_16x16")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_pipe_gets_every_section_and_column(run: Run) -> None:
    code, out, err = run(*MODEL, *NARROW, "--max-params", "800k", "--top", "3")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    table = sq.allocate("squeezenext_23_v5", HW, stages=RANGES, where="params <= 800k")
    assert lines[:4] == [
        "squeezenext_23_v5 on squeezelerator_16x16",
        "  54 ways to fill 4 stages (1–3, 2–4, 6–8, 1–2 blocks)",
        f"  {len(table)} of them within --max-params 800k",
        f"  {table.pareto.sum()} on the Pareto front of latency_us, energy_mac_equiv, params, macs, late_share",
    ]
    headings = [line for line in lines if line and not line.startswith(" ")]
    assert headings == [
        "squeezenext_23_v5 on squeezelerator_16x16",
        "the 3 allocations of least latency",
        "the best in each objective",
        "where the model and published networks stand",
        "moves from 2-4-14-1",
        "notes",
    ]
    header, *best = lines[lines.index(headings[1]) + 1 :][:4]
    assert " ".join(header.split()) == (
        "depth latency µs change energy (MACs) params MACs late params utilization DRAM front"
    )
    assert [line.split()[0] for line in best] == ["1-2-6-1", "1-2-7-1", "1-2-6-2"]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (80, "depth latency µs change energy (MACs) params late params front"),
        (200, "depth latency µs change energy (MACs) params MACs late params utilization DRAM front"),
    ],
)
def test_a_terminal_gets_the_columns_that_fit_it(
    width: int, columns: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def console() -> Console:
        return Console(file=sys.stdout, width=width, force_terminal=True, color_system=None)

    with mock.patch("squeezesim.cli.output.console", console):
        assert main([*MODEL, *NARROW]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    assert columns in {" ".join(line.split()) for line in lines}


def test_csv_has_all_allocations_of_all_accelerators(run: Run) -> None:
    rows = rows_of(run(*MODEL, *BOTH, *NARROW, "--format", "csv").out)
    assert [*rows[0]] == [
        "accelerator",
        "depth",
        "blocks",
        *total_names(),
        "late_share",
        "pareto",
        "published",
    ]
    assert len(rows) == 2 * 54
    table = sq.allocate(
        "squeezenext_23_v5",
        [HW, sq.Accelerator.named("squeezelerator_8x8")],
        stages=RANGES,
    )
    for row, expected in zip(rows, table.to_dict("records"), strict=True):
        assert row["depth"] == "-".join(map(str, expected["depth"]))
        assert (row["cycles"], row["params"]) == (str(expected["cycles"]), str(expected["params"]))
        assert row["pareto"] == str(expected["pareto"])
        assert row["energy_uj"] == ""


def test_files_hold_what_is_printed(run: Run) -> None:
    names = ("all.csv", "all.json", "all.md")
    options = [word for name in names for word in ("-o", name)]
    code, out, err = run(*MODEL, *NARROW, *options, "--plot", "all.png")
    assert (code, err) == (0, "")
    assert out.endswith("\nwrote all.csv\n      all.json\n      all.md\n      all.png\n")
    for name, form in (("all.csv", "csv"), ("all.json", "json")):
        assert Path(name).read_text(encoding="utf-8") == run(*MODEL, *NARROW, "--format", form).out
    page = Path("all.md").read_text(encoding="utf-8")
    assert page.startswith("# squeezenext_23_v5 on squeezelerator_16x16\n\n- 54 ways to fill 4 stages")
    assert "| 1-2-6-1 | 746.5 | " in page
    assert Path("all.png").read_bytes().startswith(b"\x89PNG")
    assert run(*MODEL, *NARROW, "--plot", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("all.png").read_bytes()


def test_files_have_every_allocation_whatever_is_shown(run: Run) -> None:
    shown = ("--top", "2", "--front")
    everything = {form: run(*MODEL, *NARROW, "--format", form).out for form in ("csv", "json")}
    code, out, _ = run(*MODEL, *NARROW, *shown, "-o", "all.csv", "-o", "all.json", "-o", "shown.md")
    assert code == 0
    assert "the 2 allocations of the Pareto front of least latency" in out
    for form, text in everything.items():
        assert Path(f"all.{form}").read_text(encoding="utf-8") == text
    assert "the 2 allocations of the Pareto front" in Path("shown.md").read_text(encoding="utf-8")
    assert len(rows_of(run(*MODEL, *NARROW, *shown, "--format", "csv", "-o", "all.csv").out)) == 2
    assert Path("all.csv").read_text(encoding="utf-8") == everything["csv"]


def test_json_says_what_was_asked_and_what_stands_where(run: Run) -> None:
    document = json.loads(run(*MODEL, *NARROW, "--max-latency", "1ms", "--top", "2", "--format", "json").out)
    (result,) = document.pop("results")
    assert document == {
        "model": "squeezenext_23_v5",
        "blocks": None,
        "stages": ["1-3", "2-4", "6-8", "1-2"],
        "options": [{}],
        "budgets": ["latency_us <= 1000.0"],
        "objectives": ["latency_us", "energy_mac_equiv", "params", "macs", "late_share"],
        "sort": "latency_us",
        "allocations": 54,
    }
    assert [row["depth"] for row in result["rows"]] == ["1-2-6-1", "1-2-7-1"]
    assert result["networks"][0]["network"] == "squeezenext_23_v5"
    assert result["networks"][0]["depth"] == "2-4-14-1"
    assert result["networks"][0]["is_allocation"] is False
    assert result["moves"] == []


def test_the_front_alone_and_another_order(run: Run) -> None:
    everything = rows_of(run(*MODEL, *NARROW, "--format", "csv").out)
    front = rows_of(run(*MODEL, *NARROW, "--format", "csv", "--front").out)
    assert front == [row for row in everything if row["pareto"] == "True"]
    assert 0 < len(front) < len(everything)
    by_params = rows_of(run(*MODEL, *NARROW, "--format", "csv", "--sort", "params", "--top", "5").out)
    assert [row["params"] for row in by_params] == sorted((row["params"] for row in everything), key=int)[:5]
    few = rows_of(run(*MODEL, *NARROW, "--format", "csv", "--front", "--objectives", " macs, params").out)
    assert 0 < len(few) < len(front)
    by_use = rows_of(run(*MODEL, *NARROW, "--format", "csv", "--sort", "utilization", "--top", "1").out)
    assert float(by_use[0]["utilization"]) == max(float(row["utilization"]) for row in everything)


def test_csv_is_made_in_parts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(*MODEL, *BOTH, *NARROW, "--format", "csv").out
    monkeypatch.setattr("squeezesim.explore.allocate.render._CHUNK", 7)
    assert run(*MODEL, *BOTH, *NARROW, "--format", "csv").out == whole
    monkeypatch.setattr("squeezesim.explore.allocate.render.MOST_OBJECTS", 50)
    assert run(*MODEL, *NARROW, "--format", "json") == (
        2,
        "",
        "error: 54 allocations are too many for JSON; allowed: at most 50, by budgets, or CSV\n",
    )
    assert run(*MODEL, *NARROW, "--format", "json", "--top", "50").code == 0


def test_options_are_columns(run: Run) -> None:
    ranges = ("--stage", "1", "--stage", "1-2", "--stage", "1", "--stage", "1")
    out = run(*MODEL, *ranges, "--set", "conv1=5,7", "--set", "wiring=serial", "--format", "csv").out
    rows = rows_of(out)
    assert [*rows[0]][:4] == ["accelerator", "conv1", "wiring", "depth"]
    assert sorted((row["conv1"], row["depth"]) for row in rows) == [
        *(("5", depth) for depth in ("1-1-1-1", "1-2-1-1")),
        *(("7", depth) for depth in ("1-1-1-1", "1-2-1-1")),
    ]
    text = run(*MODEL, *ranges, "--set", "conv1=5,7").out
    assert "  4 ways to fill 4 stages (1, 1–2, 1, 1 blocks), with conv1=5,7\n" in text


def test_an_accelerator_without_allocations_in_the_budgets_says_so(run: Run) -> None:
    options = ("--max-latency", "1ms", "--plot", "some.svg")
    code, out, _ = run(*MODEL, *BOTH, *NARROW, *options)
    assert code == 0
    assert "no allocation is within the budgets here" in out.partition("on squeezelerator_8x8")[2]
    assert Path("some.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert run(*MODEL, *BOTH, *NARROW, *options, "--format", "csv").out.count("squeezelerator_8x8") == 0


def test_one_allocation_is_the_network_itself(run: Run) -> None:
    ranges = [word for blocks in ("2", "4", "14", "1") for word in ("--stage", blocks)]
    code, out, _ = run(*MODEL, *ranges, "--plot", "one.png")
    assert code == 0
    lines = out.splitlines()
    assert lines[1] == "  1 way to fill 4 stages (2, 4, 14, 1 blocks)"
    assert lines[lines.index("the allocation of least latency") + 2].startswith(
        "  2-4-14-1       1,235  ±0.0 %"
    )
    assert "the best in each objective" not in lines
    assert Path("one.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stage", "6-2"), "the network has 4 stages: give as many ranges, one for each, found 1"),
        (("--stage", "a"), "the blocks of a stage are written 2-6 or 3, found 'a'"),
        (("--set", "conv1"), "values of an option are written option=value,value, found 'conv1'"),
        (("--set", "conv1=5,,7"), "values of an option are written option=value,value, found 'conv1=5,,7'"),
        (("--set", "conv1=5", "--set", "conv1=7"), "option 'conv1' is given twice"),
        (("-o", "all.parquet"), "files of allocations end in .csv, .json, .md, found .parquet"),
        (("--plot", "all.pdf"), "--plot 'all.pdf': a figure ends in .png or .svg"),
        (("-o", "a.csv", "-o", "a.csv"), "cannot write 'a.csv': it is named twice"),
        (("--format", "yaml"), "--format 'yaml'; allowed: table, csv, json"),
        (("--blocks", "0"), "Invalid value for '--blocks'"),
        (("--objectives", ""), "there is no objective ''"),
        (("--objectives", "macs, macs"), "objective 'macs' is named twice; allowed: once\n"),
        (
            ("--objectives", "energy_uj, params"),
            "objective 'energy_uj': the energy table of squeezelerator_16x16 is ",
        ),
        (("--max-params", "abc"), "not a number; allowed: one such as 1300"),
        (("--max-params", "-5"), "--max-params -5: nothing costs so little; allowed: a number above 0\n"),
        (("--max-macs", ""), "--max-macs: "),
        (("--max-latency", "1.3MB"), "--max-latency: "),
        (("--hw", "squeezelerator_16"), "no accelerator 'squeezelerator_16', neither a file nor a name"),
        (
            (*NARROW, "--max-params", "100k"),
            "no allocation meets --max-params 100k; the nearest, 1-2-6-1 on ",
        ),
    ],
)
def test_mistakes_are_a_line_and_leave_nothing(options: tuple[str, ...], message: str, run: Run) -> None:
    before = sorted(Path().iterdir())
    code, out, err = run(*MODEL, *options)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert sorted(Path().iterdir()) == before


def test_an_interruption_leaves_no_files(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("squeezesim.explore.allocate.figure.picture", interrupt)
    code, _, err = run(*MODEL, *NARROW, "-o", "all.csv", "--plot", "all.png")
    assert (code, err) == (130, "nothing was written\nerror: interrupted\n")
    assert not Path("all.csv").exists()


@pytest.mark.parametrize(
    ("called", "words"),
    [
        ("squeezesim.explore.allocate.study.study", (*MODEL, *NARROW, "-o", "all.csv")),
        ("squeezesim.simulate.simulate", ("profile", "small.graph.json", "--hw", "small_8x8.yaml")),
    ],
)
def test_an_interruption_says_that_nothing_was_written(
    run: Run, monkeypatch: pytest.MonkeyPatch, called: str, words: tuple[str, ...]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    module, _, name = called.rpartition(".")
    monkeypatch.setattr(importlib.import_module(module), name, interrupt)
    before = sorted(Path().iterdir())
    assert run(*words) == (130, "", "nothing was written\nerror: interrupted\n")
    assert sorted(Path().iterdir()) == before


def test_progress_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("squeezesim.cli.output.status", told.append)
    assert main([*MODEL, *NARROW, "--max-params", "1k"]) == 2
    assert told[:2] == ["tracing network 1 of 1", "costing on squeezelerator_16x16"]
    assert capsys.readouterr().err.startswith("error: no allocation meets --max-params 1k")


@pytest.mark.slow
def test_heavy_libraries_are_left_alone_where_networks_are_kept(tmp_path: Path) -> None:
    """Once the network is traced, allocations are printed without torch, pandas and matplotlib."""
    ranges = (word for blocks in ("1", "2", "2-3", "2") for word in ("--stage", blocks))
    command = ["allocate", "tiny_darknet", "--hw", "os_32x32", *ranges, "--format", "csv"]
    code = f"""
import sys
from unittest import mock
from pathlib import Path
from squeezesim.cli import main
with mock.patch("squeezesim.cache.cache_folder", lambda: Path({str(tmp_path)!r})):
    code = main({command!r})
print(code, [name for name in ("torch", "pandas", "matplotlib") if name in sys.modules], file=sys.stderr)
"""
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
        for _ in range(2)
    ]
    assert runs[1].stderr == "0 []\n"
    assert runs[0].stdout == runs[1].stdout
