"""What whole tilings of a dataflow cost on the array, exactly: accesses, and closed forms of cycles and energy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from squeezesim.cost.bounds import ArrayForms, OptionSpace, Space
from squeezesim.cost.dataflow.base import Access, Accesses, Dataflow, Tile, TileCost
from squeezesim.cost.energy import AccessBits, Bits, access_bits, layer_energy, level_bits, total
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.cost.rates import Rates
from squeezesim.cost.traffic import C
from squeezesim.cost.views import Products

_ROUNDING = 1e-13  # of the magnitudes that a sum with negative parts is made of


def latencies(work: Workload, machine: Machine) -> Floats:
    """How often each problem waits for a memory's latency at least: for two first loads and the last store.

    Where there are several memories, the two may wait at the same time. What lives in the buffer is not waited for, nor
    inputs of which the first output may read the padding alone.
    """
    reads_some = ((work.fy - 1) * work.dy >= work.py) & ((work.fx - 1) * work.dx >= work.px)
    inputs = (work.input_bits > 0) & reads_some
    weights = (work.factor_bits > 0) | (work.constants > 0)
    loads = inputs + weights * 1.0 if len(machine.memories) == 1 else (inputs | weights) * 1.0
    return np.asarray(loads + (work.output_bits > 0))


class DataflowCosts:
    """One dataflow for one family of machines: what its tilings cost on the array."""

    def __init__(self, space: OptionSpace, flow: Dataflow) -> None:
        self.space, self.flow = space, flow
        self.objective = space.machine.objective
        self.executed: Ints = flow.executed(space.work, space.machine)
        self.waits = latencies(space.work, space.machine)
        self._priced: tuple[tuple[float, ...], Products] | None = None

    @cached_property
    def array(self) -> ArrayForms:
        """Closed forms of cycles, and terms for accesses."""
        return ArrayForms(self.space, self.flow)

    def access_bits(self, pixel: Ints, channel: Ints) -> AccessBits:
        """Bits that the array moves in whole layers with the given options, exactly."""
        whole = self.space.work.take(self.space.pixels.owner[pixel])
        started = whole.g * whole.k * whole.pixels
        return access_bits(whole, self.accesses(pixel, channel), started)

    def accesses(self, pixel: Ints, channel: Ints) -> Accesses:
        """Accesses of whole layers with the given options, exactly; sums that begin are among the reads."""
        bounds, machine = self.flow.bounds, self.space.machine
        whole = self.space.work.take(self.space.pixels.owner[pixel])
        if not isinstance(self.space, Space):  # closed forms of all options are not worth it for a few
            return self._summed_accesses(pixel, channel)
        if bounds.exact is True:
            return bounds.accesses(whole, *self._terms(pixel, channel), machine)[0]
        summed = np.arange(len(pixel)) if bounds.exact is False else self._inexact(whole, pixel, channel)
        of_tiles = self._summed_accesses(pixel[summed], channel[summed])
        if len(summed) == len(pixel):
            return of_tiles
        found = bounds.accesses(whole, *self._terms(pixel, channel), machine)[0]
        if len(summed):
            found = {access: np.broadcast_to(words, pixel.shape) * 1.0 for access, words in found.items()}
            for access, words in of_tiles.items():
                found[access][summed] = words
        return found

    def _summed_accesses(self, pixel: Ints, channel: Ints) -> dict[Access, Any]:
        """The same from the cost of each different tile."""
        owner, count, cost = self._tile_costs(pixel, channel)
        return {
            access: np.bincount(owner, words * count, len(pixel)) for access, words in cost.accesses().items()
        }

    def _inexact(self, whole: Workload, pixel: Ints, channel: Ints) -> Ints:
        """Tilings whose accesses are those of their tiles alone."""
        exact = self.flow.bounds.exact
        assert callable(exact)
        least, most = self.space.pixels.last, self.space.channels.sizes
        tile = Tile(*(axis[pixel] for axis in least), *(axis[channel] for axis in most))
        return np.flatnonzero(~exact(whole, tile, self.space.machine))

    def _tiles(self, pixel: Ints, channel: Ints) -> tuple[Ints, Ints, Workload, Tile]:
        """Different tiles of the tilings: the tiling of each, how many there are, their problems and sizes."""
        last, *tiles = zip(*self.space.tiles(pixel, channel), strict=True)
        owner, count, sizes = (np.concatenate(part, axis=-1) for part in tiles)
        tile = Tile(*sizes)
        if self.space.machine.accumulators:
            unfinished = np.repeat([not axes[C] for axes in last], list(map(len, tiles[0])))
            tile = tile._replace(unfinished=unfinished)
        return owner, count, self.space.work.take(self.space.pixels.owner[pixel[owner]]), tile

    def _tile_costs(self, pixel: Ints, channel: Ints) -> tuple[Ints, Ints, TileCost]:
        """Different tiles of the tilings: the tiling of each, how many there are, and what one costs."""
        owner, count, problem, tile = self._tiles(pixel, channel)
        return owner, count, self.flow.tile_cost(problem, tile, self.space.machine)

    def _terms(self, pixel: Ints, channel: Ints) -> tuple[list[Any], list[Any]]:
        return list(self.array.pixel_terms[:, pixel]), list(self.array.channel_terms[:, channel])

    def energy_forms(self, ideal: Rates) -> Products:
        """Energy at least of MACs and on the array, at the prices of *ideal*, one quantity for each alternative."""
        prices = ideal.prices
        if self._priced is None or self._priced[0] != prices:

            def energy(work: Workload, bits: Bits, executed: Any = 0.0) -> Any:
                return total(layer_energy(work, bits, executed, 0.0, ideal))

            macs = energy(self.space.work, {}, self.executed)
            self._priced = prices, self._linear(energy, macs)
        return self._priced[1]

    def _linear(self, value: Callable[[Workload, Bits], Any], constant: Any) -> Products:
        """A value that is linear in the bits at each level, plus a *constant* of each problem, as products.

        Accesses are linear in the channel terms: their factors are the accesses of a term of 1, the others 0. Where one
        is negative, it is made to stand beside what its term lacks to the largest of the problem.
        """
        space, terms = self.space, self.array.channel_terms
        owner = space.pixels.owner
        work = space.work.take(owner)

        # All terms of 1 at once, and none of them, where the sums begin.
        by_channel = np.eye(len(terms) + 1, len(terms))
        started = np.zeros((len(by_channel), len(owner)))
        started[-1] = work.g * work.k * work.pixels
        found = self.flow.bounds.accesses(
            work, list(self.array.pixel_terms), list(by_channel.T[..., np.newaxis]), space.machine
        )
        values = np.empty((len(found), *started.shape))
        for each, accesses in zip(values, found, strict=True):
            each[:] = value(work, level_bits(access_bits(work, accesses, started)))
        factors, fixed = values[:, :-1], values[:, -1]
        most = -space.channels.least(-terms)
        least = np.minimum(factors, 0)
        rounding = _ROUNDING * (np.abs(fixed) + (np.abs(factors) * most[:, owner]).sum(axis=1))
        fixed = fixed + (least * most[:, owner]).sum(axis=1) - rounding
        fixed = fixed + np.broadcast_to(constant, len(space.work))[owner]
        rising, falling = ((part != 0).any(axis=(0, 2)) for part in (np.maximum(factors, 0), least))
        lacking = most[falling][:, space.channels.owner] - terms[falling]
        return Products(
            np.concatenate([np.maximum(factors, 0)[:, rising], -least[:, falling], fixed[:, None]], axis=1),
            np.concatenate([terms[rising], lacking, np.ones((1, terms.shape[1]))]),
        )
