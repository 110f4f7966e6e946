"""Values fitted to times that an accelerator with known values took."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import squeezesim as sq
from squeezesim.errors import HardwareError, ModelError, UsageError
from squeezesim.explore.calibrate import Calibration, calibrate, read_measured, sections
from squeezesim.report.text import plain

MODEL = "squeezenet_1_1"
OWN = sq.Accelerator.named("squeezelerator_16x16").replace(
    {"memory.dram.usable_fraction": 0.8, "control.layer_setup_cycles": 500}
)
TRUE = {"memory.dram.usable_fraction": 0.65, "control.layer_setup_cycles": 2000}


def table(folder: Path, rows: list[list[object]]) -> Path:
    file = folder / "measured.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return file


def measured(folder: Path, on: sq.Accelerator, count: int = 6) -> Path:
    """Times of the network and some of its layers on an accelerator."""
    report = sq.simulate(MODEL, on)
    layers = report.layers[report.layers.cycles > 0]
    rows: list[list[object]] = [["model", "layer", "latency_us"], [MODEL, "", report.totals["latency_us"]]]
    rows += [
        [MODEL, name, cycles / on.clock_mhz] for name, cycles in zip(layers.name, layers.cycles, strict=True)
    ][:count]
    return table(folder, rows)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    file = measured(tmp_path_factory.mktemp("times"), OWN.replace(TRUE))
    return calibrate(OWN, file, list(TRUE))


def test_values_that_made_the_times_are_found(fitted: Calibration) -> None:
    assert fitted.mean_error(fitted.simulated) > 0.1
    assert fitted.mean_error(fitted.fitted) < 2e-3
    assert fitted.left_out is not None
    assert fitted.mean_error(fitted.left_out) < 5e-3
    for path, (before, after) in fitted.values.items():
        assert before == {"memory.dram.usable_fraction": 0.8, "control.layer_setup_cycles": 500}[path]
        assert after == pytest.approx(TRUE[path], rel=0.01)


def test_the_accelerator_has_them_and_says_so(fitted: Calibration) -> None:
    found = fitted.accelerator
    assert found.memory.dram.usable_fraction == fitted.values["memory.dram.usable_fraction"][1]
    for path in TRUE:
        assert found.provenance[path].provenance == "calibrated"
        assert found.provenance[path].source.startswith("measured.csv, 7 rows: mean error 0.")
    others = {path: each for path, each in OWN.provenance.items() if path not in TRUE}
    assert {path: each for path, each in found.provenance.items() if path not in TRUE} == others
    times = [sq.simulate(MODEL, found).totals["latency_us"], fitted.fitted[0]]
    assert times[0] == pytest.approx(times[1])


def test_rows_are_what_simulate_says(tmp_path: Path) -> None:
    file = table(tmp_path, [["model", "layer", "cycles"], [MODEL, "", 1e6], [MODEL, "stem.conv1", 1e5]])
    found = calibrate("os_32x32", file)
    report = sq.simulate(MODEL, "os_32x32")
    layer = report.layers.set_index("name").cycles["stem.conv1"]
    assert found.simulated == [report.totals["cycles"], layer] == found.fitted
    assert (found.left_out, found.values) == (None, {})
    assert [row["error"] for row in found.data()] == [found.simulated[0] / 1e6 - 1, layer / 1e5 - 1]


def test_only_values_without_a_source_are_said_to_matter(fitted: Calibration) -> None:
    found = {each.parameter: each for each in fitted.depends}
    given = OWN.provenance
    assert {*TRUE} <= {*found}
    for path, each in found.items():
        assert path not in given or given[path].provenance in ("calibrated", "guess")
        more = OWN.replace({path: type(each.value)(each.value * 1.1)})
        before, after = (sq.simulate(MODEL, on).totals["latency_us"] for on in (OWN, more))
        assert abs(after / before - 1) <= each.change + 1e-9


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["model", "latency"], [MODEL, 1]], "measured.csv:1: unknown column 'latency'; allowed: model"),
        ([["model", "cycles", "latency_us"]], "measured.csv:1: columns model, cycles, latency_us; needed"),
        ([["layer", "cycles"]], "measured.csv:1: columns layer, cycles; needed: model and one of"),
        ([["model", "cycles"]], "measured.csv has no measurements; needed: a row for each"),
        ([["model", "cycles"], [MODEL, "-1"]], "measured.csv:2: cycles '-1'; allowed: a number above 0"),
        ([["model", "cycles"], [MODEL, "x"]], "measured.csv:2: cycles 'x'; allowed: a number above 0"),
        ([["model", "cycles"], ["", "1"]], "measured.csv:2: needed: a model"),
        ([["model", "cycles"], [MODEL, "1", "2"]], "measured.csv:2: needed: a model"),
    ],
)
def test_a_wrong_table_is_one_line(rows: list[list[object]], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_measured(table(tmp_path, rows))
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)


def test_comments_and_blank_lines_count_as_lines(tmp_path: Path) -> None:
    file = tmp_path / "measured.csv"
    file.write_text(f"# a source\n\nmodel,latency_ms\n# two runs\n{MODEL},4\n")
    (row,) = read_measured(file)
    assert (row.model, row.layer, row.value, row.in_cycles, row.line) == (MODEL, "", 4000.0, False, 5)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ("array.rows", "array.rows of squeezelerator_16x16 is of a paper"),
        ("array.row", "'array.row'"),
        ("mapper.objective", "mapper.objective cannot be fitted; allowed: a number above 0"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(fit: str, message: str, tmp_path: Path) -> None:
    file = table(tmp_path, [["model", "cycles"], [MODEL, 1000]])
    with pytest.raises((UsageError, HardwareError)) as caught:
        calibrate("squeezelerator_16x16", file, [fit])
    assert message in str(caught.value)


def test_models_and_layers_that_there_are_not(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"measured\.csv:2: no layer 'stem\.con' of squeezenet_1_1; did you mean"
    ):
        calibrate(OWN, table(tmp_path, [["model", "layer", "cycles"], [MODEL, "stem.con", 1]]))
    with pytest.raises(UsageError, match=r"measured\.csv:2: squeezenet_1_1 stage1\.pool takes no time on"):
        calibrate(
            OWN.replace({"vector.model": "none"}),
            table(tmp_path, [["model", "layer", "cycles"], [MODEL, "stage1.pool", 1]]),
        )
    with pytest.raises(ModelError, match=r"measured\.csv:2: unknown network 'nothing'"):
        calibrate(OWN, table(tmp_path, [["model", "cycles"], ["nothing", 1]]))
    with pytest.raises(HardwareError, match=r"measured\.csv:2: .* does not fit the global buffer"):
        calibrate(
            OWN.replace({"memory.global_buffer.size_kib": 0.01}),
            table(tmp_path, [["model", "cycles"], [MODEL, 1]]),
        )


def test_the_text_has_every_row(fitted: Calibration) -> None:
    text = plain(sections(fitted))
    for row in fitted.rows:
        assert row.subject in text
    assert "memory.dram.usable_fraction  " in text
