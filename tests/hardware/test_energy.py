from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.errors import HardwareError
from squeezesim.hardware import Accelerator, EnergyCosts, energy_costs, tables
from squeezesim.hardware.energy import energy_table

BASE = Accelerator.named("squeezelerator_16x16").replace({"energy.overrides": {}})


def costs(table: str, **changes: object) -> EnergyCosts:
    paths = {key.replace("__", "."): value for key, value in changes.items()}
    return energy_costs(BASE.replace({"energy.table": table, **paths}))


def test_names() -> None:
    assert tables() == ("cacti_22nm", "cacti_45nm", "cacti_65nm", "eyeriss_relative", "horowitz_45nm")
    with pytest.raises(HardwareError) as error:
        energy_table("cacti_40nm")
    assert str(error.value) == (
        "unknown energy table 'cacti_40nm'; allowed: cacti_22nm, cacti_45nm, cacti_65nm, eyeriss_relative, "
        "horowitz_45nm; did you mean 'cacti_45nm' or 'cacti_65nm' or 'cacti_22nm'?"
    )


def test_eyeriss_in_16_bit_words() -> None:
    eyeriss = costs("eyeriss_relative")
    assert eyeriss.multiply_per_bit2 == 1 / 256
    assert eyeriss.add_per_bit == 0
    assert eyeriss.mac(16, 16, 32) == 1
    assert eyeriss.register_file_per_bit * 16 == 1
    assert eyeriss.inter_pe_per_bit * 16 == 2
    assert eyeriss.buffer_read_per_bit * 16 == 6
    assert eyeriss.buffer_write_per_bit * 16 == 6
    assert eyeriss.dram_per_bit * 16 == 200
    assert eyeriss.vector_op_per_bit * 16 == 1
    assert (eyeriss.leakage_mw, eyeriss.area_mm2, eyeriss.pj_per_unit) == (0, None, None)
    assert costs("eyeriss_relative", energy__pj_per_unit=2).pj_per_unit == 2


def test_horowitz_at_its_printed_values() -> None:
    at_32_kib = costs("horowitz_45nm", memory__global_buffer__size_kib=32)
    assert at_32_kib.mac(8, 8, 32) == pytest.approx(0.2 + 0.1)
    assert at_32_kib.mac(16, 16, 32) == pytest.approx(0.8 + 0.1)
    assert at_32_kib.multiply_per_bit2 * 32 * 32 == pytest.approx(3.1, rel=0.04)  # printed, not used
    assert at_32_kib.buffer_read_per_bit * 64 == 20
    assert at_32_kib.dram_per_bit * 64 == pytest.approx((1300 + 2600) / 2)
    assert at_32_kib.vector_op_per_bit * 16 == pytest.approx(0.05)
    assert at_32_kib.pj_per_unit == 1
    # 8 → 32 KB doubles the energy, so four halvings of the root lead from 8 KB to 0.5 KB.
    assert at_32_kib.register_file_per_bit * 64 == 10 / 4
    assert at_32_kib.inter_pe_per_bit == 2 * at_32_kib.register_file_per_bit
    for size, picojoule in ((8, 10), (1024, 100)):
        sized = costs("horowitz_45nm", memory__global_buffer__size_kib=size)
        assert sized.buffer_read_per_bit * 64 == picojoule
        assert sized.buffer_write_per_bit * 64 == picojoule


@pytest.mark.parametrize(
    ("node", "factor", "smallest"),
    [
        (65, 1.25, (2.67218, 4.27472)),
        (45, 1.0, (1.41365, 2.2808)),
        # Stillmaker and Baas have 0.24 at 20 nm and 0.64 at 32 nm: a straight line in logarithms.
        (22, 0.24 * (0.64 / 0.24) ** (math.log(22 / 20) / math.log(32 / 20)), (0.307363, 0.499584)),
    ],
)
def test_cacti_scales_operations_with_the_node(
    node: int, factor: float, smallest: tuple[float, float]
) -> None:
    scaled = costs(f"cacti_{node}nm")
    assert scaled.mac(8, 8, 32) == pytest.approx(0.3 * factor, rel=1e-4)
    assert scaled.vector_op_per_bit * 16 == pytest.approx(0.05 * factor, rel=1e-4)
    assert scaled.register_file_per_bit * 64 == pytest.approx(sum(smallest) / 2, rel=1e-12)
    assert scaled.inter_pe_per_bit == 2 * scaled.register_file_per_bit
    assert scaled.dram_per_bit == 8


@pytest.mark.parametrize(
    ("node", "size", "expected"),
    [
        (65, 128, (136.168, 165.635, 0.988928, 0.0213905)),
        (45, 128, (73.7616, 88.2016, 0.473839, 0.00331979)),
        (22, 128, (19.1433, 20.7167, 0.113163, 0.0186571)),
        (45, 2, (9.46053, 12.9292, 0.0134821, 7.09633e-05)),
        (45, 4096, (521.724, 472.447, 13.623, 0.0965072)),
    ],
)
def test_cacti_buffer_of_256_bit_words(
    node: int, size: float, expected: tuple[float, float, float, float]
) -> None:
    read, write, area, leak = expected
    sized = costs(f"cacti_{node}nm", memory__global_buffer__size_kib=size)  # 16 ports × 16 bits
    assert sized.buffer_read_per_bit == read / 256
    assert sized.buffer_write_per_bit == write / 256
    assert sized.area_mm2 == area
    assert sized.leakage_mw == leak


def test_access_width_follows_ports_and_activations() -> None:
    narrow = costs("cacti_45nm", array__ports=8, precision__activation_bits=8)
    assert narrow.buffer_read_per_bit == 32.2859 / 64
    default = costs("cacti_45nm", array__ports=None, array__cols=8)
    assert default.buffer_read_per_bit == 50.2566 / 128


@pytest.mark.parametrize("table", ["cacti_65nm", "cacti_45nm", "cacti_22nm", "horowitz_45nm"])
@given(sizes=st.tuples(st.floats(8, 1024), st.floats(8, 1024)))
@settings(deadline=None)
def test_larger_buffers_cost_more(table: str, sizes: tuple[float, float]) -> None:
    small, large = (costs(table, memory__global_buffer__size_kib=size) for size in sorted(sizes))
    assert small.buffer_read_per_bit <= large.buffer_read_per_bit * (1 + 1e-12)
    assert small.buffer_write_per_bit <= large.buffer_write_per_bit * (1 + 1e-12)
    assert (small.area_mm2 or 0) <= (large.area_mm2 or 0) * (1 + 1e-12)
    assert small.dram_per_bit == large.dram_per_bit


@pytest.mark.parametrize(
    ("table", "size", "span"), [("horowitz_45nm", 4, "8 to 1024"), ("cacti_22nm", 8192, "0.5 to 4096")]
)
def test_sizes_outside_of_a_table(table: str, size: float, span: str) -> None:
    with pytest.raises(HardwareError) as error:
        costs(table, memory__global_buffer__size_kib=size)
    assert str(error.value) == (
        f"memory.global_buffer.size_kib is {size}, outside of energy table {table!r}; "
        f"allowed with it: {span} KiB"
    )


@pytest.mark.parametrize("table", tables())
def test_overrides(table: str) -> None:
    levels = {"register_file": 1.5, "inter_pe": 2.5, "buffer": 7.0, "dram": 77.0, "vector_op": 0.5}
    changed = costs(table, energy__overrides={"mac": 3.0, **levels})
    assert changed.mac(16, 16, 32) == pytest.approx(3, rel=1e-12)
    assert changed.register_file_per_bit == 1.5 / 16
    assert changed.inter_pe_per_bit == 2.5 / 16
    assert changed.buffer_read_per_bit == changed.buffer_write_per_bit == 7 / 16
    assert changed.dram_per_bit == 77 / 16
    assert changed.vector_op_per_bit == 0.5 / 16
    plain = costs(table)
    assert changed.add_per_bit * plain.multiply_per_bit2 == pytest.approx(
        plain.add_per_bit * changed.multiply_per_bit2
    )
    assert (changed.leakage_mw, changed.area_mm2) == (plain.leakage_mw, plain.area_mm2)


def test_unit_of_a_table_in_pj_is_fixed() -> None:
    with pytest.raises(HardwareError) as error:
        costs("horowitz_45nm", energy__pj_per_unit=2)
    assert str(error.value) == (
        "energy.pj_per_unit is 2, but energy table 'horowitz_45nm' is in pJ; "
        "allowed: null, or a relative table"
    )


@pytest.mark.parametrize("table", tables())
def test_mac_takes_arrays(table: str) -> None:
    energy = costs(table)
    weights, activations = np.array([4, 8, 16]), np.array([8, 8, 16])
    together = energy.mac(weights, activations, np.array([32, 32, 32]))
    assert together.tolist() == [energy.mac(w, a, 32) for w, a in ((4, 8), (8, 8), (16, 16))]


@pytest.mark.parametrize("table", tables())
def test_every_value_has_a_source(table: str) -> None:
    data = energy_table(table)
    assert data.source
    for level in ("multiply", "add", "register_file", "inter_pe", "dram", "vector_op"):
        assert getattr(data, level).source, level
