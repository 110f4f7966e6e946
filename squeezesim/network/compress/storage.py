"""Bits that a layer's learnt values take, with and without what says where the non-zero ones are.

Of W weights, Z are not zero (d = Z/W), each of b bits:

    dense       W · b
    values      Z · b, without an index
    bitmap      Z · b + W
    relative    E · (b + i), with E entries of i index bits each
    csr         Z · (b + ⌈log2 columns⌉) + (rows + 1) · ⌈log2(Z + 1)⌉, a row for each output channel

The relative index of Deep Compression (Han et al., arXiv 1510.00149, section 2 and figure 2) holds the distance to the
non-zero before, 1 to 2^i; where the next is farther away, an entry of value zero is put in between. Of zeros in random
places, a distance of more than m steps has the probability (1 − d)^m, and the entries are

    E = Z / (1 − (1 − d)^(2^i))

Weights that are pruned N:M need ⌈log2 M⌉ bits for each one that stays, as many as a bitmap for 1:2 and 2:4.
What is not a weight, biases, the scales and shifts of norms and those of quantised weights, is stored whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from squeezesim.network.compress.rules import learnt
from squeezesim.network.layer import Layer

FLOAT_BITS = 32
"""Bits of a value that nothing quantised."""


class Sizes(NamedTuple):
    """Bits of the same learnt values, stored in several ways; ``values`` alone has no index."""

    dense: int
    values: int
    bitmap: int
    relative4: int
    relative5: int
    csr: int

    @property
    def least(self) -> int:
        """Bits of the smallest form in which the values can be found again."""
        return min(self.dense, self.bitmap, self.relative4, self.relative5, self.csr)

    def in_form(self, form: str) -> int:
        """Return the bits in *form*, one of ``FORMS``, or those of the dense one where these are fewer.

        Example:
            >>> weight_sizes(1000, 400, 8, rows=10, columns=100).in_form("bitmap")
            4200
        """
        return self.least if form == FORMS[0] else min(self.dense, int(getattr(self, form)))


FORMS = ("smallest", "bitmap", "relative4", "relative5", "csr")
"""Forms that find their values again: the smallest of all, or one of them for every layer."""


def relative_entries(weights: int, nonzeros: int, index_bits: int) -> int:
    """Return the entries of a relative index, padding zeros included, rounded up: Z / (1 − (1 − d)^(2^i)).

    Example: at a density of 1 % and 4 index bits, 10,000 of a million weights take 67,321 entries.

        >>> relative_entries(1_000_000, 10_000, 4)
        67321
    """
    if nonzeros == 0:
        return 0
    far: float = (1 - nonzeros / weights) ** (2**index_bits)
    return math.ceil(nonzeros / (1 - far) - 1e-6)


def nonzeros(weights: int, density: float) -> int:
    """Return ⌊density · weights + ½⌋."""
    return math.floor(density * weights + 0.5)


def weight_sizes(weights: int, kept: int, bits: int, *, rows: int, columns: int) -> Sizes:
    """Return the sizes of *weights* of *bits*, *kept* of which are not zero, in *rows* of *columns* (for ``csr``)."""
    column_bits = math.ceil(math.log2(max(columns, 2)))
    row_bits = (rows + 1) * math.ceil(math.log2(kept + 1)) if weights else 0
    return Sizes(
        dense=weights * bits,
        values=kept * bits,
        bitmap=kept * bits + weights,
        relative4=relative_entries(weights, kept, 4) * (bits + 4),
        relative5=relative_entries(weights, kept, 5) * (bits + 5),
        csr=kept * (bits + column_bits) + row_bits,
    )


def layer_sizes(layer: Layer, weight_bits: int, other_bits: int, density: float) -> Sizes:
    """Return the sizes of what *layer* learnt, *other_bits* for each value of it that is not a weight of a MAC.

    What several layers use is counted in the one that owns it. Layers without MACs are stored whole at *weight_bits*.
    """
    if not learnt(layer):
        return Sizes(*[(layer.params + layer.fixed_weights) * weight_bits] * 6)
    weights = layer.owned_weights + layer.fixed_weights
    if layer.weight_bits is not None:  # scales and zero points are among what quantised weights are made of
        weights = min(weights, layer.weight_elements)
    others = (layer.params + layer.fixed_weights - weights) * other_bits
    kept = nonzeros(weights, density)
    rows = -(
        -layer.g * layer.k * weights // max(layer.weight_elements, 1)
    )  # those of the weights that it owns
    columns = layer.c * layer.fy * layer.fx
    return Sizes(
        *(others + size for size in weight_sizes(weights, kept, weight_bits, rows=rows, columns=columns))
    )


def network_sizes(layers: Iterable[Layer]) -> tuple[Sizes, int]:
    """Return the sizes of all layers, and the sum of each layer's smallest; what was not quantised has 32 bits."""
    sizes = [
        layer_sizes(
            layer,
            layer.weight_bits or FLOAT_BITS,
            layer.accumulator_bits or FLOAT_BITS,
            1.0 if layer.weight_density is None else layer.weight_density,
        )
        for layer in layers
    ]
    totals = [sum(column) for column in zip(*sizes, strict=True)] or [0] * 6
    return Sizes(*totals), sum(size.least for size in sizes)
