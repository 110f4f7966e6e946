"""Mappings that are given: what the event simulator says of them, and never better than what the search finds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from squeezesim.cost.costs import ARRAYS, Costs
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.given import LayerMapping
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, workload_of
from squeezesim.cost.search import Search
from squeezesim.cost.traffic import AXES, MODES
from squeezesim.errors import MappingError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, least_bits, machines, measures, problem_of, usual_layers
from tests.cost.test_better_hardware import ROOMS, machines_for
from tests.draws import among

FLOWS = tuple(DATAFLOWS)
LARGER = {
    "ws": ("rows", "cols", "ports"),
    "rs": ("rows", "cols", "psum_words", "filter_words", "input_words"),
}
"""What there can be more of, by the dataflows that use of it what is best."""

MEMORY = Accelerator.named("ws_32x32").memory
"""What messages say of the memory of a machine."""


class _On:
    """Stands for an accelerator whose numbers are those of a machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.name = machine, "drawn"
        self.memory = MEMORY


@pytest.fixture
def on_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "of", classmethod(lambda _, accelerator: accelerator.machine))


def costs_on(machine: Machine, layers: list[Layer], mappings: dict[int, LayerMapping]) -> Costs:
    return evaluate(layers, [_On(machine)], mappings)  # type: ignore[list-item]


@st.composite
def drawn_mappings(draw: st.DrawFn, layer: Layer, machine: Machine) -> LayerMapping:
    """Any sizes of tiles at all, each along its axis, whole ones more often."""
    problem = problem_of(layer, machine)
    extents = [int(getattr(problem, axis)[0]) for axis in AXES]
    sizes = [draw(st.one_of(st.just(extent), st.integers(1, extent))) for extent in extents]
    mode = draw(st.sampled_from(MODES))
    flow = draw(st.sampled_from(machine.dataflows))
    stays, single = (mode.stays, mode.single) if machine.stays else ((), ())
    return LayerMapping(flow, mode.order, tuple(sizes), stays, single)


@pytest.mark.usefixtures("on_machines")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), layer=layers(), machine=machines(dataflows=FLOWS, buffer_bits=1 << 30))
def test_it_costs_what_the_event_simulator_says(data: st.DataObject, layer: Layer, machine: Machine) -> None:
    mapping = data.draw(drawn_mappings(layer, machine))
    costs = costs_on(machine, [layer], {0: mapping})
    sizes = dict(zip(AXES, mapping.tile, strict=True))
    right = measures(
        problem_of(layer, machine), machine, DATAFLOWS[mapping.dataflow], sizes, MODES[mapping.mode]
    )
    assert costs.cycles[0, 0] == right.cycles
    assert costs.energy[0, 0].sum() == pytest.approx(right.energy, rel=1e-9)
    assert abs(int(costs.dram_bytes[0, 0].sum()) * 8 - right.dram_bits) < 8 * 4
    assert LayerMapping.of_costs(costs, 0) == mapping


@pytest.mark.usefixtures("on_machines")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drawn=st.lists(layers(largest=6), min_size=2, max_size=3),
    machine=machines(buffer_bits=1 << 20),
    objective=st.sampled_from(["latency", "energy", "edp"]),
    flows=st.sampled_from([("ws", "os"), ("os", "rs"), *((flow,) for flow in FLOWS)]),
    slack=st.sampled_from([0.0, 0.1]),
)
def test_what_the_search_takes_costs_the_same_when_it_is_given(
    drawn: list[Layer],
    machine: Machine,
    objective: str,
    flows: tuple[str, ...],
    slack: float,
) -> None:
    machine = replace(machine, objective=objective, dataflows=flows, slack=slack)
    found = costs_on(machine, drawn, {})
    again = costs_on(
        machine, drawn, {index: LayerMapping.of_costs(found, index) for index in range(len(drawn))}
    )
    for name in ARRAYS:
        assert np.array_equal(getattr(found, name), getattr(again, name)), name


@pytest.mark.usefixtures("on_machines")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), layer=layers(), objective=st.sampled_from(["latency", "energy", "edp"]))
def test_none_of_the_sizes_that_are_tried_is_better_than_what_the_search_takes(
    data: st.DataObject, layer: Layer, objective: str
) -> None:
    machine = data.draw(machines(dataflows=("ws", "os"), objective=objective, buffer_bits=1 << 16))
    space = Search(problem_of(layer, machine), machine, np.inf).space
    pixel = data.draw(st.integers(0, len(space.pixels.owner) - 1))
    channel = data.draw(st.integers(0, len(space.channels.owner) - 1))
    tile = space.tile_sizes(np.array([pixel]), np.array([channel]))[:, 0].tolist()
    mode = data.draw(st.sampled_from(MODES))
    stays, single = (mode.stays, mode.single) if machine.stays else ((), ())
    flow = data.draw(st.sampled_from(machine.dataflows))
    order = mode.order if machine.stays or mode.order != "NKCP" else "KCP"
    mapping = LayerMapping(flow, order, tuple(tile), stays, single)
    try:
        given = costs_on(machine, [layer], {0: mapping})
    except MappingError:  # it does not fit
        return
    found = costs_on(machine, [layer], {})

    def value(costs: Costs) -> float:
        cycles, energy = float(costs.cycles.sum()), float(costs.energy.sum())
        return {"latency": cycles, "energy": energy, "edp": cycles * energy}[objective]

    assert value(found) <= value(given) * (1 + 1e-12)


CONVOLUTION = Layer.conv("conv", n=2, c=8, k=16, oy=12, ox=12, fy=3, fx=3)


def check_every_mode(layer: Layer, machine: Machine) -> None:
    """No mode of the tiling that is taken is as fast, as frugal and moves as little, and better in one of them."""

    def measured(costs: Costs) -> Floats:
        return np.array([costs.cycles[0, 0], costs.energy[0].sum() * (1 - 1e-11), costs.dram_bytes[0].sum()])

    taken = costs_on(machine, [layer], {})
    mapping, reached = LayerMapping.of_costs(taken, 0), measured(taken)
    for mode in MODES:
        try:
            other = replace(mapping, order=mode.order, stays=mode.stays, single=mode.single)
            found = measured(costs_on(machine, [layer], {0: other}))
        except MappingError:  # it does not fit
            continue
        assert np.any(found > reached) or np.all(found >= reached * (1 - 1e-10))


def test_operands_stay_where_nothing_is_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine.of(Accelerator.named("ws_32x32").replace({"mapper.latency_slack": 0}))
    monkeypatch.setattr(Machine, "of", classmethod(lambda _, accelerator: accelerator.machine))
    for channels, pixels in ((64, 56), (128, 28)):  # as in ResNet-18
        layer = Layer.conv("conv", k=channels, c=channels, oy=pixels, ox=pixels, fy=3, fx=3, padding=1)
        check_every_mode(layer, machine)


@pytest.mark.slow
@settings(max_examples=200)
@given(usual_layers(), st.data())
def test_no_mode_of_what_is_taken_is_better(layer: Layer, data: st.DataObject) -> None:
    flow = data.draw(among("ws", "os", "ws os"), label="flow")
    on = data.draw(machines_for(flow, objective="latency", stays=True, slack=0.0), label="machine")
    bits = int(least_bits(layer, on) * data.draw(ROOMS, label="room"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "of", classmethod(lambda _, accelerator: accelerator.machine))
        check_every_mode(layer, replace(on, buffer_bits=bits))


def test_equal_layers_with_different_mappings_cost_each_its_own() -> None:
    machine = Accelerator.named("ws_32x32")
    tiles = ((1, 12, 12, 1, 16, 8), (1, 4, 12, 1, 16, 4))
    mappings = [LayerMapping("ws", "PKC", tile) for tile in tiles]
    layers = [replace(CONVOLUTION, name=name) for name in ("a", "b", "c")]
    both = evaluate(layers, [machine], {0: mappings[0], 2: mappings[1]})
    for index, mapping in ((0, mappings[0]), (2, mappings[1])):
        alone = evaluate([CONVOLUTION], [machine], {0: mapping})
        assert both.take([index]).equals(alone)
    assert both.take([1]).equals(evaluate([CONVOLUTION], [machine]))
    assert both.cycles[0, 0] < both.cycles[0, 2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataflow": "oss"}, "dataflow 'oss'; allowed here: os; did you mean 'os'?"),
        ({"dataflow": 3}, "dataflow 3; allowed here: os"),
        (
            {"order": "KPC"},
            "order 'KPC'; allowed here: PKC, PCK, KCP, NKCP; did you mean 'PKC' or 'PCK' or 'KCP'?",
        ),
        (
            {"order": "pkc"},
            "order 'pkc'; allowed here: PKC, PCK, KCP, NKCP; did you mean 'PKC'?",
        ),
        ({"stays": ("inputs", "inputs")}, "stays names inputs twice; allowed: each name once"),
        (
            {"stays": ("weights",), "single": ("weights",)},
            "weights both stays and has a single slot; only inputs can",
        ),
        ({"tile": (1, 0, 12, 1, 16, 8)}, "y must be an integer from 1 to 12, found 0"),
        ({"tile": (1, 12, 12, 1, 17, 8)}, "k must be an integer from 1 to 16, found 17"),
        ({"tile": (True, 12, 12, 1, 16, 8)}, "n must be an integer from 1 to 2, found True"),
        ({"tile": (1, 12, 12.0, 1, 16, 8)}, "x must be an integer from 1 to 12, found 12.0"),
        ({"tile": (1, 12)}, "a tile has sizes along n, y, x, g, k, c, found (1, 12)"),
    ],
)
def test_what_a_layer_cannot_have_is_one_line(changes: dict[str, Any], words: str) -> None:
    mapping = replace(LayerMapping("os", "PKC", (1, 12, 12, 1, 16, 8)), **changes)
    with pytest.raises(MappingError) as caught:
        evaluate([CONVOLUTION], [Accelerator.named("os_32x32")], {0: mapping})
    assert str(caught.value) == f"layer 'conv': {words}"


def test_nothing_stays_where_the_machine_keeps_what_its_loop_order_keeps() -> None:
    mapping = LayerMapping("os", "PKC", (1, 12, 12, 1, 16, 8), single=("weights",))
    ordered = Accelerator.named("os_32x32").replace({"mapper.residency": "order"})
    with pytest.raises(MappingError) as caught:
        evaluate([CONVOLUTION], [ordered], {0: mapping})
    assert (
        str(caught.value) == "layer 'conv': single 'weights' needs mapper.residency: best; here it is order"
    )


def test_a_tile_that_does_not_fit_says_how_many_bytes_it_needs_and_has() -> None:
    """Two tiles of 12·12·8 inputs, one of 16·8·9 weights, two of 12·12·16 sums of 4 bytes: 21,888 bytes."""
    machine = Accelerator.named("os_32x32").replace({"memory.global_buffer.size_kib": 1})
    mapping = LayerMapping("os", "PKC", (1, 12, 12, 1, 16, 8))
    with pytest.raises(MappingError, match=r"^layer 'conv': the tile needs 21,888 bytes .* there are 1,024$"):
        evaluate([CONVOLUTION], [machine], {0: mapping})


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (
            Layer.conv("long", n=1, c=1, k=1, oy=1 << 20, ox=1, fy=3, fx=1),
            "y must be at least 16, for no more",
        ),
        (
            Layer.matmul("large", m=1 << 20, n=1 << 10, k=1 << 10),
            "1,099,511,627,776 tiles; allowed: 2,147,483,648",
        ),
        (
            Layer.conv("edges", n=1, c=1, k=8, oy=1024, ox=1024, fy=5, fx=5, padding=2),
            "4,194,304 tiles that differ; allowed: 1,048,576",
        ),
    ],
)
def test_tiles_are_bounded(layer: Layer, words: str) -> None:
    with pytest.raises(MappingError, match=f"^layer '{layer.name}': .*{words}"):
        evaluate([layer], [Accelerator.named("os_32x32")], {0: LayerMapping("os", "PKC", (1,) * 6)})


def test_a_matrix_product_has_its_pixels_in_x() -> None:
    layer = Layer.conv("point", n=2, c=8, k=16, oy=12, ox=12, fy=1, fx=1)
    machine = Accelerator.named("os_32x32")
    costs = evaluate([layer], [machine], {0: LayerMapping("os", "PKC", (1, 1, 288, 1, 16, 8))})
    assert costs.executed.sum() == layer.macs
    with pytest.raises(
        MappingError, match="n must be an integer from 1 to 1, pixels of a matrix product stand in x"
    ):
        evaluate([layer], [machine], {0: LayerMapping("os", "PKC", (2, 12, 12, 1, 16, 8))})


def test_the_rows_that_a_mapping_is_of_may_be_padded() -> None:
    machine = Accelerator.named("os_32x32").replace({"memory.row_words": 16})
    work, _ = workload_of([CONVOLUTION], Machine.of(machine))
    assert work.x.tolist() == [16]
    costs = evaluate([CONVOLUTION], [machine], {0: LayerMapping("os", "PKC", (1, 12, 16, 1, 16, 8))})
    assert costs.executed.sum() == CONVOLUTION.macs


@pytest.mark.usefixtures("on_machines")
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), layer=layers() | usual_layers(), more=st.sampled_from([1, 2, 4, 8]))
def test_no_tiling_is_slower_on_a_larger_array(data: st.DataObject, layer: Layer, more: int) -> None:
    flow = data.draw(st.sampled_from(sorted(LARGER)))
    axis = data.draw(st.sampled_from(LARGER[flow]))
    whole = {"buffer_bits": 1 << 40, "buffer_bits_per_cycle": np.inf, "systolic": False}
    machine = data.draw(machines_for(flow, **whole))
    mapping = data.draw(drawn_mappings(layer, machine))
    larger = replace(machine, **{axis: getattr(machine, axis) + more})
    before, after = (costs_on(on, [layer], {0: mapping}).cycles[0, 0] for on in (machine, larger))
    assert after <= before
