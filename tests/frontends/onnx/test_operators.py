"""One ONNX operator at a time: the layer that it becomes."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from torch import nn

from squeezesim.errors import ModelError
from squeezesim.frontends.onnx import contrib
from squeezesim.frontends.onnx.elementwise import ELEMENTWISE, FOLDED, OF_FIRST, REDUCTIONS
from squeezesim.frontends.onnx.rules import ARITHMETIC, FREE, OPERANDS, rule_for
from squeezesim.frontends.torch import rules
from squeezesim.frontends.torch.trace import trace
from squeezesim.network import Layer
from tests.draws import among
from tests.frontends.onnx.graphs import essence, integers, model, network, node, only, tensor, weights

FLOAT, INT8, UINT8 = TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8


@pytest.mark.parametrize(
    "op", sorted({*ELEMENTWISE, *FOLDED, *OF_FIRST, *REDUCTIONS, *ARITHMETIC, *FREE, *OPERANDS})
)
def test_tables_name_operators_of_onnx(op: str) -> None:
    assert onnx.defs.has(op) or op in contrib.OPERANDS
    assert rule_for(op) is not None


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, object]:
    rank, sizes = draw(st.integers(1, 3)), st.integers(5, 9)
    groups = draw(among(1, 2, 3))
    kernel = draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    dilation = draw(st.lists(st.integers(1, 2), min_size=rank, max_size=rank))
    return {
        "source": (
            draw(st.integers(1, 2)),
            groups * draw(st.integers(1, 3)),
            *draw(st.lists(sizes, min_size=rank, max_size=rank)),
        ),
        "outputs": groups * draw(st.integers(1, 3)),
        "group": groups,
        "kernel": kernel,
        "strides": draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank)),
        "dilations": dilation,
        "pads": draw(st.lists(st.integers(0, 2), min_size=2 * rank, max_size=2 * rank)),
        "auto_pad": draw(among("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")),
        "bias": draw(st.booleans()),
    }


def torch_padding(case: dict) -> list[int]:
    """What is added to each axis before and after, last axis first, as ``torch.nn.functional.pad`` has it."""
    rank = len(case["kernel"])
    if case["auto_pad"] == "NOTSET":
        both = [(case["pads"][i], case["pads"][rank + i]) for i in range(rank)]
    elif case["auto_pad"] == "VALID":
        both = [(0, 0)] * rank
    else:
        both = []
        for i in range(rank):
            size, step = case["source"][2 + i], case["strides"][i]
            span = (case["kernel"][i] - 1) * case["dilations"][i] + 1
            outputs = -(-size // step)
            total = max(0, (outputs - 1) * step + span - size)
            small, large = total // 2, total - total // 2
            both.append((small, large) if case["auto_pad"] == "SAME_UPPER" else (large, small))
    return [size for axis in reversed(both) for size in axis]


@given(case=convolutions())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_convolutions(case: dict, tmp_path: Path) -> None:
    source, rank, groups = case["source"], len(case["kernel"]), case["group"]
    shape = (case["outputs"], source[1] // groups, *case["kernel"])
    bias = torch.zeros(shape[0]) if case["bias"] else None
    convolve = (torch.conv1d, torch.conv2d, torch.conv3d)[rank - 1]
    padded = torch.nn.functional.pad(torch.zeros(source), torch_padding(case))
    wanted = convolve(
        padded, torch.zeros(shape), bias, case["strides"], 0, case["dilations"], groups
    )  # fmt: skip
    attributes = {key: case[key] for key in ("group", "strides", "dilations", "auto_pad")}
    if case["auto_pad"] == "NOTSET":
        attributes["pads"] = case["pads"]
    names = ["x", "w", "b"] if case["bias"] else ["x", "w"]
    made = model(
        [node("Conv", names, **attributes)],
        {"x": source},
        [weights("w", shape), *([weights("b", shape[:1])] if case["bias"] else [])],
    )
    layer = only(network(tmp_path, made))
    assert layer.op == f"conv{rank}d"
    assert layer.macs == wanted.numel() * prod(shape[1:])
    assert (layer.input_elements, layer.output_elements) == (prod(source), wanted.numel())
    assert (layer.weight_elements, layer.params) == (
        prod(shape),
        prod(shape) + (shape[0] if case["bias"] else 0),
    )
    assert layer.vector_ops == (wanted.numel() if case["bias"] else 0)
    assert layer.stride[1] == case["strides"][-1]
    assert layer.padding[1] == torch_padding(case)[0]
    if rank > 1:
        assert layer.padding[0] == torch_padding(case)[2]


@given(case=convolutions())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_transposed_convolutions(case: dict, tmp_path: Path) -> None:
    source, rank, groups = case["source"], len(case["kernel"]), case["group"]
    shape = (source[1], case["outputs"] // groups, *case["kernel"])
    convolve = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)[rank - 1]
    wanted = convolve(
        torch.zeros(source), torch.zeros(shape), None, case["strides"], 0, 0, groups, case["dilations"]
    )
    attributes = {key: case[key] for key in ("group", "strides", "dilations")}
    made = model([node("ConvTranspose", ["x", "w"], **attributes)], {"x": source}, [weights("w", shape)])
    layer = only(network(tmp_path, made))
    assert layer.macs == prod(source) * prod(shape[1:])
    assert layer.output_elements == wanted.numel()
    assert layer.params == prod(shape)


@pytest.mark.parametrize(
    ("left", "right", "macs", "op"),
    [
        ((2, 6, 8), (8, 5), 2 * 6 * 8 * 5, "linear"),
        ((6, 8), (8, 5), 6 * 8 * 5, "linear"),
        ((8,), (8, 5), 8 * 5, "linear"),
        ((2, 6, 8), (8,), 2 * 6 * 8, "linear"),
        ((2, 6, 8), (2, 8, 5), 2 * 6 * 8 * 5, "matmul"),
        ((3, 1, 6, 8), (2, 8, 5), 3 * 2 * 6 * 8 * 5, "matmul"),
    ],
)
def test_products_with_learnt_matrices(
    left: tuple[int, ...], right: tuple[int, ...], macs: int, op: str, tmp_path: Path
) -> None:
    made = model([node("MatMul", ["x", "w"])], {"x": left}, [weights("w", right)])
    layer = only(network(tmp_path, made))
    assert (layer.macs, layer.op, layer.params, layer.inputs) == (macs, op, prod(right), ("x",))
    assert not layer.weights_are_activations


def test_a_product_of_two_activations(tmp_path: Path) -> None:
    made = model([node("MatMul", ["q", "k"])], {"q": (2, 4, 6, 8), "k": (2, 4, 8, 5)})
    layer = only(network(tmp_path, made))
    assert (layer.g, layer.oy, layer.c, layer.k, layer.params) == (8, 6, 8, 5, 0)
    assert layer.weights_are_activations
    assert layer.inputs == ("q", "k")


@pytest.mark.parametrize("trans", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_gemm(trans: tuple[int, int], tmp_path: Path) -> None:
    left, right = ((7, 3) if trans[0] else (3, 7)), ((5, 7) if trans[1] else (7, 5))
    made = model(
        [node("Gemm", ["x", "w", "b"], transA=trans[0], transB=trans[1])],
        {"x": left},
        [weights("w", right), weights("b", (5,))],
    )
    layer = only(network(tmp_path, made))
    assert (layer.n, layer.c, layer.k, layer.macs) == (3, 7, 5, 105)
    assert (layer.params, layer.vector_ops, layer.fused) == (40, 15, ("bias",))


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
        ("bhid,bhjd->bhij", [(2, 3, 4, 5), (2, 3, 6, 5)], 2 * 3 * 4 * 6 * 5),
        ("...ij,jk", [(2, 3, 4, 5), (5, 6)], 2 * 3 * 4 * 5 * 6),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], 2 * 3 * 4 + 2 * 4 * 5),
        ("ij,ij->ij", [(2, 3), (2, 3)], 0),
        ("ijk,jl->il", [(2, 3, 4), (3, 5)], 2 * 3 * 5),
    ],
)
def test_einsum(equation: str, shapes: list[tuple[int, ...]], macs: int, tmp_path: Path) -> None:
    names = [f"x{index}" for index in range(len(shapes))]
    made = model([node("Einsum", names, equation=equation)], dict(zip(names, shapes, strict=True)))
    found = network(tmp_path, made)
    traced = trace(Einsum(equation), inputs=tuple(shapes))
    assert found.macs == traced.macs == macs
    assert found.layers[-1].output_elements == torch.einsum(equation, *map(torch.zeros, shapes)).numel()


class Einsum(nn.Module):
    def __init__(self, equation: str) -> None:
        super().__init__()
        self.equation = equation

    def forward(self, *operands: torch.Tensor) -> torch.Tensor:
        return torch.einsum(self.equation, *operands)


def test_attention_is_that_of_pytorch(tmp_path: Path) -> None:
    shapes = {"q": (2, 3, 4, 8), "k": (2, 3, 6, 8), "v": (2, 3, 6, 8)}
    made = model([node("Attention", list(shapes))], shapes, opset=23)
    traced = trace(ScaledProducts(), inputs=shapes)
    found = network(tmp_path, made)
    assert [layer.op for layer in found.layers] == ["matmul", "softmax", "matmul"]
    assert essence(found) == essence(traced)


class ScaledProducts(nn.Module):
    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v)


def takes_one_float(op: str) -> bool:
    schema = onnx.defs.get_schema(op)
    return schema.min_input == 1 and "tensor(float)" in schema.inputs[0].types


@pytest.mark.parametrize("op", [op for op in ELEMENTWISE if takes_one_float(op)])
def test_one_operation_for_each_element(op: str, tmp_path: Path) -> None:
    layer = only(network(tmp_path, model([node(op, ["x"])], {"x": (2, 3, 4, 5)}, opset=24)))
    assert (layer.op, layer.kind, layer.vector_ops, layer.inputs) == (ELEMENTWISE[op], "vector", 120, ("x",))


@pytest.mark.parametrize("op", REDUCTIONS)
@pytest.mark.parametrize("opset", [11, 21])
def test_reductions_cost_one_for_each_input_element(op: str, opset: int, tmp_path: Path) -> None:
    as_input = opset >= 18 or (op == "ReduceSum" and opset >= 13)
    axes, given_axes = (["x"], {"axes": [1]}) if not as_input else (["x", "a"], {})
    if op.startswith("Arg"):
        axes, given_axes = ["x"], {"axis": 1}
    made = model([node(op, axes, **given_axes)], {"x": (2, 3, 4, 5)}, [integers("a", [1])], opset=opset)
    layer = only(network(tmp_path, made))
    assert (layer.vector_ops, layer.output_elements) == (120, 40)


def test_a_mean_over_pixels_is_a_pooling(tmp_path: Path) -> None:
    for made in (
        model([node("GlobalAveragePool", ["x"])], {"x": (2, 3, 4, 5)}),
        model([node("ReduceMean", ["x", "a"])], {"x": (2, 3, 4, 5)}, [integers("a", [2, 3])]),
        model([node("ReduceMean", ["x"], axes=[-1, -2])], {"x": (2, 3, 4, 5)}, opset=13),
    ):
        layer = only(network(tmp_path, made))
        assert (layer.op, layer.fy, layer.fx, layer.vector_ops) == ("avg_pool", 4, 5, 120)


@pytest.mark.parametrize(
    ("attributes", "output"),
    [
        ({"kernel_shape": [3, 3], "strides": [2, 2]}, (4, 4)),
        ({"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, (5, 5)),
        ({"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}, (5, 5)),
        ({"kernel_shape": [2, 3], "pads": [1, 0, 0, 1]}, (10, 9)),
    ],
)
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
def test_pooling(op: str, attributes: dict, output: tuple[int, int], tmp_path: Path) -> None:
    layer = only(network(tmp_path, model([node(op, ["x"], **attributes)], {"x": (1, 4, 10, 10)}, opset=22)))
    assert (layer.oy, layer.ox) == output
    assert layer.vector_ops == 4 * prod(output) * prod(attributes["kernel_shape"])


def test_batch_norm_is_fused_and_its_statistics_are_not_learnt(tmp_path: Path) -> None:
    named = [weights(name, (8,)) for name in ("scale", "shift", "mean", "var")]
    made = model(
        [
            node("Conv", ["x", "w"], "a"),
            node("BatchNormalization", ["a", "scale", "shift", "mean", "var"], "b"),
            node("Relu", ["b"]),
        ],
        {"x": (1, 3, 6, 6)},
        [weights("w", (8, 3, 3, 3)), *named],
    )
    layer = only(network(tmp_path, made).fused)
    assert layer.fused == ("batch_norm", "relu")
    assert layer.params == 8 * 27 + 16


def test_limits_of_clip_tell_relu6(tmp_path: Path) -> None:
    def limit(name: str, value: float) -> onnx.TensorProto:
        return helper.make_tensor(name, FLOAT, [], [value])

    for top, op in ((6.0, "relu6"), (5.0, "clamp")):
        made = model(
            [node("Clip", ["x", "low", "high"])], {"x": (1, 4)}, [limit("low", 0.0), limit("high", top)]
        )
        assert only(network(tmp_path, made)).op == op


@pytest.mark.parametrize(
    "made",
    [
        model([node("Transpose", ["x"], perm=[0, 2, 1])], {"x": (2, 3, 4)}),
        model([node("Reshape", ["x", "s"])], {"x": (2, 3, 4)}, [integers("s", [6, -1])]),
        model([node("Slice", ["x", "b", "e"])], {"x": (5, 3)}, [integers("b", [1]), integers("e", [3])]),
        model([node("Pad", ["x", "p"])], {"x": (5, 3)}, [integers("p", [1, 1, 2, 2])]),
        model([helper.make_node("Split", ["x"], ["y", "z"], axis=1)], {"x": (2, 4)}, opset=11),
        model([node("Squeeze", ["x"], axes=[1])], {"x": (2, 1, 4)}, opset=11),
        model([node("Cast", ["x"], to=TensorProto.FLOAT16)], {"x": (2, 4)}),
        model([helper.make_node("Dropout", ["x"], ["y", "mask"])], {"x": (2, 4)}),
    ],
    ids=lambda made: made.graph.node[0].op_type,
)
def test_movement_is_no_layer(made: onnx.ModelProto, tmp_path: Path) -> None:
    found = network(tmp_path, made)
    assert (found.layers, found.unmodelled) == ((), ())


def test_edges_pass_through_movement_split_and_concat(tmp_path: Path) -> None:
    made = model(
        [
            node("Relu", ["x"], "a"),
            helper.make_node("Split", ["a"], ["left", "right"], axis=1, num_outputs=2),
            node("Sigmoid", ["left"], "s"),
            node("Transpose", ["right"], "t", perm=[0, 1, 3, 2]),
            node("Concat", ["s", "t"], "c", axis=1),
            node("Add", ["c", "a"]),
        ],
        {"x": (1, 4, 6, 6)},
    )
    edges = {layer.op: layer.inputs for layer in network(tmp_path, made).layers}
    assert edges == {
        "relu": ("x",),
        "sigmoid": ("relu",),
        "concat": ("sigmoid", "relu"),
        "add": ("concat", "relu"),
    }


def test_weights_that_are_shared_are_counted_once(tmp_path: Path) -> None:
    made = model(
        [
            node("Gather", ["w", "x"], "e"),
            node("Transpose", ["w"], "t", perm=[1, 0]),
            node("MatMul", ["e", "t"]),
        ],
        {"x": (2, 5)},
        [weights("w", (10, 6))],
    )
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    found = network(tmp_path, made)
    assert [layer.op for layer in found.layers] == ["embedding", "linear"]
    assert [layer.params for layer in found.layers] == [60, 0]
    assert found.layers[1].weight_elements == 60


def scale(name: str, size: int = 1) -> onnx.TensorProto:
    return helper.make_tensor(name, FLOAT, [size], [0.5] * size)


def zero(name: str, element: int) -> onnx.TensorProto:
    return helper.make_tensor(name, element, [1], [0])


def test_a_quantised_convolution(tmp_path: Path) -> None:
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    made = model(
        [node("QLinearConv", names)],
        {"x": (1, 3, 8, 8)},
        [
            *(scale("xs"), zero("xz", UINT8), weights("w", (4, 3, 3, 3), INT8), scale("ws", 4)),
            *(zero("wz", INT8), scale("ys"), zero("yz", UINT8), weights("b", (4,), TensorProto.INT32)),
        ],
    )
    made.graph.input[0].type.tensor_type.elem_type = UINT8
    made.graph.initializer[4].CopyFrom(helper.make_tensor("wz", INT8, [4], [0] * 4))
    layer = only(network(tmp_path, made))
    assert (layer.op, layer.macs) == ("conv2d", 4 * 36 * 27)
    assert (layer.weight_bits, layer.activation_bits) == (8, 8)
    assert layer.fused == ("bias",)
    assert (layer.params, layer.owned_weights) == (4 * 27 + 4, 4 * 27)


def test_a_quantised_bias_is_learnt(tmp_path: Path) -> None:
    """Oracle: the float model; its weights and bias are integers that a scale makes numbers of."""
    floats = model([node("Gemm", ["x", "w", "b"])], {"x": (2, 6)}, [weights("w", (6, 4)), weights("b", (4,))])
    made = model(
        [
            node("DequantizeLinear", ["wq", "s"], "w"),
            node("DequantizeLinear", ["bq", "s"], "b"),
            node("Gemm", ["x", "w", "b"]),
        ],
        {"x": (2, 6)},
        [weights("wq", (6, 4), INT8), weights("bq", (4,), TensorProto.INT32), scale("s")],
    )
    made.graph.initializer[2].CopyFrom(helper.make_tensor("s", FLOAT, [], [0.5]))
    expected, found = (only(network(tmp_path, each)) for each in (floats, made))
    assert (found.params, found.owned_weights) == (expected.params, expected.owned_weights) == (28, 24)
    assert (found.weight_bits, found.macs) == (8, expected.macs)


def test_a_convolution_of_integers(tmp_path: Path) -> None:
    made = model([node("ConvInteger", ["x", "w"])], {"x": (1, 3, 8, 8)}, [weights("w", (4, 3, 3, 3), INT8)])
    made.graph.input[0].type.tensor_type.elem_type = UINT8
    layer = only(network(tmp_path, made))
    assert (layer.weight_bits, layer.activation_bits, layer.params) == (8, 8, 108)


@pytest.mark.parametrize(("op", "names"), [("QLinearMatMul", 8), ("MatMulInteger", 2)])
def test_products_of_integers(op: str, names: int, tmp_path: Path) -> None:
    inputs = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"] if names == 8 else ["x", "w"]
    made = model(
        [node(op, inputs)],
        {"x": (5, 6)},
        [
            *(scale("xs"), zero("xz", UINT8), weights("w", (6, 7), INT8)),
            *(scale("ws"), zero("wz", INT8), scale("ys"), zero("yz", UINT8)),
        ],
    )
    made.graph.input[0].type.tensor_type.elem_type = UINT8
    layer = only(network(tmp_path, made))
    assert (layer.macs, layer.params) == (210, 42)
    assert (layer.weight_bits, layer.activation_bits) == (8, 8)
    assert layer.constants == (2 if names == 8 else 0)  # scale and zero point of the weights


def test_scales_and_zero_points_of_weights_are_read(tmp_path: Path) -> None:
    """Those of each of 4 filters, and biases, through a transposition; activations have theirs in the hardware."""
    made = model(
        [
            node("DequantizeLinear", ["x", "xs", "xz"], "d"),
            node("DequantizeLinear", ["w", "ws", "wz"], "f", axis=3),
            node("Transpose", ["f"], "t", perm=[3, 0, 1, 2]),
            node("DequantizeLinear", ["b", "ws"], "c", axis=0),
            node("Conv", ["d", "t", "c"]),
        ],
        {"x": (1, 3, 8, 8)},
        [
            *(scale("xs"), zero("xz", UINT8), weights("w", (3, 3, 3, 4), INT8)),
            *(weights("ws", (4,)), weights("wz", (4,), INT8), weights("b", (4,), TensorProto.INT32)),
        ],
    )
    made.graph.input[0].type.tensor_type.elem_type = UINT8
    for quantiser in made.graph.initializer[:2]:
        quantiser.ClearField("dims")
    layer = only(network(tmp_path, made).fused)
    assert (layer.params, layer.constants) == (108 + 4, 4 + 4 + 4)


@pytest.mark.parametrize(("element", "bits"), [(INT8, 8), (TensorProto.INT4, 4)])
def test_widths_of_a_float_convolution_between_quantisers(element: int, bits: int, tmp_path: Path) -> None:
    made = model(
        [
            node("QuantizeLinear", ["x", "s", "z"], "q"),
            node("DequantizeLinear", ["q", "s", "z"], "d"),
            node("DequantizeLinear", ["w", "s"], "f"),
            node("Conv", ["d", "f", "b"], "c"),
            node("Relu", ["c"]),
        ],
        {"x": (1, 3, 8, 8)},
        [scale("s"), zero("z", UINT8), weights("w", (4, 3, 3, 3), element), weights("b", (4,))],
    )
    for quantiser in made.graph.initializer[:2]:
        quantiser.ClearField("dims")
    layer = only(network(tmp_path, made).fused)
    assert (layer.weight_bits, layer.activation_bits) == (bits, 8)
    assert (layer.params, layer.fused, layer.inputs) == (112, ("bias", "relu"), ("x",))


def test_a_branch_whose_condition_is_known_is_taken(tmp_path: Path) -> None:
    then = helper.make_graph([node("Relu", ["x"], "t")], "then", [], [tensor("t", (2, 4))])
    other = helper.make_graph([node("Tanh", ["x"], "o")], "else", [], [tensor("o", (2, 4))])
    made = model(
        [
            node("Shape", ["x"], "s"),
            node("ReduceProd", ["s"], "p", keepdims=0),
            node("Greater", ["p", "five"], "c"),
            helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other),
        ],
        {"x": (2, 4)},
        [helper.make_tensor("five", TensorProto.INT64, [], [5])],
    )
    assert only(network(tmp_path, made)).op == "relu"


def test_what_has_no_rule_is_listed_and_keeps_its_edges(tmp_path: Path) -> None:
    made = model(
        [
            node("Relu", ["x"], "a"),
            node("Fancy", ["a"], "b", domain="com.example"),
            node("NonZero", ["b"], "n"),
            node("Det", ["x"], "d"),
            node("Add", ["d", "x"]),
        ],
        {"x": (4, 4)},
        domains=["com.example"],
    )
    made.graph.value_info.append(tensor("b", (4, 4)))
    found = network(tmp_path, made)
    assert [(item.op, item.count) for item in found.unmodelled] == [
        ("com.example.Fancy", 1),
        ("NonZero", 1),
        ("Det", 1),
    ]
    assert found.layers[-1].inputs == ("x",)


def test_functions_of_the_model_are_inlined(tmp_path: Path) -> None:
    body = [node("MatMul", ["a", "b"], "p"), node("Relu", ["p"], "r")]
    function = helper.make_function("own", "Dense", ["a", "b"], ["r"], body, [helper.make_opsetid("", 21)])
    made = model(
        [node("Dense", ["x", "w"], "h", domain="own"), node("Dense", ["h", "v"], domain="own")],
        {"x": (2, 6)},
        [weights("w", (6, 7)), weights("v", (7, 5))],
        domains=["own"],
        functions=[function],
    )
    assert network(tmp_path, made).macs == 2 * 6 * 7 + 2 * 7 * 5


def test_a_recurrent_layer_by_hand(tmp_path: Path) -> None:
    made = model(
        [helper.make_node("LSTM", ["x", "w", "r"], ["", "h"], hidden_size=3)],
        {"x": (5, 2, 4)},
        [weights("w", (1, 12, 4)), weights("r", (1, 12, 3))],
        outputs=["h"],
    )
    found = network(tmp_path, made)
    assert found.macs == 5 * 2 * 12 * (4 + 3)
    assert found.params == 12 * 7
    assert found.vector_ops == 5 * 2 * 3 * 13
    assert [layer.repeat for layer in found.layers] == [1, 5, 5, 1]
    assert [layer.name for layer in found.layers] == [
        "l0/linear_ih",
        "l0/linear_hh",
        "l0/lstm_cell",
        "concat",
    ]
    assert found.layers[1].carried == (found.layers[2].name,)
    assert found.unrolled().macs == found.macs


@pytest.mark.parametrize(
    ("nodes", "initializers"),
    [
        ([node("Conv", ["x", "w"], group=0)], [weights("w", (4, 3, 3, 3))]),
        ([node("Conv", ["x", "w"], group=2)], [weights("w", (4, 3, 3, 3))]),
        ([node("Conv", ["x", "w"], strides=[0, 1])], [weights("w", (4, 3, 3, 3))]),
        ([node("Conv", ["x", "w"], strides=[1])], [weights("w", (4, 3, 3, 3))]),
        ([node("Conv", ["x", "w"], pads=[-9, 0, 0, 0])], [weights("w", (4, 3, 3, 3))]),
        ([node("Conv", ["x", "w"], kernel_shape=[5, 5])], [weights("w", (4, 3, 3))]),
        ([node("Conv", ["x"])], []),
        ([node("MatMul", ["x", "w"])], [weights("w", (9, 4))]),
        ([node("Flatten", ["x"], "f"), node("Gemm", ["f", "w"])], [weights("w", (9, 4))]),
        ([node("Reshape", ["x", "s"])], [integers("s", [7, 7])]),
        ([node("Einsum", ["x"], equation="ij->i")], []),
        ([node("Einsum", ["x"], equation="$$$$")], []),
        ([node("LSTM", ["x", "w", "w"])], [weights("w", (1, 4, 4))]),
        ([node("MaxPool", ["x"], kernel_shape=[0, 0])], []),
        ([node("Concat", ["x", "w"], axis=1)], [weights("w", (1, 1, 9, 9))]),
    ],
)
def test_operators_that_do_not_fit_are_refused(
    nodes: list[onnx.NodeProto], initializers: list[onnx.TensorProto], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=nodes[-1].op_type) as caught:
        network(tmp_path, model(nodes, {"x": (1, 3, 8, 8)}, initializers))
    assert "\n" not in str(caught.value)


def test_a_rule_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_registered", {})
    rules.register_operator(
        "com.example.Fancy",
        lambda call: Layer.vector("fancy", op="fancy", k=call["inputs"][0].shape[1], ox=call["times"]),
    )
    made = model(
        [node("Fancy", ["x"], domain="com.example", times=3)], {"x": (1, 4)}, domains=["com.example"]
    )
    made.graph.output[0].CopyFrom(tensor("y", (1, 4)))
    layer = only(network(tmp_path, made))
    assert (layer.op, layer.vector_ops, layer.inputs) == ("fancy", 12, ("x",))
    del made.graph.node[0].attribute[:]
    with pytest.raises(ModelError, match=r"raised KeyError: 'times', .*py:\d+; the call has inputs$"):
        network(tmp_path, made)


@pytest.mark.parametrize("said", [(1, 5), (1, 4, 1), (7, 4)])
@pytest.mark.parametrize("stated", [(1, 4), ("n", 4)])
def test_a_shape_that_the_file_states_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: tuple[int, ...], stated: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(rules, "_registered", {})
    monkeypatch.setattr(rules, "_shapes", {})
    made = model([node("Fancy", ["x"], domain="com.example")], {"x": (1, 4)}, domains=["com.example"])
    made.graph.output[0].CopyFrom(tensor("y", stated))
    fancy = Layer.vector("fancy", op="fancy", k=4)
    for fitting in [(1, 4), (np.int64(1), np.int32(4))]:
        rules.register_operator("com.example.Fancy", lambda _, shape=fitting: (fancy, shape))
        assert only(network(tmp_path, made)).op == "fancy"
    theirs = "x".join("?" if size == "n" else str(size) for size in stated)
    message = (
        f"says that the result is {'x'.join(map(str, said))}, the model that it is {re.escape(theirs)}, .*py:"
    )
    fits = stated[0] == "n" and said == (7, 4)
    for pair in (True, False):
        if pair:
            rules.register_operator("com.example.Fancy", lambda _: (fancy, said))
        else:
            rules.register_operator("com.example.Fancy", lambda _: fancy, shape=lambda _: said)
        if fits:
            assert only(network(tmp_path, made)).op == "fancy"
        else:
            with pytest.raises(ModelError, match=message):
                network(tmp_path, made)


def test_a_shape_of_an_operator_that_onnx_knows_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "_registered", {})
    monkeypatch.setattr(rules, "_shapes", {})
    relu = Layer.vector("relu", op="relu", k=4)
    made = model([node("Relu", ["x"])], {"x": (1, 4)})
    rules.register_operator("Relu", lambda _: relu, shape=lambda _: (1, 4))
    assert only(network(tmp_path, made)).op == "relu"
    rules.register_operator("Relu", lambda _: relu, shape=lambda _: (4, 1))
    with pytest.raises(ModelError, match="says that the result is 4x1, the model that it is 1x4"):
        network(tmp_path, made)


def test_sources_that_no_layer_joins_are_bounded(tmp_path: Path) -> None:
    nodes, last = [], "x"
    for index in range(1100):
        nodes.append(node("Relu", ["x"], f"r{index}"))
        nodes.append(node("Fancy", [last, f"r{index}"], f"f{index}", domain="com.example"))
        last = f"f{index}"
    made = model(nodes, {"x": (1, 4)}, domains=["com.example"])
    with pytest.raises(ModelError, match="comes from more than 1000 layers or weights that no layer joins"):
        network(tmp_path, made)


def test_weights_of_a_constant_are_those_of_an_initializer(tmp_path: Path) -> None:
    values = weights("w", (8, 3, 3, 3))
    convolution = node("Conv", ["x", "w"])
    constant = helper.make_node("Constant", [], ["w"], value=values)
    found = network(tmp_path, model([constant, convolution], {"x": (1, 3, 32, 32)}))
    assert (found.params, [layer.params for layer in found.layers]) == (216, [216])
    assert found.layers == network(tmp_path, model([convolution], {"x": (1, 3, 32, 32)}, [values])).layers
