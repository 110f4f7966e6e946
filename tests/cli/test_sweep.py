from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from squeezesim import Accelerator, load
from squeezesim.cost.evaluate import Advance
from squeezesim.explore.sweep.render import sections
from squeezesim.explore.sweep.sweep import plan
from squeezesim.report.grid import Grid
from tests.cli.conftest import Run

SWEEP = ("sweep", "small.graph.json", "--hw", "small_8x8.yaml", "--jobs", "1")
TWO = (*SWEEP, "--set", "array.rows=4,8", "--set", "array.cols=array.rows")


def test_a_table_of_the_best_and_a_folder(run: Run) -> None:
    result = run(*TWO, "-o", "a.parquet")
    assert (result.code, result.err) == (0, "")
    assert Path("a.parquet").is_dir()
    table = pd.read_parquet("a.parquet")
    assert table["array.rows"].tolist() == [4, 8]
    assert table["latency_us"].gt(0).all()
    again = run(*TWO, "-o", "a.parquet")
    assert again == result


def test_every_sweep_has_a_folder_of_its_own(run: Run) -> None:
    assert run(*TWO).code == 0
    assert run(*SWEEP, "--set", "array.rows=4").code == 0
    names = sorted(path.name for path in Path("sweeps").iterdir())
    assert len(names) == 2
    assert all(name.startswith("small__small_8x8__") and name.endswith(".parquet") for name in names)


def test_csv_and_json_hold_all_rows_in_order(run: Run) -> None:
    args = (*TWO, "--set", "memory.dram.bandwidth_gb_s=1:16:x2", "--sort", "utilization", "-o", "a")
    csv = run(*args, "--format", "csv").out.splitlines()
    rows = json.loads(run(*args, "--format", "json").out)
    assert len(csv) == 1 + len(rows) == 11
    assert csv[0].startswith("design,network,array.rows,array.cols,memory.dram.bandwidth_gb_s,params,macs")
    shares = [row["utilization"] for row in rows]
    assert shares == sorted(shares, reverse=True)
    front = json.loads(run(*args, "--format", "json", "--front").out)
    assert 0 < len(front) <= len(rows)


def test_samples_and_conditions(run: Run) -> None:
    args = (*SWEEP, "--set", "array.rows=2:16", "--sample", "30", "--seed", "3", "--where", "array.rows <= 8")
    first = run(*args, "--format", "json").out
    rows = json.loads(first)
    assert 0 < len(rows) < 30
    assert all(2 <= row["array.rows"] <= 8 for row in rows)
    assert run(*args, "--format", "json").out == first
    assert run(*args, "--format", "json", "--method", "random").out != first


SEARCH = (
    *SWEEP[:-2],
    "--set",
    "array.rows=2:16",
    "--set",
    "memory.dram.bandwidth_gb_s=1:8",
    "--search",
    "25",
)


def test_a_search(run: Run) -> None:
    result = run(*SEARCH, "--front", "-o", "a")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "small on small_8x8, 25 designs"
    assert lines[2].strip() == "searched for latency and energy, seed 0"
    assert lines[4] == "the Pareto front of latency and energy, least latency_us first"
    assert run(*SEARCH, "--front", "-o", "a") == result
    rows = json.loads(run(*SEARCH, "-o", "a", "--format", "json").out)
    assert len(rows) == 25
    aims = ("--objectives", "utilization,dram_bytes", "--front")
    other = run(*SEARCH, *aims, "--sort", "utilization").out.splitlines()
    assert other[2].strip() == "searched for utilization and DRAM, seed 0"
    assert other[4] == "the Pareto front of utilization and DRAM, greatest utilization first"


def test_a_table_shows_what_a_search_is_for(run: Run) -> None:
    """CACTI at 45 nm, 256-bit words; whether designs are proposed or, in small grids, all are costed."""
    command = (
        "sweep",
        "small.graph.json",
        "--hw",
        "ws_32x32",
        "--objectives",
        "latency_us,area_mm2,array.rows",
    )
    for count in ("2", "3"):
        sizes = ("--set", "memory.global_buffer.size_kib=64,128,256", "--search", count)
        lines = run(*command, *sizes, "--sort", "area_mm2").out.splitlines()
        start = next(place for place, line in enumerate(lines) if line.endswith("buffer area mm²  rows"))
        rows = [line.split() for line in lines[start + 1 : start + 1 + int(count)]]
        areas = {"64": "0.1989", "128": "0.4738", "256": "0.8598"}
        assert [row[-2] for row in rows] == sorted(areas[row[1]] for row in rows)
        assert {row[-1] for row in rows} == {"32"}


def test_a_front_says_which_designs_it_leaves_out(run: Run) -> None:
    """Neither table has areas, and eyeriss_relative no joules; a design without a result is not one of them."""
    tables = (
        "--set",
        "energy.table=cacti_45nm,eyeriss_relative,horowitz_45nm,cacti_22nm",
        "--front",
        "-o",
        "a",
    )
    command = ("sweep", "small.graph.json", "--hw", "ws_32x32", *tables)
    sizes = ("--set", "memory.global_buffer.size_kib=0.01,256")
    area = run(*command, "--objectives", "area_mm2,latency_us")
    note = "left out of the front: 2 of 4 designs, without an area in their energy table"
    assert f"  {note}" in area.out.splitlines()
    both = run(*command[:-1], "b", *sizes, "--objectives", "area_mm2,energy_uj", "--format", "json")
    assert both.err == (
        "note: left out of the front: 2 of 8 designs, 2 without an area in their energy table, "
        "1 without joules in their energy table\n"
    )
    assert {row["energy.table"] for row in json.loads(both.out)} == {"cacti_22nm"}
    none = run(*command, "--objectives", "latency_us,dram_bytes", "--format", "csv")
    assert (none.err, len(none.out.splitlines())) == ("", 5)


def test_conditions_on_results(run: Run) -> None:
    rows = json.loads(run(*TWO, "--format", "json").out)
    most = min(row["latency_us"] for row in rows)
    where = ("--where", f"latency_us <= {most}")
    kept = json.loads(run(*TWO, *where, "--format", "json").out)
    assert [row["latency_us"] for row in kept] == [most]


def test_fronts_are_of_each_network(run: Run) -> None:
    two = ("sweep", "small.graph.json", "squeezenet_1_1", "--hw", "os_32x32", "--set", "clock_mhz=500,1000")
    rows = json.loads(run(*two, "--front", "--format", "json", "--jobs", "1").out)
    assert {row["network"] for row in rows} == {"small", "squeezenet_1_1"}


def test_each_network_has_its_share_of_the_rows(run: Run) -> None:
    two = ("sweep", "small.graph.json", "squeezenet_1_1", "--hw", "os_32x32", "--jobs", "1", "-o", "a")
    result = run(*two, "--set", "clock_mhz=500:1000:50", "--top", "5")
    table = result.out.split("first\n")[1].splitlines()
    assert [line.split()[0] for line in table[1:6]] == ["small"] * 3 + ["squeezenet_1_1"] * 2
    assert table[7].strip() == "5 of 22 rows"


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("width", [80, 60, 45])
def test_a_narrow_table_says_what_each_row_is_of(width: int) -> None:
    names = ["small", "squeezenet_1_1", "squeezenext_23"]
    networks = [load(name) for name in ("small.graph.json", *names[1:])]
    values = {"array.rows": "8,16", "array.cols": "8,16", "memory.global_buffer.size_kib": "64,128"}
    planned = plan(networks, Accelerator.named("os_32x32"), values)
    found = sections(planned, planned.table(0), 8, sort="latency_us", top=6, width=width)
    grid = found[1].body
    assert isinstance(grid, Grid)
    assert [column.header for column in grid.columns][:5] == ["network", "design", "rows", "cols", "size_kib"]
    assert len({row[0] for row in grid.cells}) == 3
    assert sum(grid.widths) + 2 * (len(grid.columns) - 1) <= width


def test_a_csv_holds_all_rows_and_comes_from_parts_that_are_kept(run: Run) -> None:
    more = (*TWO, "--set", "memory.dram.bandwidth_gb_s=1:16:x2")
    result = run(*more, "-o", "a.csv", "--top", "1")
    (folder,) = Path("sweeps").iterdir()
    assert result.out.splitlines()[-1] == f"wrote a.csv, from the parts in {folder}"
    assert Path("a.csv").read_text() == run(*more, "--format", "csv").out
    Path("a.csv").unlink()
    part = folder / "part-00000.parquet"
    made = part.stat().st_mtime_ns
    assert run(*more, "-o", "a.csv", "--top", "1") == result
    assert part.stat().st_mtime_ns == made
    assert run(*more, "-o", "small.graph.json").code == 2
    folder.rename("b.csv")  # what version 0.1 made of a name like this
    assert run(*more, "-o", "b.csv").out.splitlines()[-1] == "wrote the folder b.csv"
    assert part.name in {file.name for file in Path("b.csv").iterdir()}


def test_an_interruption_says_what_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from squeezesim.explore.sweep.plan import Plan

    table = Plan.table

    def interrupted(of: Plan, number: int, advance: Advance) -> object:
        if number == last:
            raise KeyboardInterrupt
        return table(of, number, advance)

    monkeypatch.setattr(Plan, "table", interrupted)
    command = (*SWEEP, "--set", "clock_mhz=1:1500:1", "-o", "big")
    last = 0
    assert run(*command) == (130, "", "no part was done yet, and nothing is kept\nerror: interrupted\n")
    assert not Path("big").exists()
    last = 1
    kept = "1,024 of 1,500 rows are in big; the same command goes on from there"
    assert run(*command) == (130, "", f"{kept}\nerror: interrupted\n")


def test_what_conditions_take_ranks_too(run: Run) -> None:
    """The array's PEs, and parameters that vary or not; the least first."""
    grid = (*SWEEP, "--set", "array.rows=8,2,4", "--set", "array.cols=4,16", "-o", "a")
    rows = json.loads(run(*grid, "--sort", "array.pes", "--format", "json").out)
    assert [row["array.pes"] for row in rows] == [8, 16, 32, 32, 64, 128]
    assert all(row["array.pes"] == row["array.rows"] * row["array.cols"] for row in rows)
    assert run(*grid, "--sort", "memory.dram.bandwidth_gb_s").code == 0
    front = json.loads(run(*grid, "--front", "--objectives", "array.pes,latency_us", "--format", "json").out)
    best = [
        row
        for row in rows
        if not any(
            other["array.pes"] <= row["array.pes"]
            and other["latency_us"] <= row["latency_us"]
            and (other["array.pes"], other["latency_us"]) != (row["array.pes"], row["latency_us"])
            for other in rows
        )
    ]
    assert sorted(row["design"] for row in front) == sorted(row["design"] for row in best)
    lines = run(*grid, "--front", "--objectives", "array.pes,latency_us").out.splitlines()
    assert "the Pareto front of PEs and latency, least latency_us first" in lines
    assert json.loads(run(*SEARCH, "--objectives", "array.pes,latency_us", "--format", "json").out)


def test_rows_without_a_result_say_why(run: Run) -> None:
    result = run(*SWEEP, "--set", "memory.global_buffer.size_kib=0.01,64")
    assert result.code == 0
    assert "1 row; the first: small_8x8: layer 'stem.conv' does not fit the global buffer" in result.out


@pytest.mark.parametrize("name", ["x.json", "a/x.MD", "x.html", "x.png", "x.xlsx"])
def test_a_file_of_another_format_is_refused(run: Run, name: str) -> None:
    result = run(*TWO, "-o", name)
    assert (result.code, result.out) == (2, "")
    suffix = Path(name).suffix.lower()
    assert result.err.startswith(
        f"error: -o {name!r}: a sweep writes no {suffix}; allowed: FILE.csv, or a folder"
    )
    assert result.err.count("\n") == 1
    assert not Path(name).exists()
    assert run(*TWO, "-o", "b").code == 0
    Path(name).parent.mkdir(exist_ok=True)
    Path("b").rename(name)  # what earlier versions made of a name like this
    assert run(*TWO, "-o", name).out.splitlines()[-1] == f"wrote the folder {name}"


@pytest.mark.parametrize("name", ["x.parquet", "x", "x.v2", "run-1.5"])
def test_any_other_name_is_a_folder(run: Run, name: str) -> None:
    assert run(*TWO, "-o", name).out.splitlines()[-1] == f"wrote the folder {name}"
    assert [file.name for file in Path(name).iterdir()] == ["part-00000.parquet"]


@pytest.fixture
def uncosted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Designs that are costed fail."""

    def fail(*_: object) -> None:
        raise AssertionError("it was costed")

    monkeypatch.setattr("squeezesim.explore.sweep.plan.cost_designs", fail)


@pytest.mark.usefixtures("uncosted")
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that takes no files is Linux's")
@pytest.mark.parametrize("name", ["/proc/x.csv", "/proc/x", "/proc/a/x.parquet"])
def test_a_folder_that_takes_no_files_is_found_before_costing(run: Run, name: str) -> None:
    result = run(*TWO, "-o", name)
    assert result.code == 2
    assert result.err == f"error: cannot write {name!r}: no file can be made in '/proc'\n"


@pytest.mark.usefixtures("uncosted")
@pytest.mark.parametrize("arguments", [(), ("-o", "x"), ("-o", "x.csv")])
@pytest.mark.skipif(sys.platform == "win32", reason="a folder that is in use cannot be removed")
def test_a_working_directory_that_is_gone_is_found_before_costing(
    run: Run, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setenv("PWD", str(gone))
    gone.rmdir()
    result = run(
        "sweep", "squeezenext_23", "--hw", "os_32x32", "--jobs", "1", "--set", "array.rows=8", *arguments
    )
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert f"the working directory {str(gone)!r}" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--set", "array.row=8"),
            "unknown parameter 'array.row'; allowed: dotted paths such as 'array.rows'; did",
        ),
        (("--set", "array.rows"), "--set 'array.rows'; allowed: PATH=VALUES, as array.rows=8,16,32"),
        (("--set", "array.rows=0,8"), "array.rows is 0; allowed: an integer from 1 to 4096 (PEs)"),
        (("--set", "array.rows=16:8:1"), "array.rows: range '16:8:1' is empty; allowed: "),
        (
            ("--set", "array.rows=8", "--set", "array.rows=16"),
            "--set array.rows is given twice; allowed: once",
        ),
        (("--set", "array.rows=8", "--where", "array.rows > 8"), "none of 1 designs meets 'array.rows > 8'"),
        (("--set", "array.rows=8", "--sample", "0"), "0 samples; allowed: from 1 to 1,000,000"),
        (("--set", "array.rows=8", "--method", "grid"), "--method 'grid'; allowed: latin, random"),
        (("--set", "array.rows=8", "--sort", "latency"), "--sort 'latency'; allowed: design, network, "),
        (("--set", "array.rows=8", "--sort", "problem"), "--sort 'problem'; allowed: design, network, "),
        (
            ("--set", "array.rows=8", "--front", "--objectives", "latency"),
            "there is no objective 'latency'; allowed: params, macs, ",
        ),
        (
            ("--set", "array.rows=8", "--search", "9", "--sample", "9"),
            "--sample and --search both choose designs; allowed: one of them",
        ),
        (
            ("--set", "array.rows=8", "--search", "9"),
            "--search costs a generation after the other in this process; allowed: no --jobs, no --cluster",
        ),
        (
            ("--set", "array.rows=8", "--hw", "os_32x32"),
            "--hw is given 2 times, as small_8x8.yaml, os_32x32; allowed: once",
        ),
        (("--set", "array.rows=8", "small.graph.json"), "network 'small' is given twice; allowed: once"),
        (("--set", "array.rows=8", "--method", "random"), "--method says how --sample draws; allowed: with"),
        (
            ("--set", "array.rows=8", "--seed", "0"),
            "--seed is that of samples or of a search; allowed: with --sample or --search",
        ),
        (
            ("--set", "array.rows=8", "--objectives", "latency_us"),
            "--objectives say what a search is for and what a front is of; allowed: with --search or --front",
        ),
        (
            ("--set", "array.cols=array.row"),
            "array.cols=array.row: unknown parameter 'array.row'; allowed: dotted paths such as 'array.rows'; "
            "did you mean 'array.rows'",
        ),
        (
            ("--set", "precision.weight_bits=8,16", "--sort", "energy_mac_equiv"),
            "--sort 'energy_mac_equiv' counts MACs of each design, whose worth varies with precision.weight_bits",
        ),
        (
            ("--set", "array.rows=8", "--where", "latency_us < 1ns"),
            "none of 1 rows meets 'latency_us < 1ns'",
        ),
        (
            ("--set", "array.rows=8", "-o", "small_8x8.yaml"),
            "cannot write 'small_8x8.yaml': it is a file; allowed: ",
        ),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    result = run(*SWEEP, *arguments)
    assert result.code == 2
    assert result.err.startswith(f"error: {message}")
    assert result.err.count("\n") == 1


def test_a_search_without_optuna(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    result = run(*SEARCH)
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: --search needs Optuna: pip install optuna\n"


def test_an_empty_column_sorts_nothing(run: Run) -> None:
    relative = ("sweep", "small.graph.json", "--hw", "squeezelerator_16x16", "--set", "array.rows=8,16")
    result = run(*relative, "--sort", "energy_uj")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: --sort 'energy_uj': the energy table of squeezelerator_16x16 is relative, without joules; "
        "allowed: energy_mac_equiv\n"
    )
    assert not Path("sweeps").exists()


def test_another_sweep_s_folder_is_refused(run: Run) -> None:
    assert run(*TWO, "-o", "a").code == 0
    before = {path: path.read_bytes() for path in Path("a").iterdir()}
    result = run(*SWEEP, "--set", "array.rows=4", "-o", "a")
    assert result.code == 2
    assert result.err.startswith(
        "error: cannot write 'a': it holds another sweep, of small on small_8x8 with "
    )
    assert {path: path.read_bytes() for path in Path("a").iterdir()} == before
