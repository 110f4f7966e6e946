"""Transfers take whole cycles: what rounding them up adds to the traffic of tilings at least.

    cycles of the port = Σ over transfers of ⌈bits / rate⌉
                       ≥ traffic / rate + Σ over some of them of (⌈bits / rate⌉ − bits / rate)

Every tile of weights is loaded at least once, whatever the mode. Where a tile has all pixels, the same holds for inputs
and outputs. Layers that wait for their weights have thousands of tilings of the same traffic: this tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from squeezesim.cost.bounds import Space
from squeezesim.cost.pipeline import transfer_cycles
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.cost.rates import Rates
from squeezesim.cost.views import Products

_G, _K, _C = range(3)


def rounded_up(space: Space, ideal: Rates) -> Products:
    """Return the cycles beyond traffic / rate of tilings at least, on the only machine of *ideal*, with one memory."""
    work, channels = space.work, space.channels
    of_options = work.take(channels.owner)
    rate = float(ideal.bytes_per_cycle[0, 0])

    def beyond(axes: tuple[int, ...], bits: Callable[[Workload, Ints], Ints]) -> Floats:
        """Of an operand whose tiles have these axes, and *bits* in so many elements."""
        found = np.zeros(len(channels.owner))
        for count, elements in _tiles(space, axes):
            of_tile = bits(of_options, elements)
            found += count * (transfer_cycles(of_tile, rate) - of_tile / (8 * rate))
        return found

    def weights(problem: Workload, elements: Ints) -> Ints:
        if space.machine.compressed:
            return problem.moved_weights(elements * problem.taps) * (problem.factor_bits > 0)
        return elements * problem.taps * problem.factor_bits

    several = beyond((_G, _K, _C), weights) - (of_options.constants > 0)  # these come with the first tile
    whole = space.inputs.once[space.pixels.offsets[1:] - 1][channels.owner]
    single = several + beyond((_G, _C), lambda problem, elements: whole * elements * problem.input_bits)
    single -= of_options.second > 0  # what is added to the first outputs comes with the first inputs
    if not space.pooled:
        single += beyond((_G, _K), lambda problem, elements: problem.pixels * elements * problem.output_bits)
    return Products.of([np.ones(len(space.pixels.owner))], [np.maximum(several, 0)], [np.maximum(single, 0)])


def _tiles(space: Space, axes: tuple[int, ...]) -> Iterator[tuple[Ints, Ints]]:
    """Different tiles along *axes* of the channel options: how many there are of each, and their elements."""
    channels = space.channels
    for corner in np.ndindex(*(2 for _ in axes)):
        count, elements = np.ones((2, len(channels.owner)), np.int64)
        for axis, is_last in zip(axes, corner, strict=True):
            count *= 1 if is_last else channels.tiles[axis] - 1
            elements *= (channels.last if is_last else channels.sizes)[axis]
        if count.any():
            yield count, elements
