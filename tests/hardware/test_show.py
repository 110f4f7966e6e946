from __future__ import annotations

from squeezesim.hardware import Accelerator
from squeezesim.hardware.config import OVERRIDES, parameters
from squeezesim.hardware.display import Row, dram_text, ideals, rows, setup_text

HW = Accelerator.named("squeezelerator_8x8").replace({"energy.overrides": {}})


def test_a_row_for_every_parameter() -> None:
    assert [row.path for row in rows(HW)] == [path for path in parameters() if path != OVERRIDES]


def test_rows_have_value_unit_and_provenance() -> None:
    by_path = {row.path: row for row in rows(HW)}
    assert by_path["array.ports"] == Row("array.ports", "null", "words/cycle", "", "")
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


def test_what_is_left_out_is_ideal_and_said() -> None:
    plain: dict[str, object] = HW.model_dump(exclude={"provenance"})
    plain["memory"] = {"global_buffer": {"size_kib": 64}, "dram": {"bandwidth_gb_s": 4}}
    plain["control"] = {}
    bare = Accelerator.from_dict(plain)
    assert list(ideals(bare)) == [
        "memory.dram.usable_fraction",
        "memory.dram.latency_ns",
        "control.layer_setup_cycles",
    ]
    assert (dram_text(bare), setup_text(bare)) == ("DRAM 4 GB/s × 100 %, no latency", "no set-up")


def test_what_is_given_is_not_ideal() -> None:
    given = Accelerator.named("os_32x32")
    assert not ideals(given)
    assert dram_text(given) == "DRAM 12.8 GB/s × 80 %, latency 100 ns"
    assert setup_text(given) == "set-up 1,000 cycles a layer"
    cycles = given.replace({"memory.dram.latency_ns": None, "memory.dram.latency_cycles": 7})
    assert dram_text(cycles).endswith("latency 7 cycles")
