from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from squeezesim.errors import HardwareError, SqueezesimError, UsageError
from squeezesim.explore.sweep.design_space import BELOW_ONE, Axis, Designs, Value, grid, parse_axis, sample
from squeezesim.hardware.accelerator import Accelerator
from tests.report.cases import accelerator

BASE = accelerator()
KIB = "memory.global_buffer.size_kib"


def designs(count: int | None = None, /, **given: str) -> Designs:
    axes = [parse_axis(path.replace("__", "."), text) for path, text in given.items()]
    return grid(BASE, axes) if count is None else sample(BASE, axes, count, 0)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("array.rows", "8,16,32", (8, 16, 32)),
        ("array.rows", "8:32:8", (8, 16, 24, 32)),
        ("array.rows", "8:31:8", (8, 16, 24)),
        ("array.rows", "1,8:16:4,64", (1, 8, 12, 16, 64)),
        (KIB, "32:1024:x2", (32, 64, 128, 256, 512, 1024)),
        (KIB, "1:10:x3", (1, 3, 9)),
        (KIB, "0.1:0.5:0.1", (0.1, 0.2, 0.3, 0.4, 0.5)),
        (KIB, "1:4:x1.5", (1, 1.5, 2.25, 3.375)),
        (KIB, "64:64:1", (64,)),
        ("memory.dram.latency_ns", "null,100", (None, 100)),
        ("mapper.objective", "latency,edp", ("latency", "edp")),
        ("array.dataflows", "ws+os,os", (["ws", "os"], ["os"])),
        ("array.rows", "8,16,8,4,16", (8, 16, 4)),
        (KIB, "64,64.0,32:64:x2", (64, 32)),
        ("array.dataflows", "ws,os,ws", (["ws"], ["os"])),
        ("sparsity.skipped_by", "none,os", ([], ["os"])),
    ],
)
def test_values_as_written(path: str, text: str, expected: tuple[Value, ...]) -> None:
    assert parse_axis(path, text) == Axis(path, expected)


def test_long_ranges_end() -> None:
    """Values between the least and greatest float; and many of a factor whose powers have ever more digits."""
    assert len(parse_axis("clock_mhz", "1e-300:1e300:x2").values) == 1994
    values = parse_axis("clock_mhz", "1:1e5:x1.0002").values
    assert len(values) == 57571
    assert all(b == pytest.approx(a * 1.0002, rel=1e-14) for a, b in pairwise(values))
    assert parse_axis("clock_mhz", "16:81:x1.5").values == (16, 24, 36, 54, 81)


ENDS = st.floats(0.001, 4096)


@given(
    ENDS,
    ENDS,
    st.booleans(),
    st.floats(0, BELOW_ONE),
    st.sampled_from(["array.rows", "clock_mhz", "energy.overrides.mac"]),
)
@example(one=0.1, other=0.7, is_log=True, share=BELOW_ONE, path="clock_mhz")
def test_what_is_drawn_lies_in_the_range(
    one: float, other: float, is_log: bool, share: float, path: str
) -> None:
    low, high = sorted((one, other))
    text = f"{low!r}:{high!r}" + (":log" if is_log else "")
    if path == "array.rows" and math.ceil(low) > math.floor(high):
        with pytest.raises(UsageError, match="holds no integer"):
            parse_axis(path, text)
        return
    axis = parse_axis(path, text)
    for at in (0.0, share, BELOW_ONE):
        value = axis.at(at)
        assert isinstance(value, int if path == "array.rows" else float)
        assert low <= value <= high


def test_intervals_and_links() -> None:
    assert parse_axis(KIB, "4:64") == Axis(KIB, interval=(4, 64))
    assert parse_axis(KIB, "4:64:log") == Axis(KIB, interval=(4, 64), is_log=True)
    assert parse_axis("array.rows", "array.cols") == Axis("array.rows", link="array.cols")


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (
            "array.row",
            "8",
            "unknown parameter 'array.row'; allowed: dotted paths such as 'array.rows'; did you mean ",
        ),
        (
            "array.rows",
            "32:8:8",
            "array.rows: range '32:8:8' is empty; allowed: from:to:step, from:to:xFACTOR",
        ),
        ("array.rows", "32:8", "array.rows: range '32:8' is empty; allowed: "),
        (
            "array.rows",
            "8:32:0",
            "array.rows: range '8:32:0' never ends; allowed: a step above 0, a factor above 1",
        ),
        ("array.rows", "8:32:-8", "array.rows: range '8:32:-8' never ends"),
        ("array.rows", "8:32:x1", "array.rows: range '8:32:x1' never ends"),
        ("array.rows", "0:32:x2", "array.rows: range '0:32:x2' never ends"),
        ("array.rows", "0:32:log", "array.rows: range '0:32:log' has no logarithm"),
        (
            "array.rows",
            "1:1e9:1",
            "array.rows: range '1:1e9:1' has more than 100,000 values; allowed: at most that",
        ),
        ("clock_mhz", "1:2:x1.000000000000001", "clock_mhz: range '1:2:x1.000000000000001' has more than"),
        ("array.rows", "8.2:8.8", "array.rows: range '8.2:8.8' holds no integer; allowed: an integer from 1"),
        ("array.ports", "8.2:8.8:log", "array.ports: range '8.2:8.8:log' holds no integer; allowed: an"),
        ("array.rows", "a:32:8", "array.rows: 'a' in 'a:32:8' is no number; allowed: "),
        ("array.rows", "1:2:3:4", "array.rows: '1:2:3:4' is no range; allowed: "),
        ("array.rows", "aray.cols", "array.rows=aray.cols: unknown parameter 'aray.cols'; allowed: dotted"),
        ("array.rows", "memory.dram", "array.rows=memory.dram: unknown parameter 'memory.dram'; allowed: "),
        ("array.rows", "8,,16", "array.rows has an empty value; allowed: values with commas between"),
        ("array.rows", "", "array.rows has an empty value"),
    ],
)
def test_mistakes_in_values(path: str, text: str, message: str) -> None:
    with pytest.raises(SqueezesimError) as caught:
        parse_axis(path, text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_value_with_a_dot_is_no_path() -> None:
    assert parse_axis("energy.table", "mine.yaml").values == ("mine.yaml",)
    assert parse_axis(KIB, "0.5").values == (0.5,)


def test_values_that_only_look_alike_stay() -> None:
    given: list[Value] = [True, 1, "1", None, 1.0]
    assert repr(parse_axis("array.rows", given).values) == repr((True, 1, "1", None))


def test_a_grid_holds_every_combination_and_the_array_changes_the_slowest() -> None:
    found = designs(memory__dram__bandwidth_gb_s="1,2", array__rows="2,4", array__cols="array.rows")
    assert found.columns == {
        "memory.dram.bandwidth_gb_s": (1, 2, 1, 2),
        "array.rows": (2, 2, 4, 4),
        "array.cols": (2, 2, 4, 4),
    }
    for number, hw in enumerate(found.accelerators()):
        assert isinstance(hw, Accelerator)
        assert hw == BASE.replace(
            {path: column[number] for path, column in found.columns.items()}
        ).model_copy(update={"provenance": hw.provenance})


def test_a_link_to_a_parameter_that_does_not_vary_takes_its_value() -> None:
    found = designs(array__rows="array.cols", clock_mhz="100,200")
    assert found.columns["array.rows"] == (BASE.array.cols,) * 2


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"array__rows": "8,0"}, "array.rows is 0; allowed: an integer from 1 to 4096 (PEs)"),
        ({"array__rows": "8,x"}, "array.rows is 'x'; allowed: an integer from 1 to 4096 (PEs)"),
        ({"array__rows": "array.cols", "array__cols": "array.rows"}, "is a link itself; allowed: "),
        ({"array__rows": "array.rows"}, "array.rows=array.rows: array.rows is a link itself"),
        (
            {"array__rows": "8:64"},
            "array.rows takes all values from 8 to 64; allowed without a number of samples: ",
        ),
        (
            {"array__rows": "1:2000:1", "array__cols": "1:2000:1"},
            "4,000,000 designs; allowed: at most 1,000,000",
        ),
        ({}, "no parameter varies; allowed: one or more, as array.rows=8,16,32"),
    ],
)
def test_mistakes_in_a_grid(given_: dict[str, str], message: str) -> None:
    with pytest.raises(SqueezesimError) as caught:
        designs(**given_)
    assert message in str(caught.value)


def test_conditions_keep_some_designs() -> None:
    found = designs(array__rows="2,4,8", array__cols="2,4").where(
        ["array.pes <= 16", "array.rows > array.cols"]
    )
    rows_cols = list(zip(found.columns["array.rows"], found.columns["array.cols"], strict=True))
    assert rows_cols == [(4, 2), (8, 2)]
    assert len(designs(array__rows="2,4").where([f"{KIB} == {BASE.memory.global_buffer.size_kib:g}"])) == 2
    with pytest.raises(UsageError, match=r"none of 2 designs meets 'array\.pes > 1M'"):
        designs(array__rows="2,4").where(["array.pes > 1M"])
    with pytest.raises(UsageError, match=r"unknown name 'array\.row'"):
        designs(array__rows="2,4").where(["array.row > 1"])


@given(st.integers(1, 60), st.integers(0, 99))
def test_a_latin_hypercube_draws_once_from_each_part(count: int, seed: int) -> None:
    axes = [parse_axis("memory.dram.bandwidth_gb_s", "4:64"), parse_axis("clock_mhz", "100:1000:log")]
    found = sample(BASE, axes, count, seed)
    bandwidth = np.array(found.columns["memory.dram.bandwidth_gb_s"], np.float64)
    clock = np.array(found.columns["clock_mhz"], np.float64)
    assert sorted(np.floor((bandwidth - 4) / 60 * count).tolist()) == list(range(count))
    parts = np.floor(np.log10(clock / 100) * count + 1e-9)
    assert sorted(parts.tolist()) == list(range(count))


@given(st.integers(0, 99), st.booleans())
def test_samples_are_values_of_their_axes_and_repeat_with_the_seed(seed: int, latin: bool) -> None:
    axes = [
        parse_axis("array.rows", "4:64"),
        parse_axis("array.cols", "array.rows"),
        parse_axis(KIB, "16,64"),
    ]
    found, again, other = (sample(BASE, axes, 40, s, latin=latin) for s in (seed, seed, seed + 1))
    assert found.columns == again.columns != other.columns
    assert all(isinstance(rows, int) and 4 <= rows <= 64 for rows in found.columns["array.rows"])
    assert found.columns["array.cols"] == found.columns["array.rows"]
    assert set(found.columns[KIB]) <= {16, 64}


def test_a_value_of_the_wrong_kind_beside_the_others_is_refused() -> None:
    base = Accelerator.named("squeezelerator_16x16")
    with pytest.raises(HardwareError, match="has both latency_cycles and latency_ns"):
        grid(base, [Axis("memory.dram.latency_ns", (1, 2))])
    both = [Axis("memory.dram.latency_cycles", (None,)), Axis("memory.dram.latency_ns", (1, 2))]
    assert len(grid(base, both)) == 2
