"""Partial sums that wait in the array between tiles of the input channels, and tiles that have all of these."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from squeezesim import simulate
from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.dataflow.base import Access, Tile
from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.given import LayerMapping
from squeezesim.cost.machine import Unit
from squeezesim.cost.traffic import AXES, MODES
from squeezesim.errors import HardwareError, MappingError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Layer
from squeezesim.reference.pipeline import Tiling
from tests.cost.cases import layers, machine, machines, measures, modes_of, problem_of, spills, tilings
from tests.cost.test_given import costs_on, on_machines
from tests.draws import among
from tests.reference.cases import units

__all__ = ["on_machines"]

ON_MACHINES = pytest.mark.usefixtures("on_machines")
FIXTURE = [HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
PRODUCT = Layer.matmul("fc", m=1, n=8, k=24)


@pytest.mark.parametrize(
    ("stationary", "unfinished", "finished"),
    [
        # 2 steps of the block; then 8 sums leave, 2 a cycle.
        ("outputs", 2, 2 + 4),
        # 2 blocks of one step, each preloaded in 8 cycles; what the last one finishes takes 3 cycles more.
        ("weights", 8 + 8 + 1, 8 + 8 + 4),
    ],
)
def test_sums_leave_with_the_last_input_channels_alone(
    stationary: str, unfinished: int, finished: int
) -> None:
    """8 outputs on a unit of 4 input × 8 output channels, in tiles of 8 of 24 input channels."""
    unit = Unit("unit", (("c", 4), ("k", 8)), stationary, ports=4, output_words=2)
    on = machine(dataflows=(), units=(unit,), psums_stay=True, accumulators=8, whole_blocks=True)
    one = np.array([1, 1])
    tile = Tile(one, one, one, one, 8 * one, 8 * one, unfinished=np.array([True, False]))
    cost = flows_of(on)["unit"].tile_cost(problem_of(PRODUCT, on), tile, on)
    assert cost.cycles.tolist() == [unfinished, finished]
    assert cost.accesses()[Access("buffer", "psums", "write")].tolist() == [0, 8]


@ON_MACHINES
@settings(max_examples=100, suppress_health_check=FIXTURE)
@given(st.data(), layers(), units(), among(1, 5, 20, 100))
def test_a_given_mapping_is_refused_where_sums_have_no_place_and_costs_what_happens_elsewhere(
    data: st.DataObject, layer: Layer, unit: Unit, places: int
) -> None:
    on = data.draw(machines(dataflows=(), buffer_bits=1 << 30))
    on = replace(on, units=(unit,), psums_stay=True, accumulators=places)
    problem = problem_of(layer, on)
    extents = [int(getattr(problem, axis)[0]) for axis in AXES]
    tile = [data.draw(among(extent, -(-extent // 2), 1)) for extent in extents]
    mode = data.draw(among(*(each for each in MODES if on.stays or not (each.stays or each.single))))
    sizes = dict(zip(AXES, tile, strict=True))
    mapping = LayerMapping("unit", mode.order, tuple(tile), mode.stays, mode.single)
    tiling = Tiling(problem, sizes, mode, on)
    if spills(problem, on, sizes, mode) or tiling.waiting() > places:
        with pytest.raises(MappingError, match=r"partial sums (wait in|that leave) the array"):
            costs_on(on, [layer], {0: mapping})
        return
    costs, right = (
        costs_on(on, [layer], {0: mapping}),
        measures(problem, on, flows_of(on)["unit"], sizes, mode),
    )
    assert costs.cycles[0, 0] == right.cycles
    assert costs.energy[0, 0].sum() == pytest.approx(right.energy, rel=1e-9)


@ON_MACHINES
@settings(max_examples=60, suppress_health_check=FIXTURE)
@given(st.data(), layers(largest=4, most=12), units(), among(1, 5, 20))
def test_input_channels_are_cut_only_where_no_tile_with_all_of_them_fits(
    data: st.DataObject, layer: Layer, unit: Unit, places: int
) -> None:
    on = data.draw(machines(dataflows=(), whole_channels=True))
    on = replace(on, units=(unit,), psums_stay=True, accumulators=places)
    problem = problem_of(layer, on)
    tried = tilings(problem, on)
    assume(problem.c[0] > 1 and len(tried) < 16)
    every = [
        (sizes["c"], Tiling(problem, sizes, mode, on).footprint())
        for sizes in tried
        for mode in modes_of(problem, on, sizes)
        if not spills(problem, on, sizes, mode)
    ]
    whole = min(bits for c, bits in every if c == problem.c[0])
    least = min(bits for _, bits in every)
    on = replace(on, buffer_bits=data.draw(among(whole, max(whole - 1, least), least)))
    taken = LayerMapping.of_costs(costs_on(on, [layer], {}), 0)
    assert (dict(zip(AXES, taken.tile, strict=True))["c"] == problem.c[0]) == (on.buffer_bits >= whole)


@pytest.mark.parametrize("ops", [512, 800, 1024, 1152, 1600, 2304, 3136, 4096])
def test_vgg16_runs_on_every_dpu(ops: int) -> None:
    """The weights of 25,088 input channels for a word of output channels exceed the banks of all but two."""
    hw = Accelerator.named(f"dpu_b{ops}")
    unroll = hw.array.units["conv"].unroll
    assert hw.array.accumulators == unroll["k"] * unroll["x"]
    costs = simulate("vgg16", hw).costs
    first = costs.tile[0, -3]
    bank = hw.memory.global_buffer.parts["weights"].size_kib * 1024
    assert (first[-1] < 25088) == (25088 * unroll["k"] > bank)
    assert costs.dram_bytes[0, :, list(costs.operands).index("psums")].sum() == 0


def test_messages() -> None:
    hw = Accelerator.named("dpu_b512")
    with pytest.raises(
        HardwareError, match=r"layer 'fc' .* by .*array\.accumulators 4 \(a tile has all input"
    ):
        evaluate([Layer.matmul("fc", m=1, n=8, k=1 << 20)], [hw.replace({"array.accumulators": 4})])
    with pytest.raises(HardwareError, match=r"psums buffer, but array\.accumulators is given"):
        hw.replace({"memory.global_buffer.psums": "buffer"})
