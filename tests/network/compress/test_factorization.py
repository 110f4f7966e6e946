"""Low rank against PyTorch: the factorised network is the trace of a module whose layers are two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from squeezesim import Layer, Network, low_rank
from squeezesim.errors import UsageError
from squeezesim.frontends.torch.trace import trace
from squeezesim.frontends.torch.weights import weights
from squeezesim.network.compress.factorization import SUFFIX, energy_rank
from tests.draws import among
from tests.network.strategies import networks

few = settings(max_examples=25)

FIELDS = ("op", "n", "g", "k", "c", "oy", "ox", "fy", "fx", "iy", "ix", "stride", "dilation", "padding")
COUNTS = ("input_elements", "weight_elements", "output_elements", "params", "vector_ops", "macs", "fused")


def facts(network: Network) -> list[tuple[Any, ...]]:
    return [tuple(getattr(layer, name) for name in (*FIELDS, *COUNTS)) for layer in network.layers]


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Module, nn.Module, int]:
    """A convolution, a chain of two that has its shape, and their rank."""
    groups = draw(st.integers(1, 3))
    c, k = (groups * draw(st.integers(1, 12)) for _ in range(2))
    kernel = draw(among((1, 1), (3, 3), (1, 5), (3, 1), (2, 3)))
    stride, dilation = (draw(st.tuples(st.integers(1, 2), st.integers(1, 2))) for _ in range(2))
    # Layers do not tell a stride or dilation of one tap, or of one pixel.
    dilation = tuple(d if f > 1 else 1 for d, f in zip(dilation, kernel, strict=True))
    padding = tuple(draw(st.integers(0, f - 1)) for f in kernel)
    bias, rank = draw(st.booleans()), draw(st.integers(1, 12))
    whole = nn.Conv2d(c, k, kernel, stride, padding, dilation, groups, bias)
    (fy, fx), (sy, sx), (dy, dx), (py, px) = kernel, stride, dilation, padding
    if fx == 1:
        first = nn.Conv2d(c, groups * rank, (fy, 1), (sy, sx), (py, px), (dy, 1), groups, bias=False)
        second = nn.Conv2d(groups * rank, k, 1, groups=groups, bias=bias)
    else:
        first = nn.Conv2d(c, groups * rank, (fy, 1), (sy, 1), (py, 0), (dy, 1), groups, bias=False)
        second = nn.Conv2d(groups * rank, k, (1, fx), (1, sx), (0, px), (1, dx), groups, bias)
    return whole, nn.Sequential(first, second), rank


@few
@given(convolutions())
def test_convolutions_become_two(case: tuple[nn.Module, nn.Module, int]) -> None:
    whole, pair, rank = case
    network = trace(whole, (2, whole.in_channels, 9, 9))
    factors = trace(pair, (2, whole.in_channels, 9, 9))
    smaller = sum(layer.weight_elements for layer in factors.layers) < network.layers[0].weight_elements
    made = low_rank(network, f"rank:{rank}")
    assert facts(made) == facts(factors if smaller else network)
    assert made.params == sum(p.numel() for p in (pair if smaller else whole).parameters())


@few
@given(
    st.integers(2, 40),
    st.integers(2, 40),
    st.integers(1, 6),
    st.booleans(),
    st.sampled_from([0.1, 0.25, 0.5]),
)
def test_linear_layers_become_two(features: int, outputs: int, rows: int, bias: bool, share: float) -> None:
    rank = max(1, math.floor(share * min(features, outputs) + 0.5))
    whole = nn.Linear(features, outputs, bias)
    pair = nn.Sequential(nn.Linear(features, rank, bias=False), nn.Linear(rank, outputs, bias))
    network, factors = trace(whole, (2, rows, features)), trace(pair, (2, rows, features))
    smaller = rank * (features + outputs) < features * outputs
    assert facts(low_rank(network, share)) == facts(factors if smaller else network)


def test_three_dimensions_and_transposed_convolutions() -> None:
    whole = nn.Conv3d(8, 8, (2, 3, 3), padding=(0, 1, 1))
    pair = nn.Sequential(
        nn.Conv3d(8, 3, (2, 3, 1), padding=(0, 1, 0), bias=False),
        nn.Conv3d(3, 8, (1, 1, 3), padding=(0, 0, 1)),
    )
    shape = (1, 8, 4, 6, 6)
    assert facts(low_rank(trace(whole, shape), "rank:3")) == facts(trace(pair, shape))
    for kernel in (2, 4):
        up = nn.ConvTranspose2d(8, 6, kernel, stride=2)
        pair = nn.Sequential(nn.Conv2d(8, 3, 1, bias=False), nn.ConvTranspose2d(3, 6, kernel, stride=2))
        assert facts(low_rank(trace(up, (1, 8, 5, 5)), "rank:3")) == facts(trace(pair, (1, 8, 5, 5)))
    volume = nn.ConvTranspose3d(8, 6, 4, stride=2)
    pair = nn.Sequential(nn.Conv3d(8, 3, 1, bias=False), nn.ConvTranspose3d(3, 6, 4, stride=2))
    assert facts(low_rank(trace(volume, (1, 8, 5, 5, 5)), "rank:3")) == facts(trace(pair, (1, 8, 5, 5, 5)))


def test_a_transposed_convolution_whose_loops_have_no_such_channels_stays() -> None:
    """3×3 taps and stride 2 are 72 channels of a phase for 64; of 40, 45, of 35 none."""
    network = trace(nn.ConvTranspose2d(64, 64, 3, 2, 1, 1), (1, 64, 5, 5))
    (first, second) = low_rank(network, "rank:40").layers
    assert (first.c, first.k, second.c, second.k) == (64, 40, 45, 256)
    assert low_rank(network, "rank:35").layers == network.layers


@few
@given(st.integers(1, 2), st.integers(1, 4), st.integers(1, 4), st.data())
def test_factors_of_the_rank_by_energy_give_the_layers_output(
    groups: int, c: int, k: int, data: st.DataObject
) -> None:
    """Weights of a known rank are found to have it, and their factors are a chain with the same output."""
    fy, fx = data.draw(among((1, 1), (3, 3), (2, 3)))
    rank = data.draw(st.integers(1, min(c * fy, k * fx)))
    torch.manual_seed(data.draw(st.integers(0, 2**31)))
    vertical = nn.Conv2d(groups * c, groups * rank, (fy, 1), groups=groups, bias=False).double()
    horizontal = nn.Conv2d(groups * rank, groups * k, (1, fx), groups=groups, bias=False).double()
    whole = nn.Conv2d(groups * c, groups * k, (fy, fx), groups=groups, bias=False).double()
    a = vertical.weight.detach().reshape(groups, rank, c, fy)
    b = horizontal.weight.detach().reshape(groups, k, rank, fx)
    with torch.no_grad():
        whole.weight.copy_(torch.einsum("grcy,gkrx->gkcyx", a, b).reshape(whole.weight.shape))
        x = torch.randn(1, groups * c, 5, 5, dtype=torch.float64)
        assert torch.allclose(whole(x), horizontal(vertical(x)))
    (layer,) = trace(whole, (1, groups * c, 5, 5)).layers
    assert energy_rank(layer, whole.weight.detach().numpy(), 1 - 1e-9) <= rank
    singular = torch.linalg.svdvals(
        whole.weight.detach()
        .reshape(groups, k, c, fy, fx)
        .permute(0, 2, 3, 1, 4)
        .reshape(groups, c * fy, k * fx)
    )
    held = singular.square().cumsum(1) / singular.square().sum(1, keepdim=True)
    wanted = int((held < 0.8).sum(1).max()) + 1
    assert energy_rank(layer, whole.weight.detach().numpy(), 0.8) == wanted


@given(networks(), st.sampled_from([0.1, 0.25, 0.5, 1]))
def test_factors_are_never_larger(network: Network, share: float) -> None:
    if not any(layer.kind == "mac" for layer in network.layers):
        return
    made = low_rank(network, share)
    assert made.params <= network.params
    assert made.vector_ops == network.vector_ops
    assert low_rank(network, 1) == network
    kept = [layer.name for layer in made.layers if not layer.name.endswith(SUFFIX)]
    assert kept == [layer.name for layer in network.layers]


def test_ranks_by_energy_of_a_module() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    with torch.no_grad():
        module[0].weight.copy_(torch.outer(torch.ones(8), torch.arange(8.0)))
    network = trace(module, (1, 8))
    made = low_rank(network, {"0": "energy:0.99", "2": "energy:1"}, weights(network, module))
    assert [layer.name for layer in made.layers] == ["0/low_rank", "0", "1", "2"]
    assert [layer.inputs for layer in made.layers] == [("input",), ("0/low_rank",), ("0",), ("1",)]
    assert made.layers[0].k == 1


def test_names_stay_unique_and_widths_are_kept() -> None:
    layer = Layer.matmul("fc", m=1, n=100, k=100)
    taken = Layer.vector("fc/low_rank", op="relu", k=100)
    network = low_rank(Network.from_layers([layer, taken]), "rank:40")
    assert [part.name for part in network.layers] == ["fc/low_rank/low_rank", "fc", "fc/low_rank"]
    twice = low_rank(network, {"fc": "rank:20"})
    assert [part.c for part in twice.layers if part.kind == "mac"] == [100, 40, 20]
    assert twice.params == 100 * 40 + 40 * 20 + 20 * 100


def test_factors_of_pruned_weights_are_dense() -> None:
    from squeezesim import prune, quantize

    network = Network.from_layers([Layer.matmul("fc", m=1, n=100, k=100)])
    made = low_rank(prune(quantize(network, "w4a8"), 0.3), "rank:10")
    assert [(part.weight_density, part.weight_bits, part.activation_bits) for part in made.layers] == [
        (1.0, 4, 8)
    ] * 2


@pytest.mark.parametrize(
    ("rank", "message"),
    [
        (
            f"rank:{'9' * 5000}",
            f"a rank must be an integer from 1 to 999999999, found 'rank:{'9' * 51}...",
        ),
        ("rank:x", "a rank must be an integer from 1 to 999999999, found 'rank:x'"),
        (
            "1e-999999999",
            "a rank, if neither rank:N nor energy:SHARE, must be a number above 0 to 1, found '1e-999999999'",
        ),
        ("rank:0", "a rank must be at least 1, found 'rank:0'"),
        ("energy:2", "a share of the energy must be a number above 0 to 1, found '2'"),
        ("energy:0.9", "a rank by energy is that of a model's real weights, and none are given"),
        (0, "a rank, if neither rank:N nor energy:SHARE, must be a number above 0 to 1, found 0"),
        ("half", "a rank, if neither rank:N nor energy:SHARE, must be a number above 0 to 1, found 'half'"),
    ],
)
def test_mistakes_in_ranks(rank: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        low_rank(Network.from_layers([Layer.matmul("fc", m=1, n=9, k=9)]), rank)
    assert str(caught.value) == message


def test_weights_that_are_not_finite() -> None:
    network = Network.from_layers([Layer.matmul("fc", m=1, n=2, k=2)])
    with pytest.raises(UsageError, match=r"^the weights of layer 'fc' must be finite for a rank by energy$"):
        low_rank(network, "energy:0.9", {"fc": np.array([[1.0, np.nan], [0.0, 1.0]])})


def test_a_layer_whose_weights_are_missing() -> None:
    network = Network.from_layers([Layer.matmul("fc", m=1, n=9, k=9)])
    with pytest.raises(UsageError, match=r"^the weights of layer 'fc' are not among those given$"):
        low_rank(network, {"fc": "energy:0.9"}, {"other": np.eye(9)})
    assert low_rank(network, "energy:0.9", {"other": np.eye(9)}) == network
