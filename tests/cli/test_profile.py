from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from squeezesim import __version__
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.dataflows import names
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.report import metrics
from squeezesim.report.files import FORMATS, csv_text
from squeezesim.report.report import Report
from squeezesim.report.serialize import decode
from squeezesim.report.text import text
from squeezesim.simulate import simulate
from tests.cli.conftest import Run
from tests.report.cases import accelerator, report

SMALL = ("profile", "small.graph.json", "--hw", "small_8x8.yaml")
FILES = ["layers.csv", "report.json", "utilization.png"]


def files() -> list[str]:
    """What lies in the folder beside the network and the accelerator."""
    given = ("small.graph.json", "small_8x8.yaml", "other.yaml")
    return sorted(str(path) for path in Path().rglob("*") if path.is_file() and str(path) not in given)


@pytest.mark.parametrize("option", [("--hw", "small_8x8.yaml"), ("--no-files",)])
def test_what_is_no_report_is_not_called_one(run: Run, option: tuple[str, ...]) -> None:
    Path("broken.json").write_text("{")
    Path("other.json").write_text('{"a": 1}')
    os.mkfifo("pipe.json")
    Path("folder.json").mkdir()
    for name, message in (
        ("broken.json", "a report is not JSON"),
        ("other.json", "no report: it must be an object"),
        ("pipe.json", "is no regular file"),
        ("folder.json", "Is a directory"),
    ):
        code, _, err = run("profile", name, *option)
        assert code == 2
        assert message in err
        assert "is a saved report" not in err


def test_paths_forge_no_line(run: Run) -> None:
    out = run("profile", "small.graph.json", "--hw", "small_8x8.yaml", "-o", "a\x1b[31m\n.csv").out
    assert out.endswith("\nwrote a\\x1b[31m\\n.csv\n")
    out = run("plot", "utilization", "small.graph.json", "--hw", "small_8x8.yaml", "-o", "a\nb.svg").out
    assert out == "wrote a\\nb.svg\n"


def test_it_prints_the_report_and_writes_three_files(run: Run) -> None:
    code, out, err = run(*SMALL)
    assert (code, err) == (0, "")
    names = [f"reports/small__small_8x8/{name}" for name in FILES]
    written = "\n      ".join(names)
    assert out == f"{text(report())}\n\nwrote {written}\n"
    assert files() == names
    assert Path(names[0]).read_text() == csv_text(report().rows())
    assert Report.load(names[1]) == report()
    assert Path(names[2]).read_bytes().startswith(b"\x89PNG")


def test_a_rerun_writes_the_same_bytes(run: Run) -> None:
    run(*SMALL)
    before = [Path(name).read_bytes() for name in files()]
    run(*SMALL)
    assert [Path(name).read_bytes() for name in files()] == before


@pytest.mark.parametrize("arguments", [["--no-files"], ["--format", "csv"], ["--format", "json"]])
def test_no_files_where_none_are_wanted(run: Run, arguments: list[str]) -> None:
    assert run(*SMALL, *arguments).code == 0
    assert files() == []


def test_only_the_files_that_are_named(run: Run) -> None:
    code, out, _ = run(*SMALL, "-o", "a/b.csv", "-o", "c.json", "--plot", "d.svg")
    assert code == 0
    assert out.endswith("\n\nwrote a/b.csv\n      c.json\n      d.svg\n")
    assert files() == ["a/b.csv", "c.json", "d.svg"]


def test_a_page_has_the_command_and_what_would_save_time(run: Run) -> None:
    assert run(*SMALL, "--dataflow", "ws", "-o", "page.html", "--plot", "a.svg").code == 0
    text = Path("page.html").read_text(encoding="utf-8")
    command = (
        "squeezesim profile small.graph.json --hw small_8x8.yaml --dataflow ws -o page.html --plot a.svg"
    )
    assert f"<code>{command}</code>" in text
    assert "import squeezesim" not in text
    assert "Table of proposals" in text


def test_each_report_holds_the_command_that_makes_it(run: Run) -> None:
    Path("other.yaml").write_text(Path("small_8x8.yaml").read_text().replace("small_8x8", "other"))
    run(*SMALL, "--hw", "other.yaml", "--dataflow", "ws")
    for name, folder in (("small_8x8", "small__small_8x8__ws"), ("other", "small__other__ws")):
        data = json.loads(Path("reports", folder, "report.json").read_text(encoding="utf-8"))
        words = ["profile", "small.graph.json", "--hw", f"{name}.yaml", "--dataflow", "ws"]
        assert data["made_by"] == {"squeezesim": __version__, "command": words}


def test_data_alone_on_stdout_beside_a_file(run: Run) -> None:
    code, out, err = run(*SMALL, "--format", "json", "-o", "a.csv")
    assert (code, err) == (0, "")
    assert decode(out) == report()
    assert files() == ["a.csv"]


def test_csv_alone_on_stdout(run: Run) -> None:
    assert run(*SMALL, "--format", "csv") == (0, csv_text(report().rows()), "")


@pytest.mark.parametrize("by", ["layer", "stage", "op"])
def test_csv_of_the_largest_rows(run: Run, by: str) -> None:
    code, out, _ = run(*SMALL, "--format", "csv", "--by", by, "--sort", "macs", "--top", "2")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    expected = sorted((row["macs"] for row in report().rows(by)), reverse=True)[:2]
    assert [int(row["macs"]) for row in rows] == expected


def test_several_accelerators_give_a_report_each(run: Run) -> None:
    other = accelerator({"name": "other", "array.rows": 4})
    Path("other.yaml").write_text(other.to_yaml())
    code, out, _ = run(*SMALL, "--hw", "other.yaml")
    assert code == 0
    assert out.startswith(f"{text(report())}\n\nsmall on other\n")
    assert files() == [f"reports/small__{name}/{file}" for name in ("other", "small_8x8") for file in FILES]

    rows = list(csv.DictReader(io.StringIO(run(*SMALL, "--hw", "other.yaml", "--format", "csv").out)))
    assert [row["accelerator"] for row in rows] == ["small_8x8"] * 8 + ["other"] * 8
    documents = json.loads(run(*SMALL, "--hw", "other.yaml", "--format", "json").out)
    assert [document["accelerator"]["name"] for document in documents] == ["small_8x8", "other"]


def test_dataflow_and_objective_change_the_accelerator(run: Run) -> None:
    options = ["--dataflow", "ws", "--objective", "energy", "--format", "json"]
    changed = accelerator({"array.dataflows": ["ws"], "mapper.objective": "energy"})
    made = decode(run(*SMALL, *options).out)
    assert made.accelerator == changed
    assert {row["dataflow"] for row in metrics.rows(made)} == {"ws", ""}


def test_the_best_dataflow_is_what_the_accelerator_offers(run: Run) -> None:
    assert run(*SMALL, "--dataflow", "best", "--format", "csv").out == csv_text(report().rows())


def test_a_run_with_other_settings_has_a_folder_of_its_own(run: Run) -> None:
    run(*SMALL, "--dataflow", "os", "--objective", "edp")
    assert files() == [f"reports/small__small_8x8__os__edp/{name}" for name in FILES]


def test_a_built_in_network_by_name(run: Run) -> None:
    code, out, err = run("profile", "squeezenet_1_1", "--hw", "squeezelerator_8x8", "--format", "csv")
    expected = simulate(load("squeezenet_1_1"), Accelerator.named("squeezelerator_8x8"))
    assert (code, err) == (0, "")
    assert out == csv_text(expected.rows())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["profile", "squeezenex_23", "--hw", "os_32x32"],
            "unknown network 'squeezenex_23'; did you mean 'squeezenext_23' or 'squeezenext_23_g' or "
            "'squeezenext_34'?",
        ),
        (
            ["profile", "alexnet", "--hw", "os_32x23"],
            "no accelerator 'os_32x23', neither a file nor a name; allowed: a YAML file, a SCALE-Sim .cfg or "
            f"{', '.join(Accelerator.names())}; "
            "did you mean 'os_32x32' or 'ws_32x32'?",
        ),
        (
            ["profile", "none.graph.json", "--hw", "os_32x32"],
            "there is no file 'none.graph.json'; did you mean 'small.graph.json'?",
        ),
        pytest.param(
            ["profile", "alexnet", "--hw", "os_32x32", "--input", "3x10x10"],
            "alexnet rejects input 1x3x10x10: layer 'stem.conv1' BiasConv(3, 96, kernel_size=(11, 11), stride=(4, 4)) "
            "got 1x3x10x10: Calculated padded input size per channel: (10 x 10). Kernel size: (11 x 11). Kernel size "
            "can't be greater than actual input size",
            marks=pytest.mark.torch,
        ),
        pytest.param(
            ["profile", "alexnet", "--hw", "os_32x32", "--input", "3xab"],
            "a shape is written as sizes joined by 'x', such as 3x227x227, found '3xab'",
            marks=pytest.mark.torch,
        ),
        (
            ["profile", "alexnet", "--hw", "os_32x32", "--input", "x=1x3x227x227", "--batch", "2"],
            "named inputs are literal, batch included: batch cannot be given with them",
        ),
        (
            [*SMALL, "--dataflow", "wss"],
            f"--dataflow 'wss'; allowed: {', '.join(names())}, best; did you mean 'ws'?",
        ),
        (
            ["profile", "alexnet", "--hw", "os_32x32", "--dataflow", "ws"],
            "--dataflow 'ws'; allowed for os_32x32: os, best",
        ),
        (
            [*SMALL, "--objective", "latncy"],
            "--objective 'latncy'; allowed: latency, energy, edp; did you mean 'latency'?",
        ),
        ([*SMALL, "--by", "lyer"], "--by 'lyer'; allowed: shape, layer, stage, op; did you mean 'layer'?"),
        ([*SMALL, "--format", "cvs"], "--format 'cvs'; allowed: table, csv, json; did you mean 'csv'?"),
        (
            [*SMALL, "--by", "op", "--sort", "cycle"],
            f"there is no column 'cycle'; allowed: {', '.join(report().rows('op')[0])}; did you mean 'cycles'?",
        ),
        (
            [*SMALL, "--format", "json", "--top", "2"],
            "--sort, --top and --by are for tables and CSV; --format json is the whole report",
        ),
        (
            [*SMALL, "-o", "r.htm"],
            f"cannot write 'r.htm': files end in {', '.join(FORMATS)}, found .htm; did you mean '.html'?",
        ),
        (
            [*SMALL, "-o", "small.graph.json/r.csv"],
            "cannot write 'small.graph.json/r.csv': Not a directory: ",
        ),
        ([*SMALL, "-o", ""], "cannot write to '': a path is not empty"),
        ([*SMALL, "--plot", ""], "cannot write to '': a path is not empty"),
        ([*SMALL, "-o", "r.csv", "-o", "r.csv"], "cannot write 'r.csv': it is named twice"),
        (
            [*SMALL, "-o", "r.png", "--plot", "../{here}/r.png"],
            "cannot write '../{here}/r.png': it is the same file as 'r.png'",
        ),
        (
            [*SMALL, "-o", "a.csv", "-o", "./small.graph.json"],
            "cannot write 'small.graph.json': it is an input of this command",
        ),
        ([*SMALL, "-o", "a" * 300 + ".csv"], f"cannot write '{'a' * 300}.csv': File name too long"),
        ([*SMALL, "--plot", "r.csv"], "--plot 'r.csv': a figure ends in .png or .svg"),
        ([*SMALL, "--plot", "r.foo"], "--plot 'r.foo': a figure ends in .png or .svg"),
        (
            [*SMALL, "--hw", "os_32x32", "-o", "r.csv"],
            "'r.csv' would hold one report, but there are 2 accelerators",
        ),
        (
            [*SMALL, "--hw", "small_8x8.yaml"],
            "two accelerators share a name, and so a folder: small_8x8, small_8x8",
        ),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(run: Run, arguments: list[str], message: str) -> None:
    here = Path.cwd().name
    message = message.replace("{here}", here)
    code, out, err = run(*(argument.replace("{here}", here) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.removesuffix("\n").startswith(f"error: {message}")
    assert err == f"error: {message}\n" or message.endswith(": ")
    assert err.count("\n") == 1
    assert files() == []


def test_malformed_yaml_is_named_with_line_and_column(run: Run) -> None:
    Path("bad.yaml").write_text("name: x\nclock_mhz: [\n")
    code, out, err = run("profile", "small.graph.json", "--hw", "bad.yaml")
    assert (code, out) == (2, "")
    assert err.startswith("error: bad.yaml:3:1: not valid YAML: ")


def test_a_network_without_macs(run: Run) -> None:
    Network.from_layers([Layer.vector("pool", op="max_pool", k=3)], name="pools").save("pools.graph.json")
    assert run("profile", "pools.graph.json", "--hw", "small_8x8.yaml") == (
        2,
        "",
        "error: network 'pools' has no MAC layer: nothing in it is a convolution or a matrix product\n",
    )


def test_a_layer_that_fits_no_buffer(run: Run) -> None:
    wide = Layer.conv("wide", c=1, k=1, oy=1, ox=1, fy=200, fx=200)
    Network.from_layers([wide]).save("wide.graph.json")
    code, out, err = run("profile", "wide.graph.json", "--hw", "small_8x8.yaml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(
        "error: small_8x8: layer 'wide' does not fit the global buffer even at the smallest tile"
    )


def test_a_folder_that_cannot_be_written_is_found_before_the_work(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "squeezesim.simulate")  # would be imported again, had the work begun
    Path("reports").write_text("a file")
    code, out, err = run(*SMALL)
    assert (code, out) == (2, "")
    place = Path("reports").absolute()
    assert err == (
        f"error: cannot write 'reports/small__small_8x8/layers.csv': Not a directory: {str(place)!r}\n"
    )
    assert "squeezesim.simulate" not in sys.modules


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(run: Run) -> None:
    Path("closed").mkdir(mode=0o500)
    _, _, err = run(*SMALL, "-o", "closed/r.csv")
    assert err.startswith("error: cannot write 'closed/r.csv': Permission denied: ")


def test_an_existing_folder_is_no_file(run: Run) -> None:
    Path("r.csv").mkdir()
    assert run(*SMALL, "-o", "r.csv") == (2, "", "error: cannot write 'r.csv': it is a folder\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no files of this kind")
def test_what_is_no_ordinary_file_is_not_replaced(run: Run) -> None:
    os.mkfifo("r.csv")
    assert run(*SMALL, "-o", "r.csv") == (
        2,
        "",
        "error: cannot write 'r.csv': it is no ordinary file\n",
    )
    assert Path("r.csv").is_fifo()


def test_an_interruption_leaves_no_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figure is made last, and the other files are not written before it."""

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr("squeezesim.report.figures.registry.figure", interrupted)
    code, out, err = run(*SMALL)
    assert (code, err) == (130, "nothing was written\nerror: interrupted\n")
    assert out == run(*SMALL, "--no-files").out
    assert files() == []


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_the_answer_does_not_wait_for_the_figure(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    printed: list[str] = []

    def figure(*_: object) -> bytes:
        printed.append(capsys.readouterr().out)
        return b"figure"

    answer = run(*SMALL, "--no-files", "--format", format).out
    monkeypatch.setattr("squeezesim.report.figures.registry.figure", figure)
    rest = run(*SMALL, "--plot", "a.png", "--format", format).out
    assert printed == [answer]
    assert rest == ("\nwrote a.png\n" if format == "table" else "")
    assert Path("a.png").read_bytes() == b"figure"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_files_are_written_where_stdout_is_full(run: Run) -> None:
    del run  # which makes the folder
    command = [sys.executable, "-m", "squeezesim", *SMALL, "-o", "a.csv"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: cannot write to stdout: No space left on device\n")
    assert Path("a.csv").read_text().startswith("name,")


def in_terminal(width: int, **environment: str) -> str:
    """The output of the command in a terminal."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "squeezesim", *SMALL, "--no-files"],
        stdout=follower,
        stderr=subprocess.PIPE,
        env={"TERM": "xterm", "COLUMNS": str(width), **environment},
    ) as process:
        os.close(follower)
        read = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # Linux says so where the other end is closed
                break
            if not part:
                break
            read += part
        assert process.stderr is not None
        assert process.stderr.read() == b""
    os.close(leader)
    assert process.returncode == 0
    return read.decode().replace("\r\n", "\n")


@pytest.mark.usefixtures("run")
def test_a_terminal_gets_colours_unless_it_wants_none() -> None:
    assert "\x1b[1;36m" in in_terminal(80)
    assert "\x1b[1;36m" not in in_terminal(80, NO_COLOR="1")
    golden = Path(__file__).parents[1] / "golden" / "profile-80.txt"
    assert in_terminal(80, TERM="dumb") == golden.read_text()


def test_a_saved_report_is_printed_again(run: Run) -> None:
    first = run(*SMALL, "-o", "r.json")
    again = run("profile", "r.json")
    assert (again.code, again.err) == (0, "")
    assert again.out == first.out.partition("\nwrote ")[0]
    for options in (["--by", "stage"], ["--format", "csv"], ["--format", "json"]):
        assert run("profile", "r.json", *options).out == run(*SMALL, "--no-files", *options).out
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    "options",
    [["--hw", "small_8x8.yaml"], ["--batch", "2"], ["--no-files"], ["--no-cache"], ["--stages", "a"]],
)
def test_options_that_do_nothing_for_a_saved_report_are_refused(run: Run, options: list[str]) -> None:
    run(*SMALL, "-o", "r.json")
    code, out, err = run("profile", "r.json", *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {options[0]} is for networks; 'r.json' is a saved report")


def test_stages_are_those_that_patterns_say(run: Run) -> None:
    rows = list(csv.DictReader(run(*SMALL, "--by", "stage", "--format", "csv").out.splitlines()))
    grouped = run(*SMALL, "--by", "stage", "--format", "csv", "--stages", "all=s*", "--stages", "head").out
    found = {row["stage"]: int(row["cycles"]) for row in csv.DictReader(grouped.splitlines())}
    cycles = {row["stage"]: int(row["cycles"]) for row in rows}
    assert found == {"all": cycles["stem"] + cycles["stage1"], "head": cycles["head"]}


def test_settings_change_the_accelerator_and_its_name(run: Run) -> None:
    words = ("--set", "array.rows=4", "--set", "array.dataflows=ws+os", "--format", "json")
    code, out, err = run("profile", "small.graph.json", "--hw", "small_8x8.yaml", *words)
    assert (code, err) == (0, "")
    made = json.loads(out)["accelerator"]
    assert (made["name"], made["array"]["rows"], made["array"]["dataflows"]) == (
        "small_8x8+rows-4+dataflows-ws-os",
        4,
        ["ws", "os"],
    )


def test_a_setting_that_cannot_be_is_one_line(run: Run) -> None:
    for setting, message in (
        (
            "array.row=4",
            "unknown parameter 'array.row'; allowed: dotted paths such as 'array.rows'; did you mean 'array.rows'?",
        ),
        ("array.rows", "--set 'array.rows'; allowed: PATH=VALUE, as array.rows=16"),
        ("array.rows=many", "array.rows is 'many'; allowed: an integer from 1 to 4096 (PEs)"),
        ("array.units.conv.unroll.k=8", "array.units.conv.unroll.k: no unit 'conv'; allowed: none here"),
        (
            "array.units.conv.rows=8",
            "unknown parameter 'array.units.conv.rows'; allowed: array.units.NAME.KEY, KEY one of ",
        ),
    ):
        code, out, err = run("profile", "small.graph.json", "--hw", "small_8x8.yaml", "--set", setting)
        assert (code, out) == (2, "")
        assert err.startswith(f"error: {message}")
        assert err.count("\n") == 1
    twice = ("--set", "array.rows=4", "--set", "array.rows=8")
    code, _, err = run("profile", "small.graph.json", "--hw", "small_8x8.yaml", *twice)
    assert (code, err) == (2, "error: --set array.rows is given twice; allowed: once\n")
