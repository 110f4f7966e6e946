"""Clusters: machines of a family parted into such that are alike, for the search to treat together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from squeezesim.cost.rates import Rates
from squeezesim.cost.workload import Floats, Ints

_MOST = 128  # machines of a cluster
_SPREAD = 1.0  # largest ratio of numbers in a cluster, as a power of two


def clusters(rates: Rates) -> Iterator[Ints]:
    """Part the machines of a family by buffer size, bandwidths and latency: indices of each cluster.

    What a cluster is made of changes how long the search takes and nothing that it finds.
    """
    logarithms = np.log2(
        [
            rates.buffer_bits.astype(np.float64),
            rates.dram_bytes_per_cycle,
            1.0 + rates.setup + 3.0 * rates.dram_latency,
            np.nan_to_num(rates.buffer_bits_per_cycle, posinf=1.0),
        ]
    )
    yield from _parted(np.arange(len(rates)), logarithms)


def _parted(index: Ints, logarithms: Floats) -> Iterator[Ints]:
    """Halve along the number that spreads the most until what is left is alike and not too many."""
    if len(index) == 0:
        return
    numbers = logarithms[:, index]
    spread = np.ptp(numbers, axis=1)
    widest = int(spread.argmax())
    if len(index) == 1 or (len(index) <= _MOST and spread[widest] <= _SPREAD) or spread[widest] == 0:
        for start in range(0, len(index), _MOST):
            yield index[start : start + _MOST]
        return
    ranked = index[np.argsort(numbers[widest], kind="stable")]
    values = logarithms[widest, ranked]
    middle = values[len(values) // 2]
    cut = int(np.searchsorted(values, middle)) or int(np.searchsorted(values, middle, side="right"))
    yield from _parted(ranked[:cut], logarithms)
    yield from _parted(ranked[cut:], logarithms)
