from __future__ import annotations

import json
import time
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest

import squeezesim as sq
from squeezesim.cost.evaluate import evaluate
from squeezesim.errors import HardwareError, ModelError, UsageError
from squeezesim.explore.allocate import additive
from squeezesim.explore.allocate import study as allocate_study
from squeezesim.explore.allocate.additive import Sums, cut
from squeezesim.explore.allocate.allocations import Space
from squeezesim.explore.allocate.candidates import OBJECTIVES, measure_names, measures
from squeezesim.explore.allocate.study import Result, study
from squeezesim.network import Network
from squeezesim.report.metrics import is_more_better, total_names
from squeezesim.zoo.registry import Spec, catalogue

pytestmark = pytest.mark.torch  # networks of other depths are traced

SQUEEZELERATORS = [sq.Accelerator.named(f"squeezelerator_{size}") for size in ("16x16", "8x8")]
HW = SQUEEZELERATORS[0]
NARROW: dict[str, Any] = {"stages": [(1, 3), (2, 4), (6, 8), (1, 2)]}
"""Few allocations, whose deepest network is traced in a moment."""


@cache
def all_of_21() -> pd.DataFrame:
    return sq.allocate("squeezenext_23_v5", SQUEEZELERATORS, blocks=21)


@cache
def studied() -> Result:
    """The same on the first accelerator, with what is beside them and the moves."""
    (result,) = study("squeezenext_23_v5", [HW], blocks=21).results
    return result


@pytest.fixture
def frame() -> pd.DataFrame:
    return all_of_21().copy()


def of(frame: pd.DataFrame, accelerator: sq.Accelerator) -> pd.DataFrame:
    return frame[frame.accelerator == accelerator.name].reset_index(drop=True)


def test_there_is_a_row_for_each_allocation_and_accelerator(frame: pd.DataFrame) -> None:
    assert [*frame] == ["accelerator", "depth", "blocks", *total_names(), "late_share", "pareto", "published"]
    assert len(frame) == 2 * 1140
    for accelerator in SQUEEZELERATORS:
        part = of(frame, accelerator)
        assert sorted(part.depth) == [
            tuple(row) for row in Space.of((21 - 3, 1, 1, 1), low=1, high=200).depths()
        ]
        assert part.latency_us.is_monotonic_increasing
    assert (frame.blocks == 21).all()


@pytest.mark.parametrize("accelerator", SQUEEZELERATORS, ids=lambda accelerator: accelerator.name)
@pytest.mark.parametrize("version", ["v2", "v3", "v4", "v5"])
def test_published_networks_are_among_them(
    frame: pd.DataFrame, version: str, accelerator: sq.Accelerator
) -> None:
    name = f"squeezenext_23_{version}"
    part = of(frame, accelerator)
    (row,) = part[part.published == name].to_dict("records")
    totals = sq.simulate(sq.load(name), accelerator).totals
    for column in total_names():
        if totals[column] is None:
            assert np.isnan(row[column])
        else:
            assert row[column] == pytest.approx(totals[column], rel=1e-12 if "energy" in column else 0)


def test_the_papers_allocations_are_in_the_papers_order_of_time(frame: pd.DataFrame) -> None:
    part = of(frame, HW)
    named = part[part.published != ""].published.tolist()  # the fastest first
    assert named == [f"squeezenext_23_{version}" for version in ("v5", "v4", "v3", "v2")]
    outside = sq.simulate(sq.load("squeezenext_23"), HW).totals["latency_us"]
    assert outside is not None
    assert outside > part[part.published == "squeezenext_23_v2"].latency_us.item()


def test_the_front_is_what_no_row_beats(frame: pd.DataFrame) -> None:
    for accelerator in SQUEEZELERATORS:
        part = of(frame, accelerator)
        points = np.stack([part[name] * (-1 if is_more_better(name) else 1) for name in OBJECTIVES], axis=1)
        beaten = [
            bool(((points <= point).all(axis=1) & (points < point).any(axis=1)).any()) for point in points
        ]
        assert part.pareto.tolist() == [not each for each in beaten]
        assert 0 < part.pareto.sum() < len(part)


def test_objectives_and_order_are_free() -> None:
    table = sq.allocate("squeezenext_23_v5", HW, **NARROW, objectives=["params"], sort="late_share")
    assert table.late_share.is_monotonic_decreasing
    assert table[table.pareto].params.tolist() == [table.params.min()]
    by_energy = sq.allocate("squeezenext_23_v5", "os_32x32", **NARROW, objectives="energy_uj")
    assert by_energy[by_energy.pareto].energy_uj.tolist() == [by_energy.energy_uj.min()]


def test_conditions_leave_what_meets_them() -> None:
    table = sq.allocate("squeezenext_23_v5", HW, **NARROW)
    own = sq.simulate(sq.load("squeezenext_23_v5"), HW).totals
    assert own["params"] is not None
    kept = sq.allocate(
        "squeezenext_23_v5", HW, **NARROW, where=["latency_us <= 0.9ms", "stage3 == 7 and params < -20%"]
    )
    meets = (table.latency_us <= 900) & (table.params < 0.8 * own["params"])
    meets &= np.array([depth[2] == 7 for depth in table.depth])
    assert kept.depth.tolist() == table[meets].depth.tolist()
    assert 0 < len(kept) < len(table)
    one = sq.allocate("squeezenext_23_v5", HW, **NARROW, where="blocks == 12 and late_share >= 90%")
    assert one.depth.tolist() == table[(table.blocks == 12) & (table.late_share >= 0.9)].depth.tolist()
    assert len(one) > 0


def test_other_options_are_other_networks() -> None:
    ranges = [(1, 2), (1, 2), (1, 1), (1, 1)]
    table = sq.allocate(
        "squeezenext_23",
        HW,
        stages=ranges,
        options={"conv1": [7, 5], "width": ["1.5"], "resolution": [227, 160]},
    )
    assert [*table][:6] == ["accelerator", "conv1", "width", "resolution", "depth", "blocks"]
    assert len(table) == 4 * 4
    for row in table.to_dict("records")[::5]:
        side = row["resolution"]
        found = sq.load(
            "squeezenext_23",
            depth=row["depth"],
            width=1.5,
            conv1=row["conv1"],
            input_shape=f"3x{side}x{side}",
        )
        totals = sq.simulate(found, HW).totals
        assert (row["cycles"], row["params"], row["macs"]) == tuple(
            totals[name] for name in ("cycles", "params", "macs")
        )


def test_an_option_may_have_one_value() -> None:
    ranges = [(1, 1), (1, 2), (1, 1), (1, 1)]
    one, listed = (
        sq.allocate("squeezenext_23", HW, stages=ranges, options=options)
        for options in ({"conv1": 5, "wiring": "serial"}, {"conv1": [5], "wiring": ["serial"]})
    )
    pd.testing.assert_frame_equal(one, listed)
    assert set(one.wiring) == {"serial"}


def test_networks_that_are_named_as_allowed_can_be_allocated() -> None:
    """One of each family, with a block more in each stage than it has itself; those left out cannot."""
    with pytest.raises(ModelError) as found:
        additive.parse_model("alexnet")
    listed = str(found.value).partition("allowed: ")[2].partition(" and ")[0].split(", ")
    first = {
        entry.family.name: entry for entry in reversed([*catalogue().values()]) if "depth" in entry.defaults
    }
    assert sorted(listed) == sorted(
        entry.name for family, entry in first.items() if family not in additive.NOT_ADDITIVE
    )
    for family in additive.NOT_ADDITIVE:
        own = additive.depth_of(Spec(first[family], {}))
        least, most = ((blocks,) * len(own) for blocks in (1, 2))
        with pytest.raises(ModelError, match="depend on how many there are"):
            additive.Base(Spec(first[family], {}), None, {}).pieces(least, most, [], cache=False)


@pytest.mark.slow
def test_every_family_that_is_named_is_a_sum_of_its_blocks() -> None:
    for entry in {entry.family.name: entry for entry in catalogue().values()}.values():
        if "depth" in entry.defaults and entry.family.name not in additive.NOT_ADDITIVE:
            own = additive.depth_of(Spec(entry, {}))
            more = tuple(blocks + 1 for blocks in own)
            pieces = additive.Base(Spec(entry, {}), None, {}).pieces(own, more, [entry], cache=False)
            assert len(pieces.at(own)) == len(Network.load(entry.graph).fused.layers)


def test_a_network_of_one_stage() -> None:
    table = sq.allocate("deit_tiny", "os_32x32", stages=[(2, 4)])
    assert table.depth.tolist() == [(2,), (3,), (4,)]
    assert table.late_share.isna().all()
    assert table.pareto.tolist() == [True, False, False]
    assert table.energy_uj.notna().all()


def test_moves_are_the_best_of_all_moves() -> None:
    result = studied()
    own = (2, 4, 14, 1)
    table = {tuple(depth): row for row, depth in enumerate(result.candidates.depth.tolist())}
    latency = result.candidates.measures["latency_us"]
    best: dict[tuple[int, int], tuple[float, tuple[int, ...], int]] = {}
    for taken, given in permutations(range(4), 2):
        for blocks in range(1, own[taken]):
            depth = list(own)
            depth[taken] -= blocks
            depth[given] += blocks
            value = (float(latency[table[tuple(depth)]]), tuple(depth), blocks)
            if value[0] < latency[table[own]]:
                best[taken, given] = min(value, best.get((taken, given), value))
    expected = sorted((*value, pair) for pair, value in best.items())[:3]
    assert result.moves is not None
    assert [
        (move.measures["latency_us"], move.depth, move.blocks, (move.taken_from - 1, move.given_to - 1))
        for move in result.moves
    ] == expected
    now = result.current.measures
    for move in result.moves:
        for name, change in move.changes.items():
            assert change == pytest.approx((move.measures[name] - now[name]) / now[name])


def test_a_table_has_the_moves_and_the_networks_of_each_accelerator() -> None:
    table = all_of_21()
    results = study("squeezenext_23_v5", SQUEEZELERATORS, blocks=21).results
    places = [
        (result.accelerator.name, standing.point.name, standing.point.depth, standing.place)
        for result in results
        for standing in result.standings
    ]
    networks = pd.DataFrame(table.attrs["networks"])
    assert [
        *networks[["accelerator", "network", "depth", "place"]].itertuples(index=False, name=None)
    ] == places
    for row in networks[networks.is_allocation & (networks.network != "squeezenext_23_v5")].to_dict(
        "records"
    ):
        part = of(table, sq.Accelerator.named(row["accelerator"]))
        assert part.published[row["place"] - 1] == row["network"]
        assert part.cycles[row["place"] - 1] == row["cycles"]
    moves = table.attrs["moves"]
    assert len(moves) == 6
    for row in moves:
        part = of(table, sq.Accelerator.named(row["accelerator"])).set_index("depth")
        depth = [2, 4, 14, 1]
        depth[row["taken_from_stage"] - 1] -= row["blocks"]
        depth[row["given_to_stage"] - 1] += row["blocks"]
        assert row["depth"] == tuple(depth)
        latency = part.latency_us[[row["depth"], (2, 4, 14, 1)]].tolist()
        assert row["changes"]["latency_us"] == pytest.approx(latency[0] / latency[1] - 1)
    assert json.loads(json.dumps(table.attrs))["moves"][0]["depth"] == list(moves[0]["depth"])
    assert table[table.pareto].attrs == table.attrs


def test_networks_that_differ_stand_beside_the_allocations() -> None:
    result = studied()
    points = {standing.point.name: standing for standing in result.standings}
    assert [*points] == [
        "squeezenext_23_v5",
        "squeezenext_23",
        *(f"squeezenext_23_{version}" for version in ("v2", "v3", "v4", "g")),
    ]
    beside = points["squeezenext_23"]
    assert (beside.row, beside.point.differs) == (None, "conv1=7, wiring=parallel")
    totals = sq.simulate(sq.load("squeezenext_23"), HW).totals
    assert {name: beside.measures[name] for name in total_names()} == totals
    latency = result.candidates.measures["latency_us"]
    assert beside.place == 1 + int((latency < totals["latency_us"]).sum())
    assert points["squeezenext_23_v2"].place == 1 + points["squeezenext_23_v2"].row  # type: ignore[operator]


def test_a_model_that_is_published_under_another_name_stands_twice() -> None:
    ranges = [(2, 2), (4, 5), (14, 14), (1, 1)]
    (result,) = study("squeezenext_23@conv1=5,wiring=serial,depth=2-4-14-1", [HW], stages=ranges).results
    assert [standing.point.name for standing in result.standings] == [
        "squeezenext_23@depth=2-4-14-1,conv1=5,wiring=serial",
        "squeezenext_23_v5",
    ]
    assert {standing.row for standing in result.standings} == {0}
    assert result.candidates.published == {0: "squeezenext_23_v5"}


def test_a_model_beside_the_allocations_has_no_moves() -> None:
    done = study("squeezenext_23", [HW], **NARROW, choices={"conv1": ["5"]})
    assert done.results[0].moves is None
    assert done.results[0].current.row is None
    assert done.results[0].current.measures["params"] == 717280


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ("alexnet",),
            ModelError,
            r"^network 'alexnet' has no blocks to allocate; allowed: squeezenext_23, .*vit",
        ),
        (("squeezenex_23",), ModelError, r"is no built-in network; .*; did you mean 'squeezenext_23' or"),
        (
            ("net.onnx",),
            ModelError,
            r"^'net.onnx' is no built-in network; allocate needs one that has a depth",
        ),
        (
            ("squeezenext_23", {"sort": "latency"}),
            UsageError,
            r"no column to sort by 'latency'; .*'latency_us'",
        ),
        (
            ("squeezenext_23", {"sort": "energy_uj"}),
            UsageError,
            r"^column to sort by 'energy_uj': the energy table of squeezelerator_16x16 is relative, without joules; "
            r"allowed: energy_mac_equiv$",
        ),
        (
            ("squeezenext_23", {"objectives": ["params", "energy_uj"]}),
            UsageError,
            r"^objective 'energy_uj': the energy table of squeezelerator_16x16 is relative, without joules; "
            r"allowed: energy_mac_equiv$",
        ),
        (
            ("deit_tiny", {"objectives": "late_share"}),
            UsageError,
            r"^objective 'late_share': a network of one stage has no late ones; allowed: params, ",
        ),
        (
            ("squeezenext_23", {"objectives": ["macs", "params", "macs"]}),
            UsageError,
            r"^objective 'macs' is named twice; allowed: once$",
        ),
        (("squeezenext_23", {"objectives": ["macz"]}), UsageError, r"no objective 'macz'; .*'macs'\?$"),
        (
            ("squeezenext_23", {"objectives": []}),
            UsageError,
            r"^a Pareto front needs an objective; allowed: params",
        ),
        (
            ("squeezenext_23", {"options": {"depth": [1]}}),
            UsageError,
            r"its ranges are --blocks and --stage$",
        ),
        (("squeezenext_23", {"options": {"cnv1": [1]}}), ModelError, r"has no option 'cnv1'; .*'conv1'\?$"),
        (
            (Network(name="net", layers=()),),
            UsageError,
            r"^allocate builds networks by name, such as 'squeezenext_23_v5@width=1.5', found a Network$",
        ),
        (("squeezenext_23", {"options": {"conv1": "57"}}), ModelError, r"integer from 1 to 15, found '57'$"),
        (("squeezenext_23", {"options": {"conv1": None}}), ModelError, r"integer from 1 to 15, found None$"),
        (("squeezenext_23", {"options": {"conv1": []}}), UsageError, r"^option 'conv1' has no values$"),
        (("squeezenext_23", {"options": {"conv1": [5, 99]}}), ModelError, r"integer from 1 to 15, found 99$"),
        (("squeezenext_23", {"options": {"resolution": [0]}}), ModelError, r"^option 'resolution' must be"),
        (
            ("squeezenext_23", {"options": {"conv1": range(1, 16), "groups": range(1, 9)}}),
            UsageError,
            r"^120 combinations of options; allowed: at most 100$",
        ),
        (
            ("squeezenext_23", {"blocks": 300}),
            UsageError,
            r"^3,783,153 allocations; allowed: at most 2,000,000 in all: narrow the range of each stage$",
        ),
        (
            ("squeezenext_23", {"blocks": 200, "options": {"conv1": [5, 7]}}),
            UsageError,
            r"^1,293,699 allocations × 2 combinations of options; allowed: at most 2,000,000 in all",
        ),
        (
            ("mobilenet_v2", {"stages": [(200, 200)] * 7}),
            UsageError,
            r"^the deepest stages have 1,400 blocks together; allowed: at most 1,000$",
        ),
        (("squeezenext_23", {"where": "latncy_us < 1"}), UsageError, r"unknown name 'latncy_us'"),
        (("squeezenext_23", {"where": "stage5 < 1"}), UsageError, r"unknown name 'stage5'"),
    ],
)
def test_mistakes_are_a_line_before_anything_is_traced(
    arguments: tuple[Any, ...], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(additive.Base, "network", None)
    model, *options = arguments
    with pytest.raises(error, match=message) as found:
        sq.allocate(model, HW, **(options[0] if options else {}))
    assert "where" in repr(arguments) or "\n" not in str(found.value)


def test_accelerators_have_names_of_their_own() -> None:
    with pytest.raises(
        UsageError, match=r"^two accelerators share a name: squeezelerator_16x16, squeezelerator_16x16$"
    ):
        sq.allocate("squeezenext_23", [HW, HW])
    with pytest.raises(UsageError, match=r"^no accelerator is given; allowed: at least one$"):
        sq.allocate("squeezenext_23", [])


def test_a_buffer_that_is_too_small_is_said() -> None:
    small = HW.replace({"memory.global_buffer.size_kib": 0.05})
    with pytest.raises(HardwareError, match="does not fit the global buffer"):
        sq.allocate("squeezenext_23_v5", small, **NARROW)


def test_the_tightest_budget_is_named() -> None:
    def refused(*texts: str, hw: sq.Accelerator = HW) -> str:
        def limits(stages: int) -> list[allocate_study.Budget]:
            pairs = [text.split(" ", 1) for text in texts]
            return [
                allocate_study.budget_where(limit, stages)
                if option == "where"
                else allocate_study.at_most(option, limit)
                for option, limit in pairs
            ]

        with pytest.raises(UsageError) as error:
            study("squeezenext_23_v5", [hw], **NARROW, budgets=limits)
        return str(error.value)

    table = sq.allocate("squeezenext_23_v5", HW, **NARROW)
    least = table.sort_values("params").iloc[0]
    depth, over = "-".join(map(str, least.depth)), 100 * (least.params / 1e5 - 1)
    assert refused("--max-params 100k") == (
        f"no allocation meets --max-params 100k; the nearest, {depth} on squeezelerator_16x16, has params = "
        f"{least.params:,}, {over:.1f} % above"
    )
    fast = table[[depth[0] == 3 for depth in table.depth]].iloc[0]
    alone = int((table.latency_us <= 800).sum())
    assert 0 < alone < 18 < len(table)
    assert refused("where stage1 >= 3", "--max-latency 0.8ms") == (
        f"no allocation meets all 2 budgets; the tightest is --max-latency 0.8ms, which alone {alone} of {len(table)} "
        f"meet; the nearest that meets the others, {'-'.join(map(str, fast.depth))} on squeezelerator_16x16, has "
        f"latency_us = {fast.latency_us:,.10g}, {100 * (fast.latency_us / 800 - 1):.1f} % above"
    )
    assert "--max-latency 0.1ms, which alone none of 54 meet; " in refused(
        "where stage1 >= 3", "--max-latency 0.1ms"
    )
    assert refused("where stage3 > 8") == "no allocation meets --where 'stage3 > 8'"
    assert refused("--max-energy 3uJ") == (
        "--max-energy 3uJ: the energy table of squeezelerator_16x16 is relative, without joules; allowed: energy in "
        "MAC-equivalents (energy_mac_equiv), such as 2G"
    )
    assert "has energy_uj = " in refused("--max-energy 3uJ", hw=sq.Accelerator.named("os_32x32"))
    least_of_all = round(table.params.min() / 1e4)
    assert refused("--max-params 10k").endswith(
        f"has params = {least.params:,}, {least_of_all} times as much"
    )
    for text in ("0", "-5"):
        with pytest.raises(UsageError) as found:
            allocate_study.at_most("--max-params", text)
        assert str(found.value) == (
            f"--max-params {text}: nothing costs so little; allowed: a number above 0"
        )
    for text in ("many", "3ms", "5%", ""):
        with pytest.raises(UsageError, match=r"^--max-macs: "):
            allocate_study.at_most("--max-macs", text)


def test_a_budget_on_energy_is_in_macs_unless_it_has_joules() -> None:
    budget = allocate_study.at_most("--max-energy", "2G")
    assert (budget.condition.names, budget.limit) == (("energy_mac_equiv",), 2e9)
    budget = allocate_study.at_most("--max-energy", "0.3mJ")
    assert (budget.condition.names, budget.limit) == (("energy_uj",), 300.0)


def _sums(depth: tuple[int, ...]) -> Sums:
    flat = (1,) * len(depth)
    deep, other = (sq.load("squeezenext_23_v5", depth=blocks).fused for blocks in (depth, flat))
    return Sums.of(cut(deep, depth, other, flat), evaluate(deep.layers, [HW]), HW)


def test_many_allocations_are_added_up_at_once() -> None:
    """At least 100,000 a second once layers are costed; chunks change nothing."""
    sums = _sums((3, 4, 8, 2))
    depths = np.random.default_rng(1).integers(1, [4, 5, 9, 3], (200_000, 4))
    start = time.process_time()
    columns = measures(sums, depths)
    assert time.process_time() - start < 2
    assert {*columns} == {*measure_names()}
    first = measures(sums, depths[:100])
    for name in measure_names():
        assert np.array_equal(columns[name][:100], first[name], equal_nan=True)


def test_published_graphs_are_checked_against_the_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """A published network that is another one than its allocation is an error, not a wrong row."""
    other = sq.load("squeezenext_23_v3")
    monkeypatch.setattr(Network, "load", classmethod(lambda *_: other))
    with pytest.raises(ModelError, match="depend on how many there are"):
        study("squeezenext_23_v5", [HW], **NARROW, cache=False)


def test_blocks_are_not_added_up_by_edp() -> None:
    hw = sq.Accelerator.named("os_32x32").replace({"mapper.objective": "edp"})
    with pytest.raises(UsageError, match=r"os_32x32: mapper\.objective 'edp'; allowed: latency, energy"):
        sq.allocate("squeezenext_23", hw)
