from __future__ import annotations

from dataclasses import replace
from math import isclose

import pytest

from squeezesim.cost.dataflow.scalesim import SCALESIM
from squeezesim.network import Network
from squeezesim.papers import scalesim
from squeezesim.papers.scalesim import Run, check, runs
from squeezesim.simulate import simulate

RUNS = runs()


def test_every_run_of_scalesim_is_equal() -> None:
    checked = check()
    assert [bound.text for bound in checked.bounds if not bound.holds] == []
    assert all(row.reference == row.ours > 60 for row in checked.rows)
    for quantity in {row.quantity for row in checked.rows}:
        counted = sum(row.reference for row in checked.rows if row.quantity == quantity)
        assert counted == len(RUNS) == 209


def test_the_runs_cover_shapes_and_dataflows() -> None:
    assert {run.dataflow for run in RUNS} == set(SCALESIM)
    assert {(run.rows, run.cols) for run in RUNS} >= {(1, 1), (1, 16), (16, 1), (7, 5), (128, 128)}
    assert {run.layer.op for run in RUNS} == {"matmul", "conv2d"}
    assert any(run.layer.oy * run.layer.stride[0] > run.layer.iy for run in RUNS)  # outputs are rounded up


@pytest.mark.parametrize(
    "quantity", ["total_cycles", "mapping_eff_pct", "sram_ifmap_reads", "sram_ofmap_writes"]
)
def test_a_number_that_is_off_by_one_in_a_million_breaks_the_bound(
    monkeypatch: pytest.MonkeyPatch, quantity: str
) -> None:
    run = max(RUNS, key=lambda run: run.printed["total_cycles"])
    wrong = replace(run, printed={**run.printed, quantity: run.printed[quantity] * (1 + 1e-6)})
    monkeypatch.setattr(scalesim, "runs", lambda: [wrong])
    assert not check().holds


@pytest.mark.parametrize(
    "run", RUNS[::7], ids=lambda run: f"{run.layer.name}-{run.rows}x{run.cols}-{run.dataflow}"
)
def test_a_simulation_takes_one_cycle_more_than_printed(run: Run) -> None:
    report = simulate(Network.from_layers([run.layer]), run.accelerator)
    (row,) = report.rows()
    pes = run.rows * run.cols
    assert row["dataflow"] == run.dataflow
    assert row["scalesim_total_cycles"] == run.printed["total_cycles"]
    assert isclose(100 * row["scalesim_mapping_efficiency"], run.printed["mapping_eff_pct"], rel_tol=1e-9)
    # Inputs and weights are loaded and outputs are stored, each in one cycle.
    assert row["cycles"] == run.printed["total_cycles"] + 1 + 3
    assert row["lost_startup"] == 3 * pes
    assert row["lost_dram"] == row["lost_buffer"] == row["lost_setup"] == row["lost_zeros"] == 0
    assert row["executed_macs"] + row["lost_edge"] + row["lost_fill"] == pes * (row["cycles"] - 3)
