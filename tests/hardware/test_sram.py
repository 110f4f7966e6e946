from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import squeezesim.hardware.energy as sram_module
from squeezesim.errors import HardwareError
from squeezesim.hardware.energy import cacti, choose, interpolate

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


@pytest.mark.parametrize("size", [0.49, 4097])
def test_no_extrapolation(size: float) -> None:
    with pytest.raises(HardwareError) as error:
        choose(cacti(45), size, 64, "cacti_45nm")
    assert str(error.value) == (
        f"memory.global_buffer.size_kib is {size:g}, outside of energy table 'cacti_45nm'; "
        "allowed with it: 0.5 to 4096 KiB"
    )
