"""Layer by layer against the lists counted from the published files (tests/data/networks)."""

import csv
from pathlib import Path

import pytest

from squeezesim.load import load
from squeezesim.network import Layer, Network

LISTS = Path(__file__).parents[1] / "data" / "networks"

PUBLISHED = {
    "squeezenext_23": "1.0-SqNxt-23",
    "squeezenext_23_g": "1.0-G-SqNxt-23",
    "squeezenext_23_v5": "1.0-SqNxt-23v5",
    "squeezenext_23_2x": "2.0-SqNxt-23",
    "squeezenext_23_2x_v5": "2.0-SqNxt-23v5",
    "squeezenet_1_0": "SqueezeNet_v1.0",
    "squeezenet_1_0_bypass": "SqueezeNet-Residual",
    "squeezenet_1_1": "SqueezeNet_v1.1",
    "alexnet": "AlexNet_bvlc",
}


def rows(name: str) -> list[dict[str, str]]:
    with (LISTS / f"{PUBLISHED[name]}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def sizes(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("x")))


def network(name: str) -> Network:
    return load(name, input_shape="3x227x227")


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_mac_layer_equals_the_published_one(name):
    listed = [row for row in rows(name) if row["type"] in ("Convolution", "InnerProduct")]
    layers = [layer for layer in network(name).layers if layer.kind == "mac"]
    assert len(layers) == len(listed)
    for layer, row in zip(layers, listed, strict=True):
        padded = row["name"] == "conv10" and sizes(row["pad"]) == (1, 1)  # see tests/data/networks/README.md
        macs = int(row["macs"]) * 13 * 13 // (15 * 15) if padded else int(row["macs"])
        assert (layer.params, layer.macs) == (int(row["params"]), macs), row["name"]
        if row["type"] == "InnerProduct":
            assert (layer.c, layer.k) == (layer.input_elements, sizes(row["out_shape"])[0])
            continue
        c, iy, ix = sizes(row["in_shape"])
        k, oy, ox = sizes(row["out_shape"])
        pad = (0, 0) if padded else sizes(row["pad"])
        out = (13, 13) if padded else (oy, ox)
        assert (layer.g * layer.c, layer.iy, layer.ix) == (c, iy, ix), row["name"]
        assert (layer.g * layer.k, layer.oy, layer.ox) == (k, *out), row["name"]
        assert ((layer.fy, layer.fx), layer.stride, layer.padding, layer.g) == (
            sizes(row["kernel"]),
            sizes(row["stride"]),
            pad,
            int(row["groups"]),
        ), row["name"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_graph_of_layers_equals_the_published_one(name):
    """Convolutions, products, adds, concats and pools read what they read in the published file."""
    kinds = {"Convolution": "mac", "InnerProduct": "mac", "Eltwise": "add", "Concat": "concat"}
    made: dict[str, int] = {"data": -1}  # blob → the number of the layer that wrote it last, as in Caffe
    wanted: list[tuple[str, list[int]]] = []
    for row in rows(name):
        kind = kinds.get(row["type"], "pool" if row["type"].startswith("Pooling") else "")
        if kind:
            wanted.append((kind, sorted(made[blob] for blob in row["bottoms"].split("|"))))
            made[row["tops"]] = len(wanted) - 1
        else:  # batch-norm, scale, ReLU, LRN, dropout: the layer before goes through them
            made[row["tops"]] = made[row["bottoms"]]
    found: list[tuple[str, list[int]]] = []
    numbers: dict[str, int] = {"input": -1}
    for layer in network(name).fused.layers:
        reads = sorted({numbers[source] for source in layer.inputs})
        if kind := graph_kind(layer):
            numbers[layer.name] = len(found)
            found.append((kind, reads))
        else:
            assert len(reads) == 1
            numbers[layer.name] = reads[0]
    assert canonical(found) == canonical(wanted)


def graph_kind(layer: Layer) -> str:
    if layer.kind == "mac":
        return "mac"
    if layer.op in ("max_pool", "avg_pool") and ".norm" not in layer.module:
        return "pool"
    return layer.op if layer.op in ("add", "concat") and ".norm" not in layer.module else ""


def canonical(graph: list[tuple[str, list[int]]]) -> list[str]:
    """Each layer as the expression that it computes, so that the order of layers that do not depend does not matter."""
    seen: dict[str, int] = {}
    texts: list[int] = []
    for kind, reads in graph:
        text = f"{kind}({sorted(texts[read] if read >= 0 else -1 for read in reads)})"
        texts.append(seen.setdefault(text, len(seen)))
    return sorted(seen)
