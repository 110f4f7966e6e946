from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import squeezesim as sq
from squeezesim.cost.evaluate import Advance, ignore
from squeezesim.errors import OutputError, UsageError
from squeezesim.explore.sweep.execute import Store, local, run
from squeezesim.explore.sweep.plan import Plan, check_priced, front_mask, resolve_objectives
from squeezesim.explore.sweep.sweep import plan
from squeezesim.hardware.config import parameters
from squeezesim.report.metrics import total_names
from tests.report.cases import accelerator, network

NET, HW = network(), accelerator()
VALUES: dict[str, Any] = {
    "array.rows": "4,8",
    "array.cols": "array.rows",
    "memory.global_buffer.size_kib": "0.25,2,8",
    "memory.dram.bandwidth_gb_s": [1, 4],
    "energy.table": ["eyeriss_relative", "cacti_65nm"],
}


def small(chunk: int = 5, **changes: Any) -> Plan:
    return plan([NET], HW.replace({"energy.overrides": {}}), {**VALUES, **changes}, chunk=chunk)


def quiet(_done: int, _total: int) -> None:
    pass


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def same_as_simulated(table: pd.DataFrame, nets: list[sq.Network], base: sq.Accelerator) -> None:
    for row in table.to_dict("records"):
        changes = {path: value for path, value in row.items() if path in parameters()}
        net = next(net for net in nets if net.name == row["network"])
        if not pd.isna(row["problem"]):
            with pytest.raises(sq.HardwareError) as caught:
                sq.simulate(net, base.replace(changes))
            assert str(caught.value) == row["problem"]
            assert pd.isna(row["cycles"])
            continue
        report = sq.simulate(net, base.replace(changes))
        expected = report.totals
        assert {name: None if pd.isna(row[name]) else row[name] for name in total_names()} == expected


def test_every_row_is_that_of_one_simulation() -> None:
    base = HW.replace({"energy.overrides": {}})
    table = sq.sweep(NET, base, VALUES)
    assert [*table][:2] == ["design", "network"]
    assert [*table][2:] == [*VALUES, *total_names(), "bound", "problem"]
    assert table["design"].tolist() == list(range(24))
    assert table["problem"].notna().any()  # the table of 65 nm begins at more than 0.25 KiB
    assert table["problem"].isna().any()
    same_as_simulated(table, [NET], base)


def test_every_row_of_several_networks() -> None:
    nets = [sq.load("squeezenext_23"), sq.load("squeezenet_1_1")]
    hw = sq.Accelerator.named("os_32x32")
    values = {
        "array.dataflows": "ws+os,os",
        "clock_mhz": "200,1000",
        "memory.global_buffer.size_kib": "0.25,64",
    }
    table = sq.sweep(nets, hw, values, where="clock_mhz * memory.global_buffer.size_kib < 20000")
    assert table["network"].tolist()[:2] == ["squeezenext_23", "squeezenet_1_1"]
    plain = table.drop(columns="array.dataflows")
    for flows, part in plain.groupby(table["array.dataflows"]):
        same_as_simulated(part, nets, hw.replace({"array.dataflows": str(flows).split("+")}))


def test_names_stand_for_networks_and_accelerators() -> None:
    values = {"clock_mhz": [500, 1000]}
    nets = [sq.load("squeezenext_23"), sq.load("squeezenet_1_1")]
    expected = sq.sweep(nets, sq.Accelerator.named("os_32x32"), values)
    named = sq.sweep(["squeezenext_23", "squeezenet_1_1"], "os_32x32", values)
    pd.testing.assert_frame_equal(named, expected)
    pd.testing.assert_frame_equal(
        sq.sweep("squeezenet_1_1", "os_32x32", values), sq.sweep(nets[1], "os_32x32", values)
    )


@pytest.mark.parametrize(
    ("nets", "arguments", "message"),
    [
        ([], {}, "no network is given; allowed: at least one"),
        ([NET, NET], {}, "network 'small' is given twice; allowed: once"),
        (NET, {"jobs": 0}, "0 jobs; allowed: 1 or more"),
        (
            NET,
            {"jobs": 2, "search": 5},
            "a search costs a generation after the other; allowed: one job, not 2",
        ),
        (
            NET,
            {"objectives": ["latency_us"]},
            "objectives are those of a search; allowed: with search",
        ),
        (NET, {"samples": 5, "search": 5}, "samples and a search both choose designs; allowed: one of them"),
    ],
)
def test_mistakes_in_arguments(nets: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(sq.UsageError) as caught:
        sq.sweep(nets, HW, {"array.rows": [4, 8]}, **arguments)
    assert str(caught.value) == message


@pytest.mark.slow
def test_several_processes_need_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = {"memory.dram.bandwidth_gb_s": "1:300:0.25"}
    pd.testing.assert_frame_equal(sq.sweep(NET, HW, values, jobs=2), sq.sweep(NET, HW, values))
    assert list(tmp_path.iterdir()) == []


def test_chunks_do_not_change_results() -> None:
    whole = small(chunk=100).table(0).to_pandas()
    parts = small(chunk=5)
    assert parts.chunks == 5
    pd.testing.assert_frame_equal(
        pd.concat([parts.table(number).to_pandas() for number in range(5)], ignore_index=True),
        whole,
        check_dtype=False,
    )


def test_a_sweep_goes_on_from_what_is_there_and_then_does_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.parquet", small())
    seen: list[tuple[int, int]] = []

    def stopping(numbers: list[int], _advance: Advance) -> Any:
        yield from list(local(small(), 1)(numbers[:2], ignore))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(store, stopping, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 24), (5, 24), (10, 24)]
    assert store.done() == {0, 1}
    before = contents(store.path)
    (store.path / ".part-00002.parquet.x.part").write_bytes(b"half")  # what a killed process leaves
    run(store, local(small(), 1), lambda done, total: seen.append((done, total)))
    assert seen[3] == (10, 24)
    after = contents(store.path)
    assert {name: after[name] for name in before} == before
    run(store, lambda _numbers, _advance: (chunk for chunk in ()), quiet)
    assert contents(store.path) == after
    whole = small(chunk=100).table(0).to_pandas()
    found = pd.read_parquet(store.path)
    pd.testing.assert_frame_equal(found.reset_index(drop=True), whole, check_dtype=False)


def seen_of(planned: Plan, folder: Path, jobs: int) -> tuple[list[int], list[int]]:
    """Rows done as *planned* runs: all that its progress says, and those at the ends of chunks."""
    seen: list[int] = []
    run(Store(folder, planned), local(planned, jobs), lambda done, _total: seen.append(done))
    ends = [sum(planned.size(before) for before in range(number)) for number in range(planned.chunks + 1)]
    return seen, ends


def test_progress_is_by_rows_within_a_chunk(tmp_path: Path) -> None:
    planned = small(chunk=100)
    seen, ends = seen_of(planned, tmp_path / "a", 1)
    assert ends == [0, 24]
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 24)
    assert len(set(seen) - set(ends)) >= 2


def test_progress_within_a_chunk_goes_no_further_than_its_rows() -> None:
    """Also where designs do not fit, or are none."""
    told: list[float] = []
    planned = small(chunk=100, **{"memory.global_buffer.size_kib": [0.01, 2, 1e6]})
    fitting = planned.table(0, told.append)["problem"].null_count
    assert 0 < fitting < planned.size(0)
    assert fitting - 1e-9 <= sum(told) <= planned.size(0) + 1e-9
    assert all(rows > 0 for rows in told)


@pytest.mark.slow
def test_processes_tell_of_rows_within_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("squeezesim.explore.sweep.execute._LOOK", 0.01)
    values = {"array.rows": [8, 16], "memory.global_buffer.size_kib": "16:512:x2"}
    values |= {"memory.dram.bandwidth_gb_s": "2:64:x2", "clock_mhz": "100:400:100"}
    planned = plan([sq.load("squeezenet_1_1")], sq.Accelerator.named("hybrid_32x32"), values, chunk=144)
    seen, ends = seen_of(planned, tmp_path / "a", 2)
    assert len(ends) == 3
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 288)
    assert len(set(seen) - set(ends)) >= 4


def test_results_of_another_sweep_are_left_untouched(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.parquet", small())
    run(store, local(small(), 1), quiet)
    before = contents(store.path)
    other = Store(store.path, small(**{"array.rows": "4"}))
    with pytest.raises(
        OutputError, match=r"it holds another sweep, of small on small_8x8 with array\.rows, array\.cols"
    ):
        run(other, local(small(), 1), quiet)
    (store.path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"'notes\.txt' in it is no result of a sweep"):
        run(store, local(small(), 1), quiet)
    (store.path / "notes.txt").unlink()
    assert contents(store.path) == before
    (store.path / "part-00001.parquet").replace(store.path / "part-00000.parquet")
    with pytest.raises(OutputError, match="is another chunk, renamed"):
        store.done()
    (store.path / "part-00000.parquet").unlink()
    foreign = pd.DataFrame({"mine": [1]})
    foreign.to_parquet(store.path / "part-00000.parquet")
    with pytest.raises(OutputError, match="it holds another sweep; allowed: another path"):
        run(store, local(small(), 1), quiet)
    pd.testing.assert_frame_equal(pd.read_parquet(store.path / "part-00000.parquet"), foreign)
    file = tmp_path / "file.parquet"
    file.write_bytes(b"mine")
    with pytest.raises(OutputError, match="it is a file"):
        Store(file, small()).done()
    assert file.read_bytes() == b"mine"


def test_each_bit_of_a_part_is_checked(tmp_path: Path) -> None:
    """Wherever a bit is flipped: in values, in pages' heads, in the schema, in what is said of the sweep."""
    planned = small(chunk=100)
    store = Store(tmp_path / "a", planned)
    run(store, local(planned, 1), quiet)
    file = store.path / "part-00000.parquet"
    whole = file.read_bytes()
    for at in np.random.default_rng(0).choice(8 * len(whole), 150, replace=False).tolist():
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        file.write_bytes(changed)
        there, again = store.survey()
        assert there == set()
        assert list(again) == [file.name]
    for content in (b"", b"PAR1", whole[:1000], whole[1:], whole + b"x"):
        file.write_bytes(content)
        assert store.survey() == (set(), {file.name: "was changed"})
        with pytest.raises(OutputError, match="was changed"):
            store.part(0)
    said: list[str] = []
    run(store, local(planned, 1), quiet, said.append)
    assert said == [f"costed again: 'part-00000.parquet' in {store.path} was changed"]
    assert file.read_bytes() == whole


def without_digest(part: Path) -> None:
    """Write *part* as version 0.1 did."""
    table = pq.read_table(part)
    marks = json.loads(table.schema.metadata[b"squeezesim.sweep"]) | {"version": "0.1", "digest": "old"}
    pq.write_table(table.replace_schema_metadata({"squeezesim.sweep": json.dumps(marks)}), part)


def test_parts_of_another_version_are_costed_again(tmp_path: Path) -> None:
    """Also those of more and smaller chunks than there are now; those of another sweep are left."""
    store = Store(tmp_path / "a", small(chunk=5))
    run(store, local(small(chunk=5), 1), quiet)
    for part in store.path.iterdir():
        without_digest(part)
    whole = small(chunk=12)
    said: list[str] = []
    run(Store(store.path, whole), local(whole, 1), quiet, said.append)
    assert said == [f"costed again: 'part-00000.parquet' and 4 more in {store.path} has no checksum"]
    assert sorted(contents(store.path)) == ["part-00000.parquet", "part-00001.parquet"]
    assert Store(store.path, whole).read().num_rows == 24
    without_digest(store.path / "part-00000.parquet")
    other = small(**{"array.rows": "4"})
    with pytest.raises(OutputError, match="it holds another sweep, of small on small_8x8 with"):
        run(Store(store.path, other), local(other, 1), quiet)
    store.path.joinpath("part-00001.parquet").unlink()
    with pytest.warns(UserWarning, match=r"^costed again: 'part-00000.parquet' in .* has no checksum$"):
        sq.sweep(NET, whole.base, VALUES, path=store.path)


def test_a_sweep_of_version_0_1_is_costed_again(tmp_path: Path) -> None:
    data = Path(__file__).parents[2] / "data" / "saved_0_1"
    shutil.copytree(data / "sweep", tmp_path / "sweep")
    before = pd.read_parquet(tmp_path / "sweep")
    values = {
        "array.rows": "16,32",
        "array.cols": "array.rows",
        "memory.global_buffer.size_kib": "128:512:x2",
    }
    with pytest.warns(UserWarning, match=r"part-00000.parquet' in .* has no checksum$"):
        after = sq.sweep("squeezenet_1_1", str(data / "accelerator.yaml"), values, path=tmp_path / "sweep")
    assert [name for name in after.columns if name in before] == list(before.columns)
    assert after["array.rows"].tolist() == before["array.rows"].tolist()
    assert after["macs"].tolist() == before["macs"].tolist()


def test_chunks_end_where_the_array_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a chunk takes about a second, and nothing that designs share is found twice."""
    values = {"array.rows": "1:40:1", "clock_mhz": "100:500:100"}
    monkeypatch.setattr("squeezesim.explore.sweep.plan._WORK", 3 * len(NET.fused.layers))
    planned = plan([NET], HW, values)
    assert [planned.size(number) for number in range(planned.chunks)] == [15] * 13 + [5]
    few = plan([NET], HW, values | {"array.rows": "1:8:1"})
    tables = [few.table(number) for number in range(few.chunks)]
    assert [len(table) for table in tables] == [15, 15, 10]
    assert [row for table in tables for row in table["design"].to_pylist()] == list(range(40))
    monkeypatch.setattr("squeezesim.explore.sweep.plan._CHUNKS", 4)
    assert plan([NET], HW, values).chunks == 5
    assert plan([NET], HW, {"clock_mhz": "1:2000:1"}).chunks == 2


def test_files_say_what_they_are(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.parquet", small())
    run(store, local(small(), 1), quiet)
    about = json.loads(pq.read_metadata(store.path / "part-00001.parquet").metadata[b"squeezesim.sweep"])
    assert about["networks"] == ["small"]
    assert about["parameters"] == list(VALUES)
    assert (about["chunk"], about["chunks"], about["designs"]) == (1, 5, 24)


@pytest.mark.slow
def test_several_processes_give_the_same_files(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "one", small()), Store(tmp_path / "two", small())
    run(one, local(small(), 1), quiet)
    run(two, local(small(), 2), quiet)
    assert contents(one.path) == contents(two.path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["-m", "squeezesim"], ["-c", "import sys, squeezesim.cli as c; sys.exit(c.main())"]]
)
def test_processes_import_nothing_from_the_working_directory(tmp_path: Path, command: list[str]) -> None:
    for name in ("multiprocessing", "pickle", "numpy", "pyarrow", "random"):
        (tmp_path / f"{name}.py").write_text("open('it_ran', 'w').close()\n")
    environment = os.environ if command[0] == "-m" else {**os.environ, "PYTHONSAFEPATH": "1"}
    NET.save(tmp_path / "small.graph.json")
    words = ["sweep", "small.graph.json", "--hw", "os_32x32", "--set", "clock_mhz=1:2000:1", "--jobs", "2"]
    subprocess.run(
        [sys.executable, *command, *words], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    assert not (tmp_path / "it_ran").exists()


@pytest.mark.slow
def test_a_process_that_dies_is_replaced(tmp_path: Path) -> None:
    planned = plan([NET], HW, {"memory.dram.bandwidth_gb_s": "1:40:0.5"}, chunk=10)
    store, killed = Store(tmp_path / "a", planned), []

    def killing(done: int, _total: int) -> None:
        if done and not killed:
            victim = multiprocessing.active_children()[0]
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)
            killed.append(victim.pid)

    run(store, local(planned, 2), killing)
    assert killed
    assert store.done() == set(range(8))
    assert store.read().to_pylist() == [row for n in range(8) for row in planned.table(n).to_pylist()]


@pytest.mark.slow
def test_processes_that_always_die_end_a_sweep(tmp_path: Path) -> None:
    """A script that starts them where they would start again what started them."""
    script = tmp_path / "script.py"
    script.write_text(
        "import squeezesim as sq\n"
        "hw = sq.Accelerator.named('os_32x32')\n"
        "sq.sweep(sq.load('squeezenet_1_1'), hw, {'clock_mhz': '100:2000:1'}, path='a', jobs=2)\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100
    )
    # Python's tracker of resources may warn after it.
    (last,) = (
        line for line in done.stderr.splitlines() if "processes that cost designs died 3 times" in line
    )
    assert "; allowed: " in last
    assert last.endswith("below if __name__ == '__main__'")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT reaches what a test starts: a shell's background jobs ignore it, and so would all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_sweep_that_is_ended_loses_no_chunk_that_was_done(tmp_path: Path, sign: int, code: int) -> None:
    command = [sys.executable, "-m", "squeezesim", "sweep", "squeezenet_1_1", "--hw", "squeezelerator_16x16"]
    command += ["--set", "memory.dram.bandwidth_gb_s=4:36:0.01", "--jobs", "2", "-o", "a.parquet"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    folder, end = tmp_path / "a.parquet", time.monotonic() + 300
    while not list(folder.glob("part-*")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(sign)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in said
    if sign == signal.SIGINT:
        assert "rows are in a.parquet; the same command goes on from there" in said
    before = contents(folder)
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    after = contents(folder)
    parts = {name for name in before if name.startswith("part-")}
    assert {name: after[name] for name in parts} == {name: before[name] for name in parts}
    assert len(pd.read_parquet(folder, columns=["design"])) == 3201


def processes_of(group: int) -> list[str]:
    """What runs in the process group, but for what has ended and waits to be asked how."""
    command = ["ps", "-A", "-ww", "-o", "pgid=", "-o", "stat=", "-o", "args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [row[-1] for row in rows if row[0] == str(group) and not row[1].startswith("Z")]


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="signals to a group of processes are POSIX's")
@pytest.mark.parametrize(
    ("is_started", "waits"),
    [*((False, waits) for waits in ([], [0.0], [0.3], [0.1, 0.1])), (True, []), (True, [0.1, 0.1])],
    ids=str,
)
def test_ctrl_c_ends_a_sweep_at_once_however_often(
    tmp_path: Path, is_started: bool, waits: list[float]
) -> None:
    """It reaches every process of the terminal: workers too, as they start and as they cost."""
    command = [sys.executable, "-m", "squeezesim", "sweep", "squeezenet_1_1", "--hw", "squeezelerator_16x16"]
    command += ["--set", "array.rows=8:32:x2", "--set", "array.cols=8:32:x2", "--set", "clock_mhz=200:1000:1"]
    process = subprocess.Popen(
        [*command, "--jobs", "2", "-o", "a.parquet"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 100
        while not (
            list((tmp_path / "a.parquet").glob("part-*"))
            if is_started
            else any("spawn_main" in command for command in processes_of(process.pid))
        ):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        for wait in [0.0, *waits]:
            time.sleep(wait)
            os.killpg(process.pid, signal.SIGINT)
        out, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert out == ""
        assert said.splitlines()[-1] == "error: interrupted"
        assert "Traceback" not in said
        if not waits:
            parts = list((tmp_path / "a.parquet").glob("part-*"))
            rows = sum(pq.read_metadata(part).num_rows for part in parts)
            kept = f"{rows:,} of 7,209 rows are in a.parquet; the same command goes on from there\n"
            assert said.startswith(kept if parts else "no part was done yet, and nothing is kept\n")
        end = time.monotonic() + 20  # the parent does not wait for Python's tracker of resources
        while (left := processes_of(process.pid)) and time.monotonic() < end:
            time.sleep(0.05)
        assert left == []
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.mark.slow
def test_a_cluster_of_processes_of_which_one_is_killed(tmp_path: Path) -> None:
    """A scheduler and two workers; results are those of this process, whichever worker lives."""
    pytest.importorskip("distributed", exc_type=ImportError)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}

    def start(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "distributed.cli." + words[0],
                *words[1:],
                "--scheduler-file",
                "scheduler.json",
            ],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    processes = [start("dask_scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")]
    try:
        file, end = tmp_path / "scheduler.json", time.monotonic() + 120
        while not file.exists():
            assert time.monotonic() < end
            time.sleep(0.1)
        processes += [
            start("dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard") for _ in range(2)
        ]
        address = json.loads(file.read_text())["address"]
        sweep = [
            "squeezenet_1_1",
            "--hw",
            "squeezelerator_16x16",
            "--set",
            "memory.dram.bandwidth_gb_s=4:68:0.01",
        ]
        command = [sys.executable, "-m", "squeezesim", "sweep", *sweep, "--format", "csv", "--top", "1"]
        client = subprocess.Popen(
            [*command, "--cluster", address, "-o", "there"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        while not list((tmp_path / "there").glob("part-*")):
            assert client.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        processes[1].kill()
        assert client.wait(200) == 0
    finally:
        for process in processes:
            process.kill()
            process.wait()
    subprocess.run(
        [*command, "-o", "here"], cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert len(contents(tmp_path / "here")) == 7


def test_area_is_a_column_an_objective_and_a_condition() -> None:
    """CACTI at 45 nm, 256-bit words: 1.7977 mm² at 512 KiB, 13.623 at 4 MiB, twice that at 8 MiB."""
    size = "memory.global_buffer.size_kib"
    table = sq.sweep("squeezenext_23", "ws_32x32", {size: [512, 4096, 8192]})
    assert table["area_mm2"].tolist() == pytest.approx([1.7977, 13.623, 27.246], rel=1e-12)
    small = sq.sweep("squeezenext_23", "ws_32x32", {size: [512, 8192]}, where="area_mm2 < 20")
    assert small[size].tolist() == [512]
    planned = plan([sq.load("squeezenext_23")], sq.Accelerator.named("ws_32x32"), {size: [512, 4096, 8192]})
    front = front_mask(planned.table(0), planned.base, ["area_mm2", "dram_bytes"])
    order = np.argsort(table["area_mm2"])
    least = np.minimum.accumulate(table["dram_bytes"].to_numpy()[order])
    assert front.tolist() == [True, *(least[1:] < least[:-1])]


def test_area_where_the_table_has_none() -> None:
    base = sq.Accelerator.named("eyeriss")
    assert sq.sweep("squeezenext_23", base, {"array.rows": [8]})["area_mm2"].isna().all()
    assert resolve_objectives(["area_mm2"], base, ["energy.table"]) == ("area_mm2",)
    for check in (
        lambda: resolve_objectives(["latency_us", "area_mm2"], base, ["array.rows"]),
        lambda: sq.sweep("alexnet", "eyeriss", {"array.rows": [8]}, where="area_mm2 <= 3"),
        lambda: check_priced("--sort", "area_mm2", base, ["array.rows"]),
    ):
        with pytest.raises(
            UsageError, match=r"'eyeriss_relative' of eyeriss has no area; allowed: .* as cacti_22nm"
        ):
            check()


def test_patterns_with_colons_are_no_ranges() -> None:
    net = sq.prune(sq.load("resnet18"), "2:4")
    table = sq.sweep(net, "ws_32x32", {"sparsity.structured": "2:4,none"})
    assert table["sparsity.structured"].tolist() == ["2:4", "none"]
    assert table["cycles"][0] < 0.9 * table["cycles"][1]
    assert table["efficiency"][0] > table["utilization"][0]
    assert table["efficiency"][1] == table["utilization"][1]
