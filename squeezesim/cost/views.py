"""Quantities of tilings as sums of products, seen for single tilings or for whole sets of them at once.

A quantity is Σ over j of a term of the pixel option and a term of the channel option, none of them negative. So it can
be seen in several ways (``View``): for single tilings; for all tilings of some pixel options and some channel options,
as a small matrix product; and, with the least of each term, for whole sets of tilings at once: all those of a pixel
option, of a channel option, or of a run of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from squeezesim.cost.problem import Bools, Floats, Ints

FEW = 1 << 18
"""Bounds that are held at once."""

NEVER = 2.0**200
"""Bits of a tiling that no loop order allows: more than any buffer has."""


@dataclass(frozen=True, slots=True)
class Products:
    """Σ over j of rows[…, j, pixel option] · columns[…, j, channel option]: a quantity of tilings, or several.

    The options are those of all problems, one after the other. ``single`` are the columns for the last pixel option of
    a problem, where they differ. Leading axes, of quantities, broadcast.
    """

    rows: Floats
    columns: Floats
    single: Floats | None = None

    @classmethod
    def of(cls, rows: Sequence[Any], columns: Sequence[Any], single: Sequence[Any] | None = None) -> Products:
        """Stack the terms, one array over the options for each j."""

        def stack_terms(parts: Sequence[Any]) -> Floats:
            return np.stack(np.broadcast_arrays(*parts)).astype(np.float64)

        return cls(stack_terms(rows), stack_terms(columns), None if single is None else stack_terms(single))

    @classmethod
    def stack(cls, products: Sequence[Products]) -> Products:
        """Return several quantities, with as many products each as the one with the most."""
        most = max(len(one.rows) for one in products)
        rows = np.zeros((len(products), most, products[0].rows.shape[-1]))
        columns = np.zeros((len(products), most, products[0].columns.shape[-1]))
        for number, one in enumerate(products):
            rows[number, : len(one.rows)], columns[number, : len(one.rows)] = one.rows, one.columns
        return cls(rows, columns)

    def at(self, pixel: Ints, channel: Ints, last: Bools) -> Floats:
        """The quantity of single tilings; *last*: the pixel option is the last one of its problem."""
        every = self.single is not None and bool(last.all())
        columns = (self.single if every else self.columns).take(channel, axis=-1)  # type: ignore[union-attr]
        if self.single is not None and not every and last.any():
            columns[..., last] = self.single[..., channel[last]]
        return np.asarray(np.einsum("...jn,...jn->...n", self.rows.take(pixel, axis=-1), columns))

    def apart(self) -> Products:
        """Return each product as a quantity by itself."""
        return Products(self.rows[:, np.newaxis], self.columns[:, np.newaxis])

    def take(self, pixels: Ints, channels: Ints) -> Products:
        """Return the quantity of the given options alone."""
        single = None if self.single is None else self.single.take(channels, axis=-1)
        return Products(self.rows.take(pixels, axis=-1), self.columns.take(channels, axis=-1), single)


View = Callable[[Products], Any]
"""A quantity, or several, → its values for some tilings or what it is at least for some sets of tilings."""


def block(pixels: Ints, channels: Ints) -> View:
    """All tilings of *pixels*, none the last one of its problem, and *channels*: (pixel options, channel options)."""
    return lambda products: (
        products.rows.take(pixels, axis=-1).swapaxes(-1, -2) @ products.columns.take(channels, axis=-1)
    )


def runs(pixels: Ints, rows: Ints, channels: Ints, columns: Ints) -> View:
    """The same at least for runs of options; runs begin at *rows* of *pixels* and at *columns* of *channels*."""

    def view(products: Products) -> Any:
        of_rows = np.minimum.reduceat(products.rows.take(pixels, axis=-1), rows, axis=-1)
        of_columns = np.minimum.reduceat(products.columns.take(channels, axis=-1), columns, axis=-1)
        return of_rows.swapaxes(-1, -2) @ of_columns

    return view


def winners(
    bounds: Callable[[View], tuple[Floats, ...]],
    wanted: Callable[..., Bools],
    pixels: Ints,
    channels: Ints,
) -> Iterator[tuple[Ints, Ints, tuple[Floats, ...]]]:
    """The tilings of *pixels* and *channels* with *wanted* bounds: pixel options, channel options, their bounds.

    Runs of options that have none are left out whole, so that no more than some bounds are held at once; the most
    promising come first. The larger a bound, the less it may be wanted.
    """
    if len(pixels) * len(channels) <= FEW or len(pixels) == 1:
        for start in range(0, len(channels) if len(pixels) else 0, FEW):
            part = channels[start : start + FEW]
            values = bounds(block(pixels, part))
            index = np.nonzero(wanted(*values))
            yield pixels[index[0]], part[index[1]], tuple(value[index] for value in values)
        return
    size = min(int(np.sqrt(len(pixels) * len(channels) / FEW)) + 1, -(-len(pixels) // 2))
    rows = np.arange(0, len(pixels), size)
    width = -(-len(rows) * len(channels) // FEW)
    columns = np.arange(0, len(channels), width)
    found = bounds(runs(pixels, rows, channels, columns))
    for number in found[0].min(axis=1).argsort(kind="stable").tolist():
        # What is wanted may have become less since the run was bounded.
        inside = np.repeat(wanted(*(values[number] for values in found)), width)[: len(channels)]
        yield from winners(bounds, wanted, pixels[rows[number] :][:size], channels[inside])
