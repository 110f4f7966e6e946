"""One axis of a layer cut into tiles: candidate sizes, and the input that a run of outputs reads."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from squeezesim.cost.workload import Ints

# Axes longer than this are cut into no more tiles than this, and offer no more sizes than _SIZES.
_TILES, _SIZES = 1 << 16, 512


@lru_cache(maxsize=4096)
def tile_sizes(extent: int, multiple: int = 1) -> Ints:
    """Candidate tile sizes of an axis, ascending: ⌈extent/i⌉ for every i, and those rounded up to *multiple*.

    ⌈extent/i⌉ is the smallest size that needs no more than i tiles; its multiple fills the array's rows or columns.
    Of axes beyond 65,536 a selection that is even on a logarithmic scale stands for all sizes.

    Example:
        >>> tile_sizes(10).tolist(), tile_sizes(10, 4).tolist()
        ([1, 2, 3, 4, 5, 10], [1, 2, 3, 4, 5, 8, 10])
    """
    counts = np.arange(1, int(np.sqrt(extent)) + 2, dtype=np.int64)
    large = -(-extent // counts)
    small = counts[-(-extent // -(-extent // counts)) == counts]
    sizes = _distinct(large, small)
    if extent > _TILES:
        sizes = sizes[sizes >= -(-extent // _TILES)]
        sizes = sizes[_distinct(np.geomspace(1, len(sizes), _SIZES).astype(np.int64)) - 1]
    rounded = np.minimum(-(-sizes // multiple) * multiple, extent)
    result = _distinct(sizes, rounded)
    result.flags.writeable = False
    return result


def _distinct(*sizes: Ints) -> Ints:
    """All of the *sizes*, each once, ascending."""
    every = np.sort(np.concatenate(sizes))  # np.unique would import numpy.ma
    return every[np.diff(every, prepend=0) > 0]


class Window(NamedTuple):
    """How outputs read inputs along one axis: stride, filter taps, dilation, padding before, input positions."""

    stride: Ints
    taps: Ints
    dilation: Ints
    padding: Ints
    available: Ints


def input_extent(start: Ints, size: Ints, window: Window, skip: bool) -> Ints:
    """Input positions along one axis that *size* outputs from output *start* on make the DMA load.

    The span from the first to the last tap, (size − 1) · stride + (taps − 1) · dilation + 1, clipped to the input:
    padding is not loaded. With *skip*, the positions between two windows of a stride larger than the filter are left
    out.

    Example: a 3-tap filter with stride 1 and padding 1 reads positions 0…8 of its input for outputs 0…7: 9 of them.
    """
    stride, taps, dilation, padding, available = window
    extent = (taps - 1) * dilation + 1
    first = start * stride - padding
    last = first + (size - 1) * stride + extent
    span = np.maximum(np.minimum(last, available) - np.maximum(first, 0), 0)
    if not skip or not np.any(stride > extent):
        return np.asarray(span)

    def touched_before(position: Ints) -> Ints:
        full, rest = np.divmod(np.maximum(position - first, 0), stride)
        return np.asarray(np.minimum(full * extent + np.minimum(rest, extent), size * extent))

    touched = touched_before(available) - touched_before(np.zeros_like(available))
    return np.where(stride > extent, touched, span)
