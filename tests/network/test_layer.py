import dataclasses
from itertools import combinations
from math import lcm

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.errors import ModelError
from squeezesim.network import Layer, Network

from .strategies import convolutions

small = st.integers(1, 4)


@given(st.data())
def test_a_convolution_is_pytorch_s(data):
    """Shapes, operands and params equal those of torch's own convolution, run on the meta device."""
    draw = data.draw
    groups, n = draw(small), draw(small)
    c, k = groups * draw(small), groups * draw(small)
    f, s, d = ((draw(small), draw(small)) for _ in range(3))
    p = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    out = (draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    smallest = [(o - 1) * s[i] + (f[i] - 1) * d[i] + 1 - 2 * p[i] for i, o in enumerate(out)]
    if min(smallest) < 1:
        return
    iy, ix = (
        size + draw(st.integers(0, s[i] - 1)) for i, size in enumerate(smallest)
    )  # rows that no window reads
    layer = Layer.conv(
        "a", n=n, c=c, k=k, oy=out[0], ox=out[1], fy=f[0], fx=f[1], groups=groups,
        stride=s, dilation=d, padding=p, iy=iy, ix=ix, bias=True,
    )  # fmt: skip
    module = torch.nn.Conv2d(c, k, f, stride=s, padding=p, dilation=d, groups=groups, device="meta")
    source = torch.empty(n, c, iy, ix, device="meta")
    result = module(source)
    assert tuple(result.shape) == (layer.n, layer.g * layer.k, layer.oy, layer.ox)
    assert layer.input_elements == source.numel()
    assert layer.weight_elements == module.weight.numel()
    assert layer.output_elements == layer.vector_ops == result.numel()
    assert layer.params == sum(parameter.numel() for parameter in module.parameters())
    assert layer.macs == result.numel() * module.weight[0].numel()


@given(convolutions())
def test_the_default_input_gives_the_output(layer):
    """The last window begins inside the input, and with "same" padding the first one reaches into it."""
    for o, i, s, p, f, d in zip(
        (layer.oy, layer.ox), (layer.iy, layer.ix), layer.stride, layer.padding,
        (layer.fy, layer.fx), layer.dilation, strict=True,
    ):  # fmt: skip
        assert (o - 1) * s - p < i
        assert p <= (f - 1) * d


def test_a_matrix_product_by_hand():
    layer = Layer.matmul("b", m=196, n=64, k=512)
    assert (layer.oy, layer.k, layer.c, layer.g) == (196, 64, 512, 1)
    assert layer.macs == 196 * 64 * 512
    assert (layer.input_elements, layer.weight_elements, layer.output_elements) == (
        196 * 512,
        512 * 64,
        196 * 64,
    )
    attention = Layer.matmul("qk", m=10, n=20, k=32, batch=8, weights_are_activations=True)
    assert (attention.g, attention.params, attention.weight_elements) == (8, 0, 8 * 32 * 20)


def test_a_vector_layer_by_hand():
    pool = Layer.vector("p", op="max_pool", k=64, oy=55, ox=55, fy=3, fx=3, stride=2)
    assert (pool.iy, pool.ix, pool.vector_ops, pool.macs) == (111, 111, 64 * 55 * 55 * 9, 0)
    add = Layer.vector("a", op="add", k=32, oy=55, ox=55, operands=2)
    assert (add.input_elements, add.output_elements, add.vector_ops) == (2 * 96800, 96800, 96800)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "layer 'a': k must be an integer from 1 to 2147483648, found 0"),
        ({"k": -3}, "k must be an integer from 1"),
        ({"c": 2**31 + 1}, "c must be an integer from 1 to 2147483648"),
        ({"oy": True}, "oy must be an integer from 1 to 2147483648, found True"),
        ({"ox": 1.0}, "ox must be an integer"),
        ({"params": -1}, "params must be an integer from 0 to 1125899906842624"),
        ({"vector_ops": 2**50 + 1}, "vector_ops must be an integer"),
        (
            {"k": 2**31, "c": 2**31, "oy": 2},
            "the product of its loop sizes, 332041393326771929088, is more than",
        ),
        ({"stride": (0, 1)}, "stride must be an integer from 1"),
        ({"stride": (1,)}, "stride must be two integers, found (1,)"),
        ({"padding": (-1, 0)}, "padding must be an integer from 0"),
        ({"kind": "magic"}, "kind must be one of mac, vector, view, found 'magic'"),
        ({"op": ""}, "op must be non-empty printable text"),
        ({"stage": "a\nb"}, r"stage must be printable text of at most 1000 characters, found 'a\nb'"),
        ({"module": "\x1b[31m"}, "module must be printable text"),
        ({"inputs": ["x"]}, "inputs must be a tuple of names"),
        ({"inputs": (3,)}, "inputs must be non-empty printable text"),
        ({"weight_bits": 65}, "weight_bits must be an integer from 1 to 64"),
        ({"weight_density": float("nan")}, "weight_density must be a number from 0 to 1, found nan"),
        ({"weight_density": 1.5}, "weight_density must be a number from 0 to 1"),
        ({"weight_pattern": "4:2"}, "weight_pattern must be N:M with N ≤ M, found '4:2'"),
        ({"weight_pattern": 24}, "weight_pattern must be N:M with N ≤ M, found 24"),
        ({"weights_are_activations": 1}, "weights_are_activations must be true or false"),
        ({"name": "n" * 1001}, "name must be non-empty printable text"),
    ],
)
def test_what_no_layer_may_say(change, message):
    layer = Layer.conv("a", c=4, k=4, oy=4, ox=4, fy=3, fx=3)
    with pytest.raises(ModelError) as caught:
        dataclasses.replace(layer, **change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_groups_divide_the_channels():
    with pytest.raises(ModelError, match="groups = 3 does not divide c = 4 and k = 6"):
        Layer.conv("a", c=4, k=6, oy=1, ox=1, fy=1, fx=1, groups=3)


def test_from_layers_chains_what_names_no_inputs():
    conv = Layer.conv("a", c=64, k=32, oy=56, ox=56, fy=3, fx=3)
    skip = Layer.vector("c", op="add", k=32, oy=56, ox=56, operands=2, inputs=("a", "b"))
    network = Network.from_layers([conv, Layer.conv("b", c=32, k=32, oy=56, ox=56, fy=1, fx=1), skip])
    assert [layer.inputs for layer in network.layers] == [("input",), ("a",), ("a", "b")]
    assert network.inputs == (("input", (1, 64, 56, 56)),)
    assert network.params == 64 * 32 * 9 + 32 * 32
    assert network.macs == 56 * 56 * (64 * 32 * 9 + 32 * 32)
    assert network.vector_ops == 32 * 56 * 56
    assert list(network.to_frame()["macs"]) == [layer.macs for layer in network.layers]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "has no layers"),
        ([Layer.matmul("a", m=1, n=1, k=1)] * 2, "the name 'a' is used twice"),
        ([Layer.matmul("input", m=1, n=1, k=1)], "the name 'input' is used twice"),
        (
            [Layer.matmul("a", m=1, n=1, k=1, inputs=("a",))],
            "layer 'a' reads 'a', which is no input and no layer before",
        ),
        (
            [Layer.matmul("fc1", m=1, n=1, k=1), Layer.matmul("b", m=1, n=1, k=1, inputs=("fc",))],
            "reads 'fc', which is no input and no layer before it; did you mean 'fc1'?",
        ),
    ],
)
def test_what_no_network_may_say(layers, message):
    with pytest.raises(ModelError) as caught:
        Network.from_layers(layers)
    assert message in str(caught.value)


def test_a_network_shows_itself_on_one_screen():
    network = Network.from_layers([Layer.matmul("fc", m=1, n=1000, k=128, stage="head")])
    assert repr(network) == str(network)
    assert str(network) == (
        "custom (input 1x128x1x1)\n"
        "  1 layer, 128,000 params, 128,000 MACs, 0 vector ops\n"
        "  head     1 layer, 128,000 params, 128,000 MACs"
    )


def test_sums_over_a_network_stay_within_what_is_counted() -> None:
    large = Layer.vector("a", op="add", k=2**25, oy=2**25)
    with pytest.raises(
        ModelError, match=r"the sum of input_elements over its layers, \d+, is more than 7\d+$"
    ):
        Network.from_layers([dataclasses.replace(large, name=f"a{number}") for number in range(65)])


def test_sums_over_a_network_are_those_of_all_steps() -> None:
    large = Layer.vector("a", op="add", k=2**20, oy=2**20).repeated(2**10)
    with pytest.raises(ModelError, match="the sum of input_elements over its layers"):
        Network.from_layers([dataclasses.replace(large, name=f"a{number}") for number in range(65)])


@given(st.integers(1, 6), st.integers(2, 6), st.data())
def test_a_pattern_fits_others_that_no_choice_of_its_weights_breaks(
    size: int, block: int, data: st.DataObject
) -> None:
    """Oracle: every choice of N of M channels, in each of the blocks until both begin together again."""
    kept, held = data.draw(st.integers(1, size)), data.draw(st.integers(1, block - 1))
    layer = dataclasses.replace(Layer.matmul("fc", m=1, n=1, k=8), weight_pattern=f"{kept}:{size}")
    most = 0
    for start in range(0, lcm(size, block), block):
        window = range(start, start + block)
        most = max(
            most,
            sum(
                max(sum(first + at in window for at in chosen) for chosen in combinations(range(size), kept))
                for first in range(0, lcm(size, block), size)
            ),
        )
    assert layer.packed_as([f"{held}:{block}"]) == ((held, block) if most <= held else (1, 1))


@pytest.mark.parametrize(
    ("pattern", "patterns", "taken"),
    [
        ("1:4", ["2:4"], (2, 4)),
        ("1:4", ["2:4", "1:4", "1:2"], (1, 4)),
        ("1:2", ["2:4", "1:2"], (1, 2)),  # of equal shares the smaller blocks, whose rest is smaller
        ("2:4", ["4:8", "1:2", "1:4"], (4, 8)),
        ("2:8", ["2:4", "1:4"], (2, 4)),
        ("3:4", ["2:4", "4:8"], (1, 1)),
        ("", ["2:4"], (1, 1)),
    ],
)
def test_the_pattern_that_keeps_least_is_taken(
    pattern: str, patterns: list[str], taken: tuple[int, int]
) -> None:
    layer = dataclasses.replace(Layer.matmul("fc", m=1, n=1, k=8), weight_pattern=pattern)
    assert layer.packed_as(patterns) == taken
