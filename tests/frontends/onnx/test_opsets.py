"""Operator sets before the rules' own: converted, and counted as the same graph in a newer set."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from tests.frontends.onnx.graphs import integers, model, network, node, weights

LEARNT = [weights("w", (4, 3, 3, 3)), weights("b", (4,)), weights("g", (10, 4)), weights("c", (10,))]
SCALES = helper.make_tensor("s", TensorProto.FLOAT, [4], [1, 1, 2, 2])
FLOATS = [
    helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in (("low", 0), ("high", 6))
]


@pytest.mark.parametrize("version", [7, 8, 9, 10])
@pytest.mark.parametrize("listed", [False, True])
def test_an_old_operator_set_counts_as_a_new_one(tmp_path: Path, version: int, listed: bool) -> None:
    start = [
        node("Conv", ["x", "w"], "conv"),
        node("BatchNormalization", ["conv", "b", "b", "b", "b"], "norm"),
    ]
    if version < 9:
        larger = node("Upsample", ["norm"], "up", scales=[1.0, 1.0, 2.0, 2.0], mode="nearest")
    else:
        larger = node("Upsample" if version == 9 else "Resize", ["norm", "s"], "up", mode="nearest")
    if version < 10:
        cut = node("Slice", ["clip"], "cut", axes=[2], starts=[0], ends=[4])
    else:
        cut = node("Slice", ["clip", "zero", "four", "two"], "cut")
    old = [
        *start,
        larger,
        node("Clip", ["up"], "clip", min=0.0, max=6.0),
        cut,
        node("Pad", ["cut"], "pad", pads=[0, 0, 1, 1, 0, 0, 1, 1]),
        node("ReduceMean", ["pad"], "mean", axes=[2, 3], keepdims=0),
        node("Gemm", ["mean", "g", "c"], transB=1),
    ]
    new = [
        *start,
        node("Resize", ["norm", "", "s"], "up", mode="nearest"),
        node("Clip", ["up", "low", "high"], "clip"),
        node("Slice", ["clip", "zero", "four", "two"], "cut"),
        node("Pad", ["cut", "pads"], "pad"),
        node("ReduceMean", ["pad"], "mean", axes=[2, 3], keepdims=0),
        node("Gemm", ["mean", "g", "c"], transB=1),
    ]
    sizes = [integers("zero", [0]), integers("four", [4]), integers("two", [2])]
    pads = integers("pads", [0, 0, 1, 1, 0, 0, 1, 1])
    made = model(old, {"x": ("N", 3, 8, 8)}, [*LEARNT, SCALES, *sizes], opset=version, ir_version=3)
    if listed:  # as files of that time have them
        made.graph.input.extend(
            helper.make_tensor_value_info(item.name, item.data_type, item.dims)
            for item in made.graph.initializer
        )
    expected = network(
        tmp_path,
        model(new, {"x": ("N", 3, 8, 8)}, [*LEARNT, SCALES, *sizes, *FLOATS, pads], opset=13),
        batch=2,
    )
    found = network(tmp_path, made, batch=2)
    assert not found.unmodelled
    assert found.inputs == expected.inputs == (("x", (2, 3, 8, 8)),)
    assert [(item.op, item.macs, item.params, item.vector_ops) for item in found.layers] == [
        (item.op, item.macs, item.params, item.vector_ops) for item in expected.layers
    ]
    assert found.macs == 2 * (4 * 27 * 36 + 40)
