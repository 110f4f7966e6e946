"""Layers that repeat: every number is that of the network in which each step is a layer of its own.

But for weights that stay in the buffer from step to step, which ``tests/cost/test_recurrence.py`` is about.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from squeezesim.cost.costs import CAUSES, HOMED, OPERANDS
from squeezesim.cost.evaluate import evaluate
from squeezesim.errors import ModelError
from squeezesim.frontends.scalesim import export
from squeezesim.network import Layer, Network
from squeezesim.report.diagnosis import notes
from squeezesim.report.explain import explain
from squeezesim.report.perfetto import LAYERS, trace
from squeezesim.report.report import Report
from squeezesim.report.serialize import decode, encode
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, few

from .strategies import recurrent_networks

ROW = (
    "params",
    "macs",
    "vector_ops",
    "cycles",
    "executed_macs",
    "dram_bytes",
    "buffer_bytes",
    "weights_bytes",
)
SUMS = (*ROW, *(f"lost_{cause}" for cause in CAUSES), *(f"dram_{operand}_bytes" for operand in OPERANDS))


def steps_of(network: Network) -> list[list[int]]:
    """The places of the steps of each layer in the unrolled network, by going through them one by one."""
    found: list[list[int]] = [[] for _ in network.layers]
    at = place = 0
    while at < len(network.layers):
        end = at
        while end < len(network.layers) and network.layers[end].repeat == network.layers[at].repeat:
            end += 1
        end = end if network.layers[at].repeat > 1 else at + 1
        for _ in range(network.layers[at].repeat):
            for index in range(at, end):
                found[index].append(place)
                place += 1
        at = end
    return found


@given(recurrent_networks())
def test_counts_are_those_of_all_steps(network: Network) -> None:
    unrolled = network.unrolled()
    assert all(layer.repeat == 1 and not layer.carried for layer in unrolled.layers)
    assert (unrolled.params, unrolled.macs, unrolled.vector_ops) == (
        network.params,
        network.macs,
        network.vector_ops,
    )
    for layer, places in zip(network.layers, steps_of(network), strict=True):
        steps = [unrolled.layers[place] for place in places]
        assert len(steps) == layer.repeat
        assert sum(step.macs for step in steps) == layer.macs
        assert sum(step.vector_ops for step in steps) == layer.vector_ops
        assert {(step.op, step.k, step.c, step.output_elements) for step in steps} == {
            (layer.op, layer.k, layer.c, layer.output_elements)
        }


@few
@given(recurrent_networks())
def test_costs_are_those_of_all_steps_where_nothing_stays(network: Network) -> None:
    hardware = accelerator({"mapper.residency": "order"})
    made, apart = (
        Report(net, hardware, evaluate(net.layers, [hardware])) for net in (network, network.unrolled())
    )
    rows, steps = made.rows(), apart.rows()
    for row, places in zip(rows, steps_of(network), strict=True):
        for name in SUMS:
            assert row[name] == sum(steps[place][name] for place in places), name
        for name in ("utilization", "efficiency", "bound", "tiling", "dataflow"):
            assert {row[name]} == {steps[place][name] for place in places}, name
        energy = sum(steps[place]["energy_mac_equiv"] for place in places)
        assert row["energy_mac_equiv"] == pytest.approx(energy, rel=1e-12)
        lost = sum(row[f"lost_{cause}"] for cause in CAUSES)
        assert row["cycles"] * made.machine.pes == row["executed_macs"] + lost
    for name, value in apart.totals.items():
        assert made.totals[name] == (value if value is None else pytest.approx(value, rel=1e-12)), name
    time = np.array([made.tally.total().time[0], apart.tally.total().time[0]])
    assert time[0].tolist() == time[1].tolist()


@few
@given(recurrent_networks())
def test_files_are_read_back(network: Network) -> None:
    hardware = accelerator()
    report = Report(network, hardware, evaluate(network.layers, [hardware]))
    assert encode(decode(encode(report))) == encode(report)
    events = json.loads(trace(report))["traceEvents"]
    shown = {event["name"] for event in events if event["tid"] == LAYERS and event["ph"] == "X"} - {"set-up"}
    assert shown == {row["name"] for row in report.rows() if row["cycles"]}


@settings(max_examples=10)
@given(recurrent_networks())
def test_weights_that_stay_save_cycles_and_are_told(network: Network) -> None:
    hardware = accelerator({"memory.dram.bandwidth_gb_s": 0.5})
    made, apart = (
        Report(net, hardware, evaluate(net.layers, [hardware])) for net in (network, network.unrolled())
    )
    assert made.totals["cycles"] <= apart.totals["cycles"]
    weights = made.costs.homes[0, :, HOMED.index("weights")] > 0
    said = [note for note in notes(made) if "stay in the buffer from step to step" in note]
    assert len(said) == weights.any()
    owners = [row for row, stays in zip(made.rows(), weights, strict=True) if stays]
    assert all(row["dram_weights_bytes"] == row["weights_bytes"] for row in owners)
    assert ("kept_bytes" in made.rows()[0]) == weights.any()


@given(recurrent_networks())
def test_scalesim_gets_every_step(network: Network) -> None:
    if network.macs:
        assert export(network) == replace(
            export(network.unrolled()),
            products=export(network).products,
            repeated=export(network).repeated,
        )


def lstm_like() -> Network:
    """A cell by hand: h = tanh(W·h + x), 5 steps of 2 rows and 8 values, and a product of all h."""
    layers = [
        Layer.matmul("x", m=10, n=8, k=4, inputs=["input"]),
        replace(Layer.matmul("h", m=2, n=8, k=8, inputs=["input"]).repeated(5), carried=("tanh",)),
        Layer.vector("sum", op="add", k=8, n=2, operands=2, inputs=["x", "h"]).repeated(5),
        Layer.vector("tanh", op="tanh", k=8, n=2, inputs=["sum"]).repeated(5),
        Layer.matmul("y", m=10, n=3, k=8, inputs=["tanh"]),
    ]
    return Network(name="cell", layers=tuple(layers), inputs=(("input", (5, 2, 4)),))


def test_a_cell_by_hand() -> None:
    network = lstm_like()
    assert network.macs == 5 * 2 * 4 * 8 + 5 * 2 * 8 * 8 + 5 * 2 * 8 * 3
    assert network.params == 4 * 8 + 8 * 8 + 8 * 3
    assert network.vector_ops == 5 * (16 + 16)
    unrolled = network.unrolled()
    assert [layer.name for layer in unrolled.layers][:8] == [
        "x",
        "h",
        "sum",
        "tanh",
        "h#2",
        "sum#2",
        "tanh#2",
        "h#3",
    ]
    reads = {layer.name: layer.inputs for layer in unrolled.layers}
    assert reads["h"] == ("input",)
    assert reads["h#3"] == ("input", "tanh#2")
    assert reads["sum#3"] == ("x", "h#3")
    assert reads["y"] == ("tanh", "tanh#2", "tanh#3", "tanh#4", "tanh#5")
    fused = network.fused
    assert [layer.name for layer in fused.layers] == ["x", "h", "sum", "y"]
    assert fused.layers[1].carried == ("sum",)
    assert fused.layers[2].fused == ("tanh",)
    assert fused.layers[2].vector_ops == 5 * 32


@pytest.mark.parametrize(
    ("others", "recurrent", "later"),
    [
        ([], ["a"], ["a#2", "a#3"]),
        (["a"], ["a#2"], ["a#3", "a#4"]),
        (["a"], ["a#2", "b", "a#3"], ["a#4", "b#2", "a#5", "a#6", "b#3", "a#7"]),
        (["a", "a#4"], ["a#2"], ["a#2#2", "a#2#3"]),
        ([], ["a", "a#3"], ["a#2", "a#3#2", "a#3'", "a#3#3"]),
        (["#2"], ["#4", "a#x", "a#02"], ["#4#2", "a#x#2", "a#02#2", "#4#3", "a#x#3", "a#02#3"]),
    ],
)
def test_numbers_of_layers_go_on_from_step_to_step(
    others: list[str], recurrent: list[str], later: list[str]
) -> None:
    """As where every step is traced, unless another layer has the name; three steps."""
    alone = [Layer.matmul(name, m=1, n=1, k=1, inputs=["input"]) for name in others]
    repeated = [Layer.matmul(name, m=1, n=1, k=1, inputs=["input"]).repeated(3) for name in recurrent]
    network = Network(name="n", layers=(*alone, *repeated), inputs=(("input", (3, 1)),))
    names = [layer.name for layer in network.unrolled().layers]
    assert names == [*others, *recurrent, *later]


def test_what_takes_too_many_layers_says_so() -> None:
    layer = Layer.matmul("h", m=1, n=1, k=1).repeated(10**6 + 1)
    with pytest.raises(ModelError, match="more than 1,000,000 layers"):
        Network.from_layers([layer]).unrolled()


def test_weights_that_stay_are_one_transfer_of_a_trace() -> None:
    """64 words of 2 bytes at 4 bytes a cycle, after a set-up of 100 cycles and a latency of 20."""
    network = lstm_like()
    report = simulate(network, accelerator())
    assert report.costs.kept_bytes[0].tolist() == [0, 128, 128, 0]
    events = [event for event in json.loads(trace(report))["traceEvents"] if event["ph"] == "X"]
    loads = [event for event in events if event["name"] == "weights" and event["args"]["layer"] == "h"]
    (load,) = loads
    (begin,) = (event["ts"] for event in events if event["tid"] == LAYERS and event["name"] == "h")
    clock = report.accelerator.clock_mhz
    assert load["args"]["bytes"] == 128
    assert (load["ts"] - begin) * clock == pytest.approx(100)
    assert load["dur"] * clock == pytest.approx(20 + 128 // 4)


def test_dataflows_are_compared_where_the_weights_stay() -> None:
    network, on = lstm_like(), accelerator()
    report = simulate(network, on)
    (found,) = explain(report, layer="h")
    flow = found.dataflow
    other = next(name for name in on.array.dataflows if name != flow)
    kept = replace(network.layers[1], inputs=(), carried=())
    costs = evaluate([kept], [on.replace({"array.dataflows": [other]})], homes=[report.costs.homes_at(1)])
    assert found.ratios[other] == pytest.approx(costs.cycles[0, 0] / report.costs.cycles[0, 1])
    assert costs.dram_bytes[0, 0].tolist()[1] == 128
