"""ONNX files as they come: inputs left open, files that are broken or hostile, the extra that is missing."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from squeezesim.errors import ModelError
from squeezesim.frontends.onnx import file
from squeezesim.frontends.onnx import file as onnx_file
from squeezesim.frontends.onnx.file import read
from squeezesim.network.checks import MAX_COUNT
from tests.frontends.onnx.graphs import Dims, integers, model, network, node, tensor, weights

CONV = model(
    [node("Conv", ["x", "w", "b"], "a", pads=[1, 1, 1, 1]), node("Relu", ["a"])],
    {"x": ("batch", 3, "height", 16)},
    [weights("w", (8, 3, 3, 3)), weights("b", (8,))],
)


def refused(folder: Path, made: onnx.ModelProto | bytes, **options: Any) -> str:
    """The one line with which a model is refused, without its path."""
    path = folder / "model.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    with pytest.raises(ModelError) as caught:
        read(path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert len(text) < len(str(path)) + 500
    return text.removeprefix(f"{path}: ")


def test_sizes_that_the_file_leaves_open_are_given(tmp_path: Path) -> None:
    found = network(tmp_path, CONV, input_shapes={"x": (2, 3, 8, 16)})
    assert found.inputs == (("x", (2, 3, 8, 16)),)
    assert found.macs == 2 * 8 * 27 * 8 * 16
    assert (found.name, found.source) == ("model", str(tmp_path / "model.onnx"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "input 'x' is batchx3xheightx16: dimension 0, 'batch', is open; give its shape"),
        ({"batch": 2}, "input 'x' is batchx3xheightx16: dimension 2, 'height', is open; give its shape"),
        ({"input_shapes": {"x": (1, 4, 8, 16)}}, "input 'x' is batchx3xheightx16; 1x4x8x16 does not fit"),
        ({"input_shapes": {"x": (1, 3, 8)}}, "input 'x' is batchx3xheightx16; 1x3x8 does not fit"),
        ({"input_shapes": {"y": (1,)}}, "has no input 'y'; it has x"),
        ({"input_shapes": {"x": (1, 3, 2**40, 16)}}, "input 'x': sizes must be from"),
    ],
)
def test_inputs_that_are_open_or_do_not_fit(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert refused(tmp_path, CONV, **options).startswith(message)


def test_a_batch_that_does_not_fit(tmp_path: Path) -> None:
    made = model([node("Relu", ["x"])], {"x": (4, 3)})
    assert refused(tmp_path, made, batch=2) == "input 'x' is 4x3; a batch of 2 does not fit"
    assert network(tmp_path, made, batch=4).inputs == (("x", (4, 3)),)


def test_a_weight_that_is_listed_among_the_inputs_is_none(tmp_path: Path) -> None:
    made = model([node("MatMul", ["x", "w"])], {"x": (4, 3), "w": (3, 5)}, [weights("w", (3, 5))])
    assert network(tmp_path, made).inputs == (("x", (4, 3)),)


def test_weights_in_the_file_are_not_parsed(tmp_path: Path) -> None:
    made = model([node("MatMul", ["x", "w"])], {"x": (4, 1024)})
    made.graph.initializer.append(
        onnx.TensorProto(name="w", dims=(1024, 4096), data_type=TensorProto.FLOAT, raw_data=bytes(2**24))
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    read(path)  # imports are not counted
    tracemalloc.start()
    assert read(path).params == 2**22
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def chain(length: int) -> onnx.ModelProto:
    nodes = [node("Relu", [f"t{index}"], f"t{index + 1}") for index in range(length)]
    return model(nodes, {"t0": (1, 4)})


def doubling(depth: int) -> onnx.ModelProto:
    """Functions that call the one before twice: 2 to the power of *depth* nodes."""
    functions = []
    for level in range(depth):
        body = [
            node(f"F{level - 1}" if level else "Relu", [name], made, domain="own" if level else "")
            for name, made in (("a", "m"), ("m", "r"))
        ]
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
        functions.append(helper.make_function("own", f"F{level}", ["a"], ["r"], body, opsets))
    call = node(f"F{depth - 1}", ["x"], domain="own")
    return model([call], {"x": (1, 4)}, domains=["own"], functions=functions)


def test_thousands_of_nodes(tmp_path: Path) -> None:
    assert len(network(tmp_path, chain(3000)).layers) == 3000


def test_more_nodes_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "MAX_NODES", 50)
    assert refused(tmp_path, chain(51)) == "has 51 nodes, more than 50"
    assert refused(tmp_path, doubling(60)) == f"has {2**60} nodes, more than 50"


def test_functions_that_call_themselves(tmp_path: Path) -> None:
    body = [node("Loop", ["a"], "r", domain="own")]
    function = helper.make_function("own", "Loop", ["a"], ["r"], body, [helper.make_opsetid("own", 1)])
    made = model([node("Loop", ["x"], domain="own")], {"x": (1,)}, domains=["own"], functions=[function])
    assert refused(tmp_path, made) == "function 'Loop' calls itself"


def test_messages_are_bounded_before_they_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = chain(2000).SerializeToString()
    monkeypatch.setattr(onnx_file, "MAX_FIELDS", 1000)
    assert refused(tmp_path, whole) == "has more than 1000 fields"
    monkeypatch.undo()
    monkeypatch.setattr(onnx_file, "MAX_KEPT", 1000)
    assert refused(tmp_path, whole) == "has more than 1000 bytes without its weights"


NESTED = b""
for _ in range(5000):
    NESTED = b"\x0a" + onnx_file._encoded(len(NESTED)) + NESTED


@pytest.mark.parametrize("content", [b"", b"\x08", b"\xff" * 64, b"not a model", NESTED, b"\x3a\x02\x0a\x00"])
def test_files_that_are_no_model(content: bytes, tmp_path: Path) -> None:
    assert refused(tmp_path, content)


def test_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for path, said in {
        "nothing.onnx": "No such file",
        "": "Is a directory",
        "pipe.onnx": "no regular file",
    }.items():
        with pytest.raises(ModelError, match=said):
            read(tmp_path / path)


SEED = CONV.SerializeToString()


@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.integers(0, len(SEED) - 1).map(lambda size: SEED[:size]),
        st.tuples(st.integers(0, len(SEED) - 1), st.binary(min_size=1, max_size=4)).map(
            lambda change: SEED[: change[0]] + change[1] + SEED[change[0] + len(change[1]) :]
        ),
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_a_network_or_one_line(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    said = ""
    try:
        read(path, input_shapes={"x": (1, 3, 8, 16)})
    except ModelError as error:
        said = str(error)
    assert "\n" not in said


@given(data=st.binary(max_size=300) | st.just(SEED))
def test_walking_a_message_keeps_all_but_long_tensors(data: bytes) -> None:
    try:
        parsed = onnx.ModelProto.FromString(data)
    except Exception:
        return
    try:
        kept = onnx_file.without_tensors(data, onnx.ModelProto.DESCRIPTOR)
    except ModelError:
        return  # groups, which ONNX does not have
    assert onnx.ModelProto.FromString(kept) == parsed


HUGE = 2**31


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (model([node("Relu", ["y"])], {"x": (1,)}), "a node Relu reads 'y', which only a later node makes"),
        (model([node("Relu", ["z"])], {"x": (1,)}), "a node Relu reads 'z', which nothing makes"),
        (model([node("Relu", ["x"], "x")], {"x": (1,)}), "a node Relu makes 'x', which is there already"),
        (
            model([node("MatMul", ["x", "w"])], {"x": (1, HUGE)}, [weights("w", (HUGE, HUGE))]),
            "initializer 'w': (2147483648, 2147483648) has more than",
        ),
        (
            model([node("MatMul", ["x", "w"])], {"x": (4, 3)}, [weights("w", (-3, 5))]),
            "initializer 'w': sizes must be from 0 to",
        ),
        (
            model([node("MatMul", ["x", "k"])], {"x": (2**25, 2**10), "k": (2**10, 2**25)}),
            "a node MatMul",
        ),
        (
            model([node("Expand", ["x", "s"])], {"x": (1,)}, [integers("s", [2**30, 2**30])]),
            f"a node Expand: tensor 'y': (1073741824, 1073741824) has more than {MAX_COUNT} elements",
        ),
        (
            model([node("Tile", ["x", "s"])], {"x": (2,)}, [integers("s", [2**62])]),
            "a node Tile: ",
        ),
        (model([node("Relu", ["x"])], {"x": (1,)}, opset=6), "has operator set 6; read are 7 to"),
        (model([node("Relu", ["x"])], {"x": (1,)}, opset=999), "has operator set 999; read are 7 to"),
        (
            model(
                [node("LSTM", ["x", "w", "r"], hidden_size=2)],
                {"x": (10**6, 1, 2)},
                [weights("w", (1, 8, 2)), weights("r", (1, 8, 2))],
            ),
            "a node LSTM: has 1000000 steps, more than",
        ),
        (
            model(
                [node("Reshape", ["x", "s"])],
                {"x": (4,)},
                [onnx.TensorProto(name="s", data_type=TensorProto.INT64, dims=[2], raw_data=b"123")],
            ),
            "initializer 's' does not hold what its shape (2,) says",
        ),
    ],
)
def test_graphs_that_cannot_be(made: onnx.ModelProto, message: str, tmp_path: Path) -> None:
    assert refused(tmp_path, made).startswith(message)


def test_text_tensors_and_strange_names(tmp_path: Path) -> None:
    made = model([node("Relu", ["x"])], {"x": (1, 4)})
    made.graph.initializer.append(helper.make_tensor("s", TensorProto.STRING, [2], [b"a", b"\xff"]))
    made.graph.node[0].name = "line\nbreak\x00" + "n" * 5000
    name = network(tmp_path, made).layers[0].name
    assert name.startswith("line?break?n")
    assert len(name) < 300


def test_an_input_that_is_no_tensor(tmp_path: Path) -> None:
    made = model([node("SequenceLength", ["x"])], {"x": (1,)})
    element = helper.make_tensor_type_proto(TensorProto.FLOAT, (1,))
    made.graph.input[0].type.CopyFrom(helper.make_sequence_type_proto(element))
    assert refused(tmp_path, made) == "input 'x' is no tensor of known rank: give its shape"


@pytest.mark.parametrize("dims", [(None, 3), (0, 3), (-1, 3), ("", 3)])
def test_dimensions_without_a_name(dims: Dims, tmp_path: Path) -> None:
    made = model([node("Relu", ["x"])], {"x": dims})
    assert refused(tmp_path, made).startswith("input 'x' is ?x3: dimension 0, '?', is open")
    assert network(tmp_path, made, batch=5).inputs == (("x", (5, 3)),)


def test_a_loop_is_listed_as_not_modelled(tmp_path: Path) -> None:
    body = helper.make_graph(
        [node("Identity", ["more"], "again"), node("Relu", ["state"], "next")],
        "body",
        [
            tensor("step", (), TensorProto.INT64),
            tensor("more", (), TensorProto.BOOL),
            tensor("state", (1, 4)),
        ],
        [tensor("again", (), TensorProto.BOOL), tensor("next", (1, 4))],
    )
    loop = helper.make_node("Loop", ["times", "", "x"], ["l"], body=body)
    made = model([loop, node("Tanh", ["l"])], {"times": (), "x": (1, 4)})
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    found = network(tmp_path, made)
    assert found.unmodelled[0].op == "Loop"


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_onnx(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "onnx":
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_onnx)
    with pytest.raises(ModelError, match=r"onnx is not installed: pip install onnx$"):
        read(tmp_path / "model.onnx")


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(SEED)
    program = (
        "import sys; from squeezesim.frontends.onnx.file import read; assert 'onnx' not in sys.modules;"
        "print(read(sys.argv[1], input_shapes={'x': (1, 3, 8, 16)}).macs, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "model.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(8 * 27 * 8 * 16), "False"]


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"])
def test_a_window_that_does_not_fit_is_refused(op: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {} if op.startswith("Conv") else {"kernel_shape": [5, 5]}
    if op == "ConvTranspose":
        settings["pads"] = [4, 4, 4, 4]
    made = model(
        [
            helper.make_node("Relu", ["x"], ["r"]),
            node(op, ["r", "w"][: 1 + op.startswith("Conv")], "y", **settings),
        ],
        {"x": (1, 3, 4, 4)},
        [weights("w", (3, 3, 5, 5))],
    )
    assert refused(tmp_path, made) == (
        f"a node {op}: its window does not fit: an input of (1, 3, 4, 4) gives an output of (1, 3, 0, 0)"
    )
