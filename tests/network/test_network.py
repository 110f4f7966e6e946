import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.errors import ModelError, OutputError
from squeezesim.load import load
from squeezesim.network import Layer, Network, Unmodelled
from tests.network.strategies import networks, recurrent_networks

VALID = Network.from_layers([Layer.matmul("a", m=2, n=3, k=4), Layer.vector("b", op="relu", k=6)]).to_json()


@given(networks(), st.integers(0, 9), st.lists(st.text(max_size=20).filter(str.isprintable), max_size=2))
def test_a_network_comes_back_as_it_was(network, unread, notes):
    full = Network(
        name=network.name,
        layers=network.layers,
        inputs=network.inputs,
        unmodelled=(Unmodelled("sort", 2, "a.b"),),
        unread_params=unread,
        notes=tuple(notes),
        source="a test",
    )
    text = full.to_json()
    assert Network.from_json(text) == full
    assert Network.from_json(text).to_json() == text
    assert Network.from_json(text.encode()) == full


@given(recurrent_networks())
def test_a_recurrence_comes_back_as_it_was(network):
    assert Network.from_json(network.to_json()) == network


def test_a_file_of_version_1_is_read():
    text = edited(version=1)
    assert Network.from_json(text) == Network.from_json(VALID)


def test_the_file_has_one_layer_a_line_and_leaves_defaults_out():
    lines = VALID.splitlines()
    start = lines.index('"layers": [')
    assert [json.loads(line.rstrip(","))["name"] for line in lines[start + 1 : -2]] == ["a", "b"]
    assert lines[start + 2] == (
        '{"name":"b","op":"relu","kind":"vector","k":6,"c":6,"input_elements":6,"output_elements":6,"vector_ops":6}'
    )


def test_save_and_load(tmp_path):
    network = load("squeezenet_1_1")
    path = tmp_path / "deep" / "net.graph.json"
    network.save(path)
    assert Network.load(path) == network
    assert [file.name for file in path.parent.iterdir()] == ["net.graph.json"]


def test_a_network_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        load("squeezenet_1_1").save(tmp_path / "file" / "net.graph.json")


def edited(**changes: object) -> str:
    return json.dumps(json.loads(VALID) | changes)


def with_layer(**changes: object) -> str:
    document = json.loads(VALID)
    document["layers"][0] |= changes
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("[]", "no network file"),
        ('{"format": "squeezesim.network"}', "version None; this program reads 1 and 2"),
        (edited(format="onnx"), "no network file"),
        (edited(version=3), "a network file of version 3"),
        (edited(layer=[]), "the network file has the unknown key 'layer'; did you mean 'layers'?"),
        (edited(layers={}), "layers must be a list, found {}"),
        (edited(layers=[[]]), "layer 1 must be an object, found []"),
        (edited(layers=[{"name": "a", "op": "relu"}]), "layer 1 has no 'kind'"),
        (edited(name=3), "the name of a network must be non-empty printable text"),
        (edited(name=""), "the name of a network must be non-empty"),
        (edited(inputs=[]), "inputs must be an object"),
        (edited(inputs={"input": 3}), "the shape of input 'input' must be a list"),
        (edited(inputs={"input": [1, -1]}), "input 'input': sizes must be integers from 0"),
        (edited(unread_params=-1), "unread_params must be an integer"),
        (edited(unmodelled=[["sort", 1]]), "an unmodelled operator must be [op, count, module]"),
        (edited(unmodelled=[["sort", -1, ""]]), "must be a positive integer"),
        (edited(notes="all good"), "notes must be a list"),
        (edited(notes=["two\nlines"]), "a note must be printable text"),
        (with_layer(K=3), "layer 1 has the unknown key 'K'"),
        (with_layer(k="3"), "layer 'a': k must be an integer from 1 to 2147483648, found '3'"),
        (with_layer(k=10**30), "k must be an integer from 1"),
        (with_layer(k=None), "k must be an integer from 1"),
        (with_layer(name=["a"]), "name must be non-empty printable text"),
        (with_layer(stride="2x2"), "stride must be two integers"),
        (with_layer(inputs=["b"]), "layer 'a' reads 'b', which is no input and no layer before it"),
        (with_layer(inputs=["a"]), "layer 'a' reads 'a'"),
        (with_layer(repeat=0), "repeat must be an integer from 1"),
        (with_layer(repeat=2**31, k=2**20), "the product of its loop sizes"),
        (with_layer(repeat=2**31, input_elements=2**30), "input_elements of 2147483648 steps are"),
        (with_layer(repeat=3, vector_ops=7), "vector_ops must be those of all of its 3 steps"),
        (
            with_layer(carried=["a"]),
            "carries 'a' from step to step, which is no layer of the same recurrence",
        ),
        (with_layer(repeat=2, carried=["b"]), "carries 'b' from step to step"),
        (with_layer(name="b"), "the name 'b' is used twice"),
        (VALID.replace('"oy":2', '"oy":NaN', 1), "NaN is no number here"),
        (VALID.replace('"oy":2', '"oy":1e999', 1), "oy must be an integer"),
        (VALID.replace('"oy":2', f'"oy":{"9" * 5000}', 1), "not JSON"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_a_hostile_file_gets_one_line(text, message, tmp_path):
    path = tmp_path / "evil.graph.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for read in (lambda: Network.from_json(text), lambda: Network.load(path)):
        with pytest.raises(ModelError) as caught:
            read()
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000


@given(st.data())
def test_no_value_anywhere_in_a_layer_gets_through_as_another_error(data):
    """Whatever JSON stands in a field: the network is read and says it, or there is a ModelError."""
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    )
    document = json.loads(VALID)
    layer = document["layers"][data.draw(st.integers(0, 1))]
    key = data.draw(st.sampled_from([*Layer.__dataclass_fields__]))
    layer[key] = data.draw(values)
    text = json.dumps(document)
    try:
        network = Network.from_json(text)
    except ModelError:
        with pytest.raises(ModelError, match=r"\A[^\n]+\Z"):
            Network.from_json(text)
    else:
        assert Network.from_json(network.to_json()) == network


def test_a_missing_file_and_a_folder(tmp_path: Path):
    with pytest.raises(ModelError, match="No such file"):
        Network.load(tmp_path / "none.graph.json")
    with pytest.raises(ModelError, match="cannot read"):
        Network.load(tmp_path)
