"""Problems: MAC layers as columns of loop sizes, one row for each distinct shape, with their operands' widths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import repeat
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.machine import Machine
from squeezesim.network.compress.storage import nonzeros, weight_sizes
from squeezesim.network.layer import Layer, Pool


class Operands(NamedTuple):
    """Bits of the operands in memory, and the share of the second one that is not zero."""

    weight_bits: int
    activation_bits: int
    accumulator_bits: int
    weight_density: float


def operands_of(layer: Layer, machine: Machine) -> Operands:
    """Return the operands of *layer* on *machine*; a product of activations has two dense ones, equally wide."""
    activation_bits = layer.activation_bits or machine.activation_bits
    accumulator_bits = layer.accumulator_bits or machine.accumulator_bits
    if layer.weights_are_activations:
        return Operands(activation_bits, activation_bits, accumulator_bits, 1.0)
    density = machine.weight_density if layer.weight_density is None else layer.weight_density
    return Operands(layer.weight_bits or machine.weight_bits, activation_bits, accumulator_bits, density)


Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


NO_POOL = Pool(1, 1, 1, 1, 1, 1, 0, 0)
"""A window of each output alone: none is pooled."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Columns over problems; a problem is a loop nest N·G·K·C·Y·X·FY·FX with its operands' widths and non-zeros.

    ``pointwise`` problems are matrix products: a 1×1 filter without stride and padding makes no difference between
    batch, rows and columns, so that their pixels stand in ``x`` alone (n = y = 1). Rows of several pixels are as long
    as the memory stores them, with the padding of ``memory.row_words`` and with outputs that no loop of the layer
    makes, such as the border of a transposed convolution; ``valid`` is without both.
    """

    n: Ints
    g: Ints
    k: Ints
    c: Ints
    y: Ints
    x: Ints
    fy: Ints
    fx: Ints
    iy: Ints
    ix: Ints
    sy: Ints
    sx: Ints
    dy: Ints
    dx: Ints
    py: Ints
    px: Ints
    weight_bits: Ints
    activation_bits: Ints
    accumulator_bits: Ints
    macs_at_once: Ints  # that a PE does with operands of these widths ...
    cycles_at_once: Ints  # ... and in how many cycles; one of the two is 1
    nonzeros: Ints  # weights that are not zero
    block_kept: (
        Ints  # of every ``block_size`` input channels, weights that the machine's PEs hold; 1 of 1: all
    )
    block_size: Ints
    stored_weights: Ints  # bits of all weights in their memory, compressed or not
    constants: Ints  # bits of what is read beside the weights: biases, scales and shifts
    added: Ints  # bits of a second operand for each output, added to it on its way out; 0: there is none
    second: Ints  # bits of the same that are loaded: 0 where it lives in the buffer
    input_bits: Ints  # of an input that is loaded: 0 where they live in the buffer
    factor_bits: Ints  # of a weight that is loaded, not compressed: 0 where they live in the buffer
    output_bits: Ints  # of an output that is stored: 0 where they live in the buffer alone
    resident: Ints  # bits of the buffer that whole feature maps, or weights, take beside the tiles
    beside: Ints  # bits of weights that do in a part of the buffer apart from that of feature maps
    valid: Ints  # output pixels of one channel, without what pads their rows
    pool: Ints  # of the outputs on their way out, an index into ``pools``; 0: none
    post_cycles: Ints  # in which lanes do what joined the layer ...
    post_outputs: Ints  # ... for so many of its outputs
    pointwise: Bools
    is_product: Bools  # a matrix product, whose pixels may stand in x alone
    pools: tuple[Pool, ...] = (NO_POOL,)  # over the pixels as the loops have them; not a column

    def __len__(self) -> int:
        return len(self.n)

    @property
    def columns(self) -> tuple[Any, ...]:
        """All columns, in order."""
        return tuple(_columns(self))

    @property
    def on_array(self) -> tuple[Ints, Ints]:
        """The first of the problems that are alike on the array, where operands live apart, and which each one is."""
        table = np.stack([getattr(self, name) for name in _ON_ARRAY])
        _, first, number = np.unique(table, axis=1, return_index=True, return_inverse=True)
        ranks = np.argsort(np.argsort(first))
        return np.sort(first), ranks[number.ravel()]

    def take(self, index: Any) -> Workload:
        """Return the rows *index*: an index array, a mask or a slice."""
        return Workload(*[*(column[index] for column in _columns(self)), self.pools])

    def flattened(self, which: Bools | bool = True) -> Workload:
        """Return the problems with the pixels of matrix products in x alone, all or those of *which*."""
        flat, one, pixels = self.is_product & ~self.pointwise & which, np.ones_like(self.n), self.pixels
        if not flat.any():
            return self
        pools, pool = {each: number for number, each in enumerate(self.pools)}, self.pool.copy()
        for row in np.flatnonzero(flat & (self.pool > 0)).tolist():
            image, sums = int(self.y[row] * self.x[row]), self.pools[pool[row]].sums
            pool[row] = pools.setdefault(_flat_pool(int(self.n[row]), image, sums), len(pools))
        return replace(
            self,
            n=np.where(flat, one, self.n),
            y=np.where(flat, one, self.y),
            x=np.where(flat, pixels, self.x),
            iy=np.where(flat, one, self.iy),
            ix=np.where(flat, pixels, self.ix),
            pool=pool,
            pointwise=self.pointwise | flat,
            pools=tuple(pools),
        )

    def repeat(self, counts: Ints) -> Workload:
        """Return row i ``counts[i]`` times."""
        return Workload(*[*(column.repeat(counts) for column in _columns(self)), self.pools])

    def bits(self, operand: str) -> Ints:
        """Width of *operand*: inputs, weights, outputs or psums."""
        return {
            "inputs": self.activation_bits,
            "weights": self.weight_bits,
            "outputs": self.activation_bits,
            "psums": self.accumulator_bits,
        }[operand]

    @property
    def taps(self) -> Ints:
        """Filter taps FY·FX."""
        return self.fy * self.fx

    @property
    def pixels(self) -> Ints:
        """Output pixels N·Y·X of one channel, as stored."""
        return self.n * self.y * self.x

    @property
    def slices(self) -> Ints:
        """Filter slices G·K·C: the FY·FX weights of one output and one input channel."""
        return self.g * self.k * self.c

    @property
    def weights(self) -> Ints:
        """Weights G·K·C·FY·FX."""
        return self.slices * self.taps

    def packed(self, c: Ints) -> Ints:
        """Input channels that *c* take where PEs hold what a pattern keeps, the first of a block of each tile.

        Example: 2 of 4 are kept, so that 11 channels take 2 + 2 + 2.
        """
        return np.asarray(
            c // self.block_size * self.block_kept + np.minimum(c % self.block_size, self.block_kept)
        )

    def paced(self, macs: Ints) -> Ints:
        """Cycles in which a PE does so many MACs, one after the other: ⌈MACs · cycles at once / MACs at once⌉.

        Example: at 2 MACs a cycle 9 take 5 cycles; at one in 4 cycles 36.
        """
        if (self.macs_at_once == self.cycles_at_once).all():
            return macs
        return np.asarray(-(-macs * self.cycles_at_once // self.macs_at_once))

    @property
    def is_pooled(self) -> bool:
        """Whether the outputs of some problem are pooled on their way out."""
        return len(self.pools) > 1 and bool(self.pool.any())

    @property
    def pooled(self) -> Ints:
        """Outputs of one channel that leave, as stored: those that are pooled, or all."""
        if not self.is_pooled:
            return self.pixels
        rows, columns = np.array(self.pools, np.int64)[self.pool].T[:2]
        return np.where(self.pool > 0, self.n * rows * columns, self.pixels)

    @property
    def open_bits(self) -> Ints:
        """Bits of a window that is not finished: of a sum those of the accumulator; 0 where nothing is pooled."""
        sums = np.array(self.pools, np.int64)[self.pool].T[-1]
        return np.where(self.pool > 0, np.where(sums > 0, self.accumulator_bits, self.activation_bits), 0)

    def passed(self, outputs: Ints) -> Ints:
        """Cycles in which so many finished outputs pass the lanes that add to them or pool them, 0 where none do.

        Example: windows of 3×3 at every second output are 9 operations for 4 outputs, or 9 cycles for 128 on 32 lanes.
        """
        cycles = outputs * 1.0 * self.post_cycles / self.post_outputs
        return np.asarray(np.ceil(cycles * (1 - 1e-12)).astype(np.int64))  # binary rounding adds none

    @property
    def held(self) -> Ints:
        """Weights that PEs hold where they hold what a pattern keeps."""
        return self.g * self.k * self.packed(self.c) * self.taps

    def moved_weights(self, count: Ints) -> Ints:
        """Bits of *count* weights as their memory stores them: their share of all, rounded up to a bit."""
        whole, rest = np.divmod(self.stored_weights, self.weights)
        # Binary rounding must not make a bit more of what is whole.
        return np.asarray(
            count * whole + np.ceil(count * (rest / self.weights) * (1 - 1e-12)).astype(np.int64)
        )

    @property
    def macs(self) -> Ints:
        """Dense multiply–accumulates."""
        return self.weights * self.pixels


class Homes(NamedTuple):
    """Which operands of a layer live in the buffer while it runs, and what whole tensors take of it.

    Attributes:
        inputs: they are read where they are, and need no tile.
        weights: the same of the second operand of a product of activations, or of weights that stay from step to step
            of a recurrence, with what is read beside them (``recurrence``).
        second: the same of what is added to outputs.
        outputs: finished ones stay there alone; partial sums have a tile, and do not leave.
        resident: bits of all maps and weights that live there, the operands among them, without a part for weights
            alone.
        beside: of a buffer of parts, bits of the weights, in the part that holds them.
        lasting: the weights are in a memory of their own, and stay from one inference to the next (``weights``).
        lost: bits of what is left beside ``resident`` that tiles cannot have, since they are in one piece.
    """

    inputs: bool = False
    weights: bool = False
    second: bool = False
    outputs: bool = False
    resident: int = 0
    lasting: bool = False
    beside: int = 0
    lost: int = 0

    @property
    def kept(self) -> int:
        """Bits of all that lives in the buffer whole."""
        return self.resident + self.beside


IN_MEMORY = Homes()
"""Every operand comes from a memory and goes to one."""

_NAMES = tuple(field.name for field in fields(Workload) if field.name != "pools")
_columns = attrgetter(*_NAMES)
_HOMES = (
    "stored_weights",
    "constants",
    "added",
    "second",
    "input_bits",
    "factor_bits",
    "output_bits",
    "resident",
    "beside",
    "pool",
    "post_cycles",
    "post_outputs",
)
_ON_ARRAY = tuple(name for name in _NAMES if name not in _HOMES)
_Row = tuple[Any, ...]


def stored_row(row: int, words: int) -> int:
    """Return the length of a feature map's row in memory; a map of one pixel has no rows."""
    return row if row == 1 else -(-row // words) * words


def _row(layer: Layer, machine: Machine, homes: Homes) -> _Row:
    weights = layer.g * layer.k * layer.c * layer.fy * layer.fx
    operands = operands_of(layer, machine)
    kept = nonzeros(weights, operands.weight_density)
    stored = weights * operands.weight_bits
    packed = (1, 1) if layer.weights_are_activations else layer.packed_as(machine.structured)
    if machine.compresses_weights and not layer.weights_are_activations:
        rows, columns = layer.g * layer.k, layer.c * layer.fy * layer.fx
        sizes = weight_sizes(weights, kept, operands.weight_bits, rows=rows, columns=columns)
        stored = max(sizes.in_form(machine.weight_form), 1)  # what says that all are zero is a transfer, too
    stored *= not homes.weights
    written = -(-layer.output_elements // (layer.n * layer.g * layer.k * layer.oy))
    is_product = (
        layer.fy == layer.fx == 1
        and (not layer.pool or _is_global(layer))
        and layer.stride == (1, 1)
        and layer.padding == (0, 0)
        and (layer.iy, layer.ix) == (layer.oy, max(layer.ox, written))
    )
    pointwise = is_product and machine.flattens
    outputs = stored_row(max(layer.ox, written), machine.row_words)
    inputs = stored_row(layer.ix, machine.row_words)
    pixels = (1, 1, layer.n * layer.oy * outputs) if pointwise else (layer.n, layer.oy, outputs)
    extents = (1, pixels[2]) if pointwise else (layer.iy, inputs)
    return (
        pixels[0],
        layer.g,
        layer.k,
        layer.c,
        *pixels[1:],
        layer.fy,
        layer.fx,
        *extents,
        *layer.stride,
        *layer.dilation,
        *layer.padding,
        operands.weight_bits,
        operands.activation_bits,
        operands.accumulator_bits,
        *machine.pace(operands.weight_bits, operands.activation_bits),
        kept,
        *packed,
        stored,
        layer.constants * operands.accumulator_bits * (layer.weights_are_activations or not homes.weights),
        operands.activation_bits * (layer.second_elements > 0),
        operands.activation_bits * (layer.second_elements > 0 and not homes.second),
        operands.activation_bits * (not homes.inputs),
        operands.weight_bits * (not homes.weights),
        operands.activation_bits * (not homes.outputs),
        homes.resident + homes.lost,
        homes.beside,
        layer.n * layer.oy * layer.ox,
        (pool := _pool(layer, machine, pointwise, outputs)),
        *_post_pace(pool, layer.second_elements > 0, pixels[1] * pixels[2], machine),
        int(pointwise),
        int(is_product),
    )


def _is_global(layer: Layer) -> bool:
    """Whether a pooling makes one of each map."""
    return layer.pool[:2] == (1, 1)


def _pool(layer: Layer, machine: Machine, pointwise: bool, row: int) -> Pool:
    """The pooling of *layer* over pixels as its loops have them, with rows of *row* stored outputs.

    Windows that cover whole images stand in a row where pixels do.
    """
    if not layer.pool:
        return NO_POOL
    pool = Pool(*layer.pool)
    if pointwise:
        return _flat_pool(layer.n, layer.oy * row, pool.sums)
    if _is_global(layer):
        return Pool(1, 1, layer.oy, row, layer.oy, row, 0, 0, pool.sums)
    return pool._replace(columns=stored_row(pool.columns, machine.row_words))


def _flat_pool(images: int, pixels: int, sums: Any) -> Pool:
    """The pooling of whole images whose pixels stand in a row."""
    return Pool(1, images, 1, pixels, 1, pixels, 0, 0, sums)


def _post_pace(pool: Pool, adds: bool, pixels: int, machine: Machine) -> tuple[int, int]:
    """Cycles in which the machine's lanes add to a number of outputs and pool them, one after the other."""
    pace = Fraction(0)
    if not machine.lanes_beside:
        return 0, 1
    if adds and machine.vector_lanes:
        pace += Fraction(1, machine.elementwise_lanes or machine.vector_lanes)
    if pool != NO_POOL and machine.vector_lanes:
        ops = pool.rows * pool.columns * pool.window_y * pool.window_x
        pace += Fraction(ops, pixels * (machine.pool_lanes or machine.vector_lanes))
    return pace.numerator, pace.denominator


def workload_of(
    layers: Sequence[Layer], machine: Machine, homes: Sequence[Homes] = ()
) -> tuple[Workload, Ints]:
    """Return the distinct problems of the MAC layers and, for each layer, the row of its problem.

    A layer's own widths and density win; the machine's are for layers that bring none. *homes* are those of each layer,
    by default ``IN_MEMORY``.
    """
    seen: dict[_Row, int] = {}
    each = zip(layers, homes or repeat(IN_MEMORY, len(layers)), strict=True)
    rows = np.array([seen.setdefault(_row(layer, machine, at), len(seen)) for layer, at in each], np.int64)
    pools = {NO_POOL: 0}
    place = _NAMES.index("pool")
    for row in seen:
        pools.setdefault(row[place], len(pools))
    numbers = [(*row[:place], pools[row[place]], *row[place + 1 :]) for row in seen]
    table = np.array(numbers, np.int64).reshape(len(seen), len(_NAMES)).T
    columns: dict[str, Any] = {
        name: np.ascontiguousarray(column) for name, column in zip(_NAMES, table, strict=True)
    }
    for name in ("pointwise", "is_product"):
        columns[name] = columns[name].astype(np.bool_)
    return Workload(**columns, pools=tuple(pools)), rows
