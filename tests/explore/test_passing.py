from __future__ import annotations

import squeezesim as sq
from squeezesim.cost.costs import HOMED
from squeezesim.explore.passing import SIZES, passing_of

KEEPS = {"memory.global_buffer.keeps": ["activations"], "mapper.latency_slack": 0.0}


def test_maps_that_pass_dram_and_the_size_that_keeps_them() -> None:
    network, on = sq.load("squeezenext_23"), sq.Accelerator.named("os_32x32").replace(KEEPS)
    report = sq.simulate(network, on)
    (found,) = passing_of(report)
    assert (found.layer, found.size, found.readers) == ("stem.conv", 64 * 111 * 111, 1)
    assert found.moved == 2 * found.size
    assert found.beside == ("stem.pool",)
    assert found.kept == 64 * 55 * 55
    assert found.size_kib == 1024
    number = [layer.name for layer in report.network.layers].index("stem.conv")
    for factor in SIZES[SIZES.index(1.75) : SIZES.index(2.0) + 1]:
        larger = sq.simulate(network, on.replace({"memory.global_buffer.size_kib": 512 * factor}))
        assert (larger.costs.homes[0, number, HOMED.index("outputs")] > 0) == (factor == 2.0)
    assert found.saved_cycles == report.costs.cycles.sum() - larger.costs.cycles.sum()
    assert found.row()["moved"] == found.moved


def test_a_buffer_that_keeps_everything_or_nothing_has_none() -> None:
    network, on = sq.load("squeezenet_1_1"), sq.Accelerator.named("squeezelerator_16x16")
    assert passing_of(sq.simulate(network, on)) == []
    large = on.replace(KEEPS | {"memory.global_buffer.size_kib": 4096})
    assert passing_of(sq.simulate(network, large)) == []
