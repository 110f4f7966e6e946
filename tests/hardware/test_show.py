from __future__ import annotations

from squeezesim.hardware import Accelerator
from squeezesim.hardware.paths import OVERRIDES, parameters
from squeezesim.hardware.show import Row, rows

HW = Accelerator.named("squeezelerator_8x8").replace({"energy.overrides": {}})


def test_a_row_for_every_parameter() -> None:
    assert [row.path for row in rows(HW)] == [path for path in parameters() if path != OVERRIDES]


def test_rows_have_value_unit_and_provenance() -> None:
    by_path = {row.path: row for row in rows(HW)}
    assert by_path["array.ports"] == Row("array.ports", "8", "words/cycle", "", "")
    assert by_path["memory.dram.latency_ns"] == Row("memory.dram.latency_ns", "null", "ns", "", "")
    assert by_path["array.dataflows"].value == "[ws, os]"
    assert by_path["name"].value == "squeezelerator_8x8"
    assert by_path["memory.dram.usable_fraction"] == Row(
        "memory.dram.usable_fraction", "0.95", "1", "calibrated", "arXiv 1803.10615v2, times of Table 3"
    )


def test_overrides_are_rows_of_their_own() -> None:
    changed = HW.replace({"energy.overrides.dram": {"value": 99.5, "provenance": "paper", "source": "a"}})
    row = next(row for row in rows(changed) if row.path == "energy.overrides.dram")
    assert row == Row("energy.overrides.dram", "99.5", "the table's unit", "paper", "a")
