from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import operands_of
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.network.layer import recurrences
from squeezesim.report.liveness import Live, liveness
from squeezesim.report.report import Report
from tests.draws import among
from tests.report.cases import accelerator, few, network, reports


def live_on(network: Network, hardware: Accelerator) -> Live:
    machine = Machine.of(hardware)
    operands = [operands_of(layer, machine) for layer in network.layers]
    return liveness(network, operands, machine.activation_bits)


def slow(network: Network, bytes_of: dict[str, int]) -> list[dict[str, int]]:
    """For each layer, the tensors that are there while it runs, found by asking every tensor at every layer."""
    views = {layer.name: layer.inputs for layer in network.layers if layer.kind == "view"}

    def tensors(name: str) -> set[str]:
        return set().union(*map(tensors, views[name])) if name in views else {name}

    reads = [set().union(*map(tensors, layer.inputs)) if layer.inputs else set() for layer in network.layers]
    real = [layer.kind != "view" for layer in network.layers]
    found = []
    for here, _ in enumerate(network.layers):
        live: dict[str, int] = {}
        written = [name for name, _ in network.inputs]
        written += [layer.name for layer in network.layers[: here + 1] if layer.name not in views]
        for name in written:
            readers = [place for place, names in enumerate(reads) if name in names and real[place]]
            if not readers or max(readers) >= here:
                live[name] = bytes_of[name]
        found.append(live)
    return found


def test_by_hand() -> None:
    """A residual block of 8×8 pixels at 16 bits: the shortcut is kept while the branch runs."""
    layers = [
        Layer.conv("a", c=4, k=4, oy=8, ox=8, fy=1, fx=1, inputs=["input"]),
        Layer.conv("b", c=4, k=8, oy=8, ox=8, fy=3, fx=3, inputs=["a"]),
        Layer.conv("c", c=8, k=4, oy=8, ox=8, fy=1, fx=1, inputs=["b"]),
        Layer.vector("add", op="add", k=4, oy=8, ox=8, operands=2, inputs=["a", "c"]),
    ]
    made = live_on(Network.from_layers(layers), accelerator())
    tensor = 4 * 8 * 8 * 2
    assert made.read.tolist() == [tensor, tensor, 2 * tensor, 2 * tensor]
    assert made.written.tolist() == [tensor, 2 * tensor, tensor, tensor]
    assert made.kept.tolist() == [0, 0, tensor, 0]
    assert made.weights.tolist() == [32, 576, 64, 0]
    assert made.activations.tolist() == [2 * tensor, 3 * tensor, 4 * tensor, 3 * tensor]


def test_who_reads_a_concat_reads_what_it_joins() -> None:
    made = live_on(network(), accelerator())
    names = [layer.name for layer in network().layers]
    concat, pool = names.index("stage1.concat"), names.index("head.pool")
    outputs = {layer.name: layer.output_elements * 2 for layer in network().layers}
    assert (made.read[concat], made.written[concat]) == (0, 0)
    assert made.read[pool] == outputs["stage1.add"] + outputs["stage1.b"]


def test_an_output_that_nobody_reads_stays_to_the_end() -> None:
    layers = [
        Layer.matmul("out", m=1, n=50, k=4, inputs=["input"]),
        Layer.matmul("a", m=1, n=4, k=4, inputs=["input"]),
        Layer.matmul("b", m=1, n=4, k=4, inputs=["a"]),
    ]
    made = live_on(Network.from_layers(layers), accelerator())
    assert made.kept.tolist() == [0, 100, 100]


def test_a_product_of_activations_has_no_weights() -> None:
    one = Layer.matmul("a", m=4, n=4, k=4, weights_are_activations=True)
    assert live_on(Network.from_layers([one]), accelerator()).weights.tolist() == [0]


def test_widths_are_those_of_the_layers() -> None:
    one = dataclasses.replace(Layer.matmul("a", m=1, n=7, k=5), weight_bits=4, activation_bits=3)
    made = live_on(Network.from_layers([one]), accelerator())
    assert made.written.tolist() == [3]  # 7 · 3 bits
    assert made.weights.tolist() == [18]  # 35 · 4 bits


@few
@given(reports())
def test_nothing_is_negative_and_all_that_is_read_is_there(made: Report) -> None:
    live = live_on(made.network, made.accelerator)
    for values in (live.read, live.written, live.kept, live.weights):
        assert (values >= 0).all()


def test_real_networks_as_asking_every_tensor_at_every_layer() -> None:
    for name in ("squeezenet_1_1", "squeezenet_1_0_complex_bypass", "mobilenet_v3_small"):
        net, on = load(name), Accelerator.named("os_32x32")
        sizes = {layer.name: layer.output_elements for layer in net.layers}
        sizes |= {key: int(np.prod(shape)) for key, shape in net.inputs}
        found = [sum(live.values()) for live in slow(net, sizes)]
        assert live_on(net, on).activations.tolist() == found


@st.composite
def recurrent(draw: st.DrawFn) -> Network:
    """Recurrences, concats in them and between them, that read one another in any way."""
    known = ["input"]
    layers = []
    for number in range(draw(st.integers(1, 5))):
        repeat = draw(among(1, 2, 5, 11, 11, 12))
        names = [f"{number}.{at}" for at in range(draw(st.integers(1, 4)))]
        for name in names:
            layer = dataclasses.replace(
                Layer.vector(name, op="relu", k=draw(st.integers(1, 9))),
                inputs=tuple(draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))),
                kind=draw(among("vector", "vector", "vector", "view")),
            )
            if repeat > 1:
                before = st.lists(st.sampled_from(names), max_size=2, unique=True)
                layer = dataclasses.replace(layer.repeated(repeat), carried=tuple(draw(before)))
            layers.append(layer)
            known.append(name)
    # A view carries no view.
    views = {layer.name for layer in layers if layer.kind == "view"}
    layers = [
        dataclasses.replace(layer, carried=tuple(name for name in layer.carried if name not in views))
        if layer.kind == "view"
        else layer
        for layer in layers
    ]
    return Network("recurrent", tuple(layers), (("input", (3,)),))


@few
@given(recurrent())
def test_what_repeats_has_live_what_is_most_in_one_of_its_steps(made: Network) -> None:
    steps: dict[str, list[int]] = {}
    place = 0
    for run in recurrences(made.layers):
        for _ in range(run[0].repeat):
            for layer in run:
                steps.setdefault(layer.name, []).append(place)
                place += 1
    found, apart = live_on(made, accelerator()), live_on(made.unrolled(), accelerator())
    for at, layer in enumerate(made.layers):
        most = max(steps[layer.name], key=lambda step: apart.activations[step])
        assert found.activations[at] == apart.activations[most]
        parts = {(apart.read[step], apart.kept[step]) for step in steps[layer.name]}
        assert (found.read[at], found.kept[at]) in parts
    assert found.activations.max() == apart.activations.max()


def test_the_step_before_the_last_can_have_the_most_live() -> None:
    """At 16 bits the input of 6 bytes ends with the last step of `a`: beside `b` it is there in the fourth of five."""

    def step(name: str, source: str, repeat: int) -> Layer:
        vector = Layer.vector(name, op="relu", k=1, inputs=[source])
        return dataclasses.replace(vector, vector_ops=repeat, repeat=repeat)

    layers = (step("first", "input", 1), step("a", "input", 5), step("b", "first", 5))
    made = live_on(Network(name="steps", inputs=(("input", (3,)),), layers=layers), accelerator())
    outputs = 2 * (1 + 4 + 4)  # of `first`, and of four steps of `a` and of `b`
    assert made.activations[2] == 6 + outputs


def test_a_long_recurrence_takes_no_time() -> None:
    step = Layer.matmul("h", m=1, n=4, k=4, inputs=["input"]).repeated(2**31)
    layers = [dataclasses.replace(step, carried=("h",)), Layer.matmul("fc", m=1, n=1, k=4, inputs=["h"])]
    made = live_on(Network.from_layers(layers), accelerator())
    assert made.written.tolist() == [8, 2]
    assert made.kept[0] + made.read[0] == (2**31 - 1) * 8 + 8  # those before, and the input
    assert made.read[1] == 2**31 * 8
