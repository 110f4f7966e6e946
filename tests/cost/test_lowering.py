"""Additions that join the layer before them: which do, and what they cost."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from squeezesim.cost.lowering import as_run, joined
from squeezesim.cost.machine import Machine
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network.layer import Layer
from squeezesim.network.network import Network
from squeezesim.report.report import Report
from squeezesim.simulate import simulate

PLAIN = Accelerator.named("hybrid_32x32").replace({"memory.global_buffer.keeps": []})
ADDS = PLAIN.replace({"array.post_ops": ["add"]})


def conv(name: str, *inputs: str, **changes: Any) -> Layer:
    layer = Layer.conv(name, c=8, k=8, oy=6, ox=6, fy=1, fx=1)
    return replace(layer, inputs=inputs, **changes)


def add(name: str, *inputs: str, **changes: Any) -> Layer:
    size = 8 * 6 * 6
    numbers = {"input_elements": 2 * size, "output_elements": size, "vector_ops": size} | changes
    return Layer(name=name, op="add", kind="vector", inputs=inputs, **numbers)


BLOCK = (conv("a"), conv("b", "a"), add("sum", "b", "a"))


def number_of(*layers: Layer) -> dict[int, int]:
    return dict(joined(layers, Machine.of(ADDS)))


def test_an_addition_joins_the_later_of_the_layers_that_make_its_operands() -> None:
    assert number_of(*BLOCK) == {2: 1}
    assert number_of(conv("a"), conv("b", "a"), add("sum", "a", "b")) == {2: 1}
    assert dict(joined(BLOCK, Machine.of(PLAIN))) == {}
    run = as_run(BLOCK, Machine.of(ADDS))
    assert [layer.second_elements for layer in run] == [0, 288, 0]
    assert as_run(BLOCK, Machine.of(PLAIN)) is BLOCK


@pytest.mark.parametrize(
    "layers",
    [
        (*BLOCK, conv("c", "b")),  # the later operand is read elsewhere
        (conv("a"), conv("b", "a"), add("sum", "b", "b", input_elements=288)),  # one operand
        (conv("a"), conv("b", "a"), add("sum", "b", "a", input_elements=288 + 8)),  # of another size
        (conv("a"), add("sum", "x", "y")),  # made by no layer
        (conv("a"), add("first", "a", "x"), add("second", "first", "y")),  # made without MACs: the second one
        (conv("a"), replace(conv("b", "a"), repeat=3, vector_ops=0), add("sum", "b", "a")),  # in steps
        (conv("a"), conv("b", "a"), add("sum", "b", "a", weight_elements=8, params=8)),  # of parameters
    ],
)
def test_what_does_not_join(layers: tuple[Layer, ...]) -> None:
    last = max(number for number, layer in enumerate(layers) if layer.op == "add")
    assert last not in number_of(*layers)


def test_a_layer_takes_one_addition() -> None:
    # The first sum is read by the second alone; both have their later operand in b or behind it.
    layers = (conv("a"), conv("b", "a"), add("first", "b", "a"), add("second", "first", "a"))
    assert number_of(*layers) == {2: 1}


POOLS = PLAIN.replace({"array.post_ops": ["add", "pool"]})


def pool(name: str, source: str, **changes: Any) -> Layer:
    sizes: dict[str, Any] = {"k": 8, "oy": 3, "ox": 3, "fy": 2, "fx": 2, "stride": 2}
    return replace(Layer.vector(name, op="max_pool", inputs=[source], **sizes), **changes)


def pooled(*layers: Layer) -> dict[int, int]:
    return dict(joined(layers, Machine.of(POOLS)))


def test_a_pooling_joins_the_layer_that_it_reads_or_the_addition_that_joined_one() -> None:
    assert pooled(conv("a"), pool("p", "a")) == {1: 0}
    assert pooled(*BLOCK, pool("p", "sum")) == {2: 1, 3: 1}
    assert number_of(*BLOCK, pool("p", "sum")) == {2: 1}  # of additions alone
    run = as_run((*BLOCK, pool("p", "sum")), Machine.of(POOLS))
    assert run[1].second_elements == 288
    assert run[1].pool == (3, 3, 2, 2, 2, 2, 0, 0, 0)
    of_mean = replace(pool("p", "a", op="avg_pool"), dilation=(3, 1), fy=2, iy=6, vector_ops=8 * 9 * 4)
    assert as_run((conv("a"), of_mean), Machine.of(POOLS))[0].pool == (3, 3, 4, 2, 2, 2, 0, 0, 1)


@pytest.mark.parametrize(
    "layers",
    [
        (conv("a"), conv("c", "a"), pool("p", "a")),  # read elsewhere
        (conv("a"), pool("p", "a", op="lp_pool")),
        (conv("a"), pool("p", "a", vector_ops=8 * 9 * 4 - 1)),  # windows of several sizes
        (conv("a"), pool("p", "a", k=4, output_elements=4 * 9, vector_ops=4 * 9 * 4)),
        (conv("a", oy=3, ox=12, iy=3, ix=12), pool("p", "a")),  # the map is laid out otherwise
        (conv("a"), pool("p", "a", padding=(0, 0), stride=(3, 2))),  # the last window begins behind the map
        (
            conv("a"),
            pool("p", "a"),
            pool("q", "p", iy=3, ix=3, input_elements=72),
        ),  # pooled twice: the second
        (conv("a", output_elements=289), pool("p", "a", input_elements=289)),
    ],
)
def test_which_poolings_do_not_join(layers: tuple[Layer, ...]) -> None:
    last = max(number for number, layer in enumerate(layers) if "pool" in layer.op)
    assert last not in pooled(*layers)


def test_a_pooled_map_is_written_once_and_never_whole() -> None:
    plain, joining = (simulate(load("vgg16"), hw) for hw in (PLAIN, POOLS))
    for name in ("macs", "vector_ops", "params"):
        assert plain.totals[name] == joining.totals[name]
    place = {layer.name: number for number, layer in enumerate(joining.network.layers)}
    pools = [layer for layer in joining.network.layers if layer.op == "max_pool"]
    assert len(pools) == 5
    for layer in pools:
        number, maker = place[layer.name], place[layer.inputs[0]]
        assert joining.costs.cycles[0, number] == 0
        assert joining.costs.dram_bytes[0, maker, 2] == layer.output_elements
        assert plain.costs.dram_bytes[0, maker, 2] == layer.input_elements
        assert plain.costs.dram_bytes[0, number, 0] == layer.input_elements
    assert "5 poolings join the layer before (array.post_ops pool)" in joining.notes


def test_sums_stay_and_what_moves_is_less() -> None:
    plain, joining = (simulate(load("resnet50"), hw) for hw in (PLAIN, ADDS))
    for name in ("macs", "vector_ops", "params"):
        assert plain.totals[name] == joining.totals[name]
    adds = [number for number, layer in enumerate(joining.network.layers) if layer.op == "add"]
    assert len(adds) == 16
    assert not joining.costs.cycles[0, adds].any()
    # Each addition wrote its outputs and read two maps of their size; now one is read, and the sum written once.
    maps = sum(joining.network.layers[number].output_elements for number in adds)
    saved = plain.totals["dram_bytes"] - joining.totals["dram_bytes"]
    assert saved == pytest.approx(2 * maps, rel=0.02)
    assert joining.totals["cycles"] < 0.87 * plain.totals["cycles"]
    assert "16 additions join the layer before (array.post_ops add)" in joining.notes


def test_the_report_says_what_cannot_join() -> None:
    network = Network.from_layers([*BLOCK, conv("c", "b")])
    notes = simulate(network, ADDS).notes
    assert [note for note in notes if "cannot join" in note] == [
        "sum cannot join another layer: another layer reads the outputs, too"
    ]


def test_results_are_saved_and_traced(tmp_path: Any) -> None:
    found = simulate(load("squeezenext_23"), ADDS)
    found.save(tmp_path / "a.json")
    found.save(tmp_path / "a.trace.json")  # each layer's tiles end with its cycles
    assert Report.load(tmp_path / "a.json").costs.equals(found.costs)
    slots = found.costs.cycles[0] * 1024
    assert np.array_equal(slots, found.costs.executed[0] + found.costs.losses[0].sum(axis=-1))


def table_rows() -> list[Any]:
    """The rows of hardware.md on what joins: placement, network, and what its columns say."""
    text = (Path(__file__).parents[2] / "docs" / "hardware.md").read_text(encoding="utf-8")
    tables = re.findall(r"\| network \| apart \|.*\n\|[-|]+\n((?:\|.*\n)+)", text)
    rows = []
    for placement, table in zip(("best", "layer"), tables, strict=True):
        for line in table.splitlines():
            network, *said = (cell.strip().strip("`") for cell in line.strip("|").split("|"))
            small = network.startswith("squeeze") and placement == "best"
            marks = () if small else pytest.mark.slow
            rows.append(pytest.param(placement, network, said, id=f"{network}-{placement}", marks=marks))
    return rows


@pytest.mark.parametrize(("placement", "network", "said"), table_rows())
def test_the_tables_of_hardware_md(placement: str, network: str, said: list[str]) -> None:
    for post_ops, text in zip(([], ["add"], ["add", "pool"]), said, strict=True):
        hw = Accelerator.named("hybrid_32x32").replace(
            {"array.post_ops": post_ops, "memory.placement": placement}
        )
        totals = simulate(load(network), hw).totals
        cycles, megabytes = text.removesuffix(" MB").split(", ")
        number, unit = cycles.split()
        scale = {"k": 1e3, "M": 1e6}[unit]
        for shown, value in ((number, totals["cycles"] / scale), (megabytes, totals["dram_bytes"] / 1e6)):
            digits = len(shown.partition(".")[2])
            assert shown == f"{value:.{digits}f}"
