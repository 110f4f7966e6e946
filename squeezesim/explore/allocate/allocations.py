"""Space: which allocations of blocks to stages there are, counted before they are listed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from squeezesim.errors import UsageError
from squeezesim.network.checks import show

Ints = NDArray[np.int64]
Depth = tuple[int, ...]

_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Space:
    """Allocations with *least* to *greatest* blocks in each stage, and *blocks* in total unless that is None.

    The bounds are tight: every number of blocks between them is that of some allocation.

    Example:
        >>> space = Space.of((6, 6, 8, 1), low=1, high=200, blocks=21)
        >>> space.greatest, space.count()
        ((18, 18, 18, 18), 1140)
    """

    least: Depth
    greatest: Depth
    blocks: int | None = None

    @classmethod
    def of(
        cls,
        own: Depth,
        *,
        low: int,
        high: int,
        blocks: int | None = None,
        stages: Sequence[tuple[int, int]] | None = None,
    ) -> Space:
        """Return the allocations asked for of a network that has *own* blocks, each stage *low* to *high*.

        Without *blocks* and *stages* the total is that of *own*.

        Raises:
            UsageError: there is not one range for each stage, a range is empty or outside of what the network
                allows, or no allocation has *blocks* in total.
        """
        ranges = list(stages) if stages is not None else [(low, high)] * len(own)
        if len(ranges) != len(own):
            raise UsageError(
                f"the network has {len(own)} stages: give as many ranges, one for each, found {len(ranges)}"
            )
        for number, (least, greatest) in enumerate(ranges, 1):
            if least > greatest:
                raise UsageError(
                    f"the range of stage {number} is empty, {least}-{greatest}; allowed: the smaller number first"
                )
            if least < low or greatest > high:
                raise UsageError(f"stage {number} has from {low} to {high} blocks, found {least}-{greatest}")
        if blocks is None and stages is None:
            blocks = sum(own)
        lows, highs = zip(*ranges, strict=True)
        if blocks is None:
            return cls(lows, highs)
        if not sum(lows) <= blocks <= sum(highs):
            raise UsageError(
                f"{blocks} blocks cannot be spread over {len(own)} stages of "
                f"{', '.join(f'{least}-{greatest}' for least, greatest in ranges)}; "
                f"allowed: from {sum(lows)} to {sum(highs)}"
            )
        spare, missing = blocks - sum(lows), sum(highs) - blocks
        return cls(
            tuple(max(least, greatest - missing) for least, greatest in ranges),
            tuple(min(greatest, least + spare) for least, greatest in ranges),
            blocks,
        )

    @property
    def ranges(self) -> list[str]:
        """The blocks of each stage as ``parse_range`` reads them: ``2-6``, or ``3`` where there is no choice."""
        pairs = zip(self.least, self.greatest, strict=True)
        return [str(low) if low == high else f"{low}-{high}" for low, high in pairs]

    def __contains__(self, depth: Depth) -> bool:
        inside = all(
            low <= count <= high for low, count, high in zip(self.least, depth, self.greatest, strict=True)
        )
        return inside and self.blocks in (None, sum(depth))

    def count(self) -> int:
        """Return how many allocations there are, without listing them."""
        ranges = list(zip(self.least, self.greatest, strict=True))
        if self.blocks is None:
            return prod(high - low + 1 for low, high in ranges)
        ways = {0: 1}  # blocks of the stages so far → allocations of them
        for low, high in ranges:
            ways = _spread(ways, low, high, self.blocks)
        return ways.get(self.blocks, 0)

    def depths(self) -> Ints:
        """Return every allocation, (allocations, stages), in the order of their numbers."""
        rows = np.zeros((1, 0), np.int64)
        total = 0 if self.blocks is None else self.blocks
        for stage, (low, high) in enumerate(zip(self.least, self.greatest, strict=True)):
            first = np.full(len(rows), low)
            last = np.full(len(rows), high)
            if self.blocks is not None:
                left = total - rows.sum(axis=1)
                first = np.maximum(first, left - sum(self.greatest[stage + 1 :]))
                last = np.minimum(last, left - sum(self.least[stage + 1 :]))
            choices = last - first + 1
            owner = np.repeat(np.arange(len(rows)), choices)
            place = np.arange(len(owner)) - np.repeat(np.cumsum(choices) - choices, choices)
            rows = np.column_stack([rows[owner], first[owner] + place])
        return rows


def parse_range(text: str) -> tuple[int, int]:
    """Return what ``2-6`` or ``3`` says of a stage: the least and the greatest number of blocks.

    Raises:
        UsageError: it is not written so.

    Example:
        >>> parse_range("2-6"), parse_range("3")
        ((2, 6), (3, 3))
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        raise UsageError(f"the blocks of a stage are written 2-6 or 3, found {show(text)}")
    low = int(match[1])
    return low, int(match[2] or low)


def _spread(ways: dict[int, int], low: int, high: int, most: int) -> dict[int, int]:
    after: dict[int, int] = {}
    for sum_before, count in ways.items():
        for blocks in range(low, min(high, most - sum_before) + 1):
            after[sum_before + blocks] = after.get(sum_before + blocks, 0) + count
    return after
