from __future__ import annotations

import numpy as np
import pytest

from squeezesim.hardware import Accelerator
from squeezesim.papers import squeezenext_calibration
from squeezesim.papers.squeezenext_calibration import (
    ENERGIES,
    SETUP,
    TIMES,
    Calibration,
    leave_one_family_out,
)
from squeezesim.papers.squeezenext_networks import ACCELERATORS, UNIT, Table3, compute, families, table3


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return Calibration()


def printed_errors(table: Table3) -> tuple[list[float], list[float]]:
    times = [
        table.time(run.accelerator.name, run.title) / run.printed.time[run.accelerator.name] - 1
        for run in table
    ]
    return times, [run.total_energy / run.printed.energy[run.accelerator.name] - 1 for run in table]


@pytest.mark.parametrize("name", ACCELERATORS)
def test_every_calibrated_parameter_is_among_them(name: str) -> None:
    accelerator = Accelerator.named(name)
    calibrated = {
        path for path, origin in accelerator.provenance.items() if origin.provenance == "calibrated"
    }
    named = {path for path in calibrated if not path.startswith("energy.overrides")}
    assert named - {"clock_mhz"} == set(TIMES)
    assert set(accelerator.energy.overrides) == set(ENERGIES)


def test_both_accelerators_share_the_calibrated_values() -> None:
    large, small = map(Accelerator.named, ACCELERATORS)
    assert large.energy == small.energy
    assert large.mapper == small.mapper
    assert large.control == small.control
    assert large.array.weight_swap_cycles == small.array.weight_swap_cycles
    assert large.memory.dram == small.memory.dram
    assert large.memory.row_words == small.memory.row_words


def test_what_is_left_out_is_the_neutral_value() -> None:
    """An energy that is left out is the table's own; a parameter of time is what a file without it has."""
    accelerator = Accelerator.named(ACCELERATORS[0])
    own = accelerator.replace({"energy.overrides": {}})
    named = accelerator.replace({"energy.overrides": dict(ENERGIES)})
    one = compute([own]).runs[own.name]["1.0-SqNxt-23"].energy
    other = compute([named]).runs[own.name]["1.0-SqNxt-23"].energy
    np.testing.assert_allclose(one, other)
    neutral = accelerator.replace(dict(TIMES))
    assert (neutral.array.weight_swap_cycles, neutral.setup_cycles) == (0, 0)
    assert (neutral.memory.row_words, neutral.memory.dram.usable_fraction) == (1, 1)


def test_errors_as_shipped_are_those_of_an_evaluation(calibration: Calibration) -> None:
    times, energies = printed_errors(compute())
    errors = calibration.errors(calibration.shipped)
    np.testing.assert_allclose(errors.times.reshape(-1), times, atol=1e-12)
    np.testing.assert_allclose(errors.energies.reshape(-1), energies, atol=1e-12)


def test_errors_of_other_values_are_those_of_an_evaluation(calibration: Calibration) -> None:
    """Set-up adds exactly; energies are linear but for tilings that are as fast and take less at these energies."""
    values = {**calibration.shipped, SETUP: 1.3, "dram": 150.0, "inter_pe": 1.5}
    changes = {path: values[path] for path in TIMES}
    overrides = {"energy.overrides": {level: values[level] for level in ENERGIES}}
    table = compute([Accelerator.named(name).replace({**changes, **overrides}) for name in ACCELERATORS])
    times, energies = printed_errors(table)
    errors = calibration.errors(values)
    np.testing.assert_allclose(errors.times.reshape(-1), times, atol=1e-12)
    linear = errors.energies.reshape(-1)
    assert np.all(energies <= linear + 1e-12)
    np.testing.assert_allclose(energies, linear, atol=0.005)


def test_the_unit_of_time_can_be_what_others_say_it_is(calibration: Calibration) -> None:
    fitted = np.array([row.family != "1.0-SqueezeNext" for row in table3().values()])
    usual, others = (calibration.errors(calibration.shipped, by).times + 1 for by in (None, fitted))
    np.testing.assert_allclose(np.exp(np.log(others[:, fitted]).mean(axis=1)), 1)
    np.testing.assert_allclose(others / others[:, :1], usual / usual[:, :1])


def test_each_parameter_is_left_out_alone_and_all_together(calibration: Calibration) -> None:
    names = [name for name, _ in calibration.without()]
    assert names[0] == "as shipped"
    assert [name.rpartition(" ")[0].removeprefix("energy of ") for name in names[1:-1]] == [*TIMES, *ENERGIES]
    assert names[-1] == "all of these"


def test_a_family_is_left_out_of_its_fit(calibration: Calibration, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a grid of the shipped values and one that is wrong, every fit finds the shipped ones."""
    shipped = {path: (value,) for path, value in calibration.shipped.items()}
    monkeypatch.setattr(squeezenext_calibration, "GRID", {**shipped, SETUP: (40.0,), "dram": (500.0,)})
    fits = leave_one_family_out(calibration)
    assert [fit.left_out for fit in fits] == [None, *families()]
    for fit in fits:
        assert fit.values == calibration.shipped
        members = [row for row in table3().values() if row.family == fit.left_out]
        assert fit.errors.times.shape == fit.errors.energies.shape == (2, len(members) or 13)
    everywhere = calibration.errors(calibration.shipped)
    np.testing.assert_array_equal(fits[0].errors.times, everywhere.times)
    alexnet = list(table3()).index("AlexNet")
    np.testing.assert_array_equal(fits[1].errors.times[:, 0], everywhere.times[:, alexnet])
    assert table3()[UNIT].family == "1.0-SqueezeNext"


def test_evaluations_are_kept_and_told_of() -> None:
    told: list[str] = []
    calibration = Calibration(told.append)
    calibration.errors(calibration.shipped)
    calibration.errors({**calibration.shipped, SETUP: 9.0, "dram": 1.0})
    assert len(told) == 1
    assert "row_words" in told[0]
