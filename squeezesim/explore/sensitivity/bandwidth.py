"""Break-even bandwidth: from which bandwidth on something else than DRAM sets the pace of the most cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from squeezesim.explore.sweep.engine import totals

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network

_PATH = "memory.dram.bandwidth_gb_s"
_LEAST, _MOST = 1e-3, 1e6  # what the parameter can be
_POINTS, _ROUNDS = 33, 4


def break_even(network: Network, accelerator: Accelerator) -> float | None:
    """Return the bandwidth in GB/s from which on something else than DRAM sets the pace of the most cycles.

    Cycles are those of the whole network by what sets their pace, as in ``bound`` of its totals.

    Each round parts the interval in which it lies into 32; the last one is less than 0.1 % wide. None where DRAM sets
    it even at 1,000,000 GB/s, 0.001 where it never does.

    Example: 15.9 for squeezenext_23 on squeezelerator_16x16, which has 16.
    """
    low, high = _LEAST, _MOST
    fused = network.fused
    for number in range(_ROUNDS):
        points = np.geomspace(low, high, _POINTS)
        bound = totals(fused, [accelerator.replace({_PATH: float(point)}) for point in points])["bound"]
        waiting = np.flatnonzero([name == "dram" for name in bound])
        if len(waiting) == 0:
            return low if number == 0 else high
        if waiting[-1] == _POINTS - 1:
            return None if number == 0 else high
        low, high = float(points[waiting[-1]]), float(points[waiting[-1] + 1])
    return high
