from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from squeezesim.cli import main
from squeezesim.errors import UsageError
from squeezesim.explore.pareto import pareto
from squeezesim.explore.sweep.figure import axis_label, check_drawable, figure
from squeezesim.explore.sweep.sweep import run_sweep
from squeezesim.network import Layer, Network
from tests.report.cases import accelerator
from tests.report.figures.drawn import overlaps

AIMS = ("array.pes", "latency_us")


def swept(values: dict[str, Any], path: Path) -> tuple[Any, pa.Table]:
    layer = Layer.conv("conv", c=16, k=32, oy=14, ox=14, fy=3, fx=3)
    network = Network.from_layers([layer], name="one")
    return run_sweep([network], accelerator(), values, jobs=1, place=lambda _: path / "sweep")


def test_dots_are_the_designs_and_the_line_is_their_front(tmp_path: Path) -> None:
    of, table = swept({"array.rows": "4,8,16", "array.cols": "4,8,16"}, tmp_path)
    left, right = figure(of, table, AIMS, "latency_us").axes[:2]
    rows, cols, latency = (np.array(table[name]) for name in ("array.rows", "array.cols", "latency_us"))
    (dots,) = left.collections
    np.testing.assert_allclose(np.asarray(dots.get_offsets()), np.column_stack([rows * cols, latency]))
    front = pareto({"pes": rows * cols, "latency": latency}, ["pes", "latency"])
    (line,) = left.lines
    assert sorted(np.asarray(line.get_ydata())) == pytest.approx(sorted(latency[front]))
    assert [left.get_xlabel(), left.get_ylabel()] == ["PEs", "latency (µs)"]
    (image,) = right.images
    shown = np.asarray(image.get_array())
    assert (right.get_xlabel(), right.get_ylabel()) == ("array.rows", "array.cols")
    for row, col, value in zip(rows, cols, latency, strict=True):
        assert shown[[4, 8, 16].index(col), [4, 8, 16].index(row)] == pytest.approx(value)


def test_a_cell_is_the_best_of_what_is_put_together(tmp_path: Path) -> None:
    values = {"array.rows": "4,16", "array.cols": "4,16", "memory.dram.bandwidth_gb_s": "1,8"}
    of, table = swept(values, tmp_path)
    right = figure(of, table, AIMS, "utilization").axes[1]
    across, up = right.get_xlabel(), right.get_ylabel()
    best: dict[Any, float] = {}
    for row in table.to_pylist():
        place = row[across], row[up]
        best[place] = max(best.get(place, 0), row["utilization"])
    assert sorted(np.asarray(right.images[0].get_array()).ravel()) == pytest.approx(sorted(best.values()))


@pytest.mark.parametrize(
    "values",
    [{"array.rows": "4,8,16"}, {"array.rows": "4,8,16", "array.cols": "array.rows"}, {"array.rows": "8"}],
)
def test_of_a_single_parameter_there_is_a_curve(tmp_path: Path, values: dict[str, str]) -> None:
    of, table = swept(values, tmp_path)
    drawn = figure(of, table, AIMS, "latency_us")
    assert not drawn.axes[1].images
    assert len(np.asarray(drawn.axes[1].lines[0].get_ydata())) == table.num_rows
    assert overlaps(drawn) == []


def test_the_command_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Network.from_layers([Layer.matmul("fc", m=1, n=10, k=64)], name="fc").save("fc.graph.json")
    Path("small.yaml").write_text(accelerator().to_yaml(), encoding="utf-8")
    command = [
        "sweep",
        "fc.graph.json",
        "--hw",
        "small.yaml",
        "--set",
        "array.rows=4,8",
        "--set",
        "array.cols=4,8",
    ]
    assert main([*command, "--objectives", "array.pes,latency_us", "--plot", "a.svg", "--jobs", "1"]) == 0
    assert Path("a.svg").read_bytes().startswith(b"<?xml")
    assert main([*command, "--plot", "a.pdf"]) == 2
    assert main([*command, "--objectives", "latency_us", "--plot", "a.png"]) == 2


def test_a_front_is_of_two() -> None:
    with pytest.raises(UsageError, match="a front of two objectives, found 3"):
        check_drawable(("latency_us", "energy_uj", "array.pes"))
    assert axis_label("utilization") == "utilization"
