from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

import squeezesim as sq
from squeezesim.errors import OutputError, SqueezesimError
from squeezesim.explore.sweep import nsga
from squeezesim.explore.sweep.execute import Store, encode, run
from squeezesim.explore.sweep.nsga import Search, generations
from squeezesim.explore.sweep.plan import Plan, resolve_objectives
from squeezesim.explore.sweep.sweep import plan_search
from tests.explore.sweep.test_sweep import contents, quiet, same_as_simulated
from tests.report.cases import accelerator, network

WHOLE, HW = network(), accelerator()
# Each design is another array and buffer, and its costs a search for each layer: two are enough.
NET = sq.Network.from_layers(
    [
        sq.Layer.conv("a", c=16, k=24, oy=16, ox=16, fy=3, fx=3),
        sq.Layer.matmul("b", m=1, n=100, k=200),
    ],
    name="small",
)
KIB, BANDWIDTH = "memory.global_buffer.size_kib", "memory.dram.bandwidth_gb_s"
VALUES: dict[str, Any] = {
    "array.rows": "2:16",
    "array.cols": "array.rows",
    KIB: "0.25:32:log",
    BANDWIDTH: [1, 2.5, 4],
    "array.dataflows": "ws+os,os",
}
MEASURES = ["latency_us", "energy_mac_equiv"]


@pytest.fixture(autouse=True)
def small_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nsga, "GENERATION", 10)


def small(count: int = 35, **changes: Any) -> Search:
    found = plan_search([NET], HW, VALUES, count, **changes)
    assert isinstance(found, Search)
    return found


def finished(path: Path, of: Search) -> Store:
    store = Store(path, of)
    run(store, generations(of, store), quiet)
    return store


def test_every_row_is_that_of_one_simulation() -> None:
    table = sq.sweep(WHOLE, HW, VALUES, search=25, seed=3)
    assert table["design"].tolist() == list(range(25))
    assert not table.duplicated(list(VALUES)).any()
    assert table["array.rows"].equals(table["array.cols"])
    assert set(table["array.dataflows"]) == {"ws+os", "os"}
    assert table[KIB].between(0.25, 32).all()
    for flows, part in table.drop(columns="array.dataflows").groupby(table["array.dataflows"]):
        same_as_simulated(part, [WHOLE], HW.replace({"array.dataflows": str(flows).split("+")}))


def test_a_search_of_at_least_all_combinations_is_the_grid() -> None:
    values = {"array.rows": "4,8", KIB: "2,8,32", BANDWIDTH: "1,2"}
    grid = sq.sweep(NET, HW, values)
    for count in (12, 100):
        pd.testing.assert_frame_equal(sq.sweep(NET, HW, values, search=count), grid)
    part = sq.sweep(NET, HW, values, search=11)
    assert len(part) == 11
    assert len(part.merge(grid.drop(columns="design"), on=[*values, *MEASURES])) == 11


@pytest.mark.slow
def test_the_front_comes_close_to_that_of_all_designs() -> None:
    """Of 270 designs a search of 100: for each of the true front one that is at most 2 % worse in both."""
    values = {
        "array.rows": "4,8,16",
        "array.cols": "4,8,16",
        KIB: "4:64:x2",
        BANDWIDTH: "1,4",
        "clock_mhz": "250,500,1000",
    }
    grid = sq.sweep(NET, HW, values)
    assert len(grid) == 270
    best = grid[sq.pareto(grid, MEASURES)][MEASURES].to_numpy()
    for seed in range(2):
        found = sq.sweep(NET, HW, values, search=100, seed=seed)[MEASURES].to_numpy()
        factors = (found[None] / best[:, None]).max(axis=2).min(axis=1)
        assert factors.min() >= 1
        assert factors.max() <= 1.02


def test_energy_is_in_joules_where_all_designs_have_them() -> None:
    joules = sq.Accelerator.named("os_32x32")
    assert resolve_objectives(None, HW, VALUES) == ("latency_us", "energy_mac_equiv")
    assert resolve_objectives(None, joules, ["precision.weight_bits"]) == ("latency_us", "energy_uj")
    assert resolve_objectives(None, joules.replace({"energy.pj_per_unit": None}), ["energy.pj_per_unit"])[
        1
    ] == ("energy_mac_equiv")


def test_utilization_is_maximised() -> None:
    values = {"array.rows": "2:64", "array.cols": "2:64"}
    found = sq.sweep(NET, HW, values, search=40, objectives=["utilization"])
    drawn = sq.sweep(NET, HW, values, samples=40)
    assert found["utilization"].tail(20).mean() > drawn["utilization"].mean()


def test_a_search_goes_on_from_what_is_there_and_then_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = small()
    whole = finished(tmp_path / "whole", of)
    assert sorted(contents(whole.path)) == [f"part-0000{number}.parquet" for number in range(4)]
    store, seen = Store(tmp_path / "parts", of), []

    def stopping(done: int, total: int) -> None:
        seen.append((done, total))
        if len(store.done()) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(store, generations(of, store), stopping)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, 35), (20, 35))
    assert store.done() == {0, 1}
    finished(store.path, small())
    assert contents(store.path) == contents(whole.path)
    (store.path / "part-00001.parquet").unlink()
    finished(store.path, small())
    assert contents(store.path) == contents(whole.path)
    monkeypatch.setattr(nsga, "cost_designs", None)
    finished(store.path, small())
    assert contents(store.path) == contents(whole.path)
    with pytest.raises(OutputError, match="it holds another sweep, of small on small_8x8"):
        finished(store.path, small(seed=1))
    with pytest.raises(OutputError, match="it holds another sweep"):
        finished(store.path, small(36))


def test_a_part_with_other_designs_is_refused(tmp_path: Path) -> None:
    store = finished(tmp_path / "a", small())
    first = store.part(0)
    place = first.column_names.index(BANDWIDTH)
    store.write(0, encode(first.set_column(place, BANDWIDTH, [[4.0] * 10])))
    (store.path / "part-00003.parquet").unlink()
    with pytest.raises(OutputError, match="part 0 has other designs; allowed: another path"):
        finished(store.path, small())


def test_the_seed_decides(tmp_path: Path) -> None:
    one, again, other = (
        contents(finished(tmp_path / str(number), small(seed=seed)).path)
        for number, seed in enumerate((7, 7, 8))
    )
    assert one == again
    assert all(one[name] != other[name] for name in one)


def test_conditions_on_parameters_are_kept_and_those_on_results_preferred(tmp_path: Path) -> None:
    limit = float(sq.sweep(NET, HW, VALUES, samples=60)["latency_us"].quantile(0.2))
    where = ["array.pes <= 100", f"latency_us <= {limit}", "latency_us * array.pes < 1e9"]
    table = sq.sweep(NET, HW, VALUES, search=60, where=where, path=tmp_path / "a")
    stored = pd.read_parquet(tmp_path / "a")
    assert len(stored) == 60
    assert (stored["array.rows"] <= 10).all()
    assert table["latency_us"].max() <= limit
    met = stored["latency_us"].le(limit)
    assert len(table) == met.sum()
    assert met.tail(30).sum() > met.head(30).sum() > 0
    with pytest.raises(SqueezesimError, match=r"none of 15 rows meets 'latency_us < 1ns'"):
        sq.sweep(NET, HW, VALUES, search=15, where="latency_us < 1ns")
    with pytest.raises(SqueezesimError, match=r"none of 1,000 designs meets 'array\.pes > 1000'"):
        sq.sweep(NET, HW, VALUES, search=80, where="array.pes > 1000")


def test_conditions_on_results_keep_rows_of_a_grid() -> None:
    grid = sq.sweep(NET, HW, {"array.rows": "2,4,8,16"})
    middle = float(grid["latency_us"].median())
    kept = sq.sweep(NET, HW, {"array.rows": "2,4,8,16"}, where=f"latency_us < {middle}")
    assert kept["array.rows"].tolist() == grid["array.rows"][grid["latency_us"] < middle].tolist()


def test_a_search_ends_where_there_are_no_other_designs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nsga, "_TRIES", 200)
    found = plan_search([NET], HW, {"array.rows": "4:8", "array.cols": "4:6"}, 90)
    assert isinstance(found, Search)
    table = finished(tmp_path / "a", found).read().to_pandas()
    before = contents(tmp_path / "a")
    pairs = set(zip(table["array.rows"], table["array.cols"], strict=True))
    assert len(table) == len(pairs) == 15
    finished(tmp_path / "a", found)
    assert contents(tmp_path / "a") == before


def test_designs_without_a_result_are_not_preferred() -> None:
    hw, first, last = accelerator({"energy.table": "cacti_65nm"}), 0, 0
    for seed in range(3):
        table = sq.sweep(NET, hw, {KIB: "0.01:32:log", "array.rows": "2:16"}, search=60, seed=seed)
        without = table["problem"].notna()  # the table begins at 0.5 KiB
        assert (table[KIB] < 0.5).equals(without)
        assert table.loc[without, "latency_us"].isna().all()
        first, last = first + without.head(20).sum(), last + without.tail(20).sum()
    assert last < 0.75 * first


def test_each_of_several_networks_counts() -> None:
    conv = sq.Network.from_layers([sq.Layer.matmul("a", m=1, n=64, k=512)], "flat")
    table = sq.sweep([NET, conv], HW, VALUES, search=20)
    assert table["network"].tolist() == ["small", "flat"] * 20
    assert table["design"].tolist() == np.repeat(range(20), 2).tolist()


def test_nothing_of_optuna_is_seen(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        sq.sweep(NET, HW, VALUES, search=15)
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(before)
    assert capfd.readouterr() == ("", "")


def test_optuna_is_needed_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert isinstance(plan_search([NET], HW, {"array.rows": "4,8"}, 2), Plan)
    with pytest.raises(SqueezesimError, match=r"a search needs Optuna: pip install optuna"):
        sq.sweep(NET, HW, VALUES, search=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objectives": ["latency"]},
            "there is no objective 'latency'; allowed: params, macs, .*did you mean",
        ),
        ({"objectives": ["bound"]}, "there is no objective 'bound'"),
        ({"objectives": []}, "a Pareto front needs an objective"),
        ({"objectives": ["cycles", "cycles"]}, "objective 'cycles' is named twice"),
        (
            {"objectives": ["energy_uj"]},
            "objective 'energy_uj': the energy table of small_8x8 is relative, without joules; "
            "allowed: energy_mac_equiv",
        ),
        (
            {"values": {"precision.weight_bits": "4,8,16"}, "search": 2},
            "objective 'energy_mac_equiv' counts MACs of each design, whose worth varies with precision",
        ),
        ({"search": 0}, "a search of 0 designs; allowed: from 1 to 10,000"),
        ({"samples": 5}, "samples and a search both choose designs; allowed: one of them"),
        ({"where": "latency_us < -5%"}, "compares with a baseline, and there is none"),
        ({"where": "latency < 5"}, "unknown name 'latency'"),
    ],
)
def test_mistakes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SqueezesimError, match=message):
        sq.sweep(NET, HW, **{"values": VALUES, "search": 10, **changes})
