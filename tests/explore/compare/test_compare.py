from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import squeezesim as sq
from squeezesim.errors import UsageError
from squeezesim.explore.compare.compare import comparison
from squeezesim.explore.compare.comparison import (
    Comparison,
    Result,
    number_names,
    of_report,
    published_top1,
    told_apart,
)
from squeezesim.explore.compare.render import notes
from squeezesim.network import Layer, Network
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, few, network, report, reports

RELATIVE = {
    "params_relative": "params",
    "macs_relative": "macs",
    "cycles_relative": "cycles",
    "latency_relative": "latency_us",
    "dram_relative": "dram_bytes",
}


def named(name: str, changes: dict[str, Any] | None = None, network_name: str = "small") -> Report:
    """The small report on an accelerator of a name, with parameters changed."""
    hardware = accelerator({"name": name, **(changes or {})})
    return simulate(replace(network(), name=network_name), hardware)


def compared(*given: Report, **options: Any) -> Comparison:
    return comparison([of_report(item) for item in given], **options)


@few
@given(st.lists(reports(), min_size=1, max_size=3))
def test_a_row_has_the_totals_and_their_ratios_to_the_first(some: list[Report]) -> None:
    rows = compared(*some).rows()
    first = some[0].totals
    for row, item in zip(rows, some, strict=True):
        assert {name: row[name] for name in item.totals} == item.totals
        assert row["baseline"] == f"{rows[0]['network']} on small_8x8"
        for ratio, name in RELATIVE.items():
            value, before = item.totals[name], first[name]
            assert value is not None
            assert row[ratio] == (value / before if before else None)
        assert set(number_names()) <= set(row)
    assert rows[0]["latency_relative"] == 1


@few
@given(st.lists(reports(), min_size=1, max_size=3), st.sampled_from(["stage", "layer"]))
def test_differences_of_parts_add_up_to_that_of_the_whole(some: list[Report], by: str) -> None:
    both = compared(*some)
    rows = both.rows(by)
    for place, result in enumerate(both.results):
        own = rows[place :: len(some)]
        assert {row["network"] for row in own} == {result.network}
        cycles = sum(row["cycles"] for row in own if row["cycles"] is not None)
        assert cycles == result.report.totals["cycles"]
        whole = float(result.report.tally.latency_us(result.report.scale).sum())
        first = float(some[0].tally.latency_us(some[0].scale).sum())
        assert sum(row["difference_us"] for row in own) == pytest.approx(whole - first, abs=1e-6)


def test_stages_side_by_side_by_hand() -> None:
    old, deeper = sq.load("squeezenext_23"), sq.load("squeezenext_23_v5")
    hardware = sq.Accelerator.named("os_32x32")
    both = [simulate(item, hardware) for item in (old, deeper)]
    rows = compared(*both).rows("stage")
    assert [row["stage"] for row in rows[::2]] == ["stem", "stage1", "stage2", "stage3", "stage4", "head"]
    stage3 = next(row for row in rows if row["stage"] == "stage3" and row["network"] == "squeezenext_23_v5")
    sums = [sum(row["latency_us"] for row in item.rows() if row["stage"] == "stage3") for item in both]
    assert stage3["latency_relative"] == pytest.approx(sums[1] / sums[0])
    assert stage3["difference_us"] == pytest.approx(sums[1] - sums[0])


def test_every_kind_of_what_is_compared(tmp_path: Path) -> None:
    item, hardware = report(), accelerator()
    item.save(tmp_path / "a.json")
    expected = sq.compare([item])
    assert sq.compare(item).equals(expected)
    assert sq.compare(str(tmp_path / "a.json")).equals(expected)
    assert sq.compare([tmp_path / "a.json"]).equals(expected)
    assert sq.compare(network(), hardware).equals(expected)
    assert sq.compare([network()], [hardware]).equals(expected)
    network().save(tmp_path / "small.graph.json")
    assert sq.compare(tmp_path / "small.graph.json", hardware).equals(expected)


def test_networks_times_accelerators_in_order() -> None:
    table = sq.compare(["tiny_darknet", "squeezenet_1_1"], ["os_32x32", "ws_32x32"])
    assert list(zip(table.network, table.accelerator, strict=True)) == [
        ("tiny_darknet", "os_32x32"),
        ("tiny_darknet", "ws_32x32"),
        ("squeezenet_1_1", "os_32x32"),
        ("squeezenet_1_1", "ws_32x32"),
    ]
    for _, row in table.iterrows():
        totals = sq.simulate(sq.load(row.network), sq.Accelerator.named(row.accelerator)).totals
        assert {name: row[name] for name in totals} == totals
    assert list(table.columns[:4]) == ["network", "accelerator", "top1_percent", "params"]


def test_columns_of_numbers_are_numbers_where_all_are_empty() -> None:
    table = sq.compare([report()])
    assert table.top1_percent.isna().all()
    assert (table.dtypes[["top1_percent", "energy_uj", "energy_relative"]] == "float64").all()


def test_the_baseline_of_each_result() -> None:
    both = [named(name, network_name=net) for net in ("a", "b") for name in ("x", "y")]

    def of(name: str | None) -> tuple[int | None, ...]:
        found = compared(*both, baseline=name)
        assert [row["baseline"] for row in found.rows()] == [
            str(found.baseline(place)) for place in range(len(both))
        ]
        return tuple(found.baselines)

    assert of(None) == (0, 0, 0, 0)
    assert of("b") == (2, 3, 2, 3)
    assert of("y") == (1, 1, 3, 3)
    assert of("b on y") == (3, 3, 3, 3)
    lone = [*both, named("z", network_name="c")]
    assert compared(*lone, baseline="c").baselines == (4, 4, 4, 4, 4)
    last = compared(*lone, baseline="b").rows()[-1]
    assert (last["baseline"], last["latency_relative"], last["energy_relative"]) == ("", None, None)
    with pytest.raises(UsageError) as caught:
        of("aa")
    assert str(caught.value) == "baseline 'aa' is not compared; allowed: a, b, x, y; did you mean 'a'?"


def test_saved_reports_are_the_baselines_of_their_own_kind() -> None:
    saved = [of_report(named(name), f"{name}.json") for name in ("x", "y")]
    after = [of_report(named(name, {"clock_mhz": 250})) for name in ("y", "x")]
    both = comparison(after, against=saved)
    rows = both.rows()
    assert [row["network"] for row in rows] == ["small (x.json)", "small (y.json)", "small", "small"]
    assert both.baselines[2:] == (1, 0)
    slower = after[0].report.totals["latency_us"] / saved[0].report.totals["latency_us"]  # type: ignore[operator]
    assert [row["latency_relative"] for row in rows] == pytest.approx([1, 1, slower, slower])
    assert slower > 1
    other = [of_report(named("z"))]
    assert comparison(other, against=saved[:1]).baselines == (0, 0)
    with pytest.raises(UsageError) as caught:
        comparison(other, against=saved)
    assert str(caught.value) == (
        "none of the saved reports is of small on z; they are of small on x, small on y"
    )


def test_results_of_one_name_are_told_apart() -> None:
    one = Result("a", report())
    files = [replace(one, origin=name) for name in ("old.json", "new.json", "new.json")]
    names = [result.network for result in told_apart([one, *files, one])]
    assert names == ["a", "a (old.json)", "a (new.json)", "a (new.json)#2", "a#2"]
    assert [result.network for result in told_apart(files[:1])] == ["a"]


@pytest.mark.torch
def test_accuracy_is_known_of_what_was_published() -> None:
    published = sq.load("squeezenext_23")
    assert published_top1(published) == 59.05
    assert published_top1(sq.load("squeezenet_1_1", batch=2)) == published_top1(sq.load("squeezenet_1_1"))
    others = [
        replace(published, name="squeezenext_23@conv1=5"),
        replace(published, inputs=(("input", (1, 3, 128, 128)),)),
        replace(published, unread_params=1),
        sq.prune(published, 0.5),
        sq.quantize(published, "w4a8"),
        replace(network(), name="squeezenext_23"),
        network(),
    ]
    assert [published_top1(other) for other in others] == [None] * len(others)
    hardware = sq.Accelerator.named("os_32x32")
    assert of_report(simulate(published, hardware)).top1_percent == 59.05


def test_accuracies_that_are_given() -> None:
    table = sq.compare([report(), named("x")], top1={"small": 61})
    assert table.top1_percent.tolist() == [61, 61]
    with pytest.raises(UsageError, match=r"^top-1 of 'smal', .* allowed: small; did you mean 'small'\?$"):
        sq.compare([report()], top1={"smal": 61})
    for value in (-1, 100.5, math.nan):
        with pytest.raises(UsageError, match=r"allowed: per cent, from 0 to 100$"):
            sq.compare([report()], top1={"small": value})


def test_energies_of_other_units_are_not_divided() -> None:
    relative, absolute = named("r"), named("a", {"energy.pj_per_unit": 2.0})
    wide = named("w", {"precision.weight_bits": 8})
    other = named("t", {"energy.table": "cacti_45nm"})
    assert relative.totals["energy_mac_equiv"] == absolute.totals["energy_mac_equiv"]

    def ratios(*given: Report) -> list[float | None]:
        return [row["energy_relative"] for row in compared(*given).rows()]

    assert ratios(relative, named("s", {"description": "the same"})) == [1, 1]
    assert ratios(relative, absolute, wide, other) == [1, None, None, None]
    twice = ratios(absolute, named("b", {"energy.pj_per_unit": 4.0}), other)
    energies = [item.totals["energy_uj"] for item in (absolute, other)]
    assert energies[0] is not None
    assert energies[1] is not None
    assert twice == pytest.approx([1, 2, energies[1] / energies[0]])


def test_notes_on_energies() -> None:
    relative, other = named("r"), named("t", {"energy.table": "cacti_45nm"})
    tuned = named("o", {"energy.overrides.dram": 100.0})
    assert notes(compared(relative, other))[:2] == [
        "energies come from different tables and are of different units: r eyeriss_relative, t cacti_45nm",
        "energy is in units of one MAC of each accelerator, since the energy table of r is relative",
    ]
    assert notes(compared(relative, tuned))[:2] == [
        "energies come from different tables: r eyeriss_relative, o eyeriss_relative with overrides",
        "energy is in units of one MAC, since the energy table of r and of o is relative",
    ]
    assert not any("energ" in note for note in notes(compared(other)))


def test_notes_on_accelerators_that_changed() -> None:
    before = of_report(named("x"), "main.json")
    after = of_report(named("x", {"array.rows": 16, "memory.global_buffer.size_kib": 32}))
    found = notes(comparison([after], against=[before]))
    assert found[0] == (
        "x of small differs from that of main.json: array.rows is 16, not 8, "
        "memory.global_buffer.size_kib is 32.0, not 16.0"
    )
    described = of_report(named("x", {"description": "other words"}))
    assert not any("differs from that" in note for note in notes(comparison([described], against=[before])))
    assert not any(
        "differs from that" in note for note in notes(compared(named("x"), named("y", {"array.rows": 16})))
    )
    elsewhere = notes(comparison([of_report(named("y"))], against=[before]))
    assert elsewhere[0] == "small on y is compared with main.json, which is of x"
    many = {
        "array.rows": 4,
        "array.cols": 4,
        "clock_mhz": 1,
        "control.layer_setup_cycles": 1,
        "vector.lanes": 1,
    }
    changed = notes(comparison([of_report(named("x", many))], against=[before]))
    assert changed[0].endswith(" and 1 more")


def test_notes_name_what_is_not_modelled() -> None:
    assert "small: not modelled, and in no number: fft ×2" in notes(compared(report()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "there is nothing to compare; allowed: reports, or networks and accelerators"),
        (([network()],), "network 'small' needs an accelerator; allowed: saved reports without"),
    ],
)
def test_mistakes(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        sq.compare(*arguments)
    assert str(caught.value) == message


def test_rows_by_something_else() -> None:
    with pytest.raises(UsageError, match=r"^rows are by result, stage, layer, found 'stages'; did you mean"):
        sq.compare([report()], by="stages")


def test_layers_of_other_names_match_by_their_shapes() -> None:
    def net(prefix: str, k: int) -> Network:
        layers = [
            Layer.conv(f"{prefix}one", c=3, k=k, oy=8, ox=8, fy=3, fx=3),
            Layer.matmul(f"{prefix}two", m=1, n=10, k=k),
        ]
        return Network.from_layers(layers, name=prefix)

    hardware = accelerator()
    same = sq.compare([net("a.", 4), net("b.", 4)], hardware, by="layer")
    assert same["layer"].tolist() == ["a.one", "a.one", "a.two", "a.two"]
    assert same.latency_relative.tolist() == [1, 1, 1, 1]
    unlike = sq.compare([net("a.", 4), net("b.", 5)], hardware, by="layer")
    assert unlike["layer"].tolist() == ["a.one"] * 2 + ["a.two"] * 2 + ["b.one"] * 2 + ["b.two"] * 2
    assert unlike.latency_us.isna().tolist() == [False, True] * 2 + [True, False] * 2
