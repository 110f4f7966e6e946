from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import squeezesim.hardware.energy as sram_module
from squeezesim.errors import HardwareError
from squeezesim.hardware import Accelerator, EnergyCosts, energy_costs, tables
from squeezesim.hardware.energy import cacti, choose, energy_table, interpolate

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
    ("table", "size", "allowed"),
    [("horowitz_45nm", 4, "8 to 1024 KiB"), ("cacti_22nm", 0.25, "at least 0.5 KiB")],
)
def test_sizes_outside_of_a_table(table: str, size: float, allowed: str) -> None:
    with pytest.raises(HardwareError) as error:
        costs(table, memory__global_buffer__size_kib=size)
    assert str(error.value) == (
        f"memory.global_buffer.size_kib is {size}, outside of energy table {table!r}; "
        f"allowed with it: {allowed}"
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


NODES = (65, 45, 22)
TABLE = Path(sram_module.__file__).parent / "energy_tables" / "cacti_sram.csv"
COLUMNS = {"read_pj": "read_pJ", "write_pj": "write_pJ", "area_mm2": "area_mm2", "leakage_mw": "leak_mW"}


def test_exact_at_every_point_of_the_table() -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 117
    for row in rows:
        sram = next(s for s in cacti(int(row["tech_nm"])) if s.word_bits == int(row["width_bits"]))
        for field, column in COLUMNS.items():
            assert interpolate(float(row["size_KiB"]), sram.size_kib, getattr(sram, field)) == float(
                row[column]
            )


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("field", COLUMNS)
@given(data=st.data())
@settings(deadline=None)
def test_between_its_neighbours_and_monotone(node: int, field: str, data: st.DataObject) -> None:
    sram = data.draw(st.sampled_from(cacti(node)))
    low, high = float(sram.size_kib[0]), float(sram.size_kib[-1])
    values = getattr(sram, field)
    small, large = sorted(data.draw(st.tuples(st.floats(low, high), st.floats(low, high))))
    at_small, at_large = (interpolate(size, sram.size_kib, values) for size in (small, large))
    assert at_small <= at_large * (1 + 1e-12)
    below = values[sram.size_kib <= small].max()
    above = values[sram.size_kib >= small].min()
    assert below * (1 - 1e-12) <= at_small <= above * (1 + 1e-12)


def test_interpolation_is_straight_in_logarithms() -> None:
    sizes, values = np.array([8.0, 32.0, 1024.0]), np.array([10.0, 20.0, 100.0])
    assert interpolate(16, sizes, values) == pytest.approx(10 * 2**0.5, rel=1e-14)
    # 128 KiB is 2/5 of the way from 2^5 to 2^10: 20 · 5^0.4
    assert interpolate(128, sizes, values) == pytest.approx(20 * 5**0.4, rel=1e-14)


@pytest.mark.parametrize(
    ("size", "access", "word"),
    [
        (64, 512, 256),
        (64, 256, 256),
        (64, 255, 128),
        (64, 128, 128),
        (64, 8, 64),
        (1, 512, 128),
        (0.5, 512, 64),
    ],
)
def test_widest_word_that_an_access_fills(size: float, access: float, word: int) -> None:
    assert choose(cacti(45), size, access, "cacti_45nm").word_bits == word


def test_no_size_below_the_table() -> None:
    with pytest.raises(HardwareError) as error:
        choose(cacti(45), 0.49, 64, "cacti_45nm")
    assert str(error.value) == (
        "memory.global_buffer.size_kib is 0.49, outside of energy table 'cacti_45nm'; "
        "allowed with it: at least 0.5 KiB"
    )


LARGEST = 4096.0


@pytest.mark.parametrize("node", NODES)
@given(data=st.data())
@settings(deadline=None)
def test_banks_are_continuous_and_monotone(node: int, data: st.DataObject) -> None:
    """Across 4 MiB, and within a part in 10⁴ of it no more than a part in 10³ is gained."""
    sram = data.draw(st.sampled_from(cacti(node)))
    sizes = st.floats(LARGEST / 4, LARGEST * 256) | st.floats(LARGEST * (1 - 1e-4), LARGEST * (1 + 1e-4))
    small, large = sorted(data.draw(st.tuples(sizes, sizes)))
    for of in (sram.access_pj, sram.summed):
        for values in (
            (sram.read_pj, sram.write_pj) if of == sram.access_pj else (sram.area_mm2, sram.leakage_mw)
        ):
            assert values is not None
            assert of(small, values) <= of(large, values) * (1 + 1e-12)
            assert of(LARGEST, values) == values[-1]
            near = data.draw(st.floats(LARGEST, LARGEST * (1 + 1e-4)))
            assert of(near, values) == pytest.approx(values[-1], rel=1e-3)
            below = data.draw(st.floats(float(sram.size_kib[0]), LARGEST))
            assert of(below, values) == interpolate(below, sram.size_kib, values)


def test_banks_are_as_cacti_has_them() -> None:
    """CACTI lays the H-tree out by itself; for more than two banks it may take another bank, less tall or faster."""
    with (TABLE.parent / "cacti_banks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36
    for row in rows:
        sram = next(s for s in cacti(int(row["tech_nm"])) if s.word_bits == int(row["width_bits"]))
        size, banks = float(row["size_KiB"]), int(row["banks"])
        assert sram.banks(size) == banks
        two = banks == 2  # from which the energy of the wires is taken
        read, write = sram.access_pj(size, sram.read_pj), sram.access_pj(size, sram.write_pj)
        assert read == pytest.approx(float(row["read_pJ"]), rel=1e-12 if two else 0.06)
        assert write == pytest.approx(float(row["write_pJ"]), rel=1e-5 if two else 0.07)
        assert sram.area_mm2 is not None
        assert sram.summed(size, sram.area_mm2) == pytest.approx(float(row["area_mm2"]), rel=0.14)


def test_a_bank_of_four_by_hand() -> None:
    """16 MiB of 256-bit words at 45 nm, four banks: √4 − 1 = 1 time (1,050.6 − 521.7) / (√2 − 1)."""
    four = costs("cacti_45nm", memory__global_buffer__size_kib=16384)
    two = next(s for s in cacti(45) if s.word_bits == 256).access_pj(8192, cacti(45)[2].read_pj)
    assert four.buffer_read_per_bit * 256 == pytest.approx(
        521.724 + (two - 521.724) / (2**0.5 - 1), rel=1e-12
    )
    assert four.buffer_read_per_bit / four.buffer_write_per_bit < 521.724 / 472.447  # the wires are the same
    assert four.area_mm2 == pytest.approx(4 * 13.623, rel=1e-15)
    assert four.leakage_mw == pytest.approx(4 * 0.0965072, rel=1e-15)
