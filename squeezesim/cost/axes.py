"""One axis of a layer cut into tiles: candidate sizes, and the input that a run of outputs reads."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from squeezesim.cost.workload import Bools, Ints


@lru_cache(maxsize=65536)
def tile_sizes(extent: int, multiple: int = 1) -> Ints:
    """Candidate tile sizes of an axis, ascending: ⌈extent/i⌉ for every i, and those rounded up to *multiple*.

    ⌈extent/i⌉ is the smallest size that needs no more than i tiles; its multiple fills the array's rows or columns.

    Example:
        >>> tile_sizes(10).tolist(), tile_sizes(10, 4).tolist()
        ([1, 2, 3, 4, 5, 10], [1, 2, 3, 4, 5, 8, 10])
    """
    root = int(np.sqrt(extent)) + 1
    counts = np.arange(1, root + 1, dtype=np.int64)
    large = -(-extent // counts)
    small = counts[-(-extent // -(-extent // counts)) == counts]
    sizes = np.union1d(large, small)
    rounded = np.minimum(-(-sizes // multiple) * multiple, extent)
    result = np.union1d(sizes, rounded)
    result.flags.writeable = False
    return result


def input_extent(
    start: Ints, size: Ints, stride: Ints, taps: Ints, dilation: Ints, padding: Ints, available: Ints, skip: Bools | bool
) -> Ints:
    """Input positions along one axis that *size* outputs from output *start* make the DMA load.

    The span from the first to the last tap, (size − 1) · stride + (taps − 1) · dilation + 1, clipped to the input:
    padding is not loaded. Where *skip* holds and the stride is larger than the filter, the positions between two
    windows are left out.

    Example: a 3-tap filter with stride 1 and padding 1 reads positions 0…8 of its input for outputs 0…7: 9 of them.
    """
    extent = (taps - 1) * dilation + 1
    first = start * stride - padding
    last = first + (size - 1) * stride + extent
    span = np.maximum(np.minimum(last, available) - np.clip(first, 0, None), 0)
    if not np.any(skip) or not np.any(stride > extent):
        return span

    def touched_before(position: Ints) -> Ints:
        full, rest = np.divmod(np.maximum(position - first, 0), stride)
        return np.minimum(full * extent + np.minimum(rest, extent), size * extent)

    sparse = touched_before(available) - touched_before(np.zeros_like(available))
    return np.where(skip & (stride > extent), sparse, span)
