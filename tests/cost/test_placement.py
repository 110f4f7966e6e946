"""Placements against every placement of small networks, each layer searched by itself."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from squeezesim.cost.constraints import Limits
from squeezesim.cost.costs import HOMED, Axes, Costs
from squeezesim.cost.evaluate import evaluate, evaluate_each
from squeezesim.cost.lowering import as_run, joined
from squeezesim.cost.machine import Machine
from squeezesim.cost.placement import Place, places_after
from squeezesim.cost.problem import Homes, workload_of
from squeezesim.cost.rates import Rates
from squeezesim.cost.residents import maps_on
from squeezesim.cost.timeline import timeline
from squeezesim.cost.traffic import room_for_maps
from squeezesim.cost.vector import Streams, vector_costs
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network.layer import Layer
from tests.cost.cases import among


def small(**changes: Any) -> Accelerator:
    """A 4×4 array whose DRAM is slow."""
    values = {
        "array.rows": 4,
        "array.cols": 4,
        "array.dataflows": ["ws"],
        "memory.global_buffer.size_kib": 1.0,
        "memory.global_buffer.keeps": ["activations"],
        "memory.dram.bandwidth_gb_s": 1.0,
        "clock_mhz": 1000.0,
        "mapper.latency_slack": 0.0,
        "vector.lanes": 4,
        "energy.table": "eyeriss_relative",
        "energy.overrides": {},
    }
    return Accelerator.named("hybrid_32x32").replace(values | changes)


@st.composite
def networks(draw: st.DrawFn, most: int = 5) -> list[Layer]:
    """Layers on maps of one size in pixels that read maps before them: convolutions, sums, activations, concats."""
    side = draw(among(2, 4))
    channels = {"x": draw(among(4, 8))}
    layers: list[Layer] = []
    for number in range(draw(st.integers(2, most))):
        name, names = f"l{number}", [*channels]
        # A chain more often than not, since what is read late matters only beside it.
        source = draw(st.sampled_from([names[-1], *names]))
        kind = draw(among("conv", "conv", "conv", "add", "relu", "concat", "pool"))
        others = [each for each in names if channels[each] == channels[source] and each != source]
        pixels = side * side
        if kind == "concat" and len(names) > 1:
            other = draw(st.sampled_from([each for each in names if each != source]))
            channels[name] = channels[source] + channels[other]
            layers.append(Layer(name=name, op="concat", kind="view", inputs=(source, other)))
        elif kind == "add" and others:
            other = draw(st.sampled_from(others))
            channels[name] = channels[source]
            sizes = channels[source] * pixels
            layers.append(vector(name, "add", (source, other), 2 * sizes, sizes))
        elif kind in ("relu", "pool"):
            channels[name] = channels[source]
            sizes = channels[source] * pixels
            layers.append(vector(name, "relu" if kind == "relu" else "avg_pool", (source,), sizes, sizes))
        else:
            channels[name] = draw(among(4, 8, 12))
            taps = draw(among(1, 3))
            layer = Layer.conv(
                name,
                c=channels[source],
                k=channels[name],
                oy=side,
                ox=side,
                fy=taps,
                fx=taps,
                padding=taps // 2,
            )
            layers.append(replace(layer, inputs=(source,)))
    return layers


@st.composite
def designs(draw: st.DrawFn) -> Accelerator:
    """Buffers that hold some of the maps, and DRAM that is slow or not."""
    return small(
        **{
            "memory.global_buffer.size_kib": draw(among(0.25, 0.5, 1.0, 2.0, 8.0)),
            "memory.dram.bandwidth_gb_s": draw(among(0.25, 1.0, 8.0)),
            "mapper.objective": draw(among("latency", "latency", "energy")),
            "array.post_ops": [*draw(among((), ("add",)))],
            "mapper.residency": draw(among("best", "best", "order")),
        }
    )


@st.composite
def designs_of_parts(draw: st.DrawFn) -> Accelerator:
    """Buffers of parts, one for inputs and outputs; sums are there, in a part of their own, or in the array."""
    maps, weights = draw(among(0.125, 0.25, 0.5, 1.0, 4.0)), draw(among(0.0625, 0.25, 4.0))
    psums = draw(among("buffer", "buffer", "array"))
    parts: dict[str, Any] = {
        "maps": {"size_kib": maps, "holds": ["inputs", "outputs"], "slots": draw(among(1, 2))},
        "weights": {"size_kib": weights, "holds": ["weights"]},
    }
    if psums == "buffer" and draw(st.booleans()):
        parts["sums"] = {"size_kib": 0.25, "holds": ["psums"]}
    if draw(among(False, False, True)):
        parts["maps"]["holds"] += parts.pop("weights")["holds"]
    on = draw(designs()).replace({"memory.global_buffer.keeps": []})
    buffer = {"parts": parts, "psums": psums, "keeps": ["activations"]}
    return on.replace({"memory.global_buffer": buffer})


def vector(name: str, op: str, inputs: tuple[str, ...], read: int, written: int) -> Layer:
    return Layer(
        name=name,
        op=op,
        kind="vector",
        inputs=inputs,
        input_elements=read,
        output_elements=written,
        vector_ops=written,
    )


Run = tuple[Layer, Homes, Streams]
"""A layer with its operands in places."""


class Plain:
    """A network's maps, as plain sets and dictionaries: what is alive when, by trying every layer."""

    def __init__(self, layers: list[Layer], machine: Machine) -> None:
        bits, joins = machine.activation_bits, joined(layers, machine)
        # An addition that joins a layer is another name of its outputs; the layer reads the other operand.
        self.same = {layers[add].name: layers[maker].name for add, maker in joins.items()}
        self.second = {
            layers[maker].name: next(name for name in layers[add].inputs if name != layers[maker].name)
            for add, maker in joins.items()
        }
        layers = [layer for number, layer in enumerate(as_run(layers, machine)) if number not in joins]
        self.layers = layers
        self.of = {layer.name: layer for layer in layers}
        self.size = {layer.name: layer.output_elements * bits for layer in layers if layer.kind != "view"}
        self.added = {name: self.resolved(other) for name, other in self.second.items()}
        self.reads = [
            set() if layer.kind == "view" else self.through(layer) | self.added.get(layer.name, set())
            for layer in layers
        ]
        self.readers = {name: [i for i, read in enumerate(self.reads) if name in read] for name in self.size}
        self.born = {layer.name: i for i, layer in enumerate(layers)}
        end = len(layers)
        self.dies = {name: max(readers, default=end) for name, readers in self.readers.items()}
        self.groups = self.joined()

    def through(self, layer: Layer) -> set[str]:
        found: set[str] = set()
        for name in layer.inputs:
            found |= self.resolved(name)
        return found

    def resolved(self, name: str) -> set[str]:
        source = self.of.get(self.same.get(name, name))
        if source is None:
            return {name}
        return self.through(source) if source.kind == "view" else {source.name}

    def joined(self) -> list[set[str]]:
        groups = [{name} for name in self.size]
        fixed: list[set[str]] = []
        for layer in self.layers:
            if layer.kind == "view":
                parts = self.through(layer)
                touched = [group for group in groups if group & parts]
                groups = [group for group in groups if not group & parts]
                merged = set().union(*touched)
                if "x" in parts:
                    fixed.append(merged)
                groups.append(merged)
        return [group for group in groups if group and not any(group & each for each in fixed)]

    def choices(self, group: set[str]) -> list[tuple[str, int]]:
        """How a group can be kept, and from which layer on it is dropped."""
        first = min(self.born[name] for name in group)
        last = max(self.dies[name] for name in group)
        output = any(not self.readers[name] for name in group)
        found = [("memory", 0)]
        if not output:
            found.append(("buffer", 10**6))
        found += [("both", stop) for stop in range(first + 1, last + 2)]
        return found

    def alive(self, name: str, at: int) -> bool:
        return self.born[name] <= at <= self.dies[name]

    def runs(self, chosen: tuple[tuple[str, int], ...]) -> list[Run]:
        """Every layer with its operands where they live, each group as *chosen*."""
        found = []
        for at, layer in enumerate(self.layers):
            if layer.kind == "view":
                continue
            kept, alone = set(), set()
            for group, (how, stop) in zip(self.groups, chosen, strict=True):
                if how != "memory" and at < stop:
                    kept |= {name for name in group if self.alive(name, at)}
                if how == "buffer":
                    alone |= group
            bits = sum(self.size[name] for name in kept)
            read, stored = self.reads[at], layer.name not in alone
            added = self.added.get(layer.name, set())
            may = read if layer.op in ("relu", "add") else added
            if layer.name in kept:
                group = next(group for group in self.groups if layer.name in group)
                size = self.size[layer.name]
                over = [name for name in (may & kept) - group if self.dies[name] == at]
                bits -= size * any(self.size[name] == size for name in over)
            inputs = self.through(layer)
            inside = bool(inputs) and inputs <= kept
            known = {name: self.of[name].output_elements for name in read if name != "x"}
            loaded = sum(known[name] for name in read - kept if name != "x")
            loaded += layer.input_elements - sum(known.values()) if "x" in read else 0
            streams = Streams(loaded if layer.kind == "vector" else 0, stored)
            found.append(
                (
                    layer,
                    Homes(inside, second=bool(added) and added <= kept, outputs=not stored, resident=bits),
                    streams,
                )
            )
        return found


def costs_of(runs: set[Run], on: Accelerator) -> dict[Run, tuple[float, float]]:
    """Cycles and energy of each layer by itself; infinite where it does not fit."""
    machine, found = Machine.of(on), dict.fromkeys(runs, (math.inf, math.inf))
    fitting = [
        run for run in runs if run[0].kind == "mac" and least_bits(*run[:2], machine) <= machine.buffer_bits
    ]
    on_lanes = [run for run in runs if run[0].kind == "vector"]
    if fitting:
        costs = evaluate([layer for layer, *_ in fitting], [on], homes=[homes for _, homes, _ in fitting])
        found |= dict(zip(fitting, _measures(costs.cycles, costs.energy), strict=True))
    if on_lanes:
        layers, streams = [layer for layer, *_ in on_lanes], [each for *_, each in on_lanes]
        lanes = vector_costs(layers, machine, Rates.of([machine]), Axes.of([machine]), streams)
        found |= dict(zip(on_lanes, _measures(lanes["cycles"], lanes["energy"]), strict=True))
    return found


def least_bits(layer: Layer, at: Homes, machine: Machine) -> float:
    """Bits of the buffer that a layer takes at least, with all input channels where sums stay in the array."""
    work = workload_of([layer], machine, [at])[0]
    return float(Limits.of(layer, machine).search(work, machine, np.inf).least_footprint[0])


def _measures(cycles: Any, energy: Any) -> list[tuple[float, float]]:
    return list(zip(cycles[0].tolist(), energy[0].sum(axis=-1).tolist(), strict=True))


def every_placement(layers: list[Layer], on: Accelerator) -> list[tuple[float, float]]:
    """Cycles and energy of every placement that fits."""
    plain = Plain(layers, Machine.of(on))
    every = [plain.runs(chosen) for chosen in itertools.product(*map(plain.choices, plain.groups))]
    bits = room_for_maps(Machine.of(on), Rates.of([Machine.of(on)]))[0]
    every = [runs for runs in every if all(homes.resident <= bits for _, homes, _ in runs)]
    costs = costs_of({run for runs in every for run in runs}, on)
    sums = [tuple(map(sum, zip(*(costs[run] for run in runs), strict=True))) for runs in every]
    return [(cycles, energy) for cycles, energy in sums if math.isfinite(cycles)]


def check_against_every_placement(layers: list[Layer], on: Accelerator) -> None:
    plain = Plain(layers, Machine.of(on))
    assume(math.prod(len(plain.choices(group)) for group in plain.groups) <= 250)
    expected = every_placement(layers, on)
    costs, (misfit,) = evaluate_each(layers, [on])
    assert bool(expected) == (misfit is None)
    if misfit is not None:
        return
    cycles, energy = float(costs.cycles.sum()), float(costs.energy.sum())
    if on.mapper.objective == "latency":
        least = min(expected)
        assert (cycles, energy) == (least[0], pytest.approx(least[1], rel=1e-9))
    elif on.mapper.objective == "energy":
        assert energy == pytest.approx(min(spent for _, spent in expected), rel=1e-9)
    at_layer, _ = evaluate_each(layers, [on.replace({"memory.placement": "layer"})])
    before = float(at_layer.cycles.sum()), float(at_layer.energy.sum())
    which = {"latency": 0, "energy": 1}.get(on.mapper.objective)
    if which is not None and at_layer.cycles.any():
        assert (cycles, energy)[which] <= before[which] * (1 + 1e-12)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(networks(), designs())
def test_the_placement_is_the_best_of_all(layers: list[Layer], on: Accelerator) -> None:
    check_against_every_placement(layers, on)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(networks(), designs())
def test_the_placement_is_the_best_of_all_of_400_networks(layers: list[Layer], on: Accelerator) -> None:
    check_against_every_placement(layers, on)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(networks(), designs_of_parts())
def test_in_parts_of_the_buffer_too(layers: list[Layer], on: Accelerator) -> None:
    check_against_every_placement(layers, on)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(networks(), designs_of_parts())
def test_in_parts_of_the_buffer_too_of_200_networks(layers: list[Layer], on: Accelerator) -> None:
    check_against_every_placement(layers, on)


@settings(max_examples=8, deadline=None)
@given(networks(most=8), designs_of_parts(), among(1.25, 2.0, 8.0), among("maps", "weights"))
def test_a_larger_part_is_never_worse(layers: list[Layer], on: Accelerator, factor: float, name: str) -> None:
    parts = on.memory.global_buffer.parts
    assume(name in parts)
    larger = on.replace({f"memory.global_buffer.parts.{name}.size_kib": parts[name].size_kib * factor})
    (before, (misfit,)), (after, (other,)) = (evaluate_each(layers, [each]) for each in (on, larger))
    if misfit is None:
        assert other is None
        which = on.mapper.objective == "energy"
        one, two = ((c.cycles.sum(), c.energy.sum())[which] for c in (before, after))
        assert two <= one * (1 + 1e-12)


@settings(max_examples=8, deadline=None)
@given(networks(most=8), designs(), among(1.25, 2.0, 8.0))
def test_a_larger_buffer_is_never_worse(layers: list[Layer], on: Accelerator, factor: float) -> None:
    size = on.memory.global_buffer.size_kib
    larger = on.replace({"memory.global_buffer.size_kib": size * factor})
    costs, misfits = evaluate_each(layers, [on, larger])
    if misfits[0] is None:
        assert misfits[1] is None
        measured = costs.cycles.sum(axis=1), costs.energy.sum(axis=(1, 2))
        before, after = measured[on.mapper.objective == "energy"]
        assert after <= before * (1 + 1e-12)


@settings(max_examples=5, deadline=None)
@given(networks(most=8), designs())
def test_machines_together_are_placed_as_each_by_itself(layers: list[Layer], on: Accelerator) -> None:
    several = [on, on.replace({"memory.dram.bandwidth_gb_s": 3.0, "memory.global_buffer.size_kib": 1.5})]
    together, misfits = evaluate_each(layers, several)
    for number, each in enumerate(several):
        alone, (misfit,) = evaluate_each(layers, [each])
        assert misfit == misfits[number]
        for name in ("cycles", "homes", "kept_bytes", "dram_bytes"):
            assert np.array_equal(getattr(together, name)[number], getattr(alone, name)[0])


@settings(max_examples=8, deadline=None)
@given(networks(most=8), designs() | designs_of_parts())
def test_what_stays_fits_and_timelines_end_when_layers_do(layers: list[Layer], on: Accelerator) -> None:
    costs, (misfit,) = evaluate_each(layers, [on])
    if misfit is not None:
        return
    machine = Machine.of(on)
    assert np.all(costs.kept_bytes <= room_for_maps(machine, Rates.of([machine]))[0] // 8)
    for number, layer in enumerate(as_run(layers, machine)):
        assert timeline(layer, costs, number, machine).cycles == costs.cycles[0, number]


def product_of(costs: Costs) -> float:
    return float(costs.cycles.sum() * costs.energy.sum())


def check_products_against_every_placement(layers: list[Layer], on: Accelerator) -> None:
    """The least product of all, each placement with the tilings that are best by edp in it."""
    on = on.replace({"mapper.objective": "edp", "array.post_ops": []})
    machine = Machine.of(on)
    plain, room = Plain(layers, machine), room_for_maps(machine, Rates.of([machine]))[0]
    assume(math.prod(len(plain.choices(group)) for group in plain.groups) <= 40)
    products = []
    for chosen in itertools.product(*map(plain.choices, plain.groups)):
        runs = plain.runs(chosen)
        if any(
            at.resident > room
            or (layer.kind == "mac" and least_bits(layer, at, machine) > machine.buffer_bits)
            for layer, at, _ in runs
        ):
            continue
        places = [Place(at, streams.loaded, streams.stored) for _, at, streams in runs]
        products.append(product_of(evaluate([layer for layer, *_ in runs], [on], places=places)))
    costs, (misfit,) = evaluate_each(layers, [on])
    assert bool(products) == (misfit is None)
    if products:
        assert product_of(costs) == pytest.approx(min(products), rel=1e-9)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(networks(most=4), designs() | designs_of_parts())
def test_the_product_by_edp_is_the_least_of_all_placements(layers: list[Layer], on: Accelerator) -> None:
    check_products_against_every_placement(layers, on)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(networks(most=4), designs() | designs_of_parts())
def test_the_product_by_edp_is_the_least_of_all_placements_of_100_networks(
    layers: list[Layer], on: Accelerator
) -> None:
    check_products_against_every_placement(layers, on)


def test_edp_is_no_more_than_what_latency_and_energy_reach() -> None:
    network, products = load("squeezenet_1_1").fused.layers[:6], {}
    for objective in ("latency", "energy", "edp"):
        changes = {"mapper.objective": objective, "memory.global_buffer.keeps": ["activations"]}
        costs = evaluate(network, [Accelerator.named("ws_32x32").replace(changes)])
        products[objective] = costs.cycles.sum() * costs.energy.sum()
    assert products["edp"] <= min(products["latency"], products["energy"])


def test_the_residual_block_worked_by_hand() -> None:
    """Three maps of 64 bytes; all three beside a tile need more than 256 bytes, two do not."""
    convs = [Layer.conv(name, c=4, k=4, oy=4, ox=4, fy=1, fx=1) for name in ("a", "b")]
    layers = [
        vector("x", "relu", ("input",), 64, 64),
        replace(convs[0], inputs=("x",)),
        replace(convs[1], inputs=("a",)),
        vector("sum", "add", ("x", "b"), 128, 64),
        vector("end", "relu", ("sum",), 64, 64),
    ]
    whole = evaluate(layers, [small(**{"memory.global_buffer.size_kib": 1.0})])
    assert whole.kept_bytes[0].tolist() == [64, 128, 192, 128, 64]
    assert whole.dram_bytes[0].sum() == 64 + 16 + 16 + 64
    tight = evaluate(layers, [small(**{"memory.global_buffer.size_kib": 0.1875})])
    assert tight.dram_bytes[0].sum() == 64 + 16 + 16 + 64 + 128
    assert np.all(tight.kept_bytes <= 192)


@pytest.mark.parametrize(("inside", "bits"), [((), 512), ((0,), 512), ((1,), 512), ((0, 1), 1024)])
def test_a_sum_is_written_over_whichever_input_is_in_the_buffer(inside: tuple[int, ...], bits: int) -> None:
    conv = replace(Layer.conv("a", c=4, k=4, oy=4, ox=4, fy=1, fx=1), inputs=("x",))
    layers = [
        vector("x", "relu", ("input",), 64, 64),
        conv,
        vector("sum", "add", ("a", "x"), 128, 64),
        vector("end", "relu", ("sum",), 64, 64),
    ]
    maps = maps_on(layers, Machine.of(small()))
    state = tuple((home, 1) for home in inside)
    found = {place.homes.outputs: place.homes.resident for _, place, _ in places_after(maps, 2, state, 8192)}
    assert found == {True: bits, False: 512 * len(inside)}


def test_many_branches_that_are_read_twice_stay_together() -> None:
    """24 maps of which each is read at once and at the end: 3^24 ways to place them, and room for all."""
    names = [f"a{number}" for number in range(24)]
    conv = replace(Layer.conv("a0", c=4, k=4, oy=4, ox=4, fy=1, fx=1), inputs=("x",))
    layers = [replace(conv, name=name) for name in names]
    layers += [replace(conv, name=f"{name}.{turn}", inputs=(name,)) for turn in (1, 2) for name in names]
    on = small(**{"memory.global_buffer.size_kib": 16.0})
    costs = evaluate(layers, [on])
    assert costs.kept_bytes[0, 24:48].tolist() == [24 * 64] * 24
    # All inputs of the first 24, weights of all, outputs of the last 48: each once.
    assert costs.dram_bytes[0].sum() == 24 * 64 + 72 * 16 + 48 * 64
    energy = evaluate(
        layers[:6] + layers[24:30] + layers[48:54], [on.replace({"mapper.objective": "energy"})]
    )
    assert energy.kept_bytes[0, 6:12].tolist() == [6 * 64] * 6


def test_maps_of_recurrences_and_inputs_of_the_network_stay_nowhere() -> None:
    step = Layer.matmul("h", m=1, n=8, k=8).repeated(3)
    layers = [
        vector("x", "relu", ("input",), 8, 8),
        replace(step, inputs=("x",), carried=("h",)),
        vector("y", "relu", ("h",), 24, 24),
        vector("z", "relu", ("y",), 24, 24),
    ]
    costs = evaluate(layers, [small()])
    assert costs.homes[0, :, HOMED.index("outputs")].tolist() == [0, 0, 1, 0]
