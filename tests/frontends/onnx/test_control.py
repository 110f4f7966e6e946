"""Inputs with any name or with values, and what then follows: branches, loops and scans of ONNX graphs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

import squeezesim as sq
from squeezesim.cli.options import parse_inputs
from squeezesim.errors import ModelError
from tests.frontends.onnx.graphs import model, node, weights


def load(folder: Path, made: onnx.ModelProto, **inputs: Any) -> sq.Network:
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return sq.load(path, inputs=inputs or None)


@pytest.mark.parametrize(
    "name", ["images:0", "serving_default_x:0", "a b", "x=y", "größe", "a/b.c", "x:int64"]
)
def test_an_input_of_any_name(tmp_path: Path, name: str) -> None:
    made = model([node("Conv", [name, "w"])], {name: ("N", 3, 32, 32)}, [weights("w", (8, 3, 3, 3))])
    found = load(tmp_path, made, **parse_inputs([f"{name}=2x3x32x32"])["inputs"])
    assert found.inputs == ((name, (2, 3, 32, 32)),)
    assert found.macs == 2 * 8 * 27 * 30 * 30


def scalar(name: str, value: bool | int, element: int = TensorProto.INT64) -> onnx.TensorProto:
    return helper.make_tensor(name, element, [], [value])


def graph(
    nodes: list[onnx.NodeProto], inputs: list[str], outputs: list[str], learnt: Any = ()
) -> onnx.GraphProto:
    named = [onnx.ValueInfoProto(name=name) for name in inputs]
    return helper.make_graph(
        nodes, "body", named, [onnx.ValueInfoProto(name=name) for name in outputs], learnt
    )


def resampling() -> onnx.ModelProto:
    """A model of speech: at 16 kHz one product, else another."""
    then = graph([node("MatMul", ["x", "w"], "a")], [], ["a"])
    other = graph([node("MatMul", ["x", "v"], "a")], [], ["a"])  # names of branches may be the same
    nodes = [
        node("Equal", ["sr", "rate"], "is16"),
        helper.make_node("If", ["is16"], ["y"], then_branch=then, else_branch=other),
        node("Relu", ["y"], "z"),
    ]
    made = model(
        nodes, {"x": (1, 8), "sr": ()}, [scalar("rate", 16000), weights("w", (8, 4)), weights("v", (8, 2))]
    )
    made.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    return made


@pytest.mark.parametrize(
    ("text", "outputs"), [("sr=16000", 4), ("sr=+16000", 4), ("sr=8000", 2), ("sr=-1", 2)]
)
def test_a_value_decides_a_branch(tmp_path: Path, text: str, outputs: int) -> None:
    found = load(tmp_path, resampling(), **parse_inputs([text])["inputs"])
    assert not found.unmodelled
    assert (found.macs, found.vector_ops) == (8 * outputs, outputs)
    assert found == load(tmp_path, resampling(), sr=int(text.partition("=")[2]))
    assert found.notes == (f"input sr = {int(text.partition('=')[2])}",)


def test_without_a_value_the_branch_is_not_known(tmp_path: Path) -> None:
    assert [item.op for item in load(tmp_path, resampling()).unmodelled] == ["If", "Relu of unknown shape"]


@pytest.mark.parametrize(
    ("value", "message"), [(0.5, "is of type int64; 0.5 does not fit"), ("+1.5", "int64; 1.5 does")]
)
def test_values_that_do_not_fit_the_type(tmp_path: Path, value: Any, message: str) -> None:
    given = {"sr": value} if isinstance(value, float) else parse_inputs([f"sr={value}"])["inputs"]
    with pytest.raises(ModelError, match=message):
        load(tmp_path, resampling(), **given)


def test_a_shape_that_was_meant_as_a_value_is_told_how_that_is_written(tmp_path: Path) -> None:
    made = model([node("Relu", ["x"])], {"x": (1,)})
    with pytest.raises(ModelError, match=r"'x' is 1; 16000 does not fit; a value, .* --input x=\[16000\]$"):
        load(tmp_path, made, **parse_inputs(["x=16000"])["inputs"])
    assert load(tmp_path, made, **parse_inputs(["x=[16000]"])["inputs"]).notes == ("input x = [16000.0]",)


def loop(times: str, condition: str = "", cond_out: str = "c") -> list[onnx.NodeProto]:
    body = graph(
        [node("MatMul", ["h", "w"], "m"), node("Relu", ["m"], "r"), node("Identity", [cond_out], "d")],
        ["i", "c", "h"],
        ["d", "r", "m"],
        [weights("w", (8, 8))],
    )
    return [
        helper.make_node("Loop", [times, condition, "x"], ["y", "s"], body=body),
        node("Flatten", ["s"], "f"),
    ]


@pytest.mark.parametrize("trips", [0, 1, 3])
def test_a_loop_of_known_trips_is_unrolled(tmp_path: Path, trips: int) -> None:
    made = model(loop("n"), {"x": (2, 8)}, [scalar("n", trips)], outputs=["y", "f"])
    found = load(tmp_path, made)
    assert not found.unmodelled
    assert found.macs == trips * 2 * 8 * 8
    assert found.params == (64 if trips else 0)  # the body's weights are there once
    work = [layer for layer in found.layers if layer.kind != "view"]
    assert [layer.op for layer in work] == ["linear", "relu"] * trips
    for before, after in pairwise(work):
        assert after.inputs == (before.name,)


def test_the_trips_of_a_loop_are_a_value_of_an_input(tmp_path: Path) -> None:
    made = model(loop("n"), {"x": (2, 8), "n": ()})
    made.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    assert load(tmp_path, made, n=4).macs == 4 * 128
    unknown = load(tmp_path, made)
    assert (unknown.macs, [item.op for item in unknown.unmodelled]) == (0, ["Loop"])


def test_a_loop_that_data_ends_or_that_runs_on_is_not_modelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("squeezesim.frontends.onnx.graph.MAX_REPEATED", 300)
    endless = model(loop("", "true"), {"x": (2, 8)}, [scalar("true", True, TensorProto.BOOL)])
    found = load(tmp_path, endless)
    assert (found.layers, found.params) == ((), 0)
    assert found.unmodelled[0].op == "Loop"
    assert any("loops and scans run more than 300 nodes" in note for note in found.notes)
    data = model(loop("n", cond_out="stop"), {"x": (2, 8), "stop": ()}, [scalar("n", 3)])
    data.graph.input[1].type.tensor_type.elem_type = TensorProto.BOOL
    found = load(tmp_path, data)
    assert (found.layers, found.params) == ((), 0)
    assert load(tmp_path, data, stop=False).macs == 128
    assert load(tmp_path, data, stop=True).macs == 3 * 128


@pytest.mark.parametrize("axis", [0, 1])
def test_a_scan_has_a_trip_for_each_slice(tmp_path: Path, axis: int) -> None:
    body = graph(
        [node("MatMul", ["e", "w"], "p"), node("Add", ["p", "h"], "a"), node("Identity", ["a"], "o")],
        ["h", "e"],
        ["a", "o"],
        [weights("w", (8, 4))],
    )
    scan = helper.make_node(
        "Scan",
        ["h0", "x"],
        ["y", "s"],
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[axis],
        scan_output_axes=[axis],
    )
    shape = (5, 2, 8) if axis == 0 else (2, 5, 8)
    made = model([scan, node("MatMul", ["s", "v"], "z")], {"x": shape, "h0": (2, 4)}, [weights("v", (4, 3))])
    found = load(tmp_path, made)
    assert not found.unmodelled
    assert found.macs == 5 * 2 * 8 * 4 + 10 * 4 * 3
    assert found.params == 8 * 4 + 4 * 3
    assert (found.layers[-1].n, found.layers[-1].oy) == (shape[0], shape[1])
