from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from squeezesim.hardware import Accelerator
from squeezesim.load import load
from squeezesim.papers.squeezenext import check
from squeezesim.papers.squeezenext_networks import (
    ACCELERATORS,
    CYCLES,
    HEADLINES,
    UNIT,
    Table3,
    compute,
    families,
    networks,
    table3,
    totals,
)
from squeezesim.reference.record import Check
from squeezesim.simulate import simulate

LAYERS = Path(__file__).parents[1] / "data" / "squeezenext" / "table3_networks_layers.csv"


@pytest.fixture(scope="module")
def computed() -> Table3:
    return compute()


@pytest.fixture(scope="module")
def quick() -> Check:
    return check(quick=True)


def listed() -> dict[str, list[dict[str, int]]]:
    """Layers of the 13 networks as the list has them: integers by column."""
    found: dict[str, list[dict[str, int]]] = {}
    with LAYERS.open(newline="") as file:
        for row in csv.DictReader(file):
            sizes = {key: int(value) for key, value in row.items() if key not in ("net", "layer")}
            found.setdefault(row["net"], []).append(sizes)
    return found


def test_the_list_has_the_networks_of_the_table() -> None:
    assert list(table3()) == list(networks())
    assert set(listed()) == set(table3())


@pytest.mark.parametrize("title", list(table3()))
def test_the_layers_are_those_of_the_published_networks(title: str) -> None:
    ours = sorted(
        (
            layer.g * layer.c,
            layer.iy if layer.op == "conv2d" else 1,
            layer.ix if layer.op == "conv2d" else 1,
            layer.g * layer.k,
            layer.fy,
            layer.fx,
            *layer.stride,
            layer.oy,
            layer.ox,
            layer.g,
            layer.weight_elements,
            layer.macs,
            layer.output_elements,
        )
        for layer in networks()[title]
    )
    theirs = sorted(
        (
            *(row[key] for key in ("ci", "h", "w", "co", "kh", "kw", "stride", "stride", "oh", "ow")),
            *(row[key] for key in ("groups", "weights", "macs", "out_elems")),
        )
        for row in listed()[title]
    )
    assert ours == theirs


def test_the_printed_values_are_those_of_the_paper() -> None:
    """Some cells of Table 3, read from the paper."""
    large, small = ACCELERATORS
    rows = table3()
    assert len(rows) == 13
    assert (rows["AlexNet"].time[large], rows["AlexNet"].time[small]) == (8.26, 5.46)
    assert (rows["MobileNet"].energy[large], rows["MobileNet"].energy[small]) == (5.8e9, 9.1e9)
    assert (rows["Tiny Darknet"].time[small], rows["Tiny Darknet"].energy[small]) == (1.92, 3.8e9)
    assert (rows["2.0-SqNxt-23v5"].top1, rows["2.0-SqNxt-23v5"].params_millions) == (67.44, 3.23)
    assert rows[UNIT].time == dict.fromkeys(ACCELERATORS, 1.0)


def test_the_abstract_agrees_with_the_table() -> None:
    """The ratios of the abstract are those of the printed values, to the digits that are printed."""
    rows, large = table3(), ACCELERATORS[0]
    for title, quantity, printed in HEADLINES:
        values = {"time": rows[title].time, "energy": rows[title].energy}[quantity]
        unit = {"time": rows[UNIT].time, "energy": rows[UNIT].energy}[quantity]
        assert values[large] / unit[large] == pytest.approx(printed, abs=0.005)


def test_families_split_the_table() -> None:
    assert families() == (
        "AlexNet",
        "SqueezeNet",
        "Tiny Darknet",
        "1.0-SqueezeNext",
        "MobileNet",
        "2.0-SqueezeNext",
    )


@pytest.mark.parametrize("name", ACCELERATORS)
@pytest.mark.parametrize("title", ["1.0-SqNxt-23", "Tiny Darknet"])
def test_a_run_is_what_a_profile_of_the_network_is(computed: Table3, name: str, title: str) -> None:
    run = computed.runs[name][title]
    totals = simulate(load(run.printed.model), Accelerator.named(name)).totals
    assert run.total_cycles == totals["cycles"]
    assert run.total_energy == pytest.approx(totals["energy_mac_equiv"])
    assert run.dram_bytes.sum() == totals["dram_bytes"]


def test_totals_are_the_sums_of_the_runs(computed: Table3) -> None:
    cycles, energy = totals(computed)
    assert cycles.shape == energy.shape[:2] == (2, 13)
    assert cycles.reshape(-1).tolist() == [run.total_cycles for run in computed]
    np.testing.assert_allclose(energy.sum(axis=2).reshape(-1), [run.total_energy for run in computed])


def test_the_check_compares_every_printed_value(quick: Check) -> None:
    printed = [row.reference for row in quick.rows]
    times = [row.time[name] for name in ACCELERATORS for row in table3().values()]
    energies = [row.energy[name] for name in ACCELERATORS for row in table3().values()]
    assert printed == [*times, *energies, *CYCLES.values(), *(value for _, _, value in HEADLINES)]


def test_bounds_are_the_largest_errors(quick: Check) -> None:
    errors = {row: abs(row.error) for row in quick.rows}
    energies = {row: error for row, error in errors.items() if row.quantity.startswith("energy, ")}
    by_text = {bound.text.partition(",")[0]: (bound.value, bound.limit) for bound in quick.bounds}
    assert by_text["relative times"] == (
        max(error for row, error in errors.items() if row.quantity.startswith("relative time, ")),
        0.03,
    )
    assert by_text["energies of MobileNet"] == (
        max(error for row, error in energies.items() if row.subject == "MobileNet"),
        0.2,
    )
    assert by_text["energies of the other networks"] == (
        max(error for row, error in energies.items() if row.subject != "MobileNet"),
        0.1,
    )
    assert {limit for _, limit in by_text.values()} == {0.03, 0.04, 0.1, 0.2}
    assert len(by_text) == 6


def test_the_bounds_hold(quick: Check) -> None:
    assert [bound.text for bound in quick.bounds if not bound.holds] == []


def test_quick_leaves_out_the_fits(quick: Check) -> None:
    assert [table.title for table in quick.tables] == ["calibrated parameters, each left out"]
