"""Pruning: which tilings of a dataflow can win, found without a bound for each of them.

    value(pixel option, any channel option) ≥ bound from Σ over j of rows[j, pixel option] · least of columns[j]

and the mirror of it. After one promising tiling is played, whole pixel options and whole channel options fall away;
tilings of those that are left are bounded in blocks of a fixed size, runs of options before single ones (``winners``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.bounds import FEW, View, winners
from squeezesim.cost.candidates import Flow
from squeezesim.cost.problem import Bools, Floats, Ints
from squeezesim.cost.rates import Rates

PROMISING = 32
"""Tilings of a problem with very many of them that are played first."""

_FEW = 1 << 10  # tilings of a problem that are bounded together with those of others


class Found(NamedTuple):
    """Tilings with their bounds and their least traffic, those of a problem together."""

    row: Ints  # of the problem
    pixel: Ints
    channel: Ints
    bound: Floats
    traffic: Floats

    def take(self, index: Ints | Bools) -> Found:
        """Return the tilings *index*."""
        row, pixel, channel, bound, traffic = self
        return Found(row[index], pixel[index], channel[index], bound[index], traffic[index])

    def first(self, count: Any = 1) -> Found:
        """The first *count* tilings of each problem by their bound; *count* may be one number for each tiling."""
        order = np.lexsort((self.bound, self.row))
        begins = np.flatnonzero(np.diff(self.row, prepend=-1))
        rank = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
        return self.take(order[rank < count])


@dataclass(frozen=True, slots=True)
class Left:
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


def joined_found(parts: Sequence[Found]) -> Found:
    """Return the tilings of all *parts*, those of a problem together."""
    if not parts:
        none = np.empty(0, np.int64)
        return Found(none, none, none, np.empty(0), np.empty(0))
    every = Found(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return every.take(np.argsort(every.row, kind="stable"))


class Sides:
    """Bounds of each pixel option and each channel option of all problems, on the only machine of *ideal*."""

    def __init__(self, flow: Flow, ideal: Rates) -> None:
        self.flow, self.ideal, self.space = flow, ideal, flow.space
        space, pixels, channels = flow.space, flow.space.pixels, flow.space.channels
        self.by_pixel, self.pixel_traffic = np.full((2, len(pixels.owner)), np.inf)
        self.by_channel, self.channel_traffic = np.full((2, len(channels.owner)), np.inf)
        if len(space.several):
            of = self._bound(space.rows)
            self.by_pixel[space.several], self.pixel_traffic[space.several] = of
            of = self._bound(space.columns)
            self.by_channel[space.beside], self.channel_traffic[space.beside] = of
        # With the last pixel option, the whole layer, bounds are those of single tilings.
        self.single, self.single_traffic = np.full((2, len(channels.owner)), np.inf)
        if len(space.whole):
            of = self._bound(space.wholes)
            self.single[space.whole], self.single_traffic[space.whole] = of
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
        by_whole, alone = channels.least(single), channels.first(single)
        whole = by_whole <= pixels.least(self.by_pixel)
        pixel[whole], channel[whole] = pixels.offsets[1:][whole] - 1, alone[whole]
        wanted = np.zeros(len(whole), np.bool_)
        wanted[rows] = ~whole[rows]
        if wanted.any():
            some_pixels, some_channels = (np.flatnonzero(wanted[of.owner]) for of in (pixels, channels))
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

    def _best(self, pixel: Ints, channel: Ints, room: Any) -> Found:
        """Of single tilings, those of a problem together, the first of each problem with the least bound in *room*."""
        bound, traffic = self.flow.bound(self.space.pairs(pixel, channel), self.ideal, room)
        return Found(self.space.pixels.owner[pixel], pixel, channel, bound, traffic).first()

    def most_promising(self, limit: Floats) -> Found:
        """Of problems with very many tilings, some of those with the least bounds, up to the *limit*."""
        left = self._left(lambda bound, _, row: bound <= limit[row])
        found = []
        for row in np.flatnonzero(left.counts > FEW).tolist():
            best, most = joined_found([]), float(limit[row])
            for of, beside, bounds in winners(
                self._bound,
                lambda bound, _: bound <= most,  # noqa: B023
                *left.options(row),
            ):
                best = joined_found([best, Found(np.full(len(of), row), of, beside, *bounds)]).first(
                    PROMISING
                )
                most = float(best.bound[-1]) if len(best.row) == PROMISING else most
            found.append(best)
        return joined_found(found)

    def inside(self, limit: Floats, best: Floats, most: Floats) -> Found:
        """Tilings with bounds up to the *limit* of their problem, or up to its *best* whatever they move.

        Those above the *best* have at most *most* traffic.
        """
        space, channels = self.space, self.space.channels

        def wanted(bound: Any, traffic: Any, row: Any) -> Any:
            return (bound <= best[row]) | ((bound <= limit[row]) & (traffic <= most[row]))

        whole = space.whole
        alone = whole[wanted(self.single[whole], self.single_traffic[whole], channels.owner[whole])]
        row = channels.owner[alone]
        last = space.pixels.offsets[row + 1] - 1
        found = [Found(row, last, alone, self.single[alone], self.single_traffic[alone])]
        left = self._left(wanted)
        row, pixel, channel = left.pairs(np.flatnonzero(left.counts <= _FEW))
        if len(row):
            bound, traffic = self._bound(space.pairs(pixel, channel))
            found.append(Found(row, pixel, channel, bound, traffic).take(wanted(bound, traffic, row)))
        for number in np.flatnonzero(left.counts > _FEW).tolist():
            parts = winners(
                self._bound,
                lambda bound, traffic: wanted(bound, traffic, number),  # noqa: B023
                *left.options(number),
            )
            found += [Found(np.full(len(of), number), of, beside, *bounds) for of, beside, bounds in parts]
        return joined_found(found)

    def _left(self, wanted: Callable[[Any, Any, Any], Bools]) -> Left:
        """Options of several tiles of pixels whose bounds and traffic are *wanted* for their problem."""
        space, owner = self.space, self.space.channels.owner
        several = space.several
        of = space.pixels.owner[several]
        pixel = several[wanted(self.by_pixel[several], self.pixel_traffic[several], of)]
        channel = np.flatnonzero(wanted(self.by_channel, self.channel_traffic, owner))
        problems = np.arange(len(self.floor) + 1)
        begins = np.searchsorted(space.pixels.owner[pixel], problems)
        return Left(pixel, channel, begins, np.searchsorted(owner[channel], problems))
