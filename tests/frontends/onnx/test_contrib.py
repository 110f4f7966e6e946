"""Operators of onnxruntime and what no rule knows: by hand, and equal to the plain operators that they fuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

import squeezesim as sq
from squeezesim.errors import ModelError
from squeezesim.frontends.onnx import contrib
from squeezesim.frontends.torch import rules
from squeezesim.network import Layer, Network
from tests.frontends.onnx.graphs import Dims, integers, model, network, node, weights

MS = "com.microsoft"
FLOAT, U8, I8, I64 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT64
Inputs = Mapping[str, Dims]


@pytest.fixture(autouse=True)
def no_rules_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_registered", {})
    monkeypatch.setattr(rules, "_shapes", {})


def run(
    folder: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Inputs,
    learnt: Sequence[onnx.TensorProto] = (),
    types: Mapping[str, int] | None = None,
) -> Network:
    made = model(nodes, inputs, learnt, opset=23, domains=[MS, "acme"])
    for value in made.graph.input:
        value.type.tensor_type.elem_type = (types or {}).get(value.name, FLOAT)
    return network(folder, made)


def ms(op: str, inputs: Sequence[str], output: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output], domain=MS, **attributes)


def counts(found: Network) -> tuple[int, int, int]:
    assert not found.unmodelled
    return found.macs, found.params, found.vector_ops


X = {"x": (2, 5, 64)}
NORM = [weights("g", (64,)), weights("b", (64,))]
IMAGE = {"x": (1, 3, 8, 8)}
FILTERS = [weights("w", (4, 3, 3, 3)), weights("bias", (4,))]


@pytest.mark.parametrize(
    ("fused", "plain", "inputs", "learnt"),
    [
        (
            [ms("SkipLayerNormalization", ["x", "s", "g", "b"])],
            [node("Add", ["x", "s"], "a"), node("LayerNormalization", ["a", "g", "b"])],
            {**X, "s": (2, 5, 64)},
            NORM,
        ),
        (
            [ms("SkipLayerNormalization", ["x", "s", "g", "b", "c"])],
            [
                node("Add", ["x", "s"], "a"),
                node("Add", ["a", "c"], "d"),
                node("LayerNormalization", ["d", "g", "b"]),
            ],
            {**X, "s": (2, 5, 64)},
            [*NORM, weights("c", (64,))],
        ),
        (
            [ms("SkipSimplifiedLayerNormalization", ["x", "s", "g"])],
            [node("Add", ["x", "s"], "a"), node("RMSNormalization", ["a", "g"])],
            {**X, "s": (2, 5, 64)},
            NORM[:1],
        ),
        (
            [node("SimplifiedLayerNormalization", ["x", "g"])],
            [node("RMSNormalization", ["x", "g"])],
            X,
            NORM[:1],
        ),
        ([ms("BiasGelu", ["x", "b"])], [node("Add", ["x", "b"], "a"), node("Gelu", ["a"])], X, NORM[1:]),
        ([ms("FastGelu", ["x", "b"])], [node("Add", ["x", "b"], "a"), node("Gelu", ["a"])], X, NORM[1:]),
        ([ms("FastGelu", ["x"])], [node("Gelu", ["x"])], X, []),
        ([ms("QuickGelu", ["x"])], [node("Gelu", ["x"])], X, []),
        ([ms("Gelu", ["x"])], [node("Gelu", ["x"])], X, []),
        (
            [ms("FusedConv", ["x", "w", "bias", "z"], pads=[1, 1, 1, 1], strides=[2, 2], activation="Relu")],
            [
                node("Conv", ["x", "w", "bias"], "a", pads=[1, 1, 1, 1], strides=[2, 2]),
                node("Add", ["a", "z"], "c"),
                node("Relu", ["c"]),
            ],
            {**IMAGE, "z": (1, 4, 4, 4)},
            FILTERS,
        ),
        (
            [ms("FusedConv", ["x", "w"], activation="LeakyRelu", activation_params=[0.1])],
            [node("Conv", ["x", "w"], "a"), node("LeakyRelu", ["a"])],
            IMAGE,
            FILTERS[:1],
        ),
        (
            [ms("FusedGemm", ["x", "w", "b"], transB=1, activation="Relu")],
            [node("Gemm", ["x", "w", "b"], "a", transB=1), node("Relu", ["a"])],
            {"x": (5, 64)},
            [weights("w", (64, 64)), NORM[1]],
        ),
        (
            [ms("FusedMatMul", ["x", "k"], transB=1, alpha=0.125)],
            [node("Transpose", ["k"], "t", perm=[0, 2, 1]), node("MatMul", ["x", "t"])],
            {**X, "k": (2, 7, 64)},
            [],
        ),
        (
            [ms("FusedMatMul", ["x", "k"], transA=1, transBatchA=1, transBatchB=1)],
            [
                node("Transpose", ["x"], "u", perm=[1, 2, 0]),
                node("Transpose", ["k"], "t", perm=[1, 0, 2]),
                node("MatMul", ["u", "t"]),
            ],
            {"x": (4, 5, 6), "k": (4, 5, 7)},
            [],
        ),
        ([ms("FusedMatMul", ["x", "w"])], [node("MatMul", ["x", "w"])], X, [weights("w", (64, 32))]),
        (
            [
                helper.make_node(
                    "EmbedLayerNormalization", ["i", "s", "w", "p", "t", "g", "b"], ["y", "m"], domain=MS
                )
            ],
            [
                node("Gather", ["w", "i"], "ew"),
                node("Gather", ["p", "i"], "ep"),
                node("Gather", ["t", "s"], "et"),
                node("Add", ["ew", "ep"], "a"),
                node("Add", ["a", "et"], "c"),
                node("LayerNormalization", ["c", "g", "b"]),
            ],
            {"i": (2, 5), "s": (2, 5)},
            [weights("w", (100, 64)), weights("p", (32, 64)), weights("t", (2, 64)), *NORM],
        ),
        (
            [ms("MatMulNBits", ["x", "q", "s"], K=64, N=32, bits=4, block_size=32)],
            [node("MatMul", ["x", "w"])],
            X,
            [weights("q", (32, 2, 16), U8), weights("s", (64,)), weights("w", (64, 32))],
        ),
    ],
)
def test_a_fused_operator_is_what_it_fuses(
    tmp_path: Path,
    fused: list[onnx.NodeProto],
    plain: list[onnx.NodeProto],
    inputs: Inputs,
    learnt: list[onnx.TensorProto],
) -> None:
    types = {"i": I64, "s": I64} if "i" in inputs else {}
    one = run(tmp_path, fused, inputs, learnt, types)
    two = run(tmp_path, plain, inputs, learnt, types)
    assert counts(one) == counts(two)

    def forms(found: Network) -> list[tuple[Any, ...]]:
        return sorted(
            (
                item.op,
                item.n,
                item.g,
                item.k,
                item.c,
                item.oy,
                item.ox,
                item.fy,
                item.fx,
                item.params,
                item.input_elements,
            )
            for item in found.layers
        )

    assert forms(one) == forms(two)


def only(found: Network, kind: str = "mac") -> list[Layer]:
    return [layer for layer in found.layers if layer.kind == kind]


def test_weights_of_four_bits(tmp_path: Path) -> None:
    learnt = [weights("q", (32, 2, 16), U8), weights("s", (64,)), weights("b", (32,))]
    found = run(
        tmp_path,
        [ms("MatMulNBits", ["x", "q", "s", "", "", "b"], K=64, N=32, bits=4, block_size=32)],
        X,
        learnt,
    )
    (layer,) = found.layers
    assert (layer.weight_bits, layer.activation_bits) == (4, None)
    assert (layer.weight_elements, layer.params) == (64 * 32, 64 * 32 + 32)
    assert (layer.n, layer.oy, layer.macs, layer.vector_ops) == (2, 5, 10 * 64 * 32, 10 * 32)


def test_attention_with_its_weights(tmp_path: Path) -> None:
    learnt = [weights("w", (64, 192)), weights("b", (192,))]
    found = run(
        tmp_path, [ms("Attention", ["x", "w", "b"], num_heads=4), node("Relu", ["y"], "z")], X, learnt
    )
    # 10 rows · 64 · 192, then 2 · 4 heads of 5 × 5 scores of 16 values, and as much for the values
    assert found.macs == 10 * 64 * 192 + 2 * (8 * 5 * 5 * 16)
    assert found.params == 64 * 192 + 192
    assert found.vector_ops == 10 * 192 + 8 * 25 + 10 * 64  # bias, softmax, relu
    assert [layer.op for layer in found.layers] == ["linear", "matmul", "softmax", "matmul", "relu"]
    assert [layer.weights_are_activations for layer in only(found)] == [False, True, True]


def test_attention_of_projected_queries(tmp_path: Path) -> None:
    inputs = {"q": (2, 5, 64), "k": (2, 7, 64), "v": (2, 7, 32), "pk": (2, 4, 3, 16), "pv": (2, 4, 3, 8)}
    made = ms("MultiHeadAttention", ["q", "k", "v", "b", "", "", "pk", "pv"], num_heads=4)
    found = run(tmp_path, [made, node("Relu", ["y"], "z")], inputs, [weights("b", (160,))])
    # 8 heads, 5 rows, 7 + 3 keys, 16 values of a query and 8 of a value
    assert found.macs == 8 * 5 * 10 * 16 + 8 * 5 * 10 * 8
    assert found.params == 160
    assert found.vector_ops == (10 * 64 + 14 * 64 + 14 * 32) + 8 * 50 + 10 * 32
    assert [layer.weight_elements for layer in found.layers[:3]] == [64, 64, 32]


def test_attention_of_packed_queries(tmp_path: Path) -> None:
    found = run(tmp_path, [ms("MultiHeadAttention", ["x"], num_heads=4)], {"x": (2, 5, 4, 3, 16)})
    assert found.macs == 2 * 8 * 5 * 5 * 16
    assert found.vector_ops == 8 * 25


@pytest.mark.parametrize("total", [None, 9])
def test_attention_in_groups(tmp_path: Path, total: int | None) -> None:
    inputs = {
        "q": (1, 2, 64),
        "k": (1, 2, 32),
        "v": (1, 2, 32),
        "pk": (1, 2, 20, 16),
        "pv": (1, 2, 20, 16),
        "l": (1,),
    }
    names = ["q", "k", "v", "pk", "pv", "l", "t"]
    made = helper.make_node(
        "GroupQueryAttention", names, ["y", "nk", "nv"], domain=MS, num_heads=4, kv_num_heads=2, do_rotary=1
    )
    learnt = [] if total is None else [helper.make_tensor("t", TensorProto.INT32, [], [total])]
    inputs |= {"t": ()} if total is None else {}
    found = run(tmp_path, [made, node("Relu", ["nk"], "r")], inputs, learnt, {"l": TensorProto.INT32})
    keys, kept = (22, 22) if total is None else (9, 20)
    assert found.macs == 2 * 4 * 2 * keys * 16
    # each of two groups reads its keys once for two heads of queries
    assert [(layer.g, layer.oy, layer.weight_elements) for layer in only(found)] == [
        (2, 4, 2 * keys * 16)
    ] * 2
    assert found.vector_ops == (2 * 64 + 2 * 32) + 4 * 2 * keys + 2 * kept * 16


def test_rotary_embeddings_are_no_params(tmp_path: Path) -> None:
    tables = [weights("c", (32, 8)), weights("s", (32, 8))]
    one = run(
        tmp_path,
        [ms("RotaryEmbedding", ["x", "p", "c", "s"])],
        {"x": (2, 4, 5, 16), "p": (2, 5)},
        tables,
        {"p": I64},
    )
    assert counts(one) == (0, 0, 640)
    made = model(
        [node("RotaryEmbedding", ["x", "c", "s", "p"])], {"x": (2, 4, 5, 16), "p": (2, 5)}, tables, opset=23
    )
    made.graph.input[1].type.tensor_type.elem_type = I64
    assert counts(network(tmp_path, made)) == (0, 0, 640)


def quantised(*names: str) -> list[onnx.TensorProto]:
    return [weights(name, ()) if name[0] == "s" else weights(name, (), U8) for name in names]


def test_products_of_integers(tmp_path: Path) -> None:
    scales = quantised("sx", "zx", "sw", "sy", "zy")
    learnt = [
        *scales,
        weights("w", (32, 64), I8),
        weights("zw", (), I8),
        weights("c", (32,), TensorProto.INT32),
    ]
    made = ms("QGemm", ["x", "sx", "zx", "w", "sw", "zw", "c", "sy", "zy"], transB=1)
    (layer,) = run(tmp_path, [made], {"x": (5, 64)}, learnt, {"x": U8}).layers
    assert (layer.macs, layer.weight_elements, layer.weight_bits, layer.activation_bits) == (
        5 * 64 * 32,
        2048,
        8,
        8,
    )
    made = ms("DynamicQuantizeMatMul", ["x", "w", "sw", "zw", "b"])
    learnt = [weights("w", (64, 32), I8), weights("sw", ()), weights("zw", (), I8), weights("b", (32,))]
    found = run(tmp_path, [made], X, learnt)
    assert counts(found) == (10 * 64 * 32, 64 * 32 + 32, 10 * 32)
    assert (found.layers[0].weight_bits, found.layers[0].activation_bits) == (8, 8)


def test_a_network_of_the_quantiser(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], domain=MS),
        node("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z"], "c"),
        ms("QLinearLeakyRelu", ["c", "s", "z", "s", "z"], "r"),
        ms("QLinearAdd", ["c", "s", "z", "r", "s", "z", "s", "z"], "a"),
        ms("QLinearMul", ["a", "s", "z", "r", "s", "z", "s", "z"], "m"),
        ms("QLinearConcat", ["s", "z", "a", "s", "z", "m", "s", "z"], "j", axis=1),
        ms("QLinearAveragePool", ["j", "s", "z", "s", "z"], "p", kernel_shape=[2, 2], strides=[2, 2]),
        ms("QLinearSigmoid", ["p", "s", "z", "s", "z"], "i"),
        ms("QLinearGlobalAveragePool", ["i", "s", "z", "s", "z"], "g"),
        helper.make_node("DequantizeLinear", ["g", "s", "z"], ["f"], domain=MS),
        node("Flatten", ["f"], "l"),
        node("MatMul", ["l", "v"], "o"),
    ]
    learnt = [weights("s", ()), weights("z", (), U8), weights("w", (4, 3, 3, 3), U8), weights("v", (8, 10))]
    found = run(tmp_path, nodes, IMAGE, learnt)
    assert (found.macs, found.params) == (4 * 27 * 36 + 80, 4 * 27 + 80)
    assert not found.unmodelled
    # 144 of each of three, 4 of each of 72 means, 72 sigmoids, 9 of each of 8 means
    assert found.vector_ops == 3 * 144 + 4 * 72 + 72 + 9 * 8
    assert {layer.activation_bits for layer in found.layers} == {8}


def test_deformable_convolution(tmp_path: Path) -> None:
    inputs = {**IMAGE, "o": (1, 18, 6, 6), "m": (1, 9, 6, 6)}
    made = model([node("DeformConv", ["x", "w", "o", "bias", "m"])], inputs, FILTERS, opset=22)
    found = network(tmp_path, made)
    # 27 values of each of 36 pixels are sampled and weighed; then the products of a convolution
    assert counts(found) == (4 * 27 * 36, 4 * 27 + 4, 2 * 27 * 36 + 4 * 36)


@pytest.mark.parametrize(
    ("op", "inputs", "given", "opset", "work"),
    [
        (node("DFT", ["x"], axis=1), (3, 8, 2), [], 17, 3 * 5 * 8 * 3),
        (node("DFT", ["x"], axis=1, onesided=1), (3, 8, 1), [], 17, 3 * 5 * 8 * 3 // 2),
        (node("DFT", ["x", "", "a"]), (3, 6, 4, 1), [("a", 1)], 20, 12 * 5 * 6 * 3 // 2),
        (node("DFT", ["x"]), (3, 6, 4, 2), [], 20, 18 * 5 * 4 * 2),
        (node("DFT", ["x", "n"], axis=1), (3, 8, 2), [("n", 16)], 17, 3 * 5 * 16 * 4),
        (node("DFT", ["x"], axis=1, onesided=1, inverse=1), (3, 9, 2), [], 17, 3 * 5 * 16 * 4 // 2),
    ],
)
def test_fourier_transforms(
    tmp_path: Path, op: onnx.NodeProto, inputs: Dims, given: list[tuple[str, int]], opset: int, work: int
) -> None:
    learnt = [helper.make_tensor(name, I64, [], [value]) for name, value in given]
    found = network(tmp_path, model([op], {"x": inputs}, learnt, opset=opset))
    assert counts(found) == (0, 0, work)


def test_short_transforms_of_frames(tmp_path: Path) -> None:
    learnt = [helper.make_tensor("s", I64, [], [4]), weights("w", (8,))]
    found = network(
        tmp_path, model([node("STFT", ["x", "s", "w"], onesided=1)], {"x": (2, 20, 1)}, learnt, opset=17)
    )
    assert found.layers[0].output_elements == 2 * 4 * 5 * 2
    assert found.vector_ops == 8 * (5 * 8 * 3 // 2 + 8)


# What no rule knows


def unknown(*after: onnx.NodeProto) -> list[onnx.NodeProto]:
    return [helper.make_node("MyOp", ["x"], ["u"], domain="acme"), *after]


LATER: dict[str, list[onnx.NodeProto]] = {
    "Gemm": [node("Gemm", ["u", "w"], "y")],
    "MatMul": [node("MatMul", ["u", "w"], "y")],
    "Conv": [node("Conv", ["u", "f"], "y")],
    "Relu": [node("Relu", ["u"], "y")],
    "Concat": [node("Concat", ["u", "x"], "y", axis=0)],
    "Gather": [node("Gather", ["w", "u"], "y")],
    "Split": [helper.make_node("Split", ["u"], ["y", "z"], axis=0, num_outputs=2)],
    "Softmax": [node("Softmax", ["u"], "y")],
    "LSTM": [node("LSTM", ["u", "l", "l"], "y", hidden_size=2)],
    "Where": [node("Where", ["u", "x", "x"], "y")],
    "Cast": [node("Cast", ["u"], "y", to=FLOAT)],
    "ReduceMean": [node("ReduceMean", ["u"], "y")],
    "Attention": [ms("Attention", ["u", "w"], num_heads=2)],
    "TopK": [helper.make_node("TopK", ["u", "k"], ["y", "i"])],
    "Shape": [node("Shape", ["u"], "h"), node("Reshape", ["x", "h"], "y")],
    "Resize": [node("Resize", ["u", "", "r"], "y")],
    "BatchNormalization": [node("BatchNormalization", ["u", "b", "b", "b", "b"], "y")],
}


@pytest.mark.parametrize("later", LATER)
def test_whatever_follows_an_unknown_operator_is_listed(tmp_path: Path, later: str) -> None:
    nodes = unknown(*LATER[later], node("Relu", ["x"], "known"))
    learnt = [weights("w", (8, 4)), weights("f", (4, 8, 3, 3)), weights("l", (1, 8, 2)), integers("k", [1])]
    learnt += [weights("r", (2,)), weights("b", (8,))]
    found = run(tmp_path, nodes, {"x": (2, 8)}, learnt)
    assert found.unmodelled[0].op == "acme.MyOp"
    assert [layer.op for layer in found.layers] == ["relu"]
    assert found.params == 0


def test_a_shape_that_follows_again_is_counted(tmp_path: Path) -> None:
    nodes = unknown(node("Reshape", ["u", "s"], "r"), node("MatMul", ["r", "w"]))
    found = run(tmp_path, nodes, {"x": (2, 8)}, [integers("s", [2, 8]), weights("w", (8, 4))])
    assert [item.op for item in found.unmodelled] == ["acme.MyOp"]
    assert (found.macs, found.params) == (64, 32)


def doubled(_: Any) -> Layer:
    return Layer.vector("d", op="double", k=16)


@pytest.mark.parametrize("way", ["shape", "result"])
def test_a_rule_states_the_shape_of_its_output(tmp_path: Path, way: str) -> None:
    if way == "shape":
        sq.register_operator("acme.MyOp", doubled, shape=lambda call: call["inputs"][0].shape)
    else:
        sq.register_operator("acme.MyOp", lambda call: (doubled(call), call["inputs"][0].shape))
    found = run(tmp_path, unknown(*LATER["Gemm"]), {"x": (2, 8)}, [weights("w", (8, 4))])
    assert not found.unmodelled
    assert (found.macs, found.vector_ops) == (64, 16)
    assert found.layers[1].inputs == (found.layers[0].name,)


def test_a_rule_without_a_shape_is_asked(tmp_path: Path) -> None:
    sq.register_operator("acme.MyOp", doubled)
    found = run(tmp_path, unknown(*LATER["Gemm"]), {"x": (2, 8)}, [weights("w", (8, 4))])
    assert found.vector_ops == 16
    assert [item.op for item in found.unmodelled] == ["Gemm of unknown shape"]


def test_a_rule_in_place_of_ours(tmp_path: Path) -> None:
    sq.register_operator(
        "com.microsoft.MatMulNBits",
        lambda call: Layer.matmul("q", m=3, n=call["N"], k=call["K"], weights_are_activations=False),
    )
    nodes = [
        ms("MatMulNBits", ["x", "w", "s"], K=64, N=32, bits=4, block_size=32),
        node("Relu", ["y"], "r"),
        node("MatMul", ["r", "v"], "o"),
    ]
    learnt = [weights("w", (32, 2, 16), U8), weights("s", (64,)), weights("v", (32, 8))]
    found = run(tmp_path, nodes, {"x": (3, 64)}, learnt)
    assert [layer.op for layer in found.layers] == ["matmul", "relu", "linear"]
    assert found.macs == 3 * 64 * 32 + 3 * 32 * 8


@pytest.mark.parametrize("way", ["shape", "result"])
@pytest.mark.parametrize("shape", [(2, -8), (2, "a"), "2x8", (2.5, 8), 8, (2**40, 2), (2**31, 2**31)])
def test_a_shape_that_is_none(tmp_path: Path, way: str, shape: Any) -> None:
    if way == "shape":
        sq.register_operator("acme.MyOp", doubled, shape=lambda _: shape)
    else:
        sq.register_operator("acme.MyOp", lambda call: (doubled(call), shape))
    with pytest.raises(ModelError) as caught:
        run(tmp_path, unknown(), {"x": (2, 8)})
    said = str(caught.value)
    assert "the rule of acme.MyOp must say a shape as a tuple of sizes from 0 to 2147483648" in said
    assert f"found {shape!r}, {__file__}:" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            lambda call: Layer.vector("d", op="d", k=call["n"]),
            r"raised KeyError: 'n', .*py:\d+; the call has inputs",
        ),
        (lambda call: call["inputs"][0].size, r"raised AttributeError: .*size.*py:\d+"),
        (lambda call: [doubled(call), (2, 8)], r"must return a Layer, found list, .*py:\d+"),
    ],
)
def test_a_mistake_in_a_rule_where_the_file_states_no_shape(tmp_path: Path, rule: Any, message: str) -> None:
    sq.register_operator("acme.MyOp", rule)
    with pytest.raises(ModelError, match=rf"the rule of acme\.MyOp {message}"):
        run(tmp_path, unknown(), {"x": (2, 8)})


def test_a_rule_that_needs_the_shape_of_its_output(tmp_path: Path) -> None:
    sq.register_operator("acme.MyOp", lambda call: Layer.vector("d", op="d", k=call.output[0]))
    found = run(tmp_path, unknown(), {"x": (2, 8)})
    assert found.unmodelled[0].op == "acme.MyOp of unknown shape"


def test_forms_that_no_rule_covers_are_listed(tmp_path: Path) -> None:
    nodes = [ms("MultiHeadAttention", ["x", "x"], num_heads=4), node("Relu", ["y"], "z")]
    found = run(tmp_path, nodes, X)
    assert [item.op for item in found.unmodelled] == [
        "com.microsoft.MultiHeadAttention of unknown shape",
        "Relu of unknown shape",
    ]


def test_every_rule_has_shapes_and_names_inputs() -> None:
    assert set(contrib.RULES) <= set(contrib.SHAPES)
