"""Constraints on the mapper: the best of what they leave of a full enumeration, and nothing else changes."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from squeezesim.cost.constraints import candidates, idle, matches
from squeezesim.cost.costs import ARRAYS, Costs
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.evaluate import evaluate, evaluate_each
from squeezesim.cost.given import LayerMapping
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import tile_sizes
from squeezesim.cost.traffic import AXES, LOOPS, MODES, ORDERS
from squeezesim.errors import HardwareError, MappingError
from squeezesim.hardware import constraint as schema
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.constraint import Constraint, SizeBounds
from squeezesim.network import ops
from squeezesim.network.layer import Layer
from squeezesim.reference.pipeline import READS, Tiling
from tests.cost.cases import layers, machines, measures, modes_of, problem_of, tilings
from tests.cost.test_given import costs_on, on_machines
from tests.cost.test_search import check_choice, small_parts
from tests.draws import among

__all__ = ["on_machines"]

QUICK = tuple(sorted(DATAFLOWS.keys() - {"rs"}))


@st.composite
def size_bounds(draw: st.DrawFn, largest: int = 6) -> int | dict[str, int]:
    sizes = st.integers(1, largest)
    if draw(st.booleans()):
        return draw(sizes)
    found = draw(st.fixed_dictionaries({}, optional={"min": sizes, "max": sizes, "multiple_of": sizes}))
    low, high = found.get("min", 1), found.get("max", largest)
    return found | ({"min": min(low, high)} if "min" in found else {}) or {"max": high}


OPERANDS = st.lists(st.sampled_from(list(READS)), min_size=1, unique=True)


@st.composite
def constraints(draw: st.DrawFn, **about: Any) -> Constraint:
    some = st.lists(st.sampled_from(QUICK[:3]), min_size=1, unique=True)
    orders = st.lists(st.sampled_from(ORDERS), min_size=1, unique=True)
    found = draw(st.fixed_dictionaries({}, optional={"dataflow": some, "order": orders, "stays": OPERANDS}))
    tile = draw(st.dictionaries(st.sampled_from("yxkcng"), size_bounds(), max_size=2))
    if tile or not found:
        found["tile"] = tile or {"k": draw(size_bounds())}
    return Constraint.model_validate(found | about)


def is_allowed(each: Constraint, flow: str, order: str, sizes: dict[str, int], one: dict[str, int]) -> bool:
    """By the definition, in plain Python."""
    for axis, bounds in each.bounds():
        size, is_whole = sizes[axis], sizes[axis] == one[axis]
        step = bounds.multiple_of or 1
        if not ((size >= (bounds.min or 1) or is_whole) and (size % step == 0 or is_whole)):
            return False
        if bounds.max is not None and size > bounds.max:
            return False
    return (each.dataflow is None or flow in each.dataflow) and (each.order is None or order in each.order)


def is_loaded_once(tiling: Tiling, operand: str) -> bool:
    """Whether no tile of *operand* comes back, once another one took its place, from step to step; or it stays."""
    seen: set[tuple[int, ...]] = set()
    before = None
    for index in product(*(range(tiling.tiles[axis]) for axis in tiling.axes)):
        place = dict(zip(tiling.axes, index, strict=True))
        tile = tuple(place[axis] for axis in READS[operand])
        if tile != before and tile in seen:
            return operand in tiling.mode.stays
        seen.add(tile)
        before = tile
    return True


def named(rules: list[Constraint], one: dict[str, int]) -> dict[str, list[int]]:
    """Sizes that the bounds name along each axis: those beyond the axis are the whole axis."""
    found: dict[str, list[int]] = {axis: [] for axis in AXES}
    for each in rules:
        for axis, bounds in each.bounds():
            found[axis] += [size for size in (bounds.min, bounds.max) if size]
            if bounds.multiple_of:
                found[axis] += range(bounds.multiple_of, one[axis] + bounds.multiple_of, bounds.multiple_of)
    return {axis: [min(size, one[axis]) for size in sizes] for axis, sizes in found.items()}


@pytest.mark.usefixtures("on_machines")
@settings(max_examples=30, deadline=None, suppress_health_check=[*HealthCheck])
@given(layers(largest=4), st.lists(constraints(), min_size=1, max_size=2), st.data())
def test_equals_a_full_enumeration_of_what_is_left(
    layer: Layer, rules: list[Constraint], data: st.DataObject
) -> None:
    check_against_enumeration(layer, rules, data)


@pytest.mark.usefixtures("on_machines")
@settings(max_examples=30, deadline=None, suppress_health_check=[*HealthCheck])
@given(layers(largest=4), st.lists(constraints(), max_size=1), OPERANDS, st.data())
def test_equals_a_full_enumeration_of_what_loads_operands_once(
    layer: Layer, rules: list[Constraint], stays: list[str], data: st.DataObject
) -> None:
    check_against_enumeration(layer, [*rules, Constraint.model_validate({"stays": stays})], data)


@pytest.mark.slow
@pytest.mark.usefixtures("on_machines")
@settings(max_examples=150, deadline=None, suppress_health_check=[*HealthCheck])
@given(layers(largest=4), st.lists(constraints(), min_size=1, max_size=3), st.data())
def test_equals_a_full_enumeration_of_what_is_left_150_times(
    layer: Layer, rules: list[Constraint], data: st.DataObject
) -> None:
    check_against_enumeration(layer, rules, data)


def check_against_enumeration(layer: Layer, rules: list[Constraint], data: st.DataObject) -> None:
    slack = data.draw(among(0.0, 0.0, 0.15, 1.0), label="slack")
    objective = data.draw(among("latency", "latency", "energy", "edp"), label="objective")
    flows = data.draw(st.sampled_from([QUICK[:1], QUICK[:2], QUICK[1:3]]), label="flows")
    on = data.draw(
        machines(slack=slack, objective=objective, dataflows=flows, constraints=tuple(rules)), label="machine"
    )
    problem = problem_of(layer, on)
    one = {axis: int(getattr(problem, axis)[0]) for axis in AXES}
    every = tilings(problem, on, named(rules, one))
    assume(len(every) * len(flows) <= 30)
    left = [
        (flow, order, sizes)
        for flow in flows
        for order in ORDERS
        for sizes in every
        if all(is_allowed(each, flow, order, sizes, one) for each in rules)
    ]
    orders = {order for _, order, _ in left}
    modes = {id(sizes): modes_of(problem, on, sizes, orders) for sizes in every}
    pairs = [
        (flow, mode, sizes) for flow, order, sizes in left for mode in modes[id(sizes)] if mode.order == order
    ]
    assume(len(pairs) <= 80)
    stays = {operand for each in rules for operand in each.stays or ()}
    played = [(Tiling(problem, sizes, mode, on), flow) for flow, mode, sizes in pairs]
    room = sorted({tiling.footprint() for tiling, _ in played})
    on = replace(on, buffer_bits=data.draw(st.sampled_from([*room, 8 * 8192]), label="room"))
    kept = [each for each in played if all(is_loaded_once(each[0], operand) for operand in stays)]
    expected = [
        measures(problem, on, DATAFLOWS[flow], tiling.sizes, tiling.mode)
        for tiling, flow in kept
        if tiling.footprint() <= on.buffer_bits
    ]
    if not expected:
        with pytest.raises(HardwareError, match=r"layer 'layer'.* by mapper\.constraints\[0\] \(") as caught:
            costs_on(on, [layer], {})
        if pairs and stays:
            names = " and ".join(operand for operand in READS if operand in stays)
            assert f"no mapping in which {names} stay is left by" in str(caught.value)
            least = min((tiling.footprint() for tiling, _ in kept), default=None)
            needs = "" if least is None else f"the smallest needs {least / 8192:,.4g} KiB; "
            assert needs in str(caught.value)
            assert bool(needs) == ("smallest" in str(caught.value))
        return
    with small_parts(data):
        costs = costs_on(on, [layer], {})
    found = LayerMapping.of_costs(costs, 0)
    sizes = dict(zip(AXES, found.tile, strict=True))
    assert all(is_allowed(each, found.dataflow, found.order, sizes, one) for each in rules)
    assert all(is_loaded_once(Tiling(problem, sizes, MODES[found.mode], on), operand) for operand in stays)
    moved = dict(zip(costs.operands, costs.dram_bytes[0, 0].tolist(), strict=True))
    assert "outputs" not in stays or moved["psums"] == 0
    once = int((problem.stored_weights + problem.constants)[0])
    assert "weights" not in stays or moved["weights"] == -(-once // 8)
    taken = measures(problem, on, DATAFLOWS[found.dataflow], sizes, MODES[found.mode])
    assert costs.cycles[0, 0] == taken.cycles
    assert costs.energy[0, 0].sum() == pytest.approx(taken.energy, rel=1e-12)
    check_choice(taken, expected, objective, slack if objective == "latency" else 0.0)
    # What the search takes keeps the constraints as a mapping, and costs the same.
    again = costs_on(on, [layer], {0: found})
    assert same(costs, again)


def same(one: Costs, other: Costs) -> bool:
    return all(np.array_equal(getattr(one, field), getattr(other, field)) for field in ARRAYS)


@pytest.mark.usefixtures("on_machines")
@settings(max_examples=12, deadline=None, suppress_health_check=[*HealthCheck])
@given(
    st.lists(layers(largest=7), min_size=1, max_size=2),
    machines(buffer_bits=1 << 20, dataflows=("ws", "os")),
    st.sampled_from(["latency", "energy", "edp"]),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from(["*", "layer", "other", "1"]),
)
def test_bounds_that_leave_everything_change_nothing(
    network: list[Layer], on: Machine, objective: str, slack: float, pattern: str
) -> None:
    on = replace(on, objective=objective, slack=slack)
    every = Constraint.model_validate(
        {
            "layers": pattern,
            "dataflow": ["os", "rs", "ws"],
            "order": list(ORDERS),
            "tile": {axis: {"max": 1 << 20, "min": 1} for axis in AXES},
        }
    )
    network = [replace(layer, name=str(number)) for number, layer in enumerate(network)]
    assert same(costs_on(on, network, {}), costs_on(replace(on, constraints=(every,)), network, {}))


BASE = Accelerator.named("hybrid_32x32").replace({"array.rows": 4, "array.cols": 4})


@settings(max_examples=8, deadline=None)
@given(
    st.lists(layers(largest=6), min_size=2, max_size=3),
    st.lists(st.lists(constraints(layers="[01]"), max_size=2), min_size=2, max_size=3),
    st.sampled_from(["latency", "energy"]),
)
def test_accelerators_and_layers_have_each_its_own(
    network: list[Layer], rules: list[list[Constraint]], objective: str
) -> None:
    """Costed together as each layer on each accelerator by itself."""
    network = [replace(layer, name=str(number)) for number, layer in enumerate([*network, network[0]])]
    designs = [
        BASE.replace({"mapper.objective": objective, "mapper.latency_slack": 0}).model_copy(
            update={
                "mapper": BASE.mapper.model_copy(update={"objective": objective, "constraints": tuple(each)})
            }
        )
        for each in rules
    ]
    costs, misfits = evaluate_each(network, designs)
    for number, (design, misfit) in enumerate(zip(designs, misfits, strict=True)):
        alone = [evaluate_each([layer], [design]) for layer in network]
        refused = [text for _, (text,) in alone if text is not None]
        assert misfit == (refused[0] if refused else None)
        if misfit is None:
            for field in set(ARRAYS) - {"pes", "clock_hz"}:
                each = np.concatenate([getattr(part, field)[0] for part, _ in alone])
                assert np.array_equal(getattr(costs, field)[number], each), field


@settings(max_examples=40)
@given(
    st.integers(1, 300),
    st.integers(1, 9),
    st.lists(size_bounds(largest=40).map(SizeBounds.model_validate), min_size=1, max_size=3),
)
def test_candidates_are_the_map_space_and_what_bounds_name(
    extent: int, multiple: int, bounds: list[SizeBounds]
) -> None:
    one = {"k": extent}
    rules = [Constraint.model_validate({"tile": {"k": each}}) for each in bounds]
    tried = tile_sizes(extent, (multiple,))

    def within(sizes: set[int]) -> list[int]:
        return sorted(
            size for size in sizes if all(is_allowed(each, "", "", {"k": size}, one) for each in rules)
        )

    found = candidates(tried, extent, bounds).tolist()
    assert found == within(set(found))
    assert set(within({*tried.tolist()})) <= set(found)
    steps = [each.multiple_of for each in bounds if each.multiple_of]
    if not steps or (len(steps) == 1 and extent <= 64 * steps[0]):
        assert found == within({*tried.tolist(), *named(rules, one)["k"]})


CONV = Layer.conv("stage1.conv", c=8, k=16, oy=12, ox=12, fy=3, fx=3)
DEPTHWISE = Layer.conv("stage1.dw", c=8, k=8, groups=8, oy=12, ox=12, fy=3, fx=3)
GROUPED = Layer.conv("Stage1.g", c=8, k=8, groups=2, oy=12, ox=12, fy=3, fx=3)
POINTWISE = Layer.conv("head.pw", c=8, k=10, oy=12, ox=12, fy=1, fx=1)
MATMUL = Layer.matmul("head.fc", m=1, n=10, k=8)
POOL = Layer.vector("stage1.pool", op="max_pool", k=8)
NETWORK = [CONV, DEPTHWISE, GROUPED, POINTWISE, MATMUL, POOL]


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, NETWORK[:5]),
        ({"layers": "stage1.*"}, [CONV, DEPTHWISE]),
        ({"layers": "head.[pq]w"}, [POINTWISE]),
        ({"op": "conv2d"}, NETWORK[:4]),
        ({"op": ["matmul", "depthwise"]}, [DEPTHWISE, MATMUL]),
        ({"op": "grouped"}, [GROUPED]),
        ({"op": "pointwise", "layers": "h*"}, [POINTWISE]),
        ({"layers": "stage1.pool"}, []),
    ],
)
def test_which_layers_a_constraint_is_about(about: dict[str, Any], expected: list[Layer]) -> None:
    each = Constraint.model_validate({"order": "PKC"} | about)
    assert [layer for layer in NETWORK if matches(each, layer)] == expected
    assert bool(idle(NETWORK, [each])) == (not expected)


def test_the_words_are_those_of_layers_and_costs() -> None:
    assert (AXES, ORDERS, tuple(LOOPS)) == (schema.AXES, schema.ORDERS, schema.OPERANDS)
    shapes = [(1, 8, *size) for size in ([4], [4, 4], [4, 4, 4])]
    made = [
        kind(shape, (8, 8, *[1] * (len(shape) - 2)), shape, stride=[1], dilation=[1], **more).op
        for shape in shapes
        for kind, more in ((ops.convolution, {"padding": [0]}), (ops.transposed_convolution, {}))
    ]
    assert {*made, "linear", "matmul"} == set(schema.OPERATIONS)


HW = Accelerator.named("ws_32x32")


def constrained(*rules: dict[str, Any], **changes: Any) -> Accelerator:
    return HW.replace({"mapper.constraints": list(rules), **changes})


def test_a_fixed_size_beyond_the_layer_is_the_layers() -> None:
    costs = evaluate([POINTWISE], [constrained({"tile": {"k": 64, "c": 3}})])
    assert costs.tile[0, 0].tolist()[4:] == [10, 3]


def test_an_order_holds_where_the_loops_do_not_iterate() -> None:
    (chosen,) = {
        LayerMapping.of_costs(evaluate([MATMUL], [constrained({"order": order})]), 0).order
        for order in ["KCP"]
    }
    assert chosen == "KCP"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (
            [{"tile": {"k": 4}}, {"tile": {"k": 8}}],
            "no size along k, of 16, is left by mapper.constraints[0] (layers *: k 4) and "
            "mapper.constraints[1] (layers *: k 8)",
        ),
        (
            [{"dataflow": ["ws"]}, {"dataflow": ["os", "ws"], "order": "PKC"}, {"order": "KCP"}],
            "no loop order is left by",
        ),
        ([{"tile": {"n": 2, "y": 3}}], "no tile is left, since one of several images holds them whole by"),
    ],
)
def test_what_leaves_nothing_is_said(rules: list[dict[str, Any]], words: str) -> None:
    layer = replace(CONV, n=2, input_elements=2 * CONV.input_elements)
    with pytest.raises(HardwareError) as caught:
        evaluate([layer], [constrained(*rules)])
    assert str(caught.value).startswith("ws_32x32: layer 'stage1.conv': ")
    assert words in str(caught.value)


WIDE = Layer.matmul("wide", m=256, n=256, k=256)
BUFFER = "memory.global_buffer."
CUT = {"order": "PKC", "tile": {"x": 1, "k": {"max": 16}}, "stays": ["weights"]}


@pytest.mark.parametrize(
    ("rule", "changes", "words"),
    [
        # Loops C, K, pixels with tiles of one channel: a byte, 256 of inputs or of weights, 256 sums of 4 bytes.
        ({"stays": ["inputs", "weights"]}, {BUFFER + "size_kib": 1}, "since the smallest needs 1.251 KiB; "),
        # Either inputs or weights are in the buffer, beside a row of 256 bytes of the other one, and one sum.
        ({"stays": list(LOOPS)}, {BUFFER + "size_kib": 16}, "since the smallest needs 64.25 KiB; "),
        (CUT, {BUFFER + "weights_kib": 2**-10}, "; memory.global_buffer.weights_kib is 0.000976562"),
        (CUT, {"mapper.residency": "order"}, "; mapper.residency is order"),
    ],
)
def test_what_cannot_stay_is_said(rule: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(HardwareError) as caught:
        evaluate([WIDE], [constrained(rule, **changes)])
    names = " and ".join(rule["stays"])
    assert f"ws_32x32: layer 'wide': no mapping in which {names} stay is left by map" in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_several_machines_one_may_lack_the_room() -> None:
    designs = [
        constrained({"stays": ["inputs", "weights"]}, **{BUFFER + "size_kib": kib}) for kib in (1, 2, 64)
    ]
    costs, misfits = evaluate_each([WIDE], designs)
    assert [text is None for text in misfits] == [False, True, True]
    assert costs.cycles[0].sum() == 0
    assert costs.dram_bytes[1:, 0, :2].tolist() == [[256 * 256] * 2] * 2
    assert costs.cycles[1, 0] > costs.cycles[2, 0] > 0


def test_a_tile_that_does_not_fit_names_the_constraint() -> None:
    hw = constrained(
        {"op": "conv2d", "tile": {"x": 12, "y": 12, "k": 16}}, **{"memory.global_buffer.size_kib": 1}
    )
    evaluate([CONV], [hw.replace({"mapper.constraints": []})])
    with pytest.raises(
        HardwareError, match=r"smallest tile that is allowed by mapper\.constraints\[0\] \(op conv2d: "
    ):
        evaluate([CONV], [hw])


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            {"tile": {"k": 8}},
            "layer 'stage1.conv': k 16 is not allowed by mapper.constraints[0] (layers *: k 8)",
        ),
        ({"order": ["PCK", "KCP"]}, "layer 'stage1.conv': order PKC is not allowed by"),
        ({"layers": "head.*", "order": "PCK"}, ""),
        ({"stays": ["inputs", "outputs"]}, ""),
        (
            {"stays": ["weights"]},
            "layer 'stage1.conv': weights loaded 2 times are not allowed by mapper.constraints[0] (layers *: stays w",
        ),
        ({"tile": {"k": {"min": 99}, "y": {"multiple_of": 7}}}, ""),
    ],
)
def test_a_mapping_keeps_the_constraints(rule: dict[str, Any], words: str) -> None:
    mapping = LayerMapping("ws", "PKC", (1, 12, 6, 1, 16, 4))
    if not words:
        evaluate([CONV], [constrained(rule)], {0: mapping})
        return
    with pytest.raises(MappingError) as caught:
        evaluate([CONV], [constrained(rule)], {0: mapping})
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("order", "stays", "words"),
    [
        ("PCK", (), "partial sums that leave the buffer are not allowed by mapper.constraints[0] ("),
        ("PCK", ("outputs",), ""),
        ("KCP", ("outputs",), "inputs loaded 2 times are not allowed by mapper.constraints[0] ("),
        ("KCP", ("outputs", "inputs"), ""),
        ("PKC", (), "inputs loaded 2 times are not"),
    ],
)
def test_a_mapping_keeps_what_has_to_stay(order: str, stays: tuple[str, ...], words: str) -> None:
    mapping = LayerMapping("ws", order, (1, 12, 6, 1, 8, 4), stays)
    hw = constrained({"stays": ["outputs", "inputs"]})
    if not words:
        evaluate([CONV], [hw], {0: mapping})
        return
    with pytest.raises(MappingError, match=re.escape(f"layer 'stage1.conv': {words}")):
        evaluate([CONV], [hw], {0: mapping})


def test_output_blocks_of_a_published_compiler() -> None:
    """Vela for Ethos-U55-256: at most 32×64×128, in steps of 2×2, of channels in steps of 16 where they are cut.

    Source: ethos-u-vela, architecture_features.py (ofm_block_max, ofm_ublock, OFMSplitDepth) and the rule for depths.
    """
    steps = {"y": (2, 32), "x": (2, 64), "k": (16, 128)}
    tile = {axis: {"multiple_of": step, "max": most} for axis, (step, most) in steps.items()}
    layers = [
        Layer.conv(f"conv{number}", c=24, k=k, oy=size, ox=size, fy=3, fx=3)
        for number, (k, size) in enumerate([(8, 112), (40, 56), (200, 14), (136, 7)])
    ]
    for hw in ("ws_32x32", "os_32x32", "hybrid_32x32"):
        base = Accelerator.named(hw)
        free = evaluate(layers, [base])
        costs = evaluate(layers, [base.replace({"mapper.constraints": [{"op": "conv2d", "tile": tile}]})])
        assert (costs.cycles >= free.cycles).all() or base.mapper.latency_slack
        for layer, (_, y, x, _, k, _) in zip(layers, costs.tile[0].tolist(), strict=True):
            for size, extent, (step, most) in (
                (y, layer.oy, steps["y"]),
                (x, layer.ox, steps["x"]),
                (k, layer.k, steps["k"]),
            ):
                assert size <= most
                assert size % step == 0 or size == extent


def test_very_small_tiles_are_refused_and_not_tried() -> None:
    huge = Layer.conv("huge", c=3, k=64, oy=3000, ox=3001, fy=3, fx=3, stride=(2, 3), dilation=(7, 5))
    with pytest.raises(HardwareError, match="layer 'huge'"):
        evaluate([huge], [constrained({"tile": dict.fromkeys("yxkc", 1)})])
