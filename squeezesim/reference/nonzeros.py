"""Weights whose zeros lie as the closed forms deal them: as evenly as they go over the filter slices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.network import Layer

Ints = NDArray[np.int64]


def shares(amount: int, parts: int) -> list[int]:
    """Cut *amount* into *parts* that differ by at most one.

    Example:
        >>> shares(5, 3)
        [1, 2, 2]
    """
    return [(part + 1) * amount // parts - part * amount // parts for part in range(parts)]


def larger_by_chunk(layer: Layer, larger: int, psum_words: int) -> dict[tuple[int, int], int]:
    """How many of *larger* slices each (group, chunk of at most *psum_words* output channels) holds.

    The last chunks of all groups take their proportion, rounded down, and the others the rest; among each the slices
    are dealt as evenly as they go, first chunks first.
    """
    several = -(-layer.k // psum_words) - 1
    last = larger * (layer.k - several * psum_words) // layer.k
    keys = [(group, chunk) for chunk in range(several) for group in range(layer.g)]
    result = dict(zip(keys, shares(larger - last, len(keys)), strict=True)) if keys else {}
    return result | {(group, several): share for group, share in enumerate(shares(last, layer.g))}


def dealt_weights(layer: Layer, least: int, larger: int, psum_words: int, rng: np.random.Generator) -> Ints:
    """Return random weights (G·K, C, FY, FX): *larger* slices hold least + 1 non-zeros, the others *least*.

    Those of a group and chunk are dealt as evenly as they go over input channels, anywhere among the output channels.
    """
    taps = layer.fy * layer.fx
    counts = np.full((layer.g, layer.k, layer.c), least)
    for (group, chunk), share in larger_by_chunk(layer, larger, psum_words).items():
        part = counts[group, chunk * psum_words : (chunk + 1) * psum_words]
        for window, several in zip(part.T, shares(share, layer.c), strict=True):
            window[rng.permutation(window.size)[:several]] += 1
    order = rng.permuted(np.broadcast_to(np.arange(taps), (counts.size, taps)), axis=1)
    present = (order < counts.reshape(-1, 1)).reshape(layer.g * layer.k, layer.c, layer.fy, layer.fx)
    values = rng.integers(1, 9, present.shape) * rng.choice([-1, 1], present.shape)
    return np.asarray(values * present, np.int64)


def convolution(layer: Layer, inputs: Any, weights: Any) -> Ints:
    """The layer's output (N, G·K, OY, OX), tap by tap."""
    (sy, sx), (dy, dx), (py, px) = layer.stride, layer.dilation, layer.padding
    reach_y = (layer.oy - 1) * sy + (layer.fy - 1) * dy + 1
    reach_x = (layer.ox - 1) * sx + (layer.fx - 1) * dx + 1
    after = max(reach_y - layer.iy - py, 0), max(reach_x - layer.ix - px, 0)
    padded = np.pad(np.asarray(inputs), ((0, 0), (0, 0), (py, after[0]), (px, after[1])))
    grouped = padded.reshape(layer.n, layer.g, layer.c, *padded.shape[2:])
    by_group = np.asarray(weights).reshape(layer.g, layer.k, layer.c, layer.fy, layer.fx)
    result = np.zeros((layer.n, layer.g, layer.k, layer.oy, layer.ox), np.int64)
    for i, j in np.ndindex(layer.fy, layer.fx):
        rows = slice(i * dy, i * dy + (layer.oy - 1) * sy + 1, sy)
        columns = slice(j * dx, j * dx + (layer.ox - 1) * sx + 1, sx)
        result += np.einsum("ngcyx,gkc->ngkyx", grouped[..., rows, columns], by_group[..., i, j])
    return result.reshape(layer.n, layer.g * layer.k, layer.oy, layer.ox)
