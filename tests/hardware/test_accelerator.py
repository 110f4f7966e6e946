from __future__ import annotations

import math
import pickle
from copy import deepcopy
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from squeezesim.errors import HardwareError
from squeezesim.hardware import Accelerator, Provenance
from squeezesim.hardware.config import from_text, to_dict
from squeezesim.hardware.parts import Array
from squeezesim.yaml_tree import Source

from .strategies import ACCELERATORS, annotated_accelerators

SMALL: dict[str, Any] = {
    "name": "small",
    "clock_mhz": 500,
    "array": {"rows": 8, "cols": 4, "dataflows": ["ws", "os"]},
    "memory": {"global_buffer": {"size_kib": 64}, "dram": {"bandwidth_gb_s": 16}},
}


@pytest.fixture
def small() -> Accelerator:
    return Accelerator.from_dict(SMALL)


def test_defaults(small: Accelerator) -> None:
    assert (small.precision.weight_bits, small.precision.activation_bits) == (16, 16)
    assert small.precision.accumulator_bits == 32
    assert small.array.interconnect == "broadcast"
    assert small.array.register_file.psum_words == 64
    assert small.memory.global_buffer.bytes_per_cycle is None
    assert small.memory.global_buffer.double_buffered == ("inputs", "weights", "outputs")
    assert small.memory.dram.usable_fraction == 1
    assert small.control.layer_setup_cycles == 0
    assert (small.mapper.objective, small.mapper.latency_slack) == ("latency", 0)
    assert small.dma.granularity == "row"
    assert (small.sparsity.weights, small.sparsity.skipped_by) == (0, ())
    assert (small.vector.model, small.vector.lanes, small.vector_lanes) == ("lanes", None, 4)
    assert (small.energy.table, small.energy.overrides, small.energy.pj_per_unit) == (
        "eyeriss_relative",
        {},
        None,
    )
    assert small.provenance == {}


def test_derived_numbers(small: Accelerator) -> None:
    assert small.array.pes == 32
    assert small.array.port_words == 4
    assert small.replace({"array.ports": 7}).array.port_words == 7
    assert small.dram_bytes_per_cycle == 32  # 16e9 bytes/s ÷ 500e6 cycles/s
    assert small.replace({"memory.dram.usable_fraction": 0.5}).dram_bytes_per_cycle == 16
    assert small.dram_latency_cycles == 0
    assert small.replace({"memory.dram.latency_cycles": 100}).dram_latency_cycles == 100


def test_widths_that_follow_the_array() -> None:
    """Null is one for each column, whatever the array is made to be; a number stays."""
    for name in Accelerator.names():
        if not Accelerator.named(name).array.dataflows:
            with pytest.raises(HardwareError, match=rf"array\.cols: {name} has units alone; allowed: "):
                Accelerator.named(name).replace({"array.cols": 24})
            continue
        wide = Accelerator.named(name).replace(
            {"array.cols": 24, "vector.model": "lanes", "vector.lanes": None}
        )
        assert wide.array.port_words == (24 if wide.array.ports is None else wide.array.ports)
        assert wide.vector_lanes == 24
    fixed = wide.replace({"array.ports": 3, "vector.lanes": 5})
    assert (fixed.array.port_words, fixed.vector_lanes) == (3, 5)
    assert fixed.replace({"vector.model": "none"}).vector_lanes == 0


@pytest.mark.parametrize(
    ("ns", "mhz", "cycles"), [(100, 800, 80), (0.1, 30_000, 3), (1, 1, 1), (0, 1000, 0), (100.1, 1000, 101)]
)
def test_latency_in_time_is_rounded_up_to_cycles(
    small: Accelerator, ns: float, mhz: float, cycles: int
) -> None:
    assert small.replace({"memory.dram.latency_ns": ns, "clock_mhz": mhz}).dram_latency_cycles == cycles


@given(ns=st.decimals(0, 1_000_000, places=3), mhz=st.decimals("0.001", 100_000, places=3))
@settings(deadline=None)
def test_latency_in_cycles_is_the_least_that_lasts_as_long(ns: Any, mhz: Any) -> None:
    hw = Accelerator.from_dict(SMALL).replace({"memory.dram.latency_ns": float(ns), "clock_mhz": float(mhz)})
    assert hw.dram_latency_cycles == math.ceil(Fraction(ns) * Fraction(mhz) / 1000)


@given(annotated_accelerators())
@settings(deadline=None, max_examples=150)
def test_yaml_round_trip(data: dict[str, Any]) -> None:
    accelerator = Accelerator.from_dict(data)
    text = accelerator.to_yaml()
    again = from_text(Source("again.yaml", text), Accelerator)
    assert again == accelerator
    assert hash(again) == hash(accelerator)
    assert again.to_yaml() == text


@given(ACCELERATORS)
@settings(deadline=None, max_examples=30)
def test_copies_are_equal(data: dict[str, Any]) -> None:
    accelerator = Accelerator.from_dict(data)
    assert pickle.loads(pickle.dumps(accelerator)) == accelerator
    assert deepcopy(accelerator) == accelerator
    assert Accelerator.from_dict(to_dict(accelerator)) == accelerator


def test_frozen(small: Accelerator) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        small.clock_mhz = 3
    with pytest.raises(ValidationError, match="frozen"):
        small.array.rows = 3
    with pytest.raises(TypeError, match="frozen"):
        small.energy.overrides["dram"] = 3.0
    with pytest.raises(TypeError, match="frozen"):
        small.provenance.clear()


def test_replace_leaves_the_original(small: Accelerator) -> None:
    changed = small.replace(
        {"array.rows": 16, "memory.global_buffer.size_kib": 32, "energy.overrides.dram": 100}
    )
    assert (changed.array.rows, changed.memory.global_buffer.size_kib) == (16, 32)
    assert changed.energy.overrides == {"dram": 100}
    assert small == Accelerator.from_dict(SMALL)
    assert (
        changed.replace({"array.rows": 8, "memory.global_buffer.size_kib": 64, "energy.overrides": {}})
        == small
    )


def test_replace_takes_sections_and_numpy_values(small: Accelerator) -> None:
    part = Array(rows=2, cols=3, dataflows=("os",))
    assert small.replace({"array": part}).array == part
    mapping = {"bandwidth_gb_s": 3}
    changed = small.replace({"memory.dram": mapping, "memory.dram.latency_ns": 5})
    assert changed.memory.dram.model_dump(exclude_none=True) == {
        "bandwidth_gb_s": 3.0,
        "usable_fraction": 1.0,
        "latency_ns": 5.0,
    }
    assert mapping == {"bandwidth_gb_s": 3}
    changed = small.replace(
        {"array.rows": np.int64(5), "clock_mhz": np.float32(2), "array.cols": np.float64(6)}
    )
    assert (changed.array.rows, changed.clock_mhz, changed.array.cols) == (5, 2, 6)
    assert type(changed.array.rows) is int


class Flow(StrEnum):
    OS = "os"


@pytest.mark.parametrize("name", [np.str_("os"), Flow.OS])
def test_names_become_plain_texts(small: Accelerator, name: str) -> None:
    changed = small.replace({"array.dataflows": [name], "sparsity.skipped_by": [name]})
    assert [type(each) for each in (*changed.array.dataflows, *changed.sparsity.skipped_by)] == [str, str]
    assert from_text(Source("f.yaml", changed.to_yaml()), Accelerator) == changed
    assert changed == small.replace({"array.dataflows": ["os"], "sparsity.skipped_by": ["os"]})


def test_replace_exchanges_cycles_for_time(small: Accelerator) -> None:
    cycles = small.replace({"memory.dram.latency_cycles": 100})
    with pytest.raises(HardwareError) as error:
        cycles.replace({"memory.dram.latency_ns": 20})
    assert str(error.value) == (
        "memory.dram has both latency_cycles and latency_ns; allowed: one of them (null takes one away)"
    )
    time = cycles.replace({"memory.dram.latency_ns": 20, "memory.dram.latency_cycles": None})
    assert time.dram_latency_cycles == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"array.row": 3},
            "unknown parameter 'array.row'; allowed: dotted paths such as 'array.rows'; did you mean "
            "'array.rows'?",
        ),
        (
            {"size_kib": 3},
            "unknown parameter 'size_kib'; allowed: dotted paths such as 'array.rows'; did you mean "
            "'memory.global_buffer.size_kib' or 'memory.stays.size_kib'?",
        ),
        ({"": 3}, "unknown parameter ''; allowed: dotted paths such as 'array.rows'"),
        ({"provenance": {}}, "unknown parameter 'provenance'; allowed: dotted paths such as 'array.rows'"),
        ({"array.rows": 0}, "array.rows is 0; allowed: an integer from 1 to 4096 (PEs)"),
        ({"array.rows": 2.5}, "array.rows is 2.5; allowed: an integer from 1 to 4096 (PEs)"),
        ({"array.rows": True}, "array.rows is true; allowed: an integer from 1 to 4096 (PEs)"),
        ({"clock_mhz": float("nan")}, "clock_mhz is nan; allowed: a number from 0.001 to 100000 (MHz)"),
        (
            {"clock_mhz": 10**5000},
            "clock_mhz is an integer of more than 300 digits; allowed: a number from 0.001 to 100000 (MHz)",
        ),
        (
            {"memory.dram": 3},
            "memory.dram is 3; allowed: a mapping with the keys bandwidth_gb_s, usable_fraction, "
            "latency_cycles, latency_ns",
        ),
        (
            {"energy.overrides.drm": 3},
            "unknown key 'drm' in energy.overrides; allowed: mac, register_file, inter_pe, buffer, dram, "
            "vector_op; did you mean 'dram'?",
        ),
        ({"energy.overrides.dram": -1}, "energy.overrides.dram is -1; allowed: a number from 0 to 1e9"),
        (
            {"energy.table": "horowitz"},
            "energy.table is 'horowitz'; allowed: cacti_22nm, cacti_45nm, cacti_65nm, eyeriss_relative, "
            "horowitz_45nm; did you mean 'horowitz_45nm'?",
        ),
    ],
)
def test_replace_errors(small: Accelerator, changes: dict[str, object], message: str) -> None:
    with pytest.raises(HardwareError) as error:
        small.replace(changes)
    assert str(error.value) == message


def test_replace_keeps_the_provenance_of_what_does_not_change() -> None:
    hw = Accelerator.named("squeezelerator_16x16")
    assert hw.provenance["memory.dram.usable_fraction"].provenance == "calibrated"
    changed = hw.replace({"array.rows": 8, "array.cols": 16, "sparsity": {}})
    assert hw.provenance.keys() - changed.provenance.keys() == {
        "array.rows",
        "sparsity.weights",
        "sparsity.skipped_by",
    }
    assert changed.provenance.keys() <= hw.provenance.keys()
    stated = hw.replace({"array.rows": {"value": 8, "provenance": "datasheet", "source": "sheet"}})
    assert stated.provenance["array.rows"] == Provenance(provenance="datasheet", source="sheet")


def test_from_dict_names_all_mistakes() -> None:
    data = deepcopy(SMALL)
    data["array"]["rows"] = 0
    data["clock_mhz"] = "fast"
    data["memory"]["dram"]["bandwidth_gb_s"] = -1
    with pytest.raises(HardwareError) as error:
        Accelerator.from_dict(data)
    assert str(error.value).splitlines() == [
        "clock_mhz is 'fast'; allowed: a number from 0.001 to 100000 (MHz)",
        "array.rows is 0; allowed: an integer from 1 to 4096 (PEs)",
        "memory.dram.bandwidth_gb_s is -1; allowed: a number from 0.001 to 1000000 (GB/s)",
    ]


def test_of_very_many_mistakes_the_first_are_named() -> None:
    units = {f"unit{number}": {"unroll": {"k": 0, "c": 0}} for number in range(12)}
    with pytest.raises(HardwareError) as error:
        Accelerator.from_dict({**SMALL, "array": {"units": units}})
    lines = str(error.value).splitlines()
    assert len(lines) == 21
    assert lines[0] == "array.units.unit0.unroll.k is 0; allowed: an integer from 1 to 65536"
    assert lines[-1] == "and 4 more"


def test_text_is_short(small: Accelerator) -> None:
    assert repr(small) == str(small)
    assert str(small).splitlines() == [
        "small",
        "  clock     500 MHz",
        "  array     8×4 PEs, ws or os, broadcast, 4 port words/cycle, 64 partial sums/PE",
        "  precision 16-bit weights, 16-bit activations, 32-bit partial sums",
        "  buffer    64 KiB, double-buffered: inputs weights outputs",
        "  dram      16 GB/s × 1 = 32 B/cycle, latency 0 cycles",
        "  control   0 cycles set-up a layer, DMA granularity row",
        "  mapper    latency, slack 0",
        "  sparsity  0% zero weights",
        "  vector    4 lanes",
        "  energy    eyeriss_relative",
    ]
