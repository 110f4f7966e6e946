"""Structured pruning against PyTorch: the pruned network is the trace of the same module built with fewer channels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from squeezesim import load, prune_channels
from squeezesim.errors import ModelError, UsageError
from squeezesim.frontends.torch.trace import trace
from squeezesim.network import Layer, Network
from squeezesim.zoo.registry import catalogue
from tests.network.strategies import networks

few = settings(max_examples=15)


def left(share: float, filters: int, unit: int = 1) -> int:
    """Filters that stay: rounded half up, in steps of *unit*, at least one step."""
    return max(1, math.floor(share * (filters // unit) + 0.5)) * unit


class Plain(nn.Module):
    """A chain that ends in a flattened image and two linear layers."""

    def __init__(self, a: int, b: int, c: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, a, 3, padding=1)
        self.norm = nn.BatchNorm2d(a)
        self.b = nn.Conv2d(a, b, (3, 1), stride=2, bias=False)
        self.fc1 = nn.Linear(b * 4 * 2, c)
        self.norm1 = nn.BatchNorm1d(c)
        self.fc2 = nn.Linear(c, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.a(x)))
        x = self.b(x).flatten(1)
        return self.fc2(functional.relu(self.norm1(self.fc1(x))))


class Branches(nn.Module):
    """Adds, a concat that is added to, a depthwise convolution, squeeze-and-excitation."""

    def __init__(self, stem: int, left: int, right: int, hidden: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, stem, 3, padding=1)
        self.depthwise = nn.Conv2d(stem, stem, 3, padding=1, groups=stem)
        self.left = nn.Conv2d(stem, left, 1)
        self.right = nn.Conv2d(stem, right, 3, padding=1)
        self.bypass = nn.Conv2d(stem, left + right, 1)
        self.squeeze = nn.Linear(left + right, hidden)
        self.excite = nn.Linear(hidden, left + right)
        self.head = nn.Conv2d(left + right, 7, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + functional.relu(self.depthwise(x))
        x = torch.cat([self.left(x), self.right(x)], 1) + self.bypass(x)
        scale = torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean((2, 3))))))
        return self.head(functional.max_pool2d(x * scale[:, :, None, None], 2)).mean((2, 3))


class Groups(nn.Module):
    """Groups whose channels are shuffled, a depthwise convolution with two filters a channel, a module called twice."""

    def __init__(self, width: int, middle: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 1)
        self.grouped = nn.Conv2d(width, middle, 3, padding=1, groups=4)
        self.expand = nn.Conv2d(middle, 2 * middle, 3, groups=middle)
        self.back = nn.Conv2d(2 * middle, out, 1, groups=2)
        self.shared = nn.Conv2d(out, out, 1)
        self.head = nn.Linear(out, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        n, c, h, w = x.shape
        x = x.view(n, 4, c // 4, h, w).transpose(1, 2).reshape(n, c, h, w)
        x = self.back(self.expand(self.grouped(x)))
        x = self.shared(functional.relu(self.shared(x)))
        return self.head(x.mean((2, 3)))


class Volumes(nn.Module):
    """Three dimensions, then a transposed convolution whose input loses channels."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.a = nn.Conv3d(2, a, (3, 3, 1), padding=(1, 1, 0))
        self.b = nn.Conv3d(a, b, (3, 1, 3), bias=False)
        self.up = nn.ConvTranspose3d(b, 4, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(functional.relu(self.b(self.a(x))))


def assert_pruned(
    make: Callable[..., nn.Module],
    before: Sequence[int],
    after: Sequence[int],
    shape: tuple[int, ...],
    share: float,
) -> None:
    pruned = prune_channels(trace(make(*before), shape), share)
    small = trace(make(*after), shape)
    assert pruned.layers == small.layers
    assert (pruned.params, pruned.macs) == (sum(p.numel() for p in make(*after).parameters()), small.macs)


class ChannelsLast(nn.Module):
    """Norms and an add on (N, Y, X, C), as ConvNeXt and Swin have them, around an inverted bottleneck."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 2, stride=2)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.head = nn.Conv2d(width, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).permute(0, 2, 3, 1)
        x = x + self.down(functional.gelu(self.up(self.norm(x))))
        return self.head(x.permute(0, 3, 1, 2))


shares = st.sampled_from([0.1, 0.25, 0.5, 0.6, 0.75, 0.9, 1])
widths = st.integers(2, 24)


@few
@given(widths, widths, widths, shares)
def test_a_chain_with_a_flattened_image(a: int, b: int, c: int, share: float) -> None:
    after = [left(share, width) for width in (a, b, c)]
    assert_pruned(Plain, (a, b, c), after, (2, 3, 9, 4), share)


@few
@given(widths, widths, widths, widths, shares)
def test_adds_concats_depthwise_and_scales(a: int, b: int, c: int, d: int, share: float) -> None:
    after = [left(share, width) for width in (a, b, c, d)]
    assert_pruned(Branches, (a, b, c, d), after, (1, 3, 8, 8), share)


@few
@given(st.integers(2, 6), st.integers(2, 6), st.integers(2, 9), shares)
def test_groups_keep_equal_sizes(a: int, b: int, c: int, share: float) -> None:
    after = [left(share, 4 * a, 4), left(share, 4 * b, 4), left(share, 2 * c, 2)]
    assert_pruned(Groups, (4 * a, 4 * b, 2 * c), after, (1, 3, 7, 7), share)


@few
@given(widths, widths, shares)
def test_channels_that_stand_last(a: int, b: int, share: float) -> None:
    assert_pruned(ChannelsLast, (a, b), [left(share, a), left(share, b)], (2, 3, 60, 6), share)


@few
@given(widths, widths, shares)
def test_three_dimensions_and_transposed_convolutions(a: int, b: int, share: float) -> None:
    after = [left(share, width) for width in (a, b)]
    assert_pruned(Volumes, (a, b), after, (1, 2, 4, 5, 5), share)


@pytest.mark.parametrize(
    ("name", "share"),
    [("mobilenet_v1", 0.25), ("mobilenet_v1", 0.5), ("mobilenet_v1", 0.75), ("resnet18", 0.5)],
)
def test_a_share_of_all_channels_is_the_width_option(name: str, share: float) -> None:
    narrow = load(f"{name}@width={share}", cache=False)
    assert prune_channels(load(name), share).layers == narrow.layers


def whole_reads(network: Network) -> set[str]:
    """The layers that read as many elements as those before them make: none is dropped or repeated in between."""
    makers = {layer.name: layer for layer in network.layers}
    return {
        layer.name
        for layer in network.layers
        if all(name in makers for name in layer.inputs)
        and layer.input_elements == sum(makers[name].output_elements for name in layer.inputs)
    }


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_edge_of_every_built_in_network_stays_consistent(name: str) -> None:
    network = load(name)
    pruned = prune_channels(network, 0.5)
    assert whole_reads(network)
    assert whole_reads(pruned) == whole_reads(network)
    assert pruned.layers[-1].output_elements == network.layers[-1].output_elements


@given(st.sampled_from(["squeezenet_1_0_bypass", "squeezenext_23", "alexnet"]))
@settings(max_examples=3)
def test_a_share_of_one_is_the_identity(name: str) -> None:
    assert prune_channels(load(name), 1) == load(name)


@given(networks(), shares)
def test_any_network_is_pruned_or_refused(network: Network, share: float) -> None:
    try:
        pruned = prune_channels(network, share)
    except (ModelError, UsageError):
        return
    assert [layer.name for layer in pruned.layers] == [layer.name for layer in network.layers]
    for before, after in zip(network.layers, pruned.layers, strict=True):
        assert (after.inputs, after.op, after.oy, after.fy) == (
            before.inputs,
            before.op,
            before.oy,
            before.fy,
        )
        assert 0 < after.k <= before.k
        assert after.macs <= before.macs
        assert after.params <= before.params


def test_parts_that_share_no_divisor_are_not_split_without_end() -> None:
    """Two concats of the same 5,000 and 4,999 channels in either order can only shrink channel by channel."""
    a = Layer.conv("a", c=3, k=5000, oy=1, ox=1, fy=1, fx=1, inputs=["input"])
    b = Layer.conv("b", c=3, k=4999, oy=1, ox=1, fy=1, fx=1, inputs=["input"])
    join = replace(Layer.vector("ab", op="concat", k=9999, inputs=["a", "b"]), kind="view", vector_ops=0)
    turned = replace(join, name="ba", inputs=("b", "a"))
    add = Layer.vector("add", op="add", k=9999, operands=2, inputs=["ab", "ba"])
    last = Layer.conv("last", c=9999, k=2, oy=1, ox=1, fy=1, fx=1)
    with pytest.raises(ModelError, match=r"'a': add combines channels that do not match$"):
        prune_channels(Network.from_layers([a, b, join, turned, add, last]), 0.5)


def test_shares_are_chosen_by_pattern_and_hold_for_what_is_added() -> None:
    network = trace(Branches(8, 8, 8, 4), (1, 3, 8, 8))
    pruned = {layer.name: layer for layer in prune_channels(network, {"left": 0.5, "squeeze": 0.25}).layers}
    assert (pruned["left"].k, pruned["right"].k, pruned["bypass"].k, pruned["squeeze"].k) == (4, 8, 12, 1)
    assert (pruned["head"].c, pruned["stem"].k) == (12, 8)


def test_two_shares_for_the_same_channels_contradict() -> None:
    network = trace(Branches(8, 8, 8, 4), (1, 3, 8, 8))
    with pytest.raises(UsageError) as caught:
        prune_channels(network, {"left": 0.5, "bypass": 0.25})
    assert str(caught.value) == (
        "layers 'left' and 'bypass' must keep the same channels, since their outputs meet; found 0.5 and 0.25"
    )


def test_outputs_of_the_network_stay() -> None:
    network = trace(Plain(4, 4, 4), (1, 3, 9, 4))
    with pytest.raises(ModelError) as caught:
        prune_channels(network, {"fc2": 0.5})
    assert str(caught.value) == (
        "the filters of layer 'fc2' cannot be removed: they are an output of the network"
    )
    with pytest.raises(ModelError, match=r"^no filters of network 'Plain' can be removed: those of 'fc2'"):
        prune_channels(network, {"fc2*": 0.5})
    assert prune_channels(network, 0.5).notes == (
        "filters that cannot be removed stay: fc2 (they are an output of the network)",
    )


class Halves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1)
        self.second = nn.Conv2d(4, 8, 1)
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.second(self.first(x)[:, :4]))


def test_channels_that_are_read_in_part_stay_with_the_reason() -> None:
    network = trace(Halves(), (1, 3, 8, 8))
    with pytest.raises(ModelError) as caught:
        prune_channels(network, {"first": 0.5})
    assert str(caught.value) == (
        "the filters of layer 'first' cannot be removed: second reads only a part of them, or lays them out anew"
    )
    pruned = prune_channels(network, 0.5)
    assert [(layer.k, layer.c) for layer in pruned.layers] == [(8, 3), (4, 4), (2, 4)]
    assert pruned.notes[0].count("(") == 2


def test_attention_keeps_its_channels() -> None:
    network = trace(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (1, 5, 16))
    pruned = prune_channels(network, 0.5)
    changed = {
        after.name: (after.k, after.c)
        for before, after in zip(network.layers, pruned.layers, strict=True)
        if before != after and after.kind == "mac"
    }
    assert changed == {"linear1": (16, 16), "linear2": (16, 16)}


def test_layers_whose_shapes_do_not_fit_are_left_alone() -> None:
    first = Layer.conv("first", c=3, k=8, oy=4, ox=4, fy=1, fx=1)
    other = Layer.conv("other", c=5, k=8, oy=4, ox=4, fy=1, fx=1)
    last = Layer.conv("last", c=8, k=8, oy=4, ox=4, fy=1, fx=1)
    network = Network.from_layers([first, other, last])
    pruned = prune_channels(network, 0.5)
    assert pruned.layers[0] == network.layers[0]
    assert pruned.layers[1].c == 5
    assert pruned.layers[2] == replace(
        network.layers[2], c=4, input_elements=64, weight_elements=32, params=32
    )
