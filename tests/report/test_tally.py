from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.cost.evaluate import evaluate
from squeezesim.report.report import Report
from squeezesim.report.tally import ARRAYS, Scale, Tally, layer_operands
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, few, report, reports


@few
@given(reports())
def test_pe_cycles_are_executed_macs_and_losses(made: Report) -> None:
    tally = made.tally
    assert np.array_equal(made.machine.pes * tally.cycles, tally.executed + tally.losses.sum(axis=1))
    assert np.array_equal(tally.slots, made.machine.pes * tally.cycles)
    assert np.array_equal(tally.cycles, tally.time.sum(axis=1))


@few
@given(reports(), st.data())
def test_groups_add_up_to_the_total(made: Report, data: st.DataObject) -> None:
    tally, count = made.tally, len(made.network.layers)
    groups = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    grouped, total = tally.grouped(groups, 3), tally.total()
    for name in ARRAYS:
        column = getattr(tally, name)
        expected = [column[groups == number].sum(axis=0) for number in range(3)]
        np.testing.assert_allclose(getattr(grouped, name), expected, rtol=1e-12)
        np.testing.assert_allclose(getattr(total, name)[0], column.sum(axis=0), rtol=1e-12)


def test_a_row_for_each_accelerator_is_that_of_its_report_to_the_last_bit() -> None:
    alike, other = accelerator(), accelerator({"precision.weight_bits": 8, "energy.pj_per_unit": 2.0})
    accelerators = [alike, other, alike.replace({"clock_mhz": 400})]
    layers = report().network.layers
    tally = Tally.of(layers, evaluate(layers, accelerators), layer_operands(layers, accelerators))
    total, scale = tally.total(), Scale.of(accelerators)
    assert not scale.has_joules
    for number, each in enumerate(accelerators):
        made = simulate(report().network, each)
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(tally.take(number), name), getattr(made.tally, name))
            np.testing.assert_array_equal(
                getattr(total.take(slice(number, number + 1)), name),
                getattr(made.tally.total(), name),
            )
        for ratio in (
            Tally.utilization,
            Tally.efficiency,
            Tally.latency_us,
            Tally.energy_uj,
            Tally.energy_mac_equiv,
        ):
            np.testing.assert_array_equal(
                ratio(total, scale)[number], ratio(made.tally.total(), made.scale)[0]
            )


@few
@given(reports())
def test_utilization_is_executed_macs_over_all_that_was_possible(made: Report) -> None:
    tally, pes = made.tally, made.accelerator.array.rows * made.accelerator.array.cols
    for layer, cycles, executed, utilization, efficiency in zip(
        made.network.layers,
        tally.cycles,
        tally.executed,
        tally.utilization(made.scale),
        tally.efficiency(made.scale),
        strict=True,
    ):
        if cycles == 0:
            assert np.isnan(utilization)
            assert np.isnan(efficiency)
        else:
            assert utilization == executed / (pes * cycles)
            assert efficiency == layer.macs / (pes * cycles)
            assert utilization <= 1


def test_latency_is_cycles_over_the_clock() -> None:
    made = report()
    np.testing.assert_array_equal(made.tally.latency_us(made.scale), made.costs.cycles[0] / 500)


def test_a_relative_table_has_no_joules_but_units_of_one_mac() -> None:
    made = report()
    assert np.isnan(made.tally.energy_uj(made.scale)).all()
    # The table's MAC costs 1 for 16 bits, so that units of one MAC are those of the table.
    np.testing.assert_array_equal(made.tally.energy_mac_equiv(made.scale), made.costs.energy[0])
    assert made.tally.energy_mac_equiv(made.scale)[0, 0] == made.costs.executed[0, 0]


def test_pj_per_unit_turns_units_into_joules() -> None:
    made = report({"energy.pj_per_unit": 2.0})
    np.testing.assert_allclose(made.tally.energy_uj(made.scale), made.costs.energy[0] * 2e-6, rtol=1e-15)


def test_units_of_one_mac_are_of_the_accelerator_s_precision() -> None:
    half = accelerator({"precision.weight_bits": 8})
    assert Scale.of([half]).mac_energy[0] == pytest.approx(Scale.of([accelerator()]).mac_energy[0] / 2)


def test_there_are_no_units_of_a_mac_that_costs_nothing() -> None:
    made = report({"energy.overrides": {"mac": 0}})
    assert np.isnan(made.tally.energy_mac_equiv(made.scale)).all()
    assert made.totals["energy_mac_equiv"] is None
