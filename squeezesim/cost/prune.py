"""Pruning: which tilings of a dataflow can win, found without a bound for each of them.

    value(pixel option, any channel option) ≥ bound from Σ over j of rows[j, pixel option] · least of columns[j]

and the mirror of it. After one promising tiling is played, whole pixel options and whole channel options fall away;
tilings of those that are left are bounded in blocks of a fixed size, runs of options before single ones (``winners``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.bounds import Space
from squeezesim.cost.candidates import DataflowBounds
from squeezesim.cost.dataflow import Dataflow
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Bools, Floats, Ints, Workload
from squeezesim.cost.rates import Rates
from squeezesim.cost.traffic import AXES, MODE_NUMBERS, C, G, K, Mode, N, X, Y, capacity
from squeezesim.cost.views import FEW, View, winners

PROMISING = 32
"""Tilings of a problem with very many of them that are played first."""

_FEW = 1 << 10  # tilings of a problem that are bounded together with those of others


class BoundedTilings(NamedTuple):
    """Tilings with their bounds and their least traffic, those of a problem together."""

    row: Ints  # of the problem
    pixel: Ints
    channel: Ints
    bound: Floats
    traffic: Floats

    @classmethod
    def concat(cls, parts: Sequence[BoundedTilings]) -> BoundedTilings:
        """Return the tilings of all *parts*, those of a problem together."""
        if not parts:
            none = np.empty(0, np.int64)
            return cls(none, none, none, np.empty(0), np.empty(0))
        tilings = cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        return tilings.take(np.argsort(tilings.row, kind="stable"))

    def take(self, index: Ints | Bools) -> BoundedTilings:
        """Return the tilings *index*."""
        row, pixel, channel, bound, traffic = self
        return BoundedTilings(row[index], pixel[index], channel[index], bound[index], traffic[index])

    def first(self, count: Any = 1) -> BoundedTilings:
        """The first *count* tilings of each problem by their bound; *count* may be one number for each tiling."""
        order = np.lexsort((self.bound, self.row))
        begins = np.flatnonzero(np.diff(self.row, prepend=-1))
        rank = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
        return self.take(order[rank < count])


@dataclass(frozen=True, slots=True)
class RemainingOptions:
    """Pixel and channel options that are left of each problem; those of problem i begin at entry i."""

    pixel: Ints
    channel: Ints
    pixel_begins: Ints
    channel_begins: Ints

    @property
    def counts(self) -> Ints:
        """Tilings of each problem."""
        return np.diff(self.pixel_begins) * np.diff(self.channel_begins)

    def options(self, row: int) -> tuple[Ints, Ints]:
        """Pixel and channel options of a problem."""
        pixels, channels = self.pixel_begins, self.channel_begins
        return self.pixel[pixels[row] : pixels[row + 1]], self.channel[channels[row] : channels[row + 1]]

    def pairs(self, rows: Ints) -> tuple[Ints, Ints, Ints]:
        """All tilings of problems *rows*: problem, pixel option, channel option."""
        counts = self.counts[rows]
        row = np.repeat(rows, counts)
        number = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        i, j = np.divmod(number, np.diff(self.channel_begins)[row])
        return row, self.pixel[self.pixel_begins[row] + i], self.channel[self.channel_begins[row] + j]


class OptionBounds:
    """Bounds of each pixel option and each channel option of all problems, on the only machine of *ideal*."""

    def __init__(self, flow: DataflowBounds, ideal: Rates) -> None:
        self.flow, self.ideal, self.space = flow, ideal, flow.space
        space, pixels, channels = flow.space, flow.space.pixels, flow.space.channels
        self.by_pixel, self.pixel_traffic = np.full((2, len(pixels.owner)), np.inf)
        self.by_channel, self.channel_traffic = np.full((2, len(channels.owner)), np.inf)
        if len(space.several):
            several, beside = space.several, space.beside
            self.by_pixel[several], self.pixel_traffic[several] = self._bound(space.rows)
            self.by_channel[beside], self.channel_traffic[beside] = self._bound(space.columns)
        # With the last pixel option, the whole layer, bounds are those of single tilings.
        self.single, self.single_traffic = np.full((2, len(channels.owner)), np.inf)
        if len(space.whole):
            self.single[space.whole], self.single_traffic[space.whole] = self._bound(space.wholes)
        self.floor: Floats = np.minimum(pixels.least(self.by_pixel), channels.least(self.single))

    def _bound(self, view: View) -> tuple[Floats, Floats]:
        return self.flow.bound(view, self.ideal)

    def descend(self, rows: Ints, room: Any) -> tuple[Ints, Ints]:
        """A promising tiling of each of the problems *rows* that fits *room*: pixel and channel option.

        From the most promising channel option on, the best pixel option beside it and the best channel option beside
        that one are found in turn.
        """
        pixels, channels = self.space.pixels, self.space.channels
        single = np.where(self.space.whole_footprint <= room, self.single, np.inf)
        channel = channels.first(np.minimum(self.by_channel, single))
        pixel = pixels.first(self.by_pixel)
        # Where no bound is below that of the best whole layer, it is the one.
        least_single, single_channel = channels.least(single), channels.first(single)
        whole = least_single <= pixels.least(self.by_pixel)
        pixel[whole], channel[whole] = pixels.offsets[1:][whole] - 1, single_channel[whole]
        wanted = np.zeros(len(whole), np.bool_)
        wanted[rows] = ~whole[rows]
        if wanted.any():
            some_pixels, some_channels = (
                np.flatnonzero(wanted[options.owner]) for options in (pixels, channels)
            )
            found = self._best(some_pixels, channel[pixels.owner[some_pixels]], room)
            pixel[found.row] = found.pixel
            reached = np.full(len(whole), np.inf)
            reached[found.row] = found.bound
            some_channels = some_channels[
                self.by_channel[some_channels] <= reached[channels.owner[some_channels]]
            ]
            found = self._best(pixel[channels.owner[some_channels]], some_channels, room)
            channel[found.row] = found.channel
        fits = self.space.footprint(pixel, channel) <= room
        pixel, channel = (
            np.where(fits, one, other)
            for one, other in zip((pixel, channel), self.space.smallest, strict=True)
        )
        return pixel[rows], channel[rows]

    def _best(self, pixel: Ints, channel: Ints, room: Any) -> BoundedTilings:
        """Of single tilings, those of a problem together, the first of each problem with the least bound in *room*."""
        bound, traffic = self.flow.bound(self.space.pairs(pixel, channel), self.ideal, room)
        return BoundedTilings(self.space.pixels.owner[pixel], pixel, channel, bound, traffic).first()

    def most_promising(self, limit: Floats) -> BoundedTilings:
        """Of problems with very many tilings, some of those with the least bounds, up to the *limit*."""
        left = self._remaining_options(lambda bound, _, row: bound <= limit[row])
        found = []
        for row in np.flatnonzero(left.counts > FEW).tolist():
            best, most = BoundedTilings.concat([]), float(limit[row])
            for pixel, channel, bounds in winners(
                self._bound,
                lambda bound, _: bound <= most,  # noqa: B023
                *left.options(row),
            ):
                best = BoundedTilings.concat(
                    [best, BoundedTilings(np.full(len(pixel), row), pixel, channel, *bounds)]
                ).first(PROMISING)
                most = float(best.bound[-1]) if len(best.row) == PROMISING else most
            found.append(best)
        return BoundedTilings.concat(found)

    def within_limits(
        self, limit: Floats, moved: Floats | None = None, value: Floats | None = None
    ) -> BoundedTilings:
        """Tilings with bounds up to the *limit* of their problem, those that move *moved* up to *value*, none more."""
        space, channels = self.space, self.space.channels

        def wanted(bound: Any, traffic: Any, row: Any) -> Any:
            if moved is None or value is None:
                return bound <= limit[row]
            most = np.where(traffic < moved[row], limit[row], value[row])
            return (bound <= most) & (traffic <= moved[row])

        whole = space.whole
        channel = whole[wanted(self.single[whole], self.single_traffic[whole], channels.owner[whole])]
        row = channels.owner[channel]
        last = space.pixels.offsets[row + 1] - 1
        found = [BoundedTilings(row, last, channel, self.single[channel], self.single_traffic[channel])]
        left = self._remaining_options(wanted)
        row, pixel, channel = left.pairs(np.flatnonzero(left.counts <= _FEW))
        if len(row):
            bound, traffic = self._bound(space.pairs(pixel, channel))
            found.append(
                BoundedTilings(row, pixel, channel, bound, traffic).take(wanted(bound, traffic, row))
            )
        for number in np.flatnonzero(left.counts > _FEW).tolist():
            parts = winners(
                self._bound,
                lambda bound, traffic: wanted(bound, traffic, number),  # noqa: B023
                *left.options(number),
            )
            found += [
                BoundedTilings(np.full(len(pixel), number), pixel, channel, *bounds)
                for pixel, channel, bounds in parts
            ]
        return BoundedTilings.concat(found)

    def tighten(self, tilings: BoundedTilings) -> BoundedTilings:
        """Return *tilings* with the bounds that their tiles' own costs give, where those are closer."""
        if not self.flow.has_closer or len(tilings.row) == 0:
            return tilings
        view = self.space.pairs(tilings.pixel, tilings.channel)
        array = self.flow.array_at_least(tilings.pixel, tilings.channel, self.flow.array.array(view))
        return tilings._replace(bound=self.flow.bound(view, self.ideal, array=array)[0])

    def _remaining_options(self, wanted: Callable[[Any, Any, Any], Bools]) -> RemainingOptions:
        """Options of several tiles of pixels whose bounds and traffic are *wanted* for their problem."""
        space, owner = self.space, self.space.channels.owner
        several = space.several
        row = space.pixels.owner[several]
        pixel = several[wanted(self.by_pixel[several], self.pixel_traffic[several], row)]
        channel = np.flatnonzero(wanted(self.by_channel, self.channel_traffic, owner))
        problems = np.arange(len(self.floor) + 1)
        begins = np.searchsorted(space.pixels.owner[pixel], problems)
        return RemainingOptions(pixel, channel, begins, np.searchsorted(owner[channel], problems))


class LowerBounds:
    """What no tiling of the only row of *problem* has a lower value of the objective than, before any is played."""

    def __init__(self, problem: Workload, machine: Machine, dataflow: Dataflow) -> None:
        self._problem, self._machine = problem, machine
        self._space, self._rates = Space(problem, machine), Rates.of([machine])
        self._flow = DataflowBounds(self._space, dataflow)

    @cached_property
    def _options(self) -> OptionBounds:
        return OptionBounds(self._flow, self._rates)

    def of(self, sizes: Mapping[str, int] | None = None, mode: Mode | None = None) -> float:
        """Return the bound of all tilings, or of those whose tiles have *sizes* along the given ``AXES``.

        With sizes along all of them and a *mode* it is that of one. Infinite where none of them fits the buffer.

        Raises:
            ValueError: the search tries no such sizes, or the mode is the same as another one.
        """
        space, flow, rates, given = self._space, self._flow, self._rates, sizes or {}

        def options(axes: Sequence[int], tried: Sequence[Ints]) -> Ints:
            wanted = [size == given.get(AXES[axis], size) for axis, size in zip(axes, tried, strict=True)]
            return np.flatnonzero(np.logical_and.reduce(wanted))

        pixels, channels = options((N, Y, X), space.pixels.sizes), options((G, K, C), space.channels.sizes)
        if len(pixels) == 0 or len(channels) == 0:
            raise ValueError(f"no tiling has the sizes {dict(given)}")
        if mode is not None:
            return self._of_mode(pixels, channels, mode)
        if set(given) == set(AXES):
            return float(flow.bound(space.pairs(pixels, channels), rates)[0][0])
        bounds = self._options
        last = bool(space.last_pixel[pixels[-1]])
        several = max(bounds.by_pixel[pixels].min(), bounds.by_channel[channels].min())
        return float(min(several, bounds.single[channels].min()) if last else several)

    def _of_mode(self, pixels: Ints, channels: Ints, mode: Mode) -> float:
        """The bound of one tiling in *mode*."""
        flow = self._flow
        owner = self._space.pixels.owner[pixels]
        candidates = flow.refined(flow.candidates(owner, pixels, channels, -np.inf, np.inf, self._rates))
        which = candidates.tilings.mode == MODE_NUMBERS[mode]
        if not which.any():
            raise ValueError(f"{mode} is the same as another mode")
        fits = candidates.footprint[which] <= capacity(self._machine, self._rates)
        values = candidates.values(flow.objective, self._problem, self._rates)[0, which]
        return float(np.where(fits, values, np.inf)[0])
