from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.cost.dataflow.scalesim import SCALESIM, printed
from squeezesim.cost.machine import Machine
from squeezesim.errors import ModelError
from squeezesim.frontends.scalesim import GEMM_HEADER, HEADER, MAX_ROWS, Topology, export, read
from squeezesim.load import load
from squeezesim.network import Layer, Network
from tests.cost.cases import layers, machines, problem_of

ALEXNET = ("stem.conv1", "stage1.conv2", "stage2.conv3", "stage2.conv4", "stage2.conv5")


def rows(layer: Layer, *, gemm: bool = False) -> list[str]:
    head, *found = export(Network.from_layers([layer]), gemm=gemm).text.splitlines()
    assert head == (GEMM_HEADER if gemm else HEADER)
    return found


def again(topology: Topology, folder: Path) -> Network:
    file = folder / "again.csv"
    file.write_text(topology.text, encoding="utf-8")
    return read(file)


@given(layers(), st.booleans(), machines(row_words=1), st.sampled_from(sorted(SCALESIM)))
def test_every_layer_keeps_its_product_and_what_scalesim_prints_of_it(
    tmp_path_factory: pytest.TempPathFactory, layer: Layer, gemm: bool, on: Machine, flow: str
) -> None:
    written = export(Network.from_layers([layer]), gemm=gemm)
    read_again = again(written, tmp_path_factory.mktemp("again")).layers
    assert sum(part.macs for part in read_again) == layer.macs
    assert sum(part.g for part in read_again) == layer.g
    for part in read_again:
        m, n, k = part.n * part.oy * part.ox, part.k, part.fy * part.fx * part.c
        assert (m, n, k) == (layer.n * layer.oy * layer.ox, layer.k, layer.fy * layer.fx * layer.c)
    theirs = [printed(SCALESIM[flow], problem_of(part, on), on) for part in read_again]
    ours = printed(SCALESIM[flow], problem_of(layer, on), on)
    for quantity in ("total_cycles", "ifmap_reads", "filter_reads", "ofmap_writes"):
        assert sum(getattr(part, quantity)[0] for part in theirs) == getattr(ours, quantity)[0]
    assert {part.mapping_efficiency[0] for part in theirs} == {ours.mapping_efficiency[0]}


@given(layers())
def test_what_a_row_can_say_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, layer: Layer
) -> None:
    topology = export(Network.from_layers([layer]))
    if topology.products or topology.repeated:
        return
    (found,) = again(topology, tmp_path_factory.mktemp("again")).layers
    fields = ("g", "k", "c", "oy", "ox", "fy", "fx", "stride")
    if found.op == "conv2d":
        assert [getattr(found, field) for field in fields] == [getattr(layer, field) for field in fields]
    else:
        assert (layer.fy, layer.ox) == (1, 1) or layer.fy == layer.fx == 1
        assert (found.g, found.k, found.oy) == (layer.g, layer.k, layer.n * layer.oy * layer.ox)


@pytest.mark.parametrize("model", ["squeezenext_23", "mobilenet_v1", "squeezenet_1_1", "tiny_darknet"])
def test_networks_keep_their_macs_layer_by_layer(tmp_path: Path, model: str) -> None:
    ours = [layer for layer in load(model).layers if layer.kind == "mac"]
    theirs = again(export(load(model)), tmp_path).layers
    assert [layer.macs for layer in theirs] == [layer.macs for layer in ours]
    assert [(layer.oy, layer.ox, layer.g) for layer in theirs] == [
        (layer.oy, layer.ox, layer.g) for layer in ours
    ]


def test_groups_are_rows_of_their_own(tmp_path: Path) -> None:
    ours = {layer.name: layer for layer in load("alexnet").layers if layer.kind == "mac"}
    topology = export(load("alexnet"))
    theirs = again(topology, tmp_path).layers
    macs = dict.fromkeys(ours, 0)
    for layer in theirs:
        macs[layer.name.partition(" group ")[0]] += layer.macs
    assert macs == {name: layer.macs for name, layer in ours.items()}
    assert len(theirs) == len(ours) + 3
    assert topology.repeated == ("stage1.conv2", "stage2.conv4", "stage2.conv5")


def test_the_input_is_what_the_outputs_need() -> None:
    assert rows(Layer.conv("a", c=3, k=8, oy=112, ox=56, fy=7, fx=5, stride=2)) == [
        "a, 229, 115, 7, 5, 3, 8, 2,"
    ]
    assert rows(Layer.matmul("b", m=196, n=64, k=512)) == ["b, 196, 1, 1, 1, 512, 64, 1,"]
    assert rows(Layer.conv("c", c=4, k=8, oy=6, ox=6, fy=3, fx=3, groups=4)) == ["c DP, 8, 8, 3, 3, 4, 2, 1,"]


def test_a_product_for_each_group_is_one_row(tmp_path: Path) -> None:
    heads = Layer.matmul("heads", m=64, n=16, k=32, batch=12)
    batched = Layer.conv("batched", n=2, c=8, k=8, oy=5, ox=4, fy=3, fx=3, groups=8)
    assert rows(heads) == ["heads DP, 64, 32, 1, 32, 12, 16, 1,"]
    assert rows(batched) == ["batched DP, 40, 9, 1, 9, 8, 1, 1,"]
    topology = export(Network.from_layers([heads, batched]))
    assert (topology.products, topology.repeated) == (("batched",), ())
    theirs = again(topology, tmp_path).layers
    assert [(layer.op, layer.g, layer.oy, layer.k, layer.c) for layer in theirs] == [
        ("matmul", 12, 64, 16, 32),
        ("matmul", 8, 40, 1, 9),
    ]


def test_matrix_products(tmp_path: Path) -> None:
    conv = Layer.conv("a", c=6, k=8, oy=5, ox=7, fy=3, fx=3, groups=2, stride=2)
    assert rows(conv, gemm=True) == ["a group 1, 35, 4, 27,", "a group 2, 35, 4, 27,"]
    topology = export(load("alexnet"), gemm=True)
    assert topology.products == ALEXNET
    assert topology.repeated == ("stage1.conv2", "stage2.conv4", "stage2.conv5")
    assert sum(layer.macs for layer in again(topology, tmp_path).layers) == load("alexnet").macs


def test_groups_that_would_fill_the_disk_are_refused() -> None:
    grouped = Layer.conv("a", c=2 * MAX_ROWS, k=2 * MAX_ROWS, oy=3, ox=3, fy=3, fx=3, groups=MAX_ROWS)
    network = Network.from_layers([grouped, Layer.matmul("b", m=1, n=1, k=1)])
    with pytest.raises(
        ModelError, match="takes 100001 rows, one for each group of 1 of its layers; allowed: "
    ):
        export(network)
    assert len(export(Network.from_layers([grouped])).text.splitlines()) == 1 + MAX_ROWS


@pytest.mark.parametrize(
    "layer",
    [
        Layer.conv("a", n=2, c=3, k=8, oy=5, ox=7, fy=3, fx=3),
        Layer.conv("a", c=3, k=8, oy=10, ox=7, fy=3, fx=3, stride=(1, 2)),
        Layer.conv("a", c=3, k=8, oy=10, ox=7, fy=3, fx=3, dilation=2),
    ],
)
def test_what_a_row_cannot_say_is_a_matrix_product(layer: Layer) -> None:
    assert rows(layer) == ["a, 70, 1, 1, 1, 27, 8, 1,"]
    assert export(Network.from_layers([layer])).products == ("a",)


def test_names_do_not_change_what_a_row_says(tmp_path: Path) -> None:
    named = [Layer.matmul(name, m=1, n=2, k=3) for name in ("a,b", "DPN.fc", "DPN.fc ")]
    theirs = again(export(Network.from_layers(named)), tmp_path).layers
    assert [layer.name for layer in theirs] == ["a;b", "dpN.fc", "dpN.fc#2"]
    assert {layer.macs for layer in theirs} == {6}


def test_vector_layers_are_left_out_and_counted() -> None:
    network = load("squeezenet_1_1")
    topology = export(network)
    vectors = [layer.op for layer in network.layers if layer.kind == "vector"]
    assert dict(topology.left_out) == {op: vectors.count(op) for op in vectors}
    assert all(more >= less for (_, more), (_, less) in pairwise(topology.left_out))


def test_a_network_without_macs() -> None:
    network = Network.from_layers([Layer.vector("relu", op="relu", k=4)])
    with pytest.raises(ModelError, match="has no MAC layer"):
        export(network)


@given(st.lists(layers(), min_size=1, max_size=3))
def test_rows_have_the_columns_of_the_header(found: list[Layer]) -> None:
    text = export(
        Network.from_layers(
            [Layer.matmul(f"m{i}", m=layer.oy, n=layer.k, k=layer.c) for i, layer in enumerate(found)]
        )
    ).text
    assert {line.count(",") for line in text.splitlines()} == {HEADER.count(",")}
