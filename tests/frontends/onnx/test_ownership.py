"""What layers of ONNX graphs use and own, against values that onnx's reference passes through the same nodes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from squeezesim import Network
from tests.draws import among
from tests.frontends.onnx.graphs import integers, model, network, node, weights

PARAMS = {
    "a": np.arange(1.0, 49, dtype=np.float32).reshape(6, 8),
    "b": np.arange(49.0, 97, dtype=np.float32).reshape(6, 8),
}


class Graph:
    """Nodes that make matrices of the parameters, each with its values, and a product for each."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.values: dict[str, Any] = dict(PARAMS)
        self._names = count()

    def __repr__(self) -> str:
        steps = ", ".join(
            f"{one.op_type}({', '.join(one.input)}) -> {', '.join(one.output)}" for one in self.nodes
        )
        return f"{steps} | {[(name, self.values[name].tolist()) for name in self.values if name[0] == 'i']}"

    def integers(self, values: list[int]) -> str:
        name = f"i{next(self._names)}"
        self.constants.append(integers(name, values))
        self.values[name] = np.array(values, np.int64)
        return name

    def add(self, op: str, inputs: list[str], outputs: int = 1, **attributes: Any) -> list[str]:
        names = [f"t{next(self._names)}" for _ in range(outputs)]
        made = helper.make_node(op, inputs, names, **attributes)
        graph = helper.make_graph(
            [made],
            "one",
            [helper.make_value_info(name, onnx.TypeProto()) for name in inputs],
            [helper.make_value_info(name, onnx.TypeProto()) for name in names],
        )
        run = ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]))
        results: Any = run.run(None, {name: self.values[name] for name in inputs})
        self.values.update(zip(names, results, strict=True))
        self.nodes.append(made)
        return names


def cast(draw: st.DrawFn, graph: Graph, name: str, axis: int) -> str:
    del draw, axis
    return graph.add("Cast", graph.add("Cast", [name], to=TensorProto.DOUBLE), to=TensorProto.FLOAT)[0]


def same(draw: st.DrawFn, graph: Graph, name: str, axis: int) -> str:
    del draw, axis
    return graph.add("Identity", [name])[0]


def turned(draw: st.DrawFn, graph: Graph, name: str, axis: int) -> str:
    del axis
    return graph.add("Transpose", [name], perm=draw(st.permutations(range(graph.values[name].ndim))))[0]


def laid_out(draw: st.DrawFn, graph: Graph, name: str, axis: int) -> str:
    """One axis in two; of what no node has turned, any other shape."""
    shape = list(graph.values[name].shape)
    is_turned = any(one.op_type != "Concat" for one in graph.nodes if name in one.output)
    total = shape[axis] if is_turned else graph.values[name].size
    first = draw(st.sampled_from([size for size in range(1, total + 1) if total % size == 0]))
    sizes = [first, total // first]
    if is_turned:
        sizes = [*shape[:axis], *sizes, *shape[axis + 1 :]]
    return graph.add("Reshape", [name, graph.integers(sizes)])[0]


def sliced(draw: st.DrawFn, graph: Graph, name: str, axis: int) -> str:
    size = graph.values[name].shape[axis]
    start, by = draw(st.integers(0, size - 1)), draw(among(-2, -1, 1, 2, 3))
    end = draw(st.integers(start + 1, size)) if by > 0 else draw(st.integers(0, start)) - size - 1
    inputs = [graph.integers([value]) for value in (start, end, axis, by)]
    return graph.add("Slice", [name, *inputs])[0]


def split(draw: st.DrawFn, graph: Graph, name: str, axis: int) -> str:
    size = graph.values[name].shape[axis]
    first = draw(st.integers(0, size))
    parts = graph.add("Split", [name, graph.integers([first, size - first])], 2, axis=axis)
    return parts[0 if first == size else 1 if first == 0 else draw(st.integers(0, 1))]


def gathered(draw: st.DrawFn, graph: Graph, name: str, axis: int) -> str:
    size = graph.values[name].shape[axis]
    indices = draw(st.lists(st.integers(-size, size - 1), min_size=1, max_size=4))
    return graph.add("Gather", [name, graph.integers(indices)], axis=axis)[0]


def joined(draw: st.DrawFn, graph: Graph, name: str, axis: int) -> str:
    del draw
    return graph.add("Concat", [name, name], axis=axis)[0]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, list[str]]:
    graph, made = Graph(), []
    for _ in range(draw(st.integers(1, 4))):
        name = draw(among("a", "b", "both"))
        if name == "both":
            name = graph.add("Concat", ["a", "b"], axis=draw(st.integers(0, 1)))[0]
        for _ in range(draw(st.integers(0, 4))):
            step = draw(st.sampled_from([cast, same, turned, laid_out, sliced, split, gathered, joined]))
            name = step(draw, graph, name, draw(st.integers(0, graph.values[name].ndim - 1)))
        rows = graph.values[name].shape[0]
        made += graph.add("Reshape", [name, graph.integers([rows, -1])])
    return graph, made


def traced(graph: Graph, products: list[str], *, is_stored: bool) -> Network:
    nodes = [node("MatMul", [f"x{index}", name], f"y{index}") for index, name in enumerate(products)]
    params = [
        numpy_helper.from_array(values, name) if is_stored else weights(name, values.shape)
        for name, values in PARAMS.items()
    ]
    made = model(
        [*graph.nodes, *nodes],
        {f"x{index}": (2, graph.values[name].shape[0]) for index, name in enumerate(products)},
        [*params, *graph.constants],
        [f"y{index}" for index in range(len(products))],
    )
    with TemporaryDirectory() as folder:
        return network(Path(folder), made)


def check(graph: Graph, products: list[str], found: Network) -> None:
    """Each layer uses the elements that its weights hold, and owns those that none before it uses."""
    owners: dict[float, str] = {}
    for layer, name in zip(found.layers, products, strict=True):
        used = set(graph.values[name].ravel().tolist())
        fresh = used - set(owners)
        assert (layer.params, layer.owned_weights) == (len(fresh), len(fresh))
        assert layer.weight_elements == graph.values[name].size
        assert set(layer.shared) == {owners[value] for value in used - fresh}
        owners |= dict.fromkeys(fresh, layer.name)
    assert sum(layer.params for layer in found.layers) == len(owners)
    read = {value > 48 for value in owners}  # of a parameter that nothing uses nothing is counted
    assert found.unread_params == 48 * len(read) - len(owners)


@settings(max_examples=60)
@given(graphs(), st.booleans())
def test_layers_own_the_elements_that_are_used_each_once(
    made: tuple[Graph, list[str]], is_stored: bool
) -> None:
    graph, products = made
    check(graph, products, traced(graph, products, is_stored=is_stored))


def test_slices_of_one_initializer() -> None:
    graph = Graph()
    first, _ = graph.add("Split", ["a", graph.integers([4, 4])], 2, axis=1)
    (rows,) = graph.add("Gather", ["b", graph.integers([5, 0])])
    (again,) = graph.add("Slice", ["b", *(graph.integers([value]) for value in (0, 2, 0))])
    products = [first, rows, again, first]
    found = traced(graph, products, is_stored=False)
    check(graph, products, found)
    assert [layer.params for layer in found.layers] == [24, 16, 8, 0]
    assert [layer.weight_elements for layer in found.layers] == [24, 16, 16, 24]
    assert found.layers[2].shared == (found.layers[1].name,)
    assert found.layers[3].shared == (found.layers[0].name,)
    assert found.unread_params == 24 + 24


@pytest.mark.parametrize("count", [216, 2160])
@pytest.mark.parametrize("way", ["value", "value_floats", "sparse_value"])
def test_weights_in_every_way_to_write_a_constant(tmp_path: Path, way: str, count: int) -> None:
    dense = helper.make_tensor("", TensorProto.FLOAT, [count], [0.5] * count)
    places = helper.make_tensor("at", TensorProto.INT64, [1], [3])
    some = helper.make_tensor("some", TensorProto.FLOAT, [1], [0.5])
    held = {
        "value": dense,
        "value_floats": [0.5] * count,
        "sparse_value": helper.make_sparse_tensor(some, places, [count]),
    }
    nodes = [
        helper.make_node("Constant", [], ["c"], **{way: held[way]}),
        node("Reshape", ["c", "s"], "w"),
        node("Conv", ["x", "w"], "y"),
        node("Constant", [], "half", value_float=0.5),
        node("Mul", ["y", "half"], "z"),
    ]
    found = network(tmp_path, model(nodes, {"x": (1, 3, 8, 8)}, [integers("s", (-1, 3, 3, 3))]))
    assert (found.params, found.macs) == (count, 36 * count)
    assert found.layers[0].weight_elements == count


def constant(name: str) -> list[onnx.NodeProto]:
    return [helper.make_node("Constant", [], [name], value=weights(name, (8, 6)))]


def dequantised(name: str) -> list[onnx.NodeProto]:
    made = helper.make_node("Constant", [], ["q"], value=weights("q", (8, 6), TensorProto.INT8))
    scale = helper.make_node("Constant", [], ["s"], value=weights("s", (), TensorProto.FLOAT))
    return [made, scale, node("DequantizeLinear", ["q", "s"], name)]


@pytest.mark.parametrize("source", [constant, dequantised])
def test_weights_of_nodes_are_owned_once(
    source: Callable[[str], list[onnx.NodeProto]], tmp_path: Path
) -> None:
    nodes = [
        *source("w"),
        node("MatMul", ["x", "w"], "y"),
        node("Relu", ["y"], "z"),
        node("Transpose", ["w"], "t"),
        node("MatMul", ["z", "t"], "o"),
    ]
    first, _, second = network(tmp_path, model(nodes, {"x": (2, 8)})).layers
    assert (first.params, first.weight_elements, first.shared) == (48, 48, ())
    assert (second.params, second.weight_elements, second.shared) == (0, 48, (first.name,))


def test_the_bias_of_a_product_is_none_of_its_weights(tmp_path: Path) -> None:
    nodes = [
        node("Slice", ["w", "from", "to"], "v"),
        node("Gemm", ["x", "w", "b"], "y"),
        node("Gemm", ["y", "v", "c"], "z", transB=1),
    ]
    tensors = [weights("w", (8, 6)), weights("b", (6,)), weights("c", (4,))]
    sizes = [integers("from", [0]), integers("to", [4])]
    first, second = network(tmp_path, model(nodes, {"x": (2, 8)}, [*tensors, *sizes])).layers
    assert (first.params, first.owned_weights) == (54, 48)
    assert (second.params, second.owned_weights, second.shared) == (4, 0, (first.name,))


def test_each_direction_of_a_recurrence_owns_its_own(tmp_path: Path) -> None:
    tensors = [weights("w", (2, 20, 4)), weights("r", (2, 20, 5)), weights("b", (2, 40))]
    made = helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=5, direction="bidirectional")
    tensors[0].dims[1] = tensors[1].dims[1] = 20
    found = network(tmp_path, model([made], {"x": (3, 1, 4)}, tensors))
    assert [(layer.params, layer.shared) for layer in found.layers if layer.kind == "mac"] == [
        (20 * 4 + 40, ()),
        (20 * 5, ()),
    ] * 2
