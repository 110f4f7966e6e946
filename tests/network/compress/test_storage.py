"""Sizes of compressed weights: against an encoder that writes the entries, and the numbers of the SqueezeNet paper."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim import Layer, compress, load, prune, quantize
from squeezesim.network.compress.storage import Sizes, layer_sizes, network_sizes, nonzeros, relative_entries


def encoded(places: list[int], index_bits: int) -> list[int]:
    """Distances of a relative index, one for each entry: padding zeros stand where the next is too far away."""
    entries, last = [], -1
    for place in places:
        while place - last > 2**index_bits:
            entries.append(2**index_bits)
            last += 2**index_bits
        entries.append(place - last)
        last = place
    return entries


def test_the_encoder_of_these_tests_pads_as_the_paper_draws() -> None:
    """Figure 2 of Deep Compression: places 1, 4 and 15 with 3 bits need one padding zero."""
    assert encoded([1, 4, 15], 3) == [2, 3, 8, 3]


@pytest.mark.parametrize("index_bits", [2, 4, 5])
@pytest.mark.parametrize("density", [0.01, 0.05, 0.2, 0.33, 0.9, 1.0])
def test_entries_of_random_zeros(index_bits: int, density: float) -> None:
    weights = 400_000
    count = nonzeros(weights, density)
    places = np.sort(np.random.default_rng(1).permutation(weights)[:count])
    found = len(encoded(places.tolist(), index_bits))
    padding = relative_entries(weights, count, index_bits) - count
    assert abs(found - count - padding) <= 5 * math.sqrt(padding + 1) + 0.005 * padding


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 8))
def test_entries_are_between_the_non_zeros_and_all_places(weights: int, count: int, index_bits: int) -> None:
    count = min(count, weights)
    entries = relative_entries(weights, count, index_bits)
    assert count <= entries <= count + math.ceil(weights / 2**index_bits) + 1
    assert relative_entries(weights, weights, index_bits) == weights


def test_sizes_by_hand() -> None:
    """64 filters of 16·3·3 weights and 64 biases; a quarter of 9,216 weights, 2,304, stays."""
    layer = Layer.conv("a", c=16, k=64, oy=8, ox=8, fy=3, fx=3, bias=True)
    biases = 64 * 32
    assert layer_sizes(layer, 6, 32, 0.25) == Sizes(
        dense=9216 * 6 + biases,
        values=2304 * 6 + biases,
        bitmap=2304 * 6 + 9216 + biases,
        relative4=math.ceil(2304 / (1 - 0.75**16)) * (6 + 4) + biases,
        relative5=math.ceil(2304 / (1 - 0.75**32)) * (6 + 5) + biases,
        csr=2304 * (6 + 8) + 65 * 12 + biases,
    )
    assert layer_sizes(layer, 6, 32, 0.0).least == biases


def test_what_is_counted_elsewhere_takes_nothing_here() -> None:
    layer = Layer.conv("a", c=16, k=64, oy=8, ox=8, fy=3, fx=3, bias=True)
    tied = replace(layer, params=64)
    assert layer_sizes(tied, 8, 32, 0.5) == Sizes(*[64 * 32] * 6)
    attention = Layer.matmul("b", m=4, n=4, k=4, weights_are_activations=True)
    assert layer_sizes(attention, 8, 32, 1.0) == Sizes(*[0] * 6)
    norm = Layer.vector("norm", op="layer_norm", k=8, params=16)
    assert layer_sizes(norm, 8, 32, 0.5) == Sizes(*[16 * 8] * 6)


@given(st.floats(0, 1), st.sampled_from([1, 4, 8, 32]))
def test_the_smallest_form_is_never_below_its_values(density: float, bits: int) -> None:
    layer = Layer.matmul("fc", m=1, n=100, k=300, bias=True)
    sizes = layer_sizes(layer, bits, 32, density)
    assert sizes.values <= sizes.least <= sizes.dense
    fewer = layer_sizes(layer, bits, 32, density / 2)
    assert all(small <= large for small, large in zip(fewer, sizes, strict=True))


TABLE_1 = {
    "*fire[68].expand1x1": 0.5,
    "*fire[79].squeeze": 0.5,
    "*fire[89].expand3x3": 0.3,
    "*expand3x3": 0.33,
    "*conv10": 0.2,
    "*": 1,
}
"""Densities of Table 1 of the SqueezeNet paper, arXiv 1602.07360; what is not named is dense."""

PARAMETERS = {
    "conv1": (14_208, 14_208),
    "fire2": (11_920, 5_746),
    "fire3": (12_432, 6_258),
    "fire4": (45_344, 20_646),
    "fire5": (49_440, 24_742),
    "fire6": (104_880, 44_700),
    "fire7": (111_024, 46_236),
    "fire8": (188_992, 77_581),
    "fire9": (197_184, 77_581),
    "conv10": (513_000, 103_400),
}
"""Parameters before and after pruning, as that table prints them; 1,248,424 and 421,098 in all."""


def test_densities_of_the_squeezenet_paper_leave_its_parameters() -> None:
    layers = [layer for layer in prune(load("squeezenet_1_0"), TABLE_1).layers if layer.kind == "mac"]
    left = dict.fromkeys(PARAMETERS, (0, 0.0))
    for layer in layers:
        (block,) = [name for name in PARAMETERS if name in layer.name.split(".")]
        stays = layer.weight_elements * (layer.weight_density or 0) + layer.params - layer.weight_elements
        left[block] = left[block][0] + layer.params, left[block][1] + stays
    for block, (before, after) in PARAMETERS.items():
        assert left[block][0] == before
        assert left[block][1] == pytest.approx(after, abs=1)
    assert sum(after for _, after in PARAMETERS.values()) == 421_098


def test_the_sizes_of_the_squeezenet_paper() -> None:
    """4.8 MB of floats, 0.47 MB with 6 bits and 0.66 MB with 8, in the forms that docs/compression.md names."""
    network = load("squeezenet_1_0")
    floats, _ = network_sizes(network.layers)
    assert floats.dense == 1_248_424 * 32
    assert floats.dense / 8 / 2**20 == pytest.approx(4.8, abs=0.05)
    six = compress(network, {"prune": TABLE_1, "quantize": "w6acc6"})
    indexed = [layer_sizes(layer, 6, 6, layer.weight_density or 1) for layer in six.layers]
    dense = [layer.weight_density in (None, 1) for layer in six.layers]
    bits = sum(size.dense if whole else size.relative4 for size, whole in zip(indexed, dense, strict=True))
    assert bits / 8 / 1e6 == pytest.approx(0.47, rel=0.02)
    eight = quantize(prune(network, TABLE_1), "w8")
    sizes, _ = network_sizes(eight.layers)  # biases as floats
    codebooks, counts = 26 * 256 * 32, 26 * 32
    assert (sizes.relative4 + codebooks + counts) / 8 / 1e6 == pytest.approx(0.66, rel=0.025)
