"""The programs of benchmarks/, as far as they go without measuring: what they compute, print, and run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

import squeezesim as sq
from benchmarks import commands, exploring, growth, machine, measure, page, serving, simulating
from benchmarks.block import Block, duration, times
from squeezesim.cli import app

ROOT = Path(__file__).parents[1]
BLOCK = Block.of("Speeds", ("what", "time"), [["a|b", "1.00 s"], ["c", "20.0 ms"]], "By `hand`.\n")


@given(
    power=st.floats(-3, 3),
    factor=st.floats(1e-6, 1e6),
    sizes=st.lists(st.integers(1, 10**6), min_size=2, max_size=9, unique=True),
)
def test_the_exponent_of_a_power_is_found(power: float, factor: float, sizes: list[int]) -> None:
    assert measure.exponent(sizes, [factor * size**power for size in sizes]) == pytest.approx(power, abs=1e-6)


def test_growth_lists_the_points_that_exponents_are_fitted_from() -> None:
    points = [growth.Point(size, 1e-3 * size**2, 0.5 * size) for size in (10, 100, 1000)]
    fitted, listed = growth.blocks({"things": points})
    assert fitted.grid.cells == [["things", "10", "1,000", "2.00", "1.00"]]
    assert listed.grid.cells == [
        ["things", "10", "100 ms", "10.0 ms", "5.00 MiB"],
        ["things", "100", "10.0 s", "100 ms", "50.00 MiB"],
        ["things", "1,000", "1000 s", "1.00 s", "500.00 MiB"],
    ]


@given(st.floats(1e-12, 1e6))
def test_durations_and_ratios_keep_their_value(value: float) -> None:
    number, unit = duration(value).split()
    assert float(number) * {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit] == pytest.approx(
        value, rel=0.0051, abs=0.0051e-9
    )
    ratio = times(value)
    assert ratio[-1] == "×"
    assert float(ratio[:-1].replace(",", "")) == pytest.approx(value, rel=0.051, abs=0.0051)


def test_durations_change_their_unit_where_they_round_to_the_next() -> None:
    assert [duration(seconds) for seconds in (0.99949, 0.9996, 9.994, 9.996, 99.94, 99.96)] == [
        *("999 ms", "1.00 s", "9.99 s", "10.0 s", "99.9 s", "100 s")
    ]


def test_times_of_repeated_work_are_its_median_and_range() -> None:
    calls: list[int] = []
    found = measure.repeated(lambda: calls.append(1), seconds=0, least=4)
    assert len(calls) == 5
    assert found.least <= found.median <= found.most
    one = measure.Times.of([0.003, 0.001, 0.002])
    assert (str(one), one.range) == ("2.00 ms", "1.00 ms – 3.00 ms")


def test_peak_memory_is_that_of_the_work() -> None:
    kept = bytearray(2**23)
    assert 4 <= measure.peak_mib(lambda: len(bytearray(2**22))) < 4.5
    assert len(kept) == 2**23


def test_a_block_as_text_as_a_page_and_between_processes() -> None:
    assert BLOCK.text() == "Speeds\n  what     time\n  a|b    1.00 s\n  c     20.0 ms"
    assert BLOCK.markdown() == (
        "## Speeds\n\n| what | time |\n| :-- | --: |\n| a\\|b | 1.00 s |\n| c | 20.0 ms |\n\nBy `hand`.\n"
    )
    again = Block.from_json(BLOCK.to_json())
    assert (again.text(), again.markdown()) == (BLOCK.text(), BLOCK.markdown())


def test_the_page_names_the_machine_but_not_the_host() -> None:
    known = machine.machine()
    assert {"processor", "cores", "memory", "Python", "numpy"} <= set(known)
    text = page.page(known, [BLOCK])
    assert text.startswith("# Performance\n\n")
    assert f"| cores | {known['cores']} |" in text
    assert text.endswith(BLOCK.markdown())
    assert not {"/tmp", "/home", "/root"} & set(text.split())


def test_a_command_is_run_where_it_is_told_and_measured(tmp_path: Path) -> None:
    code = "import pathlib, squeezesim; pathlib.Path('made').touch(); kept = bytearray(2**26)"
    run = measure.command(["-c", code], tmp_path)
    assert (tmp_path / "made").exists()
    assert run.seconds > 0
    assert 64 < run.mib < 512
    with pytest.raises(subprocess.CalledProcessError):
        measure.command(["-c", "raise SystemExit(3)"], tmp_path)


def test_moves_are_of_single_sliders_and_none_is_of_the_value_that_stands() -> None:
    class Answering(serving.Served):
        def ask(self, what: str, asked: object = None) -> None:
            said.append((what, asked))

        def computed(self) -> float:
            return 0.0

    said: list[tuple[str, object]] = []
    controls = [
        {"path": "array.rows", "value": 8, "values": [4, 8, 16]},
        {"path": "clock_mhz", "value": 1, "values": [1]},
    ]
    found = serving._moved(Answering(0, "", 0), {"network": "alexnet"}, "changes", controls, 10)
    assert len(found) == 2
    assert sorted(str(asked) for _, asked in said) == [
        f"{{'network': 'alexnet', 'changes': {{'array.rows': {rows}}}}}" for rows in (16, 4)
    ]


def test_commands_that_begin_cold_keep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Path] = []

    def command(_: object, folder: Path, own: dict[str, str]) -> measure.Run:
        folders.append(folder)
        assert bool(own) == ("first" in case.label)
        return measure.Run(len(folders), 1)

    monkeypatch.setattr(commands, "command", command)
    case = commands.Case("first", (), traced=False, compiled=False)
    assert [run.seconds for run in case.runs(3)] == [1, 2, 3]
    assert len(set(folders)) == 3
    folders.clear()
    case = commands.Case("again", ())
    assert [run.seconds for run in case.runs(3)] == [2, 3, 4]
    assert len(set(folders)) == 1


@pytest.mark.parametrize(
    "words",
    [*(list(case.arguments[2:]) for case in commands.CASES[1:]), ["sweep", *exploring.arguments()]],
    ids=lambda words: " ".join(words[:2]),
)
def test_commands_that_are_measured_can_be_read(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    context = command.commands[words[0]].make_context(words[0], words[1:])
    assert set(words[1:]) & {str(value) for value in _flat(context.params.values())}


def test_the_only_tiling_of_a_layer_of_one_mac_is_counted_for_each_dataflow() -> None:
    network = sq.Network.from_layers([sq.Layer.matmul("one", m=1, n=1, k=1)])
    assert simulating.tilings(network, sq.Accelerator.named("os_32x32")) == 1
    assert simulating.tilings(network, sq.Accelerator.named("squeezelerator_16x16")) == 2


@pytest.mark.parametrize(
    "make",
    [lambda: [growth.layers(different=True)], lambda: [growth.layer(growth.SIDES[:4])], growth.designs],
)
def test_the_smallest_work_of_a_series_runs(make: Callable[[], list[growth.Series]]) -> None:
    for series in make():
        assert len(series.jobs) >= 4
        assert series.jobs[min(series.jobs)]() is not None


def test_layers_of_the_series_all_differ() -> None:
    assert len(set(growth.SHAPES)) == len(growth.SHAPES) == 256


@pytest.mark.slow
def test_allocations_of_the_series_and_of_the_command_are_summed_up() -> None:
    series = growth.allocations()
    assert [len(job()) for job in series.jobs.values()] == list(series.jobs)


def _flat(values: Any) -> list[Any]:
    return [item for value in values for item in (value if isinstance(value, list | tuple) else [value])]
