import pytest
import torch
from torch import nn

from squeezesim.errors import ModelError, SqueezesimError, UsageError
from squeezesim.load import cross_check, load
from squeezesim.network import Network


def test_a_built_in_network_is_its_shipped_graph():
    network = load("squeezenext_23")
    assert (network.name, network.source) == ("squeezenext_23", "built-in")
    assert network.inputs == (("input", (1, 3, 227, 227)),)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({}, (1, 3, 224, 224)),
        ({"batch": 1}, (1, 3, 224, 224)),
        ({"batch": 4}, (4, 3, 224, 224)),
        ({"input_shape": "3x64x96"}, (1, 3, 64, 96)),
        ({"input_shape": "3x64x96", "batch": 2}, (2, 3, 64, 96)),
        ({"input_shape": (3, 64, 96)}, (1, 3, 64, 96)),
        ({"input_shape": (3, 64, 96), "batch": 2}, (2, 3, 64, 96)),
        ({"input_shape": (2, 3, 64, 96)}, (2, 3, 64, 96)),
        ({"inputs": ((2, 3, 64, 96),)}, (2, 3, 64, 96)),
    ],
)
def test_the_batch_is_the_first_dimension_of_the_traced_input(given, shape):
    network = load("squeezenet_1_1", **given)
    (read,) = (read for _, read in network.inputs)
    assert read == shape
    assert network.layers[0].n == shape[0]
    assert (network.layers[0].iy, network.layers[0].ix) == shape[2:]


def test_macs_grow_with_the_batch_and_params_do_not():
    one, four = load("mobilenet_v1"), load("mobilenet_v1", batch=4)
    assert (four.macs, four.vector_ops, four.params) == (4 * one.macs, 4 * one.vector_ops, one.params)
    assert [layer.weight_elements for layer in four.layers] == [layer.weight_elements for layer in one.layers]


def test_options_as_text_and_as_arguments_are_the_same():
    text = load("squeezenext_23@depth=2-4-14-1,width=1.5")
    assert text == load("squeezenext_23", depth=(2, 4, 14, 1), width=1.5)
    assert text.name == "squeezenext_23@depth=2-4-14-1,width=1.5"


def test_options_that_do_not_fit_together_say_so():
    with pytest.raises(ModelError, match="groups = 5 must divide the 64 channels"):
        load("squeezenext_23", groups=5)
    assert load("squeezenext_23", groups=5, wiring="serial").layers[-1].op == "linear"


def test_a_module():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    network = load(module, input_shape=(1, 3, 8, 8))
    assert [layer.name for layer in network.layers] == ["0", "1"]
    assert load(module, input_shape="3x8x8") == network
    assert load(module, input_shape=(3, 8, 8), batch=1) == network
    assert load(nn.Linear(4, 4), inputs=(torch.zeros(1, 4),)).macs == 16


def test_a_saved_network(tmp_path):
    path = tmp_path / "net.graph.json"
    load("tiny_darknet").save(path)
    assert load(path) == load(str(path)) == load("tiny_darknet")
    for given in ({"batch": 2}, {"input_shape": "3x64x64"}, {"width": 2}, {"inputs": {"x": (1,)}}):
        with pytest.raises(UsageError, match="its input and options are fixed"):
            load(path, **given)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        ("squeezenex_23", {}, "unknown network 'squeezenex_23'; did you mean 'squeezenext_23'"),
        ("", {}, "unknown network ''"),
        ("net.onnx", {}, "there is no file 'net.onnx'"),
        (
            "net.yaml",
            {},
            "'net.yaml' is no model that can be read; a model is a built-in name, torchvision:, timm:",
        ),
        ("runs/net", {}, "'runs/net' is no model that can be read; a model is a built-in name"),
        ("none.graph.json", {}, "there is no file 'none.graph.json'"),
        ("squeezenext_23", {"dept": (1, 1, 1, 1)}, "no option 'dept'; it has depth"),
        ("squeezenext_23", {"depth": 3}, "option 'depth' must be 4 integers"),
        (3, {}, "found int"),
        (nn.Linear(4, 4), {}, "Linear needs its input"),
        (nn.Linear(4, 4), {"input_shape": (1, 4), "width": 2}, "a module has no options, found width"),
        ("alexnet", {"input_shape": "3x227"}, "alexnet rejects input 1x3x227:"),
        ("alexnet", {"input_shape": "3x227x227x227x2"}, "alexnet rejects input 1x3x227x227x227x2:"),
        ("alexnet", {"input_shape": "227"}, "alexnet rejects input 1x227:"),
        ("squeezenext_23", {"input_shape": "5x227x227"}, "layer 'stem.conv' Conv(3, 64"),
        ("squeezenext_23", {"input_shape": "0x227x227"}, "squeezenext_23 rejects input 1x0x227x227"),
        (
            "squeezenext_23",
            {"input_shape": "3x-1x227"},
            "sizes joined by 'x', such as 3x227x227, found '3x-1x227'",
        ),
        ("squeezenext_23", {"input_shape": "3x227"}, "squeezenext_23 rejects"),
        (
            "squeezenext_23",
            {"input_shape": "99999999999x227"},
            "input: sizes must be integers from 0 to 2147483648, found (99999999999, 227)",
        ),
        ("squeezenext_23", {"input_shape": "9" * 5000}, "input: sizes must be integers from 0 to 2147483648"),
        ("squeezenext_23", {"input_shape": (3, 2**31 + 1, 1)}, "sizes must be integers from 0 to 2147483648"),
        ("squeezenext_23", {"input_shape": (3, 2**31, 2**31)}, "has more than 1125899906842624 elements"),
        ("squeezenext_23", {"input_shape": (1, 3, 227, 227), "batch": 2}, "says the batch already"),
        ("squeezenext_23", {"batch": 0}, "batch: sizes must be integers from 1"),
        ("squeezenext_23", {"batch": 2, "inputs": {"x": (1, 3, 227, 227)}}, "batch cannot be given"),
        ("squeezenext_23", {"inputs": {"x": (1, 3, -1, 227)}}, "input 'x': sizes must be"),
        ("squeezenext_23", {"inputs": {"y": (1, 3, 227, 227)}}, "rejects y 1x3x227x227"),
        ("squeezenext_23", {"inputs": [(1, 3, 2**40, 227)]}, "input 0: sizes must be"),
        (nn.Linear(4, 4), {"inputs": {"input": {"x": [(2**40, 4)]}}}, "input 'input'['x'][0]: sizes must be"),
        (
            nn.Linear(4, 4),
            {"inputs": (1, 4)},
            "inputs=(1, 4) is the shape of one input: meant input_shape=(1, 4)?",
        ),
    ],
)
def test_mistakes_get_one_line(model, given, message):
    with pytest.raises(SqueezesimError) as caught:
        load(model, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cross_check_of_a_network_with_options_and_of_a_file(tmp_path):
    rows = cross_check("squeezenet_1_1", input_shape="3x64x64", bypass="complex")
    assert (
        sum(row.macs for row in rows) == load("squeezenet_1_1", input_shape="3x64x64", bypass="complex").macs
    )
    assert all(row.agrees for row in rows)
    (tmp_path / "my.py").write_text("import torch\ndef make():\n    return torch.nn.Linear(4, 7)\n")
    source = f"{tmp_path / 'my.py'}:make"
    assert [(row.module, row.fvcore_macs) for row in cross_check(source, input_shape="4")] == [("", 28)]
    assert [row.macs for row in cross_check(source, inputs={"input": (3, 4)})] == [84]
    with pytest.raises(UsageError, match="needs its input"):
        cross_check(source)
    Network.save(load("alexnet"), tmp_path / "a.graph.json")
    with pytest.raises(ModelError, match="no module to count"):
        cross_check(tmp_path / "a.graph.json")


def test_cross_check_shows_where_counts_differ():
    class Heads(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x)

    (row,) = cross_check(Heads(), input_shape=(1, 2, 5, 4))
    assert (row.module, row.macs, row.agrees) == ("", 2 * 2 * 5 * 5 * 4, False)


def test_shapes_are_nested_as_the_forward_takes_them():
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 2)

        def forward(self, batch, pair, scale):
            left, (right,) = pair
            return self.linear(batch["image"]) + self.linear(batch["more"][0]) + (left + right) * scale

    inputs = {
        "batch": {"image": (1, 3, 5, 8), "more": [(3, 5, 8)]},
        "pair": (torch.zeros(5, 2), [(2,)]),
        "scale": 2.0,
    }
    network = load(Nested(), inputs=inputs)
    assert network.macs == 2 * 15 * 16
    assert [shape for _, shape in network.inputs] == [(1, 3, 5, 8), (3, 5, 8), (5, 2), (2,)]
    assert load(Nested(), inputs=list(inputs.values())).macs == network.macs
    assert sum(row.macs for row in cross_check(Nested(), inputs=inputs)) == network.macs


def test_a_shape_that_has_the_batch_is_taken_as_it_stands():
    module = nn.LSTM(5, 6, batch_first=True)
    network = load(module, input_shape="2x9x5")
    literal = load(module, input_shape=(2, 9, 5))
    assert network.layers == literal.layers
    assert network.inputs == (("input", (2, 9, 5)),)
    assert literal.notes == ()
    assert network.notes == (
        "input 2x9x5 has the batch: with one more before it, 1x2x9x5, the model does not run",
    )
    assert load(module, input_shape="9x5").inputs == (("input", (1, 9, 5)),)
    counted = cross_check(module, input_shape="2x9x5")
    assert [row.macs for row in counted] == [network.macs]


@pytest.mark.parametrize("given", [{"input_shape": "2x9x4"}, {"input_shape": "2x9x5", "batch": 1}])
def test_where_no_shape_runs_it_is_the_first_that_is_told(given):
    runs = []

    class Counted(nn.LSTM):
        def forward(self, x):
            runs.append(tuple(x.shape))
            return super().forward(x)

    with pytest.raises(ModelError, match="rejects input 1x2x9x") as caught:
        load(Counted(5, 6, batch_first=True).to("meta"), **given)
    assert "2x9" in str(caught.value)
    assert runs == ([(1, 2, 9, 4), (2, 9, 4)] if "batch" not in given else [(1, 2, 9, 5)])


def test_notes_of_a_trace_are_those_of_the_network():
    class Chosen(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return self.fc(x[x.sum(-1) > -1])

    network = load(Chosen(), input_shape=(3, 4))
    assert len(network.notes) == 1
