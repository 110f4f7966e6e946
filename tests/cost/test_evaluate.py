from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from squeezesim.cost.bounds import Space
from squeezesim.cost.costs import ARRAYS, BOUNDS, CAUSES, OPERANDS, Costs
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.evaluate import evaluate, evaluate_each
from squeezesim.cost.machine import LEVELS, Machine
from squeezesim.cost.timeline import _of_lanes
from squeezesim.cost.traffic import MODES
from squeezesim.cost.vector import Streams
from squeezesim.errors import HardwareError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network.compress.storage import weight_sizes
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, machines, problem_of
from tests.draws import among

BASE = Accelerator.named("squeezelerator_16x16").replace({"energy.overrides": {}})


@st.composite
def accelerators(draw: st.DrawFn) -> Accelerator:
    return BASE.replace(
        {
            "array.rows": draw(st.integers(1, 8)),
            "array.cols": draw(st.integers(1, 8)),
            "array.ports": draw(st.integers(1, 8)),
            "array.dataflows": draw(
                st.sampled_from([("ws",), ("os",), ("ws", "os"), ("rs",), ("scalesim_ws", "os")])
            ),
            "array.interconnect": draw(among("broadcast", "systolic")),
            "memory.global_buffer.size_kib": draw(among(8, 64)),
            "memory.global_buffer.bytes_per_cycle": draw(among(None, 4, 32)),
            "memory.global_buffer.double_buffered": draw(
                st.sampled_from([("inputs", "weights", "outputs"), ("inputs", "weights"), ()])
            ),
            "memory.row_words": draw(among(1, 1, 2, 3)),
            "memory.dram.bandwidth_gb_s": draw(among(1, 16, 100)),
            "mapper.objective": draw(among("latency", "energy", "edp")),
            "mapper.latency_slack": draw(among(0, 0.15)),
            "sparsity.weights": draw(among(0, 0.4, 0.9)),
        }
    )


def touched_inputs(layer: Layer) -> int:
    """Positions of one input channel that a tap of the filter reads."""
    count = 1
    for axis, (out, taps, available) in enumerate(
        ((layer.oy, layer.fy, layer.iy), (layer.ox, layer.fx, layer.ix))
    ):
        read = {
            o * layer.stride[axis] + tap * layer.dilation[axis] - layer.padding[axis]
            for o in range(out)
            for tap in range(taps)
        }
        count *= len(read & set(range(available)))
    return count


def stored(row: int, hw: Accelerator) -> int:
    """Length of a row of pixels in memory."""
    return row if row == 1 else math.ceil(row / hw.memory.row_words) * hw.memory.row_words


def energy(costs: Costs) -> float:
    return float(costs.energy.sum())


def together(several: list[Layer], hardware: list[Accelerator]) -> list[Costs]:
    """The costs on each accelerator, found at once: `test_batch.py` has that they are those that each gives alone."""
    costs = evaluate(several, hardware)
    return [
        dataclasses.replace(costs, **{name: getattr(costs, name)[[row]] for name in ARRAYS})
        for row in range(len(hardware))
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(layers(pooled=False), min_size=1, max_size=3), accelerators())
def test_what_always_holds(several: list[Layer], hw: Accelerator) -> None:
    costs = evaluate(several, [hw])
    dense = np.array([layer.macs for layer in several])
    executed, cycles = costs.executed[0], costs.cycles[0]
    assert np.array_equal(hw.array.pes * cycles, executed + costs.losses[0].sum(axis=1))
    assert np.all(costs.losses >= 0)
    assert np.array_equal(costs.time[0].sum(axis=1), cycles)
    assert np.all(executed <= dense)
    assert np.all(cycles * hw.array.pes >= executed)
    assert np.all(cycles >= np.floor(costs.dram_bytes[0].sum(axis=1) / hw.dram_bytes_per_cycle))
    assert np.all(costs.energy >= 0)
    # Each touched input, each weight and each output crosses the DRAM interface at least once.
    for number, layer in enumerate(several):
        inputs, weights, outputs, _ = costs.dram_bytes[0, number]
        assert inputs >= layer.n * layer.g * layer.c * touched_inputs(layer) * 2
        assert weights >= layer.g * layer.k * layer.c * layer.fy * layer.fx * 2
        assert outputs == layer.n * layer.g * layer.k * layer.oy * stored(layer.ox, hw) * 2
    if hw.mapper.objective == "edp":  # the product of sums, so that layers are weighed against each other
        return
    if len(several) == 1:
        return
    apart = [evaluate([layer], [hw]) for layer in several]
    assert [int(part.cycles[0, 0]) for part in apart] == cycles.tolist()
    assert [energy(part) for part in apart] == pytest.approx(costs.energy[0].sum(axis=1))
    # The same tilings, chosen alone or among others.
    assert [part.tile[0, 0].tolist() for part in apart] == costs.tile[0].tolist()
    assert [part.losses[0, 0].tolist() for part in apart] == costs.losses[0].tolist()


@settings(max_examples=40, deadline=None)
@given(layers(pooled=False), accelerators())
def test_padded_rows_cost_what_rows_of_that_length_cost(layer: Layer, hw: Accelerator) -> None:
    """But their MACs are not executed: the PEs at work there are idle by ``edge``."""
    long = dataclasses.replace(layer, ox=stored(layer.ox, hw), ix=stored(layer.ix, hw))
    hw = hw.replace({"mapper.objective": "latency", "sparsity.skipped_by": []})
    padded, full = evaluate([layer], [hw]), evaluate([long], [hw.replace({"memory.row_words": 1})])
    for name in ("cycles", "time", "tile", "dram_bytes", "buffer_bytes"):
        assert getattr(padded, name).tolist() == getattr(full, name).tolist()
    assert (padded.executed.item(), full.executed.item()) == (layer.macs, long.macs)
    more = dict(zip(CAUSES, (padded.losses - full.losses)[0, 0].tolist(), strict=True))
    assert {cause: cycles for cause, cycles in more.items() if cycles} == (
        {"edge": long.macs - layer.macs} if long.macs > layer.macs else {}
    )


PRICES = {"mac": 1.0, "register_file": 1.0, "inter_pe": 2.0, "buffer": 6.0, "dram": 200.0}
"""Of a 16-bit access, in MACs: those of eyeriss_relative."""


@settings(max_examples=30, deadline=None)
@given(layers(), accelerators())
def test_energy_is_the_sum_of_what_each_level_costs(layer: Layer, hw: Accelerator) -> None:
    """Where prices choose nothing but one of several tilings that are as fast: what it costs at one level is less."""
    flows = [flow for flow in hw.array.dataflows if not DATAFLOWS[flow].reads_prices] or ["os"]
    hw = hw.replace({"mapper.objective": "latency", "array.dataflows": flows})
    free = [{f"energy.overrides.{other}": 0 for other in PRICES if other != level} for level in PRICES]
    costs, *priced = together([layer], [hw, *map(hw.replace, free)])
    for level, alone in zip(PRICES, priced, strict=True):
        part = costs.energy[0, 0, costs.levels.index(level)]
        assert energy(alone) <= part * (1 + 1e-9)
        if all(
            np.array_equal(getattr(alone, name), getattr(costs, name))
            for name in ("tile", "mode", "dataflow")
        ):
            assert energy(alone) == pytest.approx(part)
    assert costs.energy[0, 0, costs.levels.index("mac")] == pytest.approx(costs.executed.item())  # in MACs


MAPPED_BY_PRICE = BASE.replace(
    {
        "array.rows": 2,
        "array.cols": 2,
        "array.ports": 1,
        "array.dataflows": ["rs"],
        "memory.global_buffer.size_kib": 8,
        "memory.global_buffer.double_buffered": ["inputs", "weights"],
        "memory.dram.bandwidth_gb_s": 1,
        "mapper.latency_slack": 0,
    }
)


@settings(max_examples=30, deadline=None)
@given(layers(), accelerators(), st.sampled_from([0.125, 8.0, 1024.0]))
@example(Layer.conv("layer", c=3, k=5, oy=1, ox=1, fy=1, fx=1), MAPPED_BY_PRICE, 8.0)
def test_energies_are_quantities_times_prices(layer: Layer, hw: Accelerator, factor: float) -> None:
    """Prices that are all larger by a power of two choose the same, to the last bit."""
    prices = ({level: price * by for level, price in PRICES.items()} for by in (1.0, factor))
    plain, dearer = together([layer], [hw.replace({"energy.overrides": each}) for each in prices])
    levels = dict(zip(LEVELS, plain.energy[0, 0].tolist(), strict=True))
    assert levels["mac"] == pytest.approx(plain.executed.item())
    assert levels["dram"] == pytest.approx(plain.dram_bytes.sum() * 8 / 16 * PRICES["dram"])
    assert levels["vector"] == levels["leakage"] == 0
    assert (dearer.energy == factor * plain.energy).all()
    for field in ARRAYS:
        if field != "energy":
            assert np.array_equal(getattr(dearer, field), getattr(plain, field)), field


@settings(max_examples=70, deadline=None)
@given(layers(), accelerators(), st.integers(1, 3))
def test_a_larger_batch_never_takes_less(layer: Layer, hw: Accelerator, more: int) -> None:
    hw = hw.replace({"mapper.objective": "latency", "mapper.latency_slack": 0})
    larger = dataclasses.replace(layer, n=layer.n + more)
    cycles = evaluate([layer, larger], [hw]).cycles[0]
    assert cycles[1] >= cycles[0]


@settings(max_examples=40, deadline=None)
@given(layers(largest=12), accelerators(), st.sampled_from([0.02, 0.15, 0.5]))
def test_slack_buys_traffic_within_its_share(layer: Layer, hw: Accelerator, slack: float) -> None:
    hw = hw.replace({"mapper.objective": "latency", "array.dataflows": ("os",)})
    best, chosen = together([layer], [hw.replace({"mapper.latency_slack": share}) for share in (0, slack)])
    assert best.cycles[0, 0] <= chosen.cycles[0, 0] <= (1 + slack) * best.cycles[0, 0]
    assert chosen.dram_bytes.sum() <= best.dram_bytes.sum()


@settings(max_examples=40, deadline=None)
@given(layers(largest=12), accelerators(), st.data())
def test_more_hardware_never_makes_latency_worse(layer: Layer, hw: Accelerator, data: st.DataObject) -> None:
    hw = hw.replace({"mapper.objective": "latency", "mapper.latency_slack": 0})
    others = tuple(flow for flow in ("ws", "os", "scalesim_os") if flow not in hw.array.dataflows)
    buffer, dram = hw.memory.global_buffer, hw.memory.dram
    more = data.draw(
        st.sampled_from(
            [
                {"memory.global_buffer.size_kib": buffer.size_kib * data.draw(st.floats(1, 20))},
                {"memory.dram.bandwidth_gb_s": dram.bandwidth_gb_s * data.draw(st.floats(1, 200))},
                {"array.dataflows": (*hw.array.dataflows, data.draw(st.sampled_from(others)))},
                {"memory.dram.latency_cycles": 10},
            ]
        )
    )
    before, after = evaluate([layer], [hw, hw.replace(more)]).cycles[:, 0]
    assert after <= before


@settings(max_examples=40, deadline=None)
@given(layers(largest=12), accelerators())
def test_the_objective_is_the_best_of_the_three(layer: Layer, hw: Accelerator) -> None:
    hw = hw.replace({"mapper.latency_slack": 0})
    objectives = ("latency", "energy", "edp")
    costed = together([layer], [hw.replace({"mapper.objective": name}) for name in objectives])
    found = dict(zip(objectives, costed, strict=True))
    assert found["latency"].cycles[0, 0] == min(int(costs.cycles[0, 0]) for costs in found.values())
    assert energy(found["energy"]) == pytest.approx(min(map(energy, found.values())), rel=1e-9)
    product = {name: energy(costs) * int(costs.cycles[0, 0]) for name, costs in found.items()}
    assert product["edp"] == pytest.approx(min(product.values()), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(layers(), accelerators())
def test_doubling_the_clock_halves_the_time(layer: Layer, hw: Accelerator) -> None:
    faster = hw.replace({"clock_mhz": 2000, "memory.dram.bandwidth_gb_s": hw.memory.dram.bandwidth_gb_s * 2})
    one, other = evaluate([layer], [hw, faster]).cycles
    assert np.array_equal(one, other)


def test_several_accelerators_stand_side_by_side() -> None:
    layer = Layer.conv("a", c=8, k=8, oy=14, ox=14, fy=3, fx=3)
    other = BASE.replace({"array.rows": 8})
    together = evaluate([layer, layer], [BASE, other])
    assert together.cycles.shape == (2, 2)
    for row, hw in enumerate((BASE, other)):
        alone = evaluate([layer, layer], [hw])
        for field in ARRAYS:
            assert np.array_equal(getattr(together, field)[[row]], getattr(alone, field)), field


def test_problems_that_are_searched_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    network = [Layer.conv(f"c{k}", c=8, k=k, oy=14, ox=14, fy=3, fx=3) for k in (8, 16, 8, 24)]
    large = Layer.conv("large", c=64, k=64, oy=8, ox=8, fy=31, fx=31)
    hardware = [BASE, BASE.replace({"memory.global_buffer.size_kib": 4})]
    together, none = evaluate_each([*network, large], hardware)
    monkeypatch.setattr("squeezesim.cost.constraints._PROBLEMS", 2)
    apart, some = evaluate_each([*network, large], hardware)
    assert none == some
    assert none[0] is None
    assert "'large'" in str(none[1])
    for field in ARRAYS:
        assert np.array_equal(getattr(together, field), getattr(apart, field)), field


def test_views_and_absent_vector_lanes_cost_nothing() -> None:
    view = Layer(name="cat", op="cat", kind="view", output_elements=99)
    pool = Layer(
        name="pool", op="max_pool2d", kind="vector", input_elements=400, output_elements=100, vector_ops=900
    )
    costs = evaluate([view, pool], [BASE])
    assert not costs.cycles.any()
    assert not costs.energy.any()


def test_vector_layer_by_hand() -> None:
    hw = BASE.replace({"vector.model": "lanes", "vector.lanes": 16, "memory.dram.usable_fraction": 1})
    pool = Layer(
        name="pool", op="max_pool2d", kind="vector", input_elements=400, output_elements=100, vector_ops=9000
    )
    costs = evaluate([pool], [hw])
    # 9,000 operations on 16 lanes take 563 cycles; 800 and 200 bytes at 16 bytes a cycle 50 + 13.
    assert costs.cycles[0, 0] == hw.setup_cycles + 2 * 100 + 563
    assert dict(zip(CAUSES, costs.losses[0, 0] // 256, strict=True))["vector"] == 563
    assert list(BOUNDS)[costs.bound[0, 0]] == ("startup" if hw.setup_cycles + 200 > 563 else "vector")
    assert costs.dram_bytes[0, 0].tolist() == [800, 0, 200, 0]
    by_level = dict(zip(LEVELS, costs.energy[0, 0], strict=True))
    assert by_level["dram"] == 500 * 200
    assert by_level["buffer"] == 500 * 2 * 6


def test_a_layer_that_fits_no_buffer_is_named() -> None:
    hw = BASE.replace({"memory.global_buffer.size_kib": 0.125})
    layer = Layer.conv("stage1.wide", c=64, k=64, oy=8, ox=8, fy=7, fx=7)
    with pytest.raises(HardwareError) as caught:
        evaluate([layer], [hw])
    assert str(caught.value) == (
        "squeezelerator_16x16: layer 'stage1.wide' does not fit the global buffer even at the smallest tile that is "
        # Inputs and weights 7 · 7 · 2 B, outputs 2 B, all of them twice.
        "tried, which needs 0.3867 KiB; memory.global_buffer.size_kib is 0.125"
    )


def test_cycles_that_integers_do_not_hold_are_refused() -> None:
    slow = Accelerator.named("os_32x32").replace(
        {"memory.dram.bandwidth_gb_s": 0.001, "memory.dram.usable_fraction": 0.001, "clock_mhz": 100_000}
    )
    layers = [Layer.matmul("a", m=8, n=8, k=8), Layer.vector("b", op="add", k=2**20, oy=2**25)]
    costs, misfits = evaluate_each(layers, [slow, Accelerator.named("os_32x32")])
    assert misfits == ["os_32x32: the network takes more than 2^62 PE-cycles, which are not counted", None]
    assert not costs.cycles[0].any()
    assert (costs.cycles[1] > 0).all()
    with pytest.raises(HardwareError, match="PE-cycles"):
        evaluate(layers, [slow])


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("ws_32x32", {"array.weight_swap_cycles": 10**9}),
        ("dpu_b4096", {"array.units.conv.latency": 2**16}),
    ],
)
def test_cycles_of_blocks_and_tiles_that_could_wrap_are_refused(
    name: str, changes: dict[str, object]
) -> None:
    hw = Accelerator.named(name).replace(changes)
    layer = Layer.matmul("a", m=2**16, n=2**16, k=2**15)
    _, misfits = evaluate_each([layer], [hw])
    assert misfits == [
        f"{name}: swaps, intervals or latencies could take more than 2^62 cycles of a layer, which are not counted"
    ]


@settings(max_examples=40, deadline=None)
@given(layers(largest=12), machines(), st.data())
def test_weights_are_read_from_dram_at_least_once(layer: Layer, on: Machine, data: st.DataObject) -> None:
    """They stay nowhere: no tiling reads fewer bytes than the products use, or than their compressed form takes."""
    bits = data.draw(among(None, 4, 8, 16))
    of = dataclasses.replace(layer, weight_bits=bits, weights_are_activations=data.draw(st.booleans()))
    problem = problem_of(of, on)
    space = Space(problem, on)
    width = on.activation_bits if of.weights_are_activations else bits or on.weight_bits
    count = of.g * of.k * of.c * of.fy * of.fx
    dense = read = count * width
    home = next((store.name for store in on.stores if "weights" in store.holds), "dram")
    if home in on.compressed and not of.weights_are_activations:
        kept = math.floor(on.weight_density * count + 0.5)
        sizes = weight_sizes(count, kept, width, rows=of.g * of.k, columns=of.c * of.fy * of.fx)
        read = max(sizes.in_form(on.weight_form), 1)
    assert int(problem.stored_weights[0]) == read <= dense
    beside = int(problem.constants[0])
    assert beside == of.constants * on.accumulator_bits
    pixels, channels = len(space.pixels.owner), len(space.channels.owner)
    pixel, channel = np.divmod(np.arange(pixels * channels), channels)
    for mode in range(len(MODES)):
        weights = space.residency.dram_bits(np.full(len(pixel), mode), pixel, channel)[1]
        unpacked = space.residency.unpacked_weights(np.full(len(pixel), mode), pixel, channel)
        assert ((weights - beside) * dense == (unpacked - beside) * read).all()
        assert unpacked.min() >= dense
        assert ((unpacked - beside) % dense == 0).all()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(sorted(DATAFLOWS.keys() - {"rs"})),
    st.sampled_from(["latency", "energy", "edp"]),
)
def test_every_matrix_of_a_grouped_product_is_read(
    groups: int, m: int, n: int, k: int, flow: str, objective: str
) -> None:
    layer = Layer.matmul("experts", m=m, n=n, k=k, batch=groups)
    on = Accelerator.named("squeezelerator_8x8").replace(
        {"array.dataflows": (flow,), "mapper.objective": objective}
    )
    costs = evaluate([layer], [on])
    least = -(-groups * n * k * on.precision.weight_bits // 8)
    assert costs.dram_bytes[0, 0, list(OPERANDS).index("weights")] >= least


@settings(max_examples=50, deadline=None)
@given(layers(), accelerators())
def test_the_energy_of_a_level_is_its_bits_by_their_prices(layer: Layer, hw: Accelerator) -> None:
    pool = Layer(name="pool", op="pool", kind="vector", input_elements=90, output_elements=30, vector_ops=90)
    costs, on = evaluate([layer, dataclasses.replace(pool, name="b")], [hw]), Machine.of(hw)
    energy = dict.fromkeys(costs.levels, 0.0)
    for (level, _), price, bits in zip(
        on.per_bit, on.per_bit.values(), costs.bits[0].swapaxes(0, 1), strict=True
    ):
        energy[level] = energy[level] + bits.sum(axis=-1) * price
    for level in {level for level, _ in on.per_bit}:
        expected = costs.energy[0, :, costs.levels.index(level)]
        assert energy[level] == pytest.approx(expected, rel=1e-12), level
    moved = costs.bits[0, :, costs.accesses.index("dram")]
    assert np.array_equal(-(-moved // 8), costs.dram_bytes[0])


def test_costs_of_different_accelerators_are_not_joined() -> None:
    layer = Layer.conv("a", c=8, k=8, oy=7, ox=7, fy=3, fx=3)
    one, other = (evaluate([layer], [Accelerator.named(name)]) for name in ("os_32x32", "squeezelerator_8x8"))
    both = Costs.concat([one, one])
    assert (both.pes * both.cycles == both.executed + both.losses.sum(axis=-1)).all()
    with pytest.raises(ValueError, match="different accelerators"):
        Costs.concat([one, other])


def test_compressed_weights_by_hand() -> None:
    """A matrix of 64 × 64 weights of 8 bits, a tenth of them left: (410 · 8 + 4,096) / 8 = 922 bytes with a bitmap.

    On `ws_32x32` these pass from DRAM where 4,096 bytes did; into the buffer come all 4,096.
    """
    layer = Layer(name="a", op="conv2d", kind="mac", k=64, c=64, ix=64, iy=1, oy=1, ox=64, weight_density=0.1)
    dense = Accelerator.named("ws_32x32").replace({"mapper.latency_slack": 0})
    sizes = {
        "bitmap": -(-(410 * 8 + 4096) // 8),
        "csr": -(-(410 * (8 + 6) + 65 * 9) // 8),
        "relative4": -(-(math.ceil(410 / (1 - (1 - 410 / 4096) ** 16)) * (8 + 4)) // 8),
        "smallest": -(-(math.ceil(410 / (1 - (1 - 410 / 4096) ** 32)) * (8 + 5)) // 8),  # relative5
    }
    weights = list(OPERANDS).index("weights")
    before = evaluate([layer], [dense])
    assert before.dram_bytes[0, 0, weights] == 4096
    for form, expected in sizes.items():
        hw = dense.replace({"sparsity.compressed": ["dram"], "sparsity.form": form})
        after = evaluate([layer], [hw])
        assert after.dram_bytes[0, 0, weights] == expected
        assert after.bits[0, 0, after.accesses.index("dram"), weights] == pytest.approx(8 * expected, abs=8)
        assert after.bits[0, 0, after.accesses.index("buffer_write"), weights] == 8 * 4096
        assert (after.cycles < before.cycles).all()
        price = (
            after.energy[0, 0, after.levels.index("dram")] / before.energy[0, 0, before.levels.index("dram")]
        )
        moved = after.dram_bytes[0, 0].sum() / before.dram_bytes[0, 0].sum()
        assert price == pytest.approx(moved, rel=1e-3)
    whole = evaluate([dataclasses.replace(layer, weight_density=None)], [hw])
    assert whole.equals(evaluate([dataclasses.replace(layer, weight_density=None)], [dense]))


def test_kinds_of_vector_work_may_have_lanes_of_their_own() -> None:
    lanes = {"vector.model": "lanes", "vector.lanes": 16, "vector.pool": 64, "vector.softmax": 8}
    made = [
        Layer(name=op, op=op, kind="vector", input_elements=1, output_elements=1, vector_ops=64_000)
        for op in ("add", "max_pool2d", "softmax", "avg_pool")
    ]
    hw = [
        BASE.replace(lanes),
        BASE.replace({**lanes, "vector.pool": None, "vector.elementwise": 32}),
        BASE.replace({"vector.pool": 64, "vector.elementwise": 64}),
    ]
    costs = evaluate(made, hw)
    found = costs.losses[:, :, list(CAUSES).index("vector")] // 256
    assert found.tolist() == [[4000, 1000, 8000, 1000], [2000, 4000, 8000, 4000], [0, 0, 0, 0]]
    timelines = [
        _of_lanes(layer, Machine.of(hw[0]), Streams(layer.input_elements, stored=True)) for layer in made
    ]
    assert [line.cycles for line in timelines] == costs.cycles[0].tolist()
