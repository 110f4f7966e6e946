from __future__ import annotations

from typing import Any

import pytest

from squeezesim.errors import UsageError
from squeezesim.explore.compare.compare import comparison
from squeezesim.explore.compare.comparison import Comparison, of_report
from squeezesim.explore.compare.gate import conditions, judge
from tests.explore.compare.test_compare import compared, named


def failures(both: Comparison, text: str) -> list[str]:
    (verdict,) = judge(both, conditions([text]))
    assert verdict.has_failed == bool(verdict.failures)
    return list(verdict.failures)


def three() -> Comparison:
    """The same network on three accelerators, of which the third has more set-up: 4,130 and 9,130 cycles or so."""
    slow = named("z", {"control.layer_setup_cycles": 1000})
    return compared(named("x"), named("y"), slow)


def test_numbers_of_a_failure() -> None:
    both = three()
    before, after = (both.totals[place]["latency_us"] for place in (0, 2))
    assert failures(both, "latency_us > +2%") == [
        f"small on z: latency_us {before:,.6g} → {after:,.6g} (+{100 * (after / before - 1):.1f} %)"
    ]
    assert failures(both, f"latency_us > {before + 1}us and params > 1") == [
        f"small on z: latency_us {after:,.6g}, params {both.totals[2]['params']:,}"
    ]


def test_a_baseline_is_not_compared_with_itself() -> None:
    assert [line.partition(":")[0] for line in failures(three(), "cycles > -5%")] == [
        "small on y",
        "small on z",
    ]
    assert len(failures(three(), "cycles > 1")) == 3


def test_saved_reports_are_not_judged() -> None:
    saved, after = of_report(named("x"), "a.json"), of_report(named("x"))
    both = comparison([after], against=[saved])
    assert [line.partition(":")[0] for line in failures(both, "cycles > 1")] == ["small on x"]
    assert failures(both, "cycles > +0%") == []
    assert [line.partition(":")[0] for line in failures(both, "cycles >= +0%")] == ["small on x"]


def test_conditions_speak_of_ratios_too() -> None:
    assert failures(three(), "latency_relative > 102%")[0].startswith("small on z: latency_relative ")
    assert failures(three(), "latency_relative > 1 and energy_relative < 0.5") == []


@pytest.mark.parametrize(
    ("changes", "text", "message"),
    [
        (
            {},
            "energy_uj > 1",
            "'energy_uj > 1': energy_uj of small on x is not known: its energy table is relative; "
            "energy_mac_equiv is in units of one MAC",
        ),
        (
            {},
            "top1_percent < 60",
            "'top1_percent < 60': top1_percent of small on x is not known: it is known of built-in networks as they "
            "were published",
        ),
        (
            {"energy.table": "cacti_45nm"},
            "energy_relative > 1",
            "'energy_relative > 1': energy_relative of small on y is not known: energies are in other units than the "
            "baseline's",
        ),
        (
            {"energy.table": "cacti_45nm"},
            "energy_uj > +2%",
            "'energy_uj > +2%': energy_uj of small on x is not known: its energy table is relative; "
            "energy_mac_equiv is in units of one MAC",
        ),
        (
            {"precision.weight_bits": 8},
            "energy_mac_equiv > +2%",
            "'energy_mac_equiv > +2%': one MAC of y takes another energy than one of x (small); allowed: energy_uj, "
            "where both have it",
        ),
    ],
)
def test_numbers_that_cannot_be_judged(changes: dict[str, Any], text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        failures(compared(named("x"), named("y", changes)), text)
    assert str(caught.value) == message


def test_a_change_of_a_single_result() -> None:
    with pytest.raises(UsageError) as caught:
        failures(compared(named("x")), "cycles > +2%")
    assert str(caught.value) == (
        "'cycles > +2%' compares with a baseline, and there is none; allowed: a saved report or another result to "
        "compare with"
    )
